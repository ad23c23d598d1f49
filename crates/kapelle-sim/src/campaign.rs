//! Runs from the first operation to the last oracle, and what is left of a failing one.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::drain;
use crate::exercised::Exercised;
use crate::play;
use crate::random::Random;
use crate::script::{self, Operation};
pub use crate::setup::Sabotage;
use crate::setup::Setup;
use crate::shrink;
use crate::world::World;

/// Plays that shortening a failure may cost.
const SHRINK_PLAYS_MAX: u32 = 400;
/// What is shown of a shortened run.
const LINES_MAX: usize = 4_000;

/// A run that an oracle ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub why: String,
    /// How many operations the whole script has.
    pub operations: usize,
    /// What is left of the script; it fails too.
    pub script: Vec<Operation>,
    /// What happened in it.
    pub lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails: {}", self.seed, self.why)?;
        writeln!(
            f,
            "shortened from {} to {} operations:",
            self.operations,
            self.script.len()
        )?;
        let skipped = self.lines.len().saturating_sub(LINES_MAX);
        for line in self.lines.iter().skip(skipped) {
            writeln!(f, "  {line}")?;
        }
        write!(f, "again: cargo xtask sim --seed {} --runs 1", self.seed)
    }
}

/// Plays a seed; a failure comes shortened.
///
/// # Errors
/// [`Failure`].
pub fn run(seed: u64, sabotage: Option<Sabotage>) -> Result<Exercised, Box<Failure>> {
    let script = script::generate(seed);
    let (why, _) = match run_script(seed, sabotage, &script) {
        Ok(exercised) => return Ok(exercised),
        Err(failed) => failed,
    };
    let mut last = None;
    let short = shrink::shrink(&script, SHRINK_PLAYS_MAX, &mut |part| {
        let failed = run_script(seed, sabotage, part).err();
        let fails = failed.is_some();
        last = failed.or(last.take());
        fails
    });
    // Once more, to tell what happens.
    let (why, lines) = play_told(seed, sabotage, &short, true)
        .err()
        .or(last)
        .unwrap_or((why, Vec::new()));
    Err(Box::new(Failure {
        seed,
        why,
        operations: script.len(),
        script: short,
        lines,
    }))
}

/// Plays any script in the world of a seed.
///
/// # Errors
/// Why it failed, and what happened until then.
pub fn run_script(
    seed: u64,
    sabotage: Option<Sabotage>,
    script: &[Operation],
) -> Result<Exercised, (String, Vec<String>)> {
    play_told(seed, sabotage, script, false)
}

fn play_told(
    seed: u64,
    sabotage: Option<Sabotage>,
    script: &[Operation],
    tell: bool,
) -> Result<Exercised, (String, Vec<String>)> {
    listen_for_panics();
    PANIC.set(None);
    let log = RefCell::new(Vec::new());
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(Setup::new(seed, sabotage))?;
        if tell {
            world.history.tell();
        }
        let result = play_all(&mut world, seed, script);
        *log.borrow_mut() = std::mem::take(&mut world.log);
        result.map(|()| {
            let seen = &world.history.facts.seen;
            let count = |name| seen.get(name).copied().unwrap_or(0);
            world.exercised.set_aside = count("InstanceQuarantined");
            world.exercised.interrupted = count("StepInterrupted");
            world.exercised.events = seen.clone();
            world.exercised
        })
    }));
    let panic = PANIC.take();
    match played {
        Ok(Ok(exercised)) => Ok(exercised),
        Ok(Err(why)) => {
            let why = panic.map_or_else(|| why.clone(), |panic| format!("{why}: {panic}"));
            Err((why, log.into_inner()))
        }
        Err(_) => Err((
            format!("a panic: {}", panic.unwrap_or_default()),
            log.into_inner(),
        )),
    }
}

fn play_all(world: &mut World, seed: u64, script: &[Operation]) -> Result<(), String> {
    // Something to work with, whatever the script.
    for index in 0..2 {
        let operation = Operation {
            kind: script::Kind::Deploy,
            seed: Random::stream(seed, "deploy").draw() + index,
        };
        play::play(world, operation)?;
        world.settle()?;
    }
    for operation in script {
        play::play(world, *operation)?;
    }
    drain::drain(world, &mut Random::stream(seed, "drain"))
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what a panic says instead of printing it: shrinking panics some hundred times.
fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("simulation") {
                PANIC.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}
