//! What each BPMN element does: dispatch by `match`, nothing else.

pub mod lifecycle;
