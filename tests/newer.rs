//! What a newer giftproof made is refused as such, by every reader: it is neither damaged nor
//! unknown. The files are crafted: today's, but for the number of the version.

use std::fs;

use giftproof::ledger::Ledger;
use giftproof::mirror::{Followed, Mirror};
use giftproof::model::audited::AuditStatement;
use giftproof::model::event::*;
use giftproof::model::fraud::Fraud;
use giftproof::model::hash::Digest32;
use giftproof::model::lodged::Lodged;
use giftproof::model::proof_file::ProofFile;
use giftproof::model::trust::TrustFile;
use giftproof::verify::{AuditState, Options, Outcome};
use giftproof::witness::WitnessFolder;

use crate::audit::{journey, run};
use crate::cli::Desk;
use crate::forge::{Files, Forge};
use crate::util::*;

/// The first version that is named becomes another.
fn version(bytes: &[u8], number: &str) -> Vec<u8> {
    let is_version = |pair: &[u8]| pair[0] == b'v' && pair[1].is_ascii_digit();
    let at = bytes.windows(2).position(is_version).unwrap();
    [&bytes[..at + 1], number.as_bytes(), &bytes[at + 2..]].concat()
}

#[test]
fn every_format_with_a_version_says_that_a_higher_one_is_newer() {
    type Parse = fn(&[u8]) -> &'static str;
    let parsers: [(&[u8], &str, Parse); 7] = [
        (b"giftproof-trust/v1\norigin x\n", "trust", |b| TrustFile::parse(b).unwrap_err().code()),
        (b"giftproof-proof/v1\n\x01", "proof-file", |b| ProofFile::parse(b).unwrap_err().code()),
        (b"giftproof-fraud/v1\n\x01", "fraud", |b| Fraud::parse(b).unwrap_err().code()),
        (b"giftproof-lodged/v1\n\x01", "lodged", |b| Lodged::parse(b).unwrap_err().code()),
        (b"giftproof audit statement v1\nx\n", "audit-statement", |b| {
            AuditStatement::parse(std::str::from_utf8(b).unwrap()).unwrap_err().code()
        }),
        (b"\xffgiftproof audit state v3\0x", "audit-state", |b| {
            AuditState::open(b, &Digest32::from_bytes([0; 32])).unwrap_err().code()
        }),
        (b"giftproof-witness/v1\nx\n", "witness", |b| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("giftproof-witness"), b).unwrap();
            WitnessFolder::vkey(folder.path()).unwrap_err().code()
        }),
    ];
    for (first, family, parse) in parsers {
        let newer = format!("{family}/newer-version");
        assert_ne!(parse(first), newer, "{family}");
        let current = if family == "audit-state" { 3 } else { 1 };
        let next = (current + 1).to_string();
        for number in [&next, "10", "18446744073709551615"] {
            assert_eq!(parse(&version(first, number)), newer, "{family} {number}");
        }
        // What could not be a version of ours is damage.
        for number in ["0", "02", "-2", "18446744073709551616"] {
            assert_ne!(parse(&version(first, number)), newer, "{family} {number}");
        }
    }
}

#[test]
fn every_command_tells_newer_files_from_damaged_ones() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    desk.run("office", "seal");
    desk.run("office", "trust my.trust");
    desk.run("office", &format!("lookup {gift} --proof gift.proof"));
    desk.run("office", "key new auditor.key --unencrypted");
    let audit = "audit ledger --trust my.trust --save-state my.state --statement my.statement \
                 --sign-key auditor.key --name auditor.example";
    let hash = desk.json("office", audit)["state_sha256"].as_str().unwrap().to_owned();
    let dispatch = format!("dispatch S-1 --to hospital-a --gift {gift}=5 --key red-cross.key");
    desk.run("charity", &format!("{dispatch} --shipment-file my.shipment"));
    desk.run(
        "charity",
        "donate --item masks --quantity 5 --unit piece --key red-cross.key --draft my.event",
    );
    for (machine, file) in [
        ("office", "my.trust"),
        ("office", "gift.proof"),
        ("office", "my.state"),
        ("office", "my.statement"),
        ("charity", "my.shipment"),
        ("charity", "my.event"),
    ] {
        let path = desk.path(machine).join(file);
        let newer = version(&fs::read(&path).unwrap(), "4");
        fs::write(path.with_file_name(format!("newer-{file}")), newer).unwrap();
    }
    let put = |name: &str, bytes: &[u8]| fs::write(desk.path("office").join(name), bytes).unwrap();
    put("newer.fraud", b"giftproof-fraud/v2\n\x01what nobody knows yet");
    put("newer.lodged", b"giftproof-lodged/v2\nwhat nobody knows yet");
    put("newer.tlog-proof", b"c2sp.org/tlog-proof@v2\nwhat nobody knows yet\n\n");
    copy_folder(&desk.ledger(), &desk.path("office").join("newer-ledger"));
    put("newer-ledger/giftproof-ledger", b"giftproof-ledger/v3\n");
    fs::create_dir_all(desk.path("office").join("newer-witness/logs")).unwrap();
    put("newer-witness/giftproof-witness", b"giftproof-witness/v2\nwhat nobody knows yet\n");
    for (machine, line, code) in [
        ("office", "audit ledger --trust newer-my.trust", "trust-file/newer-version"),
        ("office", "verify newer-gift.proof --trust my.trust", "proof-file/newer-version"),
        ("office", "compare newer-gift.proof ledger --trust my.trust", "proof-file/newer-version"),
        ("office", "verify newer-my.statement --trust my.trust", "audit-statement/newer-version"),
        ("office", "verify newer.fraud --trust my.trust", "fraud/newer-version"),
        (
            "office",
            "verify newer.tlog-proof --trust my.trust --leaf LEAF",
            "tlog-proof/newer-version",
        ),
        ("office", "audit ledger --trust my.trust --withheld newer.lodged", "lodged/newer-version"),
        (
            "office",
            "audit ledger --since newer-my.state --state-hash HASH",
            "audit-state/newer-version",
        ),
        ("office", "audit newer-ledger --trust my.trust", "store/newer-version"),
        ("office", "list gifts --ledger newer-ledger", "store/newer-version"),
        ("office", "seal --ledger newer-ledger", "store/newer-version"),
        (
            "office",
            "witness serve newer-witness --trust my.trust --listen 127.0.0.1:0",
            "witness/newer-version",
        ),
        ("charity", "event show newer-my.event", "event-file/newer-version"),
        (
            "charity",
            "shipment show --shipment-file newer-my.shipment",
            "shipment-file/newer-version",
        ),
    ] {
        let line = line.replace("HASH", &hash).replace("LEAF", &hash);
        let output = desk.command(machine, &crate::cli::words(&line)).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(&format!("[{code}]")), "{line}: not {code}, but\n{told}");
        assert!(told.contains("newer"), "{line}\n{told}");
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
    // The older files are as good as ever.
    desk.run("office", "verify gift.proof --trust my.trust");
}

