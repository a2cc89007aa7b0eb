//! Policies made from others: one more witness, one less, another quorum.
//!
//! A policy that was written by hand keeps its groups. Two names are this module's own: the group
//! `witnesses` has every witness for a member and stays so, `chosen` has those that were named.

use std::collections::BTreeSet;

use super::{Line, NONE, Policy, PolicyError, PolicyFault, Threshold};
use crate::model::note::VerifierKey;

/// The group of all witnesses.
const EVERYBODY: &str = "witnesses";
/// The group of those that were named.
const CHOSEN: &str = "chosen";

/// How many witnesses must cosign, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Nobody.
    None,
    /// Every witness, those of later on too.
    All,
    /// One of them, whoever it is.
    Any,
    /// So many of them.
    AtLeast(u64),
    /// All of these witnesses or groups, at least one.
    Named(Vec<String>),
}

impl Policy {
    /// With one more witness. Nobody demands its cosignature, unless the quorum is one of all.
    ///
    /// # Errors
    /// [`PolicyError::Line`]: the key is no cosigner's or stands in the policy, the name is taken
    /// or is none.
    pub fn with_witness(
        &self,
        name: &str,
        key: VerifierKey,
        url: Option<&str>,
    ) -> Result<Self, PolicyError> {
        let mut lines = self.lines.clone();
        for line in &mut lines {
            if let Line::Group { name: group, members, .. } = line
                && group == EVERYBODY
            {
                members.push(name.to_owned());
            }
        }
        lines.push(Line::Witness { name: name.to_owned(), key, url: url.map(str::to_owned) });
        rebuilt(lines)
    }

    /// Without the witness of this name, which leaves every group. A group without members goes.
    ///
    /// # Errors
    /// [`PolicyError::Line`] where the quorum can no longer be reached.
    pub fn without_witness(&self, name: &str) -> Result<Self, PolicyError> {
        let mut gone = BTreeSet::from([name]);
        let mut lines = Vec::new();
        for line in &self.lines {
            match line {
                Line::Witness { name: found, .. } if found == name => {}
                Line::Group { name, threshold, members } => {
                    let left = members.iter().filter(|member| !gone.contains(member.as_str()));
                    let members: Vec<String> = left.cloned().collect();
                    if members.is_empty() {
                        gone.insert(name);
                    } else {
                        let (name, threshold) = (name.clone(), *threshold);
                        lines.push(Line::Group { name, threshold, members });
                    }
                }
                other => lines.push(other.clone()),
            }
        }
        rebuilt(lines)
    }

    /// With another quorum.
    ///
    /// # Errors
    /// [`PolicyError::Line`]: a name that is not defined, fewer witnesses than are to cosign, or a
    /// witness in two groups.
    pub fn with_quorum(&self, quorum: &Quorum) -> Result<Self, PolicyError> {
        let of_another = |line: &&Line| match line {
            Line::Group { name, .. } => name != EVERYBODY && name != CHOSEN,
            Line::Quorum { .. } => false,
            _ => true,
        };
        let mut lines: Vec<Line> = self.lines.iter().filter(of_another).cloned().collect();
        let everybody = || self.witnesses().map(|(name, _)| name.to_owned()).collect();
        let group = match quorum {
            Quorum::None => None,
            Quorum::All => Some((EVERYBODY, Threshold::All, everybody())),
            Quorum::Any => Some((EVERYBODY, Threshold::Any, everybody())),
            Quorum::AtLeast(k) => Some((EVERYBODY, Threshold::AtLeast(*k), everybody())),
            Quorum::Named(names) => Some((CHOSEN, Threshold::All, names.clone())),
        };
        let name = match group {
            None => NONE.to_owned(),
            Some((CHOSEN, _, mut one)) if one.len() == 1 => one.remove(0),
            Some((name, threshold, members)) => {
                lines.push(Line::Group { name: name.to_owned(), threshold, members });
                name.to_owned()
            }
        };
        lines.push(Line::Quorum { name });
        rebuilt(lines)
    }
}

