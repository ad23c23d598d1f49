//! The world of one run: the machine, the process on it, and everyone who talks to it.
//!
//! **Invariants**
//! - Everything that leaves the partition is looked at in the step in which it leaves: whatever it rests on has to be
//!   durable and committed by then.
//! - The partition may stop only if a fault was armed.

use std::path::Path;
use std::sync::{Arc, Mutex};

use kapelle_engine::effect::Effect;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_runtime::backbone::{MemLedger, READER};
use kapelle_runtime::clock::Clock as _;
use kapelle_runtime::metrics::Metrics;
use kapelle_runtime::partition::{Partition, Request};
use kapelle_runtime::reader::RecordReader;
use kapelle_runtime::streams::StreamRegistry;
use kapelle_storage::dir::DataDir;
use kapelle_storage::journal::{self, DirectJournal, Journal as _};
use kapelle_storage::store::Backend as _;

use crate::broker::Broker;
use crate::clients::Clients;
use crate::disk::{DATA, Disks, JOURNAL, SimClock};
use crate::exercised::Exercised;
use crate::facts::{Facts, Mark};
use crate::gate::Gate;
use crate::history::{self, History};
use crate::network::Network;
use crate::receivers::{Behaviour, Carrier, Receivers};
use crate::reference::Reference;
use crate::reference::journal::Commands;
use crate::routes::{Routes, Scene};
use crate::setup::{QueueLimits, Sabotage, Setup};
use crate::store::{LaggingStore, Queue};
use crate::subscribers::Subscribers;

/// Writes that the store's disk does while somebody waits for it.
const STORE_WRITES: usize = 4;
/// Steps after which something that is not done never will be.
const STEPS_MAX: u32 = 20_000;

pub(crate) type SimPartition = Partition<DirectJournal, LaggingStore, SimClock>;

/// A process on the disks.
pub(crate) struct Running {
    pub(crate) partition: SimPartition,
    pub(crate) store_queue: Arc<Mutex<Queue>>,
    pub(crate) streams: Arc<StreamRegistry>,
    pub(crate) carrier: Carrier,
    /// `None` once its disk has failed; commands go on.
    routes: Option<Routes>,
    reader: RecordReader,
    /// The oldest record of the journal when last looked at.
    first: Sequence,
    directory: DataDir,
}

/// What happens in one step, or does not.
pub(crate) enum Stepped {
    Progressed,
    Idle,
    /// A fault stopped the partition, and a new process was started.
    Restarted,
}

/// Everything of a run.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) disks: Disks,
    pub(crate) clock: SimClock,
    /// `None` only between a crash and the next start.
    pub(crate) running: Option<Running>,
    pub(crate) history: History,
    /// What should have happened, and how far it has read the journal.
    pub(crate) reference: Reference,
    commands: Commands,
    pub(crate) clients: Clients,
    pub(crate) network: Network,
    pub(crate) broker: Broker,
    pub(crate) receivers: Receivers,
    pub(crate) subscribers: Subscribers,
    /// What is remembered of deliveries to them; a database of its own, on its own disk.
    pub(crate) ledger: MemLedger,
    pub(crate) exercised: Exercised,
    /// Requests that wait for the writer.
    gate: Gate,
    /// What was wrong at the gate, until somebody asks.
    wrong: Option<String>,
    /// A fault may stop the partition at any time.
    pub(crate) armed: bool,
    pub(crate) starts: u128,
    /// The journal as it was some time ago.
    pub(crate) old_journal: Option<kapelle_storage::files::MemFiles>,
    /// What was done, for whoever reads a failure.
    pub(crate) log: Vec<String>,
}

impl World {
    pub(crate) fn new(setup: Setup) -> Result<Self, String> {
        let disks = Disks::new();
        let clock = SimClock::at(1_700_000_000_000);
        let facts = Facts::new(setup.window_ms(), setup.sets_aside);
        let mut history = History::new(setup.settings(), facts, setup.look_back);
        let reference = Reference::new(setup.options.limits, setup.sets_aside);
        let mut running = start(&setup, &disks, &clock, 1, &mut history)?;
        let ledger = MemLedger::default();
        running.route(&setup, &disks, &ledger, &clock)?;
        let commands = running.commands(&reference)?;
        Ok(Self {
            disks,
            clock,
            running: Some(running),
            history,
            reference,
            commands,
            clients: Clients::default(),
            network: Network::default(),
            broker: Broker::default(),
            receivers: Receivers::new(setup.sabotage == Some(Sabotage::ReceiversLie)),
            subscribers: Subscribers::default(),
            ledger,
            exercised: Exercised {
                runs: 1,
                ..Exercised::default()
            },
            gate: Gate::new(setup.queue),
            wrong: None,
            armed: false,
            starts: 1,
            old_journal: None,
            log: Vec::new(),
            setup,
        })
    }

