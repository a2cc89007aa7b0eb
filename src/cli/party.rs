//! `party`: who takes part, and their keys.

use serde_json::json;

use super::context::{Context, columns};
use super::failure::Failure;
use super::init::KeyWord;
use super::keyring::Keyring;
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use super::words::{choice, text};
use crate::model::date::Date;
use crate::model::encoding::List;
use crate::model::event::{
    Capacity, KeyAdded, KeyCompromised, KeyRevoked, KeyRotated, Particulars, PartyEnrolled,
    PartyKind, PartyUpdated, Role,
};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::state::Party;
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

/// The commands on parties.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Enrolls a party with its first key.
    Enroll(EnrollArgs),
    /// Adds a key.
    AddKey(KeyArgs),
    /// Puts a new key in the place of an old one.
    Rotate(RotateArgs),
    /// Ends a key.
    Revoke(KeyArgs),
    /// Says since when a key was in the wrong hands.
    Compromised(CompromisedArgs),
    /// Changes what is known of a party.
    Update(UpdateArgs),
    /// Lists the parties.
    List,
    /// Shows one party.
    Show(ShowArgs),
}

/// What `party enroll` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct EnrollArgs {
    #[arg(value_name = "HANDLE")]
    handle: Handle,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    name: Text<200>,
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = choice!(Role))]
    roles: Vec<Role>,
    #[arg(long, value_name = "KIND", default_value = "organisation", value_parser = choice!(PartyKind))]
    kind: PartyKind,
    #[arg(long, value_name = "CODE", value_parser = text::<40>)]
    identifier: Option<Text<40>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    place: Option<Text<200>>,
    #[arg(long, value_name = "KEY")]
    public_key: Option<KeyWord>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `party add-key` and `party revoke` are told.
#[derive(clap::Args, Clone, Debug)]
pub struct KeyArgs {
    #[arg(value_name = "HANDLE")]
    handle: Handle,
    #[arg(long, value_name = "KEY")]
    public_key: Option<KeyWord>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `party rotate` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct RotateArgs {
    #[arg(value_name = "HANDLE")]
    handle: Handle,
    #[arg(long, value_name = "KEY")]
    public_key: Option<KeyWord>,
    #[arg(long, value_name = "KEY")]
    old: Option<KeyWord>,
    #[arg(long)]
    lost: bool,
    #[command(flatten)]
    event: EventArgs,
}

/// What `party compromised` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct CompromisedArgs {
    #[arg(value_name = "HANDLE")]
    handle: Handle,
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Date,
    #[arg(long, value_name = "KEY")]
    public_key: Option<KeyWord>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `party update` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct UpdateArgs {
    #[arg(value_name = "HANDLE")]
    handle: Handle,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    name: Option<Text<200>>,
    #[arg(long, value_name = "CODE", value_parser = text::<40>)]
    identifier: Option<Text<40>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    place: Option<Text<200>>,
    #[arg(long, value_name = "HANDLE")]
    successor: Option<Handle>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `party show` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    #[arg(value_name = "HANDLE")]
    handle: Handle,
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// As [`signing::carry_out`].
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        match self {
            Self::Enroll(args) => enroll(args, ctx),
            Self::AddKey(args) => signing::run(ctx, &args.event, |scene| add_key(args, scene)),
            Self::Rotate(args) => signing::run(ctx, &args.event, |scene| rotate(args, scene)),
            Self::Revoke(args) => signing::run(ctx, &args.event, |scene| revoke(args, scene)),
            Self::Compromised(args) => {
                signing::run(ctx, &args.event, |scene| compromised(args, scene))
            }
            Self::Update(args) => signing::run(ctx, &args.event, |scene| update(args, scene)),
            Self::List => list(ctx),
            Self::Show(args) => show(args, ctx),
        }
    }
}

