//! What a setting must not be below or above: a value outside would start a server that cannot work.
//!
//! Only what has a bound of its own; that two values do not fit each other is the server's to say.

use super::Config;
use super::section::Reader;
use super::setting::{Bytes, Setting as _, Span};
use super::tree::Tree;

impl Config {
    /// Reports every value that is out of bounds, at the place where it was written.
    pub(super) fn check_bounds(&self, tree: &Tree, reader: &mut Reader) {
        let Self {
            data,
            limits,
            events,
            outbox,
            history,
            ..
        } = self;
        let mut check = |path: [&str; 2], fits: bool, wanted: String| {
            // A default is in bounds, so a value that is not was written somewhere.
            let Some(node) = tree.find(&path).filter(|_| !fits) else {
                return;
            };
            reader.at(path[0], |reader| {
                reader.at(path[1], |reader| {
                    reader.wrong(node, format!("must be {wanted}"))
                })
            });
        };
        let mut size = |path, value: Bytes, least: Bytes, most: Bytes| {
            check(
                path,
                (least..=most).contains(&value),
                between(least.show(), most.show()),
            );
        };
        size(
            ["data", "segment-size"],
            data.segment_size,
            Bytes::mib(4),
            Bytes::mib(1024),
        );
        size(
            ["data", "disk-reserve"],
            data.disk_reserve,
            Bytes::mib(64),
            Bytes(u64::MAX >> 1),
        );
        size(
            ["limits", "instance-cache"],
            limits.instance_cache,
            Bytes::mib(16),
            Bytes(u64::MAX >> 1),
        );
        size(
            ["limits", "message-size"],
            limits.message_size,
            Bytes::mib(1),
            Bytes::mib(16),
        );
        size(
            ["limits", "event-batch-size"],
            limits.event_batch_size,
            Bytes(1 << 16),
            Bytes::mib(16),
        );
        let mut count = |path, value: u64, least: u64, most: u64| {
            check(
                path,
                (least..=most).contains(&value),
                between(least.show(), most.show()),
            );
        };
        count(
            ["limits", "commands-in-flight"],
            limits.commands_in_flight,
            16,
            1 << 20,
        );
        count(
            ["limits", "event-batch-count"],
            limits.event_batch_count,
            1,
            10_000,
        );
        count(
            ["events", "dedup-count"],
            events.dedup_count,
            1_000,
            1_000_000_000,
        );
        count(["outbox", "attempts"], outbox.attempts, 1, 1_000);
        count(["outbox", "concurrency"], outbox.concurrency, 1, 4_096);
        let mut time = |path, value: Span, least: Span, most: Span| {
            check(
                path,
                (least..=most).contains(&value),
                between(least.show(), most.show()),
            );
        };
        time(
            ["events", "dedup-window"],
            events.dedup_window,
            Span::seconds(60),
            Span::hours(24 * 366),
        );
        time(
            ["outbox", "backoff"],
            outbox.backoff,
            Span::millis(1),
            Span::hours(24),
        );
        time(
            ["outbox", "backoff-limit"],
            outbox.backoff_limit,
            outbox.backoff,
            Span::hours(24 * 7),
        );
        time(
            ["history", "retention"],
            history.retention,
            Span::seconds(60),
            Span::hours(24 * 3_660),
        );
    }
}

fn between(least: Option<String>, most: Option<String>) -> String {
    format!(
        "between {} and {}",
        least.unwrap_or_default(),
        most.unwrap_or_default()
    )
}
