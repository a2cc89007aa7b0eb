//! The balances against a naive model: every unit of goods is a thing of its own in a list, and
//! each event picks up things one by one and puts them down elsewhere.
//!
//! The model is written from the rules in words, not from the code: it has no accounts, no sums and
//! no folding. A voided event is left out, and all the others happen again from the beginning.

use std::collections::{BTreeMap, BTreeSet};

use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::state::{Book, Reached, Whereabouts};
use proptest::prelude::*;
use proptest::sample::select;

use crate::util::*;

const PARTIES: [&str; 5] = ["factory", "red-cross", "warehouse", "hospital-a", "clinic"];
/// The clinic gives as well as takes.
const HOSPITALS: [&str; 2] = ["hospital-a", "clinic"];
const PURPOSES: [Purpose; 4] = [Purpose::Issue, Purpose::Transfer, Purpose::Return, Purpose::Loan];

type Name = &'static str;
/// Sender and number.
type Ship = (Name, u8);

/// Whose hands, on which shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    Announced,
    Good(Name),
    Damaged(Name),
    OnHold(Name),
    Pending(Name, bool),
    Moving(Ship),
    Lost(Name, Option<Name>),
    Used(Name),
    Gone(Name),
    Withdrawn,
    Opened(Name),
}

/// How well it is proven that a thing reached somebody; weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    OtherUnit,
    Alone,
    Recipient,
}

/// One piece, or one box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thing {
    gift: usize,
    loose: bool,
    meant: Option<Name>,
    at: Where,
    proof: Option<Proof>,
}

/// Which things: of a gift, boxes or loose pieces, meant for whom.
type Which = (usize, bool, Option<Name>);

#[derive(Clone, Debug)]
enum Act {
    /// Which enrolled donor gives it, if one does, who takes it, whether that one signs, how many,
    /// and for whom.
    Give {
        donor: Option<Name>,
        taker: Option<Name>,
        signs: bool,
        quantity: u64,
        shares: [u64; 2],
    },
    Designate {
        holder: Name,
        which: Which,
        to: Name,
        quantity: u64,
        consent: Consent,
    },
    Dispatch {
        ship: Ship,
        taker: Name,
        purpose: Purpose,
        parts: Vec<(Which, u64)>,
    },
    /// Accepted, pending, damaged, rejected, surplus.
    Receive {
        ship: Ship,
        taker: Name,
        closing: bool,
        which: Which,
        came: [u64; 5],
    },
    Hand {
        giver: Name,
        taker: Name,
        purpose: Purpose,
        which: Which,
        came: [u64; 5],
    },
    /// Opened, loose, passed, failed, shortage, surplus, found.
    Count {
        by: Name,
        which: Which,
        found: [u64; 7],
    },
    Use {
        by: Name,
        which: Which,
        quantity: u64,
    },
    Dispose {
        by: Name,
        condition: Condition,
        which: Which,
        quantity: u64,
    },
    Hold {
        by: Name,
        which: Which,
        quantity: u64,
    },
    Release {
        by: Name,
        which: Which,
        quantity: u64,
    },
    Withdraw {
        by: Name,
        which: Which,
        quantity: u64,
    },
    /// The so-manieth event that was accepted.
    Void {
        nth: usize,
    },
}

/// What the rules in words make of the acts so far.
#[derive(Clone, Default)]
struct Naive {
    things: Vec<Thing>,
    /// Donated, surplus and unpacked, for each gift.
    made: Vec<u64>,
    /// For each gift: whom it was given by, if by the factory, and its taker.
    gifts: Vec<(Option<Name>, Option<Name>)>,
    opened_once: BTreeSet<usize>,
    /// What was ever put into a shipment.
    sent: BTreeSet<(Ship, Which)>,
    received: BTreeSet<Ship>,
}

/// No is no: nothing has changed then, since the caller works on a copy.
type Ruling = Result<(), ()>;

fn demand(holds: bool) -> Ruling {
    if holds { Ok(()) } else { Err(()) }
}

impl Naive {
    fn known(&self, (gift, loose, _): Which) -> Ruling {
        demand(gift < self.gifts.len() && (!loose || self.opened_once.contains(&gift)))
    }

    fn is_there(thing: &Thing, (gift, loose, meant): Which, at: Where) -> bool {
        (thing.gift, thing.loose, thing.meant, thing.at) == (gift, loose, meant, at)
    }

    fn there(&self, which: Which, at: Where) -> u64 {
        self.things.iter().filter(|thing| Self::is_there(thing, which, at)).count() as u64
    }

