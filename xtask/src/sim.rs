//! `cargo xtask sim`: campaigns of the deterministic simulator, and proof that it finds what it is there to find.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

mod mutants;

/// Builds the simulator with its own profile (fast, with all assertions) and runs it.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<()> {
    match arguments.split_first() {
        Some((first, names)) if first == "--mutants" => mutants::check(root, names),
        _ => {
            let status = Command::new("cargo")
                .args(["run", "--quiet", "--profile", "sim", "--locked"])
                .args(["--package", "kapelle-sim", "--"])
                .args(arguments)
                .current_dir(root)
                .status()?;
            if !status.success() {
                bail!("the campaign failed");
            }
            Ok(())
        }
    }
}
