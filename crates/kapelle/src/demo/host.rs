//! The demo's server: `server::run` on a thread of its own, and its directory, which goes when it ends.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::cli::{DemoArgs, Failure};
use crate::config::{Config, Layers, Secret, SinkConfig, WebhookSink};
use crate::server::{self, Bound, ServeError};

/// The sink that the models publish to.
const SINK: &str = "shop";

/// A running server.
pub(super) struct Host {
    pub(super) bound: Bound,
    dir: PathBuf,
    is_kept: bool,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Host {
    /// Starts the server; its events go to the webhook at `shop`.
    pub(super) async fn start(args: &DemoArgs, shop: &str) -> Result<Self, Failure> {
        // Flags alone: a file in the working directory or a variable meant for a real server has no say in a demo.
        let mut config = Config::load(&Layers {
            flags: args.ports.flags(),
            ..Layers::default()
        })?
        .config;
        let dir = match &args.keep {
            Some(dir) => dir.clone(),
            None => std::env::temp_dir().join(format!("kapelle-demo-{}", std::process::id())),
        };
        config.data.dir.clone_from(&dir);
        let sink = WebhookSink {
            url: Some(Secret::new(shop)),
            ..WebhookSink::default()
        };
        config
            .sinks
            .insert(SINK.to_owned(), SinkConfig::Webhook(sink));
        let (stop, stopped) = oneshot::channel();
        let (ready, readied) = oneshot::channel();
        let runtime = server::network_threads(&config.server).map_err(ServeError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("demo-server".to_owned())
            .spawn(move || {
                let shutdown = async { _ = stopped.await };
                runtime.block_on(server::run(config, shutdown, |bound| {
                    _ = ready.send(*bound)
                }))
            })
            .map_err(ServeError::Thread)?;
        match readied.await {
            Ok(bound) => Ok(Self {
                bound,
                dir,
                is_kept: args.keep.is_some(),
                stop,
                thread,
            }),
            // The sender went without a word: the server did not start, and says why.
            Err(_) => {
                let why = ended(thread)
                    .expect_err("invariant: a server that was not ready did not end well");
                if args.keep.is_none() {
                    remove(&dir);
                }
                Err(why)
            }
        }
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}", self.bound.rest)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Whether the server stopped unasked.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the server in order, and says what became of the data.
    pub(super) async fn stop(self) -> Result<String, Failure> {
        let Self {
            dir,
            is_kept,
            stop,
            thread,
            ..
        } = self;
        _ = stop.send(());
        let result = tokio::task::spawn_blocking(move || ended(thread))
            .await
            .map_err(|error| {
                Failure::failed("KAP-2005", "the demo's server broke").why(error.to_string())
            })?;
        if !is_kept {
            remove(&dir);
        }
        result.map(|()| match is_kept {
            true => format!(
                "the data is kept in {0}; `kapelle serve --data {0}` goes on with it",
                dir.display()
            ),
            false => "the demo's data is removed; --keep DIR keeps it".to_owned(),
        })
    }
}

fn ended(thread: JoinHandle<Result<(), ServeError>>) -> Result<(), Failure> {
    let result = thread
        .join()
        .map_err(|_| Failure::failed("KAP-2005", "the demo's server broke"))?;
    result.map_err(Failure::from)
}

/// Ours alone: its name holds our process id. What cannot be removed is the system's to clear.
fn remove(dir: &Path) {
    _ = std::fs::remove_dir_all(dir);
}