    /// Moves so many, first those that have reached nobody, then those that are proven worst.
    fn carry(
        &mut self,
        which: Which,
        (from, to): (Where, Where),
        quantity: u64,
        proof: impl Fn(Option<Proof>) -> Option<Proof>,
    ) -> Ruling {
        for _ in 0..quantity {
            let here = self.things.iter_mut().filter(|thing| Self::is_there(thing, which, from));
            let thing = here.min_by_key(|thing| thing.proof).ok_or(())?;
            (thing.at, thing.proof) = (to, proof(thing.proof));
        }
        Ok(())
    }

    /// An enrolled donor has what it announced as soon as it acts as its holder.
    fn bring_forth(&mut self, which: Which, by: Name, quantity: u64) -> Ruling {
        if self.gifts[which.0].0 == Some(by) {
            let lacking = quantity.saturating_sub(self.there(which, Where::Good(by)));
            let part = lacking.min(self.there(which, Where::Announced));
            self.carry(which, (Where::Announced, Where::Good(by)), part, |proof| proof)?;
        }
        Ok(())
    }

    fn make(
        &mut self,
        (gift, loose, meant): Which,
        at: Where,
        quantity: u64,
        proof: Option<Proof>,
    ) {
        self.made[gift] += quantity;
        let thing = Thing { gift, loose, meant, at, proof };
        self.things.extend((0..quantity).map(|_| thing));
    }

    /// What arrives at `taker`, out of `from`; what it rejects goes back to the giver's shelf.
    fn arrive(
        &mut self,
        which: Which,
        from: Where,
        (giver, taker, purpose): (Name, Name, Purpose),
        came: [u64; 5],
    ) -> Ruling {
        let to_its_own = which.2 == Some(taker);
        let undone = purpose == Purpose::Return && !to_its_own;
        let keep = |proof: Option<Proof>| proof.filter(|_| !undone);
        let gain = match purpose {
            _ if to_its_own => Some(Proof::Recipient),
            Purpose::Issue => Some(Proof::OtherUnit),
            _ => None,
        };
        let issued = purpose == Purpose::Issue;
        let [accepted, pending, damaged, rejected, surplus] = came;
        self.carry(which, (from, Where::Good(taker)), accepted, |proof| keep(proof).max(gain))?;
        self.carry(which, (from, Where::Pending(taker, issued)), pending, keep)?;
        self.carry(which, (from, Where::Damaged(taker)), damaged, keep)?;
        if from == Where::Good(giver) {
            demand(self.there(which, from) >= rejected)?;
        } else {
            self.carry(which, (from, Where::Good(giver)), rejected, |proof| proof)?;
        }
        self.make(which, Where::Good(taker), surplus, None);
        Ok(())
    }

