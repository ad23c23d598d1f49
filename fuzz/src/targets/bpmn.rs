//! BPMN documents: read, compiled again, deployed and run.

use std::sync::{Arc, Mutex, mpsc};

use kapelle_engine::command::{
    ActivateJobs, Command, CommandMeta, CorrelateMessage, CreateInstance, Deploy, ProcessSelector,
    PublishMessage, Resource,
};
use kapelle_engine::document::Document;
use kapelle_engine::event::Event;
use kapelle_engine::ids::{DEFAULT_TENANT, IncidentKey, Sequence, Timestamp};
use kapelle_engine::limits::Limits as EngineLimits;
use kapelle_engine::memory::Memory;
use kapelle_engine::response::Response;
use kapelle_engine::{Engine, Settings, encode};
use kapelle_model::graph::{ElementIndex, ElementKind};
use kapelle_model::{Limits, Process, SEMANTICS, compile, parse_bpmn};
use kapelle_runtime::effects::NoEffects;
use kapelle_runtime::inline::{self, Inline, Seed};
use kapelle_runtime::{PartitionHandle, Reply};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::Seeds;

pub const BPMN: Target = Target {
    name: "bpmn",
    run,
    seeds,
    dictionary: DICTIONARY,
    len_max: 32 * KIB,
    bytes_max: 128 * MIB,
    cpu_ms_max: 3_000,
};

fn run(input: &[u8]) {
    let (bpmn, diagnostics) = parse_bpmn("m.bpmn", input, &Limits::default());
    drop(kapelle_model::bpmn::outline(
        "m.bpmn",
        input,
        &Limits::default(),
    ));
    for diagnostic in &diagnostics {
        assert!(
            !diagnostic.message.is_empty() && diagnostic.message.len() < 2 * KIB + 2 * input.len()
        );
    }
    let Some(bpmn) = bpmn else {
        assert!(
            diagnostics.iter().any(|d| d.is_error() && d.line > 0),
            "a refusal says why and where"
        );
        // Replay of what was never accepted must not panic either.
        drop(compile(input, SEMANTICS));
        return;
    };
    assert!(!diagnostics.iter().any(|diagnostic| diagnostic.is_error()));
    let again = compile(input, SEMANTICS)
        .unwrap_or_else(|error| panic!("accepted and not compiled: {error}"));
    assert_eq!(again.processes.len(), bpmn.processes.len());
    for (process, again) in bpmn.processes.iter().zip(&again.processes) {
        assert_sound(process);
        assert_eq!(
            process.to_text(),
            again.to_text(),
            "the same bytes are the same graph"
        );
    }
    play(input, &bpmn.processes);
}

/// The promises of `kapelle_model::graph`.
fn assert_sound(process: &Process) {
    assert!(matches!(process.elements[0].kind, ElementKind::Process));
    for index in process.indexes() {
        let element = process.element(index);
        assert!(element.scope < index || index == ElementIndex::ROOT);
        assert_eq!(process.find(&element.id), Some(index));
        for flow in &element.outgoing {
            assert_eq!(process.flow(*flow).source, index);
        }
        for flow in &element.incoming {
            assert_eq!(process.flow(*flow).target, index);
        }
        for event in &element.boundary {
            assert_eq!(process.element(*event).scope, element.scope);
        }
    }
    for flow in &process.flows {
        assert_eq!(
            process.element(flow.source).scope,
            process.element(flow.target).scope
        );
    }
}

/// Low enough to be met often.
fn settings() -> Settings {
    Settings {
        limits: EngineLimits {
            steps_per_command_max: 50,
            events_per_command_max: 200,
            elements_per_instance_max: 100,
            run_length_max: 500,
            instance_bytes_max: 256 * KIB,
            expression_steps_max: 20_000,
            ..EngineLimits::DEFAULT
        },
        ..Settings::default()
    }
}

