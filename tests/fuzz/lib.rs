//! What the fuzz targets do with their bytes. The tests run the same on all seeds and findings.

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../forge.rs"]
mod forge;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../util.rs"]
mod util;

pub mod binary;
pub mod bundle;
pub mod event;
pub mod index;
pub mod log;
mod store;
pub mod text;
