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
        subject(event),
        brief(&cell(event, "reason")),
    )
    .trim_end()
    .to_owned()
}

/// The subject; in quotes when it begins or ends with white space, which nobody sees otherwise.
pub(crate) fn subject(event: &Document) -> String {
    let subject = cell(event, "subject");
    if subject.trim() == subject {
        subject
    } else {
        format!("{subject:?}")
    }
}

/// A reason for a line: without the message and process it begins with, which the event's type has said, and with only
/// the end of an instance's key, which is what differs.
pub(crate) fn brief(reason: &str) -> String {
    let why = match reason
        .strip_prefix("message '")
        .and_then(|rest| rest.split_once("': "))
    {
        Some((_, why)) => why,
        None => reason,
    };
    let Some((before, after)) = why.split_once("process instance ") else {
        return why.to_owned();
    };
    let digits = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    let (key, rest) = after.split_at(digits);
    let end = key.get(key.len().saturating_sub(KEY_END)..).unwrap_or(key);
    format!("{before}instance …{end}{rest}")
}

/// Enough to tell instances of one hour apart.
const KEY_END: usize = 5;

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
            br#"{"position":"12","direction":"in","time":"2026-11-24T07:00:00.123Z","type":"order.placed","subject":"A-1","outcome":"STARTED","reason":"message 'order.placed' of process 'order': started process instance 2251799813685963 with key 'A-1'"}"#,
        );
        assert_eq!(
            line(&event.unwrap(), Style::plain()),
            "07:00:00.123      12 ← order.placed           A-1          STARTED     started instance …85963 with key 'A-1'"
        );
    }
}
