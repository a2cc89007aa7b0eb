//! A published list: rows of named cells.

use std::collections::HashMap;

use super::map::Template;
use super::report::Refused;

/// A list with a header.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
    refused: Vec<Refused>,
}

/// A row of a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    cells: Vec<String>,
}

/// The file is no CSV with a header.
#[derive(Debug, thiserror::Error)]
#[error("the list cannot be read: {0}")]
pub struct TableError(#[from] csv::Error);

impl Table {
    /// Reads comma-separated values (RFC 4180) with a header.
    ///
    /// Blanks around a cell are dropped. A row with too few or too many cells is kept aside as
    /// refused.
    ///
    /// # Errors
    /// Where there is no header, or bytes that are not UTF-8.
    pub fn read(csv: &[u8]) -> Result<Self, TableError> {
        let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(csv);
        let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let mut table = Self { columns, rows: Vec::new(), refused: Vec::new() };
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() == table.columns.len() {
                let cells = record.iter().map(str::to_owned).collect();
                table.rows.push(Row { line, cells });
            } else {
                let found = record.len().to_string();
                table.refused.push(Refused::new(line, "import/cells", "", found));
            }
        }
        Ok(table)
    }

    /// The rows that have a cell for every column.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows that have not.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// How many rows there are, whole or not.
    pub fn row_count(&self) -> usize {
        self.rows.len() + self.refused.len()
    }

    /// Whether there is such a column.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// The columns, for a message.
    pub(super) fn column_names(&self) -> String {
        self.columns.join(", ")
    }

    /// The cell of a row; empty for a column that is not there.
    pub fn cell<'a>(&self, row: &'a Row, column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| name == column);
        at.map_or("", |at| &row.cells[at])
    }

    /// Adds another list's columns, as `name.column`, to the rows where `wanted` says what the
    /// other list's `key` does. Where no row fits, the new cells are empty.
    pub(super) fn join(&mut self, name: &str, other: &Table, wanted: &Template, key: &Template) {
        let none = HashMap::new();
        let by_key: HashMap<String, &Row> =
            other.rows.iter().map(|row| (key.fill(other, row, &none), row)).collect();
        let found: Vec<Option<&&Row>> =
            self.rows.iter().map(|row| by_key.get(&wanted.fill(self, row, &none))).collect();
        for (row, found) in self.rows.iter_mut().zip(found) {
            match found {
                Some(other) => row.cells.extend(other.cells.iter().cloned()),
                None => row.cells.extend(other.columns.iter().map(|_| String::new())),
            }
        }
        self.columns.extend(other.columns.iter().map(|column| format!("{name}.{column}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_at_commas_and_uneven_ones_are_kept_aside() {
        let csv = "\u{feff}item,quantity\n\" gloves, blue \",3\nmasks\nsoap,2\n";
        let table = Table::read(csv.as_bytes()).unwrap();
        assert_eq!(table.row_count(), 3);
        let items: Vec<&str> = table.rows().iter().map(|row| table.cell(row, "item")).collect();
        assert_eq!(items, ["gloves, blue", "soap"]);
        assert_eq!(table.refused()[0].line, 3);
        assert_eq!(table.refused()[0].code, "import/cells");
    }

    #[test]
    fn a_joined_list_adds_its_columns() {
        let mut table = Table::read(b"row,item\n1,a\n2,b\n").unwrap();
        let other = Table::read(b"table,row,spec\nreceived,2,10 each\nissued,1,x\n").unwrap();
        let template = |text: &str| text.parse::<Template>().unwrap();
        let (wanted, key) = (template("received {row}"), template("{table} {row}"));
        table.join("details", &other, &wanted, &key);
        let specs: Vec<&str> =
            table.rows().iter().map(|row| table.cell(row, "details.spec")).collect();
        assert_eq!(specs, ["", "10 each"]);
    }
}