/// A partition, and a second engine that sees only the encoded events.
struct World {
    handle: PartitionHandle,
    partition: Arc<Inline>,
    replica: Arc<Mutex<Replica>>,
}

struct Replica {
    engine: Engine,
    state: Memory,
    incidents: Vec<IncidentKey>,
    events: usize,
}

impl World {
    fn new() -> Self {
        let replica = Arc::new(Mutex::new(Replica {
            engine: Engine::new(settings()),
            state: Memory::new(),
            incidents: Vec::new(),
            events: 0,
        }));
        let follower = Arc::clone(&replica);
        let seen = move |sequence, at, event: &Event| {
            follower
                .lock()
                .expect("nothing panicked")
                .follow(sequence, at, event)
        };
        let seed = Seed {
            now_ms: 1_700_000_000_000,
            ..Seed::default()
        };
        let (handle, partition) = inline::start(seed, settings(), NoEffects, seen);
        Self {
            handle,
            partition,
            replica,
        }
    }

    fn ask(&self, command: Command) -> Reply {
        let (sender, receiver) = mpsc::channel();
        let reply = Box::new(move |reply| sender.send(reply).unwrap_or_default());
        self.handle
            .submit(command, CommandMeta::default(), reply)
            .expect("the queue has no limit");
        receiver.recv().expect("every command is answered")
    }

    fn check(&self) {
        let replica = self.replica.lock().expect("nothing panicked");
        assert!(
            self.partition.seed().state == replica.state,
            "replay comes to another state"
        );
    }
}

impl Replica {
    fn follow(&mut self, sequence: Sequence, at: Timestamp, event: &Event) {
        let mut bytes = Vec::new();
        encode::encode_event(event, &mut bytes);
        let decoded = encode::decode_event(&bytes).expect("an event is read again");
        assert_eq!(decoded, *event);
        self.engine
            .replay(&mut self.state, &decoded, sequence, at, decoded.targets());
        if let Event::IncidentRaised(raised) = event {
            self.incidents.push(raised.incident);
        }
        self.events += 1;
    }
}

/// Starts every process and does a little of whatever it waits for.
fn play(xml: &[u8], processes: &[Process]) {
    const ROUNDS: usize = 6;
    const EVENTS_MAX: usize = 4_000;
    let world = World::new();
    let deployed = world.ask(Command::Deploy(Deploy {
        tenant: DEFAULT_TENANT.into(),
        resources: vec![Resource {
            name: "m.bpmn".into(),
            bytes: xml.into(),
        }],
    }));
    // The engine has limits of its own (names that become keys of indexes); within them it takes what the model takes.
    if deployed.is_err() {
        world.check();
        return;
    }
    for process in processes {
        drop(world.ask(create(&process.id)));
    }
    for round in 0..ROUNDS {
        for process in processes {
            work(&world, process, round);
        }
        world
            .partition
            .pass([10, 5_000, 3_600_000, 86_400_000][round % 4], 20);
        let incidents =
            std::mem::take(&mut world.replica.lock().expect("nothing panicked").incidents);
        for incident in incidents.into_iter().take(5) {
            drop(world.ask(Command::ResolveIncident { incident }));
        }
        if world.replica.lock().expect("nothing panicked").events > EVENTS_MAX {
            break;
        }
    }
    world.check();
}

fn variables() -> Document {
    let json = br#"{"a": 1, "x": "text", "id": "k", "key": "k", "n": 3, "list": [1, 2], "order": {"id": "k", "total": 120}}"#;
    Document(
        kapelle_feel::json::to_msgpack(json)
            .expect("the variables are JSON")
            .into(),
    )
}

fn create(process_id: &str) -> Command {
    Command::CreateInstance(CreateInstance {
        tenant: DEFAULT_TENANT.into(),
        process: ProcessSelector::Latest {
            process_id: process_id.into(),
        },
        variables: variables(),
        await_result: None,
        tags: Vec::new(),
        business_id: None,
        idempotency_key: None,
    })
}

