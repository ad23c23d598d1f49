//! NATS in both directions while all goes well, and with everything that may go wrong.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use kapelle_connectors::nats::{Consumer, Mode, Publisher, SinkConfig, SourceConfig};
use kapelle_connectors::{Delivery, Publication, Secret, Sink, SinkErrorKind, State};
use kapelle_events::Limits;

use crate::door::{Door, Running};
use crate::nats_server::{Nats, Peer, with_nats};
use crate::outage::{QUICK, SINK_TIMEOUT, traffic_over_an_outage};
use crate::script::Server;
use crate::{PATIENCE, event, eventually, numbers};

/// Longer than any test: what comes again did not come because somebody waited.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn source(nats: &Nats, stream: &str) -> SourceConfig {
    let mut config = SourceConfig::new(nats.url(), stream, "kapelle");
    config.declare = true;
    config.ack_wait = Duration::from_secs(2);
    config.lag_interval = Duration::from_millis(100);
    config.backoff = QUICK;
    config
}

fn start(config: SourceConfig, door: &Door) -> Running {
    Running::start(Consumer::new(config), door)
}

/// Publishes CloudEvents with the ids `0`, `1`, … in structured mode.
async fn fill(peer: &Peer, stream: &str, count: usize) {
    for id in 0..count {
        let body = kapelle_events::json::encode(&event(&id.to_string()));
        let headers = [("Content-Type", "application/cloudevents+json")];
        peer.publish(stream, &headers, &body).await;
    }
}

/// The server takes its time to note an acknowledgement.
async fn eventually_left(peer: &Peer, stream: &str, count: u64) {
    let left = async {
        while peer.left(stream).await != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, left)
        .await
        .expect("the others are acknowledged");
}

/// What a source says that can't work.
async fn told(config: SourceConfig) -> String {
    let running = start(config, &Door::open());
    eventually("it says what is wrong", || {
        running.handle.snapshot().last_error.is_some()
    })
    .await;
    assert!(!running.handle.snapshot().healthy());
    let error = running.handle.snapshot().last_error.unwrap().message;
    running.stop().await;
    error
}

#[test]
fn deliveries_become_cloud_events_in_order_and_the_malformed_ones_are_rejected() {
    with_nats("deliveries_become_cloud_events", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("mixed").await;
        let binary = [
            ("ce-specversion", "1.0"),
            ("ce-id", "binary"),
            ("ce-source", "/other"),
            ("ce-type", "order.placed"),
            ("ce-datacontenttype", "application/json"),
            ("CE-Subject", "gr%C3%B6%C3%9Fe"),
        ];
        peer.publish("mixed.north", &binary, b"{\"b\": 1.00}").await;
        peer.publish("mixed.south", &[("shop", "south")], b"no CloudEvent")
            .await;
        fill(&peer, "mixed", 1).await;
        let bare = br#"{"specversion":"1.0","id":"bare","source":"/s","type":"t"}"#;
        peer.publish("mixed", &[], bare).await;
        peer.publish("mixed", &[], b"{\"specversion\":\"0.3\"}")
            .await;

        let door = Door::open();
        let running = start(source(&nats, "mixed"), &door);
        eventually("five deliveries are taken", || door.count() == 5).await;
        expect_test::expect![[r#"
            binary
            rejected: neither CloudEvents headers nor a CloudEvents content type are present
            0
            bare
            rejected: specversion "0.3" is not supported, expected "1.0"
        "#]]
        .assert_eq(&(door.ids().join("\n") + "\n"));
        let [Delivery::Event(first), Delivery::Rejected(second), ..] = &door.taken()[..] else {
            panic!()
        };
        assert_eq!(first.data().unwrap().as_bytes(), b"{\"b\": 1.00}");
        assert_eq!(first.subject(), Some("größe"));
        assert_eq!(
            (&second.place[..], second.body.as_slice()),
            (
                &[
                    ("stream", "mixed".to_owned()),
                    ("subject", "mixed.south".to_owned())
                ][..],
                b"no CloudEvent".as_slice()
            )
        );
        let headers = [
            ("subject", "mixed.south"),
            ("sequence", "2"),
            ("shop", "south"),
        ];
        assert_eq!(
            second.headers,
            headers.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );

        eventually_left(&peer, "mixed", 0).await;
        let status = running.handle.snapshot();
        assert_eq!(
            (status.received, status.accepted, status.rejected),
            (5, 3, 2)
        );
        assert!(
            status.healthy() && status.last_error.is_none() && status.connects == 1,
            "{status:?}"
        );
        running.stop().await;
    });
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    with_nats("nothing_is_acknowledged_before", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("crash").await;
        fill(&peer, "crash", 10).await;
        let shut = Door::shut();
        let running = start(source(&nats, "crash"), &shut);
        eventually("deliveries wait at the door", || {
            running.handle.snapshot().received > 0
        })
        .await;
        running.abort();
        assert_eq!(peer.consumer("crash").await.ack_floor.stream_sequence, 0);
        let door = Door::open();
        let running = start(source(&nats, "crash"), &door);
        eventually("all come again", || door.distinct().len() == 10).await;
        assert_eq!(shut.count(), 0);
        eventually_left(&peer, "crash", 0).await;
        running.stop().await;
    });
}

