//! What operators do with sources: look whether one could work, pause it, resume it.
//!
//! **Invariant**: which sources are paused is on the disk before anybody is told so, and a paused one takes nothing in after a
//! restart. The names are in the file `paused-sources` of the data directory, which belongs to the process that has it locked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kapelle_connectors::{Check, Handle, State};
use kapelle_events::Limits;
use kapelle_feel::json;
use kapelle_storage::files::{self, OsFiles};

use super::{limits, sources};
use crate::config::{Config, SourceConfig};
use crate::telemetry::metrics::Edge;

const FILE: &str = "paused-sources";

/// How long a pause is waited for: a batch on its way ends first.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// The sources from outside.
pub(crate) struct Control {
    dir: PathBuf,
    configured: BTreeMap<String, SourceConfig>,
    limits: Limits,
    paused: Mutex<BTreeSet<String>>,
    edge: Arc<Edge>,
}

impl Control {
    /// With what was paused before; the data directory is open.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(crate) fn open(config: &Config, edge: &Arc<Edge>) -> io::Result<Self> {
        let dir = config.data.dir.clone();
        let paused = match std::fs::read(dir.join(FILE)) {
            Ok(bytes) => read(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            dir,
            configured: config.sources.clone(),
            limits: limits(config),
            paused: Mutex::new(paused),
            edge: Arc::clone(edge),
        })
    }

    /// The file of a data directory, for messages.
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.data.dir.join(FILE)
    }

    pub(crate) fn kind(&self, name: &str) -> Option<&str> {
        self.configured.get(name).map(SourceConfig::kind)
    }

    pub(crate) fn is_paused(&self, name: &str) -> bool {
        self.locked().contains(name)
    }

    /// Before a source begins: one that was paused stays so.
    pub(super) fn hold(&self, name: &str, source: &Handle) {
        if self.is_paused(name) {
            source.pause();
            tracing::info!(source = %name, "source is paused");
        }
    }

    /// Pauses a source or resumes it; blocks on the disk. A source that is not running is paused when it begins.
    ///
    /// # Errors
    /// The disk; then the source does as before.
    pub(crate) fn set_paused(&self, name: &str, paused: bool) -> io::Result<()> {
        // Held over the write, so that the file and the sources get the same order.
        let mut names = self.locked();
        let mut wanted = names.clone();
        if paused {
            wanted.insert(name.to_owned());
        } else {
            wanted.remove(name);
        }
        if wanted != *names {
            files::replace(&OsFiles, &self.dir, FILE, write(&wanted).as_bytes())?;
            *names = wanted;
        }
        if let Some(source) = self.edge.sources().get(name) {
            if paused {
                source.pause();
            } else {
                source.resume();
            }
        }
        tracing::info!(source = %name, paused, "source was paused or resumed");
        Ok(())
    }

    /// Waits, but not for ever, until a paused source has stopped taking in.
    pub(crate) async fn settled(&self, name: &str) {
        let Some(source) = self.edge.sources().remove(name) else {
            return;
        };
        let stopping = async {
            while !matches!(source.snapshot().state, State::Paused | State::Stopped) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, stopping).await.ok();
    }

    /// Looks whether a source could work now; `None` where none has that name.
    pub(crate) async fn probe(&self, name: &str) -> Option<Vec<Check>> {
        Some(match self.configured.get(name)? {
            SourceConfig::Mqtt(source) => sources::mqtt_config(source, self.limits).probe().await,
            SourceConfig::Nats(source) => sources::nats_config(source, self.limits).probe().await,
            SourceConfig::Rabbitmq(source) => {
                sources::rabbitmq_config(source, self.limits).probe().await
            }
        })
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A JSON list of names: they may hold anything.
fn read(bytes: &[u8]) -> io::Result<BTreeSet<String>> {
    let names = str::from_utf8(bytes).ok().and_then(|text| {
        let list = json::to_value(text).ok()?;
        let names = list
            .as_list()?
            .iter()
            .map(|name| name.as_str().map(str::to_owned));
        names.collect::<Option<BTreeSet<_>>>()
    });
    names.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it holds no JSON list of names of sources",
        )
    })
}

fn write(names: &BTreeSet<String>) -> String {
    let mut text = String::from("[");
    for name in names {
        if text.len() > 1 {
            text.push(',');
        }
        json::write_string(&mut text, name);
    }
    text + "]\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_whatever_they_hold_and_nothing_else_is_taken() {
        let names: BTreeSet<_> = ["orders", "a\n\"b\"", ""].map(str::to_owned).into();
        assert_eq!(read(write(&names).as_bytes()).unwrap(), names);
        for other in ["", "{}", "[1]", "[\"a\"", "\u{ff}"] {
            assert!(read(other.as_bytes()).is_err(), "{other}");
        }
    }
}
