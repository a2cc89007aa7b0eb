//! The demonstration's own small world: a ledger, a clock set by hand, and everybody's keys.

use std::path::Path;

use crate::import::{Keyring, Plan, Rehearsed, Signing, rehearse};
use crate::model::date::{Date, UnixMs};
use crate::model::draft::Draft;
use crate::model::encoding::List;
use crate::model::entry::{NO_LEAF, SignedEvent};
use crate::model::event::*;
use crate::model::hash::{EventHash, LeafHash, document_hash};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::state::State;
use crate::model::text::Text;
use crate::writer::{Clock as WriterClock, ManualClock, Writer};

use super::DemoError;

/// The log's name.
pub const ORIGIN: &str = "demo.giftproof.example/wuhan-2020";
/// Who runs the ledger.
pub const OPERATOR: &str = "demo-operator";
/// Who vouch for keys; two of the three suffice.
pub const REGISTRARS: [&str; 3] = ["demo-registrar-1", "demo-registrar-2", "demo-registrar-3"];

/// 2026-03-02 09:00 at UTC+8: the demonstration does not pretend to be older than its keys.
const START: UnixMs = UnixMs(1_772_413_200_000);
const DAY_MS: u64 = 86_400_000;
/// Minutes between China and UTC.
const OFFSET_MINUTES: i16 = 480;

/// What all keys and nonces of a run are made from.
#[derive(Clone, Debug)]
pub struct Seed(String);

impl Seed {
    /// A seed that anybody can repeat.
    pub fn of_number(number: u64) -> Self {
        Self(format!("number {number}"))
    }

    /// A seed of random bytes.
    pub fn of_bytes(bytes: &[u8; 32]) -> Self {
        Self(format!("bytes {}", hex::encode(bytes)))
    }

    fn derive(&self, what: &str, name: &str) -> [u8; 32] {
        let text = format!("giftproof demo\n{}\n{what}\n{name}\n", self.0);
        *document_hash(text.as_bytes()).as_bytes()
    }

    /// The key that belongs to a name.
    pub fn secret(&self, name: &str) -> SecretKey {
        SecretKey::from_seed(&self.derive("key", name))
    }
}

/// Somebody who signs.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A party, in a capacity.
    Party(Capacity, &'a str),
    /// A party, with a key that is derived from another name.
    With(Capacity, &'a str, &'a str),
    /// A key that belongs to a gift alone, by the name that it is derived from.
    Key(Capacity, &'a str),
}

/// Where the demonstration plays.
pub struct Stage {
    writer: Writer,
    clock: ManualClock,
    seed: Seed,
    genesis: LeafHash,
    nonces: u64,
    waiting: Vec<SignedEvent>,
}

impl Stage {
    /// Creates the ledger.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn create(dir: &Path, seed: Seed) -> Result<Self, DemoError> {
        let clock = ManualClock::new(START);
        let genesis = genesis(&seed)?;
        let operator = seed.secret(OPERATOR);
        let writer = Writer::create(dir, genesis, operator, WriterClock::Manual(clock.clone()))?;
        let genesis = writer.genesis();
        Ok(Self { writer, clock, seed, genesis, nonces: 0, waiting: Vec::new() })
    }

    /// What keys are made from.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The key that belongs to a name.
    pub fn key(&self, name: &str) -> KeyBytes {
        self.seed.secret(name).public().into()
    }

    /// The present day.
    pub fn today(&self) -> Date {
        self.clock.now().date(OFFSET_MINUTES)
    }

    /// The day so many days ago.
    pub fn days_ago(&self, days: i32) -> Date {
        let zero = Date::from_days(0).expect("1970 is within the bounds");
        Date::from_days(self.today().days_since(zero) - days).expect("the present is far from them")
    }

    /// Lets days pass; what waits is recorded before.
    ///
    /// # Errors
    /// See [`Self::record`].
    pub fn wait(&mut self, days: u64) -> Result<(), DemoError> {
        self.record()?;
        self.clock.set(UnixMs(self.clock.now().0 + days * DAY_MS));
        Ok(())
    }

    /// A draft of today.
    pub fn draft(&mut self, statement: impl Into<Statement>) -> Draft {
        self.nonces += 1;
        let nonce = self.seed.derive("nonce", &self.nonces.to_string());
        let nonce = *nonce.first_chunk().expect("32 bytes begin with 16");
        Draft::new(statement, self.clock.now(), nonce).on(self.today())
    }

    /// Signs a draft, and keeps it until the next [`Self::record`]. Gives the event's hash.
    ///
    /// # Errors
    /// Where the draft is malformed.
    pub fn sign(&mut self, mut draft: Draft, by: &[By]) -> Result<EventHash, DemoError> {
        let mut keys = Vec::new();
        for signer in by {
            let (capacity, party, name) = match signer {
                By::Party(capacity, name) => (*capacity, Some(handle(name)), name),
                By::With(capacity, party, name) => (*capacity, Some(handle(party)), name),
                By::Key(capacity, name) => (*capacity, None, name),
            };
            let key = self.seed.secret(name);
            draft = draft.signer(capacity, party.as_ref(), key.public().into());
            keys.push(key);
        }
        let signed = draft.sign(&self.genesis, &keys.iter().collect::<Vec<_>>())?;
        let hash = signed.frame.hash(&self.genesis);
        self.waiting.push(signed);
        Ok(hash)
    }

    /// Signs a statement of today.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn say(
        &mut self,
        statement: impl Into<Statement>,
        by: &[By],
    ) -> Result<EventHash, DemoError> {
        let draft = self.draft(statement);
        self.sign(draft, by)
    }

    /// Enrols a party with so many registrars; with none, the operator admits it.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn enrol(
        &mut self,
        name: &str,
        legal_name: &str,
        place: &str,
        role: Role,
        registrars: usize,
    ) -> Result<(), DemoError> {
        let statement = PartyEnrolled {
            handle: handle(name),
            kind: PartyKind::Organisation,
            roles: List::new(vec![role])?,
            particulars: Particulars {
                name: Text::new(legal_name)?,
                identifier: Text::default(),
                place: Text::new(place)?,
            },
            key: self.key(name),
        };
        let mut by = vec![By::Party(Capacity::NewKey, name)];
        match registrars {
            0 => by.push(By::Party(Capacity::Operator, OPERATOR)),
            n => by.extend(REGISTRARS[..n].iter().map(|r| By::Party(Capacity::Registrar, r))),
        }
        self.say(statement, &by).map(|_| ())
    }

    /// Hands what waits to the writer, and waits until it is durable.
    ///
    /// # Errors
    /// The first event that is refused.
    pub fn record(&mut self) -> Result<(), DemoError> {
        let events = std::mem::take(&mut self.waiting);
        self.writer.submit_many(events).into_iter().try_for_each(|answer| {
            answer?;
            Ok(())
        })
    }

    /// Imports a plan as `giftproof import` does: rehearsed first, then handed over as a whole.
    ///
    /// # Errors
    /// Where the rules refuse any of it; nothing has been recorded then.
    pub fn import(&mut self, plan: &Plan) -> Result<(), DemoError> {
        let named = |name: &str| (handle(name), self.seed.secret(name));
        let keys = Keyring {
            parties: plan.parties.keys().map(|handle| named(handle.as_str())).collect(),
            registrars: REGISTRARS[..2].iter().map(|name| named(name)).collect(),
        };
        let signed_at = self.clock.now();
        let signing = Signing { genesis: self.genesis, keys: &keys, signed_at };
        let state = self.writer.with_state(State::clone);
        let events = signing.sign(plan, &state)?;
        if let Rehearsed::Refused { violation, .. } = rehearse(&state, &events, signed_at)? {
            return Err(DemoError::Rehearsal(*violation));
        }
        self.waiting.extend(events);
        self.record()
    }

    /// The state as of the last record.
    pub fn with_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.writer.with_state(read)
    }

    /// Seals the ledger, and closes it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn close(mut self) -> Result<(), DemoError> {
        self.record()?;
        self.writer.seal()?;
        Ok(self.writer.close()?)
    }
}

