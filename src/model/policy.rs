//! Whose cosignatures are enough: the trust policy of C2SP tlog-policy.
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> all|any|<k> <member>...
//! quorum <name>|none
//! ```
//!
//! Lines end in a line feed, items are separated by spaces and tabs; empty lines and lines that
//! begin with `#` are ignored. Names must be defined on an earlier line, each is a member of at most
//! one group, and there is exactly one quorum line. Names have no meaning outside the policy.
//!
//! [`Policy::parse`] reads every spelling, printing has one: the lines in their order, one space
//! between items, no comments. Narrower than the specification in four points: the bytes are
//! UTF-8, a log's key is of type 0x01 and a witness's of 0x04, one public key stands on one line
//! only whatever it is for, and a threshold has no leading zero.

mod edit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::checkpoint::{CheckpointVerifyError, SignedCheckpoint, parse_decimal};
use super::note::{
    CosignatureTime, KeyKind, NoteVerifyError, Verified, VerifierKey, VerifierKeyError,
};

pub use edit::Quorum;

/// The longest policy that is read, in bytes.
pub const POLICY_LEN_MAX: usize = 65_536;

/// The name that stands for "no cosignature needed" in a quorum line.
const NONE: &str = "none";

/// How many members of a group must have witnessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threshold {
    All,
    Any,
    AtLeast(u64),
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
            Self::AtLeast(k) => k.fmt(f),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Log { key: VerifierKey, url: Option<String> },
    Witness { name: String, key: VerifierKey, url: Option<String> },
    Group { name: String, threshold: Threshold, members: Vec<String> },
    Quorum { name: String },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log { key, .. } => write!(f, "log {key}")?,
            Self::Witness { name, key, .. } => write!(f, "witness {name} {key}")?,
            Self::Group { name, threshold, members } => {
                write!(f, "group {name} {threshold} {}", members.join(" "))?;
            }
            Self::Quorum { name } => write!(f, "quorum {name}")?,
        }
        match self {
            Self::Log { url: Some(url), .. } | Self::Witness { url: Some(url), .. } => {
                write!(f, " {url}")
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with a line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyFault {
    /// `policy/syntax`: an unknown keyword, or too few or too many items.
    #[error("not a policy line")]
    Syntax,
    /// The item that should be a key is none; the code is that of the key.
    #[error(transparent)]
    Key(#[from] VerifierKeyError),
    /// `policy/key-kind`: a log's key that signs cosignatures, or a witness's that does not.
    #[error("the key is of the wrong signature type for this line")]
    KeyKind,
    /// `policy/key-repeated`: the public key stands on an earlier line, under whatever name.
    #[error("the public key is on an earlier line")]
    KeyRepeated,
    /// `policy/name-taken`: the name is defined on an earlier line, or is `none`.
    #[error("the name {0} is taken")]
    NameTaken(String),
    /// `policy/name-unknown`: no earlier line defines the name.
    #[error("no earlier line defines {0}")]
    NameUnknown(String),
    /// `policy/member-repeated`: the name is already a member of a group.
    #[error("{0} is already a member of a group")]
    MemberRepeated(String),
    /// `policy/threshold`: neither `all`, `any`, nor a number from 1 to that of the members.
    #[error("the threshold does not fit the group")]
    Threshold,
    /// `policy/quorum-repeated`: a second quorum line.
    #[error("the quorum is on an earlier line")]
    QuorumRepeated,
}

/// Bytes that are no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// `policy/too-long`: longer than [`POLICY_LEN_MAX`].
    #[error("a policy of {0} bytes is longer than {POLICY_LEN_MAX}")]
    TooLong(usize),
    /// `policy/encoding`: not UTF-8, or a control character other than tab and line feed.
    #[error("a policy is UTF-8 without control characters")]
    Encoding,
    /// `policy/unterminated`: the last line has no line feed.
    #[error("the last line of the policy has no line feed")]
    Unterminated,
    /// A line is wrong; lines are counted from 1.
    #[error("policy line {line}: {fault}")]
    Line { line: usize, fault: PolicyFault },
    /// `policy/no-quorum`: there is no quorum line.
    #[error("the policy has no quorum line")]
    NoQuorum,
}

impl PolicyError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "policy/too-long",
            Self::Encoding => "policy/encoding",
            Self::Unterminated => "policy/unterminated",
            Self::Line { fault, .. } => match fault {
                PolicyFault::Syntax => "policy/syntax",
                PolicyFault::Key(error) => error.code(),
                PolicyFault::KeyKind => "policy/key-kind",
                PolicyFault::KeyRepeated => "policy/key-repeated",
                PolicyFault::NameTaken(_) => "policy/name-taken",
                PolicyFault::NameUnknown(_) => "policy/name-unknown",
                PolicyFault::MemberRepeated(_) => "policy/member-repeated",
                PolicyFault::Threshold => "policy/threshold",
                PolicyFault::QuorumRepeated => "policy/quorum-repeated",
            },
            Self::NoQuorum => "policy/no-quorum",
        }
    }
}

