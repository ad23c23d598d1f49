//! Each element that runs, as the engine gets it.

use expect_test::expect;

use crate::{check, flows};

const MESSAGE: &str = r#"<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="=orderId"/></extensionElements></message>"#;

fn ext(inner: &str) -> String {
    format!("<extensionElements>{inner}</extensionElements>")
}

/// A start and an end event around `x`.
fn around(x: &str) -> String {
    format!(
        r#"<startEvent id="s"/>{x}<endEvent id="e"/>{}"#,
        flows("s>x x>e")
    )
}

#[test]
fn a_service_task_has_job_type_retries_headers_and_mappings() {
    let task = ext(
        r#"<zeebe:taskDefinition type="charge" retries="= attempts"/>
           <zeebe:taskHeaders><zeebe:header key="url" value="=not an expression"/><zeebe:header key="url" value="b"/><zeebe:header key="k"/></zeebe:taskHeaders>
           <zeebe:ioMapping>
             <zeebe:input source="=order.total" target="amount"/>
             <zeebe:input source="plain text" target="a.b"/>
             <zeebe:output source="=result" target="order.paid"/>
           </zeebe:ioMapping>
           <zeebe:properties><zeebe:property name="x" value="y"/></zeebe:properties>
           <other:thing xmlns:other="urn:other" type="=(("/>"#,
    );
    check(
        &around(&format!(
            r#"<serviceTask id="x" name="Charge card" zeebe:modelerTemplate="t">{task}</serviceTask>"#
        )),
        "",
        expect![[r#"
            m.bpmn:2:118: warning[KAP-BPMN-0030]: serviceTask 'x': a header without key or value is left out
              help: Fill in both, or remove the header.
            PROCESS p
              START_EVENT s
              SERVICE_TASK x "Charge card": job charge retries =attempts
                input amount =order.total
                input a.b "plain text"
                output order.paid =result
                header url = "b"
              END_EVENT e
            s_x: s -> x
            x_e: x -> e
        "#]],
    );
}

#[test]
fn retries_are_three_by_default_and_a_type_may_be_an_expression() {
    let task = ext(r#"<zeebe:taskDefinition type='=prefix + "-charge"'/>"#);
    check(
        &around(&format!(r#"<serviceTask id="x">{task}</serviceTask>"#)),
        "",
        expect![[r#"
            PROCESS p
              START_EVENT s
              SERVICE_TASK x: job =prefix + "-charge" retries 3
              END_EVENT e
            s_x: s -> x
            x_e: x -> e
        "#]],
    );
}

#[test]
fn manual_and_undefined_tasks_pass_through_and_ignore_mappings() {
    let mapping =
        ext(r#"<zeebe:ioMapping><zeebe:input source="=1" target="a"/></zeebe:ioMapping>"#);
    check(
        &format!(
            r#"<startEvent id="s"/><manualTask id="a">{mapping}</manualTask><task id="b"/><endEvent id="e"/>{}"#,
            flows("s>a a>b b>e")
        ),
        "",
        expect![[r#"
            m.bpmn:1:326: warning[KAP-BPMN-0028]: manualTask 'a': an input mapping has no effect here
              help: Make the task a service task, or move the mapping.
            PROCESS p
              START_EVENT s
              MANUAL_TASK a
              TASK b
              END_EVENT e
            s_a: s -> a
            a_b: a -> b
            b_e: b -> e
        "#]],
    );
}

#[test]
fn a_user_task_is_a_job_that_is_described_by_headers() {
    let task = ext(
        r#"<zeebe:taskHeaders><zeebe:header key="a" value="b"/></zeebe:taskHeaders>
           <zeebe:assignmentDefinition assignee="=owner" candidateGroups="sales, &quot;a\b&quot;" candidateUsers="=users"/>
           <zeebe:taskSchedule dueDate="2026-01-01T00:00:00Z" followUpDate="=due"/>
           <zeebe:formDefinition formKey="camunda-forms:bpmn:form1"/>"#,
    );
    check(
        &around(&format!(r#"<userTask id="x">{task}</userTask>"#)),
        "",
        expect![[r#"
            PROCESS p
              START_EVENT s
              USER_TASK x: job io.camunda.zeebe:userTask retries 1
                header a = "b"
                header io.camunda.zeebe:assignee = =owner
                header io.camunda.zeebe:candidateGroups = list =["sales","\"a\\b\""]
                header io.camunda.zeebe:candidateUsers = list =users
                header io.camunda.zeebe:dueDate = "2026-01-01T00:00:00Z"
                header io.camunda.zeebe:followUpDate = date-time =due
                header io.camunda.zeebe:formKey = "camunda-forms:bpmn:form1"
              END_EVENT e
            s_x: s -> x
            x_e: x -> e
        "#]],
    );
    check(
        &around(r#"<userTask id="x"/>"#),
        "",
        expect![[r#"
        PROCESS p
          START_EVENT s
          USER_TASK x: job io.camunda.zeebe:userTask retries 1
          END_EVENT e
        s_x: s -> x
        x_e: x -> e
    "#]],
    );
}

#[test]
fn messages_start_are_caught_and_received() {
    let body = format!(
        r#"<startEvent id="s"><messageEventDefinition messageRef="start"/></startEvent>
           <intermediateCatchEvent id="c"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
           <receiveTask id="r" messageRef="m"/><endEvent id="e"/>{}"#,
        flows("s>c c>r r>e")
    );
    check(
        &body,
        &format!(r#"<message id="start" name="placed"/>{MESSAGE}"#),
        expect![[r#"
            PROCESS p
              START_EVENT s: message placed
              INTERMEDIATE_CATCH_EVENT c: message paid key =orderId
              RECEIVE_TASK r: message paid key =orderId
              END_EVENT e
            s_c: s -> c
            c_r: c -> r
            r_e: r -> e
        "#]],
    );
}

#[test]
fn messages_are_thrown_as_job_as_message_and_as_event() {
    let job = ext(r#"<zeebe:taskDefinition type="mail"/>"#);
    let message = ext(
        r#"<zeebe:publishMessage correlationKey="=id" messageId="=uuid()" timeToLive="PT1H"/>"#,
    );
    let event = ext(
        r#"<kapelle:publish type="order.done" subject="=id" data="={id: id}" to="hook" source="/shop"/>"#,
    );
    let short = ext(r#"<kapelle:publish/>"#);
    check(
        &format!(
            r#"<startEvent id="s"/><sendTask id="a">{job}</sendTask>
               <intermediateThrowEvent id="b"><messageEventDefinition messageRef="m"/>{message}</intermediateThrowEvent>
               <sendTask id="c" messageRef="m">{short}</sendTask><intermediateThrowEvent id="d"/>
               <endEvent id="e"><messageEventDefinition/>{event}</endEvent>{}"#,
            flows("s>a a>b b>c c>d d>e")
        ),
        MESSAGE,
        expect![[r#"
            PROCESS p
              START_EVENT s
              SEND_TASK a: job mail retries 3
              INTERMEDIATE_THROW_EVENT b: publish message paid key =id id =uuid() ttl PT1H
              SEND_TASK c: publish event paid
              INTERMEDIATE_THROW_EVENT d
              END_EVENT e: publish event order.done source /shop subject =id data ={id: id} to hook
            s_a: s -> a
            a_b: a -> b
            b_c: b -> c
            c_d: c -> d
            d_e: d -> e
        "#]],
    );
}

#[test]
fn timers_start_wait_and_interrupt() {
    let body = format!(
        r#"<startEvent id="s"><timerEventDefinition><timeCycle xsi:type="tFormalExpression">0 0 9 * * MON-FRI</timeCycle></timerEventDefinition></startEvent>
           <startEvent id="s2"><timerEventDefinition><timeDate>2026-01-01T00:00:00Z</timeDate></timerEventDefinition></startEvent>
           <intermediateCatchEvent id="c"><timerEventDefinition><timeDuration>= wait</timeDuration></timerEventDefinition></intermediateCatchEvent>
           <receiveTask id="r" messageRef="m"/>
           <boundaryEvent id="b1" attachedToRef="r"><timerEventDefinition><timeDuration>PT5M</timeDuration></timerEventDefinition></boundaryEvent>
           <boundaryEvent id="b2" attachedToRef="r" cancelActivity="false"><timerEventDefinition><timeCycle>R3/PT1M</timeCycle></timerEventDefinition></boundaryEvent>
           <endEvent id="e"/>{}"#,
        flows("s>c s2>c c>r r>e b1>e b2>e")
    );
    check(
        &body,
        MESSAGE,
        expect![[r#"
            PROCESS p
              START_EVENT s: timer cycle 0 0 9 * * MON-FRI
              START_EVENT s2: timer date 2026-01-01T00:00:00Z
              INTERMEDIATE_CATCH_EVENT c: timer duration =wait
              RECEIVE_TASK r: message paid key =orderId
                boundary b1, b2
              BOUNDARY_EVENT b1: interrupts r on timer duration PT5M
              BOUNDARY_EVENT b2: accompanies r on timer cycle R3/PT1M
              END_EVENT e
            s_c: s -> c
            s2_c: s2 -> c
            c_r: c -> r
            r_e: r -> e
            b1_e: b1 -> e
            b2_e: b2 -> e
        "#]],
    );
}

#[test]
fn errors_are_thrown_and_caught_by_code_or_all() {
    let body = format!(
        r#"<startEvent id="s"/>
           <subProcess id="x" name="Pay">
             <startEvent id="xs"/><endEvent id="xe"><errorEventDefinition errorRef="err"/></endEvent>
             <endEvent id="xt"><terminateEventDefinition/></endEvent>
             <parallelGateway id="fork"/>{}
           </subProcess>
           <boundaryEvent id="b1" attachedToRef="x"><errorEventDefinition errorRef="err"/></boundaryEvent>
           <boundaryEvent id="b2" attachedToRef="x"><errorEventDefinition/></boundaryEvent>
           <endEvent id="e"/>{}"#,
        flows("xs>fork fork>xe fork>xt"),
        flows("s>x x>e b1>e b2>e")
    );
    check(
        &body,
        r#"<error id="err" name="Refused" errorCode="REFUSED"/>"#,
        expect![[r#"
            PROCESS p
              START_EVENT s
              SUB_PROCESS x "Pay": starts at xs
                boundary b1, b2
                START_EVENT xs
                END_EVENT xe: error REFUSED
                END_EVENT xt: terminate
                PARALLEL_GATEWAY fork
              BOUNDARY_EVENT b1: interrupts x on error REFUSED
              BOUNDARY_EVENT b2: interrupts x on any error
              END_EVENT e
            xs_fork: xs -> fork
            fork_xe: fork -> xe
            fork_xt: fork -> xt
            s_x: s -> x
            x_e: x -> e
            b1_e: b1 -> e
            b2_e: b2 -> e
        "#]],
    );
}

#[test]
fn gateways_decide_fork_and_race() {
    let body = format!(
        r#"<startEvent id="s"/>
           <exclusiveGateway id="g" default="g_race"/>
           <sequenceFlow id="big" name="big" sourceRef="g" targetRef="e"><conditionExpression xsi:type="tFormalExpression">= total &gt; 1000</conditionExpression></sequenceFlow>
           <eventBasedGateway id="race"/>
           <intermediateCatchEvent id="c1"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
           <intermediateCatchEvent id="c2"><timerEventDefinition><timeDuration>PT1H</timeDuration></timerEventDefinition></intermediateCatchEvent>
           <endEvent id="e"/>{}"#,
        flows("s>g g>race race>c1 race>c2 c1>e c2>e")
    );
    check(
        &body,
        MESSAGE,
        expect![[r#"
            PROCESS p
              START_EVENT s
              EXCLUSIVE_GATEWAY g: default g_race
              EVENT_BASED_GATEWAY race
              INTERMEDIATE_CATCH_EVENT c1: message paid key =orderId
              INTERMEDIATE_CATCH_EVENT c2: timer duration PT1H
              END_EVENT e
            big: g -> e if total > 1000
            s_g: s -> g
            g_race: g -> race by default
            race_c1: race -> c1
            race_c2: race -> c2
            c1_e: c1 -> e
            c2_e: c2 -> e
        "#]],
    );
}

#[test]
fn drawing_and_description_are_tolerated() {
    let body = format!(
        r#"<documentation>text &amp; more</documentation>
           <laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef></lane></laneSet>
           <startEvent id="s"><outgoing>s_e</outgoing></startEvent>
           <dataObject id="d"/><dataObjectReference id="dr" dataObjectRef="d"/><dataStoreReference id="ds"/>
           <textAnnotation id="t"><text>hi</text></textAnnotation><association id="a" sourceRef="s" targetRef="t"/><group id="g"/>
           <endEvent id="e"><incoming>s_e</incoming></endEvent>{}"#,
        flows("s>e")
    );
    let beside = r#"<collaboration id="co"><participant id="pa" processRef="p"/><messageFlow id="mf" sourceRef="pa" targetRef="pa"/></collaboration>
        <process id="other"><scriptTask id="whatever"/></process><signal id="si" name="unused"/>
        <BPMNDiagram xmlns="http://www.omg.org/spec/BPMN/20100524/DI" id="s"/>"#;
    check(
        &body,
        beside,
        expect![[r#"
        PROCESS p
          START_EVENT s
          END_EVENT e
        s_e: s -> e
    "#]],
    );
}

#[test]
fn process_attributes_and_several_processes() {
    let beside = format!(
        r#"<process id="second" name="Second" isExecutable="true">{}<startEvent id="s"/><endEvent id="e2"/>{}</process>"#,
        ext(r#"<zeebe:versionTag value="v1.2"/><zeebe:userTaskForm id="f1">{{}}</zeebe:userTaskForm>"#),
        flows("s2>e2").replace("\"s2\"", "\"start2\"")
    )
    .replace("id=\"s\"", "id=\"start2\"");
    check(
        &format!(r#"<startEvent id="s"/><endEvent id="e"/>{}"#, flows("s>e")),
        &beside,
        expect![[r#"
            PROCESS p
              START_EVENT s
              END_EVENT e
            s_e: s -> e
            PROCESS second "Second": version tag v1.2
              START_EVENT start2
              END_EVENT e2
            s2_e2: start2 -> e2
        "#]],
    );
}
