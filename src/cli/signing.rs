//! From what somebody wants to state to an event that is signed and recorded, or written to a file
//! for others to sign.
//!
//! Users name key files, not parties: whose a key is, the ledger knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::Rng;
use serde_json::{Value, json};

use super::context::{Context, now, random};
use super::event_file::{EventFile, signer_name};
use super::failure::Failure;
use super::keyring::Keyring;
use super::shipment::ShipmentFile;
use super::words::{self, DocumentWord};
use crate::bundle::Existing;
use crate::ledger::Ledger;
use crate::model::date::Date;
use crate::model::draft::Draft;
use crate::model::entry::Entry;
use crate::model::event::{Anchor, Capacity, Identity, Kind, Reason, Receipt, Signer, Statement};
use crate::model::hash::EventHash;
use crate::model::ident::{GiftId, Handle, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::state::{Gift, Owner, State};
use crate::model::violation::{Code, Violation};
use crate::writer::{Refused, Writer};

/// What every command that makes an event understands.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct EventArgs {
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    #[arg(long = "as", value_name = "HANDLE")]
    pub named: Vec<Handle>,
    #[arg(long = "registrar", value_name = "HANDLE")]
    pub registrars: Vec<Handle>,
    #[arg(long, value_name = "FILE")]
    pub draft: Option<PathBuf>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub on: Option<Date>,
    #[arg(long = "document", value_name = "KIND:NUMBER[:FILE]")]
    pub documents: Vec<DocumentWord>,
    #[arg(long, value_name = "CODE[:TEXT]", value_parser = words::reason)]
    pub reason: Option<Reason>,
}

/// Somebody who is to sign.
#[derive(Clone, Debug)]
pub struct Signing {
    capacity: Capacity,
    party: Option<Handle>,
    /// None: whichever key of the party is at hand.
    key: Option<KeyBytes>,
}

impl Signing {
    /// A party, a registrar or the operator, with a key that it has.
    pub fn party(capacity: Capacity, party: &Handle) -> Self {
        Self { capacity, party: Some(party.clone()), key: None }
    }

    /// This very key, under a name or as a gift's own.
    pub fn key(capacity: Capacity, party: Option<&Handle>, key: KeyBytes) -> Self {
        Self { capacity, party: party.cloned(), key: Some(key) }
    }
}

/// What is to be stated, and by whom.
pub struct Plan {
    /// The statement.
    pub statement: Statement,
    /// Who signs.
    pub signers: Vec<Signing>,
}

impl Plan {
    /// A statement that one party signs.
    pub fn by(statement: impl Into<Statement>, capacity: Capacity, party: &Handle) -> Self {
        Self::new(statement, vec![Signing::party(capacity, party)])
    }

    /// How many sign in this capacity.
    pub fn signers_as(&self, capacity: Capacity) -> usize {
        self.signers.iter().filter(|signer| signer.capacity == capacity).count()
    }

    /// A statement with all who sign it.
    pub fn new(statement: impl Into<Statement>, signers: Vec<Signing>) -> Self {
        Self { statement: statement.into(), signers }
    }
}

/// What a plan is made from: the ledger as it is now, and the keys at hand.
pub struct Scene<'a> {
    /// The ledger now.
    pub state: &'a State,
    /// The keys at hand.
    pub ring: &'a Keyring,
    args: &'a EventArgs,
}

impl<'a> Scene<'a> {
    /// # Errors
    /// `registrar/unknown` where `--registrar` names somebody who is none.
    fn new(state: &'a State, ring: &'a Keyring, args: &'a EventArgs) -> Result<Self, Failure> {
        let handles = || state.parties.registrars.iter().map(|registrar| &registrar.handle);
        match args.registrars.iter().find(|named| !handles().any(|handle| handle == *named)) {
            None => Ok(Self { state, ring, args }),
            Some(unknown) => {
                let known: Vec<&str> = handles().map(Handle::as_str).collect();
                let failure = Failure::refused("registrar/unknown").with("found", unknown);
                Err(failure.with("known", known.join(", ")))
            }
        }
    }

