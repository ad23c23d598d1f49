//! REST and gRPC in front of a partition that has a little history: bodies, paths, parameters, forms, messages.

use std::cell::RefCell;
use std::path::PathBuf;

use kapelle::fuzzing::{Answer, Door};
use kapelle_feel::{Value, json};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::{Seeds, pieces, put_piece};

/// An input is requests, cut at lines `%%`: `METHOD PATH`, lines `header: value`, an empty line, and the body.
pub const REST: Target = Target {
    name: "rest",
    run: rest,
    seeds: rest_seeds,
    dictionary: REST_DICTIONARY,
    len_max: 4 * KIB,
    bytes_max: 64 * MIB,
    cpu_ms_max: 2_000,
};

/// An input is pieces, a call each; the kind is the number of the method.
pub const GRPC: Target = Target {
    name: "grpc",
    run: grpc,
    seeds: grpc_seeds,
    dictionary: "order\nk17\n{\"n\":1}\npack\n<default>\ntraceparent\n=x\n{}\nnull\n[1]\n2251799813685249",
    len_max: 4 * KIB,
    bytes_max: 64 * MIB,
    cpu_ms_max: 2_000,
};

/// So many requests of one input are sent.
const REQUESTS_MAX: usize = 4;

/// A directory for the process's files. Whoever runs many gives them a temporary directory and removes it.
pub(super) fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("kapelle-fuzz-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the temporary directory has room");
    dir
}

thread_local! {
    static DOOR: RefCell<Option<Door>> = const { RefCell::new(None) };
}

/// The door as every input finds it.
fn with_door(use_it: impl FnOnce(&Door)) {
    DOOR.with_borrow_mut(|door| {
        let door = door.get_or_insert_with(prepare);
        door.reset();
        use_it(door);
    });
}

/// Deploys the example models and lets a little happen, over REST as anybody would.
fn prepare() -> Door {
    let mut door = Door::new();
    let mut models = Seeds::default();
    models.files("crates/kapelle-model/testdata", ".bpmn");
    models.files("tests/clients/models", ".bpmn");
    models.add(kapelle_model::notation::xml(ORDER).as_bytes());
    for model in models.all() {
        let answer = send(&door, &multipart(model));
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    for request in STORY {
        let answer = send(&door, request.as_bytes());
        assert!(answer.status < 300, "{request}: {answer:?}");
    }
    door.pass(5_000);
    door.keep(&directory("door"));
    door
}

/// `notation` calls its process `process`.
const ORDER: &str = "s:start(message order, event order.placed, eventkey data.id) -> merge0{all: default} ; start -> merge0 ; \
    all -> a:service(type pack, retries 2) -> c:catch(message paid, key id) -> b:service(type bad, in x = assert(n, n > 5)) -> \
    p:throw(publish shipped, subject =id) -> end";

const STORY: &[&str] = &[
    "POST /v2/process-instances\ncontent-type: application/json\n\n{\"processDefinitionId\":\"process\",\"variables\":{\"id\":\"k1\",\"n\":1,\"text\":\"x\",\"list\":[1,{\"a\":null}]},\"tags\":[\"t1\"]}",
    "POST /v2/process-instances\ncontent-type: application/json\n\n{\"processDefinitionId\":\"process\",\"variables\":{\"id\":\"k2\",\"n\":9}}",
    "POST /v2/jobs/activation\ncontent-type: application/json\n\n{\"type\":\"pack\",\"timeout\":60000,\"maxJobsToActivate\":1,\"worker\":\"w\"}",
    "POST /v2/messages/publication\ncontent-type: application/json\n\n{\"name\":\"paid\",\"correlationKey\":\"k9\",\"timeToLive\":60000,\"messageId\":\"m1\",\"variables\":{\"paid\":true}}",
    "POST /events\ncontent-type: application/cloudevents+json\n\n{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\",\"type\":\"order.placed\",\"data\":{\"id\":\"k3\",\"n\":2}}",
    "POST /events\ncontent-type: application/cloudevents+json\n\n{\"specversion\":\"1.0\",\"id\":\"e2\",\"source\":\"/s\",\"type\":\"nobody.wants\",\"data\":{\"id\":\"k3\"}}",
];

fn send(door: &Door, request: &[u8]) -> Answer {
    ask(door, request).expect("our own requests are HTTP")
}

/// One request as text. `None` where it is none.
fn ask(door: &Door, request: &[u8]) -> Option<Answer> {
    let (head, body) = match request.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&request[..at], &request[at + 2..]),
        None => (request, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, path) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| line.split_at_checked(line.iter().position(|byte| *byte == b':')?))
        .filter_map(|(name, value)| {
            Some((std::str::from_utf8(name).ok()?, value[1..].trim_ascii()))
        })
        .collect();
    if !path.starts_with('/') {
        return None;
    }
    door.rest(method, path, &headers, body)
}

