//! Why a CloudEvent met nobody: each kind of near miss, what came later, hints.

use expect_test::{Expect, expect};
use kapelle_engine::event::{
    CloseReason, MessageExpired, MessagePublished, MessageStarted, SubscriptionClosed,
};
use kapelle_engine::ids::MessageKey;
use kapelle_engine::response::{Match, Outcome};
use kapelle_events::CloudEvent;

use super::*;
use crate::history::explain::explain;

/// A CloudEvent of type `paid` that came to `outcome`; its position.
pub(super) fn arrived(story: &mut Story, subject: &str, outcome: Outcome) -> u64 {
    let event = CloudEvent::builder(format!("{subject}/{}", story.position), "/shop", "paid")
        .subject(subject)
        .build()
        .unwrap();
    let position = story.say(Event::CloudEventReceived {
        tenant: text(TENANT),
        source_name: text("http"),
        identity: 1,
        content: 1,
        event: Arc::new(event),
        raw: None,
    });
    let found = Match {
        message: text("paid"),
        process_id: text("order"),
        correlation_key: text(subject),
        outcome,
        instance: None,
        reason: text(""),
    };
    let matches = if outcome == Outcome::NoMatch {
        Vec::new()
    } else {
        vec![found]
    };
    story.say(Event::CloudEventRouted {
        position: Sequence(position),
        outcome,
        matches,
        reason: text(""),
        identity: 1,
        content: 1,
        bucket: 0,
    });
    position
}

fn opened(story: &mut Story, key: u64, name: &str, correlation_key: &str) {
    story.say(Event::SubscriptionOpened(Box::new(subscribed(
        100,
        key,
        name,
        correlation_key,
    ))));
}

fn closed(story: &mut Story, key: u64, correlation_key: &str, reason: CloseReason) {
    story.say(Event::SubscriptionClosed(Box::new(SubscriptionClosed {
        process_id: text("order"),
        subscription: SubscriptionKey(key),
        instance: ProcessInstanceKey(100),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text(correlation_key),
        reason,
    })));
}

/// The explanation without the event itself, a member a line.
fn check(story: &mut Story, position: u64, expected: Expect) {
    story.write();
    let text = explain(&story.db, i64::try_from(position).unwrap())
        .unwrap()
        .unwrap();
    let from = text.find("\"summary\"").unwrap();
    let lines = text[from..]
        .replace("\"nearMisses\"", "\n\"nearMisses\"")
        .replace("{\"kind\"", "\n  {\"kind\"");
    let lines = lines
        .replace("\"later\"", "\n\"later\"")
        .replace("\"hints\"", "\n\"hints\"");
    expected.assert_eq(&format!("{lines}\n"));
}

fn waiting(name: &str, correlation_key: &str) -> Story {
    let mut story = Story::new();
    story.start(100);
    opened(&mut story, 102, name, correlation_key);
    story.now += 500;
    story
}

#[test]
fn the_case_of_the_key_differs() {
    let mut story = waiting("paid", "A-1001");
    let position = arrived(&mut story, "a-1001", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"a-1001\"",
        "nearMisses":[
          {"kind":"KEY_CASE","text":"an instance of order waits for paid with key \"A-1001\": the case differs","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["send the event again with the key \"A-1001\" instead of \"a-1001\" (its subject, unless the binding names another)"]}
    "#]],
    );
}

#[test]
fn white_space_differs() {
    let mut story = waiting("paid", "A-1001");
    let position = arrived(&mut story, "A-1001 ", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1001 \"",
        "nearMisses":[
          {"kind":"KEY_SPACE","text":"an instance of order waits for paid with key \"A-1001\": white space around the key differs","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["send the event again with the key \"A-1001\" instead of \"A-1001 \" (its subject, unless the binding names another)"]}
    "#]],
    );
}

