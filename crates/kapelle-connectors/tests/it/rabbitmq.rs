//! RabbitMQ in both directions while all goes well, and with everything that may go wrong short of its own end.

use std::time::Duration;

use kapelle_connectors::rabbitmq::{Consumer, Mode, Publisher, SinkConfig, SourceConfig};
use kapelle_connectors::{Delivery, Publication, Secret, Sink, SinkErrorKind, State};
use kapelle_events::Limits;
use lapin::BasicProperties;
use lapin::message::BasicGetMessage;
use lapin::types::{AMQPValue, FieldTable};

use crate::broker::{Broker, Peer, with_broker};
use crate::door::{Door, Running};
use crate::outage::{QUICK, SINK_TIMEOUT, traffic_over_an_outage};
use crate::script::Server;
use crate::{PATIENCE, event, eventually, numbers};

fn source(broker: &Broker, queue: &str) -> SourceConfig {
    let mut config = SourceConfig::new(broker.url(), queue);
    config.lag_interval = Duration::from_millis(100);
    config.backoff.first = Duration::from_millis(20);
    config
}

fn start(config: SourceConfig, door: &Door) -> Running {
    Running::start(Consumer::new(config), door)
}

/// Publishes CloudEvents with the ids `0`, `1`, … in structured mode.
async fn fill(peer: &Peer, queue: &str, count: usize) {
    for id in 0..count {
        let properties =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        peer.publish(
            queue,
            properties,
            &kapelle_events::json::encode(&event(&id.to_string())),
        )
        .await;
    }
}

#[test]
fn deliveries_become_cloud_events_in_order_and_the_malformed_ones_are_rejected() {
    with_broker("deliveries_become_cloud_events", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("mixed").await;
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "binary"),
            ("source", "/pika"),
            ("type", "order.placed"),
        ] {
            headers.insert(
                format!("cloudEvents:{name}").into(),
                AMQPValue::LongString(value.into()),
            );
        }
        headers.insert("cloudEvents_count".into(), AMQPValue::LongInt(3));
        let binary = BasicProperties::default()
            .with_headers(headers)
            .with_content_type("application/json".into());
        peer.publish("mixed", binary, b"{\"b\": 1.00}").await;
        peer.publish("mixed", BasicProperties::default(), b"no CloudEvent")
            .await;
        fill(&peer, "mixed", 1).await;
        let structured =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        peer.publish("mixed", structured, b"{\"specversion\":\"0.3\"}")
            .await;

        let door = Door::open();
        let running = start(source(&broker, "mixed"), &door);
        eventually("four deliveries are taken", || door.count() == 4).await;
        expect_test::expect![[r#"
            binary
            rejected: neither CloudEvents headers nor a CloudEvents content type are present
            0
            rejected: specversion "0.3" is not supported, expected "1.0"
        "#]]
        .assert_eq(&(door.ids().join("\n") + "\n"));
        let [Delivery::Event(first), Delivery::Rejected(second), ..] = &door.taken()[..] else {
            panic!()
        };
        assert_eq!(first.data().unwrap().as_bytes(), b"{\"b\": 1.00}");
        assert_eq!(
            first.extension("count"),
            Some(&kapelle_events::Value::Integer(3))
        );
        assert_eq!(
            (&second.place[0], second.body.as_slice()),
            (&("queue", "mixed".to_owned()), b"no CloudEvent".as_slice())
        );

        eventually("the last acknowledgement is on its way", || {
            running.handle.snapshot().accepted == 2
        })
        .await;
        let status = running.handle.snapshot();
        assert_eq!(
            (status.received, status.rejected, status.connects),
            (4, 2, 1)
        );
        assert!(
            status.healthy() && status.last_error.is_none() && status.last_success.is_some(),
            "{status:?}"
        );
        running.stop().await;
        assert_eq!(peer.ready("mixed").await, 0);
    });
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    with_broker("nothing_is_acknowledged_before", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("crash").await;
        fill(&peer, "crash", 10).await;
        let shut = Door::shut();
        let running = start(source(&broker, "crash"), &shut);
        eventually("the deliveries wait at the door", || {
            running.handle.snapshot().received > 0
        })
        .await;
        running.abort();
        let door = Door::open();
        let running = start(source(&broker, "crash"), &door);
        eventually("all come again", || door.count() >= 10).await;
        assert_eq!(door.ids(), numbers(10));
        assert_eq!(shut.count(), 0);
        running.stop().await;
        assert_eq!(peer.ready("crash").await, 0);
    });
}

