//! Searches of the real binary: they see what was written before them, whatever happens to the server and its files.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use expect_test::expect;

use crate::http::{self, Answer};
use crate::models;
use crate::server::{Server, TempDir};

fn create(rest: &str) -> String {
    let answer = http::post(
        rest,
        "/v2/process-instances",
        r#"{"processDefinitionId":"p","variables":{"order":"A-1"}}"#,
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.member("processInstanceKey")
}

fn get(rest: &str, key: &str) -> Answer {
    http::get(rest, &format!("/v2/process-instances/{key}"))
}

/// The texts of a member, wherever it stands.
fn all(body: &str, name: &str) -> Vec<String> {
    let opening = format!("\"{name}\":\"");
    body.split(&opening)
        .skip(1)
        .map(|rest| rest[..rest.find('"').unwrap()].to_owned())
        .collect()
}

fn search(rest: &str, what: &str, body: &str) -> String {
    let answer = http::post(rest, &format!("/v2/{what}/search"), body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Every key of an entity, page by page.
fn every(rest: &str, what: &str, key: &str) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let page = search(rest, what, &format!(r#"{{"page":{{{after}"limit":500}}}}"#));
        let found = all(&page, key);
        if found.is_empty() {
            return keys;
        }
        after = format!(r#""after":"{}","#, all(&page, "endCursor")[0]);
        keys.extend(found);
    }
}

/// As [`create`], where the server may be killed meanwhile.
fn try_create(rest: &str) -> std::io::Result<String> {
    let body = r#"{"processDefinitionId":"p"}"#;
    let mut stream = TcpStream::connect(rest)?;
    write!(
        stream,
        "POST /v2/process-instances HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Threads that start instances until they are told to stop or the server is gone.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(rest: &str, threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let work = |stop: Arc<AtomicBool>, rest: String| {
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match try_create(&rest) {
                    Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                        acknowledged.extend(all(&answer, "processInstanceKey"))
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            acknowledged
        };
        let threads = (0..threads)
            .map(|_| {
                let (stop, rest) = (Arc::clone(&stop), rest.to_owned());
                std::thread::spawn(move || work(stop, rest))
            })
            .collect();
        Self { stop, threads }
    }

    /// What was acknowledged.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    }
}

#[test]
fn a_search_sees_what_was_answered_before_it_also_under_load() {
    let server = Server::start();
    http::must_deploy(&server.rest, "p.bpmn", &models::one_task("p", "work"));
    let load = Load::start(&server.rest, 3);
    for round in 0..60 {
        let key = create(&server.rest);
        let found = get(&server.rest, &key);
        assert_eq!(
            (found.status, found.member("state")),
            (200, "ACTIVE".to_owned()),
            "round {round}: {}",
            found.body
        );
        let filter = format!(r#"{{"filter":{{"processInstanceKey":"{key}"}}}}"#);
        let elements = search(&server.rest, "element-instances", &filter);
        assert_eq!(
            all(&elements, "elementId"),
            ["start", "work"],
            "round {round}"
        );
        assert_eq!(
            all(&search(&server.rest, "variables", &filter), "value"),
            [r#"\"#],
            "round {round}"
        );
        let job = &all(&search(&server.rest, "jobs", &filter), "jobKey")[0];
        let incident = format!("/v2/jobs/{job}/failure");
        assert_eq!(
            http::post(
                &server.rest,
                &incident,
                r#"{"retries":0,"errorMessage":"no"}"#
            )
            .status,
            204
        );
        assert_eq!(
            all(&search(&server.rest, "incidents", &filter), "jobKey"),
            [job.as_str()],
            "round {round}"
        );
        assert_eq!(
            http::post(
                &server.rest,
                &format!("/v2/process-instances/{key}/cancellation"),
                ""
            )
            .status,
            204
        );
        assert_eq!(
            get(&server.rest, &key).member("state"),
            "TERMINATED",
            "round {round}"
        );
    }
    assert!(load.end().len() > 60);
    assert!(server.stop().success());
}

#[test]
fn more_searches_than_run_at_once_are_all_answered() {
    let server = Server::start();
    http::must_deploy(&server.rest, "p.bpmn", &models::one_task("p", "work"));
    let load = Load::start(&server.rest, 2);
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                for _ in 0..5 {
                    search(
                        &server.rest,
                        "element-instances",
                        r#"{"sort":[{"field":"startDate"}]}"#,
                    );
                }
            });
        }
    });
    assert!(!load.end().is_empty());
}

#[test]
fn kill_9_neither_loses_nor_doubles_a_row() {
    let dir = TempDir::new();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..4 {
        let server = Server::start_in(dir.path(), "");
        if round == 0 {
            http::must_deploy(&server.rest, "p.bpmn", &models::one_task("p", "work"));
        }
        let load = Load::start(&server.rest, 4);
        let until = Instant::now() + Duration::from_millis(700);
        while Instant::now() < until {
            search(&server.rest, "process-instances", r#"{"page":{"limit":1}}"#);
        }
        server.kill();
        acknowledged.extend(load.end());
    }
    let server = Server::start_in(dir.path(), "");
    let instances = every(&server.rest, "process-instances", "processInstanceKey");
    let distinct: BTreeSet<String> = instances.iter().cloned().collect();
    assert_eq!(distinct.len(), instances.len());
    assert!(
        acknowledged.is_subset(&distinct),
        "{} of {}",
        acknowledged.difference(&distinct).count(),
        acknowledged.len()
    );
    // Each has its start event and its task, and one job.
    for (what, key, each) in [
        ("element-instances", "elementInstanceKey", 2),
        ("jobs", "jobKey", 1),
    ] {
        let keys = every(&server.rest, what, key);
        assert_eq!(
            keys.iter().collect::<BTreeSet<_>>().len(),
            keys.len(),
            "{what}"
        );
        assert_eq!(keys.len(), instances.len() * each, "{what}");
    }
    assert!(server.stop().success());
    assert!(!dir.path().join("data/history.db.damaged").exists());
}

/// A stopped server's directory with so many instances, and their keys.
fn stopped_with(count: usize) -> (TempDir, Vec<String>) {
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), "");
    http::must_deploy(&server.rest, "p.bpmn", &models::one_task("p", "work"));
    let keys = (0..count).map(|_| create(&server.rest)).collect();
    assert!(server.stop().success());
    (dir, keys)
}

