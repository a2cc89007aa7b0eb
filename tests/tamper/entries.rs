//! Lies that single entries tell.

use std::collections::BTreeSet;

use giftproof::model::encoding::List;
use giftproof::model::entry::{Link, NO_LEAF, Place};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, LeafHash, SubjectHash};
use giftproof::model::ident::KeyBytes;
use giftproof::model::state::Gift;
use giftproof::model::subject::Subject;
use giftproof::model::violation::Code;
use giftproof::verify::Spot;

use super::{NOBODYS, Stage, dispute, enrolment, forged_receipt, found, need, signed_by_donor};
use crate::audit::run;
use crate::forge::*;
use crate::util::*;

/// A lie: the entry added last is the one that must fail.
pub type Lie = fn(&Stage, &mut Forge) -> usize;

/// Every lie that an entry can tell, with the code under which it is found.
pub const LIES: &[(Code, &str, Lie)] = &[
    (Code::EntryMalformed, "an entry without its last byte", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].mangle = Some(|bytes| bytes.truncate(bytes.len() - 1));
        at
    }),
    (Code::ChainIndex, "an entry that skips an index", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| header.index += 1);
        at
    }),
    (Code::ChainPrevious, "an entry that follows another one", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| header.previous = NO_LEAF);
        at
    }),
    (Code::ChainTime, "recorded_at goes back", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].recorded_at.0 -= 1;
        at
    }),
    (Code::GenesisPlace, "a second trust root", |stage, forge| {
        let event = &stage.world.log.entries[0].event;
        let (_, statement) = event.frame.open().unwrap();
        let who = REGISTRARS.map(|name| (Capacity::Registrar, name));
        let who = [&[(Capacity::Operator, "operator")], &who[..]].concat();
        forge.push(&stage.draft(statement.unwrap(), &who))
    }),
    (Code::EventMalformed, "a byte more than an event has", |stage, forge| {
        let mut event = sign(&stage.send("S-2", "warehouse", 1), &forge.genesis());
        event.frame.body.push(0);
        forge.push_event(event)
    }),
    (Code::EventMalformed, "a signature stripped", |_, forge| {
        let mut event = forge.items[15].event.clone();
        assert_eq!(event.signatures.len(), 2);
        event.signatures.pop();
        forge.push_event(event)
    }),
    (Code::EventDuplicate, "an event recorded twice", |_, forge| {
        forge.push_event(forge.items[13].event.clone())
    }),
    (Code::SignatureInvalid, "a signature with another bit", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].event.signatures[0][33] ^= 4;
        at
    }),
    (Code::SignatureInvalid, "a quantity changed after it was signed", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        let other = stage.send("S-2", "warehouse", 500).frame().unwrap();
        forge.items[at].event.frame = other;
        at
    }),
    (Code::SignatureInvalid, "an event of another ledger", |stage, forge| {
        let elsewhere = LeafHash::from_bytes([1; 32]);
        forge.push_event(sign(&stage.send("S-2", "warehouse", 1), &elsewhere))
    }),
    (Code::SignatureInvalid, "the signatures of two signers exchanged", |stage, forge| {
        let mut event = sign(&signed_by_donor(&stage.world), &forge.genesis());
        event.signatures.swap(0, 1);
        forge.push_event(event)
    }),
    (
        Code::SignatureInvalid,
        "a key that is none, under which anything is signed",
        |stage, forge| {
            // The identity: R = identity, S = 0 holds for every message.
            let mut identity = [0; 32];
            identity[0] = 1;
            let identity = KeyBytes::from_bytes(identity);
            let draft =
                stage.draft(enrolment("van-1", identity), &[(Capacity::Operator, "operator")]);
            let draft = draft.signer(Capacity::NewKey, Some(&handle("van-1")), identity);
            let mut event = sign(&draft, &forge.genesis());
            event.signatures[1][0] = 1;
            forge.push_event(event)
        },
    ),
    (Code::LinksMismatch, "a wrong number", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| edit_links(header, |links| links[0].number += 1));
        at
    }),
    (Code::LinksMismatch, "a wrong place", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| {
            edit_links(header, |links| {
                let link = links.iter_mut().find(|link| link.previous.is_some()).unwrap();
                link.previous.as_mut().unwrap().index -= 1;
            });
        });
        at
    }),
    (Code::LinksMismatch, "a wrong leaf hash", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| {
            edit_links(header, |links| {
                let place = Place { index: 13, leaf: LeafHash::from_bytes([3; 32]) };
                links.iter_mut().for_each(|link| link.previous = link.previous.map(|_| place));
            });
        });
        at
    }),
    (Code::LinksMismatch, "a missing link", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit =
            Some(|header| edit_links(header, |links| links.truncate(links.len() - 1)));
        at
    }),
    (Code::LinksMismatch, "a link too many", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| {
            edit_links(header, |links| {
                let subject = SubjectHash::from_bytes([255; 32]);
                links.push(Link { subject, number: 1, previous: None });
            });
        });
        at
    }),
    (Code::LinksMismatch, "a gift begins anew", |stage, forge| {
        let at = forge.push(&stage.send("S-2", "warehouse", 1));
        forge.items[at].edit = Some(|header| {
            edit_links(header, |links| {
                links.iter_mut().for_each(|link| (link.number, link.previous) = (1, None));
            });
        });
        at
    }),
    (Code::AnchorMismatch, "an anchor in another log", |stage, forge| {
        let mut draft = stage.send("S-2", "warehouse", 1);
        draft.anchor = Some(Anchor { index: 3, leaf: LeafHash::from_bytes([3; 32]) });
        forge.push(&draft)
    }),
    (Code::AnchorMismatch, "an anchor in the future", |stage, forge| {
        let mut draft = stage.send("S-2", "warehouse", 1);
        let size = forge.items.len() as u64;
        draft.anchor = Some(Anchor { index: size, leaf: LeafHash::from_bytes([3; 32]) });
        forge.push(&draft)
    }),
    (Code::PartyUnknown, "a gift to somebody unknown", |stage, forge| {
        let donation = recorded("nobody", vec![line(1, "N95口罩", 5, "个", &[])]);
        forge.push(&stage.draft(donation, &[(Capacity::Taker, "nobody")]))
    }),
    (Code::PartyExists, "a second party of one name", |stage, forge| {
        let statement = enrolment("hospital-a", key("another hospital-a"));
        let draft = stage.draft(statement, &[(Capacity::Operator, "operator")]);
        let new = key("another hospital-a");
        forge.push(&draft.signer(Capacity::NewKey, Some(&handle("hospital-a")), new))
    }),
    (Code::PartyRole, "a warehouse as final recipient", |stage, forge| {
        let lines = vec![line(1, "N95口罩", 5, "个", &[("warehouse", 5)])];
        forge.push(&stage.draft(recorded("red-cross", lines), &[(Capacity::Taker, "red-cross")]))
    }),
    (Code::KeyInvalid, "a party enrolled with a key that is none", |stage, forge| {
        let statement = enrolment("van-1", KeyBytes::from_bytes([0; 32]));
        forge.push(&stage.draft(statement, &[(Capacity::Operator, "operator")]))
    }),
    (Code::KeyTaken, "a party enrolled with somebody's key", |stage, forge| {
        let statement = enrolment("van-1", key("hospital-a"));
        let draft = stage.draft(statement, &[(Capacity::Operator, "operator")]);
        forge.push(&draft.signer(Capacity::NewKey, Some(&handle("van-1")), key("hospital-a")))
    }),
    (Code::KeyNotOfParty, "a receipt under an unvouched key", |stage, forge| {
        forge.push(&forged_receipt(stage, key("a clerk's key")))
    }),
    (Code::KeyNotOfParty, "a receipt under the key of another party", |stage, forge| {
        forge.push(&forged_receipt(stage, key("carrier")))
    }),
    (Code::KeyEnded, "a need under a key that was rotated", |stage, forge| {
        forge.push(&need(stage, "hospital-b"))
    }),
    (Code::SignerMissing, "a gift that its taker did not sign", |stage, forge| {
        let donation = recorded("red-cross", vec![line(1, "N95口罩", 5, "个", &[])]);
        forge.push(&stage.draft(donation, &[(Capacity::Holder, "red-cross")]))
    }),
    (
        Code::SignerMissing,
        "a donor's signature stripped, and the signer with it",
        |stage, forge| {
            let mut draft = signed_by_donor(&stage.world);
            draft.signers.retain(|signer| signer.capacity != Capacity::Donor);
            let Statement::Donation(donation) = &mut draft.statement else { panic!("a donation") };
            donation.donor.key = Some(key("another donor's own key"));
            forge.push(&draft)
        },
    ),
    (Code::SignerMissing, "goods taken by hand without their holder", |stage, forge| {
        let arrived =
            vec![arrival(goods(stage.designated, 1, Some("hospital-a")), [50, 0, 0, 0, 0])];
        let mut statement = receipt(shipment("red-cross", "S-9"), false, arrived);
        statement.shipment = None;
        (statement.giver, statement.purpose) = (Some(handle("red-cross")), Some(Purpose::Issue));
        forge.push(&stage.draft(statement, &[(Capacity::Taker, "hospital-a")]))
    }),
    (Code::SignerExtra, "a signer who has nothing to say", |stage, forge| {
        let donation = recorded("red-cross", vec![line(1, "N95口罩", 5, "个", &[])]);
        let who = [(Capacity::Taker, "red-cross"), (Capacity::Holder, "warehouse")];
        forge.push(&stage.draft(donation, &who))
    }),
    (Code::SignerWrong, "a hospital sends the red cross's goods to itself", |stage, forge| {
        let sent = portions(&[(stage.designated, 1, Some("hospital-a"), 50)]);
        let id = shipment("red-cross", "S-9");
        let statement = dispatch(id, "hospital-a", Purpose::Issue, sent);
        forge.push(&stage.draft(statement, &[(Capacity::Holder, "hospital-a")]))
    }),
    (Code::RegistrarsTooFew, "one registrar changes the rules", |stage, forge| {
        let statement = RulesChanged { rules: rules() };
        forge.push(&stage.draft(statement, &[(Capacity::Registrar, "registrar-1")]))
    }),
    (Code::SameParty, "a hospital receives from itself", |stage, forge| {
        let arrived = vec![arrival(goods(stage.received, 1, Some("hospital-a")), [1, 0, 0, 0, 0])];
        let mut statement = receipt(shipment("red-cross", "S-9"), false, arrived);
        statement.shipment = None;
        (statement.giver, statement.purpose) = (Some(handle("hospital-a")), Some(Purpose::Issue));
        forge.push(&stage.draft(statement, &[(Capacity::Taker, "hospital-a")]))
    }),
    (Code::GiftUnknown, "goods of a gift that is nobody's", |stage, forge| {
        forge.push(&stage.use_of(goods(NOBODYS, 1, None), 1))
    }),
    (Code::LineUnknown, "goods of a line that the gift does not have", |stage, forge| {
        forge.push(&stage.use_of(goods(stage.received, 7, Some("hospital-a")), 1))
    }),
    (Code::UnitUnknown, "pieces of what was never packed", |stage, forge| {
        let mut goods = goods(stage.received, 1, Some("hospital-a"));
        goods.unit = UnitChoice::Inner;
        forge.push(&stage.use_of(goods, 1))
    }),
    (Code::ShipmentUnknown, "a delivery of what was never sent", |stage, forge| {
        let statement = Delivery {
            shipment: shipment("red-cross", "S-9"),
            place: text(""),
            waybill: text(""),
            time: text(""),
        };
        forge.push(&stage.draft(statement, &[(Capacity::Holder, "red-cross")]))
    }),
    (Code::ShipmentMismatch, "one shipment to two takers", |stage, forge| {
        forge.push(&stage.send("S-1", "warehouse", 1))
    }),
    (Code::BalanceExceeded, "a quantity inflated: more is sent than is there", |stage, forge| {
        forge.push(&stage.send("S-2", "warehouse", 501))
    }),
    (Code::BalanceExceeded, "a hospital drains a gift that was not sent to it", |stage, forge| {
        forge.push(&stage.use_of(goods(stage.designated, 1, Some("hospital-a")), 50))
    }),
    (Code::BalanceOverflow, "a surplus beyond all bounds", |stage, forge| {
        forge.push(&stage.count(|finding| finding.surplus = QUANTITY_MAX))
    }),
    (Code::NotAnnounced, "delivered goods withdrawn", |stage, forge| {
        let statement = Withdrawal { portions: portions(&[(stage.pooled, 1, None, 1)]) };
        forge.push(&stage.draft(statement, &[(Capacity::Taker, "red-cross")]))
    }),
    (Code::ConsentMissing, "another recipient, without a word on consent", |stage, forge| {
        let of = goods(stage.designated, 1, Some("hospital-a"));
        let statement = stage.designation(of, "hospital-b", Consent::NotNeeded);
        forge.push(&stage.draft(statement, &[(Capacity::Holder, "red-cross")]))
    }),
    (Code::OrderMismatch, "an order that nobody gave", |stage, forge| {
        let of = goods(stage.pooled, 1, None);
        let mut statement = stage.designation(of, "hospital-b", Consent::NotNeeded);
        statement.order = Some(NOBODYS);
        forge.push(&stage.draft(statement, &[(Capacity::Holder, "red-cross")]))
    }),
    (Code::TakeOver, "a recorded gift taken over", |stage, forge| {
        let kind = DonorKind::OneTimeKey;
        let own = Some(key("a late donor's key"));
        let donor = Donor { kind, party: None, key: own, name: text("") };
        let draft = stage.draft(GiftTakenOver { gift: stage.pooled, donor }, &[]);
        forge.push(&draft.signer(Capacity::NewKey, None, key("a late donor's key")))
    }),
    (Code::CountPacks, "packs opened where there are only pieces", |stage, forge| {
        forge.push(&stage.count(|finding| (finding.opened, finding.loose) = (1, 1000)))
    }),
    (Code::DisputeUnknown, "an answer to no dispute", |stage, forge| {
        let statement = Answer { gift: stage.received, dispute: NOBODYS, text: text("") };
        forge.push(&stage.draft(statement, &[(Capacity::Speaker, "red-cross")]))
    }),
    (Code::DisputeOpen, "a second dispute by a gift's own key", |stage, forge| {
        forge.push(&dispute(&stage.world, stage.disputed))
    }),
    (Code::CorrectionTarget, "a correction of another entry", |stage, forge| {
        let mut draft = stage.corrected(|_| {});
        let Statement::Correction(correction) = &mut draft.statement else { panic!() };
        correction.target_index += 1;
        forge.push(&draft)
    }),
    (Code::CorrectionFixed, "a correction that changes the donor", |stage, forge| {
        forge.push(&stage.corrected(|donation| donation.donor.name = text("somebody else")))
    }),
    (Code::CorrectionRests, "a donation lowered below what was sent of it", |stage, forge| {
        forge.push(&stage.corrected(|donation| {
            donation.lines =
                List::new(vec![line(1, "N95口罩", 10, "个", &[("hospital-a", 10)])]).unwrap();
        }))
    }),
    (Code::RecallUnknown, "the end of no recall", |stage, forge| {
        let statement = RecallLifted { recall: NOBODYS, item: text("N95口罩"), lot: text("") };
        forge.push(&stage.draft(statement, &[(Capacity::Speaker, "mask-maker")]))
    }),
    (Code::NeedUnknown, "the end of no need", |stage, forge| {
        let statement = NeedClosed { need: NOBODYS };
        forge.push(&stage.draft(statement, &[(Capacity::Recipient, "hospital-a")]))
    }),
    (Code::SealMismatch, "a seal with a gift too few", |stage, forge| {
        let mut seal = stage.seal();
        seal.gifts.rows -= 1;
        forge.push(&stage.draft(seal, &[(Capacity::Operator, "operator")]))
    }),
    (Code::SealNothingNew, "a seal after a seal", |stage, forge| {
        let mut seal = stage.seal();
        forge.push(&stage.draft(seal.clone(), &[(Capacity::Operator, "operator")]));
        seal.size += 1;
        forge.push(&stage.draft(seal, &[(Capacity::Operator, "operator")]))
    }),
    (Code::SealMissed, "no seal where the rules want one", |stage, forge| {
        let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
        let sealing = Rules { seal_entries: 1, ..rules() };
        forge.push(&stage.draft(RulesChanged { rules: sealing }, &two));
        forge.push(&stage.draft(RulesChanged { rules: rules() }, &two))
    }),
];