fn rest(input: &[u8]) {
    with_door(|door| {
        for request in split(input, b"\n%%\n").into_iter().take(REQUESTS_MAX) {
            if let Some(answer) = ask(door, request) {
                check_rest(&answer, request);
            }
        }
    });
}

fn check_rest(answer: &Answer, request: &[u8]) {
    let shown = || {
        format!(
            "{} to {}: {}",
            answer.status,
            String::from_utf8_lossy(request),
            String::from_utf8_lossy(&answer.body)
        )
    };
    // What is not there yet says so.
    assert!(
        answer.status < 500 || answer.status == 501 || answer.status == 504,
        "{}",
        shown()
    );
    if answer.status >= 400 && !request.starts_with(b"HEAD ") {
        assert_eq!(
            answer.content_type,
            "application/problem+json",
            "{}",
            shown()
        );
    }
    if answer.content_type.ends_with("json") && !answer.body.is_empty() {
        let text = std::str::from_utf8(&answer.body).unwrap_or_else(|_| panic!("{}", shown()));
        assert!(json::to_value(text).is_ok(), "{}", shown());
    }
}

fn grpc(input: &[u8]) {
    with_door(|door| {
        for (method, message) in pieces(input).take(REQUESTS_MAX) {
            let method = METHODS[usize::from(method) % METHODS.len()];
            check_grpc(&door.grpc(method, message), method);
        }
    });
}

fn check_grpc(answer: &Answer, method: &str) {
    const UNKNOWN: u16 = 2;
    const INTERNAL: u16 = 13;
    // The library's word for bytes that are no message.
    let undecoded = answer.message.contains("decode");
    assert!(
        answer.status != UNKNOWN && (answer.status != INTERNAL || undecoded),
        "{method}: {} {}",
        answer.status,
        answer.message
    );
}

fn split<'i>(input: &'i [u8], cut: &[u8]) -> Vec<&'i [u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(cut.len()).position(|window| window == cut) {
        parts.push(&rest[..at]);
        rest = &rest[at + cut.len()..];
    }
    parts.push(rest);
    parts
}

fn multipart(model: &[u8]) -> Vec<u8> {
    let head = "POST /v2/deployments\ncontent-type: multipart/form-data; boundary=b\n\n--b\r\ncontent-disposition: form-data; name=\"resources\"; filename=\"m.bpmn\"\r\n\r\n";
    [head.as_bytes(), model, b"\r\n--b--\r\n"].concat()
}

