//! MQTT 5 and 3.1.1 in both directions while all goes well, and with everything that may go wrong.

use std::time::Duration;

use kapelle_connectors::mqtt::{
    Consumer, Mode, Publisher, Quality, SinkConfig, SourceConfig, Version,
};
use kapelle_connectors::{Delivery, Publication, Secret, Sink, SinkErrorKind, State};
use kapelle_events::Limits;
use rumqttc::v5::mqttbytes::QoS;

use crate::door::{Door, Running};
use crate::mosquitto::{Message, Mosquitto, Peer, with_mosquitto};
use crate::outage::{QUICK, SINK_TIMEOUT, traffic_over_an_outage};
use crate::script::Server;
use crate::{event, eventually, numbers};

fn source(mosquitto: &Mosquitto, topic: &str) -> SourceConfig {
    let client_id = format!("kapelle-{}", topic.replace('/', "-"));
    let mut config = SourceConfig::new(mosquitto.url(), topic, client_id);
    config.backoff = QUICK;
    config
}

/// Starts it and waits until it has subscribed: what is published from then on is for it.
async fn start(config: &SourceConfig, door: &Door) -> Running {
    let running = Running::start(Consumer::new(config.clone()), door);
    eventually("it runs", || {
        running.handle.snapshot().state == State::Running
    })
    .await;
    running
}

/// Makes the session, so that the broker keeps what is published from then on.
async fn subscribed(config: &SourceConfig) {
    start(config, &Door::open()).await.stop().await;
}

/// Publishes CloudEvents with the ids `0`, `1`, … as a client of MQTT 3.1.1 would.
async fn fill(peer: &mut Peer, topic: &str, count: usize) {
    for id in 0..count {
        let body = kapelle_events::json::encode(&event(&id.to_string()));
        let message = Message {
            topic,
            body: &body,
            ..Message::default()
        };
        peer.publish(QoS::AtLeastOnce, &message).await;
    }
}

/// Takes up the session of a source that has stopped: if all is acknowledged, what is published last comes first.
async fn nothing_is_left(mosquitto: &Mosquitto, config: &SourceConfig, topic: &str) {
    let door = Door::open();
    let running = start(config, &door).await;
    publish_last(mosquitto, topic).await;
    eventually("the last comes", || door.count() > 0).await;
    assert!(
        matches!(&door.taken()[0], Delivery::Rejected(last) if last.body == b"last"),
        "{:?}",
        door.ids()
    );
    running.stop().await;
}

/// What is no CloudEvent.
async fn publish_last(mosquitto: &Mosquitto, topic: &str) {
    let message = Message {
        topic,
        body: b"last",
        ..Message::default()
    };
    let mut peer = mosquitto.connect("").await;
    peer.publish(QoS::AtLeastOnce, &message).await;
}

