//! Jobs.

use super::super::schema::near_or_far;
use super::field::{Entity, Field, Kind};
use super::words::JobState;

/// Camunda's kinds of job; listeners come later.
const KINDS: &[(i64, &str)] = &[(1, "BPMN_ELEMENT")];

/// Of listeners; an ordinary job's is unspecified.
const LISTENER_EVENTS: &[(i64, &str)] = &[(0, "UNSPECIFIED")];

pub(crate) const JOBS: Entity = Entity {
    title: "Job",
    from: "FROM job j JOIN instance i ON i.key = j.instance JOIN definition d ON d.key = i.definition \
           LEFT JOIN definition_element x ON x.definition = i.definition AND x.idx = j.idx",
    key: &["j.instance", "j.key"],
    fields: &[
        Field::shown(
            "customHeaders",
            "COALESCE(j.headers, x.headers, '{}')",
            Kind::Json,
        ),
        Field::full("deadline", "j.deadline", Kind::Time),
        Field::full("deniedReason", "NULL", Kind::Text),
        Field::full("elementId", "x.id", Kind::Text),
        Field::full("elementInstanceKey", "j.element", Kind::Key),
        Field::full("endTime", "j.ended", Kind::Time),
        Field::full("errorCode", "j.error_code", Kind::Text),
        Field::full("errorMessage", "j.error_message", Kind::Text),
        Field::full(
            "hasFailedWithRetriesLeft",
            "j.state = 3 AND j.retries > 0",
            Kind::Bool,
        ),
        Field::full("isDenied", "NULL", Kind::Bool),
        Field::own_key("jobKey", "j.key", near_or_far!("j")),
        Field::full("kind", "1", Kind::Word(KINDS)),
        Field::full("listenerEventType", "0", Kind::Word(LISTENER_EVENTS)),
        Field::full("processDefinitionId", "d.process_id", Kind::Text),
        Field::full("processDefinitionKey", "i.definition", Kind::Key),
        Field::full("processInstanceKey", "j.instance", Kind::Key),
        Field::unsorted("rootProcessInstanceKey", "j.instance", Kind::Key),
        Field::shown("businessId", "i.business_id", Kind::Text),
        Field::full("retries", "j.retries", Kind::Number),
        Field::full("state", "j.state", Kind::Word(JobState::WORDS)),
        Field::full("tenantId", "i.tenant", Kind::Text),
        Field::full("type", "j.type", Kind::Text),
        Field::full("worker", "COALESCE(j.worker, '')", Kind::Text),
        Field::full("creationTime", "j.created", Kind::Time),
        Field::full("lastUpdateTime", "j.updated", Kind::Time),
        Field::full("priority", "0", Kind::Number),
    ],
    variables: None,
};
