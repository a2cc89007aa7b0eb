//! What an auditor signs when a log is clean: "I have replayed this log as of this tree head" (spec
//! section 18.4).
//!
//! ```text
//! giftproof audit statement v1
//! <origin>
//! <size, decimal>
//! <base64 of the root, 32 bytes>
//! clean
//! <gifts with differences, decimal>
//! <seconds since 1970 of the audit, decimal>
//! ```
//!
//! is the text of a signed note (C2SP signed-note), signed with a key of type 0x01 under the
//! auditor's name. The first line holds spaces, so that no statement is a checkpoint: an auditor's
//! key cannot be made to sign a tree head, nor an operator's checkpoint be shown as an audit.

use std::fmt;

use ed25519_dalek::SigningKey;
use thiserror::Error;

use super::checkpoint::{Checkpoint, parse_decimal};
use super::note::{KeyKind, KeyName, Note, NoteError, NoteSignature, NoteVerifyError, VerifierKey};
use super::version::newer;

/// The first line of every statement, by which it is known.
pub const AUDIT_STATEMENT_LINE: &str = "giftproof audit statement v1";
const OUTCOME: &str = "clean";

/// A text that is no audit statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuditStatementError {
    /// `audit-statement/newer-version`: a newer giftproof wrote it.
    #[error("a newer version of this program wrote the audit statement: version {0}")]
    NewerVersion(u64),
    /// `audit-statement/version`: the first line is not that of a statement of a known version.
    #[error("the first line is not {AUDIT_STATEMENT_LINE}")]
    Version,
    /// `audit-statement/structure`: not seven lines, each with a line feed.
    #[error("an audit statement has seven lines")]
    Structure,
    /// `audit-statement/checkpoint`: the second to fourth line are no checkpoint.
    #[error("the second to fourth line are no tree head")]
    Checkpoint,
    /// `audit-statement/outcome`: the fifth line is not `clean`.
    #[error("the fifth line is not {OUTCOME}")]
    Outcome,
    /// `audit-statement/number`: the sixth or seventh line is not a decimal below 2^64 in its one
    /// spelling.
    #[error("the sixth or seventh line is not a number")]
    Number,
}

impl AuditStatementError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NewerVersion(_) => "audit-statement/newer-version",
            Self::Version => "audit-statement/version",
            Self::Structure => "audit-statement/structure",
            Self::Checkpoint => "audit-statement/checkpoint",
            Self::Outcome => "audit-statement/outcome",
            Self::Number => "audit-statement/number",
        }
    }
}

/// That a log was audited up to a tree head, and was clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStatement {
    /// The tree head: whose log, how many entries, and their root.
    pub checkpoint: Checkpoint,
    /// How many gifts had differences as of the last entry: late, short, damaged, disputed.
    pub differences: u64,
    /// When the audit ended, in seconds since 1970 by the auditor's clock.
    pub audited_at_unix_seconds: u64,
}

impl AuditStatement {
    /// Reads the text of a statement.
    ///
    /// # Errors
    /// [`AuditStatementError`], the first that applies, in the order of its variants.
    pub fn parse(text: &str) -> Result<Self, AuditStatementError> {
        if let Some(found) = newer(format!("{AUDIT_STATEMENT_LINE}\n").as_bytes(), text.as_bytes())
        {
            return Err(AuditStatementError::NewerVersion(found));
        }
        let (first, rest) = text.split_once('\n').ok_or(AuditStatementError::Version)?;
        if first != AUDIT_STATEMENT_LINE {
            return Err(AuditStatementError::Version);
        }
        let lines = rest.strip_suffix('\n').ok_or(AuditStatementError::Structure)?;
        let lines: Vec<&str> = lines.split('\n').collect();
        let [origin, size, root, outcome, differences, audited_at] = lines[..] else {
            return Err(AuditStatementError::Structure);
        };
        let checkpoint = Checkpoint::parse(&format!("{origin}\n{size}\n{root}\n"));
        let checkpoint = checkpoint.map_err(|_| AuditStatementError::Checkpoint)?;
        if outcome != OUTCOME {
            return Err(AuditStatementError::Outcome);
        }
        let number = |line| parse_decimal(line).ok_or(AuditStatementError::Number);
        Ok(Self {
            checkpoint,
            differences: number(differences)?,
            audited_at_unix_seconds: number(audited_at)?,
        })
    }

