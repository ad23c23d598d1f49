//! Loss of power, on everything that the server writes: its journal, the store's files and the search database.
//!
//! The server runs with `tests/powercut/trace.c` loaded, which writes down every change of a file and every sync. From that
//! trace [`disk::Disk`] knows what is durable. After a kill it works out what a disk could hold if the power had gone at
//! that moment, puts it in the place of the data directory, and the next life begins on that.
//!
//! This is in the place of a faulty file layer inside `kapelle-storage`: that would never see what fjall and SQLite do,
//! and it would test another binary than the one that is shipped.
//!
//! **Sanity**: before each cut it is checked that the trace explains the directory to the last byte, so nothing is written
//! past the tracer. Memory maps are allowed for SQLite's `-shm` alone, which is made anew after a loss of power.

pub(crate) mod content;
pub(crate) mod disk;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use self::disk::{Cut, Disk, Manner};
use super::random::Random;

/// The tracer, built once for each run of the tests.
pub(crate) fn tracer() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/powercut/trace.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join("powercut-trace.so");
        // Aside and renamed: another run of the tests may have the old one loaded.
        let aside = folder.join(format!("powercut-trace-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args([
                "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
            ])
            .args([&aside, &source])
            .status()
            .expect("there is a C compiler named cc");
        assert!(built.success(), "trace.c is compiled");
        std::fs::rename(&aside, &library).unwrap();
        library
    })
}

/// What the tracer can be told while the server runs; `struct control` in `trace.c`.
#[derive(Clone, Copy)]
pub(crate) enum Knob {
    /// Nanoseconds added to the wall clock.
    ClockOffset = 0,
    /// Bytes by which files may still grow; below 0 there is no limit.
    Room = 1,
    /// Not 0: syncs do nothing and say that they did.
    Lie = 2,
    /// Counts down with each sync; the one that brings it to 0 fails.
    FailSync = 3,
    /// Nanoseconds that each sync takes longer, below a second: so long everything waits for the disk.
    SyncDelay = 5,
}

/// The tracer's control page.
pub(crate) struct Control {
    path: PathBuf,
    page: File,
}

impl Control {
    pub(crate) fn new(path: PathBuf) -> Self {
        let page = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        page.set_len(4096).unwrap();
        let control = Self { path, page };
        control.set(Knob::Room, -1);
        control
    }

    pub(crate) fn set(&self, knob: Knob, value: i64) {
        self.page
            .write_all_at(&value.to_ne_bytes(), knob as u64 * 8)
            .unwrap();
    }

    /// Loads the tracer into a command about to run; nothing is traced, only bent.
    pub(crate) fn apply(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", tracer())
            .env("KAPELLE_TRACE_CONTROL", &self.path);
    }
}

/// A folder whose changes are traced, life after life.
pub(crate) struct Platter {
    /// What is traced; the data directory lies in here.
    root: PathBuf,
    trace: PathBuf,
    pub(crate) control: Control,
    disk: Disk,
    /// As it was when the present life began, and what that life did: for glances at moments before its end.
    before: Disk,
    records: Vec<trace::Record>,
    pub(crate) tally: Tally,
}

/// What the cuts of a campaign were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cuts: u64,
    pub(crate) changes: u64,
    pub(crate) syncs: u64,
    pub(crate) lost: Cut,
}

impl Platter {
    /// In `home`, which must exist.
    pub(crate) fn new(home: &Path) -> Self {
        let home = home.canonicalize().unwrap();
        let root = home.join("disk");
        std::fs::create_dir(&root).unwrap();
        Self {
            trace: home.join("trace"),
            control: Control::new(home.join("control")),
            root,
            disk: Disk::default(),
            before: Disk::default(),
            records: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// From now on syncs do nothing, and say that they did.
    pub(crate) fn lie(&self) {
        self.control.set(Knob::Lie, 1);
    }

    /// Where the data directory is to be.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Loads the tracer into a command about to run.
    pub(crate) fn apply(&self, command: &mut Command) {
        self.control.apply(command);
        command
            .env("KAPELLE_TRACE_ROOT", &self.root)
            .env("KAPELLE_TRACE_FILE", &self.trace);
    }

    /// A life has ended, with the page cache intact: takes over what it did.
    pub(crate) fn absorb(&mut self) {
        self.before = self.disk.clone();
        self.records = trace::read(&self.trace, &self.root);
        self.disk.begin_life();
        for record in &self.records {
            self.disk.absorb(record);
        }
        if let Some(last) = self.records.last().filter(|record| !record.is_done) {
            self.disk.settle(last, &self.root);
        }
        self.tally.changes += self.records.len() as u64;
        self.tally.syncs += self.records.iter().filter(|r| r.is_sync()).count() as u64;
        // A tracer killed before its first record leaves no file, and the last life's must not count twice.
        std::fs::remove_file(&self.trace).ok();
        let differences = self.disk.differences(&self.root);
        assert!(
            differences.is_empty(),
            "the trace does not explain the directory:\n{}",
            differences.join("\n")
        );
    }

    /// The power goes at the end of the life that was absorbed last.
    pub(crate) fn cut(&mut self, manner: Manner, random: &mut Random) -> Cut {
        let (after, cut) = self.disk.cut(manner, random);
        after.write_to(&self.root);
        self.disk = after;
        self.tally.cuts += 1;
        self.tally.lost.add(&cut);
        cut
    }

    /// What the disk could hold if the power had gone at some moment within the last life: mostly just before or after
    /// something that matters. Written to `root`; tells what the moment was.
    pub(crate) fn glance(&self, root: &Path, random: &mut Random) -> String {
        let telling: Vec<usize> = (0..self.records.len())
            .filter(|index| self.records[*index].is_telling())
            .collect();
        let moment = match telling.len() as u64 {
            0 => self.records.len(),
            count if random.percent(80) => {
                telling[random.below(count) as usize] + random.below(2) as usize
            }
            _ => random.below(self.records.len() as u64 + 1) as usize,
        };
        let mut disk = self.before.clone();
        disk.begin_life();
        for record in &self.records[..moment] {
            disk.absorb(record);
        }
        let manner = Manner::any(random);
        let (after, cut) = disk.cut(manner, random);
        after.write_to(root);
        format!(
            "{manner:?} cut after change {moment} of {}, {:?}; it lost {cut:?}",
            self.records.len(),
            moment
                .checked_sub(1)
                .map(|last| self.records[last].to_string()),
        )
    }
}
