//! The model of the disk itself: a campaign proves as much as this is right.

use super::content::Bytes;
use super::disk::{Cut, Disk, Manner};
use super::trace::{Change, Record};
use crate::crash::random::Random;
use crate::server::TempDir;

fn disk(changes: &[Change]) -> Disk {
    let mut disk = Disk::default();
    for change in changes {
        let change = change.clone();
        disk.absorb(&Record {
            change,
            is_done: true,
        });
    }
    disk
}

fn create(path: &str, ino: u64) -> Change {
    Change::Opened {
        path: path.to_owned(),
        ino,
        created: true,
        emptied: false,
    }
}

fn open(path: &str, ino: u64) -> Change {
    Change::Opened {
        path: path.to_owned(),
        ino,
        created: false,
        emptied: false,
    }
}

fn write(ino: u64, offset: u64, text: &str) -> Change {
    Change::Write {
        ino,
        offset,
        bytes: Bytes::Data(text.as_bytes().into()),
    }
}

fn rename(from: &str, to: &str) -> Change {
    Change::Rename {
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

const fn sync(ino: u64) -> Change {
    Change::Sync {
        ino,
        data_only: true,
    }
}

/// Everything that a disk may hold after a cut, as sorted lines of `path=content`, from many seeds.
fn outcomes(disk: &Disk, manner: Manner) -> Vec<String> {
    let mut all: Vec<String> = (0..200)
        .map(|seed| {
            let (after, _) = disk.cut(manner, &mut Random::new(seed));
            let dir = TempDir::new();
            after.write_to(dir.path());
            let mut files: Vec<String> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let content = std::fs::read(entry.path()).unwrap();
                    let name = entry.file_name().into_string().unwrap();
                    format!(
                        "{name}={}",
                        String::from_utf8_lossy(&content).replace('\0', "0")
                    )
                })
                .collect();
            files.sort();
            files.join(" ")
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn what_was_synced_with_its_folder_survives_every_cut() {
    let changes = [
        open("", 1),
        create("a", 2),
        write(2, 0, "text"),
        sync(2),
        sync(1),
    ];
    for manner in [Manner::Strict, Manner::Ordered] {
        assert_eq!(outcomes(&disk(&changes), manner), ["a=text"]);
    }
}

#[test]
fn a_name_needs_its_folder_synced_where_the_file_system_is_strict() {
    let changes = [open("", 1), create("a", 2), write(2, 0, "text"), sync(2)];
    assert_eq!(outcomes(&disk(&changes), Manner::Strict), ["", "a=text"]);
    assert_eq!(outcomes(&disk(&changes), Manner::Ordered), ["a=text"]);
}

#[test]
fn what_was_not_synced_is_kept_lost_or_left_as_zeros() {
    let changes = [open("", 1), create("a", 2), sync(1), write(2, 0, "text")];
    assert_eq!(
        outcomes(&disk(&changes), Manner::Strict),
        ["a=", "a=0000", "a=text"]
    );
}

#[test]
fn writes_tear_at_the_borders_of_sectors() {
    let text = "x".repeat(1024);
    let changes = [
        open("", 1),
        create("a", 2),
        sync(1),
        write(2, 0, &"y".repeat(1024)),
        sync(2),
        write(2, 0, &text),
    ];
    let found = outcomes(&disk(&changes), Manner::Strict);
    let torn = format!("a={}{}", "x".repeat(512), "y".repeat(512));
    assert!(found.contains(&torn), "{found:?}");
    assert!(
        found.iter().all(|outcome| outcome.len() == 1026),
        "{found:?}"
    );
}

#[test]
fn a_rename_is_whole_and_may_be_lost() {
    let changes = [
        open("", 1),
        create("a", 2),
        write(2, 0, "old"),
        sync(2),
        sync(1),
        create("b", 3),
        write(3, 0, "new"),
        sync(3),
        rename("b", "a"),
    ];
    assert_eq!(
        outcomes(&disk(&changes), Manner::Ordered),
        ["a=new", "a=old b=new"]
    );
    assert_eq!(
        outcomes(&disk(&changes), Manner::Strict),
        ["a=new", "a=old", "a=old b=new"]
    );
    let synced: Vec<Change> = changes.into_iter().chain([sync(1)]).collect();
    assert_eq!(outcomes(&disk(&synced), Manner::Strict), ["a=new"]);
}

#[test]
fn names_change_in_order_where_the_file_system_is_ordered() {
    let changes = [open("", 1), create("a", 2), create("b", 3)];
    assert_eq!(
        outcomes(&disk(&changes), Manner::Ordered),
        ["", "a=", "a= b="]
    );
    assert_eq!(
        outcomes(&disk(&changes), Manner::Strict),
        ["", "a=", "a= b=", "b="]
    );
}

/// Nobody syncs a folder for a file that is found there: its name may still be that of a life that was killed.
#[test]
fn a_name_that_a_killed_life_left_unsynced_stays_so_until_its_folder_is_synced() {
    let mut disk = disk(&[open("", 1), create("a", 2)]);
    disk.begin_life();
    let absorb = |disk: &mut Disk, change| {
        disk.absorb(&Record {
            change,
            is_done: true,
        });
    };
    for change in [open("a", 7), write(7, 0, "text"), sync(7)] {
        absorb(&mut disk, change);
    }
    assert_eq!(outcomes(&disk, Manner::Promised), [""]);
    assert_eq!(outcomes(&disk, Manner::Strict), ["", "a=text"]);
    // As ext4 does it.
    assert_eq!(outcomes(&disk, Manner::Ordered), ["a=text"]);
    for change in [open("", 1), sync(1)] {
        absorb(&mut disk, change);
    }
    assert_eq!(outcomes(&disk, Manner::Promised), ["a=text"]);
}

#[test]
fn a_sync_that_had_not_ended_promises_nothing() {
    let mut disk = disk(&[open("", 1), create("a", 2), sync(1), write(2, 0, "text")]);
    disk.absorb(&Record {
        change: sync(2),
        is_done: false,
    });
    assert_eq!(outcomes(&disk, Manner::Strict), ["a=", "a=0000", "a=text"]);
}

#[test]
fn what_is_lost_is_counted() {
    let disk = disk(&[open("", 1), create("a", 2), write(2, 0, "text")]);
    let mut sum = Cut::default();
    for seed in 0..100 {
        sum.add(&disk.cut(Manner::Strict, &mut Random::new(seed)).1);
    }
    assert!(
        sum.names == 100 && (20..80).contains(&sum.lost_names),
        "{sum:?}"
    );
    assert!(
        sum.lost_writes > 5 && sum.lost_writes < sum.writes,
        "{sum:?}"
    );
}
