//! Checkpoints on the real disk, and the ways back from a store that does not open.

use crate::{
    queue::{behaves_like_a_store, cut, delete, manifest, put, scan_all},
    support::{Random, TempDir},
};
use kapelle_storage::{
    files::OsFiles,
    position::Sequence,
    store::{
        BlobKey, DirectStore, Error, FjallBackend, Limits, OpenReport, Options, QueuedStore, Store,
    },
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn open(dir: &Path) -> Result<(DirectStore<FjallBackend>, OpenReport), Error> {
    let (backend, report) = FjallBackend::open(OsFiles::shared(), dir, Options::default())?;
    Ok((DirectStore::new(backend), report))
}

fn reopen(dir: &Path) -> DirectStore<FjallBackend> {
    let (store, report) = open(dir).unwrap();
    assert_eq!(report, OpenReport::default());
    store
}

#[test]
fn a_store_in_fjall_behaves() {
    let dir = TempDir::new("behaves");
    behaves_like_a_store(&mut reopen(&dir.path().join("direct")));
    let (backend, _) = FjallBackend::open(
        OsFiles::shared(),
        &dir.path().join("queued"),
        Options::default(),
    )
    .unwrap();
    behaves_like_a_store(
        &mut QueuedStore::start(backend, Limits::default(), Box::new(|| {})).unwrap(),
    );
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let dir = TempDir::new("reopen");
    let mut store = reopen(dir.path());
    store
        .write_blobs(vec![put(1, 1, b"a"), put(2, 1, b"b")])
        .unwrap();
    store
        .apply_cut(cut(1, &[("x", Some("1")), ("y", Some("1"))]))
        .unwrap();
    store.write_manifest(manifest(1)).unwrap();
    store.write_blobs(vec![delete(1, 2)]).unwrap();
    store.apply_cut(cut(2, &[("x", None)])).unwrap();
    store.write_manifest(manifest(2)).unwrap();
    drop(store);
    let store = reopen(dir.path());
    assert_eq!(store.blob(BlobKey::root(1)).unwrap(), None);
    assert_eq!(store.blob(BlobKey::root(2)).unwrap().unwrap().bytes, b"b");
    assert_eq!(store.applied().unwrap(), Sequence(2));
    assert_eq!(scan_all(&store), "y=1");
    assert_eq!(store.manifest(), Some(manifest(2)));
}

#[test]
fn a_random_history_is_the_same_in_fjall_and_in_memory() {
    let dir = TempDir::new("random");
    let random = &mut Random(1);
    let mut blobs: BTreeMap<u64, (u64, Vec<u8>)> = BTreeMap::new();
    let mut index: BTreeMap<String, String> = BTreeMap::new();
    let mut store = Some(reopen(dir.path()));
    for position in 1..400 {
        let open = store.as_mut().unwrap();
        let instance = random.below(50);
        if random.below(4) == 0 {
            open.write_blobs(vec![delete(instance, position)]).unwrap();
            blobs.remove(&instance);
        } else {
            let bytes = vec![b'x'; random.below(3000) as usize];
            open.write_blobs(vec![put(instance, position, &bytes)])
                .unwrap();
            blobs.insert(instance, (position, bytes));
        }
        let key = format!("key {}", random.below(80));
        if random.below(3) == 0 {
            open.apply_cut(cut(position, &[(&key, None)])).unwrap();
            index.remove(&key);
        } else {
            let value = position.to_string();
            open.apply_cut(cut(position, &[(&key, Some(&value))]))
                .unwrap();
            index.insert(key, value);
        }
        if random.below(40) == 0 {
            open.write_manifest(manifest(position)).unwrap();
            open.keep_base().unwrap();
        }
        if random.below(40) == 0 {
            // fjall is asked to go before it is opened again: its lock is held by the value.
            drop(store.take());
            store = Some(reopen(dir.path()));
        }
    }
    let store = store.unwrap();
    for instance in 0..50 {
        let found = store.blob(BlobKey::root(instance)).unwrap();
        let found = found.map(|blob| (blob.position.0, blob.bytes));
        assert_eq!(found.as_ref(), blobs.get(&instance), "instance {instance}");
    }
    let expected: Vec<_> = index
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(scan_all(&store), expected.join(" "));
}

/// A store with three checkpoints; bases at the first and the second.
fn with_two_bases(dir: &Path) -> DirectStore<FjallBackend> {
    let mut store = reopen(dir);
    for position in 1..=3 {
        store
            .write_blobs(vec![put(1, position, format!("at {position}").as_bytes())])
            .unwrap();
        store
            .apply_cut(cut(position, &[("k", Some(&position.to_string()))]))
            .unwrap();
        store.write_manifest(manifest(position)).unwrap();
        if position < 3 {
            store.keep_base().unwrap();
        }
    }
    store
}

fn state(store: &dyn Store) -> String {
    let blob = store
        .blob(BlobKey::root(1))
        .unwrap()
        .map(|blob| String::from_utf8(blob.bytes).unwrap());
    format!(
        "{} | {} | {:?}",
        blob.unwrap_or_default(),
        scan_all(store),
        store.manifest().map(|manifest| manifest.replay_from.0)
    )
}

/// fjall's own log in the live directory.
fn log_file(dir: &Path) -> PathBuf {
    let mut logs: Vec<_> = fs::read_dir(dir.join("live"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    logs.sort();
    logs.pop().expect("fjall has a log")
}

/// A bit in the middle of the first entry: tried, fjall does not open then.
fn break_log(dir: &Path) {
    let path = log_file(dir);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 0x55;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_store_that_does_not_open_goes_back_to_its_last_base() {
    let dir = TempDir::new("base");
    let store = with_two_bases(dir.path());
    assert_eq!(store.needed_from(), Sequence(1));
    assert_eq!(state(&store), "at 3 | k=3 | Some(3)");
    drop(store);
    break_log(dir.path());
    let (mut store, report) = open(dir.path()).unwrap();
    let restored = report.restored.expect("the store was restored");
    assert_eq!(restored.base, Some(dir.path().join("base-2")));
    assert_eq!(restored.set_aside, Some(dir.path().join("broken-1")));
    assert!(restored.set_aside.unwrap().join("version").exists());
    assert_eq!(state(&store), "at 2 | k=2 | Some(2)");
    // It can be written again, and the newest value wins over what the base holds.
    store.write_blobs(vec![put(1, 4, b"at 4")]).unwrap();
    store.apply_cut(cut(4, &[("k", Some("4"))])).unwrap();
    store.write_manifest(manifest(4)).unwrap();
    assert_eq!(state(&store), "at 4 | k=4 | Some(4)");
    store.keep_base().unwrap();
    drop(store);
    let store = reopen(dir.path());
    assert_eq!(state(&store), "at 4 | k=4 | Some(4)");
    drop(store);
    // And the base itself was not touched by any of this: it serves again.
    fs::remove_dir_all(dir.path().join("base-3")).unwrap();
    fs::remove_dir_all(dir.path().join("live/keyspaces")).unwrap();
    let (store, report) = open(dir.path()).unwrap();
    assert_eq!(
        report.restored.unwrap().base,
        Some(dir.path().join("base-2"))
    );
    assert_eq!(state(&store), "at 2 | k=2 | Some(2)");
}

#[test]
fn a_damaged_last_base_leaves_the_one_before() {
    let dir = TempDir::new("older-base");
    drop(with_two_bases(dir.path()));
    break_log(dir.path());
    fs::remove_dir_all(dir.path().join("base-2/keyspaces/0")).unwrap();
    let (store, report) = open(dir.path()).unwrap();
    assert_eq!(
        report.restored.unwrap().base,
        Some(dir.path().join("base-1"))
    );
    assert_eq!(state(&store), "at 1 | k=1 | Some(1)");
}

#[test]
fn a_store_without_any_way_back_says_so_and_deletes_nothing() {
    let dir = TempDir::new("no-way-back");
    drop(with_two_bases(dir.path()));
    break_log(dir.path());
    for base in ["base-1", "base-2"] {
        fs::write(
            dir.path().join(base).join("keyspaces/0/current"),
            b"nonsense",
        )
        .unwrap();
    }
    let Err(error) = open(dir.path()) else {
        panic!("it opens");
    };
    assert_eq!(error.code(), "KAP-STO-32");
    assert!(
        error.to_string().contains("base-1 does not either"),
        "{error}"
    );
    assert!(dir.path().join("broken-1/version").exists());
    // Asked again it says the same.
    assert!(matches!(open(dir.path()), Err(Error::Unreadable { .. })));
}

#[test]
fn a_store_that_breaks_before_its_second_base_begins_anew_with_the_whole_journal() {
    let dir = TempDir::new("anew");
    let mut store = reopen(dir.path());
    store.write_blobs(vec![put(1, 1, b"a")]).unwrap();
    store.write_manifest(manifest(9)).unwrap();
    // So nothing of the journal may go.
    assert_eq!(store.needed_from(), Sequence(1));
    drop(store);
    break_log(dir.path());
    let (store, report) = open(dir.path()).unwrap();
    let restored = report.restored.unwrap();
    assert_eq!(
        (restored.base, restored.set_aside),
        (None, Some(dir.path().join("broken-1")))
    );
    assert_eq!(store.manifest(), None);
    assert_eq!(store.blob(BlobKey::root(1)).unwrap(), None);
}

#[test]
fn a_restore_that_was_interrupted_is_finished() {
    let dir = TempDir::new("interrupted");
    drop(with_two_bases(dir.path()));
    fs::rename(dir.path().join("live"), dir.path().join("broken-1")).unwrap();
    fs::create_dir(dir.path().join("half-made")).unwrap();
    fs::write(dir.path().join("half-made/version"), b"x").unwrap();
    let (store, report) = open(dir.path()).unwrap();
    assert_eq!(
        report.restored.unwrap().base,
        Some(dir.path().join("base-2"))
    );
    assert_eq!(state(&store), "at 2 | k=2 | Some(2)");
}

#[test]
fn bases_are_kept_two_at_a_time_and_say_what_they_need() {
    let dir = TempDir::new("two-bases");
    let mut store = reopen(dir.path());
    store.keep_base().unwrap();
    for position in (10..60).step_by(10) {
        store.write_blobs(vec![put(1, position, b"x")]).unwrap();
        store.write_manifest(manifest(position)).unwrap();
        store.keep_base().unwrap();
        let needed = if position == 10 { 1 } else { position - 10 };
        assert_eq!(store.needed_from(), Sequence(needed));
    }
    drop(store);
    let store = reopen(dir.path());
    assert_eq!(store.needed_from(), Sequence(40));
    let mut bases: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    bases.sort();
    assert_eq!(bases, ["base-4", "base-5", "live"]);
}

#[test]
fn a_base_is_whole_while_fjall_compacts() {
    let dir = TempDir::new("compacting");
    let options = Options {
        memtable_bytes: 64 << 10,
        ..Options::default()
    };
    let (backend, _) = FjallBackend::open(OsFiles::shared(), dir.path(), options).unwrap();
    let mut store = DirectStore::new(backend);
    let random = &mut Random(3);
    let mut newest = BTreeMap::new();
    for round in 1..=20_u64 {
        for _ in 0..10 {
            let writes: Vec<_> = (0..100)
                .map(|_| {
                    let instance = random.below(2000);
                    newest.insert(instance, round);
                    put(instance, round, &[round as u8; 200])
                })
                .collect();
            store.write_blobs(writes).unwrap();
        }
        store.write_manifest(manifest(round)).unwrap();
        store.keep_base().unwrap();
    }
    drop(store);
    break_log(dir.path());
    let (store, report) = open(dir.path()).unwrap();
    assert!(report.restored.is_some());
    for (instance, round) in newest {
        let blob = store
            .blob(BlobKey::root(instance))
            .unwrap()
            .expect("the blob is in the base");
        assert_eq!(
            (blob.position.0, blob.bytes),
            (round, vec![round as u8; 200])
        );
    }
}

#[test]
fn a_damaged_manifest_leaves_the_older_one() {
    let dir = TempDir::new("manifest");
    let mut store = reopen(dir.path());
    for position in 1..=3 {
        store.write_manifest(manifest(position)).unwrap();
    }
    drop(store);
    // The third is in the slot of odd numbers.
    let path = dir.path().join("live/manifest-1");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut store, report) = open(dir.path()).unwrap();
    assert_eq!(report.damaged_manifest, Some(path));
    assert_eq!(store.manifest(), Some(manifest(2)));
    store.write_manifest(manifest(4)).unwrap();
    drop(store);
    assert_eq!(reopen(dir.path()).manifest(), Some(manifest(4)));
}

#[test]
fn a_store_in_use_is_not_taken_for_damage() {
    let dir = TempDir::new("in-use");
    let store = reopen(dir.path());
    assert!(matches!(open(dir.path()), Err(Error::Backend { .. })));
    drop(store);
    reopen(dir.path());
}
