//! A small world to test in: a cast of parties with fixed keys, and a log in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use giftproof::model::date::UnixMs;
use giftproof::model::draft::Draft;
use giftproof::model::encoding::List;
use giftproof::model::entry::{Entry, Header, NO_LEAF, SignedEvent};
use giftproof::model::event::*;
use giftproof::model::hash::{Digest32, EventHash, LeafHash};
use giftproof::model::ident::{Handle, KeyBytes, ShipmentId};
use giftproof::model::key::SecretKey;
use giftproof::model::state::{History, Kept, MemoryShelf, Recorded, State};
use giftproof::model::text::Text;
use giftproof::model::violation::Violation;
use sha2::{Digest as _, Sha256};

/// 2026-01-01T00:00:00Z.
pub const START_MS: u64 = 1_767_225_600_000;

/// Everybody: handle, role. Registrars and the operator come with the genesis.
pub const CAST: &[(&str, Role)] = &[
    ("red-cross", Role::Charity),
    ("warehouse", Role::Warehouse),
    ("headquarters", Role::Coordinator),
    ("hospital-a", Role::Recipient),
    ("hospital-b", Role::Recipient),
    ("factory", Role::Donor),
    ("carrier", Role::Carrier),
    ("mask-maker", Role::Maker),
    ("regulator", Role::Regulator),
];

/// The names of the three registrars; two of them suffice.
pub const REGISTRARS: [&str; 3] = ["registrar-1", "registrar-2", "registrar-3"];

pub fn handle(name: &str) -> Handle {
    Handle::new(name).unwrap()
}

pub fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

/// The key that belongs to a name: the same in every run.
pub fn secret(name: &str) -> SecretKey {
    let seed = giftproof::model::hash::document_hash(name.as_bytes());
    SecretKey::from_seed(seed.as_bytes())
}

thread_local! {
    /// The names of all keys that were asked for.
    static NAMES: RefCell<BTreeMap<KeyBytes, String>> = RefCell::default();
}

pub fn key(name: &str) -> KeyBytes {
    let key = secret(name).public().into();
    NAMES.with_borrow_mut(|names| names.insert(key, name.to_owned()));
    key
}

/// Signs with the keys of all signers, as far as [`key`] made them; for others stand zero bytes.
pub fn sign(draft: &Draft, genesis: &LeafHash) -> SignedEvent {
    sign_frame(draft.frame().unwrap(), genesis)
}

/// As [`sign`]. Has no signatures if the body does not say who signs.
pub fn sign_frame(frame: Frame, genesis: &LeafHash) -> SignedEvent {
    let message = frame.signing_message(genesis);
    let sign = |signer: &Signer| {
        let name = NAMES.with_borrow(|names| names.get(&signer.key).cloned());
        name.map_or([0; 64], |name| *secret(&name).sign(&message).as_bytes())
    };
    let signatures = match frame.open() {
        Ok((head, _)) => head.signers.iter().map(sign).collect(),
        Err(_) => Vec::new(),
    };
    SignedEvent { signatures, frame }
}

pub fn identity(name: &str) -> Identity {
    Identity { handle: handle(name), name: text(name), key: key(name) }
}

pub fn rules() -> Rules {
    let clock = |kind, days| Clock { kind, days, basis: text("a rule made up for tests") };
    Rules {
        version: 1,
        offset_minutes: 480,
        clocks: List::new(vec![
            clock(ClockKind::Disclosure, 5),
            clock(ClockKind::Filing, 5),
            clock(ClockKind::Receipt, 3),
            clock(ClockKind::Report, 90),
        ])
        .unwrap(),
        seal_entries: 0,
        seal_seconds: 0,
        inclusion_seconds: 86_400,
    }
}

/// The entries of a log, for rules that look back.
#[derive(Clone, Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    genesis: Option<LeafHash>,
}

impl History for Log {
    fn event(&self, index: u64) -> Option<Recorded> {
        let entry = self.entries.get(usize::try_from(index).unwrap())?;
        let event = entry.event.clone().open(&self.genesis.unwrap_or(NO_LEAF)).unwrap();
        Some(Recorded { index, recorded_at: entry.header.recorded_at, event })
    }

    fn leaf(&self, index: u64) -> Option<LeafHash> {
        self.entries.get(usize::try_from(index).unwrap()).map(Entry::leaf)
    }
}

/// A log with its state: signed, but no signatures are checked and nothing is stored.
#[derive(Clone)]
pub struct World {
    pub state: State,
    /// The same with no more than one gift and one shipment in memory; none where a test changes
    /// the state by hand.
    pub cold: Option<State>,
    pub log: Log,
    pub now: UnixMs,
    /// Shared by clones: no two drafts are equal.
    nonce: Arc<AtomicU64>,
}

impl World {
    /// The entry of an event.
    pub fn index_of(&self, event: &EventHash) -> Option<u64> {
        self.state.index_of(event, &self.log)
    }

    /// Entry 0 only.
    pub fn bare() -> Self {
        Self::under(rules())
    }