/// Jobs are completed, failed or thrown; messages come.
fn work(world: &World, process: &Process, round: usize) {
    for element in process.elements.iter().take(30) {
        if let Some(message) = element.kind.awaited_message()
            && let Some(name) = process.message(message).name.as_static()
        {
            drop(world.ask(Command::PublishMessage(PublishMessage {
                tenant: DEFAULT_TENANT.into(),
                name: Arc::clone(name),
                correlation_key: "k".into(),
                message_id: "".into(),
                ttl_ms: 1_000,
                variables: variables(),
            })));
            drop(world.ask(Command::CorrelateMessage(CorrelateMessage {
                tenant: DEFAULT_TENANT.into(),
                name: Arc::clone(name),
                correlation_key: "k".into(),
                variables: variables(),
            })));
        }
    }
    for job_type in job_types(process) {
        let activated = world.ask(Command::ActivateJobs(ActivateJobs {
            tenants: vec![DEFAULT_TENANT.into()],
            job_type,
            worker: "w".into(),
            timeout_ms: 60_000,
            max_jobs: 5,
            fetch_variables: Vec::new(),
        }));
        let Ok(Response::JobsActivated(jobs)) = activated else {
            continue;
        };
        for (number, job) in jobs.iter().enumerate() {
            let job = job.job;
            drop(world.ask(match (round + number) % 4 {
                3 => Command::FailJob(kapelle_engine::command::FailJob {
                    job,
                    retries: 0,
                    message: "no".into(),
                    backoff_ms: 0,
                    variables: Document::empty(),
                }),
                2 => Command::ThrowJobError(kapelle_engine::command::ThrowJobError {
                    job,
                    code: "E1".into(),
                    message: "no".into(),
                    variables: Document::empty(),
                }),
                _ => Command::CompleteJob {
                    job,
                    variables: variables(),
                },
            }));
        }
    }
}

/// Those that are written down; the values of expressions are not known here.
fn job_types(process: &Process) -> Vec<Arc<str>> {
    let text = process.to_text();
    let mut types: Vec<Arc<str>> = text
        .lines()
        .filter_map(|line| line.split("type ").nth(1))
        .filter_map(|rest| {
            rest.split([' ', ',', ')', '"'])
                .find(|word| !word.is_empty())
        })
        .map(Arc::from)
        .chain([
            "io.camunda.zeebe:userTask".into(),
            "t1".into(),
            "text".into(),
        ])
        .collect();
    types.sort();
    types.dedup();
    types.truncate(10);
    types
}

fn seeds(seeds: &mut Seeds) {
    seeds.files("crates/kapelle-model/testdata", ".bpmn");
    seeds.files("examples/models", ".bpmn");
    seeds.files("tests/clients/models", ".bpmn");
    for model in seeds.suite_files("bpmn-miwg", ".bpmn") {
        seeds.add(model);
    }
    for process in NOTATION.lines() {
        seeds.add(kapelle_model::notation::xml(process));
    }
}

/// Small models, one idea each: they are changed to something else that runs sooner than large ones.
const NOTATION: &str = "start -> a:service(type t1, retries 2, in x = n, out y.z = x, header h v) -> end
start -> gate{f1: n > 3, f2: default} ; f1 -> merge{f3: default} ; f2 -> merge ; f3 -> end
start -> fork -> a:service(type t1) -> join -> end ; fork -> b:manual -> join
start -> sub(in inner = n, out outer = inner)[s2 -> a:service(type t1) -> e2] -> end ; late(duration PT5S) on sub -> e3 ; err(error E1) on sub -> e4
s:start(message order) -> c:catch(message paid, key id) -> end
start -> t:catch(duration PT10S) -> p:throw(publish done, subject =x) -> end ; tick(cycle R3/PT1S) beside t2 -> e2 ; t2:service(type =x) -> e3 ; start -> t2
s:start(message order, event order.placed, eventkey data.id) -> r:receive(message got, key id) -> end
start -> race -> m:catch(message a, key key) -> e1 ; race -> d:catch(duration PT1S) -> e2
start -> loop{again: true, out: default} ; again -> loop ; out -> end
start -> u:user(assignee =x) -> e:end(terminate)
start -> x:send(message order, key =id, ttl PT2S, in n = n) -> e:end(error E1)";

