//! The run: connect, warm up, measure. What one instance is, is the target's affair.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::Failure;
use crate::cli::Options;
use crate::disk;
use crate::metrics;
use crate::probe;
use crate::process::{self, Usage};
use crate::report::Report;
use crate::tally::Tally;

/// An engine under load.
pub trait Target: Send + Sync + 'static {
    /// Starts an instance, and tells the tally [`Tally::done`] when it has ended, or [`Tally::started`] when the answer
    /// comes and something else sees the end. `number` differs for each instance of a run.
    fn start(
        &self,
        tally: &Tally,
        number: u64,
        planned: Instant,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

struct Driver<T> {
    target: T,
    tally: Arc<Tally>,
    next: AtomicU64,
    in_flight: usize,
    /// Where to stop.
    instances_max: u64,
}

/// What is read before and after the window.
struct Sample {
    server: Option<Usage>,
    client: Option<Usage>,
    counters: Vec<f64>,
    written: Option<u64>,
}

pub(crate) async fn run<T, F>(options: &Options, connect: F) -> Result<Report, Failure>
where
    T: Target,
    F: AsyncFnOnce(&Options, &Arc<Tally>) -> Result<T, Failure>,
{
    let in_flight = if options.rate.is_some() {
        0
    } else {
        options.in_flight
    };
    let tally = Arc::new(Tally::new(in_flight, options.give_up));
    let target = connect(options, &tally).await?;
    let sync = probe::sync_time(&options.disk)?;
    let round_trip = probe::round_trip()?;
    let driver = Arc::new(Driver {
        target,
        tally,
        next: AtomicU64::new(0),
        in_flight: options.in_flight,
        instances_max: options.instances.unwrap_or(u64::MAX),
    });
    let mut starts = tokio::spawn(start_loop(Arc::clone(&driver), options.rate));
    tokio::time::sleep(Duration::from_secs(options.warm_up)).await;

    let before = sample(options)?;
    driver.tally.measuring.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    // Cancel-safe: the loop is a task of its own, and goes on when the time is up first.
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(options.seconds)) => {}
        _ = &mut starts => {}
    }
    driver.tally.measuring.store(false, Ordering::Relaxed);
    let took = begun.elapsed();
    starts.abort();
    let after = sample(options)?;
    let drained = drain(&driver.tally, Duration::from_secs(options.drain)).await;
    Ok(report(
        options,
        &driver.tally,
        (took, drained),
        (before, after),
        (sync, round_trip),
    ))
}

/// Waits until everything that was started has ended, but not for ever; how long that took.
async fn drain(tally: &Tally, patience: Duration) -> Duration {
    let begun = Instant::now();
    while tally.on_the_way() > 0 && begun.elapsed() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// In this order before and after: what takes long comes when nothing more is counted.
fn sample(options: &Options) -> Result<Sample, Failure> {
    Ok(Sample {
        server: options.server_pid.and_then(process::usage),
        client: process::usage(std::process::id()),
        counters: match &options.metrics {
            Some(url) => metrics::read(url, &options.counter)?,
            None => Vec::new(),
        },
        written: if options.disk_writes {
            disk::written(&options.disk)
        } else {
            None
        },
    })
}

fn report(
    options: &Options,
    tally: &Tally,
    (took, drained): (Duration, Duration),
    (before, after): (Sample, Sample),
    (sync, round_trip): (crate::histogram::Histogram, crate::histogram::Histogram),
) -> Report {
    let growth = after.counters.iter().zip(&before.counters);
    let invariant = "invariant: no task panics while it counts";
    Report {
        scenario: options.scenario,
        mode: options.rate.map_or_else(
            || format!("{} in flight", options.in_flight),
            |rate| format!("{rate}/s"),
        ),
        payload: options.payload,
        polling: options.polling,
        took,
        drained,
        latencies: tally.latencies.lock().expect(invariant).clone(),
        refused: tally.refused.load(Ordering::Relaxed),
        turned_away: tally.turned_away.load(Ordering::Relaxed),
        failed: tally.failed.load(Ordering::Relaxed),
        first_failure: tally.first_failure.lock().expect(invariant).take(),
        on_the_way: tally.on_the_way(),
        server: before.server.zip(after.server),
        client: before.client.zip(after.client),
        written: before
            .written
            .zip(after.written)
            .map(|(then, now)| now.saturating_sub(then)),
        counters: options
            .counter
            .iter()
            .cloned()
            .zip(growth.map(|(now, then)| now - then))
            .collect(),
        sync,
        round_trip,
    }
}

/// Starts instances for ever: when there is room, or when it is time.
async fn start_loop<T: Target>(driver: Arc<Driver<T>>, rate: Option<f64>) {
    let mut count = 0_u64;
    let mut ticks = rate.map(ticks);
    while count < driver.instances_max {
        let planned = if let Some(ticks) = &mut ticks {
            match ticks.recv().await {
                Some(planned) => planned,
                None => return,
            }
        } else {
            match driver.tally.room.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return,
            }
            Instant::now()
        };
        count += 1;
        tokio::spawn(start_one(Arc::clone(&driver), planned));
    }
    // All are started; wait for those on the way, which is only known where starts hand out room.
    if rate.is_none() {
        let all = u32::try_from(driver.in_flight).unwrap_or(u32::MAX);
        drop(driver.tally.room.acquire_many(all).await);
    }
}

async fn start_one<T: Target>(driver: Arc<Driver<T>>, planned: Instant) {
    let number = driver.next.fetch_add(1, Ordering::Relaxed);
    if let Err(why) = driver.target.start(&driver.tally, number, planned).await {
        driver.tally.give_up(&why);
    }
}

/// The planned starts, each told when its time has come. By a thread of its own, because the timers of the asynchronous
/// runtime round up to the next millisecond, which would be measured as latency of the server.
fn ticks(rate: f64) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let begun = Instant::now();
        for count in 0_u32.. {
            let planned = begun + Duration::from_secs_f64(f64::from(count) / rate);
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            if sender.send(planned).is_err() {
                return;
            }
        }
    });
    receiver
}