    /// Entry 0 only, with these rules.
    pub fn under(rules: Rules) -> Self {
        let genesis = LedgerCreated {
            origin: text("ledger.example/test"),
            operator: identity("operator"),
            registrars: List::new(REGISTRARS.map(identity).to_vec()).unwrap(),
            threshold: 2,
            rules,
        };
        let mut draft = Draft::new(genesis, UnixMs(START_MS), [0; 16]).signer(
            Capacity::Operator,
            Some(&handle("operator")),
            key("operator"),
        );
        for name in REGISTRARS {
            draft = draft.signer(Capacity::Registrar, Some(&handle(name)), key(name));
        }
        let signed = sign(&draft, &NO_LEAF);
        let recorded = Recorded {
            index: 0,
            recorded_at: UnixMs(START_MS),
            event: signed.clone().open(&NO_LEAF).unwrap(),
        };
        let subjects = recorded.event.subjects(None);
        let links = subjects.iter().map(|subject| giftproof::model::entry::Link {
            subject: subject.hash(),
            number: 1,
            previous: None,
        });
        let header = Header {
            index: 0,
            previous: NO_LEAF,
            recorded_at: UnixMs(START_MS),
            links: List::new(links.collect()).unwrap(),
        };
        let entry = Entry { header, event: signed };
        let leaf = entry.leaf();
        let state = State::begin(&recorded, leaf).unwrap();
        let log = Log { entries: vec![entry], genesis: Some(leaf) };
        let mut cold = state.clone();
        cold.gifts = Kept::over(MemoryShelf::default(), 0);
        cold.shipments = Kept::over(MemoryShelf::default(), 0);
        Self { state, cold: Some(cold), log, now: UnixMs(START_MS + 60_000), nonce: Arc::default() }
    }

    /// With everybody enrolled and vouched for.
    pub fn new() -> Self {
        let mut world = Self::bare();
        for (name, role) in CAST {
            world.enrol(name, *role, if role.is_vouched() { 2 } else { 0 });
        }
        world
    }

    /// Enrols a party with so many registrars; with none, the operator admits it.
    pub fn enrol(&mut self, name: &str, role: Role, registrars: usize) {
        let statement = PartyEnrolled {
            handle: handle(name),
            kind: PartyKind::Organisation,
            roles: List::new(vec![role]).unwrap(),
            particulars: Particulars { name: text(name), identifier: text(""), place: text("") },
            key: key(name),
        };
        let mut who = vec![(Capacity::NewKey, name)];
        match registrars {
            0 => who.push((Capacity::Operator, "operator")),
            n => who.extend(REGISTRARS[..n].iter().map(|name| (Capacity::Registrar, *name))),
        }
        self.accept(self.draft(statement, &who));
    }

    /// A draft with these signers, each a party whose key has its name.
    pub fn draft(&self, statement: impl Into<Statement>, who: &[(Capacity, &str)]) -> Draft {
        let number = self.nonce.fetch_add(1, Ordering::Relaxed) + 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let draft = Draft::new(statement, self.now, nonce);
        who.iter().fold(draft, |draft, (capacity, name)| {
            draft.signer(*capacity, Some(&handle(name)), key(name))
        })
    }

    /// Records the event; the rules must accept it. Gives its hash.
    pub fn accept(&mut self, draft: Draft) -> EventHash {
        self.submit(draft).unwrap()
    }

    /// The rules must refuse the event, and leave everything as it was.
    pub fn refuse(&mut self, draft: Draft) -> &'static str {
        let before = self.state.clone();
        let violation = self.submit(draft).unwrap_err();
        assert_eq!(self.state, before, "a refused event changed the state");
        violation.code.as_str()
    }

    /// Lets the rules judge an event, and records it if they accept it.
    pub fn submit(&mut self, draft: Draft) -> Result<EventHash, Violation> {
        self.submit_signed(sign(&draft, &self.state.genesis))
    }

    /// As [`Self::submit`], of an event that is signed already.
    pub fn submit_signed(&mut self, signed: SignedEvent) -> Result<EventHash, Violation> {
        let event = signed.clone().open(&self.state.genesis).unwrap();
        let hash = event.hash;
        let recorded = Recorded { index: self.state.size, recorded_at: self.now, event };
        let subjects = self.state.subjects(&recorded.event, &self.log);
        let header = Header {
            index: recorded.index,
            previous: self.state.last_leaf,
            recorded_at: self.now,
            links: self.state.links(&subjects)?,
        };
        let entry = Entry { header, event: signed };
        let applied = self.state.apply(&recorded, &self.log);
        // A test that takes entries in by another way goes on without it.
        self.cold = self.cold.take().filter(|cold| cold.size == self.state.size);
        if let Some(cold) = &mut self.cold {
            assert_eq!(cold.subjects(&recorded.event, &self.log), subjects);
            assert_eq!(cold.apply(&recorded, &self.log), applied);
            if applied.is_ok() {
                cold.advance(&recorded, entry.leaf(), &subjects);
            }
            assert!(cold.gifts.hot_len() <= 1 && cold.shipments.hot_len() <= 1);
            assert_eq!(cold.fault(), None);
            if self.state.gifts.len() <= 20 {
                assert_eq!(cold.gifts, self.state.gifts);
                assert_eq!(cold.shipments, self.state.shipments);
            }
        }
        applied?;
        self.state.advance(&recorded, entry.leaf(), &subjects);
        self.log.entries.push(entry);
        Ok(hash)
    }

    /// Lets days pass.
    pub fn wait_days(&mut self, days: u64) {
        self.now = UnixMs(self.now.0 + days * 86_400_000);
    }
}

