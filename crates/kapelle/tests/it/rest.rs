//! REST v2: what works, and what bad input gets.

use expect_test::expect;

use crate::http::{self, Answer};
use crate::models;
use crate::server::Server;

/// The keys of an answer are made up by the engine: the first is shown as `#1`, and so on.
fn redact(text: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(found) = rest.find("22517998136") {
        let digits = rest[found..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |end| found + end);
        let key = rest[found..digits].to_owned();
        let index = seen
            .iter()
            .position(|other| *other == key)
            .unwrap_or_else(|| {
                seen.push(key);
                seen.len() - 1
            });
        out.push_str(&rest[..found]);
        out.push_str(&format!("#{}", index + 1));
        rest = &rest[digits..];
    }
    out + rest
}

fn line(answer: &Answer) -> String {
    redact(&answer.line())
}

#[test]
fn a_process_is_deployed_started_worked_and_completed() {
    let server = Server::start();
    let rest = &server.rest;
    let deployed = http::deploy(rest, &[("one.bpmn", &models::one_task("one", "work"))]);
    expect![[r##"200 application/json {"tenantId":"<default>","deploymentKey":"#1","deployments":[{"processDefinition":{"processDefinitionId":"one","processDefinitionVersion":1,"resourceName":"one.bpmn","tenantId":"<default>","processDefinitionKey":"#2"},"decisionDefinition":null,"decisionRequirements":null,"form":null,"resource":null}]}"##]].assert_eq(&line(&deployed));
    let again = http::deploy(rest, &[("one.bpmn", &models::one_task("one", "work"))]);
    assert_eq!(
        again.member("processDefinitionVersion"),
        "1",
        "the same content is the same version"
    );

    let created = http::post(
        rest,
        "/v2/process-instances",
        r#"{"processDefinitionId":"one","variables":{"b":2,"a":[1,{"x":null}]},"tags":["t:1"],"businessId":"B-1"}"#,
    );
    expect![[r##"200 application/json {"processDefinitionId":"one","processDefinitionVersion":1,"tenantId":"<default>","variables":{},"processDefinitionKey":"#1","processInstanceKey":"#2","tags":["t:1"],"businessId":"B-1"}"##]].assert_eq(&line(&created));
    let instance = created.member("processInstanceKey");

    let activation = r#"{"type":"work","worker":"w","timeout":60000,"maxJobsToActivate":10,"requestTimeout":5000}"#;
    let jobs = http::post(rest, "/v2/jobs/activation", activation);
    let deadline = jobs.member("deadline");
    expect![[r##"200 application/json {"jobs":[{"type":"work","processDefinitionId":"one","processDefinitionVersion":1,"elementId":"work","customHeaders":{"colour":"green"},"worker":"w","retries":3,"deadline":DEADLINE,"variables":{"b":2,"a":[1,{"x":null}]},"tenantId":"<default>","physicalTenantId":null,"jobKey":"#1","processInstanceKey":"#2","processDefinitionKey":"#3","elementInstanceKey":"#4","kind":"BPMN_ELEMENT","listenerEventType":"UNSPECIFIED","userTask":null,"tags":["t:1"],"rootProcessInstanceKey":"#2","businessId":"B-1","priority":0,"leaseToken":null}]}"##]].assert_eq(&line(&jobs).replace(&deadline, "DEADLINE"));
    let job = jobs.member("jobKey");
    assert_eq!(jobs.member("processInstanceKey"), instance);

    let none = http::post(
        rest,
        "/v2/jobs/activation",
        &activation.replace("5000}", "-1}"),
    );
    assert_eq!(none.line(), r#"200 application/json {"jobs":[]}"#);
    let updated = http::json(
        rest,
        "PATCH",
        &format!("/v2/jobs/{job}"),
        r#"{"changeset":{"retries":5,"timeout":90000}}"#,
    );
    assert_eq!(updated.line(), "204 - ");
    let set = http::json(
        rest,
        "PUT",
        &format!("/v2/element-instances/{instance}/variables"),
        r#"{"variables":{"c":3}}"#,
    );
    assert_eq!(set.line(), "204 - ");
    let completed = http::post(
        rest,
        &format!("/v2/jobs/{job}/completion"),
        r#"{"variables":{"done":true}}"#,
    );
    assert_eq!(completed.line(), "204 - ");
    let twice = http::post(rest, &format!("/v2/jobs/{job}/completion"), "");
    expect![[r#"404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '#1', but no such job was found","instance":"/v2/jobs/#1/completion"}"#]].assert_eq(&line(&twice));
    let cancelled = http::post(
        rest,
        &format!("/v2/process-instances/{instance}/cancellation"),
        "",
    );
    expect![[r#"404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '#1', but no such process was found","instance":"/v2/process-instances/#1/cancellation"}"#]].assert_eq(&line(&cancelled));
}

#[test]
fn the_creator_can_wait_for_the_result() {
    let server = Server::start();
    let rest = server.rest.clone();
    http::must_deploy(&rest, "one.bpmn", &models::one_task("one", "work"));
    let creator = std::thread::spawn(move || {
        http::post(
            &rest,
            "/v2/process-instances",
            r#"{"processDefinitionId":"one","variables":{"a":1},"awaitCompletion":true,"fetchVariables":["done"],"requestTimeout":30000}"#,
        )
    });
    let jobs = http::post(
        &server.rest,
        "/v2/jobs/activation",
        r#"{"type":"work","timeout":60000,"maxJobsToActivate":1,"requestTimeout":30000}"#,
    );
    let path = format!("/v2/jobs/{}/completion", jobs.member("jobKey"));
    assert_eq!(
        http::post(&server.rest, &path, r#"{"variables":{"done":true,"x":1}}"#).status,
        204
    );
    let result = creator.join().unwrap();
    assert_eq!(result.status, 200, "{}", result.body);
    assert!(
        result.body.contains(r#""variables":{"done":true}"#),
        "{}",
        result.body
    );

    let late = http::post(
        &server.rest,
        "/v2/process-instances",
        r#"{"processDefinitionId":"one","awaitCompletion":true,"requestTimeout":50}"#,
    );
    assert_eq!(
        (late.status, late.member("title").as_str()),
        (504, "DEADLINE_EXCEEDED")
    );
}

#[test]
fn a_job_fails_to_an_incident_and_goes_on_when_it_is_resolved() {
    let server = Server::start();
    let rest = &server.rest;
    http::must_deploy(rest, "one.bpmn", &models::one_task("one", "work"));
    http::post(
        rest,
        "/v2/process-instances",
        r#"{"processDefinitionId":"one"}"#,
    );
    let activation =
        r#"{"type":"work","timeout":60000,"maxJobsToActivate":1,"requestTimeout":5000}"#;
    let job = http::post(rest, "/v2/jobs/activation", activation).member("jobKey");
    let failure =
        r#"{"retries":1,"errorMessage":"no luck","retryBackOff":0,"variables":{"why":"x"}}"#;
    assert_eq!(
        http::post(rest, &format!("/v2/jobs/{job}/failure"), failure).status,
        204
    );
    let again = http::post(rest, "/v2/jobs/activation", activation);
    assert_eq!(
        (again.member("jobKey"), again.member("retries")),
        (job.clone(), "1".to_owned())
    );
    assert!(again.body.contains(r#""why":"x""#), "{}", again.body);
    let failed = http::post(
        rest,
        &format!("/v2/jobs/{job}/failure"),
        r#"{"retries":0,"errorMessage":"gave up"}"#,
    );
    assert_eq!(failed.status, 204);
    let completed = http::post(rest, &format!("/v2/jobs/{job}/completion"), "{}");
    assert_eq!(
        (completed.status, completed.member("title").as_str()),
        (409, "INVALID_STATE")
    );
}

#[test]
fn messages_are_published_and_correlated() {
    let server = Server::start();
    let rest = &server.rest;
    http::must_deploy(rest, "wait.bpmn", &models::message_wait("wait"));
    let start = |order: &str| {
        let body = format!(r#"{{"processDefinitionId":"wait","variables":{{"order":"{order}"}}}}"#);
        http::post(rest, "/v2/process-instances", &body).member("processInstanceKey")
    };
    let instance = start("A-1");
    let correlated = http::post(
        rest,
        "/v2/messages/correlation",
        r#"{"name":"paid","correlationKey":"A-1"}"#,
    );
    assert_eq!(correlated.member("processInstanceKey"), instance);
    expect![[r##"200 application/json {"tenantId":"<default>","messageKey":"#1","processInstanceKey":"#2"}"##]].assert_eq(&line(&correlated));
    let nobody = http::post(
        rest,
        "/v2/messages/correlation",
        r#"{"name":"paid","correlationKey":"A-1"}"#,
    );
    expect![[r#"404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Command 'CORRELATE' rejected with code 'NOT_FOUND': Expected to find subscription for message with name 'paid' and correlation key 'A-1', but none was found.","instance":"/v2/messages/correlation"}"#]].assert_eq(&line(&nobody));
    let message = r#"{"name":"paid","correlationKey":"A-2","timeToLive":60000,"messageId":"m","variables":{"x":1}}"#;
    let published = http::post(rest, "/v2/messages/publication", message);
    expect![[r##"200 application/json {"tenantId":"<default>","messageKey":"#1"}"##]]
        .assert_eq(&line(&published));
    let twice = http::post(rest, "/v2/messages/publication", message);
    expect![[r#"409 application/problem+json {"type":"about:blank","title":"ALREADY_EXISTS","status":409,"detail":"Command 'PUBLISH' rejected with code 'ALREADY_EXISTS': Expected to publish a new message with id 'm', but a message with that id was already published","instance":"/v2/messages/publication"}"#]].assert_eq(&line(&twice));
}

#[test]
fn the_cluster_is_described_with_every_key() {
    let server = Server::start();
    let answers = [
        "/v2/topology",
        "/v2/status",
        "/status",
        "/v2/license",
        "/v2/authentication/me",
    ]
    .map(|path| format!("{path}\n  {}\n", http::get(&server.rest, path).line()))
    .concat();
    let port = server.grpc.rsplit(':').next().unwrap();
    let cluster = http::get(&server.rest, "/v2/topology").member("clusterId");
    let answers = answers.replace(&cluster, "CLUSTER");
    expect![[r#"
        /v2/topology
          200 application/json {"brokers":[{"nodeId":0,"brokerId":"0","host":"127.0.0.1","port":PORT,"partitions":[{"partitionId":1,"role":"leader","health":"healthy","state":"active"}],"version":"8.9.0"}],"clusterId":"CLUSTER","clusterSize":1,"partitionsCount":1,"replicationFactor":1,"gatewayVersion":"8.9.0","lastCompletedChangeId":"-1"}
        /v2/status
          204 - 
        /status
          204 - 
        /v2/license
          200 application/json {"validLicense":true,"licenseType":"unknown","isCommercial":false,"expiresAt":null}
        /v2/authentication/me
          200 application/json {"username":"anonymous","displayName":"Anonymous","email":null,"authorizedComponents":["*"],"tenants":[{"tenantId":"<default>","name":"Default","description":""}],"groups":[],"roles":[],"salesPlanType":null,"c8Links":{},"canLogout":false}
    "#]].assert_eq(&answers.replace(port, "PORT"));
}

#[test]
fn bad_input_is_answered_with_a_problem_and_changes_nothing() {
    let server = Server::start();
    let json = ("content-type", "application/json");
    let mut seen = String::new();
    for (method, path, header, body) in BAD {
        let headers: Vec<(&str, &str)> = if header.is_empty() {
            vec![json]
        } else {
            vec![("content-type", header)]
        };
        let answer = http::send(&server.rest, method, path, &headers, body.as_bytes());
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{method} {path}: {}",
            answer.body
        );
        let shown: String = body.chars().take(60).collect();
        seen.push_str(&format!(
            "{method} {path} {shown}\n  {} {} | {}\n",
            answer.status,
            answer.member("title"),
            detail(&answer.body)
        ));
    }
    expect![[r#"
        GET /v2/nothing 
          404 Not Found | No endpoint GET /v2/nothing.
        GET / 
          404 Not Found | No endpoint GET /.
        DELETE /v2/topology 
          405 Method Not Allowed | Method 'DELETE' is not supported.
        GET /v2/jobs/activation 
          405 Method Not Allowed | Method 'GET' is not supported.
        POST /v2/process-instances 
          400 Bad Request | Required request body is missing.
        POST /v2/process-instances {
          400 Bad Request | The request body is no JSON: expected a member name at byte 1.
        POST /v2/process-instances []
          400 Bad Request | The request body must be a JSON object, not an array.
        POST /v2/process-instances {}
          400 INVALID_ARGUMENT | At least one of [processDefinitionId, processDefinitionKey] is required.
        POST /v2/process-instances {}
          415 Unsupported Media Type | Content-Type 'text/plain' is not supported. Supported: application/json.
        POST /v2/process-instances {"processDefinitionId":"x","nonsense":1}
          400 Bad Request | Request property [nonsense] cannot be parsed: there is no such property.
        POST /v2/process-instances {"processDefinitionId":"x"}
          404 NOT_FOUND | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with process ID 'x', but none found
        POST /v2/process-instances {"processDefinitionId":"x","processDefinitionVersion":7}
          404 NOT_FOUND | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with process ID 'x' and version '7', but none found
        POST /v2/process-instances {"processDefinitionId":"x","processDefinitionVersion":"7"}
          400 Bad Request | Request property [processDefinitionVersion] cannot be parsed: expected a number, found a string.
        POST /v2/process-instances {"processDefinitionKey":"2251799813685249"}
          404 NOT_FOUND | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with key '2251799813685249', but none found
        POST /v2/process-instances {"processDefinitionKey":2251799813685249}
          400 Bad Request | Request property [processDefinitionKey] cannot be parsed: expected a string, found a number.
        POST /v2/process-instances {"processDefinitionKey":"abc"}
          400 INVALID_ARGUMENT | The provided processDefinitionKey 'abc' is not a valid key: expected digits.
        POST /v2/process-instances {"processDefinitionKey":"1","processDefinitionId":"x"}
          400 INVALID_ARGUMENT | Only one of [processDefinitionId, processDefinitionKey] is allowed.
        POST /v2/process-instances {"processDefinitionId":"x","variables":[1]}
          400 Bad Request | Request property [variables] cannot be parsed: expected an object, found an array.
        POST /v2/process-instances {"processDefinitionId":"x","tenantId":"other"}
          400 INVALID_ARGUMENT | Expected to handle the request with tenant identifier 'other', but multi-tenancy is disabled
        POST /v2/process-instances {"processDefinitionId":"x","tags":["1"]}
          400 INVALID_ARGUMENT | The value for tag is '1' but must be 1 to 100 letters, digits or any of '_-:.', beginning with a letter.
        POST /v2/process-instances {"processDefinitionId":"x","startInstructions":[{"elementId"
          501 UNIMPLEMENTED | not implemented yet: it comes with start instructions
        POST /v2/process-instances/abc/cancellation 
          400 Bad Request | The path has 'abc' where a key is expected: digits.
        POST /v2/process-instances/2251799813685249/cancellation 
          404 NOT_FOUND | Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '2251799813685249', but no such process was found
        POST /v2/process-instances/-1/cancellation 
          404 NOT_FOUND | Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '-1', but no such process was found
        POST /v2/jobs/activation {}
          400 INVALID_ARGUMENT | No type provided. No timeout provided. No maxJobsToActivate provided.
        POST /v2/jobs/activation {"type":" ","timeout":0,"maxJobsToActivate":-1,"tenantFilter
          400 INVALID_ARGUMENT | No type provided. The value for timeout is '0' but must be greater than 0. The value for maxJobsToActivate is '-1' but must be greater than 0. The value for tenantFilter is 'ALL' but must be one of [PROVIDED, ASSIGNED].
        POST /v2/jobs/activation {"type":"a","timeout":1,"maxJobsToActivate":1,"tenantIds":["
          400 INVALID_ARGUMENT | Expected to handle the request with tenant identifier 'x', but multi-tenancy is disabled
        POST /v2/jobs/2251799813685249/completion 
          404 NOT_FOUND | Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '2251799813685249', but no such job was found
        POST /v2/jobs/2251799813685249/completion {"variables":{"a":1,}}
          400 Bad Request | The request body is no JSON: expected a member name at byte 20.
        POST /v2/jobs/2251799813685249/completion {"result":{"denied":true}}
          501 UNIMPLEMENTED | not implemented yet: it comes with user task listeners and ad-hoc sub-processes
        POST /v2/jobs/2251799813685249/failure {}
          404 NOT_FOUND | Command 'FAIL' rejected with code 'NOT_FOUND': Expected to fail job with key '2251799813685249', but no such job was found
        POST /v2/jobs/2251799813685249/error {}
          400 INVALID_ARGUMENT | No errorCode provided.
        POST /v2/jobs/2251799813685249/error {"errorCode":"E"}
          404 NOT_FOUND | Command 'THROW_ERROR' rejected with code 'NOT_FOUND': Expected to throw an error for job with key '2251799813685249', but no such job was found
        PATCH /v2/jobs/2251799813685249 {"changeset":{}}
          400 INVALID_ARGUMENT | At least one of [retries, timeout] is required.
        PATCH /v2/jobs/2251799813685249 {"changeset":{"retries":0}}
          400 INVALID_ARGUMENT | Command 'UPDATE_RETRIES' rejected with code 'INVALID_ARGUMENT': Expected to update retries for job with key '2251799813685249' with a positive amount of retries, but the amount given was '0'
        PATCH /v2/jobs/2251799813685249 {"changeset":{"timeout":1000}}
          404 NOT_FOUND | Command 'UPDATE_TIMEOUT' rejected with code 'NOT_FOUND': Expected to update the timeout of job with key '2251799813685249', but no such job was found
        POST /v2/messages/publication {}
          400 INVALID_ARGUMENT | No name provided.
        POST /v2/messages/publication {"name":"a","timeToLive":-1}
          400 INVALID_ARGUMENT | The value for timeToLive is '-1' but must be not negative.
        POST /v2/messages/correlation {}
          400 INVALID_ARGUMENT | No name provided.
        POST /v2/messages/correlation {"name":"a","correlationKey":"b"}
          404 NOT_FOUND | Command 'CORRELATE' rejected with code 'NOT_FOUND': Expected to find subscription for message with name 'a' and correlation key 'b', but none was found.
        PUT /v2/element-instances/2251799813685249/variables {"local":true}
          400 INVALID_ARGUMENT | No variables provided.
        PUT /v2/element-instances/2251799813685249/variables {"variables":{"a":1}}
          404 NOT_FOUND | Command 'UPDATE' rejected with code 'NOT_FOUND': Expected to update variables for element with key '2251799813685249', but no such element was found
        POST /v2/incidents/2251799813685249/resolution 
          404 NOT_FOUND | Command 'RESOLVE' rejected with code 'NOT_FOUND': Expected to resolve incident with key '2251799813685249', but no such incident was found
        POST /v2/deployments {}
          415 Unsupported Media Type | Content-Type 'application/json' is not supported. Supported: multipart/form-data.
    "#]].assert_eq(&seen);
}

fn detail(body: &str) -> &str {
    let start = body.find("\"detail\":\"").unwrap() + 10;
    &body[start..body.rfind("\",\"instance\"").unwrap()]
}

const INSTANCES: &str = "/v2/process-instances";

const BAD: [(&str, &str, &str, &str); 44] = [
    ("GET", "/v2/nothing", "", ""),
    ("GET", "/", "", ""),
    ("DELETE", "/v2/topology", "", ""),
    ("GET", "/v2/jobs/activation", "", ""),
    ("POST", INSTANCES, "", ""),
    ("POST", INSTANCES, "", "{"),
    ("POST", INSTANCES, "", "[]"),
    ("POST", INSTANCES, "", "{}"),
    ("POST", INSTANCES, "text/plain", "{}"),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","nonsense":1}"#,
    ),
    ("POST", INSTANCES, "", r#"{"processDefinitionId":"x"}"#),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","processDefinitionVersion":7}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","processDefinitionVersion":"7"}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionKey":"2251799813685249"}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionKey":2251799813685249}"#,
    ),
    ("POST", INSTANCES, "", r#"{"processDefinitionKey":"abc"}"#),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionKey":"1","processDefinitionId":"x"}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","variables":[1]}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","tenantId":"other"}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","tags":["1"]}"#,
    ),
    (
        "POST",
        INSTANCES,
        "",
        r#"{"processDefinitionId":"x","startInstructions":[{"elementId":"a"}]}"#,
    ),
    ("POST", "/v2/process-instances/abc/cancellation", "", ""),
    (
        "POST",
        "/v2/process-instances/2251799813685249/cancellation",
        "",
        "",
    ),
    ("POST", "/v2/process-instances/-1/cancellation", "", ""),
    ("POST", "/v2/jobs/activation", "", "{}"),
    (
        "POST",
        "/v2/jobs/activation",
        "",
        r#"{"type":" ","timeout":0,"maxJobsToActivate":-1,"tenantFilter":"ALL"}"#,
    ),
    (
        "POST",
        "/v2/jobs/activation",
        "",
        r#"{"type":"a","timeout":1,"maxJobsToActivate":1,"tenantIds":["x"]}"#,
    ),
    ("POST", "/v2/jobs/2251799813685249/completion", "", ""),
    (
        "POST",
        "/v2/jobs/2251799813685249/completion",
        "",
        r#"{"variables":{"a":1,}}"#,
    ),
    (
        "POST",
        "/v2/jobs/2251799813685249/completion",
        "",
        r#"{"result":{"denied":true}}"#,
    ),
    ("POST", "/v2/jobs/2251799813685249/failure", "", "{}"),
    ("POST", "/v2/jobs/2251799813685249/error", "", "{}"),
    (
        "POST",
        "/v2/jobs/2251799813685249/error",
        "",
        r#"{"errorCode":"E"}"#,
    ),
    (
        "PATCH",
        "/v2/jobs/2251799813685249",
        "",
        r#"{"changeset":{}}"#,
    ),
    (
        "PATCH",
        "/v2/jobs/2251799813685249",
        "",
        r#"{"changeset":{"retries":0}}"#,
    ),
    (
        "PATCH",
        "/v2/jobs/2251799813685249",
        "",
        r#"{"changeset":{"timeout":1000}}"#,
    ),
    ("POST", "/v2/messages/publication", "", "{}"),
    (
        "POST",
        "/v2/messages/publication",
        "",
        r#"{"name":"a","timeToLive":-1}"#,
    ),
    ("POST", "/v2/messages/correlation", "", "{}"),
    (
        "POST",
        "/v2/messages/correlation",
        "",
        r#"{"name":"a","correlationKey":"b"}"#,
    ),
    (
        "PUT",
        "/v2/element-instances/2251799813685249/variables",
        "",
        r#"{"local":true}"#,
    ),
    (
        "PUT",
        "/v2/element-instances/2251799813685249/variables",
        "",
        r#"{"variables":{"a":1}}"#,
    ),
    ("POST", "/v2/incidents/2251799813685249/resolution", "", ""),
    ("POST", "/v2/deployments", "", "{}"),
];

#[test]
fn bad_deployments_say_what_is_wrong_with_which_file() {
    let server = Server::start();
    let rest = &server.rest;
    let good = models::one_task("one", "work");
    let mut bomb = String::from("<?xml version=\"1.0\"?>");
    bomb.push_str(&"<a>".repeat(100_000));
    let mut seen = String::new();
    for (what, files) in [
        ("no file", vec![]),
        ("no XML", vec![("a.bpmn", "hello")]),
        (
            "DOCTYPE",
            vec![("a.bpmn", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>")],
        ),
        ("nesting bomb", vec![("a.bpmn", bomb.as_str())]),
        ("unknown ending", vec![("a.txt", "hello")]),
        (
            "the same process twice",
            vec![("a.bpmn", good.as_str()), ("b.bpmn", good.as_str())],
        ),
    ] {
        let answer = http::deploy(rest, &files);
        seen.push_str(&format!(
            "{what}\n  {} {} | {}\n",
            answer.status,
            answer.member("title"),
            detail(&answer.body)
        ));
    }
    expect![[r#"
        no file
          400 INVALID_ARGUMENT | No resources provided.
        no XML
          400 INVALID_ARGUMENT | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:\n'a.bpmn': - Line 1 column 1\n    - ERROR: there is text outside the root element [KAP-BPMN-0002] Open the file in a BPMN modeler or an XML editor and save it again.
        DOCTYPE
          400 INVALID_ARGUMENT | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:\n'a.bpmn': - Line 1 column 1\n    - ERROR: the document has a DOCTYPE declaration [KAP-BPMN-0003] Remove the DOCTYPE and write entities as characters; BPMN needs neither.
        nesting bomb
          400 INVALID_ARGUMENT | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:\n'a.bpmn': - Line 1 column 790\n    - ERROR: elements are nested deeper than 256 [KAP-BPMN-0004] Split the model into several processes.
        unknown ending
          400 INVALID_ARGUMENT | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:\n'a.txt': unknown resource type: expected a name that ends with .bpmn
        the same process twice
          400 INVALID_ARGUMENT | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:\n'b.bpmn': Duplicated process id 'one' in resources 'a.bpmn' and 'b.bpmn'
    "#]].assert_eq(&seen);
    // Nothing of it was kept.
    let answer = http::post(rest, INSTANCES, r#"{"processDefinitionId":"one"}"#);
    assert_eq!(answer.status, 404);
}

#[test]
fn web_pages_of_other_machines_may_not_call() {
    let server = Server::start();
    let send = |path: &str, origin: &str| {
        let headers = [("origin", origin), ("content-type", "application/json")];
        http::send(&server.rest, "POST", path, &headers, b"{}").status
    };
    for path in ["/v2/deployments", INSTANCES, "/events", "/v2/jobs/search"] {
        assert_eq!(send(path, "http://evil.example"), 403, "{path}");
    }
    assert_eq!(send("/v2/jobs/search", "http://localhost:5173"), 200);
}

#[test]
fn an_upload_of_50_mb_is_refused_cleanly() {
    let server = Server::start();
    let big = "x".repeat(50 << 20);
    let answer = http::deploy(&server.rest, &[("big.bpmn", &big)]);
    assert_eq!(
        (answer.status, answer.member("title").as_str()),
        (413, "Payload Too Large")
    );
    let answer = http::post(&server.rest, INSTANCES, &format!("{{\"a\":\"{big}\"}}"));
    assert_eq!(
        (answer.status, answer.member("title").as_str()),
        (413, "Payload Too Large")
    );
    assert_eq!(
        http::get(&server.rest, "/v2/status").status,
        204,
        "it still serves"
    );
}