    /// Signs the statement under the auditor's name.
    ///
    /// # Errors
    /// [`NoteError::TooLong`] if the name is longer than a note can be.
    pub fn sign(&self, name: &KeyName, key: &SigningKey) -> Result<SignedStatement, NoteError> {
        let text = self.to_string();
        let signature = NoteSignature::sign(&text, name, key);
        let note = Note::new(text, vec![signature])?;
        Ok(SignedStatement { statement: self.clone(), note })
    }
}

impl fmt::Display for AuditStatement {
    /// The seven lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checkpoint, differences, audited_at_unix_seconds } = self;
        write!(f, "{AUDIT_STATEMENT_LINE}\n{checkpoint}{OUTCOME}\n{differences}\n")?;
        writeln!(f, "{audited_at_unix_seconds}")
    }
}

/// A note that is no audit statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignedStatementError {
    /// The bytes are no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is no audit statement.
    #[error(transparent)]
    Statement(#[from] AuditStatementError),
}

impl SignedStatementError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Statement(error) => error.code(),
        }
    }
}

/// A statement with its signature lines, parsed and not yet trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    statement: AuditStatement,
    note: Note,
}

impl SignedStatement {
    /// Reads a signed statement.
    ///
    /// # Errors
    /// [`SignedStatementError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedStatementError> {
        let note = Note::parse(bytes)?;
        let statement = AuditStatement::parse(note.text())?;
        Ok(Self { statement, note })
    }

    /// What is stated. Nobody vouches for it before [`Self::verify`].
    pub fn statement(&self) -> &AuditStatement {
        &self.statement
    }

    /// The names under which it is signed, whoever that is.
    pub fn claimed_by(&self) -> impl Iterator<Item = &KeyName> {
        self.note.signatures().iter().map(NoteSignature::key_name)
    }

    /// Which of the known auditors have signed, in the order of the lines, each once; empty where
    /// only unknown ones have, whose word counts for nothing.
    ///
    /// # Errors
    /// [`NoteVerifyError`] where a line claims to be of a known auditor and is wrong.
    pub fn verify<'a>(
        &self,
        auditors: &'a [VerifierKey],
    ) -> Result<Vec<&'a VerifierKey>, NoteVerifyError> {
        // A cosignature is made over another message, and never over a statement.
        let known: Vec<&VerifierKey> =
            auditors.iter().filter(|key| key.kind() == KeyKind::Ed25519).collect();
        let verified = match self.note.verify(&known) {
            Ok(verified) => verified,
            Err(NoteVerifyError::NoKnownSignature) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut signed: Vec<&VerifierKey> = Vec::new();
        for by in verified {
            if !signed.contains(&by.key) {
                signed.push(by.key);
            }
        }
        Ok(signed)
    }
}

impl fmt::Display for SignedStatement {
    /// The note, byte for byte as it was parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::SignedCheckpoint;

    /// By hand from the specification; the root is the bytes 0 to 31.
    const TEXT: &str = "giftproof audit statement v1\n\
                        ledger.example/test\n\
                        12034\n\
                        AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\
                        clean\n\
                        17\n\
                        1800000000\n";

    fn auditor(seed: u8, name: &str) -> (KeyName, SigningKey, VerifierKey) {
        let (name, key) = (KeyName::parse(name).unwrap(), SigningKey::from_bytes(&[seed; 32]));
        let public = VerifierKey::of_signer(name.clone(), KeyKind::Ed25519, &key);
        (name, key, public)
    }

