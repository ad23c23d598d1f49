//! Process instances.

use super::field::{Entity, Field, Kind};
use super::words::{ElementState, InstanceState};

/// A condition on the instance's elements.
const SOME_ELEMENT: &str = "EXISTS (SELECT 1 FROM element e JOIN definition_element x ON x.definition = i.definition AND x.idx = e.idx WHERE e.instance = i.key AND {})";

pub(crate) const INSTANCES: Entity = Entity {
    title: "Process instance",
    from: "FROM instance i JOIN definition d ON d.key = i.definition",
    key: &["i.key"],
    fields: &[
        Field::full("processDefinitionId", "d.process_id", Kind::Text),
        Field::full("processDefinitionName", "d.name", Kind::Text),
        Field::full("processDefinitionVersion", "d.version", Kind::Number),
        Field::full("processDefinitionVersionTag", "d.version_tag", Kind::Text),
        Field::full("startDate", "i.started", Kind::Time),
        Field::full("endDate", "i.ended", Kind::Time),
        Field::full("state", "i.state", Kind::Word(InstanceState::WORDS)),
        Field::absent("suspendedDate"),
        Field::full("hasIncident", "i.incidents > 0", Kind::Bool),
        Field::full("tenantId", "i.tenant", Kind::Text),
        Field::own_key("processInstanceKey", "i.key", "i.key = ?"),
        Field::full("processDefinitionKey", "i.definition", Kind::Key),
        // Call activities come later: every instance is a root.
        Field::full("parentProcessInstanceKey", "NULL", Kind::Key),
        Field::full("parentElementInstanceKey", "NULL", Kind::Key),
        Field::unsorted("rootProcessInstanceKey", "i.key", Kind::Key),
        Field::unsorted("tags", "i.tags", Kind::Json),
        Field::full("businessId", "i.business_id", Kind::Text),
        Field::through("elementId", "x.id", Kind::Text, SOME_ELEMENT),
        Field::through(
            "elementInstanceState",
            "e.state",
            Kind::Word(ElementState::WORDS),
            SOME_ELEMENT,
        ),
        Field::through(
            "hasElementInstanceIncident",
            "e.incident IS NOT NULL",
            Kind::Bool,
            SOME_ELEMENT,
        ),
        Field::through(
            "errorMessage",
            "n.message",
            Kind::Text,
            "EXISTS (SELECT 1 FROM incident n WHERE n.instance = i.key AND n.state = 1 AND {})",
        ),
        Field::through(
            "hasRetriesLeft",
            "j.retries > 0",
            Kind::Bool,
            "EXISTS (SELECT 1 FROM job j WHERE j.instance = i.key AND j.state = 3 AND {})",
        ),
    ],
    variables: Some(
        "EXISTS (SELECT 1 FROM variable v WHERE v.instance = i.key AND v.scope = i.key AND {})",
    ),
};
