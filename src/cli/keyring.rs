//! The secret keys that a command is given, and the passphrases that open them.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::context::Context;
use super::failure::{Failure, file_failed, read_file};
use crate::keyfile::{self, KeyFileError, Passphrase};
use crate::model::ident::KeyBytes;
use crate::model::key::SecretKey;

/// Names the file that holds the passphrase, for scripts.
const PASSPHRASE_FILE: &str = "GIFTPROOF_PASSPHRASE_FILE";

/// The keys that a command may sign with.
#[derive(Default)]
pub struct Keyring(Vec<SecretKey>);

impl Keyring {
    /// Reads key files; asks for passphrases where somebody can be asked.
    ///
    /// # Errors
    /// When a file cannot be read or opened.
    pub fn read(ctx: &Context, paths: &[PathBuf]) -> Result<Self, Failure> {
        paths.iter().map(|path| read(ctx, path)).collect::<Result<_, _>>().map(Self)
    }

    /// Adds a key, once.
    pub fn add(&mut self, key: SecretKey) {
        if self.secret(&key.public().into()).is_none() {
            self.0.push(key);
        }
    }

    /// The secret half of a public key, if it is here.
    pub fn secret(&self, public: &KeyBytes) -> Option<&SecretKey> {
        self.0.iter().find(|key| KeyBytes::from(key.public()) == *public)
    }

    /// The public halves.
    pub fn public(&self) -> impl Iterator<Item = KeyBytes> {
        self.0.iter().map(|key| key.public().into())
    }
}

/// Reads one key file.
///
/// # Errors
/// When it cannot be read or opened.
pub fn read(ctx: &Context, path: &Path) -> Result<SecretKey, Failure> {
    let failed = |error: KeyFileError| Failure::from(error).with("path", path.display());
    let given = passphrase_file()?;
    let loaded = match keyfile::read(path, given.as_ref()) {
        Err(KeyFileError::Encrypted) if ctx.can_ask() => {
            let asked = ask(ctx, "ask.passphrase", path)?;
            keyfile::read(path, Some(&asked))
        }
        other => other,
    };
    let loaded = loaded.map_err(failed)?;
    if loaded.warning.is_some() {
        ctx.note("note.key-open-to-others", &[("path", &path.display())]);
    }
    Ok(loaded.secret)
}

/// The passphrase for a new key: from the file that the environment names, or asked twice.
///
/// # Errors
/// `keyfile/no-passphrase` where nobody can be asked, `keyfile/passphrases-differ`.
pub fn new_passphrase(ctx: &Context, path: &Path) -> Result<Passphrase, Failure> {
    if let Some(given) = passphrase_file()? {
        return Ok(given);
    }
    if !ctx.can_ask() {
        return Err(Failure::new("keyfile/no-passphrase"));
    }
    let first = ask_text(ctx, "ask.new-passphrase", path)?;
    let second = ask_text(ctx, "ask.passphrase-again", path)?;
    if *first != *second {
        return Err(Failure::new("keyfile/passphrases-differ"));
    }
    Ok(Passphrase::new(first.to_string()))
}

/// A passphrase file is not longer than this, in bytes.
const PASSPHRASE_FILE_LEN_MAX: u64 = 4096;

/// The first line of the file that the environment names.
fn passphrase_file() -> Result<Option<Passphrase>, Failure> {
    let Some(path) = std::env::var_os(PASSPHRASE_FILE).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let bytes = read_file(&path, PASSPHRASE_FILE_LEN_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new("file/not-utf-8").with("path", path.display()))?;
    let text = Zeroizing::new(text);
    Ok(Some(Passphrase::new(text.lines().next().unwrap_or_default().to_owned())))
}

fn ask(ctx: &Context, key: &str, path: &Path) -> Result<Passphrase, Failure> {
    Ok(Passphrase::new(ask_text(ctx, key, path)?.to_string()))
}

fn ask_text(ctx: &Context, key: &str, path: &Path) -> Result<Zeroizing<String>, Failure> {
    let question = ctx.say(key, &[("path", &path.display())]);
    let answer = rpassword::prompt_password(question);
    answer.map(Zeroizing::new).map_err(|error| file_failed(Path::new("/dev/tty"), &error))
}
