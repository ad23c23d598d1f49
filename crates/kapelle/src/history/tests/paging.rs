//! Orders and pages.

use expect_test::expect;

use super::searching::four;
use super::*;
use crate::history::query::instances::INSTANCES;

/// All keys, page by page.
fn walked(story: &Story, sort: &str, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let body = format!(r#"{{"sort":[{sort}],"page":{{{after}"limit":{limit}}}}}"#);
        let page = story.search(&INSTANCES, &body);
        let keys = member(&page, "processInstanceKey");
        if keys.is_empty() {
            return all;
        }
        all.extend(keys);
        after = format!(r#""after":"{}","#, member(&page, "endCursor")[0]);
    }
}

#[test]
fn pages_forward_and_back_are_the_whole_in_order_with_nulls_in_it() {
    let story = four();
    for (sort, expected) in [
        ("", "100 200 300 400"),
        (r#"{"field":"endDate"}"#, "100 300 200 400"),
        (r#"{"field":"endDate","order":"DESC"}"#, "400 200 300 100"),
        (
            r#"{"field":"businessId","order":"desc"}"#,
            "400 300 200 100",
        ),
        (
            r#"{"field":"state"},{"field":"startDate","order":"DESC"}"#,
            "300 100 200 400",
        ),
        (
            r#"{"field":"hasIncident","order":"DESC"},{"field":"endDate"}"#,
            "300 100 400 200",
        ),
    ] {
        for limit in 1..=5 {
            assert_eq!(
                walked(&story, sort, limit).join(" "),
                expected,
                "{sort} by {limit}"
            );
        }
        // From the last one back, two at a time.
        let whole = story.search(&INSTANCES, &format!(r#"{{"sort":[{sort}]}}"#));
        let mut before = member(&whole, "endCursor")[0].clone();
        let mut back = vec![member(&whole, "processInstanceKey").pop().unwrap()];
        loop {
            let body = format!(r#"{{"sort":[{sort}],"page":{{"before":"{before}","limit":2}}}}"#);
            let page = story.search(&INSTANCES, &body);
            let mut keys = member(&page, "processInstanceKey");
            if keys.is_empty() {
                break;
            }
            before = member(&page, "startCursor")[0].clone();
            keys.append(&mut back);
            back = keys;
        }
        assert_eq!(back.join(" "), expected, "{sort} back");
    }
}

#[test]
fn pages_by_number_and_totals() {
    let story = four();
    let found = |page: &str| {
        story.found(
            &INSTANCES,
            "processInstanceKey",
            &format!(r#"{{"page":{page}}}"#),
        )
    };
    assert_eq!(found(r#"{"from":1,"limit":2}"#), "200 300");
    assert_eq!(found(r#"{"from":4}"#), "");
    let page = story.search(&INSTANCES, r#"{"page":{"from":4}}"#);
    expect![[r#"{"items":[],"page":{"totalItems":4,"hasMoreTotalItems":false,"startCursor":null,"endCursor":null}}"#]].assert_eq(&page);
}

#[test]
fn more_than_can_be_counted_says_so() {
    let mut story = Story::new();
    for instance in 0..10_001 {
        story.start(100 + instance);
    }
    story.write();
    let page = story.search(&INSTANCES, r#"{"page":{"limit":1}}"#);
    assert!(
        page.contains(r#""totalItems":10000,"hasMoreTotalItems":true"#),
        "{page}"
    );
}

#[test]
fn a_page_begins_behind_its_cursor_whatever_was_added_before_it() {
    let mut story = four();
    let sort = r#"{"field":"startDate","order":"DESC"}"#;
    let first = story.search(
        &INSTANCES,
        &format!(r#"{{"sort":[{sort}],"page":{{"limit":2}}}}"#),
    );
    assert_eq!(member(&first, "processInstanceKey"), ["400", "300"]);
    story.now = 9_000;
    story.start(900);
    story.end(300, true);
    story.write();
    let cursor = &member(&first, "endCursor")[0];
    let second = story.found(
        &INSTANCES,
        "processInstanceKey",
        &format!(r#"{{"sort":[{sort}],"page":{{"after":"{cursor}"}}}}"#),
    );
    assert_eq!(second, "200 100");
}