const DICTIONARY: &str = r#"<bpmn:process id="p" isExecutable="true">
<bpmn:startEvent id="s1"/>
<bpmn:endEvent id="e1"/>
<bpmn:serviceTask id="t1">
<bpmn:userTask id="u1"/>
<bpmn:scriptTask id="c1"/>
<bpmn:sendTask id="d1"/>
<bpmn:receiveTask id="r1"/>
<bpmn:businessRuleTask id="b1"/>
<bpmn:callActivity id="ca1"/>
<bpmn:subProcess id="sp1">
<bpmn:subProcess id="sp2" triggeredByEvent="true">
<bpmn:transaction id="tx1"/>
<bpmn:adHocSubProcess id="ah1"/>
<bpmn:exclusiveGateway id="g1" default="f1"/>
<bpmn:parallelGateway id="g2"/>
<bpmn:inclusiveGateway id="g3"/>
<bpmn:eventBasedGateway id="g4"/>
<bpmn:complexGateway id="g5"/>
<bpmn:boundaryEvent id="be1" attachedToRef="t1" cancelActivity="false">
<bpmn:intermediateCatchEvent id="ic1">
<bpmn:intermediateThrowEvent id="it1">
<bpmn:sequenceFlow id="f1" sourceRef="s1" targetRef="t1"/>
<bpmn:conditionExpression>=n > 1</bpmn:conditionExpression>
<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>
<bpmn:timeCycle>R/PT1S</bpmn:timeCycle>
<bpmn:timeDate>2024-02-29T10:00:00Z</bpmn:timeDate>
<bpmn:messageEventDefinition messageRef="m1"/>
<bpmn:errorEventDefinition errorRef="err1"/>
<bpmn:escalationEventDefinition escalationRef="esc1"/>
<bpmn:signalEventDefinition signalRef="sig1"/>
<bpmn:terminateEventDefinition/>
<bpmn:compensateEventDefinition/>
<bpmn:linkEventDefinition name="l"/>
<bpmn:multiInstanceLoopCharacteristics isSequential="true">
<bpmn:standardLoopCharacteristics/>
<bpmn:message id="m1" name="order"/>
<bpmn:error id="err1" errorCode="E1"/>
<bpmn:escalation id="esc1" escalationCode="X"/>
<bpmn:signal id="sig1" name="s"/>
<bpmn:incoming>f1</bpmn:incoming>
<bpmn:outgoing>f1</bpmn:outgoing>
<bpmn:extensionElements>
<zeebe:taskDefinition type="t1" retries="3"/>
<zeebe:ioMapping><zeebe:input source="=n" target="x"/></zeebe:ioMapping>
<zeebe:output source="=x" target="y.z"/>
<zeebe:taskHeaders><zeebe:header key="h" value="v"/></zeebe:taskHeaders>
<zeebe:subscription correlationKey="=id"/>
<zeebe:loopCharacteristics inputCollection="=list" inputElement="item"/>
<zeebe:calledElement processId="p"/>
<zeebe:calledDecision decisionId="d" resultVariable="r"/>
<zeebe:script expression="=n" resultVariable="r"/>
<zeebe:userTask/>
<zeebe:versionTag value="1"/>
<kapelle:event type="order.placed"/>
<kapelle:publish type="done"/>
<![CDATA[
]]>
<!--
-->
<?xml version="1.0" encoding="UTF-8"?>
&lt;
&#x10FFFF;
xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
xmlns:zeebe="http://camunda.org/schema/zeebe/1.0""#;