fn rest_seeds(seeds: &mut Seeds) {
    STORY.iter().for_each(|request| seeds.add(*request));
    seeds.add(multipart(
        kapelle_model::notation::xml("start -> a:service(type t1) -> end").as_bytes(),
    ));
    let keys = Keys::find();
    for (method, path, body) in REQUESTS {
        let path = keys.put_in(path);
        let body = keys.put_in(body);
        let head = if body.is_empty() {
            ""
        } else {
            "\ncontent-type: application/json"
        };
        seeds.add(format!("{method} {path}{head}\n\n{body}"));
    }
    for entity in [
        "process-definitions",
        "process-instances",
        "element-instances",
        "jobs",
        "incidents",
        "variables",
    ] {
        for body in SEARCHES {
            let body = keys.put_in(body);
            seeds.add(format!(
                "POST /v2/{entity}/search\ncontent-type: application/json\n\n{body}"
            ));
        }
    }
}

/// Keys of what there is, so that inputs meet it.
struct Keys {
    instance: String,
    job: String,
    incident: String,
    element: String,
}

impl Keys {
    fn find() -> Self {
        let mut keys = None;
        with_door(|door| {
            let first = |entity: &str, name: &str, filter: &str| {
                let request = format!(
                    "POST /v2/{entity}/search\ncontent-type: application/json\n\n{{\"filter\":{filter}}}"
                );
                let answer = send(door, request.as_bytes());
                let text = String::from_utf8(answer.body).expect("answers are UTF-8");
                let found = json::to_value(&text)
                    .ok()
                    .and_then(|page| member(&page, name));
                found.unwrap_or_else(|| panic!("the story made no {entity}: {text}"))
            };
            keys = Some(Self {
                instance: first("process-instances", "processInstanceKey", "{}"),
                job: first("jobs", "jobKey", "{\"type\":\"pack\"}"),
                incident: String::from("2251799813685300"),
                element: first(
                    "element-instances",
                    "elementInstanceKey",
                    "{\"state\":\"ACTIVE\"}",
                ),
            });
        });
        keys.expect("they were found above")
    }

    fn put_in(&self, text: &str) -> String {
        text.replace("{instance}", &self.instance)
            .replace("{job}", &self.job)
            .replace("{incident}", &self.incident)
            .replace("{element}", &self.element)
    }
}

/// That member of the first item.
fn member(page: &Value, name: &str) -> Option<String> {
    let item = page
        .as_context()?
        .get("items")?
        .as_list()?
        .as_slice()
        .first()?
        .clone();
    Some(item.as_context()?.get(name)?.as_str()?.to_owned())
}

const REQUESTS: &[(&str, &str, &str)] = &[
    ("GET", "/v2/topology", ""),
    ("GET", "/v2/status", ""),
    ("GET", "/v2/license", ""),
    ("GET", "/v2/authentication/me", ""),
    ("POST", "/v2/process-instances/{instance}/cancellation", ""),
    (
        "PUT",
        "/v2/element-instances/{instance}/variables",
        "{\"variables\":{\"a\":1},\"local\":true}",
    ),
    ("POST", "/v2/incidents/{incident}/resolution", ""),
    (
        "POST",
        "/v2/jobs/activation",
        "{\"type\":\"bad\",\"timeout\":1000,\"maxJobsToActivate\":3,\"requestTimeout\":10,\"fetchVariable\":[\"id\"],\"tenantIds\":[\"<default>\"]}",
    ),
    (
        "POST",
        "/v2/jobs/{job}/completion",
        "{\"variables\":{\"done\":true},\"result\":null}",
    ),
    (
        "POST",
        "/v2/jobs/{job}/failure",
        "{\"retries\":0,\"errorMessage\":\"no\",\"retryBackOff\":10,\"variables\":{}}",
    ),
    (
        "POST",
        "/v2/jobs/{job}/error",
        "{\"errorCode\":\"E1\",\"errorMessage\":\"no\",\"variables\":{\"x\":1}}",
    ),
    (
        "PATCH",
        "/v2/jobs/{job}",
        "{\"changeset\":{\"retries\":3,\"timeout\":1000}}",
    ),
    (
        "POST",
        "/v2/messages/correlation",
        "{\"name\":\"paid\",\"correlationKey\":\"k1\",\"variables\":{\"p\":1},\"tenantId\":\"<default>\"}",
    ),
    (
        "POST",
        "/v2/process-instances",
        "{\"processDefinitionId\":\"process\",\"processDefinitionVersion\":1,\"awaitCompletion\":true,\"requestTimeout\":100,\"fetchVariables\":[\"a\"],\"businessId\":\"b\",\"startInstructions\":[]}",
    ),
    ("GET", "/v2/process-instances/{instance}", ""),
    ("GET", "/v2/element-instances/{element}", ""),
    (
        "GET",
        "/v2/kapelle/events?limit=10&direction=in&type=order.*&outcome=MATCHED,UNMATCHED",
        "",
    ),
    (
        "GET",
        "/v2/kapelle/events?after=1&processInstanceKey={instance}&subject=%C3%A4&id=e1&source=/s",
        "",
    ),
    ("GET", "/v2/kapelle/events/30/explain", ""),
    ("GET", "/v2/kapelle/events/30", ""),
    (
        "POST",
        "/v2/variables/search?truncateValues=false",
        "{\"filter\":{\"name\":\"id\"}}",
    ),
];

