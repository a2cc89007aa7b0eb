//! What every command is given: language, form of the answer, ledger, operator's key.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::{Display, Write as _};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::failure::{Failure, output_failed};
use super::locales::Language;
use super::progress::{Stages, open_word};
use crate::ledger::{Ledger, LedgerError};
use crate::model::date::UnixMs;
use crate::model::key::SecretKey;
use crate::model::state::{ShelfError, State};
use crate::writer::{Clock, Operator, Writer};

/// Says why a gift or a shipment could not be had, if that has happened.
pub type Watch = Box<dyn Fn() -> Option<Failure>>;

/// What every command is given.
pub struct Context {
    /// The language of what people read.
    pub language: Language,
    /// Answers are for programs.
    pub json: bool,
    /// Nothing is told beside the answer, except errors.
    pub quiet: bool,
    /// Events are only written to files.
    pub drafting: bool,
    /// Something was written to standard output.
    pub answered: Cell<bool>,
    /// The ledger's folder, if one is named.
    pub ledger: Option<PathBuf>,
    /// The operator's key file, if one is named.
    pub operator_key: Option<PathBuf>,
    /// The operator's key, once it was read: nobody is asked for a passphrase twice.
    pub operator: OnceCell<SecretKey>,
    /// What each state that was read from says of gifts and shipments that it could not have.
    pub faults: RefCell<Vec<Watch>>,
}

impl Context {
    /// The text with this key, its places filled.
    pub fn say(&self, key: &str, places: &[(&str, &dyn Display)]) -> String {
        self.language.say(key, places)
    }

    /// The ledger's folder.
    ///
    /// # Errors
    /// `usage/no-ledger`.
    pub fn ledger_dir(&self) -> Result<&Path, Failure> {
        self.ledger.as_deref().ok_or_else(|| Failure::new("usage/no-ledger"))
    }

    /// Opens the ledger for reading.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open(&self) -> Result<Ledger, Failure> {
        self.open_at(self.ledger_dir()?)
    }

    /// Opens the ledger in a folder for reading, and shows how far it is.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_at(&self, folder: &Path) -> Result<Ledger, Failure> {
        let stages = Stages::new(self, open_word);
        let mut progress = |stage, done, all| stages.at(stage, done, all);
        let ledger = Ledger::open_telling(folder, &mut progress)?;
        self.watch(ledger.state(), |fault| LedgerError::from(fault).into());
        Ok(ledger)
    }

    /// From now on, nothing is answered when this state could not have a gift or a shipment.
    pub fn watch(&self, state: &State, failure: fn(ShelfError) -> Failure) {
        let fault = state.watch();
        self.faults.borrow_mut().push(Box::new(move || fault().map(failure)));
    }

    /// Refuses to go on where a gift or a shipment was taken for absent since it could not be had.
    ///
    /// # Errors
    /// `ledger/index`, `shelf/io`, `shelf/damaged`.
    pub fn check_faults(&self) -> Result<(), Failure> {
        self.faults.borrow().iter().find_map(|fault| fault()).map_or(Ok(()), Err)
    }

    /// Opens the ledger for writing, with the operator's key.
    ///
    /// # Errors
    /// As [`Writer::open`], and when the key cannot be read.
    pub fn open_writer(&self) -> Result<Writer, Failure> {
        let folder = self.ledger_dir()?;
        let operator = self.operator_with_mark()?;
        let stages = Stages::new(self, open_word);
        let mut progress = |stage, done, all| stages.at(stage, done, all);
        let writer = Writer::open_telling(folder, operator, Clock::System, &mut progress)?;
        writer.with_state(|state| self.watch(state, |fault| LedgerError::from(fault).into()));
        Ok(writer)
    }

    /// Closes the ledger, and shows how far that is.
    ///
    /// # Errors
    /// As [`Writer::close`].
    pub fn close(&self, writer: Writer) -> Result<(), Failure> {
        let stages = Stages::new(self, open_word);
        Ok(writer.close_telling(&mut |stage, done, all| stages.at(stage, done, all))?)
    }

    /// The operator's key, with the mark of the newest checkpoint that it signed beside it.
    ///
    /// # Errors
    /// As [`Self::operator`].
    pub fn operator_with_mark(&self) -> Result<Operator, Failure> {
        let mut mark = self.operator_path()?.into_os_string();
        mark.push(".mark");
        Ok(Operator { key: self.operator()?, mark: Some(mark.into()) })
    }

    /// The operator's key: the file that is named, or `operator.key` in the ledger's folder.
    ///
    /// # Errors
    /// `usage/no-operator-key`, or when it cannot be read.
    pub fn operator(&self) -> Result<SecretKey, Failure> {
        if self.operator.get().is_none() {
            let key = super::keyring::read(self, &self.operator_path()?)?;
            self.operator.get_or_init(|| key);
        }
        let key = self.operator.get().expect("it was read just now");
        Ok(SecretKey::from_seed(key.seed()))
    }

    /// Where the operator's key is.
    ///
    /// # Errors
    /// `usage/no-operator-key`.
    pub fn operator_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.operator_key {
            return Ok(path.clone());
        }
        let beside = self.ledger_dir()?.join("operator.key");
        if beside.exists() { Ok(beside) } else { Err(Failure::new("usage/no-operator-key")) }
    }

    /// The mark beside the operator's key of the ledger in `folder`, where such a key is known.
    pub fn operator_mark_of(&self, folder: &Path) -> Option<PathBuf> {
        let beside = folder.join("operator.key");
        let key = self.operator_key.clone().or_else(|| beside.exists().then_some(beside))?;
        let mut mark = key.into_os_string();
        mark.push(".mark");
        Some(mark.into())
    }

    /// Tells people something beside the answer.
    pub fn note(&self, key: &str, places: &[(&str, &dyn Display)]) {
        if !self.quiet {
            // Whoever does not read this loses nothing of the answer.
            let _ = writeln!(anstream::stderr(), "giftproof: {}", self.say(key, places));
        }
    }

    /// Gives the answer: a value for programs, or the text for people.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn answer(&self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        if self.json {
            let mut json = serde_json::to_string_pretty(value)
                .expect("answers have string keys and no floats");
            json.push('\n');
            return self.print(&json);
        }
        self.print(text)
    }

    /// Writes text to standard output.
    ///
    /// # Errors
    /// When it cannot be written; as [`Self::check_faults`].
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        self.check_faults()?;
        self.answered.set(true);
        let mut out = anstream::stdout();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| output_failed(&error))
    }

    /// Whether somebody sits before a terminal, who can be asked.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

/// This moment, by this machine's clock.
pub fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The system's random source.
pub fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Columns that stand in line whatever the width of their characters: Chinese takes two cells.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let gap = width - cell.width() + 2;
            let _ = write!(line, "{cell}{:gap$}", "");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_cells() {
        let rows = [["N95口罩", "1"], ["gown", "22"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "N95口罩  1\ngown     22\n");
    }
}