    /// Whose key is at hand, or who is named with `--as`; where these are several, the one that is
    /// not among `besides`.
    ///
    /// # Errors
    /// `signer/no-key-given`, `signer/registrar`, `signer/nobody`, `signer/several`.
    pub fn actor(&self, besides: &[&Handle]) -> Result<Handle, Failure> {
        let mut parties = self.parties();
        if parties.len() > 1 {
            parties.retain(|party| !besides.contains(&party));
        }
        match parties.len() {
            1 => Ok(parties.into_iter().next().expect("there is one")),
            0 => Err(self.nobody()),
            _ => {
                let names: Vec<&str> = parties.iter().map(Handle::as_str).collect();
                Err(Failure::new("signer/several").with("who", names.join(", ")))
            }
        }
    }

    /// Why there is no party to act.
    fn nobody(&self) -> Failure {
        if self.args.keys.is_empty() {
            return Failure::refused("signer/no-key-given");
        }
        let registrar = |key| match self.state.parties.key(&key).map(|record| &record.owner) {
            Some(Owner::Registrar(handle)) => Some(handle),
            _ => None,
        };
        match self.ring.public().find_map(registrar) {
            Some(handle) => Failure::refused("signer/registrar").with("who", handle),
            None => Failure::refused("signer/nobody"),
        }
    }

    /// Everybody whose key is at hand or who is named with `--as`.
    pub fn parties(&self) -> BTreeSet<Handle> {
        let owner = |key| match self.state.parties.key(&key).map(|record| &record.owner) {
            Some(Owner::Party(handle)) => Some(handle.clone()),
            _ => None,
        };
        self.ring.public().filter_map(owner).chain(self.args.named.iter().cloned()).collect()
    }

    /// Whether this party's key is at hand, or it is named with `--as`.
    pub fn has(&self, party: &Handle) -> bool {
        self.parties().contains(party)
    }

    /// The registrars whose keys are at hand or who are named.
    pub fn registrars_at_hand(&self) -> Vec<Signing> {
        let at_hand = |registrar: &&Identity| {
            self.args.registrars.contains(&registrar.handle)
                || self.ring.secret(&registrar.key).is_some()
        };
        self.state.parties.registrars.iter().filter(at_hand).map(vouching).collect()
    }

    /// The registrars at hand; for a draft without any, as many of the first as it takes.
    pub fn registrars(&self) -> Vec<Signing> {
        let at_hand = self.registrars_at_hand();
        if !at_hand.is_empty() || self.args.draft.is_none() {
            return at_hand;
        }
        let parties = &self.state.parties;
        let enough = usize::from(parties.threshold);
        parties.registrars.iter().take(enough).map(vouching).collect()
    }

    /// Who speaks of a gift or an item: the party at hand, else one registrar.
    ///
    /// # Errors
    /// `signer/nobody`, `signer/several`.
    pub fn speaker(&self) -> Result<Signing, Failure> {
        match self.registrars_at_hand().pop() {
            Some(registrar) if self.parties().is_empty() => Ok(registrar),
            _ => Ok(Signing::party(Capacity::Speaker, &self.actor(&[])?)),
        }
    }

    /// The operator.
    pub fn operator(&self) -> Signing {
        Signing::party(Capacity::Operator, &self.state.parties.operator)
    }

    /// The key that comes in with this event: the one given, or the one at hand that is nobody's.
    ///
    /// # Errors
    /// `key/no-new`, `key/has-owner`.
    pub fn new_key(&self, given: Option<KeyBytes>) -> Result<KeyBytes, Failure> {
        let nobodys = |key: &KeyBytes| !self.state.parties.is_taken(key);
        let found = given.or_else(|| self.ring.public().find(nobodys));
        found.ok_or_else(|| self.no_new_key())
    }

    /// No key at hand is new: a party's key that was given for one has that party already.
    fn no_new_key(&self) -> Failure {
        let owned = self.ring.public().find_map(|key| {
            let record = self.state.parties.key(&key)?;
            match &record.owner {
                Owner::Party(handle) => Some((key, handle, record.origin.index)),
                _ => None,
            }
        });
        match owned {
            None => Failure::new("key/no-new"),
            Some((key, handle, since)) => Failure::new("key/has-owner")
                .with("key", key)
                .with("who", handle)
                .with("index", since),
        }
    }

