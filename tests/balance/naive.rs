//! What happens to goods, thing by thing.

use std::collections::{BTreeMap, BTreeSet};

use giftproof::model::event::{Condition, Consent, Purpose};

use super::HOSPITALS;

pub type Name = &'static str;
/// Sender and number.
pub type Ship = (Name, u8);
/// For whom each shipment is, and what for.
pub type Ships = BTreeMap<Ship, (Name, Purpose)>;

/// Whose hands, on which shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
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
pub enum Proof {
    OtherUnit,
    Alone,
    Recipient,
}

/// One piece, or one box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thing {
    pub gift: usize,
    pub loose: bool,
    pub meant: Option<Name>,
    pub at: Where,
    pub proof: Option<Proof>,
}

/// Which things: of a gift, boxes or loose pieces, meant for whom.
pub type Which = (usize, bool, Option<Name>);

#[derive(Clone, Debug)]
pub enum Act {
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
pub struct Naive {
    pub things: Vec<Thing>,
    /// Donated, surplus and unpacked, for each gift.
    pub made: Vec<u64>,
    /// For each gift: whom it was given by, if by the factory, and its taker.
    pub gifts: Vec<(Option<Name>, Option<Name>)>,
    opened_once: BTreeSet<usize>,
    /// What was ever put into a shipment.
    sent: BTreeSet<(Ship, Which)>,
    pub received: BTreeSet<Ship>,
}

/// No is no: nothing has changed then, since the caller works on a copy.
pub type Ruling = Result<(), ()>;

pub fn demand(holds: bool) -> Ruling {
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
    pub fn happen(&mut self, act: &Act, ships: &Ships) -> Ruling {
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
                let short = (Where::Good(by), Where::Lost(by, None));
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
    pub fn picture(&self, gift: usize, ships: &Ships) -> BTreeMap<String, u64> {
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
