//! Messages and their binding to CloudEvents.

use expect_test::expect;

use crate::{check, flows};

fn start_and_catch() -> String {
    format!(
        r#"<startEvent id="s"><messageEventDefinition messageRef="a"/></startEvent>
           <intermediateCatchEvent id="c"><messageEventDefinition messageRef="b"/></intermediateCatchEvent>
           <endEvent id="e"/>{}"#,
        flows("s>c c>e")
    )
}

#[test]
fn an_event_binding_has_type_filter_key_variables_ttl_and_lock() {
    check(
        &start_and_catch(),
        r#"<message id="a" name="placed"><extensionElements>
             <kapelle:event type="com.shop.order" filter="=data.total > 10" key="=data.id" variables="={order: data}" ttl="PT2H" lock="false"/>
           </extensionElements></message>
           <message id="b" name="paid"><extensionElements>
             <zeebe:subscription correlationKey="=orderId"/><kapelle:event key="=data.order"/>
           </extensionElements></message>"#,
        expect![[r#"
            PROCESS p
              START_EVENT s: message placed event com.shop.order filter =data.total > 10 key =data.id variables ={order: data} ttl 7200000 ms without lock
              INTERMEDIATE_CATCH_EVENT c: message paid key =orderId event paid key =data.order
              END_EVENT e
            s_c: s -> c
            c_e: c -> e
        "#]],
    );
}

#[test]
fn a_wrong_binding_says_which_attribute() {
    check(
        &start_and_catch(),
        r#"<message id="a" name="=n"><extensionElements>
             <kapelle:event filter="static" key="=(" ttl="P1M" lock="maybe" tpye="x"/>
           </extensionElements></message>
           <message id="b" name="paid"><extensionElements>
             <zeebe:subscription correlationKey="orderId"/><kapelle:event ttl="soon" type="=x"/><kapelle:evnt/>
           </extensionElements></message>"#,
        expect![[r#"
            m.bpmn:3:166: error[KAP-BPMN-0016]: message 'a': the name of a message that starts a process must be constant, but is '=n'
              help: Write the name itself, without '='.
            m.bpmn:4:14: error[KAP-BPMN-0011]: message 'a': attribute 'type' of <kapelle:event> is missing or empty
              help: Where the message's name is an expression, the CloudEvent's type must be given.
            m.bpmn:4:37: error[KAP-BPMN-0015]: message 'a': attribute 'filter' must be an expression, but is the static text 'static'
              help: Write =static for the value of a variable, or ="static" for this very text.
            m.bpmn:4:50: error[KAP-BPMN-0014]: message 'a': the expression '(' in attribute 'key' does not parse: expected an expression, found the end (line 1, column 2)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
            m.bpmn:4:59: error[KAP-BPMN-0012]: message 'a': attribute 'ttl' is 'P1M'
              help: Write an ISO-8601 duration in days or less, such as PT1H.
            m.bpmn:4:70: error[KAP-BPMN-0012]: message 'a': attribute 'lock' is 'maybe'
              help: Write true or false.
            m.bpmn:4:83: error[KAP-BPMN-0030]: message 'a': attribute 'tpye' of <kapelle:event> is not known
              help: It has the attributes type, filter, key, variables, ttl, lock.
            m.bpmn:7:50: error[KAP-BPMN-0015]: message 'b': attribute 'correlationKey' must be an expression, but is the static text 'orderId'
              help: Write =orderId for the value of a variable, or ="orderId" for this very text.
            m.bpmn:7:80: error[KAP-BPMN-0012]: message 'b': attribute 'ttl' is wrong: 'soon' is not a duration such as PT30S or P1DT12H: it must begin with P
              help: Write an ISO-8601 duration in days or less, such as PT1H.
            m.bpmn:7:92: error[KAP-BPMN-0016]: message 'b': attribute 'type' must be constant, but is the expression '=x'
              help: Write the text itself, without '='.
            m.bpmn:7:97: error[KAP-BPMN-0030]: message 'b': <kapelle:evnt> is not known or not allowed on <message>
              help: kapelle:event belongs on a message; kapelle:publish on a send task, message throw or message end event.
        "#]],
    );
}

#[test]
fn a_caught_message_needs_a_subscription_and_a_started_one_a_constant_name() {
    check(
        &start_and_catch(),
        r#"<message id="a" name="=variable"/><message id="b" name="paid"><extensionElements><kapelle:event key="=subject"/></extensionElements></message>"#,
        expect![[r#"
            m.bpmn:3:166: error[KAP-BPMN-0016]: message 'a': the name of a message that starts a process must be constant, but is '=variable'
              help: Write the name itself, without '='.
            m.bpmn:3:178: error[KAP-BPMN-0025]: message 'b': a caught message must have a zeebe:subscription with a correlation key
              help: Add a subscription correlation key to the message: an expression over the process's variables.
        "#]],
    );
}

#[test]
fn messages_must_exist_and_have_names() {
    check(
        &start_and_catch(),
        r#"<message id="a" name=" "/><signal id="b" name="x"/>"#,
        expect![[r#"
            m.bpmn:2:79: error[KAP-BPMN-0013]: intermediateCatchEvent 'c': 'messageRef' refers to 'b', which is no message of this document
              help: Correct the reference, or add the message.
            m.bpmn:3:144: error[KAP-BPMN-0025]: message 'a': a message must have a name
              help: The name is what publishers say.
        "#]],
    );
    check(
        &start_and_catch().replace(r#" messageRef="a""#, ""),
        r#"<message id="b"><extensionElements><zeebe:subscription/></extensionElements></message>"#,
        expect![[r#"
            m.bpmn:1:270: error[KAP-BPMN-0011]: startEvent 's': attribute 'messageRef' of <messageEventDefinition> is missing or empty
              help: Choose or create a message in the modeler.
            m.bpmn:3:144: error[KAP-BPMN-0025]: message 'b': a message must have a name
              help: The name is what publishers say.
            m.bpmn:3:179: error[KAP-BPMN-0011]: message 'b': attribute 'correlationKey' of <zeebe:subscription> is missing or empty
              help: Write an expression such as =orderId.
        "#]],
    );
}

#[test]
fn one_way_to_send_is_required_and_only_one_allowed() {
    let task = |extensions: &str| {
        format!(
            r#"<startEvent id="s"/><sendTask id="x"><extensionElements>{extensions}</extensionElements></sendTask><endEvent id="e"/>{}"#,
            flows("s>x x>e")
        )
    };
    check(
        &task(""),
        "",
        expect![[r#"
        m.bpmn:1:271: error[KAP-BPMN-0027]: sendTask 'x': must have one of zeebe:taskDefinition, zeebe:publishMessage and kapelle:publish
          help: Say how the message is sent: by a worker (job type), inside the engine, or as a CloudEvent.
    "#]],
    );
    check(
        &task(r#"<zeebe:taskDefinition type="t"/><kapelle:publish type="x"/>"#),
        "",
        expect![[r#"
            m.bpmn:1:271: error[KAP-BPMN-0027]: sendTask 'x': has more than one of zeebe:taskDefinition, zeebe:publishMessage and kapelle:publish
              help: Keep the one way the message shall be sent.
        "#]],
    );
    check(
        &task(r#"<zeebe:publishMessage timeToLive="1h"/>"#),
        "",
        expect![[r#"
            m.bpmn:1:271: error[KAP-BPMN-0011]: sendTask 'x': attribute 'messageRef' of <sendTask> is missing or empty
              help: Choose or create a message in the modeler.
            m.bpmn:1:341: error[KAP-BPMN-0012]: sendTask 'x': attribute 'timeToLive' is wrong: '1h' is not a duration such as PT30S or P1DT12H: it must begin with P
              help: Write a duration such as PT1H, or an expression.
        "#]],
    );
    check(
        &task(r#"<kapelle:publish data="static" tpye="x"/>"#),
        "",
        expect![[r#"
            m.bpmn:1:307: error[KAP-BPMN-0011]: sendTask 'x': attribute 'type' of <kapelle:publish> is missing or empty
              help: Write the type of the CloudEvent, or refer to a message whose name is the type.
            m.bpmn:1:330: error[KAP-BPMN-0015]: sendTask 'x': attribute 'data' must be an expression, but is the static text 'static'
              help: Write =static for the value of a variable, or ="static" for this very text.
            m.bpmn:1:344: error[KAP-BPMN-0030]: sendTask 'x': attribute 'tpye' of <kapelle:publish> is not known
              help: It has the attributes type, source, subject, data, to.
        "#]],
    );
}

#[test]
fn a_name_that_is_computed_from_nothing_is_a_constant() {
    let subscription =
        r#"<extensionElements><zeebe:subscription correlationKey="=id"/></extensionElements>"#;
    check(
        &start_and_catch(),
        &format!(
            r#"<message id="a" name='= "pla" + "ced"'/><message id="b" name="=uuid()">{subscription}</message>"#
        ),
        expect![[r#"
            PROCESS p
              START_EVENT s: message placed
              INTERMEDIATE_CATCH_EVENT c: message =uuid() key =id
              END_EVENT e
            s_c: s -> c
            c_e: c -> e
        "#]],
    );
}
