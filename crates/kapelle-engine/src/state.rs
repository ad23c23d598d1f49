//! What the engine keeps: instances as typed aggregates, the partition object, and indexes as ordered bytes.
//!
//! | module | what |
//! |---|---|
//! | [`instance`] | one process instance with all it owns |
//! | [`partition`] | what there is once |

pub mod instance;
pub mod partition;
