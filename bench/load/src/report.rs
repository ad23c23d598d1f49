//! What the run says.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::Scenario;
use crate::histogram::Histogram;
use crate::process::Usage;

pub struct Report {
    pub(crate) scenario: Scenario,
    pub(crate) mode: String,
    pub(crate) payload: usize,
    pub(crate) polling: bool,
    pub(crate) took: Duration,
    /// How long it took after that until what was on the way had ended.
    pub(crate) drained: Duration,
    pub(crate) latencies: Histogram,
    pub(crate) refused: u64,
    pub(crate) turned_away: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) on_the_way: usize,
    /// Before and after.
    pub(crate) server: Option<(Usage, Usage)>,
    pub(crate) client: Option<(Usage, Usage)>,
    /// Bytes that went to the disk in the window.
    pub(crate) written: Option<u64>,
    /// Growth of each counter asked for.
    pub(crate) counters: Vec<(String, f64)>,
    pub(crate) sync: Histogram,
    pub(crate) round_trip: Histogram,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "counts of a run")]
    fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a run")]
    fn cpu_ms_per_instance(&self, usage: Option<(Usage, Usage)>) -> Option<f64> {
        let (before, after) = usage?;
        let count = self.latencies.count().max(1) as f64;
        Some((after.cpu - before.cpu).as_secs_f64() * 1000.0 / count)
    }

    /// Of all that was counted in the window, an instance's share.
    #[expect(clippy::cast_precision_loss, reason = "counts of a run")]
    fn per_instance(&self, growth: f64) -> f64 {
        growth / self.latencies.count().max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a run")]
    fn written_per_instance(&self) -> Option<f64> {
        self.written.map(|bytes| self.per_instance(bytes as f64))
    }

    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let jobs = if !self.scenario.has_jobs() {
            ""
        } else if self.polling {
            ", polling"
        } else {
            ", streaming"
        };
        let _ = writeln!(
            text,
            "{} · {} · {} B payload{jobs}",
            self.scenario.process_id(),
            self.mode,
            self.payload
        );
        let _ = writeln!(
            text,
            "  instances completed   {} in {:.1} s = {:.0}/s",
            self.latencies.count(),
            self.took.as_secs_f64(),
            self.per_second()
        );
        let q = |share| self.latencies.quantile_ms(share);
        let _ = writeln!(
            text,
            "  start → completed     p50 {:.2} · p95 {:.2} · p99 {:.2} · max {:.1} ms",
            q(0.5),
            q(0.95),
            q(0.99),
            self.latencies.max_ms()
        );
        let _ = writeln!(
            text,
            "  refused, tried again  {}   turned away {}   failed {}   on the way at the end {}",
            self.refused, self.turned_away, self.failed, self.on_the_way
        );
        if let Some(failure) = &self.first_failure {
            let _ = writeln!(text, "  first failure         {failure}");
        }
        for (name, usage) in [("server", self.server), ("client", self.client)] {
            if let (Some((_, after)), Some(cpu)) = (usage, self.cpu_ms_per_instance(usage)) {
                let _ = writeln!(
                    text,
                    "  {name}                {cpu:.3} ms CPU an instance · {:.0} MiB",
                    after.memory_mib
                );
            }
        }
        if let Some(written) = self.written_per_instance() {
            let _ = writeln!(
                text,
                "  written to the disk   {written:.0} bytes an instance"
            );
        }
        for (name, growth) in &self.counters {
            let _ = writeln!(
                text,
                "  {name}  {:.4} an instance",
                self.per_instance(*growth)
            );
        }
        let _ = write!(
            text,
            "  this machine, now     4 KiB fdatasync p50 {:.3} · p99 {:.3} ms; loopback round trip p50 {:.3} ms",
            self.sync.quantile_ms(0.5),
            self.sync.quantile_ms(0.99),
            self.round_trip.quantile_ms(0.5)
        );
        text
    }

    #[must_use]
    pub fn json(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or_else(|| "null".to_owned(), |v| format!("{v:.4}"));
        let memory =
            |usage: Option<(Usage, Usage)>| number(usage.map(|(_, after)| after.memory_mib));
        let counters: Vec<String> = self
            .counters
            .iter()
            .map(|(name, growth)| format!("\"{name}\":{:.5}", self.per_instance(*growth)))
            .collect();
        let first_failure = self.first_failure.as_ref().map_or_else(
            || "null".to_owned(),
            |text| format!("\"{}\"", text.escape_default()),
        );
        format!(
            "{{\"scenario\":\"{}\",\"mode\":\"{}\",\"payloadBytes\":{},\"seconds\":{:.3},\"completed\":{},\"perSecond\":{:.1},\
             \"p50Ms\":{:.3},\"p95Ms\":{:.3},\"p99Ms\":{:.3},\"maxMs\":{:.3},\"refused\":{},\"turnedAway\":{},\"failed\":{},\"onTheWay\":{},\"drainSeconds\":{:.2},\
             \"serverCpuMsPerInstance\":{},\"serverMemoryMib\":{},\"clientCpuMsPerInstance\":{},\"diskBytesPerInstance\":{},\
             \"perInstance\":{{{}}},\"firstFailure\":{first_failure},\"syncP50Ms\":{:.4},\"roundTripP50Ms\":{:.4}}}",
            self.scenario.process_id(),
            self.mode,
            self.payload,
            self.took.as_secs_f64(),
            self.latencies.count(),
            self.per_second(),
            self.latencies.quantile_ms(0.5),
            self.latencies.quantile_ms(0.95),
            self.latencies.quantile_ms(0.99),
            self.latencies.max_ms(),
            self.refused,
            self.turned_away,
            self.failed,
            self.on_the_way,
            self.drained.as_secs_f64(),
            number(self.cpu_ms_per_instance(self.server)),
            memory(self.server),
            number(self.cpu_ms_per_instance(self.client)),
            number(self.written_per_instance()),
            counters.join(","),
            self.sync.quantile_ms(0.5),
            self.round_trip.quantile_ms(0.5),
        )
    }
}
