//! What is stated, and what follows from it: pure, without I/O, clock or randomness.

pub mod checkpoint;
pub mod hash;
pub mod key;
pub mod merkle;
pub mod note;
pub mod signature;
pub mod tile;
