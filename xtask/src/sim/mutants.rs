//! Known ways to break the code, each of which the simulator has to find.
//!
//! A mutant is a replacement of text in a copy of the sources, so the working tree is never touched. One whose text is
//! no longer there fails the check: the code has moved on, and so must the mutant.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

/// How a mutant is hunted.
struct Hunt {
    profile: &'static str,
    /// Where cargo puts what that profile builds.
    folder: &'static str,
    /// Time that the campaign has.
    seconds: &'static str,
}

/// Most are found within ten runs, and most of the time is spent in the compiler: first without optimisation. The rarest need
/// some three hundred runs.
const HUNTS: [Hunt; 2] = [
    Hunt {
        profile: "dev",
        folder: "debug",
        seconds: "45",
    },
    Hunt {
        profile: "sim",
        folder: "sim",
        seconds: "180",
    },
];

/// What is shown of a finding: some print a whole command.
const FINDING_CHARS: usize = 200;

/// One way to break the code.
struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

/// Beside each name: what goes wrong. Paths are below `crates/`.
const MUTANTS: [Mutant; 39] = [
    // The journal says that it is durable and is not.
    Mutant {
        name: "no-sync",
        file: "crates/kapelle-storage/src/journal/segment.rs",
        from: r#"self.file.sync().attempt("sync", &self.path)"#,
        to: "Ok(())",
    },
    // Answers and effects leave early.
    Mutant {
        name: "answer-before-commit",
        file: "crates/kapelle-runtime/src/partition.rs",
        from: "&& *needs <= durable",
        to: "&& *needs <= Sequence(durable.0 + 50)",
    },
    // A read of what was lost is shown.
    Mutant {
        name: "answer-after-stop",
        file: "crates/kapelle-runtime/src/partition.rs",
        from: "Outgoing::Read(then) => then(false),",
        to: "Outgoing::Read(then) => then(true),",
    },
    // The store is ahead of what is durable.
    Mutant {
        name: "store-before-journal",
        file: "crates/kapelle-runtime/src/partition/checkpoint.rs",
        from: "&& pending.at().sequence.0 <= durable.0",
        to: "&& pending.at().sequence.0 <= durable.0 + 1_000",
    },
    // Dirty instances do not hold the tail.
    Mutant {
        name: "late-position",
        file: "crates/kapelle-runtime/src/partition/checkpoint.rs",
        from: "[dirt, leftover].into_iter()",
        to: "[dirt.filter(|_| false), leftover].into_iter()",
    },
    // Follow-ups do not hold the tail.
    Mutant {
        name: "forgotten-follow-ups",
        file: "crates/kapelle-runtime/src/partition/checkpoint.rs",
        from: "[dirt, leftover].into_iter()",
        to: "[dirt, leftover.filter(|_| false)].into_iter()",
    },
    // The journal is trimmed up to the cut.
    Mutant {
        name: "trim-too-far",
        file: "crates/kapelle-runtime/src/partition/checkpoint.rs",
        from: "let needed = Sequence(self.keep.store().needed_from().0);",
        to: "let needed = Sequence(self.checkpoints.cut.0 + 1);",
    },
    // The journal grows for ever.
    Mutant {
        name: "never-trim",
        file: "crates/kapelle-runtime/src/partition/checkpoint.rs",
        from: ".trim(StoredSequence(kept.0))",
        to: ".trim(StoredSequence(kept.0.min(1)))",
    },
    // A record's repeats are looked for a byte too early.
    Mutant {
        name: "neighbour-of-a-copy",
        file: "crates/kapelle-runtime/src/record/copies.rs",
        from: "(repeat.from - literal.record_at) as u64",
        to: "(repeat.from - literal.record_at - 1) as u64",
    },
    // Instances get again what they have.
    Mutant {
        name: "double-apply",
        file: "crates/kapelle-runtime/src/partition/recover.rs",
        from: "there && self.keep.stored(key).is_none_or(|stored| sequence > stored)",
        to: "there",
    },
    // Indexes get again what they have.
    Mutant {
        name: "double-apply-indexes",
        file: "crates/kapelle-runtime/src/partition/recover.rs",
        from: "indexes: all.indexes && sequence > self.cut,",
        to: "indexes: all.indexes,",
    },
    // The first event after a cut is lost to the indexes.
    Mutant {
        name: "skipped-record",
        file: "crates/kapelle-runtime/src/partition/recover.rs",
        from: "indexes: all.indexes && sequence > self.cut,",
        to: "indexes: all.indexes && sequence.0 > self.cut.0 + 2,",
    },
    // What is done is done again after a start.
    Mutant {
        name: "follow-up-twice",
        file: "crates/kapelle-runtime/src/partition/recover.rs",
        from: "self.leftovers.remove(&done);",
        to: "let _ = done;",
    },
    // Memory forgets what the store does not have.
    Mutant {
        name: "evict-dirty",
        file: "crates/kapelle-runtime/src/keep/cache.rs",
        from: "slot.stored.is_some() && slot.dirty_since.is_none() && slot.parked.is_none()",
        to: "slot.stored.is_some() && slot.parked.is_none()",
    },
    // Deletions do not reach the store.
    Mutant {
        name: "fresh-for-ever",
        file: "crates/kapelle-runtime/src/keep/overlay.rs",
        from: "Some(word) if word.fresh => {",
        to: "Some(word) if word.fresh || word.value.is_some() => {",
    },
    // Time goes back behind the last record.
    Mutant {
        name: "wall-clock-back",
        file: "crates/kapelle-runtime/src/clock.rs",
        from: "Some(last) => (wall_ms.max(last.0), None),",
        to: "Some(_) => (wall_ms, None),",
    },
    // A start makes the fresh segment count before the tail in it is safe.
    Mutant {
        name: "tail-after-header",
        file: "crates/kapelle-storage/src/journal/recover.rs",
        from: ".attempt(\"write\", &file.path)?;\n        file.sync()?;",
        to: ".attempt(\"write\", &file.path)?;",
    },
    // Journal and store of two histories are taken for one.
    Mutant {
        name: "other-history",
        file: "crates/kapelle-storage/src/journal/recover.rs",
        from: "if point.sequence == Sequence::START {",
        to: "if point.sequence >= Sequence::START {",
    },
    // What was interrupted is not taken up when its incident is resolved: a token is lost.
    Mutant {
        name: "interrupted-step-lost",
        file: "crates/kapelle-engine/src/problem.rs",
        from: ".filter(|held| held.incident == incident.key)",
        to: ".filter(|_| false)",
    },
    // An instance that is set aside goes on with what was left over.
    Mutant {
        name: "goes-on-aside",
        file: "crates/kapelle-engine/src/step.rs",
        from: "if let Some((instance, incident)) = held_up(ctx, &step) {",
        to: "if let Some((instance, incident)) = held_up(ctx, &step).filter(|_| false) {",
    },
    // What a process publishes never leaves.
    Mutant {
        name: "lost-outbox-entry",
        file: "crates/kapelle-engine/src/apply/outbox.rs",
        from: "keep.insert(&tables::outbox_pending(added.entry), &[]);",
        to: "",
    },
    // A CloudEvent that comes again has its effect again.
    Mutant {
        name: "skip-dedup",
        file: "crates/kapelle-engine/src/command/event_ingest.rs",
        from: "event.id().into());\n    if let Some(first) = dedup::find(ctx.keep(), identity) {",
        to: "event.id().into());\n    if let Some(first) = dedup::find(ctx.keep(), identity).filter(|_| false) {",
    },
    // A record that is no CloudEvent and comes again is kept again.
    Mutant {
        name: "skip-dedup-of-records",
        file: "crates/kapelle-engine/src/command/event_ingest.rs",
        from: "Arc::from(\"\"));\n    if let Some(first) = dedup::find(ctx.keep(), identity) {",
        to: "Arc::from(\"\"));\n    if let Some(first) = dedup::find(ctx.keep(), identity).filter(|_| false) {",
    },
    // The sweep of an old answer takes a new one with it.
    Mutant {
        name: "answer-swept",
        file: "crates/kapelle-engine/src/command/instance.rs",
        from: "if let Some(first) = outlived {",
        to: "if let Some(first) = outlived.filter(|_| false) {",
    },
    // A job stays available while a worker has it.
    Mutant {
        name: "job-for-two",
        file: "crates/kapelle-engine/src/apply/job.rs",
        from: "    if activated.was_available {\n        keep.delete(&available(job));\n    }\n",
        to: "",
    },
    // One timer of five never fires.
    Mutant {
        name: "lost-timer",
        file: "crates/kapelle-engine/src/apply/timer.rs",
        from: "keep.insert(&tables::due(due(timer)), &owner(timer).to_bytes());",
        to: "if timer.due.0 % 5 > 0 { keep.insert(&tables::due(due(timer)), &owner(timer).to_bytes()); }",
    },
    // A failed delivery counts as made.
    Mutant {
        name: "success-of-failure",
        file: "crates/kapelle-runtime/src/delivery.rs",
        from: "        if failure.permanent || attempts >= self.policy.attempts_max {",
        to: "        if !failure.permanent {\n            return self.succeeded(key, now);\n        }\n        if failure.permanent || attempts >= self.policy.attempts_max {",
    },
    // Deliveries of one key overtake each other.
    Mutant {
        name: "out-of-order",
        file: "crates/kapelle-runtime/src/delivery.rs",
        from: "        if queue.len() == 1 {",
        to: "        if !queue.is_empty() {",
    },
    // An exception points at what a loss of power has taken from the event store.
    Mutant {
        name: "exception-before-sync",
        file: "crates/kapelle-runtime/src/backbone/router.rs",
        from: "if self.is_dirty && checkpoints.iter().any(names_entries) {",
        to: "if self.is_dirty && checkpoints.iter().any(names_entries) && false {",
    },
    // The journal is let go behind what the event store has not synced.
    Mutant {
        name: "release-before-sync",
        file: "crates/kapelle-runtime/src/backbone/router.rs",
        from: "let last = self.store.write().sync()?;",
        to: "let last = self.store.read().last();",
    },
    // … or has not taken in.
    Mutant {
        name: "release-before-taking",
        file: "crates/kapelle-runtime/src/backbone/router.rs",
        from: "let complete = self.projection.complete(self.taken);",
        to: "let complete = self.projection.complete(Sequence(self.taken.0 + 40));",
    },
    // A subscriber's cursor passes what is still under way.
    Mutant {
        name: "cursor-before-delivery",
        file: "crates/kapelle-runtime/src/subscription.rs",
        from: ".map_or(self.read_to, |first| Sequence(first.0 - 1))",
        to: ".map_or(self.read_to, |_| self.read_to)",
    },
    // What is redriven is only in memory.
    Mutant {
        name: "redrive-not-kept",
        file: "crates/kapelle-runtime/src/backbone/memory.rs",
        from: "                    rows.exceptions.insert(at, exception);",
        to: "                    let _ = exception;",
    },
    // What waits behind a failure is passed and not kept.
    Mutant {
        name: "blocked-not-kept",
        file: "crates/kapelle-runtime/src/subscription.rs",
        from: "            self.unkept.remove(&position);\n            self.changes.put.insert(position);",
        to: "            self.unkept.remove(&position);",
    },
    // What is redriven or restored goes behind what is stored later.
    Mutant {
        name: "key-overtakes-itself",
        file: "crates/kapelle-runtime/src/subscription.rs",
        from: "        let place = lane.queue.partition_point(|other| *other < position);",
        to: "        let place = lane.queue.len().min(1);",
    },
    // A failed attempt is the last.
    Mutant {
        name: "failure-forgotten",
        file: "crates/kapelle-runtime/src/subscription.rs",
        from: "        self.put_back(attempt.position, now.plus_ms(delay_ms));\n        true",
        to: "        self.remove(attempt.position);\n        true",
    },
    // One that was deleted and made anew while nobody followed goes on where the one before was.
    Mutant {
        name: "subscriber-of-the-same-name",
        file: "crates/kapelle-runtime/src/backbone/router.rs",
        from: "Event::SubscriberDeleted { name, .. } if sequence > self.applied => {",
        to: "Event::SubscriberDeleted { name, .. } if sequence > self.applied.max(self.loaded) => {",
    },
    // A start tells the journal what it found, and it is in the page cache alone.
    Mutant {
        name: "no-sync-at-open",
        file: "crates/kapelle-storage/src/event_store/open.rs",
        from: "                write_again(&*file, &path, &block)?;",
        to: "                let _ = write_again;",
    },
    // The event store says that it is durable and is not.
    Mutant {
        name: "event-store-without-sync",
        file: "crates/kapelle-storage/src/event_store/open.rs",
        from: "        file.sync().map_err(Error::sync(path))?;",
        to: "",
    },
];

