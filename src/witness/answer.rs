//! What a witness says to a request, as HTTP has it.

use std::io;

use thiserror::Error;

use super::Misfit;
use crate::model::checkpoint::{Origin, SignedCheckpointError};
use crate::model::merkle::ProofError;
use crate::model::note::{NoteError, NoteSignature, NoteVerifyError};
use crate::model::witness::RequestError;

/// Why a checkpoint was not cosigned.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The request is malformed; the code is that of what is wrong in it.
    #[error(transparent)]
    Malformed(RequestError),
    /// `cosign/unknown-log`: no log of this origin is trusted.
    #[error("this witness does not know the log {0}")]
    UnknownLog(Origin),
    /// No trusted key has signed, or one has signed wrongly; the code is that of the note.
    #[error(transparent)]
    Signature(NoteVerifyError),
    /// `tree/too-large`: a size that no tree can have.
    #[error("a tree of {0} entries is too large")]
    TooLarge(u64),
    /// `cosign/old-size`: the old size is larger than the checkpoint's.
    #[error("the old size {old} is above the checkpoint's, {size}")]
    OldSize {
        /// The size that the request calls old.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// `cosign/empty-root`: an empty tree with another root than the empty one's.
    #[error("the root is not that of the empty tree")]
    EmptyRoot,
    /// `cosign/conflict`: the old size is not that of the newest cosigned checkpoint.
    #[error("the newest cosigned checkpoint has size {size}")]
    Conflict {
        /// That of the newest cosigned checkpoint; 0 if there is none.
        size: u64,
    },
    /// `cosign/root-differs`: another root was cosigned at this size.
    #[error("another root was cosigned at size {size}")]
    RootDiffers {
        /// The size of both.
        size: u64,
    },
    /// The proof does not show that the tree begins with the cosigned one; the code is that of the
    /// proof.
    #[error(transparent)]
    Proof(ProofError),
    /// `cosign/too-many`: more larger trees a minute than this witness cosigns.
    #[error("too many checkpoints of this log: come again in {seconds} s")]
    TooMany {
        /// When there may be another.
        seconds: u64,
    },
    /// `cosign/clock`: the witness's clock cannot be right.
    #[error("the witness's clock shows {now} s, and has shown {last} s before")]
    Clock {
        /// Seconds since 1970, by the clock.
        now: u64,
        /// The time of the last cosignature for this log.
        last: u64,
    },
    /// `cosign/storage`: what was to be cosigned could not be kept, or what was kept not be read.
    #[error("the witness's storage failed: {0}")]
    Storage(io::Error),
}

impl Refusal {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.code(),
            Self::UnknownLog(_) => "cosign/unknown-log",
            Self::Signature(error) => error.code(),
            Self::TooLarge(_) => "tree/too-large",
            Self::OldSize { .. } => "cosign/old-size",
            Self::EmptyRoot => "cosign/empty-root",
            Self::Conflict { .. } => "cosign/conflict",
            Self::RootDiffers { .. } => "cosign/root-differs",
            Self::Proof(error) => error.code(),
            Self::TooMany { .. } => "cosign/too-many",
            Self::Clock { .. } => "cosign/clock",
            Self::Storage(_) => "cosign/storage",
        }
    }

    /// The HTTP status (C2SP tlog-witness, add-checkpoint).
    pub fn status(&self) -> u16 {
        match self {
            // What is no signature in its one spelling is one that does not hold.
            Self::Malformed(RequestError::Checkpoint(SignedCheckpointError::Note(
                NoteError::SignatureLine(_),
            ))) => 403,
            Self::Malformed(_) | Self::TooLarge(_) | Self::OldSize { .. } => 400,
            Self::Signature(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::Conflict { .. } => 409,
            Self::EmptyRoot | Self::RootDiffers { .. } | Self::Proof(_) => 422,
            Self::TooMany { .. } => 429,
            Self::Clock { .. } | Self::Storage(_) => 500,
        }
    }
}

/// What a witness says to a request.
#[derive(Debug)]
pub struct Answer {
    /// The log and size that the request is about, if the log is a trusted one.
    pub about: Option<(Origin, u64)>,
    /// The cosignature, or why there is none.
    pub outcome: Result<NoteSignature, Refusal>,
    /// Two checkpoints of the log that do not fit.
    pub misfit: Option<Misfit>,
}

impl Answer {
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { about: None, outcome: Err(refusal), misfit: None }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.outcome.as_ref().map_or_else(Refusal::status, |_| 200)
    }

    /// `cosigned`, or the refusal's stable code.
    pub fn code(&self) -> &'static str {
        self.outcome.as_ref().map_or_else(Refusal::code, |_| "cosigned")
    }

    /// The type of the body.
    pub fn content_type(&self) -> &'static str {
        match self.outcome {
            Err(Refusal::Conflict { .. }) => "text/x.tlog.size",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// The body: the cosignature's line; the size, for a conflict; else code and reason. What the
    /// system says of the witness's disk is not for everybody.
    pub fn body(&self) -> String {
        match &self.outcome {
            Ok(cosignature) => format!("{cosignature}\n"),
            Err(Refusal::Conflict { size }) => format!("{size}\n"),
            Err(Refusal::Storage(_)) => format!("{}\n", self.code()),
            Err(refusal) => format!("{}: {refusal}\n", refusal.code()),
        }
    }

    /// After how many seconds to come again, where that helps.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self.outcome {
            Err(Refusal::TooMany { seconds }) => Some(seconds),
            _ => None,
        }
    }
}
