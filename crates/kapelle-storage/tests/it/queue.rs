//! The store's promises on a backend in memory: reads look through the queue, cuts are whole, errors close it.

use kapelle_storage::{
    position::{Chain, Sequence},
    store::{
        Blob, BlobKey, BlobWrite, Cut, DirectStore, Error, Limits, Loss, Manifest, MemBackend,
        PayloadKey, QueuedStore, Store, Ticket,
    },
};
use std::{collections::BTreeMap, ops::Bound};

fn queued(backend: &MemBackend) -> QueuedStore<MemBackend> {
    QueuedStore::start(backend.clone(), Limits::default(), Box::new(|| {})).unwrap()
}

pub(crate) fn put(instance: u64, position: u64, bytes: &[u8]) -> BlobWrite {
    BlobWrite {
        key: BlobKey::root(instance),
        position: Sequence(position),
        bytes: Some(bytes.to_vec()),
    }
}

pub(crate) fn delete(instance: u64, position: u64) -> BlobWrite {
    BlobWrite {
        bytes: None,
        ..put(instance, position, b"")
    }
}

pub(crate) fn cut(applied: u64, changes: &[(&str, Option<&str>)]) -> Cut {
    let changes: BTreeMap<_, _> = changes
        .iter()
        .map(|(key, value)| {
            (
                key.as_bytes().to_vec(),
                value.map(|value| value.as_bytes().to_vec()),
            )
        })
        .collect();
    Cut::new(Sequence(applied), changes)
}

pub(crate) fn manifest(replay_from: u64) -> Manifest {
    Manifest {
        replay_from: Sequence(replay_from),
        cut: Sequence(replay_from),
        max_position: Sequence(replay_from),
        chain: Chain(replay_from),
        lineage: 42,
        record_format: 1,
        semantics: 1,
    }
}

pub(crate) fn scan(store: &dyn Store, from: Bound<&[u8]>, to: Bound<&[u8]>) -> String {
    let entries: Vec<_> = store
        .index_scan(from, to)
        .unwrap()
        .map(|entry| {
            let (key, value) = entry.unwrap();
            format!(
                "{}={}",
                String::from_utf8(key).unwrap(),
                String::from_utf8(value).unwrap()
            )
        })
        .collect();
    entries.join(" ")
}

pub(crate) fn scan_all(store: &dyn Store) -> String {
    scan(store, Bound::Unbounded, Bound::Unbounded)
}

/// The same calls on any store give the same answers.
pub(crate) fn behaves_like_a_store(store: &mut dyn Store) {
    assert_eq!(store.blob(BlobKey::root(1)).unwrap(), None);
    assert_eq!(store.applied().unwrap(), Sequence::START);
    assert_eq!(scan_all(store), "");
    store
        .write_blobs(vec![put(1, 5, b"one"), put(2, 5, b"two")])
        .unwrap();
    store
        .write_blobs(vec![put(1, 6, b"uno"), delete(2, 6), put(3, 6, b"")])
        .unwrap();
    let blob = |position, bytes: &[u8]| {
        Some(Blob {
            position: Sequence(position),
            bytes: bytes.to_vec(),
        })
    };
    assert_eq!(store.blob(BlobKey::root(1)).unwrap(), blob(6, b"uno"));
    assert_eq!(store.blob(BlobKey::root(2)).unwrap(), None);
    assert_eq!(store.blob(BlobKey::root(3)).unwrap(), blob(6, b""));
    assert_eq!(
        store
            .blob(BlobKey {
                instance: 1,
                part: 1
            })
            .unwrap(),
        None
    );

    store
        .apply_cut(cut(
            7,
            &[("b", Some("1")), ("d", Some("1")), ("", Some("0"))],
        ))
        .unwrap();
    store
        .apply_cut(cut(
            9,
            &[
                ("a", Some("2")),
                ("b", None),
                ("d", Some("2")),
                ("e", Some("2")),
            ],
        ))
        .unwrap();
    assert_eq!(store.applied().unwrap(), Sequence(9));
    assert_eq!(scan_all(store), "=0 a=2 d=2 e=2");
    assert_eq!(
        scan(store, Bound::Excluded(b"a"), Bound::Included(b"e")),
        "d=2 e=2"
    );
    assert_eq!(
        scan(store, Bound::Included(b"a"), Bound::Excluded(b"e")),
        "a=2 d=2"
    );
    assert_eq!(
        scan(store, Bound::Included(b"e"), Bound::Excluded(b"a")),
        ""
    );
    assert_eq!(scan(store, Bound::Included(b"f"), Bound::Unbounded), "");
    assert_eq!(store.index_get(b"d").unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.index_get(b"b").unwrap(), None);
    // What no cut speaks of, beside what one does.
    store.apply_cut(cut(10, &[("c", Some("3"))])).unwrap();
    assert_eq!(scan_all(store), "=0 a=2 c=3 d=2 e=2");

    let key = PayloadKey {
        sequence: Sequence(4),
        index: 1,
    };
    store
        .write_payloads(vec![(key, Some(vec![9; 100_000]))])
        .unwrap();
    assert_eq!(store.payload(key).unwrap(), Some(vec![9; 100_000]));
    store.write_payloads(vec![(key, None)]).unwrap();
    assert_eq!(store.payload(key).unwrap(), None);

    let ticket = store.write_manifest(manifest(8)).unwrap();
    store.wait(ticket).unwrap();
    assert!(store.completed().unwrap() >= ticket);
    assert_eq!(store.manifest(), Some(manifest(8)));
    // The older manifest may have to be used: its journal stays.
    let ticket = store.write_manifest(manifest(20)).unwrap();
    store.wait(ticket).unwrap();
    assert_eq!(store.manifest(), Some(manifest(20)));
    assert!(store.needed_from() <= Sequence(8));
    assert_eq!(store.backlog_bytes(), 0);
}

