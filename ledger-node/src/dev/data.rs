//! The shipped data: open files and a catalogue, embedded in the program and laid out where they can be read.

use std::fs;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use crate::failure::Failure;

/// `tests/data`: sources and licences are in the README.md of each folder.
#[derive(RustEmbed)]
#[folder = "../tests/data"]
#[exclude = "*.py"]
struct Shipped;

/// Writes the shipped files below a directory, unless they are there.
///
/// # Errors
/// `NODE_RUNTIME` when they cannot be written.
pub(crate) fn lay_out(directory: &Path) -> Result<Data, Failure> {
    for name in Shipped::iter() {
        let path = directory.join(&*name);
        let Some(file) = Shipped::get(&name).filter(|file| !is_whole(&path, file.data.len()))
        else {
            continue;
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Failure::at(parent))?;
        }
        fs::write(&path, &file.data).map_err(Failure::at(&path))?;
    }
    Ok(Data { files: directory.join("vega"), catalogue: directory.join("dst-fsv") })
}

fn is_whole(path: &Path, length: usize) -> bool {
    fs::metadata(path).is_ok_and(|found| usize::try_from(found.len()) == Ok(length))
}

/// Where the shipped data lies.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    /// Open data files with their `datapackage.json`.
    pub(crate) files: PathBuf,
    /// The catalogue of Statistics Denmark.
    pub(crate) catalogue: PathBuf,
}
