//! An event on one line, for a terminal.

use crate::cli::output::{Style, cell};
use crate::client::Document;

/// `07:00:00.123  4711  order.placed  A-1001  STARTED  started fresh-food-order`
pub(crate) fn line(event: &Document, style: Style) -> String {
    let time = cell(event, "time");
    let arrow = if event.text("direction") == Some("out") {
        "→"
    } else {
        "←"
    };
    let outcome = cell(event, "outcome");
    let painted = style.outcome(&outcome)
        + &" ".repeat(OUTCOME_WIDTH.saturating_sub(outcome.chars().count()));
    format!(
        "{}  {:>6} {arrow} {:<22} {:<12} {painted}  {}",
        style.faint(clock(&time)),
        cell(event, "position"),
        cell(event, "type"),
        cell(event, "subject"),
        brief(&cell(event, "reason")),
    )
    .trim_end()
    .to_owned()
}

/// A reason without the message and process it begins with: on a line the event's type has said that much.
pub(crate) fn brief(reason: &str) -> &str {
    match reason.strip_prefix("message '").and_then(|rest| rest.split_once("': ")) {
        Some((_, why)) => why,
        None => reason,
    }
}

/// Of the longest common word, `CORRELATED`.
const OUTCOME_WIDTH: usize = 10;

/// The time of day of an RFC 3339 time.
pub(crate) fn clock(time: &str) -> &str {
    let of_day = time.split_once('T').map_or(time, |(_, of_day)| of_day);
    of_day.trim_end_matches('Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_came_and_what_it_came_to() {
        let event = Document::parse(
            br#"{"position":"12","direction":"in","time":"2026-11-24T07:00:00.123Z","type":"order.placed","subject":"A-1","outcome":"STARTED","reason":"message 'order.placed' of process 'order': started it"}"#,
        );
        assert_eq!(
            line(&event.unwrap(), Style::plain()),
            "07:00:00.123      12 ← order.placed           A-1          STARTED     started it"
        );
    }
}
