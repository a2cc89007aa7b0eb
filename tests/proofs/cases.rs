//! The proofs that the vectors hold: each with what it must come to, by hand.

use ed25519_dalek::SigningKey;
use giftproof::model::audited::AuditStatement;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::note::{CosignatureTime, KeyKind, KeyName, VerifierKey};
use giftproof::model::proof_file::AuditShown;

use super::*;

/// A vector that is being put together.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    /// `verified`, `failed`, `not-understood`, or the code of a refusal.
    pub expect: &'static str,
    /// Level and headline; neither where the file is refused.
    pub proves: Option<(Level, Option<Headline>)>,
    pub bytes: Vec<u8>,
    pub trust: TrustFile,
}

fn verified(
    name: &'static str,
    what: &'static str,
    headline: Headline,
    (world, gift): (World, EventHash),
) -> Case {
    proving(name, what, "verified", Level::Complete, headline, &world, gift)
}

fn proving(
    name: &'static str,
    what: &'static str,
    expect: &'static str,
    level: Level,
    headline: Headline,
    world: &World,
    gift: EventHash,
) -> Case {
    let bytes = prove(world, About::Gift(gift)).to_bytes();
    let proves = Some((level, Some(headline)));
    Case { name, what, expect, proves, bytes, trust: trust(world) }
}

fn refused(name: &'static str, what: &'static str, expect: &'static str, bytes: Vec<u8>) -> Case {
    let (world, _) = sealed(journey());
    Case { name, what, expect, proves: None, bytes, trust: trust(&world) }
}

fn sealed((mut world, gift): (World, EventHash)) -> (World, EventHash) {
    seal(&mut world);
    (world, gift)
}

fn with(
    (mut world, gift): (World, EventHash),
    statement: impl Into<Statement>,
    who: &[(Capacity, &str)],
) -> (World, EventHash) {
    world.accept(world.draft(statement, who));
    (world, gift)
}