/// What the simulator is built of.
const CRATES: [&str; 7] = [
    "kapelle-feel",
    "kapelle-model",
    "kapelle-events",
    "kapelle-engine",
    "kapelle-storage",
    "kapelle-runtime",
    "kapelle-sim",
];

/// Checks all mutants, or those whose names are given.
pub(crate) fn check(root: &Path, names: &[String]) -> anyhow::Result<()> {
    let chosen: Vec<&Mutant> = MUTANTS
        .iter()
        .filter(|mutant| names.is_empty() || names.iter().any(|name| name == mutant.name))
        .collect();
    if chosen.is_empty() {
        bail!("there is no such mutant");
    }
    let copy = copy(root)?;
    // All that no longer apply are told before the hours of the others begin.
    let outdated: Vec<String> = chosen
        .iter()
        .filter_map(|mutant| applied(&copy, mutant).err())
        .map(|error| error.to_string())
        .collect();
    if !outdated.is_empty() {
        bail!("the code has moved on:\n{}", outdated.join("\n"));
    }
    let mut survivors = Vec::new();
    for mutant in &chosen {
        let began = Instant::now();
        let found = try_one(&copy, mutant)?;
        let finding = found.as_deref().unwrap_or("SURVIVED");
        println!(
            "{:<28} {:>4} s  {}",
            mutant.name,
            began.elapsed().as_secs(),
            finding.get(..FINDING_CHARS).unwrap_or(finding)
        );
        if found.is_none() {
            survivors.push(mutant.name);
        }
    }
    println!(
        "{} of {} mutants found",
        chosen.len() - survivors.len(),
        chosen.len()
    );
    if !survivors.is_empty() {
        bail!("not found: {}", survivors.join(", "));
    }
    Ok(())
}