    pub(crate) fn say(&mut self, line: impl Into<String>) {
        self.log.push(line.into());
    }

    /// Gives a request to the writer's queue. `false`: it was refused.
    pub(crate) fn submit(&mut self, request: Request) -> bool {
        let pushed = self.gate.push(request, self.clock.monotonic_ms());
        let is_taken = pushed.unwrap_or_else(|why| {
            self.wrong = Some(why);
            true
        });
        self.exercised.overloaded += u64::from(!is_taken);
        is_taken
    }

    /// One turn of the writer, and a look at all that left.
    pub(crate) fn step(&mut self) -> Result<Stepped, String> {
        let effects: Arc<Mutex<Vec<(Sequence, Effect)>>> = Arc::default();
        let released = Arc::clone(&effects);
        let mut sink = move |sequence: Sequence, effect: Effect| {
            released
                .lock()
                .expect("invariant: nobody panics while holding it")
                .push((sequence, effect));
        };
        self.reference.consider();
        let gate = &mut self.gate;
        let partition = &mut alive(&mut self.running).partition;
        gate.take(partition.metrics(), self.clock.monotonic_ms())?;
        let stepped = partition.step(&mut || gate.next(), &mut sink);
        if let Some(why) = self.wrong.take() {
            return Err(why);
        }
        let effects = std::mem::take(
            &mut *effects
                .lock()
                .expect("invariant: nobody panics while holding it"),
        );
        // What left is looked at in any case; after a stop nothing new is durable.
        self.look(effects)?;
        let panics = alive(&mut self.running).partition.metrics().panics.get();
        // A store that fails shows nothing, on which a decision may panic: then the partition stops, for that reason.
        if panics > 0 && !(self.armed && stepped.is_err()) {
            return Err("the engine panicked while deciding".to_owned());
        }
        match stepped {
            Ok(step) if step.progressed || step.more => Ok(Stepped::Progressed),
            Ok(_) => Ok(Stepped::Idle),
            Err(stopped) => {
                self.stopped(&stopped.reason)?;
                Ok(Stepped::Restarted)
            }
        }
    }