#[test]
fn newer_kinds_and_versions_of_events_are_not_understood() {
    for (kind, version) in [(None, 2), (Some(64), 2), (Some(4000), 1), (None, u16::MAX)] {
        let mut world = World::new();
        journey(&mut world, 1);
        let mut forge = Forge::of(&world);
        let who = (Capacity::Recipient, "hospital-a");
        let closed = NeedClosed { need: giftproof::model::hash::EventHash::from_bytes([1; 32]) };
        let mut frame = world.draft(closed, &[who]).frame().unwrap();
        frame.version = version;
        frame.kind = kind.unwrap_or(frame.kind);
        frame.body.extend(b"what this build cannot read");
        let at = forge.push_event(sign_frame(frame, &forge.genesis()));
        let report = run(&forge.files(), Some(&forge.trust()));
        assert_eq!(report.outcome(), Outcome::NotUnderstood, "{:?}", report.failures.first());
        assert_eq!(report.not_understood.first(), [at as u64]);
    }
}

#[test]
fn a_newer_folder_is_left_alone_and_a_newer_index_built_anew() {
    let (folder, _) = crate::ledger::folder_with(5);
    let index = folder.path().join("index").join("state");
    fs::write(&index, b"giftproof-index/v99\nwhat nobody knows yet").unwrap();
    assert_eq!(Ledger::open(folder.path()).unwrap().state().size, 5);
    let marker = folder.path().join("giftproof-ledger");
    fs::write(&marker, version(&fs::read(&marker).unwrap(), "99")).unwrap();
    assert_eq!(Ledger::open(folder.path()).err().unwrap().code(), "store/newer-version");
    assert_eq!(fs::read(&marker).unwrap(), b"giftproof-ledger/v99\n");
}

#[test]
fn a_mirror_of_a_newer_version_is_audited_anew() {
    let mut world = World::new();
    (0..6).for_each(|number| _ = journey(&mut world, number));
    let entries = Forge::of(&world).entries();
    let files = |size: usize| Files::of(&entries[..size], "operator");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".giftproof-mirror/state");
    let follow = |size| {
        let mirror = Mirror::open(folder.path()).unwrap();
        mirror.follow(&files(size), None, 1_800_000_000, &Options::default()).unwrap()
    };
    follow(12);
    let ours = fs::read(&state).unwrap();
    assert!(Mirror::state_of(folder.path()).is_some());

    let newer = version(&ours, "4");
    let refused = AuditState::open(&newer, &Digest32::from_bytes([0; 32])).unwrap_err();
    assert_eq!(refused.code(), "audit-state/newer-version");
    fs::write(&state, newer).unwrap();
    assert!(Mirror::state_of(folder.path()).is_none());
    assert_eq!(follow(12), Followed { from: 12, to: 12 });
    // Something to take: the state is needed, and what it says follows from the mirror's entries.
    assert_eq!(follow(15), Followed { from: 12, to: 15 });
    let made = Mirror::state_of(folder.path()).unwrap();
    assert_eq!(made.checkpoint().checkpoint().size, 15);
    assert_eq!(fs::read(&state).unwrap()[..27], ours[..27]);
}
