//! CloudEvents on their way to subscribers, across failures of the disk and loss of power.

use std::path::Path;
use std::sync::Arc;

use kapelle_engine::command::{Arrival, Command, IngestEvents, PutSubscriber, SettleDeadLetters};
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::pending;
use kapelle_events::CloudEvent;
use kapelle_runtime::backbone::{self, Delivery, MemLedger, Options, READER, Router, SharedStore};
use kapelle_runtime::delivery::Failure;
use kapelle_storage::event_store::{self, EventStore};
use kapelle_storage::files::{Crash, MemFiles};

use crate::world::{TENANT, World, small};

/// Its disks outlive the process.
struct Backbone {
    world: World,
    files: MemFiles,
    ledger: MemLedger,
    now: Timestamp,
    router: Option<Router<MemLedger>>,
}

impl Backbone {
    fn new() -> Self {
        let mut backbone = Self {
            world: World::new(small()),
            files: MemFiles::new(),
            ledger: MemLedger::default(),
            now: Timestamp(1_700_000_000_000),
            router: None,
        };
        backbone.start();
        backbone
    }

    /// A new process on what the disks hold.
    fn start(&mut self) {
        let dir = Path::new("/events");
        let options = event_store::Options::default();
        let store = EventStore::open(self.files.shared(), dir, options).expect("a healthy disk");
        let store = Arc::new(SharedStore::new(store));
        let partition = self.world.partition();
        let readers = Arc::clone(partition.readers());
        let subscribe = |from| readers.subscribe(READER, from);
        let (reader, gap) =
            backbone::reader(&store, &self.ledger, subscribe).expect("the journal is there");
        assert_eq!(gap, None);
        let subscribers = (readers.committed(), pending::subscribers(partition.state()));
        let ledger = self.ledger.clone();
        let options = Options {
            position_every: 10,
            ..Options::default()
        };
        self.router = Some(
            Router::new(reader, store, ledger, options, subscribers, self.now)
                .expect("healthy disks"),
        );
    }

    fn router(&mut self) -> &mut Router<MemLedger> {
        self.router.as_mut().expect("a process is running")
    }

    /// The process dies, and the power goes.
    fn lose_power(&mut self) {
        self.router = None;
        self.files.crash(Crash::Lose);
        self.start();
    }

    fn subscribe(&mut self, attempts: u32) {
        let document = format!(
            r#"{{"target": {{"sink": {{"name": "s"}}}}, "retry": {{"attempts": {attempts}, "first": "PT1S"}}}}"#
        );
        let put = PutSubscriber {
            tenant: TENANT.into(),
            name: "s".into(),
            document: document.into(),
        };
        self.world
            .ask(Command::PutSubscriber(put))
            .expect("a subscriber");
    }

    /// A CloudEvent comes; where it is stored.
    fn ingest(&mut self, id: &str) -> Sequence {
        let event = CloudEvent::builder(id, "/tests", "t")
            .build()
            .expect("a CloudEvent");
        let ingest = IngestEvents {
            tenant: TENANT.into(),
            source_name: "tests".into(),
            arrivals: vec![Arrival::Event(Arc::new(event))],
        };
        self.world
            .ask(Command::IngestEvents(ingest))
            .expect("it is taken in");
        let received = |event: &kapelle_engine::event::Event| event.name() == "CloudEventReceived";
        let events = self.world.events();
        let last = events.iter().rev().find(|(_, _, event)| received(event));
        last.expect("it was received").0
    }

    fn settle(&mut self, position: Sequence, redrive: bool) {
        let settle = SettleDeadLetters {
            tenant: TENANT.into(),
            subscriber: "s".into(),
            positions: vec![position],
            redrive,
            reason: "".into(),
        };
        self.world
            .ask(Command::SettleDeadLetters(settle))
            .expect("there is the subscriber");
    }

    /// Takes in and shows all there is; the deliveries that are due then.
    fn turn(&mut self) -> Vec<Delivery> {
        let now = self.now;
        while self.router().take(now).expect("healthy disks") {}
        while self.router().show().expect("healthy disks") {}
        self.router().deliveries(now)
    }

