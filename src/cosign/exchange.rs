//! One witness, one checkpoint: the request, its repetition where the witness knows another size,
//! and the check of what comes back [C2SP tlog-witness, add-checkpoint].

use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::error::AskError;
use super::http::{Answer, Client};
use crate::ledger::{LedgerError, Log};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::note::{Note, NoteSignature, VerifierKey};
use crate::model::policy::Cosigned;

/// How often a witness is asked again with the size that it has stated. Two requests can cross once;
/// who states another size each time is not to be had.
const TRIES_MAX: usize = 4;

/// A witness as the policy names it.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) name: String,
    pub(super) key: VerifierKey,
    pub(super) url: String,
}

/// What a witness is asked: a checkpoint that its log has signed, and the proof from `old` on.
pub(super) struct Question {
    checkpoint: SignedCheckpoint,
    body: String,
}

impl Question {
    /// Asks for the newest durable checkpoint of `log`, of whom knows `old` entries.
    ///
    /// # Errors
    /// Those of [`Log::consistency_proof`]; `old` is at most the checkpoint's size.
    pub(super) fn of(log: &Log, old: u64) -> Result<Self, LedgerError> {
        let checkpoint = log.checkpoint().clone();
        let mut body = format!("old {old}\n");
        // Every tree extends the empty one.
        let proof = match old {
            0 => Vec::new(),
            old => log.consistency_proof(old, checkpoint.checkpoint().size)?,
        };
        for hash in proof {
            let _ = writeln!(body, "{}", BASE64_STANDARD.encode(hash.as_bytes()));
        }
        let _ = write!(body, "\n{checkpoint}");
        Ok(Self { checkpoint, body })
    }
}

/// A cosignature that was checked.
#[derive(Clone, Debug)]
pub(super) struct Cosignature {
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) line: NoteSignature,
    pub(super) by: Cosigned,
}

/// Asks a witness that is thought to know `old` entries. `question` is asked for what to ask whom
/// knows so many; it fails where the log has fewer.
///
/// # Errors
/// [`AskError`].
pub(super) fn ask(
    client: &Client,
    witness: &Witness,
    old: u64,
    question: impl Fn(u64) -> Result<Question, AskError>,
) -> Result<Cosignature, AskError> {
    let (mut old, mut stated) = (old, false);
    for _ in 0..TRIES_MAX {
        let question = question(old)?;
        let answer = client.add_checkpoint(&witness.url, &question.body)?;
        match answer.status {
            200 => return cosignature(witness, question.checkpoint, &answer),
            409 => {
                let seen = answer.size().ok_or(AskError::Conflict)?;
                if seen == old {
                    return Err(AskError::Conflict);
                }
                (old, stated) = (seen, true);
            }
            // The proof follows from our tree. The witness has stated the size, so it has another
            // tree of that size.
            422 if stated && old > 0 => {
                let witness = witness.name.clone();
                return Err(AskError::Ledger(LedgerError::ForkedWitness { witness, size: old }));
            }
            _ => return Err(refusal(&answer)),
        }
    }
    Err(AskError::Conflict)
}

fn refusal(answer: &Answer) -> AskError {
    let said = answer.said();
    match answer.status {
        400 => AskError::BadRequest { said },
        403 => AskError::UntrustedKey { said },
        404 => AskError::UnknownLog { said },
        422 => AskError::Inconsistent { said },
        status => AskError::Status { status, said },
    }
}

/// The witness's cosignature among the lines of an answer.
fn cosignature(
    witness: &Witness,
    checkpoint: SignedCheckpoint,
    answer: &Answer,
) -> Result<Cosignature, AskError> {
    let why = |why| AskError::Answer { why };
    let text = answer.text().ok_or(why("it is not text"))?;
    let text = text.strip_suffix('\n').ok_or(why("its last line does not end"))?;
    let lines: Option<Vec<_>> = text.split('\n').map(NoteSignature::parse).collect();
    let lines = lines.ok_or(why("a line is no signature line"))?;
    let (name, id) = (witness.key.name(), witness.key.id());
    // Lines of other keys, for instance of another algorithm, mean nothing here.
    let line = lines.into_iter().find(|line| line.key_name() == name && line.key_id() == id);
    let line = line.ok_or(why("no line is of its key"))?;
    let note = Note::new(checkpoint.note().text().to_owned(), vec![line.clone()])
        .map_err(|_| why("it is too long"))?;
    let verified = note.verify(&[&witness.key]).map_err(|_| AskError::Signature)?;
    let time = verified.first().and_then(|verified| verified.time);
    let time = time.filter(|time| time.unix_seconds() > 0).ok_or(AskError::Signature)?;
    let by = Cosigned { witness: witness.name.clone(), time };
    Ok(Cosignature { checkpoint, line, by })
}
