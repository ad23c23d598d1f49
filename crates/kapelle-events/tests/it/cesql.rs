//! The conformance suite of CloudEvents SQL. What passes is on record in `conformance/cesql.baseline`, which may only grow.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kapelle_events::filter::Sql;
use kapelle_events::filter::sql::{FaultKind, Value};
use kapelle_events::{CloudEvent, Timestamp, attribute};
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn the_conformance_suite_passes_as_recorded() {
    let Some(files) = load() else { return };
    let mut passed = BTreeSet::new();
    let mut total = 0;
    for (file, suite) in files {
        for (place, case) in suite["tests"].as_vec().unwrap().iter().enumerate() {
            total += 1;
            let name = format!("{file} {}", place + 1);
            match outcome(case) {
                Ok(()) => {
                    passed.insert(name);
                }
                Err(reason) => println!("{name} {:?}: {reason}", case["expression"].as_str()),
            }
        }
    }
    println!("CESQL suite: {} of {total} pass", passed.len());
    compare(&passed);
}

fn load() -> Option<Vec<(String, Yaml)>> {
    let folder = match std::env::var_os("KAPELLE_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
    .join("cesql");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: CESQL suite: {} is missing", folder.display());
        return None;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, YamlLoader::load_from_str(&text).unwrap().remove(0))
    };
    Some(paths.into_iter().map(read).collect())
}

fn compare(passed: &BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cesql.baseline");
    let recorded: BTreeSet<String> = std::fs::read_to_string(&path)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect();
    let lost: Vec<_> = recorded.difference(passed).collect();
    assert!(lost.is_empty(), "passed before and no longer: {lost:#?}");
    if passed.len() > recorded.len() {
        let lines: Vec<_> = passed.iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(&path, lines.concat()).unwrap();
        println!(
            "conformance/cesql.baseline grew to {}: commit it",
            passed.len()
        );
    }
}

/// Whether the case comes to the value and the error that it names.
fn outcome(case: &Yaml) -> Result<(), String> {
    let text = case["expression"].clone();
    // `TRUE` alone is no string for YAML.
    let text = match text {
        Yaml::String(text) => text,
        Yaml::Boolean(value) => value.to_string(),
        Yaml::Integer(number) => number.to_string(),
        other => return Err(format!("the suite's expression is {other:?}")),
    };
    let wanted_error = case["error"].as_str();
    let sql = match Sql::parse(&text) {
        Ok(sql) => sql,
        Err(_) if wanted_error == Some("parse") => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let event = event(case);
    let evaluation = sql.evaluate(&event);
    let error = evaluation.error.as_ref().map(|fault| match fault.kind {
        FaultKind::Math => "math",
        FaultKind::Cast => "cast",
        FaultKind::MissingAttribute => "missingAttribute",
        FaultKind::MissingFunction => "missingFunction",
        FaultKind::FunctionEvaluation => "functionEvaluation",
    });
    if error != wanted_error {
        return Err(format!("error {error:?}, expected {wanted_error:?}"));
    }
    let is_wanted = match (&evaluation.value, &case["result"]) {
        (Value::Boolean(found), Yaml::Boolean(wanted)) => found == wanted,
        // YAML 1.2 has only lower-case booleans, the suite has `FALSE` in one place.
        (Value::Boolean(found), Yaml::String(wanted)) => {
            wanted.eq_ignore_ascii_case(&found.to_string())
        }
        (Value::Integer(found), Yaml::Integer(wanted)) => i64::from(*found) == *wanted,
        (Value::String(found), Yaml::String(wanted)) => **found == **wanted,
        _ => false,
    };
    if is_wanted {
        Ok(())
    } else {
        Err(format!(
            "{}, expected {:?}",
            evaluation.value, case["result"]
        ))
    }
}

/// The CloudEvent of the case, or a full one with what the case overrides.
fn event(case: &Yaml) -> CloudEvent {
    let mut builder = CloudEvent::builder("id", "/source", "type");
    if case["event"].is_badvalue() {
        builder = builder.subject("subject").data("application/json", "{}");
    }
    for attributes in [&case["event"], &case["eventOverrides"]] {
        for (name, value) in attributes.as_hash().into_iter().flatten() {
            let name = name.as_str().unwrap();
            let value = match value {
                Yaml::Boolean(value) => attribute::Value::Boolean(*value),
                Yaml::Integer(number) => attribute::Value::Integer((*number).try_into().unwrap()),
                Yaml::String(text) => text.as_str().into(),
                other => panic!("the suite's attribute {name} is {other:?}"),
            };
            builder = match (name, value) {
                ("specversion", _) => builder,
                ("id", value) => builder.id(value.to_text()),
                ("source", value) => builder.source(value.to_text()),
                ("type", value) => builder.event_type(value.to_text()),
                ("subject", value) => builder.subject(value.to_text()),
                ("time", value) => builder.time(Timestamp::parse(&value.to_text()).unwrap()),
                (name, value) => builder.extension(name, value),
            };
        }
    }
    builder.build().unwrap()
}