#[test]
fn each_lie_is_found_at_its_entry_and_changes_nothing() {
    let stage = Stage::new();
    for (code, lie, tell) in LIES {
        let mut forge = Forge::of(&stage.world);
        let trust = forge.trust();
        let at = tell(&stage, &mut forge);
        assert_eq!(at + 1, forge.items.len(), "{lie}");
        forge.push(&need(&stage, "hospital-a"));
        let report = run(&forge.files(), Some(&trust));
        assert_eq!(found(&report), [(Spot::Entry(at as u64), *code)], "{lie}");
        assert_eq!(report.outcome().exit_code(), 1);

        let mut state = report.state.unwrap();
        let failed = state.gifts.iter().filter_map(|gift| gift.failed.clone());
        for (index, by) in failed {
            assert_eq!((index, by.as_str()), (at as u64, code.as_str()), "{lie}");
        }
        assert_eq!(state.needs.len(), 1, "the audit goes on after {lie}");
        let gifts: Vec<EventHash> = state.gifts.iter().map(|gift| gift.id).collect();
        for gift in &gifts {
            state.gifts.change(gift, |gift| gift.failed = None);
        }
        assert_eq!(state.gifts, stage.world.state.gifts, "{lie}");
        assert_eq!(state.parties, stage.world.state.parties, "{lie}");
        assert_eq!(state.shipments, stage.world.state.shipments, "{lie}");
    }
}

