//! What may be typed after `kapelle subscribers` and `kapelle dead`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Remote, TEMPLATE};

#[derive(Debug, Args)]
pub(crate) struct Subscribers {
    #[command(subcommand)]
    pub(crate) command: SubscribersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubscribersCommand {
    /// List subscribers with their positions and counters
    List(AllSubscribers),
    /// Show one subscriber
    Show(OneSubscriber),
    /// Create a subscriber, or change it
    #[command(before_help = "Examples:\n  kapelle subscribers put loyalty loyalty.json\n  echo '{\"target\":{\"pull\":{}}}' | kapelle subscribers put loyalty -\n", help_template = TEMPLATE)]
    Put(PutSubscriber),
    /// Delete a subscriber with its dead letters
    Delete(OneSubscriber),
    /// Deliver nothing until it is resumed; what comes meanwhile waits
    Pause(OneSubscriber),
    /// Go on
    Resume(OneSubscriber),
    /// Show what a filter would pass of the latest CloudEvents, and why not the others
    #[command(before_help = "Examples:\n  kapelle subscribers try loyalty --last 50\n  kapelle subscribers try new --filter '{\"prefix\":{\"type\":\"order.\"}}'\n", help_template = TEMPLATE)]
    Try(TryFilter),
}

#[derive(Debug, Args)]
pub(crate) struct AllSubscribers {
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct OneSubscriber {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct PutSubscriber {
    /// Its name: letters, digits, `-`, `_`, `.`
    pub(crate) name: String,
    /// Its document in JSON (- is standard input)
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct TryFilter {
    /// The subscriber's name; with --filter it need not exist
    pub(crate) name: String,
    /// Another filter than the subscriber's own
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) filter: Option<String>,
    /// How many of the latest CloudEvents to look at
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) last: u32,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(subcommand)]
    pub(crate) command: DeadCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List dead letters, the oldest first
    List(ListDead),
    /// Try dead letters again, with a fresh count of attempts
    Redrive(SettleDead),
    /// Remove dead letters for good
    Discard(DiscardDead),
}

#[derive(Debug, Args)]
pub(crate) struct ListDead {
    /// Of this subscriber
    #[arg(long, value_name = "NAME")]
    pub(crate) subscriber: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct SettleDead {
    /// The subscriber's name
    pub(crate) subscriber: String,
    /// Positions of the CloudEvents
    #[arg(required = true, value_name = "POSITION")]
    pub(crate) positions: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct DiscardDead {
    /// Why; it is kept
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) which: SettleDead,
}
