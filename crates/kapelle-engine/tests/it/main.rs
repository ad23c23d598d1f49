//! Scenarios of the engine: a process, a script, the trace. One module per family; `world` runs them all twice, deciding
//! in one state and replaying the encoded events into another, which must stay equal byte by byte.

mod elements;
mod world;
