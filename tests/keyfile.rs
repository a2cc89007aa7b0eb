//! Files with secret keys: what is read, what is refused, and what a file system is left with.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use giftproof::keyfile::{
    self, FILE_LEN_MAX, KeyFileError, KeyFileWarning, Passphrase, Protection,
};
use giftproof::model::key::SecretKey;
use pkcs8::der::Encode;
use pkcs8::der::asn1::OctetString;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Params, ScryptParams};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A random source that repeats itself, named by its seed.
fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A key that OpenSSL 3.0 made for these tests, its public half as OpenSSL prints it, and the
/// same key in the other forms that OpenSSL gives it. The passphrase is `test-only`.
const PUBLIC: &str = "71e79f25cb4a645a21ec72d2b848e823ccaff03bddc8b7bdda2f8e06dc8392cc";
const PLAIN: &str = "MC4CAQAwBQYDK2VwBCIEIDxY1ZfzdmFvZ/tJWqki1QR3Drek7JjW5vRhTwpIuN31";
const AES256: &str = "\
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgr9hUPKGWQ1gICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHVl0BsZh5oObGxVkvlqiRkEQHCi
EhnqHCKqdnCA45H8KVmECobNhF/Lm0u9J+0YzmHseuAnmEludZ3SeaMFYYzWY0nN
z+DVaTIAECezQdc8U+c=";
const SCRYPT: &str = "\
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAi/ZsHuxakCswICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBA0aVA9ZZTctNHtuO2P9D99BED1wLFbw9/cB3NE
O07uSw4GQOtZ528sgOzcJj3AwV0bejBZqMG6Q6Ih+MoPSJjheV+pNQ6BmnNEKIsz
IxoZ19pR";
/// The same key, encrypted by methods that are not read: 3DES, SHA-1, PBES1.
const OLD: [&str; 3] = [
    "MIGKME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAhMpXpebdeupgICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIjjPR5g/wJtkEOI9uE9Izdt2tvkqw
/XyiQtWlF9u/zFu8h8aNh7aU5j0iOHdWWCCyRvijOuzy0HsKhghoP3Rff6tP",
    "MIGNMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAi03K650iOCVQICCAAw
HQYJYIZIAWUDBAEqBBB85jN1oBDN6zbhLEVkxqfsBEC2iXM9OpD76HkZpq+lbz9C
7EgEAUdGvQCbjSrj7NOhZGulGuZ2zhXOqXJS2eHrlQxomdOnyA8ZxruZ+dbyYeFO",
    "MFgwHAYKKoZIhvcNAQwBAzAOBAiSh9RizSd80QICCAAEOCyVECe0DJGZvAUvhMYD
X7ociWxcc1mRCkHJLysV/KnWrfddMpX7ZRTl057DOGlLFA0CWwLtOoYd",
];
/// An X25519 key made by OpenSSL.
const X25519: &str = "MC4CAQAwBQYDK2VuBCIEIOi77hw7adlUHpIGzgmjDoG61ntD+u+9/JbXjQQriXVp";

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// The bytes inside a PEM block.
fn der(body: &str) -> Vec<u8> {
    STANDARD.decode(body.replace('\n', "")).unwrap()
}