fn by_registrars() -> [(Capacity, &'static str); 2] {
    [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")]
}

/// The checkpoint with cosignatures of these witnesses, at these times.
pub fn cosigned(proof: &ProofFile, by: &[(&str, u64)]) -> ProofFile {
    let checkpoint = by.iter().fold(proof.checkpoint.clone(), |checkpoint, (name, seconds)| {
        let time = CosignatureTime::new(*seconds).unwrap();
        checkpoint.cosign(time, &KeyName::parse(name).unwrap(), &note_key(name)).unwrap()
    });
    ProofFile { checkpoint, ..proof.clone() }
}

/// A policy of three witnesses, of whom two must have cosigned.
pub fn two_of_three() -> Policy {
    let names = ["w1.example", "w2.example", "w3.example"];
    let mut text = String::new();
    for (number, name) in (1..).zip(names) {
        let name = KeyName::parse(name).unwrap();
        let key = note_key(names[number - 1]);
        let key = VerifierKey::of_signer(name, KeyKind::Cosignature, &key);
        text += &format!("witness w{number} {key}\n");
    }
    text += "group g 2 w1 w2 w3\nquorum g\n";
    Policy::parse(text.as_bytes()).unwrap()
}

fn auditor() -> (KeyName, SigningKey) {
    (KeyName::parse("auditor.example").unwrap(), note_key("auditor.example"))
}

/// A proof with the statement of an auditor about the tree of the first `size` entries.
fn audited(world: &World, gift: EventHash, size: usize) -> ProofFile {
    let proof = prove(world, About::Gift(gift));
    let leaves = Source(world).leaves();
    let checkpoint = Checkpoint {
        origin: Origin::parse(ORIGIN).unwrap(),
        size: size as u64,
        root: mth(&leaves[..size]),
    };
    let statement =
        AuditStatement { checkpoint, differences: 0, audited_at_unix_seconds: 1_767_300_000 };
    let (name, key) = auditor();
    let note = statement.sign(&name, &key).unwrap().to_string().into_bytes();
    let nodes = Definition(leaves.clone());
    let consistency =
        giftproof::model::merkle::consistency_proof(size as u64, leaves.len() as u64, &nodes);
    let audits = vec![AuditShown { note, consistency: consistency.unwrap() }];
    ProofFile { audits, ..proof }
}

fn trusting_auditor(world: &World) -> TrustFile {
    let (name, key) = auditor();
    let key = VerifierKey::of_signer(name, KeyKind::Ed25519, &key);
    trust(world).with_auditors(vec![key]).unwrap()
}

fn receipt_voided() -> (World, EventHash) {
    let (world, gift) = journey();
    let (index, event) = last(&world);
    let correction = Correction {
        target_index: index,
        target: event,
        target_kind: Kind::Receipt as u16,
        replacement: Blob::default(),
    };
    with((world, gift), correction, &[(Capacity::Taker, "hospital-a")])
}

/// The newest entry and its event.
fn last(world: &World) -> (EntryIndex, EventHash) {
    let index = world.state.size - 1;
    let event = world.log.entries[index as usize].event.clone();
    (index, event.open(&world.state.genesis).unwrap().hash)
}

/// Two gifts in one shipment, received together.
fn shared() -> (World, EventHash) {
    let mut world = World::new();
    let (one, other) = (given(&mut world), given(&mut world));
    let both = [one, other];
    let mut goods: Vec<_> = both.map(|gift| (gift, 1, Some("hospital-a"), 500)).to_vec();
    goods.sort();
    let id = shipment("red-cross", "S-2");
    let dispatch = dispatch(id.clone(), "hospital-a", Purpose::Issue, portions(&goods));
    world.accept(world.draft(dispatch, &[(Capacity::Holder, "red-cross")]));
    let arrived = |gift: EventHash, at: u64| {
        arrival(crate::util::goods(gift, 1, Some("hospital-a")), [490 + at, 0, 10 - at, 0, 0])
    };
    let arrivals = vec![arrived(one, 10), arrived(other, 0)];
    let receipt = receipt(id, true, arrivals);
    world.accept(world.draft(receipt, &[(Capacity::Taker, "hospital-a")]));
    (world, other)
}

/// A count of another gift is corrected, and then speaks of this one.
fn brought_in() -> (World, EventHash) {
    let mut world = World::new();
    let (gift, other) = (given(&mut world), given(&mut world));
    let finding = |gift| Finding {
        goods: goods(gift, 1, Some("hospital-a")),
        opened: 0,
        loose: 0,
        passed: 0,
        failed: 0,
        shortage: 7,
        surplus: 0,
        found: 0,
    };
    let count =
        |gift| Count { loose_unit: text(""), findings: List::new(vec![finding(gift)]).unwrap() };
    world.accept(world.draft(count(other), &[(Capacity::Holder, "red-cross")]));
    let (target_index, target) = last(&world);
    let replacement = Statement::from(count(gift)).to_bytes();
    let correction = Correction {
        target_index,
        target,
        target_kind: Kind::Count as u16,
        replacement: Blob::new(replacement).unwrap(),
    };
    with((world, gift), correction, &[(Capacity::Holder, "red-cross")])
}

/// An order over two gifts; the hospital that it names is known by it alone.
fn ordered() -> (World, EventHash) {
    let mut world = World::new();
    let give = |world: &mut World| {
        let free = line(1, "gown", 50, "piece", &[]);
        world.accept(
            world.draft(recorded("red-cross", vec![free]), &[(Capacity::Taker, "red-cross")]),
        )
    };
    let (one, other) = (give(&mut world), give(&mut world));
    let order = Order {
        number: text("O-1"),
        holder: handle("red-cross"),
        item: text("gown"),
        unit: text("piece"),
        quantity: 80,
        recipient: handle("hospital-b"),
    };
    let order = world.accept(world.draft(order, &[(Capacity::Coordinator, "headquarters")]));
    let assign = |gift, quantity| Assignment {
        goods: goods(gift, 1, None),
        recipient: handle("hospital-b"),
        quantity,
    };
    let designation = Designation {
        holder: handle("red-cross"),
        order: Some(order),
        decided_by: text("headquarters"),
        decision: text("O-1"),
        consent: Consent::NotNeeded,
        assignments: List::new(vec![assign(one, 50), assign(other, 30)]).unwrap(),
    };
    with((world, other), designation, &[(Capacity::Holder, "red-cross")])
}

/// The hospital signs for a shipment that nobody sent.
fn unsupported() -> (World, EventHash) {
    let mut world = World::new();
    let gift = given(&mut world);
    received(&mut world, gift, "S-9", 500);
    (world, gift)
}

fn rotated() -> (World, EventHash) {
    let (world, gift) = journey();
    let key = key("operator-2");
    let [one, two] = by_registrars();
    let draft = world.draft(OperatorRotated { key }, &[one, two]);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("operator")), key);
    let mut world = world;
    world.accept(draft);
    (world, gift)
}

