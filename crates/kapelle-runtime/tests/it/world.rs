//! A partition on a disk in memory, with a clock that stands, and the model to compare it with: plain memory fed with the
//! committed events from the first record on.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kapelle_engine::Engine;
use kapelle_engine::command::*;
use kapelle_engine::document::Document;
use kapelle_engine::effect::Effect;
use kapelle_engine::event::{Event, Targets};
use kapelle_engine::ids::*;
use kapelle_engine::keep::Keep;
use kapelle_engine::memory::Memory;
use kapelle_engine::response::Response;
use kapelle_runtime::clock::ManualClock;
use kapelle_runtime::metrics::Metrics;
use kapelle_runtime::partition::{Partition, Request, Stopped};
use kapelle_runtime::streams::StreamRegistry;
use kapelle_runtime::{Options, Reply};
use kapelle_storage::files::{Crash, MemFiles};
use kapelle_storage::journal::{self, DirectJournal};
use kapelle_storage::store::{Backend, DirectStore, Loss, MemBackend};

pub(crate) fn order_xml() -> &'static [u8] {
    ORDER.as_bytes()
}

pub(crate) const TENANT: &str = "<default>";

/// A task, then a message, then the end; a timer of a minute on the task leads there too.
const ORDER: &str = r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
  <bpmn:message id="paid-message" name="paid">
    <bpmn:extensionElements><zeebe:subscription correlationKey="=id" /></bpmn:extensionElements>
  </bpmn:message>
  <bpmn:process id="order" isExecutable="true">
    <bpmn:startEvent id="start" />
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work" />
    <bpmn:serviceTask id="work">
      <bpmn:extensionElements><zeebe:taskDefinition type="work" retries="3" /></bpmn:extensionElements>
    </bpmn:serviceTask>
    <bpmn:boundaryEvent id="late" attachedToRef="work">
      <bpmn:timerEventDefinition id="t"><bpmn:timeDuration>PT1M</bpmn:timeDuration></bpmn:timerEventDefinition>
    </bpmn:boundaryEvent>
    <bpmn:sequenceFlow id="f2" sourceRef="work" targetRef="paid" />
    <bpmn:sequenceFlow id="f3" sourceRef="late" targetRef="timed-out" />
    <bpmn:intermediateCatchEvent id="paid">
      <bpmn:messageEventDefinition id="m" messageRef="paid-message" />
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="f4" sourceRef="paid" targetRef="done" />
    <bpmn:endEvent id="done" />
    <bpmn:endEvent id="timed-out" />
  </bpmn:process>
</bpmn:definitions>"#;

/// Where a reply arrives.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Reply>>>);

impl Slot {
    pub(crate) fn get(&self) -> Option<Reply> {
        self.0.lock().expect("no panic under this lock").clone()
    }

    fn fill(&self) -> kapelle_runtime::ReplyTo {
        let slot = self.clone();
        Box::new(move |reply| {
            let before = slot
                .0
                .lock()
                .expect("no panic under this lock")
                .replace(reply);
            assert!(before.is_none(), "a reply is given once");
        })
    }
}

pub(crate) type Running<B> = Partition<DirectJournal, DirectStore<B>, ManualClock>;

/// The disks and the clock stay; the process on them comes and goes.
pub(crate) struct World<B: Backend + Clone = MemBackend> {
    pub(crate) files: MemFiles,
    pub(crate) backend: B,
    pub(crate) clock: ManualClock,
    pub(crate) options: Options,
    pub(crate) journal_options: journal::Options,
    pub(crate) effects: Arc<Mutex<Vec<Effect>>>,
    /// Keeps the journal whole, so that the model can be made.
    pub(crate) keep_all: bool,
    pub(crate) partition: Option<Running<B>>,
    starts: u128,
}

/// Small enough that every test sees checkpoints, evictions and loads.
pub(crate) fn small() -> Options {
    Options {
        batch_commands_max: 8,
        cache_bytes_max: 12_000,
        tail_records_max: 150,
        overlay_entries_max: 60,
        base_bytes_min: 10_000,
        ..Options::default()
    }
}

impl World<MemBackend> {
    pub(crate) fn new(options: Options) -> Self {
        Self::with_backend(options, MemBackend::new())
    }

    /// The power goes: both disks lose what was not synced, each as told.
    pub(crate) fn lose_power(&mut self, crash: Crash, loss: Loss) {
        self.partition = None;
        self.files.crash(crash);
        self.backend.crash(loss);
    }
}

