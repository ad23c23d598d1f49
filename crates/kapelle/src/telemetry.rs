//! What the server tells about itself: a log on standard error, and metrics.
//!
//! The core logs nothing: what is noteworthy there is in its counters and records. **Invariant**: no secret and no
//! variable's value is ever logged.

pub(crate) mod metrics;

use tracing_subscriber::fmt;

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
        .with_ansi(is_terminal);
    // Fails only if there is a subscriber already, which then goes on.
    subscriber.try_init().ok();
}
