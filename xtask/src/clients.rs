//! The tests with real, unmodified Camunda clients. Each client is installed from its public registry into `build/`,
//! pinned; one that cannot be had is skipped with one loud line.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use crate::run::{self, Tally};
use crate::server::Server;

const NAMES: [&str; 5] = ["python", "node", "node-rest", "java", "rust"];

/// Where the parts of one client test lie.
struct Places {
    /// The test's sources.
    source: PathBuf,
    /// What its set-up installs.
    home: PathBuf,
    models: PathBuf,
}

pub(crate) fn run_named(root: &Path, names: &[String]) -> anyhow::Result<()> {
    let tally = run_some(root, names)?;
    println!(
        "{} passed, {} failed, {} skipped",
        tally.passed,
        tally.failed,
        tally.skipped.len()
    );
    Ok(())
}

pub(crate) fn run_some(root: &Path, names: &[String]) -> anyhow::Result<Tally> {
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "there is no client test `{unknown}`; there are {}",
            NAMES.join(", ")
        );
    }
    run::program(
        Command::new("cargo")
            .args(["build", "--package", "kapelle"])
            .current_dir(root),
    )?;
    let mut server = Server::start(root, &target(root).join("debug/kapelle"))?;
    let mut tally = Tally::default();
    for name in NAMES
        .into_iter()
        .filter(|name| names.is_empty() || names.iter().any(|n| n == name))
    {
        // Both of Node's clients share a folder and what is installed for it.
        let folder = name.strip_suffix("-rest").unwrap_or(name);
        let places = Places {
            source: root.join("tests/clients").join(folder),
            home: root.join("build/clients").join(folder),
            models: root.join("tests/clients/models"),
        };
        match prepare(root, name, &places) {
            Ok(mut test) => {
                test.env("KAPELLE_GRPC", &server.grpc)
                    .env("KAPELLE_REST", &server.rest)
                    .env("KAPELLE_MODELS", &places.models);
                let result = run::program(&mut test);
                server.check()?;
                tally.add(&result?);
            }
            Err(why) => {
                let line = format!("SKIPPED: client test {name}: {why:#}");
                println!("{line}");
                tally.skipped.push(line);
            }
        }
    }
    Ok(tally)
}

/// The target directory: cargo's own variable wins.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Installs what the test needs and answers the command that runs it; an error is a reason to skip.
fn prepare(root: &Path, name: &str, places: &Places) -> anyhow::Result<Command> {
    std::fs::create_dir_all(&places.home)?;
    match name {
        "python" => python(places),
        "node" => node(places, "client_test.mjs"),
        "node-rest" => node(places, "rest_client_test.mjs"),
        "java" => java(places),
        _ => rust(root, places),
    }
}

fn python(places: &Places) -> anyhow::Result<Command> {
    let interpreter = places.home.join("bin/python");
    if !interpreter.exists() {
        run::program(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&places.home),
        )?;
    }
    let requirements = places.source.join("requirements.txt");
    run::program(
        Command::new(&interpreter)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(requirements),
    )?;
    let mut test = Command::new(interpreter);
    test.arg("-u").arg(places.source.join("client_test.py"));
    Ok(test)
}

fn node(places: &Places, program: &str) -> anyhow::Result<Command> {
    std::fs::copy(
        places.source.join("package.json"),
        places.home.join("package.json"),
    )?;
    // Always: an older install may hold other versions than the pinned ones.
    run::program(
        Command::new("npm")
            .args(["install", "--silent", "--no-fund", "--no-audit"])
            .current_dir(&places.home),
    )?;
    let mut test = Command::new("node");
    test.arg(places.source.join(program))
        .env("KAPELLE_NODE_HOME", &places.home)
        .current_dir(&places.home);
    Ok(test)
}

fn java(places: &Places) -> anyhow::Result<Command> {
    let (libraries, classes) = (places.home.join("libs"), places.home.join("classes"));
    if !libraries.exists() {
        let mut copy = Command::new("mvn");
        copy.args([
            "-B",
            "-q",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
        ]);
        copy.arg(format!("-DoutputDirectory={}", libraries.display()))
            .arg("-f")
            .arg(places.source.join("pom.xml"));
        run::program(&mut copy)?;
    }
    let class_path = format!("{}/*", libraries.display());
    run::program(
        Command::new("javac")
            .args(["-cp", &class_path, "-d"])
            .arg(&classes)
            .arg(places.source.join("src/ClientTest.java")),
    )?;
    let mut test = Command::new("java");
    // One core is the server's: the small JIT is enough for a client of a minute.
    test.args([
        "-XX:TieredStopAtLevel=1",
        "-cp",
        &format!("{class_path}:{}", classes.display()),
        "ClientTest",
    ]);
    Ok(test)
}

fn rust(root: &Path, places: &Places) -> anyhow::Result<Command> {
    if !run::exists("protoc", "--version") {
        run::program(Command::new("sh").arg(root.join("scripts/protoc.sh")))?;
    }
    let manifest = places.source.join("Cargo.toml");
    run::program(
        Command::new("cargo")
            .args(["build", "--quiet", "--locked", "--manifest-path"])
            .arg(manifest)
            .env("CARGO_TARGET_DIR", &places.home),
    )?;
    Ok(Command::new(places.home.join("debug/client-test")))
}