    /// Takes in what is committed and holds against it what was answered and released.
    fn look(&mut self, effects: Vec<(Sequence, Effect)>) -> Result<(), String> {
        let durable = alive(&mut self.running).partition.readers().committed();
        let polled = self.history.poll(&mut alive(&mut self.running).reader);
        self.log.extend(self.history.told());
        polled?;
        let reference = &mut self.reference;
        self.commands.each(&mut |decided| {
            reference.take(&decided)?;
            reference.consider();
            Ok(())
        })?;
        for (sequence, effect) in effects {
            if sequence > durable {
                return Err(format!(
                    "an effect left before record {} was durable: {effect:?}",
                    sequence.0
                ));
            }
            self.effect(effect)?;
        }
        self.clients.take_answers(
            &mut self.history,
            &mut self.reference,
            durable,
            &mut self.network,
            &mut self.exercised,
        )?;
        alive(&mut self.running)
            .carrier
            .check_read(&self.history.facts)?;
        self.receivers.check_left(&self.history.facts)?;
        if self.setup.releases {
            let seen = self.history.resume();
            alive(&mut self.running)
                .reader
                .release(Sequence(seen.0.saturating_sub(1)));
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Result<(), String> {
        let facts = &self.history.facts;
        let is_known = match &effect {
            Effect::PushJob { job, .. } => facts.find(&Mark::Created(job.instance)).is_some(),
            Effect::InstanceResult(result) => {
                facts.ended.get(&result.created.instance) == Some(&true)
            }
            Effect::InstanceEndedEarly { instance } => facts.ended.get(instance) == Some(&false),
            Effect::OutboxReady { entry } => facts.outbox.contains_key(entry),
            Effect::JobsAvailable { .. } => true,
        };
        if !is_known {
            return Err(format!(
                "an effect rests on what was not committed: {effect:?}"
            ));
        }
        match effect {
            Effect::PushJob { stream, job } => {
                self.exercised.pushes += 1;
                self.clients.pushed.push((stream, job.job));
            }
            Effect::InstanceResult(result) => {
                self.exercised.results += 1;
                self.reference.check_result(&result)?;
            }
            Effect::OutboxReady { .. } => alive(&mut self.running).carrier.hint(),
            Effect::InstanceEndedEarly { .. } | Effect::JobsAvailable { .. } => {}
        }
        Ok(())
    }

    /// The backbone and those who receive from it take a turn.
    pub(crate) fn route(
        &mut self,
        behaviour: Behaviour,
        random: &mut crate::random::Random,
    ) -> Result<(), String> {
        // What it may hand out by now is known.
        self.look(Vec::new())?;
        let facts = &self.history.facts;
        self.subscribers.check_dead(facts, &self.ledger)?;
        let running = alive(&mut self.running);
        let Some(routes) = &mut running.routes else {
            return Ok(());
        };
        let mut scene = Scene {
            subscribers: &mut self.subscribers,
            facts,
            ledger: &self.ledger,
            exercised: &mut self.exercised,
        };
        let now = Timestamp(self.clock.wall_ms());
        let ended = routes.turn(now, behaviour, random, &mut scene)?;
        self.subscribers
            .released(running.partition.readers().held(READER));
        match ended {
            Ok(()) => Ok(()),
            Err(error) if self.armed => {
                running.routes = None;
                self.exercised.backbones_ended += 1;
                self.say(format!("  the backbone ends: {error}"));
                Ok(())
            }
            Err(error) => Err(format!("the backbone ended on a healthy disk: {error}")),
        }
    }

    /// The batch in flight reaches the disk, or fails there.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        match alive(&mut self.running).partition.journal().complete() {
            Ok(_) => Ok(()),
            // The next step tells everyone who waits.
            Err(error) if self.armed => {
                self.say(format!("  sync fails: {error}"));
                Ok(())
            }
            Err(error) => Err(format!("the journal failed on a healthy disk: {error}")),
        }
    }

    pub(crate) fn store_works(&mut self, writes: usize) {
        Queue::work(
            &alive(&mut self.running).store_queue,
            &self.disks.store,
            writes,
        );
    }

