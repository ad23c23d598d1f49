//! Random processes, over everything that exists, in the notation of `kapelle_model`.
//!
//! **A new element joins by adding itself to one of the tables**: [`BLOCKS`] (something between one flow in and one flow
//! out), [`BOUNDARIES`], [`STARTS`] or [`ENDS`].
//!
//! Invariant: whatever the paths, a process can be brought to its end by answering jobs and messages, letting time pass
//! and setting `n`, `k` and `kind`; only errors that nobody catches need a cancellation. So "everything ends" can be
//! asked of every run.

use std::collections::BTreeSet;

use crate::random::Random;

/// Messages that catching elements wait for.
const CAUGHT: [&str; 3] = ["red", "green", "blue"];
/// Messages that are sent. Boundary events have names of their own: one that does not interrupt takes every message of its
/// name, so another element of the same instance could wait for ever.
pub(crate) const MESSAGES: [&str; 5] = ["red", "green", "blue", "stop", "note"];
/// The message that starts processes: nothing else waits for it or throws it, else a process could go on for ever.
pub(crate) const START_MESSAGE: &str = "begin";
pub(crate) const JOB_TYPES: [&str; 3] = ["t1", "t2", "t3"];
/// Receivers of published CloudEvents; the empty one is the default sink.
const TARGETS: [&str; 3] = ["", ", to hook", ", to bus"];

/// A part of a process with one way in and one way out.
struct Block {
    weight: u64,
    /// Holds other blocks, so it is not written at the bottom.
    nests: bool,
    write: fn(&mut Writer, String, u32) -> String,
}

const BLOCKS: [Block; 14] = [
    block(9, Writer::service_task),
    block(2, Writer::pass_through),
    block(2, Writer::timer_catch),
    block(2, Writer::message_catch),
    block(2, Writer::receive_task),
    block(2, Writer::event_catch),
    block(2, Writer::publishing_throw),
    block(1, Writer::message_throw),
    block(1, Writer::empty_throw),
    block(1, Writer::job_throw),
    nest(3, Writer::exclusive),
    nest(3, Writer::parallel),
    block(2, Writer::race),
    nest(3, Writer::sub_process),
];

const fn block(weight: u64, write: fn(&mut Writer, String, u32) -> String) -> Block {
    Block {
        weight,
        nests: false,
        write,
    }
}

const fn nest(weight: u64, write: fn(&mut Writer, String, u32) -> String) -> Block {
    Block {
        weight,
        nests: true,
        write,
    }
}

/// Start events beside the plain one.
const STARTS: [&str; 6] = [
    "",
    "",
    "s:start(message begin)",
    "s:start(cycle R2/PT3S)",
    "s:start(message order, event order.placed, eventkey data.k)",
    "s:start(message free, event order.free, eventkey data.k, lock false)",
];

/// What a scope ends with; `{}` is the name.
const ENDS: [&str; 5] = [
    "{}",
    "{}:end(terminate)",
    "{}:end(publish done, subject =string(k))",
    "{}:end(job t1)",
    // Only inside of a subprocess: nobody catches it outside.
    "{}:end(error E1)",
];

/// Boundary events; `{}` is the name, `@` is `on` or `beside` the host. With what makes two of them on one host exclude
/// each other.
const BOUNDARIES: [(&str, &str, bool); 8] = [
    ("{}(duration PT2S) @", "", true),
    ("{}(duration PT1S) @", "", false),
    ("{}(cycle R2/PT2S) @", "", false),
    ("{}(message stop, key k) @", "stop", true),
    ("{}(message note, key k, out got = n) @", "note", false),
    ("{}(error) @", "error", true),
    ("{}(error E1) @", "E1", true),
    ("{}(error E2) @", "E2", true),
];

/// A process as one text.
pub(crate) fn random(id: &str, random: Random) -> String {
    let mut writer = Writer {
        random,
        names: 0,
        room: 12,
        statements: vec![format!("process {id}")],
    };
    writer.process();
    writer.statements.join(" ; ")
}

