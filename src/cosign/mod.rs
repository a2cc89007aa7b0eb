//! The log's side of witnessing: asks the witnesses of a ledger's policy for cosignatures
//! (spec section 20.2, C2SP tlog-witness).
//!
//! Invariants:
//!
//! - A witness is shown a checkpoint only when it is durable.
//! - What comes back is a cosignature of the key in the policy over exactly that checkpoint, or
//!   refused.
//! - Each witness has a thread of its own: one that is slow or dead holds up neither the others nor
//!   who writes.
//! - All witnesses are asked for the same checkpoints, so that those of a quorum meet.
//! - A witness that has seen more entries than there are, or others, forbids signing: what is here
//!   is an older copy, or one of two histories.
//!
//! What came in is kept by [`crate::ledger::Witnessed`].

mod cosigner;
mod error;
mod exchange;
mod http;
mod seat;

use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ledger::{LedgerError, Log, Trouble, Witnessed};
use crate::model::note::CosignatureTime;

pub use cosigner::Cosigner;
pub use error::AskError;

use exchange::{Cosignature, Question, Witness};
use http::Client;

/// What became of asking one witness.
#[derive(Debug)]
pub struct Asked {
    /// The witness's name in the policy.
    pub witness: String,
    /// How it ended.
    pub end: AskEnd,
}

/// How asking a witness ended.
#[derive(Debug)]
pub enum AskEnd {
    /// It has cosigned a checkpoint of this size.
    Cosigned {
        /// The number of entries.
        size: u64,
        /// When, as it says.
        time: CosignatureTime,
    },
    /// It has failed.
    Failed {
        /// The stable code.
        code: String,
        /// The failure in its own words.
        why: String,
    },
    /// It has not answered yet.
    Waiting,
}

/// Asks every witness of the policy for a cosignature on the newest durable checkpoint, all at once,
/// and waits for all: about ten seconds at most for each request. Gives an answer for each
/// witness, in the order of the policy.
pub fn ask_all(log: &Log) -> Vec<Asked> {
    let client = Client::new();
    let witnessed = Arc::clone(log.witnessed());
    let ask = |name: &str| -> AskEnd {
        let end = match witness(&witnessed, name) {
            None => Err(AskError::NoUrl),
            Some(witness) => {
                let old = known_to(&witnessed, name).min(log.checkpoint().checkpoint().size);
                let question = |old| question(log, log, &witness, old);
                exchange::ask(&client, &witness, old, question)
            }
        };
        settle(&witnessed, name, end).unwrap_or_else(AskEnd::of)
    };
    let names: Vec<&str> = witnessed.policy().witnesses().map(|(name, _)| name).collect();
    thread::scope(|scope| {
        let asking = |name: &&str| {
            let name = (*name).to_owned();
            scope.spawn(move || Asked { end: ask(&name), witness: name })
        };
        let threads: Vec<_> = names.iter().map(asking).collect();
        let panicked = |panic| std::panic::resume_unwind(panic);
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    })
}

impl AskEnd {
    fn of(error: AskError) -> Self {
        Self::Failed { code: error.code().to_owned(), why: error.to_string() }
    }
}

/// The witness of this name, if it can be asked.
fn witness(witnessed: &Witnessed, name: &str) -> Option<Witness> {
    let (_, key) = witnessed.policy().witnesses().find(|(found, _)| *found == name)?;
    let url = witnessed.policy().witness_url(name)?.to_owned();
    Some(Witness { name: name.to_owned(), key: key.clone(), url })
}

/// How many entries a witness is thought to know: those that it has cosigned.
fn known_to(witnessed: &Witnessed, name: &str) -> u64 {
    witnessed.newest_of(name).map_or(0, |(checkpoint, _)| checkpoint.size)
}

/// What to ask whom knows `old` entries: for `target`, or for the `newest` if it knows more than
/// that.
fn question(target: &Log, newest: &Log, witness: &Witness, old: u64) -> Result<Question, AskError> {
    let size = newest.checkpoint().checkpoint().size;
    if old > size {
        let witness = witness.name.clone();
        return Err(AskError::Ledger(LedgerError::BehindWitness { witness, seen: old, size }));
    }
    let log = if old > target.checkpoint().checkpoint().size { newest } else { target };
    Question::of(log, old).map_err(AskError::Ledger)
}

/// Keeps what asking has brought, or why it has failed.
fn settle(
    witnessed: &Witnessed,
    name: &str,
    end: Result<Cosignature, AskError>,
) -> Result<AskEnd, AskError> {
    match end {
        Ok(Cosignature { checkpoint, line, by }) => {
            let (size, time) = (checkpoint.checkpoint().size, by.time);
            witnessed.add(&checkpoint, line, by).map_err(AskError::Ledger)?;
            Ok(AskEnd::Cosigned { size, time })
        }
        Err(error @ (AskError::Stopped | AskError::NoUrl)) => Err(error),
        Err(error) => {
            let trouble = Trouble {
                failures: witnessed.trouble(name).map_or(0, |earlier| earlier.failures) + 1,
                at_unix_seconds: unix_seconds(),
                code: error.code().to_owned(),
                why: error.to_string(),
            };
            // Where it cannot be written, the witness is only asked sooner.
            let _ = witnessed.failed(name, trouble);
            Err(error)
        }
    }
}

/// This moment, by this machine's clock.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
