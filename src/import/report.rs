//! What an import could not map, row by row.

use serde::Serialize;

/// A row that stays outside the ledger, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The line of the file on which the row begins, from 1.
    pub line: u64,
    /// How the list itself names the row; empty where it cannot be told.
    pub reference: String,
    /// The stable code.
    pub code: &'static str,
    /// The field of the map that the row could not fill.
    pub field: &'static str,
    /// What stands in the row.
    pub found: String,
}

impl Refused {
    pub(super) fn new(
        line: u64,
        code: &'static str,
        field: &'static str,
        found: impl Into<String>,
    ) -> Self {
        Self { line, reference: String::new(), code, field, found: found.into() }
    }
}

/// The refused rows as comma-separated values with a header.
pub fn to_csv(refused: &[Refused]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in refused {
        writer.serialize(row).expect("text and numbers can be written to memory");
    }
    if refused.is_empty() {
        let header = ["line", "reference", "code", "field", "found"];
        writer.write_record(header).expect("text can be written to memory");
    }
    writer.into_inner().expect("memory does not fail")
}
