//! Random processes, over everything that exists, as trees: written in the notation of `kapelle_model` for the engine, and
//! looked through by the reference interpreter, which knows nothing else of them.
//!
//! **A new element joins by adding itself to [`table`]**: a row that draws it. Where it does what none did before, it gets a
//! word in [`What`], and the compiler says who has to know.
//!
//! **Invariant**: whatever the paths, a process can be brought to its end by answering jobs and messages, letting time pass
//! and setting `n`, `k` and `kind`; only errors that nobody catches need a cancellation. So "everything ends" can be asked
//! of every run.

mod activity;
mod gateway;
mod scope;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::fmt;

use crate::random::Random;
use crate::value::{Condition, Mapping};

pub(crate) use activity::Boundary;
use scope::Scope;
use table::{Row, StartRow};

/// Something with one way in and one way out: an element, or several that belong together.
pub(crate) trait Block: fmt::Debug + Send + Sync {
    /// Writes it behind `from`; what follows is to be written behind the name that is returned.
    fn write(&self, from: &str, out: &mut Vec<String>) -> String;

    /// The element that a token meets first.
    fn entry(&self) -> &str;

    /// The element that a token leaves last.
    fn last(&self) -> &str;

    /// The element of that name, if it is in here; `next` is the element behind the block.
    fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>>;

    /// Shows all that is waited for in here.
    fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait));
}

/// One element, as the interpreter sees it.
#[derive(Debug)]
pub(crate) struct Element<'p> {
    pub(crate) what: What<'p>,
    /// Whom a token goes on to, in order. Empty: it ends here.
    pub(crate) next: Vec<&'p str>,
    pub(crate) mapped: Mapped,
    pub(crate) boundaries: &'p [Boundary],
}

impl<'p> Element<'p> {
    fn plain(what: What<'p>, next: &'p str) -> Self {
        Self {
            what,
            next: vec![next],
            mapped: Mapped::NOTHING,
            boundaries: &[],
        }
    }
}

