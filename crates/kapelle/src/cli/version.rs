//! `kapelle version`.

use super::args::Format;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::client::Object;

/// The Camunda version whose clients are told they may talk to us.
const COMPATIBLE_WITH: &str = "8.9.0";

pub(crate) fn run(output: Output) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    output.data(&match output.format {
        Format::Json => Object::new()
            .text("version", version)
            .text("camunda", COMPATIBLE_WITH)
            .into_text(),
        Format::Name => version.to_owned(),
        Format::Table => {
            format!("kapelle {version} (speaks to clients of Camunda {COMPATIBLE_WITH})")
        }
    })?;
    Ok(Exit::Ok)
}