/// Enrolls a party, and warns where more registrars have to vouch for it.
fn enroll(args: &EnrollArgs, ctx: &Context) -> Result<(), Failure> {
    let ring = Keyring::read(ctx, &args.event.keys)?;
    let vouched = args.roles.iter().any(|role| role.is_vouched());
    let (mut vouchers, mut threshold) = (0, 0);
    let done = signing::carry_out(ctx, &args.event, ring, |scene| {
        let plan = enrolment(args, vouched, scene)?;
        vouchers = plan.signers_as(Capacity::Registrar);
        threshold = usize::from(scene.state.parties.threshold);
        Ok(plan)
    })?;
    done.report(ctx, &[])?;
    if vouched && vouchers < threshold && done.new_entry().is_some() {
        let places: [(&str, &dyn std::fmt::Display); 3] =
            [("who", &args.handle), ("count", &vouchers), ("threshold", &threshold)];
        ctx.note("note.provisional", &places);
    }
    Ok(())
}

fn given(key: Option<&KeyWord>) -> Result<Option<KeyBytes>, Failure> {
    key.map(KeyWord::key).transpose()
}

fn enrolment(args: &EnrollArgs, vouched: bool, scene: &Scene) -> Result<Plan, Failure> {
    let key = scene.new_key(given(args.public_key.as_ref())?)?;
    let statement = PartyEnrolled {
        handle: args.handle.clone(),
        kind: args.kind,
        roles: List::new(args.roles.clone())?,
        particulars: Particulars {
            name: args.name.clone(),
            identifier: args.identifier.clone().unwrap_or_default(),
            place: args.place.clone().unwrap_or_default(),
        },
        key,
    };
    let mut signers = vec![Signing::key(Capacity::NewKey, Some(&args.handle), key)];
    signers.extend(admission(scene, vouched));
    Ok(Plan::new(statement, signers))
}

/// Who admits a party: registrars; for donors and carriers the operator will do.
fn admission(scene: &Scene, vouched: bool) -> Vec<Signing> {
    let at_hand = scene.registrars_at_hand();
    if !vouched && at_hand.is_empty() { vec![scene.operator()] } else { scene.registrars() }
}

fn known<'a>(scene: &'a Scene, handle: &Handle) -> Result<&'a Party, Failure> {
    let unknown = || Violation::new(Code::PartyUnknown, handle, ());
    Ok(scene.state.parties.get(handle).ok_or_else(unknown)?)
}

/// The key that is given, else the only one that has not ended.
fn current(scene: &Scene, handle: &Handle, key: Option<&KeyWord>) -> Result<KeyBytes, Failure> {
    if let Some(key) = given(key)? {
        return Ok(key);
    }
    let party = known(scene, handle)?;
    let open =
        |key: &&KeyBytes| scene.state.parties.key(key).is_some_and(|record| record.ended.is_none());
    let open: Vec<&KeyBytes> = party.keys.iter().filter(open).collect();
    match open[..] {
        [key] => Ok(*key),
        _ => Err(Failure::new("key/which").with("who", handle)),
    }
}

fn add_key(args: &KeyArgs, scene: &Scene) -> Result<Plan, Failure> {
    let key = scene.new_key(given(args.public_key.as_ref())?)?;
    let mut signers = vec![Signing::key(Capacity::NewKey, Some(&args.handle), key)];
    // A donor or carrier that has its key at hand speaks for itself.
    if !known(scene, &args.handle)?.needs_vouching() && scene.has(&args.handle) {
        signers.push(Signing::party(Capacity::Oneself, &args.handle));
    } else {
        signers.extend(scene.registrars());
    }
    Ok(Plan::new(KeyAdded { handle: args.handle.clone(), key }, signers))
}

fn rotate(args: &RotateArgs, scene: &Scene) -> Result<Plan, Failure> {
    let old = current(scene, &args.handle, args.old.as_ref())?;
    let new = scene.new_key(given(args.public_key.as_ref())?)?;
    let mut signers = vec![Signing::key(Capacity::NewKey, Some(&args.handle), new)];
    if args.lost {
        signers.extend(scene.registrars());
    } else {
        signers.push(Signing::key(Capacity::Oneself, Some(&args.handle), old));
    }
    Ok(Plan::new(KeyRotated { handle: args.handle.clone(), old, new }, signers))
}

fn revoke(args: &KeyArgs, scene: &Scene) -> Result<Plan, Failure> {
    let key = current(scene, &args.handle, args.public_key.as_ref())?;
    let statement = KeyRevoked { handle: args.handle.clone(), key };
    if scene.ring.secret(&key).is_some() || scene.has(&args.handle) {
        let oneself = Signing::key(Capacity::Oneself, Some(&args.handle), key);
        return Ok(Plan::new(statement, vec![oneself]));
    }
    Ok(Plan::new(statement, scene.registrars()))
}

