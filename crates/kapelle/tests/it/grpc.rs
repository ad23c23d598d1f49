//! The Zeebe gateway over gRPC: what works, and what bad input gets.

use expect_test::expect;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::models;
use crate::server::Server;

#[expect(
    clippy::allow_attributes,
    unreachable_pub,
    unused_qualifications,
    reason = "generated from proto/gateway.proto"
)]
pub(crate) mod proto {
    tonic::include_proto!("gateway_protocol");
}

use proto::gateway_client::GatewayClient;
use proto::*;

pub(crate) type Client = GatewayClient<Channel>;

pub(crate) async fn connect(server: &Server) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    GatewayClient::new(endpoint.connect().await.unwrap())
}

pub(crate) async fn deploy(client: &mut Client, name: &str, bpmn: &str) -> DeployResourceResponse {
    let resource = Resource {
        name: name.to_owned(),
        content: bpmn.as_bytes().to_vec().into(),
    };
    let request = DeployResourceRequest {
        resources: vec![resource],
        tenant_id: String::new(),
    };
    client.deploy_resource(request).await.unwrap().into_inner()
}

pub(crate) fn create(process_id: &str, variables: &str) -> CreateProcessInstanceRequest {
    CreateProcessInstanceRequest {
        bpmn_process_id: process_id.to_owned(),
        version: -1,
        variables: variables.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn activate(job_type: &str) -> ActivateJobsRequest {
    ActivateJobsRequest {
        r#type: job_type.to_owned(),
        worker: "worker".to_owned(),
        timeout: 60_000,
        max_jobs_to_activate: 32,
        request_timeout: 5_000,
        ..Default::default()
    }
}

pub(crate) async fn poll(
    client: &mut Client,
    request: ActivateJobsRequest,
) -> Result<Vec<ActivatedJob>, Status> {
    let mut stream = client.activate_jobs(request).await?.into_inner();
    let mut jobs = Vec::new();
    while let Some(batch) = stream.message().await? {
        jobs.extend(batch.jobs);
    }
    Ok(jobs)
}

#[tokio::test]
async fn a_process_is_deployed_started_worked_and_completed() {
    let server = Server::start();
    let mut client = connect(&server).await;
    let topology = client
        .topology(TopologyRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(topology.gateway_version, "8.9.0");
    assert_eq!(
        format!("{}:{}", topology.brokers[0].host, topology.brokers[0].port),
        server.grpc
    );
    let deployed = deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    let Some(deployment::Metadata::Process(process)) = &deployed.deployments[0].metadata else {
        panic!("{deployed:?}")
    };
    assert_eq!(
        (
            process.bpmn_process_id.as_str(),
            process.version,
            process.tenant_id.as_str()
        ),
        ("one", 1, "<default>")
    );

    let created = client
        .create_process_instance(create("one", r#"{"b":2,"a":[1]}"#))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        created.process_definition_key,
        process.process_definition_key
    );
    let jobs = poll(&mut client, activate("work")).await.unwrap();
    let [job] = jobs.as_slice() else {
        panic!("{jobs:?}")
    };
    assert_eq!(job.process_instance_key, created.process_instance_key);
    assert_eq!(
        (
            job.variables.as_str(),
            job.custom_headers.as_str(),
            job.retries,
            job.element_id.as_str(),
            job.worker.as_str()
        ),
        (
            r#"{"b":2,"a":[1]}"#,
            r#"{"colour":"green"}"#,
            3,
            "work",
            "worker"
        )
    );
    let fewer = UpdateJobRetriesRequest {
        job_key: job.key,
        retries: 2,
        ..Default::default()
    };
    client.update_job_retries(fewer).await.unwrap();
    let longer = UpdateJobTimeoutRequest {
        job_key: job.key,
        timeout: 120_000,
        ..Default::default()
    };
    client.update_job_timeout(longer).await.unwrap();
    let variables = SetVariablesRequest {
        element_instance_key: created.process_instance_key,
        variables: r#"{"c":3}"#.to_owned(),
        ..Default::default()
    };
    assert!(
        client
            .set_variables(variables)
            .await
            .unwrap()
            .into_inner()
            .key
            > 0
    );
    let complete = CompleteJobRequest {
        job_key: job.key,
        variables: r#"{"d":4}"#.to_owned(),
        result: None,
    };
    client.complete_job(complete.clone()).await.unwrap();
    let twice = client.complete_job(complete).await.unwrap_err();
    assert_eq!(twice.code(), tonic::Code::NotFound);
    assert!(
        twice
            .message()
            .contains("Command 'COMPLETE' rejected with code 'NOT_FOUND'"),
        "{}",
        twice.message()
    );
}

#[tokio::test]
async fn the_creator_can_wait_for_the_result() {
    let server = Server::start();
    let mut client = connect(&server).await;
    deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    let mut creator = client.clone();
    let waiting = tokio::spawn(async move {
        let request = CreateProcessInstanceWithResultRequest {
            request: Some(create("one", r#"{"a":1}"#)),
            request_timeout: 30_000,
            fetch_variables: vec!["done".to_owned()],
        };
        creator.create_process_instance_with_result(request).await
    });
    let jobs = poll(&mut client, activate("work")).await.unwrap();
    let complete = CompleteJobRequest {
        job_key: jobs[0].key,
        variables: r#"{"done":true,"x":1}"#.to_owned(),
        result: None,
    };
    client.complete_job(complete).await.unwrap();
    let result = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!(result.variables, r#"{"done":true}"#);
    assert_eq!(result.process_instance_key, jobs[0].process_instance_key);

    let late = CreateProcessInstanceWithResultRequest {
        request: Some(create("one", "")),
        request_timeout: 50,
        fetch_variables: Vec::new(),
    };
    let error = client
        .create_process_instance_with_result(late)
        .await
        .unwrap_err();
    assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
}

#[tokio::test]
async fn an_error_without_a_catcher_and_no_retries_are_incidents_that_can_be_resolved() {
    let server = Server::start();
    let mut client = connect(&server).await;
    deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    client
        .create_process_instance(create("one", ""))
        .await
        .unwrap();
    let job = poll(&mut client, activate("work")).await.unwrap().remove(0);
    let fail = FailJobRequest {
        job_key: job.key,
        retries: 1,
        error_message: "no luck".to_owned(),
        ..Default::default()
    };
    client.fail_job(fail).await.unwrap();
    let again = poll(&mut client, activate("work")).await.unwrap().remove(0);
    assert_eq!((again.key, again.retries), (job.key, 1));
    let throw = ThrowErrorRequest {
        job_key: job.key,
        error_code: "E".to_owned(),
        ..Default::default()
    };
    client.throw_error(throw.clone()).await.unwrap();
    let twice = client.throw_error(throw).await.unwrap_err();
    assert_eq!(
        twice.code(),
        tonic::Code::FailedPrecondition,
        "{}",
        twice.message()
    );
}

#[tokio::test]
async fn a_deadline_of_the_client_is_kept_and_an_instance_can_be_cancelled() {
    let server = Server::start();
    let mut client = connect(&server).await;
    deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    let mut poll = Request::new(ActivateJobsRequest {
        request_timeout: 60_000,
        ..activate("other")
    });
    poll.set_timeout(std::time::Duration::from_millis(100));
    let status = client.activate_jobs(poll).await.unwrap_err();
    // The client's own clock may be first, and calls that `Cancelled`.
    assert!(
        matches!(
            status.code(),
            tonic::Code::DeadlineExceeded | tonic::Code::Cancelled
        ),
        "{status:?}"
    );
    let created = client
        .create_process_instance(create("one", ""))
        .await
        .unwrap()
        .into_inner();
    let cancel = CancelProcessInstanceRequest {
        process_instance_key: created.process_instance_key,
        operation_reference: None,
    };
    client.cancel_process_instance(cancel).await.unwrap();
    assert_eq!(
        client
            .cancel_process_instance(cancel)
            .await
            .unwrap_err()
            .code(),
        tonic::Code::NotFound
    );
}

fn told<T: std::fmt::Debug>(what: &str, result: Result<T, Status>) -> String {
    match result {
        Ok(answer) => format!("{what}\n  taken: {answer:?}\n"),
        Err(status) => format!("{what}\n  {:?} | {}\n", status.code(), status.message()),
    }
}

#[tokio::test]
async fn bad_input_is_refused_with_zeebes_codes_and_changes_nothing() {
    let server = Server::start();
    let c = &mut connect(&server).await;
    let unknown = 2_251_799_813_700_000;
    let mut seen = String::new();
    let mut add =
        |what: &str, told: String| seen.push_str(&told.replacen('\n', &format!(" {what}\n"), 1));
    add(
        "no resource",
        told(
            "deploy",
            c.deploy_resource(DeployResourceRequest::default()).await,
        ),
    );
    let file = |name: &str, text: &str| Resource {
        name: name.to_owned(),
        content: text.as_bytes().to_vec().into(),
    };
    for (name, text) in [
        ("a.bpmn", "hello"),
        ("a.bpmn", "<!DOCTYPE a><a/>"),
        ("a.bpmn", ""),
        ("a.txt", "x"),
    ] {
        let request = DeployResourceRequest {
            resources: vec![file(name, text)],
            ..Default::default()
        };
        add(
            &format!("{name} {text:?}"),
            told("deploy", c.deploy_resource(request).await),
        );
    }
    for (what, request) in [
        (
            "neither id nor key",
            CreateProcessInstanceRequest::default(),
        ),
        ("unknown id", create("x", "")),
        (
            "unknown version",
            CreateProcessInstanceRequest {
                version: 3,
                ..create("x", "")
            },
        ),
        (
            "unknown key",
            CreateProcessInstanceRequest {
                process_definition_key: unknown,
                ..Default::default()
            },
        ),
        (
            "negative key",
            CreateProcessInstanceRequest {
                process_definition_key: -1,
                ..Default::default()
            },
        ),
        ("array", create("x", "[1]")),
        ("no JSON", create("x", "{a}")),
        (
            "tenant",
            CreateProcessInstanceRequest {
                tenant_id: "t".to_owned(),
                ..create("x", "")
            },
        ),
        (
            "tags",
            CreateProcessInstanceRequest {
                tags: vec!["1".to_owned()],
                ..create("x", "")
            },
        ),
    ] {
        add(
            what,
            told("create", c.create_process_instance(request).await),
        );
    }
    for (what, request) in [
        (
            "blank type",
            ActivateJobsRequest {
                r#type: " ".to_owned(),
                ..activate("a")
            },
        ),
        (
            "no time",
            ActivateJobsRequest {
                timeout: 0,
                ..activate("a")
            },
        ),
        (
            "no jobs",
            ActivateJobsRequest {
                max_jobs_to_activate: 0,
                ..activate("a")
            },
        ),
        (
            "tenant",
            ActivateJobsRequest {
                tenant_ids: vec!["t".to_owned()],
                ..activate("a")
            },
        ),
        (
            "none there",
            ActivateJobsRequest {
                request_timeout: -1,
                ..activate("a")
            },
        ),
    ] {
        add(what, told("activate", poll(c, request).await));
    }
    let stream = StreamActivatedJobsRequest {
        timeout: 1,
        ..Default::default()
    };
    add(
        "blank type",
        told("stream", c.stream_activated_jobs(stream).await.map(drop)),
    );
    for job_key in [unknown, 0, -7] {
        let variables = String::new();
        let complete = CompleteJobRequest {
            job_key,
            variables,
            result: None,
        };
        add(
            &job_key.to_string(),
            told("complete", c.complete_job(complete).await),
        );
    }
    let array = CompleteJobRequest {
        job_key: unknown,
        variables: "[]".to_owned(),
        result: None,
    };
    add("array", told("complete", c.complete_job(array).await));
    let denied = JobResult {
        denied: Some(true),
        ..Default::default()
    };
    let denied = CompleteJobRequest {
        job_key: unknown,
        variables: String::new(),
        result: Some(denied),
    };
    add("denied", told("complete", c.complete_job(denied).await));
    add(
        "unknown",
        told(
            "fail",
            c.fail_job(FailJobRequest {
                job_key: unknown,
                ..Default::default()
            })
            .await,
        ),
    );
    add(
        "unknown",
        told(
            "throw",
            c.throw_error(ThrowErrorRequest {
                job_key: unknown,
                ..Default::default()
            })
            .await,
        ),
    );
    for retries in [0, 1] {
        let request = UpdateJobRetriesRequest {
            job_key: unknown,
            retries,
            ..Default::default()
        };
        add(
            &format!("unknown, {retries}"),
            told("retries", c.update_job_retries(request).await),
        );
    }
    let timeout = UpdateJobTimeoutRequest {
        job_key: unknown,
        timeout: 1,
        ..Default::default()
    };
    add(
        "unknown",
        told("timeout", c.update_job_timeout(timeout).await),
    );
    let cancel = CancelProcessInstanceRequest {
        process_instance_key: unknown,
        ..Default::default()
    };
    add(
        "unknown",
        told("cancel", c.cancel_process_instance(cancel).await),
    );
    let set = SetVariablesRequest {
        element_instance_key: unknown,
        variables: "{}".to_owned(),
        ..Default::default()
    };
    add(
        "unknown",
        told("set variables", c.set_variables(set.clone()).await),
    );
    let text = SetVariablesRequest {
        variables: "\"a\"".to_owned(),
        ..set
    };
    add("text", told("set variables", c.set_variables(text).await));
    let resolve = ResolveIncidentRequest {
        incident_key: unknown,
        ..Default::default()
    };
    add(
        "unknown",
        told("resolve", c.resolve_incident(resolve).await),
    );
    let publish = PublishMessageRequest {
        variables: "1".to_owned(),
        ..Default::default()
    };
    add("number", told("publish", c.publish_message(publish).await));
    expect![[r#"
        deploy no resource
          InvalidArgument | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy at least one resource, but none given
        deploy a.bpmn "hello"
          InvalidArgument | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:
        'a.bpmn': - Line 1 column 1
            - ERROR: there is text outside the root element [KAP-BPMN-0002] Open the file in a BPMN modeler or an XML editor and save it again.
        deploy a.bpmn "<!DOCTYPE a><a/>"
          InvalidArgument | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:
        'a.bpmn': - Line 1 column 1
            - ERROR: the document has a DOCTYPE declaration [KAP-BPMN-0003] Remove the DOCTYPE and write entities as characters; BPMN needs neither.
        deploy a.bpmn ""
          InvalidArgument | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:
        'a.bpmn': - Line 1 column 1
            - ERROR: the document has no element [KAP-BPMN-0002] Open the file in a BPMN modeler or an XML editor and save it again.
        deploy a.txt "x"
          InvalidArgument | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered the following errors:
        'a.txt': unknown resource type: expected a name that ends with .bpmn
        create neither id nor key
          InvalidArgument | Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected at least a bpmnProcessId or a key greater than -1, but none given
        create unknown id
          NotFound | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with process ID 'x', but none found
        create unknown version
          NotFound | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with process ID 'x' and version '3', but none found
        create unknown key
          NotFound | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with key '2251799813700000', but none found
        create negative key
          NotFound | Command 'CREATE' rejected with code 'NOT_FOUND': Expected to find process definition with key '-1', but none found
        create array
          InvalidArgument | Expected the variables to be a JSON object, but they are an array
        create no JSON
          InvalidArgument | Expected the variables to be a JSON object, but they are no JSON: expected a name in quotes at line 1 column 2
        create tenant
          InvalidArgument | Expected to handle the request with tenant identifier 't', but multi-tenancy is disabled
        create tags
          InvalidArgument | The value for tag is '1' but must be 1 to 100 letters, digits or any of '_-:.', beginning with a letter.
        activate blank type
          InvalidArgument | Command 'ACTIVATE' rejected with code 'INVALID_ARGUMENT': Expected to activate job batch with type to be present, but it was blank
        activate no time
          InvalidArgument | Command 'ACTIVATE' rejected with code 'INVALID_ARGUMENT': Expected to activate job batch with timeout to be greater than zero, but it was '0'
        activate no jobs
          InvalidArgument | Command 'ACTIVATE' rejected with code 'INVALID_ARGUMENT': Expected to activate job batch with max jobs to activate to be greater than zero, but it was '0'
        activate tenant
          InvalidArgument | Expected to handle the request with tenant identifier 't', but multi-tenancy is disabled
        activate none there
          taken: []
        stream blank type
          InvalidArgument | Command 'ACTIVATE' rejected with code 'INVALID_ARGUMENT': Expected to activate job batch with type to be present, but it was blank
        complete 2251799813700000
          NotFound | Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '2251799813700000', but no such job was found
        complete 0
          NotFound | Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '0', but no such job was found
        complete -7
          NotFound | Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '-7', but no such job was found
        complete array
          InvalidArgument | Expected the variables to be a JSON object, but they are an array
        complete denied
          Unimplemented | not implemented yet: it comes with user task listeners and ad-hoc sub-processes
        fail unknown
          NotFound | Command 'FAIL' rejected with code 'NOT_FOUND': Expected to fail job with key '2251799813700000', but no such job was found
        throw unknown
          NotFound | Command 'THROW_ERROR' rejected with code 'NOT_FOUND': Expected to throw an error for job with key '2251799813700000', but no such job was found
        retries unknown, 0
          InvalidArgument | Command 'UPDATE_RETRIES' rejected with code 'INVALID_ARGUMENT': Expected to update retries for job with key '2251799813700000' with a positive amount of retries, but the amount given was '0'
        retries unknown, 1
          NotFound | Command 'UPDATE_RETRIES' rejected with code 'NOT_FOUND': Expected to update retries for job with key '2251799813700000', but no such job was found
        timeout unknown
          NotFound | Command 'UPDATE_TIMEOUT' rejected with code 'NOT_FOUND': Expected to update the timeout of job with key '2251799813700000', but no such job was found
        cancel unknown
          NotFound | Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '2251799813700000', but no such process was found
        set variables unknown
          NotFound | Command 'UPDATE' rejected with code 'NOT_FOUND': Expected to update variables for element with key '2251799813700000', but no such element was found
        set variables text
          InvalidArgument | Expected the variables to be a JSON object, but they are a string
        resolve unknown
          NotFound | Command 'RESOLVE' rejected with code 'NOT_FOUND': Expected to resolve incident with key '2251799813700000', but no such incident was found
        publish number
          InvalidArgument | Expected the variables to be a JSON object, but they are a number
    "#]].assert_eq(&seen);
}

#[tokio::test]
async fn what_comes_later_says_so() {
    let server = Server::start();
    let c = &mut connect(&server).await;
    let seen = [
        told(
            "EvaluateDecision",
            c.evaluate_decision(EvaluateDecisionRequest::default())
                .await,
        ),
        told(
            "ModifyProcessInstance",
            c.modify_process_instance(ModifyProcessInstanceRequest::default())
                .await,
        ),
        told(
            "MigrateProcessInstance",
            c.migrate_process_instance(MigrateProcessInstanceRequest::default())
                .await,
        ),
        told(
            "DeleteResource",
            c.delete_resource(DeleteResourceRequest::default()).await,
        ),
        told(
            "BroadcastSignal",
            c.broadcast_signal(BroadcastSignalRequest::default()).await,
        ),
        told(
            "EvaluateConditional",
            c.evaluate_conditional(EvaluateConditionalRequest::default())
                .await,
        ),
    ]
    .concat();
    expect![[r#"
        EvaluateDecision
          Unimplemented | not implemented yet: it comes with decisions (DMN)
        ModifyProcessInstance
          Unimplemented | not implemented yet: it comes with modification of running instances
        MigrateProcessInstance
          Unimplemented | not implemented yet: it comes with migration of running instances
        DeleteResource
          Unimplemented | not implemented yet: it comes with deletion of deployed resources
        BroadcastSignal
          Unimplemented | not implemented yet: it comes with signal events
        EvaluateConditional
          Unimplemented | not implemented yet: it comes with conditional events
    "#]]
    .assert_eq(&seen);
}

#[tokio::test]
async fn an_upload_of_50_mb_is_refused_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = connect(&server).await;
    let resource = Resource {
        name: "a.bpmn".to_owned(),
        content: vec![b'x'; 50 << 20].into(),
    };
    let request = DeployResourceRequest {
        resources: vec![resource],
        tenant_id: String::new(),
    };
    let status = client.deploy_resource(request).await.unwrap_err();
    assert!(
        matches!(
            status.code(),
            tonic::Code::OutOfRange | tonic::Code::ResourceExhausted
        ),
        "{status:?}"
    );
    client.topology(TopologyRequest {}).await.unwrap();
}

#[tokio::test]
async fn overload_is_refused_at_once_and_what_was_taken_happened() {
    let server = Server::start_with("[limits]\ncommands-in-flight = 16\n");
    let mut client = connect(&server).await;
    deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    let (mut taken, mut refused) = (0, 0);
    // A burst of this size overflows a queue of 16 unless the machine is very slow in sending it.
    for _ in 0..20 {
        let burst: Vec<_> = (0..500)
            .map(|_| {
                let mut client = client.clone();
                tokio::spawn(async move { client.create_process_instance(create("one", "")).await })
            })
            .collect();
        for answer in burst {
            match answer.await.unwrap() {
                Ok(_) => taken += 1,
                Err(status) => {
                    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0 && taken > 0, "{taken} taken, {refused} refused");
    let mut jobs = 0;
    loop {
        let request = ActivateJobsRequest {
            max_jobs_to_activate: 1_000,
            request_timeout: -1,
            ..activate("work")
        };
        match poll(&mut client, request).await.unwrap().len() {
            0 => break,
            count => jobs += count,
        }
    }
    assert_eq!(jobs, taken);
}
