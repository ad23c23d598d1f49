//! The thread around it all, over real files: nothing here depends on how long anything takes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kapelle_engine::command::{Command, CommandMeta, Deploy, Resource};
use kapelle_engine::ids::Sequence;
use kapelle_engine::response::Response;
use kapelle_runtime::clock::SystemClock;
use kapelle_runtime::effects::NoEffects;
use kapelle_runtime::partition::Partition;
use kapelle_runtime::reader::ReadError;
use kapelle_runtime::shell::{Inbox, spawn};
use kapelle_runtime::{Health, Open, OpenError, Options, PartitionHandle, Refusal, Reply, open};
use kapelle_storage::files::MemFiles;
use kapelle_storage::journal::{self, ThreadedJournal};
use kapelle_storage::store::{Limits, MemBackend, QueuedStore};

use crate::world::*;

/// Long enough that only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("kapelle-runtime-{}-{number}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        Self(path)
    }

    fn open(&self, options: Options) -> Open {
        open(&self.0, options, NoEffects)
            .unwrap_or_else(|error| panic!("{}: {error}", error.code()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn options() -> Options {
    // A test machine's disk may be as full as it likes.
    Options {
        disk_soft_limit_bytes: 0,
        ..Options::default()
    }
}

fn submit(handle: &PartitionHandle, command: Command) -> mpsc::Receiver<Reply> {
    let (sender, receiver) = mpsc::channel();
    let reply = Box::new(move |reply| sender.send(reply).unwrap_or(()));
    handle
        .submit(command, CommandMeta::default(), reply)
        .expect("the queue has room");
    receiver
}

fn ask(handle: &PartitionHandle, command: Command) -> Reply {
    submit(handle, command)
        .recv_timeout(HANG)
        .expect("an answer")
}

fn deploy(handle: &PartitionHandle) {
    let resource = Resource {
        name: "order.bpmn".into(),
        bytes: order_xml().into(),
    };
    ask(
        handle,
        Command::Deploy(Deploy {
            tenant: TENANT.into(),
            resources: vec![resource],
        }),
    )
    .expect("accepted");
}

#[test]
fn clients_on_many_threads_are_all_answered_and_a_restart_knows_all_of_it() {
    let directory = Directory::new();
    let opened = directory.open(options());
    deploy(&opened.handle);
    let created: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let handle = opened.handle.clone();
                scope.spawn(move || {
                    let replies: Vec<_> = (0..100)
                        .map(|n| submit(&handle, create(&format!("c{client}-{n}"))))
                        .collect();
                    replies
                        .into_iter()
                        .filter(|reply| reply.recv_timeout(HANG).expect("an answer").is_ok())
                        .count()
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("no panic"))
            .sum()
    });
    assert_eq!(created, 800);
    assert_eq!(opened.handle.health(), Health::Ready);
    let committed = opened.handle.committed();
    assert!(opened.handle.wait_committed(committed, HANG));
    opened.handle.shutdown();
    assert!(matches!(opened.handle.health(), Health::Stopped { .. }));
    assert!(matches!(
        ask(&opened.handle, create("late")),
        Err(Refusal::Unavailable { .. })
    ));
    drop(opened);

    let again = directory.open(options());
    assert_eq!(
        again.handle.metrics().recovery_records.get(),
        0,
        "the shutdown wrote a checkpoint"
    );
    match ask(&again.handle, activate(1_000)) {
        Ok(Response::JobsActivated(jobs)) => assert_eq!(jobs.len(), 800),
        other => panic!("not activated: {other:?}"),
    }
}

#[test]
fn a_directory_has_one_owner() {
    let directory = Directory::new();
    let opened = directory.open(options());
    match open(&directory.0, options(), NoEffects) {
        Err(error @ OpenError::Directory(_)) => assert_eq!(error.code(), "KAP-STO-02"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a second owner"),
    }
    drop(opened);
    directory.open(options());
}

#[test]
fn a_full_queue_refuses_at_once_and_reads_wait_for_durability() {
    let directory = Directory::new();
    let opened = directory.open(Options {
        queue_max: 4,
        ..options()
    });
    // The writer stands in this read until it is told to go on.
    let (go_on, gate) = mpsc::channel::<()>();
    let (standing, stands) = mpsc::channel();
    let (seen, sees) = mpsc::channel();
    let read = opened.handle.read(
        move |_| {
            standing.send(()).unwrap_or(());
            gate.recv().unwrap_or(());
            7
        },
        move |found| seen.send(found).unwrap_or(()),
    );
    read.expect("the queue has room");
    stands.recv_timeout(HANG).expect("the writer reads");
    let waiting: Vec<_> = (0..4)
        .map(|n| submit(&opened.handle, create(&format!("order-{n}"))))
        .collect();
    let refused = opened.handle.submit(
        create("one-more"),
        CommandMeta::default(),
        Box::new(|_| panic!("not taken")),
    );
    assert!(refused.is_err());
    go_on.send(()).expect("the writer waits");
    assert_eq!(sees.recv_timeout(HANG), Ok(Some(7)));
    for reply in waiting {
        let reply = reply.recv_timeout(HANG).expect("an answer");
        assert!(
            matches!(reply, Err(Refusal::Rejected(_))),
            "nothing is deployed: {reply:?}"
        );
    }
}

#[test]
fn a_reader_follows_the_writer() {
    let directory = Directory::new();
    let opened = directory.open(options());
    let mut reader = opened
        .handle
        .subscribe("history", Sequence(1))
        .expect("nothing was trimmed");
    deploy(&opened.handle);
    let mut records = Vec::new();
    while !records
        .iter()
        .any(|record: &kapelle_runtime::reader::CommittedRecord| {
            matches!(
                record.event,
                kapelle_engine::event::Event::ProcessDeployed(_)
            )
        })
    {
        assert!(reader.wait(HANG), "something is committed");
        records.extend(reader.poll(1_000).expect("readable"));
    }
    reader.release(reader.position());
}

/// The threads of production over disks in memory, which can be told to fail.
fn over_memory(files: &MemFiles) -> PartitionHandle {
    let inbox = Arc::new(Inbox::new(1_000));
    let wake = || {
        let inbox = Arc::clone(&inbox);
        Box::new(move || inbox.synced())
    };
    let opened = journal::open(
        files.shared(),
        Path::new("/journal"),
        journal::Options::default(),
        None,
    );
    let announced = opened
        .expect("the journal opens")
        .announce(1, &[])
        .expect("the leader is announced");
    let journal = ThreadedJournal::start(announced, wake()).expect("threads start");
    let store =
        QueuedStore::start(MemBackend::new(), Limits::default(), wake()).expect("threads start");
    let (streams, metrics) = (Arc::default(), Arc::default());
    let partition = Partition::start(
        journal,
        store,
        SystemClock::new(),
        options(),
        streams,
        metrics,
    );
    spawn(
        partition.expect("an empty disk starts"),
        inbox,
        NoEffects,
        None,
    )
    .expect("threads start")
}

#[test]
fn a_failed_sync_stops_the_partition_and_everyone_is_told() {
    let files = MemFiles::new();
    let handle = over_memory(&files);
    deploy(&handle);
    ask(&handle, create("before")).expect("created");
    let mut reader = handle
        .subscribe("history", Sequence(1))
        .expect("nothing was trimmed");
    // A segment that is being prepared may meet the failure first, and is then made later.
    let unknown = (0..1_000).any(|n| {
        files.fail_sync(1);
        let replies: Vec<_> = (0..5)
            .map(|m| submit(&handle, create(&format!("order-{n}-{m}"))))
            .collect();
        let replies: Vec<_> = replies
            .iter()
            .map(|reply| reply.recv_timeout(HANG).expect("an answer"))
            .collect();
        matches!(replies.last(), Some(Err(Refusal::Unavailable { .. })))
    });
    assert!(unknown, "a failed sync is never seen");
    assert!(matches!(
        ask(&handle, create("after")),
        Err(Refusal::Unavailable { .. })
    ));
    assert!(matches!(handle.health(), Health::Stopped { .. }));
    assert!(
        !handle.wait_committed(Sequence(handle.committed().0 + 1), HANG),
        "it does not wait for what never comes"
    );
    let told = loop {
        match reader.poll(1_000) {
            Ok(_) => assert!(reader.wait(HANG), "woken by the end"),
            Err(told) => break told,
        }
    };
    assert!(matches!(told, ReadError::Stopped { .. }), "{told}");
    handle.shutdown();
}
