//! Rules over several elements.

use expect_test::expect;

use crate::{check, flows};

const MESSAGE: &str = r#"<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="=orderId"/></extensionElements></message>"#;
const JOB: &str = r#"<extensionElements><zeebe:taskDefinition type="x"/></extensionElements>"#;

#[test]
fn start_events_are_counted() {
    check(
        r#"<endEvent id="e"/>"#,
        "",
        expect![[r#"
        m.bpmn:1:215: error[KAP-BPMN-0018]: process 'p': a process must have a start event
          help: Draw a start event and connect it.
        m.bpmn:1:251: warning[KAP-BPMN-0031]: endEvent 'e': 'e' is never reached
          help: Connect it, or remove it.
    "#]],
    );
    check(
        &format!(
            r#"<startEvent id="s1"/>
<startEvent id="s2"/>
<subProcess id="x"/>
<subProcess id="y"><startEvent id="y1"/><startEvent id="y2"/></subProcess>{}"#,
            flows("s1>x s2>y")
        ),
        "",
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0018]: startEvent 's2': a process may have only one none start event; 's2' is a further one
              help: Remove it, or give it a message or timer.
            m.bpmn:3:1: error[KAP-BPMN-0018]: subProcess 'x': a subprocess must have a none start event
              help: Draw exactly one start event without symbol inside the subprocess.
            m.bpmn:4:41: error[KAP-BPMN-0018]: startEvent 'y2': a subprocess may have only one none start event; 'y2' is a further one
              help: Remove it, or give it a message or timer.
            m.bpmn:4:41: warning[KAP-BPMN-0031]: startEvent 'y2': 'y2' is never reached
              help: Connect it, or remove it.
        "#]],
    );
}

#[test]
fn flows_join_elements_of_one_scope() {
    check(
        &format!(
            r#"<startEvent id="s"/><subProcess id="x"><startEvent id="xs"/><task id="t"/>{}</subProcess>
<endEvent id="e"/><task id="u"/>
<sequenceFlow id="out" sourceRef="t" targetRef="e"/>
<sequenceFlow id="back" sourceRef="e" targetRef="s"/>
<sequenceFlow id="half" sourceRef="x"/>
<sequenceFlow id="flow" sourceRef="back" targetRef="p"/>
<boundaryEvent id="b" attachedToRef="x"><errorEventDefinition/></boundaryEvent>
<sequenceFlow id="into" sourceRef="u" targetRef="b"/>
{}"#,
            flows("xs>t"),
            flows("s>x")
        ),
        "",
        expect![[r#"
            m.bpmn:2:1: warning[KAP-BPMN-0031]: endEvent 'e': 'e' is never reached
              help: Connect it, or remove it.
            m.bpmn:2:19: warning[KAP-BPMN-0031]: task 'u': 'u' is never reached
              help: Connect it, or remove it.
            m.bpmn:3:1: error[KAP-BPMN-0020]: sequenceFlow 'out': it connects 't' and 'e', which stand in different scopes
              help: Let the flow end inside the subprocess and begin a new one outside.
            m.bpmn:4:1: error[KAP-BPMN-0020]: sequenceFlow 'back': a start event has no incoming flow
              help: Remove the flow, or let it end elsewhere.
            m.bpmn:4:1: error[KAP-BPMN-0020]: sequenceFlow 'back': an end event has no outgoing flow
              help: Remove the flow, or let it end elsewhere.
            m.bpmn:5:1: error[KAP-BPMN-0011]: sequenceFlow 'half': attribute 'targetRef' of <sequenceFlow> is missing or empty
              help: A sequence flow connects two elements.
            m.bpmn:6:36: error[KAP-BPMN-0013]: sequenceFlow 'flow': 'sourceRef' refers to 'back', which is no flow node of this process
              help: Correct the reference, or remove the flow.
            m.bpmn:6:53: error[KAP-BPMN-0013]: sequenceFlow 'flow': 'targetRef' refers to 'p', which is no flow node of this process
              help: Correct the reference, or remove the flow.
            m.bpmn:8:1: error[KAP-BPMN-0020]: sequenceFlow 'into': a boundary event has no incoming flow
              help: Remove the flow, or let it end elsewhere.
        "#]],
    );
}

#[test]
fn conditions_stand_behind_exclusive_gateways_only() {
    let condition = |id: &str, source: &str, text: &str| {
        format!(
            "\n<sequenceFlow id=\"{id}\" sourceRef=\"{source}\" targetRef=\"e\"><conditionExpression>{text}</conditionExpression></sequenceFlow>"
        )
    };
    let conditions = [
        condition("on_start", "s", "=x"),
        condition("on_fork", "fork", "=x"),
        condition("static", "g", "x"),
        condition("broken", "g", "=x >"),
        condition("default", "g", "=x"),
    ];
    check(
        &format!(
            r#"<startEvent id="s"/><parallelGateway id="fork"/><exclusiveGateway id="g" default="default"/><exclusiveGateway id="h" default="nowhere"/><endEvent id="e"/>{}{}"#,
            conditions.concat(),
            flows("s>fork s>g g>e s>h")
        ),
        "",
        expect![[r#"
            m.bpmn:1:377: error[KAP-BPMN-0022]: exclusiveGateway 'h': the default flow 'nowhere' does not leave this gateway
              help: Choose one of its own outgoing flows.
            m.bpmn:2:1: error[KAP-BPMN-0021]: sequenceFlow 'on_start': a condition may only stand on a flow that leaves an exclusive gateway
              help: Put an exclusive gateway in front of the flow.
            m.bpmn:3:1: error[KAP-BPMN-0021]: sequenceFlow 'on_fork': a condition may only stand on a flow that leaves an exclusive gateway
              help: Put an exclusive gateway in front of the flow.
            m.bpmn:4:76: error[KAP-BPMN-0015]: sequenceFlow 'static': the text of the element must be an expression, but is the static text 'x'
              help: Write =x for the value of a variable, or ="x" for this very text.
            m.bpmn:5:76: error[KAP-BPMN-0014]: sequenceFlow 'broken': the expression 'x >' in the text of the element does not parse: expected an expression, found the end (line 1, column 4)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
            m.bpmn:6:1: error[KAP-BPMN-0021]: sequenceFlow 'default': the default flow must not have a condition
              help: Remove the condition; the flow is taken when no other is.
            m.bpmn:6:226: error[KAP-BPMN-0021]: sequenceFlow 'g_e': a flow that leaves an exclusive gateway must have a condition or be the default
              help: Add a condition, or make it the default flow.
        "#]],
    );
}

#[test]
fn event_based_gateways_have_catch_events_of_their_own() {
    check(
        &format!(
            r#"<startEvent id="s"/><eventBasedGateway id="g"/>
<receiveTask id="r" messageRef="m"/>
<intermediateCatchEvent id="c"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<intermediateCatchEvent id="d"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<eventBasedGateway id="h"/><endEvent id="e"/>{}"#,
            flows("s>g g>r g>c g>d s>d s>h h>c r>e c>e d>e")
        ),
        MESSAGE,
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0023]: receiveTask 'r': 'r' behind the event-based gateway is no intermediate catch event
              help: Put a message or timer catch event in between.
            m.bpmn:3:1: error[KAP-BPMN-0023]: intermediateCatchEvent 'c': 'c' behind the event-based gateway has other incoming flows too
              help: Give the other flow a catch event of its own.
            m.bpmn:4:1: error[KAP-BPMN-0023]: intermediateCatchEvent 'd': 'd' behind the event-based gateway has other incoming flows too
              help: Give the other flow a catch event of its own.
            m.bpmn:4:1: error[KAP-BPMN-0026]: intermediateCatchEvent 'd': 'c' and 'd' behind the same event-based gateway wait for the same message
              help: Only one of them could ever be reached.
            m.bpmn:5:1: error[KAP-BPMN-0023]: eventBasedGateway 'h': an event-based gateway must have at least two outgoing flows, but has 1
              help: Use a single catch event instead, or add another.
        "#]],
    );
}

#[test]
fn what_arrives_has_one_receiver_in_a_place() {
    check(
        &format!(
            r#"<startEvent id="s1"><messageEventDefinition messageRef="m"/></startEvent>
<startEvent id="s2"><messageEventDefinition messageRef="m"/></startEvent>
<receiveTask id="r" messageRef="m"/>
<boundaryEvent id="b1" attachedToRef="r"><messageEventDefinition messageRef="m"/></boundaryEvent>
<boundaryEvent id="b2" attachedToRef="r"><errorEventDefinition/></boundaryEvent>
<boundaryEvent id="b3" attachedToRef="r"><errorEventDefinition/></boundaryEvent>
<boundaryEvent id="b4" attachedToRef="r"><errorEventDefinition errorRef="err"/></boundaryEvent>
<task id="t"/>
<boundaryEvent id="b5" attachedToRef="t"><errorEventDefinition/></boundaryEvent>
{}"#,
            flows("s1>r s2>r r>t")
        ),
        &format!(r#"{MESSAGE}<error id="err" errorCode="E"/>"#),
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0026]: startEvent 's2': 's1' and 's2' start the process on the same message 'paid'
              help: Keep one of them.
            m.bpmn:4:1: error[KAP-BPMN-0026]: boundaryEvent 'b1': 'r' and 'b1' both wait for the message 'paid' at 'r'
              help: Keep one of them.
            m.bpmn:6:1: error[KAP-BPMN-0026]: boundaryEvent 'b3': 'b2' and 'b3' both wait for every error at 'r'
              help: Keep one of them.
            m.bpmn:9:1: warning[KAP-BPMN-0024]: boundaryEvent 'b5': 't' does not wait, so its boundary events never happen
              help: Attach the event to a task that waits.
        "#]],
    );
}

#[test]
fn a_cycle_needs_something_that_waits() {
    let gateway = r#"<exclusiveGateway id="g" default="g_e"/>
<sequenceFlow id="again" sourceRef="g" targetRef="a"><conditionExpression>=again</conditionExpression></sequenceFlow>"#;
    check(
        &format!(
            r#"<startEvent id="s"/><task id="a"/><manualTask id="b"/>{gateway}<endEvent id="e"/>{}"#,
            flows("s>a a>b b>g g>e")
        ),
        "",
        expect![[r#"
            m.bpmn:1:271: error[KAP-BPMN-0029]: task 'a': the cycle a > b > g > a has no element that waits
              help: It would run for ever within one moment; put a job, a timer or a message into it.
        "#]],
    );
    // A job in it makes it a proper loop.
    check(
        &format!(
            r#"<startEvent id="s"/><task id="a"/><serviceTask id="b">{JOB}</serviceTask>{gateway}<endEvent id="e"/>{}"#,
            flows("s>a a>b b>g g>e")
        ),
        "",
        expect![[r#"
            PROCESS p
              START_EVENT s
              TASK a
              SERVICE_TASK b: job x retries 3
              EXCLUSIVE_GATEWAY g: default g_e
              END_EVENT e
            again: g -> a if again
            s_a: s -> a
            a_b: a -> b
            b_g: b -> g
            g_e: g -> e by default
        "#]],
    );
    // So does an output mapping, because the condition may come to another result.
    let counter = r#"<extensionElements><zeebe:ioMapping><zeebe:output source="=i + 1" target="i"/></zeebe:ioMapping></extensionElements>"#;
    check(
        &format!(
            r#"<startEvent id="s"/><intermediateThrowEvent id="a">{counter}</intermediateThrowEvent>{gateway}<endEvent id="e"/>{}"#,
            flows("s>a a>g g>e")
        ),
        "",
        expect![[r#"
            PROCESS p
              START_EVENT s
              INTERMEDIATE_THROW_EVENT a
                output i =i + 1
              EXCLUSIVE_GATEWAY g: default g_e
              END_EVENT e
            again: g -> a if again
            s_a: s -> a
            a_g: a -> g
            g_e: g -> e by default
        "#]],
    );
}

#[test]
fn an_element_without_way_to_it_is_a_warning() {
    check(
        &format!(
            r#"<startEvent id="s"/><endEvent id="e"/><task id="lost"/><task id="behind"/>{}"#,
            flows("s>e lost>behind")
        ),
        "",
        expect![[r#"
            m.bpmn:1:289: warning[KAP-BPMN-0031]: task 'lost': 'lost' is never reached
              help: Connect it, or remove it.
            PROCESS p
              START_EVENT s
              END_EVENT e
              TASK lost
              TASK behind
            s_e: s -> e
            lost_behind: lost -> behind
        "#]],
    );
}

#[test]
fn ids_are_names_and_unique() {
    check(
        r#"<startEvent id="s"/>
<task/>
<task id="has space"/>
<task id="1st"/>
<task id="s"/>
<sequenceFlow sourceRef="s" targetRef="s"/>"#,
        "",
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0009]: process 'p': <task> has no id
              help: Give it an id; it names the element in the API.
            m.bpmn:3:1: warning[KAP-BPMN-0031]: task 'has space': 'has space' is never reached
              help: Connect it, or remove it.
            m.bpmn:3:11: error[KAP-BPMN-0009]: task 'has space': 'has space' is no valid id
              help: An id begins with a letter or '_' and goes on with letters, digits, '-', '_' and '.'.
            m.bpmn:4:1: warning[KAP-BPMN-0031]: task '1st': '1st' is never reached
              help: Connect it, or remove it.
            m.bpmn:4:11: error[KAP-BPMN-0009]: task '1st': '1st' is no valid id
              help: An id begins with a letter or '_' and goes on with letters, digits, '-', '_' and '.'.
            m.bpmn:5:1: error[KAP-BPMN-0029]: task 's': the cycle s > s has no element that waits
              help: It would run for ever within one moment; put a job, a timer or a message into it.
            m.bpmn:5:11: error[KAP-BPMN-0010]: task 's': the id 's' is used a second time; the first is in line 1
              help: Give every element an id of its own.
            m.bpmn:6:1: error[KAP-BPMN-0009]: process 'p': <sequenceFlow> has no id
              help: Give it an id; it names the element in the API.
        "#]],
    );
}
