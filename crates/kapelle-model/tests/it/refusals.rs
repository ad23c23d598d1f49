//! Elements that do not run yet, or are wrong by themselves.

use expect_test::expect;

use crate::{check, flows};

#[test]
fn every_element_that_does_not_run_yet_is_refused_by_name() {
    let names = [
        "scriptTask",
        "businessRuleTask",
        "callActivity",
        "inclusiveGateway",
        "complexGateway",
        "adHocSubProcess",
        "transaction",
        "callChoreography",
        "implicitThrowEvent",
    ];
    let elements: String = names
        .iter()
        .map(|name| format!("<{name} id=\"{name}\"/>\n"))
        .collect();
    check(
        &format!("\n{elements}<startEvent id=\"s\"/>"),
        "",
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0008]: scriptTask 'scriptTask': <scriptTask> is not executable yet
              help: Use a service task with a job type, or an input mapping with a FEEL expression.
            m.bpmn:3:1: error[KAP-BPMN-0008]: businessRuleTask 'businessRuleTask': <businessRuleTask> is not executable yet
              help: Use a service task with a job type, or an input mapping with a FEEL expression.
            m.bpmn:4:1: error[KAP-BPMN-0008]: callActivity 'callActivity': <callActivity> is not executable yet
              help: Use an embedded subprocess, or start the other process by a message.
            m.bpmn:5:1: error[KAP-BPMN-0008]: inclusiveGateway 'inclusiveGateway': <inclusiveGateway> is not executable yet
              help: Use exclusive and parallel gateways.
            m.bpmn:6:1: error[KAP-BPMN-0008]: complexGateway 'complexGateway': <complexGateway> is not executable yet
              help: Use exclusive and parallel gateways.
            m.bpmn:7:1: error[KAP-BPMN-0008]: adHocSubProcess 'adHocSubProcess': <adHocSubProcess> is not executable yet
              help: Use an embedded subprocess.
            m.bpmn:8:1: error[KAP-BPMN-0008]: transaction 'transaction': <transaction> is not executable yet
              help: Use an embedded subprocess.
            m.bpmn:9:1: error[KAP-BPMN-0008]: callChoreography 'callChoreography': <callChoreography> is not executable yet
              help: Model the process of each participant.
            m.bpmn:10:1: error[KAP-BPMN-0008]: implicitThrowEvent 'implicitThrowEvent': <implicitThrowEvent> is not executable yet
              help: Use an intermediate throw event.
        "#]],
    );
}

