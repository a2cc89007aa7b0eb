//! The balances against a naive model: every unit of goods is a thing of its own in a list, and
//! each event picks up things one by one and puts them down elsewhere.
//!
//! The model is written from the rules in words, not from the code: it has no accounts, no sums and
//! no folding. A voided event is left out, and all the others happen again from the beginning.

mod naive;
mod stories;

use std::collections::{BTreeMap, BTreeSet};

use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::state::{Book, Reached, Whereabouts};
use proptest::prelude::*;

use crate::util::*;
pub use naive::Act;
use naive::{Naive, Name, Proof, Ship, Ships, Thing, Where, Which, demand};
pub use stories::story;

const PARTIES: [&str; 5] = ["factory", "red-cross", "warehouse", "hospital-a", "clinic"];
/// The clinic gives as well as takes.
const HOSPITALS: [&str; 2] = ["hospital-a", "clinic"];
const PURPOSES: [Purpose; 4] = [Purpose::Issue, Purpose::Transfer, Purpose::Return, Purpose::Loan];

/// Who signs, and as what.
type Signing = Vec<(Capacity, Name)>;

/// The rules and the naive model, side by side.
#[derive(Clone)]
pub struct Both {
    pub world: World,
    naive: Naive,
    pub gifts: Vec<EventHash>,
    ships: Ships,
    /// Every accepted act with its event, who signed, and the shipments known before it.
    done: Vec<(Act, EventHash, Signing, Ships)>,
    voided: BTreeSet<usize>,
}

impl Both {
    pub fn new() -> Self {
        let mut world = World::new();
        let clinic = PartyEnrolled {
            handle: handle("clinic"),
            kind: PartyKind::Organisation,
            roles: List::new(vec![Role::Donor, Role::Recipient]).unwrap(),
            particulars: Particulars {
                name: text("clinic"),
                identifier: text(""),
                place: text(""),
            },
            key: key("clinic"),
        };
        let who = [
            (Capacity::NewKey, "clinic"),
            (Capacity::Registrar, "registrar-1"),
            (Capacity::Registrar, "registrar-2"),
        ];
        world.accept(world.draft(clinic, &who));
        Self {
            world,
            naive: Naive::default(),
            gifts: Vec::new(),
            ships: BTreeMap::new(),
            done: Vec::new(),
            voided: BTreeSet::new(),
        }
    }

    fn goods(&self, (gift, loose, meant): Which) -> Goods {
        let unit = if loose { UnitChoice::Loose } else { UnitChoice::Stated };
        let gift = self.gifts.get(gift).copied().unwrap_or(EventHash::from_bytes([9; 32]));
        Goods { unit, ..goods(gift, 1, meant) }
    }

    fn portions(&self, parts: &[(Which, u64)]) -> Option<Portions> {
        let portion = |(which, quantity): &(_, _)| Portion::new(self.goods(*which), *quantity);
        List::new(parts.iter().map(portion).collect()).ok()
    }

