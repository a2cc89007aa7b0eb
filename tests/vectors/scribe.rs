//! Writes small logs whose signatures are real, also logs that no honest writer would make.

use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::draft::Draft;
use giftproof::model::entry::{Entry, Header, SignedEvent};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, NodeHash};
use giftproof::model::ident::KeyBytes;
use giftproof::model::key::SecretKey;
use giftproof::model::merkle::Frontier;
use giftproof::model::note::{KeyKind, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::state::Recorded;
use giftproof::model::trust::TrustFile;
use giftproof::model::violation::Violation;

use crate::util::*;

/// Keys beside those of the cast: second keys, slips, one-time keys, keys of nobody.
const MORE_KEYS: &[&str] = &[
    "registrar-1b",
    "registrar-4",
    "operator-2",
    "hospital-a-2",
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
        let world = World::bare();
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
            roles: giftproof::model::encoding::List::new(vec![role]).unwrap(),
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
        draft.sign(&self.world.state.genesis, &self.secrets.iter().collect::<Vec<_>>()).unwrap()
    }

    /// Records an event that the rules accept. Gives its hash.
    pub fn accept(&mut self, draft: Draft) -> EventHash {
        let signed = self.sign(&draft);
        self.record(signed, |_| {}).unwrap()
    }

    /// Records an event that the rules refuse, as a dishonest operator would.
    pub fn force(&mut self, draft: Draft) -> Violation {
        let signed = self.sign(&draft);
        self.record(signed, |_| {}).unwrap_err()
    }

    /// Records a signed event under a header that `tweak` may spoil; says what the rules say.
    pub fn record(
        &mut self,
        signed: SignedEvent,
        tweak: impl FnOnce(&mut Header),
    ) -> Result<EventHash, Violation> {
        let World { state, log, now, .. } = &mut self.world;
        let event = signed.clone().open(&state.genesis).unwrap();
        let recorded = Recorded { index: state.size, recorded_at: *now, event };
        let subjects = state.subjects(&recorded.event, log);
        let mut header = Header {
            index: recorded.index,
            previous: state.last_leaf,
            recorded_at: *now,
            links: state.links(&subjects),
        };
        tweak(&mut header);
        let entry = Entry { header, event: signed };
        let judged = state.apply(&recorded, log);
        state.advance(&recorded, entry.leaf(), &subjects);
        self.entries.push(entry.to_bytes());
        log.entries.push(entry);
        judged.map(|()| recorded.event.hash)
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

    pub fn key_of(&self, name: &str) -> KeyBytes {
        key(name)
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
    entries.iter().for_each(|entry| tree.append(giftproof::model::hash::leaf_hash(entry)));
    tree.root()
}
