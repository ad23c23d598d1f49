//! Is the broker there, and the queue or exchange?

use std::time::Duration;

use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ExchangeKind};

use super::config::{SinkConfig, SourceConfig};
use super::connection::{ask, close, connect};
use super::error::Error;
use super::message::short;
use super::source::{declare_passively, is_not_found};
use crate::probe::Check;

impl SourceConfig {
    /// Looks for the broker and the queue.
    pub async fn probe(&self) -> Vec<Check> {
        let connected = connect(&self.url, self.ca_file.as_deref(), self.timeout).await;
        checked(connected, "queue", async |connection| {
            self.look(connection).await
        })
        .await
    }

    async fn look(&self, connection: &Connection) -> Result<String, Error> {
        let queue = short(&self.queue).ok_or(Error::NameTooLong {
            what: "the name of the queue",
        })?;
        let channel = ask("open a channel", self.timeout, connection.create_channel()).await?;
        let looking = declare_passively(&channel, &queue);
        match ask("look for the queue", self.timeout, looking).await {
            Ok(found) => Ok(format!(
                "\"{queue}\" holds {} messages and has {} consumers",
                found.message_count(),
                found.consumer_count()
            )),
            Err(Error::Broker { source, .. }) if self.declare && is_not_found(&source) => Ok(
                format!("\"{queue}\" does not exist yet; the source makes it"),
            ),
            Err(error) => Err(error),
        }
    }
}

impl SinkConfig {
    /// Looks for the broker and the exchange.
    pub async fn probe(&self) -> Vec<Check> {
        let connected = connect(&self.url, self.ca_file.as_deref(), self.timeout).await;
        checked(connected, "exchange", async |connection| {
            look_for_exchange(connection, &self.exchange, self.timeout).await
        })
        .await
    }
}

async fn look_for_exchange(
    connection: &Connection,
    name: &str,
    timeout: Duration,
) -> Result<String, Error> {
    let exchange = short(name).ok_or(Error::NameTooLong {
        what: "the name of the exchange",
    })?;
    let channel = ask("open a channel", timeout, connection.create_channel()).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    // What kind it is does not matter to a passive declaration.
    let kind = ExchangeKind::Direct;
    let looking = channel.exchange_declare(exchange, kind, options, FieldTable::default());
    ask("look for the exchange", timeout, looking).await?;
    Ok(format!("\"{name}\" exists"))
}

/// The connection, and what is looked for on it.
async fn checked(
    connected: Result<Connection, Error>,
    what: &'static str,
    look: impl AsyncFnOnce(&Connection) -> Result<String, Error>,
) -> Vec<Check> {
    const CONNECTION: &str = "connection";
    match connected {
        Ok(connection) => {
            let found = look(&connection).await;
            close(&connection).await;
            let connected = Ok::<_, Error>("the broker answers".to_owned());
            vec![Check::new(CONNECTION, connected), Check::new(what, found)]
        }
        Err(error) => vec![Check::new(CONNECTION, Err(error))],
    }
}