    /// The gift's own key, where it is at hand.
    pub fn gift_key(&self, gift: &Gift) -> Option<KeyBytes> {
        gift.donor.key.filter(|key| self.ring.secret(key).is_some())
    }

    /// A gift by its id.
    ///
    /// # Errors
    /// `gift/unknown`.
    pub fn gift(&self, id: &GiftId) -> Result<Arc<Gift>, Failure> {
        let unknown = || Failure::from(Code::GiftUnknown).with("found", id);
        self.state.gift_by_id(id).ok_or_else(unknown)
    }

    fn key_of(&self, signing: &Signing) -> Result<KeyBytes, Failure> {
        if let Some(key) = signing.key {
            return Ok(key);
        }
        let handle = signing.party.as_ref().expect("who has no name signs with a given key");
        let parties = &self.state.parties;
        if *handle == parties.operator {
            return Ok(parties.operator_key_at(self.state.size + 1));
        }
        let party = parties.get(handle);
        let party = party.ok_or_else(|| Violation::new(Code::PartyUnknown, handle, ()))?;
        let ended = |key: &&KeyBytes| parties.key(key).is_some_and(|key| key.ended.is_some());
        let newest = || party.keys.iter().rev();
        let at_hand = |key: &&KeyBytes| self.ring.secret(key).is_some();
        // An ended key is the last choice: the rules then say why it will not do.
        let key = newest().find(|key| at_hand(key) && !ended(key));
        let key = key.or_else(|| newest().find(at_hand)).or_else(|| newest().find(|k| !ended(k)));
        let key = key.or_else(|| party.keys.last());
        Ok(*key.expect("a party is enrolled with a key"))
    }

    fn event(&self, plan: Plan) -> Result<EventFile, Failure> {
        let mut nonce = [0; 16];
        random().fill_bytes(&mut nonce);
        let mut draft = Draft::new(plan.statement, now(), nonce);
        for signing in &plan.signers {
            let key = self.key_of(signing)?;
            draft = draft.signer(signing.capacity, signing.party.as_ref(), key);
        }
        let newest = Anchor { index: self.state.size - 1, leaf: self.state.last_leaf };
        draft.anchor = Some(newest);
        finish(draft, self.args, self.state.genesis, self.ring)
    }
}

fn vouching(registrar: &Identity) -> Signing {
    Signing::key(Capacity::Registrar, Some(&registrar.handle), registrar.key)
}

/// Puts in what the command line says of every event, and signs with the keys at hand.
pub fn finish(
    mut draft: Draft,
    args: &EventArgs,
    genesis: crate::model::hash::LeafHash,
    ring: &Keyring,
) -> Result<EventFile, Failure> {
    draft.occurred_on = args.on;
    draft.documents =
        args.documents.iter().map(DocumentWord::document).collect::<Result<_, _>>()?;
    draft.reason = args.reason.clone();
    let mut file = EventFile::new(genesis, draft.frame()?)?;
    file.sign(ring)?;
    Ok(file)
}

/// What became of an event.
pub struct Done {
    /// What names it.
    pub event: EventHash,
    /// Its kind.
    pub kind: Kind,
    /// What became of asking each witness, for programs.
    pub witnesses: Vec<Value>,
    end: End,
}

enum End {
    Recorded { index: u64, already: bool },
    Drafted { path: PathBuf, unsigned: Vec<Signer> },
}

/// Makes an event of a plan, signs it with the keys at hand and submits it; or writes it to the
/// file that `--draft` names.
///
/// # Errors
/// Of the plan; when ledger, keys or files fail; when the rules refuse the event.
pub fn carry_out(
    ctx: &Context,
    args: &EventArgs,
    mut ring: Keyring,
    plan: impl FnOnce(&Scene) -> Result<Plan, Failure>,
) -> Result<Done, Failure> {
    if ctx.drafting && args.draft.is_none() {
        return Err(Failure::new("usage/no-draft"));
    }
    if let Some(path) = &args.draft {
        if ctx.operator_key.is_some() {
            ring.add(ctx.operator()?);
        }
        let ledger = ctx.open()?;
        let scene = Scene::new(ledger.state(), &ring, args)?;
        let mut file = scene.event(plan(&scene)?)?;
        file.context = context_of(&file, &ledger)?;
        return write_draft(file, path);
    }
    ring.add(ctx.operator()?);
    let writer = ctx.open_writer()?;
    let file = writer.with_state(|state| {
        let scene = Scene::new(state, &ring, args)?;
        plan(&scene).and_then(|plan| scene.event(plan))
    })?;
    let done = submit(ctx, &writer, file, &ring, "signer/no-key")?;
    Ok(Done { witnesses: super::witnesses::close(ctx, writer)?, ..done })
}

