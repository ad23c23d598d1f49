//! The backbone of one process, and the receivers at its other end: they answer late, with errors, twice, or not at all.
//!
//! The simulator's twin of `kapelle::backbone`: it only carries between the router and who receives; ends with its process.

use std::path::Path;
use std::sync::Arc;

use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::pending;
use kapelle_events::CloudEvent;
use kapelle_runtime::backbone::{
    self, Answer, Delivery, Error, MemLedger, READER, Received, Router, SharedStore,
};
use kapelle_runtime::delivery::Failure;
use kapelle_runtime::subscription::{Attempt, Policy};
use kapelle_storage::event_store::{self, EventStore};
use kapelle_storage::files::MemFiles;

use crate::exercised::Exercised;
use crate::facts::Facts;
use crate::random::Random;
use crate::receivers::Behaviour;
use crate::subscribers::Subscribers;
use crate::world::SimPartition;

pub(crate) const EVENTS: &str = "/data/events";

/// CloudEvents that one consumer fetches at once.
const PULLED_MAX: u64 = 3;

type Name = Arc<str>;

/// How a process serves subscribers.
#[derive(Clone, Debug)]
pub(crate) struct RoutesSetup {
    pub(crate) store: event_store::Options,
    pub(crate) router: backbone::Options,
}

impl RoutesSetup {
    /// So small that everything is reached.
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            store: event_store::Options {
                block_bytes: 200 + random.index(1_000),
                segment_entries: 4 + u32::try_from(random.below(20)).unwrap_or(0),
                segment_bytes: 1 << 14,
            },
            router: backbone::Options {
                policy: Policy {
                    window: 1 + random.index(6),
                    blocked_max: 1 + random.index(6),
                    concurrency: 1 + random.index(4),
                    attempt_timeout_ms: 2_000,
                    ..Policy::default()
                },
                position_every: 1 + random.below(30),
            },
        }
    }
}

/// What a receiver will say, later.
struct Late {
    subscriber: Name,
    attempt: Attempt,
    is_taken: bool,
}

pub(crate) struct Routes {
    router: Router<MemLedger>,
    store: Arc<SharedStore>,
    late: Vec<Late>,
    /// What consumers fetched and have said nothing of yet.
    held: Vec<(Name, Attempt)>,
}

impl Routes {
    /// Opens the event store and goes on where it and the ledger end.
    pub(crate) fn start(
        setup: &RoutesSetup,
        files: &MemFiles,
        ledger: &MemLedger,
        partition: &mut SimPartition,
        now: Timestamp,
    ) -> Result<Self, String> {
        let text = |error: Error| error.to_string();
        let store = EventStore::open(files.shared(), Path::new(EVENTS), setup.store)
            .map_err(|error| error.to_string())?;
        let store = Arc::new(SharedStore::new(store));
        let readers = Arc::clone(partition.readers());
        let subscribe = |from| readers.subscribe(READER, from);
        let (reader, gap) =
            backbone::reader(&store, ledger, subscribe).map_err(|error| error.to_string())?;
        if let Some(gap) = gap {
            return Err(format!(
                "the event store ends before record {}, and the journal begins at {}",
                gap.wanted.0, gap.first.0
            ));
        }
        let subscribers = (readers.committed(), pending::subscribers(partition.state()));
        let router = Router::new(
            reader,
            Arc::clone(&store),
            ledger.clone(),
            setup.router.clone(),
            subscribers,
            now,
        );
        Ok(Self {
            router: router.map_err(text)?,
            store,
            late: Vec::new(),
            held: Vec::new(),
        })
    }

    pub(crate) fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Does what can be done now, or some of it. The inner error: the backbone has ended.
    pub(crate) fn turn(
        &mut self,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
        scene: &mut Scene<'_>,
    ) -> Result<Result<(), Error>, String> {
        let is_done = |random: &mut Random| behaviour == Behaviour::Honest || !random.one_in(4);
        self.answers_come(now, behaviour, random, scene);
        if is_done(random)
            && let Err(error) = self.router.take(now)
        {
            return Ok(Err(error));
        }
        if is_done(random)
            && let Err(error) = self.router.show()
        {
            return Ok(Err(error));
        }
        if is_done(random) {
            for delivery in self.router.deliveries(now) {
                self.deliver(delivery, now, behaviour, random, scene)?;
            }
        }
        if is_done(random)
            && let Err(error) = self.consume(now, behaviour, random, scene)?
        {
            return Ok(Err(error));
        }
        Ok(self.keep(now, behaviour, random))
    }

