//! The server that is killed: fixed ports, one data directory, a log that survives.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::kapelle;

/// Where clients find it, life after life.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) rest: String,
    pub(crate) grpc: String,
    management: String,
}

impl Addresses {
    /// Three free ports below the range from which the system takes ports of outgoing connections: there, a connection of
    /// another test could take ours while the server is dead.
    pub(crate) fn find(first_of_two: bool) -> Self {
        let first = if first_of_two { 20_000 } else { 26_000 }
            + u16::try_from(std::process::id() % 4_000).unwrap();
        let mut free = (first..32_000)
            .map(|port| format!("127.0.0.1:{port}"))
            .filter(|address| TcpListener::bind(address).is_ok());
        let mut next = || free.next().expect("some of 4,000 ports are free");
        Self {
            rest: next(),
            grpc: next(),
            management: next(),
        }
    }
}

/// A life of the server at most, and where the next one finds its data.
pub(crate) struct Victim {
    dir: PathBuf,
    addresses: Addresses,
    child: Option<Child>,
}

impl Victim {
    pub(crate) fn new(dir: &Path, addresses: Addresses, config: &str) -> Self {
        std::fs::write(dir.join("kapelle.toml"), config).unwrap();
        Self {
            dir: dir.to_owned(),
            addresses,
            child: None,
        }
    }

    /// Begins a life without waiting for anything.
    pub(crate) fn begin(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))
            .unwrap();
        let child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        assert!(
            self.child.replace(child).is_none(),
            "one life after another"
        );
    }

    fn command(&self) -> Command {
        let mut command = kapelle();
        command
            .args(["serve", "--output", "json", "--data"])
            .arg(self.dir.join("data"))
            .arg("--config")
            .arg(self.dir.join("kapelle.toml"))
            .args(["--rest-address", &self.addresses.rest])
            .args(["--grpc-address", &self.addresses.grpc])
            .args(["--management-address", &self.addresses.management]);
        command
    }

    /// Begins a life and waits until it serves; tells how long that took.
    pub(crate) async fn begin_and_wait(&mut self) -> Duration {
        let begun = Instant::now();
        self.begin();
        let stdout = self.child.as_mut().unwrap().stdout.take().unwrap();
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let said = said.await.unwrap();
        assert!(
            said.contains("grpc"),
            "the server did not come back:\n{}",
            self.log_tail()
        );
        begun.elapsed()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it lives");
        if let Some(status) = child.try_wait().unwrap() {
            panic!(
                "the server ended by itself with {status}:\n{}",
                self.log_tail()
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to stop, and gives it so long before `kill -9`. True if it was fast enough.
    pub(crate) async fn stop(&mut self, patience: Duration) -> bool {
        let mut child = self.child.take().expect("it lives");
        let pid = child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(asked.success());
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(
                    status.success(),
                    "stopped with {status}:\n{}",
                    self.log_tail()
                );
                return true;
            }
            if Instant::now() >= deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The end of what it said in all its lives.
    pub(crate) fn log_tail(&self) -> String {
        let Ok(file) = File::open(self.dir.join("log")) else {
            return String::new();
        };
        let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
