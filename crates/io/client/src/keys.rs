//! Key files: Ed25519 in PKCS#8 PEM (RFC 5958, RFC 8410), encrypted by default, readable by their owner only. OpenSSL reads them too.
//!
//! Beside `NAME.pem` lies `NAME.pub`, the public key in PEM, so that keys can be listed without a passphrase.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes,
};
use ed25519_dalek::{SigningKey, VerifyingKey};
use ledger_format::digest::KeyId;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use tempfile::Builder;
use zeroize::Zeroizing;

use crate::error::ClientError;

const ENCRYPTED_LABEL: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Memory that scrypt may take to open a key: sixty-four times what is usual.
const MAX_SCRYPT_BYTES: u64 = 1 << 30;
/// Iterations of PBKDF2, which OpenSSL uses unless it is told otherwise.
const MAX_ITERATIONS: u32 = 10_000_000;

/// A key as its public file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Name, the file's without its ending.
    pub name: String,
    /// File of the private key.
    pub path: PathBuf,
    /// Key id.
    pub kid: KeyId,
    /// 32 bytes.
    pub public_key: [u8; 32],
    /// Whether the private key needs a passphrase.
    pub encrypted: bool,
}

/// A fresh key from the operating system's randomness.
///
/// # Errors
/// `CLIENT_RANDOM`.
pub fn generate() -> Result<SigningKey, ClientError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(ClientError::random)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// 16 fresh bytes for `cti`.
///
/// # Errors
/// `CLIENT_RANDOM`.
pub fn nonce() -> Result<[u8; 16], ClientError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(ClientError::random)?;
    Ok(nonce)
}

/// 32 fresh bytes for a commitment.
///
/// # Errors
/// `CLIENT_RANDOM`.
pub fn salt() -> Result<[u8; 32], ClientError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(ClientError::random)?;
    Ok(salt)
}

/// The id of a key.
pub fn kid(key: &SigningKey) -> KeyId {
    KeyId::of(key.verifying_key().as_bytes())
}

/// Writes new keys, all or none: what is there of them when one fails is taken away again.
///
/// # Errors
/// As [`write()`].
pub fn write_all<'a>(
    keys: impl IntoIterator<Item = (PathBuf, &'a SigningKey)>,
    passphrase: Option<&str>,
) -> Result<(), ClientError> {
    let mut written: Vec<PathBuf> = Vec::new();
    for (path, key) in keys {
        if let Err(error) = write(&path, key, passphrase) {
            for path in &written {
                remove(path);
            }
            return Err(error);
        }
        written.push(path);
    }
    Ok(())
}

/// Takes a key away that was made just now and is of no use without others.
pub fn remove(path: &Path) {
    let _gone = fs::remove_file(path);
    let _gone = fs::remove_file(public_path(path));
}

/// Writes a new key, encrypted when a passphrase is given (PBES2: scrypt and AES-256). Never overwrites, and leaves nothing behind when
/// it fails.
///
/// # Errors
/// `CLIENT_KEY_EXISTS`, `CLIENT_FILE` or `CLIENT_KEY`.
pub fn write(path: &Path, key: &SigningKey, passphrase: Option<&str>) -> Result<(), ClientError> {
    // Without the public key, which OpenSSL 3.0 does not expect in the file of a private one.
    let private = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let pem = match passphrase {
        Some(passphrase) => private.to_pkcs8_encrypted_pem(passphrase, LineEnding::LF),
        None => private.to_pkcs8_pem(LineEnding::LF),
    };
    let pem = pem.map_err(ClientError::key)?;
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF);
    let public = public.map_err(ClientError::key)?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(ClientError::io(directory.display()))?;
    }
    create(path, 0o600, pem.as_bytes())?;
    create(&public_path(path), 0o644, public.as_bytes()).inspect_err(|_| {
        let _gone = fs::remove_file(path);
    })
}

/// Writes a file that takes its name when it is whole and on disk. On a full disk nothing of it is left to be in the way later.
fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), ClientError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let written = || {
        let permissions = fs::Permissions::from_mode(mode);
        let mut file = Builder::new().permissions(permissions).tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        File::open(directory).and_then(|directory| directory.sync_all()).inspect_err(|_| {
            let _gone = fs::remove_file(path);
        })
    };
    written().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => ClientError::key_exists(path.display()),
        _ => ClientError::file(format!("{}: {error}", path.display())),
    })
}

fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

