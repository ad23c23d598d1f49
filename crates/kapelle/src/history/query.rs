//! Searches of REST v2: what may be filtered, sorted and given out, as tables; one engine for all of them.
//!
//! **Invariant**: no text of a request becomes SQL. Names are looked up in the entity's table, values are bound.
//!
//! Deliberately absent: joins made up by the caller, aggregates, full-text search.

pub(crate) mod definitions;
pub(crate) mod elements;
pub(crate) mod events;
mod field;
mod filter;
pub(crate) mod incidents;
pub(crate) mod instances;
pub(crate) mod jobs;
mod page;
mod render;
mod search;
pub(crate) mod variables;
pub(crate) mod words;

pub(crate) use field::Entity;
pub(crate) use render::time;
pub(crate) use search::{Search, get, search};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

/// SQL functions of ours, for connections that query.
pub(super) fn register_functions(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    // A stored value as JSON text: what variables are compared by.
    connection.create_scalar_function("json_of", 1, flags, |ctx| match ctx.get_raw(0) {
        ValueRef::Blob(bytes) => Ok(Some(kapelle_feel::json::from_msgpack(bytes))),
        _ => Ok(None),
    })
}