pub fn accepted() -> Vec<Case> {
    let masks = "they leak";
    let recall = |lot: &str| Recall {
        item: text("N95 mask"),
        lot: text(lot),
        number: text("R-1"),
        text: text(masks),
    };
    let by_maker = [(Capacity::Speaker, "mask-maker")];
    let dispute = |gift| Dispute { gift, claim: Claim::NotReceived, text: text("nobody saw it") };
    let hospital = [(Capacity::Speaker, "hospital-a")];
    let revoked = KeyRevoked { handle: handle("hospital-a"), key: key("hospital-a") };
    let in_full = Headline::ReceivedInFull;
    let (world, gift) = journey();
    let mut cases = vec![
        proving(
            "included",
            "a gift received in full; there is no seal",
            "verified",
            Level::Included,
            in_full,
            &world,
            gift,
        ),
        verified("complete", "the same under a seal", in_full, sealed(journey())),
        verified(
            "after-the-seal",
            "a dispute that is newer than the seal",
            Headline::ReceivedWithDifferences,
            with(sealed(journey()), dispute(gift), &hospital),
        ),
        verified(
            "recalled-lot",
            "its lot is recalled",
            in_full,
            sealed(with(journey(), recall("L-77"), &by_maker)),
        ),
        verified(
            "recalled-item",
            "every lot of the item is recalled",
            in_full,
            sealed(with(journey(), recall(""), &by_maker)),
        ),
        verified(
            "other-lot-recalled",
            "another lot is recalled: a row that is none of this proof's",
            in_full,
            sealed(with(journey(), recall("L-78"), &by_maker)),
        ),
        verified(
            "key-revoked",
            "the hospital's key has ended since",
            in_full,
            sealed(with(journey(), revoked, &by_registrars())),
        ),
        verified(
            "receipt-voided",
            "the receipt is corrected away",
            Headline::OnTheWay,
            sealed(receipt_voided()),
        ),
        verified(
            "shared-shipment",
            "two gifts in one shipment; ten of this one's are damaged",
            Headline::ReceivedWithDifferences,
            sealed(shared()),
        ),
        verified(
            "brought-in",
            "a correction of an entry that is about another gift",
            Headline::WaitingToBeSent,
            sealed(brought_in()),
        ),
        verified(
            "ordered",
            "a designation that cites an order and speaks of two gifts",
            Headline::WaitingToBeAssigned,
            sealed(ordered()),
        ),
        verified(
            "unsupported-receipt",
            "a receipt for a shipment that there is not",
            Headline::WaitingToBeSent,
            sealed(unsupported()),
        ),
    ];
    let (mut world, gift) = rotated();
    let due = world.state.seal_statement();
    let draft = world.draft(due, &[]);
    world.accept(draft.signer(Capacity::Operator, Some(&handle("operator")), key("operator-2")));
    let mut proof = prove(&world, About::Gift(gift));
    proof.checkpoint = Source(&world).checkpoint("operator-2");
    cases.push(Case {
        name: "operator-rotated",
        what: "seal and checkpoint are signed with the operator's second key",
        expect: "verified",
        proves: Some((Level::Complete, Some(in_full))),
        bytes: proof.to_bytes(),
        trust: trust(&world),
    });
    let (world, gift) = sealed(journey());
    let strange = GiftId::from(&EventHash::from_bytes([7; 32]));
    cases.push(Case {
        name: "no-gift",
        what: "there is no gift of this id",
        expect: "verified",
        proves: Some((Level::Complete, None)),
        bytes: prove(&world, About::NoGift(strange)).to_bytes(),
        trust: trust(&world),
    });
    let proof = prove(&world, About::Gift(gift));
    let proof = cosigned(&proof, &[("w1.example", 1_767_400_000), ("w3.example", 1_767_500_000)]);
    cases.push(Case {
        name: "witnessed",
        what: "two of three witnesses have cosigned; as of the newer of both",
        expect: "verified",
        proves: Some((Level::Complete, Some(in_full))),
        bytes: proof.to_bytes(),
        trust: Forge::of(&world).trust_with(two_of_three()),
    });
    let size = world.state.size as usize;
    for (name, what, size, level) in [
        ("audited", "an auditor has replayed all of it", size, Level::Audited),
        ("audited-before", "the audit ended before the seal", size - 1, Level::Complete),
    ] {
        cases.push(Case {
            name,
            what,
            expect: "verified",
            proves: Some((level, Some(in_full))),
            bytes: audited(&world, gift, size).to_bytes(),
            trust: trusting_auditor(&world),
        });
    }
    cases.push(Case {
        name: "unknown-auditor",
        what: "an auditor that the trust file does not name counts for nothing",
        expect: "verified",
        proves: Some((Level::Complete, Some(in_full))),
        bytes: audited(&world, gift, size).to_bytes(),
        trust: trust(&world),
    });
    cases
}

