//! Records of an old program that knows no CloudEvents, and the rule that makes some of them.

use expect_test::expect;
use kapelle_feel::json::pull::Raw;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::broker::with_broker;
use super::partner::Partner;
use super::{eventually, instances};
use crate::found::{self, Item};
use crate::http;
use crate::models;
use crate::server::{Server, TempDir};

const RULE: &str = r#"
[sources.old.rule]
type = '"order." + payload.kind'
source = '"/old/" + queue'
subject = 'payload.no'
key = 'headers.shop'
time = 'headers.timestamp'
data = '{order: payload.no, by: routingKey}'
"#;

fn config(url: &str, rule: &str) -> String {
    format!("[sources.old]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nqueue = \"old\"\n{rule}")
}

/// What the old program writes: properties, a header, a body.
fn record(shop: &str, message_id: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("shop".into(), AMQPValue::LongString(shop.into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id(message_id.into())
        .with_timestamp(1_769_860_800)
        .with_headers(headers)
}

fn told(server: &Server, event: &Item) -> String {
    let shown = http::get(
        &server.rest,
        &format!("/v2/kapelle/events/{}", event["position"]),
    );
    let answer = Raw::parse(&shown.body).unwrap();
    let member = |name: &str| {
        let found = answer
            .members()
            .find(|(other, _)| other.as_str().as_deref() == Some(name));
        found.unwrap().1.text().to_owned()
    };
    format!(
        "{} {} {}\n  {}\n  {}\n",
        event["outcome"],
        event["type"],
        event["reason"],
        member("attributes"),
        member("data"),
    )
}

#[test]
fn records_become_events_by_a_rule_and_come_back_as_they_came() {
    with_broker("records_become_events_by_a_rule", |broker| async move {
        let dir = TempDir::new();
        let url = broker.url_of("guest", "guest");
        let mut partner = Partner::new(&broker, "old", "completed").await;
        let placed: &[u8] = b"{ \"kind\":\"placed\",\t\"no\" : 7.0 }";
        // Sent twice by a program that is not sure; the third is another record with the same body.
        for message_id in ["m-1", "m-1", "m-2"] {
            partner
                .publish(record("n\u{f8}rth", message_id), placed)
                .await;
        }
        let broken: &[u8] = b"\xff{";
        partner.publish(record("north", "m-3"), broken).await;
        partner
            .publish(record("north", "m-4"), br#"{"no":8}"#)
            .await;
        // It says that it is a CloudEvent, so the rule has no say.
        let json = Some("application/cloudevents+json");
        partner.raw(json, br#"{"specversion":"1.0"}"#).await;
        partner.raw(json, br#"{"specversion":"1.0","id":"1","source":"/new","type":"order.placed","subject":"n"}"#).await;
        partner.raw(None, &vec![b'x'; 5 << 20]).await;

        let server = Server::start_in(dir.path(), "");
        let process = models::message_start("order", "order.placed");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        assert!(server.stop().success());
        let server = Server::start_in(dir.path(), &config(&url, RULE));
        eventually("all are on record", async || {
            found::events(&server.rest, "&direction=in").len() == 8
        })
        .await;
        let events = found::events(&server.rest, "&direction=in");
        let seen: String = events[..7]
            .iter()
            .map(|event| told(&server, event))
            .collect();
        expect![[r#"
            STARTED order.placed message 'order.placed' of process 'order': started process instance 2251799813685254 with key '7'
              {"specversion":"1.0","id":"ff00a81cdbaa8c3fb1ece1d5635fa840","source":"/old/old","type":"order.placed","subject":"7","time":"2026-01-31T12:00:00Z","datacontenttype":"application/json","partitionkey":"nørth"}
              "{\"order\":7,\"by\":\"old\"}"
            DUPLICATE order.placed repeats an event that was taken before
              {}
              null
            STARTED order.placed message 'order.placed' of process 'order': started process instance 2251799813685260 with key '7'
              {"specversion":"1.0","id":"6e5a7e53ec8aba3aa4e3d49295d12837","source":"/old/old","type":"order.placed","subject":"7","time":"2026-01-31T12:00:00Z","datacontenttype":"application/json","partitionkey":"nørth"}
              "{\"order\":7,\"by\":\"old\"}"
            REJECTED null KAP-CE-017: the rule's `type` fails: it is null: [NO_PROPERTY_FOUND] No property found with name 'kind' of value '"/3s="'; [INVALID_TYPE] Can't add 'null' to '"order."'
              {}
              null
            REJECTED null KAP-CE-017: the rule's `type` fails: it is null: [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'kind'. Available keys: 'no'; [INVALID_TYPE] Can't add 'null' to '"order."'
              {}
              "{\"no\":8}"
            REJECTED null KAP-CE-004: required attribute "id" is missing
              {}
              "{\"specversion\":\"1.0\"}"
            STARTED order.placed message 'order.placed' of process 'order': started process instance 2251799813685266 with key 'n'
              {"specversion":"1.0","id":"1","source":"/new","type":"order.placed","subject":"n"}
              null
        "#]].assert_eq(&seen);
        assert_eq!(
            (events[7]["outcome"].as_str(), events[7]["reason"].as_str()),
            (
                "REJECTED",
                "KAP-CE-013: size of the CloudEvent is 5242880, the limit is 4194304"
            )
        );
        assert_eq!(instances(&server), 3);

        let raw = |event: &Item| {
            let path = format!("/v2/kapelle/events/{}/raw", event["position"]);
            http::bytes(&server.rest, &path)
        };
        assert_eq!(raw(&events[0]), placed);
        assert_eq!(raw(&events[3]), broken);
        assert!(server.stop().success());
        assert_eq!(partner.waiting("old").await, 0, "all is acknowledged");
    });
}

#[test]
fn a_record_without_an_id_has_an_effect_once_however_often_it_is_delivered() {
    with_broker("a_record_without_an_id", |broker| async move {
        let dir = TempDir::new();
        let config = config(&broker.url_of("guest", "guest"), RULE);
        let mut partner = Partner::new(&broker, "old", "completed").await;
        const RECORDS: usize = 600;
        for number in 0..RECORDS {
            let body = format!(r#"{{"kind":"placed","no":{number}}}"#);
            partner
                .publish(record("north", "same"), body.as_bytes())
                .await;
        }
        let server = Server::start_in(dir.path(), "");
        let process = models::message_start("order", "order.placed");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        assert!(server.stop().success());
        // What a server had taken in and not acknowledged comes again.
        for deaths in 1..4 {
            let server = Server::start_in(dir.path(), &config);
            eventually("some more are in", async || {
                instances(&server) >= deaths * 50
            })
            .await;
            server.kill();
        }
        let server = Server::start_in(dir.path(), &config);
        eventually("all have started a process", async || {
            instances(&server) >= RECORDS as u64
        })
        .await;
        eventually("all is acknowledged", async || {
            let source = http::get(&server.rest, "/v2/kapelle/sources/old");
            source.member("lag") == "0" && partner.waiting("old").await == 0
        })
        .await;
        assert_eq!(instances(&server), RECORDS as u64);
        let ids: std::collections::BTreeSet<_> = found::events(&server.rest, "&outcome=STARTED")
            .into_iter()
            .map(|mut event| event.remove("id").unwrap())
            .collect();
        assert_eq!(ids.len(), RECORDS);
        assert!(server.stop().success());
    });
}