/// What a source says that can't work.
async fn told(config: SourceConfig) -> String {
    let running = Running::start(Consumer::new(config), &Door::open());
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
    with_mosquitto("deliveries_become_cloud_events", |mosquitto| async move {
        let config = SourceConfig {
            quality: Quality::ExactlyOnce,
            ..source(&mosquitto, "mixed/#")
        };
        let door = Door::open();
        let running = start(&config, &door).await;
        let mut peer = mosquitto.connect("").await;
        let message = |topic, properties, body| Message {
            topic,
            properties,
            body,
            ..Message::default()
        };
        let binary = Message {
            content_type: Some("application/json"),
            ..message(
                "mixed/north",
                &[
                    ("specversion", "1.0"),
                    ("id", "binary"),
                    ("source", "/other"),
                    ("type", "order.placed"),
                    ("subject", "größe"),
                ],
                b"{\"b\": 1.00}",
            )
        };
        peer.publish(QoS::ExactlyOnce, &binary).await;
        let poison = message("mixed/south", &[("shop", "south")], b"no CloudEvent");
        peer.publish(QoS::AtLeastOnce, &poison).await;
        let bare = br#"{"specversion":"1.0","id":"bare","source":"/s","type":"t"}"#;
        peer.publish(QoS::AtMostOnce, &message("mixed", &[], bare))
            .await;
        let old = b"{\"specversion\":\"0.3\"}";
        peer.publish(QoS::AtLeastOnce, &message("mixed", &[], old))
            .await;

        eventually("four deliveries are taken", || door.count() == 4).await;
        expect_test::expect![[r#"
            binary
            rejected: neither CloudEvents headers nor a CloudEvents content type are present
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
                    ("filter", "mixed/#".to_owned()),
                    ("topic", "mixed/south".to_owned())
                ][..],
                b"no CloudEvent".as_slice()
            )
        );
        let headers = [("topic", "mixed/south"), ("shop", "south")];
        assert_eq!(
            second.headers,
            headers.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        let status = running.handle.snapshot();
        assert!(
            status.healthy() && status.last_error.is_none() && status.connects == 1,
            "{status:?}"
        );
        assert_eq!(status.received, 4);
        running.stop().await;
        nothing_is_left(&mosquitto, &config, "mixed").await;
    });
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    with_mosquitto("nothing_is_acknowledged_before", |mosquitto| async move {
        for (version, quality, topic) in [
            (Version::V5, Quality::AtLeastOnce, "crash/5/1"),
            (Version::V5, Quality::ExactlyOnce, "crash/5/2"),
            (Version::V3, Quality::AtLeastOnce, "crash/3/1"),
            (Version::V3, Quality::ExactlyOnce, "crash/3/2"),
        ] {
            let config = SourceConfig {
                version,
                quality,
                ..source(&mosquitto, topic)
            };
            subscribed(&config).await;
            let mut peer = mosquitto.connect("").await;
            for id in numbers(10) {
                let body = kapelle_events::json::encode(&event(&id));
                let message = Message {
                    topic,
                    body: &body,
                    ..Message::default()
                };
                peer.publish(QoS::ExactlyOnce, &message).await;
            }
            let shut = Door::shut();
            let running = start(&config, &shut).await;
            eventually("deliveries wait at the door", || {
                running.handle.snapshot().received > 0
            })
            .await;
            running.abort();
            let door = Door::open();
            let running = start(&config, &door).await;
            eventually("all come again", || door.count() >= 10).await;
            assert_eq!(door.ids(), numbers(10), "{topic}");
            assert_eq!(shut.count(), 0);
            running.stop().await;
            nothing_is_left(&mosquitto, &config, topic).await;
        }
    });
}

#[test]
fn a_malformed_record_that_comes_again_looks_as_it_did() {
    with_mosquitto("a_malformed_record", |mosquitto| async move {
        let config = source(&mosquitto, "again");
        subscribed(&config).await;
        let message = Message {
            topic: "again",
            content_type: Some("text/plain"),
            properties: &[("shop", "north"), ("a", "1")],
            body: b"no CloudEvent",
            ..Message::default()
        };
        let mut peer = mosquitto.connect("").await;
        peer.publish(QoS::AtLeastOnce, &message).await;
        let shut = Door::shut();
        let running = start(&config, &shut).await;
        eventually("it waits", || running.handle.snapshot().received == 1).await;
        running.abort();
        let door = Door::open();
        let running = start(&config, &door).await;
        eventually("it is taken", || door.count() == 1).await;
        let [Delivery::Rejected(rejected)] = &door.taken()[..] else {
            panic!()
        };
        let told: Vec<_> = rejected
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let expected = [
            ("topic", "again"),
            ("content-type", "text/plain"),
            ("shop", "north"),
            ("a", "1"),
        ];
        assert_eq!(told, expected);
        running.stop().await;
    });
}

#[test]
fn an_overloaded_engine_gets_the_same_batch_again_in_order() {
    with_mosquitto("an_overloaded_engine", |mosquitto| async move {
        let config = source(&mosquitto, "overload");
        subscribed(&config).await;
        let mut peer = mosquitto.connect("").await;
        fill(&mut peer, "overload", 20).await;
        let door = Door::open();
        door.refuse_next(4);
        let running = start(&config, &door).await;
        eventually("all are taken in the end", || door.count() >= 20).await;
        assert_eq!(door.ids(), numbers(20));
        let status = running.handle.snapshot();
        assert_eq!((status.ingest_retries, status.connects), (4, 1));
        running.stop().await;
        nothing_is_left(&mosquitto, &config, "overload").await;
    });
}

#[test]
fn few_on_the_way_come_in_order_with_both_versions() {
    with_mosquitto("few_on_the_way", |mosquitto| async move {
        for (version, topic) in [(Version::V5, "few/5"), (Version::V3, "few/3")] {
            let config = SourceConfig {
                version,
                prefetch: 1,
                limits: Limits {
                    batch_events_max: 4,
                    ..Limits::DEFAULT
                },
                ..source(&mosquitto, topic)
            };
            subscribed(&config).await;
            let mut peer = mosquitto.connect("").await;
            fill(&mut peer, topic, 30).await;
            let door = Door::shut();
            let running = start(&config, &door).await;
            eventually("one waits", || running.handle.snapshot().received > 0).await;
            door.let_through();
            eventually("then all come", || door.count() == 30).await;
            assert_eq!(door.ids(), numbers(30));
            assert!(door.batches().iter().all(|count| *count <= 4));
            running.stop().await;
        }
    });
}

