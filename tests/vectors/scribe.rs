//! Writes small logs whose signatures are real, also logs that no honest writer would make.

use std::collections::BTreeSet;

use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::draft::Draft;
use giftproof::model::encoding::List;
use giftproof::model::entry::{Entry, Header, SignedEvent};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, LeafHash, NodeHash, SubjectHash, leaf_hash};
use giftproof::model::key::SecretKey;
use giftproof::model::merkle::Frontier;
use giftproof::model::note::{KeyKind, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::state::Recorded;
use giftproof::model::subject::Subject;
use giftproof::model::trust::TrustFile;
use giftproof::model::violation::Violation;

use crate::util::*;

/// Keys beside those of the cast: second keys, slips, one-time keys, keys of nobody.
const MORE_KEYS: &[&str] = &[
    "registrar-1b",
    "registrar-4",
    "operator-2",
    "hospital-a-2",
    "hospital-a-3",
    "hospital-a-4",
    "hospital-c",
    "stranger",
    "slip-1",
    "slip-2",
    "own-key",
    "tent",
    "donor-2",
];

/// A log that grows, with the state that honest rules give it.
pub struct Scribe {
    pub world: World,
    secrets: Vec<SecretKey>,
    /// The bytes of all entries, honest or not.
    pub entries: Vec<Vec<u8>>,
}

impl Scribe {
    /// Entry 0 only.
    pub fn bare() -> Self {
        Self::under(first_rules())
    }

    /// Entry 0 only, with these rules.
    pub fn under(rules: Rules) -> Self {
        let world = World::under(rules);
        let names = ["operator"].into_iter().chain(REGISTRARS);
        let names =
            names.chain(CAST.iter().map(|(name, _)| *name)).chain(MORE_KEYS.iter().copied());
        let entries = world.log.entries.iter().map(Entry::to_bytes).collect();
        Self { world, secrets: names.map(secret).collect(), entries }
    }

    /// With everybody in `names` enrolled, and vouched for by two registrars where that is needed.
    pub fn with(names: &[&str]) -> Self {
        let mut scribe = Self::bare();
        for name in names {
            let role = CAST.iter().find(|(cast, _)| cast == name).expect("a name of the cast").1;
            scribe.enrol(name, role, if role.is_vouched() { 2 } else { 0 });
        }
        scribe
    }

    pub fn draft(&self, statement: impl Into<Statement>, who: &[(Capacity, &str)]) -> Draft {
        self.world.draft(statement, who)
    }

    pub fn enrol(&mut self, name: &str, role: Role, registrars: usize) -> EventHash {
        let draft = self.enrolment(name, role, registrars);
        self.accept(draft)
    }

    pub fn enrolment(&self, name: &str, role: Role, registrars: usize) -> Draft {
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
        self.draft(statement, &who)
    }

    /// Signs with the keys of all signers.
    pub fn sign(&self, draft: &Draft) -> SignedEvent {
        self.sign_for(&self.world.state.genesis, draft)
    }

    /// Signs for the ledger with this genesis hash.
    pub fn sign_for(&self, genesis: &LeafHash, draft: &Draft) -> SignedEvent {
        draft.sign(genesis, &self.secrets.iter().collect::<Vec<_>>()).unwrap()
    }

    /// Signs a body as it stands, with the keys of these names.
    pub fn sign_bytes(
        &self,
        kind: u16,
        version: u16,
        body: Vec<u8>,
        names: &[&str],
    ) -> SignedEvent {
        let frame = Frame { kind, version, body };
        let message = frame.signing_message(&self.world.state.genesis);
        let sign = |name: &&str| *secret(name).sign(&message).as_bytes();
        SignedEvent { signatures: names.iter().map(sign).collect(), frame }
    }

    /// Records an event that the rules accept. Gives its hash.
    pub fn accept(&mut self, draft: Draft) -> EventHash {
        let signed = self.sign(&draft);
        self.record(signed).unwrap()
    }

    /// Records an event that the rules refuse, as a dishonest operator would. Says why.
    pub fn force(&mut self, draft: Draft) -> &'static str {
        let signed = self.sign(&draft);
        self.record(signed).unwrap_err().code.as_str()
    }

    /// Records an event, and says what the rules say.
    pub fn record(&mut self, signed: SignedEvent) -> Result<EventHash, Violation> {
        let (recorded, subjects, entry) = self.entry(signed);
        let World { state, log, .. } = &mut self.world;
        let judged = state.apply(&recorded, log);
        if let Err(violation) = &judged {
            state.fail(&subjects, recorded.index, violation.code.as_str());
        }
        state.advance(&recorded, entry.leaf(), &subjects);
        self.push(entry);
        judged.map(|()| recorded.event.hash)
    }

    /// Records an event at a place, or with signatures or links, that an auditor must refuse.
    pub fn spoil(&mut self, signed: SignedEvent, header: impl FnOnce(&mut Header)) {
        let (recorded, subjects, mut entry) = self.entry(signed);
        header(&mut entry.header);
        let state = &mut self.world.state;
        state.fail(&subjects, recorded.index, "");
        state.advance(&recorded, entry.leaf(), &subjects);
        self.push(entry);
    }

    fn entry(&self, signed: SignedEvent) -> (Recorded, BTreeSet<Subject>, Entry) {
        let World { state, log, now, .. } = &self.world;
        let event = signed.clone().open(&state.genesis).unwrap();
        let recorded = Recorded { index: state.size, recorded_at: *now, event };
        let subjects = state.subjects(&recorded.event, log);
        let header = Header {
            index: recorded.index,
            previous: state.last_leaf,
            recorded_at: *now,
            links: state.links(&subjects).unwrap(),
        };
        (recorded, subjects, Entry { header, event: signed })
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry.to_bytes());
        self.world.log.entries.push(entry);
    }

    /// Records an event that nobody can read, with links to these subjects.
    pub fn unreadable(&mut self, signed: SignedEvent, subjects: &[SubjectHash]) {
        let World { state, now, .. } = &mut self.world;
        let subjects: Vec<_> = subjects.iter().map(|subject| (*subject).into()).collect();
        let links = List::new(state.links_by_hash(&subjects)).unwrap();
        let header =
            Header { index: state.size, previous: state.last_leaf, recorded_at: *now, links };
        let entry = Entry { header, event: signed };
        state.advance_by_hash(entry.header.index, *now, entry.leaf(), &subjects);
        self.push(entry);
    }

    /// Appends bytes that are no entry. They touch nothing.
    pub fn no_entry(&mut self, bytes: Vec<u8>) {
        let state = &mut self.world.state;
        state.advance_by_hash(state.size, state.recorded_at, leaf_hash(&bytes), &[]);
        self.entries.push(bytes);
        // Nobody may look back to it; the place must be taken.
        let last = self.world.log.entries.last().unwrap().clone();
        self.world.log.entries.push(last);
    }

    /// The root over the entries so far.
    pub fn root(&self) -> NodeHash {
        root(&self.entries)
    }

    /// The checkpoint over the entries so far, signed by the operator.
    pub fn checkpoint(&self) -> SignedCheckpoint {
        checkpoint(ORIGIN, self.entries.len() as u64, self.root(), "operator")
    }

    /// What an auditor pins, without witnesses and without a checkpoint.
    pub fn trust(&self) -> TrustFile {
        let operator = vkey(ORIGIN, "operator");
        let policy = Policy::without_witnesses();
        TrustFile::new(origin(ORIGIN), self.world.state.genesis, operator, policy).unwrap()
    }
}

