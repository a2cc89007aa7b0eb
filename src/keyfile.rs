//! Secret keys in files: PKCS#8 in PEM (RFC 8410, RFC 5958, RFC 7468), as `openssl pkey` reads and
//! `openssl genpkey -algorithm ed25519` writes them.
//!
//! By default a key is encrypted under a passphrase: PBES2 (RFC 8018) with scrypt and AES-256-CBC.
//! A file appears whole or not at all, is readable by its owner alone, and is never written over
//! another. Whoever hands us a file cannot make us spend more than a few seconds or 256 MiB on it.
//!
//! AES-CBC has no seal of its own. A wrong passphrase shows as garbage, damage may show as a wrong
//! passphrase, and damage to the seed alone shows as another key: whoever loads a key should
//! compare its public key with the one that it expects.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::PemLabel;
use pkcs8::der::{Decode, ErrorKind, Tag};
use pkcs8::pkcs5::pbes2::{self, Kdf, Pbkdf2Params, Salt, ScryptParams};
use pkcs8::pkcs5::{self, EncryptionScheme};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{
    EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument,
};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::key::{SEED_LEN, SecretKey};

/// The longest file that is read, in bytes.
pub const FILE_LEN_MAX: usize = 16 * 1024;

/// Most rounds of PBKDF2 that are computed: what RFC 8018 section 4.2 names for critical keys.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Most memory that scrypt may take, in bytes.
const SCRYPT_MEMORY_MAX: u64 = 256 << 20;
/// Most bytes that scrypt may fill in all lanes together; it reads and writes each once.
const SCRYPT_WORK_MAX: u64 = 1 << 30;

/// scrypt with N = 2^14, r = 8, p = 5: one of the OWASP settings of equal strength, the one whose
/// 16 MiB stay below the 32 MiB that OpenSSL 3 allows scrypt unless it is told otherwise.
const SCRYPT_N: u64 = 1 << 14;
const SCRYPT_R: u16 = 8;
const SCRYPT_P: u16 = 5;

/// id-Ed25519, RFC 8410 section 3.
const ED25519: AlgorithmIdentifierRef<'static> =
    AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };

/// What precedes the seed in the `privateKey` field, an OCTET STRING inside the OCTET STRING (RFC
/// 8410 section 7): its tag and its length, 32.
const SEED_HEADER: [u8; 2] = [0x04, 0x20];

/// Why a key file could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Something has that name already; nothing was written.
    #[error("a file of that name exists and is not overwritten")]
    Exists,
    /// There is no such file, or no such folder to write it to.
    #[error("no such file or folder")]
    NotFound,
    /// The file is larger than [`FILE_LEN_MAX`].
    #[error("too large for a key file (more than {FILE_LEN_MAX} bytes)")]
    TooLarge,
    /// Not one PEM block with a PKCS#8 Ed25519 key; or its public half contradicts its secret half.
    #[error("not a PKCS#8 Ed25519 key in PEM")]
    Malformed,
    /// The key is of another kind, or is encrypted by a method that is not known here.
    #[error("a kind of key or a method of encryption that is not supported")]
    Unsupported,
    /// Deriving the key from the passphrase would take too much time or memory.
    #[error("deriving the key from the passphrase would cost too much time or memory")]
    Costly,
    /// The key is encrypted and no passphrase was given.
    #[error("the key is encrypted: its passphrase is needed")]
    Encrypted,
    /// The passphrase does not open the key (or the file is damaged).
    #[error("wrong passphrase, or the file is damaged")]
    WrongPassphrase,
    /// A key was to be encrypted under no characters at all.
    #[error("an empty passphrase protects nothing")]
    EmptyPassphrase,
    /// The operating system refused. When writing, the file may exist all the same if the system
    /// failed while making its name durable; then it is whole.
    #[error("the operating system refused")]
    Io(#[source] io::Error),
}

impl KeyFileError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exists => "keyfile/exists",
            Self::NotFound => "keyfile/not-found",
            Self::TooLarge => "keyfile/too-large",
            Self::Malformed => "keyfile/malformed",
            Self::Unsupported => "keyfile/unsupported",
            Self::Costly => "keyfile/costly",
            Self::Encrypted => "keyfile/encrypted",
            Self::WrongPassphrase => "keyfile/wrong-passphrase",
            Self::EmptyPassphrase => "keyfile/empty-passphrase",
            Self::Io(_) => "keyfile/io",
        }
    }
}

impl From<io::Error> for KeyFileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::NotFound => Self::NotFound,
            _ => Self::Io(error),
        }
    }
}

/// A passphrase, zeroed when it is dropped; its UTF-8 bytes are used as they are.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// How a written key is protected beyond the permissions of its file.
#[derive(Clone, Copy, Debug)]
pub enum Protection<'a> {
    /// Encrypted under this passphrase.
    Passphrase(&'a Passphrase),
    /// Not encrypted: whoever reads the file has the key.
    Unencrypted,
}

