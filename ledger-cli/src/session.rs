//! What every command has at hand: the node, the trust, the keys, the terminal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write, stderr, stdin};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use ed25519_dalek::SigningKey;
use indicatif::{ProgressBar, ProgressStyle};
use ledger_client::{ClientError, Level, Node, keys};
use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::limits::MAX_CHANGES_BYTES;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::values::ledger_id;

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Address of a node's gRPC services
    #[arg(
        long,
        global = true,
        env = "LEDGER_NODE",
        value_name = "URL",
        default_value = "http://127.0.0.1:7440",
        help_heading = "Ledger"
    )]
    pub(crate) node: String,

    /// Genesis hash of the ledger that you trust, from somebody you trust; nothing is called proven without it
    #[arg(long, global = true, env = "LEDGER_TRUST", value_name = "HASH", value_parser = ledger_id, help_heading = "Ledger")]
    pub(crate) trust: Option<LedgerId>,

    /// Seconds that a call to the node may take
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Ledger"
    )]
    pub(crate) timeout: u64,

    /// How far an act must have come before it is answered: `accepted`, `ordered`, `replicated`, or `replicated:K` for a block that is
    /// durable at K validators
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value_t = Level::default(),
        help_heading = "Ledger"
    )]
    pub(crate) wait: Level,

    /// Directory of your keys [default: ledger/keys in the directory for configuration]
    #[arg(long, global = true, env = "LEDGER_KEYS", value_name = "DIR", help_heading = "Keys")]
    pub(crate) keys: Option<PathBuf>,

    /// File whose first line is the passphrase of your keys; asked for on the terminal without it [env: LEDGER_PASSPHRASE_FILE]
    // Not read by clap, to which a variable would be as good as typed: `key new --plain` would not go with it.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Keys")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// No progress and no notes
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Common {
    /// Connects to the node. With a stated trust, the node must be of that ledger.
    ///
    /// # Errors
    /// `CLIENT_CONNECT`, or `CLIENT_VERIFY` for a node of another ledger.
    pub(crate) async fn connect(&self) -> Result<Node, ClientError> {
        let mut node = Node::connect(&self.node, Duration::from_secs(self.timeout)).await?;
        if let Some(trust) = &self.trust {
            let found = node.genesis().await?.id();
            if found != *trust {
                let detail = format!(
                    "{} is a node of ledger {found}, trust was stated in {trust}",
                    self.node
                );
                return Err(ClientError::verification(detail));
            }
        }
        Ok(node)
    }

    /// Milliseconds that the node may wait for an act: an answer has to be back before the call is given up.
    pub(crate) fn wait_ms(&self) -> u32 {
        u32::try_from(self.timeout.saturating_mul(900)).unwrap_or(u32::MAX).max(1)
    }

    /// The key directory.
    ///
    /// # Errors
    /// `CLIENT_USAGE` when nothing tells where it is.
    pub(crate) fn key_directory(&self) -> Result<PathBuf, ClientError> {
        if let Some(directory) = &self.keys {
            return Ok(directory.clone());
        }
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let configuration = variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
        configuration
            .map(|directory| directory.join("ledger").join("keys"))
            .ok_or_else(|| ClientError::usage("neither --keys nor HOME is set"))
    }

    /// The file of a private key: a path, or a name in the key directory.
    pub(crate) fn key_path(&self, key: &str) -> Result<PathBuf, ClientError> {
        if key.contains('/') || Path::new(key).extension().is_some_and(|end| end == "pem") {
            return Ok(key.into());
        }
        Ok(self.key_directory()?.join(format!("{key}.pem")))
    }

    /// Reads a private key.
    pub(crate) fn read_key(&self, key: &str) -> Result<SigningKey, ClientError> {
        let path = self.key_path(key)?;
        if !path.exists() {
            return Err(ClientError::key(format!("{} does not exist", path.display())));
        }
        keys::read(&path, || self.passphrase(&format!("Passphrase of {}: ", path.display())))
    }

    /// Reads a public key: of a key pair, or of a `.pub` file alone.
    pub(crate) fn read_public_key(&self, key: &str) -> Result<[u8; 32], ClientError> {
        let path = match key.strip_suffix(".pub") {
            Some(_) => PathBuf::from(key),
            None => self.key_path(key)?.with_extension("pub"),
        };
        keys::read_public(&path)
    }

    /// Public keys at hand, by their ids: those of the key directory, and those that are named. What cannot be read of the directory is
    /// none.
    pub(crate) fn public_keys(
        &self,
        named: &[String],
    ) -> Result<BTreeMap<KeyId, [u8; 32]>, ClientError> {
        let files = self.key_directory().and_then(|directory| {
            fs::read_dir(&directory).map_err(ClientError::io(directory.display()))
        });
        let paths = files.into_iter().flatten().flatten().map(|entry| entry.path());
        let public = paths.filter(|path| path.extension().is_some_and(|end| end == "pub"));
        let mut keys: Vec<_> = public.filter_map(|path| keys::read_public(&path).ok()).collect();
        for key in named {
            keys.push(self.read_public_key(key)?);
        }
        Ok(keys.into_iter().map(|key| (KeyId::of(&key), key)).collect())
    }

    /// The file of the passphrase, as typed or as the environment says.
    pub(crate) fn passphrase_path(&self) -> Option<PathBuf> {
        let variable =
            || std::env::var_os("LEDGER_PASSPHRASE_FILE").filter(|path| !path.is_empty());
        self.passphrase_file.clone().or_else(|| variable().map(PathBuf::from))
    }

    /// The passphrase from its file, or from the terminal.
    pub(crate) fn passphrase(&self, prompt: &str) -> Result<Zeroizing<String>, ClientError> {
        if let Some(path) = self.passphrase_path() {
            let text = fs::read_to_string(&path).map(Zeroizing::new);
            let text = text.map_err(ClientError::io(path.display()))?;
            return Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()));
        }
        if !stdin().is_terminal() {
            return Err(ClientError::usage(
                "a passphrase is needed and there is no terminal: --passphrase-file",
            ));
        }
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(ClientError::io("terminal"))
    }

    /// A bar on the terminal; hidden when standard error is none, or when quiet.
    pub(crate) fn progress(&self, length: Option<u64>, unit: &str) -> ProgressBar {
        if self.quiet || !stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let template = if length.is_some() {
            format!("{{bar:30}} {{human_pos}} of {{human_len}} {unit}, {{per_sec}}, {{eta}} left")
        } else {
            format!("{{spinner}} {{human_pos}} {unit}, {{per_sec}}")
        };
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let style = ProgressStyle::with_template(&template);
        bar.with_style(style.unwrap_or_else(|_wrong| ProgressStyle::default_bar()))
    }
}

