//! Opening the partition from the configuration, and closing it. Both block on the disk, so both run beside the network.

use kapelle_engine::limits::Limits;
use kapelle_runtime::effects::EffectSink;
use kapelle_runtime::open::{self, Open};
use kapelle_runtime::{AwaitedReader, Options, PartitionHandle, TooFarBehind};

use super::ServeError;
use super::cluster_id::ClusterId;
use crate::config::Config;
use crate::{backbone, history};

/// An open partition.
pub(super) struct Opened {
    pub(super) handle: PartitionHandle,
    pub(super) cluster_id: String,
    open: Open,
}

fn options(config: &Config) -> Options {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let reader = |name: &str, too_far_behind| AwaitedReader {
        name: name.to_owned(),
        too_far_behind,
    };
    let mut readers = vec![reader(backbone::READER, TooFarBehind::SlowIntake)];
    if config.history.enabled {
        readers.push(reader(history::READER, TooFarBehind::CutLoose));
    }
    Options {
        queue_max: count(config.limits.commands_in_flight).max(1),
        cache_bytes_max: count(config.limits.instance_cache.0),
        store_cache_bytes: config.data.store_cache.0,
        tail_records_max: config.data.replay_records,
        base_bytes_min: config.data.copy_interval.0,
        disk_soft_limit_bytes: config.data.disk_reserve.0,
        accept_clock_jump: config.data.accept_clock_jump,
        segment_bytes: config.data.segment_size.0,
        readers,
        limits: Limits {
            arrivals_per_command_max: count(config.limits.event_batch_count),
            dedup_ids_max: config.events.dedup_count,
            dedup_window_ms: config.events.dedup_window.as_millis(),
            binding_ttl_ms: config.events.time_to_live.as_millis(),
            ..Limits::DEFAULT
        },
        ..Options::default()
    }
}

/// Locks the data directory, recovers, and starts the partition's threads.
pub(super) async fn open(
    config: &Config,
    effects: impl EffectSink + 'static,
) -> Result<Opened, ServeError> {
    let mut options = options(config);
    let dir = config.data.dir.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let cluster = ClusterId::of(&dir)?;
        options.cluster = cluster.id.clone();
        let open = open::open(&dir, options, effects)?;
        cluster.keep()?;
        Ok::<_, ServeError>((open, cluster.id))
    });
    let (open, cluster_id) = opening.await.map_err(|panic| ServeError::Recovery {
        why: panic.to_string(),
    })??;
    if let Some(jump) = &open.report.clock_jump {
        tracing::error!(
            ?jump,
            "the clock is more than an hour ahead of the last record and is not believed: timers wait; if the clock is \
             right, start once with data.accept-clock-jump = true"
        );
    }
    if let Some(restored) = &open.report.store.restored {
        tracing::warn!(
            ?restored,
            "the checkpoint store did not open; what it held comes from a copy and the journal"
        );
    }
    tracing::info!(
        dir = %config.data.dir.display(),
        last_record = open.handle.committed().0,
        journal = ?open.report.journal,
        "partition opened"
    );
    Ok(Opened {
        handle: open.handle.clone(),
        cluster_id,
        open,
    })
}

impl Opened {
    /// Decides what was taken, writes a checkpoint and ends the threads; then the directory is free again.
    pub(super) async fn close(self) {
        let open = self.open;
        // A panic was told when it happened; the next start recovers.
        tokio::task::spawn_blocking(move || {
            open.handle.shutdown();
            drop(open);
        })
        .await
        .ok();
    }
}