#[test]
fn one_key_is_a_number() {
    let mut story = waiting("paid", "1001");
    let position = arrived(&mut story, "1001", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"1001\"",
        "nearMisses":[
          {"kind":"KEY_TYPE","text":"an instance of order waits for paid with key \"1001\": one key is a number and the other one a text","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["make both keys numbers or both texts: string(…) in the subscription's or the binding's expression"]}
    "#]],
    );
}

#[test]
fn a_letter_or_two_differ() {
    let mut story = waiting("paid", "A-1001");
    let position = arrived(&mut story, "A-1010", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1010\"",
        "nearMisses":[
          {"kind":"KEY_SIMILAR","text":"an instance of order waits for paid with key \"A-1001\": only a letter or two differ","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["send the event again with the key \"A-1001\" instead of \"A-1010\" (its subject, unless the binding names another)"]}
    "#]],
    );
}

#[test]
fn the_instance_waits_for_another_message() {
    let mut story = waiting("delivered", "A-1001");
    let position = arrived(&mut story, "A-1001", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1001\"",
        "nearMisses":[
          {"kind":"OTHER_MESSAGE","text":"an instance of order waits for delivered with key \"A-1001\": the same key, but another message","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"delivered","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["the instance waits for delivered: is the event's type right?"]}
    "#]],
    );
}

#[test]
fn it_came_too_late() {
    let mut story = waiting("paid", "A-1001");
    closed(&mut story, 102, "A-1001", CloseReason::ElementLeft);
    story.now += 3_100;
    let position = arrived(&mut story, "A-1001", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1001\"",
        "nearMisses":[
          {"kind":"TOO_LATE","text":"an instance of order waited for paid with key \"A-1001\" until 3.1 s before the event came (ELEMENT_LEFT)","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":"1970-01-01T00:00:01.500Z","closeReason":"ELEMENT_LEFT"}],
        "later":[],
        "hints":["the event came after its receiver had left: a longer timer, or an event that is sent earlier"]}
    "#]],
    );
}

#[test]
fn it_came_too_early_and_was_met_later_or_expired() {
    let mut story = Story::new();
    story.start(100);
    let position = arrived(&mut story, "A-1001", Outcome::Expired);
    story.now += 2_000;
    opened(&mut story, 102, "paid", "A-1001");
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1001\"",
        "nearMisses":[
          {"kind":"NOT_YET","text":"an instance of order began to wait for paid with key \"A-1001\" 2.0 s after the event came","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:03.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["let the event wait for its receiver: a longer ttl on the binding (kapelle:event ttl=…)"]}
    "#]],
    );
}

#[test]
fn it_went_to_another_tenant() {
    let mut story = Story::new();
    story.start(100);
    let other = SubscriptionOpened {
        tenant: text("acme"),
        ..subscribed(100, 102, "paid", "A-1001")
    };
    story.say(Event::SubscriptionOpened(Box::new(other)));
    let position = arrived(&mut story, "A-1001", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1001\"",
        "nearMisses":[
          {"kind":"OTHER_TENANT","text":"an instance of order waits for paid with key \"A-1001\", in the tenant acme","processDefinitionId":"order","processInstanceKey":"100","elementId":"paid","message":"paid","correlationKey":"A-1001","openedAt":"1970-01-01T00:00:01.000Z","closedAt":null,"closeReason":null}],
        "later":[],
        "hints":["send the event to the tenant acme"]}
    "#]],
    );
}

#[test]
fn nothing_is_bound_to_its_type() {
    let mut story = Story::new();
    let position = arrived(&mut story, "A-1001", Outcome::NoMatch);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"no deployed process is bound to events of type paid",
        "nearMisses":[],
        "later":[],
        "hints":["deploy a process with a message whose name is the event's type, or with <kapelle:event type=…> on its message"]}
    "#]],
    );
}

#[test]
fn what_is_not_near_is_not_shown() {
    let mut story = waiting("refunded", "B-7");
    opened(&mut story, 103, "paid", "A-2002");
    closed(&mut story, 103, "A-2002", CloseReason::Terminated);
    // Longer ago than a quarter of an hour.
    opened(&mut story, 104, "paid", "A-1001");
    closed(&mut story, 104, "A-1001", CloseReason::Correlated);
    story.now += 16 * 60 * 1000;
    let position = arrived(&mut story, "A-1001", Outcome::Buffered);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1001\"",
        "nearMisses":[],
        "later":[],
        "hints":[]}
    "#]],
    );
}

