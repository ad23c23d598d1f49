//! Metrics in Prometheus' text format: every name, its unit and its meaning in this one file.
//!
//! **Invariant**: labels are bounded: names from the configuration and closed sets, never keys or ids that clients make
//! up; of process ids, job types and sources of CloudEvents as many as [`super::counts`] allows. Reading takes no lock that the writer or a request needs for long.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kapelle_connectors::{Handle, StatusSnapshot};
use kapelle_engine::response::Outcome;
use kapelle_runtime::PartitionHandle;

use super::counts::Counts;
use super::rates::Rates;
use crate::history::Tallies;

/// What the edges count.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    /// By the `source` of the CloudEvent, the channel that it came in by, and its outcome.
    events_of_source: Counts<(Arc<str>, Outcome)>,
    /// Attempts to deliver by sink and how they ended.
    deliveries: Counts<&'static str>,
    events_unreadable: AtomicU64,
    events_delivered: AtomicU64,
    deliveries_failed: AtomicU64,
    events_dead: AtomicU64,
    sources: Mutex<BTreeMap<String, Handle>>,
    sinks: Mutex<BTreeMap<String, Handle>>,
    sources_rates: Rates,
    sinks_rates: Rates,
}

impl Edge {
    /// `channel` is the name of a source of the configuration, or `http`; `source` is the CloudEvent's own.
    pub(crate) fn count_event_in(&self, channel: &Arc<str>, source: &str, outcome: Outcome) {
        self.events_of_source
            .add(source, (Arc::clone(channel), outcome));
    }

    /// The same without the sources.
    fn events_in(&self) -> BTreeMap<(Arc<str>, Outcome), u64> {
        let mut counts = BTreeMap::new();
        self.events_of_source.for_each(|_, came, count| {
            *counts.entry(came.clone()).or_default() += count;
        });
        counts
    }

