//! The server that is killed: fixed ports, one data directory, a log that survives, and a disk that may lose power.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::powercut::disk::Manner;
use super::powercut::{Knob, Platter};
use super::random::Random;
use crate::http;
use crate::server::{TempDir, kapelle};

/// Where clients find it, life after life.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) rest: String,
    pub(crate) grpc: String,
    management: String,
}

/// Campaigns so far in this process, each with ports of its own.
static CAMPAIGNS: AtomicU16 = AtomicU16::new(0);

impl Addresses {
    /// Three free ports below the range from which the system takes ports of outgoing connections: there, a connection of
    /// another test could take ours while the server is dead.
    pub(crate) fn find() -> Self {
        let campaign = CAMPAIGNS.fetch_add(1, Ordering::Relaxed) % 6;
        let first = 20_000 + 2_000 * campaign + u16::try_from(std::process::id() % 1_900).unwrap();
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
    /// What its disk knows, where power may go.
    platter: Option<Platter>,
}

/// Longer than any start, on any machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

impl Victim {
    pub(crate) fn new(
        dir: &Path,
        addresses: Addresses,
        config: &str,
        platter: Option<Platter>,
    ) -> Self {
        std::fs::write(dir.join("kapelle.toml"), config).unwrap();
        Self {
            dir: dir.to_owned(),
            addresses,
            child: None,
            platter,
        }
    }

    pub(crate) fn platter(&self) -> Option<&Platter> {
        self.platter.as_ref()
    }

    fn data(&self) -> PathBuf {
        match &self.platter {
            Some(platter) => platter.data(),
            None => self.dir.join("data"),
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
            .arg(self.data())
            .arg("--config")
            .arg(self.dir.join("kapelle.toml"))
            .args(["--rest-address", &self.addresses.rest])
            .args(["--grpc-address", &self.addresses.grpc])
            .args(["--management-address", &self.addresses.management]);
        if let Some(platter) = &self.platter {
            platter.apply(&mut command);
        }
        command
    }

    /// Begins a life and waits until it serves; tells how long that took, or that it never did.
    pub(crate) async fn begin_and_wait(&mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.begin();
        let stdout = self.child.as_mut().unwrap().stdout.take().unwrap();
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let said = tokio::time::timeout(READY_WITHIN, said).await;
        match said {
            Ok(said) if said.as_ref().unwrap().contains("grpc") => Ok(begun.elapsed()),
            _ => Err(format!(
                "the server did not come back:\n{}",
                self.log_tail()
            )),
        }
    }

    /// A counter of the life that is going on; 0 where it cannot be had.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        if std::net::TcpStream::connect(&self.addresses.management).is_err() {
            return 0;
        }
        let page = http::get(&self.addresses.management, "/metrics").body;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
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
        if let Some(platter) = &self.platter {
            platter.control.set(Knob::SyncDelay, 0);
        }
        self.ended();
    }

    /// The page cache outlives the process.
    fn ended(&mut self) {
        if let Some(platter) = &mut self.platter {
            tokio::task::block_in_place(|| platter.absorb());
        }
    }

    /// After a death: the power goes too.
    pub(crate) fn power_cut(&mut self, manner: Manner, random: &mut Random) {
        let platter = self.platter.as_mut().expect("its disk is watched");
        tokio::task::block_in_place(|| platter.cut(manner, random));
    }

    /// After a death: starts on what the disk could hold if the power had gone at a moment of the last life, and stops in
    /// order. Whatever the moment was, that must work.
    pub(crate) fn glance(&mut self, random: &mut Random) -> Result<(), String> {
        tokio::task::block_in_place(|| {
            let dir = TempDir::new();
            let platter = self.platter.as_ref().expect("its disk is watched");
            let moment = platter.glance(&dir.path().join("disk"), random);
            // What might have happened must not be told to the witness of what did: nobody listens on this port.
            let config = std::fs::read_to_string(self.dir.join("kapelle.toml")).unwrap();
            let config: String = config
                .lines()
                .map(|line| match line.starts_with("url = ") {
                    true => "url = \"http://127.0.0.1:9/nobody\"\n".to_owned(),
                    false => format!("{line}\n"),
                })
                .collect();
            std::fs::write(dir.path().join("kapelle.toml"), config).unwrap();
            let mut child = kapelle()
                .args(["serve", "--output", "json", "--port", "auto", "--data"])
                .arg(dir.path().join("disk/data"))
                .arg("--config")
                .arg(dir.path().join("kapelle.toml"))
                .stdout(Stdio::piped())
                .stderr(File::create(dir.path().join("log")).unwrap())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            terminate(&child);
            let status = child.wait().unwrap();
            if line.contains("grpc") && status.success() {
                return Ok(());
            }
            let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            Err(format!(
                "no start and orderly stop ({status}) after {moment}:\n{log}"
            ))
        })
    }

    /// Asks it to stop, and gives it so long before `kill -9`. True if it was fast enough.
    pub(crate) async fn stop(&mut self, patience: Duration) -> bool {
        let mut child = self.child.take().expect("it lives");
        terminate(&child);
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(
                    status.success(),
                    "stopped with {status}:\n{}",
                    self.log_tail()
                );
                self.ended();
                return true;
            }
            if Instant::now() >= deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                self.ended();
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
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        // The receiver refuses on purpose, all the time.
        let lines: Vec<String> = lines
            .filter(|line| !line.contains("delivery failed"))
            .collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(asked.success());
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