#[test]
fn a_failed_entry_marks_every_gift_that_it_touches() {
    let stage = Stage::new();
    let marked = |forge: &Forge| -> BTreeSet<EventHash> {
        let state = run(&forge.files(), None).state.unwrap();
        state.gifts.iter().filter(|gift| gift.failed.is_some()).map(|gift| gift.id).collect()
    };
    let mut forge = Forge::of(&stage.world);
    let of = [(stage.pooled, 1, None, 1), (stage.designated, 1, Some("hospital-a"), 51)];
    let id = shipment("red-cross", "S-2");
    let statement = dispatch(id, "hospital-a", Purpose::Issue, portions(&of));
    let draft = stage.draft(statement, &[(Capacity::Holder, "red-cross")]);
    let at = forge.push(&draft);
    let both = BTreeSet::from([stage.pooled, stage.designated]);
    assert_eq!(marked(&forge), both);

    // If the event cannot be read, the links tell.
    forge.items[at].event.frame.body.push(0);
    forge.items[at].touches = both.iter().map(|id| Subject::Gift(*id).hash()).collect();
    assert_eq!(marked(&forge), both);
    // Nothing tells if the entry cannot be read.
    forge.items[at].mangle = Some(|bytes| bytes.truncate(10));
    assert_eq!(marked(&forge), BTreeSet::new());
}