    /// `ships` tells for whom and what a shipment is, once it is known; it outlives voided events.
    fn happen(&mut self, act: &Act, ships: &BTreeMap<Ship, (Name, Purpose)>) -> Ruling {
        match act {
            Act::Give { donor, taker, signs, quantity, shares } => {
                let gift = self.gifts.len();
                self.gifts.push((*donor, *taker));
                self.made.push(0);
                let holder = taker.filter(|_| *signs);
                let at = holder.map_or(Where::Announced, Where::Good);
                let own = if donor.is_some() { Proof::Recipient } else { Proof::Alone };
                for (hospital, share) in HOSPITALS.into_iter().zip(*shares) {
                    let proof = (holder == Some(hospital)).then_some(own);
                    self.make((gift, false, Some(hospital)), at, share, proof);
                }
                self.make((gift, false, None), at, quantity - shares.iter().sum::<u64>(), None);
                Ok(())
            }
            Act::Designate { holder, which, to, quantity, consent } => {
                self.known(*which)?;
                // Meant for somebody already: then a change needs a word on consent.
                demand(which.2.is_none() || *consent == Consent::None)?;
                for _ in 0..*quantity {
                    let donor = self.gifts[which.0].0 == Some(*holder);
                    let free = |thing: &Thing, at| {
                        Self::is_there(thing, *which, at) && thing.proof.is_none()
                    };
                    let find = |at| self.things.iter().position(|thing| free(thing, at));
                    let announced = || find(Where::Announced).filter(|_| donor);
                    let found = find(Where::Good(holder)).or_else(announced).ok_or(())?;
                    self.things[found].meant = Some(to);
                }
                Ok(())
            }
            Act::Dispatch { ship, taker, purpose, parts } => {
                demand(*taker != "factory" || *purpose == Purpose::Return)?;
                demand(ships.get(ship).is_none_or(|known| known == &(*taker, *purpose)))?;
                demand(!self.received.contains(ship))?;
                for (which, quantity) in parts {
                    self.known(*which)?;
                    self.bring_forth(*which, ship.0, *quantity)?;
                    let way = (Where::Good(ship.0), Where::Moving(*ship));
                    self.carry(*which, way, *quantity, |proof| proof)?;
                    self.sent.insert((*ship, *which));
                }
                Ok(())
            }
            Act::Receive { ship, taker, closing, which, came } => {
                let known = ships.get(ship).filter(|known| known.0 == *taker);
                let back = known.is_some_and(|known| known.1 == Purpose::Return);
                demand(*taker != "factory" || back)?;
                self.known(*which)?;
                let Some((_, purpose)) = known else { return Ok(()) };
                self.received.insert(*ship);
                if !self.sent.contains(&(*ship, *which)) {
                    return Ok(());
                }
                let from = Where::Moving(*ship);
                self.arrive(*which, from, (ship.0, taker, *purpose), *came)?;
                if *closing {
                    let left = self.there(*which, from);
                    let undone = *purpose == Purpose::Return && which.2 != Some(*taker);
                    let lost = Where::Lost(ship.0, Some(taker));
                    self.carry(*which, (from, lost), left, |proof| proof.filter(|_| !undone))?;
                }
                Ok(())
            }
            Act::Hand { giver, taker, purpose, which, came } => {
                demand(*taker != "factory" || *purpose == Purpose::Return)?;
                self.known(*which)?;
                self.bring_forth(*which, giver, came[..4].iter().sum())?;
                let from = Where::Good(giver);
                // Out of nothing comes no surplus.
                demand(self.there(*which, from) > 0)?;
                self.arrive(*which, from, (giver, taker, *purpose), *came)
            }
            Act::Count { by, which, found } => {
                let [opened, loose, passed, failed, shortage, surplus, found] = *found;
                demand(which.0 < self.gifts.len())?;
                if opened > 0 {
                    demand(!which.1)?;
                    self.opened_once.insert(which.0);
                    let mut proofs = Vec::new();
                    for _ in 0..opened {
                        let here = self.things.iter_mut();
                        let here = here.filter(|t| Self::is_there(t, *which, Where::Good(by)));
                        let thing = here.min_by_key(|thing| thing.proof).ok_or(())?;
                        thing.at = Where::Opened(by);
                        proofs.push(thing.proof);
                    }
                    let weakest = proofs.into_iter().min().flatten();
                    self.make((which.0, true, which.2), Where::Good(by), loose, weakest);
                }
                self.known(*which)?;
                // Issued goods are inspected first.
                for (wanted, good) in [(passed, true), (failed, false)] {
                    for _ in 0..wanted {
                        let issued = self.there(*which, Where::Pending(by, true)) > 0;
                        let gain = match issued {
                            _ if !good => None,
                            _ if which.2 == Some(*by) => Some(Proof::Recipient),
                            true => Some(Proof::OtherUnit),
                            false => None,
                        };
                        let to = if good { Where::Good(by) } else { Where::Damaged(by) };
                        let way = (Where::Pending(by, issued), to);
                        self.carry(*which, way, 1, |proof| proof.max(gain))?;
                    }
                }
                let short = (Where::Good(*by), Where::Lost(by, None));
                self.carry(*which, short, shortage, |proof| proof)?;
                // Found in the order of who gave, and what nobody was to get first.
                for _ in 0..found {
                    let lost = self.things.iter().filter_map(|thing| match thing.at {
                        Where::Lost(giver, taker)
                            if (giver == *by || taker == Some(by))
                                && Self::is_there(thing, *which, thing.at) =>
                        {
                            Some((giver, taker))
                        }
                        _ => None,
                    });
                    let (giver, taker) = lost.min().ok_or(())?;
                    let arrived =
                        (taker == Some(by) && which.2 == Some(*by)).then_some(Proof::Recipient);
                    let way = (Where::Lost(giver, taker), Where::Good(by));
                    self.carry(*which, way, 1, |proof| proof.max(arrived))?;
                }
                if surplus > 0 {
                    // Only who has had these goods can find more of them.
                    let has = |thing: &Thing| match thing.at {
                        Where::Good(who) | Where::Damaged(who) | Where::OnHold(who) => who == *by,
                        Where::Pending(who, _) | Where::Lost(who, _) => who == *by,
                        Where::Used(who) | Where::Gone(who) | Where::Opened(who) => who == *by,
                        _ => false,
                    };
                    let here =
                        |thing: &Thing| Self::is_there(thing, *which, thing.at) && has(thing);
                    let sent = self.sent.iter().any(|(ship, what)| ship.0 == *by && what == which);
                    demand(self.things.iter().any(here) || sent)?;
                    self.make(*which, Where::Good(by), surplus, None);
                }
                Ok(())
            }
            Act::Use { by, which, quantity } => {
                self.known(*which)?;
                self.carry(*which, (Where::Good(by), Where::Used(by)), *quantity, |proof| proof)
            }
            Act::Dispose { by, condition, which, quantity } => {
                self.known(*which)?;
                let from = match condition {
                    Condition::Good => Where::Good(by),
                    Condition::Damaged => Where::Damaged(by),
                    Condition::OnHold => Where::OnHold(by),
                    Condition::Pending => {
                        for _ in 0..*quantity {
                            let issued = self.there(*which, Where::Pending(by, true)) > 0;
                            let way = (Where::Pending(by, issued), Where::Gone(by));
                            self.carry(*which, way, 1, |proof| proof)?;
                        }
                        return Ok(());
                    }
                };
                self.carry(*which, (from, Where::Gone(by)), *quantity, |proof| proof)
            }
            Act::Hold { by, which, quantity } => {
                self.known(*which)?;
                self.carry(*which, (Where::Good(by), Where::OnHold(by)), *quantity, |proof| proof)
            }
            Act::Release { by, which, quantity } => {
                self.known(*which)?;
                self.carry(*which, (Where::OnHold(by), Where::Good(by)), *quantity, |proof| proof)
            }
            Act::Withdraw { by, which, quantity } => {
                self.known(*which)?;
                let (donor, taker) = self.gifts[which.0];
                demand(donor == Some(*by) || taker == Some(*by))?;
                self.carry(*which, (Where::Announced, Where::Withdrawn), *quantity, |proof| proof)
            }
            Act::Void { .. } => unreachable!("the caller lets the others happen again"),
        }
    }

