//! The partition as a whole, over disks in memory that can lose power.

mod backbone;
mod checkpoints;
mod crashes;
mod leftovers;
mod limits;
mod panics;
mod payloads;
mod readers;
mod threads;
mod world;
