//! A naive interpreter of processes: what the journal says that was decided, against what should have been.
//!
//! It reads which commands were decided, in which order and at what time, and does each of them itself, on trees of
//! [`crate::process`] and maps that nobody ever stores. What comes of it must be what the engine wrote down, and state must
//! be what it has.
//!
//! ```text
//! journal ─┬─ command, time ───► interpreter ──► what is said ─┐
//!          └─ events ──────────► names ────────► what is said ─┴─► equal?
//! ```
//!
//! **Invariants**
//! - Nothing of the engine's code runs in here, nor of FEEL's; the engine's graph is asked for names only ([`names`]).
//! - What nobody can know beforehand is taken from the journal as it is, after a look whether it may be: what of the things
//!   that are due was done first, and which stream of a worker got a job.
//! - Follow-ups run in the order in which they came up, a limited number in one command, as documented in the engine.

mod answers;
mod cases;
mod cloud_events;
mod commands;
mod due;
mod elements;
mod jobs;
pub(crate) mod journal;
mod linear;
mod messages;
mod names;
mod said;
mod set_aside;
mod state;
mod tokens;
mod variables;
mod view;
mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kapelle_engine::command::{Command, Due};
use kapelle_engine::event::Event;
use kapelle_engine::ids::{JobKey, Sequence};
use kapelle_engine::limits::Limits;

use crate::process::{Binding, Process};
use answers::Answer;
use cloud_events::Window;
use journal::Decided;
use linear::Outstanding;
use names::Names;
use said::{Name, Said};
use state::{At, Case, JobState, Message, Request, Version};

/// Follow-up work, as it waits in the order in which it came up.
#[derive(Clone, Debug)]
enum Step {
    /// A token reaches an element, or its scope begins with it (then it comes from nowhere).
    Arrive {
        scope: At,
        from: Option<Name>,
        element: Name,
    },
    /// Nothing is left in that scope.
    ScopeDone(At),
    Terminate(At),
    Retry(At),
    /// Somebody waits for a message that may be there already.
    MeetBuffered {
        at: At,
        element: Name,
    },
    /// Nobody holds that key any more.
    StartBuffered {
        process: Name,
        key: Name,
    },
    Publish(messages::Publication),
    /// Jobs that an earlier process has pushed, behind that deadline and job.
    ReleasePushed {
        deadline: i64,
        job: JobKey,
    },
}

/// The interpreter and all it knows.
#[derive(Clone, Default)]
pub(crate) struct Reference {
    limits: Limits,
    names: Names,
    /// What was asked and is not done, by number of the operation.
    asked: BTreeMap<u64, Outstanding>,
    /// Processes by the bytes in which they are deployed.
    known: BTreeMap<Arc<[u8]>, Arc<Process>>,

    versions: BTreeMap<Name, Vec<Version>>,
    /// By type of CloudEvent, process and message: how the last version that has it says it.
    bound: BTreeMap<(Name, Name, Name), Option<Binding>>,
    cases: BTreeMap<u64, Case>,
    /// Who holds which key of which process.
    locks: BTreeMap<(Name, Name), u64>,
    messages: BTreeMap<u64, Message>,
    window: Window,
    /// By idempotency key.
    requests: BTreeMap<Name, Request>,
    incarnation: u64,

    /// How many of each there ever were.
    made: Made,
    /// Of the command at hand.
    now: i64,
    steps: VecDeque<Step>,
    steps_taken: usize,
    said: Vec<Said>,
    /// … and what the journal says of jobs that streams got, with who gave them.
    pushed: Vec<(Said, Option<u64>)>,
    /// Follow-ups that failed and that no instance could keep, by their key among what is due.
    postponed: BTreeMap<u64, Step>,
    /// What is due and is not where it was, because it failed or its instance is set aside: where it is instead. It stays
    /// there until its time comes, whatever becomes of the job or timer meanwhile.
    put_off: BTreeSet<Due>,
    /// What follows from a command may not fit into the journal.
    may_be_too_large: bool,
    /// Follow-ups that are commands of their own, by where they are in the journal.
    leftovers: BTreeMap<Sequence, Step>,
    /// What operations should be answered.
    answers: BTreeMap<u64, Answer>,
    /// What instances whose creators wait have come to.
    pub(crate) results: BTreeMap<u64, crate::value::Values>,
    /// The last command that was done.
    seen: Sequence,
}

#[derive(Clone, Copy, Debug, Default)]
struct Made {
    cases: u64,
    nodes: u64,
    jobs: u64,
    waits: u64,
    incidents: u64,
    messages: u64,
    entries: u64,
}

/// The next number.
fn count(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter - 1
}

impl Reference {
    /// `may_be_too_large`: what follows from a command may not fit into the journal.
    pub(crate) fn new(limits: Limits, may_be_too_large: bool) -> Self {
        Self {
            limits,
            may_be_too_large,
            ..Self::default()
        }
    }

    /// The last record that was taken in.
    pub(crate) fn seen(&self) -> Sequence {
        self.seen
    }