/// Bytes as the inside of a PEM block.
fn body(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

fn plain(body: &str) -> String {
    pem("PRIVATE KEY", body)
}

fn encrypted(body: &str) -> String {
    pem("ENCRYPTED PRIVATE KEY", body)
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn public(decoded: Result<SecretKey, KeyFileError>) -> Result<String, &'static str> {
    decoded.map(|secret| secret.public().to_string()).map_err(|error| error.code())
}

#[test]
fn keys_made_by_openssl_are_read() {
    let right = passphrase("test-only");
    for text in [plain(PLAIN), encrypted(AES256), encrypted(SCRYPT)] {
        assert_eq!(public(keyfile::decode(text.as_bytes(), Some(&right))).unwrap(), PUBLIC);
        let windows = text.replace('\n', "\r\n");
        assert_eq!(public(keyfile::decode(windows.as_bytes(), Some(&right))).unwrap(), PUBLIC);
    }
    assert_eq!(public(keyfile::decode(plain(PLAIN).as_bytes(), None)).unwrap(), PUBLIC);
}

#[test]
fn what_cannot_be_read_is_named() {
    let right = passphrase("test-only");
    let decode = |text: String| public(keyfile::decode(text.as_bytes(), Some(&right)));
    assert_eq!(decode(plain(X25519)), Err("keyfile/unsupported"));
    assert_eq!(decode(pem("OPENSSH PRIVATE KEY", PLAIN)), Err("keyfile/unsupported"));
    for body in OLD {
        assert_eq!(decode(encrypted(body)), Err("keyfile/unsupported"), "{body}");
    }
    for text in [String::new(), "key".into(), plain(""), plain(AES256), encrypted(PLAIN)] {
        assert_eq!(decode(text.clone()), Err("keyfile/malformed"), "{text}");
    }
    assert_eq!(public(keyfile::decode(b"\xff", None)), Err("keyfile/malformed"));
    for body in [AES256, SCRYPT] {
        let text = encrypted(body);
        assert_eq!(public(keyfile::decode(text.as_bytes(), None)), Err("keyfile/encrypted"));
        // Enough wrong ones that some decrypt to valid padding (1 in 256).
        let tries = if body == AES256 { 600 } else { 2 };
        for n in 0..tries {
            let wrong = passphrase(&format!("test-only{n}"));
            let verdict = public(keyfile::decode(text.as_bytes(), Some(&wrong)));
            assert_eq!(verdict, Err("keyfile/wrong-passphrase"), "{n}");
        }
    }
}

/// RFC 8410 section 7 allows the public key beside the secret one; then they must fit.
#[test]
fn a_public_half_must_fit_the_secret_half() {
    let key: [u8; 32] = hex::decode(PUBLIC).unwrap().try_into().unwrap();
    let v1 = der(PLAIN);
    for (flip, expected) in [(0, Ok(PUBLIC.to_owned())), (1, Err("keyfile/malformed"))] {
        // SEQUENCE, version 1 (v2), then [1] IMPLICIT BIT STRING without unused bits.
        let mut v2 = [&v1[..], &[0x81, 33, 0], &key[..]].concat();
        v2[1] += 35;
        v2[4] = 1;
        *v2.last_mut().unwrap() ^= flip;
        let text = plain(&body(&v2));
        assert_eq!(public(keyfile::decode(text.as_bytes(), None)), expected);
    }
}

#[test]
fn a_truncated_or_changed_file_is_an_error_and_never_a_panic() {
    let text = plain(PLAIN);
    for len in 0..text.len() - 1 {
        let cut = &text.as_bytes()[..len];
        assert_eq!(public(keyfile::decode(cut, None)), Err("keyfile/malformed"), "{len}");
    }
    let der = der(AES256);
    let right = passphrase("test-only");
    // Up to the encrypted part, which is the last 66 bytes: the frame and its parameters.
    for bit in 0..(der.len() - 66) * 8 {
        let mut changed = der.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let text = encrypted(&body(&changed));
        let verdict = public(keyfile::decode(text.as_bytes(), Some(&right)));
        assert!(verdict.is_err(), "bit {bit}: {verdict:?}");
    }
}

/// A file whose passphrase would be stretched as `kdf` says.
fn stretched(kdf: Kdf) -> String {
    let info = pkcs8::EncryptedPrivateKeyInfoOwned {
        encryption_algorithm: Parameters {
            kdf,
            encryption: EncryptionScheme::Aes256Cbc { iv: [0; 16] },
        }
        .into(),
        encrypted_data: OctetString::new(vec![0; 64]).unwrap(),
    };
    let document = pkcs8::SecretDocument::try_from(info.to_der().unwrap()).unwrap();
    document.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).unwrap().to_string()
}