    /// The act's statement and who signs it; `None` for one that nobody can write down.
    fn write(&self, act: &Act) -> Option<(Statement, Signing)> {
        let by = |capacity, name: &Name| vec![(capacity, *name)];
        let id = |ship: &Ship| shipment(ship.0, &ship.1.to_string());
        let some = |which: &Which, quantity: &u64| self.portions(&[(*which, *quantity)]);
        Some(match act {
            Act::Give { donor, taker, signs, quantity, shares } => {
                let shares: Vec<_> =
                    HOSPITALS.into_iter().zip(*shares).filter(|(_, share)| *share > 0).collect();
                let lines = vec![line(1, "mask", *quantity, "box", &shares)];
                let mut donation = recorded("red-cross", lines);
                donation.taker = taker.map(handle);
                let mut who = Vec::new();
                if let Some(donor) = donor {
                    donation.donor.kind = DonorKind::Enrolled;
                    donation.donor.party = Some(handle(donor));
                    who.push((Capacity::Donor, *donor));
                }
                who.extend(taker.filter(|_| *signs).map(|taker| (Capacity::Taker, taker)));
                (donation.into(), who)
            }
            Act::Designate { holder, which, to, quantity, consent } => {
                let goods = self.goods(*which);
                let assignment = Assignment { goods, recipient: handle(to), quantity: *quantity };
                let statement = Designation {
                    holder: handle(holder),
                    order: None,
                    decided_by: text(holder),
                    decision: text(""),
                    consent: *consent,
                    assignments: List::new(vec![assignment]).unwrap(),
                };
                (statement.into(), by(Capacity::Holder, holder))
            }
            Act::Dispatch { ship, taker, purpose, parts } => {
                let statement = dispatch(id(ship), taker, *purpose, self.portions(parts)?);
                (statement.into(), by(Capacity::Holder, &ship.0))
            }
            Act::Receive { ship, taker, closing, which, came } => {
                let arrivals = vec![arrival(self.goods(*which), *came)];
                (receipt(id(ship), *closing, arrivals).into(), by(Capacity::Taker, taker))
            }
            Act::Hand { giver, taker, purpose, which, came } => {
                let arrivals = vec![arrival(self.goods(*which), *came)];
                let mut statement = receipt(shipment(giver, "0"), false, arrivals);
                (statement.shipment, statement.giver) = (None, Some(handle(giver)));
                statement.purpose = Some(*purpose);
                (statement.into(), vec![(Capacity::Taker, *taker), (Capacity::Holder, *giver)])
            }
            Act::Count { by: signer, which, found } => {
                let [opened, loose, passed, failed, shortage, surplus, found] = *found;
                let goods = self.goods(*which);
                let finding =
                    Finding { goods, opened, loose, passed, failed, shortage, surplus, found };
                let findings = List::new(vec![finding]).unwrap();
                let statement = Count { loose_unit: text("pcs"), findings };
                (statement.into(), by(Capacity::Holder, signer))
            }
            Act::Use { by: signer, which, quantity } => {
                let portions = some(which, quantity)?;
                let statement = Use { ward: text(""), purpose: text(""), portions };
                (statement.into(), by(Capacity::Holder, signer))
            }
            Act::Dispose { by: signer, condition, which, quantity } => {
                let statement = Disposal {
                    fate: Fate::Destroyed,
                    condition: *condition,
                    to: text(""),
                    proceeds: None,
                    portions: some(which, quantity)?,
                };
                (statement.into(), by(Capacity::Holder, signer))
            }
            Act::Hold { by: signer, which, quantity } => {
                let portions = some(which, quantity)?;
                let statement = Hold { cause: HoldCause::Recall, authority: text(""), portions };
                (statement.into(), by(Capacity::Holder, signer))
            }
            Act::Release { by: signer, which, quantity } => {
                let statement = Release { portions: some(which, quantity)? };
                (statement.into(), by(Capacity::Holder, signer))
            }
            Act::Withdraw { by: signer, which, quantity } => {
                let gives = ["factory", "clinic"].contains(signer);
                let capacity = if gives { Capacity::Donor } else { Capacity::Taker };
                let statement = Withdrawal { portions: some(which, quantity)? };
                (statement.into(), by(capacity, signer))
            }
            Act::Void { nth } => {
                let (_, target, who, _) = self.done.get(*nth)?;
                let target_index = self.world.index_of(target)?;
                let at = usize::try_from(target_index).unwrap();
                let target_kind = self.world.log.entries[at].event.frame.kind;
                let replacement = Blob::default();
                let statement =
                    Correction { target_index, target: *target, target_kind, replacement };
                (statement.into(), who.clone())
            }
        })
    }

