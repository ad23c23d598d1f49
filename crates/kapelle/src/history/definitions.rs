//! What the projection knows of definitions: elements by their index, so that rows need no names.

use std::sync::Arc;

use kapelle_engine::event::ProcessDeployed;
use kapelle_model::graph::{Action, Element, HeaderValue, Process};
use rusqlite::{Connection, params};

use crate::gateway::variables::render_headers;

/// Compiles the process as the engine does and writes one row an element.
///
/// Bytes that were accepted once compile in every release (design §4); should they not, the definition is searchable
/// without its elements.
pub(super) fn write(
    connection: &Connection,
    deployed: &ProcessDeployed,
    xml: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO definition VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?
        .execute(params![
            signed(deployed.definition.get()),
            signed(deployed.resource.get()),
            &*deployed.tenant,
            &*deployed.process_id,
            deployed.version,
            deployed.version_tag.as_deref(),
            deployed.name.as_deref(),
            &*deployed.resource_name,
            deployed.semantics,
        ])?;
    let Some(process) = compile(deployed, xml) else {
        tracing::warn!(process = %deployed.process_id, version = deployed.version, "the elements of a definition are not searchable");
        return Ok(());
    };
    let mut insert = connection
        .prepare_cached("INSERT OR REPLACE INTO definition_element VALUES (?1,?2,?3,?4,?5,?6)")?;
    for index in process.indexes() {
        let element = process.element(index);
        insert.execute(params![
            signed(deployed.definition.get()),
            index.0,
            &*element.id,
            element.name.as_deref(),
            element.element_type.as_str(),
            static_headers(element),
        ])?;
    }
    Ok(())
}

fn compile(deployed: &ProcessDeployed, xml: &[u8]) -> Option<Arc<Process>> {
    let semantics = u16::try_from(deployed.semantics).ok()?;
    let bpmn = kapelle_model::compile(xml, semantics).ok()?;
    bpmn.processes
        .into_iter()
        .find(|process| process.id == deployed.process_id)
        .map(Arc::from)
}

/// As the JSON text of an object: what all jobs of the element carry whose own event names none.
fn static_headers(element: &Element) -> Option<String> {
    let Some(Action::Job(job)) = element.kind.action() else {
        return None;
    };
    let headers: Option<Vec<(Arc<str>, Arc<str>)>> = job
        .headers
        .iter()
        .map(|header| match &header.value {
            HeaderValue::Static(value) => Some((header.key.clone(), value.clone())),
            _ => None,
        })
        .collect();
    headers
        .filter(|headers| !headers.is_empty())
        .map(|headers| render_headers(&headers))
}

/// SQLite's integers are signed; keys stay far below 2^63.
pub(super) fn signed(key: u64) -> i64 {
    i64::try_from(key).unwrap_or(i64::MAX)
}
