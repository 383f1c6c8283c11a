//! The tree as git tracks it, and the workspace as cargo sees it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the checks look at.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Tracked files by path, with their text; none for those that are no text.
    pub files: BTreeMap<String, Option<String>>,
    /// Packages of the workspace.
    pub packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Path of its manifest from the root.
    pub manifest: String,
    /// What it is built from, by name.
    pub dependencies: Vec<String>,
    /// What its build script is built from.
    pub build_dependencies: Vec<String>,
    /// What its tests are built from besides.
    pub dev_dependencies: Vec<String>,
}

impl Package {
    /// Everything that its manifest names.
    pub fn all_dependencies(&self) -> impl Iterator<Item = &String> {
        let Self { dependencies, build_dependencies, dev_dependencies, .. } = self;
        dependencies.iter().chain(build_dependencies).chain(dev_dependencies)
    }
}

impl Tree {
    /// Reads the tree of a checkout.
    ///
    /// # Errors
    /// When git or cargo does not answer, or a file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let listed = output(Command::new("git").args(["ls-files", "-z"]).current_dir(&root))?;
        let mut files = BTreeMap::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // A file that was removed and not yet committed is no file of the tree.
            if let Ok(bytes) = std::fs::read(root.join(path)) {
                files.insert(path.to_owned(), String::from_utf8(bytes).ok());
            }
        }
        let arguments = ["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"];
        let cargo = std::env::var("CARGO").unwrap_or_else(|_unset| "cargo".to_owned());
        let metadata = output(Command::new(cargo).args(arguments).current_dir(&root))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let packages = list(&metadata, "packages").map(|package| read_package(package, &root));
        Ok(Self { files, packages: packages.collect() })
    }

    /// The text of a file; empty if there is none.
    pub fn text(&self, path: &str) -> &str {
        self.files.get(path).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Text files whose path ends so.
    pub fn texts(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
            .filter(move |(path, _)| path.ends_with(end))
    }
}

fn read_package(package: &Value, root: &Path) -> Package {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let manifest = text(package, "manifest_path");
    let prefix = format!("{}/", root.display());
    let of_kind = |kind: Option<&str>| {
        list(package, "dependencies")
            .filter(|dependency| dependency["kind"].as_str() == kind)
            .map(|dependency| text(dependency, "name"))
            .collect()
    };
    Package {
        name: text(package, "name"),
        manifest: manifest.strip_prefix(&prefix).unwrap_or(&manifest).to_owned(),
        dependencies: of_kind(None),
        build_dependencies: of_kind(Some("build")),
        dev_dependencies: of_kind(Some("dev")),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
