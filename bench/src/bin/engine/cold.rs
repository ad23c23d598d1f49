//! What a command costs whose instance is only on disk, and what it costs those behind it.
//!
//! The writer loads while it decides. Whether it should rather go on with other commands meanwhile depends on three
//! figures: a load with the page cache warm and cold, the delay of what stands behind, and how much many threads can read
//! at once.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kapelle_bench::{Arguments, say, thread_cpu, time};
use kapelle_engine::command::{Command, CommandMeta, PublishMessage};
use kapelle_engine::document::Document;
use kapelle_engine::response::Response;
use kapelle_runtime::open::recover;
use kapelle_runtime::partition::Request;
use kapelle_storage::files::OsFiles;
use kapelle_storage::store::{Backend, BlobKey, FjallBackend, Options as StoreOptions};

use crate::{Driver, TENANT, WAITING, ask, create, deploy, options};

/// Every so many commands one needs the disk: a server with a few old instances among many young ones.
const ONE_IN: u64 = 20;

pub fn run(arguments: &Arguments) {
    let path = arguments.directory("cold");
    let instances = arguments.get("instances", 500_000_u64);
    let messages = arguments.get("messages", 20_000_u64);
    let drop_caches = arguments.get("drop-caches", 0_u8) == 1;
    let started = Instant::now();
    let keys = fill(arguments, &path, instances);
    say("instances on disk", keys.len());
    say("filled in", time(started.elapsed()));

    // Each round has instances of its own: none is met twice.
    let mut order = Shuffled::new(instances);
    reads(&path, &keys, &mut order, messages, drop_caches);
    for (what, one_in) in [("only cold", 1), ("one in 20 cold", ONE_IN)] {
        before_measuring(drop_caches);
        let cold = messages / one_in;
        let chosen: Vec<u64> = order.by_ref().take(cold as usize).collect();
        commands(arguments, &path, what, one_in, &chosen);
    }
    std::fs::remove_dir_all(&path).ok();
}

/// Makes instances that wait and brings them all to disk; their keys in the order of making.
fn fill(arguments: &Arguments, path: &Path, instances: u64) -> Vec<u64> {
    let recovered = recover(path, options(arguments)).expect("an empty directory opens");
    let mut driver = Driver::new(recovered.partition);
    deploy(&mut driver, WAITING);
    let (sender, created) = mpsc::channel();
    let payload = arguments.get("payload", 500);
    let mut made = 0;
    while made < instances {
        driver.step(|| {
            made += 1;
            let sender = sender.clone();
            (made <= instances).then(|| Request::Command {
                command: create(made, payload),
                meta: CommandMeta::default(),
                reply: Box::new(move |reply| {
                    if let Ok(Response::InstanceCreated(created)) = reply {
                        sender.send(created.instance.0).ok();
                    }
                }),
            })
        });
    }
    driver.finish();
    driver.partition.checkpoint();
    while !driver.partition.is_checkpointed() {
        driver.step(|| None);
    }
    created.try_iter().collect()
}

/// The store alone: what 1 … 32 threads get out of it.
fn reads(path: &Path, keys: &[u64], order: &mut Shuffled, count: u64, drop_caches: bool) {
    for threads in [1_usize, 2, 4, 8, 32] {
        before_measuring(drop_caches);
        let (backend, _) =
            FjallBackend::open(OsFiles::shared(), &store_of(path), StoreOptions::default())
                .expect("the store opens");
        let chosen: Vec<u64> = order
            .by_ref()
            .take(count as usize)
            .filter_map(|place| keys.get(place as usize).copied())
            .collect();
        let started = Instant::now();
        std::thread::scope(|scope| {
            for part in chosen.chunks(chosen.len().div_ceil(threads).max(1)) {
                let backend = &backend;
                scope.spawn(move || {
                    for key in part {
                        let blob = backend.blob(BlobKey::root(*key)).expect("it can be read");
                        assert!(blob.is_some(), "instance {key} is in the store");
                    }
                });
            }
        });
        let spent = started.elapsed();
        say(
            &format!("blobs read/s by {threads} threads"),
            format!(
                "{:.0}, {} each",
                chosen.len() as f64 / spent.as_secs_f64(),
                time(spent * threads as u32 / chosen.len() as u32)
            ),
        );
    }
}