#[test]
fn a_malformed_record_that_comes_again_looks_as_it_did() {
    with_broker("a_malformed_record_that_comes_again", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("again").await;
        let mut headers = FieldTable::default();
        headers.insert("shop".into(), AMQPValue::LongString("north".into()));
        let properties = BasicProperties::default()
            .with_message_id("m-1".into())
            .with_headers(headers);
        peer.publish("again", properties, b"no CloudEvent").await;
        let shut = Door::shut();
        let running = start(source(&broker, "again"), &shut);
        eventually("it is received", || running.handle.snapshot().received == 1).await;
        running.abort();
        let door = Door::open();
        let running = start(source(&broker, "again"), &door);
        eventually("it is taken", || door.count() == 1).await;
        let [Delivery::Rejected(rejected)] = &door.taken()[..] else {
            panic!()
        };
        // Not how often the broker has delivered it, which it tells in a header.
        let told: Vec<_> = rejected
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(told, [("message-id", "m-1"), ("shop", "north")]);
        running.stop().await;
    });
}

#[test]
fn an_overloaded_engine_gets_the_same_batch_again_in_order() {
    with_broker("an_overloaded_engine", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("overload").await;
        fill(&peer, "overload", 20).await;
        let door = Door::open();
        door.refuse_next(4);
        let running = start(source(&broker, "overload"), &door);
        eventually("all are taken in the end", || door.count() >= 20).await;
        assert_eq!(door.ids(), numbers(20));
        let status = running.handle.snapshot();
        assert_eq!((status.ingest_retries, status.connects), (4, 1));
        assert_eq!(
            status.last_error.unwrap().message,
            "the engine is overloaded"
        );
        running.stop().await;
        assert_eq!(peer.ready("overload").await, 0);
    });
}

#[test]
fn batches_keep_the_bounds_of_the_engine() {
    with_broker("batches_keep_the_bounds", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("bounds").await;
        fill(&peer, "bounds", 6).await;
        peer.publish("bounds", BasicProperties::default(), &[b'x'; 900])
            .await;
        fill(&peer, "bounds", 6).await;
        let limits = Limits {
            batch_events_max: 4,
            batch_bytes_max: 800,
            ..Limits::DEFAULT
        };
        let door = Door::open();
        door.refuse_next(4); // Meanwhile all deliveries arrive, so that only the bounds end a batch.
        let running = start(
            SourceConfig {
                limits,
                ..source(&broker, "bounds")
            },
            &door,
        );
        eventually("all are taken", || door.count() == 13).await;
        let batches = door.batches();
        let taken = door.taken();
        let mut rest = taken.as_slice();
        for count in &batches {
            let (batch, after) = rest.split_at(*count);
            let alone = batch.len() == 1;
            let large = batch
                .iter()
                .any(|delivery| matches!(delivery, Delivery::Rejected(_)));
            assert!(*count <= 4 && (alone || !large), "{batches:?}");
            rest = after;
        }
        assert!(
            batches.contains(&4),
            "no batch was as large as it may be: {batches:?}"
        );
        running.stop().await;
        assert_eq!(peer.ready("bounds").await, 0);
    });
}

#[test]
fn the_prefetch_holds_the_rest_back_at_the_broker() {
    with_broker("the_prefetch_holds_the_rest_back", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("prefetch").await;
        fill(&peer, "prefetch", 30).await;
        let door = Door::shut();
        let running = start(
            SourceConfig {
                prefetch: 7,
                ..source(&broker, "prefetch")
            },
            &door,
        );
        eventually("something waits at the door", || {
            running.handle.snapshot().received > 0
        })
        .await;
        // What is beyond the prefetch stays ready for others; it would be gone at once if there were no limit.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(peer.ready("prefetch").await, 23);
        assert!(running.handle.snapshot().received <= 7);
        door.let_through();
        eventually("then all come", || door.count() == 30).await;
        running.stop().await;
    });
}

#[test]
fn a_paused_source_gives_its_deliveries_back_and_goes_on_later() {
    with_broker("a_paused_source", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("pause").await;
        let door = Door::open();
        let running = start(source(&broker, "pause"), &door);
        eventually("it runs", || {
            running.handle.snapshot().state == State::Running
        })
        .await;
        running.handle.pause();
        eventually("it is paused", || {
            running.handle.snapshot().state == State::Paused
        })
        .await;
        fill(&peer, "pause", 5).await;
        assert_eq!((peer.ready("pause").await, door.count()), (5, 0));
        running.handle.resume();
        eventually("it goes on", || door.count() == 5).await;
        running.stop().await;
    });
}

