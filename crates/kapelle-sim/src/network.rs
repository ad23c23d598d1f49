//! The network between clients and the partition, and clients that do not give up.
//!
//! A request is lost, late or there twice; an answer is lost or late. A client that hears nothing, or that it shall come
//! again, asks again: the same words, so that what must not happen twice has to be recognised by what it says (the key of a
//! request, the id of a CloudEvent, the job). What the API does not protect so may happen once for each time that it arrived,
//! and no more often ([`crate::facts::Facts::may_happen`]).
//!
//! **Invariants**
//! - Every copy is an operation of its own: the reference interpreter foresees each, and each is linearizable by itself.
//! - What is late overtakes and is overtaken, and a crash does not always take it away: a proxy holds it.

use kapelle_engine::command::Command;
use kapelle_engine::ids::{JobKey, Sequence, Timestamp};
use kapelle_runtime::partition::Request;

use crate::clients::Asked;
use crate::random::Random;
use crate::world::{World, alive};

/// Calls that are kept for asking again; the clients of older ones have given up.
const UNHEARD_MAX: usize = 30;

/// What a client wants, in the words in which it asks each time.
#[derive(Clone)]
pub(crate) struct Call {
    /// The operation that its content names.
    pub(crate) named: u64,
    pub(crate) asked: Asked,
    pub(crate) command: Command,
    /// The end of the journal when it was asked for the first time.
    pub(crate) floor: Sequence,
    /// How often it was asked before.
    repeats: u32,
}

impl Call {
    pub(crate) fn new(named: u64, asked: Asked, command: Command, floor: Sequence) -> Self {
        Self {
            named,
            asked,
            command,
            floor,
            repeats: 0,
        }
    }

    /// Whether there are others with the same words.
    pub(crate) fn is_repeat(&self) -> bool {
        self.repeats > 0
    }
}

/// What becomes of an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Late,
    /// Its client hears nothing.
    Lost,
    /// Nobody waits for it: it answers the copy of a request.
    Unwanted,
}

/// What a client learns from an answer and acts on.
pub(crate) enum News {
    Jobs(Vec<JobKey>),
    TakenIn(Vec<Box<str>>),
}

/// What is under way.
#[derive(Default)]
pub(crate) struct Network {
    requests: Vec<(u64, Request)>,
    answers: Vec<News>,
    unheard: Vec<Call>,
    /// Everything arrives, at once and once.
    is_calm: bool,
}

impl Network {
    /// Its client hears nothing, or that it shall come again.
    pub(crate) fn unheard(&mut self, mut call: Call) {
        if self.is_calm {
            return;
        }
        call.repeats += 1;
        self.unheard.push(call);
        if self.unheard.len() > UNHEARD_MAX {
            self.unheard.remove(0);
        }
    }

    pub(crate) fn answer_is_late(&mut self, news: News) {
        self.answers.push(news);
    }

    /// The machine is gone; requests that a proxy holds will reach the next process. Returns those that will never arrive.
    pub(crate) fn lose(&mut self, random: &mut Random) -> Vec<u64> {
        let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|_| random.one_in(2));
        self.requests = kept;
        lost.into_iter().map(|(operation, _)| operation).collect()
    }

    /// The journal ends there: what was behind it when somebody asked is lost.
    pub(crate) fn ends_at(&mut self, end: Sequence) {
        for call in &mut self.unheard {
            call.floor = call.floor.min(end);
        }
    }

    /// From now on nothing gets lost and nobody is refused, once there is a new process.
    pub(crate) fn becomes_calm(&mut self) {
        self.is_calm = true;
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm
    }

    pub(crate) fn is_under_way(&self, operation: u64) -> bool {
        self.requests.iter().any(|(on_way, _)| *on_way == operation)
    }
}

/// A client asks: what it says may get lost, come late, or twice.
pub(crate) fn send(world: &mut World, call: Call, random: &mut Random) {
    let fate = random.below(32);
    let answer = match random.below(8) {
        _ if world.network.is_calm => Fate::Arrives,
        0 => Fate::Lost,
        1 => Fate::Late,
        _ => Fate::Arrives,
    };
    match fate {
        _ if world.network.is_calm => copy(world, call, answer, false),
        0 => {
            world.exercised.lost_requests += 1;
            world.say(format!("  lost on its way: {:?}", call.asked));
            world.network.unheard(call);
        }
        1 | 2 => copy(world, call, answer, true),
        3 | 4 => {
            world.exercised.doubled_requests += 1;
            let mut second = call.clone();
            second.repeats += 1;
            copy(world, call, answer, false);
            copy(world, second, Fate::Unwanted, random.one_in(2));
        }
        _ => copy(world, call, answer, false),
    }
}

/// One arrival of a call, now or later.
fn copy(world: &mut World, call: Call, answer: Fate, is_late: bool) {
    let operation = if call.is_repeat() {
        world.clients.next_operation()
    } else {
        call.named
    };
    world.say(format!(
        "  {operation}: {:?}{}{}",
        call.asked,
        if call.is_repeat() { ", again" } else { "" },
        if is_late { ", late" } else { "" }
    ));
    let now = alive(&mut world.running).partition.now().0;
    world.history.facts.may_happen(call.named);
    world.reference.will_be_asked(operation, &call.command, now);
    let request = world.clients.ask(operation, call, answer);
    if is_late {
        world.exercised.late_requests += 1;
        world.network.requests.push((operation, request));
    } else {
        submit(world, operation, request);
    }
}

/// A request is at the partition's door; who is refused there is told so.
fn submit(world: &mut World, operation: u64, request: Request) {
    if !world.submit(request) {
        world.say(format!("  {operation} is refused: too many wait"));
        world.clients.overloaded(operation);
    }
}

/// Something of what is under way arrives, in any order.
pub(crate) fn arrive(world: &mut World, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        if !world.network.requests.is_empty() {
            let at = random.index(world.network.requests.len());
            let (operation, request) = world.network.requests.swap_remove(at);
            request_arrives(world, operation, request);
        }
        if !world.network.answers.is_empty() {
            let at = random.index(world.network.answers.len());
            let news = world.network.answers.swap_remove(at);
            world.clients.learn(news);
        }
    }
}

fn request_arrives(world: &mut World, operation: u64, request: Request) {
    world.say(format!("  {operation} arrives"));
    // The clock may have been set back with a new process.
    let now: Timestamp = alive(&mut world.running).partition.now();
    world.reference.arrives(operation, now.0);
    submit(world, operation, request);
}

/// Whoever heard nothing asks again.
pub(crate) fn ask_again(world: &mut World, random: &mut Random) {
    if world.network.unheard.is_empty() {
        return;
    }
    let at = random.index(world.network.unheard.len());
    let call = world.network.unheard.swap_remove(at);
    world.exercised.resent += 1;
    send(world, call, random);
}

/// All that is under way arrives, and whoever heard nothing asks once more.
pub(crate) fn calm(world: &mut World, random: &mut Random) {
    for (operation, request) in std::mem::take(&mut world.network.requests) {
        request_arrives(world, operation, request);
    }
    for news in std::mem::take(&mut world.network.answers) {
        world.clients.learn(news);
    }
    for call in std::mem::take(&mut world.network.unheard) {
        world.exercised.resent += 1;
        send(world, call, random);
    }
}
