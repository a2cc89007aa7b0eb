//! The trust file: what an auditor or a donor pins once, and needs to judge a ledger ever after.
//!
//! ```text
//! giftproof-trust/v1
//! origin <origin>
//! genesis <64 lower-case hex digits: leaf hash of entry 0>
//! operator <vkey of the operator: type 01, named as the origin>
//! auditor <vkey: type 01>                  no such line, or up to 16
//!
//! <policy, see `policy`, in its one spelling>
//!
//! <signed checkpoint, see `checkpoint`: the newest that the owner of the file has seen>
//! ```
//!
//! The parts are found in this order. The head ends with the first empty line. The auditors are
//! those whose statements count for the owner of the file (see `audited`), in any order. The policy is all that follows up to the next empty line or the end of the file: in its one spelling
//! it has neither empty lines nor comments. If there is an empty line, all the bytes after it are
//! the checkpoint's note, its own empty line included; a file that ends with the policy has no
//! checkpoint and no empty line.
//!
//! UTF-8, line feeds, one spelling: a file is refused unless printing gives back its bytes. Whether
//! the operator really signed the checkpoint is not checked here, since the log may have changed
//! its operator's key; that is the auditor's matter.

mod judge;

use std::fmt;

use hex::FromHex;
use thiserror::Error;

use super::checkpoint::{ORIGIN_LEN_MAX, Origin, SignedCheckpoint, SignedCheckpointError};
use super::hash::{HASH_LEN, LeafHash};
use super::note::{KeyKind, KeyName, NOTE_LEN_MAX, VerifierKey, VerifierKeyError};
use super::policy::{POLICY_LEN_MAX, Policy, PolicyError};
use super::version::newer;

pub use judge::Distrust;

/// The longest trust file that is read, in bytes: head, policy and note.
pub const TRUST_LEN_MAX: usize = 8192 + POLICY_LEN_MAX + NOTE_LEN_MAX;

/// The most auditors that a trust file names.
pub const AUDITORS_MAX: usize = 16;

const VERSION_LINE: &str = "giftproof-trust/v1";

/// Something that is no trust file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustError {
    /// `trust/too-long`: longer than [`TRUST_LEN_MAX`].
    #[error("a trust file of {0} bytes is longer than {TRUST_LEN_MAX}")]
    TooLong(usize),
    /// `trust/encoding`: not UTF-8.
    #[error("a trust file is UTF-8")]
    Encoding,
    /// `trust/newer-version`: a newer giftproof wrote it.
    #[error("a newer version of this program wrote the trust file: version {0}")]
    NewerVersion(u64),
    /// `trust/version`: the first line is not that of a trust file of a known version.
    #[error("the first line is not {VERSION_LINE}")]
    Version,
    /// `trust/structure`: a line of the head is missing, misnamed, or not followed by the next.
    #[error("the lines origin, genesis, operator, any auditors and an empty one must follow")]
    Structure,
    /// `trust/origin`: the origin cannot be one.
    #[error("the origin cannot be one")]
    Origin,
    /// `trust/genesis`: the genesis hash is not 64 lower-case hex digits.
    #[error("the genesis hash is not 64 lower-case hex digits")]
    Genesis,
    /// The operator's key is none; the code is that of the key.
    #[error("operator: {0}")]
    Operator(#[from] VerifierKeyError),
    /// The policy is none; the code is that of the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// `trust/operator`: the operator's key is not named as the origin, or signs cosignatures.
    #[error("{0} is not the key of the log's operator")]
    NotOperator(Box<VerifierKey>),
    /// `trust/operator-is-witness`: the policy takes the operator's key for a witness.
    #[error("the policy takes the operator's key for the witness {0}")]
    OperatorIsWitness(String),
    /// An auditor's key is none; the code is that of the key.
    #[error("auditor: {0}")]
    AuditorKey(VerifierKeyError),
    /// `trust/auditor`: an auditor's key signs cosignatures, or its name is longer than 255 bytes.
    #[error("{0} is no key of an auditor")]
    NotAuditor(Box<VerifierKey>),
    /// `trust/auditor-repeated`: an auditor's public key stands on another line, as that of another
    /// auditor, of the operator or of a witness.
    #[error("the key of the auditor {0} stands on another line too")]
    AuditorRepeated(KeyName),
    /// `trust/too-many-auditors`: more than [`AUDITORS_MAX`].
    #[error("a trust file names at most {AUDITORS_MAX} auditors, not {0}")]
    TooManyAuditors(usize),
    /// The checkpoint is none; the code is that of the checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] SignedCheckpointError),
    /// `trust/checkpoint-origin`: the checkpoint is of another log.
    #[error("the checkpoint is of {0}")]
    CheckpointOrigin(Origin),
    /// `trust/spelling`: printing the file again gives other bytes.
    #[error("the file is not in its one spelling")]
    Spelling,
}