    /// Somebody is about to ask that.
    pub(crate) fn will_be_asked(&mut self, operation: u64, command: &Command, now: i64) {
        let asked = Outstanding {
            command: command.clone(),
            since: now,
            is_awaited: true,
            possible: Default::default(),
        };
        self.asked.insert(operation, asked);
    }

    /// A request that was late arrives.
    pub(crate) fn arrives(&mut self, operation: u64, now: i64) {
        if let Some(asked) = self.asked.get_mut(&operation) {
            asked.since = now;
        }
    }

    /// These bytes are that process.
    pub(crate) fn knows(&mut self, bytes: Arc<[u8]>, process: Process) {
        self.known.entry(bytes).or_insert_with(|| Arc::new(process));
    }

    /// The next command of the journal.
    ///
    /// # Errors
    /// Where the engine did something else.
    pub(crate) fn take(&mut self, decided: &Decided) -> Result<(), String> {
        self.seen = decided.last();
        self.now = decided.header.at.0;
        self.said.clear();
        self.steps.clear();
        self.steps_taken = 0;
        self.take_command(decided).map_err(|why| {
            format!(
                "the reference interpreter differs at record {}: {why}",
                decided.sequence.0
            )
        })
    }

    fn take_command(&mut self, decided: &Decided) -> Result<(), String> {
        let mut engine = Vec::new();
        self.pushed.clear();
        for (_, event) in &decided.events {
            let Some(said) = self.names.said(event) else {
                continue;
            };
            match event {
                Event::JobActivated(activated) if activated.pushed_by.is_some() => {
                    self.pushed.push((said, activated.pushed_by));
                }
                _ => engine.push(said),
            }
        }
        self.decide(decided)?;
        self.drain();
        let left: Vec<Step> = self.steps.drain(..).collect();
        compare(&engine, &self.said)?;
        if left.len() != decided.leftovers.len() {
            return Err(format!(
                "{} follow-ups are left over, not {}: {left:?}",
                decided.leftovers.len(),
                left.len()
            ));
        }
        self.leftovers
            .extend(decided.leftovers.iter().copied().zip(left));
        for (said, by) in std::mem::take(&mut self.pushed) {
            self.push_job(&said, by)?;
        }
        Ok(())
    }

    fn say(&mut self, said: Said) {
        self.said.push(said);
    }

    /// Takes steps until there are none, or this command has had its share.
    fn drain(&mut self) {
        while self.steps_taken < self.limits.steps_per_command_max {
            self.steps_taken += 1;
            let Some(step) = self.steps.pop_front() else {
                return;
            };
            self.step(step);
        }
    }

    fn step(&mut self, step: Step) {
        let Some(step) = self.unless_held(step) else {
            return;
        };
        match step {
            Step::Arrive {
                scope,
                from,
                element,
            } => self.arrive(scope, from, &element),
            Step::ScopeDone(at) => self.scope_done(at),
            Step::Terminate(at) => self.terminate(at),
            Step::Retry(at) => self.retry(at),
            Step::MeetBuffered { at, element } => self.meet_buffered(at, &element),
            Step::StartBuffered { process, key } => self.start_buffered(&process, &key),
            Step::Publish(publication) => self.publish_from_inside(publication),
            Step::ReleasePushed { deadline, job } => self.release_pushed(deadline, job),
        }
    }

    /// A worker's stream got the job: which one is not to be foreseen, but it must have been there to take.
    fn push_job(&mut self, said: &Said, by: Option<u64>) -> Result<(), String> {
        let Said::JobTaken { node, deadline, .. } = said else {
            return Ok(());
        };
        // One that was made and cancelled in the same command is gone.
        let Some(at) = self.find_node(node.number) else {
            return Ok(());
        };
        let standing = self.standing_mut(at);
        let Some(job) = &mut standing.job else {
            return Ok(());
        };
        if job.state != JobState::Available {
            return Err(format!("{node:?} was pushed while it was {:?}", job.state));
        }
        job.take(*deadline, by);
        Ok(())
    }
}

/// The path of tokens in its order, everything else in any.
fn compare(engine: &[Said], reference: &[Said]) -> Result<(), String> {
    let path = |said: &[Said]| -> Vec<String> {
        let path = said.iter().filter(|said| said.is_path());
        path.map(|said| format!("{said:?}")).collect()
    };
    let rest = |said: &[Said]| -> Vec<String> {
        let rest = said.iter().filter(|said| !said.is_path());
        let mut rest: Vec<String> = rest.map(|said| format!("{said:?}")).collect();
        rest.sort();
        rest
    };
    for (is, should) in [
        (path(engine), path(reference)),
        (rest(engine), rest(reference)),
    ] {
        if is != should {
            let same = is.iter().zip(&should).take_while(|(a, b)| a == b).count();
            let show = |all: &[String]| all.get(same).cloned().unwrap_or_default();
            return Err(format!(
                "after {same} things that are the same\n  is     {}\n  should {}\n  all of what is:\n    {}\n  all of what should be:\n    {}",
                show(&is),
                show(&should),
                is.join("\n    "),
                should.join("\n    ")
            ));
        }
    }
    Ok(())
}