/// Builds and runs one; the finding, if there was one.
fn try_one(copy: &Path, mutant: &Mutant) -> anyhow::Result<Option<String>> {
    let path = copy.join(mutant.file);
    let (original, broken) = applied(copy, mutant)?;
    std::fs::write(&path, broken)?;
    let mut found = Ok(None);
    for hunt in &HUNTS {
        found = build_and_run(copy, mutant, hunt);
        if !matches!(found, Ok(None)) {
            break;
        }
    }
    std::fs::write(&path, original)?;
    found
}

/// The file as it is and as the mutant has it.
fn applied(copy: &Path, mutant: &Mutant) -> anyhow::Result<(String, String)> {
    let original = std::fs::read_to_string(copy.join(mutant.file))?;
    let places = original.matches(mutant.from).count();
    anyhow::ensure!(
        places == 1,
        "mutant {}: its text is {places} times in {}",
        mutant.name,
        mutant.file
    );
    let broken = original.replacen(mutant.from, mutant.to, 1);
    Ok((original, broken))
}

/// That too little was exercised is no finding: a machine that has much to do exercises little of healthy code too.
fn build_and_run(copy: &Path, mutant: &Mutant, hunt: &Hunt) -> anyhow::Result<Option<String>> {
    let built = Command::new("cargo")
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target(copy))
        .stdin(Stdio::null())
        .args(["build", "--quiet", "--offline", "--profile", hunt.profile])
        .args(["--package", "kapelle-sim"])
        .output()?;
    anyhow::ensure!(
        built.status.success(),
        "mutant {} does not build:\n{}",
        mutant.name,
        String::from_utf8_lossy(&built.stderr)
    );
    let ran = Command::new(target(copy).join(hunt.folder).join("kapelle-sim"))
        .args(["--seconds", hunt.seconds])
        .output()?;
    let text = String::from_utf8_lossy(&ran.stdout);
    let finding = text
        .lines()
        .find(|line| line.starts_with("seed ") && line.contains(" fails: "));
    Ok(finding.map(str::to_owned))
}