    fn fail(&mut self, delivery: &Delivery) {
        let (now, failure) = (
            self.now,
            Failure {
                permanent: false,
                error: "no".to_owned(),
            },
        );
        self.router().attempted(
            &delivery.subscriber,
            &delivery.attempt,
            Err((failure, 0)),
            now,
        );
    }

    fn keep(&mut self) {
        let now = self.now;
        self.router().keep(now).expect("healthy disks");
    }
}

fn positions(deliveries: &[Delivery]) -> Vec<Sequence> {
    let position = |delivery: &Delivery| delivery.attempt.position;
    deliveries.iter().map(position).collect()
}

/// Otherwise the exception points at what is not there, and is withdrawn.
#[test]
fn an_exception_is_kept_only_of_what_the_store_has_synced() {
    let mut backbone = Backbone::new();
    backbone.subscribe(10);
    let position = backbone.ingest("1");
    let deliveries = backbone.turn();
    assert_eq!(positions(&deliveries), [position]);
    backbone.fail(&deliveries[0]);
    backbone.keep();
    backbone.lose_power();
    backbone.now = backbone.now.plus_ms(60_000);
    // The journal is long, and its end is not reached before the first deliveries.
    let now = backbone.now;
    let first = backbone.router().deliveries(now);
    let later = backbone.turn();
    assert_eq!(positions(&[first, later].concat()), [position]);
}

#[test]
fn a_redriven_dead_letter_survives_a_crash_at_any_time() {
    let mut backbone = Backbone::new();
    backbone.subscribe(1);
    let position = backbone.ingest("1");
    let deliveries = backbone.turn();
    backbone.fail(&deliveries[0]);
    backbone.keep();
    // The cursor passes it, too.
    backbone.keep();
    assert_eq!(backbone.ledger.dead(), [("s".into(), position)]);
    backbone.settle(position, true);
    let deliveries = backbone.turn();
    assert_eq!(positions(&deliveries), [position], "it is tried again");
    assert_eq!(backbone.ledger.dead(), []);
    backbone.lose_power();
    assert_eq!(positions(&backbone.turn()), [position], "and again");
}

#[test]
fn a_discarded_dead_letter_is_gone() {
    let mut backbone = Backbone::new();
    backbone.subscribe(1);
    let position = backbone.ingest("1");
    let deliveries = backbone.turn();
    backbone.fail(&deliveries[0]);
    backbone.keep();
    backbone.settle(position, false);
    assert_eq!(positions(&backbone.turn()), []);
    assert_eq!(backbone.ledger.dead(), []);
    backbone.lose_power();
    assert_eq!(positions(&backbone.turn()), []);
}

/// The router has read further than it has come when something fails.
#[test]
fn the_journal_is_released_only_behind_what_was_taken_in() {
    let mut backbone = Backbone::new();
    backbone.subscribe(10);
    let position = backbone.ingest("1");
    backbone.ledger.fail_write(1, false);
    let now = backbone.now;
    backbone.router().take(now).unwrap_err();
    backbone.router().sync().expect("a healthy disk");
    let readers = Arc::clone(backbone.world.partition().readers());
    let held = readers.held(READER).expect("it reads");
    assert!(held <= position, "{held:?} is behind {position:?}");
    backbone.lose_power();
    assert_eq!(positions(&backbone.turn()), [position]);
}

/// Otherwise the next start would miss what it does not need, and call the store incomplete.
#[test]
fn a_journal_without_cloud_events_is_let_go_up_to_where_the_next_start_begins() {
    let mut backbone = Backbone::new();
    let position = backbone.ingest("1");
    backbone.world.deploy();
    for _ in 0..3 {
        backbone.world.create("order-1");
    }
    assert_eq!(positions(&backbone.turn()), []);
    backbone.router().sync().expect("healthy disks");
    let readers = Arc::clone(backbone.world.partition().readers());
    let held = readers.held(READER).expect("it reads");
    assert!(held.0 > position.0 + 10, "{held:?} is near {position:?}");
    backbone.lose_power();
    assert_eq!(readers.held(READER), Some(held));
}
