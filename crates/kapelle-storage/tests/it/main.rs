//! Everything that is promised of bytes: formats, durability, damage, recycling, the store and its way back.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly, like tests"
)]

mod damage;
mod data_dir;
mod event_store;
mod fjall;
mod golden;
mod journal;
mod power_loss;
mod queue;
mod support;
mod threaded;
