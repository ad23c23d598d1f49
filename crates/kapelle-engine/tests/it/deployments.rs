//! Deployments.

use expect_test::expect;
use kapelle_engine::Settings;
use kapelle_engine::command::{Command, Deploy, Resource};
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::response::Response;
use kapelle_model::notation;

use crate::world::{World, check};

fn versions(answer: Response) -> String {
    let Response::Deployed(deployed) = answer else {
        panic!("{answer:?}")
    };
    let one = |process: &kapelle_engine::response::DeployedProcess| {
        format!(
            "{} {} {}",
            process.process_id, process.version, process.definition
        )
    };
    deployed
        .processes
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn the_same_file_again_is_the_same_version() {
    let mut world = World::new(Settings::default());
    let (one, two) = (
        notation::xml("start -> a -> end"),
        notation::xml("start -> b -> end"),
    );
    let first = versions(world.deploy_file("a.bpmn", one.clone()).unwrap());
    assert_eq!(
        versions(world.deploy_file("a.bpmn", one.clone()).unwrap()),
        first
    );
    let second = versions(world.deploy_file("a.bpmn", two).unwrap());
    assert!(second.starts_with("process 2 "), "{second}");
    // What was an older version is a new one when it comes back; so is another name.
    assert!(versions(world.deploy_file("a.bpmn", one.clone()).unwrap()).starts_with("process 3 "));
    assert!(versions(world.deploy_file("b.bpmn", one).unwrap()).starts_with("process 4 "));
}

#[test]
fn a_deployment_is_refused_as_a_whole_and_says_everything() {
    let mut world = World::new(Settings::default());
    let resource = |name: &str, text: &str| Resource {
        name: name.into(),
        bytes: text.as_bytes().into(),
    };
    let good = notation::xml("start -> a -> end");
    let resources = vec![
        resource("good.bpmn", &good),
        resource("twin.bpmn", &good),
        resource("broken.bpmn", "<definitions"),
        resource("note.txt", "hello"),
    ];
    let refused = world
        .submit(Command::Deploy(Deploy {
            tenant: DEFAULT_TENANT.into(),
            resources,
        }))
        .unwrap_err();
    expect![[r#"
        Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:
        'twin.bpmn': Duplicated process id 'process' in resources 'good.bpmn' and 'twin.bpmn'
        'broken.bpmn': - Line 1 column 1
            - ERROR: syntax error: tag not closed: `>` not found before end of input [KAP-BPMN-0002] Open the file in a BPMN modeler or an XML editor and save it again.
        'note.txt': unknown resource type: expected a name that ends with .bpmn"#]].assert_eq(&refused.to_string());
    let empty = world
        .submit(Command::Deploy(Deploy {
            tenant: DEFAULT_TENANT.into(),
            resources: Vec::new(),
        }))
        .unwrap_err();
    expect!["Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy at least one resource, but none given"].assert_eq(&empty.to_string());
    assert_eq!(world.state.entries().count(), 0);
}

#[test]
fn an_instance_stays_with_the_version_it_began_with() {
    check(
        "start -> a -> b -> end",
        "create\ndeploy start -> c -> end\ncreate\ncomplete a\ncomplete b\ncomplete c",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > deploy start -> c -> end
            > create
            instance created #11 process version 2
            start completed
            job #14 c created, retries 3
            > complete a
            job #7 a completed
            a completed
            job #16 b created, retries 3
            > complete b
            job #16 b completed
            b completed
            end completed
            process completed
            instance completed #4
            > complete c
            job #14 c completed
            c completed
            end completed
            process completed
            instance completed #11
        "#]],
    );
}

#[test]
fn an_instance_needs_a_process_with_a_start_for_it() {
    check(
        "s:start(message order) -> end",
        "create\ncreate process nobody",
        expect![[r#"
        > create
        REFUSED Command 'CREATE' rejected with code 'INVALID_STATE': Expected to create instance of process with none start event, but there is no such event
        > create process nobody
        REFUSED Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with process ID 'nobody', but none found
    "#]],
    );
}

#[test]
fn a_request_that_is_repeated_starts_nothing() {
    check(
        "start -> a -> end",
        "create request r1\ncreate request r1\nwait 86400000\ncreate request r1",
        expect![[r#"
        > create request r1
        instance created #4 process version 1
        request 'r1' made instance #4
        start completed
        job #7 a created, retries 3
        > create request r1
        > wait 86400000
        request 'r1' forgotten
        > create request r1
        instance created #8 process version 1
        request 'r1' made instance #8
        start completed
        job #11 a created, retries 3
    "#]],
    );
}

/// Found by `kapelle-sim` (seed 34 of its first campaigns).
#[test]
fn an_answer_that_is_remembered_anew_outlives_the_sweep_of_the_one_before() {
    let mut world = World::with_process("start -> a -> end");
    world.run("create request r1");
    // Its time is over, but other work comes before its turn in the due queue.
    world.now += 86_400_000;
    world.run("create request r1\nwait 1\ncreate request r1");
    assert_eq!(world.instances.len(), 2, "{}", world.log);
    world.run("wait 86400000\ncreate request r1");
    assert_eq!(world.instances.len(), 3, "{}", world.log);
}
