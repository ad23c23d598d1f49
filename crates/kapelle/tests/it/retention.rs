//! What is past its time leaves search and the disk; what goes on stays, however old it is.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::found;
use crate::hardship::clock::Clock;
use crate::hardship::eventually;
use crate::http;
use crate::models;
use crate::server::Server;

const CONFIG: &str = "[history]\nretention = \"60s\"\n[event-store]\nretention = \"60s\"\n";

/// Instances that end, each with a variable of some size.
const ENDED: usize = 40;
const PAYLOAD_BYTES: usize = 100_000;

/// As many CloudEvents as fill a segment of the event store, which goes as a whole.
const BATCHES: usize = 66;
const BATCH: usize = 1_000;

/// A round of pruning comes once a minute.
const PATIENCE: Duration = Duration::from_secs(150);

#[test]
fn what_has_ended_leaves_search_and_disk_and_what_runs_stays() {
    let clock = Clock::new();
    let server = clock.start(CONFIG);
    http::must_deploy(&server.rest, "p.bpmn", &models::one_task("p", "work"));
    let running = [start(&server, 1), start(&server, 1)];
    let ended: Vec<String> = (0..ENDED).map(|_| start(&server, PAYLOAD_BYTES)).collect();
    ended.iter().for_each(|key| cancel(&server, key));
    (0..BATCHES).for_each(|batch| send(&server, "old", batch));
    assert_eq!(instances(&server), (running.len(), ENDED));
    assert_eq!(count(&server, "variables"), running.len() + ENDED);
    eventually("a segment is full", PATIENCE, || {
        !sealed(&clock.data()).is_empty()
    });
    let used = used_bytes(&clock.data());
    assert!(used > (ENDED * PAYLOAD_BYTES) as u64, "{used}");
    let sealed_before = sealed(&clock.data());
    assert!(server.stop().success());

    // Less than an hour is believed at a start.
    clock.set(600);
    let server = clock.start(CONFIG);
    let fresh = start(&server, 1);
    cancel(&server, &fresh);
    send(&server, "new", 0);
    eventually("ended instances are gone", PATIENCE, || {
        instances(&server) == (running.len(), 1)
    });
    eventually("old events are gone", PATIENCE, || {
        found::events(&server.rest, "&type=old").is_empty()
    });
    assert_eq!(found::events(&server.rest, "&type=new").len(), BATCH);
    eventually("the full segment is gone", PATIENCE, || {
        let now = sealed(&clock.data());
        sealed_before.iter().all(|name| !now.contains(name))
    });
    for what in ["variables", "jobs", "element-instances"] {
        let per_instance = if what == "element-instances" { 2 } else { 1 };
        let expected = (running.len() + 1) * per_instance;
        assert_eq!(count(&server, what), expected, "{what}");
    }
    let gone = http::get(&server.rest, &format!("/v2/process-instances/{}", ended[0]));
    assert_eq!(gone.status, 404, "{}", gone.body);
    assert_eq!(orphans(&clock.data()), 0, "rows of instances that are gone");
    let used = used_bytes(&clock.data());
    assert!(used < (ENDED * PAYLOAD_BYTES / 4) as u64, "{used} bytes");

    // The old ones that run are as they were.
    for key in &running {
        let path = format!("/v2/process-instances/{key}");
        assert_eq!(http::get(&server.rest, &path).member("state"), "ACTIVE");
        cancel(&server, key);
        assert_eq!(http::get(&server.rest, &path).member("state"), "TERMINATED");
    }
    assert!(server.stop().success());
}

fn start(server: &Server, payload_bytes: usize) -> String {
    let payload = "x".repeat(payload_bytes);
    let body = format!(r#"{{"processDefinitionId":"p","variables":{{"payload":"{payload}"}}}}"#);
    let answer = http::post(&server.rest, "/v2/process-instances", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.member("processInstanceKey")
}

fn cancel(server: &Server, key: &str) {
    let path = format!("/v2/process-instances/{key}/cancellation");
    assert_eq!(http::post(&server.rest, &path, "{}").status, 204);
}

/// A batch of CloudEvents of that type.
fn send(server: &Server, event_type: &str, batch: usize) {
    let events: Vec<String> = (0..BATCH)
        .map(|number| {
            format!(
                r#"{{"specversion":"1.0","id":"{event_type}-{batch}-{number}","source":"/s","type":"{event_type}"}}"#
            )
        })
        .collect();
    let headers = [("content-type", "application/cloudevents-batch+json")];
    let body = format!("[{}]", events.join(","));
    let answer = http::send(&server.rest, "POST", "/events", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// How many run and how many have ended, as a search tells.
fn instances(server: &Server) -> (usize, usize) {
    let of =
        |state: &str| found::instances(&server.rest, &format!(r#"{{"state":"{state}"}}"#)).len();
    (of("ACTIVE"), of("TERMINATED"))
}

fn count(server: &Server, what: &str) -> usize {
    let path = format!("/v2/{what}/search");
    let answer = http::post(&server.rest, &path, r#"{"page":{"limit":1}}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.member("totalItems").parse().unwrap()
}

/// Full segments of the event store.
fn sealed(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("events")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".events"))
        .collect()
}

/// Rows that belong to an instance which the search database does not have any more.
fn orphans(data: &Path) -> i64 {
    let db = database(data);
    let count = |table: &str| -> i64 {
        let sql = format!(
            "SELECT COUNT(*) FROM {table} WHERE instance NOT IN (SELECT key FROM instance)"
        );
        db.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    ["element", "job", "variable"].map(count).iter().sum()
}

/// What the search database uses of its file; the rest is reused.
fn used_bytes(data: &Path) -> u64 {
    let db = database(data);
    let pragma = |name: &str| -> u64 {
        let number: i64 = db
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
            .unwrap();
        number.unsigned_abs()
    };
    (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
}

fn database(data: &Path) -> Connection {
    let path = data.join("history.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}