#[test]
fn hostile_costs_are_refused_before_they_are_paid() {
    let salt = [1; 16].as_slice().try_into().unwrap();
    let scrypt = |n: u64, r: u16, p: u16| {
        Kdf::Scrypt(ScryptParams {
            salt,
            cost_parameter: n,
            block_size: r,
            parallelization: p,
            key_length: None,
        })
    };
    let pbkdf2 = |rounds: u32| {
        Kdf::Pbkdf2(Pbkdf2Params {
            iteration_count: rounds,
            ..Pbkdf2Params::hmac_sha256(1, &[1; 16]).unwrap()
        })
    };
    let cases = [
        (pbkdf2(0), "keyfile/malformed"),
        (pbkdf2(1), "keyfile/wrong-passphrase"),
        (pbkdf2(10_000_001), "keyfile/costly"),
        (pbkdf2(1 << 31), "keyfile/costly"),
        (pbkdf2(u32::MAX), "keyfile/costly"),
        (scrypt(0, 8, 1), "keyfile/malformed"),
        (scrypt(1, 8, 1), "keyfile/malformed"),
        (scrypt(3, 8, 1), "keyfile/malformed"),
        (scrypt(16, 0, 1), "keyfile/malformed"),
        (scrypt(16, 8, 0), "keyfile/malformed"),
        (scrypt(2, 1, 1), "keyfile/wrong-passphrase"),
        // 256 MiB and a little: 128 * 8 * (2^18 + 1).
        (scrypt(1 << 18, 8, 1), "keyfile/costly"),
        // Little memory in each lane, too many lanes.
        (scrypt(1 << 14, 8, 65), "keyfile/costly"),
        (scrypt(2, 64, u16::MAX), "keyfile/costly"),
        (scrypt(1 << 63, u16::MAX, u16::MAX), "keyfile/costly"),
    ];
    for (kdf, expected) in cases {
        let text = stretched(kdf.clone());
        let verdict = public(keyfile::decode(text.as_bytes(), Some(&passphrase("x"))));
        assert_eq!(verdict, Err(expected), "{kdf:?}");
        // Nobody is asked for a passphrase that would not be used.
        let unasked = public(keyfile::decode(text.as_bytes(), None));
        let payable = expected == "keyfile/wrong-passphrase";
        assert_eq!(unasked, Err(if payable { "keyfile/encrypted" } else { expected }));
    }
}

#[test]
fn a_written_key_is_read_again_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let secret = SecretKey::generate(&mut rng(7));
    let right = passphrase("卡车 and masks");
    let protections = [Protection::Passphrase(&right), Protection::Unencrypted];
    for (name, protection) in ["encrypted.key", "plain.key"].into_iter().zip(protections) {
        let path = folder.path().join(name);
        keyfile::write_new(&path, &secret, protection, &mut rng(8)).unwrap();
        let written = fs::read(&path).unwrap();
        let loaded = keyfile::read(&path, Some(&right)).unwrap();
        assert_eq!(loaded.secret.public(), secret.public());
        assert_eq!(loaded.warning, None);

        let other = SecretKey::generate(&mut rng(9));
        let refused = keyfile::write_new(&path, &other, protection, &mut rng(10));
        assert_eq!(refused.unwrap_err().code(), "keyfile/exists");
        assert_eq!(fs::read(&path).unwrap(), written);
    }
    let path = folder.path().join("encrypted.key");
    assert!(!fs::read_to_string(&path).unwrap().contains("BEGIN PRIVATE KEY"));
    assert_eq!(keyfile::read(&path, None).unwrap_err().code(), "keyfile/encrypted");
    let wrong = keyfile::read(&path, Some(&passphrase("masks")));
    assert_eq!(wrong.unwrap_err().code(), "keyfile/wrong-passphrase");

    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary file stays: {names:?}");
}

#[test]
fn writing_fails_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let secret = SecretKey::from_seed(&[1; 32]);
    let write = |path: &Path, protection: Protection<'_>| {
        keyfile::write_new(path, &secret, protection, &mut rng(1)).map_err(|error| error.code())
    };
    let lost = folder.path().join("missing/a.key");
    assert_eq!(write(&lost, Protection::Unencrypted), Err("keyfile/not-found"));
    let empty = passphrase("");
    let path = folder.path().join("a.key");
    assert_eq!(write(&path, Protection::Passphrase(&empty)), Err("keyfile/empty-passphrase"));
    assert_eq!(keyfile::read(&path, None).unwrap_err().code(), "keyfile/not-found");
    fs::create_dir(&path).unwrap();
    assert_eq!(write(&path, Protection::Unencrypted), Err("keyfile/exists"));
    assert_eq!(keyfile::read(&path, None).unwrap_err().code(), "keyfile/io");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Many writers of one name: one wins, and its file is whole.
