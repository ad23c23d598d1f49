//! The rules of the house that no compiler checks. Each finding names file, line and rule; CONTRIBUTING.md has the reasons.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

mod codes;
mod directions;
mod sizes;
mod text;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) rule: String,
}

pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let mut findings = directions::check(root)?;
    let mut codes = codes::Codes::default();
    let mut files = 0;
    for path in sources(root)? {
        let source = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        text::check(&name, &source, &mut findings);
        sizes::check(&name, &source, &mut findings);
        codes.collect(&name, &source);
        files += 1;
    }
    // An empty walk would pass for ever.
    anyhow::ensure!(
        files > 20,
        "tidy found only {files} source files: it looks in the wrong place"
    );
    codes.check(root, &mut findings)?;
    if findings.is_empty() {
        println!("tidy: {files} files, nothing to mend");
        return Ok(());
    }
    for finding in &findings {
        println!("{}:{}: {}", finding.file, finding.line, finding.rule);
    }
    bail!("tidy: {} findings in {files} files", findings.len());
}

/// All Rust sources of the workspace, in a stable order.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![
        root.join("crates"),
        root.join("xtask"),
        root.join("bench"),
        root.join("tests"),
    ];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                if path
                    .file_name()
                    .is_none_or(|name| name != "target" && name != "node_modules")
                {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
