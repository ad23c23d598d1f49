//! An explanation laid out for a person: what it came to, why, what it nearly met, what to do.

use crate::cli::output::{Style, cell};
use crate::client::Document;

pub(crate) fn text(explanation: &Document, style: Style) -> String {
    let event = explanation.child("event").unwrap_or_else(Document::null);
    let mut text = format!(
        "{} {}  {}  {}\n  {}\n",
        style.strong(&cell(&event, "type")),
        quoted(&event, "subject"),
        style.faint(&format!("position {}", cell(&event, "position"))),
        style.outcome(&cell(&event, "outcome")),
        cell(explanation, "summary"),
    );
    let matches = event.list("matches");
    // A single one is what the summary says.
    for found in matches.iter().filter(|_| matches.len() > 1) {
        text.push_str(&format!(
            "  · {} of {}: {} {}\n",
            cell(found, "message"),
            cell(found, "processDefinitionId"),
            style.outcome(&cell(found, "outcome")),
            cell(found, "reason"),
        ));
    }
    list(&mut text, "nearly met", explanation, "nearMisses", |miss| {
        let kind = cell(miss, "kind");
        format!("{} {}", style.warning(&kind), cell(miss, "text"))
    });
    list(&mut text, "later", explanation, "later", |later| {
        format!(
            "{} {}",
            style.outcome(&cell(later, "what")),
            cell(later, "text")
        )
    });
    if let Some(hints) = explanation.get("hints") {
        for hint in kapelle_feel::msgpack::items(hints).filter_map(kapelle_feel::msgpack::as_str) {
            text.push_str(&format!("{} {hint}\n", style.strong("hint:")));
        }
    }
    text
}

fn list(
    text: &mut String,
    title: &str,
    from: &Document,
    member: &str,
    show: impl Fn(&Document) -> String,
) {
    let items = from.list(member);
    if !items.is_empty() {
        text.push_str(&format!("{title}:\n"));
        items
            .iter()
            .for_each(|item| text.push_str(&format!("  · {}\n", show(item))));
    }
}

/// In quotation marks, so that a space at its end is seen.
fn quoted(event: &Document, member: &str) -> String {
    event
        .text(member)
        .map(|text| format!("{text:?}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn an_explanation_shows_the_near_miss_and_the_remedy() {
        let explanation = Document::parse(
            br#"{"event":{"position":"9","type":"payment.received","subject":"A-7 ","outcome":"NO_MATCH","matches":[]},
                "summary":"nobody waits for payment.received with key \"A-7 \"",
                "nearMisses":[{"kind":"KEY_SPACE","text":"1 instance waits for \"A-7\""}],
                "later":[],"hints":["send it again with subject \"A-7\""]}"#,
        );
        expect![[r#"
            payment.received "A-7 "  position 9  NO_MATCH
              nobody waits for payment.received with key "A-7 "
            nearly met:
              · KEY_SPACE 1 instance waits for "A-7"
            hint: send it again with subject "A-7"
        "#]]
        .assert_eq(&text(&explanation.unwrap(), Style::plain()));
    }
}
