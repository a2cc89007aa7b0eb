//! Logs that were rewritten: consistent in themselves, or from their first entry on.

use giftproof::bundle::LogFile;
use giftproof::model::draft::Draft;
use giftproof::model::entry::NO_LEAF;
use giftproof::model::event::*;
use giftproof::model::violation::Code;
use giftproof::verify::Spot;

use super::{Stage, found};
use crate::audit::run;
use crate::forge::*;
use crate::util::*;

/// A log that was rewritten, and what of it is found: by whom trusts nothing but the log itself,
/// and by whom has seen its checkpoint before.
struct Rewriting {
    what: &'static str,
    rewrite: fn(&Stage, &mut Forge),
    alone: &'static [(u64, Code)],
}

const REWRITINGS: &[Rewriting] = &[
    Rewriting {
        what: "a dispute dropped: nothing rests on it",
        rewrite: |_, forge| drop(forge.items.remove(16)),
        alone: &[],
    },
    Rewriting {
        what: "the first dispatch dropped: the receipt was anchored in it",
        rewrite: |_, forge| drop(forge.items.remove(11)),
        alone: &[(11, Code::AnchorMismatch)],
    },
    Rewriting {
        what: "the pooled gift grows, by the hand of its taker",
        rewrite: |stage, forge| {
            let donation = recorded("red-cross", vec![line(1, "N95口罩", 900, "个", &[])]);
            let draft = stage.draft(donation, &[(Capacity::Taker, "red-cross")]);
            forge.items[13].event = sign(&draft, &forge.genesis());
        },
        alone: &[],
    },
    Rewriting {
        what: "the received gift grows: what was signed for is another one",
        rewrite: |stage, forge| {
            let lines = vec![line(1, "N95口罩", 900, "个", &[("hospital-a", 900)])];
            let donation = recorded("red-cross", lines);
            let draft = stage.draft(donation, &[(Capacity::Taker, "red-cross")]);
            forge.items[10].event = sign(&draft, &forge.genesis());
        },
        alone: &[(11, Code::AnchorMismatch), (12, Code::AnchorMismatch)],
    },
    Rewriting {
        what: "donation and dispatch exchanged",
        rewrite: |_, forge| forge.items.swap(10, 11),
        // The donation itself was anchored in the entry before both.
        alone: &[(10, Code::AnchorMismatch), (12, Code::AnchorMismatch)],
    },
    Rewriting {
        what: "a key revoked before the receipt that it signed",
        rewrite: |stage, forge| {
            let statement = KeyRevoked { handle: handle("hospital-a"), key: key("hospital-a") };
            let draft = stage.draft(statement, &[(Capacity::Oneself, "hospital-a")]);
            let at = forge.push(&draft);
            let mut item = forge.items.remove(at);
            item.recorded_at = forge.items[11].recorded_at;
            forge.items.insert(12, item);
        },
        alone: &[(13, Code::KeyEnded)],
    },
    Rewriting {
        what: "a key revoked today as of yesterday",
        rewrite: |stage, forge| {
            let statement = KeyRevoked { handle: handle("hospital-a"), key: key("hospital-a") };
            let draft = stage.draft(statement, &[(Capacity::Oneself, "hospital-a")]);
            let at = forge.push(&draft);
            forge.items[at].recorded_at.0 -= 86_400_000;
        },
        alone: &[(18, Code::ChainTime)],
    },
    Rewriting {
        what: "the last entry dropped",
        rewrite: |_, forge| drop(forge.items.pop()),
        alone: &[],
    },
];

#[test]
fn a_rewritten_log_does_not_extend_the_checkpoint_that_was_seen() {
    let stage = Stage::new();
    let honest = Forge::of(&stage.world);
    let unseen = honest.trust();
    let seen = unseen.clone().with_newest(honest.files().signed_checkpoint()).unwrap();
    assert_eq!(found(&run(&honest.files(), Some(&seen))), []);
    for Rewriting { what, rewrite, alone } in REWRITINGS {
        let mut forge = honest.clone();
        rewrite(&stage, &mut forge);
        let files = forge.files();
        let mut expected: Vec<_> =
            alone.iter().map(|(at, code)| (Spot::Entry(*at), *code)).collect();
        assert_eq!(found(&run(&files, Some(&unseen))), expected, "{what}");
        // What only adds at the end extends the checkpoint.
        if !what.contains("today") {
            expected.push((Spot::File(LogFile::Checkpoint), Code::TrustCheckpoint));
        }
        assert_eq!(found(&run(&files, Some(&seen))), expected, "{what}");
    }
}

/// Entries as they were, without their chain made anew: each one betrays it.
#[test]
fn entries_exchanged_as_they_are_are_found_by_their_chain() {
    let mut entries = Forge::of(&Stage::new().world).entries();
    entries.swap(13, 14);
    let report = run(&Files::of(&entries, "operator"), None);
    let expected = [
        (Spot::Entry(13), Code::ChainIndex),
        (Spot::Entry(14), Code::ChainIndex),
        (Spot::Entry(15), Code::ChainPrevious),
    ];
    assert_eq!(found(&report)[..3], expected);
}

/// A lie in the trust root.
type RootLie = fn(&mut Forge);

#[test]
fn a_trust_root_that_fails_ends_the_replay() {
    let stage = Stage::new();
    let cases: [(RootLie, Code); 5] = [
        (
            |forge| {
                forge.items.remove(0);
            },
            Code::GenesisPlace,
        ),
        (
            |forge| {
                forge.items[0].event.signatures[0][0] ^= 1;
            },
            Code::SignatureInvalid,
        ),
        (
            |forge| {
                forge.items[0].edit = Some(|header| header.index = 1);
            },
            Code::ChainIndex,
        ),
        (
            |forge| {
                forge.items[0].edit = Some(|header| edit_links(header, Vec::clear));
            },
            Code::LinksMismatch,
        ),
        (
            |forge| {
                let event = forge.items[0].event.clone().open(&NO_LEAF).unwrap();
                let mut draft = Draft::new(event.statement.unwrap(), event.head.signed_at, [0; 16]);
                draft.signers = event.head.signers.to_vec();
                draft.signers.retain(|signer| signer.key != key("registrar-2"));
                forge.items[0].event = sign(&draft, &NO_LEAF);
            },
            Code::RegistrarsTooFew,
        ),
    ];
    for (lie, code) in cases {
        let mut forge = Forge::of(&stage.world);
        let trust = forge.trust();
        lie(&mut forge);
        let report = run(&forge.files(), Some(&trust));
        let expected = [(Spot::Entry(0), code), (Spot::Entry(0), Code::TrustGenesis)];
        assert_eq!(found(&report), expected);
        assert_eq!(report.entries, 1);
        assert!(report.state.is_none());
    }
}
