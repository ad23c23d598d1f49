//! What each BPMN tag is to us: runs, refused, or drawing.
//!
//! Invariant: a name in none of these tables is unknown and therefore refused where it stands. Deliberately absent:
//! which attributes and children a tag may have beyond that.

use crate::graph::ElementType;

/// Flow nodes that run.
pub(super) fn element_type(name: &str) -> Option<ElementType> {
    Some(match name {
        "startEvent" => ElementType::StartEvent,
        "endEvent" => ElementType::EndEvent,
        "intermediateCatchEvent" => ElementType::IntermediateCatchEvent,
        "intermediateThrowEvent" => ElementType::IntermediateThrowEvent,
        "boundaryEvent" => ElementType::BoundaryEvent,
        "task" => ElementType::Task,
        "manualTask" => ElementType::ManualTask,
        "serviceTask" => ElementType::ServiceTask,
        "sendTask" => ElementType::SendTask,
        "receiveTask" => ElementType::ReceiveTask,
        "userTask" => ElementType::UserTask,
        "exclusiveGateway" => ElementType::ExclusiveGateway,
        "parallelGateway" => ElementType::ParallelGateway,
        "eventBasedGateway" => ElementType::EventBasedGateway,
        "subProcess" => ElementType::SubProcess,
        _ => return None,
    })
}

/// Flow nodes of BPMN that do not run yet, and what to use meanwhile.
pub(super) fn refused_flow_node(name: &str) -> Option<&'static str> {
    Some(match name {
        "scriptTask" | "businessRuleTask" => {
            "Use a service task with a job type, or an input mapping with a FEEL expression."
        }
        "callActivity" => "Use an embedded subprocess, or start the other process by a message.",
        "inclusiveGateway" => "Use exclusive and parallel gateways.",
        "complexGateway" => "Use exclusive and parallel gateways.",
        "adHocSubProcess" | "transaction" => "Use an embedded subprocess.",
        "callChoreography" | "subChoreography" | "choreographyTask" => {
            "Model the process of each participant."
        }
        "implicitThrowEvent" | "event" => "Use an intermediate throw event.",
        _ => return None,
    })
}

pub(super) fn is_flow_node(name: &str) -> bool {
    element_type(name).is_some() || refused_flow_node(name).is_some()
}

/// Event definitions that do not run yet.
pub(super) fn refused_event_definition(name: &str) -> Option<&'static str> {
    Some(match name {
        "signalEventDefinition" => "Use a message, which waits in a buffer and has a key.",
        "escalationEventDefinition" => "Use an error, or a message.",
        "compensateEventDefinition" => {
            "Model the undoing as a path of its own, for example behind an error boundary event."
        }
        "conditionalEventDefinition" => "Use a message or a timer.",
        "linkEventDefinition" => "Draw a sequence flow.",
        "cancelEventDefinition" => "Use an error.",
        "eventDefinitionRef" => "Write the event definition inside the event.",
        _ => return None,
    })
}

/// Children of a process or subprocess that are not run but described, drawn or filed.
pub(super) fn is_description(name: &str) -> bool {
    matches!(
        name,
        "documentation"
            | "extensionElements"
            | "laneSet"
            | "dataObject"
            | "dataObjectReference"
            | "dataStoreReference"
            | "textAnnotation"
            | "group"
            | "association"
            | "ioSpecification"
            | "ioBinding"
            | "property"
            | "auditing"
            | "monitoring"
            | "incoming"
            | "outgoing"
            | "dataInput"
            | "dataOutput"
            | "inputSet"
            | "outputSet"
            | "dataInputAssociation"
            | "dataOutputAssociation"
            | "correlationSubscription"
            | "supports"
            | "supportedInterfaceRef"
            | "resourceRole"
            | "performer"
            | "humanPerformer"
            | "potentialOwner"
            | "rendering"
            | "categoryValueRef"
    )
}

/// Children of an activity that would change how often it runs.
pub(super) fn refused_marker(name: &str) -> Option<&'static str> {
    Some(match name {
        "multiInstanceLoopCharacteristics" => {
            "Model the loop with an exclusive gateway, or put the collection into one job."
        }
        "standardLoopCharacteristics" => "Model the loop with an exclusive gateway.",
        _ => return None,
    })
}

/// What may stand directly under `definitions`.
pub(super) fn is_root_element(name: &str) -> bool {
    matches!(
        name,
        "import"
            | "extension"
            | "extensionElements"
            | "documentation"
            | "relationship"
            | "process"
            | "collaboration"
            | "choreography"
            | "globalChoreographyTask"
            | "conversation"
            | "globalConversation"
            | "category"
            | "correlationProperty"
            | "dataStore"
            | "message"
            | "error"
            | "escalation"
            | "signal"
            | "resource"
            | "itemDefinition"
            | "interface"
            | "endPoint"
            | "partnerEntity"
            | "partnerRole"
            | "globalTask"
            | "globalManualTask"
            | "globalUserTask"
            | "globalScriptTask"
            | "globalBusinessRuleTask"
            | "messageEventDefinition"
            | "timerEventDefinition"
            | "errorEventDefinition"
            | "escalationEventDefinition"
            | "signalEventDefinition"
            | "compensateEventDefinition"
            | "conditionalEventDefinition"
            | "linkEventDefinition"
            | "cancelEventDefinition"
            | "terminateEventDefinition"
    )
}