/// Hands an event in.
///
/// # Errors
/// `incomplete` when somebody has yet to sign; what the writer refuses.
pub fn submit(
    ctx: &Context,
    writer: &Writer,
    file: EventFile,
    ring: &Keyring,
    incomplete: &str,
) -> Result<Done, Failure> {
    let unsigned = unsigned(&file)?;
    if !unsigned.is_empty() {
        return Err(Failure::refused(incomplete).with("who", names(ctx, &unsigned)));
    }
    let (event, kind) = (file.frame.hash(&file.genesis), kind_of(&file)?);
    if writer.genesis() != file.genesis {
        return Err(Failure::refused("event/other-ledger"));
    }
    let accepted = match file.open()?.1 {
        Statement::OperatorRotated(rotated) => {
            let new_key = ring.secret(&rotated.key);
            let new_key = new_key.ok_or_else(|| Failure::new("usage/no-new-operator-key"))?;
            writer.rotate_operator(file.complete()?, SecretKey::from_seed(new_key.seed()))?
        }
        statement => {
            let told = |refused| match &statement {
                Statement::Receipt(receipt) => received_before(writer, receipt, refused),
                _ => Failure::from(refused),
            };
            writer.submit(file.complete()?).map_err(told)?
        }
    };
    if accepted.signatures_differ {
        ctx.note("note.signatures-differ", &[]);
    }
    for warning in &accepted.warnings {
        ctx.note(&format!("note.{}", warning.code()), &[]);
    }
    let end = End::Recorded { index: accepted.index, already: accepted.already };
    Ok(Done { event, kind, end, witnesses: Vec::new() })
}

/// A receipt of a shipment of which nothing is left is told by what came before it.
fn received_before(writer: &Writer, receipt: &Receipt, refused: Refused) -> Failure {
    let exceeded = matches!(&refused,
        Refused::Violation(violation) if violation.code == Code::BalanceExceeded);
    let failure = Failure::from(refused);
    match &receipt.shipment {
        Some(id) if exceeded => {
            writer.with_state(|state| super::shipment::received(state, id)).unwrap_or(failure)
        }
        _ => failure,
    }
}

/// Writes an event for others to sign.
///
/// # Errors
/// When the file cannot be written, or exists.
pub fn write_draft(file: EventFile, path: &Path) -> Result<Done, Failure> {
    file.write(path, Existing::Refuse)?;
    let event = file.frame.hash(&file.genesis);
    let end = End::Drafted { path: path.to_owned(), unsigned: unsigned(&file)? };
    Ok(Done { event, kind: kind_of(&file)?, end, witnesses: Vec::new() })
}

/// Who has yet to sign.
///
/// # Errors
/// Where the bytes are no event.
pub fn unsigned(file: &EventFile) -> Result<Vec<Signer>, Failure> {
    let missing = |(signer, good): (Signer, Option<bool>)| good.is_none().then_some(signer);
    Ok(file.signed()?.into_iter().filter_map(missing).collect())
}

/// What is to be done next with an event in a file.
pub fn next(ctx: &Context, kind: Kind, unsigned: &[Signer], path: &Path) -> String {
    if !unsigned.is_empty() {
        return ctx.say("done.unsigned", &[("who", &names(ctx, unsigned))]);
    }
    let begins = kind == Kind::LedgerCreated;
    ctx.say(if begins { "next.begin" } else { "next.submit" }, &[("path", &path.display())])
}

