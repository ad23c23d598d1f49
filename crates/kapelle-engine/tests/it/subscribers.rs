//! Subscribers: what is kept of them and what is refused.

use expect_test::expect;
use kapelle_engine::Settings;
use kapelle_engine::command::{Command, PutSubscriber, SettleDeadLetters};
use kapelle_engine::ids::{DEFAULT_TENANT, Sequence};
use kapelle_engine::pending;

use crate::world::World;

fn put(name: &str, document: &str) -> Command {
    Command::PutSubscriber(PutSubscriber {
        tenant: DEFAULT_TENANT.into(),
        name: name.into(),
        document: document.into(),
    })
}

const PULL: &str = r#"{"target": {"pull": {}}}"#;

#[test]
fn a_subscriber_is_created_changed_and_deleted() {
    let mut world = World::new(Settings::default());
    world.submit(put("b", PULL)).unwrap();
    world.submit(put("a", PULL)).unwrap();
    let before = world.log.len();
    world.submit(put("a", PULL)).unwrap();
    assert!(
        !world.log[before..].contains("subscriber"),
        "a repeat changes nothing: {}",
        world.log
    );
    let changed = r#"{"target": {"pull": {}}, "paused": true}"#;
    world.submit(put("a", changed)).unwrap();
    let all: Vec<_> = pending::subscribers(&world.state)
        .into_iter()
        .map(|subscriber| format!("{} {}", subscriber.name, subscriber.document))
        .collect();
    assert_eq!(all, [format!("a {changed}"), format!("b {PULL}")]);
    world.run("unsubscribe b");
    assert_eq!(pending::subscribers(&world.state).len(), 1);
}

#[test]
fn what_is_no_subscriber_is_refused_and_changes_nothing() {
    let mut world = World::new(Settings::default());
    let long = format!(
        r#"{{"target": {{"pull": {{}}}}, "filter": {{"sql": "{}"}}}}"#,
        "a".repeat(70_000)
    );
    let unknown = Command::DeleteSubscriber {
        tenant: DEFAULT_TENANT.into(),
        name: "nobody".into(),
    };
    let settle = Command::SettleDeadLetters(SettleDeadLetters {
        tenant: DEFAULT_TENANT.into(),
        subscriber: "nobody".into(),
        positions: vec![Sequence(1)],
        redrive: true,
        reason: "".into(),
    });
    let mut seen = String::new();
    for command in [
        put("a", "no json"),
        put("a", "{}"),
        put("a b", PULL),
        put(".", PULL),
        put("", PULL),
        put("a", &long),
        unknown,
        settle,
    ] {
        seen.push_str(&format!("{}\n", world.submit(command).unwrap_err()));
    }
    expect![[r#"
        Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected a valid document for subscriber 'a', but expected a value at line 1 column 1
        Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected a valid document for subscriber 'a', but target: a subscriber needs one: webhook, sink, message or pull
        Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected the name of a subscriber to consist of letters, digits, '-', '_' and '.', not beginning with '.', but it is 'a b'
        Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected the name of a subscriber to consist of letters, digits, '-', '_' and '.', not beginning with '.', but it is '.'
        Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected the name of a subscriber to consist of letters, digits, '-', '_' and '.', not beginning with '.', but it is ''
        Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected the subscriber 'a' to have at most 65536 bytes, but it has 70047
        Command 'DELETE' rejected with code 'NOT_FOUND': Expected to find subscriber with name 'nobody', but there is none
        Command 'SETTLE' rejected with code 'NOT_FOUND': Expected to find subscriber with name 'nobody', but there is none
    "#]].assert_eq(&seen);
    assert_eq!(pending::subscribers(&world.state), []);
}

#[test]
fn there_is_a_limit_to_subscribers_but_not_to_changing_them() {
    let mut settings = Settings::default();
    settings.limits.subscribers_max = 2;
    let mut world = World::new(settings);
    world.submit(put("a", PULL)).unwrap();
    world.submit(put("b", PULL)).unwrap();
    let refusal = world.submit(put("c", PULL)).unwrap_err().to_string();
    assert!(
        refusal.ends_with("Expected at most 2 subscribers, but subscriber 'c' would be one more"),
        "{refusal}"
    );
    world
        .submit(put("b", r#"{"target": {"pull": {}}, "paused": true}"#))
        .unwrap();
}
