//! What may be typed after `kapelle sources` and `kapelle sinks`.

use clap::{Args, Subcommand};

use super::{Remote, TEMPLATE};

#[derive(Debug, Args)]
pub(crate) struct Sources {
    #[command(subcommand)]
    pub(crate) command: SourcesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// List sources: state, lag, throughput, last error
    List(AllConnectors),
    /// Look whether a source could work now; nothing is taken
    #[command(before_help = "Examples:\n  kapelle sources test orders\n", help_template = TEMPLATE)]
    Test(OneConnector),
    /// Take nothing in until it is resumed, also after a restart; what comes meanwhile waits at the broker
    Pause(OneConnector),
    /// Go on
    Resume(OneConnector),
}

#[derive(Debug, Args)]
pub(crate) struct Sinks {
    #[command(subcommand)]
    pub(crate) command: SinksCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SinksCommand {
    /// List sinks: state, throughput, last error
    List(AllConnectors),
    /// Look whether a sink could work now; nothing is published
    #[command(before_help = "Examples:\n  kapelle sinks test partner\n", help_template = TEMPLATE)]
    Test(OneConnector),
}

#[derive(Debug, Args)]
pub(crate) struct AllConnectors {
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct OneConnector {
    /// Its name in the configuration
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}