/// A name of the demonstration as a handle.
pub fn handle(name: &str) -> Handle {
    Handle::new(name).expect("the demonstration's own names are handles")
}

fn genesis(seed: &Seed) -> Result<SignedEvent, DemoError> {
    let identity = |name: &str, legal_name: &str| -> Result<Identity, DemoError> {
        let key = seed.secret(name).public().into();
        Ok(Identity { handle: handle(name), name: Text::new(legal_name)?, key })
    };
    let clock = |kind, days, basis: &str| -> Result<Clock, DemoError> {
        Ok(Clock { kind, days, basis: Text::new(basis)? })
    };
    let emergency = "慈善法：应急处置与救援阶段至少每五日公开一次募得款物的接收情况";
    let own = "a rule of this demonstration 演示自定规则";
    let registrars = REGISTRARS.iter().zip(1..).map(|(name, number)| {
        identity(name, &format!("Demo Registrar {number} 演示核验机构{number} (invented 虚构)"))
    });
    let statement = LedgerCreated {
        origin: Text::new(ORIGIN)?,
        operator: identity(OPERATOR, "Demo Operator 演示运营方 (invented 虚构)")?,
        registrars: List::new(registrars.collect::<Result<_, _>>()?)?,
        threshold: 2,
        rules: Rules {
            version: 1,
            offset_minutes: OFFSET_MINUTES,
            clocks: List::new(vec![
                clock(ClockKind::Disclosure, 5, emergency)?,
                clock(ClockKind::Filing, 5, own)?,
                clock(ClockKind::Receipt, 3, own)?,
            ])?,
            seal_entries: 0,
            seal_seconds: 0,
            inclusion_seconds: 86_400,
        },
    };
    let nonce = *seed.derive("nonce", "0").first_chunk().expect("32 bytes begin with 16");
    let operator = seed.secret(OPERATOR);
    let mut draft = Draft::new(statement, START, nonce).signer(
        Capacity::Operator,
        Some(&handle(OPERATOR)),
        operator.public().into(),
    );
    let mut keys = vec![operator];
    for name in REGISTRARS {
        let key = seed.secret(name);
        draft = draft.signer(Capacity::Registrar, Some(&handle(name)), key.public().into());
        keys.push(key);
    }
    Ok(draft.sign(&NO_LEAF, &keys.iter().collect::<Vec<_>>())?)
}
