//! Step 7 of the audit: gifts, shipments, balances, corrections.

use giftproof::model::encoding::List;
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;

use super::{refused, two};
use crate::util::*;
use crate::vectors::case::Case;
use crate::vectors::scribe::Scribe;
use crate::vectors::statements::*;

/// Step 7: gifts, shipments, balances, corrections.
pub fn gifts() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut refuse = |name, code: &'static str, spec, what, log: Scribe, draft| {
        cases.push(refused(name, code, spec, what, log, draft));
    };
    let to = Some("hospital-a");
    let with_gift = || {
        let mut log = two();
        let gift = pooled(&mut log, 100, &[("hospital-a", 60)]);
        (log, gift)
    };
    let send = |log: &Scribe, number: &str, gift, meant_for, quantity| {
        let sent = portions(&[(gift, 1, meant_for, quantity)]);
        let id = shipment("red-cross", number);
        log.draft(dispatch(id, "hospital-a", Purpose::Issue, sent), &HOLDER)
    };
    let receive = |log: &Scribe, gift, accepted| {
        let arrived = vec![arrival(goods(gift, 1, to), [accepted, 0, 0, 0, 0])];
        log.draft(receipt(shipment("red-cross", "S-1"), false, arrived), &HOSPITAL)
    };

    let log = two();
    let draft = send(&log, "S-1", EventHash::from_bytes([9; 32]), None, 1);
    refuse("gift-unknown", "gift/unknown", "8.3", "Goods of a gift that is not there.", log, draft);

    let (log, gift) = with_gift();
    let sent = portions(&[(gift, 2, None, 1)]);
    let sent = dispatch(shipment("red-cross", "S-1"), "hospital-a", Purpose::Issue, sent);
    let draft = log.draft(sent, &HOLDER);
    refuse("line-unknown", "line/unknown", "8.2", "Line 2 of a gift of one line.", log, draft);

    let (log, gift) = with_gift();
    let inner = Goods { unit: UnitChoice::Inner, ..goods(gift, 1, None) };
    let sent = List::new(vec![Portion::new(inner, 1)]).unwrap();
    let sent = dispatch(shipment("red-cross", "S-1"), "hospital-a", Purpose::Issue, sent);
    let draft = log.draft(sent, &HOLDER);
    refuse(
        "unit-unknown",
        "unit/unknown",
        "8.2",
        "Pieces of a pack of unknown content.",
        log,
        draft,
    );

    let (log, gift) = with_gift();
    let draft = send(&log, "S-1", gift, to, 61);
    refuse("balance-sent", "balance/exceeded", "8.1", "61 of 60 are sent.", log, draft);

    let (mut log, gift) = with_gift();
    let draft = send(&log, "S-1", gift, to, 50);
    log.accept(draft);
    let draft = receive(&log, gift, 51);
    refuse("balance-received", "balance/exceeded", "8.1", "51 of 50 are accepted.", log, draft);

    let (mut log, gift) = with_gift();
    let draft = send(&log, "S-1", gift, to, 50);
    log.accept(draft);
    let draft = receive(&log, gift, 40);
    log.accept(draft);
    let used = Use { ward: text(""), purpose: text(""), portions: portions(&[(gift, 1, to, 41)]) };
    let draft = log.draft(used, &[(Capacity::Holder, "hospital-a")]);
    refuse("balance-used", "balance/exceeded", "8.1", "41 of 40 are used.", log, draft);

    let (log, gift) = with_gift();
    let passed = Finding { passed: 1, ..nothing_found(goods(gift, 1, to)) };
    let draft = log.draft(count("", passed), &HOLDER);
    refuse(
        "balance-inspected",
        "balance/exceeded",
        "8.3",
        "Nothing awaits inspection.",
        log,
        draft,
    );

    let mut log = two();
    let gift = pooled(&mut log, QUANTITY_MAX, &[]);
    let surplus = Finding { surplus: 1, ..nothing_found(goods(gift, 1, None)) };
    let draft = log.draft(count("", surplus), &HOLDER);
    refuse("balance-overflow", "balance/overflow", "8.1", "One more than 10^15.", log, draft);

    let (log, _) = with_gift();
    let delivery = Delivery {
        shipment: shipment("red-cross", "S-9"),
        place: text(""),
        waybill: text(""),
        time: text(""),
    };
    let draft = log.draft(delivery, &HOLDER);
    refuse("shipment-unknown", "shipment/unknown", "7.3", "Delivered, never sent.", log, draft);

    let (mut log, gift) = with_gift();
    log.enrol("hospital-b", Role::Recipient, 2);
    let draft = send(&log, "S-1", gift, to, 10);
    log.accept(draft);
    let sent = portions(&[(gift, 1, to, 10)]);
    let sent = dispatch(shipment("red-cross", "S-1"), "hospital-b", Purpose::Issue, sent);
    let draft = log.draft(sent, &HOLDER);
    refuse("shipment-mismatch", "shipment/mismatch", "8.7", "S-1 to another taker.", log, draft);

    let (log, gift) = with_gift();
    let back = Withdrawal { portions: portions(&[(gift, 1, to, 1)]) };
    let draft = log.draft(back, &TAKER);
    let what = "What was delivered is taken back.";
    refuse("withdrawal", "withdrawal/not-announced", "8.3", what, log, draft);

    let (mut log, gift) = with_gift();
    log.enrol("hospital-b", Role::Recipient, 2);
    let change = vec![assign(gift, to, "hospital-b", 10)];
    let draft = log.draft(designation(change, Consent::Standing), &HOLDER);
    let what = "The donation has no standing consent.";
    refuse("designation-consent", "designation/consent", "5.17", what, log, draft);

    let (mut log, gift) = with_gift();
    log.enrol("headquarters", Role::Coordinator, 2);
    let order = Order { quantity: 20, ..hq_order() };
    let order = log.draft(order, &[(Capacity::Coordinator, "headquarters")]);
    let order = log.accept(order);
    let mut carried_out =
        designation(vec![assign(gift, None, "hospital-a", 21)], Consent::NotNeeded);
    carried_out.order = Some(order);
    let draft = log.draft(carried_out, &HOLDER);
    refuse("designation-order", "designation/order", "8.7", "21 of 20 ordered.", log, draft);

    let (log, gift) = with_gift();
    let donor = Donor {
        kind: DonorKind::OneTimeKey,
        party: None,
        key: Some(key("own-key")),
        name: text(""),
    };
    let draft = log.draft(GiftTakenOver { gift, donor }, &[]);
    let draft = draft.signer(Capacity::NewKey, None, key("own-key"));
    refuse("take-over", "gift/take-over", "7.3", "A gift that is no slip's.", log, draft);

    let (log, gift) = with_gift();
    let opened = Finding { opened: 1, loose: 5, ..nothing_found(goods(gift, 1, None)) };
    let draft = log.draft(count("个", opened), &HOLDER);
    refuse(
        "count-packs",
        "count/packs",
        "8.3",
        "Pieces are opened as if they were packs.",
        log,
        draft,
    );

    let by_hand = |log: &Scribe, gift, giver: &str, taker: &'static str| {
        let handed = Receipt {
            shipment: None,
            giver: Some(handle(giver)),
            purpose: Some(Purpose::Issue),
            closing: false,
            package_count: None,
            temperature: text(""),
            arrivals: List::new(vec![arrival(goods(gift, 1, to), [1, 0, 0, 0, 0])]).unwrap(),
        };
        log.draft(handed, &[(Capacity::Taker, taker)])
    };
    let (log, gift) = with_gift();
    let draft = by_hand(&log, gift, "hospital-a", "hospital-a");
    refuse("party-same", "party/same", "7.3", "Giver and taker are one.", log, draft);
    let (log, gift) = with_gift();
    let draft = by_hand(&log, gift, "red-cross", "hospital-a");
    refuse("drained", "signer/missing", "7.3", "A hospital takes what nobody gives.", log, draft);

    let (log, gift) = with_gift();
    let draft = log.draft(correction(2, gift, None, Kind::Use), &TAKER);
    let what = "The target is at another index, and of another kind.";
    refuse("correction-target", "correction/target", "7.3", what, log, draft);

    let (log, gift) = with_gift();
    let mut other =
        recorded("red-cross", vec![line(1, "N95口罩", 100, "个", &[("hospital-a", 60)])]);
    other.donor.name = text("somebody else");
    let draft = log.draft(correction(3, gift, Some(other.into()), Kind::Donation), &TAKER);
    refuse("correction-donor", "correction/fixed", "8.6", "Another donor.", log, draft);

    let (log, gift) = with_gift();
    let more = recorded("red-cross", vec![line(1, "N95口罩", 100, "个", &[("hospital-a", 61)])]);
    let draft = log.draft(correction(3, gift, Some(more.into()), Kind::Donation), &TAKER);
    refuse("correction-share", "correction/fixed", "8.6", "A share grows.", log, draft);

    let (mut log, gift) = with_gift();
    let draft = send(&log, "S-1", gift, to, 50);
    log.accept(draft);
    let fewer = recorded("red-cross", vec![line(1, "N95口罩", 89, "个", &[("hospital-a", 49)])]);
    let draft = log.draft(correction(3, gift, Some(fewer.into()), Kind::Donation), &TAKER);
    let what = "49 are given, of which 50 were sent.";
    refuse("correction-rests", "correction/rests", "8.6", what, log, draft);

    let (mut log, gift) = with_gift();
    let draft = send(&log, "S-1", gift, to, 50);
    let sent = log.accept(draft);
    let draft = receive(&log, gift, 50);
    log.accept(draft);
    let draft = log.draft(correction(4, sent, None, Kind::Dispatch), &HOLDER);
    let what = "A dispatch is voided after its receipt.";
    refuse("correction-received", "correction/rests", "8.6", what, log, draft);

    let (mut log, gift) = with_gift();
    let draft = send(&log, "S-1", gift, to, 61);
    assert_eq!(log.force(draft), "balance/exceeded");
    let draft = send(&log, "S-1", gift, to, 60);
    log.accept(draft);
    cases.push(
        Case::entry("goes-on", "balance/exceeded", 4, &log)
            .gift(gift, "ledger-fails", &[("moving red-cross/S-1", 60), ("red-cross good", 40)])
            .about("11.2", "After a refused dispatch the next one holds, and links to it."),
    );
    cases
}