#[test]
fn of_many_writers_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.key");
    let start = std::sync::Barrier::new(8);
    let write = |n: u8| {
        let secret = SecretKey::from_seed(&[n; 32]);
        start.wait();
        keyfile::write_new(&path, &secret, Protection::Unencrypted, &mut rng(1))
            .map(|()| secret.public())
            .map_err(|error| error.code())
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let write = &write;
                    move || write(n)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(won, [Ok(keyfile::read(&path, None).unwrap().secret.public())]);
    assert_eq!(lost, [Err("keyfile/exists"); 7]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_above_the_cap_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.key");
    let text = plain(PLAIN);
    // Blanks before the block are no part of it, so length alone decides.
    let padded = |len: usize| format!("{}{text}", "\n".repeat(len - text.len()));
    fs::write(&path, padded(FILE_LEN_MAX)).unwrap();
    assert_eq!(public(keyfile::read(&path, None).map(|loaded| loaded.secret)).unwrap(), PUBLIC);
    fs::write(&path, padded(FILE_LEN_MAX + 1)).unwrap();
    assert_eq!(keyfile::read(&path, None).unwrap_err().code(), "keyfile/too-large");
}

#[cfg(unix)]
#[test]
fn permissions_are_narrow_and_wide_ones_are_reported() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.key");
    let secret = SecretKey::from_seed(&[1; 32]);
    keyfile::write_new(&path, &secret, Protection::Unencrypted, &mut rng(1)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let expected = warned.then_some(KeyFileWarning::Permissions { mode });
        assert_eq!(keyfile::read(&path, None).unwrap().warning, expected);
    }
    // A name that leads nowhere is taken as well.
    let link = folder.path().join("link.key");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    let refused = keyfile::write_new(&link, &secret, Protection::Unencrypted, &mut rng(1));
    assert_eq!(refused.unwrap_err().code(), "keyfile/exists");
}

/// Both directions against the real program. Debian: `apt-get install openssl`; then
/// `cargo test -- --ignored openssl`.
mod openssl {
    use super::*;
    use std::process::Command;

    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {errors}");
        output.stdout
    }

    /// The public key that openssl finds in a key file: the end of its SPKI form.
    fn public_by_openssl(path: &str) -> String {
        let pass = ["-passin", "pass:test-only"];
        let base = ["pkey", "-in", path, "-pubout", "-outform", "DER"];
        let spki = openssl(&[&base[..], &pass].concat());
        assert_eq!(spki.len(), 44);
        hex::encode(&spki[12..])
    }

    #[test]
    #[ignore = "needs the openssl program, version 3"]
    fn openssl_reads_what_we_write() {
        let folder = tempfile::tempdir().unwrap();
        let right = passphrase("test-only");
        let protections = [Protection::Passphrase(&right), Protection::Unencrypted];
        for (n, protection) in protections.into_iter().enumerate() {
            let path = folder.path().join(format!("{n}.key"));
            let secret = SecretKey::generate(&mut rng(n as u64));
            keyfile::write_new(&path, &secret, protection, &mut rng(5)).unwrap();
            let found = public_by_openssl(path.to_str().unwrap());
            assert_eq!(found, secret.public().to_string());
        }
    }

    #[test]
    #[ignore = "needs the openssl program, version 3"]
    fn we_read_what_openssl_writes() {
        let folder = tempfile::tempdir().unwrap();
        let right = passphrase("test-only");
        for (n, cipher) in [&[][..], &["-aes256"], &["-aes128"]].into_iter().enumerate() {
            let path = folder.path().join(format!("{n}.pem"));
            let path = path.to_str().unwrap();
            let mut arguments = vec!["genpkey", "-algorithm", "ed25519", "-out", path];
            if !cipher.is_empty() {
                arguments.extend(cipher);
                arguments.extend(["-pass", "pass:test-only"]);
            }
            openssl(&arguments);
            let loaded = keyfile::read(Path::new(path), Some(&right)).unwrap();
            assert_eq!(loaded.secret.public().to_string(), public_by_openssl(path));
        }
    }

    #[test]
    #[ignore = "needs the openssl program, version 3"]
    fn openssl_verifies_what_we_sign() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (key, message, signed) = (in_folder("a.key"), in_folder("m"), in_folder("s"));
        let secret = SecretKey::generate(&mut rng(3));
        let none = Protection::Unencrypted;
        keyfile::write_new(Path::new(&key), &secret, none, &mut rng(5)).unwrap();
        fs::write(&message, b"one carton of masks").unwrap();
        fs::write(&signed, secret.sign(b"one carton of masks").as_bytes()).unwrap();
        let check = ["pkeyutl", "-verify", "-inkey", &key, "-rawin", "-in", &message];
        openssl(&[&check[..], &["-sigfile", &signed]].concat());
    }
}
