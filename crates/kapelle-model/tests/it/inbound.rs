//! Camunda's inbound connectors, as its Modeler writes them, become bindings to CloudEvents.

use expect_test::expect;

use crate::{check, flows};

fn properties(pairs: &[(&str, &str)]) -> String {
    let list: String = pairs
        .iter()
        .map(|(name, value)| format!(r#"<zeebe:property name="{name}" value="{value}"/>"#))
        .collect();
    format!("<extensionElements><zeebe:properties>{list}</zeebe:properties></extensionElements>")
}

const WEBHOOK: (&str, &str) = ("inbound.type", "io.camunda:webhook:1");

#[test]
fn each_connector_is_bound_by_its_address_and_sees_its_payload() {
    let start = properties(&[
        WEBHOOK,
        ("inbound.subtype", "ConfigurableInboundWebhook"),
        ("inbound.method", "any"),
        ("inbound.context", "orders"),
        ("inbound.shouldValidateHmac", "disabled"),
        ("inbound.auth.type", "NONE"),
        ("activationCondition", "=request.body.total &gt; 10"),
        ("resultVariable", "answer"),
        ("resultExpression", "= {order: request.body.id}"),
    ]);
    let catch = properties(&[
        ("inbound.type", "io.camunda:connector-kafka-inbound:1"),
        ("topic.topicName", "payments"),
        ("correlationKeyExpression", "=key"),
        ("messageIdExpression", "=value.id"),
        ("messageTtl", "PT1M"),
        ("resultExpression", "={paid: value.amount} // all of it"),
        ("deduplicationModeManualFlag", "false"),
    ]);
    let receive = properties(&[
        ("inbound.type", "io.camunda:connector-rabbitmq-inbound:1"),
        ("queueName", "parcels"),
        ("correlationKeyExpression", "=message.body.order"),
        ("resultVariable", "my parcel"),
    ]);
    let boundary = properties(&[
        ("inbound.type", "io.camunda:aws-sqs-inbound:1"),
        ("queue.url", "https://sqs/stop"),
        ("correlationKeyExpression", "=body.order"),
    ]);
    let subscription =
        r#"<extensionElements><zeebe:subscription correlationKey="=order"/></extensionElements>"#;
    check(
        &format!(
            r#"<startEvent id="s">{start}</startEvent>
<intermediateCatchEvent id="c">{catch}<messageEventDefinition messageRef="m1"/></intermediateCatchEvent>
<receiveTask id="r" messageRef="m2">{receive}</receiveTask>
<boundaryEvent id="b" attachedToRef="r">{boundary}<messageEventDefinition messageRef="m3"/></boundaryEvent>
<endEvent id="e"/>{}"#,
            flows("s>c c>r r>e b>e")
        ),
        &format!(
            r#"<message id="m1" name="7c1e">{subscription}</message><message id="m2" name="8d2f">{subscription}</message><message id="m3" name="stop">{subscription}</message>"#
        ),
        expect![[r#"
            PROCESS p
              START_EVENT s: message p/s event orders filter =request.body.total > 10 key =null variables =context merge([{"answer": response}, ({order: request.body.id}\n)]) as Webhook
              INTERMEDIATE_CATCH_EVENT c: message 7c1e key =order event payments key =key variables =({paid: value.amount} // all of it\n) message id =value.id ttl 60000 ms as Kafka
              RECEIVE_TASK r: message 8d2f key =order event parcels key =message.body.order variables ={"my parcel": response} as Rabbitmq
                boundary b
              BOUNDARY_EVENT b: interrupts r on message stop key =order event stop key =body.order variables ={} as Body
              END_EVENT e
            s_c: s -> c
            c_r: c -> r
            r_e: r -> e
            b_e: b -> e
        "#]],
    );
}

#[test]
fn what_kapelle_event_says_goes_before_and_a_type_can_be_given() {
    let catch = properties(&[
        ("inbound.type", "io.camunda:connector-kafka-inbound:1"),
        ("topic.topicName", "payments"),
        ("correlationKeyExpression", "=key"),
        ("resultExpression", "={paid: value.amount}"),
    ]);
    let start = properties(&[
        WEBHOOK,
        ("inbound.context", "orders"),
        ("kapelle.type", "com.shop.order"),
    ]);
    check(
        &format!(
            r#"<startEvent id="s">{start}<messageEventDefinition messageRef="m0"/></startEvent>
<intermediateCatchEvent id="c">{catch}<messageEventDefinition messageRef="m1"/></intermediateCatchEvent>
<endEvent id="e"/>{}"#,
            flows("s>c c>e")
        ),
        r#"<message id="m0" name="start"/>
<message id="m1" name="7c1e"><extensionElements><zeebe:subscription correlationKey="=order"/><kapelle:event type="com.shop.paid" key="=data.order"/></extensionElements></message>"#,
        expect![[r#"
            PROCESS p
              START_EVENT s: message start event com.shop.order key =null variables ={} as Webhook
              INTERMEDIATE_CATCH_EVENT c: message 7c1e key =order event com.shop.paid key =data.order variables =({paid: value.amount}\n) as Kafka
              END_EVENT e
            s_c: s -> c
            c_e: c -> e
        "#]],
    );
}

#[test]
fn what_a_connector_would_do_and_nobody_does_is_said() {
    let start = properties(&[
        WEBHOOK,
        ("inbound.context", "={{secrets.PATH}}"),
        ("inbound.shouldValidateHmac", "enabled"),
        ("inbound.auth.type", "JWT"),
        ("inbound.responseExpression", "={}"),
    ]);
    let second = properties(&[WEBHOOK, ("correlationKeyExpression", "=key")]);
    let catch = properties(&[WEBHOOK]);
    check(
        &format!(
            r#"<startEvent id="s">{start}<messageEventDefinition messageRef="m"/></startEvent>
<intermediateCatchEvent id="c">{second}<messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<intermediateCatchEvent id="d">{catch}<messageEventDefinition messageRef="n"/></intermediateCatchEvent>
<task id="t">{second}</task>
<endEvent id="e"/>{}"#,
            flows("s>c c>d d>t t>e")
        ),
        r#"<message id="m" name="m"><extensionElements><zeebe:subscription correlationKey="=order"/></extensionElements></message>
<message id="n" name="n"><extensionElements><zeebe:subscription correlationKey="=order"/></extensionElements></message>"#,
        expect![[r#"
            m.bpmn:1:439: warning[KAP-BPMN-0030]: startEvent 's': the connector's HMAC is not checked: its events come in through the server's own door
              help: Let the server check who may send events, or run Camunda's connectors beside it.
            m.bpmn:1:506: warning[KAP-BPMN-0030]: startEvent 's': the connector's authorization is not checked: its events come in through the server's own door
              help: Let the server check who may send events, or run Camunda's connectors beside it.
            m.bpmn:1:560: warning[KAP-BPMN-0030]: startEvent 's': the sender does not get the connector's response: its events come in through the server's own door
              help: Let the server check who may send events, or run Camunda's connectors beside it.
            m.bpmn:2:1: warning[KAP-BPMN-0030]: intermediateCatchEvent 'c': message 'm' has an inbound connector already
              help: Let each connector have a message of its own; the first one counts.
            m.bpmn:3:1: warning[KAP-BPMN-0030]: intermediateCatchEvent 'd': the connector has no correlationKeyExpression, so no event ever reaches who waits
              help: Fill in its correlation key (payload).
            m.bpmn:4:1: warning[KAP-BPMN-0030]: task 't': an inbound connector has no effect on an element that receives no message
              help: Put it at a start event of the process, a message event or a receive task.
            PROCESS p
              START_EVENT s: message m key =order event m key =null variables ={} as Webhook
              INTERMEDIATE_CATCH_EVENT c: message m key =order event m key =null variables ={} as Webhook
              INTERMEDIATE_CATCH_EVENT d: message n key =order event n key =null variables ={} as Webhook
              TASK t
              END_EVENT e
            s_c: s -> c
            c_d: c -> d
            d_t: d -> t
            t_e: t -> e
        "#]],
    );
}

#[test]
fn a_wrong_property_is_an_error_with_its_place() {
    let start = properties(&[
        WEBHOOK,
        ("activationCondition", "=(("),
        ("messageTtl", "=ttl"),
        ("resultExpression", "order"),
        ("kapelle.type", "=x"),
    ]);
    check(
        &format!(
            r#"<startEvent id="s">{start}</startEvent><endEvent id="e"/>{}"#,
            flows("s>e")
        ),
        "",
        expect![[r#"
            m.bpmn:1:423: error[KAP-BPMN-0014]: startEvent 's': the expression '((' in attribute 'value' does not parse: expected an expression, found the end (line 1, column 3)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
            m.bpmn:1:470: error[KAP-BPMN-0012]: startEvent 's': attribute 'value' is wrong: '=ttl' is not a duration such as PT30S or P1DT12H: it must begin with P
              help: Write an ISO-8601 duration in days or less, such as PT1H.
            m.bpmn:1:524: error[KAP-BPMN-0015]: startEvent 's': attribute 'value' must be an expression, but is the static text 'order'
              help: Write =order for the value of a variable, or ="order" for this very text.
            m.bpmn:1:575: error[KAP-BPMN-0016]: startEvent 's': attribute 'value' must be constant, but is the expression '=x'
              help: Write the text itself, without '='.
        "#]],
    );
}