/// The copy has a target directory of its own: a mutant must never be mistaken for the product.
fn target(copy: &Path) -> PathBuf {
    copy.join("target")
}

/// A workspace of the few crates in question.
fn copy(root: &Path) -> anyhow::Result<PathBuf> {
    let copy = root.join("target/sim-mutants");
    std::fs::create_dir_all(copy.join("crates"))?;
    for name in CRATES {
        copy_tree(
            &root.join("crates").join(name),
            &copy.join("crates").join(name),
        )?;
    }
    for file in [
        "Cargo.lock",
        "rust-toolchain.toml",
        "clippy.toml",
        "README.md",
    ] {
        std::fs::copy(root.join(file), copy.join(file))?;
    }
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let manifest = manifest.replace(
        r#"members = ["crates/*", "xtask"]"#,
        r#"members = ["crates/*"]"#,
    );
    std::fs::write(copy.join("Cargo.toml"), manifest)?;
    Ok(copy)
}

/// Copies what differs, so that cargo builds again only what changed.
fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in
        std::fs::read_dir(from).with_context(|| format!("failed to list {}", from.display()))?
    {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            let content = std::fs::read(&source)?;
            if std::fs::read(&target).ok().as_deref() != Some(&content) {
                std::fs::write(&target, content)?;
            }
        }
    }
    Ok(())
}
