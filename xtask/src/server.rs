//! A real `kapelle serve` on free ports and a fresh data directory, for the tests with outside clients and under stress.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Ends with its value.
pub(crate) struct Server {
    child: Child,
    home: PathBuf,
    /// `host:port`.
    pub(crate) grpc: String,
    /// `http://host:port`.
    pub(crate) rest: String,
    /// `http://host:port`.
    pub(crate) management: String,
}

/// A debug build on a busy machine needs some; a release build is ready in a fraction of a second.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What it may take to finish what it began, and to write a checkpoint.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

impl Server {
    /// With the configuration of a fresh installation; says on our standard error what it has to say.
    pub(crate) fn start(root: &Path, binary: &Path) -> anyhow::Result<Self> {
        let home = root
            .join("build")
            .join(format!("clients-data-{}", std::process::id()));
        Self::start_in(&home, binary, "", Stdio::inherit())
    }

    /// Keeps data, configuration and log in `home`, which is removed at the end.
    pub(crate) fn start_logged(home: &Path, binary: &Path, config: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let log = File::create(home.join("log"))?;
        Self::start_in(home, binary, config, log.into())
    }

    fn start_in(home: &Path, binary: &Path, config: &str, log: Stdio) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let file = home.join("kapelle.toml");
        std::fs::write(&file, config)?;
        let mut child = Command::new(binary)
            .args(["serve", "--port", "auto", "--output", "json", "--data"])
            .arg(home.join("data"))
            .arg("--config")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", binary.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let (sender, receiver) = mpsc::channel();
        // The thread goes on reading for as long as the server lives, so that it never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server = Self {
            child,
            home: home.to_owned(),
            grpc: String::new(),
            rest: String::new(),
            management: String::new(),
        };
        let line = receiver
            .recv_timeout(READY_WITHIN)
            .context("the server did not say that it is ready")?;
        let ready: serde_json::Value =
            serde_json::from_str(&line).with_context(|| format!("not the ready line: {line}"))?;
        let address = |name: &str| {
            ready[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no `{name}` in {line}"))
        };
        server.grpc = address("grpc")?;
        server.rest = address("rest")?;
        server.management = address("management")?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its data is.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Still there? A server that died explains a failed test better than the test does.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself: {status}");
        }
        Ok(())
    }

    /// Asks it to stop, and waits until it has; how long that took.
    pub(crate) fn stop(mut self) -> anyhow::Result<Duration> {
        self.check()?;
        let begun = Instant::now();
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        anyhow::ensure!(asked.success(), "failed to ask the server to stop");
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the server stopped with {status}");
                return Ok(begun.elapsed());
            }
            anyhow::ensure!(
                begun.elapsed() < STOPPED_WITHIN,
                "the server did not stop within {STOPPED_WITHIN:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