impl TrustError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "trust/too-long",
            Self::Encoding => "trust/encoding",
            Self::NewerVersion(_) => "trust/newer-version",
            Self::Version => "trust/version",
            Self::Structure => "trust/structure",
            Self::Origin => "trust/origin",
            Self::Genesis => "trust/genesis",
            Self::Operator(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::NotOperator(_) => "trust/operator",
            Self::OperatorIsWitness(_) => "trust/operator-is-witness",
            Self::AuditorKey(error) => error.code(),
            Self::NotAuditor(_) => "trust/auditor",
            Self::AuditorRepeated(_) => "trust/auditor-repeated",
            Self::TooManyAuditors(_) => "trust/too-many-auditors",
            Self::Checkpoint(error) => error.code(),
            Self::CheckpointOrigin(_) => "trust/checkpoint-origin",
            Self::Spelling => "trust/spelling",
        }
    }
}

/// What its owner holds true about one log before seeing any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFile {
    origin: Origin,
    genesis: LeafHash,
    operator: VerifierKey,
    auditors: Vec<VerifierKey>,
    policy: Policy,
    newest: Option<SignedCheckpoint>,
}

impl TrustFile {
    /// Trust in a log of which no checkpoint has been seen yet.
    ///
    /// # Errors
    /// [`TrustError::NotOperator`], [`TrustError::OperatorIsWitness`].
    pub fn new(
        origin: Origin,
        genesis: LeafHash,
        operator: VerifierKey,
        policy: Policy,
    ) -> Result<Self, TrustError> {
        if operator.kind() != KeyKind::Ed25519 || operator.name() != origin.key_name() {
            return Err(TrustError::NotOperator(Box::new(operator)));
        }
        let is_operator = |key: &VerifierKey| key.public_key() == operator.public_key();
        if let Some((name, _)) = policy.witnesses().find(|(_, key)| is_operator(key)) {
            return Err(TrustError::OperatorIsWitness(name.to_owned()));
        }
        Ok(Self { origin, genesis, operator, auditors: Vec::new(), policy, newest: None })
    }

    /// The same trust, and these auditors, whose statements count.
    ///
    /// # Errors
    /// [`TrustError::TooManyAuditors`], [`TrustError::NotAuditor`], [`TrustError::AuditorRepeated`].
    pub fn with_auditors(self, auditors: Vec<VerifierKey>) -> Result<Self, TrustError> {
        if auditors.len() > AUDITORS_MAX {
            return Err(TrustError::TooManyAuditors(auditors.len()));
        }
        let witnesses = self.policy.witnesses().map(|(_, key)| key.public_key());
        let mut taken: Vec<_> = witnesses.chain([self.operator.public_key()]).collect();
        for auditor in &auditors {
            if auditor.kind() != KeyKind::Ed25519 || auditor.name().as_str().len() > ORIGIN_LEN_MAX
            {
                return Err(TrustError::NotAuditor(Box::new(auditor.clone())));
            }
            if taken.contains(&auditor.public_key()) {
                return Err(TrustError::AuditorRepeated(auditor.name().clone()));
            }
            taken.push(auditor.public_key());
        }
        Ok(Self { auditors, ..self })
    }

    /// The same trust, with another checkpoint as the newest seen. Its signatures and that it
    /// extends the one before are for the caller to check first.
    ///
    /// # Errors
    /// [`TrustError::CheckpointOrigin`] if it is of another log.
    pub fn with_newest(self, newest: SignedCheckpoint) -> Result<Self, TrustError> {
        if newest.checkpoint().origin != self.origin {
            return Err(TrustError::CheckpointOrigin(newest.checkpoint().origin.clone()));
        }
        Ok(Self { newest: Some(newest), ..self })
    }