/// Brings the lines into an order in which names are defined before they are used, and reads them
/// as if they had been written by hand.
fn rebuilt(mut lines: Vec<Line>) -> Result<Policy, PolicyError> {
    lines.sort_by_key(|line| match line {
        Line::Log { .. } => 0,
        Line::Witness { .. } => 1,
        Line::Group { .. } => 2,
        Line::Quorum { .. } => 3,
    });
    let policy = Policy { lines };
    let read = Policy::parse(policy.to_string().as_bytes())?;
    // A name or a URL with white space would be read as something else.
    let same = policy.lines.iter().zip(&read.lines).take_while(|(meant, read)| meant == read);
    match same.count() {
        count if count == policy.lines.len().max(read.lines.len()) => Ok(policy),
        count => Err(PolicyError::Line { line: count + 1, fault: PolicyFault::Syntax }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::note::{KeyKind, KeyName};
    use ed25519_dalek::SigningKey;

    fn key(seed: u8) -> VerifierKey {
        let name = KeyName::parse(&format!("w{seed}.example")).unwrap();
        VerifierKey::of_signer(name, KeyKind::Cosignature, &SigningKey::from_bytes(&[seed; 32]))
    }

    fn with(count: u8) -> Policy {
        (1..=count).fold(Policy::without_witnesses(), |policy, seed| {
            let url = format!("https://w{seed}.example");
            policy.with_witness(&format!("w{seed}"), key(seed), Some(&url)).unwrap()
        })
    }

    fn accepts(policy: &Policy, names: &str) -> bool {
        policy.is_satisfied_by(&names.split_whitespace().collect())
    }

    #[test]
    fn a_quorum_of_all_takes_newcomers_in() {
        let none = with(3);
        assert!(accepts(&none, ""));
        let two = none.with_quorum(&Quorum::AtLeast(2)).unwrap();
        assert!(accepts(&two, "w1 w3") && !accepts(&two, "w3"));
        let all = two.with_quorum(&Quorum::All).unwrap();
        let four = all.with_witness("w4", key(4), None).unwrap();
        assert!(accepts(&all, "w1 w2 w3"));
        assert!(!accepts(&four, "w1 w2 w3") && accepts(&four, "w1 w2 w3 w4"));
        assert_eq!(
            (four.witness_url("w1"), four.witness_url("w4")),
            (Some("https://w1.example"), None)
        );
        let named = four.with_quorum(&Quorum::Named(vec!["w2".into(), "w4".into()])).unwrap();
        assert!(accepts(&named, "w4 w2") && !accepts(&named, "w1 w3 w4"));
        let one = named.with_quorum(&Quorum::Named(vec!["w2".into()])).unwrap();
        assert!(accepts(&one, "w2") && !one.to_string().contains("group"));
        let five = named.with_witness("w5", key(5), None).unwrap();
        assert!(accepts(&five, "w2 w4"));
        assert_eq!(
            one.with_quorum(&Quorum::None).unwrap().to_string().lines().last(),
            Some("quorum none")
        );
    }

    #[test]
    fn a_witness_that_the_quorum_needs_stays() {
        let two = with(3).with_quorum(&Quorum::AtLeast(2)).unwrap();
        let left = two.without_witness("w2").unwrap();
        assert!(accepts(&left, "w1 w3") && !accepts(&left, "w1 w2"));
        assert_eq!(left.without_witness("w1").unwrap_err().code(), "policy/threshold");
        let any = left.with_quorum(&Quorum::Any).unwrap().without_witness("w1").unwrap();
        assert_eq!(any.without_witness("w3").unwrap_err().code(), "policy/name-unknown");
        let none = any.with_quorum(&Quorum::None).unwrap().without_witness("w3").unwrap();
        assert_eq!(none, Policy::without_witnesses());
    }

    #[test]
    fn groups_written_by_hand_are_kept() {
        let text = format!(
            "witness a {}\nwitness b {}\ngroup x any a b\nquorum x\nwitness c {}\n",
            key(1),
            key(2),
            key(3)
        );
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let more = policy.with_witness("d", key(4), None).unwrap();
        assert!(accepts(&more, "b") && !accepts(&more, "c d"));
        let both = more.with_quorum(&Quorum::Named(vec!["x".into(), "c".into()])).unwrap();
        assert!(accepts(&both, "a c") && !accepts(&both, "a b"));
        // A name is a member of one group only.
        let of_all = more.with_quorum(&Quorum::All);
        assert_eq!(of_all.unwrap_err().code(), "policy/member-repeated");
        let less = both.without_witness("a").unwrap();
        assert!(accepts(&less, "b c"));
    }

    #[test]
    fn mistakes_are_refused_by_their_code() {
        let two = with(2);
        let code = |edited: Result<Policy, PolicyError>| edited.unwrap_err().code();
        assert_eq!(code(two.with_witness("w1", key(9), None)), "policy/name-taken");
        assert_eq!(code(two.with_witness("w9", key(1), None)), "policy/key-repeated");
        for name in ["", "a b", "a\nquorum none", "a\t"] {
            assert!(two.with_witness(name, key(9), None).is_err(), "{name:?}");
        }
        for url in ["", "https://a b", "https://a\n"] {
            assert_eq!(code(two.with_witness("w9", key(9), Some(url))), "policy/syntax");
        }
        assert_eq!(code(two.with_quorum(&Quorum::AtLeast(3))), "policy/threshold");
        assert_eq!(code(two.with_quorum(&Quorum::AtLeast(0))), "policy/threshold");
        assert_eq!(code(two.with_quorum(&Quorum::Named(vec!["x".into()]))), "policy/name-unknown");
        assert_eq!(code(with(0).with_quorum(&Quorum::All)), "policy/syntax");
    }
}