/// A key id in hex, or the id of a key of yours.
pub(crate) fn key_id(common: &Common, key: &str) -> Result<KeyId, ClientError> {
    match KeyId::from_hex(key) {
        Ok(kid) => Ok(kid),
        Err(_no_hex) => Ok(KeyId::of(&common.read_public_key(key)?)),
    }
}

/// Most bytes that are read of a file which is read whole: more than the longest of them, an evidence file, may have. Its decoder
/// refuses what is longer; no file is known to be short before it was read.
const MOST_BYTES: u64 = MAX_CHANGES_BYTES as u64 + (1 << 20);

/// The bytes of a file, or as many as show that it is too long.
pub(crate) fn read_file(path: &Path) -> Result<Bytes, ClientError> {
    let failed = || ClientError::io(path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed())?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed())?;
    Ok(bytes.into())
}

/// The text of a file. One that holds none is no document, and is there all the same.
pub(crate) fn read_text(path: &Path) -> Result<String, ClientError> {
    let text = String::from_utf8(read_file(path)?.into());
    text.map_err(|error| ClientError::document(error).at(path.display()))
}

/// Writes a file whole or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    filled(path, bytes)?.keep(0o644)
}

/// Refuses a path where something is already. Asked before anything is signed or sent; [`write_new`] sees to it in the end.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), ClientError> {
    if path.exists() { Err(ClientError::file_exists(path.display())) } else { Ok(()) }
}

/// Writes a file whole or not at all, where there is none yet.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    filled(path, bytes)?.keep_new(0o644)
}