/// Whole proofs with one thing wrong.
pub fn refusals() -> Vec<Case> {
    let (world, gift) = sealed(journey());
    let proof = prove(&world, About::Gift(gift));
    let bytes = proof.to_bytes();
    let edited = |edit: &dyn Fn(&mut ProofFile)| {
        let mut proof = proof.clone();
        edit(&mut proof);
        proof.to_bytes()
    };
    let mut trailing = bytes.clone();
    trailing.push(0);
    let mut magic = bytes.clone();
    magic[0] ^= 1;
    let mut cases = vec![
        refused(
            "truncated",
            "the last byte is missing",
            "proof-file/malformed",
            bytes[..bytes.len() - 1].to_vec(),
        ),
        refused("trailing", "a byte follows", "proof-file/malformed", trailing),
        refused("magic", "it begins otherwise", "proof-file/malformed", magic),
        refused(
            "entries-swapped",
            "two entries stand in each other's place",
            "proof-file/entry-order",
            edited(&|p| p.entries.swap(2, 3)),
        ),
        refused(
            "entry-0-missing",
            "entry 0 is missing",
            "proof-file/entry-order",
            edited(&|p| drop(p.entries.remove(0))),
        ),
        refused(
            "entry-twice",
            "an entry stands twice",
            "proof-file/entry-order",
            edited(&|p| p.entries.insert(2, p.entries[2].clone())),
        ),
        refused(
            "entry-cut",
            "an entry lacks a byte",
            "entry/malformed",
            edited(&|p| p.entries[3] = p.entries[3].split_last().unwrap().1.to_vec()),
        ),
        refused(
            "donation-missing",
            "the donation is missing",
            "proof-file/gift",
            edited(&|p| drop(p.entries.remove(4))),
        ),
        refused(
            "dispatch-missing",
            "an entry in the middle is missing",
            "proof-file/chain",
            edited(&|p| drop(p.entries.remove(5))),
        ),
        refused(
            "receipt-hidden",
            "the newest entry is missing",
            "proof-file/rows",
            edited(&|p| drop(p.entries.remove(6))),
        ),
        refused(
            "seal-missing",
            "the entry of the seal is missing",
            "proof-file/entry-missing",
            edited(&|p| drop(p.entries.pop())),
        ),
        refused(
            "no-seal",
            "it has the seal's entry, and does not name it",
            "proof-file/entry-extra",
            edited(&|p| p.seal = None),
        ),
        refused(
            "other-seal",
            "what it calls the seal is a receipt",
            "proof-file/entry-extra",
            edited(&|p| p.seal = Some(p.seal.unwrap() - 1)),
        ),
        refused(
            "table-empty",
            "a table proof is missing",
            "proof-file/rows",
            edited(&|p| p.tables[1].clear()),
        ),
        refused(
            "table-other",
            "a table proof stands in the place of another",
            "proof-file/rows",
            edited(&|p| p.tables.swap(0, 3)),
        ),
        refused(
            "tree-short",
            "a hash is missing",
            "proof-file/tree",
            edited(&|p| p.tree = p.tree.split_last().unwrap().1.to_vec()),
        ),
        refused(
            "tree-long",
            "a hash too many",
            "proof-file/tree",
            edited(&|p| p.tree.push(p.tree[0])),
        ),
        refused(
            "tree-other",
            "two hashes in each other's place",
            "proof-file/tree",
            edited(&|p| p.tree.reverse()),
        ),
        refused(
            "other-gift",
            "it is said to be about another gift",
            "proof-file/gift",
            edited(&|p| p.about = About::Gift(EventHash::from_bytes([7; 32]))),
        ),
        refused(
            "no-such-gift",
            "it is said that there is no such gift",
            "proof-file/gift",
            edited(&|p| p.about = About::NoGift(GiftId::from(&gift))),
        ),
        refused(
            "other-signer",
            "the checkpoint is signed by the hospital",
            "checkpoint/signature",
            edited(&|p| p.checkpoint = Source(&world).checkpoint("hospital-a")),
        ),
    ];
    let absent = prove(&world, About::NoGift(GiftId::from(&EventHash::from_bytes([7; 32]))));
    let lie = ProofFile { about: About::NoGift(GiftId::from(&gift)), ..absent };
    cases.push(refused(
        "gift-denied",
        "an existing gift is denied",
        "proof-file/rows",
        lie.to_bytes(),
    ));
    let mut forged = audited(&world, gift, world.state.size as usize);
    forged.audits[0].consistency.push(mth(&Source(&world).leaves()));
    cases.push(Case {
        trust: trusting_auditor(&world),
        ..refused(
            "audit-elsewhere",
            "the audited tree is not extended",
            "proof-file/audit",
            forged.to_bytes(),
        )
    });
    let one = cosigned(&proof, &[("w1.example", 1_767_400_000)]);
    cases.push(Case {
        trust: Forge::of(&world).trust_with(two_of_three()),
        ..refused(
            "too-few-witnesses",
            "one of two needed witnesses has cosigned",
            "trust/policy",
            one.to_bytes(),
        )
    });
    let rules = Rules { inclusion_seconds: 1, ..rules() };
    cases.push(Case {
        trust: trust(&World::under(rules)),
        ..refused(
            "other-ledger",
            "the trust file is of another ledger",
            "trust/genesis",
            bytes.clone(),
        )
    });
    cases
}
