//! Ten times the load that a server can carry, and a judgement whether it stays the server that it was.
//!
//! What it can carry is measured first, with as many connections as clients would have, and the normal latency at that
//! load. Then everything comes at once, open loop: whoever is refused does not come again, and nobody waits for anybody.
//!
//! Latency is judged by its 99th percentile: at a load that can be carried most commands wait for nobody, under overload all
//! wait behind a full queue, and how long a full queue may be is what the server decides. The median is shown.
//!
//! The generator runs at lower priority than the server, because on one machine it would else take the processor that
//! the server needs to refuse; users' clients are elsewhere.

mod watch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::bail;

use self::watch::{Seen, Watch};
use super::{Options, load, load_binary, server_binary, workshop};
use crate::server::Server;

/// What a load that can be carried for long is of the load that can be carried at all.
const SUSTAINABLE: f64 = 0.7;

/// As issue 4 has it.
const TIMES: f64 = 10.0;
const LATENCY_TIMES: f64 = 3.0;

/// Of what was asked for, the generator has to bring so much, or the run proves nothing.
const OFFERED_SHARE: f64 = 0.7;

/// Under overload at least so much of the sustainable work is done. The rest of the processor refuses.
const CARRIED_SHARE: f64 = 0.5;

/// Memory may grow by what queues and caches hold when they are full.
const MEMORY_TIMES: f64 = 2.0;
const MEMORY_PLUS_MIB: f64 = 128.0;

/// "Within seconds".
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// Longer than it takes to end what was taken.
const DRAIN_SECONDS: &str = "60";

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    options.check(&["seconds", "connections", "scenario", "binary", "load"])?;
    let load = load_binary(root, options)?;
    let binary = server_binary(root, options)?;
    let workshop = workshop(root)?;
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let home = workshop.join(format!("overload-{stamp}"));
    let mut overload = Overload {
        server: Server::start_logged(&home, &binary, "")?,
        load,
        workshop,
        seconds: options.number::<u64>("seconds", 20)?.to_string(),
        connections: options.number::<u32>("connections", 32)?.to_string(),
        scenario: options
            .text("scenario")
            .unwrap_or("compute-with-result")
            .to_owned(),
    };
    let found = overload.measure()?;
    overload.server.check()?;
    overload.server.stop()?;
    judge(&found.sentences())
}

struct Overload {
    server: Server,
    load: PathBuf,
    workshop: PathBuf,
    seconds: String,
    connections: String,
    scenario: String,
}

/// One load, and how the server was meanwhile.
struct Phase {
    report: load::Report,
    seen: Seen,
    /// When nothing more was started.
    ended: Instant,
}

struct Found {
    /// A second.
    sustainable: f64,
    normal: Phase,
    over: Phase,
}

impl Overload {
    fn measure(&self) -> anyhow::Result<Found> {
        let able = self
            .begin(&["--in-flight", "256", "--warm-up", "3"])?
            .report()?;
        let sustainable = SUSTAINABLE * able.per_second;
        println!(
            "{}: {:.0}/s with 256 in flight, so {sustainable:.0}/s for long",
            self.scenario, able.per_second
        );
        Ok(Found {
            sustainable,
            normal: self.open_loop(sustainable)?,
            over: self.open_loop(TIMES * sustainable)?,
        })
    }

    fn begin(&self, arguments: &[&str]) -> anyhow::Result<load::Run> {
        let common = [
            "--scenario",
            &self.scenario,
            "--connections",
            &self.connections,
            "--threads",
            "2",
            "--seconds",
            &self.seconds,
        ];
        let arguments = [&common[..], arguments].concat();
        load::begin(&self.load, &self.server.grpc, &self.workshop, &arguments)
    }

    /// So many starts a second, whatever becomes of them.
    fn open_loop(&self, rate: f64) -> anyhow::Result<Phase> {
        let rate = format!("{rate:.0}");
        let watch = Watch::begin(&self.server);
        let arguments = ["--rate", &rate, "--give-up", "--warm-up", "5"];
        let arguments = [&arguments[..], &["--drain", DRAIN_SECONDS]].concat();
        let report = self.begin(&arguments)?.report()?;
        let ended = Instant::now() - report.drain;
        // So that what it does afterwards is seen, too.
        std::thread::sleep(RECOVERED_WITHIN.saturating_sub(report.drain));
        Ok(Phase {
            seen: watch.end()?,
            report,
            ended,
        })
    }
}