    /// What the naive model makes of the act.
    fn rule(&self, act: &Act) -> Result<Naive, ()> {
        let mut naive = Naive::default();
        let Act::Void { nth } = act else {
            naive = self.naive.clone();
            return naive.happen(act, &self.ships).map(|()| naive);
        };
        match &self.done[*nth].0 {
            Act::Dispatch { ship, .. } => demand(!self.naive.received.contains(ship))?,
            // A gift is withdrawn, not voided.
            Act::Give { .. } => return Err(()),
            _ => {}
        }
        for (at, (act, _, _, ships)) in self.done.iter().enumerate() {
            if at != *nth && !self.voided.contains(&at) && !matches!(act, Act::Void { .. }) {
                naive.happen(act, ships)?;
            }
        }
        Ok(naive)
    }

    /// Both judge the act, and must agree. Says whether it was accepted; `None` if nobody can
    /// write it down.
    fn step(&mut self, act: &Act, aim: Option<usize>) -> Result<Option<bool>, TestCaseError> {
        let act = self.aimed(act, aim);
        if matches!(&act, Act::Void { nth } if self.voided.contains(nth)) {
            return Ok(None);
        }
        let Some((statement, who)) = self.write(&act) else { return Ok(None) };
        let draft: Draft = self.world.draft(statement, &who);
        if draft.frame().and_then(|frame| frame.open().map(|_| ())).is_err() {
            return Ok(None);
        }
        let before = self.world.state.clone();
        let naive = self.rule(&act);
        let event = self.world.submit(draft);
        prop_assert_eq!(event.is_ok(), naive.is_ok(), "{:?}: {:?}", act, event);
        let (Ok(event), Ok(naive)) = (event, naive) else {
            prop_assert_eq!(&self.world.state, &before, "refused, and changed: {:?}", act);
            return Ok(Some(false));
        };
        self.nothing_moves_unsigned(&before, &act, &who)?;
        let words = format!("{act:?}");
        self.happened(act, event, who, naive);
        self.agree(&words)?;
        Ok(Some(true))
    }

    /// What the naive model makes of an act, as an event that nobody has judged yet: the draft, and
    /// the model after it if it is to be accepted. `None` if nobody can write it down.
    pub fn plan(&self, act: &Act, aim: Option<usize>) -> Option<(Draft, Option<Self>)> {
        let act = self.aimed(act, aim);
        if matches!(&act, Act::Void { nth } if self.voided.contains(nth)) {
            return None;
        }
        let (statement, who) = self.write(&act)?;
        let mut draft = self.world.draft(statement, &who);
        if matches!(act, Act::Void { .. }) {
            draft.reason = Some(Reason { code: ReasonCode::Typing, text: text("") });
        }
        let frame = draft.frame().ok().filter(|frame| frame.open().is_ok())?;
        let after = self.rule(&act).ok().map(|naive| {
            let mut after = self.clone();
            after.happened(act, frame.hash(&self.world.state.genesis), who, naive);
            after
        });
        Some((draft, after))
    }

    /// Takes note of an act that was accepted as this event.
    fn happened(&mut self, act: Act, event: EventHash, who: Signing, naive: Naive) {
        self.naive = naive;
        let known = self.ships.clone();
        match &act {
            Act::Give { .. } => self.gifts.push(event),
            Act::Dispatch { ship, taker, purpose, .. } => {
                self.ships.insert(*ship, (taker, *purpose));
            }
            Act::Void { nth } => {
                self.voided.insert(*nth);
            }
            _ => {}
        }
        self.done.push((act, event, who, known));
    }

    /// Every gift is where both say.
    pub fn agree(&self, act: &str) -> Result<(), TestCaseError> {
        for (at, gift) in self.gifts.iter().enumerate() {
            prop_assert_eq!(
                picture(&self.world, *gift),
                self.naive.picture(at, &self.ships),
                "{}",
                act
            );
            let gift = &self.world.state.gifts.get(gift).unwrap();
            let made = gift.donated(1) + gift.surplus + gift.unpacked;
            prop_assert_eq!(gift.accounts.sum(|_| true), made, "conserved: {}", act);
            prop_assert_eq!(made, self.naive.made[at]);
        }
        Ok(())
    }

