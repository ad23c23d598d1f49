//! Variables.

use super::super::schema::near_or_far;
use super::field::{Entity, Field, Kind};

pub(crate) const VARIABLES: Entity = Entity {
    title: "Variable",
    from: "FROM variable v JOIN instance i ON i.key = v.instance",
    key: &["v.instance", "v.key"],
    fields: &[
        Field::full("name", "v.name", Kind::Text),
        Field::full("tenantId", "i.tenant", Kind::Text),
        Field::own_key("variableKey", "v.key", near_or_far!("v")),
        Field::full("scopeKey", "v.scope", Kind::Key),
        Field::full("processInstanceKey", "v.instance", Kind::Key),
        Field::unsorted("rootProcessInstanceKey", "v.instance", Kind::Key),
        Field {
            filter: false,
            sort: false,
            ..Field::full("value", "v.value", Kind::Value)
        },
        // Compared as the JSON text that is given out.
        Field {
            shown: false,
            ..Field::full("value", "json_of(v.value)", Kind::Text)
        },
        Field {
            shown: false,
            ..Field::unsorted("isTruncated", "length(json_of(v.value)) > 8191", Kind::Bool)
        },
    ],
    variables: None,
};
