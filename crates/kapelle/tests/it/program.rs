//! Runs the real binary in a directory of its own, without the user's configuration or colours.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::server::TempDir;

/// A directory to run it in.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// The binary, about to run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kapelle"));
        command.args(arguments).current_dir(self.path()).env_clear();
        // Kept: where programs are found. Not kept: KAPELLE_*, NO_COLOR, XDG_CONFIG_HOME and all else of the user's.
        command
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.path());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[], "")
    }

    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &str,
    ) -> Ended {
        let mut child = self
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input ends before we have written it; that is its right.
        drop(
            child
                .stdin
                .take()
                .map(|mut stdin| stdin.write_all(input.as_bytes())),
        );
        let output = child.wait_with_output().unwrap();
        Ended {
            code: code(output.status),
            stdout: self.neutral(&output.stdout),
            stderr: self.neutral(&output.stderr),
        }
    }

    /// Without the name of the directory.
    fn neutral(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace(&self.path().display().to_string(), "DIR")
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// All of it, as one text to compare.
    pub(crate) fn text(&self) -> String {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        format!("{stdout}--- stderr\n{stderr}--- exit {code}\n")
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// Sends Ctrl-C to a program that this test started.
pub(crate) fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for a program; one that hangs is ended and fails the test.
pub(crate) fn ended_within(child: &mut Child, limit: Duration) -> ExitStatus {
    let until = Instant::now() + limit;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if Instant::now() > until => {
                _ = child.kill();
                panic!("the program did not end within {limit:?}");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
