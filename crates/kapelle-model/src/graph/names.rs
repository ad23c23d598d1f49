//! The words the API uses for element and event types: one table, both directions of nothing else.
//!
//! Invariant: names and numbers never change once released; clients and journals hold them.
//! Deliberately absent: reading a name back. Who stores a type stores its number.

use super::{ElementType, EventType};

impl ElementType {
    /// The name as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "PROCESS",
            Self::SubProcess => "SUB_PROCESS",
            Self::EventSubProcess => "EVENT_SUB_PROCESS",
            Self::AdHocSubProcess => "AD_HOC_SUB_PROCESS",
            Self::AdHocSubProcessInnerInstance => "AD_HOC_SUB_PROCESS_INNER_INSTANCE",
            Self::StartEvent => "START_EVENT",
            Self::IntermediateCatchEvent => "INTERMEDIATE_CATCH_EVENT",
            Self::IntermediateThrowEvent => "INTERMEDIATE_THROW_EVENT",
            Self::BoundaryEvent => "BOUNDARY_EVENT",
            Self::EndEvent => "END_EVENT",
            Self::ServiceTask => "SERVICE_TASK",
            Self::ReceiveTask => "RECEIVE_TASK",
            Self::UserTask => "USER_TASK",
            Self::ManualTask => "MANUAL_TASK",
            Self::Task => "TASK",
            Self::ExclusiveGateway => "EXCLUSIVE_GATEWAY",
            Self::InclusiveGateway => "INCLUSIVE_GATEWAY",
            Self::ParallelGateway => "PARALLEL_GATEWAY",
            Self::EventBasedGateway => "EVENT_BASED_GATEWAY",
            Self::SequenceFlow => "SEQUENCE_FLOW",
            Self::MultiInstanceBody => "MULTI_INSTANCE_BODY",
            Self::CallActivity => "CALL_ACTIVITY",
            Self::BusinessRuleTask => "BUSINESS_RULE_TASK",
            Self::ScriptTask => "SCRIPT_TASK",
            Self::SendTask => "SEND_TASK",
        }
    }
}

impl EventType {
    /// The name as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::None => "NONE",
            Self::Message => "MESSAGE",
            Self::Timer => "TIMER",
            Self::Error => "ERROR",
            Self::Signal => "SIGNAL",
            Self::Escalation => "ESCALATION",
            Self::Link => "LINK",
            Self::Compensation => "COMPENSATION",
            Self::Conditional => "CONDITIONAL",
            Self::Terminate => "TERMINATE",
        }
    }
}
