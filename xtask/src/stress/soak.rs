//! Hours of mixed load at a moderate rate, and a judgement whether anything grows that should not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::bail;

use super::events::{self, Total, Traffic};
use super::figures::{self, Spread, Usage};
use super::judge::{self, Series};
use super::{Options, load, load_binary, server_binary, workshop};
use crate::server::Server;

/// A row of the table.
const WINDOW: Duration = Duration::from_secs(60);

/// What `kapelle-load` needs to connect and to end within a window.
const SLACK: Duration = Duration::from_secs(5);

/// What `kapelle-load` runs all the time: the scenario, and how many a second at rate 1.
const LOADS: [(&str, f64); 4] = [
    ("one-task", 60.0),
    ("ten-tasks", 5.0),
    ("message-result", 15.0),
    ("empty-with-result", 15.0),
];

/// CloudEvents a second at rate 1.
const EVENTS: f64 = 40.0;

/// The longest timer is 90 s; the rest is patience.
const ENDS_WITHIN: Duration = Duration::from_secs(150);

/// One row.
struct Row {
    minutes: f64,
    usage: Usage,
    cpu_share: f64,
    journal_mib: f64,
    store_mib: f64,
    history_mib: f64,
    loads: Vec<load::Report>,
    traffic: events::Window,
    machine: f64,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    options.check(&["minutes", "rate", "binary", "load"])?;
    let minutes: f64 = options.number("minutes", 120.0)?;
    let rate: f64 = options.number("rate", 1.0)?;
    let soak = Soak {
        binary: server_binary(root, options)?,
        load: load_binary(root, options)?,
        workshop: workshop(root)?,
        retention: Duration::from_secs_f64((minutes * 6.0).clamp(60.0, 600.0)),
        lasting: Duration::from_secs_f64(minutes * 60.0),
        rate,
    };
    soak.run()
}

struct Soak {
    binary: PathBuf,
    load: PathBuf,
    workshop: PathBuf,
    /// How long history and the dedup window keep: all that is meant to grow stops growing after this.
    retention: Duration,
    lasting: Duration,
    rate: f64,
}

impl Soak {
    fn run(&self) -> anyhow::Result<()> {
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let home = self.workshop.join(format!("soak-{stamp}"));
        let table = self.workshop.join(format!("soak-{stamp}.csv"));
        let receiver = events::receiver()?;
        let config = self.config(&format!("http://{}/done", receiver.address));
        let mut server = Server::start_logged(&home, &self.binary, &config)?;
        let traffic = Traffic::begin(receiver, &server.rest, EVENTS * self.rate)?;
        println!("soak of {:?}, table in {}", self.lasting, table.display());
        println!("{}", head());
        let mut rows: Vec<Row> = Vec::new();
        let begun = Instant::now();
        let mut before = figures::usage(server.pid())?;
        let mut text = head().split_whitespace().collect::<Vec<_>>().join(",");
        text.push('\n');
        while begun.elapsed() < self.lasting {
            let row = self.window(&server, &traffic, begun, &mut before)?;
            server.check()?;
            println!("{}", row.line());
            text += &row.line().split_whitespace().collect::<Vec<_>>().join(",");
            text.push('\n');
            std::fs::write(&table, &text)?;
            rows.push(row);
        }
        let total = traffic.end(ENDS_WITHIN)?;
        let stopped = server.stop()?;
        println!("stopped after {stopped:?}");
        self.judge(&rows, &total)
    }

    fn config(&self, webhook: &str) -> String {
        let seconds = self.retention.as_secs();
        format!(
            "[limits]\ninstance-cache = \"64 MiB\"\n[data]\nreplay-records = 200000\ncopy-interval = \"32 MiB\"\n\
             segment-size = \"32 MiB\"\n[history]\nretention = \"{seconds}s\"\n[events]\ndedup-window = \"{seconds}s\"\n\
             [sinks.receiver]\nkind = \"webhook\"\nurl = \"{webhook}\"\n"
        )
    }

    fn window(
        &self,
        server: &Server,
        traffic: &Traffic,
        begun: Instant,
        before: &mut Usage,
    ) -> anyhow::Result<Row> {
        let began = Instant::now();
        let seconds = (WINDOW - SLACK).as_secs().to_string();
        let runs: Vec<load::Run> = LOADS
            .iter()
            .map(|(scenario, per_second)| {
                let rate = (per_second * self.rate).to_string();
                let arguments = [
                    "--scenario",
                    scenario,
                    "--rate",
                    &rate,
                    "--seconds",
                    &seconds,
                    "--warm-up",
                    "1",
                ];
                load::begin(&self.load, &server.grpc, &self.workshop, &arguments)
            })
            .collect::<anyhow::Result<_>>()?;
        let loads = runs
            .into_iter()
            .map(load::Run::report)
            .collect::<anyhow::Result<_>>()?;
        std::thread::sleep(WINDOW.saturating_sub(began.elapsed()));
        let usage = figures::usage(server.pid())?;
        let data = server.data();
        let of = |names: &[&str]| -> f64 {
            let paths = names.iter().map(|name| data.join(name));
            paths.map(|path| figures::disk_mib(&path)).sum()
        };
        let row = Row {
            minutes: begun.elapsed().as_secs_f64() / 60.0,
            cpu_share: (usage.cpu - before.cpu).as_secs_f64() / began.elapsed().as_secs_f64(),
            usage,
            journal_mib: of(&["partition-1/journal"]),
            store_mib: of(&["partition-1/store"]),
            history_mib: of(&["history.db", "history.db-wal", "history.db-shm"]),
            loads,
            traffic: traffic.window(),
            machine: figures::load_average(),
        };
        *before = usage;
        Ok(row)
    }