/// Signers for people, in the words in which `event show` names them.
pub fn names(ctx: &Context, signers: &[Signer]) -> String {
    let name = |signer: &Signer| {
        let key = || signer.key.to_string();
        let who = signer.party.as_ref().map_or_else(key, Handle::to_string);
        format!("{who} ({})", ctx.language.word(signer.capacity.word()))
    };
    signers.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Of which kind it is.
///
/// # Errors
/// `event/unknown-kind`.
pub fn kind_of(file: &EventFile) -> Result<Kind, Failure> {
    Kind::from_number(file.frame.kind).ok_or_else(|| Failure::new("event/unknown-kind"))
}

/// The entries from which the names and items in an event can be looked up without the ledger.
fn context_of(file: &EventFile, ledger: &Ledger) -> Result<Vec<Entry>, Failure> {
    let (head, statement) = file.open()?;
    let mut words = BTreeSet::new();
    collect_words(&json!([head, &statement]), &mut words);
    let state = ledger.state();
    let parties = state.parties.iter().filter(|party| words.contains(party.handle.as_str()));
    let mut indexes: BTreeSet<u64> = parties.map(|party| party.enrolled_at).collect();
    let gifts = words.iter().filter_map(|word| word.parse::<EventHash>().ok());
    indexes.extend(gifts.filter_map(|gift| Some(state.gifts.get(&gift)?.entries[0])));
    if let Statement::Receipt(Receipt { shipment: Some(id), .. }) = &statement
        && state.shipments.contains(id)
    {
        let sent = ShipmentFile::of(ledger, id)?.entries;
        indexes.extend(sent.iter().map(|entry| entry.header.index));
    }
    let entries = indexes.into_iter().take(super::event_file::CONTEXT_MAX);
    entries.map(|index| Ok(ledger.entry(index)?)).collect()
}

fn collect_words(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::String(word) => {
            words.insert(word.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Object(fields) => fields.values().for_each(|field| collect_words(field, words)),
        _ => {}
    }
}

impl Done {
    /// The gift that a donation begins.
    pub fn gift(&self) -> Option<GiftId> {
        (self.kind == Kind::Donation).then(|| GiftId::from(&self.event))
    }

    /// The entry that it became with this command.
    pub fn new_entry(&self) -> Option<u64> {
        match self.end {
            End::Recorded { index, already: false } => Some(index),
            _ => None,
        }
    }

    /// Tells what became of the event; `more` are fields and lines of the command's own.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn report(&self, ctx: &Context, more: &[(&str, Value, String)]) -> Result<(), Failure> {
        let kind = ctx.language.word(self.kind.word());
        let mut value = json!({ "event": self.event, "kind": self.kind.word() });
        let mut text = String::new();
        if let Some(gift) = self.gift() {
            value["gift"] = json!(gift);
            text += &ctx.say("done.gift", &[("gift", &gift)]);
            text.push('\n');
        }
        for (name, field, line) in more {
            value[*name] = field.clone();
            if !line.is_empty() {
                text += line;
                text.push('\n');
            }
        }
        match &self.end {
            End::Recorded { index, already } => {
                value["index"] = json!(index);
                value["already"] = json!(already);
                let key = if *already { "done.already" } else { "done.recorded" };
                text += &ctx.say(key, &[("kind", &kind), ("index", index)]);
            }
            End::Drafted { path, unsigned } => {
                value["draft"] = json!(path);
                value["unsigned"] = json!(unsigned.iter().map(signer_name).collect::<Vec<_>>());
                text += &ctx.say("done.drafted", &[("kind", &kind), ("path", &path.display())]);
                text.push('\n');
                text += &next(ctx, self.kind, unsigned, path);
            }
        }
        text.push('\n');
        if !self.witnesses.is_empty() {
            value["witnesses"] = json!(self.witnesses);
        }
        ctx.answer(&value, &text)
    }
}

/// Carries out a plan with the keys of `--key`, and tells what became of it.
///
/// # Errors
/// As [`carry_out`].
pub fn run(
    ctx: &Context,
    args: &EventArgs,
    plan: impl FnOnce(&Scene) -> Result<Plan, Failure>,
) -> Result<(), Failure> {
    let ring = Keyring::read(ctx, &args.keys)?;
    carry_out(ctx, args, ring, plan)?.report(ctx, &[])
}