/// Writes a file that only its owner can read, where there is none yet.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    filled(path, bytes)?.keep_new(0o600)
}

fn filled(path: &Path, bytes: &[u8]) -> Result<NewFile, ClientError> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).map_err(ClientError::io(path.display()))?;
    Ok(file)
}

/// Bytes of a file's name that the name of its unfinished part has as well: systems take 255.
const LONGEST_NAME: usize = 200;

/// A file that takes its name when it is whole; dropped before, nothing is left of it.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<Self, ClientError> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // What a process leaves that is killed says what it was to be.
        let mut prefix = OsString::from(".");
        prefix.push(path.file_name().filter(|name| name.len() <= LONGEST_NAME).unwrap_or_default());
        prefix.push(".");
        let file = tempfile::Builder::new().prefix(&prefix).suffix(".part").tempfile_in(directory);
        Ok(Self { file: file.map_err(ClientError::io(path.display()))?, path: path.to_owned() })
    }

    /// Gives the file its name.
    fn keep(self, mode: u32) -> Result<(), ClientError> {
        self.finish(mode)?;
        let persisted = self.file.persist(&self.path).map(|_file| ());
        persisted.map_err(|error| ClientError::io(self.path.display())(error.error))
    }

    /// Gives the file its name, if nothing has it.
    pub(crate) fn keep_new(self, mode: u32) -> Result<(), ClientError> {
        self.finish(mode)?;
        let persisted = self.file.persist_noclobber(&self.path).map(|_file| ());
        persisted.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ClientError::file_exists(self.path.display()),
            _ => ClientError::io(self.path.display())(error.error),
        })
    }

    fn finish(&self, mode: u32) -> Result<(), ClientError> {
        let failed = || ClientError::io(self.path.display());
        let file = self.file.as_file();
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed())?;
        file.sync_all().map_err(failed())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Does what takes long, until the process is told to end: dropped, a file that is not whole is taken away. Not for a terminal that
/// goes: whoever types `nohup` wants it to go on.
///
/// # Errors
/// As the work, or `CLIENT_FILE` when it was told.
pub(crate) async fn unless_told<T>(
    path: &Path,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let failed = || ClientError::io("signals");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed())?;
    tokio::select! {
        done = work => return done,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let why = "told to stop before it was whole; nothing of it is left";
    Err(ClientError::file(format!("{}: {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_of_a_file_than_shows_that_it_is_too_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.proof");
        fs::write(&path, [7; 9]).unwrap();
        assert_eq!(read_file(&path).unwrap(), [7; 9][..]);
        File::options().write(true).open(&path).unwrap().set_len(MOST_BYTES + 9).unwrap();
        assert_eq!(read_file(&path).unwrap().len() as u64, MOST_BYTES + 1);
        assert_eq!(read_text(&path).unwrap().len() as u64, MOST_BYTES + 1);
    }

    #[test]
    fn a_file_without_text_is_read_and_no_document() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.ledger");
        fs::write(&path, [0xff]).unwrap();
        let wrong = read_text(&path).unwrap_err();
        assert_eq!((wrong.code.as_str(), wrong.failure.exit_code()), ("CLIENT_DOCUMENT", 11));
        assert!(wrong.message.contains("chain.ledger"), "{wrong}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_whole_is_taken_away_when_the_process_is_told_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.ledger");
        let count = || fs::read_dir(directory.path()).unwrap().count();
        let file = NewFile::create(&path).unwrap();
        let part = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().file_name();
        assert!(part.to_str().unwrap().starts_with(".chain.ledger."), "{part:?}");
        let told = unless_told(&path, async {
            let _file = file;
            let id = std::process::id().to_string();
            std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
            std::future::pending::<Result<(), ClientError>>().await
        });
        assert_eq!(told.await.unwrap_err().code, "CLIENT_FILE");
        assert_eq!(count(), 0);
    }

    #[test]
    fn a_new_file_takes_the_place_of_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.ledger");
        write_new(&path, b"one").unwrap();
        let others =
            [refuse_existing(&path), write_new(&path, b"two"), write_secret(&path, b"two")];
        for refused in others {
            assert_eq!(refused.unwrap_err().code, "CLIENT_FILE_EXISTS");
        }
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