    /// Reads a trust file.
    ///
    /// # Errors
    /// [`TrustError`], the first that applies, in the order of its variants.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        if bytes.len() > TRUST_LEN_MAX {
            return Err(TrustError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TrustError::Encoding)?;
        if let Some(found) = newer(format!("{VERSION_LINE}\n").as_bytes(), bytes) {
            return Err(TrustError::NewerVersion(found));
        }
        let (version, rest) = text.split_once('\n').ok_or(TrustError::Version)?;
        if version != VERSION_LINE {
            return Err(TrustError::Version);
        }
        let (origin, rest) = head_line("origin ", rest)?;
        let (genesis, rest) = head_line("genesis ", rest)?;
        let (operator, mut rest) = head_line("operator ", rest)?;
        let mut auditors = Vec::new();
        while rest.starts_with("auditor ") {
            let (auditor, after) = head_line("auditor ", rest)?;
            auditors.push(auditor);
            rest = after;
        }
        let rest = rest.strip_prefix('\n').ok_or(TrustError::Structure)?;
        let (policy, note) = match rest.find("\n\n") {
            Some(end) => (&rest[..end + 1], Some(&rest[end + 2..])),
            None => (rest, None),
        };
        let origin = Origin::parse(origin).ok_or(TrustError::Origin)?;
        let genesis = <[u8; HASH_LEN]>::from_hex(genesis).map_err(|_| TrustError::Genesis)?;
        let genesis = LeafHash::from_bytes(genesis);
        let operator = VerifierKey::parse(operator)?;
        let policy = Policy::parse(policy.as_bytes())?;
        let auditors = auditors.into_iter().map(VerifierKey::parse).collect::<Result<_, _>>();
        let mut trust = Self::new(origin, genesis, operator, policy)?
            .with_auditors(auditors.map_err(TrustError::AuditorKey)?)?;
        if let Some(note) = note {
            trust = trust.with_newest(SignedCheckpoint::parse(note.as_bytes())?)?;
        }
        // This also refuses upper-case hex, and comments, tabs and double spaces of the policy.
        if trust.to_string() != text {
            return Err(TrustError::Spelling);
        }
        Ok(trust)
    }

    /// The permanent identity of the log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The leaf hash of entry 0.
    pub fn genesis(&self) -> LeafHash {
        self.genesis
    }

    /// The key with which the log's operator signs checkpoints.
    pub fn operator(&self) -> &VerifierKey {
        &self.operator
    }

    /// The auditors whose statements count.
    pub fn auditors(&self) -> &[VerifierKey] {
        &self.auditors
    }

    /// Whose cosignatures are enough.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The newest checkpoint that the owner has seen.
    pub fn newest(&self) -> Option<&SignedCheckpoint> {
        self.newest.as_ref()
    }
}

/// Takes the line off that begins with this keyword.
fn head_line<'a>(keyword: &str, text: &'a str) -> Result<(&'a str, &'a str), TrustError> {
    text.strip_prefix(keyword).and_then(|text| text.split_once('\n')).ok_or(TrustError::Structure)
}

