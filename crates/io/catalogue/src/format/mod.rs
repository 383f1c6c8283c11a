//! The formats. Each turns a file into items in the order of the file.

use std::collections::BTreeMap;

use crate::error::SourceError;
use crate::options::Format;
use crate::record::{CatalogueRecord, Collection, Distribution, Finding, Item};

pub(crate) mod ckan;
pub(crate) mod columns;
pub(crate) mod dcat;
pub(crate) mod dst_fsv;
pub(crate) mod frictionless;
pub(crate) mod table;
pub(crate) mod terms;

pub(crate) type Items = Box<dyn Iterator<Item = Result<Item, SourceError>> + Send>;

/// A source that was opened: what is known of it as a whole, and its items to come.
pub(crate) struct Opened {
    pub(crate) format: Format,
    /// What the source calls itself.
    pub(crate) catalogue: Option<String>,
    pub(crate) collections: BTreeMap<String, Collection>,
    pub(crate) notices: Vec<Finding>,
    pub(crate) items: Items,
}

/// Gives a record the facts of its only file. With several files it has none of its own.
fn adopt_only_distribution(record: &mut CatalogueRecord, distributions: Vec<Distribution>) {
    if let [only] = distributions.as_slice() {
        record.media_type.clone_from(&only.media_type);
        record.bytes = only.bytes;
        record.declared_hash.clone_from(&only.declared_hash);
        if record.source_url.is_none() {
            record.source_url.clone_from(&only.url);
        }
    }
    record.distributions = distributions;
}