const SEARCHES: &[&str] = &[
    "{}",
    "{\"filter\":{\"processInstanceKey\":\"{instance}\"},\"page\":{\"from\":0,\"limit\":2}}",
    "{\"filter\":{\"processInstanceKey\":{\"$in\":[\"{instance}\",\"1\"]},\"state\":{\"$neq\":\"COMPLETED\"}},\"sort\":[{\"field\":\"startDate\",\"order\":\"DESC\"},{\"field\":\"processInstanceKey\"}]}",
    "{\"filter\":{\"$or\":[{\"state\":\"ACTIVE\"},{\"hasIncident\":true}],\"startDate\":{\"$gte\":\"2020-01-01T00:00:00Z\",\"$lt\":\"2030-01-01T00:00:00Z\"}}}",
    "{\"filter\":{\"name\":{\"$like\":\"i*d?\"},\"value\":{\"$eq\":\"\\\"k1\\\"\"}},\"page\":{\"limit\":1,\"after\":\"WzFd\"}}",
    "{\"filter\":{\"type\":{\"$exists\":true},\"worker\":{\"$notIn\":[\"w\"]}},\"page\":{\"before\":\"WzFd\"}}",
];

const REST_DICTIONARY: &str = r#"content-type: application/json
content-type: application/cloudevents+json
content-type: application/cloudevents-batch+json
content-type: multipart/form-data; boundary=b
accept: application/json
origin: http://localhost
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
%%
"filter":{
"page":{
"sort":[{
"field":
"order":"DESC"
"from":
"limit":
"after":"
"before":"
"$eq":
"$neq":
"$exists":
"$gt":
"$gte":
"$lt":
"$lte":
"$in":[
"$notIn":[
"$like":"
"$or":[{
"$and":[{
"$not":{
"state":
"processInstanceKey":
"processDefinitionKey":
"processDefinitionId":
"elementId":
"variables":{
"variables":[{"name":"id","value":"\"k1\""}]
"startDate":
"endDate":
"tags":[
"tenantId":"<default>"
"retries":
"timeout":
"requestTimeout":
"businessId":
%2F
%00
/v2/jobs/
/v2/kapelle/events/
2251799813685249
9223372036854775808"#;

/// The methods of the service that take a message.
const METHODS: [&str; 22] = [
    "Topology",
    "DeployResource",
    "DeployProcess",
    "CreateProcessInstance",
    "CreateProcessInstanceWithResult",
    "CancelProcessInstance",
    "SetVariables",
    "ResolveIncident",
    "ActivateJobs",
    "StreamActivatedJobs",
    "CompleteJob",
    "FailJob",
    "ThrowError",
    "UpdateJobRetries",
    "UpdateJobTimeout",
    "PublishMessage",
    "EvaluateDecision",
    "ModifyProcessInstance",
    "MigrateProcessInstance",
    "DeleteResource",
    "BroadcastSignal",
    "EvaluateConditional",
];

fn grpc_seeds(seeds: &mut Seeds) {
    let keys = Keys::find();
    let number = |text: &str| text.parse::<u64>().expect("keys are numbers");
    let (instance, job) = (number(&keys.instance), number(&keys.job));
    let model = kapelle_model::notation::xml("start -> a:service(type t1) -> end");
    let calls: &[(&str, Vec<u8>)] = &[
        ("Topology", vec![]),
        (
            "DeployResource",
            nested(1, &[text(1, "m.bpmn"), text(2, &model)]),
        ),
        (
            "DeployProcess",
            nested(1, &[text(1, "m.bpmn"), text(3, &model)]),
        ),
        (
            "CreateProcessInstance",
            [
                text(2, "process"),
                varint(3, u64::MAX),
                text(4, "{\"id\":\"k7\"}"),
            ]
            .concat(),
        ),
        (
            "CreateProcessInstanceWithResult",
            [
                nested(1, &[text(2, "process"), varint(3, 1)]),
                varint(2, 100),
                text(3, "a"),
            ]
            .concat(),
        ),
        ("CancelProcessInstance", varint(1, instance)),
        (
            "SetVariables",
            [varint(1, instance), text(2, "{\"a\":1}"), varint(3, 1)].concat(),
        ),
        ("ResolveIncident", varint(1, 7)),
        (
            "ActivateJobs",
            [
                text(1, "bad"),
                text(2, "w"),
                varint(3, 1_000),
                varint(4, 5),
                text(5, "id"),
                varint(6, 10),
                text(7, "<default>"),
            ]
            .concat(),
        ),
        (
            "StreamActivatedJobs",
            [
                text(1, "pack"),
                text(2, "w"),
                varint(3, 1_000),
                text(5, "id"),
            ]
            .concat(),
        ),
        (
            "CompleteJob",
            [varint(1, job), text(2, "{\"x\":1}")].concat(),
        ),
        (
            "FailJob",
            [varint(1, job), varint(2, 0), text(3, "no"), varint(4, 10)].concat(),
        ),
        (
            "ThrowError",
            [varint(1, job), text(2, "E1"), text(3, "no"), text(4, "{}")].concat(),
        ),
        ("UpdateJobRetries", [varint(1, job), varint(2, 3)].concat()),
        (
            "UpdateJobTimeout",
            [varint(1, job), varint(2, 1_000)].concat(),
        ),
        (
            "PublishMessage",
            [
                text(1, "paid"),
                text(2, "k1"),
                varint(3, 1_000),
                text(4, "m2"),
                text(5, "{\"p\":1}"),
            ]
            .concat(),
        ),
        ("EvaluateDecision", [text(2, "d"), text(3, "{}")].concat()),
        ("ModifyProcessInstance", varint(1, instance)),
        ("MigrateProcessInstance", varint(1, instance)),
        ("DeleteResource", varint(1, instance)),
        ("BroadcastSignal", text(1, "s")),
        ("EvaluateConditional", vec![]),
    ];
    for (method, message) in calls {
        let index = METHODS
            .iter()
            .position(|other| other == method)
            .expect("it is in the list");
        let mut input = Vec::new();
        put_piece(
            &mut input,
            u8::try_from(index).expect("the list is short"),
            message,
        );
        seeds.add(input);
    }
}

fn varint(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for mut number in [field << 3, value] {
        while number >= 0x80 {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
    out
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    // The same two numbers, but the wire type says that bytes follow.
    let mut out = varint(field, content.len() as u64);
    out[0] |= 2;
    out.extend(content);
    out
}

fn text(field: u64, content: &str) -> Vec<u8> {
    bytes(field, content.as_bytes())
}

fn nested(field: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &fields.concat())
}
