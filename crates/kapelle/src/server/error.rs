//! Why a server does not start, or stops unasked. Codes are stable; each variant knows the next thing to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use kapelle_runtime::open::OpenError;

use crate::{backbone, history};

/// A server that does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("the {listener} port {port} on {host} is in use{}", by(who.as_deref()))]
    PortInUse {
        listener: &'static str,
        setting: &'static str,
        host: String,
        port: u16,
        who: Option<String>,
    },
    #[error("cannot listen on {address} for {listener}: {source}")]
    Bind {
        listener: &'static str,
        setting: &'static str,
        address: String,
        source: std::io::Error,
    },
    #[error(
        "{listener} must not listen on {address}: it is not a loopback address, and authentication is not configured"
    )]
    NotLoopback {
        listener: &'static str,
        setting: &'static str,
        address: SocketAddr,
    },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot use {}, which says which installation this is: {source}", path.display())]
    ClusterId {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot use {}, which says which sources are paused: {source}", path.display())]
    PausedSources {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the system gives no thread: {0}")]
    Thread(#[source] std::io::Error),
    #[error("recovery from the data directory failed by a fault of the program: {why}")]
    Recovery { why: String },
    #[error(transparent)]
    History(#[from] history::Error),
    #[error(transparent)]
    Backbone(#[from] backbone::Error),
    #[error("the partition stopped by itself: {reason}")]
    PartitionStopped { reason: String },
}

fn by(who: Option<&str>) -> String {
    who.map_or_else(String::new, |who| format!(" by {who}"))
}

impl ServeError {
    /// Stable for ever.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "KAP-3001",
            Self::Bind { .. } => "KAP-3002",
            Self::NotLoopback { .. } => "KAP-3003",
            Self::Open(error) => error.code(),
            Self::Recovery { .. } => "KAP-3004",
            Self::History(_) => "KAP-3006",
            Self::Backbone(_) => "KAP-3008",
            Self::PartitionStopped { .. } => "KAP-3005",
            Self::Thread(_) => "KAP-3007",
            Self::ClusterId { .. } => "KAP-3009",
            Self::PausedSources { .. } => "KAP-3010",
        }
    }

    /// The next thing to do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::PortInUse { setting, host, .. } => Some(format!(
                "end the other program, or set {setting} to another port or to \"{host}:auto\""
            )),
            Self::Bind { setting, .. } => {
                Some(format!("set {setting} to an address of this machine"))
            }
            Self::NotLoopback { setting, .. } => Some(format!(
                "set {setting} to 127.0.0.1 or [::1]; put a proxy that authenticates in front to serve other machines"
            )),
            // Their texts say what to do.
            Self::Open(_) | Self::Thread(_) | Self::History(_) | Self::Backbone(_) => None,
            Self::Recovery { .. } => Some("please report it; the data is as it was".to_owned()),
            Self::ClusterId { .. } => Some(
                "restore the file from a copy; without it the installation gets a new id, and so do the CloudEvents that it publishes"
                    .to_owned(),
            ),
            Self::PausedSources { .. } => Some(
                "restore the file from a copy, or remove it: then no source is paused".to_owned(),
            ),
            Self::PartitionStopped { .. } => Some(
                "nothing that was acknowledged is lost; look after the disk and start again"
                    .to_owned(),
            ),
        }
    }
}
