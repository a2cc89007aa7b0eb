//! The test vectors in `fixtures/accept` and `fixtures/reject`.

pub mod scribe;
