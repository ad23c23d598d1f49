//! Is the server there, and the consumer or a stream?

use super::config::{SinkConfig, SourceConfig};
use super::connection::Connection;
use super::error::Error;
use super::source::find;
use crate::probe::Check;

const CONNECTION: &str = "connection";

impl SourceConfig {
    /// Looks for the server, the stream and the consumer.
    pub async fn probe(&self) -> Vec<Check> {
        match Connection::make(&self.url, self.ca_file.as_deref(), self.timeout).await {
            Ok(connection) => vec![
                answers(),
                Check::new("consumer", self.look(&connection).await),
            ],
            Err(error) => vec![Check::new(CONNECTION, Err(error))],
        }
    }

    async fn look(&self, connection: &Connection) -> Result<String, Error> {
        let name = &self.consumer;
        Ok(match find(self, connection).await? {
            Some(found) => format!(
                "\"{name}\" has {} messages to come and {} unacknowledged",
                found.cached_info().num_pending,
                found.cached_info().num_ack_pending
            ),
            None => format!("\"{name}\" does not exist yet; the source makes it"),
        })
    }
}

impl SinkConfig {
    /// Looks for the server, and for a stream that takes the configured subject.
    pub async fn probe(&self) -> Vec<Check> {
        match Connection::make(&self.url, self.ca_file.as_deref(), self.timeout).await {
            Ok(connection) => {
                let mut checks = vec![answers()];
                if let Some(subject) = &self.subject {
                    let stream = connection.jetstream.stream_by_subject(subject).await;
                    let found = stream.map(|stream| format!("\"{stream}\" takes \"{subject}\""));
                    let failed =
                        |error| format!("look for a stream that takes \"{subject}\": {error}");
                    checks.push(Check::new("stream", found.map_err(failed)));
                }
                checks
            }
            Err(error) => vec![Check::new(CONNECTION, Err(error))],
        }
    }
}

fn answers() -> Check {
    Check::new(CONNECTION, Ok::<_, Error>("the server answers".to_owned()))
}
