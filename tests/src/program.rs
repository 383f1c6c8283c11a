//! The programs, built as their users build them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The node's program.
pub const NODE: &str = "ledger-node";
/// The command line's program.
pub const CLI: &str = "ledger-cli";

/// A command of a program. No setting of the caller's environment reaches it.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(directory().join(name));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("LEDGER_") {
            command.env_remove(variable);
        }
    }
    command
}

/// Where the programs are, once they are built from what is in the tree now.
fn directory() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--offline", "--workspace", "--bins"]);
        // A small test beside them, so that dependencies have the features that they have in a test of the workspace: else all of them
        // would be built a second time.
        cargo.args(["--test", "tidy"]);
        // What cargo tells a test of its package would make build scripts run anew that read it, and all that depends on them.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(variable);
            }
        }
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let built = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status();
        assert!(built.expect("cargo runs").success(), "the programs do not build");
        // A benchmark's own program is beside them, a test's in the folder `deps` there.
        let own = std::env::current_exe().expect("a program has a path");
        let directory = own.parent().expect("target/PROFILE, or deps in it");
        match directory.parent() {
            Some(profile) if directory.ends_with("deps") => profile.to_owned(),
            _ => directory.to_owned(),
        }
    })
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Finished {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, if it ended with a code.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code; out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The JSON object that it wrote to standard error, where log lines may stand before it.
    pub fn error(&self) -> Value {
        let object = self.err.lines().last().unwrap_or_default();
        serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {}", self.err))
    }

    /// The stable code of the failure that it reported in JSON.
    pub fn error_code(&self) -> String {
        self.error()["error"]["code"].as_str().expect("a code").to_owned()
    }
}

/// Runs a program to its end.
pub fn run<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Finished {
    run_in(Path::new("."), name, arguments)
}

/// Runs a program to its end in a directory, against which it reads relative paths.
pub fn run_in<A: AsRef<OsStr>>(
    directory: &Path,
    name: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Finished {
    let output = command(name).current_dir(directory).args(arguments).output();
    Finished::of(&output.expect("the program starts"))
}

/// Starts a program in a directory. Nobody reads what it says.
pub(crate) fn begin_in<A: AsRef<OsStr>>(
    directory: &Path,
    name: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Child {
    let mut command = command(name);
    command.current_dir(directory).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

/// Asserts a refusal with its code, exit code and next step.
///
/// # Panics
/// If it is none, or another one.
pub fn assert_refused(ended: &Finished, code: &str, exit: i32, help: &str) {
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    let error = &ended.error()["error"];
    assert_eq!((error["code"].as_str(), ended.code), (Some(code), exit), "{error}");
    assert!(
        error["help"].as_str().expect("a refusal names the next step").contains(help),
        "{error}"
    );
}