/// A line of a gift: `quantity` of `unit`, with shares.
pub fn line(number: u16, item: &str, quantity: u64, unit: &str, shares: &[(&str, u64)]) -> Line {
    let share =
        |(name, quantity): &(&str, u64)| Share { recipient: handle(name), quantity: *quantity };
    Line {
        number,
        item: text(item),
        category: text(""),
        unit: text(unit),
        pack: None,
        quantity,
        shares: List::new(shares.iter().map(share).collect()).unwrap(),
        lots: List::default(),
        maker: text(""),
        product_code: text(""),
        registration: text(""),
        standard: text(""),
        serials: List::default(),
        storage: text(""),
        specification: text(""),
        value: None,
    }
}

/// A donation of these lines, recorded by its taker.
pub fn recorded(taker: &str, lines: Vec<Line>) -> Donation {
    Donation {
        donor: Donor { kind: DonorKind::Recorded, party: None, key: None, name: text("somebody") },
        mark: None,
        taker: Some(handle(taker)),
        lines: List::new(lines).unwrap(),
        standing_consent: false,
        purpose: text(""),
        channel: text(""),
        campaign: text(""),
        part: None,
        deadline: None,
        historic: false,
        restates: text(""),
        commitments: List::default(),
    }
}

pub fn goods(gift: EventHash, line: u16, meant_for: Option<&str>) -> Goods {
    Goods { gift, line, unit: UnitChoice::Stated, meant_for: meant_for.map(handle) }
}

pub fn portions(portions: &[(EventHash, u16, Option<&str>, u64)]) -> Portions {
    let portion = |(gift, line, meant_for, quantity): &(_, _, Option<&str>, _)| {
        Portion::new(goods(*gift, *line, *meant_for), *quantity)
    };
    List::new(portions.iter().map(portion).collect()).unwrap()
}

pub fn shipment(giver: &str, number: &str) -> ShipmentId {
    ShipmentId { giver: handle(giver), number: text(number) }
}

/// A dispatch without carrier.
pub fn dispatch(id: ShipmentId, taker: &str, purpose: Purpose, portions: Portions) -> Dispatch {
    Dispatch {
        shipment: id,
        taker: handle(taker),
        purpose,
        carrier: None,
        carrier_name: text(""),
        waybill: text(""),
        package_count: None,
        packages: List::default(),
        expected_on: None,
        portions,
    }
}

/// Accepted, pending, damaged, rejected, surplus.
pub fn arrival(goods: Goods, quantities: [u64; 5]) -> Arrival {
    let [accepted, pending, damaged, rejected, surplus] = quantities;
    Arrival { goods, accepted, pending, damaged, rejected, surplus, actual: None }
}

/// A receipt of a shipment.
pub fn receipt(id: ShipmentId, closing: bool, arrivals: Vec<Arrival>) -> Receipt {
    Receipt {
        shipment: Some(id),
        giver: None,
        purpose: None,
        closing,
        package_count: None,
        temperature: text(""),
        arrivals: List::new(arrivals).unwrap(),
    }
}

/// What a gift's accounts hold, by a short word for each place: an easy thing to compare with.
pub fn places(world: &World, gift: EventHash) -> BTreeMap<String, u64> {
    places_in(&world.state, gift)
}

/// As [`places`], of any state.
pub fn places_in(state: &State, gift: EventHash) -> BTreeMap<String, u64> {
    use giftproof::model::state::Whereabouts;
    let mut places = BTreeMap::new();
    for (account, quantity) in state.gifts.get(&gift).unwrap().accounts.iter() {
        let word = match &account.place {
            Whereabouts::Announced => "announced".to_owned(),
            Whereabouts::AtRest { holder, condition } => format!("{holder} {condition}"),
            Whereabouts::Inspected { holder, .. } => format!("{holder} pending"),
            Whereabouts::Moving { shipment, .. } => format!("moving {shipment}"),
            Whereabouts::Used { by } => format!("used {by}"),
            Whereabouts::Disposed { by, fate } => format!("{fate} {by}"),
            Whereabouts::Unaccounted { giver, .. } => format!("unaccounted {giver}"),
            Whereabouts::Withdrawn => "withdrawn".to_owned(),
            Whereabouts::Opened { by } => format!("opened {by}"),
        };
        if quantity > 0 {
            *places.entry(word).or_insert(0) += quantity;
        }
    }
    places
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The hash that ends an audit state with these bytes before it, by section 18.1 of the spec.
pub fn state_hash(bytes: &[u8]) -> Digest32 {
    let blocks: Vec<_> = bytes.chunks(4096).map(Sha256::digest).collect();
    Digest32::from_bytes(Sha256::digest(blocks.concat()).into())
}
