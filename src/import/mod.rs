//! Published lists become events: a CSV file, a column map, a dry run, and only then signatures.
//!
//! - [`Table`] is the list, [`Map`] says what its columns mean;
//! - [`Plan`] is the dry run: what would be signed, and every row that cannot be mapped, with the
//!   reason;
//! - [`Signing`] turns a plan into signed events, and [`rehearse`] lets the rules judge all of them
//!   on a copy of the ledger's state. Only what passes as a whole is handed to the writer.
//!
//! The first event after the parties attests which list it is and by which map, by SHA-256. Events
//! follow from list, map, keys and moment alone: an import that a crash cut short is completed by
//! signing it again as of the attestation's moment, since the log holds every event once.
//!
//! What is imported is marked *historic*: it is signed and recorded now, and tells when it happened
//! (`occurred_on`). No signature pretends to be older than its key.

mod events;
mod map;
mod plan;
mod planner;
mod report;
mod table;

pub use events::{Keyring, Rehearsed, Signing, SigningError, rehearse};
pub use map::{
    DocumentMap, GiftMap, Join, LineMap, Map, MapError, PackMap, PartyMap, PublicationMap,
    RecipientMap, ShipmentMap, Template, ValueMap,
};
pub use plan::{
    Parcel, Plan, PlannedGift, PlannedParty, PlannedPublication, PlannedShipment, PlannedSource,
    Step,
};
pub use report::{Refused, to_csv};
pub use table::{Row, Table, TableError};

use crate::model::hash::document_hash;

/// A map with the lists that it joins, ready for the list that it describes.
///
/// `read` gives the bytes of a file that the map names.
///
/// # Errors
/// Whatever `read` says, or [`ImportError`] where list and map do not fit.
pub fn plan<E: From<ImportError>>(
    list: &[u8],
    map: &Map,
    mut read: impl FnMut(&str) -> Result<Vec<u8>, E>,
) -> Result<Plan, E> {
    let mut table = Table::read(list).map_err(ImportError::from)?;
    for join in &map.join {
        let other = Table::read(&read(&join.file)?).map_err(ImportError::from)?;
        join.key.check(&other, &map.tables).map_err(ImportError::from)?;
        join.wanted.check(&table, &map.tables).map_err(ImportError::from)?;
        table.join(&join.name, &other, &join.wanted, &join.key);
    }
    Ok(Plan::of(&table, map, document_hash(list)).map_err(ImportError::from)?)
}

/// A list cannot be imported at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The list is no CSV.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The map does not fit.
    #[error(transparent)]
    Map(#[from] MapError),
}
