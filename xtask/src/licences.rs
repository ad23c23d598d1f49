//! The licences of everything that ends up in the binary: permissive ones only, so that Apache-2.0 holds for the whole.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::run;

/// What may be linked into an Apache-2.0 program without further duties than naming it.
const ALLOWED: [&str; 15] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    "Unlicense",
    "CDLA-Permissive-2.0",
    "Apache-2.0 WITH LLVM-exception",
];

pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let metadata = run::metadata(root, &["--locked"])?;
    let packages = metadata["packages"]
        .as_array()
        .context("metadata lists packages")?;
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(permitted))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    if !refused.is_empty() {
        bail!(
            "licences that are not on the list in xtask/src/licences.rs:\n  {}",
            refused.join("\n  ")
        );
    }
    println!("licences: {} packages, all permissive", packages.len());
    Ok(())
}

/// An SPDX expression is permitted where one of its alternatives is, all parts of it.
fn permitted(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|licence| ALLOWED.contains(&licence.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::permitted;

    #[test]
    fn one_permissive_choice_is_enough_and_every_part_of_it_counts() {
        assert!(permitted("GPL-3.0-only OR MIT"));
        assert!(permitted("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(permitted("MIT/Apache-2.0"));
        assert!(!permitted("MIT AND GPL-3.0-only"));
        assert!(!permitted("BUSL-1.1"));
    }
}