#[test]
fn a_malformed_record_that_comes_again_looks_as_it_did() {
    with_nats("a_malformed_record_that_comes_again", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("again").await;
        let headers = [("shop", "north"), ("a", "1"), ("b", "2"), ("c", "3")];
        peer.publish("again", &headers, b"no CloudEvent").await;
        let door = Door::open();
        // Taken, and then the crash is before the acknowledgement.
        let shut = Door::shut();
        let running = start(source(&nats, "again"), &shut);
        eventually("it is received", || running.handle.snapshot().received == 1).await;
        shut.let_through();
        eventually("it is taken", || shut.count() == 1).await;
        running.abort();
        peer.jetstream
            .delete_consumer_from_stream("kapelle", "again")
            .await
            .unwrap();
        let running = start(source(&nats, "again"), &door);
        eventually("it is taken again", || door.count() == 1).await;
        assert_eq!(door.taken(), shut.taken());
        running.stop().await;
    });
}

#[test]
fn an_overloaded_engine_gets_the_same_batch_again_in_order() {
    with_nats("an_overloaded_engine", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("overload").await;
        fill(&peer, "overload", 20).await;
        let door = Door::open();
        door.refuse_next(4);
        let running = start(source(&nats, "overload"), &door);
        eventually("all are taken in the end", || door.count() >= 20).await;
        assert_eq!(door.ids(), numbers(20));
        let status = running.handle.snapshot();
        assert_eq!((status.ingest_retries, status.connects), (4, 1));
        assert_eq!(
            status.last_error.unwrap().message,
            "the engine is overloaded"
        );
        eventually_left(&peer, "overload", 0).await;
        running.stop().await;
    });
}

#[test]
fn batches_keep_the_bounds_of_the_engine() {
    with_nats("batches_keep_the_bounds", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("bounds").await;
        fill(&peer, "bounds", 6).await;
        peer.publish("bounds", &[], &[b'x'; 900]).await;
        fill(&peer, "bounds", 6).await;
        let limits = Limits {
            batch_events_max: 4,
            batch_bytes_max: 800,
            ..Limits::DEFAULT
        };
        let door = Door::open();
        door.refuse_next(4); // Meanwhile all deliveries arrive, so that only the bounds end a batch.
        let config = SourceConfig {
            limits,
            ..source(&nats, "bounds")
        };
        let running = start(config, &door);
        eventually("all are taken", || door.count() == 13).await;
        let batches = door.batches();
        assert!(batches.iter().all(|count| *count <= 4), "{batches:?}");
        assert!(batches.contains(&4), "none was full: {batches:?}");
        let mut taken = door.taken().into_iter();
        for count in &batches {
            let batch: Vec<_> = taken.by_ref().take(*count).collect();
            let is_large = |delivery: &Delivery| matches!(delivery, Delivery::Rejected(_));
            assert!(
                *count == 1 || !batch.iter().any(is_large),
                "{batches:?}: one that is too large is not alone"
            );
        }
        running.stop().await;
    });
}

