//! giftproof: a donation provenance ledger.
//!
//! Donors give, charities and carriers pass on, hospitals sign for what arrived, regulators check.
//! Every statement is an *event*, signed by one or more parties; an event at its place in the
//! append-only log is an *entry*; the log is an RFC 6962 tree with C2SP checkpoints and tiles. What
//! each byte means stands in `ledger-spec.md`.
//!
//! The rooms, from the ground up; each uses only those above it in this list:
//!
//! | room | what happens there |
//! |---|---|
//! | [`model`] | what is stated, and what follows from it: events, entries, rules, verdicts; pure |
//! | [`store`] | where the log is kept: sled, or memory with faults |
//! | [`bundle`] | the log as files: the regulator's zip, an unpacked folder |
//! | [`verify`] | the auditor: everything derived again from bytes; uses nothing of the writer |
//! | [`prove`] | proofs about single entries, from any source of a log |
//! | [`mirror`] | a full copy of somebody else's log, audited before it is taken |
//! | [`ledger`] | a ledger folder, open for reading |
//! | [`repair`] | makes a damaged ledger folder whole, from what is left and from a copy |
//! | [`transfer`] | a whole ledger from one store into another, audited on the way |
//! | [`cosign`] | asks witnesses for cosignatures on what is durable |
//! | [`writer`] | how events get in: one sequencer, answers only what is durable |
//! | [`witness`] | a witness of this and other logs: cosigns what extends all it has seen |
//! | [`keyfile`], [`import`] | secret keys in files; published lists become events |
//! | [`demo`], [`cli`] | the doors: parse, call one function, render |
//!
//! A gift is known by the id that its donor holds, which finds its own mistyping:
//!
//! ```
//! use giftproof::model::ident::GiftId;
//!
//! let id: GiftId = "gift16mxktzfuw45k7rnz88khr52cnapt8q0c3luf7t".parse()?;
//! assert_eq!(id.to_string(), "gift16mxktzfuw45k7rnz88khr52cnapt8q0c3luf7t");
//! let mistyped = "gift16mxktzfuw45k7rnz88khr52cnapt8q0c3luf7q".parse::<GiftId>();
//! assert_eq!(mistyped.unwrap_err().code, "gift-id/mistyped");
//! # Ok::<(), giftproof::model::encoding::Malformed>(())
//! ```
#![forbid(unsafe_code)]

pub mod bundle;
pub mod cli;
pub mod cosign;
pub mod demo;
pub mod import;
pub mod keyfile;
pub mod ledger;
pub mod mirror;
pub mod model;
pub mod prove;
pub mod repair;
pub mod store;
pub mod transfer;
pub mod verify;
pub mod witness;
pub mod writer;
