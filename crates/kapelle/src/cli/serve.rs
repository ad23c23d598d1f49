//! `kapelle serve`: reads the configuration, runs the server, says where it listens.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::args::{Demo, Format, Ports, Serve};
use super::exit::Exit;
use super::failure::Failure;
use super::input;
use super::output::Output;
use crate::client::Object;
use crate::config::{Config, Flag, Layers};
use crate::server::{self, Bound, ServeError};
use crate::telemetry;

pub(crate) fn run(args: Serve, output: Output) -> Result<Exit, Failure> {
    let mut flags = args.ports.flags();
    if let Some(dir) = &args.data {
        flags.push(Flag {
            key: "data.dir",
            name: "--data",
            value: dir.display().to_string(),
        });
    }
    let config = Config::load(&Layers::of_process(args.config, flags))?.config;
    telemetry::start_log(&config.log, std::io::stderr().is_terminal());
    let runtime = server::network_threads(&config.server).map_err(ServeError::Thread)?;
    let dir = config.data.dir.clone();
    let ready = |bound: &Bound| {
        // Whoever started us without looking at standard output still has a server.
        _ = output.data(&addresses(bound, output.format));
        output.message(&format!(
            "data is in {}; Ctrl-C stops the server",
            dir.display()
        ));
    };
    runtime.block_on(server::run(config, stop_signal(output), ready))?;
    output.message("stopped; everything acknowledged is on disk");
    Ok(Exit::Ok)
}

impl Ports {
    /// What was typed, as settings over the configuration; an address beats `--port auto`.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let settings = [
            ("server.rest-address", "--rest-address", &self.rest_address),
            ("server.grpc-address", "--grpc-address", &self.grpc_address),
            (
                "server.management-address",
                "--management-address",
                &self.management_address,
            ),
        ];
        let flag = |(key, name, address): (_, _, &Option<String>)| match (address, &self.port) {
            (Some(address), _) => Some(Flag {
                key,
                name,
                value: address.clone(),
            }),
            (None, Some(_)) => Some(Flag {
                key,
                name: "--port",
                value: "127.0.0.1:auto".to_owned(),
            }),
            (None, None) => None,
        };
        settings.into_iter().filter_map(flag).collect()
    }
}

impl Demo {
    pub(crate) fn lasting(&self) -> Result<Option<Duration>, Failure> {
        self.lasting
            .as_deref()
            .map(|text| input::span(text, "--for"))
            .transpose()
    }
}

fn addresses(bound: &Bound, format: Format) -> String {
    let Bound {
        rest,
        grpc,
        management,
    } = bound;
    match format {
        Format::Json => Object::new()
            .text("rest", &format!("http://{rest}"))
            .text("grpc", &grpc.to_string())
            .text("management", &format!("http://{management}"))
            .into_text(),
        Format::Name => format!("http://{rest}"),
        Format::Table => format!(
            "Kapelle {} is ready\n  REST, events  http://{rest}\n  gRPC          {grpc}\n  management    http://{management}",
            env!("CARGO_PKG_VERSION"),
        ),
    }
}

/// Resolves on Ctrl-C or SIGTERM; a second one ends the process at once.
pub(crate) async fn stop_signal(output: Output) {
    one_signal().await;
    output.message("stopping; once more to stop at once");
    tokio::spawn(async {
        one_signal().await;
        // Nothing is lost: what was acknowledged is in the journal, and a start after this is a recovery.
        std::process::exit(Exit::Interrupted as i32);
    });
}

/// Resolves on the first Ctrl-C or SIGTERM.
pub(crate) async fn one_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            _ = tokio::signal::ctrl_c().await;
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        _ = tokio::signal::ctrl_c().await;
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match &error {
            // The surroundings or the settings are wrong; nothing was served.
            ServeError::PortInUse { .. }
            | ServeError::Bind { .. }
            | ServeError::NotLoopback { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        let mut failure = Self::new(error.code(), exit, error.to_string());
        failure.hint = error.hint();
        if matches!(error, ServeError::PortInUse { .. }) {
            failure.hint = failure
                .hint
                .map(|hint| format!("{hint}; --port auto takes any free ports"));
        }
        failure
    }
}