/// What an element does with a token.
#[derive(Clone, Debug)]
pub(crate) enum What<'p> {
    /// Lets it pass: start events, tasks that are nobody's work, merges and forks, events that do nothing.
    Pass,
    /// Makes a job and waits for it.
    Job(&'p JobText),
    /// Waits for that.
    Wait(&'p Wait),
    /// Publishes a CloudEvent and lets it pass.
    Publish(&'p PublishEvent),
    /// Sends a message and lets it pass.
    Send(&'p SendMessage),
    /// Lets it pass on one way.
    Choose(&'p [Way]),
    /// Waits for one from each of those.
    Join(Vec<&'p str>),
    /// Waits for the first of those that follow.
    Race(Vec<(&'p str, &'p Wait)>),
    /// Begins what is inside with that element, and waits until nothing is left of it.
    Inside(&'p str),
    /// Has met what its host waited for, or an error.
    Boundary(&'p Boundary),
    /// Ends all others of its scope.
    Terminate,
    /// Ends its scope up to whoever catches that error.
    Throw(&'static str),
}

/// A way out of an exclusive gateway.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) to: String,
    /// None: the default.
    pub(crate) condition: Option<Condition>,
}

/// Inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped {
    pub(crate) inputs: &'static [Mapping],
    pub(crate) outputs: &'static [Mapping],
}

impl Mapped {
    pub(crate) const NOTHING: Self = Self {
        inputs: &[],
        outputs: &[],
    };

    /// As arguments of an element, each behind a comma.
    fn arguments(self) -> String {
        let one = |word: &'static str| {
            move |mapping: &Mapping| format!(", {word} {} = {}", mapping.path(), mapping.source)
        };
        let inputs = self.inputs.iter().map(one("in"));
        inputs.chain(self.outputs.iter().map(one("out"))).collect()
    }
}

/// What a job is made of.
#[derive(Debug)]
pub(crate) struct JobText {
    /// `None`: the value of `kind`.
    pub(crate) job_type: Option<&'static str>,
    pub(crate) retries: i32,
    /// Static ones, and one that is the value of `kind` (as the assignee of a user task).
    pub(crate) header: Option<(&'static str, &'static str)>,
    pub(crate) assignee: bool,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A message with the value of `k` as its key.
    Message {
        name: &'static str,
        binding: Option<Binding>,
    },
    /// So many milliseconds.
    After(i64),
    /// That often, so many milliseconds apart.
    Every { times: u32, ms: i64 },
    /// A moment, as text and in milliseconds since 1970.
    At(&'static str, i64),
}

/// Which CloudEvents become a message, where that is not said by its name alone. The key is `data.k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) event_type: &'static str,
    /// `data.n` must not be that.
    pub(crate) filter_out: Option<i64>,
    pub(crate) lock: bool,
}

impl Wait {
    pub(crate) const fn message(name: &'static str) -> Self {
        Self::Message {
            name,
            binding: None,
        }
    }

    /// As arguments of a catching element.
    fn arguments(&self) -> String {
        match self {
            Self::Message { name, binding } => {
                format!("message {name}, key k{}", binding_arguments(*binding))
            }
            Self::After(ms) => format!("duration PT{}S", ms / 1_000),
            Self::Every { times, ms } => format!("cycle R{times}/PT{}S", ms / 1_000),
            Self::At(text, _) => format!("date {text}"),
        }
    }

    /// As arguments of a start event, which waits for every key.
    fn start_arguments(&self) -> String {
        match self {
            Self::Message { name, binding } => {
                format!("message {name}{}", binding_arguments(*binding))
            }
            _ => self.arguments(),
        }
    }
}

fn binding_arguments(binding: Option<Binding>) -> String {
    let Some(binding) = binding else {
        return String::new();
    };
    let filter = binding
        .filter_out
        .map_or_else(String::new, |n| format!(", filter data.n != {n}"));
    let lock = if binding.lock { "" } else { ", lock false" };
    format!(
        ", event {}{filter}, eventkey data.k{lock}",
        binding.event_type
    )
}

/// A CloudEvent that leaves: with all variables that its element sees, and `k` as its subject.
#[derive(Debug)]
pub(crate) struct PublishEvent {
    pub(crate) event_type: &'static str,
    pub(crate) to: &'static str,
}

impl PublishEvent {
    fn arguments(&self) -> String {
        let to = if self.to.is_empty() { "" } else { ", to " };
        format!(
            "publish {}, subject =string(k){to}{}",
            self.event_type, self.to
        )
    }
}

/// A message that is sent: with `k` as its key and `n` in it.
#[derive(Debug)]
pub(crate) struct SendMessage {
    pub(crate) name: &'static str,
    pub(crate) ttl_ms: i64,
}

impl SendMessage {
    fn arguments(&self) -> String {
        format!(
            "message {}, key =string(k), ttl PT{}S",
            self.name,
            self.ttl_ms / 1_000
        )
    }
}

/// A whole process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: String,
    start: &'static StartRow,
    body: Scope,
}

/// The start event that a command uses, and the one that something else does.
pub(crate) const COMMAND_START: &str = "start";
pub(crate) const OTHER_START: &str = "s";
/// Where the two meet.
const STARTS_MERGE: &str = "merge0";

impl Process {
    /// The process of that id that is a function of the stream.
    pub(crate) fn random(id: &str, random: Random) -> Self {
        let mut drawing = Drawing {
            random,
            names: 0,
            room: 12,
        };
        let start = drawing.row(&table::STARTS, |row| row.weight);
        let body = Scope::draw(&mut drawing, 0);
        Self {
            id: id.to_owned(),
            start,
            body,
        }
    }

    /// In the notation.
    pub(crate) fn text(&self) -> String {
        let mut out = vec![format!("process {}", self.id)];
        let from = match &self.start.wait {
            None => COMMAND_START,
            // What something else starts is also created by command.
            Some(wait) => {
                let text = wait.start_arguments();
                out.push(format!(
                    "{COMMAND_START} -> {STARTS_MERGE}{{started: default}}"
                ));
                out.push(format!("{OTHER_START}:start({text}) -> {STARTS_MERGE}"));
                "started"
            }
        };
        self.body.write_inside(from, &mut out);
        out.join(" ; ")
    }

    /// What starts it beside commands.
    pub(crate) fn start(&self) -> Option<&'static Wait> {
        self.start.wait.as_ref()
    }

    /// The element of that name; the process itself is none.
    pub(crate) fn find(&self, name: &str) -> Option<Element<'_>> {
        let has_two = self.start.wait.is_some();
        match name {
            COMMAND_START | OTHER_START if has_two => {
                Some(Element::plain(What::Pass, STARTS_MERGE))
            }
            COMMAND_START | STARTS_MERGE => Some(Element::plain(What::Pass, self.body.first())),
            _ => self.body.find_inside(name),
        }
    }

    /// Types of CloudEvents and the messages that they become, with how.
    pub(crate) fn bindings(&self) -> BTreeMap<(&'static str, &'static str), Option<Binding>> {
        let mut all = BTreeMap::new();
        let mut add = |wait: &Wait| {
            if let Wait::Message { name, binding } = wait {
                let event_type = binding.map_or(*name, |binding| binding.event_type);
                all.insert((event_type, *name), *binding);
            }
        };
        self.start().into_iter().for_each(&mut add);
        self.body.waits_inside(&mut add);
        all
    }
}

/// A process in the making.
pub(crate) struct Drawing {
    random: Random,
    names: u32,
    /// Blocks left to draw, so that no process is endless.
    room: u32,
}

impl Drawing {
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        *self.random.pick(from).expect("invariant: tables have rows")
    }

    /// A row by its weight.
    fn row<'t, T>(&mut self, rows: &'t [T], weight: impl Fn(&T) -> u64) -> &'t T {
        let mut at = self.random.below(rows.iter().map(&weight).sum());
        let found = rows.iter().find(|row| {
            let here = at < weight(row);
            at = at.saturating_sub(weight(row));
            here
        });
        found.expect("invariant: drawn below the sum of weights")
    }

    fn block(&mut self, depth: u32) -> Box<dyn Block> {
        self.room = self.room.saturating_sub(1);
        let is_flat = depth >= 3 || self.room == 0;
        let weight = |row: &Row| {
            if is_flat && row.nests { 0 } else { row.weight }
        };
        let row = self.row(&table::ELEMENTS, weight);
        row.draw(self, depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_that_is_written_is_found_and_leads_somewhere() {
        for seed in 0..300 {
            let process = Process::random("p", Random::new(seed));
            let text = process.text();
            let graph = kapelle_model::notation::process(&text);
            let name = |index| &*graph.element(index).id;
            for element in &graph.elements[1..] {
                let found = process
                    .find(&element.id)
                    .unwrap_or_else(|| panic!("{} of {text}", element.id));
                let next: Vec<&str> = element
                    .outgoing
                    .iter()
                    .map(|flow| name(graph.flow(*flow).target))
                    .collect();
                assert_eq!(found.next, next, "{} of {text}", element.id);
                let boundaries: Vec<&str> =
                    element.boundary.iter().map(|index| name(*index)).collect();
                let own: Vec<&str> = found
                    .boundaries
                    .iter()
                    .map(|boundary| &*boundary.name)
                    .collect();
                assert_eq!(own, boundaries, "{} of {text}", element.id);
            }
        }
    }
}
