//! What a query waits for, and for how long.

use std::time::Duration;

use super::*;
use crate::history::{Error, Progress, bounded};

#[test]
fn a_query_waits_until_its_record_is_projected() {
    let progress = Progress::new(Sequence(5));
    assert_eq!(progress.wait_for(Sequence(5), Duration::ZERO).unwrap(), 0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| progress.wait_for(Sequence(7), Duration::from_secs(60)));
        // Returns at once when somebody waits; the test would take a minute otherwise, and then fail.
        progress.wait_for_waiters(Duration::from_secs(60));
        progress.advance(Sequence(6));
        progress.advance(Sequence(7));
        assert_eq!(waiting.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn one_that_waits_in_vain_is_told_how_far_it_is() {
    let progress = Progress::new(Sequence(5));
    let error = progress.wait_for(Sequence(6), Duration::ZERO).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Behind {
                position: 5,
                wanted: 6
            }
        ),
        "{error}"
    );
}

#[test]
fn when_the_projection_has_stopped_nobody_waits_for_it() {
    let progress = Progress::new(Sequence(5));
    progress.stop("the disk is full".to_owned());
    let error = progress
        .wait_for(Sequence(6), Duration::from_secs(60))
        .unwrap_err();
    assert!(
        matches!(&error, Error::Stopped { reason } if reason == "the disk is full"),
        "{error}"
    );
    // What it has can still be asked for.
    assert!(progress.wait_for(Sequence(5), Duration::ZERO).is_ok());
}

#[test]
fn damage_counts_for_the_file_that_has_it() {
    let progress = Progress::new(Sequence(5));
    progress.report_damage(0);
    assert!(progress.is_damaged());
    progress.restart(Sequence(0));
    // A query that ran on the old file comes late with its news.
    progress.report_damage(0);
    assert!(!progress.is_damaged());
    assert!(progress.wait_for(Sequence(5), Duration::ZERO).is_err());
    assert_eq!(progress.wait_for(Sequence(0), Duration::ZERO).unwrap(), 1);
}

#[test]
fn a_query_without_end_is_ended_and_its_connection_is_good_for_the_next() {
    let db = schema::in_memory();
    let count = |limit: i64| {
        move |connection: &Connection| {
            let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1) SELECT COUNT(*) FROM n";
            let counted = connection.query_row(sql, [limit], |row| row.get::<_, i64>(0));
            counted.map_err(Error::sqlite("count"))
        }
    };
    let error = bounded(&db, Duration::ZERO, count(1_000_000_000)).unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error}");
    assert_eq!(
        bounded(&db, Duration::from_secs(60), count(1_000)).unwrap(),
        1_000
    );
}
