//! `need`: what final recipients want.

use super::context::{Context, columns};
use super::failure::Failure;
use super::signing::{self, EventArgs, Plan};
use super::words::{parse_quantity, text};
use crate::model::date::Date;
use crate::model::event::{Capacity, NeedClosed, NeedDeclared};
use crate::model::hash::EventHash;
use crate::model::state::NeedState;
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

/// The commands on needs.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Declares a need.
    Declare(DeclareArgs),
    /// Closes a need.
    Close(CloseArgs),
    /// Lists the open needs.
    List(ListArgs),
}

/// What `need declare` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct DeclareArgs {
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    item: Text<200>,
    #[arg(long, value_name = "N", value_parser = parse_quantity, allow_negative_numbers = true)]
    quantity: Option<u64>,
    #[arg(long, value_name = "TEXT", value_parser = text::<24>)]
    unit: Option<Text<24>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<120>)]
    standard: Option<Text<120>>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    by: Option<Date>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `need close` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct CloseArgs {
    #[arg(value_name = "EVENT")]
    need: EventHash,
    #[command(flatten)]
    event: EventArgs,
}

/// What `need list` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {
    #[arg(long)]
    all: bool,
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// As [`signing::carry_out`].
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        match self {
            Self::Declare(args) => signing::run(ctx, &args.event, |scene| {
                let statement = NeedDeclared {
                    item: args.item.clone(),
                    standard: args.standard.clone().unwrap_or_default(),
                    quantity: args.quantity,
                    unit: args.unit.clone().unwrap_or_default(),
                    wanted_by: args.by,
                };
                Ok(Plan::by(statement, Capacity::Recipient, &scene.actor(&[])?))
            }),
            Self::Close(args) => signing::run(ctx, &args.event, |scene| {
                let need = scene.state.needs.get(&args.need);
                let unknown = || Violation::new(Code::NeedUnknown, (), args.need);
                let recipient = &need.ok_or_else(unknown)?.recipient;
                Ok(Plan::by(NeedClosed { need: args.need }, Capacity::Recipient, recipient))
            }),
            Self::List(args) => list(args, ctx),
        }
    }
}

fn list(args: &ListArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let wanted = |need: &&NeedState| args.all || need.closed.is_none();
    let mut needs: Vec<&NeedState> = ledger.state().needs.values().filter(wanted).collect();
    needs.sort_by_key(|need| need.index);
    let heads = ["need.who", "need.item", "need.quantity", "need.by", "need.event"];
    let mut rows = vec![heads.map(|head| ctx.say(head, &[])).to_vec()];
    for state in &needs {
        let need = &state.need;
        let quantity = need.quantity.map(|quantity| quantity.to_string()).unwrap_or_default();
        rows.push(vec![
            state.recipient.to_string(),
            need.item.to_string(),
            format!("{quantity} {}", need.unit).trim().to_owned(),
            need.wanted_by.map(|day| day.to_string()).unwrap_or_default(),
            state.event.to_string(),
        ]);
    }
    ctx.answer(&needs, &columns(&rows))
}