#[test]
fn a_paused_source_gives_its_deliveries_back_and_goes_on_later() {
    with_mosquitto("a_paused_source", |mosquitto| async move {
        let config = source(&mosquitto, "pause");
        let door = Door::open();
        door.refuse_next(usize::MAX);
        let running = start(&config, &door).await;
        let mut peer = mosquitto.connect("").await;
        fill(&mut peer, "pause", 5).await;
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
        eventually("it goes on", || door.count() == 5).await;
        assert_eq!(door.ids(), numbers(5));
        running.stop().await;
    });
}

#[test]
fn those_who_share_a_subscription_get_each_message_once() {
    with_mosquitto("those_who_share", |mosquitto| async move {
        let (one, two) = (Door::open(), Door::open());
        let mut config = source(&mosquitto, "$share/kapelle/shared/+");
        config.client_id = "one".to_owned();
        let first = start(&config, &one).await;
        config.client_id = "two".to_owned();
        let second = start(&config, &two).await;
        let mut peer = mosquitto.connect("").await;
        fill(&mut peer, "shared/x", 30).await;
        eventually("all come", || one.count() + two.count() == 30).await;
        assert!(one.count() > 0 && two.count() > 0);
        let both: std::collections::BTreeSet<_> =
            one.distinct().union(&two.distinct()).cloned().collect();
        assert_eq!(both.len(), 30);
        first.stop().await;
        second.stop().await;
    });
}

#[test]
fn what_was_retained_is_taken_only_if_that_is_wished() {
    with_mosquitto("what_was_retained", |mosquitto| async move {
        let mut peer = mosquitto.connect("").await;
        let body = kapelle_events::json::encode(&event("retained"));
        let message = Message {
            topic: "state/door",
            retain: true,
            body: &body,
            ..Message::default()
        };
        peer.publish(QoS::AtLeastOnce, &message).await;
        for (version, retained) in [
            (Version::V5, true),
            (Version::V5, false),
            (Version::V3, true),
            (Version::V3, false),
        ] {
            let config = SourceConfig {
                version,
                retained,
                client_id: format!("state-{version:?}-{retained}"),
                ..source(&mosquitto, "state/+")
            };
            let door = Door::open();
            let running = start(&config, &door).await;
            fill(&mut peer, "state/window", 1).await;
            eventually("the new one comes", || door.ids().contains(&"0".to_owned())).await;
            let expected: &[&str] = if retained { &["retained", "0"] } else { &["0"] };
            assert_eq!(door.ids(), expected, "{version:?}");
            running.stop().await;
        }
    });
}

#[test]
fn over_tls_a_broker_of_a_private_authority_is_met_by_who_trusts_it() {
    with_mosquitto("over_tls", |mosquitto| async move {
        let url = Secret::Plain(mosquitto.tls_url());
        let strange = SourceConfig {
            url: url.clone(),
            ..source(&mosquitto, "tls")
        };
        let error = told(strange.clone()).await;
        assert!(error.contains("UnknownIssuer"), "{error}");
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
            ca_file: Some(mosquitto.server.ca()),
            ..strange
        };
        let door = Door::open();
        let running = start(&trusting, &door).await;
        let placed = event("1");
        let publication = Publication {
            event: &placed,
            target: Some("tls"),
            attempt: 1,
        };
        let error = Publisher::new(SinkConfig::new(url.clone()))
            .publish(publication)
            .await
            .unwrap_err();
        assert!(
            error.message.contains("UnknownIssuer") && error.retryable(),
            "{error}"
        );
        let trusting = SinkConfig {
            ca_file: Some(mosquitto.server.ca()),
            ..SinkConfig::new(url)
        };
        Publisher::new(trusting).publish(publication).await.unwrap();
        eventually("the event is taken", || door.ids() == ["1"]).await;
        running.stop().await;
    });
}

