//! Dishonest logs: each is found, with its code, at its entry.
//!
//! Whoever lies here hashes, chains and signs everything again to fit the lie, with all keys that
//! the liar has: the operator its own, a charity, a carrier or a clerk theirs.

mod entries;
mod files;
mod rewritten;
mod since;

use std::collections::BTreeSet;

use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::ident::KeyBytes;
use giftproof::model::violation::Code;
use giftproof::verify::{Report, Spot};

use crate::audit::journey;
use crate::util::*;

const NOBODYS: EventHash = EventHash::from_bytes([9; 32]);

/// An honest log with something to lie about.
struct Stage {
    world: World,
    /// 100 masks, received by hospital A: 98 good, 2 damaged.
    received: EventHash,
    /// 500 masks at the red cross, for nobody yet.
    pooled: EventHash,
    /// 50 masks at the red cross, for hospital A.
    designated: EventHash,
    /// 10 masks at the red cross, from a donor with a key of its own, who disputes.
    disputed: EventHash,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new();
        let received = journey(&mut world, 1);
        let by_taker = [(Capacity::Taker, "red-cross")];
        let pooled = recorded("red-cross", vec![line(1, "N95口罩", 500, "个", &[])]);
        let pooled = world.accept(world.draft(pooled, &by_taker));
        let designated = vec![line(1, "N95口罩", 50, "个", &[("hospital-a", 50)])];
        let designated = world.accept(world.draft(recorded("red-cross", designated), &by_taker));
        let disputed = world.accept(signed_by_donor(&world));
        world.accept(dispute(&world, disputed));
        let rotation = KeyRotated {
            handle: handle("hospital-b"),
            old: key("hospital-b"),
            new: key("hospital-b, second key"),
        };
        let draft = world.draft(rotation, &[(Capacity::Oneself, "hospital-b")]);
        let new = key("hospital-b, second key");
        world.accept(draft.signer(Capacity::NewKey, Some(&handle("hospital-b")), new));
        Self { world, received, pooled, designated, disputed }
    }

    fn draft(&self, statement: impl Into<Statement>, who: &[(Capacity, &str)]) -> Draft {
        self.world.draft(statement, who)
    }

    /// Hospital A uses so many of these goods.
    fn use_of(&self, goods: Goods, quantity: u64) -> Draft {
        let portions = List::new(vec![Portion::new(goods, quantity)]).unwrap();
        let statement = Use { ward: text(""), purpose: text(""), portions };
        self.draft(statement, &[(Capacity::Holder, "hospital-a")])
    }

    /// What a seal must say if it is the next entry.
    fn seal(&self) -> EpochSealed {
        self.world.state.clone().seal_statement()
    }

    /// The red cross sends so many of the pooled masks.
    fn send(&self, number: &str, taker: &str, quantity: u64) -> Draft {
        let sent = portions(&[(self.pooled, 1, None, quantity)]);
        let id = shipment("red-cross", number);
        let statement = dispatch(id, taker, Purpose::Transfer, sent);
        self.draft(statement, &[(Capacity::Holder, "red-cross")])
    }

    fn designation(&self, goods: Goods, recipient: &str, consent: Consent) -> Designation {
        Designation {
            holder: handle("red-cross"),
            order: None,
            decided_by: text(""),
            decision: text(""),
            consent,
            assignments: List::new(vec![Assignment {
                goods,
                recipient: handle(recipient),
                quantity: 1,
            }])
            .unwrap(),
        }
    }

    fn count(&self, change: impl FnOnce(&mut Finding)) -> Draft {
        let mut finding = Finding {
            goods: goods(self.pooled, 1, None),
            opened: 0,
            loose: 0,
            passed: 0,
            failed: 0,
            shortage: 0,
            surplus: 0,
            found: 0,
        };
        change(&mut finding);
        let findings = List::new(vec![finding]).unwrap();
        let statement = Count { loose_unit: text("个"), findings };
        self.draft(statement, &[(Capacity::Holder, "red-cross")])
    }

    /// A correction of the received gift's donation.
    fn corrected(&self, change: impl FnOnce(&mut Donation)) -> Draft {
        let target_index = self.world.index_of(&self.received).unwrap();
        let mut donation =
            Donation::clone(&self.world.state.gifts.get(&self.received).unwrap().donation);
        change(&mut donation);
        let statement = Correction {
            target_index,
            target: self.received,
            target_kind: Kind::Donation as u16,
            replacement: Blob::new(Statement::from(donation).to_bytes()).unwrap(),
        };
        self.draft(statement, &[(Capacity::Taker, "red-cross")])
    }
}

fn signed_by_donor(world: &World) -> Draft {
    let lines = vec![line(1, "N95口罩", 10, "个", &[("hospital-a", 10)])];
    let mut donation = recorded("red-cross", lines);
    donation.donor = Donor {
        kind: DonorKind::OneTimeKey,
        party: None,
        key: Some(key("a donor's own key")),
        name: text(""),
    };
    let draft = world.draft(donation, &[(Capacity::Taker, "red-cross")]);
    draft.signer(Capacity::Donor, None, key("a donor's own key"))
}

fn dispute(world: &World, gift: EventHash) -> Draft {
    let statement = Dispute { gift, claim: Claim::NotReceived, text: text("") };
    world.draft(statement, &[]).signer(Capacity::Donor, None, key("a donor's own key"))
}

fn enrolment(name: &str, key: KeyBytes) -> PartyEnrolled {
    PartyEnrolled {
        handle: handle(name),
        kind: PartyKind::Organisation,
        roles: List::new(vec![Role::Carrier]).unwrap(),
        particulars: Particulars { name: text(name), identifier: text(""), place: text("") },
        key,
    }
}

fn forged_receipt(stage: &Stage, forger: KeyBytes) -> Draft {
    let arrived = vec![arrival(goods(stage.received, 1, Some("hospital-a")), [1, 0, 0, 0, 0])];
    let statement = receipt(shipment("red-cross", "S-1"), false, arrived);
    let draft = stage.draft(statement, &[]);
    draft.signer(Capacity::Taker, Some(&handle("hospital-a")), forger)
}

fn need(stage: &Stage, hospital: &str) -> Draft {
    let statement = NeedDeclared {
        item: text("N95口罩"),
        standard: text(""),
        quantity: None,
        unit: text(""),
        wanted_by: None,
    };
    stage.draft(statement, &[(Capacity::Recipient, hospital)])
}

/// Where something is wrong, and under which code.
type Found = Vec<(Spot, Code)>;

fn found(report: &Report) -> Found {
    let failures = report.failures.first();
    failures.iter().map(|failure| (failure.at, failure.violation.code)).collect()
}

/// Every code that an auditor can meet is met here.
#[test]
fn every_code_has_a_lie() {
    let told: BTreeSet<Code> = entries::LIES
        .iter()
        .map(|(code, ..)| *code)
        .chain(
            files::file_lies().iter().flat_map(|(_, _, found)| found.iter().map(|(_, code)| *code)),
        )
        .chain([Code::ContainerMalformed, Code::SinceCheckpoint])
        .collect();
    // These are not met: two gifts whose hashes share 160 bits cannot be found, and no rule gives
    // the other one.
    let never = BTreeSet::from([Code::GiftIdTaken, Code::NoChange]);
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(&told | &never, all);
    assert!(told.is_disjoint(&never));
}