    /// How many things of a gift are where, meant for whom, how well proven, and whether that
    /// counts now: what is on its way back does not, nor do empty packs.
    fn picture(
        &self,
        gift: usize,
        ships: &BTreeMap<Ship, (Name, Purpose)>,
    ) -> BTreeMap<String, u64> {
        let mut picture = BTreeMap::new();
        for thing in self.things.iter().filter(|thing| thing.gift == gift) {
            let place = match thing.at {
                Where::Announced => "announced".to_owned(),
                Where::Good(who) => format!("{who} good"),
                Where::Damaged(who) => format!("{who} damaged"),
                Where::OnHold(who) => format!("{who} on-hold"),
                Where::Pending(who, issued) => format!("{who} pending {issued}"),
                Where::Moving((who, number)) => format!("moving {who} {number}"),
                Where::Lost(giver, taker) => format!("lost {giver} {taker:?}"),
                Where::Used(who) => format!("used {who}"),
                Where::Gone(who) => format!("gone {who}"),
                Where::Withdrawn => "withdrawn".to_owned(),
                Where::Opened(who) => format!("opened {who}"),
            };
            let counts = match thing.at {
                Where::Moving(ship) => {
                    let (taker, purpose) = ships[&ship];
                    purpose != Purpose::Return || thing.meant == Some(taker)
                }
                Where::Opened(_) => false,
                _ => true,
            };
            let (meant, proof) = (thing.meant, thing.proof);
            let counts = counts && proof.is_some();
            let words = format!("{place}, {meant:?}, {}, {proof:?}, {counts}", thing.loose);
            *picture.entry(words).or_insert(0) += 1;
        }
        picture
    }
}

/// The rules and the naive model, side by side.
struct Both {
    world: World,
    naive: Naive,
    gifts: Vec<EventHash>,
    ships: BTreeMap<Ship, (Name, Purpose)>,
    /// Every accepted act with its event, who signed, and the shipments known before it.
    done: Vec<(Act, EventHash, Vec<(Capacity, Name)>, BTreeMap<Ship, (Name, Purpose)>)>,
    voided: BTreeSet<usize>,
}

