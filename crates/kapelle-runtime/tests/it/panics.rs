//! A panic while deciding costs the command and sets its instance aside; a panic while replaying is not caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kapelle_engine::event::Event;
use kapelle_engine::rejection::RejectionCode;
use kapelle_runtime::{Options, Refusal};
use kapelle_storage::position::Sequence;
use kapelle_storage::store::{
    Backend, Blob, BlobKey, BlobWrite, Cut, Error, Manifest, MemBackend, PayloadKey, Scan,
};

use crate::world::*;

/// Panics when a certain blob is read while it is armed: stands for any fault of the engine on that instance.
#[derive(Clone, Default)]
struct Trap {
    inner: MemBackend,
    instance: Arc<AtomicU64>,
    shots: Arc<AtomicU64>,
}

impl Trap {
    fn arm(&self, instance: u64, shots: u64) {
        self.instance.store(instance, Ordering::SeqCst);
        self.shots.store(shots, Ordering::SeqCst);
    }
}

impl Backend for Trap {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error> {
        let armed = key.instance == self.instance.load(Ordering::SeqCst);
        if armed
            && self
                .shots
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |shots| {
                    shots.checked_sub(1)
                })
                .is_ok()
        {
            panic!("a simulated fault of the engine");
        }
        self.inner.blob(key)
    }
    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error> {
        self.inner.payload(key)
    }
    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.index_get(key)
    }
    fn index_scan(
        &self,
        from: std::ops::Bound<&[u8]>,
        to: std::ops::Bound<&[u8]>,
    ) -> Result<Scan<'_>, Error> {
        self.inner.index_scan(from, to)
    }
    fn applied(&self) -> Result<Sequence, Error> {
        self.inner.applied()
    }
    fn write_blobs(&self, writes: &[BlobWrite]) -> Result<(), Error> {
        self.inner.write_blobs(writes)
    }
    fn write_payloads(&self, writes: &[(PayloadKey, Option<Vec<u8>>)]) -> Result<(), Error> {
        self.inner.write_payloads(writes)
    }
    fn apply_cut(&self, cut: &Cut) -> Result<(), Error> {
        self.inner.apply_cut(cut)
    }
    fn persist(&self) -> Result<(), Error> {
        self.inner.persist()
    }
    fn write_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        self.inner.write_manifest(manifest)
    }
    fn keep_base(&self) -> Result<(), Error> {
        self.inner.keep_base()
    }
    fn manifest(&self) -> Option<Manifest> {
        self.inner.manifest()
    }
    fn needed_from(&self) -> Sequence {
        self.inner.needed_from()
    }
    fn health(&self) -> Result<(), Error> {
        self.inner.health()
    }
}

/// An instance that only the store has, with an activated job.
fn world() -> (
    World<Trap>,
    kapelle_engine::ids::ProcessInstanceKey,
    kapelle_engine::ids::JobKey,
) {
    let mut world = World::with_backend(
        Options {
            cache_bytes_max: 0,
            ..small()
        },
        Trap::default(),
    );
    world.deploy();
    let instance = world.create("order-1");
    let job = world.activate(1)[0];
    for id in 2..40 {
        world.create(&format!("order-{id}"));
    }
    (world, instance, job)
}

#[test]
fn the_command_is_refused_and_its_instance_set_aside() {
    let (mut world, instance, job) = world();
    world.backend.arm(instance.0, 1);
    let (before, before_slot) = request(create("order-100"));
    let (faulty, faulty_slot) = request(complete(job));
    let (after, after_slot) = request(create("order-101"));
    world
        .offer(vec![before, faulty, after])
        .expect("the partition lives on");
    assert!(
        before_slot.get().is_some_and(|reply| reply.is_ok()),
        "decided before: it stands"
    );
    assert!(
        after_slot.get().is_some_and(|reply| reply.is_ok()),
        "decided after: it stands"
    );
    match faulty_slot.get() {
        Some(Err(Refusal::Rejected(rejection))) => {
            assert_eq!(rejection.code, RejectionCode::ProcessingError)
        }
        other => panic!("not refused: {other:?}"),
    }
    let quarantined = world.events().into_iter().any(|(_, _, event)| {
        matches!(event, Event::InstanceQuarantined { instance: key, .. } if key == instance)
    });
    assert!(quarantined);
    world.assert_equals_model();
    world.start().expect("it starts again");
    world.assert_equals_model();
}

#[test]
fn a_fault_while_setting_aside_stops_the_partition() {
    let (mut world, instance, job) = world();
    world.backend.arm(instance.0, 2);
    let (faulty, slot) = request(complete(job));
    let stopped = world
        .offer(vec![faulty])
        .expect_err("nothing is left to try");
    assert!(
        stopped
            .reason
            .contains("a command of the partition's own failed"),
        "{stopped}"
    );
    assert!(world.step(&mut Vec::new()).is_err(), "it stays stopped");
    assert!(
        matches!(slot.get(), Some(Err(Refusal::Unavailable { .. }))),
        "{:?}",
        slot.get()
    );
}

#[test]
fn a_panic_while_replaying_is_not_caught() {
    let (mut world, instance, job) = world();
    world.ask(complete(job)).expect("the tail now speaks of it");
    world.partition = None;
    world.backend.arm(instance.0, 1);
    let started = catch_unwind(AssertUnwindSafe(|| world.start().map_err(drop)));
    assert!(started.is_err(), "it came through");
}
