//! Steps 2 to 4 of the audit: entries, chain, genesis, events.

use giftproof::model::draft::Draft;
use giftproof::model::encoding::List;
use giftproof::model::entry::{Entry, Header, NO_LEAF};
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::ident::KeyBytes;
use giftproof::model::subject::Subject;

use super::{small_donation, two};
use crate::util::*;
use crate::vectors::case::{At, Case};
use crate::vectors::crafted;
use crate::vectors::scribe::{ORIGIN, Scribe, checkpoint, first_rules, root};
use crate::vectors::statements::*;

/// Steps 2 and 3 of the audit.
pub fn entries() -> Vec<Case> {
    let mut cases = Vec::new();
    let not_an_entry = |change: fn(&mut Vec<u8>)| {
        let mut log = two();
        let signed = log.sign(&small_donation(&log));
        let mut spare = two();
        spare.spoil(signed, |_| {});
        let mut bytes = spare.entries.pop().unwrap();
        change(&mut bytes);
        log.no_entry(bytes);
        log.accept(small_donation(&log));
        log
    };
    let log = not_an_entry(|bytes| bytes.push(0));
    cases.push(
        Case::entry("entry-trailing", "entry/malformed", 3, &log)
            .detail("encoding/trailing")
            .about("6.1", "One byte after the last signature; the next entry holds."),
    );
    let log = not_an_entry(|bytes| {
        bytes.pop();
    });
    cases.push(
        Case::entry("entry-truncated", "entry/malformed", 3, &log)
            .detail("encoding/truncated")
            .about("6.1", "The last signature has 63 bytes."),
    );
    let log = not_an_entry(|bytes| bytes.clear());
    cases.push(
        Case::entry("entry-empty", "entry/malformed", 3, &log)
            .detail("encoding/truncated")
            .about("6.1", "An entry of no bytes."),
    );
    let log = not_an_entry(|bytes| bytes[48..50].copy_from_slice(&[0xff, 0xff]));
    cases.push(
        Case::entry("entry-hostile-count", "entry/malformed", 3, &log)
            .detail("list/too-long")
            .about("6.2", "An entry says that it has 65,535 links."),
    );
    let spoilt = |change: fn(&mut Header)| {
        let mut log = two();
        let signed = log.sign(&small_donation(&log));
        log.spoil(signed, change);
        log.accept(small_donation(&log));
        log
    };
    let log = spoilt(|header| header.index = 4);
    cases.push(
        Case::entry("chain-index", "chain/index", 3, &log)
            .about("6.1", "Entry 3 says that it is entry 4."),
    );
    let log = spoilt(|header| header.previous = NO_LEAF);
    cases.push(
        Case::entry("chain-previous", "chain/previous", 3, &log)
            .about("6.4", "Entry 3 does not name the leaf hash of entry 2."),
    );
    let log = spoilt(|header| header.recorded_at.0 -= 60_001);
    cases.push(
        Case::entry("chain-time", "chain/time", 3, &log)
            .about("6.1", "Entry 3 was recorded a millisecond before entry 0."),
    );
    let mut log = two();
    let dropped = log.entries.len();
    log.accept(small_donation(&log));
    log.accept(small_donation(&log));
    log.accept(small_donation(&log));
    let mut shorter = log.entries.clone();
    shorter.remove(dropped);
    let root = root(&shorter);
    cases.push(
        Case::entry("entry-dropped", "chain/index", 3, &log)
            .entries(shorter)
            .checkpoint(checkpoint(ORIGIN, 5, root, "operator"))
            .also("chain/index", At::Entry(4))
            .about("6.4", "Entry 3 was dropped, and the tree built and signed again."),
    );
    cases
}

pub fn genesis() -> Vec<Case> {
    let mut again = two();
    let statement = LedgerCreated {
        origin: text(ORIGIN),
        operator: identity("operator"),
        registrars: List::new(REGISTRARS.map(identity).to_vec()).unwrap(),
        threshold: 2,
        rules: first_rules(),
    };
    let all = ["registrar-1", "registrar-2", "registrar-3"].map(|name| (Capacity::Registrar, name));
    let draft = again.draft(statement.clone(), &all);
    let draft = draft.signer(Capacity::Operator, Some(&handle("operator")), key("operator"));
    assert_eq!(again.force(draft), "genesis/place");
    let second = Case::last("genesis-twice", "genesis/place", &again)
        .about("5.1", "A second ledger-created event.");

    let mut empty = Scribe::bare();
    empty.entries.clear();
    let nothing = Case::wrong_file("genesis-missing", "genesis/place", "checkpoint", &empty)
        .about("11.2", "A log without entries.");

    let begun = |name, code, statement: LedgerCreated, who: &[(Capacity, &str)]| {
        let mut log = Scribe::bare();
        let draft = log.draft(statement, who);
        log.begin_with(&draft);
        Case::entry(name, code, 0, &log)
    };
    let operator = (Capacity::Operator, "operator");
    let office = |names: &[&'static str]| -> Vec<(Capacity, &'static str)> {
        let registrars = names.iter().map(|name| (Capacity::Registrar, *name));
        registrars.chain([operator]).collect()
    };
    let two_of_three = office(&REGISTRARS[..2]);
    let too_few =
        begun("genesis-registrars", "registrars/too-few", statement.clone(), &two_of_three)
            .about("7.3", "Entry 0 lacks the signature of one registrar.");
    let none = office(&REGISTRARS)[..3].to_vec();
    let no_operator = begun("genesis-operator", "signer/missing", statement.clone(), &none)
        .about("7.3", "Entry 0 lacks the signature of the operator.");
    let mut weak = statement.clone();
    let mut registrars = weak.registrars.to_vec();
    registrars[2].key = KeyBytes::from_bytes(crafted::key_with_torsion(&secret("registrar-3")));
    weak.registrars = List::new(registrars).unwrap();
    let torsion = begun("genesis-key-torsion", "key/invalid", weak, &two_of_three)
        .about("3.3", "A registrar's key has a torsion part.");

    let mut other = Scribe::bare();
    let draft = other.draft(RulesChanged { rules: first_rules() }, &TWO);
    other.begin_with(&draft);
    let other = Case::entry("genesis-other-kind", "genesis/place", 0, &other)
        .about("5.1", "Entry 0 is a rules-changed event.");
    vec![second, nothing, too_few, no_operator, torsion, other]
}

