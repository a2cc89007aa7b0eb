//! What is stated, and what follows from it: pure, without I/O, clock or randomness.

pub mod audited;
pub mod checkpoint;
pub mod date;
pub mod derived;
pub mod draft;
pub mod encoding;
pub mod entry;
pub mod event;
pub mod hash;
pub mod ident;
pub mod key;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof_file;
pub mod seal;
pub mod signature;
pub mod state;
pub mod subject;
pub mod text;
pub mod tile;
pub mod tlog_proof;
pub mod trust;
pub mod verdict;
pub mod violation;
pub mod witness;
