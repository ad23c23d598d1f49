//! One owner, one format, room on the disk.

use crate::support::TempDir;
use expect_test::expect;
use kapelle_storage::{
    dir::{DataDir, Error, RoomLimits, RoomState},
    files::{Files, MemFiles, OsFiles},
    journal::{self, DirectJournal, Journal},
};
use std::path::Path;

const PATH: &str = "/data";

fn limits() -> RoomLimits {
    RoomLimits {
        low_bytes: 1 << 20,
        reserve_bytes: 256 << 10,
    }
}

fn open(disk: &MemFiles) -> Result<DataDir, Error> {
    DataDir::open(disk.shared(), Path::new(PATH), limits())
}

fn report(error: &Error) -> String {
    format!("{}: {error}", error.code()).replace(&std::process::id().to_string(), "PID")
}

fn write_format(disk: &MemFiles, text: &[u8]) {
    disk.tamper(&Path::new(PATH).join("FORMAT"), |content| {
        *content = text.to_vec()
    });
}

#[test]
fn a_directory_has_one_owner() {
    let disk = MemFiles::new();
    let first = open(&disk).unwrap();
    expect!["KAP-STO-02: data directory /data is in use by process PID; stop it, or choose another directory"].assert_eq(&report(&open(&disk).unwrap_err()));
    drop(first);
    open(&disk).unwrap();
}

#[test]
fn the_lock_of_the_real_disk_excludes_too() {
    let dir = TempDir::new("lock");
    let first = DataDir::open(OsFiles::shared(), dir.path(), limits()).unwrap();
    let second = DataDir::open(OsFiles::shared(), dir.path(), limits());
    let pid = std::process::id().to_string();
    assert!(matches!(second, Err(Error::InUse { pid: found, .. }) if found == pid));
    assert!(first.room().free_bytes().unwrap() > 0);
    drop(first);
    DataDir::open(OsFiles::shared(), dir.path(), limits()).unwrap();
}

#[test]
fn a_newer_directory_is_refused() {
    let disk = MemFiles::new();
    drop(open(&disk).unwrap());
    write_format(&disk, b"kapelle data directory, format 2\n");
    expect!["KAP-STO-03: data directory /data was written by a newer version (format 2, this program knows up to 1); start the newer version"].assert_eq(&report(&open(&disk).unwrap_err()));
}

#[test]
fn a_damaged_format_file_is_refused() {
    for text in [
        b"".as_slice(),
        b"kapelle",
        b"\xff\xfe",
        b"kapelle data directory, format x",
        &[b'x'; 5000],
    ] {
        let disk = MemFiles::new();
        drop(open(&disk).unwrap());
        write_format(&disk, text);
        assert!(
            matches!(open(&disk), Err(Error::Damaged { .. })),
            "{text:?}"
        );
    }
    let disk = MemFiles::new();
    drop(open(&disk).unwrap());
    write_format(&disk, b"kapelle");
    expect![[r#"KAP-STO-04: /data/FORMAT does not say "kapelle data directory, format N"; if the rest of the directory is in order, restore this file from a copy"#]].assert_eq(&report(&open(&disk).unwrap_err()));
}

#[test]
fn a_format_file_missing_beside_a_journal_is_damage() {
    let disk = MemFiles::new();
    let dir = open(&disk).unwrap();
    disk.create(&dir.journal(1).join("00000001.segment"))
        .unwrap();
    disk.remove(&Path::new(PATH).join("FORMAT")).unwrap();
    drop(dir);
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
}

#[test]
fn a_disk_that_fills_up_is_seen_before_it_hurts() {
    let disk = MemFiles::new();
    let dir = open(&disk).unwrap();
    disk.limit_space(Some(2 << 20));
    assert_eq!(dir.room().state().unwrap(), RoomState::Ample);
    disk.limit_space(Some((1 << 20) - 1));
    assert_eq!(dir.room().state().unwrap(), RoomState::Low);
}

#[test]
fn the_reserve_is_kept_only_where_there_is_room() {
    let disk = MemFiles::new();
    let dir = open(&disk).unwrap();
    let room = dir.room();
    disk.limit_space(Some(1 << 20));
    assert!(!room.keep_reserve().unwrap());
    disk.limit_space(Some(2 << 20));
    assert!(room.keep_reserve().unwrap());
    assert!(room.keep_reserve().unwrap());
    assert_eq!(room.free_bytes().unwrap(), (2 << 20) - (256 << 10));
    assert!(room.release_reserve().unwrap());
    assert!(!room.release_reserve().unwrap());
    assert_eq!(room.free_bytes().unwrap(), 2 << 20);
}

#[test]
fn the_journal_lives_on_the_reserve_when_the_disk_is_full() {
    let disk = MemFiles::new();
    let dir = open(&disk).unwrap();
    assert!(dir.room().keep_reserve().unwrap());
    let options = journal::Options {
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        ..journal::Options::default()
    };
    let opened = journal::open(
        disk.shared(),
        &dir.journal(1),
        options,
        Some(dir.room().clone()),
    )
    .unwrap();
    let mut journal = DirectJournal::new(opened.announce(1, b"").unwrap());
    disk.limit_space(Some(0));
    let mut written = 0;
    let error = loop {
        let mut batch = journal.batch();
        batch.push(b"x");
        journal.submit(batch).unwrap();
        match journal.complete() {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    // 14 more batches in the first segment, then the 256 KiB of the reserve: four segments of 15.
    assert_eq!(written, 14 + 4 * 15, "{error}");
}