#[test]
fn a_refused_login_is_told_without_the_password() {
    with_mosquitto("a_refused_login", |mosquitto| async move {
        let url = Secret::Plain(mosquitto.url_of("guest", "very-secret"));
        let mut seen = String::new();
        for version in [Version::V5, Version::V3] {
            let refused = SourceConfig {
                version,
                url: url.clone(),
                ..source(&mosquitto, "x")
            };
            seen.push_str(&format!("{}\n", told(refused).await));
        }
        let sink = Publisher::new(SinkConfig::new(url));
        let publication = Publication {
            event: &event("1"),
            target: None,
            attempt: 1,
        };
        for _ in 0..2 {
            // The second time the broker is left alone, and the answer still says why.
            let error = sink.publish(publication).await.unwrap_err();
            assert!(error.retryable());
            seen.push_str(&format!("{error}\n"));
        }
        for url in [
            "http://u:secret@h",
            "mqtt://",
            "u:secret@h",
            "mqtt://u:secret@h:x",
        ] {
            let broken = Publisher::new(SinkConfig::new(Secret::Plain(url.to_owned())));
            let error = broken.publish(publication).await.unwrap_err();
            assert!(
                !error.retryable() && !error.message.contains("secret"),
                "{url}: {error}"
            );
        }
        expect_test::expect![[r#"
            connect to MQTT: the broker refused: NotAuthorized
            connect to MQTT: the broker refused: NotAuthorized
            connect to MQTT: the broker refused: NotAuthorized
            connect to MQTT: not tried again yet after: connect to MQTT: the broker refused: NotAuthorized
        "#]]
        .assert_eq(&seen);
    });
}

#[test]
fn a_published_cloud_event_is_with_its_subscribers_when_the_answer_comes() {
    with_mosquitto("a_published_cloud_event", |mosquitto| async move {
        let mut peer = mosquitto.connect("listener").await;
        peer.subscribe("order/#").await;
        let sent = event("1").to_builder().subject("größe").build().unwrap();
        let publication = |attempt, target| Publication {
            event: &sent,
            target,
            attempt,
        };
        let sink = Publisher::new(SinkConfig {
            quality: Quality::ExactlyOnce,
            retain: true,
            topic: Some("order/all".to_owned()),
            ..SinkConfig::new(mosquitto.url())
        });
        sink.publish(publication(2, None)).await.unwrap();
        let first = peer.receive().await;
        assert_eq!(
            (&first.topic[..], &first.payload[..], first.qos),
            (
                b"order/all".as_slice(),
                b"{ \"a\": 1.0 }".as_slice(),
                QoS::ExactlyOnce
            )
        );
        let properties = first.properties.unwrap();
        assert_eq!(properties.content_type.as_deref(), Some("application/json"));
        let properties: Vec<_> = properties
            .user_properties
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let expected = [
            "specversion: 1.0",
            "id: 1",
            "source: /test",
            "type: order.placed",
            "subject: größe",
            "kapelle-attempt: 2",
        ];
        assert_eq!(properties, expected);
        for (version, mode) in [(Version::V5, Mode::Structured), (Version::V3, Mode::Binary)] {
            let sink = Publisher::new(SinkConfig {
                version,
                mode,
                ..SinkConfig::new(mosquitto.url())
            });
            let target = Some("order/north");
            sink.publish(publication(1, target)).await.unwrap();
            let publish = peer.receive().await;
            let limits = Limits::DEFAULT;
            let back = kapelle_events::json::decode(&publish.payload, &limits).unwrap();
            assert_eq!(back, sent);
            assert_eq!(&publish.topic[..], b"order/north");
            sink.close().await;
        }
        // The first is kept for those who come later.
        let mut later = mosquitto.connect("later").await;
        later.subscribe("order/all").await;
        let kept = later.receive().await;
        assert!(kept.retain);
        let status = sink.handle().snapshot();
        assert_eq!((status.published, status.connects), (1, 1));
        sink.close().await;
    });
}

#[test]
fn many_at_once_are_confirmed_each_for_itself() {
    with_mosquitto("many_at_once", |mosquitto| async move {
        let config = source(&mosquitto, "many");
        let door = Door::open();
        let running = start(&config, &door).await;
        for quality in [Quality::AtLeastOnce, Quality::ExactlyOnce] {
            let before = door.count();
            let sink = std::sync::Arc::new(Publisher::new(SinkConfig {
                quality,
                ..SinkConfig::new(mosquitto.url())
            }));
            let publish = |id: usize| {
                let sink = sink.clone();
                tokio::spawn(async move {
                    let event = event(&id.to_string());
                    let target = if id.is_multiple_of(3) {
                        "nobody"
                    } else {
                        "many"
                    };
                    let publication = Publication {
                        event: &event,
                        target: Some(target),
                        attempt: 1,
                    };
                    sink.publish(publication).await
                })
            };
            let attempts: Vec<_> = (0..300).map(publish).collect();
            for (id, attempt) in attempts.into_iter().enumerate() {
                let kind = attempt.await.unwrap().err().map(|error| error.kind);
                // With QoS 2 the broker takes a message over before it looks for subscribers.
                let is_told = id % 3 == 0 && quality == Quality::AtLeastOnce;
                let expected = is_told.then_some(SinkErrorKind::Unroutable);
                assert_eq!(kind, expected, "{id}");
            }
            eventually("all come", || door.count() == before + 200).await;
            assert_eq!(sink.handle().snapshot().connects, 1);
        }
        running.stop().await;
    });
}

#[test]
fn why_a_publication_can_not_arrive_is_told() {
    with_mosquitto("why_a_publication", |mosquitto| async move {
        let config = |url| SinkConfig {
            timeout: SINK_TIMEOUT,
            ..SinkConfig::new(url)
        };
        let sink = Publisher::new(config(mosquitto.url()));
        let mute = Publisher::new(config(Secret::Plain(mosquitto.url_of("mute", "mute"))));
        let small = event("1");
        let huge = small.to_builder().data("text/plain", vec![b'x'; 2_000_000]);
        let huge = huge.build().unwrap();
        let mut seen = String::new();
        for (sink, event, target) in [
            (&sink, &small, "nobody/listens"),
            (&sink, &small, "why/+"),
            (&sink, &small, "#"),
            (&sink, &small, ""),
            (&sink, &huge, "why/north"),
            (&mute, &small, "secret/north"),
        ] {
            let publication = Publication {
                event,
                target: Some(target),
                attempt: 1,
            };
            let error = sink.publish(publication).await.unwrap_err();
            seen.push_str(&format!("{target}: {} {error}\n", error.kind.as_str()));
        }
        expect_test::expect![[r##"
            nobody/listens: UNROUTABLE publish: nobody has subscribed to the topic
            why/+: INVALID_TARGET "why/+" is no MQTT topic to publish to
            #: INVALID_TARGET "#" is no MQTT topic to publish to
            : INVALID_TARGET "" is no MQTT topic to publish to
            why/north: REFUSED publish: larger than the 1000000 bytes that the broker takes
            secret/north: REFUSED publish: the broker does not allow us that topic
        "##]]
        .assert_eq(&seen);
    });
}

#[test]
fn nothing_is_lost_when_the_broker_is_stopped_and_started() {
    with_mosquitto("nothing_is_lost_when_stopped", |mosquitto| async move {
        outage(
            &mosquitto,
            "stopped",
            Version::V5,
            Quality::AtLeastOnce,
            Server::stop,
        )
        .await;
        outage(
            &mosquitto,
            "stopped/3",
            Version::V3,
            Quality::ExactlyOnce,
            Server::stop,
        )
        .await;
    });
}

#[test]
fn nothing_is_lost_when_the_broker_is_killed() {
    with_mosquitto("nothing_is_lost_when_killed", |mosquitto| async move {
        outage(
            &mosquitto,
            "killed",
            Version::V5,
            Quality::AtLeastOnce,
            Server::kill9,
        )
        .await;
    });
}

async fn outage(
    mosquitto: &Mosquitto,
    topic: &str,
    version: Version,
    quality: Quality,
    end: fn(&Server),
) {
    let sink = Publisher::new(SinkConfig {
        version,
        quality,
        topic: Some(topic.to_owned()),
        backoff: QUICK,
        timeout: SINK_TIMEOUT,
        ..SinkConfig::new(mosquitto.url())
    });
    let config = SourceConfig {
        version,
        quality,
        ..source(mosquitto, topic)
    };
    // Before its session there is nobody for whom the broker would keep anything.
    subscribed(&config).await;
    let source = Consumer::new(config.clone());
    let door = traffic_over_an_outage(&mosquitto.server, source, sink, end).await;
    // A CloudEvent that was sent twice around the outage may have been on its way once more.
    let before = door.distinct();
    let running = start(&config, &door).await;
    publish_last(mosquitto, topic).await;
    eventually("the last comes", || door.distinct().len() > before.len()).await;
    running.stop().await;
    let more: Vec<_> = door.distinct().difference(&before).cloned().collect();
    assert!(
        matches!(&more[..], [last] if last.starts_with("rejected")),
        "{more:?} was left and never taken"
    );
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Secret::Plain(format!("mqtt://{}", silent.local_addr().unwrap()));
    let timeout = Duration::from_millis(200);
    let error = told(SourceConfig {
        timeout,
        ..SourceConfig::new(url.clone(), "x", "x")
    })
    .await;
    assert_eq!(error, "connect to MQTT: no answer in time");
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