impl fmt::Display for TrustFile {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, genesis, operator, auditors, policy, newest } = self;
        writeln!(f, "{VERSION_LINE}\norigin {origin}\ngenesis {genesis}\noperator {operator}")?;
        auditors.iter().try_for_each(|auditor| writeln!(f, "auditor {auditor}"))?;
        write!(f, "\n{policy}")?;
        match newest {
            Some(newest) => write!(f, "\n{newest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::Checkpoint;
    use crate::model::hash::NodeHash;
    use ed25519_dalek::SigningKey;

    const OPERATOR: &str = "donations.example/log1+301bae82+\
                            AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    const WITNESS: &str = "witness.example/w1+20324abe+\
                           BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";

    fn head() -> String {
        let genesis = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        format!(
            "giftproof-trust/v1\norigin donations.example/log1\ngenesis {genesis}\n\
             operator {OPERATOR}\n\n"
        )
    }

    fn note(origin: &str) -> String {
        let key = SigningKey::from_bytes(&[1; 32]);
        let origin = Origin::parse(origin).unwrap();
        let root = NodeHash::from_bytes([7; 32]);
        Checkpoint { origin, size: 3, root }.sign(&key).to_string()
    }

    #[test]
    fn each_file_prints_as_it_was() {
        let head = head();
        let note = note("donations.example/log1");
        for file in [
            format!("{head}quorum none\n"),
            format!("{head}witness w {WITNESS}\nquorum w\n"),
            format!("{head}quorum none\n\n{note}"),
        ] {
            let trust = TrustFile::parse(file.as_bytes()).unwrap();
            assert_eq!(trust.to_string(), file);
            assert_eq!(trust.newest().is_some(), file.ends_with(&note));
            assert_eq!(trust.origin().as_str(), "donations.example/log1");
            assert_eq!(trust.operator().to_string(), OPERATOR);
            assert!(file.contains(&trust.genesis().to_string()));
            assert_eq!(trust.auditors(), []);
        }
    }

    fn auditor(name: &str, kind: KeyKind, seed: u8) -> VerifierKey {
        let name = crate::model::note::KeyName::parse(name).unwrap();
        VerifierKey::of_signer(name, kind, &SigningKey::from_bytes(&[seed; 32]))
    }

    #[test]
    fn auditors_stand_after_the_operator_and_no_key_twice() {
        let ours = |seed| auditor(&format!("audit.example/{seed}"), KeyKind::Ed25519, seed);
        let with = |lines: &[String]| {
            let head = head();
            let head = head.strip_suffix('\n').unwrap();
            format!("{head}{}\nwitness w {WITNESS}\nquorum w\n", lines.concat())
        };
        let line = |key: &VerifierKey| format!("auditor {key}\n");
        let sixteen: Vec<String> = (1..=16).map(|seed| line(&ours(seed))).collect();
        for lines in [&sixteen[..], &sixteen[..1], &[line(&ours(9)), line(&ours(2))]] {
            let trust = TrustFile::parse(with(lines).as_bytes()).unwrap();
            assert_eq!(trust.to_string(), with(lines));
            assert_eq!(trust.auditors().iter().map(line).collect::<Vec<_>>(), lines);
        }

        let named = |key: &str, name: &str| {
            let key = *VerifierKey::parse(key).unwrap().public_key();
            let name = crate::model::note::KeyName::parse(name).unwrap();
            line(&VerifierKey::new(name, KeyKind::Ed25519, key).unwrap())
        };
        let seventeen: Vec<String> = (1..=17).map(|seed| line(&ours(seed))).collect();
        let long = auditor(&"a".repeat(256), KeyKind::Ed25519, 1);
        for (lines, code) in [
            (seventeen, "trust/too-many-auditors"),
            (vec![line(&auditor("a.example", KeyKind::Cosignature, 1))], "trust/auditor"),
            (vec![line(&long)], "trust/auditor"),
            (vec![line(&ours(1)), line(&ours(1))], "trust/auditor-repeated"),
            (
                vec![line(&ours(1)), line(&auditor("b.example", KeyKind::Ed25519, 1))],
                "trust/auditor-repeated",
            ),
            (vec![named(OPERATOR, "a.example")], "trust/auditor-repeated"),
            (vec![named(WITNESS, "a.example")], "trust/auditor-repeated"),
            (vec!["auditor a.example\n".to_owned()], "vkey/format"),
            (vec!["auditor  a\n".to_owned()], "vkey/format"),
            (vec!["auditors a\n".to_owned()], "trust/structure"),
        ] {
            let file = with(&lines);
            let found = TrustFile::parse(file.as_bytes()).map_err(|error| error.code());
            assert_eq!(found, Err(code), "{file:.400}");
        }
    }

    #[test]
    fn wrong_files_are_refused_by_their_code() {
        let good = head() + "quorum none\n";
        let note = note("donations.example/log1");
        let other_note = self::note("other.example");
        let replaced = |from: &str, to: &str| {
            assert!(good.contains(from));
            good.replacen(from, to, 1)
        };
        let own_witness = "witness w donations.example/log1+";
        let operator_key = VerifierKey::parse(OPERATOR).unwrap().public_key().to_owned();
        let name = Origin::parse("donations.example/log1").unwrap().key_name().clone();
        let cosigner = VerifierKey::new(name, KeyKind::Cosignature, operator_key).unwrap();
        assert!(format!("witness w {cosigner}").starts_with(own_witness));
        for (file, code) in [
            ("x".repeat(TRUST_LEN_MAX + 1), "trust/too-long"),
            (String::new(), "trust/version"),
            (replaced("/v1", "/v2"), "trust/newer-version"),
            (format!("\u{feff}{good}"), "trust/version"),
            (good.replace('\n', "\r\n"), "trust/version"),
            (replaced("origin ", "genesis "), "trust/structure"),
            (replaced("\n\nquorum", "\nquorum"), "trust/structure"),
            (replaced("origin donations", "origin dona tions"), "trust/origin"),
            (replaced("genesis 6e", "genesis "), "trust/genesis"),
            (replaced("genesis 6e", "genesis 6E"), "trust/spelling"),
            (replaced("+301bae82", "+301bae83"), "vkey/id"),
            (replaced("origin donations", "origin xdonations"), "trust/operator"),
            (replaced(OPERATOR, &cosigner.to_string()), "trust/operator"),
            (head() + &format!("witness w {cosigner}\nquorum w\n"), "trust/operator-is-witness"),
            (head(), "policy/no-quorum"),
            (good.trim_end().to_owned(), "policy/unterminated"),
            (head() + "# note\nquorum none\n", "trust/spelling"),
            (head() + "quorum  none\n", "trust/spelling"),
            (head() + "\nquorum none\n", "trust/spelling"),
            (good.clone() + "\n", "note/structure"),
            (good.clone() + "\n\n" + &note, "checkpoint/extension"),
            (good.clone() + "\n" + &note + "\n", "note/structure"),
            (good.clone() + "\n" + &other_note, "trust/checkpoint-origin"),
        ] {
            let error = TrustFile::parse(file.as_bytes()).unwrap_err();
            assert_eq!(error.code(), code, "{error}\n{file:.400}");
        }
        assert_eq!(TrustFile::parse(b"\xff").unwrap_err(), TrustError::Encoding);
    }
}