fn compromised(args: &CompromisedArgs, scene: &Scene) -> Result<Plan, Failure> {
    let key = current(scene, &args.handle, args.public_key.as_ref())?;
    let statement = KeyCompromised { handle: args.handle.clone(), key, since: args.since };
    if scene.has(&args.handle) {
        return Ok(Plan::by(statement, Capacity::Oneself, &args.handle));
    }
    Ok(Plan::new(statement, scene.registrars()))
}

fn update(args: &UpdateArgs, scene: &Scene) -> Result<Plan, Failure> {
    let party = known(scene, &args.handle)?;
    let now = &party.particulars;
    let statement = PartyUpdated {
        handle: args.handle.clone(),
        particulars: Particulars {
            name: args.name.clone().unwrap_or_else(|| now.name.clone()),
            identifier: args.identifier.clone().unwrap_or_else(|| now.identifier.clone()),
            place: args.place.clone().unwrap_or_else(|| now.place.clone()),
        },
        successor: args.successor.clone().or_else(|| party.successor.clone()),
    };
    Ok(Plan::new(statement, scene.registrars()))
}

fn roles(ctx: &Context, party: &Party) -> String {
    let words: Vec<_> = party.roles.iter().map(|role| ctx.language.word(role.word())).collect();
    words.join(", ")
}

fn standing(ctx: &Context, party: &Party) -> String {
    let key = match (party.vouched_since, party.needs_vouching()) {
        (Some(_), _) => "party.vouched",
        (None, true) => "party.provisional",
        (None, false) => "party.admitted",
    };
    ctx.say(key, &[])
}

fn list(ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let parties: Vec<&Party> = ledger.state().parties.iter().collect();
    let heads = ["party.handle", "party.name", "party.roles", "party.standing"];
    let mut rows = vec![heads.map(|head| ctx.say(head, &[])).to_vec()];
    for party in &parties {
        let name = party.particulars.name.to_string();
        rows.push(vec![party.handle.to_string(), name, roles(ctx, party), standing(ctx, party)]);
    }
    ctx.answer(&parties, &columns(&rows))
}

fn show(args: &ShowArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let state = ledger.state();
    let unknown = || Violation::new(Code::PartyUnknown, &args.handle, ());
    let party = state.parties.get(&args.handle).ok_or_else(unknown)?;
    let line = |head: &str, value: String| vec![ctx.say(head, &[]), value];
    let mut rows = vec![
        line("party.handle", party.handle.to_string()),
        line("party.name", party.particulars.name.to_string()),
        line("party.kind", ctx.language.word(party.kind.word())),
        line("party.roles", roles(ctx, party)),
        line("party.standing", standing(ctx, party)),
    ];
    let vouchers: Vec<String> = party.vouchers.iter().map(Handle::to_string).collect();
    if !vouchers.is_empty() {
        rows.push(line("party.vouchers", vouchers.join(", ")));
    }
    for (head, text) in [
        ("party.identifier", party.particulars.identifier.as_str()),
        ("party.place", party.particulars.place.as_str()),
    ] {
        if !text.is_empty() {
            rows.push(line(head, text.to_owned()));
        }
    }
    let mut keys = Vec::new();
    for key in &party.keys {
        let record = state.parties.key(key).expect("every key of a party has its record");
        let mut text = key.to_string();
        for (head, value) in [
            ("key.ended", record.ended.map(|index| index.to_string())),
            ("key.compromised", record.compromised_since.map(|day| day.to_string())),
        ] {
            if let Some(value) = value {
                text += &format!(" ({})", ctx.say(head, &[("index", &value)]));
            }
        }
        rows.push(line("party.key", text));
        keys.push(json!({
            "key": key, "since": record.origin.index, "ended": record.ended,
            "recovered": record.recovered, "compromised_since": record.compromised_since,
        }));
    }
    let mut value = json!(party);
    value["keys"] = json!(keys);
    ctx.answer(&value, &columns(&rows))
}
