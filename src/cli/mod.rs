//! The command line: parses, calls one function, renders.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 refused
//! by the rules or found to be wrong, 2 could not run, 3 not as expected. A reader that has gone
//! away is no failure.

mod args;
mod audit;
mod audit_files;
mod book;
mod compare;
mod completions;
mod context;
mod correct;
mod demo;
mod describe;
mod designate;
mod dispatch;
mod dispute;
mod donate;
mod event;
pub mod event_file;
mod export;
pub mod failure;
mod gift;
mod gift_page;
mod goods;
mod import;
mod init;
mod key;
mod keyring;
mod list;
pub mod locales;
mod lodge;
mod lookup;
mod mirror;
mod need;
mod party;
mod phrases;
mod progress;
mod proof;
mod prove;
mod qr;
mod recall;
mod receive;
mod repair;
mod root;
mod seal;
pub mod shipment;
mod signing;
mod stock;
mod transfer;
mod verify;
mod verify_audited;
mod withheld;
mod witness;
mod witnesses;
mod words;

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::FromArgMatches;

use args::CommandLine;
pub use context::{Context, columns};
use failure::{Exit, Failure};
use locales::Language;

/// Runs the command that these arguments name; the first is the program's own name.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let language = language(&arguments);
    color(&arguments).write_global();
    let mut json = arguments.iter().any(|argument| argument == "--json");
    let ended = parse(arguments, language).and_then(|line| {
        let Some(line) = line else { return Ok(()) };
        let mut ctx = Context {
            language,
            json: line.json,
            quiet: line.quiet,
            drafting: false,
            answered: Cell::new(false),
            ledger: line.ledger,
            operator_key: line.operator_key,
            operator: OnceCell::new(),
            faults: RefCell::default(),
        };
        let ended = line.command.run(&mut ctx);
        // "Not found" may be what a gift is called that could not be had.
        let ended = ctx.check_faults().and(ended);
        // Programs get one answer: where it was given already, it says itself what is wrong.
        json &= !ctx.answered.get();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(tell(&failure, language, json)),
    }
}

/// Parses; `None` when help or the version was asked for, and given.
fn parse(arguments: Vec<OsString>, language: Language) -> Result<Option<CommandLine>, Failure> {
    let command = args::command(language);
    let choices = args::choices(&command, &arguments);
    let misunderstood = |error: &clap::Error| args::misunderstood(error, &choices);
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            let mut out = anstream::stdout();
            let written = write!(out, "{}", error.render().ansi()).and_then(|()| out.flush());
            return written.map(|()| None).map_err(|error| failure::output_failed(&error));
        }
        Err(error) => return Err(misunderstood(&error)),
    };
    CommandLine::from_arg_matches(&matches).map(Some).map_err(|error| misunderstood(&error))
}

/// What an option is given, also on a command line that cannot be parsed: help and errors keep to
/// it, too.
fn given(arguments: &[OsString], option: &str) -> Option<String> {
    let texts: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let after = texts.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1].to_string());
    let joined = |text: &str| Some(text.strip_prefix(option)?.strip_prefix('=')?.to_owned());
    after.or_else(|| texts.iter().find_map(|text| joined(text)))
}

/// The language that `--lang` names, else that of the locale.
fn language(arguments: &[OsString]) -> Language {
    let named = given(arguments, "--lang").or_else(sys_locale::get_locale);
    Language::of_locale(&named.unwrap_or_default())
}

fn color(arguments: &[OsString]) -> anstream::ColorChoice {
    match given(arguments, "--color").as_deref() {
        Some("always") => anstream::ColorChoice::Always,
        Some("never") => anstream::ColorChoice::Never,
        _ => anstream::ColorChoice::Auto,
    }
}

/// Tells why a command failed: to people on standard error, to programs on standard output.
fn tell(failure: &Failure, language: Language, json: bool) -> u8 {
    if failure.exit == Exit::NobodyReads {
        return failure.exit.code();
    }
    let (message, hint) = (failure.message(language), failure.hint(language));
    // Where even this cannot be written, the exit code is left.
    let mut err = anstream::stderr();
    let say = |key| language.say(key, &[]);
    let _ = writeln!(err, "giftproof: {} {message} [{}]", say("told.error"), failure.code);
    if let Some(hint) = &hint {
        let _ = writeln!(err, "giftproof: {} {hint}", say("told.hint"));
    }
    if json {
        let error = serde_json::json!({ "code": failure.code, "message": message, "hint": hint });
        let _ = writeln!(anstream::stdout(), "{}", serde_json::json!({ "error": error }));
    }
    failure.exit.code()
}
