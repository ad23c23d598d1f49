//! Processes that the tests deploy.

pub(crate) fn definitions(body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:kapelle="urn:kapelle:bpmn:1"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="urn:test" id="definitions">
{body}
</bpmn:definitions>"#
    )
}

/// start → service task `work` of that job type → end.
pub(crate) fn one_task(process_id: &str, job_type: &str) -> String {
    definitions(&format!(
        r#"<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"/>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work"/>
  <bpmn:serviceTask id="work">
    <bpmn:extensionElements>
      <zeebe:taskDefinition type="{job_type}" retries="3"/>
      <zeebe:taskHeaders><zeebe:header key="colour" value="green"/></zeebe:taskHeaders>
    </bpmn:extensionElements>
  </bpmn:serviceTask>
  <bpmn:sequenceFlow id="f2" sourceRef="work" targetRef="end"/>
  <bpmn:endEvent id="end"/>
</bpmn:process>"#
    ))
}

/// start → catch message `paid` with the key in variable `order` → end; also started by message `ordered`.
pub(crate) fn message_wait(process_id: &str) -> String {
    definitions(&format!(
        r#"<bpmn:message id="m1" name="paid">
  <bpmn:extensionElements><zeebe:subscription correlationKey="=order"/></bpmn:extensionElements>
</bpmn:message>
<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"/>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="catch"/>
  <bpmn:intermediateCatchEvent id="catch"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:intermediateCatchEvent>
  <bpmn:sequenceFlow id="f2" sourceRef="catch" targetRef="end"/>
  <bpmn:endEvent id="end"/>
</bpmn:process>"#
    ))
}

/// Started by a CloudEvent of type `order.placed`; publishes `order.completed` to that target when it ends.
pub(crate) fn event_to_event(process_id: &str, to: &str) -> String {
    definitions(&format!(
        r#"<bpmn:message id="m1" name="order.placed"/>
<bpmn:message id="m2" name="order.completed"/>
<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:startEvent>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="end"/>
  <bpmn:endEvent id="end">
    <bpmn:extensionElements>
      <kapelle:publish type="order.completed" subject="=order" data="={{order: order}}" to="{to}"/>
    </bpmn:extensionElements>
    <bpmn:messageEventDefinition id="d2" messageRef="m2"/>
  </bpmn:endEvent>
</bpmn:process>"#
    ))
}

/// Started by that message; ends at once.
pub(crate) fn message_start(process_id: &str, message: &str) -> String {
    definitions(&format!(
        r#"<bpmn:message id="m1" name="{message}"/>
<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:startEvent>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="end"/>
  <bpmn:endEvent id="end"/>
</bpmn:process>"#
    ))
}

/// Started by a CloudEvent of that type, which becomes these variables (an expression); ends at once.
pub(crate) fn event_start(process_id: &str, event_type: &str, variables: &str) -> String {
    definitions(&format!(
        r#"<bpmn:message id="m1" name="{event_type}">
  <bpmn:extensionElements><kapelle:event type="{event_type}" variables="={variables}"/></bpmn:extensionElements>
</bpmn:message>
<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:startEvent>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="end"/>
  <bpmn:endEvent id="end"/>
</bpmn:process>"#
    ))
}

/// One service task whose error goes to an end event of its own, `declined`.
pub(crate) fn task_with_error(process_id: &str, job_type: &str, code: &str) -> String {
    definitions(&format!(
        r#"<bpmn:error id="e1" errorCode="{code}"/>
<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"/>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work"/>
  <bpmn:serviceTask id="work"><bpmn:extensionElements><zeebe:taskDefinition type="{job_type}"/></bpmn:extensionElements></bpmn:serviceTask>
  <bpmn:boundaryEvent id="error" attachedToRef="work"><bpmn:errorEventDefinition id="d1" errorRef="e1"/></bpmn:boundaryEvent>
  <bpmn:sequenceFlow id="f2" sourceRef="work" targetRef="end"/>
  <bpmn:sequenceFlow id="f3" sourceRef="error" targetRef="declined"/>
  <bpmn:endEvent id="end"/>
  <bpmn:endEvent id="declined"/>
</bpmn:process>"#
    ))
}
