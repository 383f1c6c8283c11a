//! Importing catalogues.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use ledger_catalogue::{Delimiter, Format as CatalogueFormat, Options};
use ledger_client::act::Times;
use ledger_client::explain::explain;
use ledger_client::import::{Imported, Importer, Remark, import};
use ledger_client::keys::kid;
use ledger_client::{ClientError, Failure, Level, Node};
use ledger_event::Clock;
use ledger_event::record::Body;
use ledger_proto::v1::Finality;
use serde_json::{Value, json};

use crate::report::Answer;
use crate::session::Common;
use crate::values::instant;

/// Records of a list that are shown to people; all are in JSON.
const SHOWN: usize = 20;

/// Options of `import`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ledger-cli import open-data/datapackage.json --key acme-org
  ledger-cli import catalogue.csv --catalogue 'City open data' \\
      --key acme-org -o json
Run it again to go on after a break: what is there unchanged is left alone. Records that are skipped are listed with their
codes; the exit code is 1 when all of them were. What a node turns away for the moment is sent again; the exit code is 25, or 26
where an outcome is not known, when for --timeout seconds nothing got further.")]
pub(crate) struct Import {
    /// datapackage.json, a CSV table, CKAN or DCAT JSON, or a directory with one of them
    source: PathBuf,
    /// Key of the supplier in whose name the assets are described
    #[arg(short, long, value_name = "KEY")]
    key: String,
    /// Format [default: found out]
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// What separates fields of a table [default: found out]
    #[arg(long, value_enum)]
    delimiter: Option<DelimiterArg>,
    /// Name of the catalogue [default: its own]
    #[arg(long, value_name = "NAME")]
    catalogue: Option<String>,
    /// Do not read the data files that lie beside the catalogue
    #[arg(long)]
    no_files: bool,
    /// Leave summaries out: they are free text and may name people
    #[arg(long)]
    no_summaries: bool,
    /// Resources without licence or source have their package's
    #[arg(long)]
    inherit: bool,
    /// When you say it happens [default: now; on a declared clock, the ledger's time]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<u64>,
}

/// Formats of catalogues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Frictionless,
    Csv,
    Ckan,
    Dcat,
    DstFsv,
}

/// What separates fields of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DelimiterArg {
    Comma,
    Semicolon,
}

pub(crate) async fn run(common: &Common, args: &Import) -> Result<Answer, ClientError> {
    told(common.wait)?;
    let source = ledger_catalogue::open(&args.source, &args.options())?;
    let catalogue = source.catalogue().to_owned();
    let notices: Vec<String> =
        source.notices().iter().map(|notice| format!("{} {}", notice.code, notice.text)).collect();
    let mut node = common.connect().await?;
    let importer = importer(common, &mut node, args).await?;
    let bar = common.progress(None, "records");
    let mut reached = 0;
    let done = import(&mut node, &importer, source, |count| {
        reached = count;
        bar.set_position(count);
    });
    let done = done.await;
    bar.finish_and_clear();
    Ok(answer(&catalogue, &notices, &done.map_err(|error| broken_off(error, reached))?))
}

/// What ended an import, with how far it came.
fn broken_off(error: ClientError, reached: u64) -> ClientError {
    if reached == 0 {
        return error;
    }
    let there = format!(
        "At least {reached} of its records and claims are on the ledger; import again goes on with the others."
    );
    ClientError { help: format!("{} {there}", error.help).trim_start().to_owned(), ..error }
}

impl Import {
    fn options(&self) -> Options {
        let format = self.format.map(|format| match format {
            FormatArg::Frictionless => CatalogueFormat::Frictionless,
            FormatArg::Csv => CatalogueFormat::Csv,
            FormatArg::Ckan => CatalogueFormat::Ckan,
            FormatArg::Dcat => CatalogueFormat::Dcat,
            FormatArg::DstFsv => CatalogueFormat::DstFsv,
        });
        let delimiter = self.delimiter.map(|delimiter| match delimiter {
            DelimiterArg::Comma => Delimiter::Comma,
            DelimiterArg::Semicolon => Delimiter::Semicolon,
        });
        Options {
            format,
            delimiter,
            catalogue: self.catalogue.clone(),
            hash_files: !self.no_files,
            keep_summaries: !self.no_summaries,
            inherit_from_package: self.inherit,
            ..Options::default()
        }
    }
}

