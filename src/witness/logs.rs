//! Which logs a witness trusts, and under which keys.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::model::checkpoint::Origin;
use crate::model::note::{KeyKind, VerifierKey};
use crate::model::policy::{Policy, PolicyError};

/// The largest number of logs that one witness knows.
pub const LOGS_MAX: usize = 1000;
/// The largest number of keys that one log may have at a time.
pub const KEYS_PER_LOG_MAX: usize = 8;

/// Why a key is not taken for a log's.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The file is no policy; the code is that of the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// `witness/log-key`: the key signs cosignatures, or its name cannot be an origin.
    #[error("{0} is not the key of a log")]
    NotALog(Box<VerifierKey>),
    /// `witness/too-many-keys`: more than [`KEYS_PER_LOG_MAX`] for one log.
    #[error("the log {0} has more than {KEYS_PER_LOG_MAX} keys")]
    TooManyKeys(Origin),
    /// `witness/too-many-logs`: more than [`LOGS_MAX`].
    #[error("there are more than {LOGS_MAX} logs")]
    TooManyLogs,
}

impl LogsError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::NotALog(_) => "witness/log-key",
            Self::TooManyKeys(_) => "witness/too-many-keys",
            Self::TooManyLogs => "witness/too-many-logs",
        }
    }
}

/// The trusted logs: each is known by its origin, which its keys bear as their name.
#[derive(Debug, Clone, Default)]
pub struct TrustedLogs(BTreeMap<Origin, Vec<VerifierKey>>);

impl TrustedLogs {
    /// Trusts a log's key; a second one of the same name is the same log's.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn add(&mut self, key: VerifierKey) -> Result<(), LogsError> {
        let origin = Origin::parse(key.name().as_str());
        let Some(origin) = origin.filter(|_| key.kind() == KeyKind::Ed25519) else {
            return Err(LogsError::NotALog(Box::new(key)));
        };
        if self.0.len() == LOGS_MAX && !self.0.contains_key(&origin) {
            return Err(LogsError::TooManyLogs);
        }
        let keys = self.0.entry(origin.clone()).or_default();
        if keys.contains(&key) {
            return Ok(());
        }
        if keys.len() == KEYS_PER_LOG_MAX {
            return Err(LogsError::TooManyKeys(origin));
        }
        keys.push(key);
        Ok(())
    }

    /// Trusts the keys in the `log` lines of a C2SP tlog-policy; a quorum line is not needed.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn add_policy(&mut self, policy: &[u8]) -> Result<(), LogsError> {
        let policy = match Policy::parse(policy) {
            Err(PolicyError::NoQuorum) => Policy::parse(&[policy, b"quorum none\n"].concat())?,
            other => other?,
        };
        policy.logs().try_for_each(|key| self.add(key.clone()))
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Origin, Vec<VerifierKey>)> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::note::KeyName;
    use ed25519_dalek::SigningKey;

    fn key(name: &str, kind: KeyKind, seed: u8) -> VerifierKey {
        let name = KeyName::parse(name).unwrap();
        VerifierKey::of_signer(name, kind, &SigningKey::from_bytes(&[seed; 32]))
    }

    fn added(logs: &mut TrustedLogs, name: &str, seed: u8) -> &'static str {
        logs.add(key(name, KeyKind::Ed25519, seed)).map_or_else(|error| error.code(), |()| "ok")
    }

    #[test]
    fn keys_of_one_name_are_one_logs_up_to_a_bound() {
        let mut logs = TrustedLogs::default();
        for seed in 0..8 {
            assert_eq!(added(&mut logs, "a.example", seed), "ok");
        }
        assert_eq!(added(&mut logs, "a.example", 7), "ok", "it is known already");
        assert_eq!(added(&mut logs, "a.example", 8), "witness/too-many-keys");
        assert_eq!(added(&mut logs, "b.example", 0), "ok");
        let counts: Vec<_> =
            logs.into_iter().map(|(o, keys)| (o.to_string(), keys.len())).collect();
        assert_eq!(counts, [("a.example".to_owned(), 8), ("b.example".to_owned(), 1)]);
    }

    #[test]
    fn logs_are_bounded_and_witnesses_are_no_logs() {
        let mut logs = TrustedLogs::default();
        let witness = key("w.example", KeyKind::Cosignature, 1);
        assert_eq!(logs.add(witness).unwrap_err().code(), "witness/log-key");
        assert_eq!(added(&mut logs, &"x".repeat(256), 1), "witness/log-key");
        for number in 0..1000 {
            assert_eq!(added(&mut logs, &format!("{number}.example"), 1), "ok");
        }
        assert_eq!(added(&mut logs, "more.example", 1), "witness/too-many-logs");
        assert_eq!(added(&mut logs, "0.example", 2), "ok");
    }

    #[test]
    fn a_list_of_logs_is_a_policy_that_may_lack_its_quorum() {
        let (one, two) = (key("a", KeyKind::Ed25519, 1), key("a", KeyKind::Ed25519, 2));
        let lines = format!("# ours\nlog {one}\n\nlog {two} https://a/\n");
        for policy in [lines.clone(), format!("{lines}quorum none\n")] {
            let mut logs = TrustedLogs::default();
            logs.add_policy(policy.as_bytes()).unwrap();
            let logs: Vec<_> = logs.into_iter().map(|(_, keys)| keys).collect();
            assert_eq!(logs, [[one.clone(), two.clone()]]);
        }
        let mut logs = TrustedLogs::default();
        let refused = logs.add_policy(format!("{lines}log x\n").as_bytes()).unwrap_err();
        assert_eq!(refused.code(), "vkey/format");
    }
}
