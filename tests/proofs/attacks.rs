//! What a dishonest party of the ledger would like a donor's verifier to say, and what is said.

use giftproof::model::encoding::{Blob, List};
use giftproof::model::entry::{Entry, Header};
use giftproof::model::state::{Gift, State};
use giftproof::model::subject::{HashedSubject, Subject};

use super::*;

/// Puts a statement in the place of an earlier one of red-cross, or voids it.
fn correct(world: &mut World, target: EventHash, new: Option<Statement>, by: Capacity, who: &str) {
    let target_index = world.index_of(&target).unwrap();
    let kind = world.log.entries[target_index as usize].event.frame.kind;
    let replacement = Blob::new(new.map_or(Vec::new(), |new| new.to_bytes())).unwrap();
    let correction = Correction { target_index, target, target_kind: kind, replacement };
    world.accept(world.draft(correction, &[(by, who)]));
}

fn carried(gifts: &[EventHash], quantity: u64) -> Statement {
    let mut goods: Vec<_> =
        gifts.iter().map(|gift| (*gift, 1, Some("hospital-a"), quantity)).collect();
    goods.sort();
    let id = shipment("red-cross", "S-9");
    dispatch(id, "hospital-a", Purpose::Issue, portions(&goods)).into()
}

fn arrived(gifts: &[EventHash], quantity: u64) -> Statement {
    let mut gifts = gifts.to_vec();
    gifts.sort();
    let came =
        |gift: &EventHash| arrival(goods(*gift, 1, Some("hospital-a")), [quantity - 1, 0, 1, 0, 0]);
    receipt(shipment("red-cross", "S-9"), false, gifts.iter().map(came).collect()).into()
}

/// Claim 2: what holds of an entry that corrections have moved from gift to gift is the same for
/// each of them, also for one whose last correction is not the entry's last.
#[test]
fn corrections_that_bring_gifts_in_and_out_hide_nothing() {
    let mut world = World::new();
    let [a, b, c] = [(); 3].map(|()| given(&mut world));
    let held = (Capacity::Holder, "red-cross");
    let sent = world.accept(world.draft(carried(&[a], 100), &[held]));
    let steps = [
        Some(carried(&[a, b], 100)),
        Some(carried(&[a, c], 100)),
        None,
        Some(carried(&[b], 50)),
        Some(carried(&[a], 70)),
        Some(carried(&[a, b, c], 60)),
    ];
    for step in steps {
        correct(&mut world, sent, step, Capacity::Holder, "red-cross");
        seal(&mut world);
        agree(&world);
    }
    let claim = Delivery {
        shipment: shipment("red-cross", "S-9"),
        place: text("gate 3"),
        waybill: text(""),
        time: text(""),
    };
    let delivery = world.accept(world.draft(claim.clone(), &[held]));
    let came = world.accept(world.draft(arrived(&[a], 60), &[(Capacity::Taker, "hospital-a")]));
    for gifts in [&[a, b][..], &[c], &[b, c]] {
        let new = Some(arrived(gifts, 60));
        correct(&mut world, came, new, Capacity::Taker, "hospital-a");
        correct(&mut world, delivery, None, Capacity::Holder, "red-cross");
        seal(&mut world);
        agree(&world);
        correct(&mut world, delivery, Some(claim.clone().into()), Capacity::Holder, "red-cross");
        seal(&mut world);
        agree(&world);
    }
}

/// The log as it is told, and the tree as it is.
struct Lying<'a> {
    told: &'a World,
    tree: Vec<LeafHash>,
}

impl ProofSource for Lying<'_> {
    type Error = std::convert::Infallible;

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, Self::Error> {
        Source(self.told).entry(index)
    }

    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, Self::Error> {
        shown_proof(indexes, size, &Definition(self.tree.clone()))
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, Self::Error> {
        Ok(consistency_proof(old_size, new_size, &Definition(self.tree.clone())).unwrap())
    }
}

impl Lying<'_> {
    fn prove(&self, gift: EventHash) -> ProofFile {
        let checkpoint = Checkpoint {
            origin: Origin::parse(ORIGIN).unwrap(),
            size: self.tree.len() as u64,
            root: mth(&self.tree),
        };
        let checkpoint = checkpoint.sign(&note_key("operator"));
        let maker = Maker {
            state: &self.told.state,
            source: self,
            checkpoint: &checkpoint,
            sealed: true,
            statements: &[],
        };
        maker.make(About::Gift(gift)).unwrap()
    }
}

/// Spec section 17.6: an entry that only a link or a row names may stand in the tree as another.
/// No second entry can be put in its place, and an audit finds it; a proof alone does not.
#[test]
fn what_only_a_link_names_is_in_the_log_on_the_operators_word() {
    let (mut world, gift) = journey();
    seal(&mut world);
    let honest = Source(&world).leaves();
    let of_gift = &world.state.gifts.get(&gift).unwrap().entries;
    let (dispatch, receipt) = (of_gift[1] as usize, of_gift[2] as usize);

    let mut tree = honest.clone();
    tree[dispatch] = honest[0];
    let lying = Lying { told: &world, tree };
    assert_eq!(check(&world, &lying.prove(gift)).level(), Level::Complete);
    // The audit: the entry after names another leaf than the one that is there.
    let next = &world.log.entries[dispatch + 1].header.previous;
    assert_ne!(*next, lying.tree[dispatch]);

    // What nothing names, the gift's newest, and the seal are in the tree themselves.
    for shown in [receipt, honest.len() - 1] {
        let mut tree = honest.clone();
        tree[shown] = honest[0];
        let lying = Lying { told: &world, tree };
        let fault = lying.prove(gift).check(&trust(&world)).unwrap_err();
        assert_eq!(fault.code, "proof-file/tree");
    }
}

