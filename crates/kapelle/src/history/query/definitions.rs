//! Process definitions.

use rusqlite::{Connection, OptionalExtension as _};

use super::field::{Entity, Field, Kind};
use crate::history::Error;

/// As in Camunda; only the first one occurs.
const DEFINITION_STATES: &[(i64, &str)] = &[(1, "ACTIVE"), (2, "DRAINING"), (3, "DELETED")];

pub(crate) const DEFINITIONS: Entity = Entity {
    title: "Process definition",
    from: "FROM definition d",
    key: &["d.key"],
    fields: &[
        Field::full("name", "d.name", Kind::Text),
        Field::full("resourceName", "d.resource_name", Kind::Text),
        Field::full("version", "d.version", Kind::Number),
        Field::full("versionTag", "d.version_tag", Kind::Text),
        Field::full("processDefinitionId", "d.process_id", Kind::Text),
        Field::full("tenantId", "d.tenant", Kind::Text),
        Field::own_key("processDefinitionKey", "d.key", "d.key = ?"),
        // Start forms do not exist yet.
        Field::unsorted("hasStartForm", "0", Kind::Bool),
        // Definitions are not deleted yet.
        Field::unsorted("state", "1", Kind::Word(DEFINITION_STATES)),
        Field {
            shown: false,
            ..Field::unsorted(
                "isLatestVersion",
                "d.version = (SELECT MAX(o.version) FROM definition o WHERE o.process_id = d.process_id AND o.tenant = d.tenant)",
                Kind::Bool,
            )
        },
    ],
    variables: None,
};

/// The BPMN text as it was deployed.
pub(crate) fn xml(connection: &Connection, key: i64) -> Result<Option<Vec<u8>>, Error> {
    connection
        .query_row("SELECT r.bytes FROM definition d JOIN resource r ON r.key = d.resource WHERE d.key = ?1", [key], |row| row.get(0))
        .optional()
        .map_err(Error::sqlite("look up a definition's text"))
}
