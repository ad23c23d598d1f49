use super::*;

fn policy() -> Policy {
    Policy {
        window: 50,
        blocked_max: 200,
        concurrency: 8,
        attempt_timeout_ms: 100,
        attempts_max: 4,
        age_max_ms: 1_000_000,
        backoff: Backoff {
            first_ms: 10,
            max_ms: 50,
        },
        seed: 7,
    }
}

fn wanted(position: u64, lane: &str) -> Wanted {
    Wanted {
        position: Sequence(position),
        lane: (!lane.is_empty()).then(|| Arc::from(lane)),
        stored_at: Timestamp(0),
    }
}

fn fresh() -> Subscription {
    Subscription::new(policy(), Sequence(0), Vec::new(), BTreeSet::new())
}

fn positions(attempts: &[Attempt]) -> Vec<u64> {
    attempts.iter().map(|attempt| attempt.position.0).collect()
}

fn broken() -> Failure {
    Failure {
        permanent: false,
        error: "503".to_owned(),
    }
}

#[test]
fn one_of_a_lane_is_under_way_at_a_time_and_lanes_do_not_wait_for_each_other() {
    let mut subscription = fresh();
    for (position, lane) in [(1, "a"), (2, "a"), (3, "b"), (4, ""), (5, "")] {
        subscription.offer(wanted(position, lane));
    }
    let attempts = subscription.next(Timestamp(0), 100);
    assert_eq!(positions(&attempts), [1, 3, 4, 5]);
    assert!(subscription.delivered(&attempts[0]));
    assert_eq!(positions(&subscription.next(Timestamp(0), 100)), [2]);
}

#[test]
fn a_failure_holds_up_its_own_lane_only_and_the_cursor_passes_what_waits_behind_it() {
    let mut subscription = fresh();
    for (position, lane) in [(1, "a"), (2, "b"), (3, "a")] {
        subscription.offer(wanted(position, lane));
    }
    let attempts = subscription.next(Timestamp(0), 100);
    assert!(subscription.failed(&attempts[0], Timestamp(0), &broken(), 0));
    assert!(subscription.delivered(&attempts[1]));
    subscription.offer(wanted(4, "a"));
    subscription.passed(Sequence(9));
    assert_eq!(subscription.next(Timestamp(0), 100), []);
    let checkpoint = subscription.checkpoint().unwrap();
    assert_eq!(checkpoint.cursor, Sequence(9));
    let kept: Vec<_> = checkpoint
        .put
        .iter()
        .map(|exception| (exception.wanted.position.0, exception.attempts))
        .collect();
    assert_eq!(kept, [(1, 1), (3, 0), (4, 0)]);
    assert_eq!(subscription.checkpoint(), None);
    let again = subscription.next(Timestamp(50), 100);
    assert_eq!(
        again,
        [Attempt {
            position: Sequence(1),
            number: 2
        }]
    );
    assert!(subscription.delivered(&again[0]));
    assert_eq!(positions(&subscription.next(Timestamp(50), 100)), [3]);
    assert_eq!(subscription.checkpoint().unwrap().removed, [Sequence(1)]);
}

#[test]
fn the_cursor_stays_before_what_is_under_way() {
    let mut subscription = fresh();
    subscription.offer(wanted(5, ""));
    subscription.offer(wanted(8, ""));
    let attempts = subscription.next(Timestamp(0), 100);
    assert!(subscription.delivered(&attempts[1]));
    assert_eq!(subscription.checkpoint().unwrap().cursor, Sequence(4));
    assert!(subscription.delivered(&attempts[0]));
    assert_eq!(subscription.checkpoint().unwrap().cursor, Sequence(8));
}

#[test]
fn an_entry_dies_by_count_by_age_or_at_once_and_frees_its_lane() {
    let mut subscription = fresh();
    subscription.offer(wanted(1, "a"));
    subscription.offer(wanted(2, "a"));
    let mut now = Timestamp(0);
    for number in 1..=4 {
        let attempts = subscription.next(now, 100);
        assert_eq!(
            attempts,
            [Attempt {
                position: Sequence(1),
                number
            }]
        );
        assert!(subscription.failed(&attempts[0], now, &broken(), 0));
        now = now.plus_ms(60);
    }
    assert_eq!(
        subscription.next(now, 100),
        [],
        "its lane waits until the death is kept"
    );
    let checkpoint = subscription.checkpoint().unwrap();
    subscription.kept(&checkpoint);
    assert_eq!(checkpoint.dead.len(), 1);
    assert_eq!(
        (checkpoint.dead[0].attempts, &*checkpoint.dead[0].error),
        (4, "503")
    );
    let attempts = subscription.next(now, 100);
    assert_eq!(positions(&attempts), [2]);
    let permanent = Failure {
        permanent: true,
        ..broken()
    };
    assert!(subscription.failed(&attempts[0], now, &permanent, 0));
    let checkpoint = subscription.checkpoint().unwrap();
    subscription.kept(&checkpoint);
    assert_eq!(checkpoint.dead[0].attempts, 1);
    subscription.offer(wanted(3, "a"));
    let attempts = subscription.next(now, 100);
    assert!(subscription.failed(&attempts[0], Timestamp(2_000_000), &broken(), 0));
    assert_eq!(
        subscription.checkpoint().unwrap().dead[0].wanted.position,
        Sequence(3)
    );
}