impl<B: Backend + Clone> World<B> {
    pub(crate) fn with_backend(options: Options, backend: B) -> Self {
        let mut world = Self {
            files: MemFiles::new(),
            backend,
            clock: ManualClock::at(1_700_000_000_000),
            options,
            journal_options: journal::Options {
                segment_bytes: 1 << 20,
                first_segment_bytes: 1 << 18,
                ..journal::Options::default()
            },
            effects: Arc::default(),
            keep_all: true,
            partition: None,
            starts: 0,
        };
        world.start().expect("an empty disk starts");
        world
    }

    /// Starts a process on what the disks hold, and lets it do what there is to do.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.start_without_finishing()?;
        self.finish().map_err(|stopped| stopped.to_string())
    }

    pub(crate) fn start_without_finishing(&mut self) -> Result<(), String> {
        let text = |error: journal::Error| error.to_string();
        self.partition = None;
        self.starts += 1;
        let opened = journal::open(
            self.files.shared(),
            Path::new("/journal"),
            self.journal_options,
            None,
        );
        let opened = opened.map_err(text)?;
        if let Some(manifest) = self.backend.manifest() {
            opened.check(manifest.newest()).map_err(text)?;
        }
        let journal = DirectJournal::new(opened.announce(self.starts, &[]).map_err(text)?);
        let partition = Partition::start(
            journal,
            DirectStore::new(self.backend.clone()),
            self.clock.clone(),
            self.options.clone(),
            Arc::new(StreamRegistry::new()),
            Arc::new(Metrics::default()),
        )
        .map_err(|error| error.to_string())?;
        if self.keep_all {
            partition
                .readers()
                .subscribe("model", Sequence(1))
                .expect("nothing was trimmed");
        }
        self.partition = Some(partition);
        Ok(())
    }

    pub(crate) fn partition(&mut self) -> &mut Running<B> {
        self.partition.as_mut().expect("a process is running")
    }

    /// One step with these requests on offer; how many it left.
    pub(crate) fn step(&mut self, requests: &mut Vec<Request>) -> Result<bool, Stopped> {
        let mut effects = sink(&self.effects);
        let partition = self.partition.as_mut().expect("a process is running");
        let mut next = || (!requests.is_empty()).then(|| requests.remove(0));
        partition
            .step(&mut next, &mut effects)
            .map(|step| step.progressed)
    }

    pub(crate) fn finish(&mut self) -> Result<(), Stopped> {
        let mut effects = sink(&self.effects);
        self.partition
            .as_mut()
            .expect("a process is running")
            .finish(&mut effects)
    }

    /// Steps until all of these are taken and answered.
    pub(crate) fn offer(&mut self, mut requests: Vec<Request>) -> Result<(), Stopped> {
        for _ in 0..1_000 {
            self.step(&mut requests)?;
            self.finish()?;
            if requests.is_empty() {
                return Ok(());
            }
        }
        panic!("{} requests are never taken", requests.len());
    }

    /// Asks and waits until the answer may leave.
    pub(crate) fn ask(&mut self, command: Command) -> Reply {
        let (request, slot) = request(command);
        self.offer(vec![request]).expect("the partition works");
        slot.get().expect("answered")
    }

    pub(crate) fn deploy(&mut self) {
        self.deploy_xml(ORDER);
    }

    pub(crate) fn deploy_xml(&mut self, xml: &str) {
        let resource = Resource {
            name: Arc::from("order.bpmn"),
            bytes: Arc::from(xml.as_bytes()),
        };
        let deploy = Deploy {
            tenant: Arc::from(TENANT),
            resources: vec![resource],
        };
        self.ask(Command::Deploy(deploy))
            .expect("the process is accepted");
    }

    pub(crate) fn create(&mut self, id: &str) -> ProcessInstanceKey {
        match self.ask(create(id)) {
            Ok(Response::InstanceCreated(created)) => created.instance,
            other => panic!("not created: {other:?}"),
        }
    }

    pub(crate) fn activate(&mut self, max: u32) -> Vec<JobKey> {
        match self.ask(activate(max)) {
            Ok(Response::JobsActivated(jobs)) => jobs.iter().map(|job| job.job).collect(),
            other => panic!("not activated: {other:?}"),
        }
    }

    /// All committed events, from the first record on.
    pub(crate) fn events(&mut self) -> Vec<(Sequence, Timestamp, Event)> {
        let mut reader = self
            .partition()
            .readers()
            .subscribe("model", Sequence(1))
            .expect("nothing was trimmed");
        let records = reader.poll(usize::MAX).expect("the journal can be read");
        records
            .into_iter()
            .map(|record| (record.sequence, record.command.at, record.event))
            .collect()
    }

    /// What plain memory makes of all committed events.
    pub(crate) fn model(&mut self) -> Memory {
        let mut memory = Memory::new();
        let mut engine = Engine::new(kapelle_engine::Settings::default());
        for (sequence, at, event) in self.events() {
            let Targets { instance, indexes } = event.targets();
            engine.replay(
                &mut memory,
                &event,
                sequence,
                at,
                Targets { instance, indexes },
            );
        }
        memory
    }

    /// The state is byte for byte what the committed events make of nothing.
    pub(crate) fn assert_equals_model(&mut self) {
        let model = self.model();
        let created: Vec<_> = self
            .events()
            .into_iter()
            .filter_map(|(_, _, event)| match event {
                Event::InstanceCreated(created) => Some(created.instance),
                _ => None,
            })
            .collect();
        let state = self.partition().state();
        for key in created {
            let there = state.pin(key);
            let expected = model.instance(key);
            assert_eq!(
                there.then(|| state.instance(key)).flatten(),
                expected,
                "instance {key}"
            );
        }
        assert_eq!(state.partition(), model.partition(), "partition object");
        let expected: Vec<_> = model
            .entries()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        let mut entries = Vec::new();
        state.scan(&[1], &[0xff; 32], &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        });
        assert_eq!(entries, expected, "index entries");
    }
}