    /// What a party has leaves it only under its signature, and comes only under its signature.
    /// What a taker rejects comes back all the same, and a voided receipt takes that back.
    fn nothing_moves_unsigned(
        &self,
        before: &giftproof::model::state::State,
        act: &Act,
        who: &[(Capacity, Name)],
    ) -> Result<(), TestCaseError> {
        let voids_receipt = matches!(act, Act::Void { nth }
            if matches!(self.done[*nth].0, Act::Receive { .. }));
        for party in PARTIES.into_iter().filter(|party| who.iter().all(|(_, by)| by != party)) {
            for gift in &self.gifts {
                let has = |state: &giftproof::model::state::State| {
                    state.gifts.get(gift).unwrap().accounts.sum(|account| match &account.place {
                        Whereabouts::AtRest { holder, .. }
                        | Whereabouts::Inspected { holder, .. } => holder.as_str() == party,
                        _ => false,
                    })
                };
                let (had, has) = (has(before), has(&self.world.state));
                let rejects = matches!(act, Act::Receive { .. });
                prop_assert!(has >= had || voids_receipt, "{party} lost goods: {act:?}");
                prop_assert!(has <= had || rejects, "{party} got goods: {act:?}");
            }
        }
        Ok(())
    }

    /// Most random acts name goods that are not there; an aimed one names a thing that is.
    fn aimed(&self, act: &Act, aim: Option<usize>) -> Act {
        let mut act = act.clone();
        if let Act::Void { nth } = &mut act {
            *nth %= self.done.len().max(1);
        }
        let wanted = |thing: &&Thing| match act {
            Act::Receive { .. } => matches!(thing.at, Where::Moving(_)),
            Act::Withdraw { .. } => thing.at == Where::Announced,
            Act::Release { .. } => matches!(thing.at, Where::OnHold(_)),
            Act::Count { found, .. } if found[2] + found[3] > 0 => {
                matches!(thing.at, Where::Pending(..))
            }
            Act::Count { found, .. } if found[6] > 0 => matches!(thing.at, Where::Lost(..)),
            _ => true,
        };
        let things: Vec<&Thing> = self.naive.things.iter().filter(wanted).collect();
        let Some(aim) = aim.filter(|_| !things.is_empty()) else { return act };
        let thing = things[aim % things.len()];
        let it = (thing.gift, thing.loose, thing.meant);
        let who = match thing.at {
            Where::Announced | Where::Withdrawn => {
                self.naive.gifts[thing.gift].0.unwrap_or("factory")
            }
            Where::Good(who) | Where::Damaged(who) | Where::OnHold(who) => who,
            Where::Pending(who, _) | Where::Moving((who, _)) => who,
            Where::Used(who) | Where::Gone(who) | Where::Opened(who) => who,
            Where::Lost(giver, taker) => taker.unwrap_or(giver),
        };
        match &mut act {
            Act::Designate { holder, which, .. } => (*holder, *which) = (who, it),
            Act::Dispatch { ship, parts, .. } => (ship.0, parts[0].0) = (who, it),
            Act::Hand { giver, which, .. } => (*giver, *which) = (who, it),
            Act::Receive { ship, taker, which, .. } => {
                let Where::Moving(moving) = thing.at else { unreachable!("only such are wanted") };
                (*ship, *taker, *which) = (moving, self.ships[&moving].0, it);
            }
            Act::Withdraw { which, .. } => *which = it,
            Act::Count { by, which, .. }
            | Act::Use { by, which, .. }
            | Act::Dispose { by, which, .. }
            | Act::Hold { by, which, .. }
            | Act::Release { by, which, .. } => (*by, *which) = (who, it),
            Act::Give { .. } | Act::Void { .. } => {}
        }
        act
    }
}

