//! Receivers of what processes publish, and the carrier between them and the runtime's delivery.
//!
//! **Invariants that are asked for**
//! - What reaches a receiver is committed, and the same each time.
//! - Of one lane (target and key) nothing comes before what was published earlier has come, or was given up.
//! - An entry leaves the outbox as delivered only after its receiver confirmed it.
//!
//! The carrier is the simulator's twin of `kapelle::delivery`: it only carries.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use kapelle_engine::command::Command;
use kapelle_engine::event::OutboxAdded;
use kapelle_engine::ids::{OutboxKey, Timestamp};
use kapelle_engine::pending::{self, Waiting};
use kapelle_runtime::delivery::{Attempt, Delivery, Failure, Policy};
use kapelle_runtime::partition::Request;

use crate::clients::{Slot, outbox_key};
use crate::exercised::Exercised;
use crate::facts::Facts;
use crate::random::Random;

/// What reading the outbox came to: nothing yet, or entries unless the partition could not say.
type Read = Arc<Mutex<Option<Option<Vec<Waiting>>>>>;

/// All receivers.
pub(crate) struct Receivers {
    got: BTreeSet<OutboxKey>,
    /// For tests of the simulator: they confirm without taking.
    lie: bool,
    checked: usize,
}

/// How a receiver behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Honest,
    /// Loses answers, fails, refuses.
    Random,
}

impl Receivers {
    pub(crate) fn new(lie: bool) -> Self {
        Self {
            got: BTreeSet::new(),
            lie,
            checked: 0,
        }
    }

    fn receive(
        &mut self,
        entry: &OutboxAdded,
        facts: &Facts,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        let known = facts.outbox.get(&entry.entry);
        if known.is_none_or(|known| **known != *entry) {
            return Err(format!(
                "a receiver got entry {} which is not what was committed",
                entry.entry
            ));
        }
        let lane = |other: &OutboxAdded| {
            other.to == entry.to && other.event.partition_key() == entry.event.partition_key()
        };
        let skipped = facts
            .outbox
            .range(..entry.entry)
            .filter(|(_, other)| lane(other))
            .find(|(key, _)| !self.got.contains(key) && facts.left.get(key) != Some(&false));
        if let Some((skipped, _)) = skipped {
            return Err(format!(
                "a receiver got entry {} before entry {skipped} of the same key",
                entry.entry
            ));
        }
        if !self.lie {
            exercised.deliveries += 1;
            exercised.redeliveries += u64::from(!self.got.insert(entry.entry));
        }
        Ok(())
    }

    /// What left the outbox as delivered was delivered.
    pub(crate) fn check_left(&mut self, facts: &Facts) -> Result<(), String> {
        if facts.left.len() == self.checked {
            return Ok(());
        }
        self.checked = facts.left.len();
        match facts
            .left
            .iter()
            .find(|(key, delivered)| **delivered && !self.got.contains(key))
        {
            None => Ok(()),
            Some((key, _)) => Err(format!(
                "entry {key} left the outbox as delivered, but no receiver has it"
            )),
        }
    }
}

/// Carries between the outbox, the delivery and the receivers; ends with its process.
pub(crate) struct Carrier {
    machine: Delivery,
    reading: Option<Read>,
    may_have_more: bool,
    settling: Vec<(OutboxKey, Slot)>,
    /// Receivers that answer later.
    late: Vec<(OutboxKey, bool)>,
}

