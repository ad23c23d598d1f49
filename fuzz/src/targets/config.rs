//! The configuration file and its environment: what is accepted shows itself, and what is shown is accepted as the same.

use std::path::PathBuf;
use std::sync::OnceLock;

use kapelle::fuzzing;

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::{Seeds, joined, texts};

/// An input is a file, and perhaps lines `KAPELLE_SECTION__KEY=value`.
pub const CONFIG: Target = Target {
    name: "config",
    run,
    seeds,
    dictionary: DICTIONARY,
    len_max: 4 * KIB,
    bytes_max: 16 * MIB,
    cpu_ms_max: 500,
};

fn run(input: &[u8]) {
    let parts = match texts(input) {
        Some(parts) => parts,
        // Bytes that are no UTF-8 are refused as such.
        None => {
            assert!(load(input, &[]).is_err());
            return;
        }
    };
    let environment: Vec<(String, String)> = parts
        .get(1)
        .into_iter()
        .flat_map(|lines| lines.lines())
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    match load(parts[0].as_bytes(), &environment) {
        Ok(shown) => {
            let again = load(shown.as_bytes(), &[])
                .unwrap_or_else(|error| panic!("what is shown is refused: {error}\n{shown}"));
            assert_eq!(again, shown);
        }
        Err(error) => {
            assert!(!error.is_empty());
            // Every problem has its place; a line of the input may be named in several.
            assert!(error.len() < 4 * KIB + 400 * input.len(), "{error}");
        }
    }
}

fn load(file: &[u8], environment: &[(String, String)]) -> Result<String, String> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let dir = super::door::directory("config");
        dir.join("kapelle.toml")
    });
    std::fs::write(path, file).expect("the temporary directory has room");
    fuzzing::config(path, environment)
}

fn seeds(seeds: &mut Seeds) {
    seeds.add(load(b"", &[]).expect("nothing is a configuration"));
    for text in EXAMPLES {
        seeds.add(joined(&[
            text,
            "KAPELLE_SERVER__GRPC_ADDRESS=127.0.0.1:auto\nKAPELLE_LIMITS__EVENT_BATCH_COUNT=7\nKAPELLE_HISTORY__ENABLED=false",
        ]));
    }
}

const EXAMPLES: [&str; 5] = [
    "[server]\nrest-address = \"127.0.0.1:1\"\n[limits]\nmessage-size = \"4 MiB\"\ncommands-in-flight = 100\n",
    "[sources.orders]\nkind = \"rabbitmq\"\nurl = \"amqp://guest:guest@localhost:5672/%2f\"\nqueue = \"orders\"\n",
    "[sinks.\"odd name\"]\nkind = \"webhook\"\nurl = \"https://example.com/hook\"\n[sinks.broker]\nkind = \"rabbitmq\"\nurl = \"amqp://localhost\"\nexchange = \"events\"\n",
    "[sources.orders]\nkind = \"nats\"\nurl = \"nats://localhost\"\nstream = \"orders\"\n[sinks.out]\nkind = \"nats\"\nurl = \"nats://localhost\"\nsubject = \"out\"\n",
    "data.dir = \"x\"\nlog = { level = \"debug\" }\n[events]\ndedup-window = \"24h\"\n[history]\nretention = \"30d\"\n",
];

const DICTIONARY: &str = r#"[server]
[data]
[limits]
[events]
[outbox]
[history]
[log]
[sources.
[sinks.
kind = "mqtt"
kind = "nats"
kind = "rabbitmq"
kind = "webhook"
url = "
queue = "
exchange = "
stream = "
rest-address = 
grpc-address = 
"127.0.0.1:auto"
"64 MiB"
"1 GiB"
"30d"
"0s"
"100ms"
true
false
'''
"""
\u0041
\U0010FFFF
1979-05-27T07:32:00Z
0x1F
1_000
inf
nan
{ a = 1 }
[[
%%
KAPELLE_SERVER__
KAPELLE_DATA__
KAPELLE_SINKS__"#;
