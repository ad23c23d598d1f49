//! The `kapelle` binary.

mod config;

fn main() {}
