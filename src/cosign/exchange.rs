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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::{Checkpoint, Origin};
    use crate::model::hash::NodeHash;
    use crate::model::note::{CosignatureTime, KeyKind, KeyName};
    use ed25519_dalek::SigningKey;

    fn answer(body: Vec<u8>) -> Answer {
        Answer { status: 200, content_type: String::new(), body }
    }

    /// A checkpoint, its witness, and what the witness answers.
    fn witnessed() -> (SignedCheckpoint, Witness, Vec<u8>) {
        let origin = Origin::parse("ledger.example/log").unwrap();
        let root = NodeHash::from_bytes([7; 32]);
        let checkpoint =
            Checkpoint { origin, size: 3, root }.sign(&SigningKey::from_bytes(&[1; 32]));
        let (name, key) = (KeyName::parse("w.example").unwrap(), SigningKey::from_bytes(&[2; 32]));
        let time = CosignatureTime::new(1_767_312_000).unwrap();
        let line = NoteSignature::cosign(checkpoint.note().text(), time, &name, &key);
        let key = VerifierKey::of_signer(name, KeyKind::Cosignature, &key);
        let witness = Witness { name: "w".to_owned(), key, url: String::new() };
        (checkpoint, witness, format!("{line}\n").into_bytes())
    }

    #[test]
    fn every_truncation_and_flipped_bit_of_an_answer_is_refused() {
        let (checkpoint, witness, good) = witnessed();
        let taken = |body: Vec<u8>| cosignature(&witness, checkpoint.clone(), &answer(body));
        let by = taken(good.clone()).unwrap().by;
        assert_eq!((by.witness.as_str(), by.time.unix_seconds()), ("w", 1_767_312_000));
        for len in 0..good.len() {
            assert!(taken(good[..len].to_vec()).is_err(), "{len} bytes");
        }
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(taken(flipped).is_err(), "bit {bit}");
        }
        // The first line of its key counts, as any other would refuse the whole note.
        assert!(taken([&good[..], &good].concat()).is_ok());
        assert!(taken([&good[..], b"\n"].concat()).is_err());
    }

    #[test]
    fn a_size_has_one_spelling_and_its_own_type() {
        let stated = |content_type: &str, body: &str| {
            let content_type = content_type.to_owned();
            Answer { status: 409, content_type, body: body.as_bytes().to_vec() }.size()
        };
        let of_size = |body| stated("text/x.tlog.size", body);
        assert_eq!((of_size("0\n"), of_size("1207\n")), (Some(0), Some(1207)));
        assert_eq!(of_size("18446744073709551615\n"), Some(u64::MAX));
        for body in ["", "\n", "7", "7\n\n", " 7\n", "+7\n", "07\n", "18446744073709551616\n"] {
            assert_eq!(of_size(body), None, "{body:?}");
        }
        assert_eq!(stated("text/plain; charset=utf-8", "7\n"), None);
    }
}