    fn judge(&self, rows: &[Row], total: &Total) -> anyhow::Result<()> {
        let mut wrong = wrongs(rows, total);
        let completed: u64 = rows
            .iter()
            .flat_map(|row| &row.loads)
            .map(|l| l.completed)
            .sum();
        println!(
            "{completed} instances by kapelle-load, {} by CloudEvents ({} sent again and recognised), {} versions deployed, \
             {} lost, {} doubled",
            total.sent, total.duplicates, total.deployments, total.lost, total.doubled
        );
        // What is kept for a while grows for that while; caches fill meanwhile.
        let settled = rows
            .iter()
            .filter(|row| row.minutes * 60.0 > 1.5 * self.retention.as_secs_f64());
        let settled: Vec<&Row> = settled.collect();
        println!(
            "figure                    early      late   (medians of the first and the last third after {:.0} min)",
            1.5 * self.retention.as_secs_f64() / 60.0
        );
        for series in all_series(&settled) {
            match series.judge() {
                Some(verdict) => {
                    let word = if verdict.is_flat { "" } else { "   GROWS" };
                    println!(
                        "{:<20} {:>10.2} {:>9.2} {}{word}",
                        series.name, verdict.early, verdict.late, series.unit
                    );
                    if !verdict.is_flat {
                        wrong.push(format!("{} grew", series.name));
                    }
                }
                None => println!(
                    "{:<20} not judged: {} figures are too few, {} show something",
                    series.name,
                    series.values.len(),
                    judge::FEWEST
                ),
            }
        }
        if !wrong.is_empty() {
            bail!("the soak found: {}", wrong.join("; "));
        }
        Ok(())
    }
}

/// What is wrong whatever the trend is.
fn wrongs(rows: &[Row], total: &Total) -> Vec<String> {
    let mut wrong = total.surprises.clone();
    if total.lost > 0 || total.doubled > 0 {
        wrong.push(format!("{} lost, {} doubled", total.lost, total.doubled));
    }
    for row in rows {
        for report in row.loads.iter().filter(|report| report.failed > 0) {
            wrong.push(format!(
                "{} requests failed after {:.0} min: {}",
                report.failed, row.minutes, report.first_failure
            ));
        }
    }
    if rows.is_empty() || total.sent == 0 || total.duplicates == 0 {
        wrong.push("too little was exercised to prove anything".to_owned());
    }
    wrong
}

fn all_series(rows: &[&Row]) -> Vec<Series> {
    let series = |name, unit, times, plus, value: &dyn Fn(&Row) -> f64| Series {
        name,
        unit,
        values: rows.iter().map(|row| value(row)).collect(),
        times,
        plus,
    };
    let spread = |index: usize| move |row: &Row| row.loads[index].spread;
    vec![
        series("memory", "MiB", 1.10, 8.0, &|row| row.usage.memory_mib),
        series("file handles", "", 1.0, 8.0, &|row| row.usage.files as f64),
        series("threads", "", 1.0, 2.0, &|row| row.usage.threads as f64),
        series("journal", "MiB", 1.10, 64.0, &|row| row.journal_mib),
        series("checkpoints", "MiB", 1.25, 16.0, &|row| row.store_mib),
        series("history", "MiB", 1.15, 64.0, &|row| row.history_mib),
        series("processor", "cores", 1.3, 0.05, &|row| row.cpu_share),
        // A shared machine makes whole minutes slow, so the medians may double before it counts as growth.
        series("one task p50", "ms", 1.5, 0.5, &|row| spread(0)(row).p50_ms),
        series("one task p99", "ms", 2.0, 10.0, &|row| {
            spread(0)(row).p99_ms
        }),
        series("ten tasks p50", "ms", 1.5, 2.0, &|row| {
            spread(1)(row).p50_ms
        }),
        series("message p50", "ms", 1.5, 0.5, &|row| spread(2)(row).p50_ms),
        series("empty p50", "ms", 1.5, 0.5, &|row| spread(3)(row).p50_ms),
        series("CloudEvents p50", "ms", 1.5, 1.0, &|row| {
            row.traffic.posted.p50_ms
        }),
        series("timer late p50", "ms", 1.5, 5.0, &|row| {
            row.traffic.late.p50_ms
        }),
        series("search p50", "ms", 1.5, 5.0, &|row| {
            row.traffic.searched.p50_ms
        }),
    ]
}

fn head() -> &'static str {
    "  min rss-MiB fds thr journal store history cpu  one-task-p50/p99 ten-p50/p99   msg-p50/p99   empty-p50/p99 \
     events-p50/p99 late-p50/p99  search-p50/p99 refused sync load"
}

impl Row {
    fn line(&self) -> String {
        let mut line = format!(
            "{:>5.1} {:>7.1} {:>3} {:>3} {:>7.1} {:>5.1} {:>7.1} {:.2}",
            self.minutes,
            self.usage.memory_mib,
            self.usage.files,
            self.usage.threads,
            self.journal_mib,
            self.store_mib,
            self.history_mib,
            self.cpu_share,
        );
        let spreads = self.loads.iter().map(|report| report.spread).chain([
            self.traffic.posted,
            self.traffic.late,
            self.traffic.searched,
        ]);
        for Spread { p50_ms, p99_ms } in spreads {
            let pair = format!("{p50_ms:.2}/{p99_ms:.1}");
            let _ = write!(line, " {pair:>13}");
        }
        let refused: u64 = self.loads.iter().map(|report| report.refused).sum();
        let sync = self.loads.first().map_or(0.0, |report| report.sync_ms);
        let _ = write!(
            line,
            " {:>7} {sync:.2} {:.1}",
            refused + self.traffic.refused,
            self.machine
        );
        line
    }
}