/// The world after a story, with something done to it before the act of this number.
pub fn told(story: &[(Act, Option<usize>)], at: usize, between: fn(&mut World)) -> World {
    let mut both = Both::new();
    for (number, (act, aim)) in story.iter().enumerate() {
        if number == at {
            between(&mut both.world);
        }
        both.step(act, *aim).expect("the rules agree with the naive model");
    }
    both.world
}

fn picture(world: &World, gift: EventHash) -> BTreeMap<String, u64> {
    let mut picture = BTreeMap::new();
    for (account, quantity) in world.state.gifts.get(&gift).unwrap().accounts.iter() {
        let place = match &account.place {
            Whereabouts::Announced => "announced".to_owned(),
            Whereabouts::AtRest { holder, condition } => format!("{holder} {condition}"),
            Whereabouts::Inspected { holder, issued } => format!("{holder} pending {issued}"),
            Whereabouts::Moving { shipment, .. } => {
                format!("moving {} {}", shipment.giver, shipment.number.as_str())
            }
            Whereabouts::Used { by } => format!("used {by}"),
            Whereabouts::Disposed { by, .. } => format!("gone {by}"),
            Whereabouts::Unaccounted { giver, taker } => {
                format!("lost {giver} {:?}", taker.as_ref().map(|taker| taker.as_str()))
            }
            Whereabouts::Withdrawn => "withdrawn".to_owned(),
            Whereabouts::Opened { by } => format!("opened {by}"),
        };
        let proof = account.reached.map(|reached| match reached {
            Reached::OtherUnit => Proof::OtherUnit,
            Reached::RecordedAlone => Proof::Alone,
            Reached::Recipient(_) => Proof::Recipient,
        });
        let meant = account.meant_for.as_ref().map(|handle| handle.as_str());
        let loose = account.book == Book::Loose;
        if quantity > 0 {
            let counts = account.counts_as_reached().is_some();
            let words = format!("{place}, {meant:?}, {loose}, {proof:?}, {counts}");
            *picture.entry(words).or_insert(0) += quantity;
        }
    }
    picture
}

/// 100 stories, or as many as the variable `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(100, |_| config.cases);
    ProptestConfig { cases, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// A failure prints its seed and the shortest story that was found for it.
    #[test]
    fn the_rules_agree_with_things_carried_one_by_one(story in story()) {
        let mut both = Both::new();
        for (act, aim) in &story {
            both.step(act, *aim)?;
        }
    }

    /// What is kept of a state step by step comes to the same state.
    #[test]
    fn the_changes_of_a_story_make_up_its_state(story in story()) {
        let mut both = Both::new();
        both.world.state.take_changes().unwrap();
        let mut copy = both.world.state.clone();
        for steps in story.chunks(3) {
            for (act, aim) in steps {
                both.step(act, *aim)?;
            }
            copy.take_in(both.world.state.take_changes().unwrap());
            prop_assert!(copy == both.world.state);
        }
        prop_assert_eq!(copy.seal_statement(), both.world.state.seal_statement());
    }
}

/// The stories are worth something: each sort of act is accepted and refused in them.
#[test]
fn every_sort_of_act_happens_and_is_refused() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeSet<(String, bool)> = BTreeSet::new();
    for _ in 0..150 {
        let mut both = Both::new();
        for (act, aim) in story().new_tree(&mut runner).unwrap().current() {
            if let Some(accepted) = both.step(&act, aim).unwrap() {
                let sort = format!("{act:?}");
                let sort = sort.split(' ').next().unwrap().to_owned();
                seen.insert((sort, accepted));
            }
        }
    }
    let sorts: BTreeSet<&String> = seen.iter().map(|(sort, _)| sort).collect();
    assert_eq!(sorts.len(), 12);
    // Every gift that can be written down is accepted.
    for sort in sorts.into_iter().filter(|sort| *sort != "Give") {
        assert!(seen.contains(&(sort.clone(), true)), "{sort} was never accepted");
        assert!(seen.contains(&(sort.clone(), false)), "{sort} was never refused");
    }
}
