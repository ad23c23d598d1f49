//! Which of our crates may depend on which (design §3), and what the pure ones never see.

use std::path::Path;

use anyhow::Context as _;

use super::Finding;
use crate::run;

/// Allowed dependencies between our crates. A crate that is not here has none.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("kapelle-events", &["kapelle-feel"]),
    ("kapelle-model", &["kapelle-feel"]),
    (
        "kapelle-engine",
        &["kapelle-model", "kapelle-events", "kapelle-feel"],
    ),
    ("kapelle-connectors", &["kapelle-events"]),
    (
        "kapelle-runtime",
        &["kapelle-engine", "kapelle-storage", "kapelle-events"],
    ),
    (
        "kapelle",
        &[
            "kapelle-runtime",
            "kapelle-engine",
            "kapelle-model",
            "kapelle-events",
            "kapelle-feel",
            "kapelle-storage",
            "kapelle-connectors",
        ],
    ),
    (
        "kapelle-sim",
        &[
            "kapelle-runtime",
            "kapelle-engine",
            "kapelle-storage",
            "kapelle-model",
            "kapelle-events",
            "kapelle-feel",
        ],
    ),
];

/// Crates that never see an async runtime, a network, a configuration file or a terminal.
const PURE: [&str; 6] = [
    "kapelle-feel",
    "kapelle-model",
    "kapelle-events",
    "kapelle-engine",
    "kapelle-storage",
    "kapelle-runtime",
];

/// What a pure crate may not even have in its own manifest.
const IMPURE: [&str; 12] = [
    "tokio",
    "tonic",
    "axum",
    "hyper",
    "reqwest",
    "ureq",
    "toml",
    "clap",
    "ratatui",
    "crossterm",
    "tracing",
    "log",
];

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let metadata = run::metadata(root, &["--no-deps"])?;
    let packages = metadata["packages"]
        .as_array()
        .context("metadata lists packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let wanted = dependency["name"].as_str().unwrap_or_default();
            let for_tests_only = dependency["kind"].as_str() == Some("dev");
            if let Some(rule) = refused(name, wanted, for_tests_only) {
                findings.push(Finding {
                    file: format!("crates/{name}/Cargo.toml"),
                    line: 1,
                    rule,
                });
            }
        }
    }
    Ok(findings)
}

fn refused(name: &str, wanted: &str, for_tests_only: bool) -> Option<String> {
    if wanted.starts_with("kapelle") && name != wanted {
        let allowed = ALLOWED
            .iter()
            .find(|(of, _)| *of == name)
            .map_or(&[][..], |(_, list)| list);
        if !allowed.contains(&wanted) && name.starts_with("kapelle") {
            return Some(format!(
                "{name} must not depend on {wanted}: the directions are in design §3"
            ));
        }
    }
    (PURE.contains(&name) && IMPURE.contains(&wanted) && !for_tests_only)
        .then(|| format!("{name} is pure and must not see {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn an_upward_dependency_is_refused() {
        assert!(refused("kapelle-feel", "kapelle-engine", false).is_some());
        assert!(refused("kapelle-storage", "kapelle-feel", true).is_some());
        assert_eq!(refused("kapelle-engine", "kapelle-feel", false), None);
    }

    #[test]
    fn a_pure_crate_sees_no_runtime() {
        assert!(refused("kapelle-runtime", "tokio", false).is_some());
        assert_eq!(refused("kapelle", "tokio", false), None);
    }
}
