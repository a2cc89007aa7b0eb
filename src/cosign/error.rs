//! Why a witness has not cosigned.

use thiserror::Error;

use crate::ledger::LedgerError;

/// Why a witness has not cosigned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// `witness/no-url`: the policy does not say where it is asked.
    #[error("the policy does not say where this witness is asked")]
    NoUrl,
    /// `witness/unreachable`: no connection, or one that broke.
    #[error("it cannot be reached: {why}")]
    Unreachable {
        /// What the system says.
        why: String,
    },
    /// `witness/timeout`: no answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// `witness/bad-request`: HTTP 400, it does not understand the request.
    #[error("it does not understand the request (400): {said}")]
    BadRequest {
        /// What it says, cut short.
        said: String,
    },
    /// `witness/untrusted-key`: HTTP 403, it knows the log by another key.
    #[error("it does not accept the operator's signature (403): {said}")]
    UntrustedKey {
        /// What it says, cut short.
        said: String,
    },
    /// `witness/unknown-log`: HTTP 404, it does not know the log's origin.
    #[error("it does not know this ledger (404): {said}")]
    UnknownLog {
        /// What it says, cut short.
        said: String,
    },
    /// `witness/conflict`: HTTP 409 again and again, or without the size that it has.
    #[error("it has seen another size each time it was told one (409)")]
    Conflict,
    /// `witness/inconsistent`: HTTP 422, it does not follow a proof that follows from the tree.
    #[error("it does not accept the consistency proof (422): {said}")]
    Inconsistent {
        /// What it says, cut short.
        said: String,
    },
    /// `witness/status`: another HTTP status; redirects are not followed.
    #[error("it answers with HTTP status {status}: {said}")]
    Status {
        /// The status.
        status: u16,
        /// What it says, cut short.
        said: String,
    },
    /// `witness/answer`: the answer is too long, or not signature lines with one of its own.
    #[error("its answer is no cosignature: {why}")]
    Answer {
        /// What is wrong.
        why: &'static str,
    },
    /// `witness/signature`: the cosignature is wrong, or for another checkpoint, or without a time.
    #[error("its cosignature is not one of this checkpoint")]
    Signature,
    /// The log itself: it is behind or beside what the witness has seen (`ledger/behind-witness`,
    /// `ledger/forked`), or cannot be read.
    #[error(transparent)]
    Ledger(LedgerError),
    /// `witness/stopped`: the ledger was closed meanwhile.
    #[error("the ledger was closed before the witness answered")]
    Stopped,
}

impl AskError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoUrl => "witness/no-url",
            Self::Unreachable { .. } => "witness/unreachable",
            Self::TimedOut => "witness/timeout",
            Self::BadRequest { .. } => "witness/bad-request",
            Self::UntrustedKey { .. } => "witness/untrusted-key",
            Self::UnknownLog { .. } => "witness/unknown-log",
            Self::Conflict => "witness/conflict",
            Self::Inconsistent { .. } => "witness/inconsistent",
            Self::Status { .. } => "witness/status",
            Self::Answer { .. } => "witness/answer",
            Self::Signature => "witness/signature",
            Self::Ledger(error) => error.code(),
            Self::Stopped => "witness/stopped",
        }
    }
}
