//! A `kapelle serve` of a test: free ports, a data directory that goes away, an end that is waited for.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The binary under test.
pub(crate) fn kapelle() -> Command {
    // Campaigns test what is shipped: a release build.
    let binary = std::env::var_os("KAPELLE_TEST_BINARY");
    let mut command = Command::new(
        binary
            .as_deref()
            .unwrap_or(env!("CARGO_BIN_EXE_kapelle").as_ref()),
    );
    // What the developer's machine has set must not reach the tests.
    for (name, _) in std::env::vars() {
        if name.starts_with("KAPELLE_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A directory that is removed with its owner.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kapelle-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) rest: String,
    pub(crate) grpc: String,
    pub(crate) management: String,
    /// `None` when the directory belongs to the test.
    _data: Option<TempDir>,
}

impl Server {
    /// On a fresh directory.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// On a fresh directory, with these lines of configuration.
    pub(crate) fn start_with(config: &str) -> Self {
        let data = TempDir::new();
        let mut server = Self::start_in(data.path(), config);
        server._data = Some(data);
        server
    }

    /// On that directory.
    pub(crate) fn start_in(dir: &Path, config: &str) -> Self {
        Self::start_as(dir, &dir.join("data"), config, |command| command)
    }

    /// With its configuration in `dir`, its data there, and whatever `change` makes of the command.
    pub(crate) fn start_as(
        dir: &Path,
        data: &Path,
        config: &str,
        change: impl FnOnce(Command) -> Command,
    ) -> Self {
        let file = dir.join("kapelle.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = kapelle();
        command
            .args(["serve", "--port", "auto", "--output", "json", "--data"])
            .arg(data)
            .arg("--config")
            .arg(&file);
        let mut child = change(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut told = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut told)
                .unwrap();
            child.wait().unwrap();
            panic!("the server did not start:\n{told}");
        }
        // Nobody reads the log, so it must go on flowing: a full pipe would stop the server.
        let mut log = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let address = |name: &str| {
            let start = line.find(&format!("\"{name}\":\"")).unwrap() + name.len() + 4;
            let end = line[start..].find('"').unwrap() + start;
            line[start..end].trim_start_matches("http://").to_owned()
        };
        Self {
            rest: address("rest"),
            grpc: address("grpc"),
            management: address("management"),
            child,
            _data: None,
        }
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ends_by_itself(mut self) -> ExitStatus {
        crate::program::ended_within(&mut self.child, Duration::from_secs(60))
    }

    /// Ends it without a word, as a power loss of the process would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
