//! What a search or a list answered: the members of each item as text.

use std::collections::BTreeMap;

use kapelle_feel::json::pull::Raw;

use crate::http;

/// Text as it is, everything else as it is written.
pub(crate) type Item = BTreeMap<String, String>;

/// The items of an answer like `{"items": […]}`.
pub(crate) fn items(body: &str) -> Vec<Item> {
    let answer = Raw::parse(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let items = answer
        .members()
        .find(|(name, _)| name.as_str().as_deref() == Some("items"));
    let (_, items) = items.unwrap_or_else(|| panic!("no items in {body}"));
    let plain = |raw: Raw<'_>| match raw.as_str() {
        Some(text) => text.into_owned(),
        None => raw.text().to_owned(),
    };
    let item = |raw: Raw<'_>| {
        raw.members()
            .map(|(name, value)| (plain(name), plain(value)))
            .collect()
    };
    items.elements().map(item).collect()
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
    let answer = Raw::parse(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let jobs = answer
        .members()
        .find(|(name, _)| name.as_str().as_deref() == Some("jobs"));
    let (_, jobs) = jobs.unwrap_or_else(|| panic!("no jobs in {body}"));
    let key = |job: Raw<'_>| {
        let key = job
            .members()
            .find(|(name, _)| name.as_str().as_deref() == Some("jobKey"));
        key.unwrap().1.as_str().unwrap().into_owned()
    };
    jobs.elements().map(key).collect()
}