#[test]
fn the_prefetch_holds_the_rest_back_at_the_server() {
    with_nats("the_prefetch_holds_the_rest_back", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("prefetch").await;
        fill(&peer, "prefetch", 30).await;
        let door = Door::shut();
        let config = SourceConfig {
            prefetch: 7,
            ..source(&nats, "prefetch")
        };
        let running = start(config, &door);
        eventually("the rest is lag", || {
            running.handle.snapshot().lag == Some(23)
        })
        .await;
        // It would be gone at once if there were no limit.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let info = peer.consumer("prefetch").await;
        assert_eq!((info.num_pending, info.num_ack_pending), (23, 7));
        assert!(running.handle.snapshot().received <= 7);
        door.let_through();
        eventually("then all come", || door.count() == 30).await;
        assert_eq!(door.ids(), numbers(30));
        running.stop().await;
    });
}

#[test]
fn what_waits_at_the_door_is_not_delivered_again() {
    with_nats("what_waits_at_the_door", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("wait").await;
        fill(&peer, "wait", 10).await;
        let door = Door::shut();
        // A batch of four waits at the door, and six before it.
        let config = SourceConfig {
            limits: Limits {
                batch_events_max: 4,
                ..Limits::DEFAULT
            },
            ack_wait: Duration::from_secs(3),
            ..source(&nats, "wait")
        };
        let running = start(config, &door);
        eventually("something waits", || running.handle.snapshot().received > 0).await;
        tokio::time::sleep(Duration::from_secs(7)).await;
        door.let_through();
        eventually("all come", || door.count() >= 10).await;
        eventually_left(&peer, "wait", 0).await;
        assert_eq!(door.ids(), numbers(10));
        running.stop().await;
    });
}

#[test]
fn a_paused_source_gives_its_deliveries_back_and_goes_on_later() {
    with_nats("a_paused_source", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("pause").await;
        fill(&peer, "pause", 10).await;
        let door = Door::open();
        door.refuse_next(usize::MAX);
        let config = SourceConfig {
            limits: Limits {
                batch_events_max: 4,
                ..Limits::DEFAULT
            },
            ack_wait: FOR_EVER,
            ..source(&nats, "pause")
        };
        let running = start(config, &door);
        eventually("a batch is refused", || {
            running.handle.snapshot().ingest_retries > 0
        })
        .await;
        running.handle.pause();
        eventually("it is paused", || {
            running.handle.snapshot().state == State::Paused
        })
        .await;
        door.refuse_next(0);
        running.handle.resume();
        eventually("it goes on", || door.distinct().len() == 10).await;
        eventually_left(&peer, "pause", 0).await;
        assert_eq!(door.count(), 10);
        running.stop().await;
    });
}

#[test]
fn a_stopped_source_has_acknowledged_what_was_taken() {
    with_nats("a_stopped_source", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("stop").await;
        fill(&peer, "stop", 10).await;
        let door = Door::shut();
        let config = SourceConfig {
            ack_wait: FOR_EVER,
            ..source(&nats, "stop")
        };
        let running = start(config.clone(), &door);
        eventually("a batch is on its way", || {
            running.handle.snapshot().received > 0
        })
        .await;
        let received = running.handle.snapshot().received;
        let stopping = tokio::spawn(running.stop());
        door.let_through();
        stopping.await.unwrap();
        assert_eq!(door.count() as u64, received);
        eventually_left(&peer, "stop", 10 - received).await;
        // The others were given back, although the server would wait for ever.
        let after = Door::open();
        let running = start(config, &after);
        eventually("the rest comes", || after.count() as u64 == 10 - received).await;
        running.stop().await;
    });
}

#[test]
fn what_is_missing_is_an_error_and_the_consumer_is_made_only_if_that_is_wished() {
    with_nats("what_is_missing", |nats| async move {
        let missing = source(&nats, "missing");
        let error = told(missing.clone()).await;
        assert_eq!(error, "stream \"missing\" does not exist");

        let peer = nats.connect().await;
        peer.stream("missing").await;
        let undeclared = SourceConfig {
            declare: false,
            ..missing.clone()
        };
        let error = told(undeclared.clone()).await;
        let expected = "stream \"missing\" has no consumer \"kapelle\", and `declare` is off";
        assert_eq!(error, expected);

        let door = Door::open();
        let north = SourceConfig {
            subject: Some("missing.north".to_owned()),
            ..missing
        };
        let running = start(north, &door);
        eventually("it runs", || {
            running.handle.snapshot().state == State::Running
        })
        .await;
        fill(&peer, "missing.south", 1).await;
        fill(&peer, "missing.north", 2).await;
        eventually("those of its subject come", || door.count() == 2).await;
        running.stop().await;
        let config = peer.consumer("missing").await.config;
        assert_eq!(
            (config.ack_policy, config.max_ack_pending, config.ack_wait),
            (AckPolicy::Explicit, 256, Duration::from_secs(2))
        );
        // Now it is there.
        let running = start(undeclared, &door);
        eventually("it runs", || {
            running.handle.snapshot().state == State::Running
        })
        .await;
        running.stop().await;
    });
}