/// Spec section 15.2: whoever is enrolled may speak of a shipment, and the proofs of all that it
/// carried grow by that; the verdict does not change.
#[test]
fn strangers_lengthen_a_proof_but_change_nothing() {
    let (mut world, gift) = journey();
    let before = Verdict::of(
        &world.state,
        &world.state.gifts.get(&gift).unwrap(),
        AsOf::last_entry(&world.state),
    );
    let said = Attestation {
        evidence: EvidenceKind::Other,
        text: text("seen at the gate"),
        url: text(""),
        from: None,
        until: None,
        held_by: None,
        recipient_name: text(""),
        shipment: Some(shipment("red-cross", "S-1")),
        goods: List::default(),
        listed: List::default(),
    };
    for _ in 0..20 {
        world.accept(world.draft(said.clone(), &[(Capacity::Speaker, "mask-maker")]));
    }
    seal(&mut world);
    agree(&world);
    let proof = prove(&world, About::Gift(gift));
    assert_eq!(proof.entries.len(), 8 + 20);
    let proven = check(&world, &proof);
    let as_of = AsOf::last_entry(&world.state);
    assert_eq!(
        Verdict::of(&proven.state, &proven.gift().unwrap(), as_of).headline,
        before.headline
    );
}

/// Claim 3: a seal from before the gift says of its own time only.
#[test]
fn that_there_was_no_gift_is_said_as_of_the_seal() {
    let (mut world, mut empty) = (World::new(), World::new());
    seal(&mut world);
    seal(&mut empty);
    let gift = given(&mut world);
    let id = GiftId::from(&gift);
    let proof = prove(&empty, About::NoGift(id));
    let proven = check(&world, &proof);
    assert!(proven.seal.unwrap().index < world.state.gifts.get(&gift).unwrap().entries[0]);

    // The same said under the newest checkpoint, with that seal or a newer one.
    let leaves = Source(&world).leaves();
    let lying = Lying { told: &empty, tree: leaves.clone() };
    let newest = Source(&world).checkpoint("operator");
    let all: Vec<EntryIndex> = vec![proven.seal.unwrap().index];
    let tree = lying.shown(&all, leaves.len() as u64).unwrap();
    let later = ProofFile { checkpoint: newest, tree, ..proof };
    assert_eq!(check(&world, &later).seal.unwrap().index, proven.seal.unwrap().index);
    seal(&mut world);
    let denied = ProofFile { about: About::NoGift(id), ..prove(&world, About::NoGift(strange())) };
    assert_eq!(denied.check(&trust(&world)).unwrap_err().code, "proof-file/rows");
}

fn strange() -> GiftId {
    GiftId::from(&EventHash::from_bytes([7; 32]))
}

/// Claim 1: under an old seal, a recall looks lifted that was made again. The lifting is not about
/// the gift itself, and is named all the same as newer than the seal.
#[test]
fn what_lifts_a_recall_after_the_seal_is_named() {
    let (mut world, gift) = journey();
    let recall = Recall {
        item: text("N95 mask"),
        lot: text("L-77"),
        number: text("R-1"),
        text: text("they leak"),
    };
    let maker = [(Capacity::Speaker, "mask-maker")];
    let recalled = world.accept(world.draft(recall.clone(), &maker));
    seal(&mut world);
    let lifted = RecallLifted { recall: recalled, item: text("N95 mask"), lot: text("L-77") };
    world.accept(world.draft(lifted, &maker));
    let lifting = world.state.size - 1;
    let proof = prove(&world, About::Gift(gift));
    world.accept(world.draft(recall, &maker));

    let recalled = |state: &State, gift: &Gift| {
        let verdict = Verdict::of(state, gift, AsOf::last_entry(&world.state));
        verdict.flags.iter().any(|flag| flag.word() == "recalled")
    };
    assert!(recalled(&world.state, &world.state.gifts.get(&gift).unwrap()));
    let proven = check(&world, &proof);
    assert_eq!(proven.level(), Level::Complete);
    assert!(!recalled(&proven.state, &proven.gift().unwrap()));
    assert_eq!(proven.after_seal, [lifting]);
}

/// A lot that only an entry of an unknown kind touches stands in the table of an operator that
/// knows the kind (spec section 16.2): the proof is not understood. Where it stands in none, the
/// seal says other than the links.
#[test]
fn what_only_an_unknown_kind_touches_is_under_the_seal_of_who_knows_it() {
    let lot = Subject::Lot { item: text("N95 mask"), lot: text("L-77") };
    for known in [true, false] {
        let (mut world, gift) = journey();
        let need = NeedClosed { need: gift };
        let mut frame = world.draft(need, &[(Capacity::Speaker, "mask-maker")]).frame().unwrap();
        frame.kind = 4000;
        frame.body.extend(b"what this build cannot read");
        let event = sign_frame(frame, &world.state.genesis);
        let header = Header {
            index: world.state.size,
            previous: world.state.last_leaf,
            recorded_at: world.now,
            links: world.state.links(&BTreeSet::from([lot.clone()])).unwrap(),
        };
        let entry = Entry { header, event };
        let index = entry.header.index;
        let touched =
            if known { HashedSubject::from(&lot) } else { HashedSubject::from(lot.hash()) };
        world.state.advance_by_hash(index, world.now, entry.leaf(), &[touched]);
        world.log.entries.push(entry);
        seal(&mut world);
        let proof = prove(&world, About::Gift(gift));
        if known {
            let proven = check(&world, &proof);
            assert_eq!((proven.level(), proven.not_understood), (Level::Complete, vec![index]));
        } else {
            assert_eq!(proof.check(&trust(&world)).unwrap_err().code, "proof-file/rows");
        }
    }
}
