//! giftproof: a donation provenance ledger.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod cli;
pub mod demo;
pub mod import;
pub mod keyfile;
pub mod ledger;
pub mod model;
pub mod store;
pub mod verify;
pub mod writer;