#[test]
fn a_consumer_that_could_lose_messages_is_refused() {
    with_nats("a_consumer_that_could_lose", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("careless").await;
        let config = pull::Config {
            durable_name: Some("kapelle".to_owned()),
            ack_policy: AckPolicy::None,
            ..pull::Config::default()
        };
        let making = peer.jetstream.create_consumer_on_stream(config, "careless");
        making.await.unwrap();
        let error = told(source(&nats, "careless")).await;
        assert!(error.contains("so messages could be lost"), "{error}");
    });
}

#[test]
fn a_consumer_that_is_deleted_is_told_and_found_again() {
    with_nats("a_consumer_that_is_deleted", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("deleted").await;
        let door = Door::open();
        let running = start(source(&nats, "deleted"), &door);
        fill(&peer, "deleted", 1).await;
        eventually("it runs", || door.count() == 1).await;
        peer.jetstream
            .delete_consumer_from_stream("kapelle", "deleted")
            .await
            .unwrap();
        eventually("it is told", || {
            let error = running.handle.snapshot().last_error;
            error.is_some_and(|error| error.message.contains("Consumer Deleted"))
        })
        .await;
        eventually("it begins anew", || door.count() == 2).await;
        running.stop().await;
    });
}

#[test]
fn over_tls_a_server_of_a_private_authority_is_met_by_who_trusts_it() {
    with_nats("over_tls", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("tls").await;
        let url = Secret::Plain(nats.tls_url());
        let trusting = SinkConfig {
            ca_file: Some(nats.server.ca()),
            subject: Some("tls".to_owned()),
            ..SinkConfig::new(url.clone())
        };
        let placed = event("1");
        let publication = Publication {
            event: &placed,
            target: None,
            attempt: 1,
        };
        let publisher = Publisher::new(trusting);
        publisher.publish(publication).await.unwrap();
        // Nobody else vouches for it.
        let strange = SourceConfig {
            url: url.clone(),
            ..source(&nats, "tls")
        };
        let error = told(strange.clone()).await;
        assert!(error.contains("UnknownIssuer"), "{error}");
        let error = Publisher::new(SinkConfig::new(url))
            .publish(publication)
            .await
            .unwrap_err();
        assert!(
            error.message.contains("UnknownIssuer") && error.retryable(),
            "{error}"
        );
        let missing = SourceConfig {
            ca_file: Some("/no/such/ca.pem".into()),
            ..strange.clone()
        };
        let error = told(missing).await;
        assert!(
            error.starts_with("read the certificates in /no/such/ca.pem: "),
            "{error}"
        );
        let trusting = SourceConfig {
            ca_file: Some(nats.server.ca()),
            ..strange
        };
        let door = Door::open();
        let running = start(trusting, &door);
        eventually("the event is taken", || door.ids() == ["1"]).await;
        running.stop().await;
    });
}

#[test]
fn a_refused_login_is_told_without_the_password() {
    with_nats("a_refused_login", |nats| async move {
        let url = nats.url_of("guest", "very-secret");
        let refused = SourceConfig {
            url: Secret::Plain(url.clone()),
            ..source(&nats, "x")
        };
        let error = told(refused).await;
        assert!(
            error.contains("authorization violation") && !error.contains("very-secret"),
            "{error}"
        );
        let sink = Publisher::new(SinkConfig::new(Secret::Plain(url)));
        let publication = Publication {
            event: &event("1"),
            target: None,
            attempt: 1,
        };
        let error = sink.publish(publication).await.unwrap_err();
        assert!(
            error.retryable() && error.message.contains("authorization violation"),
            "{error}"
        );
        // The server is left alone for a while, and the answer still says why.
        let error = sink.publish(publication).await.unwrap_err();
        assert!(
            error.message.contains("not tried again yet")
                && error.message.contains("authorization violation"),
            "{error}"
        );
        // Other spellings of the same.
        let spelled = nats.url_of("gu%65st", "guest");
        let sink = Publisher::new(SinkConfig::new(Secret::Plain(spelled)));
        let publication = Publication {
            target: Some("nobody.listens"),
            ..publication
        };
        let error = sink.publish(publication).await.unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Unroutable, "{error}");
        for url in [
            "http://u:secret@h",
            "nats://",
            "ws://u:secret@h",
            "nats://u:secret@h:x",
        ] {
            let broken = Publisher::new(SinkConfig::new(Secret::Plain(url.to_owned())));
            let error = broken.publish(publication).await.unwrap_err();
            assert!(
                !error.retryable() && !error.message.contains("secret"),
                "{url}: {error}"
            );
        }
    });
}

