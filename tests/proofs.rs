//! Proof files: what they prove is what the whole log says, and what is hidden from them shows.

mod attacks;
mod cases;
mod hiding;
mod vectors;

use std::collections::BTreeSet;

use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, LeafHash, NodeHash, node_hash};
use giftproof::model::ident::{EntryIndex, GiftId};
use giftproof::model::merkle::{NodeSource, consistency_proof, shown_proof};
use giftproof::model::policy::Policy;
use giftproof::model::proof_file::{About, Level, Maker, ProofFile, ProofSource, Proven};
use giftproof::model::trust::TrustFile;
use giftproof::model::verdict::{AsOf, Headline, Verdict};
use proptest::prelude::*;

use crate::forge::{Forge, ORIGIN, note_key};
use crate::util::*;

/// A log in memory, as a source of proofs.
pub struct Source<'a>(pub &'a World);

impl Source<'_> {
    pub fn leaves(&self) -> Vec<LeafHash> {
        self.0.log.entries.iter().map(|entry| entry.leaf()).collect()
    }

    /// The newest checkpoint, signed by this name.
    pub fn checkpoint(&self, signer: &str) -> SignedCheckpoint {
        let leaves = self.leaves();
        let checkpoint = Checkpoint {
            origin: Origin::parse(ORIGIN).unwrap(),
            size: leaves.len() as u64,
            root: mth(&leaves),
        };
        checkpoint.sign(&note_key(signer))
    }
}

/// The root over some leaves, as RFC 6962 defines it.
pub fn mth(leaves: &[LeafHash]) -> NodeHash {
    match leaves {
        [leaf] => (*leaf).into(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&mth(left), &mth(right))
        }
    }
}

struct Definition(Vec<LeafHash>);

impl NodeSource for Definition {
    type Error = std::convert::Infallible;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Self::Error> {
        let (from, to) = ((index << level) as usize, ((index + 1) << level) as usize);
        Ok(mth(&self.0[from..to]))
    }
}

impl ProofSource for Source<'_> {
    type Error = std::convert::Infallible;

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, Self::Error> {
        Ok(self.0.log.entries[index as usize].to_bytes())
    }

    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, Self::Error> {
        shown_proof(indexes, size, &Definition(self.leaves()))
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, Self::Error> {
        Ok(consistency_proof(old_size, new_size, &Definition(self.leaves())).unwrap())
    }
}

/// The operator seals the log as it is.
pub fn seal(world: &mut World) {
    let sealed = world.state.seal_statement();
    world.accept(world.draft(sealed, &[(Capacity::Operator, "operator")]));
}

pub fn trust(world: &World) -> TrustFile {
    Forge::of(world).trust_with(Policy::without_witnesses())
}

/// A proof as of now; under the newest seal, if there is one.
pub fn prove(world: &World, about: About) -> ProofFile {
    let source = Source(world);
    let checkpoint = source.checkpoint("operator");
    let maker = Maker {
        state: &world.state,
        source: &source,
        checkpoint: &checkpoint,
        sealed: true,
        statements: &[],
    };
    maker.make(about).unwrap()
}

pub fn check(world: &World, proof: &ProofFile) -> Proven {
    let bytes = proof.to_bytes();
    let read = ProofFile::parse(&bytes).unwrap();
    assert_eq!(read, *proof);
    proof.check(&trust(world)).unwrap_or_else(|fault| panic!("{fault:?}"))
}

/// Every gift of a world, as its proof tells, is the gift that the whole log tells.
pub fn agree(world: &World) {
    for gift in world.state.gifts.iter() {
        let proof = prove(world, About::Gift(gift.id));
        let proven = check(world, &proof);
        assert_eq!(proven.gift().as_ref(), Some(&gift));
        assert!(proven.failures.is_empty(), "{:?}", proven.failures);
        let as_of = AsOf::last_entry(&world.state);
        let whole = Verdict::of(&world.state, &gift, as_of);
        assert_eq!(Verdict::of(&proven.state, &gift, as_of), whole);
        assert_eq!(Verdict::journey(&proven.state, &gift), Verdict::journey(&world.state, &gift));
    }
}

/// A gift of 500 masks that red-cross took for hospital-a, sent by carrier and received.
pub fn journey() -> (World, EventHash) {
    let mut world = World::new();
    let gift = given(&mut world);
    sent(&mut world, gift, "S-1", 500);
    received(&mut world, gift, "S-1", 500);
    (world, gift)
}

pub fn given(world: &mut World) -> EventHash {
    let mut line = line(1, "N95 mask", 500, "piece", &[("hospital-a", 500)]);
    let lot = Lot { number: text("L-77"), expires_on: None };
    line.lots = giftproof::model::encoding::List::new(vec![lot]).unwrap();
    let who = [(Capacity::Taker, "red-cross")];
    world.accept(world.draft(recorded("red-cross", vec![line]), &who))
}

