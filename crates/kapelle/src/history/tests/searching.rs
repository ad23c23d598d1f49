//! Filters, what is refused, and how values are given out.

use expect_test::expect;

use super::*;
use crate::history::query::definitions::DEFINITIONS;
use crate::history::query::elements::ELEMENTS;
use crate::history::query::incidents::INCIDENTS;
use crate::history::query::instances::INSTANCES;
use crate::history::query::jobs::JOBS;
use crate::history::query::variables::VARIABLES;

const ALL: [&Entity; 6] = [
    &DEFINITIONS,
    &INSTANCES,
    &ELEMENTS,
    &JOBS,
    &INCIDENTS,
    &VARIABLES,
];

/// Four instances: 100 waits, 200 is over, 300 has an incident and a failed job, 400 was cancelled and has tags and a
/// business id. They began a second apart.
pub(super) fn four() -> Story {
    let mut story = Story::new();
    for instance in [100, 200, 300] {
        story.now = i64::try_from(instance).unwrap() * 10;
        story.start(instance);
        story.variable(
            instance,
            instance + 1,
            "order",
            &format!("\"A-{instance}\""),
        );
        story.variable(instance, instance + 2, "amount", &instance.to_string());
        story.say(activating(instance, instance + 3, index("work").0));
        story.say(job_created(job(instance, instance + 3, instance + 4), &[]));
    }
    story.say(Event::JobFailed(Box::new(
        kapelle_engine::event::JobFailed {
            job: job(300, 303, 304),
            retries: 2,
            message: text("again [later]*"),
            deadline: None,
            old_backoff_until: None,
            backoff_until: None,
        },
    )));
    story.say(incident_raised(300, 303, 305, Some(304), "no luck"));
    story.now = 4_000;
    let Event::InstanceCreated(mut fourth) = created(400) else {
        panic!("it was made so")
    };
    fourth.tags = vec![text("red"), text("ro\"und")];
    fourth.business_id = Some(text("B-1"));
    story.say(Event::InstanceCreated(fourth));
    story.say(ended(400, false));
    story.say(completed(200, 203, index("work")));
    story.say(ended(200, true));
    story.write();
    story
}

