//! A random run of appends, trims, failed syncs, crashes of the process and losses of power with torn writes, against a
//! model: what was reported durable is there, what is there was submitted, and nothing old comes back.

use crate::support::{Random, append, open, read_all, segment, small, start};
use kapelle_storage::{
    files::{Crash, Files as _, MemFiles},
    journal::{BatchKind, DirectJournal, Error, Journal},
    position::Sequence,
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
struct Exercised {
    durable: u64,
    process_deaths: u64,
    power_losses: u64,
    failed: u64,
    lost: u64,
    died_announcing: u64,
    trims: u64,
}

struct Model {
    /// What was submitted under each sequence, by the history that is in force.
    submitted: BTreeMap<u64, Vec<u8>>,
    durable: Sequence,
    kept_from: Sequence,
}

fn run(seed: u64, steps: u64, exercised: &mut Exercised) {
    let random = &mut Random(seed);
    let disk = MemFiles::new();
    let mut model = Model {
        submitted: BTreeMap::new(),
        durable: Sequence::START,
        kept_from: Sequence(1),
    };
    let mut journal = Some(recover(&disk, &mut model, random, exercised));
    for step in 0..steps {
        let live = journal.as_mut().expect("a journal between steps");
        let alive = match random.below(20) {
            0 => trim(live, &mut model, random, exercised),
            1..=8 => live.complete().map(drop),
            9 if random.below(4) == 0 => {
                if random.below(2) == 0 {
                    disk.fail_sync(1);
                } else {
                    disk.fail_write(1);
                }
                live.complete().map(drop)
            }
            _ => submit(live, &mut model, random, step),
        };
        if let Ok(point) = live.durable() {
            exercised.durable += point.sequence.0 - model.durable.0.min(point.sequence.0);
            model.durable = model.durable.max(point.sequence);
        }
        exercised.failed += u64::from(alive.is_err());
        if alive.is_err() || random.below(25) == 0 {
            drop(journal.take());
            die(&disk, random, exercised);
            journal = Some(recover(&disk, &mut model, random, exercised));
        }
    }
}

fn die(disk: &MemFiles, random: &mut Random, exercised: &mut Exercised) {
    match random.below(3) {
        0 => {
            exercised.process_deaths += 1;
            disk.crash(Crash::Keep);
        }
        1 => {
            exercised.power_losses += 1;
            disk.crash(Crash::Lose);
        }
        _ => {
            exercised.power_losses += 1;
            disk.crash(Crash::Tear(random.next()));
        }
    }
}

fn submit(
    journal: &mut DirectJournal,
    model: &mut Model,
    random: &mut Random,
    step: u64,
) -> Result<(), Error> {
    let mut batch = journal.batch();
    for _ in 0..=random.below(3) {
        let mut record = format!("step {step} {} ", random.next()).into_bytes();
        record.resize(record.len() + random.below(7000) as usize, b'.');
        let sequence = batch.push(&record);
        model.submitted.insert(sequence.0, record);
    }
    journal.submit(batch).map(drop)
}

fn trim(
    journal: &mut DirectJournal,
    model: &mut Model,
    random: &mut Random,
    exercised: &mut Exercised,
) -> Result<(), Error> {
    exercised.trims += 1;
    let before = Sequence(random.below(model.durable.0 + 1)).max(model.kept_from);
    // A trim that fails may have trimmed.
    model.kept_from = before;
    journal.trim(before).map(drop)
}

/// Recovers, perhaps dying on the way a few times, and compares with the model.
fn recover(
    disk: &MemFiles,
    model: &mut Model,
    random: &mut Random,
    exercised: &mut Exercised,
) -> DirectJournal {
    loop {
        let opened = open(disk).unwrap_or_else(|error| panic!("the journal opens: {error}"));
        // Otherwise files would be left alone that nobody looks for.
        assert!(
            opened.report().damaged.is_empty(),
            "a crash damages no header"
        );
        compare(
            &read_all(&*opened.reader()).expect("all is readable"),
            opened.end().sequence,
            model,
            exercised,
        );
        match random.below(4) {
            0 => disk.fail_sync(1 + random.below(4)),
            1 => disk.fail_write(1 + random.below(4)),
            _ => {}
        }
        match opened.announce(random.next().into(), b"note") {
            Ok(announced) => {
                // Whatever it found is safe from here on, even if the process dies at once.
                let mut journal = DirectJournal::new(announced);
                // A fault that did not come due must not hit later, unexpected.
                disk.crash(Crash::Keep);
                model.durable = journal.durable().expect("just announced").sequence;
                model
                    .submitted
                    .retain(|sequence, _| *sequence < model.durable.0);
                return journal;
            }
            Err(_) => {
                exercised.died_announcing += 1;
                die(disk, random, exercised);
            }
        }
    }
}

fn compare(found: &[(u64, Vec<u8>)], end: Sequence, model: &mut Model, exercised: &mut Exercised) {
    assert!(
        end >= model.durable,
        "durable up to {}, found up to {end}",
        model.durable
    );
    for (sequence, record) in found {
        let submitted = model.submitted.get(sequence);
        assert!(
            submitted == Some(record),
            "record {sequence} was never submitted like this"
        );
    }
    let found: BTreeMap<u64, ()> = found.iter().map(|(sequence, _)| (*sequence, ())).collect();
    for sequence in model.submitted.keys() {
        let expected = *sequence >= model.kept_from.0 && *sequence <= model.durable.0;
        assert!(
            !expected || found.contains_key(sequence),
            "record {sequence} was durable and is gone"
        );
    }
    exercised.lost += model
        .submitted
        .keys()
        .filter(|sequence| **sequence > end.0)
        .count() as u64;
}

#[test]
fn what_was_durable_is_there_whatever_happens() {
    let mut exercised = Exercised::default();
    for seed in 0..150 {
        run(seed, 120, &mut exercised);
    }
    let Exercised {
        durable,
        process_deaths,
        power_losses,
        failed,
        lost,
        died_announcing,
        trims,
    } = exercised;
    // A campaign that exercised nothing proves nothing.
    assert!(durable > 5_000 && trims > 300, "{exercised:?}");
    assert!(process_deaths > 200 && power_losses > 400, "{exercised:?}");
    assert!(
        failed > 50 && lost > 100 && died_announcing > 50,
        "{exercised:?}"
    );
}

#[test]
fn the_campaign_sees_a_disk_that_lies() {
    // The same oracle over a disk that forgets a synced batch must fail, else it sees nothing.
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"kept"]);
    append(&mut journal, &[b"forgotten"]);
    let durable = journal.durable().unwrap().sequence;
    drop(journal);
    disk.tamper(&segment(1), |content| content[3 * 4096..].fill(0));
    let opened = open(&disk).unwrap();
    assert!(opened.end().sequence < durable);
    let reader = opened.reader();
    let mut cursor = reader.read_from(reader.first()).unwrap();
    assert_eq!(
        cursor.next_batch().unwrap().unwrap().kind,
        BatchKind::LeaderAnnounced
    );
    assert_eq!(small().partition, 1);
}

/// What a process has done that is killed while it makes a segment: the file is whole, its name is not durable yet.
#[test]
fn a_segment_whose_maker_was_killed_keeps_what_the_next_process_wrote() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"first"]);
    drop(journal);
    let file = disk.create(&segment(9)).unwrap();
    file.write_at(0, &vec![0; 64 << 10]).unwrap();
    file.sync().unwrap();
    disk.crash(Crash::Keep);
    let mut journal = start(&disk);
    for n in 0..3_u8 {
        append(&mut journal, &[&[n]]);
    }
    let durable = journal.durable().unwrap();
    drop(journal);
    disk.crash(Crash::Lose);
    let end = open(&disk).unwrap().end();
    assert!(end.sequence >= durable.sequence, "{end} < {durable}");
}