    /// Steps until all requests are taken and answered and nothing is left to do.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let stepped = self.step()?;
            let was_in_flight = alive(&mut self.running).partition.journal().in_flight();
            self.sync()?;
            self.store_works(STORE_WRITES);
            let is_idle = matches!(stepped, Stepped::Idle) && !was_in_flight;
            if is_idle && self.gate.waiting() == 0 {
                return Ok(());
            }
        }
        Err(format!(
            "{} requests are still not taken after {STEPS_MAX} steps",
            self.gate.waiting()
        ))
    }

    fn stopped(&mut self, reason: &str) -> Result<(), String> {
        if !self.armed {
            return Err(format!("the partition stopped on a healthy disk: {reason}"));
        }
        self.exercised.stops += 1;
        self.say(format!("  stopped: {reason}"));
        // Whoever has waited was told so by the step that stopped.
        let mut random = crate::random::Random::new(self.starts as u64 ^ self.setup.seed);
        self.crash(&mut random)?;
        self.restart()
    }

    /// The process dies, perhaps with the power. Leaves the machine without one: [`Self::restart`] has to follow.
    pub(crate) fn crash(&mut self, random: &mut crate::random::Random) -> Result<(), String> {
        self.account();
        self.exercised.crashes += 1;
        for operation in self.network.lose(random) {
            self.clients.never_arrives(
                operation,
                &mut self.history,
                &mut self.reference,
                &mut self.network,
            )?;
        }
        self.clients
            .lose_connections(&mut self.network, &mut self.reference, &mut self.exercised);
        self.gate = Gate::new(if self.network.is_calm() {
            QueueLimits::NONE
        } else {
            self.setup.queue
        });
        self.running = None;
        let lost_power = self.disks.crash(random);
        self.ledger.heal();
        self.exercised.power_losses += u64::from(lost_power);
        self.armed = false;
        if self.setup.sabotage == Some(Sabotage::DiskForgets)
            && let Some(old) = &self.old_journal
        {
            self.disks.files = old.fork();
        }
        self.say(format!(
            "  crash{}",
            if lost_power {
                " with loss of power"
            } else {
                ""
            }
        ));
        Ok(())
    }

    /// A new process on what the disks hold.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.try_restart()?
            .map_err(|why| format!("a healthy disk does not start: {why}"))
    }

    /// The outer error is a failure of the run, the inner one a start that failed.
    pub(crate) fn try_restart(&mut self) -> Result<Result<(), String>, String> {
        self.starts += 1;
        let last = self.history.last;
        match start(
            &self.setup,
            &self.disks,
            &self.clock,
            self.starts,
            &mut self.history,
        ) {
            Ok(mut running) => {
                self.exercised.recoveries += 1;
                self.exercised.replayed_records +=
                    running.partition.metrics().recovery_records.get();
                self.exercised.doubted_clocks +=
                    u64::from(running.partition.clock_jump().is_some());
                let routed = running.route(&self.setup, &self.disks, &self.ledger, &self.clock);
                if let Err(why) = routed {
                    return Ok(Err(why));
                }
                self.commands = running.commands(&self.reference)?;
                self.running = Some(running);
                let committed = alive(&mut self.running).partition.readers().committed();
                if committed < last {
                    return Err(format!(
                        "record {} was committed, but after a crash the journal ends at {}",
                        last.0, committed.0
                    ));
                }
                self.check_event_store()?;
                self.clients.ends_at(committed);
                self.network.ends_at(committed);
                let resumed = self.history.resume().0;
                self.exercised.looked_back += (last.0 + 1).saturating_sub(resumed);
                self.look(Vec::new())?;
                Ok(Ok(()))
            }
            Err(why) => Ok(Err(why)),
        }
    }

    /// What a start finds is whole as far as the journal was let go, and the journal is let go behind it.
    fn check_event_store(&mut self) -> Result<(), String> {
        let running = alive(&mut self.running);
        if let Some(routes) = &running.routes {
            let (facts, exercised) = (&self.history.facts, &mut self.exercised);
            self.subscribers
                .check_store(routes.store(), facts, exercised)?;
        }
        self.subscribers
            .released(running.partition.readers().held(READER));
        Ok(())
    }

    /// Adds what this process counted; done once, when it ends.
    pub(crate) fn account(&mut self) {
        let metrics = alive(&mut self.running).partition.metrics();
        let exercised = &mut self.exercised;
        exercised.batches += metrics.batches.get();
        exercised.records += metrics.records.get();
        exercised.shortened += metrics.shortened.get();
        exercised.checkpoints += metrics.checkpoints.get();
        exercised.loads += metrics.loads.get();
        exercised.evictions += metrics.evictions.get();
        exercised.refused_for_space += metrics.disk_full.get();
        let first = Sequence(
            alive(&mut self.running)
                .partition
                .journal()
                .reader()
                .first()
                .0,
        );
        exercised.trims += u64::from(first > alive(&mut self.running).first);
    }

    /// Settles, then holds the whole state against what was committed.
    pub(crate) fn compare(&mut self) -> Result<(), String> {
        loop {
            self.settle()?;
            // A disk may have failed behind the last step: what a stopped partition shows means nothing.
            if !matches!(self.step()?, Stepped::Restarted) {
                break;
            }
        }
        self.bounds()?;
        self.clients.check_answered(&self.network)?;
        self.exercised.comparisons += 1;
        history::compare(alive(&mut self.running).partition.state(), &self.history)?;
        if alive(&mut self.running).partition.metrics().leftovers.get() > 0 {
            return Err("follow-ups are left although nothing is to be done".to_owned());
        }
        if let Some((instance, element)) = self.history.facts.stuck() {
            return Err(format!(
                "element {element} of instance {instance} waits for nothing that could come"
            ));
        }
        let now = alive(&mut self.running).partition.now();
        let living = self.history.facts.instances.keys().copied().collect();
        self.reference
            .compare_state(alive(&mut self.running).partition.state(), &living)?;
        if let Some(due) = self.reference.overdue(now.0) {
            return Err(format!("by the reference interpreter, {due}"));
        }
        if let Some(due) = self.history.overdue(now) {
            return Err(format!("it was due and nothing happened: {due}"));
        }
        self.clients.check_ended(&self.history.facts)
    }

    /// Memory and the tail of the journal stay near their budgets.
    fn bounds(&mut self) -> Result<(), String> {
        let metrics = alive(&mut self.running).partition.metrics();
        let options = &self.setup.options;
        let hot = metrics.hot_bytes.get();
        // One batch may go over it, and what it made cannot leave before it is durable and stored.
        let hot_max = (options.cache_bytes_max as u64) * 2 + (2 << 20);
        let tail = metrics.tail_records.get();
        let tail_max = options.tail_records_max * 3 + 4_000;
        if hot > hot_max || tail > tail_max {
            return Err(format!(
                "memory or tail is out of bounds: {hot} bytes of {hot_max}, {tail} records of {tail_max}"
            ));
        }
        Ok(())
    }

    /// Another process tries the same directory while this one lives.
    pub(crate) fn second_process(&mut self) -> Result<(), String> {
        self.exercised.second_processes += 1;
        let second = DataDir::open(self.disks.files.shared(), Path::new(DATA), self.setup.room);
        match second {
            Err(kapelle_storage::dir::Error::InUse { .. }) => Ok(()),
            Err(error) => Err(format!("a second process is refused, but by: {error}")),
            Ok(_) => Err("two processes have the same data directory".to_owned()),
        }
    }

    /// The room on the disk as the process sees it.
    pub(crate) fn room(&mut self) -> Arc<kapelle_storage::dir::Room> {
        Arc::clone(alive(&mut self.running).directory.room())
    }
}

