//! What of the store may go: by age and by size, a sealed segment at a time.

use kapelle_engine::ids::Timestamp;
use kapelle_storage::event_store::Segment;
use kapelle_storage::position::Sequence;

use crate::config::EventStore;

/// Everything before this position is past its time, or one too many on the disk.
pub(super) fn keep_from(
    segments: &[Segment],
    bytes: u64,
    now: Timestamp,
    limits: &EventStore,
) -> Sequence {
    let oldest_ms = now.0.saturating_sub(limits.retention.as_millis());
    let mut bytes = bytes;
    for segment in segments {
        if segment.last_at_ms >= oldest_ms && bytes <= limits.size.0 {
            return segment.first;
        }
        bytes = bytes.saturating_sub(segment.bytes);
    }
    segments
        .last()
        .map_or(Sequence::START, |segment| segment.last.next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bytes, Span};

    fn segment(number: u64) -> Segment {
        Segment {
            first: Sequence(number * 10),
            last: Sequence(number * 10 + 9),
            first_at_ms: number.cast_signed() * 1_000,
            last_at_ms: number.cast_signed() * 1_000 + 999,
            entries: 10,
            bytes: 100,
        }
    }

    fn check(now: i64, seconds: u64, bytes_max: u64, expected: u64) {
        let segments: Vec<_> = (1..=5).map(segment).collect();
        let limits = EventStore {
            retention: Span::seconds(seconds),
            size: Bytes(bytes_max),
        };
        assert_eq!(
            keep_from(&segments, 550, Timestamp(now), &limits),
            Sequence(expected)
        );
    }

    #[test]
    fn whole_segments_go_by_age_and_by_size() {
        check(6_000, 100, 10_000, 10);
        check(6_000, 3, 10_000, 30);
        check(6_000, 100, 400, 30);
        check(6_000, 3, 100, 60);
        check(60_000, 3, 10_000, 60);
    }
}
