//! The journal is let go only behind what is on the disk for good, and what a loss of power takes from the database is
//! filled again from the journal. The WAL stays bounded meanwhile.
//!
//! A partition on a disk, with segments that are trimmed all the time. The power takes the WAL, which nothing has synced,
//! and leaves the database as the last checkpoint synced it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use kapelle_engine::command::{
    Command, CommandMeta, CreateInstance, Deploy, ProcessSelector, Resource,
};
use kapelle_engine::document::Document;
use kapelle_runtime::effects::NoEffects;
use kapelle_runtime::reader::ReadError;
use kapelle_runtime::{AwaitedReader, Open, Options, TooFarBehind};

use super::*;
use crate::history::feeder::{Feeder, READER, WalLimits};
use crate::history::{Progress, tally};

/// Long enough that only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

/// What an instance brings: a few of them fill a segment of the journal.
const PAYLOAD_BYTES: usize = 512 << 10;

/// A journal whose records go as soon as nobody needs them any more.
fn options() -> Options {
    Options {
        tail_records_max: 64,
        base_bytes_min: 1,
        segment_bytes: 4 << 20,
        disk_soft_limit_bytes: 0,
        readers: vec![AwaitedReader {
            name: READER.to_owned(),
            too_far_behind: TooFarBehind::CutLoose,
        }],
        ..Options::default()
    }
}

struct World {
    feeder: Feeder,
    open: Open,
    instances: usize,
    dir: Dir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.open.handle.shutdown();
    }
}

impl World {
    fn new(name: &str, wal: WalLimits) -> Self {
        let dir = Dir::new(name);
        let open = kapelle_runtime::open(&dir.0.join("partition"), options(), NoEffects).unwrap();
        let feeder = feed(&dir, &open).with_wal(wal);
        let world = Self {
            feeder,
            open,
            instances: 0,
            dir,
        };
        world.ask(Command::Deploy(Deploy {
            tenant: text(TENANT),
            resources: vec![Resource {
                name: text("order.bpmn"),
                bytes: Arc::from(ORDER.as_bytes()),
            }],
        }));
        world
    }

    fn ask(&self, command: Command) {
        let (sender, receiver) = mpsc::channel();
        let reply = Box::new(move |reply| sender.send(reply).unwrap_or(()));
        self.open
            .handle
            .submit(command, CommandMeta::default(), reply)
            .unwrap();
        receiver.recv_timeout(HANG).unwrap().unwrap();
    }