/// What must hold, and whether it does.
struct Sentence {
    says: &'static str,
    normal: String,
    over: String,
    holds: bool,
}

impl Found {
    fn sentences(&self) -> Vec<Sentence> {
        let (normal, over) = (&self.normal, &self.over);
        let offered = |phase: &Phase| {
            (phase.report.completed + phase.report.turned_away) as f64 / phase.report.seconds
        };
        let sentence = |says, normal: String, over: String, holds| Sentence {
            says,
            normal,
            over,
            holds,
        };
        let times = |says, value: &dyn Fn(&Phase) -> f64, times: f64, plus: f64| {
            let (before, then) = (value(normal), value(over));
            sentence(
                says,
                format!("{before:.2}"),
                format!("{then:.2}"),
                then <= times * before + plus,
            )
        };
        let shown = |says, value| times(says, value, 0.0, f64::INFINITY);
        let recovered = over.seen.recovered(over.ended, self.quick_ms());
        vec![
            sentence(
                "starts offered /s",
                format!("{:.0}", offered(normal)),
                format!("{:.0}", offered(over)),
                offered(over) >= OFFERED_SHARE * TIMES * self.sustainable,
            ),
            sentence(
                "starts refused retryably",
                normal.report.turned_away.to_string(),
                over.report.turned_away.to_string(),
                over.report.turned_away > 0,
            ),
            sentence(
                "other failures",
                failures(normal),
                failures(over),
                normal.report.failed + over.report.failed == 0,
            ),
            sentence(
                "instances completed /s",
                format!("{:.0}", normal.report.per_second),
                format!("{:.0}", over.report.per_second),
                over.report.per_second >= CARRIED_SHARE * self.sustainable,
            ),
            shown("start to end p50 ms", &|p| p.report.spread.p50_ms),
            times(
                "start to end p99 ms",
                &|p| p.report.spread.p99_ms,
                LATENCY_TIMES,
                0.0,
            ),
            shown("another client p50 ms", &|p| p.seen.accepted().p50_ms),
            times(
                "another client p99 ms",
                &|p| p.seen.accepted().p99_ms,
                LATENCY_TIMES,
                0.0,
            ),
            times(
                "memory at most MiB",
                &|p| p.seen.peak_mib,
                MEMORY_TIMES,
                MEMORY_PLUS_MIB,
            ),
            sentence(
                "taken and never ended",
                normal.report.on_the_way.to_string(),
                over.report.on_the_way.to_string(),
                normal.report.on_the_way + over.report.on_the_way == 0,
            ),
            sentence(
                "all taken have ended after s",
                format!("{:.2}", normal.report.drain.as_secs_f64()),
                format!("{:.2}", over.report.drain.as_secs_f64()),
                over.report.drain <= RECOVERED_WITHIN,
            ),
            sentence(
                "normal again after s",
                "-".to_owned(),
                recovered.map_or("never".to_owned(), |after| {
                    format!("{:.2}", after.as_secs_f64())
                }),
                recovered.is_some_and(|after| after <= RECOVERED_WITHIN),
            ),
        ]
    }

    /// An answer within this is one as in normal times.
    fn quick_ms(&self) -> f64 {
        LATENCY_TIMES * self.normal.seen.accepted().p99_ms
    }
}

fn failures(phase: &Phase) -> String {
    match phase.report.failed {
        0 => "0".to_owned(),
        count => format!("{count} ({})", phase.report.first_failure),
    }
}

fn judge(sentences: &[Sentence]) -> anyhow::Result<()> {
    println!("{:<30} {:>14} {:>14}", "", "normal", "overload");
    for sentence in sentences {
        println!(
            "{:<30} {:>14} {:>14}{}",
            sentence.says,
            sentence.normal,
            sentence.over,
            if sentence.holds { "" } else { "   FAILS" }
        );
    }
    let failed = sentences.iter().filter(|sentence| !sentence.holds);
    let failed: Vec<&str> = failed.map(|sentence| sentence.says).collect();
    if !failed.is_empty() {
        bail!("does not hold: {}", failed.join("; "));
    }
    Ok(())
}