/// Step 4.
pub fn events() -> Vec<Case> {
    let mut cases = Vec::new();
    let subject = |gift: &EventHash| Subject::Gift(*gift).hash();
    let mut unreadable = |name, detail, what, change: fn(&mut Vec<u8>)| {
        let mut log = two();
        let gift = pooled(&mut log, 10, &[]);
        let sent = portions(&[(gift, 1, None, 5)]);
        let sent = dispatch(shipment("red-cross", "S-1"), "hospital-a", Purpose::Issue, sent);
        let mut body = log.draft(sent, &HOLDER).frame().unwrap().body;
        change(&mut body);
        let signed = log.sign_bytes(Kind::Dispatch as u16, 1, body, &["red-cross"]);
        log.unreadable(signed, &[subject(&gift)]);
        let case = Case::entry(name, "event/malformed", 4, &log).detail(detail);
        let case = case.gift(gift, "ledger-fails", &[("red-cross good", 10)]);
        cases.push(case.about("2", what));
    };
    unreadable("event-trailing", "encoding/trailing", "One byte after the statement.", |body| {
        body.push(0);
    });
    unreadable("event-truncated", "encoding/truncated", "The statement ends too early.", |body| {
        body.pop();
    });
    unreadable("event-option", "encoding/option", "An optional day begins with 02.", |body| {
        body[0] = 2;
    });
    unreadable("event-text-invisible", "text/invisible", "S-1 with a zero-width space.", |body| {
        replace(body, b"S-1", "\u{200b}".as_bytes());
    });
    unreadable("event-text-utf-8", "text/utf-8", "S-1 with bytes that are no UTF-8.", |body| {
        replace(body, b"S-1", b"S\xff1");
    });
    unreadable("event-handle", "handle/malformed", "A taker in capitals.", |body| {
        replace(body, b"hospital-a", b"HOSPITAL-A");
    });
    unreadable("event-quantity-zero", "quantity/zero", "A portion of nothing.", |body| {
        let len = body.len();
        body[len - 8..].fill(0);
    });
    unreadable("event-quantity-large", "quantity/too-large", "More than 10^15.", |body| {
        let len = body.len();
        body[len - 8..].copy_from_slice(&1_000_000_000_000_001u64.to_be_bytes());
    });
    unreadable("event-no-signer", "signer/none", "A list of no signers.", |body| {
        // Head: 1 + 8 + 16 + 1 + 2 + 1 bytes stand before the signers, who are one.
        body[29..31].fill(0);
        body.drain(31..31 + 1 + 11 + 32 + 1);
    });
    let mut log = two();
    let mut signed = log.sign(&small_donation(&log));
    signed.signatures.push([0; 64]);
    log.unreadable(signed, &[]);
    cases.push(
        Case::last("event-signature-added", "event/malformed", &log)
            .detail("signature/count")
            .about("6.1", "Two signatures under an event of one signer."),
    );
    let mut log = two();
    let mut signed = log.sign(&small_donation(&log));
    signed.signatures.clear();
    log.unreadable(signed, &[]);
    cases.push(
        Case::last("event-signature-stripped", "event/malformed", &log)
            .detail("signature/count")
            .about("6.1", "The signature was taken off."),
    );
    let mut log = two();
    let signed = log.sign(&small_donation(&log));
    let gift = log.record(signed.clone()).unwrap();
    let code = log.record(signed).unwrap_err().code;
    assert_eq!(code.as_str(), "event/duplicate");
    cases.push(
        Case::last("event-duplicate", "event/duplicate", &log)
            .gift(gift, "ledger-fails", &[("red-cross good", 10)])
            .about("4.4", "The same event a second time."),
    );
    cases
}

fn replace(body: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = body.windows(from.len()).position(|window| window == from).unwrap();
    body[at..at + to.len()].copy_from_slice(to);
}

impl Scribe {
    /// A log of one entry, whatever it says.
    fn begin_with(&mut self, draft: &Draft) {
        let event = self.sign_for(&NO_LEAF, draft);
        let links = self.world.log.entries[0].header.links.clone();
        let recorded_at = self.world.now;
        let header = Header { index: 0, previous: NO_LEAF, recorded_at, links };
        let entry = Entry { header, event };
        self.world.state.genesis = entry.leaf();
        self.entries = vec![entry.to_bytes()];
    }
}
