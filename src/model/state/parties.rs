//! Who may say what: parties, registrars, the operator, and every key that ever was (spec
//! section 7).
//!
//! A key belongs to one owner for ever, in one role of the system. Everything takes effect at its
//! own index and never backwards.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::gift_keys::{GiftKey, GiftKeys};
use crate::model::changed::Tracked;
use crate::model::date::Date;
use crate::model::encoding::List;
use crate::model::event::{
    KeyAdded, KeyCompromised, KeyRevoked, KeyRotated, OperatorRotated, Particulars, PartyEnrolled,
    PartyKind, PartyUpdated, Registrars, RegistrarsChanged, Role,
};
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, GiftId, Handle, KeyBytes};
use crate::model::text::Text;
use crate::model::violation::{Code, Detail, Violation};

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Owner {
    /// A party's.
    Party(Handle),
    /// A registrar's.
    Registrar(Handle),
    /// The operator's.
    Operator,
}

/// With which entry a key that is no gift's began, and as which of that entry's: what names it in a
/// few bytes, in a part of the log as in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct KeyOrigin {
    /// The entry.
    pub index: EntryIndex,
    place: u8,
}

impl From<EntryIndex> for KeyOrigin {
    /// The origin of an entry's only new key.
    fn from(index: EntryIndex) -> Self {
        Self { index, place: 0 }
    }
}

/// The life of a key that is no gift's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KeyRecord {
    /// Whose it is.
    pub owner: Owner,
    /// With what it began; no other key has the same.
    pub origin: KeyOrigin,
    /// The entry with which it ended.
    pub ended: Option<EntryIndex>,
    /// It replaced a lost key on the registrars' word.
    pub recovered: bool,
    /// It was in the wrong hands since.
    pub compromised_since: Option<Date>,
}

/// How well a party's signature is vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Fewer than k registrars vouched, or only the operator admitted it.
    Provisional,
    /// Vouched for, with a key that replaced a lost one on the registrars' word.
    Recovered,
    /// Vouched for by k registrars.
    Vouched,
}

/// An enrolled party.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Party {
    /// Its handle.
    pub handle: Handle,
    /// What it is.
    pub kind: PartyKind,
    /// What it may do.
    pub roles: List<Role, 8>,
    /// What is known of it.
    pub particulars: Particulars,
    /// Who took its place.
    pub successor: Option<Handle>,
    /// The entry with which it was enrolled.
    pub enrolled_at: EntryIndex,
    /// The entry from which k registrars vouch for it.
    pub vouched_since: Option<EntryIndex>,
    /// The registrars who vouched.
    pub vouchers: Vec<Handle>,
    /// Its keys, oldest first, ended ones too.
    pub keys: Vec<KeyBytes>,
}

impl Party {
    /// Whether it has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether any of its roles must be vouched for.
    pub fn needs_vouching(&self) -> bool {
        self.roles.iter().any(|role| role.is_vouched())
    }
}

/// All parties and keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Parties {
    /// The operator's handle.
    pub operator: Handle,
    /// The operator's legal name.
    pub operator_name: Text<200>,
    /// The operator's keys, each with the entry with which it began.
    pub operator_keys: Vec<(EntryIndex, KeyBytes)>,
    /// The registrars.
    pub registrars: Registrars,
    /// How many of them it takes.
    pub threshold: u8,
    parties: Tracked<Handle, Party>,
    keys: Tracked<KeyBytes, KeyRecord>,
    gift_keys: GiftKeys,
    /// The keys that were in the wrong hands at some time: few.
    compromised: BTreeMap<KeyOrigin, KeyBytes>,
    /// Names of registrars that are none any more: nobody else gets their handles.
    former: BTreeMap<Handle, Text<200>>,
}

/// What has changed in parties and keys; what is short, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct PartyChanges {
    operator_keys: Vec<(EntryIndex, KeyBytes)>,
    registrars: Registrars,
    threshold: u8,
    compromised: BTreeMap<KeyOrigin, KeyBytes>,
    former: BTreeMap<Handle, Text<200>>,
    parties: Vec<(Handle, Party)>,
    keys: Vec<(KeyBytes, KeyRecord)>,
    gift_keys: Vec<GiftKey>,
}