/// The process that runs.
pub(crate) fn alive(running: &mut Option<Running>) -> &mut Running {
    running
        .as_mut()
        .expect("invariant: a start follows every crash")
}

/// Starts a process on the disks.
pub(crate) fn start(
    setup: &Setup,
    disks: &Disks,
    clock: &SimClock,
    incarnation: u128,
    history: &mut History,
) -> Result<Running, String> {
    let text = |error: journal::Error| error.to_string();
    let directory = DataDir::open(disks.files.shared(), Path::new(DATA), setup.room)
        .map_err(|error| error.to_string())?;
    let room = Some(Arc::clone(directory.room()));
    let opened = journal::open(
        disks.files.shared(),
        Path::new(JOURNAL),
        setup.journal_at(incarnation),
        room,
    )
    .map_err(text)?;
    let manifest = disks.store.manifest().unwrap_or_default();
    opened.check(manifest.newest()).map_err(text)?;
    opened.check_reaches(manifest.replay_from).map_err(text)?;
    let journal = DirectJournal::new(opened.announce(incarnation, &[]).map_err(text)?);
    let first = Sequence(journal.reader().first().0);
    let store = LaggingStore::new(disks.store.clone());
    let store_queue = store.queue();
    let streams = Arc::new(StreamRegistry::new());
    let partition = Partition::start(
        journal,
        store,
        clock.clone(),
        setup.options.clone(),
        Arc::clone(&streams),
        Arc::new(Metrics::default()),
    )
    .map_err(|error| error.to_string())?;
    let reader = partition
        .readers()
        .subscribe("simulator", history.resume())
        .map_err(|error| format!("what was committed cannot be read: {error}"))?;
    Ok(Running {
        partition,
        store_queue,
        streams,
        carrier: Carrier::new(setup.delivery.clone()),
        routes: None,
        reader,
        first,
        directory,
    })
}

impl Running {
    /// Begins to serve subscribers.
    fn route(
        &mut self,
        setup: &Setup,
        disks: &Disks,
        ledger: &MemLedger,
        clock: &SimClock,
    ) -> Result<(), String> {
        let now = Timestamp(clock.wall_ms());
        let partition = &mut self.partition;
        self.routes = Some(Routes::start(
            &setup.routes,
            &disks.files,
            ledger,
            partition,
            now,
        )?);
        Ok(())
    }

    /// The journal behind what the reference interpreter has seen.
    fn commands(&mut self, reference: &Reference) -> Result<Commands, String> {
        Commands::behind(&self.partition.journal().reader(), reference.seen())
    }

    /// Takes what is committed into a history.
    pub(crate) fn follow(&mut self, history: &mut History) -> Result<u64, String> {
        history.poll(&mut self.reader)
    }
}
