//! A model with Camunda's inbound connectors, as its Modeler writes it: CloudEvents take the place of what the connectors
//! would have received.

use expect_test::expect;

use crate::found;
use crate::http;
use crate::server::Server;

const MODEL: &str = include_str!("inbound.bpmn");

fn send(server: &Server, id: &str, event_type: &str, rest: &str) -> String {
    let body = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/test","type":"{event_type}",{rest}}}"#
    );
    let json = [("content-type", "application/cloudevents+json")];
    let answer = http::send(&server.rest, "POST", "/events", &json, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let results = found::items(&answer.body.replace("\"results\"", "\"items\""));
    let result = &results[0];
    let matches: Vec<&str> = result["matches"]
        .split("\"outcome\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    format!("{} ({})", result["outcome"], matches.join(" "))
}

fn variables(server: &Server) -> String {
    let answer = http::post(&server.rest, "/v2/variables/search", "{}");
    let mut lines: Vec<String> = found::items(&answer.body)
        .iter()
        .map(|variable| format!("{} = {}\n", variable["name"], variable["value"]))
        .collect();
    lines.sort();
    lines.concat()
}

#[test]
fn a_model_drawn_for_connectors_runs_on_cloud_events() {
    let server = Server::start();
    http::must_deploy(&server.rest, "parcels.bpmn", MODEL);
    let order = |id: &str, total: u32| format!(r#""data":{{"id":"{id}","total":{total}}}"#);
    let payment = |order: &str, status: &str, transaction: &str| {
        format!(
            r#""partitionkey":"account-7","data":{{"order":"{order}","status":"{status}","transaction":"{transaction}","amount":12}}"#
        )
    };
    let mut seen = String::new();
    for (id, event_type, rest) in [
        ("1", "shop-orders", order("o-1", 5)),
        ("2", "shop-orders", order("o-1", 12)),
        ("3", "payments", payment("o-2", "PAID", "t-1")),
        ("4", "payments", payment("o-2", "PAID", "t-1")),
        ("5", "payments", payment("o-1", "OPEN", "t-2")),
        ("6", "payments", payment("o-1", "PAID", "t-2")),
        (
            "7",
            "parcels",
            r#""data":{"order":"o-1","parcel":"p-9"}"#.to_owned(),
        ),
    ] {
        seen.push_str(&format!("{id} {}\n", send(&server, id, event_type, &rest)));
    }
    expect![[r#"
        1 FILTERED (FILTERED)
        2 STARTED (STARTED)
        3 BUFFERED (BUFFERED FILTERED)
        4 FILTERED (DUPLICATE FILTERED)
        5 FILTERED (FILTERED FILTERED)
        6 CORRELATED (CORRELATED FILTERED)
        7 CORRELATED (CORRELATED)
    "#]]
    .assert_eq(&seen);
    expect![[r#"
        account = "account-7"
        by = "7"
        orderId = "o-1"
        paid = 12
        parcel = "p-9"
        received = {"request":{"body":{"id":"o-1","total":12},"headers":{"ce-specversion":"1.0","ce-id":"2","ce-source":"/test","ce-type":"shop-orders"},"params":{}},"connectorData":{}}
        total = 12
    "#]].assert_eq(&variables(&server));
    let ended = http::post(&server.rest, "/v2/process-instances/search", "{}");
    assert_eq!(ended.member("state"), "COMPLETED", "{}", ended.body);
    // Such a start may also be made by hand.
    let created = http::post(
        &server.rest,
        "/v2/process-instances",
        r#"{"processDefinitionId":"parcels","variables":{"orderId":"o-3"}}"#,
    );
    assert_eq!(created.status, 200, "{}", created.body);
    let withdrawn = send(
        &server,
        "8",
        "payments",
        &payment("o-3", "WITHDRAWN", "t-3"),
    );
    assert_eq!(withdrawn, "CORRELATED (FILTERED CORRELATED)");
}