    /// Instances begin, each with a large variable, and wait.
    fn create(&mut self, count: usize) {
        let payload = format!(r#"{{"payload":"{}"}}"#, "x".repeat(PAYLOAD_BYTES));
        let variables = Document(
            kapelle_feel::json::to_msgpack(payload.as_bytes())
                .unwrap()
                .into(),
        );
        for _ in 0..count {
            self.ask(Command::CreateInstance(CreateInstance {
                tenant: text(TENANT),
                process: ProcessSelector::Latest {
                    process_id: text("order"),
                },
                variables: variables.clone(),
                await_result: None,
                tags: Vec::new(),
                business_id: None,
                idempotency_key: None,
            }));
        }
        self.instances += count;
    }

    /// Projects all there is.
    fn project(&mut self) {
        while self.feeder.project().unwrap() > 0 {}
    }

    /// The first record that the journal still has.
    fn journal_begins_at(&self) -> u64 {
        let handle = &self.open.handle;
        match handle.subscribe("probe", Sequence(1)) {
            Ok(_) => {
                handle.forget_reader("probe");
                1
            }
            Err(ReadError::Trimmed { first, .. }) => first.0,
            Err(error) => panic!("{error}"),
        }
    }

    /// What the database lacks when the power goes now, the journal still has.
    fn assert_nothing_is_missing_without_power(&self) {
        let begins_at = self.journal_begins_at();
        let after = self.lose_power();
        let position = schema::open_or_remake(&after.database(), Sequence(u64::MAX))
            .unwrap()
            .position;
        assert!(
            begins_at <= position.0 + 1,
            "the journal begins at {begins_at}, and only what is up to {} is on the disk",
            position.0
        );
    }

    /// What the disk has of the database for certain.
    fn lose_power(&self) -> Dir {
        let after = Dir::new(&format!(
            "{}-after",
            self.dir.0.file_name().unwrap().to_str().unwrap()
        ));
        std::fs::copy(self.dir.database(), after.database()).unwrap();
        after
    }

    fn wal_bytes(&self) -> u64 {
        let wal = self.dir.database().with_extension("db-wal");
        wal.metadata().unwrap().len()
    }

    /// A query that stays.
    fn reader(&self) -> Connection {
        let reader = schema::open_for_reading(&self.dir.database()).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        assert!(found_instances(&reader) <= self.instances);
        reader
    }
}

/// From the database in `dir`, wherever it stands.
fn feed(dir: &Dir, open: &Open) -> Feeder {
    let opened = schema::open_or_remake(&dir.database(), open.handle.committed()).unwrap();
    let progress = Arc::new(Progress::new(opened.position));
    let tally = tally::Tally::new(Arc::default());
    let week = Duration::from_secs(7 * 24 * 3_600);
    Feeder::new(
        dir.database(),
        opened,
        open.handle.clone(),
        progress,
        week,
        tally,
    )
    .unwrap()
}

fn found_instances(connection: &Connection) -> usize {
    let count: i64 = connection
        .query_row("SELECT COUNT(*) FROM instance", [], |row| row.get(0))
        .unwrap();
    usize::try_from(count).unwrap()
}

/// Limits that a test reaches soon.
fn small_wal() -> WalLimits {
    WalLimits {
        every: Duration::ZERO,
        at_least: Duration::ZERO,
        bytes_soon: 1 << 20,
        bytes_high: 4 << 20,
        bytes_max: 16 << 20,
        wait: Duration::from_millis(200),
    }
}

#[test]
fn the_journal_is_let_go_only_behind_a_checkpoint_and_fills_what_power_took() {
    let mut world = World::new("let-go", small_wal());
    let mut let_go = 0;
    for round in 0..32 {
        world.create(3);
        world.project();
        if round % 8 == 7 {
            assert!(world.feeder.checkpoint("PASSIVE").unwrap());
        }
        world.assert_nothing_is_missing_without_power();
        let begins_at = world.journal_begins_at();
        let_go += usize::from(begins_at > 1);
    }
    assert!(let_go > 5, "the journal was hardly ever trimmed: {let_go}");
    let after = world.lose_power();
    let mut feeder = feed(&after, &world.open);
    while feeder.project().unwrap() > 0 {}
    let filled = schema::open_for_reading(&after.database()).unwrap();
    assert_eq!(found_instances(&filled), world.instances);
    let first: i64 = filled
        .query_row("SELECT value FROM meta WHERE name = 'first'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(first, 1, "nothing is missing before it");
}

#[test]
fn a_checkpoint_that_a_query_kept_from_its_end_lets_nothing_go() {
    let mut world = World::new("held", small_wal());
    world.create(1);
    world.project();
    let reader = world.reader();
    for _ in 0..8 {
        world.create(3);
        world.project();
        assert!(!world.feeder.checkpoint("PASSIVE").unwrap());
        world.assert_nothing_is_missing_without_power();
    }
    assert_eq!(world.journal_begins_at(), 1);
    drop(reader);
    assert!(world.feeder.checkpoint("PASSIVE").unwrap());
    let mut rounds = 0;
    while world.journal_begins_at() == 1 {
        world.create(3);
        rounds += 1;
        assert!(rounds < 50, "the journal is not let go");
    }
    world.assert_nothing_is_missing_without_power();
}

#[test]
fn the_wal_is_bounded_while_queries_overlap_all_the_time() {
    let mut world = World::new("overlap", small_wal());
    world.create(1);
    world.project();
    let limits = small_wal();
    let stop = AtomicBool::new(false);
    let database = world.dir.database();
    let (mut largest, mut written) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let reader = schema::open_for_reading(&database).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    reader.execute_batch("BEGIN").unwrap();
                    assert!(found_instances(&reader) > 0);
                    std::thread::sleep(Duration::from_millis(10));
                    reader.execute_batch("COMMIT").unwrap();
                }
            });
        }
        while written < 16 * limits.bytes_high {
            world.create(4);
            written += 4 * PAYLOAD_BYTES as u64;
            world.project();
            world.feeder.checkpoint_if_due().unwrap();
            largest = largest.max(world.wal_bytes());
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        largest <= limits.bytes_max,
        "{largest} of {written} bytes were in the WAL at once"
    );
}

#[test]
fn the_wal_is_bounded_while_a_query_stays_and_everything_is_there_when_it_has_gone() {
    let mut world = World::new("long", small_wal());
    world.create(1);
    world.project();
    let reader = world.reader();
    let limits = small_wal();
    let mut waited = 0;
    for _ in 0..16 {
        world.create(8);
        waited += usize::from(world.feeder.turn().unwrap() == 0);
    }
    assert!(waited > 0, "it goes on as long as the WAL has room only");
    // One transaction more, which is of 16 MiB at most, about.
    let bytes_max = limits.bytes_max + (24 << 20);
    assert!(world.wal_bytes() <= bytes_max, "{}", world.wal_bytes());
    assert_eq!(found_instances(&reader), 1, "the query sees what it saw");
    drop(reader);
    let mut turns = 0;
    while found_instances(&schema::open_for_reading(&world.dir.database()).unwrap())
        < world.instances
    {
        world.feeder.turn().unwrap();
        turns += 1;
        assert!(turns < 50, "it goes on");
    }
    assert!(world.wal_bytes() <= bytes_max, "{}", world.wal_bytes());
}
