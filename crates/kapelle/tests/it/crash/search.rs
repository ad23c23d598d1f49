//! Everything that a search finds, page by page.

use std::collections::BTreeMap;

use kapelle_feel::json::pull::{Kind, Raw};

use super::victim::Addresses;
use super::wire;

/// The members of one item as text.
pub(crate) type Item = BTreeMap<String, String>;

const PAGE: usize = 2_000;

/// All items, however many pages that takes. Also asserts that the total is what the pages hold.
pub(crate) async fn all(addresses: &Addresses, what: &str, filter: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let body = format!(r#"{{"filter":{filter},"page":{{"limit":{PAGE}{after}}}}}"#);
        let path = format!("/v2/{what}/search");
        let answer = loop {
            match wire::json(addresses, &path, &body).await {
                Ok(answer) => break answer,
                Err(wire::Ending::Refused(reason)) if reason != wire::Reason::Exhausted => {
                    panic!("{path} {body}: {reason:?}")
                }
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        let answer = Raw::parse(&answer).unwrap();
        let page: Vec<Item> = member(answer, "items")
            .unwrap()
            .elements()
            .map(item)
            .collect();
        let end = member(answer, "page").and_then(|page| text(page, "endCursor"));
        let count = page.len();
        items.extend(page);
        match end {
            Some(cursor) if count == PAGE => after = format!(r#","after":"{cursor}""#),
            _ => return items,
        }
    }
}

fn item(raw: Raw<'_>) -> Item {
    raw.members()
        .filter_map(|(name, value)| Some((name.as_str()?.into_owned(), plain(value))))
        .collect()
}

/// The text of a string, the notation of anything else.
pub(crate) fn plain(raw: Raw<'_>) -> String {
    raw.as_str()
        .map_or_else(|| raw.text().to_owned(), std::borrow::Cow::into_owned)
}

pub(crate) fn member<'t>(object: Raw<'t>, name: &str) -> Option<Raw<'t>> {
    object
        .members()
        .find(|(key, _)| key.as_str().as_deref() == Some(name))
        .map(|(_, value)| value)
}

/// A member that is there and not null, as [`plain`] text.
pub(crate) fn text(object: Raw<'_>, name: &str) -> Option<String> {
    member(object, name)
        .filter(|value| value.kind() != Kind::Null)
        .map(plain)
}
