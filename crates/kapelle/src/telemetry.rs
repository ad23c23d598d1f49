//! What the server tells about itself: a log on standard error, and metrics.
//!
//! The core logs nothing: what is noteworthy there is in its counters and records. **Invariant**: no secret and no
//! variable's value is ever logged.

pub(crate) mod counts;
pub(crate) mod metrics;
pub(crate) mod rates;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogLevel};

/// Sends log lines to standard error from here on. A second call changes nothing.
pub(crate) fn start_log(log: &Log, is_terminal: bool) {
    let level = match log.level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let subscriber = fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(is_terminal)
        .finish()
        .with(targets(level));
    // Fails only if there is a subscriber already, which then goes on.
    subscriber.try_init().ok();
}

/// lapin warns of unroutable messages with their whole payload, which is somebody's data, and async-nats tells every
/// connection; what matters of it is in the errors of the connectors.
fn targets(level: tracing::Level) -> Targets {
    Targets::new()
        .with_default(level)
        .with_target("lapin", LevelFilter::OFF)
        .with_target("async_nats", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_clients_never_log_and_all_others_do() {
        let targets = targets(tracing::Level::TRACE);
        let would = |target: &str| targets.would_enable(target, &tracing::Level::ERROR);
        assert!(!would("lapin") && !would("lapin::channel"));
        assert!(!would("async_nats") && !would("async_nats::connector"));
        assert!(would("kapelle::delivery"));
    }
}
