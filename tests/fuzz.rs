//! The fuzz targets of `tests/fuzz` on their seeds, and on what was once found with them.

mod binary;
mod bundle;
mod event;
mod log;
mod text;

use std::path::{Path, PathBuf};

/// The targets, and the folders of their seeds beside `tests/fuzz/seeds/<target>`.
type Target = (&'static str, fn(&[u8]), &'static [&'static str]);
