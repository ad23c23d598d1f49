//! A deterministic simulator around one partition: the code that ships, on a simulated disk and clock, between simulated
//! clients, workers, brokers, receivers and subscribers, all of which misbehave.
//!
//! ```text
//! seed ─► setup (limits, processes) ─┐
//!      └► script (operations) ───────┴─► play ─► counts, or a failure with its shortest script
//! ```
//!
//! **Invariants**
//! - A run is a function of its seed; playing a part of a script is a function of that part, so failures can be shortened.
//! - An oracle knows only what a client, a receiver or a reader of the journal may know.
//! - A campaign that exercised too little fails ([`exercised::Exercised::lacks`]).
//!
//! Deliberately absent: threads, real time, real files. They are tried with the real binary, by its crash tests.

mod broker;
pub mod campaign;
mod clients;
mod copies;
mod disk;
mod drain;
pub mod exercised;
mod facts;
mod gate;
mod history;
mod network;
mod play;
mod process;
pub mod random;
mod receivers;
mod reference;
mod routes;
pub mod script;
mod setup;
mod shrink;
mod store;
mod subscribers;
mod value;
mod world;

pub use campaign::{Failure, run, run_script};
