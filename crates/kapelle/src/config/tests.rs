//! One `check`: a file, an environment and flags in; what is not a default, or what is wrong, out.

use std::path::{Path, PathBuf};

use expect_test::{Expect, expect, expect_file};

use super::*;

/// Loads a file of that text under these layers; answers what is not a default, or what is wrong.
fn check(file: &str, environment: &[(&str, &str)], flags: Vec<Flag>, expected: Expect) {
    let place = Place::new();
    let path = place.0.join("kapelle.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let layers = Layers {
        file: Some(path),
        environment,
        flags,
        search: Vec::new(),
    };
    let shown = match Config::load(&layers) {
        Ok(loaded) => {
            let text = show(&loaded, true);
            let lines = text
                .lines()
                .filter(|line| line.contains('#') && !line.ends_with("# default"));
            lines
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
                .collect()
        }
        Err(error) => format!("{}: {error}\n", error.code()),
    };
    expected.assert_eq(&shown.replace(&format!("{}/", place.0.display()), ""));
}

/// A directory that goes away again.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "kapelle-config-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn flags_go_over_environment_goes_over_file() {
    check(
        "[server]\nrest-address = \"127.0.0.1:1\"\ngrpc-address = \"127.0.0.1:2\"\nmanagement-address = \"127.0.0.1:3\"\n",
        &[
            ("KAPELLE_SERVER__GRPC_ADDRESS", "127.0.0.1:20"),
            ("KAPELLE_SERVER__MANAGEMENT_ADDRESS", "127.0.0.1:30"),
        ],
        vec![Flag {
            key: "server.management-address",
            name: "--management-address",
            value: "127.0.0.1:auto".into(),
        }],
        expect![[r#"
            rest-address = "127.0.0.1:1" # kapelle.toml:2
            grpc-address = "127.0.0.1:20" # environment KAPELLE_SERVER__GRPC_ADDRESS
            management-address = "127.0.0.1:auto" # flag --management-address
        "#]],
    );
}

#[test]
fn text_from_the_environment_stands_for_numbers_and_switches() {
    check(
        "",
        &[
            ("KAPELLE_LIMITS__EVENT_BATCH_COUNT", "7"),
            ("KAPELLE_HISTORY__ENABLED", "false"),
            ("KAPELLE_ADDRESS", "belongs to the client"),
        ],
        Vec::new(),
        expect![[r#"
            event-batch-count = 7 # environment KAPELLE_LIMITS__EVENT_BATCH_COUNT
            enabled = false # environment KAPELLE_HISTORY__ENABLED
        "#]],
    );
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    check(
        "[server]\nrest-adress = \"x\"\ngrpc-address = \"127.0.0.1\"\n[limits]\nmessage-size = \"3 MB\"\n\
         commands-in-flight = \"7\"\n[sevrer]\n[log]\nlevel = \"loud\"\n",
        &[
            ("KAPELLE_DATA__DIRR", "x"),
            ("KAPELLE_HISTORY__ENABLED", "yes"),
        ],
        Vec::new(),
        expect![[r#"
            KAP-1003: accept the configuration:
              environment KAPELLE_DATA__DIRR: `data.dirr` is not a known key; did you mean `dir`?
              environment KAPELLE_HISTORY__ENABLED: `history.enabled` must be true or false, not "yes"
              kapelle.toml:6: `limits.commands-in-flight` must be a whole number, not text
              kapelle.toml:5: `limits.message-size` must be a size such as "64 MiB" (B, KiB, MiB, GiB), not "3 MB"
              kapelle.toml:9: `log.level` must be "error", "warn", "info", "debug" or "trace", not "loud"
              kapelle.toml:3: `server.grpc-address` must be an address such as "127.0.0.1:8080" or "127.0.0.1:auto", not "127.0.0.1"
              kapelle.toml:2: `server.rest-adress` is not a known key; did you mean `rest-address`?
              kapelle.toml:7: `sevrer` is not a known section; did you mean `server`?
        "#]],
    );
}

#[test]
fn values_that_no_server_could_work_with_are_refused() {
    check(
        "[data]\nsegment-size = \"0 B\"\n[limits]\ncommands-in-flight = 0\n[events]\ndedup-window = \"0s\"\n",
        &[("KAPELLE_OUTBOX__ATTEMPTS", "0")],
        Vec::new(),
        expect![[r#"
            KAP-1003: accept the configuration:
              kapelle.toml:2: `data.segment-size` must be between "32 MiB" and "1 GiB"
              kapelle.toml:6: `events.dedup-window` must be between "1m" and "366d"
              kapelle.toml:4: `limits.commands-in-flight` must be between 16 and 1048576
              environment KAPELLE_OUTBOX__ATTEMPTS: `outbox.attempts` must be between 1 and 1000
        "#]],
    );
}

#[test]
fn a_syntax_error_has_line_and_column() {
    check(
        "[server]\nrest-address = \n",
        &[],
        Vec::new(),
        expect![[r#"
            KAP-1002: parse kapelle.toml:2:16: string values must be quoted, expected literal string
        "#]],
    );
}

#[test]
fn sources_and_sinks_need_their_kind_and_one_url() {
    check(
        "[sources.a]\nqueue = \"q\"\n[sources.b]\nkind = \"kafka\"\n[sinks.c]\nkind = \"webhook\"\nurl = \"http://x\"\nurl-env = \"X\"\n\
         [sinks.d]\nkind = \"rabbitmq\"\nurl = \"amqp://x\"\n\
         [sinks.e]\nkind = \"webhook\"\nurl = \"http://x\"\nauthorization-env = \"X\"\nauthorization-file = \"x\"\n\
         [sources.f]\nkind = \"nats\"\nurl = \"nats://x\"\nstraem = \"s\"\n[sinks.g]\nkind = \"nats\"\n\
         [sources.h]\nkind = \"mqtt\"\nurl = \"mqtt://x\"\ntopic = \"t\"\nqos = 0\nversion = \"4\"\n[sinks.i]\nkind = \"mqtt\"\n",
        &[],
        Vec::new(),
        expect![[r#"
            KAP-1003: accept the configuration:
              kapelle.toml:5: `sinks.c` needs exactly one of `url`, `url-env` and `url-file`
              kapelle.toml:9: `sinks.d` needs `exchange`
              kapelle.toml:12: `sinks.e` has both `authorization-env` and `authorization-file`; give one
              kapelle.toml:21: `sinks.g` needs exactly one of `url`, `url-env` and `url-file`
              kapelle.toml:29: `sinks.i` needs exactly one of `url`, `url-env` and `url-file`
              kapelle.toml:1: `sources.a` needs `kind`; known are mqtt, nats, rabbitmq
              kapelle.toml:3: `sources.b` has the unknown kind "kafka"; known are mqtt, nats, rabbitmq
              kapelle.toml:20: `sources.f.straem` is not a known key; did you mean `stream`?
              kapelle.toml:17: `sources.f` needs `stream`
              kapelle.toml:27: `sources.h.qos` must be between 1 and 2
              kapelle.toml:28: `sources.h.version` must be "5" or "3.1.1", not "4"
              kapelle.toml:23: `sources.h` needs `client-id`
        "#]],
    );
}

#[test]
fn secrets_are_never_shown() {
    check(
        "[sinks.shop]\nkind = \"webhook\"\nurl = \"http://user:password@shop\"\n",
        &[],
        Vec::new(),
        expect![[r#"
            kind = "webhook" # kapelle.toml:2
            url = "***" # kapelle.toml:3
        "#]],
    );
    let debug = format!(
        "{:?}",
        <Secret as setting::Setting>::read(&tree::Node {
            raw: tree::Raw::Text("password".into()),
            origin: tree::Origin::Flag("--x".into()),
        })
    );
    assert!(!debug.contains("password"), "{debug}");
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let layers = Layers {
        file: Some("/nowhere/kapelle.toml".into()),
        ..Layers::default()
    };
    let error = Config::load(&layers).unwrap_err();
    assert_eq!(error.code(), "KAP-1001");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let shown = show(&Loaded::default(), false);
    let place = Place::new();
    let path = place.0.join("kapelle.toml");
    std::fs::write(&path, &shown).unwrap();
    let again = Config::load(&Layers {
        file: Some(path),
        ..Layers::default()
    })
    .unwrap();
    assert_eq!(show(&again, false), shown);
}

#[test]
fn the_reference_page_is_fresh() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    expect_file![page].assert_eq(&reference_page());
}

const QUEUE: &str = "[sources.orders]\nkind = \"rabbitmq\"\nurl-env = \"U\"\nqueue = \"q\"\n";

#[test]
fn a_rule_is_shown_as_it_was_written() {
    check(
        &format!(
            "{QUEUE}[sources.orders.rule]\ntype = '\"order.\" + payload.kind'\nkey = '=headers.shop'\n"
        ),
        &[("KAPELLE_SOURCES__ORDERS__RULE__SUBJECT", "routingKey")],
        Vec::new(),
        expect![[r#"
            kind = "rabbitmq" # kapelle.toml:2
            url-env = "U" # kapelle.toml:3
            queue = "q" # kapelle.toml:4
            type = "\"order.\" + payload.kind" # kapelle.toml:6
            subject = "routingKey" # environment KAPELLE_SOURCES__ORDERS__RULE__SUBJECT
            key = "headers.shop" # kapelle.toml:7
        "#]],
    );
}

#[test]
fn a_rule_that_no_record_could_follow_is_refused_with_place_and_remedy() {
    check(
        &format!(
            "{QUEUE}[sources.orders.rule]\ntype = \"order.placed\"\nid = 'paylod.id'\nsubject = 'payload.items[kind = \"x\"].no'\n\
             time = '[1,'\nkey = 7\ntimes = 'x'\n[sources.bills]\nkind = \"rabbitmq\"\nurl-env = \"U\"\nqueue = \"q\"\n\
             rule.type = 'topic'\nrule.data = 'payload'\n[sources.none]\nkind = \"rabbitmq\"\nurl-env = \"U\"\nqueue = \"q\"\nrule.id = 'payload'\n\
             [sources.flat]\nkind = \"rabbitmq\"\nurl-env = \"U\"\nqueue = \"q\"\nrule = 'payload'\n"
        ),
        &[],
        Vec::new(),
        expect![[r#"
            KAP-1003: accept the configuration:
              kapelle.toml:16: `sources.bills.rule.type` reads `topic`, which no record of this source has: it has payload, headers, queue, exchange, routingKey; a text stands in quotes of its own, such as '"order.placed"'
              kapelle.toml:27: `sources.flat.rule` must be a table, not text
              kapelle.toml:22: `sources.none.rule` needs `type`
              kapelle.toml:10: `sources.orders.rule.key` must be a FEEL expression, not a number
              kapelle.toml:9: `sources.orders.rule.time` is no FEEL expression: expected an expression, found the end at line 1 column 4
              kapelle.toml:11: `sources.orders.rule.times` is not a known key; did you mean `time`?
              kapelle.toml:6: `sources.orders.rule.type` reads `order`, which no record of this source has: it has payload, headers, queue, exchange, routingKey; a text stands in quotes of its own, such as '"order.placed"'
              kapelle.toml:7: `sources.orders.rule.id` reads `paylod`, which no record of this source has: did you mean `payload`?
        "#]],
    );
}
