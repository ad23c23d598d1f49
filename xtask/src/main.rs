//! All automation of the repository, in Rust.

fn main() {}