#[test]
fn a_published_cloud_event_is_in_the_stream_once_when_the_answer_comes() {
    with_nats("a_published_cloud_event", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("order").await;
        let sink = Publisher::new(SinkConfig::new(nats.url()));
        let sent = event("1")
            .to_builder()
            .correlation_id("c")
            .subject("größe")
            .build()
            .unwrap();
        let publication = |attempt, target| Publication {
            event: &sent,
            target,
            attempt,
        };
        sink.publish(publication(2, None)).await.unwrap();
        // Again, as after a confirmation that was lost.
        sink.publish(publication(3, None)).await.unwrap();
        let structured = Publisher::new(SinkConfig {
            mode: Mode::Structured,
            subject: Some("order.all".to_owned()),
            ..SinkConfig::new(nats.url())
        });
        structured.publish(publication(1, None)).await.unwrap();
        let target = Some("order.north");
        structured.publish(publication(1, target)).await.unwrap();

        let stream = peer.jetstream.get_stream("order").await.unwrap();
        assert_eq!(stream.cached_info().state.messages, 3);
        let first = stream.get_raw_message(1).await.unwrap();
        assert_eq!(
            (first.subject.as_str(), &first.payload[..]),
            ("order.placed", b"{ \"a\": 1.0 }".as_slice())
        );
        let header = |name| first.headers.get(name).map(ToString::to_string);
        let headers = [
            "ce-id",
            "ce-correlationid",
            "ce-subject",
            "ce-datacontenttype",
            "kapelle-attempt",
        ]
        .map(|name| header(name).unwrap());
        assert_eq!(
            headers,
            ["1", "c", "gr%C3%B6%C3%9Fe", "application/json", "2"]
        );
        let second = stream.get_raw_message(2).await.unwrap();
        let limits = Limits::DEFAULT;
        assert_eq!(
            kapelle_events::json::decode(&second.payload, &limits).unwrap(),
            sent
        );
        assert_eq!(second.subject.as_str(), "order.all");
        let third = stream.get_raw_message(3).await.unwrap();
        assert_eq!(third.subject.as_str(), "order.north");
        let status = sink.handle().snapshot();
        assert_eq!((status.published, status.connects), (2, 1));
        sink.close().await;
        structured.close().await;
    });
}

