//! The command line: parses, calls one function, renders.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 refused
//! by the rules or found to be wrong, 2 could not run, 3 not as expected. A reader that has gone
//! away is no failure.

mod args;
mod audit;
mod completions;
mod context;
mod correct;
mod describe;
mod designate;
mod dispatch;
mod dispute;
mod donate;
mod event;
mod event_file;
mod export;
pub mod failure;
mod gift;
mod goods;
mod init;
mod key;
mod keyring;
mod list;
pub mod locales;
mod lookup;
mod need;
mod party;
mod phrases;
mod recall;
mod receive;
mod root;
mod shipment;
mod signing;
mod stock;
mod words;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{ColorChoice, FromArgMatches};

use args::CommandLine;
pub use context::{Context, columns};
use failure::{Exit, Failure};
use locales::Language;

/// Runs the command that these arguments name; the first is the program's own name.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let language = language(&arguments);
    let mut json = arguments.iter().any(|argument| argument == "--json");
    let ended = parse(arguments, language).and_then(|line| {
        let Some(line) = line else { return Ok(()) };
        color(line.color).write_global();
        let mut ctx = Context {
            language,
            json: line.json,
            quiet: line.quiet,
            drafting: false,
            answered: Cell::new(false),
            ledger: line.ledger,
            operator_key: line.operator_key,
        };
        let ended = line.command.run(&mut ctx);
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
    let matches = match args::command(language).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            let mut out = anstream::stdout();
            let written = write!(out, "{}", error.render().ansi()).and_then(|()| out.flush());
            return written.map(|()| None).map_err(|error| failure::output_failed(&error));
        }
        Err(error) => return Err(args::misunderstood(&error)),
    };
    CommandLine::from_arg_matches(&matches).map(Some).map_err(|error| args::misunderstood(&error))
}

/// The language that `--lang` names, else that of the locale: also for what cannot be parsed.
fn language(arguments: &[OsString]) -> Language {
    let texts: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let after = texts.windows(2).find(|pair| pair[0] == "--lang").map(|pair| pair[1].to_string());
    let joined = || texts.iter().find_map(|text| text.strip_prefix("--lang=").map(str::to_owned));
    let named = after.or_else(joined).or_else(sys_locale::get_locale);
    Language::of_locale(&named.unwrap_or_default())
}

fn color(choice: ColorChoice) -> anstream::ColorChoice {
    match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
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
    let _ = writeln!(err, "giftproof: error: {message} [{}]", failure.code);
    if let Some(hint) = &hint {
        let _ = writeln!(err, "giftproof: hint: {hint}");
    }
    if json {
        let error = serde_json::json!({ "code": failure.code, "message": message, "hint": hint });
        let _ = writeln!(anstream::stdout(), "{}", serde_json::json!({ "error": error }));
    }
    failure.exit.code()
}