async fn importer(
    common: &Common,
    node: &mut Node,
    args: &Import,
) -> Result<Importer, ClientError> {
    let key = common.read_key(&args.key)?;
    let genesis = node.genesis().await?;
    let record = node.record(&format!("key:{}", kid(&key)), 0, 0, false).await?.record;
    let Some(Body::Key(owner)) = record.and_then(|record| record.body) else {
        return Err(ClientError::signers(format!(
            "key {} is not enrolled on this ledger",
            kid(&key)
        )));
    };
    let issued = match (args.at, genesis.clock()) {
        (Some(at), _) => at,
        (None, Clock::Declared) => node.status().await?.time_ms / 1000,
        (None, _) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    let window = u64::from(genesis.limits().entry_window_s) * 3 / 4;
    Ok(Importer {
        ledger: genesis.id(),
        party: owner.party,
        key,
        times: Times::valid_for(issued, window),
        level: common.wait,
        patience: Duration::from_secs(common.timeout),
    })
}

/// Refuses a level at which the rules have not judged an entry: what became of a record could not be told.
fn told(level: Level) -> Result<(), ClientError> {
    match level.finality {
        Finality::Accepted => Err(ClientError::usage(
            "an import tells what the ledger has of each record: --wait ordered or more",
        )),
        _ => Ok(()),
    }
}

fn answer(catalogue: &str, notices: &[String], done: &Imported) -> Answer {
    let Imported { described, revised, unchanged, claims, claims_unchanged, skipped, findings } =
        done;
    let json_of = |remarks: &[Remark]| -> Vec<Value> {
        let one =
            |one: &Remark| json!({ "place": one.place, "code": one.code, "reason": one.reason });
        remarks.iter().map(one).collect()
    };
    let mut value = json!({
        "catalogue": catalogue, "described": described, "revised": revised, "unchanged": unchanged,
        "claims": claims, "claims_unchanged": claims_unchanged, "notices": notices,
        "skipped": json_of(skipped), "findings": json_of(findings),
    });
    let mut lines = vec![
        format!("{catalogue}: {described} new, {revised} revised, {unchanged} unchanged"),
        format!("claims about the past: {claims} new, {claims_unchanged} unchanged"),
    ];
    for (title, remarks) in [("skipped", skipped), ("worth a look", findings)] {
        lines.push(format!("{title}: {}", remarks.len()));
        let shown = remarks.iter().take(SHOWN);
        lines.extend(shown.map(|one| format!("  {} {}: {}", one.code, one.place, one.reason)));
        if remarks.len() > SHOWN {
            lines.push(format!("  and {} more: -o json", remarks.len() - SHOWN));
        }
    }
    lines.extend(notices.iter().map(|notice| format!("note: {notice}")));
    let help = next_step(done);
    if let Some(help) = &help {
        value["help"] = json!(help);
        lines.push(format!("nothing was imported\n  help: {help}"));
    }
    let answer = Answer::new("imported", value, lines.join("\n"));
    if help.is_some() { answer.exiting(Failure::Refused.exit_code()) } else { answer }
}

/// What to do where a source had records and the ledger has none of them; `None` where at least one is there.
///
/// Records that are left out beside others are usual, and told. A run that leaves out all of them has failed, and a script must
/// not take it for a success.
fn next_step(done: &Imported) -> Option<String> {
    let first = done.skipped.first().filter(|_| done.on_ledger() == 0)?;
    let all = "`ledger-cli explain CODE` does so for each code; then import again.";
    let known = explain(&first.code).filter(|explanation| !explanation.help.is_empty());
    Some(
        known.map_or_else(
            || all.to_owned(),
            |known| format!("{}: {} {all}", first.code, known.help),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_waits_for_the_rules() {
        for level in ["ordered", "replicated", "replicated:2"] {
            assert_eq!(told(level.parse().unwrap()), Ok(()));
        }
        assert_eq!(told("accepted".parse().unwrap()).unwrap_err().code, "CLIENT_USAGE");
    }
}
