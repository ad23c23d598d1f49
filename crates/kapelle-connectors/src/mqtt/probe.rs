//! Is the broker there? Whether it allows a topic shows only when something goes over it.

use std::path::Path;
use std::time::Duration;

use super::config::{SinkConfig, SourceConfig, Version};
use super::connection::{Connection, Purpose};
use crate::probe::Check;
use crate::secret::Secret;

impl SourceConfig {
    /// Looks for the broker, under another name than the source's: its session stays as it is.
    pub async fn probe(&self) -> Vec<Check> {
        look(
            &self.url,
            self.ca_file.as_deref(),
            self.timeout,
            self.version,
        )
        .await
    }
}

impl SinkConfig {
    /// Looks for the broker.
    pub async fn probe(&self) -> Vec<Check> {
        look(
            &self.url,
            self.ca_file.as_deref(),
            self.timeout,
            self.version,
        )
        .await
    }
}

async fn look(
    url: &Secret,
    ca_file: Option<&Path>,
    timeout: Duration,
    version: Version,
) -> Vec<Check> {
    let client_id = format!("kapelle-test-{:016x}", fastrand::u64(..));
    let purpose = Purpose {
        version,
        client_id: &client_id,
        persistent: false,
        receive_max: 1,
    };
    let found = match Connection::make(url, ca_file, timeout, &purpose).await {
        Ok(connection) => {
            connection.close().await;
            Ok("the broker answers".to_owned())
        }
        Err(error) => Err(error),
    };
    vec![Check::new("connection", found)]
}