#[test]
fn other_keys_are_shown_a_few_of_them_where_nothing_is_nearer() {
    let mut story = waiting("paid", "B-7");
    for key in 110..120 {
        opened(&mut story, key, "paid", &format!("C-{key}-{key}"));
    }
    let position = arrived(&mut story, "A-1001", Outcome::Buffered);
    story.write();
    let explained = |story: &Story| {
        explain(&story.db, i64::try_from(position).unwrap())
            .unwrap()
            .unwrap()
    };
    let text = explained(&story);
    assert_eq!(member(&text, "kind"), ["OTHER_KEY"; 3], "{text}");
    assert!(
        text.contains(r#"waits for paid with key \"C-119-119\": another key"#),
        "{text}"
    );
    opened(&mut story, 120, "paid", "A-1001");
    story.write();
    assert_eq!(member(&explained(&story), "kind"), ["NOT_YET"]);
}

#[test]
fn the_right_one_is_found_among_any_number_that_wait_with_other_keys() {
    let mut story = waiting("paid", "A-1001");
    closed(&mut story, 102, "A-1001", CloseReason::Correlated);
    for key in 1_000..2_000 {
        opened(&mut story, key, "paid", &format!("C-{key}"));
    }
    let position = arrived(&mut story, "A-1001", Outcome::Buffered);
    story.write();
    let text = explain(&story.db, i64::try_from(position).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(member(&text, "kind"), ["TOO_LATE"], "{text}");
}

#[test]
fn one_that_was_met_has_no_near_misses() {
    let mut story = waiting("paid", "A-1001");
    let position = arrived(&mut story, "a-1001", Outcome::Correlated);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"correlated",
        "nearMisses":[],
        "later":[],
        "hints":[]}
    "#]],
    );
}

#[test]
fn at_most_ten_near_misses_are_shown_and_three_hints() {
    let mut story = Story::new();
    story.start(100);
    for number in 10..40 {
        opened(&mut story, 200 + number, "paid", &format!("A-10{number}"));
    }
    let position = arrived(&mut story, "A-1009", Outcome::Buffered);
    story.write();
    let text = explain(&story.db, i64::try_from(position).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(member(&text, "kind").len(), 10);
    assert_eq!(text.matches("send the event again").count(), 3);
}

/// Buffered as message 40, at 1,000 ms; the position.
fn kept(story: &mut Story) -> u64 {
    let event = CloudEvent::builder("1", "/shop", "paid")
        .subject("A-1")
        .build()
        .unwrap();
    let position = story.say(Event::CloudEventReceived {
        tenant: text(TENANT),
        source_name: text("http"),
        identity: 1,
        content: 1,
        event: Arc::new(event),
        raw: None,
    });
    story.say(Event::MessagePublished(Box::new(MessagePublished {
        message: MessageKey(40),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        message_id: text(""),
        expires: Timestamp(9_000),
        variables: kapelle_engine::document::Document::default(),
        cause: Cause::default(),
        binding: Some(kapelle_engine::event::FromBinding {
            process_id: text("order"),
            key_kind: KeyKind::Text,
            lock: true,
        }),
        thrown: false,
    })));
    story.say(Event::CloudEventRouted {
        position: Sequence(position),
        outcome: Outcome::Buffered,
        matches: Vec::new(),
        reason: text(""),
        identity: 1,
        content: 1,
        bucket: 0,
    });
    story.write();
    position
}

fn expired(story: &mut Story) {
    story.now += 1_500;
    story.say(Event::MessageExpired(Box::new(MessageExpired {
        message: MessageKey(40),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        message_id: text(""),
        expires: Timestamp(9_000),
        process_ids: Vec::new(),
    })));
}

#[test]
fn a_buffered_one_that_was_met_later_tells_so() {
    let mut story = Story::new();
    story.start(100);
    let position = kept(&mut story);
    story.now += 1_500;
    story.say(Event::MessageStarted(Box::new(MessageStarted {
        message: MessageKey(40),
        tenant: text(TENANT),
        name: text("paid"),
        correlation_key: text("A-1"),
        process_id: text("order"),
        subscription: SubscriptionKey(5),
        instance: ProcessInstanceKey(100),
    })));
    expired(&mut story);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1\"",
        "nearMisses":[],
        "later":[{"time":"1970-01-01T00:00:02.500Z","what":"STARTED","processInstanceKey":"100","text":"started order 1.5 s later"}],
        "hints":[]}
    "#]],
    );
}

#[test]
fn a_buffered_one_that_nobody_came_for_tells_so() {
    let mut story = Story::new();
    let position = kept(&mut story);
    expired(&mut story);
    check(
        &mut story,
        position,
        expect![[r#"
        "summary":"nobody waits for paid with key \"A-1\"",
        "nearMisses":[],
        "later":[{"time":"1970-01-01T00:00:02.500Z","what":"EXPIRED","processInstanceKey":null,"text":"nobody came for it within its time to live: expired 1.5 s later"}],
        "hints":[]}
    "#]],
    );
}

#[test]
fn there_is_nothing_to_explain_where_no_event_is() {
    let story = Story::new();
    assert_eq!(explain(&story.db, 7).unwrap(), None);
}
