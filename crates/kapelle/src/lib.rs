//! The `kapelle` binary's inside. A library only so that what stands outside of the binary can call into it; its one
//! promise is [`run`].

mod backbone;
mod cli;
mod client;
mod config;
mod delivery;
mod demo;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateway;
mod history;
mod ingest;
mod management;
mod server;
mod telemetry;

pub use cli::run;
