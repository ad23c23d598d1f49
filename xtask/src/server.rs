//! A real `kapelle serve` on free ports and a fresh data directory, for the tests with outside clients.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Ends with its value.
pub(crate) struct Server {
    child: Child,
    data: std::path::PathBuf,
    /// `host:port`.
    pub(crate) grpc: String,
    /// `http://host:port`.
    pub(crate) rest: String,
}

/// A debug build on a busy machine needs some; a release build is ready in a fraction of a second.
const READY_WITHIN: Duration = Duration::from_secs(60);

impl Server {
    pub(crate) fn start(root: &Path, binary: &Path) -> anyhow::Result<Self> {
        let data = root
            .join("build")
            .join(format!("clients-data-{}", std::process::id()));
        let mut child = Command::new(binary)
            .args(["serve", "--port", "auto", "--output", "json", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
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
            data,
            grpc: String::new(),
            rest: String::new(),
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
        Ok(server)
    }

    /// Still there? A server that died explains a failed test better than the test does.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}