#[test]
fn a_direct_store_behaves() {
    behaves_like_a_store(&mut DirectStore::new(MemBackend::new()));
}

#[test]
fn a_queued_store_behaves() {
    for _ in 0..50 {
        behaves_like_a_store(&mut queued(&MemBackend::new()));
    }
}

#[test]
fn a_tiny_queue_makes_the_caller_wait_and_loses_nothing() {
    let backend = MemBackend::new();
    let limits = Limits {
        bytes_max: 200,
        jobs_max: 1,
    };
    let mut store = QueuedStore::start(backend, limits, Box::new(|| {})).unwrap();
    for n in 1..=200_u64 {
        store.write_blobs(vec![put(n, n, &[1; 300])]).unwrap();
        store
            .apply_cut(cut(n, &[(&n.to_string(), Some("x"))]))
            .unwrap();
    }
    assert_eq!(
        store.blob(BlobKey::root(1)).unwrap().unwrap().position,
        Sequence(1)
    );
    assert_eq!(store.applied().unwrap(), Sequence(200));
    assert_eq!(scan_all(&store).split(' ').count(), 200);
}

#[test]
fn of_two_writes_to_a_key_in_one_batch_the_last_counts() {
    let mut store = queued(&MemBackend::new());
    store
        .write_blobs(vec![
            put(1, 1, b"a"),
            put(1, 2, b"b"),
            delete(1, 3),
            put(1, 4, b"d"),
        ])
        .unwrap();
    assert_eq!(store.blob(BlobKey::root(1)).unwrap().unwrap().bytes, b"d");
}

#[test]
#[should_panic(expected = "went back")]
fn a_position_that_goes_back_is_a_fault() {
    // The writer thread stands in its first notification, so everything after stays in the queue.
    let (_end_of_pause, pause) = std::sync::mpsc::channel::<()>();
    let notify = Box::new(move || pause.recv().unwrap_or(()));
    let mut store = QueuedStore::start(MemBackend::new(), Limits::default(), notify).unwrap();
    let _dropped_before_the_store = _end_of_pause;
    let first = store.persist().unwrap();
    store.wait(first).unwrap();
    store.write_blobs(vec![put(1, 9, b"new")]).unwrap();
    assert_eq!(
        store.blob(BlobKey::root(1)).unwrap().unwrap().position,
        Sequence(9)
    );
    store.write_blobs(vec![put(1, 8, b"old")]).unwrap();
}

