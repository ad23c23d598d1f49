//! Ways in for fuzzers: what reads bytes of others, called without sockets, threads and files of its own.
//!
//! Deliberately absent from ordinary builds: nothing of the product calls this.

mod door;

use std::path::Path;

pub use door::{Answer, Door};

use crate::config::{self, Config, Layers};

/// Reads a configuration file under an environment; answers what `config show` prints, or what is wrong.
///
/// # Errors
/// The text that a user reads.
pub fn config(file: &Path, environment: &[(String, String)]) -> Result<String, String> {
    let layers = Layers {
        file: Some(file.to_owned()),
        environment: environment.to_vec(),
        ..Layers::default()
    };
    match Config::load(&layers) {
        Ok(loaded) => Ok(config::show(&loaded, false)),
        Err(error) => Err(error.to_string()),
    }
}