    #[test]
    fn a_statement_has_one_spelling() {
        let statement = AuditStatement::parse(TEXT).unwrap();
        assert_eq!(statement.to_string(), TEXT);
        assert_eq!(statement.checkpoint.size, 12_034);
        assert_eq!((statement.differences, statement.audited_at_unix_seconds), (17, 1_800_000_000));
        for (from, to, code) in [
            ("v1\n", "v2\n", "audit-statement/newer-version"),
            ("giftproof audit", "giftproof  audit", "audit-statement/version"),
            ("\n17\n", "\n", "audit-statement/structure"),
            ("\n17\n", "\n17\n17\n", "audit-statement/structure"),
            ("1800000000\n", "1800000000", "audit-statement/structure"),
            ("1800000000\n", "1800000000\n\n", "audit-statement/structure"),
            ("ledger.example", "ledger example", "audit-statement/checkpoint"),
            ("12034", "012034", "audit-statement/checkpoint"),
            ("Hh8=", "Hh9=", "audit-statement/checkpoint"),
            ("clean", "Clean", "audit-statement/outcome"),
            ("clean", "failed", "audit-statement/outcome"),
            ("17", "+17", "audit-statement/number"),
            ("17", "", "audit-statement/number"),
            ("1800000000", "18446744073709551616", "audit-statement/number"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let changed = TEXT.replacen(from, to, 1);
            let found = AuditStatement::parse(&changed).map_err(|error| error.code());
            assert_eq!(found, Err(code), "{changed}");
        }
    }

    #[test]
    fn no_part_of_a_statement_is_taken_for_a_whole_one() {
        for end in 0..TEXT.len() {
            assert!(AuditStatement::parse(&TEXT[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn only_known_auditors_count_and_none_may_be_forged() {
        let (name, key, public) = auditor(1, "audit.example/office");
        let (other_name, other_key, other) = auditor(2, "audit.example/other");
        let statement = AuditStatement::parse(TEXT).unwrap();
        let signed = statement.sign(&name, &key).unwrap();
        let bytes = signed.to_string();
        let read = SignedStatement::parse(bytes.as_bytes()).unwrap();
        assert_eq!(read.to_string(), bytes);
        assert_eq!(read.statement(), &statement);
        assert_eq!(read.verify(&[other.clone(), public.clone()]).unwrap(), [&public]);
        assert_eq!(read.verify(std::slice::from_ref(&other)).unwrap(), [] as [&VerifierKey; 0]);
        assert_eq!(read.claimed_by().collect::<Vec<_>>(), [&name]);

        // The other's key under this name, and these signatures under another text.
        let by_other = statement.sign(&other_name, &other_key).unwrap().to_string();
        let more = bytes.replacen("\n17\n", "\n16\n", 1);
        let moved = by_other.lines().last().unwrap().to_owned() + "\n";
        for forged in [more, bytes.replacen("12034", "12035", 1)] {
            let forged = SignedStatement::parse(forged.as_bytes()).unwrap();
            let error = forged.verify(std::slice::from_ref(&public)).unwrap_err();
            assert_eq!(error.code(), "note/signature-invalid");
        }
        // No bit of it can be another one and still count.
        for at in 0..bytes.len() {
            let mut changed = bytes.clone().into_bytes();
            changed[at] ^= 1 << (at % 8);
            let read = SignedStatement::parse(&changed);
            let counts = read.is_ok_and(|read| {
                read.verify(std::slice::from_ref(&public)).is_ok_and(|by| !by.is_empty())
            });
            assert!(!counts, "byte {at}");
        }
        let both = SignedStatement::parse((bytes.clone() + &moved).as_bytes()).unwrap();
        let known = [other.clone(), public.clone()];
        assert_eq!(both.verify(&known).unwrap(), [&public, &other]);
    }

    #[test]
    fn a_statement_is_no_checkpoint_and_a_checkpoint_no_statement() {
        let (name, key, _) = auditor(1, "ledger.example/test");
        let statement = AuditStatement::parse(TEXT).unwrap();
        let signed = statement.sign(&name, &key).unwrap().to_string();
        assert!(SignedCheckpoint::parse(signed.as_bytes()).is_err());
        let checkpoint = statement.checkpoint.sign(&key).to_string();
        let error = SignedStatement::parse(checkpoint.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "audit-statement/version");
    }
}