impl Carrier {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            machine: Delivery::new(policy),
            reading: None,
            may_have_more: true,
            settling: Vec::new(),
            late: Vec::new(),
        }
    }

    /// There may be something in the outbox.
    pub(crate) fn hint(&mut self) {
        self.may_have_more = true;
    }

    /// Does what can be done now; returns requests for the partition.
    pub(crate) fn turn(
        &mut self,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
        receivers: &mut Receivers,
        facts: &Facts,
        exercised: &mut Exercised,
    ) -> Result<Vec<Request>, String> {
        self.take_read(now);
        self.take_settled(now);
        for (key, received) in std::mem::take(&mut self.late) {
            if random.one_in(2) && behaviour == Behaviour::Random {
                self.late.push((key, received));
            } else if received {
                self.machine.succeeded(key, now);
            } else {
                self.machine.failed(key, now, &transient());
            }
        }
        for attempt in self.machine.next(now) {
            self.attempt(
                &attempt, now, behaviour, random, receivers, facts, exercised,
            )?;
        }
        let mut requests = Vec::new();
        requests.extend(self.read());
        for command in self.machine.commands(now) {
            requests.extend(self.settle(command));
        }
        Ok(requests)
    }

    fn read(&mut self) -> Option<Request> {
        if self.reading.is_some() || !std::mem::take(&mut self.may_have_more) {
            return None;
        }
        let Some((after, max)) = self.machine.wants() else {
            self.may_have_more = true;
            return None;
        };
        let read = Read::default();
        self.reading = Some(Arc::clone(&read));
        Some(Request::Read(Box::new(move |keep| {
            let entries = pending::outbox(keep, Some(after), max);
            Box::new(move |is_durable| {
                *read.lock().expect("invariant: no panic inside") =
                    Some(is_durable.then_some(entries));
            })
        })))
    }

    /// The question was not taken.
    pub(crate) fn read_refused(&mut self) {
        self.reading = None;
        self.may_have_more = true;
    }

    /// What a read showed is committed, also when the partition stops at that moment.
    pub(crate) fn check_read(&self, facts: &Facts) -> Result<(), String> {
        let Some(read) = &self.reading else {
            return Ok(());
        };
        let read = read.lock().expect("invariant: no panic inside");
        let shown = read.iter().flatten().flatten();
        match shown
            .map(|waiting| waiting.added.entry)
            .find(|key| !facts.outbox.contains_key(key))
        {
            None => Ok(()),
            Some(key) => Err(format!("a read showed entry {key}, which is not committed")),
        }
    }

    fn take_read(&mut self, now: Timestamp) {
        let Some(read) = &self.reading else {
            return;
        };
        let taken = read.lock().expect("invariant: no panic inside").take();
        let Some(entries) = taken else {
            return;
        };
        self.reading = None;
        for waiting in entries.unwrap_or_default() {
            self.may_have_more = true;
            self.machine.offer(waiting, now);
        }
    }

    fn settle(&mut self, command: Command) -> Option<Request> {
        if matches!(command, Command::DeferOutbox { .. }) {
            return Some(Slot::default().request(command, None));
        }
        let key = outbox_key(&command)?;
        let slot = Slot::default();
        let request = slot.request(command, None);
        self.settling.push((key, slot));
        Some(request)
    }

    fn take_settled(&mut self, now: Timestamp) {
        let mut settled = Vec::new();
        self.settling.retain(|(key, slot)| match slot.get() {
            None => true,
            Some(reply) => {
                // A refusal by the engine says that the entry is gone already.
                if reply.map_or_else(|refusal| !refusal.is_retryable(), |_| true) {
                    settled.push(*key);
                }
                false
            }
        });
        for key in settled {
            self.machine.settled(key, now);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "who meets here: an attempt, its carrier, its receiver and those who watch"
    )]
    fn attempt(
        &mut self,
        attempt: &Attempt,
        now: Timestamp,
        behaviour: Behaviour,
        random: &mut Random,
        receivers: &mut Receivers,
        facts: &Facts,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        let key = attempt.entry.entry;
        let fate = match behaviour {
            Behaviour::Honest => 0,
            Behaviour::Random => random.below(12),
        };
        // The first attempt of a refused one is refused for good; all others of it never come.
        if !matches!(fate, 8 | 9) {
            receivers.receive(&attempt.entry, facts, exercised)?;
        }
        match fate {
            0..=5 => self.machine.succeeded(key, now),
            // It took it, but says that it did not, or says nothing until the attempt times out.
            6 => self.machine.failed(key, now, &transient()),
            7 => {}
            8 => self.machine.failed(key, now, &transient()),
            9 => self.machine.failed(
                key,
                now,
                &Failure {
                    permanent: true,
                    error: "refused".to_owned(),
                },
            ),
            10 => self.late.push((key, true)),
            _ => self.late.push((key, false)),
        }
        Ok(())
    }
}

fn transient() -> Failure {
    Failure {
        permanent: false,
        error: "unreachable".to_owned(),
    }
}
