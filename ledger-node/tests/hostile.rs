//! Configuration of any content: settings, or every mistake with its place.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use ledger_fixtures::Rng;
use ledger_node::config::{SETTINGS, Sources, resolve};

const GOOD: &str = r#"
listen = "127.0.0.1:7440"
check = { threads = 2 }

[log]
format = "json"
filter = "info,ledger_node=debug"

[block]
gather_ms = 5

[pool]
entries = 1000
bytes = 1_000_000
"#;

fn with(file: String) -> Sources {
    Sources { file: Some((PathBuf::from("config.toml"), file)), ..Sources::default() }
}

fn judged(sources: &Sources) -> bool {
    match resolve(sources) {
        Ok(config) => {
            assert_eq!(config.origins.len(), SETTINGS.len());
            true
        }
        Err(failure) => {
            assert_eq!((failure.code.as_str(), failure.exit), ("NODE_CONFIG", 2));
            assert!(!failure.message.is_empty());
            false
        }
    }
}

#[test]
fn files_of_any_content() {
    assert!(judged(&with(GOOD.to_owned())));
    let mut rng = Rng(1);
    let mut good = 0;
    for _ in 0..4_000 {
        let mut bytes = GOOD.as_bytes().to_vec();
        rng.mutate(&mut bytes, 3);
        good += usize::from(judged(&with(String::from_utf8_lossy(&bytes).into_owned())));
        let noise = rng.some_bytes(200);
        judged(&with(String::from_utf8_lossy(&noise).into_owned()));
    }
    assert!(good > 50, "{good}");
}

#[test]
fn files_that_nest_as_deep_as_they_are_long() {
    let depth = 100_000;
    for text in [
        format!("a = {}", "[".repeat(depth)),
        format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("a = {}", "{a=".repeat(depth)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
        format!("{}a{}", "[".repeat(depth), "]".repeat(depth)),
    ] {
        assert!(!judged(&with(text)));
    }
}

#[test]
fn values_of_any_content_wherever_they_come_from() {
    let mut rng = Rng(2);
    for _ in 0..3_000 {
        let setting = rng.pick(SETTINGS);
        let value = match rng.below(4) {
            0 => rng.number().to_string(),
            1 => "9".repeat(rng.below(60)),
            2 => format!("{}={}", "info,".repeat(rng.below(9)), rng.word()),
            _ => String::from_utf8_lossy(&rng.some_bytes(40)).into_owned(),
        };
        let environment = [(setting.variable.to_owned(), value.clone())].into();
        judged(&Sources { environment, ..Sources::default() });
        judged(&Sources { flags: [(setting.key, value)].into(), ..Sources::default() });
    }
}