#[test]
fn a_lock_that_ran_out_counts_and_its_holder_can_no_longer_answer() {
    let mut subscription = fresh();
    subscription.offer(wanted(1, ""));
    let first = subscription.next(Timestamp(0), 1).remove(0);
    assert!(subscription.renewed(&first, Timestamp(90)));
    assert_eq!(subscription.next(Timestamp(150), 1), []);
    assert_eq!(subscription.wake_at(), Some(Timestamp(190)));
    assert_eq!(subscription.next(Timestamp(190), 1), []);
    let second = subscription.next(Timestamp(250), 1).remove(0);
    assert_eq!(second.number, 2);
    assert!(!subscription.delivered(&first));
    assert!(!subscription.renewed(&first, Timestamp(250)));
    assert!(subscription.released(&second, Timestamp(250), 5));
    assert_eq!(subscription.next(Timestamp(254), 1), []);
    assert_eq!(subscription.next(Timestamp(255), 1).len(), 1);
}

#[test]
fn nothing_is_offered_beyond_the_window_but_blocked_entries_do_not_fill_it() {
    let mut subscription = fresh();
    subscription.offer(wanted(1, "a"));
    let attempts = subscription.next(Timestamp(0), 100);
    assert!(subscription.failed(&attempts[0], Timestamp(0), &broken(), 0));
    for position in 2..100 {
        subscription.offer(wanted(position, "a"));
    }
    assert_eq!(subscription.room(), 49);
    for position in 100..149 {
        subscription.offer(wanted(position, ""));
    }
    assert_eq!(subscription.room(), 0);
}

#[test]
fn a_redriven_entry_goes_before_later_ones_of_its_lane() {
    let mut subscription = fresh();
    subscription.offer(wanted(5, "a"));
    subscription.redrive(wanted(2, "a"));
    let attempts = subscription.next(Timestamp(0), 100);
    assert_eq!(positions(&attempts), [2]);
    // Whoever decided that has kept it.
    assert_eq!(subscription.checkpoint().unwrap().put, []);
}

#[test]
fn what_was_stored_before_the_clock_was_set_back_goes_at_once() {
    let mut subscription = fresh();
    let ahead = |position| Wanted {
        stored_at: Timestamp(7_200_000),
        ..wanted(position, "")
    };
    subscription.offer(ahead(3));
    subscription.redrive(ahead(1));
    assert_eq!(positions(&subscription.next(Timestamp(0), 100)), [1, 3]);
}

/// What a database would hold.
#[derive(Default)]
struct Kept {
    cursor: Sequence,
    exceptions: BTreeMap<Sequence, Exception>,
    dead: BTreeSet<Sequence>,
}