impl Parties {
    pub(super) fn new(genesis: &crate::model::event::LedgerCreated) -> Result<Self, Violation> {
        let mut parties = Self {
            operator: genesis.operator.handle.clone(),
            operator_name: genesis.operator.name.clone(),
            operator_keys: Vec::new(),
            registrars: genesis.registrars.clone(),
            threshold: genesis.threshold,
            parties: Tracked::default(),
            keys: Tracked::default(),
            gift_keys: GiftKeys::default(),
            compromised: BTreeMap::new(),
            former: BTreeMap::new(),
        };
        parties.add_key(genesis.operator.key, Owner::Operator, 0.into(), false)?;
        parties.operator_keys.push((0, genesis.operator.key));
        for (place, registrar) in (1..).zip(&genesis.registrars) {
            let owner = Owner::Registrar(registrar.handle.clone());
            parties.add_key(registrar.key, owner, KeyOrigin { index: 0, place }, false)?;
        }
        Ok(parties)
    }

    /// The party with this handle.
    pub fn get(&self, handle: &Handle) -> Option<&Party> {
        self.parties.get(handle)
    }

    /// Every party, by handle.
    pub fn iter(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// What is known of a key, if it is no gift's.
    pub fn key(&self, key: &KeyBytes) -> Option<&KeyRecord> {
        self.keys.get(key)
    }

    /// The key of this origin, and since when it was in the wrong hands, if it was.
    pub fn compromised(&self, origin: KeyOrigin) -> Option<(KeyBytes, Date)> {
        let key = *self.compromised.get(&origin)?;
        Some((key, self.keys.get(&key)?.compromised_since?))
    }

    /// What is known of a gift's own key.
    pub fn gift_key(&self, key: &KeyBytes) -> Option<&GiftKey> {
        self.gift_keys.get(key)
    }

    /// Whether a key is somebody's, or was.
    pub fn is_taken(&self, key: &KeyBytes) -> bool {
        self.keys.contains_key(key) || self.gift_keys.get(key).is_some()
    }

    /// The legal name behind a handle, of parties, the operator, and registrars, former ones too.
    pub fn name<'a>(&'a self, handle: &'a Handle) -> Option<&'a str> {
        if *handle == self.operator {
            return Some(self.operator_name.as_str());
        }
        let registrar = self.registrars.find(handle).map(|registrar| &registrar.name);
        let party = || self.parties.get(handle).map(|party| &party.particulars.name);
        let former = || self.former.get(handle);
        registrar.or_else(party).or_else(former).map(Text::as_str)
    }

    /// The operator key that signs a checkpoint of this size: the one valid at index size - 1.
    pub fn operator_key_at(&self, size: u64) -> KeyBytes {
        let valid = |(since, _): &&(EntryIndex, KeyBytes)| *since < size.max(1);
        self.operator_keys.iter().rev().find(valid).expect("the first begins at entry 0").1
    }

    /// How well a party's signature with this key at this entry was vouched for.
    pub fn standing(&self, handle: &Handle, key: &KeyBytes, at: EntryIndex) -> Standing {
        let vouched = |party: &Party| party.vouched_since.is_some_and(|since| since <= at);
        if !self.parties.get(handle).is_some_and(vouched) {
            Standing::Provisional
        } else if self.keys.get(key).is_some_and(|record| record.recovered) {
            Standing::Recovered
        } else {
            Standing::Vouched
        }
    }

    /// The party, if it is enrolled.
    pub(super) fn require(&self, handle: &Handle) -> Result<&Party, Violation> {
        self.parties.get(handle).ok_or_else(|| Violation::new(Code::PartyUnknown, handle, ()))
    }

    /// The party, if it has one of these roles.
    pub(super) fn require_role(
        &self,
        handle: &Handle,
        roles: &[Role],
    ) -> Result<&Party, Violation> {
        let party = self.require(handle)?;
        if roles.iter().any(|role| party.has(*role)) {
            return Ok(party);
        }
        Err(Violation::new(Code::PartyRole, roles[0].word(), handle))
    }

    /// The party, if it may take goods into its custody.
    pub(super) fn require_custodian(&self, handle: &Handle) -> Result<&Party, Violation> {
        let party = self.require(handle)?;
        if party.roles.iter().any(|role| role.takes_custody()) {
            return Ok(party);
        }
        Err(Violation::new(Code::PartyRole, Role::Warehouse.word(), handle))
    }

    /// Whether a key is this owner's and has not ended.
    pub(super) fn check_key(&self, key: &KeyBytes, owner: &Owner) -> Result<(), Violation> {
        let record = self.keys.get(key).filter(|record| record.owner == *owner);
        check_life(key, record.map(|record| record.ended), || match owner {
            Owner::Party(handle) | Owner::Registrar(handle) => handle.into(),
            Owner::Operator => "operator".into(),
        })
    }

    /// Whether a key is this gift's and has not ended.
    pub(super) fn check_gift_key(&self, key: &KeyBytes, gift: &EventHash) -> Result<(), Violation> {
        let record = self.gift_keys.get(key).filter(|record| record.gift() == GiftId::from(gift));
        check_life(key, record.map(GiftKey::ended), || (*gift).into())
    }

    /// Whether a key may come in: valid, and nobody's yet.
    pub(super) fn check_new_key(&self, key: &KeyBytes) -> Result<(), Violation> {
        if let Err(fault) = key.check() {
            return Err(Violation::new(Code::KeyInvalid, fault.code(), *key));
        }
        if self.is_taken(key) {
            return Err(Violation::new(Code::KeyTaken, (), *key));
        }
        Ok(())
    }

    pub(super) fn add_key(
        &mut self,
        key: KeyBytes,
        owner: Owner,
        origin: KeyOrigin,
        recovered: bool,
    ) -> Result<(), Violation> {
        self.check_new_key(&key)?;
        let (ended, compromised_since) = (None, None);
        let record = KeyRecord { owner, origin, ended, recovered, compromised_since };
        self.keys.insert(key, record);
        Ok(())
    }

    pub(super) fn add_gift_key(
        &mut self,
        key: KeyBytes,
        gift: &EventHash,
        at: EntryIndex,
    ) -> Result<(), Violation> {
        self.check_new_key(&key)?;
        self.gift_keys.insert(key, GiftId::from(gift), at);
        Ok(())
    }

    pub(super) fn end_key(&mut self, key: &KeyBytes, at: EntryIndex) {
        match self.keys.get_mut(key) {
            Some(record) => drop(record.ended.get_or_insert(at)),
            None => self.gift_keys.end(key, at),
        }
    }

    /// Whether a handle is a registrar's, or was.
    pub(super) fn is_registrars(&self, handle: &Handle) -> bool {
        self.registrars.find(handle).is_some() || self.former.contains_key(handle)
    }

    /// A handle that nobody has or had: who once spoke under it is still quoted in disputes and
    /// recalls.
    pub(super) fn check_new_handle(&self, handle: &Handle) -> Result<(), Violation> {
        let taken = *handle == self.operator
            || self.is_registrars(handle)
            || self.parties.contains_key(handle);
        if taken { Err(Violation::new(Code::PartyExists, (), handle)) } else { Ok(()) }
    }

    pub(super) fn enrol(
        &mut self,
        statement: &PartyEnrolled,
        vouchers: Vec<Handle>,
        at: EntryIndex,
    ) -> Result<(), Violation> {
        let owner = Owner::Party(statement.handle.clone());
        self.add_key(statement.key, owner, at.into(), false)?;
        let vouched = vouchers.len() >= usize::from(self.threshold);
        let party = Party {
            handle: statement.handle.clone(),
            kind: statement.kind,
            roles: statement.roles.clone(),
            particulars: statement.particulars.clone(),
            successor: None,
            enrolled_at: at,
            vouched_since: vouched.then_some(at),
            vouchers,
            keys: vec![statement.key],
        };
        self.parties.insert(party.handle.clone(), party);
        Ok(())
    }

    pub(super) fn key_added(
        &mut self,
        statement: &KeyAdded,
        at: EntryIndex,
    ) -> Result<(), Violation> {
        self.add_key(statement.key, Owner::Party(statement.handle.clone()), at.into(), false)?;
        self.party_mut(&statement.handle).keys.push(statement.key);
        Ok(())
    }

    pub(super) fn key_rotated(
        &mut self,
        statement: &KeyRotated,
        recovered: bool,
        at: EntryIndex,
    ) -> Result<(), Violation> {
        // A key that stands on the registrars' word hands no more than that to its successor.
        let recovered = recovered || self.keys.get(&statement.old).is_some_and(|old| old.recovered);
        let owner = Owner::Party(statement.handle.clone());
        self.add_key(statement.new, owner, at.into(), recovered)?;
        self.end_key(&statement.old, at);
        self.party_mut(&statement.handle).keys.push(statement.new);
        Ok(())
    }

    pub(super) fn key_revoked(&mut self, statement: &KeyRevoked, at: EntryIndex) {
        self.end_key(&statement.key, at);
    }

    pub(super) fn key_compromised(&mut self, statement: &KeyCompromised) {
        if let Some(record) = self.keys.get_mut(&statement.key) {
            let since =
                record.compromised_since.map_or(statement.since, |s| s.min(statement.since));
            record.compromised_since = Some(since);
            self.compromised.insert(record.origin, statement.key);
        }
    }

    pub(super) fn updated(
        &mut self,
        statement: &PartyUpdated,
        vouchers: Vec<Handle>,
        at: EntryIndex,
    ) {
        let vouched = vouchers.len() >= usize::from(self.threshold);
        let party = self.party_mut(&statement.handle);
        party.particulars = statement.particulars.clone();
        party.successor = statement.successor.clone();
        if vouched && party.vouched_since.is_none() {
            party.vouched_since = Some(at);
            party.vouchers = vouchers;
        }
    }

    pub(super) fn registrars_changed(
        &mut self,
        statement: &RegistrarsChanged,
        at: EntryIndex,
    ) -> Result<(), Violation> {
        let old = self.registrars.clone();
        for (place, registrar) in (0..).zip(&statement.registrars) {
            if !old.contains(registrar) {
                let owner = Owner::Registrar(registrar.handle.clone());
                self.add_key(registrar.key, owner, KeyOrigin { index: at, place }, false)?;
            }
        }
        for registrar in &old {
            if !statement.registrars.iter().any(|kept| kept.key == registrar.key) {
                self.end_key(&registrar.key, at);
            }
        }
        let names = old.iter().map(|registrar| (registrar.handle.clone(), registrar.name.clone()));
        self.former.extend(names);
        for registrar in &statement.registrars {
            self.former.remove(&registrar.handle);
        }
        self.registrars = statement.registrars.clone();
        self.threshold = statement.threshold;
        Ok(())
    }

    pub(super) fn operator_rotated(
        &mut self,
        statement: &OperatorRotated,
        at: EntryIndex,
    ) -> Result<(), Violation> {
        self.add_key(statement.key, Owner::Operator, at.into(), false)?;
        let old = self.operator_keys.last().expect("the first begins at entry 0").1;
        self.end_key(&old, at);
        self.operator_keys.push((at, statement.key));
        Ok(())
    }

    /// What has changed since this was asked last; the first time, little.
    pub(super) fn take_changes(&mut self) -> PartyChanges {
        PartyChanges {
            operator_keys: self.operator_keys.clone(),
            registrars: self.registrars.clone(),
            threshold: self.threshold,
            compromised: self.compromised.clone(),
            former: self.former.clone(),
            parties: self.parties.take_changes(),
            keys: self.keys.take_changes(),
            gift_keys: self.gift_keys.take_changes(),
        }
    }

    /// Makes the changes that others of the same beginning have seen.
    pub(super) fn take_in(&mut self, changes: PartyChanges) {
        self.operator_keys = changes.operator_keys;
        self.registrars = changes.registrars;
        self.threshold = changes.threshold;
        self.compromised = changes.compromised;
        self.former = changes.former;
        self.parties.take_in(changes.parties);
        self.keys.take_in(changes.keys);
        self.gift_keys.take_in(changes.gift_keys);
    }

    fn party_mut(&mut self, handle: &Handle) -> &mut Party {
        self.parties.get_mut(handle).expect("the caller has required the party")
    }
}

/// What a key's end says of it; none if it is not its owner's.
fn check_life(
    key: &KeyBytes,
    ended: Option<Option<EntryIndex>>,
    owner: impl FnOnce() -> Detail,
) -> Result<(), Violation> {
    let found = (*key).into();
    match ended {
        None => Err(Violation { code: Code::KeyNotOfParty, expected: owner(), found }),
        Some(Some(ended)) => Err(Violation::new(Code::KeyEnded, *key, ended)),
        Some(None) => Ok(()),
    }
}