/// What instances each filter finds.
fn check(filters: &str, expected: expect_test::Expect) {
    let story = four();
    let mut seen = String::new();
    for filter in filters.trim().lines().map(str::trim) {
        let found = story.found(
            &INSTANCES,
            "processInstanceKey",
            &format!(r#"{{"filter":{{{filter}}}}}"#),
        );
        seen.push_str(&format!("{filter} → {found}\n"));
    }
    expected.assert_eq(&seen);
}

#[test]
fn texts_have_their_operators() {
    check(
        r#"
        "processDefinitionId": "order"
        "processDefinitionId": "Order"
        "processDefinitionId": {"$neq": "order"}
        "businessId": {"$exists": true}
        "businessId": {"$exists": false}
        "businessId": {"$neq": "B-1"}
        "businessId": {"$in": ["B-1", "B-2"]}
        "businessId": {"$in": []}
        "businessId": {"$notIn": ["B-2"]}
        "businessId": {"$like": "B-?"}
        "businessId": {"$like": "b-*"}
        "businessId": {"$exists": true, "$like": "*2"}
        "businessId": null
        "processDefinitionVersionTag": {"$exists": true}
        "#,
        expect![[r#"
            "processDefinitionId": "order" → 100 200 300 400
            "processDefinitionId": "Order" → 
            "processDefinitionId": {"$neq": "order"} → 
            "businessId": {"$exists": true} → 400
            "businessId": {"$exists": false} → 100 200 300
            "businessId": {"$neq": "B-1"} → 100 200 300
            "businessId": {"$in": ["B-1", "B-2"]} → 400
            "businessId": {"$in": []} → 100 200 300 400
            "businessId": {"$notIn": ["B-2"]} → 400
            "businessId": {"$like": "B-?"} → 400
            "businessId": {"$like": "b-*"} → 
            "businessId": {"$exists": true, "$like": "*2"} → 
            "businessId": null → 100 200 300 400
            "processDefinitionVersionTag": {"$exists": true} → 
        "#]],
    );
}

#[test]
fn keys_numbers_times_words_and_flags_have_theirs() {
    check(
        r#"
        "processInstanceKey": "200"
        "processInstanceKey": {"$in": ["200", "999", "300"]}
        "processInstanceKey": {"$notIn": ["200", "300"]}
        "processInstanceKey": {"$neq": "100"}
        "parentProcessInstanceKey": {"$exists": true}
        "processDefinitionVersion": 1
        "processDefinitionVersion": {"$gt": 1}
        "processDefinitionVersion": {"$gte": 1, "$lte": 1}
        "processDefinitionVersion": {"$in": [1, 2]}
        "startDate": {"$gte": "1970-01-01T00:00:02Z", "$lt": "1970-01-01T02:00:03+02:00"}
        "startDate": "1970-01-01T00:00:01.000Z"
        "endDate": {"$exists": false}
        "endDate": {"$lte": "1970-01-01T00:00:04Z"}
        "state": "ACTIVE"
        "state": "active"
        "state": {"$neq": "ACTIVE"}
        "state": {"$in": ["COMPLETED", "TERMINATED"]}
        "state": {"$like": "*TED"}
        "hasIncident": true
        "hasIncident": false
        "tags": ["red"]
        "tags": ["red", "ro\"und"]
        "tags": ["blue"]
        "#,
        expect![[r#"
            "processInstanceKey": "200" → 200
            "processInstanceKey": {"$in": ["200", "999", "300"]} → 200 300
            "processInstanceKey": {"$notIn": ["200", "300"]} → 100 400
            "processInstanceKey": {"$neq": "100"} → 200 300 400
            "parentProcessInstanceKey": {"$exists": true} → 
            "processDefinitionVersion": 1 → 100 200 300 400
            "processDefinitionVersion": {"$gt": 1} → 
            "processDefinitionVersion": {"$gte": 1, "$lte": 1} → 100 200 300 400
            "processDefinitionVersion": {"$in": [1, 2]} → 100 200 300 400
            "startDate": {"$gte": "1970-01-01T00:00:02Z", "$lt": "1970-01-01T02:00:03+02:00"} → 200
            "startDate": "1970-01-01T00:00:01.000Z" → 100
            "endDate": {"$exists": false} → 100 300
            "endDate": {"$lte": "1970-01-01T00:00:04Z"} → 200 400
            "state": "ACTIVE" → 100 300
            "state": "active" → 100 300
            "state": {"$neq": "ACTIVE"} → 200 400
            "state": {"$in": ["COMPLETED", "TERMINATED"]} → 200 400
            "state": {"$like": "*TED"} → 200 400
            "hasIncident": true → 300
            "hasIncident": false → 100 200 400
            "tags": ["red"] → 400
            "tags": ["red", "ro\"und"] → 400
            "tags": ["blue"] → 
        "#]],
    );
}

#[test]
fn instances_are_found_by_what_they_own() {
    check(
        r#"
        "elementId": "work"
        "elementId": "end"
        "elementInstanceState": "COMPLETED"
        "hasElementInstanceIncident": true
        "errorMessage": {"$like": "*luck"}
        "hasRetriesLeft": true
        "variables": [{"name": "order", "value": "\"A-100\""}]
        "variables": [{"name": "order", "value": {"$like": "\"A-?00\""}}, {"name": "amount", "value": {"$neq": "300"}}]
        "variables": [{"name": "order", "value": {"$in": ["\"A-200\"", "\"A-300\""]}}]
        "variables": [{"name": "order", "value": "A-100"}]
        "variables": [{"name": "nothing", "value": {"$exists": true}}]
        "variables": []
        "state": "ACTIVE", "$or": [{"processInstanceKey": "100"}, {"processInstanceKey": "200"}]
        "$or": [{"hasIncident": true}, {"state": "TERMINATED", "businessId": "B-1"}, {"businessId": "B-2"}]
        "$or": [{}]
        "$or": []
        "#,
        expect![[r#"
            "elementId": "work" → 100 200 300
            "elementId": "end" → 
            "elementInstanceState": "COMPLETED" → 200
            "hasElementInstanceIncident": true → 300
            "errorMessage": {"$like": "*luck"} → 300
            "hasRetriesLeft": true → 300
            "variables": [{"name": "order", "value": "\"A-100\""}] → 100
            "variables": [{"name": "order", "value": {"$like": "\"A-?00\""}}, {"name": "amount", "value": {"$neq": "300"}}] → 100 200
            "variables": [{"name": "order", "value": {"$in": ["\"A-200\"", "\"A-300\""]}}] → 200 300
            "variables": [{"name": "order", "value": "A-100"}] → 
            "variables": [{"name": "nothing", "value": {"$exists": true}}] → 
            "variables": [] → 100 200 300 400
            "state": "ACTIVE", "$or": [{"processInstanceKey": "100"}, {"processInstanceKey": "200"}] → 100
            "$or": [{"hasIncident": true}, {"state": "TERMINATED", "businessId": "B-1"}, {"businessId": "B-2"}] → 300 400
            "$or": [{}] → 100 200 300 400
            "$or": [] → 100 200 300 400
        "#]],
    );
}

#[test]
fn wildcards_that_are_quoted_are_letters() {
    let story = four();
    for (pattern, found) in [
        (r"again [later]*", "304"),
        (r"again [later]\\*", "304"),
        (r"again [later]\\?", ""),
        (r"again l*", ""),
        (r"*[later]*", "304"),
    ] {
        let body = format!(r#"{{"filter":{{"errorMessage":{{"$like":"{pattern}"}}}}}}"#);
        assert_eq!(story.found(&JOBS, "jobKey", &body), found, "{pattern}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused_by_name() {
    let mut seen = String::new();
    for body in [
        "[]",
        r#"{"filters":{}}"#,
        r#"{"filter":[]}"#,
        r#"{"filter":{"nothing":1}}"#,
        r#"{"filter":{"state":{"$gt":"ACTIVE"}}}"#,
        r#"{"filter":{"hasIncident":{"$neq":true}}}"#,
        r#"{"filter":{"hasIncident":"yes"}}"#,
        r#"{"filter":{"state":"RUNNING"}}"#,
        r#"{"filter":{"state":7}}"#,
        r#"{"filter":{"processInstanceKey":100}}"#,
        r#"{"filter":{"processInstanceKey":"1x"}}"#,
        r#"{"filter":{"processInstanceKey":{"$like":"1*"}}}"#,
        r#"{"filter":{"startDate":"yesterday"}}"#,
        r#"{"filter":{"processDefinitionVersion":"1"}}"#,
        r#"{"filter":{"processDefinitionVersion":1.5}}"#,
        r#"{"filter":{"businessId":{"$exists":"true"}}}"#,
        r#"{"filter":{"businessId":{"$in":"B-1"}}}"#,
        r#"{"filter":{"businessId":["B-1"]}}"#,
        r#"{"filter":{"tags":[1]}}"#,
        r#"{"filter":{"suspendedDate":{"$exists":true}}}"#,
        r#"{"filter":{"variables":{"name":"a"}}}"#,
        r#"{"filter":{"variables":[{"key":"a"}]}}"#,
        r#"{"filter":{"$or":{"state":"ACTIVE"}}}"#,
        r#"{"filter":{"$or":[{"$or":[]}]}}"#,
        r#"{"sort":[{"field":"tags"}]}"#,
        r#"{"sort":[{"field":"state","order":"UP"}]}"#,
        r#"{"sort":[{"order":"ASC"}]}"#,
        r#"{"sort":[{"field":"state","direction":"ASC"}]}"#,
        r#"{"sort":{"field":"state"}}"#,
        r#"{"page":{"limit":0,"size":1}}"#,
        r#"{"page":{"limit":0}}"#,
        r#"{"page":{"limit":10001}}"#,
        r#"{"page":{"limit":-1}}"#,
        r#"{"page":{"from":-1}}"#,
        r#"{"page":{"from":1,"after":"5b5d"}}"#,
        r#"{"page":{"after":"zz"}}"#,
        r#"{"page":{"before":"5b315d","limit":1},"sort":[{"field":"state"}]}"#,
    ] {
        let problem = Search::read(&INSTANCES, &JsonText::new(body), false).expect_err(body);
        assert_eq!(problem.status().as_u16(), 400, "{body}");
        seen.push_str(&format!("{body}\n    {}\n", problem.detail()));
    }
    expect![[r#"
        []
            The request body must be a JSON object, not an array.
        {"filters":{}}
            Request property [filters] cannot be parsed: there is no such property.
        {"filter":[]}
            Request property [filter] cannot be parsed: expected an object, found an array.
        {"filter":{"nothing":1}}
            Request property [filter.nothing] cannot be parsed: there is no such property.
        {"filter":{"state":{"$gt":"ACTIVE"}}}
            Request property [filter.state.$gt] cannot be parsed: there is no such operator here.
        {"filter":{"hasIncident":{"$neq":true}}}
            Request property [filter.hasIncident.$neq] cannot be parsed: there is no such operator here.
        {"filter":{"hasIncident":"yes"}}
            Request property [filter.hasIncident] cannot be parsed: expected a boolean, found a string.
        {"filter":{"state":"RUNNING"}}
            Unexpected value 'RUNNING' for enum field 'state'. Use any of the following values: [ACTIVE, COMPLETED, TERMINATED]
        {"filter":{"state":7}}
            Request property [filter.state] cannot be parsed: expected a string, found a number.
        {"filter":{"processInstanceKey":100}}
            Request property [filter.processInstanceKey] cannot be parsed: expected a string, found a number.
        {"filter":{"processInstanceKey":"1x"}}
            The provided processInstanceKey '1x' is not a valid key: expected digits.
        {"filter":{"processInstanceKey":{"$like":"1*"}}}
            Request property [filter.processInstanceKey.$like] cannot be parsed: there is no such operator here.
        {"filter":{"startDate":"yesterday"}}
            The provided startDate 'yesterday' cannot be parsed as a date according to RFC 3339, section 5.6.
        {"filter":{"processDefinitionVersion":"1"}}
            Request property [filter.processDefinitionVersion] cannot be parsed: expected a whole number, found a string.
        {"filter":{"processDefinitionVersion":1.5}}
            Request property [filter.processDefinitionVersion] cannot be parsed: expected a whole number, found a number.
        {"filter":{"businessId":{"$exists":"true"}}}
            Request property [filter.businessId.$exists] cannot be parsed: expected a boolean, found a string.
        {"filter":{"businessId":{"$in":"B-1"}}}
            Request property [filter.businessId] cannot be parsed: expected an array, found a string.
        {"filter":{"businessId":["B-1"]}}
            Request property [filter.businessId] cannot be parsed: expected a string, found an array.
        {"filter":{"tags":[1]}}
            Request property [tags] cannot be parsed: expected an array of strings, found a number.
        {"filter":{"suspendedDate":{"$exists":true}}}
            Request property [filter.suspendedDate] cannot be parsed: there is no such property.
        {"filter":{"variables":{"name":"a"}}}
            Request property [filter.variables] cannot be parsed: expected an array, found an object.
        {"filter":{"variables":[{"key":"a"}]}}
            Request property [filter.variables.key] cannot be parsed: there is no such property.
        {"filter":{"$or":{"state":"ACTIVE"}}}
            Request property [filter.$or] cannot be parsed: expected an array, found an object.
        {"filter":{"$or":[{"$or":[]}]}}
            Request property [filter.$or.$or] cannot be parsed: there is no such property.
        {"sort":[{"field":"tags"}]}
            Unexpected value 'tags' for enum field 'field'. Use any of the following values: [processDefinitionId, processDefinitionName, processDefinitionVersion, processDefinitionVersionTag, startDate, endDate, state, hasIncident, tenantId, processInstanceKey, processDefinitionKey, parentProcessInstanceKey, parentElementInstanceKey, businessId]
        {"sort":[{"field":"state","order":"UP"}]}
            Unexpected value 'UP' for enum field 'order'. Use any of the following values: [ASC, DESC]
        {"sort":[{"order":"ASC"}]}
            Sort field must not be null.
        {"sort":[{"field":"state","direction":"ASC"}]}
            Request property [sort.direction] cannot be parsed: there is no such property.
        {"sort":{"field":"state"}}
            Request property [sort] cannot be parsed: expected an array, found an object.
        {"page":{"limit":0,"size":1}}
            Request property [page.size] cannot be parsed: there is no such property.
        {"page":{"limit":0}}
            The value for page.limit is '0' but must be between 1 and 10000.
        {"page":{"limit":10001}}
            The value for page.limit is '10001' but must be between 1 and 10000.
        {"page":{"limit":-1}}
            The value for page.limit is '-1' but must be between 1 and 10000.
        {"page":{"from":-1}}
            The value for page.from is '-1' but must be a non-negative numeric value.
        {"page":{"from":1,"after":"5b5d"}}
            Only one of [page.from, page.after, page.before] is allowed.
        {"page":{"after":"zz"}}
            The cursor 'zz' is not one that this search gave out.
        {"page":{"before":"5b315d","limit":1},"sort":[{"field":"state"}]}
            The cursor '5b315d' is not one that this search gave out.
    "#]].assert_eq(&seen);
}

/// Every property of every entity, whatever is done with it, is valid SQL and finds what it should.
#[test]
fn every_property_can_be_sorted_and_filtered_by_as_it_says() {
    let story = four();
    let mut sorts = 0;
    for entity in ALL {
        for field in entity.fields {
            if field.sort {
                for order in ["ASC", "DESC"] {
                    let body = format!(
                        r#"{{"sort":[{{"field":"{}","order":"{order}"}}],"page":{{"limit":2}}}}"#,
                        field.name
                    );
                    let first = story.search(entity, &body);
                    let cursor = &member(&first, "endCursor")[0];
                    let next = format!(
                        r#"{{"sort":[{{"field":"{}","order":"{order}"}}],"page":{{"after":"{cursor}"}}}}"#,
                        field.name
                    );
                    story.search(entity, &next);
                    sorts += 1;
                }
            }
            for operand in [
                r#"{"$exists":true}"#,
                r#""1""#,
                "1",
                "true",
                r#""1970-01-01T00:00:00Z""#,
                r#""ACTIVE""#,
                r#"["x"]"#,
            ] {
                let body = format!(r#"{{"filter":{{"{}":{operand}}}}}"#, field.name);
                if let Ok(request) = Search::read(entity, &JsonText::new(&body), false) {
                    search(entity, request, &story.db)
                        .unwrap_or_else(|error| panic!("{body}: {error}"));
                }
            }
        }
    }
    assert!(sorts > 100, "{sorts}");
}

#[test]
fn long_values_are_cut_in_searches_and_never_in_the_middle_of_a_letter() {
    let mut story = Story::new();
    story.start(100);
    story.variable(100, 101, "fits", &format!("\"{}\"", "x".repeat(8_189)));
    story.variable(100, 102, "long", &format!("\"{}\"", "ü".repeat(8_190)));
    story.write();
    let run = |truncate| {
        let request = Search::read(
            &VARIABLES,
            &JsonText::new(r#"{"sort":[{"field":"name"}]}"#),
            truncate,
        )
        .unwrap();
        search(&VARIABLES, request, &story.db).unwrap()
    };
    let values = |text: &str| -> Vec<usize> {
        text.split("\"value\":\"\\\"")
            .skip(1)
            .map(|rest| rest.chars().take_while(|c| matches!(c, 'x' | 'ü')).count())
            .collect()
    };
    let cut = run(true);
    assert_eq!(values(&cut), [8_189, 8_190]);
    assert!(
        cut.contains(r#"x\"","isTruncated":false"#) && cut.contains(r#"ü","isTruncated":true"#),
        "{}",
        &cut[cut.len() - 300..]
    );
    let whole = run(false);
    assert_eq!(values(&whole), [8_189, 8_190]);
    assert!(
        whole.contains(r#"ü\"","isTruncated":false"#),
        "{}",
        &whole[whole.len() - 300..]
    );
    assert!(!story.get(&VARIABLES, 102).unwrap().contains("isTruncated"));
    let body = |is: bool| format!(r#"{{"filter":{{"isTruncated":{is}}}}}"#);
    assert_eq!(story.found(&VARIABLES, "variableKey", &body(true)), "102");
    assert_eq!(story.found(&VARIABLES, "variableKey", &body(false)), "101");
}

#[test]
fn the_other_entities_find_by_their_own_properties() {
    let story = four();
    let mut seen = String::new();
    for (entity, key, filter) in [
        (
            &ELEMENTS,
            "elementInstanceKey",
            r#""type":"SERVICE_TASK","state":"ACTIVE""#,
        ),
        (
            &ELEMENTS,
            "elementInstanceKey",
            r#""elementName":"Do it","processInstanceKey":"200""#,
        ),
        (&ELEMENTS, "elementInstanceKey", r#""incidentKey":"305""#),
        (
            &ELEMENTS,
            "elementInstanceKey",
            r#""elementInstanceScopeKey":"100""#,
        ),
        (
            &ELEMENTS,
            "elementInstanceKey",
            r#""$or":[{"hasIncident":true},{"elementInstanceKey":"103"}]"#,
        ),
        (
            &JOBS,
            "jobKey",
            r#""state":"CREATED","type":{"$like":"p*"}"#,
        ),
        (
            &JOBS,
            "jobKey",
            r#""state":"FAILED","hasFailedWithRetriesLeft":true"#,
        ),
        (&JOBS, "jobKey", r#""retries":{"$lt":3}"#),
        (
            &JOBS,
            "jobKey",
            r#""elementInstanceKey":"203","kind":"BPMN_ELEMENT""#,
        ),
        (
            &INCIDENTS,
            "incidentKey",
            r#""state":"ACTIVE","errorType":"JOB_NO_RETRIES""#,
        ),
        (&INCIDENTS, "incidentKey", r#""jobKey":{"$exists":false}"#),
        (
            &VARIABLES,
            "variableKey",
            r#""name":"amount","value":"300""#,
        ),
        (
            &VARIABLES,
            "variableKey",
            r#""value":{"$like":"\"A-*"},"scopeKey":{"$neq":"100"}"#,
        ),
        (
            &DEFINITIONS,
            "processDefinitionKey",
            r#""name":"Order","resourceName":{"$like":"*.bpmn"},"version":1,"state":"ACTIVE""#,
        ),
    ] {
        let found = story.found(entity, key, &format!("{{\"filter\":{{{filter}}}}}"));
        seen.push_str(&format!("{} {filter} → {found}\n", entity.title));
    }
    expect![[r#"
        Element instance "type":"SERVICE_TASK","state":"ACTIVE" → 103 303
        Element instance "elementName":"Do it","processInstanceKey":"200" → 203
        Element instance "incidentKey":"305" → 303
        Element instance "elementInstanceScopeKey":"100" → 103
        Element instance "$or":[{"hasIncident":true},{"elementInstanceKey":"103"}] → 103 303
        Job "state":"CREATED","type":{"$like":"p*"} → 104 204
        Job "state":"FAILED","hasFailedWithRetriesLeft":true → 304
        Job "retries":{"$lt":3} → 304
        Job "elementInstanceKey":"203","kind":"BPMN_ELEMENT" → 204
        Incident "state":"ACTIVE","errorType":"JOB_NO_RETRIES" → 305
        Incident "jobKey":{"$exists":false} → 
        Variable "name":"amount","value":"300" → 302
        Variable "value":{"$like":"\"A-*"},"scopeKey":{"$neq":"100"} → 201 301
        Process definition "name":"Order","resourceName":{"$like":"*.bpmn"},"version":1,"state":"ACTIVE" → 2
    "#]].assert_eq(&seen);
}

#[test]
fn a_search_of_what_is_active_uses_its_index() {
    let story = four();
    for (sql, index) in [
        (
            "SELECT 1 FROM instance i WHERE (i.state) = 1 ORDER BY i.key",
            "instance_active",
        ),
        (
            "SELECT 1 FROM incident n WHERE (n.state) = 1 ORDER BY n.key",
            "incident_active",
        ),
        ("SELECT 1 FROM job j WHERE (j.state) = 1", "job_created"),
        ("SELECT 1 FROM job j WHERE (j.state) = 3", "job_failed"),
    ] {
        let plan: String = story
            .db
            .query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get(3))
            .unwrap();
        assert!(plan.contains(index), "{sql}: {plan}");
    }
}
