//! Commands that talk to a server: which one, who asks, and how Ctrl-C ends them.

use std::future::Future;
use std::path::Path;

use super::args::Remote;
use super::exit::Exit;
use super::failure::Failure;
use crate::client::{Access, Client};

/// The usual names, ours first; the others are what Camunda's clients read.
const ADDRESS: [&str; 3] = [
    "KAPELLE_ADDRESS",
    "CAMUNDA_REST_ADDRESS",
    "ZEEBE_REST_ADDRESS",
];
const USER: [&str; 2] = ["KAPELLE_USER", "CAMUNDA_BASIC_AUTH_USERNAME"];
const PASSWORD: [&str; 2] = ["KAPELLE_PASSWORD", "CAMUNDA_BASIC_AUTH_PASSWORD"];
const DEFAULT: &str = "http://localhost:8080";

impl Remote {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let address = self.address.clone().or_else(|| variable(&ADDRESS));
        let address = address.unwrap_or_else(|| DEFAULT.to_owned());
        Ok(Client::with(&address, self.access()?)?)
    }

    /// What was asked for on the command line goes before the environment, and a token before a password.
    fn access(&self) -> Result<Access, Failure> {
        let ca_file = self.ca_file.clone();
        let access =
            Access::trusting(ca_file.or_else(|| variable(&["KAPELLE_CA_FILE"]).map(Into::into)));
        if self.user.is_none()
            && let Some(token) = self.token()?
        {
            return access
                .bearer(&token)
                .ok_or_else(|| Failure::usage("the token holds characters that no header can"));
        }
        let Some(user) = self.user.clone().or_else(|| variable(&USER)) else {
            return Ok(access);
        };
        let password = self.password()?.ok_or_else(|| {
            Failure::usage(format!("there is no password for {user:?}"))
                .hint("set KAPELLE_PASSWORD, or name a file with --password-file")
        })?;
        access.basic(&user, &password).ok_or_else(|| {
            Failure::usage("the name holds a colon, or name or password what no header can")
        })
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        given(
            self.token_file.as_deref(),
            &["KAPELLE_TOKEN"],
            "KAPELLE_TOKEN_FILE",
        )
    }

    fn password(&self) -> Result<Option<String>, Failure> {
        given(
            self.password_file.as_deref(),
            &PASSWORD,
            "KAPELLE_PASSWORD_FILE",
        )
    }
}

/// A secret: from the file that the command line names, else from the environment, else from a file that that names.
fn given(file: Option<&Path>, names: &[&str], file_name: &str) -> Result<Option<String>, Failure> {
    if let Some(file) = file {
        return secret(file).map(Some);
    }
    if let Some(value) = variable(names) {
        return Ok(Some(value));
    }
    variable(&[file_name])
        .map(|file| secret(Path::new(&file)))
        .transpose()
}

/// The first of these that is set and not empty.
fn variable(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// What a file holds, without the white space around it.
fn secret(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::usage(format!("{} is empty", file.display())));
    }
    Ok(text.to_owned())
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