#[test]
fn the_length_of_the_queue_is_the_lag() {
    with_broker("the_length_of_the_queue", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("lag").await;
        let door = Door::open();
        let running = start(
            SourceConfig {
                prefetch: 1,
                ..source(&broker, "lag")
            },
            &door,
        );
        eventually("an empty queue has no lag", || {
            running.handle.snapshot().lag == Some(0)
        })
        .await;
        running.stop().await;
        fill(&peer, "lag", 5).await;
        let running = start(
            SourceConfig {
                prefetch: 1,
                ..source(&broker, "lag")
            },
            &Door::shut(),
        );
        eventually("the rest is lag", || {
            running.handle.snapshot().lag.is_some_and(|lag| lag >= 4)
        })
        .await;
        running.abort();
    });
}

#[test]
fn a_missing_queue_is_an_error_or_made_as_a_quorum_queue() {
    with_broker("a_missing_queue", |broker| async move {
        let door = Door::open();
        let running = start(source(&broker, "missing"), &door);
        eventually("it says what is wrong", || {
            running.handle.snapshot().last_error.is_some()
        })
        .await;
        let error = running.handle.snapshot().last_error.unwrap().message;
        assert!(
            error.starts_with("look for the queue: ") && error.contains("NOT_FOUND"),
            "{error}"
        );
        assert!(!running.handle.snapshot().healthy());
        running.stop().await;

        let running = start(
            SourceConfig {
                declare: true,
                ..source(&broker, "missing")
            },
            &door,
        );
        eventually("it runs", || {
            running.handle.snapshot().state == State::Running
        })
        .await;
        let peer = broker.connect().await;
        peer.quorum_queue("missing").await; // Fails if it is there with another type.
        running.stop().await;
    });
}

#[test]
fn over_tls_a_broker_of_a_private_authority_is_met_by_who_trusts_it() {
    with_broker("over_tls", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("tls").await;
        peer.exchange("tls-out", "tls", "order.placed").await;
        let url = Secret::Plain(broker.tls_url());
        let publisher = Publisher::new(SinkConfig {
            ca_file: Some(broker.server.ca()),
            ..SinkConfig::new(url.clone(), "tls-out")
        });
        let placed = event("1");
        let publication = Publication {
            event: &placed,
            target: None,
            attempt: 1,
        };
        publisher.publish(publication).await.unwrap();
        // Nobody else vouches for it.
        let strange = SourceConfig {
            url: url.clone(),
            ..source(&broker, "tls")
        };
        let door = Door::open();
        let running = start(strange.clone(), &door);
        eventually("it says what is wrong", || {
            running.handle.snapshot().last_error.is_some()
        })
        .await;
        let error = running.handle.snapshot().last_error.unwrap().message;
        assert!(error.contains("UnknownIssuer"), "{error}");
        assert!(!error.contains("guest"), "{error}");
        running.stop().await;
        let stranger = Publisher::new(SinkConfig::new(url, "tls-out"));
        let error = stranger.publish(publication).await.unwrap_err();
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        assert!(error.retryable());
        let missing = SourceConfig {
            ca_file: Some("/no/such/ca.pem".into()),
            ..strange.clone()
        };
        let running = start(missing, &door);
        eventually("it says which file", || {
            running.handle.snapshot().last_error.is_some()
        })
        .await;
        let error = running.handle.snapshot().last_error.unwrap().message;
        assert!(
            error.starts_with("read the certificates in /no/such/ca.pem: "),
            "{error}"
        );
        running.stop().await;
        assert_eq!(door.count(), 0);
        let trusting = SourceConfig {
            ca_file: Some(broker.server.ca()),
            ..strange
        };
        let running = start(trusting, &door);
        eventually("the event is taken", || door.ids() == ["1"]).await;
        running.stop().await;
        assert_eq!(peer.ready("tls").await, 0);
    });
}

#[test]
fn a_refused_login_is_told_without_the_password() {
    with_broker("a_refused_login", |broker| async move {
        let url = broker.url_of("guest", "very-secret");
        let running = start(
            SourceConfig {
                url: Secret::Plain(url.clone()),
                ..source(&broker, "x")
            },
            &Door::open(),
        );
        eventually("it says what is wrong", || {
            running.handle.snapshot().last_error.is_some()
        })
        .await;
        let error = running.handle.snapshot().last_error.unwrap().message;
        assert!(
            error.contains("ACCESS_REFUSED") && !error.contains("very-secret"),
            "{error}"
        );
        running.stop().await;

        let sink = Publisher::new(SinkConfig::new(Secret::Plain(url), ""));
        let publication = Publication {
            event: &event("1"),
            target: None,
            attempt: 1,
        };
        let error = sink.publish(publication).await.unwrap_err();
        assert!(
            error.retryable() && error.message.contains("ACCESS_REFUSED"),
            "{error}"
        );
        // The broker is left alone for a while, and the answer still says why.
        let error = sink.publish(publication).await.unwrap_err();
        assert!(
            error.message.contains("not tried again yet")
                && error.message.contains("ACCESS_REFUSED"),
            "{error}"
        );
    });
}

