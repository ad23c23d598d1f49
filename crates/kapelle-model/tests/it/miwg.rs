//! The BPMN Model Interchange Working Group's models: every one is read, element for element.
//!
//! Their processes are drawn, not executable, so the baseline lists what was read, not what would run.

use std::fmt::Write;
use std::path::PathBuf;

use kapelle_model::{Limits, bpmn::outline};

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "conformance data lies in files; the ban is for the crate itself"
)]
fn all_models_are_read() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let suites = std::env::var_os("KAPELLE_CONFORMANCE")
        .map_or_else(|| root.join("../shared/conformance"), PathBuf::from);
    let folder = suites.join("bpmn-miwg");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: BPMN MIWG, no folder {}", folder.display());
        return;
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".bpmn"))
        .collect();
    names.sort();
    assert!(
        names.len() >= 21,
        "the suite has 21 models, found {}",
        names.len()
    );
    let mut read = String::new();
    for name in names {
        let xml = std::fs::read(folder.join(&name)).unwrap();
        match outline(&name, &xml, &Limits::default()) {
            Ok(outline) => {
                writeln!(
                    read,
                    "{name}: {} processes, {} flow nodes, {} sequence flows",
                    outline.processes, outline.flow_nodes, outline.sequence_flows
                )
                .unwrap();
            }
            Err(diagnostic) => panic!("{diagnostic}"),
        }
    }
    let baseline = root.join("conformance/bpmn-miwg.baseline");
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        std::fs::write(&baseline, &read).unwrap();
    }
    let known = std::fs::read_to_string(&baseline).unwrap();
    assert_eq!(read, known, "UPDATE_BASELINE=1 rewrites the baseline");
}
