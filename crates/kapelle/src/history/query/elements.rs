//! Element instances, all but the root scopes.

use super::super::schema::near_or_far;
use super::field::{Entity, Field, Kind};
use super::words::ElementState;

pub(crate) const ELEMENTS: Entity = Entity {
    title: "Element instance",
    from: "FROM element e JOIN instance i ON i.key = e.instance JOIN definition d ON d.key = i.definition \
           LEFT JOIN definition_element x ON x.definition = i.definition AND x.idx = e.idx",
    key: &["e.instance", "e.key"],
    fields: &[
        Field::full("processDefinitionId", "d.process_id", Kind::Text),
        Field::full("startDate", "e.started", Kind::Time),
        Field::full("endDate", "e.ended", Kind::Time),
        Field::full("elementId", "x.id", Kind::Text),
        // As in Camunda: the id stands in for a name that is not there.
        Field::full("elementName", "COALESCE(x.name, x.id)", Kind::Text),
        Field::full("type", "x.type", Kind::Text),
        Field::full("state", "e.state", Kind::Word(ElementState::WORDS)),
        Field::full("hasIncident", "e.incident IS NOT NULL", Kind::Bool),
        Field::full("tenantId", "i.tenant", Kind::Text),
        Field::own_key("elementInstanceKey", "e.key", near_or_far!("e")),
        Field::full("processInstanceKey", "e.instance", Kind::Key),
        Field::unsorted("rootProcessInstanceKey", "e.instance", Kind::Key),
        Field::full("processDefinitionKey", "i.definition", Kind::Key),
        Field::full("incidentKey", "e.incident", Kind::Key),
        Field {
            shown: false,
            ..Field::unsorted("elementInstanceScopeKey", "e.scope", Kind::Key)
        },
    ],
    variables: None,
};
