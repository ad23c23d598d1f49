//! How fast batches become durable: append and sync, one writer, batches of several sizes.

use std::time::{Duration, Instant};

use kapelle_bench::{Arguments, say, time};
use kapelle_storage::files::OsFiles;
use kapelle_storage::journal::{self, Journal, ThreadedJournal};

const USAGE: &str = "journal [--dir DIR] [--seconds 3]";

fn main() {
    let arguments = Arguments::read(USAGE, &["dir", "seconds"]);
    let seconds = Duration::from_secs_f64(arguments.get("seconds", 3.0));
    for kib in [4, 64, 256] {
        measure(&arguments, kib, seconds);
    }
}

fn measure(arguments: &Arguments, kib: usize, length: Duration) {
    let path = arguments.directory("journal");
    let opened = journal::open(OsFiles::shared(), &path, journal::Options::default(), None)
        .expect("the journal opens");
    let announced = opened.announce(1, &[]).expect("the leader is announced");
    let mut journal = ThreadedJournal::start(announced, Box::new(|| ())).expect("threads start");
    let record = [7_u8; 200];
    let per_batch = (kib * 1024 - 4096 / 8) / (record.len() + 4);
    let started = Instant::now();
    let mut batches = 0_u64;
    while started.elapsed() < length {
        let mut batch = journal.batch();
        for _ in 0..per_batch {
            batch.push(&record);
        }
        let end = journal.submit(batch).expect("the disk works");
        journal.wait(end.sequence).expect("the disk works");
        journal.trim(end.sequence).expect("the disk works");
        batches += 1;
    }
    let rate = batches as f64 / started.elapsed().as_secs_f64();
    let figures = journal.figures();
    let syncs = &figures.sync_time;
    say(
        &format!("{kib} KiB a batch: batches/s"),
        format!("{rate:.0}"),
    );
    say("  records/s", format!("{:.0}", rate * per_batch as f64));
    say("  MiB/s", format!("{:.0}", rate * kib as f64 / 1024.0));
    let mean = syncs.sum / u32::try_from(syncs.count().max(1)).unwrap_or(u32::MAX);
    say(
        "  write and sync: mean, p50, p99, max",
        [mean, syncs.quantile(0.5), syncs.quantile(0.99), syncs.max]
            .map(time)
            .join(", "),
    );
    drop(journal);
    std::fs::remove_dir_all(&path).ok();
}