/// The rules of every vector's entry 0. Vectors do not change, so neither do these.
pub fn first_rules() -> Rules {
    let clock = |kind, days| Clock { kind, days, basis: text("a rule made up for tests") };
    Rules {
        version: 1,
        offset_minutes: 480,
        clocks: List::new(vec![
            clock(ClockKind::Disclosure, 5),
            clock(ClockKind::Filing, 5),
            clock(ClockKind::Receipt, 3),
        ])
        .unwrap(),
        seal_entries: 0,
        seal_seconds: 0,
        inclusion_seconds: 86_400,
    }
}

/// The origin of the world's log.
pub const ORIGIN: &str = "ledger.example/test";

pub fn origin(origin: &str) -> Origin {
    Origin::parse(origin).unwrap()
}

/// A name's key as a note key.
pub fn note_key(name: &str) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(secret(name).seed())
}

pub fn vkey(log: &str, name: &str) -> VerifierKey {
    VerifierKey::of_signer(origin(log).key_name().clone(), KeyKind::Ed25519, &note_key(name))
}

pub fn checkpoint(log: &str, size: u64, root: NodeHash, signer: &str) -> SignedCheckpoint {
    Checkpoint { origin: origin(log), size, root }.sign(&note_key(signer))
}

pub fn root(entries: &[Vec<u8>]) -> NodeHash {
    let mut tree = Frontier::new();
    entries.iter().for_each(|entry| tree.append(leaf_hash(entry)));
    tree.root()
}
