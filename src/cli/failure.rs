//! Why a command did not do what it was asked to: a stable code, and what people are told.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::keyfile::KeyFileError;
use crate::ledger::LedgerError;
use crate::model::encoding::Malformed;
use crate::model::state::ShelfError;
use crate::model::violation::{Code, Detail, Violation};
use crate::writer::{Refused, WriterError};

use super::locales::{Language, fill};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ran, and found something that the rules refuse.
    Refused,
    /// It could not run.
    CannotRun,
    /// It ran, and the answer is not the one that `--expect` names.
    NotAsExpected,
    /// Nobody reads its output any more; that is no failure.
    NobodyReads,
}

impl Exit {
    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Exit::NobodyReads => 0,
            Exit::Refused => 1,
            Exit::CannotRun => 2,
            Exit::NotAsExpected => 3,
        }
    }
}

/// A failure: told in the language of whoever asked, with its code for programs.
#[derive(Debug)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// The stable code.
    pub code: String,
    places: Vec<(&'static str, Place)>,
    /// What is told where no text has the code.
    otherwise: String,
}

/// What fills a place of the text.
#[derive(Debug)]
enum Place {
    Text(String),
    /// A word of the spec, which has a translation.
    Word(String),
    /// Another failure, which is the reason of this one.
    Failure(Box<Failure>),
}

impl Failure {
    /// The command could not run.
    pub fn new(code: impl Into<String>) -> Self {
        let code = code.into();
        let otherwise = code.clone();
        Self { exit: Exit::CannotRun, code, places: Vec::new(), otherwise }
    }

    /// The command ran and found what the rules refuse. What a newer program made is not judged.
    pub fn refused(code: impl Into<String>) -> Self {
        let failure = Self::new(code);
        if failure.code.ends_with("/newer-version") {
            return failure;
        }
        failure.exit(Exit::Refused)
    }

    /// The answer is not the expected one.
    pub fn not_as_expected(code: impl Into<String>) -> Self {
        Self { exit: Exit::NotAsExpected, ..Self::new(code) }
    }

    /// Fills a place of the text.
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.places.push((name, Place::Text(value.to_string())));
        self
    }

    /// Names the failure that is the reason of this one: it is told at `{why}`.
    pub fn because(mut self, reason: impl Into<Failure>) -> Self {
        self.places.push(("why", Place::Failure(Box::new(reason.into()))));
        self
    }

    /// Ends the command in this way.
    fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// What is told where no text has the code: the error's own words.
    pub fn or_say(mut self, error: impl Display) -> Self {
        self.otherwise = error.to_string();
        self
    }

    /// What happened, in one sentence.
    pub fn message(&self, language: Language) -> String {
        self.told(language, "code").unwrap_or_else(|| self.otherwise.clone())
    }

    /// What to do about it, if anything helps.
    pub fn hint(&self, language: Language) -> Option<String> {
        self.told(language, "hint")
    }

    /// The code's own text, else that of its family (`bundle/*`), where `{why}` is the error's own
    /// words.
    fn told(&self, language: Language, section: &str) -> Option<String> {
        let family = || format!("{section}.{}/*", self.code.split('/').next().unwrap_or_default());
        let own = language.find(&format!("{section}.{}", self.code));
        let text = own.or_else(|| language.find(&family()))?;
        let value = |place: &Place| match place {
            Place::Text(text) => text.clone(),
            Place::Word(word) => language.word(word),
            Place::Failure(failure) => failure.message(language),
        };
        let why = ("why", self.otherwise.clone());
        let places: Vec<_> =
            self.places.iter().map(|(name, place)| (*name, value(place))).chain([why]).collect();
        let places: Vec<_> = places.iter().map(|(name, value)| (*name, value as _)).collect();
        Some(fill(text, &places))
    }
}

impl From<&Violation> for Failure {
    fn from(violation: &Violation) -> Self {
        let place = |detail: &Detail| match detail {
            Detail::Word(word) => Place::Word(word.clone()),
            other => Place::Text(other.to_string()),
        };
        Self {
            places: vec![
                ("expected", place(&violation.expected)),
                ("found", place(&violation.found)),
            ],
            ..Self::refused(violation.code.as_str()).or_say(violation)
        }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::from(&violation)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::refused(code.as_str())
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::refused(malformed.code)
    }
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        Self::new(error.code()).or_say(error)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::new(error.code()).or_say(error)
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Rules { index, violation } => {
                Self::from(violation).with("index", index).exit(Exit::CannotRun)
            }
            _ => Self::new(error.code()).or_say(error),
        }
    }
}

impl From<WriterError> for Failure {
    fn from(error: WriterError) -> Self {
        match error {
            WriterError::Genesis(refused) => refused.into(),
            WriterError::Ledger(error) => error.into(),
            stopped => Self::new(stopped.code().to_owned()).or_say(stopped),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match &refused {
            Refused::Violation(violation) => violation.into(),
            Refused::Malformed(malformed) => (*malformed).into(),
            Refused::Signature { key, .. } => {
                Self::refused(refused.code()).with("found", key).or_say(&refused)
            }
            Refused::Gate(_) => Self::refused(refused.code()).or_say(&refused),
            _ => Self::new(refused.code().to_owned()).or_say(refused),
        }
    }
}

/// A file that could not be read or written.
pub fn file_failed(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => "file/not-found",
        io::ErrorKind::AlreadyExists => "file/exists",
        _ => "file/io",
    };
    Failure::new(code).with("path", path.display()).with("error", error)
}

/// A new file could not be written.
pub fn write_failed(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new("file/no-folder").with("path", path.display()),
        _ => file_failed(path, error),
    }
}

/// Reads a file of at most `max` bytes: what is named by mistake must not fill the memory.
///
/// # Errors
/// `file/too-large`, or when it cannot be read.
pub fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| file_failed(path, &error))?;
    if bytes.len() as u64 > max {
        return Err(Failure::new("file/too-large").with("path", path.display()));
    }
    Ok(bytes)
}

/// Standard output could not be written.
pub fn output_failed(error: &io::Error) -> Failure {
    let failure = Failure::new("file/output").with("error", error);
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure { exit: Exit::NobodyReads, ..failure },
        _ => failure,
    }
}