pub fn sent(world: &mut World, gift: EventHash, number: &str, quantity: u64) -> EventHash {
    let goods = portions(&[(gift, 1, Some("hospital-a"), quantity)]);
    let id = shipment("red-cross", number);
    let mut dispatch = dispatch(id, "hospital-a", Purpose::Issue, goods);
    dispatch.carrier = Some(handle("carrier"));
    let who = [(Capacity::Holder, "red-cross"), (Capacity::Carrier, "carrier")];
    world.accept(world.draft(dispatch, &who))
}

pub fn received(world: &mut World, gift: EventHash, number: &str, quantity: u64) -> EventHash {
    let arrival = arrival(goods(gift, 1, Some("hospital-a")), [quantity, 0, 0, 0, 0]);
    let receipt = receipt(shipment("red-cross", number), false, vec![arrival]);
    world.accept(world.draft(receipt, &[(Capacity::Taker, "hospital-a")]))
}

#[test]
fn a_received_gift_is_proven_complete() {
    let (mut world, gift) = journey();
    let included = check(&world, &prove(&world, About::Gift(gift)));
    assert_eq!(included.level(), Level::Included);
    seal(&mut world);
    let proof = prove(&world, About::Gift(gift));
    let proven = check(&world, &proof);
    assert_eq!(proven.level(), Level::Complete);
    assert_eq!(proven.seal.unwrap().index, world.state.size - 1);
    let verdict = Verdict::of(&proven.state, &proven.gift().unwrap(), proven.as_of);
    assert_eq!(verdict.headline, Headline::ReceivedInFull);
    // Entry 0; donation, dispatch, receipt; three parties; the seal.
    assert_eq!(proof.entries.len(), 8);
    agree(&world);
}

#[test]
fn what_came_after_the_seal_is_included_only() {
    let (mut world, gift) = journey();
    seal(&mut world);
    let dispute = Dispute { gift, claim: Claim::NotReceived, text: text("nobody saw it") };
    world.accept(world.draft(dispute, &[(Capacity::Speaker, "hospital-a")]));
    let proven = check(&world, &prove(&world, About::Gift(gift)));
    assert_eq!(proven.level(), Level::Complete);
    assert_eq!(proven.after_seal, [world.state.size - 1]);
    let verdict = Verdict::of(&proven.state, &proven.gift().unwrap(), proven.as_of);
    assert_eq!(verdict.headline, Headline::ReceivedWithDifferences);
}

#[test]
fn that_there_is_no_such_gift_needs_a_seal() {
    let (mut world, gift) = journey();
    seal(&mut world);
    let strange = GiftId::from(&EventHash::from_bytes([7; 32]));
    let proof = prove(&world, About::NoGift(strange));
    let proven = check(&world, &proof);
    assert_eq!((proven.level(), proven.gift().is_none()), (Level::Complete, true));

    // The same said of a gift that is there.
    let lie = ProofFile { about: About::NoGift(GiftId::from(&gift)), ..proof.clone() };
    assert_eq!(lie.check(&trust(&world)).unwrap_err().code, "proof-file/rows");
    let bare = ProofFile { seal: None, tables: Default::default(), ..proof };
    let fault = bare.check(&trust(&world)).unwrap_err();
    assert!(["proof-file/entry-extra", "proof-file/seal"].contains(&fault.code), "{fault:?}");
}

#[test]
fn only_the_trusted_ledger_proves_anything() {
    let (mut world, gift) = journey();
    seal(&mut world);
    let proof = prove(&world, About::Gift(gift));
    let mut other = World::bare();
    other.enrol("red-cross", Role::Charity, 2);
    let rules = Rules { inclusion_seconds: 1, ..rules() };
    let fault = proof.check(&trust(&World::under(rules))).unwrap_err();
    assert_eq!((fault.code, fault.at), ("trust/genesis", Some(0)));

    let checkpoint = Source(&world).checkpoint("hospital-a");
    let forged = ProofFile { checkpoint, ..proof };
    assert_eq!(forged.check(&trust(&world)).unwrap_err().code, "checkpoint/signature");
}

#[test]
fn no_bit_of_a_proof_can_be_turned() {
    let (mut world, gift) = journey();
    seal(&mut world);
    let bytes = prove(&world, About::Gift(gift)).to_bytes();
    let trust = trust(&world);
    let mut codes = BTreeSet::new();
    for at in 0..bytes.len() {
        let mut turned = bytes.clone();
        turned[at] ^= 1 << (at % 8);
        let outcome = ProofFile::parse(&turned).map_err(Into::into).and_then(|p| p.check(&trust));
        match outcome {
            Ok(_) => panic!("byte {at} does not matter"),
            Err(fault) => codes.insert(fault.code),
        };
    }
    for len in 0..bytes.len() {
        assert!(ProofFile::parse(&bytes[..len]).is_err(), "{len}");
    }
    assert!(codes.len() > 5, "{codes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The histories of the balance tests, with a seal somewhere in them.
    #[test]
    fn a_part_tells_of_a_gift_what_the_whole_log_tells(
        story in crate::balance::story(),
        sealed_after in any::<prop::sample::Index>(),
    ) {
        let world = crate::balance::told(&story, sealed_after.index(story.len().max(1)), |_| ());
        agree(&world);
    }
}
