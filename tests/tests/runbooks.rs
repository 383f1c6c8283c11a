//! Every runbook of docs/runbooks, run as it stands, and held against the page that explains it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ledger_tests::{NODE, command, ports};

/// What the others share, and no runbook of its own.
const MACHINES: &str = "machines.sh";

fn runbooks() -> Vec<PathBuf> {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks"));
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let scripts = files.filter(|path| path.extension().is_some_and(|end| end == "sh"));
    let mut scripts: Vec<PathBuf> = scripts.filter(|path| !path.ends_with(MACHINES)).collect();
    scripts.sort();
    scripts
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Runs a script with the programs of this build, on ports of its own.
fn follow(script: &Path, port: u16) -> Output {
    let node = command(NODE);
    let programs = Path::new(node.get_program()).parent().unwrap().to_str().unwrap();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.arg(script).env("PATH", path).env("PORT", port.to_string());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("LEDGER_") {
            bash.env_remove(variable);
        }
    }
    bash.output().unwrap()
}

/// With what a runbook ends that this machine lacks something for.
const CANNOT: i32 = 77;

/// All of them, but where this machine lacks what one needs; none may be left out with `RUNBOOKS=required`.
#[test]
fn every_runbook_does_what_it_says() {
    let required = std::env::var("RUNBOOKS").is_ok_and(|value| value == "required");
    for script in runbooks() {
        let output = follow(&script, ports(16));
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(CANNOT) && !required {
            println!("{} was not run: {complained}", name(&script));
            continue;
        }
        assert!(output.status.success(), "{}: {said}\n{complained}", name(&script));
        println!("{}: {} steps", name(&script), said.matches("\n== ").count());
    }
}

#[test]
fn a_runbook_that_cannot_go_on_says_so() {
    let port = ports(16);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let script = runbooks().into_iter().find(|path| name(path) == "member-leaves.sh").unwrap();
    let output = follow(&script, port);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed: validator-1 ended"));
}

#[test]
fn every_runbook_is_explained_and_every_explanation_has_its_runbook() {
    let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATING.md"));
    let page = fs::read_to_string(page).unwrap();
    let scripts = runbooks();
    assert!(scripts.len() > 5);
    for script in &scripts {
        let link = format!("(runbooks/{})", name(script));
        assert!(page.contains(&link), "docs/OPERATING.md does not name {link}");
    }
    for (at, _) in page.match_indices("(runbooks/") {
        let linked = page[at..].split(['(', ')']).nth(1).unwrap();
        let linked = linked.strip_prefix("runbooks/").unwrap();
        assert!(linked == MACHINES || scripts.iter().any(|path| name(path) == linked), "{linked}");
    }
}
