//! `completions` and `man`: for shells and manuals.

use std::path::PathBuf;

use clap_complete::Shell;
use serde_json::json;

use super::args::command;
use super::context::Context;
use super::failure::{Failure, file_failed};

/// What `completions` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// What `man` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ManArgs {
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints a completion script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(ctx.language), "giftproof", &mut script);
    ctx.print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, or writes one for each command into a folder.
///
/// # Errors
/// When it cannot be written.
pub fn man(args: &ManArgs, ctx: &Context) -> Result<(), Failure> {
    let command = command(ctx.language);
    if let Some(folder) = &args.folder {
        clap_mangen::generate_to(command, folder).map_err(|error| file_failed(folder, &error))?;
        let text = ctx.say("done.man", &[("path", &folder.display())]);
        return ctx.answer(&json!({ "folder": folder }), &(text + "\n"));
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| super::failure::output_failed(&error))?;
    ctx.print(&String::from_utf8_lossy(&page))
}