/// Messages for the chosen instances, one in `one_in` commands; the others make instances.
fn commands(arguments: &Arguments, path: &Path, what: &str, one_in: u64, chosen: &[u64]) {
    let recovered = recover(path, options(arguments)).expect("it opens again");
    let mut driver = Driver::new(recovered.partition);
    driver.finish();
    let loads = driver.partition.metrics().loads.get();
    let total = chosen.len() as u64 * one_in;
    let mut cold = chosen.iter();
    let mut asked = 0;
    let mut last: Option<(bool, Instant)> = None;
    let mut taken = [Vec::new(), Vec::new()];
    let (started, cpu) = (Instant::now(), thread_cpu());
    while asked < total {
        driver.step(|| {
            // The writer comes back for the next one when it has decided the one before.
            let now = Instant::now();
            if let Some((was_cold, since)) = last.take() {
                taken[usize::from(was_cold)].push(now - since);
            }
            if asked == total {
                return None;
            }
            asked += 1;
            let is_cold = asked % one_in == 0;
            let command = if is_cold {
                paid(*cold.next()?)
            } else {
                create(1_000_000_000 + asked, 500)
            };
            last = Some((is_cold, Instant::now()));
            Some(ask(command))
        });
        // What follows a step is not the last command's.
        last = None;
    }
    driver.finish();
    let spent = started.elapsed();
    say(
        &format!("{what}: commands/s"),
        format!("{:.0}", total as f64 / spent.as_secs_f64()),
    );
    say(
        "  writer's CPU a command",
        format!(
            "{:.1} µs",
            1e6 * (thread_cpu() - cpu).as_secs_f64() / total as f64
        ),
    );
    for (which, times) in ["hot", "cold"].iter().zip(&mut taken) {
        times.sort_unstable();
        if !times.is_empty() {
            let at = |share: f64| time(times[((times.len() - 1) as f64 * share) as usize]);
            say(
                &format!("  {which}: p50, p99, p99.9, max"),
                [0.5, 0.99, 0.999, 1.0].map(at).join(", "),
            );
        }
    }
    say(
        "  instances loaded",
        driver.partition.metrics().loads.get() - loads,
    );
    driver.partition.checkpoint();
    while !driver.partition.is_checkpointed() {
        driver.step(|| None);
    }
}

fn paid(number: u64) -> Command {
    Command::PublishMessage(PublishMessage {
        tenant: TENANT.into(),
        name: "paid".into(),
        correlation_key: format!("order-{}", number + 1).into(),
        message_id: "".into(),
        ttl_ms: 0,
        variables: Document::empty(),
    })
}

fn before_measuring(drop_caches: bool) {
    if drop_caches {
        // What is dirty cannot be dropped.
        let synced = std::process::Command::new("sync").status();
        assert!(synced.is_ok_and(|status| status.success()), "sync runs");
        std::fs::write("/proc/sys/vm/drop_caches", "3").expect("root may drop caches");
    }
    std::thread::sleep(Duration::from_millis(200));
}

fn store_of(path: &Path) -> PathBuf {
    let partitions = std::fs::read_dir(path).expect("the data directory is there");
    partitions
        .flatten()
        .map(|entry| entry.path().join("store"))
        .find(|store| store.is_dir())
        .expect("a partition has a store")
}

/// Every number below `count` once, in an order that is the same in every run and has no neighbours in a row.
struct Shuffled {
    next: u64,
    count: u64,
}

impl Shuffled {
    fn new(count: u64) -> Self {
        Self { next: 0, count }
    }
}

impl Iterator for Shuffled {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        // A prime that divides no count anyone measures with.
        const STRIDE: u64 = 982_451_653;
        let number = (self.next.checked_mul(STRIDE)?) % self.count;
        self.next += 1;
        (self.next <= self.count).then_some(number)
    }
}
