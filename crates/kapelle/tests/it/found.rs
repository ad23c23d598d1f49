//! What a search or a list answered: the members of each item as text.

use std::collections::BTreeMap;

use kapelle_feel::json::pull::Raw;

use crate::http;

/// Text as it is, everything else as it is written.
pub(crate) type Item = BTreeMap<String, String>;

/// The items of an answer like `{"items": […]}`.
pub(crate) fn items(body: &str) -> Vec<Item> {
    listed(body, "items")
}

/// What an answer lists in that member.
fn listed(body: &str, name: &str) -> Vec<Item> {
    let answer = Raw::parse(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let list = answer
        .members()
        .find(|(other, _)| other.as_str().as_deref() == Some(name));
    let (_, list) = list.unwrap_or_else(|| panic!("no {name} in {body}"));
    let plain = |raw: Raw<'_>| match raw.as_str() {
        Some(text) => text.into_owned(),
        None => raw.text().to_owned(),
    };
    let item = |raw: Raw<'_>| {
        raw.members()
            .map(|(name, value)| (plain(name), plain(value)))
            .collect()
    };
    list.elements().map(item).collect()
}

fn key(mut item: Item, name: &str) -> String {
    item.remove(name)
        .unwrap_or_else(|| panic!("no {name} in {item:?}"))
}

/// The keys of all process instances that a search finds; `filter` is a JSON object.
pub(crate) fn instances(rest: &str, filter: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let from = all.len();
        let body = format!(r#"{{"filter":{filter},"page":{{"from":{from},"limit":1000}}}}"#);
        let answer = http::post(rest, "/v2/process-instances/search", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = items(&answer.body);
        if page.is_empty() {
            return all;
        }
        let keys = page
            .into_iter()
            .map(|instance| key(instance, "processInstanceKey"));
        all.extend(keys);
    }
}

/// All CloudEvents that the events API has, oldest first; `filter` as in `&direction=in`.
pub(crate) fn events(rest: &str, filter: &str) -> Vec<Item> {
    const PAGE: usize = 1_000;
    let mut all: Vec<Item> = Vec::new();
    loop {
        let after = all.last().map_or("0", |event| &event["position"]);
        let path = format!("/v2/kapelle/events?limit={PAGE}&after={after}{filter}");
        let answer = http::get(rest, &path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let page = items(&answer.body);
        let count = page.len();
        all.extend(page);
        if count < PAGE {
            return all;
        }
    }
}

/// The keys of the jobs that an activation answered.
pub(crate) fn jobs(body: &str) -> Vec<String> {
    let jobs = listed(body, "jobs").into_iter();
    jobs.map(|job| key(job, "jobKey")).collect()
}