#[test]
fn a_damaged_database_is_made_anew_at_the_start() {
    let (dir, keys) = stopped_with(5);
    let database = dir.path().join("data/history.db");
    // A WAL would have sound pages.
    std::fs::remove_file(database.with_extension("db-wal")).ok();
    std::fs::write(&database, vec![0xAB; 50_000]).unwrap();
    let server = Server::start_in(dir.path(), "");
    assert_eq!(
        every(&server.rest, "process-instances", "processInstanceKey"),
        keys
    );
    assert!(database.with_extension("db.damaged").exists());
    assert!(server.stop().success());
}

/// Overwrites the root page of a table.
fn damage(database: &std::path::Path, table: &str) {
    use std::os::unix::fs::FileExt as _;
    let connection = rusqlite::Connection::open(database).unwrap();
    let page_bytes: u64 = connection
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let page: u64 = connection
        .query_row(
            "SELECT rootpage FROM sqlite_master WHERE name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(database)
        .unwrap();
    file.write_all_at(
        &vec![0xAB; usize::try_from(page_bytes).unwrap()],
        (page - 1) * page_bytes,
    )
    .unwrap();
}

/// The answer once the database was made anew; until then it is an orderly refusal.
fn patiently(rest: &str, what: &str) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = http::post(rest, &format!("/v2/{what}/search"), "");
        if answer.status == 200 {
            return answer.body;
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains("KAP-HIS-09"), "{}", answer.body);
        assert!(Instant::now() < until, "{}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn damage_that_only_shows_while_running_is_mended_while_running() {
    // Found by the writer, which has to insert there; found by a query, which has to read there.
    for (table, write) in [("instance", true), ("definition", false)] {
        let (dir, mut keys) = stopped_with(5);
        let database = dir.path().join("data/history.db");
        damage(&database, table);
        let server = Server::start_in(dir.path(), "");
        if write {
            keys.push(create(&server.rest));
        }
        assert_eq!(
            all(
                &patiently(&server.rest, "process-instances"),
                "processInstanceKey"
            ),
            keys,
            "{table}"
        );
        keys.push(create(&server.rest));
        assert_eq!(
            every(&server.rest, "process-instances", "processInstanceKey"),
            keys,
            "{table}"
        );
        assert!(database.with_extension("db.damaged").exists());
        assert!(server.stop().success());
    }
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let (dir, _) = stopped_with(1);
    let database = dir.path().join("data/history.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .pragma_update(None, "user_version", 1_000)
        .unwrap();
    let mut command = crate::server::kapelle();
    command
        .args(["serve", "--port", "auto", "--data"])
        .arg(dir.path().join("data"));
    let ended = command.output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    assert!(
        told.contains("KAP-HIS-01") && told.contains("schema 1000"),
        "{told}"
    );
    assert!(database.exists() && !database.with_extension("db.damaged").exists());
}

#[test]
fn where_history_is_switched_off_searches_say_so() {
    let server = Server::start_with("[history]\nenabled = false\n");
    let mut seen = String::new();
    for path in [
        "process-definitions",
        "process-instances",
        "element-instances",
        "jobs",
        "incidents",
        "variables",
    ] {
        let answer = http::post(&server.rest, &format!("/v2/{path}/search"), "{}");
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("history.enabled"), "{}", answer.body);
    }
    for path in [
        "/v2/process-instances/1",
        "/v2/process-definitions/1/xml",
        "/v2/kapelle/events",
        "/v2/kapelle/events/1/explain",
    ] {
        seen.push_str(&format!(
            "{path} {}\n",
            http::get(&server.rest, path).line()
        ));
    }
    expect![[r#"
        /v2/process-instances/1 404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Search is switched off: start the server with history.enabled = true.","instance":"/v2/process-instances/1"}
        /v2/process-definitions/1/xml 404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Search is switched off: start the server with history.enabled = true.","instance":"/v2/process-definitions/1/xml"}
        /v2/kapelle/events 404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Search is switched off: start the server with history.enabled = true.","instance":"/v2/kapelle/events"}
        /v2/kapelle/events/1/explain 404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Search is switched off: start the server with history.enabled = true.","instance":"/v2/kapelle/events/1/explain"}
    "#]].assert_eq(&seen);
    assert!(
        !http::get(&server.management, "/metrics")
            .body
            .contains("kapelle_history_lag_records")
    );
    http::must_deploy(&server.rest, "p.bpmn", &models::one_task("p", "work"));
    create(&server.rest);
}

#[test]
fn what_is_not_there_is_not_found_in_these_words() {
    let server = Server::start();
    let mut seen = String::new();
    for path in [
        "process-definitions/1",
        "process-definitions/1/xml",
        "process-instances/1",
        "process-instances/x",
        "element-instances/1",
        "incidents/1",
        "variables/1",
        "jobs/1",
        "kapelle/events/1000",
        "kapelle/events/1000/explain",
        "kapelle/events?limit=0",
        "kapelle/events?outcome=LOST",
        "kapelle/events?direction=up",
        "kapelle/events?colour=red",
    ] {
        seen.push_str(&format!(
            "{}\n",
            http::get(&server.rest, &format!("/v2/{path}")).line()
        ));
    }
    let answer = http::post(
        &server.rest,
        "/v2/variables/search?truncateValues=perhaps",
        "",
    );
    seen.push_str(&format!("{}\n", answer.line()));
    expect![[r#"
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Process definition with key '1' not found","instance":"/v2/process-definitions/1"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Process definition with key '1' not found","instance":"/v2/process-definitions/1/xml"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Process instance with key '1' not found","instance":"/v2/process-instances/1"}
        400 application/problem+json {"type":"about:blank","title":"Bad Request","status":400,"detail":"The path has 'x' where a key is expected: digits.","instance":"/v2/process-instances/x"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Element instance with key '1' not found","instance":"/v2/element-instances/1"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Incident with key '1' not found","instance":"/v2/incidents/1"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"Variable with key '1' not found","instance":"/v2/variables/1"}
        405 application/problem+json {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"Method 'GET' is not supported.","instance":"/v2/jobs/1"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"There is no event at position '1000', or no longer: see history.retention.","instance":"/v2/kapelle/events/1000"}
        404 application/problem+json {"type":"about:blank","title":"NOT_FOUND","status":404,"detail":"There is no event at position '1000', or no longer: see history.retention.","instance":"/v2/kapelle/events/1000/explain"}
        400 application/problem+json {"type":"about:blank","title":"INVALID_ARGUMENT","status":400,"detail":"The value for limit is '0' but must be between 1 and 1000.","instance":"/v2/kapelle/events"}
        400 application/problem+json {"type":"about:blank","title":"INVALID_ARGUMENT","status":400,"detail":"The value for outcome is 'LOST' but must be one of STARTED, CORRELATED, BUFFERED, EXPIRED, FILTERED, KEY_ERROR, NO_MATCH, DUPLICATE, SCHEMA_INVALID, REJECTED, PENDING, DELIVERED, DEAD.","instance":"/v2/kapelle/events"}
        400 application/problem+json {"type":"about:blank","title":"INVALID_ARGUMENT","status":400,"detail":"The value for direction is 'up' but must be in or out.","instance":"/v2/kapelle/events"}
        400 application/problem+json {"type":"about:blank","title":"INVALID_ARGUMENT","status":400,"detail":"There is no parameter 'colour'; there are after, limit, direction, type, source, subject, id, outcome, processInstanceKey.","instance":"/v2/kapelle/events"}
        400 application/problem+json {"type":"about:blank","title":"INVALID_ARGUMENT","status":400,"detail":"The value for truncateValues is 'perhaps' but must be true or false.","instance":"/v2/variables/search"}
    "#]].assert_eq(&seen);
    let lag = http::get(&server.management, "/metrics").body;
    assert!(lag.contains("\nkapelle_history_lag_records "), "{lag}");
}

#[test]
fn explain_tells_why_a_real_event_met_nobody() {
    let server = Server::start();
    http::must_deploy(&server.rest, "w.bpmn", &models::message_wait("w"));
    let body = r#"{"processDefinitionId":"w","variables":{"order":"A-1001"}}"#;
    let instance =
        http::post(&server.rest, "/v2/process-instances", body).member("processInstanceKey");
    let mut number = 0;
    let mut explained = |subject: &str| {
        number += 1;
        let event = format!(
            r#"{{"specversion":"1.0","id":"{number}","source":"/shop","type":"paid","subject":"{subject}"}}"#
        );
        let headers = [("content-type", "application/cloudevents+json")];
        let answer = http::send(&server.rest, "POST", "/events", &headers, event.as_bytes());
        let position = answer.member("position");
        let found = http::get(
            &server.rest,
            &format!("/v2/kapelle/events/{position}/explain"),
        );
        assert_eq!(found.status, 200, "{}", found.body);
        let kinds = all(&found.body, "kind").join(",");
        format!("{subject}: {} {kinds}\n", found.member("outcome"))
    };
    let mut seen = String::new();
    for subject in ["a-1001", "A-1001 ", "A-1010", "Z-9999", "A-1001", "A-1001"] {
        seen.push_str(&explained(subject));
    }
    expect![[r#"
        a-1001: BUFFERED KEY_CASE
        A-1001 : BUFFERED KEY_SPACE
        A-1010: BUFFERED KEY_SIMILAR
        Z-9999: BUFFERED OTHER_KEY
        A-1001: CORRELATED 
        A-1001: BUFFERED TOO_LATE
    "#]]
    .assert_eq(&seen);
    // An instance that comes for a buffered one later: its story has a sequel.
    let body = r#"{"processDefinitionId":"w","variables":{"order":"Z-9999"}}"#;
    let second =
        http::post(&server.rest, "/v2/process-instances", body).member("processInstanceKey");
    let list = http::get(&server.rest, "/v2/kapelle/events?subject=Z-9999");
    let later = http::get(
        &server.rest,
        &format!("/v2/kapelle/events/{}/explain", list.member("position")),
    );
    assert!(
        later.body.contains(r#""what":"CORRELATED""#) && later.body.contains(&second),
        "{}",
        later.body
    );
    for (key, subject) in [(&instance, "A-1001"), (&second, "Z-9999")] {
        let list = http::get(
            &server.rest,
            &format!("/v2/kapelle/events?processInstanceKey={key}"),
        );
        assert_eq!(all(&list.body, "subject"), [subject], "{}", list.body);
        assert_eq!(get(&server.rest, key).member("state"), "COMPLETED");
    }
}