#[test]
fn every_event_definition_that_does_not_run_yet_is_refused_by_name() {
    let names = [
        "signal",
        "escalation",
        "compensate",
        "conditional",
        "link",
        "cancel",
    ];
    let events: String =
        names.iter().map(|name| format!("<intermediateCatchEvent id=\"{name}\"><{name}EventDefinition/></intermediateCatchEvent>\n")).collect();
    check(
        &format!(
            "\n{events}<startEvent id=\"s\"/><endEvent id=\"e\"><eventDefinitionRef>x</eventDefinitionRef></endEvent>\
             <intermediateCatchEvent id=\"m\"><timerEventDefinition/><messageEventDefinition/></intermediateCatchEvent>"
        ),
        "",
        expect![[r#"
            m.bpmn:2:37: error[KAP-BPMN-0008]: intermediateCatchEvent 'signal': <signalEventDefinition> is not executable yet
              help: Use a message, which waits in a buffer and has a key.
            m.bpmn:3:41: error[KAP-BPMN-0008]: intermediateCatchEvent 'escalation': <escalationEventDefinition> is not executable yet
              help: Use an error, or a message.
            m.bpmn:4:41: error[KAP-BPMN-0008]: intermediateCatchEvent 'compensate': <compensateEventDefinition> is not executable yet
              help: Model the undoing as a path of its own, for example behind an error boundary event.
            m.bpmn:5:42: error[KAP-BPMN-0008]: intermediateCatchEvent 'conditional': <conditionalEventDefinition> is not executable yet
              help: Use a message or a timer.
            m.bpmn:6:35: error[KAP-BPMN-0008]: intermediateCatchEvent 'link': <linkEventDefinition> is not executable yet
              help: Draw a sequence flow.
            m.bpmn:7:37: error[KAP-BPMN-0008]: intermediateCatchEvent 'cancel': <cancelEventDefinition> is not executable yet
              help: Use an error.
            m.bpmn:8:38: error[KAP-BPMN-0008]: endEvent 'e': <eventDefinitionRef> is not executable yet
              help: Write the event definition inside the event.
            m.bpmn:8:145: error[KAP-BPMN-0019]: intermediateCatchEvent 'm': an event with several definitions is not executable yet
              help: Use one event for each, behind an event-based gateway or in parallel.
        "#]],
    );
}

#[test]
fn markers_and_attributes_that_would_change_behaviour_are_refused() {
    check(
        r#"<startEvent id="s"/>
<task id="a"><multiInstanceLoopCharacteristics/></task>
<task id="b"><standardLoopCharacteristics/></task>
<task id="c" isForCompensation="true"/>
<subProcess id="d" triggeredByEvent="true"><startEvent id="ds"/></subProcess>
<eventBasedGateway id="f" instantiate="true" eventGatewayType="Parallel"/>
<startEvent id="g" parallelMultiple="true"/>
<task id="h" startQuantity="2" completionQuantity="1"/>
<task id="i" default="x" kapelle:mode="observe"/>
<subProcess id="j"><multiInstanceLoopCharacteristics/><startEvent id="js"/></subProcess>"#,
        "",
        expect![[r#"
            m.bpmn:2:14: error[KAP-BPMN-0008]: task 'a': <multiInstanceLoopCharacteristics> is not executable yet
              help: Model the loop with an exclusive gateway, or put the collection into one job.
            m.bpmn:3:14: error[KAP-BPMN-0008]: task 'b': <standardLoopCharacteristics> is not executable yet
              help: Model the loop with an exclusive gateway.
            m.bpmn:4:33: error[KAP-BPMN-0008]: task 'c': a compensation handler is not executable yet
              help: Model the undoing as a path of its own.
            m.bpmn:5:38: error[KAP-BPMN-0008]: subProcess 'd': an event subprocess is not executable yet
              help: Use a boundary event on a subprocess around the elements.
            m.bpmn:6:1: error[KAP-BPMN-0023]: eventBasedGateway 'f': an event-based gateway must have at least two outgoing flows, but has 0
              help: Use a single catch event instead, or add another.
            m.bpmn:6:40: error[KAP-BPMN-0008]: eventBasedGateway 'f': an instantiating element is not executable yet
              help: Use a message start event.
            m.bpmn:6:64: error[KAP-BPMN-0008]: eventBasedGateway 'f': a parallel event-based gateway is not executable yet
              help: Use several events behind a parallel gateway.
            m.bpmn:7:1: error[KAP-BPMN-0018]: startEvent 'g': a process may have only one none start event; 'g' is a further one
              help: Remove it, or give it a message or timer.
            m.bpmn:7:38: error[KAP-BPMN-0008]: startEvent 'g': a parallel multiple event is not executable yet
              help: Use several events behind a parallel gateway.
            m.bpmn:8:29: error[KAP-BPMN-0008]: task 'h': 'startQuantity' other than 1 is not executable yet
              help: Use parallel gateways.
            m.bpmn:9:1: error[KAP-BPMN-0030]: task 'i': attribute 'kapelle:mode' is not known on <task>
              help: Remove it, or correct its name.
            m.bpmn:9:1: warning[KAP-BPMN-0031]: task 'i': 'i' is never reached
              help: Connect it, or remove it.
            m.bpmn:9:23: error[KAP-BPMN-0022]: task 'i': only an exclusive gateway has a default flow
              help: Put an exclusive gateway behind the element and let the default flow leave that.
            m.bpmn:10:20: error[KAP-BPMN-0008]: subProcess 'j': <multiInstanceLoopCharacteristics> is not executable yet
              help: Model the loop with an exclusive gateway, or put the collection into one job.
        "#]],
    );
}

#[test]
fn extensions_that_do_not_run_yet_are_refused_and_misplaced_ones_reported() {
    check(
        r#"<startEvent id="s"><extensionElements><zeebe:taskDefinition type="x"/><zeebe:formDefinition formId="f"/></extensionElements></startEvent>
<userTask id="u"><extensionElements><zeebe:userTask/><zeebe:priorityDefinition priority="1"/><zeebe:taskListeners/></extensionElements></userTask>
<serviceTask id="x"><extensionElements>
<zeebe:executionListeners/><zeebe:taskDefinition type="a"/><zeebe:taskDefinition type="b"/><zeebe:tsakHeaders/>
<kapelle:publish type="x"/><camunda:inputOutput xmlns:camunda="http://camunda.org/schema/1.0/bpmn"/>
<zeebe:linkedResources/></extensionElements></serviceTask>"#,
        "",
        expect![[r#"
            m.bpmn:1:289: warning[KAP-BPMN-0030]: startEvent 's': <zeebe:taskDefinition> has no effect on <startEvent>
              help: Remove it, or move it to the element it is meant for.
            m.bpmn:2:1: warning[KAP-BPMN-0031]: userTask 'u': 'u' is never reached
              help: Connect it, or remove it.
            m.bpmn:2:37: error[KAP-BPMN-0008]: userTask 'u': <zeebe:userTask> is not executable yet
              help: Remove it: the user task then becomes a job of type io.camunda.zeebe:userTask.
            m.bpmn:2:54: error[KAP-BPMN-0008]: userTask 'u': <zeebe:priorityDefinition> is not executable yet
              help: Remove the priority.
            m.bpmn:2:94: error[KAP-BPMN-0008]: userTask 'u': <zeebe:taskListeners> is not executable yet
              help: Remove it: the user task then becomes a job of type io.camunda.zeebe:userTask.
            m.bpmn:3:1: warning[KAP-BPMN-0031]: serviceTask 'x': 'x' is never reached
              help: Connect it, or remove it.
            m.bpmn:4:1: error[KAP-BPMN-0008]: serviceTask 'x': <zeebe:executionListeners> is not executable yet
              help: Use a service task before or after the element.
            m.bpmn:4:60: error[KAP-BPMN-0030]: serviceTask 'x': <zeebe:taskDefinition> stands here a second time
              help: Keep one of them.
            m.bpmn:4:92: error[KAP-BPMN-0030]: serviceTask 'x': <zeebe:tsakHeaders> is not known
              help: Remove it, or correct its name.
            m.bpmn:5:1: error[KAP-BPMN-0030]: serviceTask 'x': <kapelle:publish> is not known or not allowed on <serviceTask>
              help: kapelle:event belongs on a message; kapelle:publish on a send task, message throw or message end event.
            m.bpmn:5:28: warning[KAP-BPMN-0030]: serviceTask 'x': <camunda:inputOutput> has no effect
              help: It is of Camunda 7; convert the model to Camunda 8.
            m.bpmn:6:1: error[KAP-BPMN-0008]: serviceTask 'x': <zeebe:linkedResources> is not executable yet
              help: Name the resource in a task header.
        "#]],
    );
}

#[test]
fn jobs_need_a_type_and_sensible_retries() {
    check(
        r#"<startEvent id="s"/>
<serviceTask id="a"/>
<serviceTask id="b"><extensionElements><zeebe:taskDefinition type=" "/></extensionElements></serviceTask>
<serviceTask id="c"><extensionElements><zeebe:taskDefinition type="x" retries="many"/></extensionElements></serviceTask>
<serviceTask id="d"><extensionElements><zeebe:taskDefinition type="x" retries="-1"/></extensionElements></serviceTask>
<serviceTask id="f"><extensionElements><zeebe:taskDefinition type="=1 +"/></extensionElements></serviceTask>"#,
        "",
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0027]: serviceTask 'a': must have exactly one zeebe:taskDefinition
              help: Set the job type that a worker asks for.
            m.bpmn:3:40: error[KAP-BPMN-0011]: serviceTask 'b': attribute 'type' of <zeebe:taskDefinition> is missing or empty
              help: Write the job type that a worker asks for.
            m.bpmn:4:80: error[KAP-BPMN-0012]: serviceTask 'c': attribute 'retries' is 'many'
              help: Write a whole number such as 3, or an expression.
            m.bpmn:5:80: error[KAP-BPMN-0012]: serviceTask 'd': attribute 'retries' is '-1'
              help: Write a whole number such as 3, or an expression.
            m.bpmn:6:68: error[KAP-BPMN-0014]: serviceTask 'f': the expression '1 +' in attribute 'type' does not parse: expected an expression, found the end (line 1, column 4)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
        "#]],
    );
}

#[test]
fn mappings_need_sources_and_paths() {
    check(
        r#"<startEvent id="s"/>
<serviceTask id="a"><extensionElements><zeebe:taskDefinition type="x"/><zeebe:ioMapping>
<zeebe:input target="a"/>
<zeebe:input source="=1"/>
<zeebe:input source="=1" target="a..b"/>
<zeebe:input source="=1" target="order.null"/>
<zeebe:input source="=1" target="2nd"/>
<zeebe:output source="static" target="a"/>
<zeebe:output source="=a b c (" target="a"/>
<zeebe:inptu source="=1" target="a"/>
</zeebe:ioMapping></extensionElements></serviceTask>"#,
        "",
        expect![[r#"
            m.bpmn:2:1: warning[KAP-BPMN-0031]: serviceTask 'a': 'a' is never reached
              help: Connect it, or remove it.
            m.bpmn:3:1: error[KAP-BPMN-0011]: serviceTask 'a': attribute 'source' of <zeebe:input> is missing or empty
              help: Write an expression such as =order.total.
            m.bpmn:4:1: error[KAP-BPMN-0011]: serviceTask 'a': attribute 'target' of <zeebe:input> is missing or empty
              help: Name the variable, or a path in it such as order.total.
            m.bpmn:5:34: error[KAP-BPMN-0028]: serviceTask 'a': the target 'a..b' is no path: '' is no name
              help: A path is names joined by '.'; a name begins with a letter or '_' and is no word of FEEL.
            m.bpmn:6:34: error[KAP-BPMN-0028]: serviceTask 'a': the target 'order.null' is no path: 'null' is no name
              help: A path is names joined by '.'; a name begins with a letter or '_' and is no word of FEEL.
            m.bpmn:7:34: error[KAP-BPMN-0028]: serviceTask 'a': the target '2nd' is no path: '2nd' is no name
              help: A path is names joined by '.'; a name begins with a letter or '_' and is no word of FEEL.
            m.bpmn:8:23: error[KAP-BPMN-0015]: serviceTask 'a': attribute 'source' must be an expression, but is the static text 'static'
              help: Write =static for the value of a variable, or ="static" for this very text.
            m.bpmn:9:23: error[KAP-BPMN-0014]: serviceTask 'a': the expression 'a b c (' in attribute 'source' does not parse: expected an expression, found the end (line 1, column 8)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
            m.bpmn:10:1: error[KAP-BPMN-0006]: serviceTask 'a': <zeebe:inptu> stands where only BPMN elements may
              help: Put extensions inside <extensionElements>, and BPMN elements into the BPMN namespace.
        "#]],
    );
}

#[test]
fn user_tasks_need_one_form_and_sound_assignments() {
    check(
        r#"<startEvent id="s"/>
<userTask id="a"><extensionElements><zeebe:formDefinition/></extensionElements></userTask>
<userTask id="b"><extensionElements><zeebe:formDefinition formKey="k" formId="f"/></extensionElements></userTask>
<userTask id="c"><extensionElements><zeebe:formDefinition formId="f"/></extensionElements></userTask>
<userTask id="d"><extensionElements><zeebe:assignmentDefinition candidateGroups="a,,b"/></extensionElements></userTask>
<userTask id="f"><extensionElements><zeebe:taskSchedule dueDate="tomorrow"/></extensionElements></userTask>"#,
        "",
        expect![[r#"
            m.bpmn:2:1: warning[KAP-BPMN-0031]: userTask 'a': 'a' is never reached
              help: Connect it, or remove it.
            m.bpmn:2:37: error[KAP-BPMN-0032]: userTask 'a': a form definition must have exactly one of formKey, formId and externalReference
              help: Keep one of them.
            m.bpmn:3:1: warning[KAP-BPMN-0031]: userTask 'b': 'b' is never reached
              help: Connect it, or remove it.
            m.bpmn:3:37: error[KAP-BPMN-0032]: userTask 'b': a form definition must have exactly one of formKey, formId and externalReference
              help: Keep one of them.
            m.bpmn:4:1: warning[KAP-BPMN-0031]: userTask 'c': 'c' is never reached
              help: Connect it, or remove it.
            m.bpmn:4:67: error[KAP-BPMN-0032]: userTask 'c': 'formId' of <zeebe:formDefinition> is not executable yet
              help: Use formKey, which the task list resolves.
            m.bpmn:5:1: warning[KAP-BPMN-0031]: userTask 'd': 'd' is never reached
              help: Connect it, or remove it.
            m.bpmn:5:82: error[KAP-BPMN-0033]: userTask 'd': attribute 'candidateGroups' is 'a,,b': a value between commas is empty
              help: Write values separated by single commas.
            m.bpmn:6:1: warning[KAP-BPMN-0031]: userTask 'f': 'f' is never reached
              help: Connect it, or remove it.
            m.bpmn:6:66: error[KAP-BPMN-0033]: userTask 'f': attribute 'dueDate' is wrong: 'tomorrow' is not a date-time such as 2027-05-01T12:00:00Z: expected year-month-dayThour:minute:second
              help: Write a date-time with offset, or an expression.
        "#]],
    );
}

#[test]
fn timers_have_one_kind_that_their_place_allows() {
    check(
        r#"<startEvent id="s"><timerEventDefinition/></startEvent>
<intermediateCatchEvent id="a"><timerEventDefinition><timeCycle>R/PT1S</timeCycle></timerEventDefinition></intermediateCatchEvent>
<intermediateCatchEvent id="b"><timerEventDefinition><timeDuration>PT1S</timeDuration><timeDate>=x</timeDate></timerEventDefinition></intermediateCatchEvent>
<intermediateCatchEvent id="c"><timerEventDefinition><timeDuration>one hour</timeDuration></timerEventDefinition></intermediateCatchEvent>
<intermediateCatchEvent id="d"><timerEventDefinition><timeDate></timeDate></timerEventDefinition></intermediateCatchEvent>
<intermediateCatchEvent id="f"><timerEventDefinition><timeWhen/></timerEventDefinition></intermediateCatchEvent>
<task id="t"/>
<boundaryEvent id="g" attachedToRef="t"><timerEventDefinition><timeCycle>R/PT1S</timeCycle></timerEventDefinition></boundaryEvent>"#,
        "",
        expect![[r#"
            m.bpmn:1:270: error[KAP-BPMN-0017]: startEvent 's': a timer must have exactly one of timeDate, timeDuration and timeCycle
              help: Choose one kind of timer in the modeler.
            m.bpmn:2:54: error[KAP-BPMN-0017]: intermediateCatchEvent 'a': <timeCycle> is not allowed here
              help: A cycle may stand at a start event of the process or a boundary event that does not interrupt.
            m.bpmn:3:32: error[KAP-BPMN-0017]: intermediateCatchEvent 'b': a timer must have exactly one of timeDate, timeDuration and timeCycle
              help: Choose one kind of timer in the modeler.
            m.bpmn:4:68: error[KAP-BPMN-0017]: intermediateCatchEvent 'c': 'one hour' is not a duration such as PT30S or P1DT12H: it must begin with P
              help: Correct the value, or write an expression with '='.
            m.bpmn:5:54: error[KAP-BPMN-0017]: intermediateCatchEvent 'd': the timer has no value
              help: Write an ISO-8601 date-time, duration or cycle.
            m.bpmn:6:32: error[KAP-BPMN-0017]: intermediateCatchEvent 'f': a timer must have exactly one of timeDate, timeDuration and timeCycle
              help: Choose one kind of timer in the modeler.
            m.bpmn:6:54: error[KAP-BPMN-0006]: intermediateCatchEvent 'f': <timeWhen> is not known here
              help: Remove it, or correct its name.
            m.bpmn:7:1: warning[KAP-BPMN-0031]: task 't': 't' is never reached
              help: Connect it, or remove it.
            m.bpmn:8:63: error[KAP-BPMN-0017]: boundaryEvent 'g': <timeCycle> is not allowed here
              help: A cycle may stand at a start event of the process or a boundary event that does not interrupt.
        "#]],
    );
}

#[test]
fn a_start_timer_reads_no_variables() {
    check(
        r#"<startEvent id="s"><timerEventDefinition><timeDate>=now() + duration("PT1H")</timeDate></timerEventDefinition></startEvent>
<startEvent id="t"><timerEventDefinition><timeDate>=due</timeDate></timerEventDefinition></startEvent>"#,
        "",
        expect![[r#"
            m.bpmn:2:20: error[KAP-BPMN-0017]: startEvent 't': the timer of a start event cannot read the variable 'due'
              help: It is computed at deployment; use a constant or functions such as now().
        "#]],
    );
}

#[test]
fn booleans_are_xml_booleans() {
    check(
        r#"<startEvent id="s"/><task id="t" isForCompensation="1"/>
<boundaryEvent id="b" attachedToRef="t" cancelActivity="no"><errorEventDefinition/></boundaryEvent>"#,
        r#"<process id="q" isExecutable="yes"/><process id="r" isExecutable="1"/>"#,
        expect![[r#"
            m.bpmn:1:303: error[KAP-BPMN-0008]: task 't': a compensation handler is not executable yet
              help: Model the undoing as a path of its own.
            m.bpmn:2:57: error[KAP-BPMN-0012]: boundaryEvent 'b': attribute 'cancelActivity' is 'no'
              help: Write true or false.
            m.bpmn:2:140: error[KAP-BPMN-0012]: process 'q': attribute 'isExecutable' is 'yes'
              help: Write true or false.
            m.bpmn:2:146: error[KAP-BPMN-0018]: process 'r': a process must have a start event
              help: Draw a start event and connect it.
        "#]],
    );
}

#[test]
fn extensions_may_stand_at_the_event_or_its_definition_but_not_at_both() {
    check(
        r#"<startEvent id="s"/>
<endEvent id="a"><messageEventDefinition><extensionElements><zeebe:taskDefinition type="x"/><zeebe:taskHeaders><zeebe:header key="k" value="v"/></zeebe:taskHeaders></extensionElements></messageEventDefinition></endEvent>
<endEvent id="b"><extensionElements><zeebe:taskDefinition type="x"/></extensionElements><messageEventDefinition><extensionElements><zeebe:taskDefinition type="x"/></extensionElements></messageEventDefinition></endEvent>
<endEvent id="c"><terminateEventDefinition><extensionElements><zeebe:conditionalFilter/></extensionElements></terminateEventDefinition></endEvent>
<intermediateCatchEvent id="d"><extensionElements><zeebe:properties><zeebe:property name="inbound.type" value="io.camunda:webhook:1"/></zeebe:properties></extensionElements><timerEventDefinition><timeDuration>PT1S</timeDuration></timerEventDefinition></intermediateCatchEvent>"#,
        "",
        expect![[r#"
            m.bpmn:2:1: warning[KAP-BPMN-0031]: endEvent 'a': 'a' is never reached
              help: Connect it, or remove it.
            m.bpmn:3:1: warning[KAP-BPMN-0031]: endEvent 'b': 'b' is never reached
              help: Connect it, or remove it.
            m.bpmn:3:132: error[KAP-BPMN-0030]: endEvent 'b': <zeebe:taskDefinition> stands at the event already
              help: Keep one of them.
            m.bpmn:4:1: warning[KAP-BPMN-0031]: endEvent 'c': 'c' is never reached
              help: Connect it, or remove it.
            m.bpmn:4:63: error[KAP-BPMN-0008]: endEvent 'c': <zeebe:conditionalFilter> is not executable yet
              help: Remove it.
            m.bpmn:5:1: warning[KAP-BPMN-0030]: intermediateCatchEvent 'd': an inbound connector has no effect on an element that receives no message
              help: Put it at a start event of the process, a message event or a receive task.
            m.bpmn:5:1: warning[KAP-BPMN-0031]: intermediateCatchEvent 'd': 'd' is never reached
              help: Connect it, or remove it.
        "#]],
    );
}

#[test]
fn events_stand_where_they_may() {
    check(
        r#"<startEvent id="s"><errorEventDefinition/></startEvent>
<startEvent id="s2"><terminateEventDefinition/></startEvent>
<intermediateCatchEvent id="a"/>
<intermediateCatchEvent id="b"><errorEventDefinition/></intermediateCatchEvent>
<intermediateThrowEvent id="c"><timerEventDefinition/></intermediateThrowEvent>
<endEvent id="d"><timerEventDefinition/></endEvent>
<task id="t"><timerEventDefinition/></task>
<boundaryEvent id="f" attachedToRef="t"/>
<boundaryEvent id="g" attachedToRef="a"><errorEventDefinition/></boundaryEvent>
<boundaryEvent id="h"><errorEventDefinition/></boundaryEvent>
<boundaryEvent id="i" attachedToRef="t" cancelActivity="false"><errorEventDefinition/></boundaryEvent>
<subProcess id="sub"><startEvent id="sub_s"><timerEventDefinition><timeDuration>PT1S</timeDuration></timerEventDefinition></startEvent></subProcess>"#,
        "",
        expect![[r#"
            m.bpmn:1:270: error[KAP-BPMN-0019]: startEvent 's': <errorEventDefinition> is not allowed in <startEvent>
              help: A process starts with none, message or timer; a subprocess with none.
            m.bpmn:2:21: error[KAP-BPMN-0019]: startEvent 's2': <terminateEventDefinition> is not allowed in <startEvent>
              help: A process starts with none, message or timer; a subprocess with none.
            m.bpmn:3:1: error[KAP-BPMN-0019]: intermediateCatchEvent 'a': <intermediateCatchEvent> must have an event definition
              help: An intermediate catch event has message or timer.
            m.bpmn:4:32: error[KAP-BPMN-0019]: intermediateCatchEvent 'b': <errorEventDefinition> is not allowed in <intermediateCatchEvent>
              help: An intermediate catch event has message or timer.
            m.bpmn:5:32: error[KAP-BPMN-0019]: intermediateThrowEvent 'c': <timerEventDefinition> is not allowed in <intermediateThrowEvent>
              help: An intermediate throw event has none or message.
            m.bpmn:6:18: error[KAP-BPMN-0019]: endEvent 'd': <timerEventDefinition> is not allowed in <endEvent>
              help: An end event has none, message, error or terminate.
            m.bpmn:7:1: warning[KAP-BPMN-0031]: task 't': 't' is never reached
              help: Connect it, or remove it.
            m.bpmn:7:14: error[KAP-BPMN-0006]: task 't': <timerEventDefinition> is not known here
              help: Remove it, or correct its name.
            m.bpmn:8:1: error[KAP-BPMN-0019]: boundaryEvent 'f': <boundaryEvent> must have an event definition
              help: A boundary event has message, timer or error.
            m.bpmn:9:38: error[KAP-BPMN-0024]: boundaryEvent 'g': it is attached to 'a', which is no activity of the same scope
              help: Attach the event to a task or subprocess beside it.
            m.bpmn:10:1: error[KAP-BPMN-0011]: boundaryEvent 'h': attribute 'attachedToRef' of <boundaryEvent> is missing or empty
              help: Attach the event to the border of an activity.
            m.bpmn:11:1: warning[KAP-BPMN-0024]: boundaryEvent 'i': 't' does not wait, so its boundary events never happen
              help: Attach the event to a task that waits.
            m.bpmn:11:57: error[KAP-BPMN-0024]: boundaryEvent 'i': an error boundary event must be interrupting
              help: An error ends the activity; set cancelActivity to true.
            m.bpmn:12:1: warning[KAP-BPMN-0031]: subProcess 'sub': 'sub' is never reached
              help: Connect it, or remove it.
            m.bpmn:12:45: error[KAP-BPMN-0019]: startEvent 'sub_s': <timerEventDefinition> is not allowed in <startEvent>
              help: A process starts with none, message or timer; a subprocess with none.
        "#]],
    );
}

#[test]
fn errors_have_codes_and_catches_constant_ones() {
    check(
        r#"<startEvent id="s"/>
<endEvent id="a"><errorEventDefinition/></endEvent>
<endEvent id="b"><errorEventDefinition errorRef="nowhere"/></endEvent>
<endEvent id="c"><errorEventDefinition errorRef="codeless"/></endEvent>
<endEvent id="d"><errorEventDefinition errorRef="computed"/></endEvent>
<task id="t"/>
<boundaryEvent id="f" attachedToRef="t"><errorEventDefinition errorRef="computed"/></boundaryEvent>
<boundaryEvent id="g" attachedToRef="t"><errorEventDefinition errorRef="codeless"/></boundaryEvent>"#,
        r#"<error id="codeless"/><error id="computed" errorCode="=code"/>"#,
        expect![[r#"
            m.bpmn:2:18: error[KAP-BPMN-0011]: endEvent 'a': attribute 'errorRef' of <errorEventDefinition> is missing or empty
              help: Choose or create the error that is thrown.
            m.bpmn:3:50: error[KAP-BPMN-0013]: endEvent 'b': 'errorRef' refers to 'nowhere', which is no error of this document
              help: Correct the reference, or add the error.
            m.bpmn:5:1: warning[KAP-BPMN-0031]: endEvent 'd': 'd' is never reached
              help: Connect it, or remove it.
            m.bpmn:6:1: warning[KAP-BPMN-0031]: task 't': 't' is never reached
              help: Connect it, or remove it.
            m.bpmn:8:110: error[KAP-BPMN-0011]: error 'codeless': attribute 'errorCode' of <error> is missing or empty
              help: The code is what a boundary event catches.
            m.bpmn:8:110: error[KAP-BPMN-0011]: error 'codeless': attribute 'errorCode' of <error> is missing or empty
              help: To catch every error, remove the reference to the error.
            m.bpmn:8:164: error[KAP-BPMN-0016]: error 'computed': attribute 'errorCode' must be constant, but is the expression '=code'
              help: Write the text itself, without '='.
        "#]],
    );
}

#[test]
fn one_bad_element_does_not_hide_the_next() {
    let body = format!(
        r#"<startEvent id="s"/>
<scriptTask id="a"/>
<serviceTask id="b"/>
<sequenceFlow id="f" sourceRef="s" targetRef="nowhere"/>
<intermediateCatchEvent id="c"><signalEventDefinition/></intermediateCatchEvent>
<frobnicate id="d"/>
<endEvent id="e"/>{}"#,
        flows("s>a a>b b>c c>e")
    );
    check(
        &body,
        "",
        expect![[r#"
        m.bpmn:2:1: error[KAP-BPMN-0008]: scriptTask 'a': <scriptTask> is not executable yet
          help: Use a service task with a job type, or an input mapping with a FEEL expression.
        m.bpmn:3:1: error[KAP-BPMN-0027]: serviceTask 'b': must have exactly one zeebe:taskDefinition
          help: Set the job type that a worker asks for.
        m.bpmn:4:47: error[KAP-BPMN-0013]: sequenceFlow 'f': 'targetRef' refers to 'nowhere', which is no flow node of this process
          help: Correct the reference, or remove the flow.
        m.bpmn:5:32: error[KAP-BPMN-0008]: intermediateCatchEvent 'c': <signalEventDefinition> is not executable yet
          help: Use a message, which waits in a buffer and has a key.
        m.bpmn:6:1: error[KAP-BPMN-0006]: frobnicate 'd': <frobnicate> is not known here
          help: Remove it, or correct its name.
    "#]],
    );
}

#[test]
fn expressions_say_where_inside_they_are_wrong() {
    let deep = "(".repeat(5_000);
    let job = r#"<zeebe:taskDefinition type="x"/>"#;
    check(
        &format!(
            r#"<startEvent id="s"/>
<serviceTask id="a"><extensionElements>{job}<zeebe:ioMapping>
<zeebe:input source="={{&#10;  total: 1 +,&#10;}}" target="a"/>
<zeebe:input source="={deep}" target="a"/>
</zeebe:ioMapping></extensionElements></serviceTask>{}"#,
            flows("s>a")
        ),
        "",
        expect![[r#"
            m.bpmn:3:22: error[KAP-BPMN-0014]: serviceTask 'a': the expression '{   total: 1 +, }' in attribute 'source' does not parse: expected an expression, found `,` (line 2, column 13)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
            m.bpmn:4:22: error[KAP-BPMN-0014]: serviceTask 'a': the expression '((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((…' in attribute 'source' does not parse: the expression is nested more than 200 deep (line 1, column 201)
              help: Correct the FEEL expression; `kapelle feel eval` tries one out.
        "#]],
    );
}
