//! `dev`: a ledger of one validator with real data on it, in one command. A second start goes on with what is there.

mod cast;
mod data;
mod stage;
mod story;
mod summary;

use std::fs;
use std::future::pending;
use std::path::Path;

use ledger_catalogue::Options as CatalogueOptions;
use ledger_client::act::Times;
use ledger_client::import::{Imported, Importer, Remark, import};
use ledger_client::node::CALL_TIMEOUT;
use ledger_client::{ClientError, Level, Node as Client};
use ledger_event::Clock;
use ledger_event::event::Act;
use ledger_format::id::{Subject, SubjectKind};
use ledger_peer::Neighbours;
use ledger_store::write_durably;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::args::DevArgs;
use crate::config::LogFormat;
use crate::descriptors;
use crate::dev::cast::{Actor, Cast};
use crate::dev::stage::{Scene, Stage, seconds};
use crate::dev::summary::{Summary, skipped_json};
use crate::failure::Failure;
use crate::founding;
use crate::node::{Node, Options};
use crate::open::Layout;
use crate::peers::PeerOptions;
use crate::report::{self, Output};
use crate::running::Signals;
use crate::setup::{NewLedger, create};
use crate::telemetry;

/// When the story begins.
const START: &str = "2026-08-03T08:00:00+08:00";
const ADMISSION: &str = "2026-08-03T09:00:00+08:00";
const IMPORT: &str = "2026-08-03T09:30:00+08:00";

/// Runs the demonstration.
///
/// # Errors
/// What kept it from starting, or what failed on the way.
pub async fn run(args: &DevArgs, output: Output) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_from_env("LEDGER_LOG_FILTER").unwrap_or_else(|_| EnvFilter::new("warn"));
    telemetry::start(LogFormat::Text, filter);
    let directory = args.data_dir.join("dev");
    let cast = Cast::load(&directory.join("keys"))?;
    founding::finish(&args.data_dir)?;
    if !Layout(args.data_dir.clone()).genesis().exists() {
        create(&args.data_dir, &ledger(&cast)?, cast.exchange.keys())?;
    }
    let mut signals = Signals::new()?;
    let options = Options {
        data_dir: args.data_dir.clone(),
        listen: args.listen,
        settings: ledger_replica::Settings::default(),
        is_follower: false,
        peers: PeerOptions { listen: None, neighbours: Neighbours::knowing(Vec::new()) },
        connections: descriptors::for_clients(0)?,
        check_threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let Some(node) = signals.unless_told(options).await? else { return Ok(()) };
    let shown = async {
        demonstrate(args, output, &node, &cast).await?;
        if args.once { Ok(()) } else { pending().await }
    };
    let ended: Result<(), Failure> = tokio::select! {
        shown = shown => shown,
        () = node.failed() => Ok(()),
        () = signals.until_told() => Ok(()),
    };
    let stopped = node.stop().await;
    ended.and(stopped)
}

/// A ledger on a declared clock, founded by the demonstration's exchange.
fn ledger(cast: &Cast) -> Result<NewLedger, ClientError> {
    Ok(NewLedger {
        name: "Demonstration ledger".into(),
        party: cast.exchange.id.into(),
        profile: cast.exchange.profile(),
        roles: cast.exchange.roles.to_vec(),
        clock: Clock::Declared,
        start_ms: seconds(START)? * 1000,
        origin: "ledger.invalid/demonstration".into(),
    })
}