impl Both {
    fn new() -> Self {
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
    fn write(&self, act: &Act) -> Option<(Statement, Vec<(Capacity, Name)>)> {
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
                let target_index = self.world.state.index_of(target)?;
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
        for (at, gift) in self.gifts.iter().enumerate() {
            prop_assert_eq!(
                picture(&self.world, *gift),
                self.naive.picture(at, &self.ships),
                "{:?}",
                act
            );
            let gift = &self.world.state.gifts[gift];
            let made = gift.donated(1) + gift.surplus + gift.unpacked;
            prop_assert_eq!(gift.accounts.sum(|_| true), made, "conserved: {:?}", act);
            prop_assert_eq!(made, self.naive.made[at]);
        }
        self.done.push((act, event, who, known));
        Ok(Some(true))
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
                    state.gifts[gift].accounts.sum(|account| match &account.place {
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

fn picture(world: &World, gift: EventHash) -> BTreeMap<String, u64> {
    let mut picture = BTreeMap::new();
    for (account, quantity) in world.state.gifts[&gift].accounts.iter() {
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

fn party() -> impl Strategy<Value = Name> {
    select(PARTIES.to_vec())
}

fn purpose() -> impl Strategy<Value = Purpose> {
    select(PURPOSES.to_vec())
}

fn which() -> impl Strategy<Value = Which> {
    let meant = select(vec![None, Some("hospital-a"), Some("clinic")]);
    (0..3usize, any::<bool>(), meant)
}

fn ship() -> impl Strategy<Value = Ship> {
    (party(), 0..3u8)
}

/// Mostly nothing, else a few.
fn few<const N: usize>() -> impl Strategy<Value = [u64; N]> {
    proptest::array::uniform(prop_oneof![3 => Just(0u64), 2 => 1..4u64])
}

/// One thing found, or two; loose pieces only out of packs.
fn findings() -> impl Strategy<Value = [u64; 7]> {
    proptest::collection::vec((0..7usize, 1..4u64), 1..3).prop_map(|some| {
        let mut found = [0; 7];
        some.into_iter().for_each(|(at, quantity)| found[at] = quantity);
        found[0] = found[0].max(found[1].min(1));
        found
    })
}

fn giving() -> impl Strategy<Value = Act> {
    let donor = select(vec![None, Some("factory"), Some("clinic")]);
    let taker = select(vec![None, Some("red-cross"), Some("warehouse"), Some("hospital-a")]);
    let shares = [0..4u64, 0..4u64];
    (donor, taker, any::<bool>(), 0..4u64, shares).prop_map(
        |(donor, taker, signs, more, shares)| {
            let quantity = shares.iter().sum::<u64>() + more;
            let taker = if donor.is_some() { taker } else { taker.or(Some("red-cross")) };
            Act::Give { donor, taker, signs: signs || donor.is_none(), quantity, shares }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let consent = select(vec![Consent::None, Consent::NotNeeded, Consent::Signed]);
    let condition = select(Condition::ALL.to_vec());
    let part = || (which(), 1..4u64);
    let parts = prop_oneof![
        3 => part().prop_map(|part| vec![part]),
        1 => [part(), part()].prop_map(|parts| parts.to_vec()),
    ];
    prop_oneof![
        1 => giving(),
        3 => (party(), which(), select(HOSPITALS.to_vec()), 1..4u64, consent).prop_map(
            |(holder, which, to, quantity, consent)| {
                Act::Designate { holder, which, to, quantity, consent }
            }
        ),
        6 => (ship(), party(), purpose(), parts)
            .prop_map(|(ship, taker, purpose, parts)| Act::Dispatch { ship, taker, purpose, parts }),
        6 => (ship(), party(), any::<bool>(), which(), few()).prop_map(
            |(ship, taker, closing, which, came)| Act::Receive { ship, taker, closing, which, came }
        ),
        3 => (party(), party(), purpose(), which(), few()).prop_map(
            |(giver, taker, purpose, which, came)| Act::Hand { giver, taker, purpose, which, came }
        ),
        6 => (party(), which(), findings())
            .prop_map(|(by, which, found)| Act::Count { by, which, found }),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Use { by, which, quantity }),
        2 => (party(), condition, which(), 1..4u64).prop_map(
            |(by, condition, which, quantity)| Act::Dispose { by, condition, which, quantity }
        ),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Hold { by, which, quantity }),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Release { by, which, quantity }),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Withdraw { by, which, quantity }),
        3 => (0..60usize).prop_map(|nth| Act::Void { nth }),
    ]
}

fn story() -> impl Strategy<Value = Vec<(Act, Option<usize>)>> {
    let aim = || prop_oneof![4 => (0..40usize).prop_map(Some), 1 => Just(None)];
    let start = proptest::collection::vec((giving(), Just(None)), 1..3);
    let rest = proptest::collection::vec((act(), aim()), 0..60);
    (start, rest).prop_map(|(mut start, rest)| {
        start.extend(rest);
        start
    })
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
