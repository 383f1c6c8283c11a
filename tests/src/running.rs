//! Nodes as processes.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger_client::Node;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{CLI, Finished, NODE, command, run};

/// How long a process may take to come or to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a process is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGKILL: no chance to do anything more.
    Kill,
    /// SIGSTOP: nothing happens until it may go on.
    Pause,
    /// SIGCONT: it goes on.
    Resume,
    /// SIGHUP: it reads its settings again.
    ReadAgain,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "-TERM",
            Self::Interrupt => "-INT",
            Self::Kill => "-KILL",
            Self::Pause => "-STOP",
            Self::Resume => "-CONT",
            Self::ReadAgain => "-HUP",
        }
    }

    /// Sends it to a process.
    pub fn send(self, pid: u32) {
        let sent = Command::new("kill").args([self.name(), &pid.to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

/// A node that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Address of its services.
    pub url: String,
    /// Ledger id, in hex.
    pub genesis: String,
    /// What it said when it was ready.
    pub ready: Value,
    /// From the start of the process until it was ready.
    pub start: Duration,
    /// What it says on standard error, and further on standard output.
    said: Option<[JoinHandle<String>; 2]>,
    /// A directory that lasts as long as the node.
    directory: Option<TempDir>,
}

impl Running {
    /// Starts a node on a data directory.
    ///
    /// # Errors
    /// How it ended instead of becoming ready.
    pub fn start(directory: &Path) -> Result<Self, Finished> {
        Self::spawn(node_on(directory))
    }

    /// Starts a node that may have so many files and connections open at once.
    ///
    /// # Errors
    /// How it ended instead of becoming ready.
    pub fn start_within(directory: &Path, descriptors: u32) -> Result<Self, Finished> {
        let node = node_on(directory);
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(limited).arg(node.get_program()).args(node.get_args());
        for (variable, _) in node.get_envs().filter(|(_, value)| value.is_none()) {
            shell.env_remove(variable);
        }
        Self::spawn(shell)
    }

    /// Starts a node on a data directory and kills it after a while, ready or not.
    pub fn start_and_kill(directory: &Path, after: Duration) {
        let mut node = node_on(directory);
        node.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = node.spawn().expect("the node starts");
        std::thread::sleep(after);
        child.kill().expect("the node can be killed");
        let _status = child.wait().expect("the node ends");
    }

    /// Starts a node that says in one line of JSON that it is ready.
    ///
    /// # Errors
    /// How it ended instead.
    pub fn spawn(mut command: Command) -> Result<Self, Finished> {
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the node starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("the pipe is readable");
        if line.is_empty() {
            return Err(Finished::of(&child.wait_with_output().expect("the node ends")));
        }
        let ready: Value = serde_json::from_str(&line).expect("a line of JSON");
        let text = |name: &str| ready[name].as_str().expect(name).to_owned();
        let start = begun.elapsed();
        let (url, genesis) = (text("grpc"), text("genesis"));
        // Read as it comes: a full pipe must not stop it.
        let err = child.stderr.take().expect("a pipe");
        let said = [spoken(BufReader::new(err)), spoken(out)];
        Ok(Self { child, url, genesis, ready, start, said: Some(said), directory: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes its chain to a file, in the place of an earlier one.
    pub fn export(&self, file: &Path) {
        let _earlier = std::fs::remove_file(file);
        let exported = self.cli(&["export", "chain", "-o", file.to_str().expect("UTF-8")]);
        let _exported = exported.expect(0);
    }

    /// The same node, with a directory that is removed when it has ended.
    pub(crate) fn keeping(mut self, directory: TempDir) -> Self {
        self.directory = Some(directory);
        self
    }

    /// A connection of a client, which gives up on a call after a while.
    pub async fn connect(&self) -> Node {
        Node::connect(&self.url, PATIENCE).await.expect("a connection")
    }

    /// Runs the command line against this node.
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        run(CLI, ["--node", &self.url].iter().chain(arguments))
    }

    /// The processor time that the node has used, in user mode and in the system.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        processor_time(&stat.expect("the node runs")).expect("proc_pid_stat(5)").1
    }

    /// The most memory that the node has held so far, in bytes (proc_pid_status(5), `VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the node runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")).expect("a peak in kB");
        kib.parse::<u64>().expect("a number") * 1024
    }

    /// Kills the node and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill().expect("the node can be killed");
        let _status = self.child.wait().expect("the node ends");
    }

    /// Sends a signal and waits for the end. The exit code is -1 after a kill.
    pub fn end(self, signal: Signal) -> i32 {
        self.stop(signal).code
    }

    /// Sends a signal and waits for the end.
    pub fn stop(self, signal: Signal) -> Finished {
        self.send(signal);
        self.wait()
    }

    /// Whether the node has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the node can be waited for").is_some()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Finished {
        let code = self.exit_code();
        let said = self.said.take().expect("a node ends once");
        let [err, out] = said.map(|said| said.join().expect("what it says is read"));
        Finished { code, out, err }
    }

    fn exit_code(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("the node can be waited for") {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the node does not end within {PATIENCE:?}");
    }

    /// Sends a signal.
    pub fn send(&self, signal: Signal) {
        signal.send(self.child.id());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What somebody says from now on until the end.
fn spoken(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        // What was said before a read failed is what there is.
        let _read = pipe.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    })
}

/// The command that runs a node on a data directory, at a free port.
pub fn node_on(directory: &Path) -> Command {
    node_at(directory, "127.0.0.1", 0)
}

/// The same, at an address of the machine where the node runs. Port 0 is any free one.
pub(crate) fn node_at(directory: &Path, address: &str, port: u16) -> Command {
    let mut node = command(NODE);
    let listen = format!("{address}:{port}");
    node.args(["run", "--listen", &listen, "-o", "json", "--data-dir"]).arg(directory);
    node
}

/// Makes a ledger of the wall clock in a directory, with unencrypted keys of its founder, party `exchange`. Gives its id.
pub fn new_ledger(directory: &Path) -> String {
    let directory = directory.to_str().expect("a path in UTF-8");
    let init = run(
        NODE,
        [
            "init",
            "--data-dir",
            directory,
            "--party",
            "exchange",
            "--name",
            "Test exchange",
            "--ledger-name",
            "Test ledger",
            "--origin",
            "ledger.invalid/test",
            "--plain-keys",
            "-o",
            "json",
        ],
    );
    init.expect(0).json()["genesis"].as_str().expect("a genesis hash").to_owned()
}

/// Name and processor time of a process or thread, by its `stat` (proc_pid_stat(5)): the name is in brackets and may hold some itself;
/// user and system time are fields 14 and 15, in hundredths of a second.
pub fn processor_time(stat: &str) -> Option<(&str, Duration)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    let ticks = fields.next()?? + fields.next()??;
    Some((name, Duration::from_millis(ticks * 10)))
}
