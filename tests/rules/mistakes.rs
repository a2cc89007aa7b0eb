//! Single mistakes, one a row, each with the code under which it is refused.

use std::collections::BTreeSet;

use giftproof::model::ident::KeyBytes;
use giftproof::model::violation::Code;

use super::*;

const A: Option<&str> = Some("hospital-a");
const TWO: [(Capacity, &str); 2] =
    [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];

/// Codes that no single event gets from the rules, each with where it arises instead.
const ELSEWHERE: &[(Code, &str)] = &[
    (Code::EntryMalformed, "reading an entry"),
    (Code::ChainIndex, "replaying a log"),
    (Code::ChainPrevious, "replaying a log"),
    (Code::ChainTime, "replaying a log"),
    (Code::EventMalformed, "reading an event"),
    (Code::SignatureInvalid, "checking signatures"),
    (Code::LinksMismatch, "replaying a log"),
    (Code::GiftIdTaken, "needs two events whose SHA-256 agree in 160 bits"),
    (Code::SealNothingNew, "a second seal"),
    (Code::SealMissed, "replaying a log"),
    (Code::SinceCheckpoint, "comparing a log with what was seen before"),
    (Code::BundleMismatch, "reading a bundle"),
    (Code::TileMismatch, "reading a bundle"),
    (Code::RootMismatch, "checking a checkpoint"),
    (Code::CheckpointMalformed, "checking a checkpoint"),
    (Code::CheckpointSignature, "checking a checkpoint"),
    (Code::CheckpointOrigin, "checking a checkpoint"),
    (Code::TrustGenesis, "comparing with a trust file"),
    (Code::TrustOperator, "comparing with a trust file"),
    (Code::TrustCheckpoint, "comparing with a trust file"),
    (Code::TrustPolicy, "comparing with a trust file"),
    (Code::ContainerMalformed, "reading a container"),
];

/// A gift of 10 masks (6 for hospital A, 2 of them on their way) and 3 boxes; a gift whose own key
/// disputes it; a need that is closed.
struct Scene {
    world: World,
    gift: EventHash,
    own: EventHash,
    sent: EventHash,
    order: EventHash,
    need: EventHash,
    donation: Draft,
}

fn scene() -> Scene {
    let mut world = World::new();
    let lines =
        vec![line(1, "mask", 10, "pcs", &[("hospital-a", 6)]), line(2, "gown", 3, "box", &[])];
    let donation = world.draft(recorded("red-cross", lines), BY_RED_CROSS);
    let gift = world.accept(donation.clone());
    let route = ("red-cross", "S", "hospital-a");
    let sent = world.accept(sending(&world, route, Purpose::Issue, (gift, A, 2)));
    let mut own = recorded("red-cross", vec![line(1, "mask", 1, "pcs", &[])]);
    own.donor.kind = DonorKind::OneTimeKey;
    own.donor.key = Some(key("donor"));
    let draft = world.draft(own, BY_RED_CROSS).signer(Capacity::Donor, None, key("donor"));
    let own = world.accept(draft);
    world.accept(disputing(&world, own));
    let order = Order {
        number: text("1"),
        holder: handle("red-cross"),
        item: text("mask"),
        unit: text("pcs"),
        quantity: 1,
        recipient: handle("hospital-b"),
    };
    let order = world.accept(world.draft(order, &[(Capacity::Coordinator, "headquarters")]));
    let need = NeedDeclared {
        item: text("mask"),
        standard: text(""),
        quantity: None,
        unit: text("pcs"),
        wanted_by: None,
    };
    let by_a = [(Capacity::Recipient, "hospital-a")];
    let need = world.accept(world.draft(need, &by_a));
    world.accept(world.draft(NeedClosed { need }, &by_a));
    let revoked = KeyRevoked { handle: handle("hospital-b"), key: key("hospital-b") };
    world.accept(world.draft(revoked, &[(Capacity::Oneself, "hospital-b")]));
    Scene { world, gift, own, sent, order, need, donation }
}

fn disputing(world: &World, gift: EventHash) -> Draft {
    let statement = Dispute { gift, claim: Claim::Other, text: text("") };
    world.draft(statement, &[]).signer(Capacity::Donor, None, key("donor"))
}

