//! Servers of the tests' own, run by the scripts in `scripts/`: one of a kind for all tests, and one test at a time on it,
//! because some stop it.

use std::future::Future;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use super::certificates::Certificates;

/// What a script exits with where its server can't be had.
const SKIPPED: i32 = 77;

#[derive(Clone)]
pub(crate) struct Server {
    /// Of the script, without its ending.
    name: &'static str,
    dir: PathBuf,
    port: u16,
}

/// The server that all tests share.
pub(crate) struct Shared {
    name: &'static str,
    /// `None` inside after a start that was skipped.
    server: Mutex<Option<Option<Server>>>,
}

impl Shared {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            server: Mutex::new(None),
        }
    }

    /// Runs a test with the server to itself, or skips it loudly.
    pub(crate) fn with<T: Future<Output = ()>>(
        &self,
        test_name: &str,
        test: impl FnOnce(Server) -> T,
    ) {
        let mut shared = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let first_start = || Server::first_start(self.name);
        let Some(server) = shared.get_or_insert_with(first_start).clone() else {
            // Not by `eprintln!`, which nobody sees of a test that passes.
            let line = format!("SKIPPED: {test_name}: {} is not available\n", self.name);
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return;
        };
        if !server.run("status").success() {
            server.start(); // An earlier test failed while it was down.
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test(server));
    }
}

impl Server {
    fn first_start(name: &'static str) -> Option<Self> {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
        let pid = std::process::id().to_string();
        let server = Self {
            name,
            dir: build.join(format!("{name}-test-{pid}")),
            port: free_ports(),
        };
        Certificates::make(&server.dir.join("tls"));
        let status = server.run("start");
        if status.code() == Some(SKIPPED) {
            return None;
        }
        assert!(status.success(), "scripts/{name}.sh start: {status}");
        let guard = script(name, &["guard", server.dir.to_str().unwrap(), &pid]).status();
        assert!(guard.unwrap().success());
        Some(server)
    }

    fn run(&self, verb: &str) -> ExitStatus {
        let arguments = [verb, self.dir.to_str().unwrap(), &self.port.to_string()];
        script(self.name, &arguments).status().unwrap()
    }

    pub(crate) fn start(&self) {
        assert!(self.run("start").success());
    }

    pub(crate) fn stop(&self) {
        assert!(self.run("stop").success());
    }

    pub(crate) fn kill9(&self) {
        assert!(self.run("kill9").success());
    }

    /// The first of its ports.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that signed the server's.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.join("tls/ca.pem")
    }
}

/// The first of four free ports in a row. Below those that the system gives out by itself, to servers of other tests and to
/// each connection, which would take them while the broker is away.
fn free_ports() -> u16 {
    const FIRST: u32 = 16_000;
    const ROWS: u32 = 4_000;
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let row = |nth: u32| u16::try_from(FIRST + 4 * (nth % ROWS)).unwrap();
    let begin = std::process::id();
    (0..ROWS)
        .map(|nth| row(begin.wrapping_mul(7).wrapping_add(nth)))
        .find(|first| (0..4).all(|more| free(first + more)))
        .expect("no four ports in a row are free")
}

fn script(name: &str, arguments: &[&str]) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let mut command = Command::new(scripts.join(format!("{name}.sh")));
    command.args(arguments).stdin(Stdio::null());
    command
}