/// A witness of a policy, and when it cosigned a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's name in the policy.
    pub witness: String,
    /// The time that the cosignature states.
    pub time: CosignatureTime,
}

/// A policy in which every name is defined and every threshold can be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// In the order of the file; exactly one is a quorum.
    lines: Vec<Line>,
}

impl Policy {
    /// The policy that demands no cosignature: `quorum none`.
    pub fn without_witnesses() -> Self {
        Self { lines: vec![Line::Quorum { name: NONE.to_owned() }] }
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`], the first from the top.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > POLICY_LEN_MAX {
            return Err(PolicyError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::Encoding)?;
        if text.contains(|c: char| c.is_ascii_control() && c != '\t' && c != '\n') {
            return Err(PolicyError::Encoding);
        }
        let mut reader = Reader::default();
        if !text.is_empty() {
            let text = text.strip_suffix('\n').ok_or(PolicyError::Unterminated)?;
            for (line, items) in (1..).zip(text.split('\n')) {
                reader.line(items).map_err(|fault| PolicyError::Line { line, fault })?;
            }
        }
        if !reader.has_quorum {
            return Err(PolicyError::NoQuorum);
        }
        Ok(Self { lines: reader.lines })
    }

    /// The keys of the logs that the policy accepts; may be empty where the log is known otherwise.
    pub fn logs(&self) -> impl Iterator<Item = &VerifierKey> {
        self.lines.iter().filter_map(|line| match line {
            Line::Log { key, .. } => Some(key),
            _ => None,
        })
    }

    /// The witnesses: name in this policy, and key.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, &VerifierKey)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Witness { name, key, .. } => Some((name.as_str(), key)),
            _ => None,
        })
    }

    /// The name of the witness that has this key.
    pub fn witness_name(&self, key: &VerifierKey) -> Option<&str> {
        self.witnesses().find(|(_, witness)| *witness == key).map(|(name, _)| name)
    }

    /// Which of the witnesses have cosigned a checkpoint, and when.
    ///
    /// # Errors
    /// If the log's own signature is missing, or one of a known key is wrong.
    pub fn cosigned(
        &self,
        checkpoint: &SignedCheckpoint,
        log: &VerifierKey,
    ) -> Result<Vec<Cosigned>, CheckpointVerifyError> {
        let verified = checkpoint.verify(log, self.witnesses().map(|(_, key)| key))?;
        Ok(verified.iter().filter_map(|verified| self.by(verified)).collect())
    }

    /// Where a witness is asked for cosignatures, if the policy says so.
    pub fn witness_url(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| match line {
            Line::Witness { name: found, url, .. } if found == name => url.as_deref(),
            _ => None,
        })
    }

    /// Who of the witnesses has cosigned a checkpoint, and when, in the order of its lines. The
    /// log's own signature is not looked at.
    ///
    /// # Errors
    /// [`NoteVerifyError`]: one wrong signature of a known witness refuses the whole note.
    pub fn cosignatures(
        &self,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Vec<Cosigned>, NoteVerifyError> {
        let known: Vec<&VerifierKey> = self.witnesses().map(|(_, key)| key).collect();
        let verified = match checkpoint.note().verify(&known) {
            Err(NoteVerifyError::NoKnownSignature) => Vec::new(),
            verified => verified?,
        };
        Ok(verified.iter().filter_map(|verified| self.by(verified)).collect())
    }

    fn by(&self, verified: &Verified<'_>) -> Option<Cosigned> {
        let witness = self.witness_name(verified.key)?.to_owned();
        Some(Cosigned { witness, time: verified.time? })
    }

    /// Whether those who have cosigned reach the quorum.
    pub fn accepts(&self, cosigned: &[Cosigned]) -> bool {
        self.is_satisfied_by(&cosigned.iter().map(|by| by.witness.as_str()).collect())
    }

    /// Whether the quorum is reached when the witnesses of these names, and no others, have
    /// cosigned. Names of no witness count for nothing; nor do names of groups.
    pub fn is_satisfied_by(&self, cosigners: &BTreeSet<&str>) -> bool {
        let mut witnessed: BTreeMap<&str, bool> = BTreeMap::from([(NONE, true)]);
        let mut quorum = NONE;
        for line in &self.lines {
            match line {
                Line::Log { .. } => {}
                Line::Witness { name, .. } => {
                    witnessed.insert(name, cosigners.contains(name.as_str()));
                }
                Line::Group { name, threshold, members } => {
                    let count = members.iter().filter(|name| witnessed[name.as_str()]).count();
                    let needed = match threshold {
                        Threshold::All => members.len() as u64,
                        Threshold::Any => 1,
                        Threshold::AtLeast(k) => *k,
                    };
                    witnessed.insert(name, count as u64 >= needed);
                }
                Line::Quorum { name } => quorum = name,
            }
        }
        witnessed[quorum]
    }
}

impl fmt::Display for Policy {
    /// The one spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// What the lines so far have defined.
#[derive(Default)]
struct Reader {
    lines: Vec<Line>,
    names: BTreeSet<String>,
    members: BTreeSet<String>,
    public_keys: BTreeSet<[u8; 32]>,
    has_quorum: bool,
}

impl Reader {
    fn line(&mut self, text: &str) -> Result<(), PolicyFault> {
        let items: Vec<&str> = text.split([' ', '\t']).filter(|item| !item.is_empty()).collect();
        let line = match *items.as_slice() {
            [] => return Ok(()),
            [comment, ..] if comment.starts_with('#') => return Ok(()),
            ["log", key] => self.log(key, None)?,
            ["log", key, url] => self.log(key, Some(url))?,
            ["witness", name, key] => self.witness(name, key, None)?,
            ["witness", name, key, url] => self.witness(name, key, Some(url))?,
            ["group", name, threshold, ref members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)?
            }
            ["quorum", name] => self.quorum(name)?,
            _ => return Err(PolicyFault::Syntax),
        };
        self.lines.push(line);
        Ok(())
    }

    fn log(&mut self, key: &str, url: Option<&str>) -> Result<Line, PolicyFault> {
        let key = self.key(key, KeyKind::Ed25519)?;
        Ok(Line::Log { key, url: url.map(str::to_owned) })
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&str>) -> Result<Line, PolicyFault> {
        let name = self.define(name)?;
        let key = self.key(key, KeyKind::Cosignature)?;
        Ok(Line::Witness { name, key, url: url.map(str::to_owned) })
    }

    fn group(
        &mut self,
        name: &str,
        threshold: &str,
        members: &[&str],
    ) -> Result<Line, PolicyFault> {
        // The group's own name is defined last, so that it cannot be a member of itself.
        for &member in members {
            self.expect_defined(member)?;
            if !self.members.insert(member.to_owned()) {
                return Err(PolicyFault::MemberRepeated(member.to_owned()));
            }
        }
        let threshold = match threshold {
            "all" => Threshold::All,
            "any" => Threshold::Any,
            k => match parse_decimal(k) {
                Some(k) if (1..=members.len() as u64).contains(&k) => Threshold::AtLeast(k),
                _ => return Err(PolicyFault::Threshold),
            },
        };
        let members = members.iter().map(|&member| member.to_owned()).collect();
        Ok(Line::Group { name: self.define(name)?, threshold, members })
    }

    fn quorum(&mut self, name: &str) -> Result<Line, PolicyFault> {
        if name != NONE {
            self.expect_defined(name)?;
        }
        if self.has_quorum {
            return Err(PolicyFault::QuorumRepeated);
        }
        self.has_quorum = true;
        Ok(Line::Quorum { name: name.to_owned() })
    }

    fn key(&mut self, text: &str, kind: KeyKind) -> Result<VerifierKey, PolicyFault> {
        let key = VerifierKey::parse(text)?;
        if key.kind() != kind {
            return Err(PolicyFault::KeyKind);
        }
        if !self.public_keys.insert(key.public_key().to_bytes()) {
            return Err(PolicyFault::KeyRepeated);
        }
        Ok(key)
    }

    fn define(&mut self, name: &str) -> Result<String, PolicyFault> {
        if name == NONE || !self.names.insert(name.to_owned()) {
            return Err(PolicyFault::NameTaken(name.to_owned()));
        }
        Ok(name.to_owned())
    }

    fn expect_defined(&self, name: &str) -> Result<(), PolicyFault> {
        let defined = self.names.contains(name);
        if defined { Ok(()) } else { Err(PolicyFault::NameUnknown(name.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::note::KeyName;
    use ed25519_dalek::SigningKey;

    fn vkey(seed: u8, kind: KeyKind) -> String {
        let name = KeyName::parse(&format!("w{seed}.example")).unwrap();
        VerifierKey::of_signer(name, kind, &SigningKey::from_bytes(&[seed; 32])).to_string()
    }

    /// Replaces `L<n>` and `W<n>` items by the vkey of a log or witness of seed n.
    fn with_keys(text: &str) -> String {
        let key = |item: &str| match (item.split_at_checked(1), item.get(1..).map(str::parse)) {
            (Some(("L", _)), Some(Ok(n))) => vkey(n, KeyKind::Ed25519),
            (Some(("W", _)), Some(Ok(n))) => vkey(n, KeyKind::Cosignature),
            _ => item.to_owned(),
        };
        let line = |line: &str| line.split(' ').map(key).collect::<Vec<_>>().join(" ");
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }

    fn parse(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse(with_keys(text).as_bytes())
    }

    /// The example of C2SP tlog-policy.
    const TWO_LEVELS: &str = "log L1\n\
        witness X1 W11\nwitness X2 W12\nwitness X3 W13\ngroup X-witnesses 2 X1 X2 X3\n\
        witness Y1 W21\nwitness Y2 W22\nwitness Y3 W23\ngroup Y-witnesses any Y1 Y2 Y3\n\
        group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";

    #[test]
    fn two_levels_need_two_of_one_group_and_one_of_the_other() {
        let policy = parse(TWO_LEVELS).unwrap();
        let all = ["X1", "X2", "X3", "Y1", "Y2", "Y3"];
        for mask in 0u32..64 {
            let chosen: BTreeSet<&str> =
                (0..6).filter(|i| mask >> i & 1 == 1).map(|i| all[i]).collect();
            let of = |group: &str| chosen.iter().filter(|name| name.starts_with(group)).count();
            let expected = of("X") >= 2 && of("Y") >= 1;
            assert_eq!(policy.is_satisfied_by(&chosen), expected, "{chosen:?}");
        }
        assert!(!policy.is_satisfied_by(&BTreeSet::from(["X-and-Y", "X-witnesses", "none"])));
    }

    #[test]
    fn one_witness_or_none_can_be_the_quorum() {
        let one = parse("witness a W1\nwitness b W2\nquorum b\n").unwrap();
        assert!(one.is_satisfied_by(&BTreeSet::from(["b"])));
        assert!(!one.is_satisfied_by(&BTreeSet::from(["a"])));
        let none = parse("witness a W1\nquorum none\n").unwrap();
        assert!(none.is_satisfied_by(&BTreeSet::new()));
        assert_eq!(parse("quorum none\n").unwrap(), Policy::without_witnesses());
    }

    #[test]
    fn any_spelling_is_read_and_one_is_printed() {
        let free = "# who\n\n\t log  L1\thttps://log.example/ \nwitness \u{7532} W2\n \t\n \
                    # more\ngroup g\t1 \u{7532}\nquorum g\nwitness late W3 url\n";
        let canonical = with_keys(
            "log L1 https://log.example/\nwitness \u{7532} W2\ngroup g 1 \u{7532}\nquorum g\n\
             witness late W3 url\n",
        );
        // Only items that stand between single spaces are replaced by keys above.
        let free = with_keys(&free.replace("L1\t", "L1 \t"));
        let policy = Policy::parse(free.as_bytes()).unwrap();
        assert_eq!(policy.to_string(), canonical);
        assert_eq!(Policy::parse(canonical.as_bytes()).unwrap(), policy);
        let (name, key) = policy.witnesses().next().unwrap();
        assert_eq!((name, policy.witness_name(key)), ("\u{7532}", Some("\u{7532}")));
        assert_eq!(policy.logs().count(), 1);
    }

    #[test]
    fn wrong_policies_are_refused_by_their_code() {
        let long = "#\n".repeat(POLICY_LEN_MAX / 2) + "\n";
        for (text, code) in [
            (long.as_str(), "policy/too-long"),
            ("quorum none\r\n", "policy/encoding"),
            ("quorum none\n#\u{7f}\n", "policy/encoding"),
            ("quorum none", "policy/unterminated"),
            ("quorum none\n#", "policy/unterminated"),
            ("", "policy/no-quorum"),
            ("witness a W1\n", "policy/no-quorum"),
            ("quorum none\nquorum none\n", "policy/quorum-repeated"),
            ("quorum\n", "policy/syntax"),
            ("quorum none none\n", "policy/syntax"),
            ("Quorum none\n", "policy/syntax"),
            ("log\n", "policy/syntax"),
            ("log L1 url more\n", "policy/syntax"),
            ("witness a\n", "policy/syntax"),
            ("witness a W1 url more\n", "policy/syntax"),
            ("witness a W1\ngroup g all\n", "policy/syntax"),
            ("log x+y\n", "vkey/format"),
            ("log W1\n", "policy/key-kind"),
            ("witness a L1\n", "policy/key-kind"),
            ("log L1\nlog L1\n", "policy/key-repeated"),
            ("log L1\nwitness a W1\n", "policy/key-repeated"),
            ("witness a W1\nwitness b W1\n", "policy/key-repeated"),
            ("witness a W1\nwitness a W2\n", "policy/name-taken"),
            ("witness a W1\ngroup a any a\n", "policy/name-taken"),
            ("witness none W1\n", "policy/name-taken"),
            ("witness a W1\ngroup none any a\n", "policy/name-taken"),
            ("witness a W1\ngroup g any none\n", "policy/name-unknown"),
            ("group g any g\n", "policy/name-unknown"),
            ("group g any a\nwitness a W1\n", "policy/name-unknown"),
            ("quorum a\nwitness a W1\n", "policy/name-unknown"),
            ("witness a W1\ngroup g any a a\n", "policy/member-repeated"),
            ("witness a W1\ngroup g any a\ngroup h any a\n", "policy/member-repeated"),
            ("witness a W1\ngroup g 0 a\n", "policy/threshold"),
            ("witness a W1\ngroup g 2 a\n", "policy/threshold"),
            ("witness a W1\ngroup g 01 a\n", "policy/threshold"),
            ("witness a W1\ngroup g +1 a\n", "policy/threshold"),
            ("witness a W1\ngroup g most a\n", "policy/threshold"),
        ] {
            assert_eq!(parse(text).unwrap_err().code(), code, "{text:.80}");
        }
        assert_eq!(Policy::parse(b"quorum \xff\n").unwrap_err().code(), "policy/encoding");
        assert!(matches!(parse("#\n\nx\n"), Err(PolicyError::Line { line: 3, .. })));
    }
}