#[test]
fn reads_see_what_is_still_in_the_queue() {
    let (end_of_pause, pause) = std::sync::mpsc::channel::<()>();
    let notify = Box::new(move || pause.recv().unwrap_or(()));
    let backend = MemBackend::new();
    DirectStore::new(backend.clone())
        .apply_cut(cut(
            1,
            &[("a", Some("old")), ("b", Some("old")), ("d", Some("old"))],
        ))
        .unwrap();
    let mut store = QueuedStore::start(backend.clone(), Limits::default(), notify).unwrap();
    // Dropped before the store, so that a failure here does not wait for the thread for ever.
    let end_of_pause = end_of_pause;
    let first = store.persist().unwrap();
    store.wait(first).unwrap();
    store.write_blobs(vec![put(1, 2, b"queued")]).unwrap();
    store
        .apply_cut(cut(
            2,
            &[("a", None), ("b", Some("new")), ("c", Some("new"))],
        ))
        .unwrap();
    let last = store
        .apply_cut(cut(
            3,
            &[("a", Some("newest")), ("c", None), ("e", Some("newest"))],
        ))
        .unwrap();
    assert_eq!(scan_all(&store), "a=newest b=new d=old e=newest");
    assert_eq!(
        scan(&store, Bound::Excluded(b"a"), Bound::Excluded(b"e")),
        "b=new d=old"
    );
    assert_eq!(store.index_get(b"c").unwrap(), None);
    assert_eq!(store.applied().unwrap(), Sequence(3));
    assert_eq!(
        store.blob(BlobKey::root(1)).unwrap().unwrap().bytes,
        b"queued"
    );
    assert!(store.backlog_bytes() > 0);
    assert!(store.completed().unwrap() < last);
    // The backend has nothing of it yet.
    assert_eq!(
        scan_all(&DirectStore::new(backend.clone())),
        "a=old b=old d=old"
    );
    drop(end_of_pause);
    store.wait(last).unwrap();
    assert_eq!(
        scan_all(&DirectStore::new(backend)),
        "a=newest b=new d=old e=newest"
    );
}

#[test]
fn an_error_closes_the_store() {
    let backend = MemBackend::new();
    backend.fail_write(2);
    let mut store = queued(&backend);
    let first = store.write_blobs(vec![put(1, 1, b"a")]).unwrap();
    store.wait(first).unwrap();
    let second = store.write_blobs(vec![put(2, 2, b"b")]).unwrap();
    assert!(matches!(store.wait(second), Err(Error::Poisoned { .. })));
    assert!(matches!(
        store.blob(BlobKey::root(1)),
        Err(Error::Poisoned { .. })
    ));
    assert!(matches!(store.persist(), Err(Error::Poisoned { .. })));
    assert!(matches!(store.completed(), Err(Error::Poisoned { .. })));

    let backend = MemBackend::new();
    backend.fail_write(1);
    let mut store = DirectStore::new(backend);
    assert!(store.persist().is_err());
    assert!(matches!(store.applied(), Err(Error::Poisoned { .. })));
    assert!(matches!(store.wait(Ticket(1)), Err(Error::Poisoned { .. })));
}

#[test]
fn a_loss_of_power_takes_what_was_not_persisted_from_each_keyspace_separately() {
    let backend = MemBackend::new();
    let mut store = DirectStore::new(backend.clone());
    store.write_blobs(vec![put(1, 1, b"a")]).unwrap();
    store.apply_cut(cut(1, &[("k", Some("1"))])).unwrap();
    store.write_manifest(manifest(1)).unwrap();
    store.write_blobs(vec![put(1, 2, b"b")]).unwrap();
    store.write_blobs(vec![put(1, 3, b"c")]).unwrap();
    store.apply_cut(cut(3, &[("k", None)])).unwrap();
    backend.crash(Loss {
        blobs_kept: 1,
        ..Loss::default()
    });
    let store = DirectStore::new(backend);
    assert_eq!(store.blob(BlobKey::root(1)).unwrap().unwrap().bytes, b"b");
    assert_eq!(store.applied().unwrap(), Sequence(1));
    assert_eq!(scan_all(&store), "k=1");
    assert_eq!(store.manifest(), Some(manifest(1)));
}
