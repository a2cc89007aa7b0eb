//! `lodge`: a registrar or a witness confirms that it has received a signed event.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::context::{Context, now};
use super::event_file::EventFile;
use super::failure::{Failure, write_failed};
use super::keyring;
use crate::bundle::{Existing, OutputFile};
use crate::model::lodged::{Lodged, LodgedFault};

/// What `lodge` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "EVENT")]
    file: PathBuf,
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
}

/// Writes a lodged note about an event that everybody has signed.
///
/// # Errors
/// When files or the key fail, or the event is not signed by all its signers.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let file = EventFile::read(&args.file)?;
    let genesis = file.genesis;
    let event = file.complete()?;
    let key = keyring::read(ctx, &args.key)?;
    let lodged = Lodged::sign(genesis, event, now(), &key)?;
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(&args.out, Existing::Refuse)?;
        file.write_all(&lodged.to_bytes())?;
        file.commit()
    };
    write().map_err(|error| write_failed(&args.out, &error))?;
    let answer = json!({
        "event": lodged.event.hash.to_string(),
        "at": lodged.at,
        "key": lodged.key.to_string(),
    });
    let path = args.out.display();
    let places: [(&str, &dyn std::fmt::Display); 3] =
        [("path", &path), ("time", &lodged.at), ("event", &lodged.event.hash)];
    ctx.answer(&answer, &format!("{}\n", ctx.say("lodged.done", &places)))
}

impl From<LodgedFault> for Failure {
    fn from(fault: LodgedFault) -> Self {
        Self::new(fault.code()).or_say(fault)
    }
}
