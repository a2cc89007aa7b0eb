//! What an operator, or whoever hands a proof on, would like to leave out of it.

use super::*;

/// The proof without the entries of these kinds, and without those of these parties. All that
/// whoever hides can do is done: the tables are the honest ones, since they are under the seal.
fn without(proof: &ProofFile, hidden: impl Fn(&Statement, EntryIndex) -> bool) -> ProofFile {
    let genesis = giftproof::model::hash::leaf_hash(&proof.entries[0]);
    let stays = |bytes: &&Vec<u8>| {
        let entry = giftproof::model::entry::Entry::from_bytes(bytes).unwrap();
        let index = entry.header.index;
        let event = entry.event.open(&genesis).unwrap();
        !hidden(event.statement.as_ref().unwrap(), index)
    };
    let entries: Vec<Vec<u8>> = proof.entries.iter().filter(stays).cloned().collect();
    assert!(entries.len() < proof.entries.len(), "there is something to hide");
    ProofFile { entries, ..proof.clone() }
}

fn is(kind: Kind) -> impl Fn(&Statement, EntryIndex) -> bool {
    move |statement, _| statement.kind() == kind
}

/// Seals the world, checks that the gift's whole proof holds, and gives it.
fn sealed_proof(world: &mut World, gift: EventHash) -> ProofFile {
    seal(world);
    agree(world);
    prove(world, About::Gift(gift))
}

fn refused(world: &World, proof: &ProofFile) -> &'static str {
    proof.check(&trust(world)).unwrap_err().code
}

#[test]
fn a_dispute_cannot_be_hidden() {
    let (mut world, gift) = journey();
    let dispute = Dispute { gift, claim: Claim::NotReceived, text: text("nobody saw it") };
    world.accept(world.draft(dispute, &[(Capacity::Speaker, "hospital-a")]));
    let proof = sealed_proof(&mut world, gift);
    assert_eq!(refused(&world, &without(&proof, is(Kind::Dispute))), "proof-file/rows");
}

#[test]
fn a_correction_cannot_be_hidden() {
    let (mut world, gift) = journey();
    let target = world.state.size - 1;
    let event = world.log.entries[target as usize].event.clone();
    let target_hash = event.open(&world.state.genesis).unwrap().hash;
    let correction = Correction {
        target_index: target,
        target: target_hash,
        target_kind: Kind::Receipt as u16,
        replacement: giftproof::model::encoding::Blob::default(),
    };
    world.accept(world.draft(correction, &[(Capacity::Taker, "hospital-a")]));
    let proof = sealed_proof(&mut world, gift);
    assert_eq!(refused(&world, &without(&proof, is(Kind::Correction))), "proof-file/rows");
    // Nor what it corrects.
    let hidden = without(&proof, |_, index| index == target);
    assert_eq!(refused(&world, &hidden), "proof-file/chain");
}

#[test]
fn a_revoked_or_compromised_key_cannot_be_hidden() {
    for compromised in [false, true] {
        let (mut world, gift) = journey();
        let (handle, key) = (handle("hospital-a"), key("hospital-a"));
        let since = giftproof::model::date::Date::from_days(20_000).unwrap();
        let statement: Statement = if compromised {
            KeyCompromised { handle, key, since }.into()
        } else {
            KeyRevoked { handle, key }.into()
        };
        let kind = statement.kind();
        let who = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
        world.accept(world.draft(statement, &who));
        let proof = sealed_proof(&mut world, gift);
        assert_eq!(refused(&world, &without(&proof, is(kind))), "proof-file/rows");
    }
}

#[test]
fn a_recall_cannot_be_hidden() {
    for lot in ["L-77", ""] {
        let (mut world, gift) = journey();
        let recall = Recall {
            item: text("N95 mask"),
            lot: text(lot),
            number: text("R-1"),
            text: text("they leak"),
        };
        world.accept(world.draft(recall, &[(Capacity::Speaker, "mask-maker")]));
        let proof = sealed_proof(&mut world, gift);
        let of_maker = |statement: &Statement, _| match statement {
            Statement::Recall(_) => true,
            Statement::PartyEnrolled(s) => s.handle == handle("mask-maker"),
            _ => false,
        };
        assert_eq!(refused(&world, &without(&proof, of_maker)), "proof-file/rows");
    }
}

#[test]
fn a_change_of_registrars_cannot_be_hidden() {
    let (mut world, gift) = journey();
    let new = ["registrar-1", "registrar-2"].map(identity).to_vec();
    let changed = RegistrarsChanged {
        registrars: giftproof::model::encoding::List::new(new).unwrap(),
        threshold: 2,
    };
    let who = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    world.accept(world.draft(changed, &who));
    let proof = sealed_proof(&mut world, gift);
    assert_eq!(refused(&world, &without(&proof, is(Kind::RegistrarsChanged))), "proof-file/rows");
}

#[test]
fn a_delivery_of_the_shipment_cannot_be_hidden() {
    let mut world = World::new();
    let gift = given(&mut world);
    sent(&mut world, gift, "S-1", 500);
    let delivery = Delivery {
        shipment: shipment("red-cross", "S-1"),
        place: text("gate 3"),
        waybill: text(""),
        time: text(""),
    };
    world.accept(world.draft(delivery, &[(Capacity::Carrier, "carrier")]));
    let proof = sealed_proof(&mut world, gift);
    assert_eq!(refused(&world, &without(&proof, is(Kind::Delivery))), "proof-file/rows");
}

#[test]
fn what_lies_in_the_middle_cannot_be_hidden() {
    let (mut world, gift) = journey();
    let proof = sealed_proof(&mut world, gift);
    assert_eq!(refused(&world, &without(&proof, is(Kind::Dispatch))), "proof-file/chain");
}

#[test]
fn a_party_cannot_be_left_out() {
    let (mut world, gift) = journey();
    let proof = sealed_proof(&mut world, gift);
    let of_carrier = |statement: &Statement, _| match statement {
        Statement::PartyEnrolled(s) => s.handle == handle("carrier"),
        _ => false,
    };
    assert_eq!(refused(&world, &without(&proof, of_carrier)), "proof-file/rows");
}

#[test]
fn without_a_seal_nothing_is_called_complete() {
    let (mut world, gift) = journey();
    let before = prove(&world, About::Gift(gift));
    let dispute = Dispute { gift, claim: Claim::NotReceived, text: text("nobody saw it") };
    world.accept(world.draft(dispute, &[(Capacity::Speaker, "hospital-a")]));
    // The old proof still holds, and says what it is worth.
    assert_eq!(check(&world, &before).level(), Level::Included);
    let proof = prove(&world, About::Gift(gift));
    let hidden = without(&proof, is(Kind::Dispute));
    assert_eq!(refused(&world, &hidden), "proof-file/tree");
}

#[test]
fn another_entry_does_not_slip_in() {
    let (mut world, gift) = journey();
    let other = given(&mut world);
    let proof = sealed_proof(&mut world, gift);
    let mut entries = proof.entries.clone();
    let index = world.state.gifts.get(&other).unwrap().entries[0];
    let at = entries.partition_point(|bytes| {
        giftproof::model::entry::Entry::from_bytes(bytes).unwrap().header.index < index
    });
    entries.insert(at, world.log.entries[index as usize].to_bytes());
    let padded = ProofFile { entries, ..proof };
    assert_eq!(refused(&world, &padded), "proof-file/entry-extra");
}