fn enrolling(world: &World, name: &str, key: KeyBytes, who: &[(Capacity, &str)]) -> Draft {
    let statement = PartyEnrolled {
        handle: handle(name),
        kind: PartyKind::Organisation,
        roles: List::new(vec![Role::Recipient]).unwrap(),
        particulars: Particulars { name: text(name), identifier: text(""), place: text("") },
        key,
    };
    world.draft(statement, who).signer(Capacity::NewKey, Some(&handle(name)), key)
}

type Mistake = (&'static str, Code, fn(&Scene) -> Draft);

const MISTAKES: &[Mistake] = &[
    ("a second entry 0", Code::GenesisPlace, |s| {
        let genesis = s.world.log.entries[0].event.clone();
        let genesis = genesis.open(&giftproof::model::entry::NO_LEAF).unwrap().statement.unwrap();
        s.world.draft(genesis, &[(Capacity::Operator, "operator")])
    }),
    ("the same event twice", Code::EventDuplicate, |s| s.donation.clone()),
    ("an anchor in another log", Code::AnchorMismatch, |s| {
        let mut draft = counting(&s.world, "red-cross", finding(goods(s.gift, 1, None)));
        draft.statement =
            Use { ward: text(""), purpose: text(""), portions: portions(&[(s.gift, 1, None, 1)]) }
                .into();
        draft.anchor = Some(Anchor { index: 0, leaf: s.world.state.last_leaf });
        draft
    }),
    ("an anchor in the future", Code::AnchorMismatch, |s| {
        let mut draft = s.donation.clone();
        draft.nonce = [9; 16];
        draft.anchor = Some(Anchor { index: s.world.state.size, leaf: s.world.state.last_leaf });
        draft
    }),
    ("a taker that nobody knows", Code::PartyUnknown, |s| {
        sending(&s.world, ("red-cross", "T", "nobody"), Purpose::Issue, (s.gift, A, 1))
    }),
    ("a handle that is a party's", Code::PartyExists, |s| {
        enrolling(&s.world, "carrier", key("new"), &TWO)
    }),
    ("a handle that is a registrar's", Code::PartyExists, |s| {
        enrolling(&s.world, "registrar-1", key("new"), &TWO)
    }),
    ("a handle that is the operator's", Code::PartyExists, |s| {
        enrolling(&s.world, "operator", key("new"), &TWO)
    }),
    ("goods for a carrier to keep", Code::PartyRole, |s| {
        sending(&s.world, ("red-cross", "T", "carrier"), Purpose::Issue, (s.gift, A, 1))
    }),
    ("a charity as final recipient", Code::PartyRole, |s| {
        let to = (s.gift, None, "warehouse", 1);
        let statement = designation("red-cross", Consent::NotNeeded, to);
        s.world.draft(statement, FROM_RED_CROSS)
    }),
    ("a warehouse that coordinates", Code::PartyRole, |s| {
        let to = (s.gift, None, "hospital-a", 1);
        let statement = designation("red-cross", Consent::NotNeeded, to);
        s.world.draft(statement, &[(Capacity::Coordinator, "warehouse")])
    }),
    ("a key that is the identity", Code::KeyInvalid, |s| {
        let mut identity = [0; 32];
        identity[0] = 1;
        enrolling(&s.world, "new", KeyBytes::from_bytes(identity), &TWO)
    }),
    ("another's key", Code::KeyTaken, |s| enrolling(&s.world, "new", key("carrier"), &TWO)),
    ("a key that is not the signer's", Code::KeyNotOfParty, |s| {
        let mut draft =
            sending(&s.world, ("red-cross", "T", "hospital-a"), Purpose::Issue, (s.gift, A, 1));
        draft.signers[0].key = key("warehouse");
        draft
    }),
    ("a registrar with another key", Code::KeyNotOfParty, |s| {
        let mut draft = enrolling(&s.world, "new", key("new"), &TWO);
        draft.signers[0].key = key("registrar-3");
        draft
    }),
    ("a key that was revoked", Code::KeyEnded, |s| {
        taking(&s.world, ("red-cross", "S", "hospital-b"), false, (s.gift, A, [1, 0, 0, 0, 0]))
    }),
    ("no taker signs a recorded gift", Code::SignerMissing, |s| {
        s.world.draft(s.donation.statement.clone(), &[(Capacity::Speaker, "red-cross")])
    }),
    ("a new key that is not shown to be held", Code::SignerMissing, |s| {
        let mut draft = enrolling(&s.world, "new", key("new"), &TWO);
        draft.signers.retain(|signer| signer.capacity != Capacity::NewKey);
        draft
    }),
    ("somebody signs along", Code::SignerExtra, |s| {
        let holder = Some(handle("warehouse"));
        s.donation.clone().signer(Capacity::Holder, holder.as_ref(), key("warehouse"))
    }),
    ("a shipment in another's name", Code::SignerWrong, |s| {
        let sent = portions(&[(s.gift, 1, A, 1)]);
        let statement = dispatch(shipment("red-cross", "T"), "hospital-a", Purpose::Issue, sent);
        s.world.draft(statement, &[(Capacity::Holder, "warehouse")])
    }),
    ("a delivery by another carrier", Code::SignerWrong, |s| {
        let id = shipment("red-cross", "S");
        let place = text("");
        let statement = Delivery { shipment: id, place, waybill: text(""), time: text("") };
        s.world.draft(statement, &[(Capacity::Carrier, "carrier")])
    }),
    ("a hospital that nobody vouches for", Code::RegistrarsTooFew, |s| {
        enrolling(&s.world, "new", key("new"), &[(Capacity::Operator, "operator")])
    }),
    ("rules by one registrar", Code::RegistrarsTooFew, |s| {
        s.world.draft(RulesChanged { rules: rules() }, &TWO[..1])
    }),
    ("from oneself", Code::SameParty, |s| {
        let mut draft = handing(
            &s.world,
            ("red-cross", "red-cross"),
            Purpose::Issue,
            (s.gift, A, [1, 0, 0, 0, 0]),
        );
        draft.signers[1].key = key("second");
        draft
    }),
    ("a gift that is not there", Code::GiftUnknown, |s| {
        sending(&s.world, ("red-cross", "T", "hospital-a"), Purpose::Issue, (s.sent, A, 1))
    }),
    ("a line that is not there", Code::LineUnknown, |s| {
        let sent = portions(&[(s.gift, 3, A, 1)]);
        let statement = dispatch(shipment("red-cross", "T"), "hospital-a", Purpose::Issue, sent);
        s.world.draft(statement, FROM_RED_CROSS)
    }),
    ("pieces of boxes of unknown content", Code::UnitUnknown, |s| {
        let inner = Goods { unit: UnitChoice::Inner, ..goods(s.gift, 2, None) };
        counting(&s.world, "red-cross", Finding { shortage: 1, ..finding(inner) })
    }),
    ("a delivery of nothing", Code::ShipmentUnknown, |s| {
        let id = shipment("red-cross", "T");
        let place = text("");
        let statement = Delivery { shipment: id, place, waybill: text(""), time: text("") };
        s.world.draft(statement, FROM_RED_CROSS)
    }),
    ("a shipment's number for another taker", Code::ShipmentMismatch, |s| {
        sending(&s.world, ("red-cross", "S", "warehouse"), Purpose::Issue, (s.gift, A, 1))
    }),
    ("more than rests there", Code::BalanceExceeded, |s| {
        sending(&s.world, ("red-cross", "T", "hospital-a"), Purpose::Issue, (s.gift, A, 5))
    }),
    ("more than was sent", Code::BalanceExceeded, |s| {
        taking(&s.world, ("red-cross", "S", "hospital-a"), false, (s.gift, A, [1, 1, 1, 0, 0]))
    }),
    ("surplus beyond all bounds", Code::BalanceOverflow, |s| {
        let surplus = QUANTITY_MAX;
        let found = Finding { surplus, ..finding(goods(s.gift, 1, None)) };
        counting(&s.world, "red-cross", found)
    }),
    ("a withdrawal of what was delivered", Code::NotAnnounced, |s| {
        let statement = Withdrawal { portions: portions(&[(s.gift, 1, None, 1)]) };
        s.world.draft(statement, BY_RED_CROSS)
    }),
    ("a change that claims to need no consent", Code::ConsentMissing, |s| {
        let to = (s.gift, A, "hospital-b", 1);
        let statement = designation("red-cross", Consent::NotNeeded, to);
        s.world.draft(statement, FROM_RED_CROSS)
    }),
    ("an order for another recipient", Code::OrderMismatch, |s| {
        let to = (s.gift, None, "hospital-a", 1);
        let mut statement = designation("red-cross", Consent::NotNeeded, to);
        statement.order = Some(s.order);
        s.world.draft(statement, FROM_RED_CROSS)
    }),
    ("an order that is none", Code::OrderMismatch, |s| {
        let to = (s.gift, None, "hospital-b", 1);
        let mut statement = designation("red-cross", Consent::NotNeeded, to);
        statement.order = Some(s.gift);
        s.world.draft(statement, FROM_RED_CROSS)
    }),
    ("a take-over of what is no slip's", Code::TakeOver, |s| {
        let donor = Donor {
            kind: DonorKind::OneTimeKey,
            party: None,
            key: Some(key("new")),
            name: text(""),
        };
        let draft = s.world.draft(GiftTakenOver { gift: s.own, donor }, &[]);
        let draft = draft.signer(Capacity::Donor, None, key("donor"));
        draft.signer(Capacity::NewKey, None, key("new"))
    }),
    ("opened pieces", Code::CountPacks, |s| {
        let opened = Finding { opened: 1, loose: 5, ..finding(goods(s.gift, 2, None)) };
        let mut draft = counting(&s.world, "red-cross", opened.clone());
        let findings = List::new(vec![opened]).unwrap();
        draft.statement = Count { loose_unit: text("box"), findings }.into();
        draft
    }),
    ("an answer to no dispute", Code::DisputeUnknown, |s| {
        let statement = Answer { gift: s.gift, dispute: s.sent, text: text("") };
        s.world.draft(statement, &[(Capacity::Speaker, "red-cross")])
    }),
    ("a second dispute by the gift's key", Code::DisputeOpen, |s| disputing(&s.world, s.own)),
    ("a correction of another kind", Code::CorrectionTarget, |s| {
        let mut draft = correcting(&s.world, s.sent, None, FROM_RED_CROSS);
        let Statement::Correction(statement) = &mut draft.statement else { unreachable!() };
        statement.target_kind = Kind::Receipt as u16;
        draft
    }),
    ("a voided donation", Code::CorrectionFixed, |s| {
        correcting(&s.world, s.gift, None, BY_RED_CROSS)
    }),
    ("a donation below what was sent", Code::CorrectionRests, |s| {
        let Statement::Donation(mut donation) = s.donation.statement.clone() else {
            unreachable!()
        };
        let fewer = line(1, "mask", 5, "pcs", &[("hospital-a", 1)]);
        donation.lines = List::new(vec![fewer, donation.lines[1].clone()]).unwrap();
        correcting(&s.world, s.gift, Some(donation.into()), BY_RED_CROSS)
    }),
    ("a recall that is none", Code::RecallUnknown, |s| {
        let lifted = RecallLifted { recall: s.gift, item: text("mask"), lot: text("") };
        s.world.draft(lifted, &TWO)
    }),
    ("a need that is closed", Code::NeedUnknown, |s| {
        s.world.draft(NeedClosed { need: s.need }, &[(Capacity::Recipient, "hospital-a")])
    }),
    ("an update that changes nothing", Code::NoChange, |s| {
        let particulars = s.world.state.parties.get(&handle("carrier")).unwrap();
        let particulars = particulars.particulars.clone();
        let mut updated =
            PartyUpdated { handle: handle("red-cross"), particulars, successor: None };
        updated.particulars.name = text("red-cross");
        s.world.draft(updated, &TWO)
    }),
    ("a seal that covers itself", Code::SealMismatch, |s| {
        let mut seal = s.world.state.clone().seal_statement();
        seal.size += 1;
        s.world.draft(seal, &[(Capacity::Operator, "operator")])
    }),
    ("a seal by a registrar", Code::SignerMissing, |s| {
        let seal = s.world.state.clone().seal_statement();
        s.world.draft(seal, &[(Capacity::Registrar, "registrar-1")])
    }),
];

#[test]
fn every_mistake_is_refused_under_its_code() {
    let mut scene = scene();
    for (what, code, make) in MISTAKES {
        let draft = make(&scene);
        assert_eq!(scene.world.refuse(draft), code.as_str(), "{what}");
    }
}

/// Every code is either in the table or arises elsewhere, and none is both.
#[test]
fn the_table_has_every_code() {
    let here: BTreeSet<Code> = MISTAKES.iter().map(|(_, code, _)| *code).collect();
    let elsewhere: BTreeSet<Code> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    assert!(here.is_disjoint(&elsewhere));
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    let missing: Vec<_> = all.difference(&here).filter(|code| !elsewhere.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