/// What is amiss with a key file although its key could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFileWarning {
    /// The file's permission bits let its group or everybody read or write it.
    #[error("the key file is open to other users (mode {mode:04o})")]
    Permissions {
        /// The permission bits.
        mode: u32,
    },
}

impl KeyFileWarning {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Permissions { .. } => "keyfile/permissions",
        }
    }
}

/// A key that was read, and what to tell its owner.
#[derive(Debug)]
pub struct LoadedKey {
    /// The key.
    pub secret: SecretKey,
    /// Something to put right, if there is.
    pub warning: Option<KeyFileWarning>,
}

/// Reads a secret key. A passphrase that an unencrypted file does not need is ignored.
///
/// # Errors
///
/// `NotFound`, `Io`; then those of [`decode`].
pub fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<LoadedKey, KeyFileError> {
    let file = File::open(path)?;
    let warning = open_to_others(&file.metadata()?);
    // As long as any file can get, so that no copy of the key is left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LEN_MAX + 1));
    file.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let secret = decode(&bytes, passphrase)?;
    Ok(LoadedKey { secret, warning })
}

#[cfg(unix)]
fn open_to_others(metadata: &fs::Metadata) -> Option<KeyFileWarning> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(KeyFileWarning::Permissions { mode })
}

#[cfg(not(unix))]
fn open_to_others(_: &fs::Metadata) -> Option<KeyFileWarning> {
    None
}

/// Writes a secret key to a new file, readable and writable by its owner alone (on Unix).
///
/// `rng` gives salt and initialisation vector.
///
/// # Errors
///
/// `EmptyPassphrase`, `Exists`, `NotFound` (the folder), `Io`.
pub fn write_new<R: CryptoRng + ?Sized>(
    path: &Path,
    secret: &SecretKey,
    protection: Protection<'_>,
    rng: &mut R,
) -> Result<(), KeyFileError> {
    // Asked first so that nobody waits for scrypt in vain; what decides is the rename below.
    if path.symlink_metadata().is_ok() {
        return Err(KeyFileError::Exists);
    }
    let pem = encode(secret, protection, rng)?;
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // A crash up to the rename leaves a file `.giftproof-key-XXXXXX` of mode 0600 or nothing; an
    // error removes it. The name appears only after the bytes are durable.
    let mut file = tempfile::Builder::new().prefix(".giftproof-key-").tempfile_in(folder)?;
    file.write_all(pem.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|refused| refused.error)?;
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), KeyFileError> {
    Ok(File::open(folder)?.sync_all()?)
}

/// Elsewhere a folder cannot be opened as a file; the file system keeps names in its own journal.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

/// Writes a secret key as PEM text: version 1, without the public half, as OpenSSL 3.0 expects.
///
/// # Errors
///
/// `EmptyPassphrase`.
pub fn encode<R: CryptoRng + ?Sized>(
    secret: &SecretKey,
    protection: Protection<'_>,
    rng: &mut R,
) -> Result<Zeroizing<String>, KeyFileError> {
    const FITS: &str = "a key of fixed size with fixed parameters can be encoded";
    let mut field = Zeroizing::new([0; SEED_HEADER.len() + SEED_LEN]);
    field[..SEED_HEADER.len()].copy_from_slice(&SEED_HEADER);
    field[SEED_HEADER.len()..].copy_from_slice(secret.seed());
    let info = PrivateKeyInfoRef::new(ED25519, OctetStringRef::new(&*field).expect(FITS));
    let (label, document) = match protection {
        Protection::Unencrypted => {
            (PrivateKeyInfoRef::PEM_LABEL, SecretDocument::encode_msg(&info).expect(FITS))
        }
        Protection::Passphrase(passphrase) => {
            if passphrase.0.is_empty() {
                return Err(KeyFileError::EmptyPassphrase);
            }
            let document = info.encrypt_with_params(parameters(rng), passphrase.0.as_bytes());
            (EncryptedPrivateKeyInfoRef::PEM_LABEL, document.expect(FITS))
        }
    };
    Ok(document.to_pem(label, LineEnding::LF).expect(FITS))
}

/// The parameters of our own files, with fresh salt and initialisation vector.
fn parameters<R: CryptoRng + ?Sized>(rng: &mut R) -> pbes2::Parameters {
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut iv);
    pbes2::Parameters {
        kdf: Kdf::Scrypt(ScryptParams {
            salt: Salt::new(salt).expect("16 bytes are below the 32 that a salt may have"),
            cost_parameter: SCRYPT_N,
            block_size: SCRYPT_R,
            parallelization: SCRYPT_P,
            key_length: None,
        }),
        encryption: pbes2::EncryptionScheme::Aes256Cbc { iv },
    }
}