impl Kept {
    fn keep(&mut self, checkpoint: Checkpoint, subscription: &mut Subscription) {
        subscription.kept(&checkpoint);
        self.cursor = checkpoint.cursor;
        for position in checkpoint.removed {
            self.exceptions.remove(&position);
        }
        for exception in checkpoint.put {
            self.exceptions.insert(exception.wanted.position, exception);
        }
        for exception in checkpoint.dead {
            assert!(
                self.dead.insert(exception.wanted.position),
                "{exception:?} died twice"
            );
        }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Random deliveries, failures, time-outs and crashes: everything arrives or is dead, first arrivals of a key are in order.
#[test]
fn whatever_crashes_everything_arrives_in_order_of_its_key_or_is_dead() {
    let (mut crashes, mut deaths, mut repeats) = (0, 0, 0);
    for seed in 1..200 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let store: Vec<_> = (1..=120)
            .map(|number| wanted(number * 2, ["a", "b", "c", "d", ""][dice.roll(5) as usize]))
            .collect();
        let mut kept = Kept::default();
        let mut arrived: Vec<Sequence> = Vec::new();
        let mut subscription = fresh();
        let mut under_way: Vec<Attempt> = Vec::new();
        let mut now = Timestamp(0);
        for _ in 0..100_000 {
            now = now.plus_ms(dice.roll(4) as i64);
            let room = subscription.room().min(dice.roll(6) as usize);
            let next: Vec<_> = store
                .iter()
                .filter(|wanted| wanted.position > subscription.read_to())
                .take(room)
                .cloned()
                .collect();
            next.into_iter()
                .for_each(|wanted| subscription.offer(wanted));
            under_way.extend(subscription.next(now, dice.roll(5) as usize));
            if !under_way.is_empty() {
                let attempt = under_way.swap_remove(dice.roll(under_way.len() as u64) as usize);
                match dice.roll(10) {
                    0 => {}
                    1..=3 => {
                        subscription.failed(&attempt, now, &broken(), dice.roll(30) as i64);
                    }
                    4 => {
                        subscription.released(&attempt, now, 5);
                    }
                    _ => {
                        // Received before it is known to be.
                        arrived.push(attempt.position);
                        subscription.delivered(&attempt);
                    }
                }
            }
            if dice.roll(8) == 0
                && let Some(checkpoint) = subscription.checkpoint()
            {
                kept.keep(checkpoint, &mut subscription);
            }
            if dice.roll(150) == 0 {
                crashes += 1;
                under_way.clear();
                let exceptions = kept.exceptions.values().cloned().collect();
                let buried = kept
                    .dead
                    .iter()
                    .filter(|position| **position > kept.cursor)
                    .copied()
                    .collect();
                subscription = Subscription::new(policy(), kept.cursor, exceptions, buried);
            }
            if subscription.counts().0 == 0
                && subscription.read_to() == store[store.len() - 1].position
            {
                break;
            }
        }
        if let Some(checkpoint) = subscription.checkpoint() {
            kept.keep(checkpoint, &mut subscription);
        }
        assert_eq!(
            kept.cursor,
            store[store.len() - 1].position,
            "seed {seed} did not come to its end"
        );
        assert!(
            kept.exceptions.is_empty(),
            "seed {seed}: {:?} are over and still kept",
            kept.exceptions
        );
        deaths += kept.dead.len();
        for wanted in &store {
            let is_over =
                arrived.contains(&wanted.position) || kept.dead.contains(&wanted.position);
            assert!(is_over, "seed {seed}: {wanted:?} is lost");
        }
        for lane in ["a", "b", "c", "d"] {
            let mut first_arrivals: Vec<Sequence> = Vec::new();
            for position in &arrived {
                let is_of_lane = store
                    .iter()
                    .any(|w| w.position == *position && w.lane.as_deref() == Some(lane));
                if is_of_lane && !first_arrivals.contains(position) {
                    first_arrivals.push(*position);
                } else {
                    repeats += usize::from(is_of_lane);
                }
            }
            assert!(
                first_arrivals.is_sorted(),
                "seed {seed}: lane {lane} arrived as {first_arrivals:?}"
            );
        }
    }
    assert!(
        crashes > 100 && deaths > 50 && repeats > 100,
        "{crashes} crashes, {deaths} dead, {repeats} repeats"
    );
}

#[test]
fn it_is_told_how_far_each_entry_has_come() {
    let mut subscription = fresh();
    subscription.offer(wanted(1, "a"));
    subscription.offer(wanted(2, "a"));
    subscription.passed(Sequence(5));
    let standing =
        |subscription: &Subscription, position| subscription.standing(Sequence(position));
    let held = |attempts, error: &str| Standing::Held {
        attempts,
        error: Arc::from(error),
    };
    let first = subscription.next(Timestamp(0), 1).remove(0);
    // The one under way has not failed yet.
    assert_eq!(standing(&subscription, 1), held(0, ""));
    assert!(subscription.failed(&first, Timestamp(0), &broken(), 0));
    assert_eq!(standing(&subscription, 1), held(1, "503"));
    let again = subscription.next(Timestamp(50), 1).remove(0);
    assert_eq!(standing(&subscription, 1), held(1, "503"));
    assert!(subscription.delivered(&again));
    let seen = [1, 2, 3, 5, 6].map(|position| standing(&subscription, position));
    let [behind, ahead] = [Standing::Behind, Standing::Ahead];
    assert_eq!(
        seen,
        [behind.clone(), held(0, ""), behind.clone(), behind, ahead]
    );
}