    pub(crate) fn count_event_unreadable(&self) {
        self.events_unreadable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_event_delivered(&self) {
        self.events_delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_delivery_failed(&self) {
        self.deliveries_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_event_dead(&self) {
        self.events_dead.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_delivery(&self, sink: &str, ended: &'static str) {
        self.deliveries.add(sink, ended);
    }

    pub(crate) fn watch_source(&self, name: &str, handle: Handle) {
        locked(&self.sources).insert(name.to_owned(), handle);
    }

    /// The configured sources that run, by name.
    pub(crate) fn sources(&self) -> BTreeMap<String, Handle> {
        locked(&self.sources).clone()
    }

    /// The configured sinks by name.
    pub(crate) fn sinks(&self) -> BTreeMap<String, Handle> {
        locked(&self.sinks).clone()
    }

    /// Once a second: what has gone through sources and sinks by now.
    pub(crate) fn sample_rates(&self, at: Instant) {
        let counters = |handles: BTreeMap<String, Handle>, counter: fn(&StatusSnapshot) -> u64| {
            handles
                .into_iter()
                .map(|(name, handle)| (name, counter(&handle.snapshot())))
                .collect()
        };
        self.sources_rates
            .sample(at, counters(self.sources(), |status| status.received));
        self.sinks_rates
            .sample(at, counters(self.sinks(), |status| status.published));
    }

    /// Deliveries a second.
    pub(crate) fn rate_of_source(&self, name: &str) -> Option<f64> {
        self.sources_rates.of(name)
    }

    /// CloudEvents a second that arrived.
    pub(crate) fn rate_of_sink(&self, name: &str) -> Option<f64> {
        self.sinks_rates.of(name)
    }

    pub(crate) fn watch_sink(&self, name: &str, handle: Handle) {
        locked(&self.sinks).insert(name.to_owned(), handle);
    }
}

fn locked(handles: &Mutex<BTreeMap<String, Handle>>) -> MutexGuard<'_, BTreeMap<String, Handle>> {
    handles.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a value of the runtime is told: its name there, its name outside, type, divisor to the base unit, meaning.
type Told = (&'static str, &'static str, &'static str, f64, &'static str);

const NANOSECONDS: f64 = 1e9;

const PARTITION: [Told; 29] = [
    (
        "commands",
        "kapelle_commands_total",
        "counter",
        1.0,
        "Commands decided.",
    ),
    (
        "rejections",
        "kapelle_rejections_total",
        "counter",
        1.0,
        "Commands that the engine refused.",
    ),
    (
        "events",
        "kapelle_records_decided_total",
        "counter",
        1.0,
        "Events decided.",
    ),
    (
        "records",
        "kapelle_log_records_total",
        "counter",
        1.0,
        "Records appended to the journal.",
    ),
    (
        "batches",
        "kapelle_log_batches_total",
        "counter",
        1.0,
        "Batches appended to the journal.",
    ),
    (
        "journal_bytes",
        "kapelle_log_bytes_total",
        "counter",
        1.0,
        "Bytes appended to the journal.",
    ),
    (
        "shortened",
        "kapelle_log_shortened_records_total",
        "counter",
        1.0,
        "Records that name an earlier one instead of repeating what it holds.",
    ),
    (
        "syncs",
        "kapelle_log_syncs_total",
        "counter",
        1.0,
        "Syncs of the journal.",
    ),
    (
        "sync_ns",
        "kapelle_log_sync_seconds_total",
        "counter",
        NANOSECONDS,
        "Time that the disk took for them.",
    ),
    (
        "disk_wait_ns",
        "kapelle_writer_disk_wait_seconds_total",
        "counter",
        NANOSECONDS,
        "Time that the writer waited for the disk.",
    ),
    (
        "decide_ns",
        "kapelle_writer_decide_seconds_total",
        "counter",
        NANOSECONDS,
        "Time that the writer spent deciding.",
    ),
    (
        "overloaded",
        "kapelle_backpressure_rejections_total",
        "counter",
        1.0,
        "Commands refused because the queue was full.",
    ),
    (
        "disk_full",
        "kapelle_disk_full_rejections_total",
        "counter",
        1.0,
        "Commands refused because the disk was filling up.",
    ),
    (
        "queue_length",
        "kapelle_queue_length",
        "gauge",
        1.0,
        "Commands waiting.",
    ),
    (
        "queue_limit",
        "kapelle_queue_limit",
        "gauge",
        1.0,
        "Commands that may wait; adapts to how long they do.",
    ),
    (
        "due_backlog",
        "kapelle_due_backlog",
        "gauge",
        1.0,
        "Whether due work is left over.",
    ),
    (
        "leftovers",
        "kapelle_internal_commands_waiting",
        "gauge",
        1.0,
        "Internal commands waiting.",
    ),
    (
        "hot_instances",
        "kapelle_instances_in_memory",
        "gauge",
        1.0,
        "Instances in memory.",
    ),
    (
        "hot_bytes",
        "kapelle_instances_in_memory_bytes",
        "gauge",
        1.0,
        "Their approximate size.",
    ),
    (
        "dirty_instances",
        "kapelle_instances_dirty",
        "gauge",
        1.0,
        "Instances in memory that are not yet written back.",
    ),
    (
        "evictions",
        "kapelle_instance_evictions_total",
        "counter",
        1.0,
        "Instances that left memory.",
    ),
    (
        "loads",
        "kapelle_instance_loads_total",
        "counter",
        1.0,
        "Instances that came back from disk.",
    ),
    (
        "overlay_entries",
        "kapelle_index_overlay_entries",
        "gauge",
        1.0,
        "Index entries in memory.",
    ),
    (
        "checkpoints",
        "kapelle_checkpoints_total",
        "counter",
        1.0,
        "Checkpoints completed.",
    ),
    (
        "tail_records",
        "kapelle_log_tail_records",
        "gauge",
        1.0,
        "Records that a restart would replay.",
    ),
    (
        "recovery_ns",
        "kapelle_recovery_seconds",
        "gauge",
        NANOSECONDS,
        "How long the last recovery took.",
    ),
    (
        "recovery_records",
        "kapelle_recovery_records",
        "gauge",
        1.0,
        "Records that it replayed.",
    ),
    (
        "panics",
        "kapelle_panics_total",
        "counter",
        1.0,
        "Panics while deciding.",
    ),
    (
        "clock_doubted",
        "kapelle_clock_doubted",
        "gauge",
        1.0,
        "Whether the clock is more than an hour ahead and not believed.",
    ),
];

/// What the reader behind searches tells.
pub(crate) struct Search<'t> {
    /// Records that it has not read yet.
    pub(crate) lag: u64,
    pub(crate) tallies: &'t Tallies,
}

/// Everything, as text.
pub(crate) fn render(
    partition: Option<&PartitionHandle>,
    search: Option<Search<'_>>,
    edge: &Edge,
) -> String {
    let mut page = Page::default();
    page.family("kapelle_build_info", "gauge", "Which program this is.");
    page.sample(
        "kapelle_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    if let Some(partition) = partition {
        render_partition(&mut page, partition);
    }
    if let Some(search) = search {
        let name = "kapelle_history_lag_records";
        page.family(
            name,
            "gauge",
            "Records that are committed and that searches do not see yet.",
        );
        page.sample(name, &[], float(search.lag));
        render_tallies(&mut page, search.tallies);
    }
    render_events(&mut page, edge);
    render_routes(&mut page, edge);
    let snapshots = |handles: &Mutex<BTreeMap<String, Handle>>| -> Vec<(String, StatusSnapshot)> {
        let handles = locked(handles);
        handles
            .iter()
            .map(|(name, handle)| (name.clone(), handle.snapshot()))
            .collect()
    };
    render_sources(&mut page, &snapshots(&edge.sources));
    render_sinks(&mut page, &snapshots(&edge.sinks));
    page.text
}

fn render_partition(page: &mut Page, partition: &PartitionHandle) {
    let values: BTreeMap<&str, u64> = partition.metrics().snapshot().into_iter().collect();
    for (name, outside, kind, divisor, meaning) in PARTITION {
        if let Some(value) = values.get(name) {
            page.family(outside, kind, meaning);
            page.sample(outside, &[], float(*value) / divisor);
        }
    }
    page.family("kapelle_job_streams_open", "gauge", "Open job streams.");
    page.sample(
        "kapelle_job_streams_open",
        &[],
        float(partition.streams().len() as u64),
    );
    page.family("kapelle_log_position", "gauge", "The last durable record.");
    page.sample("kapelle_log_position", &[], float(partition.committed().0));
}

fn render_tallies(page: &mut Page, tallies: &Tallies) {
    let name = "kapelle_process_instances_total";
    page.family(
        name,
        "counter",
        "Instances by process and what became of them.",
    );
    tallies.instances.for_each(|process, state, count| {
        let labels = [("process", process), ("state", state)];
        page.sample(name, &labels, float(count));
    });
    let name = "kapelle_process_incidents_total";
    page.family(name, "counter", "Incidents raised by process.");
    tallies.incidents.for_each(|process, (), count| {
        page.sample(name, &[("process", process)], float(count));
    });
    let name = "kapelle_jobs_total";
    page.family(name, "counter", "Jobs by type and what became of them.");
    tallies.jobs.for_each(|job_type, state, count| {
        let labels = [("type", job_type), ("state", state)];
        page.sample(name, &labels, float(count));
    });
}

/// By names that the outside made up.
fn render_routes(page: &mut Page, edge: &Edge) {
    let name = "kapelle_events_by_source_total";
    page.family(
        name,
        "counter",
        "CloudEvents that came in, by their source, their channel and their outcome.",
    );
    edge.events_of_source
        .for_each(|source, (channel, outcome), count| {
            let labels = [
                ("source", source),
                ("channel", &**channel),
                ("outcome", outcome.as_str()),
            ];
            page.sample(name, &labels, float(count));
        });
    let name = "kapelle_deliveries_total";
    page.family(
        name,
        "counter",
        "Attempts to deliver a CloudEvent, by sink and how they ended.",
    );
    edge.deliveries.for_each(|sink, ended, count| {
        page.sample(name, &[("sink", sink), ("outcome", ended)], float(count));
    });
}

fn render_events(page: &mut Page, edge: &Edge) {
    page.family(
        "kapelle_events_total",
        "counter",
        "CloudEvents by what became of them.",
    );
    for ((channel, outcome), count) in edge.events_in() {
        let labels = [
            ("direction", "in"),
            ("source", &*channel),
            ("outcome", outcome.as_str()),
        ];
        page.sample("kapelle_events_total", &labels, float(count));
    }
    for (outcome, counter) in [
        ("DELIVERED", &edge.events_delivered),
        ("DEAD", &edge.events_dead),
    ] {
        let labels = [("direction", "out"), ("source", ""), ("outcome", outcome)];
        page.sample(
            "kapelle_events_total",
            &labels,
            float(counter.load(Ordering::Relaxed)),
        );
    }
    page.family(
        "kapelle_events_unreadable_total",
        "counter",
        "Requests that held no CloudEvent and were not stored.",
    );
    page.sample(
        "kapelle_events_unreadable_total",
        &[],
        float(edge.events_unreadable.load(Ordering::Relaxed)),
    );
    page.family(
        "kapelle_delivery_failures_total",
        "counter",
        "Attempts to deliver a CloudEvent that failed.",
    );
    page.sample(
        "kapelle_delivery_failures_total",
        &[],
        float(edge.deliveries_failed.load(Ordering::Relaxed)),
    );
}

/// One metric of a connector: name, type, meaning, value.
type OfConnector = (
    &'static str,
    &'static str,
    &'static str,
    fn(&StatusSnapshot) -> Option<u64>,
);

const SOURCES: [OfConnector; 6] = [
    (
        "kapelle_source_up",
        "gauge",
        "Whether the source is connected.",
        |status| Some(status.healthy().into()),
    ),
    (
        "kapelle_source_received_total",
        "counter",
        "Deliveries of the broker.",
        |status| Some(status.received),
    ),
    (
        "kapelle_source_rejected_total",
        "counter",
        "Deliveries that are no CloudEvents.",
        |status| Some(status.rejected),
    ),
    (
        "kapelle_source_retries_total",
        "counter",
        "Batches offered again.",
        |status| Some(status.ingest_retries),
    ),
    (
        "kapelle_source_connects_total",
        "counter",
        "Connections made.",
        |status| Some(status.connects),
    ),
    (
        "kapelle_source_lag",
        "gauge",
        "What waits at the broker.",
        |status| status.lag,
    ),
];

fn render_sources(page: &mut Page, sources: &[(String, StatusSnapshot)]) {
    render_connectors(page, "source", &SOURCES, sources);
}

const SINKS: [OfConnector; 3] = [
    (
        "kapelle_sink_up",
        "gauge",
        "Whether the sink is connected or not needed.",
        |status| Some(status.healthy().into()),
    ),
    (
        "kapelle_sink_published_total",
        "counter",
        "CloudEvents that arrived.",
        |status| Some(status.published),
    ),
    (
        "kapelle_sink_failures_total",
        "counter",
        "Attempts that failed.",
        |status| Some(status.publish_failures),
    ),
];

fn render_sinks(page: &mut Page, sinks: &[(String, StatusSnapshot)]) {
    render_connectors(page, "sink", &SINKS, sinks);
}

fn render_connectors(
    page: &mut Page,
    label: &str,
    metrics: &[OfConnector],
    connectors: &[(String, StatusSnapshot)],
) {
    for (name, kind, meaning, value) in metrics {
        if connectors.is_empty() {
            continue;
        }
        page.family(name, kind, meaning);
        for (connector, status) in connectors {
            if let Some(value) = value(status) {
                page.sample(name, &[(label, connector)], float(value));
            }
        }
    }
}

/// Prometheus has only floats; beyond 2^53 a count is no longer exact, which nobody will see.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn float(value: u64) -> f64 {
    value as f64
}

/// The text under construction.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, meaning: &str) {
        writeln!(self.text, "# HELP {name} {meaning}\n# TYPE {name} {kind}")
            .expect("writing to a String can't fail");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            write!(
                self.text,
                "{}{label}=\"{text}\"",
                if index == 0 { '{' } else { ',' }
            )
            .expect("writing to a String can't fail");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{close} {value}").expect("writing to a String can't fail");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_page_has_help_type_and_escaped_labels() {
        let edge = Edge::default();
        let channel = Arc::from("or\"ders");
        edge.count_event_in(&channel, "/shop", Outcome::Started);
        edge.count_event_in(&channel, "/shop", Outcome::Started);
        edge.count_delivery("billing", "FAILED");
        let tallies = Tallies::default();
        tallies.instances.add("order", "STARTED");
        tallies.incidents.add("order", ());
        tallies.jobs.add("pack", "CREATED");
        let search = Search {
            lag: 7,
            tallies: &tallies,
        };
        let page = render(None, Some(search), &edge).replace(env!("CARGO_PKG_VERSION"), "VERSION");
        expect![[r##"
            # HELP kapelle_build_info Which program this is.
            # TYPE kapelle_build_info gauge
            kapelle_build_info{version="VERSION"} 1
            # HELP kapelle_history_lag_records Records that are committed and that searches do not see yet.
            # TYPE kapelle_history_lag_records gauge
            kapelle_history_lag_records 7
            # HELP kapelle_process_instances_total Instances by process and what became of them.
            # TYPE kapelle_process_instances_total counter
            kapelle_process_instances_total{process="order",state="STARTED"} 1
            # HELP kapelle_process_incidents_total Incidents raised by process.
            # TYPE kapelle_process_incidents_total counter
            kapelle_process_incidents_total{process="order"} 1
            # HELP kapelle_jobs_total Jobs by type and what became of them.
            # TYPE kapelle_jobs_total counter
            kapelle_jobs_total{type="pack",state="CREATED"} 1
            # HELP kapelle_events_total CloudEvents by what became of them.
            # TYPE kapelle_events_total counter
            kapelle_events_total{direction="in",source="or\"ders",outcome="STARTED"} 2
            kapelle_events_total{direction="out",source="",outcome="DELIVERED"} 0
            kapelle_events_total{direction="out",source="",outcome="DEAD"} 0
            # HELP kapelle_events_unreadable_total Requests that held no CloudEvent and were not stored.
            # TYPE kapelle_events_unreadable_total counter
            kapelle_events_unreadable_total 0
            # HELP kapelle_delivery_failures_total Attempts to deliver a CloudEvent that failed.
            # TYPE kapelle_delivery_failures_total counter
            kapelle_delivery_failures_total 0
            # HELP kapelle_events_by_source_total CloudEvents that came in, by their source, their channel and their outcome.
            # TYPE kapelle_events_by_source_total counter
            kapelle_events_by_source_total{source="/shop",channel="or\"ders",outcome="STARTED"} 2
            # HELP kapelle_deliveries_total Attempts to deliver a CloudEvent, by sink and how they ended.
            # TYPE kapelle_deliveries_total counter
            kapelle_deliveries_total{sink="billing",outcome="FAILED"} 1
        "##]]
        .assert_eq(&page);
    }

    #[test]
    fn every_value_of_the_runtime_has_a_name_outside() {
        let metrics = kapelle_runtime::metrics::Metrics::default();
        for (name, _) in metrics.snapshot() {
            assert!(PARTITION.iter().any(|told| told.0 == name), "{name}");
        }
    }
}