/// Reads a secret key from PEM text.
///
/// # Errors
///
/// `TooLarge`; `Malformed` or `Unsupported` for the frame; for an encrypted key `Costly`, then
/// `Encrypted` if no passphrase is given, `WrongPassphrase`; `Unsupported` or `Malformed` for the
/// key itself.
pub fn decode(pem: &[u8], passphrase: Option<&Passphrase>) -> Result<SecretKey, KeyFileError> {
    if pem.len() > FILE_LEN_MAX {
        return Err(KeyFileError::TooLarge);
    }
    let text = std::str::from_utf8(pem).map_err(|_| KeyFileError::Malformed)?;
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| KeyFileError::Malformed)?;
    match label {
        PrivateKeyInfoRef::PEM_LABEL => {
            let info = PrivateKeyInfoRef::from_der(document.as_bytes());
            secret_of(&info.map_err(|_| KeyFileError::Malformed)?)
        }
        EncryptedPrivateKeyInfoRef::PEM_LABEL => {
            let opened = decrypt(document.as_bytes(), passphrase)?;
            // Garbage that happens to end in valid padding (1 in 256) is caught here.
            let info = PrivateKeyInfoRef::from_der(opened.as_bytes());
            secret_of(&info.map_err(|_| KeyFileError::WrongPassphrase)?)
        }
        _ => Err(KeyFileError::Unsupported),
    }
}

fn decrypt(
    document: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<SecretDocument, KeyFileError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(document).map_err(|fault| {
        match fault.kind() {
            // An unknown method within PBES2, or one instead of it.
            ErrorKind::OidUnknown { .. } | ErrorKind::Value { tag: Tag::ObjectIdentifier } => {
                KeyFileError::Unsupported
            }
            _ => KeyFileError::Malformed,
        }
    })?;
    match &info.encryption_algorithm {
        EncryptionScheme::Pbes2(parameters) => check_cost(&parameters.kdf)?,
        _ => return Err(KeyFileError::Unsupported),
    }
    let passphrase = passphrase.ok_or(KeyFileError::Encrypted)?;
    info.decrypt(passphrase.0.as_bytes()).map_err(|fault| match fault {
        pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. }) => {
            KeyFileError::Unsupported
        }
        pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::AlgorithmParametersInvalid { .. }) => {
            KeyFileError::Malformed
        }
        _ => KeyFileError::WrongPassphrase,
    })
}

/// Refuses what a hostile file could demand, before anything is computed or allocated.
fn check_cost(kdf: &Kdf) -> Result<(), KeyFileError> {
    match kdf {
        Kdf::Pbkdf2(Pbkdf2Params { iteration_count: 0, .. }) => Err(KeyFileError::Malformed),
        Kdf::Pbkdf2(Pbkdf2Params { iteration_count, .. }) => {
            if *iteration_count > PBKDF2_ROUNDS_MAX {
                return Err(KeyFileError::Costly);
            }
            Ok(())
        }
        Kdf::Scrypt(ScryptParams { cost_parameter, block_size, parallelization, .. }) => {
            let (n, r, p) = (*cost_parameter, u64::from(*block_size), u64::from(*parallelization));
            // N is a power of two greater than 1, r and p are positive [RFC 7914, 6]; the crate
            // beneath counts on N > 0.
            if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
                return Err(KeyFileError::Malformed);
            }
            // memory = 128 r (N + p), work = 128 r N p [RFC 7914, 5 and 6]
            let block_len = 128 * r;
            let memory = n.checked_add(p).and_then(|blocks| blocks.checked_mul(block_len));
            let work = n.checked_mul(p).and_then(|blocks| blocks.checked_mul(block_len));
            match (memory, work) {
                (Some(memory), Some(work))
                    if memory <= SCRYPT_MEMORY_MAX && work <= SCRYPT_WORK_MAX =>
                {
                    Ok(())
                }
                _ => Err(KeyFileError::Costly),
            }
        }
        _ => Err(KeyFileError::Unsupported),
    }
}

/// The Ed25519 key inside PKCS#8, of version 1 or 2 (RFC 8410 section 7).
fn secret_of(info: &PrivateKeyInfoRef<'_>) -> Result<SecretKey, KeyFileError> {
    if info.algorithm.oid != ED25519.oid {
        return Err(KeyFileError::Unsupported);
    }
    if info.algorithm.parameters.is_some() {
        return Err(KeyFileError::Malformed);
    }
    let seed = info
        .private_key
        .as_bytes()
        .strip_prefix(&SEED_HEADER)
        .and_then(|seed| <&[u8; SEED_LEN]>::try_from(seed).ok())
        .ok_or(KeyFileError::Malformed)?;
    let secret = SecretKey::from_seed(seed);
    match &info.public_key {
        Some(public) if public.as_bytes() != Some(secret.public().as_bytes()) => {
            Err(KeyFileError::Malformed)
        }
        _ => Ok(secret),
    }
}