/// A gift is a subject by its id alone: whoever names another hash with the same id touches it.
#[test]
fn gifts_that_share_an_id_are_one_subject() {
    let stage = Stage::new();
    let mut twin = *stage.pooled.as_bytes();
    twin[31] ^= 1;
    let twin = EventHash::from_bytes(twin);
    for named in [vec![twin], vec![stage.pooled, twin]] {
        let portions: Vec<_> = named.iter().map(|gift| (*gift, 1, None, 1)).collect();
        let id = shipment("red-cross", "S-2");
        let statement =
            dispatch(id, "hospital-a", Purpose::Issue, crate::util::portions(&portions));
        let mut forge = Forge::of(&stage.world);
        let at = forge.push(&stage.draft(statement, &[(Capacity::Holder, "red-cross")])) as u64;
        forge.push(&stage.send("S-3", "warehouse", 1));
        let report = run(&forge.files(), None);
        assert_eq!(found(&report), [(Spot::Entry(at), Code::GiftUnknown)]);
        let state = report.state.unwrap();
        let failed = state.gifts.iter().filter(|gift| gift.failed.is_some());
        assert_eq!(failed.map(|gift| gift.id).collect::<Vec<_>>(), [stage.pooled]);
    }
}

/// A dispatch of as many gifts as it can name touches one subject more than an entry can link.
#[test]
fn an_event_of_too_many_subjects_cannot_be_linked() {
    let world = World::new();
    let gifts: Vec<_> = (0..=255u8)
        .flat_map(|first| [0, 1].map(|second| [&[first, second], [first; 30].as_slice()].concat()))
        .map(|hash| EventHash::from_bytes(hash.try_into().unwrap()))
        .take(SUBJECTS_MAX)
        .map(|gift| (gift, 1, None, 1))
        .collect();
    let statement =
        dispatch(shipment("red-cross", "S-1"), "hospital-a", Purpose::Issue, portions(&gifts));
    let draft = world.draft(statement, &[(Capacity::Holder, "red-cross")]);
    let mut forge = Forge::of(&world);
    let event = sign(&draft, &forge.genesis());
    let subjects = event.clone().open(&forge.genesis()).unwrap().subjects(None);
    assert_eq!(subjects.len(), SUBJECTS_MAX + 1);
    assert_eq!(world.state.links(&subjects).unwrap_err().code, Code::LinksMismatch);
    // As many are linked as fit.
    let at = forge.push_event(event) as u64;
    let report = run(&forge.files(), None);
    assert_eq!(found(&report), [(Spot::Entry(at), Code::LinksMismatch)]);
}

/// An account is bounded, but goods can be found, sent on, and found again.
#[test]
fn a_surplus_without_end_does_not_begin_anew() {
    let mut stage = Stage::new();
    let draft = stage.count(|finding| finding.surplus = 7);
    stage.world.cold = None;
    let full = |gift: &mut Gift| gift.surplus = u64::MAX - 5;
    stage.world.state.gifts.change(&stage.pooled, full).unwrap();
    assert_eq!(stage.world.refuse(draft), "balance/overflow");
}
