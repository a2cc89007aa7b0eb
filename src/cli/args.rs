//! The commands and their arguments; help in both languages, from the locale files.
//!
//! The text of an argument stands under `help.<command>.<argument>`, for example
//! `help.party-enroll.handle`; what many commands share stands under `help.shared`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ColorChoice, CommandFactory, Parser, Subcommand};

use super::context::Context;
use super::failure::Failure;
use super::locales::Language;
use super::{
    audit, compare, completions, correct, demo, designate, dispatch, dispute, donate, event,
    export, gift, import, init, key, list, lodge, lookup, mirror, need, party, prove, recall,
    receive, repair, root, seal, shipment, stock, verify, witness,
};
use crate::model::encoding::Malformed;

/// The whole command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "giftproof",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    propagate_version = true
)]
pub struct CommandLine {
    #[arg(long, global = true, value_name = "DIR", env = "GIFTPROOF_LEDGER", hide_env = true)]
    pub ledger: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GIFTPROOF_OPERATOR_KEY",
        hide_env = true
    )]
    pub operator_key: Option<PathBuf>,
    #[arg(long, global = true, value_name = "LANGUAGE", value_parser = ["en", "zh"])]
    pub lang: Option<String>,
    #[arg(long, global = true)]
    pub json: bool,
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// Everything that giftproof can do.
#[derive(Subcommand, Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is parsed once")]
pub enum Command {
    /// Creates a ledger.
    Init(init::Args),
    /// Keys in files.
    #[command(subcommand)]
    Key(key::Command),
    #[command(flatten)]
    Event(EventCommand),
    /// Events in files.
    #[command(subcommand, name = "event")]
    EventFile(event::Command),
    /// Lists of what is on its way.
    #[command(subcommand)]
    Shipment(shipment::Command),
    /// Where a gift is.
    Lookup(lookup::Args),
    /// Gifts, parties, shipments, needs, differences.
    List(list::Args),
    /// The regulator's check of everything.
    Audit(audit::Args),
    /// That an entry is in the log.
    Prove(prove::Args),
    /// Whether a file proves what it says.
    Verify(verify::Args),
    /// A seal over everything.
    Seal,
    /// A full copy of somebody else's ledger.
    Mirror(mirror::Args),
    /// Whether two checkpoints can both be true.
    Compare(compare::Args),
    /// That somebody has received a signed event.
    Lodge(lodge::Args),
    /// The regulator's bundle.
    Export(export::ExportArgs),
    /// What auditors and donors pin.
    Trust(export::TrustArgs),
    /// Who cosigns.
    #[command(subcommand)]
    Witness(witness::Command),
    /// A published list.
    Import(import::Args),
    /// Real donations in three acts.
    Demo(demo::Args),
    /// The derived index.
    Reindex,
    /// A damaged folder.
    Repair(repair::Args),
    /// Completions for shells.
    Completions(completions::Args),
    /// The manual page.
    Man(completions::ManArgs),
}

/// The commands that record an event.
#[derive(Subcommand, Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is parsed once")]
pub enum EventCommand {
    /// Parties and their keys.
    #[command(subcommand)]
    Party(party::Command),
    /// The registrars.
    #[command(subcommand)]
    Registrars(root::Registrars),
    /// The operator.
    #[command(subcommand)]
    Operator(root::Operator),
    /// What is wanted.
    #[command(subcommand)]
    Need(need::Command),
    /// A gift begins.
    Donate(donate::Args),
    /// What was only announced is taken back.
    Withdraw(gift::WithdrawArgs),
    /// A donor makes a slip's gift its own.
    TakeOver(gift::TakeOverArgs),
    /// A coordinator orders pooled stock to a recipient.
    Order(designate::OrderArgs),
    /// For whom goods are.
    Designate(designate::Args),
    /// Goods leave.
    Dispatch(dispatch::Args),
    /// Goods arrived, as the carrier says.
    Deliver(dispatch::DeliverArgs),
    /// Goods arrived, as the taker signs.
    Receive(receive::Args),
    /// What is really there.
    Count(stock::CountArgs),
    /// What became of accepted goods.
    Use(stock::UseArgs),
    /// Goods are gone.
    Dispose(stock::DisposeArgs),
    /// Goods may not move.
    Hold(stock::HoldArgs),
    /// Goods may move again.
    Release(stock::ReleaseArgs),
    /// A contradiction.
    Dispute(dispute::DisputeArgs),
    /// An answer to it.
    Answer(dispute::ReplyArgs),
    /// Its end.
    CloseDispute(dispute::ReplyArgs),
    /// A statement put right.
    Correct(correct::Args),
    /// Goods to be kept from use.
    Recall(recall::RecallArgs),
    /// The end of a recall.
    LiftRecall(recall::LiftArgs),
    /// Evidence outside the ledger.
    Attest(recall::AttestArgs),
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// The command's own.
    pub fn run(&self, ctx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Init(args) => init::run(args, ctx),
            Self::Key(command) => command.run(ctx),
            Self::Event(command) => command.run(ctx),
            Self::EventFile(command) => command.run(ctx),
            Self::Shipment(command) => command.run(ctx),
            Self::Lookup(args) => lookup::run(args, ctx),
            Self::List(args) => list::run(args, ctx),
            Self::Audit(args) => audit::run(args, ctx),
            Self::Prove(args) => prove::run(args, ctx),
            Self::Verify(args) => verify::run(args, ctx),
            Self::Mirror(args) => mirror::run(args, ctx),
            Self::Compare(args) => compare::run(args, ctx),
            Self::Lodge(args) => lodge::run(args, ctx),
            Self::Export(args) => export::run(args, ctx),
            Self::Trust(args) => export::trust(args, ctx),
            Self::Witness(command) => command.run(ctx),
            Self::Import(args) => import::run(args, ctx),
            Self::Demo(args) => demo::run(args, ctx),
            Self::Seal => seal::run(ctx),
            Self::Reindex => export::reindex(ctx),
            Self::Repair(args) => repair::run(args, ctx),
            Self::Completions(args) => completions::run(args, ctx),
            Self::Man(args) => completions::man(args, ctx),
        }
    }
}