    fn keep(
        &mut self,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
    ) -> Result<(), Error> {
        let is_honest = behaviour == Behaviour::Honest;
        if is_honest || random.one_in(2) {
            self.router.keep(now)?;
        }
        if is_honest || random.one_in(3) {
            self.router.sync()?;
        }
        Ok(())
    }

    fn answers_come(
        &mut self,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
        scene: &mut Scene<'_>,
    ) {
        for late in std::mem::take(&mut self.late) {
            if behaviour == Behaviour::Random && random.one_in(2) {
                self.late.push(late);
                continue;
            }
            scene.exercised.routed_late += 1;
            let result = if late.is_taken { Ok(()) } else { failed(false) };
            self.router
                .attempted(&late.subscriber, &late.attempt, result, now);
        }
    }

    fn deliver(
        &mut self,
        delivery: Delivery,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
        scene: &mut Scene<'_>,
    ) -> Result<(), String> {
        let fate = match behaviour {
            Behaviour::Honest => 0,
            Behaviour::Random => random.below(16),
        };
        let Delivery {
            subscriber,
            attempt,
            event,
            ..
        } = delivery;
        // What fails at once or for good never came.
        let is_taken = !matches!(fate, 6..=8);
        scene.receive(&subscriber, attempt.position, &event, is_taken)?;
        let mut say = |result| self.router.attempted(&subscriber, &attempt, result, now);
        match fate {
            0..=4 => say(Ok(())),
            // Twice.
            5 => {
                say(Ok(()));
                say(Ok(()));
            }
            6 | 7 => say(failed(false)),
            8 => say(failed(true)),
            // It took it, but says that it did not, or that and the contrary, or nothing until the attempt times out.
            9 => say(failed(false)),
            10 => {
                say(failed(false));
                say(Ok(()));
            }
            11 => {}
            fate => self.late.push(Late {
                subscriber,
                attempt,
                is_taken: fate < 15,
            }),
        }
        Ok(())
    }

    /// Consumers fetch, and say something of what they hold.
    fn consume(
        &mut self,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
        scene: &mut Scene<'_>,
    ) -> Result<Result<(), Error>, String> {
        let names: Vec<Name> = scene.facts.subscribers.keys().cloned().collect();
        for name in names {
            let most = usize::try_from(1 + random.below(PULLED_MAX)).unwrap_or(1);
            for received in self.router.pull(&name, most, now).unwrap_or_default() {
                let Received { token, stored } = received;
                let event = stored.event.ok_or("nothing was handed out")?;
                scene.receive(&name, stored.position, &event, true)?;
                scene.exercised.pulled += 1;
                self.held.push((Arc::clone(&name), token));
            }
        }
        for (name, token) in std::mem::take(&mut self.held) {
            let answer = match behaviour {
                Behaviour::Honest => Answer::Acknowledge,
                Behaviour::Random => match random.below(10) {
                    0..=4 => Answer::Acknowledge,
                    5 => Answer::Release {
                        delay: std::time::Duration::from_millis(random.below(1_000)),
                    },
                    6 => Answer::Reject {
                        reason: "no".to_owned(),
                    },
                    7 => Answer::Renew,
                    // The consumer has vanished.
                    8 => continue,
                    _ => {
                        self.held.push((name, token));
                        continue;
                    }
                },
            };
            let tokens = std::slice::from_ref(&token);
            if let Err(error) = self.router.answer(&name, tokens, &answer, now) {
                return Ok(Err(error));
            }
            if answer == Answer::Renew {
                self.held.push((name, token));
            }
        }
        Ok(Ok(()))
    }
}

/// Who else is there.
pub(crate) struct Scene<'w> {
    pub(crate) subscribers: &'w mut Subscribers,
    pub(crate) facts: &'w Facts,
    pub(crate) ledger: &'w MemLedger,
    pub(crate) exercised: &'w mut Exercised,
}

impl Scene<'_> {
    /// Somebody tries to give a CloudEvent to a subscriber, which takes it or does not.
    fn receive(
        &mut self,
        name: &Name,
        position: Sequence,
        event: &CloudEvent,
        is_taken: bool,
    ) -> Result<(), String> {
        // Another one may have become a dead letter a moment ago.
        self.subscribers.observe(self.facts, self.ledger);
        self.subscribers.try_on(name, position, event, self.facts)?;
        if is_taken {
            self.subscribers
                .receive(name, position, event, self.facts, self.exercised)?;
        }
        Ok(())
    }
}

fn failed(is_permanent: bool) -> Result<(), (Failure, i64)> {
    let failure = Failure {
        permanent: is_permanent,
        error: "unreachable".to_owned(),
    };
    Err((failure, 0))
}
