//! Events become rows, wherever a batch ends.

use std::sync::Arc;

use expect_test::expect;
use kapelle_engine::event::{
    AvailableCause, CloseReason, Event, FromBinding, JobActivated, JobFailed, KeyKind,
    MessageCorrelated, MessageExpired, MessagePublished, OutboxAdded, SubscriptionClosed,
};
use kapelle_engine::ids::{
    ElementInstanceKey, MessageKey, OutboxKey, ProcessInstanceKey, Sequence, SubscriptionKey,
    Timestamp,
};
use kapelle_engine::response::{Match, Outcome};
use kapelle_events::CloudEvent;

use super::*;
use crate::history::query::definitions::DEFINITIONS;
use crate::history::query::elements::ELEMENTS;
use crate::history::query::instances::INSTANCES;
use crate::history::query::jobs::JOBS;

/// What is committed together: a batch never ends inside.
type Command = Vec<Event>;

fn cloud_event(id: &str, subject: &str) -> CloudEvent {
    CloudEvent::builder(id, "/shop", "paid")
        .subject(subject)
        .build()
        .unwrap()
}

/// Received at `position`, buffered as message 40.
fn buffered(position: u64) -> Command {
    let published = MessagePublished {
        message: MessageKey(40),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        message_id: text(""),
        expires: Timestamp(9_000),
        variables: kapelle_engine::document::Document::default(),
        cause: Cause::default(),
        binding: Some(FromBinding {
            process_id: text("order"),
            key_kind: KeyKind::Text,
            lock: true,
        }),
        thrown: false,
    };
    let found = Match {
        message: text("paid"),
        process_id: text("order"),
        correlation_key: text("A-1"),
        outcome: Outcome::Buffered,
        instance: None,
        reason: text("nobody waits"),
    };
    vec![
        Event::CloudEventReceived {
            tenant: text(TENANT),
            source_name: text("http"),
            identity: 1,
            content: 1,
            event: Arc::new(cloud_event("1", "A-1")),
            raw: None,
        },
        Event::MessagePublished(Box::new(published)),
        Event::CloudEventRouted {
            position: Sequence(position),
            outcome: Outcome::Buffered,
            matches: vec![found],
            reason: text("nobody waits"),
            identity: 1,
            content: 1,
            bucket: 0,
        },
    ]
}

/// Everything that can happen to one instance of `order`, with an incident and a CloudEvent that comes too early.
fn life(first: u64) -> Vec<Command> {
    let work = job(100, 102, 103);
    let activated = JobActivated {
        job: work.clone(),
        worker: text("w"),
        deadline: Timestamp(5_000),
        pushed_by: None,
        first: true,
        was_available: true,
    };
    let failed = JobFailed {
        job: work.clone(),
        retries: 0,
        message: text("no luck"),
        deadline: Some(Timestamp(5_000)),
        old_backoff_until: None,
        backoff_until: None,
    };
    let correlated = MessageCorrelated {
        message: MessageKey(40),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        process_id: text("order"),
        subscription: SubscriptionKey(107),
        instance: ProcessInstanceKey(100),
        element_instance: ElementInstanceKey(106),
    };
    let expired = MessageExpired {
        message: MessageKey(40),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        message_id: text(""),
        expires: Timestamp(9_000),
        process_ids: Vec::new(),
    };
    let opened = SubscriptionOpened {
        element_instance: ElementInstanceKey(106),
        ..subscribed(100, 107, "paid", "A-1")
    };
    let closed = SubscriptionClosed {
        process_id: text("order"),
        subscription: SubscriptionKey(107),
        instance: ProcessInstanceKey(100),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        reason: CloseReason::Correlated,
    };
    let out = OutboxAdded {
        entry: OutboxKey(109),
        instance: ProcessInstanceKey(100),
        tenant: text(TENANT),
        to: text("partner"),
        event: cloud_event("out-109", "A-1"),
    };
    vec![
        buffered(first),
        vec![
            created(100),
            activating(100, 100, 0),
            set(100, 100, 101, "order", "\"A-1\""),
        ],
        vec![
            activating(100, 102, index("work").0),
            job_created(work.clone(), &[]),
        ],
        vec![Event::JobActivated(Box::new(activated))],
        vec![
            Event::JobFailed(Box::new(failed)),
            incident_raised(100, 102, 104, Some(103), "no luck"),
        ],
        vec![Event::JobRetriesUpdated {
            job: work.clone(),
            retries: 1,
        }],
        vec![
            incident_resolved(100, 102, 104, Some(103)),
            Event::JobMadeAvailable {
                job: work.clone(),
                cause: AvailableCause::IncidentResolved,
                backoff_until: None,
                deadline: None,
            },
        ],
        vec![Event::JobTimeoutUpdated {
            job: work.clone(),
            old_deadline: Timestamp(5_000),
            deadline: Timestamp(6_000),
            pushed_by: None,
        }],
        vec![
            Event::JobCompleted {
                job: work,
                deadline: None,
                backoff_until: None,
            },
            set(100, 100, 101, "order", "\"A-1\""),
            set(100, 100, 105, "done", "true"),
            completed(100, 102, index("work")),
        ],
        vec![
            activating(100, 106, index("paid").0),
            Event::SubscriptionOpened(Box::new(opened)),
        ],
        vec![
            Event::MessageCorrelated(Box::new(correlated)),
            Event::SubscriptionClosed(Box::new(closed)),
            completed(100, 106, index("paid")),
        ],
        vec![
            activating(100, 108, index("end").0),
            Event::OutboxAdded(Box::new(out)),
            completed(100, 108, index("end")),
        ],
        vec![completed(100, 100, index("start")), ended(100, true)],
        vec![Event::OutboxBuried {
            entry: OutboxKey(109),
            attempts: 12,
            error: text("410 Gone"),
        }],
        vec![Event::MessageExpired(Box::new(expired))],
    ]
}