impl EventCommand {
    /// Carries the command out.
    ///
    /// # Errors
    /// The command's own.
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        match self {
            Self::Party(command) => command.run(ctx),
            Self::Registrars(command) => command.run(ctx),
            Self::Operator(command) => command.run(ctx),
            Self::Need(command) => command.run(ctx),
            Self::Donate(args) => donate::run(args, ctx),
            Self::Withdraw(args) => gift::withdraw(args, ctx),
            Self::TakeOver(args) => gift::take_over(args, ctx),
            Self::Order(args) => designate::order(args, ctx),
            Self::Designate(args) => designate::run(args, ctx),
            Self::Dispatch(args) => dispatch::run(args, ctx),
            Self::Deliver(args) => dispatch::deliver(args, ctx),
            Self::Receive(args) => receive::run(args, ctx),
            Self::Count(args) => stock::count(args, ctx),
            Self::Use(args) => stock::use_goods(args, ctx),
            Self::Dispose(args) => stock::dispose(args, ctx),
            Self::Hold(args) => stock::hold(args, ctx),
            Self::Release(args) => stock::release(args, ctx),
            Self::Dispute(args) => dispute::dispute(args, ctx),
            Self::Answer(args) => dispute::answer(args, ctx),
            Self::CloseDispute(args) => dispute::close(args, ctx),
            Self::Correct(args) => correct::run(args, ctx),
            Self::Recall(args) => recall::recall(args, ctx),
            Self::LiftRecall(args) => recall::lift(args, ctx),
            Self::Attest(args) => recall::attest(args, ctx),
        }
    }
}

/// The command line with its help in a language.
pub fn command(language: Language) -> clap::Command {
    let help = |command: clap::Command| {
        command
            .arg(
                clap::Arg::new("help").long("help").short('h').action(ArgAction::Help).global(true),
            )
            .arg(clap::Arg::new("version").long("version").short('V').action(ArgAction::Version))
    };
    localise(help(CommandLine::command()), language, "giftproof")
}

fn localise(command: clap::Command, language: Language, name: &str) -> clap::Command {
    let text = |key: &str| language.find(key);
    let about = text(&format!("help.{name}.about")).unwrap_or_default();
    let example = text(&format!("help.{name}.example"));
    let say = |key: &str| language.say(key, &[]);
    let mut command = command.about(about).long_about(Resettable::Reset);
    if let Some(example) = example {
        command = command.after_help(format!("{}\n  {}", say("help.heads.example"), example));
    }
    let template =
        format!("{{about}}\n\n{} {{usage}}\n\n{{all-args}}{{after-help}}", say("help.heads.usage"));
    let command = command
        .help_template(template)
        .subcommand_help_heading(say("help.heads.commands"))
        .subcommand_value_name(say("help.heads.command"))
        .mut_args(|arg| localise_arg(arg, language, name));
    command.mut_subcommands(|sub| {
        // `event draft donate` is told what `donate` is.
        let inner = match name {
            "giftproof" | "event-draft" => sub.get_name().to_owned(),
            _ => format!("{name}-{}", sub.get_name()),
        };
        localise(sub, language, &inner)
    })
}

