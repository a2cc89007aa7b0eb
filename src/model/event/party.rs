//! Parties, keys, the trust root (spec sections 5.1 to 5.10).

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::model::checkpoint::Origin;
use crate::model::date::Date;
use crate::model::encoding::{Keyed, List, Malformed, codes};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::text::Text;

codes! {
    /// What a party is.
    PartyKind {
        /// A legal person.
        Organisation = 1 "organisation",
        /// Several people without a legal person: a class, a village, a fan group.
        Group = 2 "group",
        /// A natural person, under a pseudonymous handle.
        Person = 3 "person",
    }

    /// What a party may do.
    Role {
        /// Gives.
        Donor = 1 "donor",
        /// Carries.
        Carrier = 2 "carrier",
        /// Uses what it gets: a hospital.
        Recipient = 3 "recipient",
        /// Collects gifts.
        Charity = 4 "charity",
        /// Stores.
        Warehouse = 5 "warehouse",
        /// Decides who gets what.
        Coordinator = 6 "coordinator",
        /// Makes goods, and recalls them.
        Maker = 7 "maker",
        /// Checks, and recalls.
        Regulator = 8 "regulator",
    }

    /// A clock of the ledger's policy (spec section 9).
    ClockKind {
        /// Days from a donation to its entry in the ledger.
        Disclosure = 1 "disclosure",
        /// Days from any other act to its entry.
        Filing = 2 "filing",
        /// Days from arrival to the recipient's receipt.
        Receipt = 3 "receipt",
        /// Days between reports of a campaign that lasts over six months.
        Report = 4 "report",
    }
}

impl Role {
    /// Whether a party in this role must be vouched for by k registrars.
    pub const fn is_vouched(self) -> bool {
        !matches!(self, Role::Donor | Role::Carrier)
    }

    /// Whether a party in this role may take goods into its custody.
    pub const fn takes_custody(self) -> bool {
        matches!(self, Role::Recipient | Role::Charity | Role::Warehouse | Role::Coordinator)
    }
}

/// A party of the trust root: handle, legal name, key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Identity {
    /// The handle.
    pub handle: Handle,
    /// The legal name.
    pub name: Text<200>,
    /// The key.
    pub key: KeyBytes,
}

impl Keyed for Identity {
    type Key<'a> = &'a Handle;

    fn key(&self) -> &Handle {
        &self.handle
    }
}

/// The registrars: at most 15, so that all of them and the operator can sign entry 0.
pub type Registrars = List<Identity, 15>;

/// A clock: so many days, on this legal basis.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Clock {
    /// Which clock.
    pub kind: ClockKind,
    /// Days allowed.
    pub days: u16,
    /// The law or rule, in words.
    pub basis: Text<400>,
}

impl Keyed for Clock {
    type Key<'a> = ClockKind;

    fn key(&self) -> ClockKind {
        self.kind
    }
}

/// What can be changed by `rules-changed`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Rules {
    /// The version of the rules of the spec; 1.
    pub version: u16,
    /// Minutes east of UTC, for the day on which a moment falls.
    pub offset_minutes: i16,
    /// The clocks.
    pub clocks: List<Clock, 16>,
    /// Seal after so many entries; 0 means no seals.
    pub seal_entries: u32,
    /// Seal after so many seconds when anything changed; 0 means no seals.
    pub seal_seconds: u32,
    /// A signed event handed in must be in the log after so many seconds.
    pub inclusion_seconds: u32,
}

/// Entry 0, signed by the operator and every registrar.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LedgerCreated {
    /// The log's name: a schema-less URL (C2SP tlog-checkpoint).
    pub origin: Text<255>,
    /// Who runs the ledger.
    pub operator: Identity,
    /// Who vouch for keys.
    pub registrars: Registrars,
    /// How many of them it takes.
    pub threshold: u8,
    /// The first rules.
    pub rules: Rules,
}

impl LedgerCreated {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if Origin::parse(self.origin.as_str()).is_none() {
            return Err(Malformed::new("genesis/origin"));
        }
        check_registrars(&self.registrars, self.threshold)?;
        let clash = |identity: &Identity| {
            identity.handle == self.operator.handle || identity.key == self.operator.key
        };
        if self.registrars.iter().any(clash) {
            return Err(Malformed::new("genesis/operator-is-registrar"));
        }
        self.rules.check()
    }
}

impl Rules {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.version != 1 {
            return Err(Malformed::new("rules/version"));
        }
        if self.offset_minutes.unsigned_abs() > 14 * 60 {
            return Err(Malformed::new("rules/offset"));
        }
        Ok(())
    }
}

/// k >= 2 and k > n/2, with n different keys.
pub(super) fn check_registrars(registrars: &Registrars, threshold: u8) -> Result<(), Malformed> {
    let n = registrars.len();
    let k = usize::from(threshold);
    if k < 2 || k > n || 2 * k <= n {
        return Err(Malformed::new("registrars/threshold"));
    }
    let mut keys: Vec<_> = registrars.iter().map(|identity| identity.key).collect();
    keys.sort();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Malformed::new("registrars/duplicate-key"));
    }
    Ok(())
}

/// What is known of a party.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Particulars {
    /// The legal name; a pseudonym for a natural person.
    pub name: Text<200>,
    /// Unified social credit code, GLN or the like.
    pub identifier: Text<40>,
    /// Where it is.
    pub place: Text<200>,
}

/// A party and its first key; signed by that key, and by registrars or the operator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartyEnrolled {
    /// The handle.
    pub handle: Handle,
    /// What it is.
    pub kind: PartyKind,
    /// What it may do.
    pub roles: List<Role, 8>,
    /// What is known of it.
    pub particulars: Particulars,
    /// Its first key.
    pub key: KeyBytes,
}

impl PartyEnrolled {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.roles.is_empty() {
            return Err(Malformed::new("party/no-role"));
        }
        if self.particulars.name.is_empty() {
            return Err(Malformed::new("party/no-name"));
        }
        Ok(())
    }
}

/// One more key; signed by it and k registrars.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct KeyAdded {
    /// Whose.
    pub handle: Handle,
    /// The key.
    pub key: KeyBytes,
}

/// A new key for an old one; signed by both, or by the new one and k registrars ("recovered").
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct KeyRotated {
    /// Whose.
    pub handle: Handle,
    /// The key that ends.
    pub old: KeyBytes,
    /// The key that begins.
    pub new: KeyBytes,
}

/// A key ends; signed by itself or by k registrars.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct KeyRevoked {
    /// Whose.
    pub handle: Handle,
    /// The key.
    pub key: KeyBytes,
}

/// A key was in the wrong hands since a day; voids nothing, shown with what it signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct KeyCompromised {
    /// Whose.
    pub handle: Handle,
    /// The key.
    pub key: KeyBytes,
    /// Since when.
    pub since: Date,
}

/// New particulars; by k registrars, which also ends a provisional enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartyUpdated {
    /// Whose.
    pub handle: Handle,
    /// What is known of it now.
    pub particulars: Particulars,
    /// Who took its place.
    pub successor: Option<Handle>,
}

/// Other registrars; signed by k of the old and all of the new.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RegistrarsChanged {
    /// The registrars from now on.
    pub registrars: Registrars,
    /// How many of them it takes.
    pub threshold: u8,
}

/// Another operator key; signed by it and k registrars.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct OperatorRotated {
    /// The key from the next entry on.
    pub key: KeyBytes,
}

/// Other rules; signed by k registrars.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RulesChanged {
    /// The rules from now on.
    pub rules: Rules,
}
