//! The list of events: both directions as one, each parameter, and no more work than the page.

use kapelle_engine::event::OutboxAdded;
use kapelle_engine::ids::OutboxKey;
use kapelle_engine::response::Outcome;
use kapelle_events::CloudEvent;

use super::explaining::arrived;
use super::*;
use crate::history::query::events::{self, EventQuery};

/// In and out by turns; the positions of all.
fn mixed() -> (Story, Vec<u64>) {
    let mut story = Story::new();
    let mut positions = Vec::new();
    for number in 1..=6 {
        positions.push(arrived(
            &mut story,
            &format!("A-{number}"),
            if number % 2 == 0 {
                Outcome::Buffered
            } else {
                Outcome::NoMatch
            },
        ));
        let event = CloudEvent::builder(format!("out-{number}"), "/k", "order.done")
            .subject(format!("A-{number}"))
            .build()
            .unwrap();
        let added = OutboxAdded {
            entry: OutboxKey(number),
            instance: ProcessInstanceKey(100 + number),
            tenant: text(TENANT),
            to: text("partner"),
            event,
        };
        positions.push(story.say(Event::OutboxAdded(Box::new(added))));
    }
    story.write();
    (story, positions)
}

fn listed(story: &Story, query: &EventQuery) -> (Vec<String>, String) {
    let text = events::list(&story.db, query).unwrap();
    (
        member(&text, "position"),
        member(&text, "endPosition").remove(0),
    )
}

#[test]
fn events_in_and_out_are_one_list_in_the_order_of_positions() {
    let (story, positions) = mixed();
    let positions: Vec<String> = positions.iter().map(u64::to_string).collect();
    let query = |limit| EventQuery {
        limit,
        ..EventQuery::default()
    };
    assert_eq!(
        listed(&story, &query(100)),
        (positions.clone(), positions[11].clone())
    );
    // The newest ones, oldest first.
    assert_eq!(listed(&story, &query(5)).0, positions[7..]);
    for limit in 1..7 {
        let (mut walked, mut after) = (Vec::new(), 0);
        loop {
            let (page, end) = listed(
                &story,
                &EventQuery {
                    after: Some(after),
                    ..query(limit)
                },
            );
            if page.is_empty() {
                assert_eq!(
                    end,
                    story.position.to_string(),
                    "nothing matched: the newest that was looked at"
                );
                break;
            }
            assert_eq!(page.last(), Some(&end));
            after = end.parse().unwrap();
            walked.extend(page);
        }
        assert_eq!(walked, positions, "by {limit}");
    }
}

#[test]
fn events_are_found_by_each_of_their_parameters() {
    let (story, positions) = mixed();
    let query = || EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    let some = |text: &str| Some(text.to_owned());
    let numbers = |found: Vec<String>| -> Vec<usize> {
        found
            .iter()
            .map(|position| {
                positions
                    .iter()
                    .position(|p| p.to_string() == *position)
                    .unwrap()
            })
            .collect()
    };
    for (what, query, expected) in [
        (
            "in",
            EventQuery {
                out: Some(false),
                ..query()
            },
            vec![0, 2, 4, 6, 8, 10],
        ),
        (
            "out",
            EventQuery {
                out: Some(true),
                ..query()
            },
            vec![1, 3, 5, 7, 9, 11],
        ),
        (
            "type",
            EventQuery {
                event_type: some("paid"),
                limit: 2,
                ..query()
            },
            vec![8, 10],
        ),
        (
            "types",
            EventQuery {
                event_type: some("order.*"),
                limit: 2,
                ..query()
            },
            vec![9, 11],
        ),
        (
            "a star elsewhere is a letter",
            EventQuery {
                event_type: some("*.done"),
                ..query()
            },
            vec![],
        ),
        (
            "source",
            EventQuery {
                source: some("/k"),
                after: Some(0),
                limit: 2,
                ..query()
            },
            vec![1, 3],
        ),
        (
            "subject",
            EventQuery {
                subject: some("A-2"),
                ..query()
            },
            vec![2, 3],
        ),
        (
            "id",
            EventQuery {
                id: some("out-3"),
                ..query()
            },
            vec![5],
        ),
        (
            "outcomes of both",
            EventQuery {
                outcomes: vec!["BUFFERED".to_owned(), "PENDING".to_owned()],
                limit: 3,
                ..query()
            },
            vec![9, 10, 11],
        ),
        (
            "instance",
            EventQuery {
                instance: Some(102),
                ..query()
            },
            vec![3],
        ),
        (
            "two at once",
            EventQuery {
                event_type: some("paid"),
                outcomes: vec!["NO_MATCH".to_owned()],
                ..query()
            },
            vec![0, 4, 8],
        ),
    ] {
        assert_eq!(numbers(listed(&story, &query).0), expected, "{what}");
    }
}

#[test]
fn a_short_page_of_many_events_reads_no_more_than_the_page() {
    let (story, _) = mixed();
    for (table, condition) in [
        ("event_in", ""),
        ("event_in", "WHERE type = 'paid'"),
        ("event_in", "WHERE position > 3"),
        ("event_out", ""),
    ] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM {table} {condition} ORDER BY position DESC LIMIT 100"
        );
        let mut statement = story.db.prepare(&sql).unwrap();
        let plan: Vec<String> = statement
            .query_map([], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE")),
            "{sql}: {plan:?}"
        );
    }
}