fn localise_arg(arg: clap::Arg, language: Language, command: &str) -> clap::Arg {
    let id = arg.get_id().as_str().replace('_', "-");
    let of = |section: &str| language.find(&format!("help.{section}.{id}"));
    let mut help = of(command).or_else(|| of("shared")).unwrap_or_default().to_owned();
    let takes_value = arg.get_action().takes_values();
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if takes_value && !values.is_empty() {
        help += &language.say("help.heads.values", &[("values", &values.join(", "))]);
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !defaults.is_empty() {
        help += &language.say("help.heads.default", &[("value", &defaults.join(", "))]);
    }
    let head = match (arg.is_positional(), arg.is_global_set()) {
        (true, _) => "help.heads.arguments",
        (_, true) => "help.heads.global",
        _ => "help.heads.options",
    };
    let arg = arg.help(help).long_help(Resettable::Reset).help_heading(language.say(head, &[]));
    if takes_value { arg.hide_possible_values(true).hide_default_value(true) } else { arg }
}

/// The commands below the last one that these arguments name; empty for those of the program
/// itself, which are too many for one line.
pub fn choices(command: &clap::Command, arguments: &[OsString]) -> String {
    let mut at = command;
    for argument in arguments.iter().skip(1) {
        at = at.find_subcommand(argument).unwrap_or(at);
    }
    if at.get_name() == command.get_name() {
        return String::new();
    }
    let names: Vec<&str> = at.get_subcommands().map(clap::Command::get_name).collect();
    names.join(", ")
}

/// What somebody typed that the command line does not understand; `commands` are the [`choices`]
/// where a command was to come.
pub fn misunderstood(error: &clap::Error, commands: &str) -> Failure {
    let malformed = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Malformed>());
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let once = said(ContextKind::InvalidArg);
    let value = said(ContextKind::InvalidValue);
    let choices = match said(ContextKind::ValidValue) {
        values if values.is_empty() => commands.to_owned(),
        values => values,
    };
    let code = match (malformed, error.kind()) {
        (Some(malformed), _) if malformed.code == "date/malformed" && is_day(&value) => {
            "date/no-such-day"
        }
        (Some(malformed), _) => malformed.code,
        (_, ErrorKind::UnknownArgument) => "usage/unknown-argument",
        (_, ErrorKind::InvalidSubcommand) if !commands.is_empty() => "usage/not-a-command",
        (_, ErrorKind::InvalidSubcommand) => "usage/unknown-command",
        (_, ErrorKind::MissingRequiredArgument) => "usage/missing-argument",
        (_, ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) => {
            if commands.is_empty() {
                "usage/missing-command"
            } else {
                "usage/which-command"
            }
        }
        (_, ErrorKind::ArgumentConflict) if once == said(ContextKind::PriorArg) => "usage/twice",
        (_, ErrorKind::ArgumentConflict) => "usage/conflict",
        (_, ErrorKind::InvalidUtf8) => "usage/not-utf-8",
        (_, ErrorKind::InvalidValue) if !choices.is_empty() && !value.is_empty() => {
            "usage/not-a-choice"
        }
        (_, ErrorKind::InvalidValue | ErrorKind::ValueValidation) => "usage/invalid-value",
        (_, ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::TooManyValues) => {
            "usage/invalid-value"
        }
        _ => "usage/misunderstood",
    };
    let typed = match error.kind() {
        ErrorKind::InvalidSubcommand => said(ContextKind::InvalidSubcommand),
        _ => once,
    };
    Failure::new(code)
        .with("argument", typed)
        .with("value", &value)
        .with("found", &value)
        .with("choices", choices)
        .with("other", said(ContextKind::PriorArg))
        .or_say(error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: "))
}

/// Whether this is written as a day is.
fn is_day(typed: &str) -> bool {
    let place = |(at, letter): (usize, char)| match at {
        4 | 7 => letter == '-',
        _ => letter.is_ascii_digit(),
    };
    typed.len() == 10 && typed.chars().enumerate().all(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &clap::Command, visit: &mut dyn FnMut(&clap::Command)) {
        visit(command);
        command.get_subcommands().for_each(|sub| walk(sub, visit));
    }

    #[test]
    fn every_command_and_argument_has_help_and_every_leaf_an_example() {
        for language in [Language::English, Language::Chinese] {
            let whole = command(language);
            whole.clone().debug_assert();
            walk(&whole, &mut |command| {
                let name = command.get_name();
                assert!(command.get_about().is_some_and(|a| !a.to_string().is_empty()), "{name}");
                let leaf = command.get_subcommands().next().is_none();
                assert!(!leaf || command.get_after_help().is_some(), "{name} has no example");
                for arg in command.get_arguments() {
                    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                    assert!(!help.is_empty(), "{name} {}", arg.get_id());
                }
            });
        }
    }
}