pub(crate) fn sink(
    effects: &Arc<Mutex<Vec<Effect>>>,
) -> impl FnMut(Sequence, Effect) + Send + use<> {
    let effects = Arc::clone(effects);
    move |_, effect| {
        effects
            .lock()
            .expect("no panic under this lock")
            .push(effect)
    }
}

pub(crate) fn request(command: Command) -> (Request, Slot) {
    let slot = Slot::default();
    (
        Request::Command {
            command,
            meta: CommandMeta::default(),
            reply: slot.fill(),
        },
        slot,
    )
}

pub(crate) fn create(id: &str) -> Command {
    Command::CreateInstance(CreateInstance {
        tenant: Arc::from(TENANT),
        process: ProcessSelector::Latest {
            process_id: Arc::from("order"),
        },
        variables: variables(id),
        await_result: None,
        tags: Vec::new(),
        business_id: None,
        idempotency_key: None,
    })
}

/// A new instance with a variable of so many bytes.
pub(crate) fn create_large(bytes: u16) -> Command {
    // A map of one: the text `x` to a text with its length in two bytes.
    let mut document = vec![0x81, 0xa1, b'x', 0xda];
    document.extend_from_slice(&bytes.to_be_bytes());
    document.resize(document.len() + usize::from(bytes), b'y');
    match create("order-1") {
        Command::CreateInstance(create) => Command::CreateInstance(CreateInstance {
            variables: Document(Arc::from(document)),
            ..create
        }),
        other => other,
    }
}

/// `{"id": id}`.
fn variables(id: &str) -> Document {
    let length = u8::try_from(id.len()).expect("short");
    assert!(length < 32, "a short text has its length in one byte");
    let mut bytes = vec![0x81, 0xa2, b'i', b'd', 0xa0 | length];
    bytes.extend_from_slice(id.as_bytes());
    Document(Arc::from(bytes))
}

pub(crate) fn activate(max_jobs: u32) -> Command {
    Command::ActivateJobs(ActivateJobs {
        tenants: vec![Arc::from(TENANT)],
        job_type: Arc::from("work"),
        worker: Arc::from("tester"),
        timeout_ms: 30_000,
        max_jobs,
        fetch_variables: Vec::new(),
    })
}

pub(crate) fn complete(job: JobKey) -> Command {
    Command::CompleteJob {
        job,
        variables: Document::empty(),
    }
}

pub(crate) fn fail(job: JobKey, retries: i32) -> Command {
    let (message, variables) = (Arc::from("no luck"), Document::empty());
    Command::FailJob(FailJob {
        job,
        retries,
        message,
        backoff_ms: 0,
        variables,
    })
}

pub(crate) fn publish(id: &str) -> Command {
    Command::PublishMessage(PublishMessage {
        tenant: Arc::from(TENANT),
        name: Arc::from("paid"),
        correlation_key: Arc::from(id),
        message_id: Arc::from(""),
        ttl_ms: 20_000,
        variables: Document::empty(),
    })
}

/// A small generator (splitmix64): a run is a function of its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("bound is a usize")
    }
}