#[test]
fn a_published_cloud_event_is_in_the_queue_when_the_answer_comes() {
    with_broker("a_published_cloud_event", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("out").await;
        peer.exchange("events", "out", "order.placed").await;
        let sink = Publisher::new(SinkConfig::new(broker.url(), "events"));
        let sent = event("1")
            .to_builder()
            .correlation_id("c")
            .subject("größe")
            .build()
            .unwrap();
        sink.publish(Publication {
            event: &sent,
            target: None,
            attempt: 2,
        })
        .await
        .unwrap();
        let message = peer.get("out").await.unwrap();
        assert_eq!(message.data, b"{ \"a\": 1.0 }");
        assert_eq!(
            message.properties.content_type().as_ref().unwrap().as_str(),
            "application/json"
        );
        assert_eq!(message.properties.delivery_mode(), &Some(2));
        let headers = message.properties.headers().as_ref().unwrap().inner();
        let text = |name: &str| match headers.get(name) {
            Some(AMQPValue::LongString(text)) => {
                String::from_utf8(text.as_bytes().to_vec()).unwrap()
            }
            other => format!("{other:?}"),
        };
        assert_eq!(text("cloudEvents_id"), "1");
        assert_eq!(text("cloudEvents_correlationid"), "c");
        assert_eq!(text("cloudEvents_subject"), "größe");
        assert_eq!(
            headers.get("kapelle-attempt"),
            Some(&AMQPValue::LongUInt(2))
        );

        let structured = Publisher::new(SinkConfig {
            mode: Mode::Structured,
            ..SinkConfig::new(broker.url(), "events")
        });
        structured
            .publish(Publication {
                event: &sent,
                target: None,
                attempt: 1,
            })
            .await
            .unwrap();
        let message = peer.get("out").await.unwrap();
        let limits = Limits::DEFAULT;
        assert_eq!(
            kapelle_events::json::decode(&message.data, &limits).unwrap(),
            sent
        );
        assert_eq!(
            (
                sink.handle().snapshot().published,
                sink.handle().snapshot().connects
            ),
            (1, 1)
        );
        sink.close().await;
        structured.close().await;
    });
}

#[test]
fn among_many_at_once_exactly_the_unroutable_ones_fail() {
    with_broker("among_many_at_once", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("many").await;
        let sink = std::sync::Arc::new(Publisher::new(SinkConfig::new(broker.url(), "")));
        let publish = |id: usize| {
            let sink = sink.clone();
            tokio::spawn(async move {
                let event = event(&id.to_string());
                let target = if id.is_multiple_of(3) {
                    "nowhere"
                } else {
                    "many"
                };
                sink.publish(Publication {
                    event: &event,
                    target: Some(target),
                    attempt: 1,
                })
                .await
            })
        };
        let attempts: Vec<_> = (0..300).map(publish).collect();
        for (id, attempt) in attempts.into_iter().enumerate() {
            let kind = attempt.await.unwrap().err().map(|error| error.kind);
            assert_eq!(
                kind,
                (id % 3 == 0).then_some(SinkErrorKind::Unroutable),
                "{id}"
            );
        }
        assert_eq!(peer.ready("many").await, 200);
        let status = sink.handle().snapshot();
        assert_eq!(
            (status.published, status.publish_failures, status.connects),
            (200, 100, 1)
        );
    });
}

#[test]
fn a_missing_exchange_and_impossible_names_are_told() {
    with_broker("a_missing_exchange", |broker| async move {
        let publication = |target| Publication {
            event: Box::leak(Box::new(event("1"))),
            target,
            attempt: 1,
        };
        let sink = Publisher::new(SinkConfig::new(broker.url(), "no-such-exchange"));
        let error = sink.publish(publication(None)).await.unwrap_err();
        assert!(
            error.retryable() && error.message.contains("NOT_FOUND"),
            "{error}"
        );
        let long = "x".repeat(256);
        let error = sink
            .publish(publication(Some(&*long.leak())))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the routing key is longer than the 255 bytes that AMQP allows"
        );
        assert!(!error.retryable());
        let broken = Publisher::new(SinkConfig::new(
            Secret::Plain("http://u:secret@h".to_owned()),
            "x",
        ));
        let error = broken.publish(publication(None)).await.unwrap_err();
        assert!(
            !error.retryable() && !error.message.contains("secret"),
            "{error}"
        );
    });
}