/// The rows of that life when a batch ends after the commands that `ends` says.
fn lived(ends: impl Fn(usize) -> bool) -> String {
    let mut story = Story::new();
    for (number, command) in life(story.position + 1).into_iter().enumerate() {
        story.now += 10;
        for event in command {
            story.say(event);
        }
        if ends(number) {
            story.write();
        }
    }
    story.write();
    story.all_rows()
}

#[test]
fn a_short_life_is_written_once_in_its_last_state() {
    expect![[r#"
        instance 100 | 2 | <default> | 2 | 1020 | 1130 | 0 | - | []
        element 100 | 102 | 2 | 100 | 2 | 1030 | 1090 | -
        element 100 | 106 | 3 | 100 | 2 | 1100 | 1110 | -
        element 100 | 108 | 4 | 100 | 2 | 1120 | 1120 | -
        job 100 | 103 | 102 | 2 | pack | w | 1 | 2 | 6000 | 1030 | 1090 | 1090 | - | no luck | -
        incident 104 | 100 | 102 | 2 | 103 | JOB_NO_RETRIES | no luck | 2 | 1050 | 1070
        variable 100 | 101 | 100 | order | 4 bytes
        variable 100 | 105 | 100 | done | 1 bytes
        subscription 107 | 100 | <default> | order | paid | A-1 | 106 | 3 | 23 | 1100 | 25 | 1110 | 1
        event_in 3 | 1010 | http | <default> | /shop | 1 | paid | A-1 | 21 bytes | 3 | nobody waits | - | [{"message":"paid","processDefinitionId":"order","correlationKey":"A-1","outcome":"BUFFERED","reason":"nobody waits","processInstanceKey":null}] | - | - | - | -
        event_instance 100 | 3
        event_message 40 | 3
        event_later 3 | 1110 | CORRELATED | order | 100
        event_later 3 | 1150 | EXPIRED |  | 0
        event_out 28 | 109 | 1120 | partner | <default> | /shop | out-109 | paid | A-1 | 27 bytes | 3 | 410 Gone | 12 | 100 | - | - | - | -
        meta first | 1
        meta position | 33
    "#]]
    .assert_eq(&lived(|_| false));
}

#[test]
fn rows_are_the_same_wherever_batches_end() {
    let whole = lived(|_| false);
    let commands = life(1).len();
    assert_eq!(lived(|_| true), whole);
    for cut in 0..commands {
        assert_eq!(lived(|number| number == cut), whole, "one cut, after {cut}");
    }
    for step in 2..5 {
        assert_eq!(
            lived(|number| number % step == 0),
            whole,
            "batches of {step}"
        );
    }
}

#[test]
fn open_incidents_are_counted_over_batches() {
    let mut story = Story::new();
    story.start(100);
    story.say(activating(100, 101, index("work").0));
    story.say(incident_raised(100, 101, 102, None, "one"));
    story.say(incident_raised(100, 101, 103, None, "two"));
    story.write();
    let has = |story: &Story| {
        story.found(
            &INSTANCES,
            "processInstanceKey",
            r#"{"filter":{"hasIncident":true}}"#,
        )
    };
    assert_eq!(has(&story), "100");
    story.say(incident_resolved(100, 101, 103, None));
    story.write();
    assert_eq!(has(&story), "100");
    story.say(incident_resolved(100, 101, 102, None));
    story.say(incident_raised(100, 101, 104, None, "three"));
    story.write();
    assert_eq!(has(&story), "100");
    story.say(incident_resolved(100, 101, 104, None));
    story.write();
    assert_eq!(has(&story), "");
}

#[test]
fn a_jobs_state_follows_its_events() {
    let mut story = Story::new();
    story.start(100);
    story.say(activating(100, 101, index("work").0));
    let work = job(100, 101, 102);
    let mut seen = String::new();
    let thrown = |caught| Event::JobErrorThrown {
        job: work.clone(),
        code: text("REFUSED"),
        message: text("no"),
        deadline: None,
        backoff_until: None,
        caught,
    };
    for event in [
        job_created(work.clone(), &[]),
        Event::JobMadeAvailable {
            job: work.clone(),
            cause: AvailableCause::TimedOut,
            backoff_until: None,
            deadline: None,
        },
        thrown(false),
        thrown(true),
        Event::JobCanceled {
            job: work.clone(),
            deadline: None,
            backoff_until: None,
        },
    ] {
        story.now += 1;
        story.say(event);
        story.write();
        let job = story.search(&JOBS, "");
        seen.push_str(&format!(
            "{:?} ended {:?} code {:?}\n",
            member(&job, "state"),
            member(&job, "endTime"),
            member(&job, "errorCode")
        ));
    }
    expect![[r#"
        ["CREATED"] ended [] code []
        ["CREATED"] ended [] code []
        ["ERROR_THROWN"] ended [] code ["REFUSED"]
        ["ERROR_THROWN"] ended ["1970-01-01T00:00:01.004Z"] code ["REFUSED"]
        ["CANCELED"] ended ["1970-01-01T00:00:01.005Z"] code ["REFUSED"]
    "#]]
    .assert_eq(&seen);
}

#[test]
fn headers_are_the_definitions_unless_they_were_computed() {
    let mut story = Story::new();
    story.start(100);
    story.say(activating(100, 101, index("work").0));
    story.say(job_created(job(100, 101, 102), &[]));
    story.say(job_created(job(100, 101, 103), &[("colour", "re\"d")]));
    story.write();
    let headers = |key: &str| {
        let found = story.search(&JOBS, &format!(r#"{{"filter":{{"jobKey":"{key}"}}}}"#));
        let from = found.find("\"customHeaders\":").unwrap();
        found[from..found.find(",\"deadline\"").unwrap()].to_owned()
    };
    assert_eq!(headers("102"), r#""customHeaders":{"colour":"green"}"#);
    assert_eq!(headers("103"), r#""customHeaders":{"colour":"re\"d"}"#);
}

#[test]
fn a_key_alone_finds_its_row_however_far_it_is_from_its_instance() {
    let mut story = Story::new();
    let keys = [101, 100 + 16_384, 100 + 16_385, 100 + 5_000_000];
    story.start(50);
    story.start(100);
    for key in keys {
        story.say(activating(100, key, index("work").0));
    }
    story.say(activating(50, 102, index("work").0));
    story.write();
    for key in keys {
        let found = story.get(&ELEMENTS, i64::try_from(key).unwrap()).unwrap();
        assert_eq!(member(&found, "elementInstanceKey"), [key.to_string()]);
        assert_eq!(member(&found, "processInstanceKey"), ["100"]);
        let body = format!(r#"{{"filter":{{"elementInstanceKey":"{key}"}}}}"#);
        assert_eq!(
            story.found(&ELEMENTS, "elementInstanceKey", &body),
            key.to_string()
        );
    }
    let many: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    let body = format!(
        r#"{{"filter":{{"elementInstanceKey":{{"$in":[{}]}}}}}}"#,
        many.join(",")
    );
    assert_eq!(
        story.found(&ELEMENTS, "elementInstanceKey", &body),
        "101 16484 16485 5000100"
    );
    assert_eq!(story.get(&ELEMENTS, 103), None);
}

#[test]
fn an_instance_is_found_when_its_definition_is_not_in_the_journal_any_more() {
    let mut story = Story::empty();
    story.start(100);
    story.say(activating(100, 101, 1));
    story.write();
    story.start(200);
    story.write();
    assert_eq!(
        story.found(
            &INSTANCES,
            "processInstanceKey",
            r#"{"filter":{"processDefinitionId":"order"}}"#
        ),
        "100 200"
    );
    assert_eq!(story.found(&ELEMENTS, "elementInstanceKey", ""), "101");
    assert_eq!(story.found(&DEFINITIONS, "processDefinitionKey", ""), "2");
}

#[test]
fn the_latest_version_of_a_process_is_known() {
    let mut story = Story::new();
    story.say(deployed(4, 2));
    story.write();
    let latest = |is: bool| {
        story.found(
            &DEFINITIONS,
            "processDefinitionKey",
            &format!(r#"{{"filter":{{"isLatestVersion":{is}}}}}"#),
        )
    };
    assert_eq!(latest(true), "4");
    assert_eq!(latest(false), "2");
}