struct Writer {
    random: Random,
    names: u32,
    /// Blocks left to write, so that no process is endless.
    room: u32,
    statements: Vec<String>,
}

impl Writer {
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    fn say(&mut self, statement: String) {
        self.statements.push(statement);
    }

    fn one_of(&mut self, from: &[&'static str]) -> &'static str {
        self.random.pick(from).copied().unwrap_or_default()
    }

    fn process(&mut self) {
        let start = self.one_of(&STARTS);
        let last = if start.is_empty() {
            "start".to_owned()
        } else {
            // A process that messages start is also created by command.
            self.say("start -> merge0{all: default}".to_owned());
            self.say(format!("{start} -> merge0"));
            "all".to_owned()
        };
        self.scope(last, 0);
    }

    /// A row of blocks behind `last`, then an end.
    fn scope(&mut self, mut last: String, depth: u32) {
        for _ in 0..=self.random.below(3) {
            last = self.block(last, depth);
        }
        let name = self.name("end");
        let allowed = ENDS.len() - usize::from(depth == 0);
        let end = match ENDS.get(self.random.index(allowed)) {
            Some(end) if self.random.one_in(2) => end.replace("{}", &name),
            _ => name,
        };
        self.say(format!("{last} -> {end}"));
    }

    fn block(&mut self, last: String, depth: u32) -> String {
        self.room = self.room.saturating_sub(1);
        let flat = depth >= 3 || self.room == 0;
        let open = || BLOCKS.iter().filter(|block| !(flat && block.nests));
        let mut at = self.random.below(open().map(|block| block.weight).sum());
        let chosen = open().find(|block| {
            let here = at < block.weight;
            at = at.saturating_sub(block.weight);
            here
        });
        let block = chosen.expect("invariant: drawn below the sum of weights");
        (block.write)(self, last, depth)
    }

    fn service_task(&mut self, last: String, _: u32) -> String {
        let name = self.name("task");
        let job = self.one_of(&["t1", "t2", "t3", "t1", "t2", "=kind"]);
        let mapped = self.one_of(&[
            "",
            "",
            ", in local = n",
            ", in a.b = n, out c.d = n",
            ", out n = n",
            ", in x = assert(n, n != 13)",
            ", header h v",
        ]);
        self.say(format!(
            "{last} -> {name}:service(type {job}, retries 2{mapped})"
        ));
        self.boundaries(name)
    }

    /// Boundary events on `host`; returns what its one way out is then. A path that interrupts the host comes back to it:
    /// behind a fork, a join waits for a token of every branch.
    fn boundaries(&mut self, host: String) -> String {
        let mut taken = BTreeSet::new();
        let mut merge: Option<(String, String)> = None;
        for _ in 0..self.random.below(3) {
            let Some((event, excludes, interrupts)) = self.random.pick(&BOUNDARIES).copied() else {
                continue;
            };
            if !excludes.is_empty() && !taken.insert(excludes) {
                continue;
            }
            let name = self.name("bound");
            let side = if interrupts { "on" } else { "beside" };
            let event = event
                .replace("{}", &name)
                .replace('@', &format!("{side} {host}"));
            let tail = if self.random.one_in(2) {
                format!(" -> {}:service(type t1)", self.name("task"))
            } else {
                String::new()
            };
            let end = match &merge {
                _ if !interrupts => self.name("end"),
                Some((merge, _)) => merge.clone(),
                None => {
                    let (node, out) = (self.name("merge"), self.name("f"));
                    self.say(format!("{host} -> {node}{{{out}: default}}"));
                    merge = Some((node.clone(), out));
                    node
                }
            };
            self.say(format!("{event}{tail} -> {end}"));
        }
        merge.map_or(host, |(_, out)| out)
    }

    fn plain(&mut self, kind: &str, last: &str, what: &str) -> String {
        let name = self.name(kind);
        self.say(format!("{last} -> {name}:{what}"));
        name
    }

    fn pass_through(&mut self, last: String, _: u32) -> String {
        let what = self.one_of(&["manual", "task"]);
        self.plain("pass", &last, what)
    }

    fn timer_catch(&mut self, last: String, _: u32) -> String {
        let seconds = self.random.below(4);
        self.plain("catch", &last, &format!("catch(duration PT{seconds}S)"))
    }

    fn message_catch(&mut self, last: String, _: u32) -> String {
        let message = self.one_of(&CAUGHT);
        self.plain(
            "catch",
            &last,
            &format!("catch(message {message}, key k, out m = n)"),
        )
    }

    fn receive_task(&mut self, last: String, _: u32) -> String {
        let message = self.one_of(&CAUGHT);
        self.plain(
            "receive",
            &last,
            &format!("receive(message {message}, key k)"),
        )
    }

    fn event_catch(&mut self, last: String, _: u32) -> String {
        let message = self.one_of(&CAUGHT);
        let what = format!(
            "catch(message bound{message}, key k, event some.{message}, filter data.n != 5, eventkey data.k)"
        );
        self.plain("catch", &last, &what)
    }

    fn publishing_throw(&mut self, last: String, _: u32) -> String {
        let to = self.one_of(&TARGETS);
        self.plain(
            "throw",
            &last,
            &format!("throw(publish happened, subject =string(k){to})"),
        )
    }

    fn message_throw(&mut self, last: String, _: u32) -> String {
        let message = self.one_of(&MESSAGES);
        let what = format!("send(message {message}, key =string(k), ttl PT2S, in n = n)");
        self.plain("send", &last, &what)
    }

    fn empty_throw(&mut self, last: String, _: u32) -> String {
        self.plain("throw", &last, "throw")
    }

    fn job_throw(&mut self, last: String, _: u32) -> String {
        self.plain("throw", &last, "throw(job t3)")
    }

    fn exclusive(&mut self, last: String, depth: u32) -> String {
        let (gate, a, b) = (self.name("gate"), self.name("f"), self.name("f"));
        let (merge, out) = (self.name("merge"), self.name("f"));
        let second = self.one_of(&["default", "n < 4", "n = 7"]);
        self.say(format!("{last} -> {gate}{{{a}: n > 3, {b}: {second}}}"));
        let left = self.block(a, depth + 1);
        self.say(format!("{left} -> {merge}{{{out}: default}}"));
        let right = self.block(b, depth + 1);
        self.say(format!("{right} -> {merge}"));
        out
    }

    fn parallel(&mut self, last: String, depth: u32) -> String {
        let (fork, join) = (self.name("fork"), self.name("join"));
        self.say(format!("{last} -> {fork}"));
        for _ in 0..2 + self.random.below(2) {
            let exit = self.block(fork.clone(), depth + 1);
            self.say(format!("{exit} -> {join}"));
        }
        join
    }

    fn race(&mut self, last: String, _: u32) -> String {
        let (race, merge, out) = (self.name("race"), self.name("merge"), self.name("f"));
        let (message, timer) = (self.name("catch"), self.name("catch"));
        let (caught, seconds) = (self.one_of(&CAUGHT), 1 + self.random.below(4));
        self.say(format!("{last} -> {race}"));
        self.say(format!(
            "{race} -> {message}:catch(message {caught}, key k) -> {merge}{{{out}: default}}"
        ));
        self.say(format!(
            "{race} -> {timer}:catch(duration PT{seconds}S) -> {merge}"
        ));
        out
    }

    fn sub_process(&mut self, last: String, depth: u32) -> String {
        let (sub, start) = (self.name("sub"), self.name("start"));
        let outer = std::mem::take(&mut self.statements);
        self.scope(start, depth + 1);
        let inner = std::mem::replace(&mut self.statements, outer);
        let mapped = self.one_of(&["", "(in inner = n, out outer = inner)"]);
        self.say(format!(
            "{last} -> {sub}:sub{mapped}[{}]",
            inner.join(" ; ")
        ));
        self.boundaries(sub)
    }
}