#[test]
fn a_message_that_breaks_the_rules_of_amqp_is_told_and_the_source_still_ends() {
    with_broker("a_message_that_breaks_the_rules", |broker| async move {
        let peer = broker.connect().await;
        peer.quorum_queue("poison").await;
        let address = broker.address();
        let publishing = move || crate::raw::publish(address, "poison", b"\xff\xfe");
        tokio::task::spawn_blocking(publishing).await.unwrap();
        let config = SourceConfig {
            timeout: Duration::from_secs(1),
            ..source(&broker, "poison")
        };
        let running = start(config, &Door::open());
        // It must not hang at any of the moments at which the connection may break.
        eventually("it tried often", || running.handle.snapshot().connects > 5).await;
        let told = || {
            running
                .handle
                .snapshot()
                .last_error
                .unwrap()
                .message
                .starts_with("a message can't be read, ")
        };
        eventually("it says what is wrong", told).await;
        running.stop().await;
        // The broker takes its time to notice that the last connection is gone.
        let back = async {
            while peer.ready("poison").await == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, back)
            .await
            .expect("the message is still there");
    });
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Secret::Plain(format!(
        "amqp://guest:guest@{}/%2f",
        silent.local_addr().unwrap()
    ));
    let timeout = Duration::from_millis(200);
    let running = start(
        SourceConfig {
            timeout,
            ..SourceConfig::new(url.clone(), "x")
        },
        &Door::open(),
    );
    eventually("it gives up", || {
        running.handle.snapshot().last_error.is_some()
    })
    .await;
    assert_eq!(
        running.handle.snapshot().last_error.unwrap().message,
        "connect to RabbitMQ: no answer in time"
    );
    running.stop().await;
    let sink = Publisher::new(SinkConfig {
        timeout,
        ..SinkConfig::new(url, "")
    });
    let error = sink
        .publish(Publication {
            event: &event("1"),
            target: None,
            attempt: 1,
        })
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.retryable()),
        (SinkErrorKind::Timeout, true)
    );
}

/// A quorum queue that is younger than this may be lost by `kill -9` (seen with 3.10).
const QUEUE_SETTLES: Duration = Duration::from_secs(8);

#[test]
fn nothing_is_lost_when_the_broker_is_stopped_and_started() {
    with_broker("nothing_is_lost_when_stopped", |broker| async move {
        outage(&broker, "stopped", Server::stop).await;
    });
}

#[test]
fn nothing_is_lost_when_the_broker_is_killed() {
    with_broker("nothing_is_lost_when_killed", |broker| async move {
        outage(&broker, "killed", Server::kill9).await;
    });
}

async fn outage(broker: &Broker, name: &str, end: fn(&Server)) {
    let exchange = format!("{name}-exchange");
    {
        let peer = broker.connect().await;
        peer.quorum_queue(name).await;
        peer.exchange(&exchange, name, "order.placed").await;
        tokio::time::sleep(QUEUE_SETTLES).await;
    }
    let source = Consumer::new(SourceConfig {
        backoff: QUICK,
        ..SourceConfig::new(broker.url(), name)
    });
    let sink = Publisher::new(SinkConfig {
        backoff: QUICK,
        timeout: SINK_TIMEOUT,
        ..SinkConfig::new(broker.url(), exchange)
    });
    let door = traffic_over_an_outage(&broker.server, source, sink, end).await;
    // A CloudEvent that was sent twice around the outage may have been on its way once more: it goes back to the queue.
    let peer = broker.connect().await;
    while let Some(left) = peer.get(name).await {
        let id = cloud_event_id(&left);
        assert!(
            door.distinct().contains(&id),
            "{id} is left in the queue and was never taken"
        );
    }
}

fn cloud_event_id(message: &BasicGetMessage) -> String {
    let headers = message.properties.headers().as_ref().unwrap().inner();
    match headers.get("cloudEvents_id") {
        Some(AMQPValue::LongString(id)) => String::from_utf8(id.as_bytes().to_vec()).unwrap(),
        other => panic!("no id of a CloudEvent: {other:?}"),
    }
}
