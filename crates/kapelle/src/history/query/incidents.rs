//! Incidents.

use super::field::{Entity, Field, Kind};
use super::words::IncidentState;

pub(crate) const INCIDENTS: Entity = Entity {
    title: "Incident",
    from: "FROM incident n JOIN instance i ON i.key = n.instance JOIN definition d ON d.key = i.definition \
           LEFT JOIN definition_element x ON x.definition = i.definition AND x.idx = n.idx",
    key: &["n.key"],
    fields: &[
        Field::full("processDefinitionId", "d.process_id", Kind::Text),
        Field::full("errorType", "n.kind", Kind::Text),
        Field::full("errorMessage", "n.message", Kind::Text),
        Field::full("elementId", "x.id", Kind::Text),
        Field::full("creationTime", "n.created", Kind::Time),
        Field::full("state", "n.state", Kind::Word(IncidentState::WORDS)),
        Field::full("tenantId", "i.tenant", Kind::Text),
        Field::own_key("incidentKey", "n.key", "n.key = ?"),
        Field::full("processDefinitionKey", "i.definition", Kind::Key),
        Field::full("processInstanceKey", "n.instance", Kind::Key),
        Field::unsorted("rootProcessInstanceKey", "n.instance", Kind::Key),
        Field::full("elementInstanceKey", "n.element", Kind::Key),
        Field::full("jobKey", "n.job", Kind::Key),
    ],
    variables: None,
};