async fn demonstrate(
    args: &DevArgs,
    output: Output,
    node: &Node,
    cast: &Cast,
) -> Result<(), Failure> {
    let url = format!("http://{}", node.address);
    let mut stage = Stage::new(Client::connect(&url, CALL_TIMEOUT).await?).await?;
    for actor in cast.admitted() {
        admit(&mut stage, actor, &cast.exchange).await?;
    }
    let directory = args.data_dir.join("dev");
    let data = data::lay_out(&directory.join("data"))?;
    let files = import_once(&mut stage, &cast.files, &data.files, &directory, output).await?;
    let path = args.import.as_ref().unwrap_or(&data.catalogue);
    let catalogue = import_once(&mut stage, &cast.catalogue, path, &directory, output).await?;
    let deliveries = story::play(&mut stage, cast, &data).await?;
    let status = stage.node.status().await?;
    let summary = Summary {
        data_dir: args.data_dir.clone(),
        once: args.once,
        address: node.address,
        genesis: stage.ledger,
        height: status.height,
        tree_size: status.tree_size,
        imports: [files, catalogue],
        deliveries,
        played: stage.played,
    };
    report::result(output, &summary.text(), &summary.json())
}

async fn admit(stage: &mut Stage, actor: &Actor, exchange: &Actor) -> Result<(), ClientError> {
    let (event, signers) = actor.admission(exchange);
    let party = Subject::new(SubjectKind::Party, actor.id)?;
    let act = Act::PartyAdmitted(event);
    stage.open(Scene { at: ADMISSION, subject: &party, act, signers, binding: false }).await
}

/// What one import did, in this run or an earlier one.
#[derive(Debug, Default)]
struct Import {
    records: u64,
    claims: u64,
    skipped: Vec<Remark>,
}

/// Imports a source unless an earlier run has finished it, which a mark beside the data says.
async fn import_once(
    stage: &mut Stage,
    party: &Actor,
    path: &Path,
    directory: &Path,
    output: Output,
) -> Result<Import, Failure> {
    let source =
        ledger_catalogue::open(path, &CatalogueOptions::default()).map_err(ClientError::from)?;
    let catalogue = source.catalogue().to_owned();
    let collections = u64::try_from(source.collections().len()).unwrap_or_default();
    let mark = directory.join(format!("imported-{}.json", party.id));
    if let Some(done) = read_mark(&mark, path) {
        return Ok(done);
    }
    // Time does not go back: when another catalogue is imported later, it is imported then.
    let issued = seconds(IMPORT)?.max(stage.node.status().await?.time_ms / 1000);
    let importer = Importer {
        ledger: stage.ledger,
        party: party.id.into(),
        key: party.organisation().clone(),
        times: Times::valid_for(issued, 3_000),
        level: Level::default(),
        patience: CALL_TIMEOUT,
    };
    let Imported { described, revised, unchanged, claims, claims_unchanged, skipped, .. } =
        import(&mut stage.node, &importer, source, |done| {
            report::progress(&format!("importing {catalogue}: {done}"));
        })
        .await?;
    report::progress_done();
    report::note(output, &format!("imported {catalogue}"));
    let records = (described + revised + unchanged).saturating_sub(collections);
    let import = Import { records, claims: claims + claims_unchanged, skipped };
    write_mark(&mark, path, &import)?;
    Ok(import)
}

fn read_mark(mark: &Path, path: &Path) -> Option<Import> {
    let value: serde_json::Value = serde_json::from_str(&fs::read_to_string(mark).ok()?).ok()?;
    let number = |name: &str| value.get(name).and_then(serde_json::Value::as_u64);
    let text = |value: &serde_json::Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    if text(&value, "path")? != path.display().to_string() {
        return None;
    }
    let skipped = value.get("skipped")?.as_array()?.iter().map(|one| {
        Some(Remark {
            place: text(one, "place")?,
            code: text(one, "code")?,
            reason: text(one, "reason")?,
        })
    });
    Some(Import {
        records: number("records")?,
        claims: number("claims")?,
        skipped: skipped.collect::<Option<_>>()?,
    })
}

fn write_mark(mark: &Path, path: &Path, import: &Import) -> Result<(), Failure> {
    let value = json!({
        "path": path.display().to_string(),
        "records": import.records,
        "claims": import.claims,
        "skipped": import.skipped.iter().map(skipped_json).collect::<Vec<_>>(),
    });
    Ok(write_durably(mark, value.to_string().as_bytes())?)
}
