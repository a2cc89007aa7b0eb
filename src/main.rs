//! The `giftproof` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    giftproof::cli::run(std::env::args_os().collect())
}
