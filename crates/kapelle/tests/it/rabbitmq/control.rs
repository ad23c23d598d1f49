//! `kapelle sources` and `kapelle sinks` against a real broker.

use expect_test::expect;

use super::broker::{Broker, with_broker};
use super::eventually;
use super::partner::{Fact, Partner};
use crate::events::receiver;
use crate::found;
use crate::http;
use crate::program::{Ended, Place};
use crate::server::{Server, TempDir};

fn kapelle(server: &Server, arguments: &[&str]) -> Ended {
    let address = [("KAPELLE_ADDRESS", server.rest.as_str())];
    Place::new().run_with(arguments, &address, "")
}

fn source(broker: &Broker, name: &str, queue: &str, more: &str) -> String {
    let url = broker.url_of("guest", "guest");
    format!("[sources.{name}]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nqueue = \"{queue}\"\n{more}\n")
}

fn state(server: &Server, name: &str) -> String {
    http::get(&server.rest, &format!("/v2/kapelle/sources/{name}")).member("state")
}

fn came_in(server: &Server) -> usize {
    found::events(&server.rest, "&direction=in").len()
}

#[test]
fn a_paused_source_takes_nothing_in_also_after_a_restart() {
    with_broker("a_paused_source", |broker| async move {
        let dir = TempDir::new();
        let config = source(&broker, "orders", "paused-orders", "");
        let mut partner = Partner::new(&broker, "paused-orders", "completed").await;
        let server = Server::start_in(dir.path(), &config);
        partner.send(&Fact::new(1)).await;
        eventually("the first is in", async || came_in(&server) == 1).await;
        let told = kapelle(&server, &["sources", "pause", "orders"]);
        expect![[r#"
            --- stderr
            source orders is paused and takes nothing in, also after a restart
            --- exit 0
        "#]]
        .assert_eq(&told.text());
        // Whatever happens to it, and how often it is told so.
        let told = kapelle(&server, &["sources", "pause", "orders", "--output", "json"]);
        assert_eq!(
            told.stdout,
            "{\"name\":\"orders\",\"state\":\"PAUSED\",\"paused\":true}\n"
        );
        for number in 2..10 {
            partner.send(&Fact::new(number)).await;
        }
        server.kill();
        let server = Server::start_in(dir.path(), &config);
        assert_eq!(state(&server, "orders"), "PAUSED");
        eventually("all wait at the broker", async || {
            partner.waiting("paused-orders").await == 8
        })
        .await;
        assert_eq!(came_in(&server), 1);
        let told = kapelle(&server, &["sources", "resume", "orders"]);
        assert_eq!(told.code, 0, "{}", told.text());
        eventually("all are in", async || came_in(&server) == 9).await;
        assert!(server.stop().success());
        let server = Server::start_in(dir.path(), &config);
        eventually("it runs", async || state(&server, "orders") == "RUNNING").await;
        let told = kapelle(&server, &["sources", "pause", "bills"]);
        assert_eq!(told.code, 5, "{}", told.text());
        assert!(server.stop().success());
    });
}

#[test]
fn a_source_without_its_broker_can_be_paused() {
    with_broker("a_source_without_its_broker", |broker| async move {
        let config = source(&broker, "orders", "no-such-queue", "");
        let server = Server::start_with(&config);
        eventually("it tries again", async || {
            state(&server, "orders") == "BACKING_OFF"
        })
        .await;
        let told = kapelle(&server, &["sources", "pause", "orders", "--output", "name"]);
        assert_eq!((told.code, told.stdout.as_str()), (0, "orders\n"));
        assert_eq!(state(&server, "orders"), "PAUSED");
        assert!(server.stop().success());
    });
}

#[test]
fn sources_and_sinks_tell_state_throughput_and_the_last_error() {
    with_broker("sources_and_sinks_tell", |broker| async move {
        let (hook, received) = receiver(&[500]);
        let config = source(&broker, "orders", "told-orders", "")
            + &format!(
                "[sinks.hook]\nkind = \"webhook\"\nurl = \"{hook}\"\n[outbox]\nbackoff = \"50ms\"\n"
            );
        let mut partner = Partner::new(&broker, "told-orders", "completed").await;
        let server = Server::start_with(&config);
        let process = crate::models::event_to_event("order", "hook");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        partner.send(&Fact::new(1)).await;
        partner.raw(None, b"no CloudEvent").await;
        received.recv_timeout(super::PATIENCE).unwrap();
        received.recv_timeout(super::PATIENCE).unwrap();
        let shown = |path: &str| http::get(&server.rest, path);
        // A rate is that of the last seconds: it must be seen before it is nothing again.
        let is_fast = |shown: &http::Answer| {
            let rate = shown.member("perSecond").parse::<f64>();
            rate.is_ok_and(|rate| rate > 0.0)
        };
        let (mut came, mut went) = (false, false);
        eventually("both have counted", async || {
            let source = shown("/v2/kapelle/sources/orders");
            let sink = shown("/v2/kapelle/sinks/hook");
            came |= is_fast(&source);
            went |= is_fast(&sink);
            let is_counted = source.member("received") == "2"
                && source.member("lag") == "0"
                && sink.member("published") == "1";
            came && went && is_counted
        })
        .await;
        let neutral = |ended: Ended| {
            let rate = |word: &str| {
                let is_rate = word.contains('.') && word.parse::<f64>().is_ok();
                if is_rate {
                    "R".to_owned()
                } else {
                    word.to_owned()
                }
            };
            let lines = ended.stdout.lines().map(|line| {
                let words: Vec<_> = line.split_whitespace().map(rate).collect();
                words.join(" ") + "\n"
            });
            lines.collect::<String>()
        };
        expect![[r#"
            NAME KIND STATE LAG A SECOND ACCEPTED DUPLICATES REJECTED LAST ERROR
            orders rabbitmq RUNNING 0 R 1 0 1
        "#]]
        .assert_eq(&neutral(kapelle(&server, &["sources", "list"])));
        expect![[r#"
            NAME KIND STATE A SECOND PUBLISHED FAILED LAST ERROR
            hook webhook RUNNING R 1 1 post: the receiver answered 500 Internal Server Error
        "#]]
        .assert_eq(&neutral(kapelle(&server, &["sinks", "list"])));
        broker.server.stop();
        eventually("the loss is told", async || {
            let source = shown("/v2/kapelle/sources/orders");
            source.member("healthy") == "false"
                && source.member("lag") == "null"
                && source.member("lastError") != "null"
                && source.member("lastErrorTime").ends_with('Z')
        })
        .await;
        assert!(server.stop().success());
    });
}

#[test]
fn a_test_says_whether_a_connector_could_work_and_changes_nothing() {
    with_broker("a_test_says", |broker| async move {
        let (hook, _received) = receiver(&[405]);
        let url = broker.url_of("guest", "guest");
        let wrong = broker.url_of("guest", "wrong");
        let sink = |name: &str, url: &str, exchange: &str| {
            format!(
                "[sinks.{name}]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nexchange = \"{exchange}\"\n"
            )
        };
        let config = [
            source(&broker, "orders", "tested-orders", ""),
            source(&broker, "missing", "tested-missing", ""),
            source(&broker, "made", "tested-made", "declare = true"),
            sink("partner", &url, "out"),
            sink("nowhere", &url, "no-such-exchange"),
            sink("stranger", &wrong, "out"),
            format!("[sinks.hook]\nkind = \"webhook\"\nurl = \"{hook}\"\n"),
            "[sinks.deaf]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n".to_owned(),
        ]
        .concat();
        // Paused before they ever met the broker.
        let dir = TempDir::new();
        broker.server.stop();
        let server = Server::start_in(dir.path(), &config);
        for name in ["orders", "made"] {
            let told = kapelle(&server, &["sources", "pause", name]);
            assert_eq!(told.code, 0, "{}", told.text());
        }
        assert!(server.stop().success());
        broker.server.start();
        let mut partner = Partner::new(&broker, "tested-orders", "completed").await;
        let server = Server::start_in(dir.path(), &config);
        partner.send(&Fact::new(1)).await;
        let mut seen = String::new();
        for (what, name) in [
            ("sources", "orders"),
            ("sources", "missing"),
            ("sources", "made"),
            ("sources", "unknown"),
            ("sinks", "partner"),
            ("sinks", "nowhere"),
            ("sinks", "stranger"),
            ("sinks", "hook"),
            ("sinks", "deaf"),
            ("sinks", "unknown"),
        ] {
            let told = kapelle(&server, &[what, "test", name]);
            seen.push_str(&format!("# {what} {name}: {}\n{}", told.code, told.stdout));
        }
        expect![[r##"
            # sources orders: 0
            good  connection: the broker answers
            good  queue: "tested-orders" holds 1 messages and has 0 consumers
            # sources missing: 1
            good  connection: the broker answers
            bad   queue: look for the queue: protocol error: AMQP soft error: NOT-FOUND: NOT_FOUND - no queue 'tested-missing' in vhost '/'
            # sources made: 0
            good  connection: the broker answers
            good  queue: "tested-made" does not exist yet; the source makes it
            # sources unknown: 5
            # sinks partner: 0
            good  connection: the broker answers
            good  exchange: "out" exists
            # sinks nowhere: 1
            good  connection: the broker answers
            bad   exchange: look for the exchange: protocol error: AMQP soft error: NOT-FOUND: NOT_FOUND - no exchange 'no-such-exchange' in vhost '/'
            # sinks stranger: 1
            bad   connection: connect to RabbitMQ: protocol error: AMQP soft error: ACCESS-REFUSED: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.
            # sinks hook: 0
            good  connection: the receiver answered OPTIONS with 405 Method Not Allowed
            # sinks deaf: 1
            bad   connection: connect: Connection refused (os error 111)
            # sinks unknown: 5
        "##]].assert_eq(&seen);
        assert_eq!(
            partner.waiting("tested-orders").await,
            1,
            "nothing is taken"
        );
        let told = kapelle(&server, &["sinks", "test", "deaf", "--output", "json"]);
        assert_eq!(told.code, 1);
        expect![[r#"
            {
              "name": "deaf",
              "good": false,
              "checks": [
                {
                  "check": "connection",
                  "good": false,
                  "text": "connect: Connection refused (os error 111)"
                }
              ]
            }
            --- stderr
            error[KAP-2109]: sink deaf cannot work now
            hint: what is wrong is said above; the configuration and the other side have to agree
            --- exit 1
        "#]]
        .assert_eq(&told.text());
        assert!(server.stop().success());
    });
}
