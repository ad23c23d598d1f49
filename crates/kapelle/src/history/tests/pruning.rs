//! What is past its time goes, in steps; the rest stays.

use std::time::Duration;

use super::*;
use crate::history::prune::Pruning;

/// Ended at their key's time; every tenth instance goes on for ever.
fn many(story: &mut Story, count: u64) {
    for number in 1..=count {
        let instance = number * 10;
        story.now = i64::try_from(instance).unwrap();
        story.start(instance);
        story.variable(instance, instance + 1, "a", "1");
        story.say(activating(instance, instance + 2, index("work").0));
        story.say(job_created(job(instance, instance + 2, instance + 3), &[]));
        story.say(incident_raised(
            instance,
            instance + 2,
            instance + 4,
            None,
            "x",
        ));
        story.say(Event::SubscriptionOpened(Box::new(subscribed(
            instance,
            instance + 5,
            "paid",
            "k",
        ))));
        let event = kapelle_events::CloudEvent::builder(number.to_string(), "/s", "t")
            .build()
            .unwrap();
        story.say(Event::CloudEventReceived {
            tenant: text(TENANT),
            source_name: text("http"),
            identity: 1,
            content: 1,
            event: Arc::new(event),
            raw: None,
        });
        if number % 10 != 0 {
            story.end(instance, true);
        }
    }
    story.write();
}

fn count(story: &Story, table: &str) -> i64 {
    story
        .db
        .query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}

#[test]
fn ended_instances_and_events_go_in_steps_and_running_ones_stay() {
    let mut story = Story::new();
    many(&mut story, 3_000);
    let mut pruning = Pruning::new(Duration::from_millis(10_000));
    // The last thousand ended within the ten seconds before.
    let now = 30_000;
    let mut steps = 1;
    while !pruning.step(&mut story.db, now).unwrap() {
        steps += 1;
        assert!(steps < 10, "it comes to an end");
    }
    assert!(steps > 1, "in steps");
    let left = 200 + 1_000;
    for (table, expected) in [
        ("instance", left),
        ("element", left),
        ("job", left),
        ("incident", left),
        ("variable", left),
        ("subscription", left),
        ("event_in", 1_001),
    ] {
        // The one that ended exactly at the cutoff is not past it.
        assert!(
            (expected..=expected + 1).contains(&count(&story, table)),
            "{table}: {} of {expected}",
            count(&story, table)
        );
    }
    // Another round later takes the rest, also behind the running ones that were passed over.
    while !pruning.step(&mut story.db, 100_000).unwrap() {}
    assert_eq!(count(&story, "instance"), 300);
    assert_eq!(count(&story, "event_in"), 0);
}

#[test]
fn what_is_still_to_be_delivered_stays() {
    let mut story = Story::new();
    for entry in 1..=3 {
        let event = kapelle_events::CloudEvent::builder(entry.to_string(), "/s", "t")
            .build()
            .unwrap();
        let added = kapelle_engine::event::OutboxAdded {
            entry: kapelle_engine::ids::OutboxKey(entry),
            instance: ProcessInstanceKey(100),
            tenant: text(TENANT),
            to: text("partner"),
            event,
        };
        story.say(Event::OutboxAdded(Box::new(added)));
    }
    story.say(Event::OutboxAcked {
        entry: kapelle_engine::ids::OutboxKey(2),
    });
    story.write();
    assert!(
        Pruning::new(Duration::from_secs(1))
            .step(&mut story.db, 1_000_000)
            .unwrap()
    );
    let left: Vec<i64> = story
        .db
        .prepare("SELECT entry FROM event_out")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(left, [1, 3]);
}
