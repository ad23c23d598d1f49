//! Scenarios: what is under way after each thing that happens.

use expect_test::{Expect, expect};
use kapelle_engine::ids::ProcessInstanceKey;
use kapelle_events::CloudEvent;

use super::*;

/// One word per line of the script: `offer KEY TO SUBJECT [ATTEMPTS RETRY_AT]`, `next MS`, `ok KEY MS`, `fail KEY MS`, `refuse KEY MS`,
/// `commands MS`, `settled KEY MS`, `wake`.
fn check(policy: Policy, script: &str, expected: Expect) {
    let mut delivery = Delivery::new(policy);
    let mut out = String::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<i64>().expect("a number");
        let key = || OutboxKey(u64::try_from(number(1)).expect("a key"));
        let said = match words[0] {
            "offer" => {
                let event =
                    CloudEvent::builder(words[1], "/shop", "order.completed").subject(words[3]);
                let event = event.build().expect("a valid event");
                let (to, tenant) = (Arc::from(words[2]), Arc::from("<default>"));
                let added = OutboxAdded {
                    entry: key(),
                    instance: ProcessInstanceKey(1),
                    tenant,
                    to,
                    event,
                };
                let failed = (words.len() > 4).then(|| (number(4), number(5)));
                let (attempts, retry_at) = failed.unwrap_or_default();
                let waiting = Waiting {
                    added,
                    attempts: u32::try_from(attempts).expect("a count"),
                    retry_at: Timestamp(retry_at),
                };
                delivery.offer(waiting, Timestamp(0));
                continue;
            }
            "next" => {
                let attempts = delivery.next(Timestamp(number(1)));
                attempts
                    .iter()
                    .map(|a| format!("{}#{}", a.entry.entry, a.number))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            "ok" => {
                delivery.succeeded(key(), Timestamp(number(2)));
                continue;
            }
            "fail" | "refuse" => {
                let failure = Failure {
                    permanent: words[0] == "refuse",
                    error: "no".to_owned(),
                };
                delivery.failed(key(), Timestamp(number(2)), &failure);
                continue;
            }
            "commands" => {
                let commands = delivery.commands(Timestamp(number(1)));
                commands
                    .iter()
                    .map(|command| format!("{command:?}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            "settled" => {
                delivery.settled(key(), Timestamp(number(2)));
                continue;
            }
            "wake" => format!("{:?}", delivery.wake_at().map(|at| at.0)),
            other => panic!("unknown word {other}"),
        };
        out.push_str(&format!("{line}: {said}\n"));
    }
    expected.assert_eq(&out);
}

fn first_time(added: OutboxAdded) -> Waiting {
    Waiting {
        added,
        attempts: 0,
        retry_at: Timestamp(0),
    }
}

fn policy() -> Policy {
    Policy {
        backoff: Backoff {
            first_ms: 100,
            max_ms: 100,
        },
        attempts_max: 3,
        attempt_timeout_ms: 1_000,
        ..Policy::default()
    }
}

#[test]
fn one_key_goes_one_at_a_time_and_others_beside_it() {
    check(
        policy(),
        "offer 1 hook a
         offer 2 hook a
         offer 3 hook b
         offer 4 queue a
         next 0
         ok 1 5
         next 5
         commands 5
         settled 1 6
         next 6",
        expect![[r#"
            next 0: 1#1 3#1 4#1
            next 5: 
            commands 5: AckOutbox { entry: OutboxKey(1) }
            next 6: 2#1
        "#]],
    );
}

#[test]
fn failures_are_tried_again_later_and_given_up_after_the_last_attempt() {
    check(
        policy(),
        "offer 1 hook a
         offer 2 hook a
         next 0
         fail 1 0
         next 1
         next 100
         fail 1 100
         next 200
         fail 1 200
         next 999
         commands 999
         settled 1 1000
         next 1000",
        expect![[r#"
            next 0: 1#1
            next 1: 
            next 100: 1#2
            next 200: 1#3
            next 999: 
            commands 999: DeferOutbox { entry: OutboxKey(1), attempts: 1, delay_ms: 66, error: "no" } DeferOutbox { entry: OutboxKey(1), attempts: 2, delay_ms: 71, error: "no" } BuryOutbox { entry: OutboxKey(1), attempts: 3, error: "no" }
            next 1000: 2#1
        "#]],
    );
}

#[test]
fn a_refusal_for_good_is_given_up_at_once() {
    check(
        policy(),
        "offer 1 hook a
         next 0
         refuse 1 1
         commands 1",
        expect![[r#"
            next 0: 1#1
            commands 1: BuryOutbox { entry: OutboxKey(1), attempts: 1, error: "no" }
        "#]],
    );
}

#[test]
fn silence_is_a_failure_and_a_late_success_still_counts() {
    check(
        policy(),
        "offer 1 hook a
         next 0
         wake
         next 1000
         ok 1 1001
         next 1100
         commands 1100",
        expect![[r#"
            next 0: 1#1
            wake: Some(1000)
            next 1000: 
            next 1100: 
            commands 1100: DeferOutbox { entry: OutboxKey(1), attempts: 1, delay_ms: 66, error: "no answer within 1000 ms" } AckOutbox { entry: OutboxKey(1) }
        "#]],
    );
}

#[test]
fn a_command_that_got_lost_is_handed_out_again_and_an_entry_is_offered_once() {
    check(
        policy(),
        "offer 1 hook a
         next 0
         ok 1 1
         commands 1
         commands 2
         commands 10001
         settled 1 10002
         commands 30000
         offer 1 hook a
         next 30000",
        expect![[r#"
            next 0: 1#1
            commands 1: AckOutbox { entry: OutboxKey(1) }
            commands 2: 
            commands 10001: AckOutbox { entry: OutboxKey(1) }
            commands 30000: 
            next 30000: 
        "#]],
    );
}

#[test]
fn window_and_concurrency_bound_what_is_held() {
    let mut delivery = Delivery::new(Policy {
        window: 2,
        ..policy()
    });
    assert_eq!(delivery.wants(), Some((OutboxKey(0), 2)));
    check(
        Policy {
            concurrency: 1,
            ..policy()
        },
        "offer 1 hook a
         offer 2 hook b
         next 0
         wake
         ok 1 1
         next 1",
        expect![[r#"
            next 0: 1#1
            wake: Some(1000)
            next 1: 2#1
        "#]],
    );
    let event = CloudEvent::builder("1", "/s", "t")
        .build()
        .expect("a valid event");
    for key in 1..=2 {
        let (to, tenant, event) = (Arc::from("hook"), Arc::from("<default>"), event.clone());
        let added = OutboxAdded {
            entry: OutboxKey(key),
            instance: ProcessInstanceKey(1),
            tenant,
            to,
            event,
        };
        delivery.offer(first_time(added), Timestamp(0));
    }
    assert_eq!(delivery.wants(), None);
}

#[test]
fn a_receiver_that_asks_for_a_pause_gets_it_up_to_the_longest_back_off() {
    let backoff = Backoff {
        first_ms: 100,
        max_ms: 1_000,
    };
    let mut delivery = Delivery::new(Policy {
        backoff,
        ..policy()
    });
    let event = CloudEvent::builder("1", "/s", "t")
        .build()
        .expect("a valid event");
    let (to, tenant) = (Arc::from("hook"), Arc::from("<default>"));
    let added = OutboxAdded {
        entry: OutboxKey(1),
        instance: ProcessInstanceKey(1),
        tenant,
        to,
        event,
    };
    delivery.offer(first_time(added), Timestamp(0));
    let failure = Failure {
        permanent: false,
        error: "503".to_owned(),
    };
    for (now, wait_ms, next) in [(0, 700, 700), (700, 60_000, 1_700)] {
        assert_eq!(delivery.next(Timestamp(now)).len(), 1);
        delivery.throttled(OutboxKey(1), Timestamp(now), &failure, wait_ms);
        assert_eq!(delivery.wake_at(), Some(Timestamp(next)));
    }
}

#[test]
fn attempts_before_a_restart_count_and_the_next_one_waits_for_its_time() {
    check(
        policy(),
        "offer 1 hook a 2 60
         offer 2 hook b 1 999999
         offer 3 hook c 3 -5
         wake
         next 0
         next 59
         next 60
         fail 1 61
         next 99
         next 100
         fail 3 100
         commands 100",
        expect![[r#"
            wake: Some(0)
            next 0: 3#4
            next 59: 
            next 60: 1#3
            next 99: 
            next 100: 2#2
            commands 100: BuryOutbox { entry: OutboxKey(1), attempts: 3, error: "no" } BuryOutbox { entry: OutboxKey(3), attempts: 4, error: "no" }
        "#]],
    );
}

#[test]
fn a_failed_attempt_is_noted_once_with_all_before_it() {
    check(
        policy(),
        "offer 1 hook a
         next 0
         fail 1 0
         commands 0
         commands 20000
         next 20000
         fail 1 20000
         next 20100
         commands 20100
         ok 1 20101
         commands 20101",
        expect![[r#"
            next 0: 1#1
            commands 0: DeferOutbox { entry: OutboxKey(1), attempts: 1, delay_ms: 66, error: "no" }
            commands 20000: 
            next 20000: 1#2
            next 20100: 1#3
            commands 20100: DeferOutbox { entry: OutboxKey(1), attempts: 2, delay_ms: 71, error: "no" }
            commands 20101: AckOutbox { entry: OutboxKey(1) }
        "#]],
    );
}
