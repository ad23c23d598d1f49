//! What must not go unnoticed when somebody or something has been at the disks; tried on copies, the run goes on with the
//! originals.
//!
//! **Invariant that is asked for**: a start on damaged or mixed-up data says so with the right words, or what it gives is
//! exactly what was committed. Never a quiet loss.

use std::path::Path;

use kapelle_storage::files::MemFiles;
use kapelle_storage::format::BLOCK;
use kapelle_storage::store::{Backend as _, MemBackend};

use crate::disk::{Disks, JOURNAL};
use crate::history::{self, History};
use crate::random::Random;
use crate::world::{self, World};

/// What a start on a copy came to.
enum Outcome {
    Refused(String),
    /// It works, and holds everything that was committed.
    Whole,
    /// It works, but holds less or something else.
    Lost(String),
}

/// Starts a copy and looks at all of it.
fn try_copy(world: &World, disks: &Disks) -> Outcome {
    let mut history = world.history.fork();
    let incarnation = world.starts + (1 << 64);
    let started = world::start(&world.setup, disks, &world.clock, incarnation, &mut history);
    let mut running = match started {
        Ok(running) => running,
        Err(why) => return Outcome::Refused(why),
    };
    match look_through(&mut running, &mut history, world.history.last) {
        Ok(()) => Outcome::Whole,
        Err(why) => Outcome::Lost(why),
    }
}

fn look_through(
    running: &mut world::Running,
    history: &mut History,
    committed: kapelle_engine::ids::Sequence,
) -> Result<(), String> {
    let end = running.partition.readers().committed();
    if end < committed {
        return Err(format!("it ends at {} of {}", end.0, committed.0));
    }
    let mut effects = kapelle_runtime::effects::NoEffects;
    running
        .partition
        .finish(&mut effects)
        .map_err(|error| error.to_string())?;
    running.follow(history)?;
    history::compare(running.partition.state(), history)
}

/// One bit of the journal flips: behind every batch that is known to have been durable, so it is no torn tail.
pub(crate) fn rot(world: &mut World, random: &mut Random) -> Result<(), String> {
    let disks = world.disks.fork();
    let segments = disks.segments();
    let Some((_, sealed)) = segments.split_last() else {
        return Ok(());
    };
    let Some((name, length, _)) = random.pick(sealed) else {
        return Ok(());
    };
    world.exercised.rotten += 1;
    // Near the beginning of a block, where a batch begins if there is one: the rest is mostly padding.
    let at = BLOCK * random.below(*length / BLOCK) + random.below(400);
    let bit = 1 << random.below(8);
    disks.files.tamper(&Path::new(JOURNAL).join(name), |bytes| {
        if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
            *byte ^= bit;
        }
    });
    match try_copy(world, &disks) {
        Outcome::Whole => Ok(()),
        Outcome::Refused(why) | Outcome::Lost(why)
            if ["damaged", "missing", "cannot be read"]
                .iter()
                .any(|word| why.contains(word)) =>
        {
            world.exercised.rot_found += 1;
            world.say(format!("  a flipped bit of {name} at {at}: {why}"));
            Ok(())
        }
        Outcome::Refused(why) => Err(format!(
            "a flipped bit of {name} at {at} is refused with the wrong words: {why}"
        )),
        Outcome::Lost(why) => Err(format!(
            "a flipped bit of {name} at {at} goes unnoticed: {why}"
        )),
    }
}

/// The store is gone.
pub(crate) fn lose_store(world: &mut World) -> Result<(), String> {
    world.exercised.lost_stores += 1;
    let copy = Disks {
        files: world.disks.files.fork(),
        store: MemBackend::new(),
    };
    match try_copy(world, &copy) {
        Outcome::Whole => Ok(()),
        Outcome::Refused(why) if why.contains("no longer in the journal") => Ok(()),
        Outcome::Refused(why) => Err(format!(
            "a lost store is refused with the wrong words: {why}"
        )),
        Outcome::Lost(why) => Err(format!("a lost store goes unnoticed: {why}")),
    }
}

/// The journal is gone.
pub(crate) fn lose_journal(world: &mut World) -> Result<(), String> {
    if world.disks.store.manifest().is_none() {
        // Nothing is left that could tell: an empty directory is a new one.
        return Ok(());
    }
    world.exercised.lost_journals += 1;
    let copy = Disks {
        files: MemFiles::new(),
        store: world.disks.store.fork(),
    };
    mixed_up(try_copy(world, &copy), "a lost journal")
}

/// Somebody restored the journal alone from an older copy.
pub(crate) fn old_journal(world: &mut World, random: &mut Random) -> Result<(), String> {
    let Some(old) = world.old_journal.clone().filter(|_| !random.one_in(3)) else {
        world.old_journal = Some(world.disks.files.fork());
        return Ok(());
    };
    let copy = Disks {
        files: old.fork(),
        store: world.disks.store.fork(),
    };
    let Some(manifest) = copy.store.manifest() else {
        return Ok(());
    };
    let oldest_end = kapelle_storage::journal::open(
        copy.files.shared(),
        Path::new(JOURNAL),
        world.setup.journal,
        None,
    );
    let end = oldest_end.map_err(|error| error.to_string())?.report().end;
    if end.sequence >= manifest.max_position {
        // The store is not beyond it: to them both this is the present.
        return Ok(());
    }
    world.exercised.old_journals += 1;
    mixed_up(try_copy(world, &copy), "an older journal")
}

fn mixed_up(outcome: Outcome, what: &str) -> Result<(), String> {
    match outcome {
        Outcome::Refused(why) if why.contains("do not belong together") => Ok(()),
        Outcome::Refused(why) => Err(format!("{what} is refused with the wrong words: {why}")),
        Outcome::Whole => Err(format!("{what} goes unnoticed")),
        Outcome::Lost(why) => Err(format!("{what} goes unnoticed: {why}")),
    }
}