/// Reads a private key. `passphrase` is asked only if the file is encrypted.
///
/// # Errors
/// `CLIENT_KEY_READABLE` when others can read the file, `CLIENT_KEY` for a wrong passphrase or a file that is no key.
pub fn read(
    path: &Path,
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, ClientError>,
) -> Result<SigningKey, ClientError> {
    let metadata = fs::metadata(path).map_err(ClientError::io(path.display()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(ClientError::key_readable(path.display()));
    }
    let pem =
        fs::read_to_string(path).map(Zeroizing::new).map_err(ClientError::io(path.display()))?;
    let wrong = |error: &dyn Display| ClientError::key(format!("{}: {error}", path.display()));
    if pem.starts_with(ENCRYPTED_LABEL) {
        check_cost(&pem).map_err(|error| wrong(&error))?;
        let passphrase = passphrase()?;
        let key = SigningKey::from_pkcs8_encrypted_pem(&pem, passphrase.as_str());
        return key.map_err(|error| wrong(&error));
    }
    SigningKey::from_pkcs8_pem(&pem).map_err(|error| wrong(&error))
}

/// Whether what an encrypted key asks for can be afforded. Nothing else bounds it: with a few changed bytes in the file scrypt would
/// ask for all memory that there is, or for days.
fn check_cost(pem: &str) -> Result<(), String> {
    let (_, document) = SecretDocument::from_pem(pem).map_err(|error| error.to_string())?;
    let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let key = key.map_err(|error| error.to_string())?;
    let kdf = key.encryption_algorithm.pbes2().map(|parameters| &parameters.kdf);
    let affordable = match kdf {
        Some(Kdf::Scrypt(scrypt)) => {
            let (r, p) = (u64::from(scrypt.block_size), u64::from(scrypt.parallelization));
            let bytes = scrypt.cost_parameter.saturating_mul(r).saturating_mul(128);
            bytes <= MAX_SCRYPT_BYTES && bytes.saturating_mul(p) <= 16 * MAX_SCRYPT_BYTES
        }
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= MAX_ITERATIONS,
        _ => false,
    };
    if affordable { Ok(()) } else { Err("to open it costs more than any key should".into()) }
}

/// Reads a public key file.
///
/// # Errors
/// `CLIENT_FILE` or `CLIENT_KEY`.
pub fn read_public(path: &Path) -> Result<[u8; 32], ClientError> {
    let pem = fs::read_to_string(path).map_err(ClientError::io(path.display()))?;
    let key = VerifyingKey::from_public_key_pem(&pem);
    let key = key.map_err(|error| ClientError::key(format!("{}: {error}", path.display())))?;
    Ok(*key.as_bytes())
}

/// What is public of a key file.
///
/// # Errors
/// `CLIENT_FILE` or `CLIENT_KEY`.
pub fn info(path: &Path) -> Result<KeyInfo, ClientError> {
    let public_key = read_public(&public_path(path))?;
    let private =
        fs::read_to_string(path).map(Zeroizing::new).map_err(ClientError::io(path.display()))?;
    Ok(KeyInfo {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_owned(),
        kid: KeyId::of(&public_key),
        public_key,
        encrypted: private.starts_with(ENCRYPTED_LABEL),
    })
}

/// The keys of a directory, by name.
///
/// # Errors
/// `CLIENT_FILE` or `CLIENT_KEY`.
pub fn list(directory: &Path) -> Result<Vec<KeyInfo>, ClientError> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let failed = || ClientError::io(directory.display());
    let mut keys = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            keys.push(info(&path)?);
        }
    }
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Result<Zeroizing<String>, ClientError> {
        Err(ClientError::key("asked for a passphrase"))
    }

    #[test]
    fn encrypted_and_plain_keys_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let key = generate().unwrap();
        let plain = directory.path().join("plain.pem");
        write(&plain, &key, None).unwrap();
        assert_eq!(read(&plain, none).unwrap().to_bytes(), key.to_bytes());
        let secret = directory.path().join("secret.pem");
        write(&secret, &key, Some("correct horse")).unwrap();
        let pass = |text: &str| Ok(Zeroizing::new(text.to_owned()));
        assert_eq!(read(&secret, || pass("correct horse")).unwrap().to_bytes(), key.to_bytes());
        assert_eq!(read(&secret, || pass("wrong")).unwrap_err().code, "CLIENT_KEY");
        let listed = list(directory.path()).unwrap();
        assert_eq!(
            listed.iter().map(|k| (k.name.as_str(), k.encrypted)).collect::<Vec<_>>(),
            [("plain", false), ("secret", true)]
        );
        assert!(listed.iter().all(|k| k.kid == kid(&key)));
    }

    #[test]
    fn keys_are_never_overwritten_and_never_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        write(&path, &generate().unwrap(), None).unwrap();
        assert_eq!(write(&path, &generate().unwrap(), None).unwrap_err().code, "CLIENT_KEY_EXISTS");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path, none).unwrap_err().code, "CLIENT_KEY_READABLE");
    }

    #[test]
    fn a_key_that_cannot_be_written_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let key = generate().unwrap();
        // A public key that is there already, and a directory in the place of a key, stand for a disk that is full by then.
        fs::write(at("one.pub"), "").unwrap();
        assert_eq!(write(&at("one.pem"), &key, None).unwrap_err().code, "CLIENT_KEY_EXISTS");
        fs::create_dir(at("three.pem")).unwrap();
        let all = ["two", "three"].map(|name| (at(&format!("{name}.pem")), &key));
        assert!(write_all(all, None).is_err());
        let left = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["one.pub", "three.pem"]);
        write_all([(at("two.pem"), &key)], None).unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("two.pem"), mode("two.pub") & 0o600), (0o600, 0o600));
    }

    #[test]
    fn a_private_key_is_in_the_form_of_rfc_8410() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let key = SigningKey::from_bytes(&[7; 32]);
        write(&path, &key, None).unwrap();
        let pem = fs::read_to_string(&path).unwrap();
        let (label, document) = SecretDocument::from_pem(&pem).unwrap();
        let version_0 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        assert_eq!(label, "PRIVATE KEY");
        assert_eq!(document.as_bytes(), [&version_0[..], &[7; 32]].concat());
    }
}
