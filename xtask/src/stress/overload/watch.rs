//! How a server looks from outside while others put load on it: its memory, and how it answers one client who asks a little.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::server::Server;
use crate::stress::figures::{self, Spread, Times};
use crate::stress::http;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// So many answers in a row as in normal times are a recovery.
const IN_A_ROW: usize = 20;

/// Asks and looks until it is ended.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Seen>>,
}

/// What was seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) peak_mib: f64,
    answers: Vec<Answer>,
}

struct Answer {
    asked: Instant,
    took: Duration,
    accepted: bool,
}

impl Watch {
    pub(super) fn begin(server: &Server) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (rest, pid, until) = (server.rest.clone(), server.pid(), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !until.load(Ordering::Relaxed) {
                seen.answers.push(ask(&rest)?);
                seen.peak_mib = seen.peak_mib.max(figures::usage(pid)?.memory_mib);
                std::thread::sleep(PAUSE);
            }
            Ok(seen)
        });
        Self { over, thread }
    }

    pub(super) fn end(self) -> anyhow::Result<Seen> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the watch panicked")?
    }
}

/// A message that nobody waits for: through the door, the writer and the disk, and gone.
fn ask(rest: &str) -> anyhow::Result<Answer> {
    let asked = Instant::now();
    let body = r#"{"name":"nobody","correlationKey":"waits","timeToLive":0}"#;
    let answer = http::send(
        rest,
        "POST",
        "/v2/messages/publication",
        "application/json",
        body,
    )?;
    let took = asked.elapsed();
    anyhow::ensure!(
        matches!(answer.status, 200 | 503),
        "answered {}: {}",
        answer.status,
        answer.body
    );
    Ok(Answer {
        asked,
        took,
        accepted: answer.status == 200,
    })
}

impl Seen {
    /// Times of the accepted ones.
    pub(super) fn accepted(&self) -> Spread {
        let mut times = Times::default();
        let accepted = self.answers.iter().filter(|answer| answer.accepted);
        accepted.for_each(|answer| times.add(answer.took));
        times.spread()
    }

    /// How long after `end` the answers were as in normal times, and stayed so.
    pub(super) fn recovered(&self, end: Instant, quick_ms: f64) -> Option<Duration> {
        let after: Vec<&Answer> = self
            .answers
            .iter()
            .filter(|answer| answer.asked >= end)
            .collect();
        let is_normal =
            |answer: &&Answer| answer.accepted && answer.took.as_secs_f64() * 1_000.0 <= quick_ms;
        let row = after
            .windows(IN_A_ROW)
            .find(|row| row.iter().all(is_normal))?;
        Some(row[0].asked - end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_recovered_when_twenty_answers_in_a_row_are_as_in_normal_times() {
        let end = Instant::now();
        let answer = |at: u64, took: u64, accepted| Answer {
            asked: end + Duration::from_millis(at),
            took: Duration::from_millis(took),
            accepted,
        };
        let mut seen = Seen::default();
        seen.answers.extend((0..19).map(|n| answer(n, 1, true)));
        assert_eq!(seen.recovered(end, 2.0), None, "too few");
        seen.answers.push(answer(19, 3, true));
        seen.answers.push(answer(20, 1, false));
        seen.answers.extend((30..50).map(|n| answer(n, 2, true)));
        assert_eq!(seen.recovered(end, 2.0), Some(Duration::from_millis(30)));
        assert_eq!(seen.recovered(end, 1.0), None);
    }
}
