//! Commands that talk to a server: which one, and how Ctrl-C ends them.

use std::future::Future;

use super::args::Remote;
use super::exit::Exit;
use super::failure::Failure;
use crate::client::Client;

/// The usual names, ours first; the others are what Camunda's clients read.
const VARIABLES: [&str; 3] = [
    "KAPELLE_ADDRESS",
    "CAMUNDA_REST_ADDRESS",
    "ZEEBE_REST_ADDRESS",
];
const DEFAULT: &str = "http://localhost:8080";

impl Remote {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let from_environment = || {
            VARIABLES
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()))
        };
        let address = self
            .address
            .clone()
            .or_else(from_environment)
            .unwrap_or_else(|| DEFAULT.to_owned());
        Ok(Client::new(&address)?)
    }
}

/// Runs a command to its end, or to Ctrl-C.
pub(crate) fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::failed("KAP-2004", "cannot start the network runtime").why(error.to_string())
        })?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = command => result.map(|()| Exit::Ok),
            () = interrupted() => Err(Failure::interrupted()),
        }
    });
    // A worker's program may still run: the server gives its job to another one after the time-out.
    runtime.shutdown_background();
    result
}

/// Resolves on Ctrl-C. A handler that cannot be installed leaves it to the system, which ends us as well.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