#[test]
fn why_a_publication_can_not_arrive_is_told() {
    with_nats("why_a_publication_can_not_arrive", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("why").await;
        peer.stream("secret").await;
        let config = |url| SinkConfig {
            timeout: SINK_TIMEOUT,
            ..SinkConfig::new(url)
        };
        let sink = Publisher::new(config(nats.url()));
        let (small, large, huge) = (
            event("1"),
            event("1")
                .to_builder()
                .data("text/plain", vec![b'x'; 200_000]),
            event("1")
                .to_builder()
                .data("text/plain", vec![b'x'; 2_000_000]),
        );
        let (large, huge) = (large.build().unwrap(), huge.build().unwrap());
        let mute = Publisher::new(config(Secret::Plain(nats.url_of("mute", "mute"))));
        let mut seen = String::new();
        for (sink, event, target) in [
            (&sink, &small, "nobody.listens"),
            (&sink, &small, "why.*"),
            (&sink, &small, "why north"),
            (&sink, &small, ".why"),
            (&sink, &small, ""),
            (&sink, &large, "why.north"),
            (&sink, &huge, "why.north"),
            (&mute, &small, "secret.north"),
            (&mute, &small, "why.north"),
        ] {
            let publication = Publication {
                event,
                target: Some(target),
                attempt: 1,
            };
            let told = match sink.publish(publication).await {
                Ok(()) => "arrived".to_owned(),
                Err(error) => format!("{} {error}", error.kind.as_str()),
            };
            seen.push_str(&format!("{target}: {told}\n"));
        }
        expect_test::expect![[r#"
            nobody.listens: UNROUTABLE publish: no stream takes the subject "nobody.listens"
            why.*: INVALID_TARGET "why.*" is no NATS subject to publish to
            why north: INVALID_TARGET "why north" is no NATS subject to publish to
            .why: INVALID_TARGET ".why" is no NATS subject to publish to
            : INVALID_TARGET "" is no NATS subject to publish to
            why.north: REFUSED publish: publish failed: message size exceeds maximum allowed (code 400, error code 10054)
            why.north: REFUSED publish: max payload size exceeded: Payload size limit of 1048576 exceeded by message size of 2000163
            secret.north: TIMEOUT publish: the server did not confirm in time (the server said: Permissions Violation for Publish to "secret.north")
            why.north: arrived
        "#]]
        .assert_eq(&seen);
    });
}

#[test]
fn a_message_that_the_client_library_can_not_read_holds_nothing_up() {
    with_nats("a_message_that_the_client", |nats| async move {
        let peer = nats.connect().await;
        peer.stream("poison").await;
        fill(&peer, "poison", 3).await;
        let port = nats.server.port();
        let publishing = move || publish_raw(port, "poison", b"NATS/1.0\r\nshop: \xff\r\n\r\n");
        tokio::task::spawn_blocking(publishing).await.unwrap();
        fill(&peer, "poison.more", 5).await;
        let door = Door::open();
        let running = start(source(&nats, "poison"), &door);
        eventually("the others come", || door.distinct().len() == 5).await;
        eventually_left(&peer, "poison", 1).await;
        let error = || running.handle.snapshot().last_error;
        eventually("it is told", || error().is_some()).await;
        assert_eq!(error().unwrap().message, "the connection broke");
        running.stop().await;
    });
}

/// Publishes a message with headers that no library would write.
fn publish_raw(port: u16, subject: &str, headers: &[u8]) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let login = r#"CONNECT {"user":"guest","pass":"guest","headers":true,"verbose":false}"#;
    let length = headers.len();
    let head = format!("{login}\r\nHPUB {subject} {length} {length}\r\n");
    let message = [head.as_bytes(), headers, b"\r\nPING\r\n"].concat();
    stream.write_all(&message).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"PONG\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
}

#[test]
fn nothing_is_lost_when_the_server_is_stopped_and_started() {
    with_nats("nothing_is_lost_when_stopped", |nats| async move {
        outage(&nats, "stopped", Server::stop).await;
    });
}

#[test]
fn nothing_is_lost_when_the_server_is_killed() {
    with_nats("nothing_is_lost_when_killed", |nats| async move {
        outage(&nats, "killed", Server::kill9).await;
    });
}

async fn outage(nats: &Nats, name: &str, end: fn(&Server)) {
    nats.connect().await.stream(name).await;
    let sink = Publisher::new(SinkConfig {
        subject: Some(name.to_owned()),
        backoff: QUICK,
        timeout: SINK_TIMEOUT,
        ..SinkConfig::new(nats.url())
    });
    let config = source(nats, name);
    let consumer = Consumer::new(config.clone());
    let door = traffic_over_an_outage(&nats.server, consumer, sink, end).await;
    // A CloudEvent that was sent twice around the outage may have been on its way once more.
    let running = start(config, &door);
    eventually_left(&nats.connect().await, name, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Secret::Plain(format!("nats://{}", silent.local_addr().unwrap()));
    let timeout = Duration::from_millis(200);
    let error = told(SourceConfig {
        timeout,
        ..SourceConfig::new(url.clone(), "x", "x")
    })
    .await;
    assert_eq!(error, "connect to NATS: no answer in time");
    let sink = Publisher::new(SinkConfig {
        timeout,
        ..SinkConfig::new(url)
    });
    let publication = Publication {
        event: &event("1"),
        target: None,
        attempt: 1,
    };
    let error = sink.publish(publication).await.unwrap_err();
    assert_eq!(
        (error.kind, error.retryable()),
        (SinkErrorKind::Timeout, true)
    );
}
