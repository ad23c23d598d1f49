//! What a campaign exercised. Too little of anything is a failure: a test that did nothing proves nothing.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use super::notes::{How, Notes};
use super::receiver::Inbox;
use super::wire::Ending;

/// The lives of the server.
#[derive(Default)]
pub(crate) struct Lives {
    killed: u64,
    /// Of these, how many had done work in the life that ended.
    killed_at_work: u64,
    pub(crate) killed_early: u64,
    stopped: u64,
    killed_while_stopping: u64,
    starts: Vec<Duration>,
}

impl Lives {
    pub(crate) fn begun(&mut self, took: Duration) {
        self.starts.push(took);
    }

    pub(crate) fn killed(&mut self, worked: bool) {
        self.killed += 1;
        self.killed_at_work += u64::from(worked);
    }

    pub(crate) fn stopped(&mut self, in_time: bool) {
        if in_time {
            self.stopped += 1;
        } else {
            self.killed_while_stopping += 1;
        }
    }
}

/// One line: what, how much, and what is enough.
struct Row {
    what: &'static str,
    count: u64,
    least: u64,
}

pub(crate) struct Report {
    head: String,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        rounds: u32,
        history: bool,
        lives: &Lives,
        notes: &Notes,
        inbox: &Inbox,
    ) -> Self {
        let mut starts = lives.starts.clone();
        starts.sort();
        let head = format!(
            "crash test: seed {seed}, history {}; ready after {:?} (median), {:?} (longest) in {} starts",
            if history { "on" } else { "off" },
            starts[starts.len() / 2],
            starts[starts.len() - 1],
            starts.len(),
        );
        let rounds = u64::from(rounds);
        let mut rows = vec![
            Row {
                what: "kill -9 under load",
                count: lives.killed,
                least: rounds,
            },
            Row {
                what: "… of a server that had worked",
                count: lives.killed_at_work,
                least: rounds * 3 / 4,
            },
            Row {
                what: "kill -9 while starting",
                count: lives.killed_early,
                least: rounds / 5,
            },
            Row {
                what: "orderly stops",
                count: lives.stopped,
                least: 0,
            },
            Row {
                what: "kill -9 while stopping",
                count: lives.killed_while_stopping,
                least: 0,
            },
        ];
        rows.extend(Self::requests(rounds, history, notes, inbox));
        Self { head, rows }
    }

    fn requests(rounds: u64, history: bool, notes: &Notes, inbox: &Inbox) -> Vec<Row> {
        let number = |count: usize| count as u64;
        let acknowledged = |endings: &mut dyn Iterator<Item = Ending>| {
            number(endings.filter(|e| *e == Ending::Acknowledged).count())
        };
        let started = |how: How| {
            let starts = notes.starts.values().filter(move |start| start.how == how);
            acknowledged(&mut starts.map(|start| start.ending))
        };
        let failures = acknowledged(
            &mut notes
                .jobs
                .values()
                .flat_map(|job| job.failures.iter().map(|(_, ending)| *ending)),
        );
        let completions = acknowledged(
            &mut notes
                .jobs
                .values()
                .flat_map(|job| job.completions.iter().map(|(_, ending)| *ending)),
        );
        // Failed jobs need somebody who resolves incidents, who needs history.
        let with_history = |least: u64| if history { least } else { 0 };
        vec![
            Row {
                what: "requests acknowledged",
                count: acknowledged(&mut notes.endings()),
                least: rounds * 40,
            },
            Row {
                what: "requests in doubt",
                count: number(notes.endings().filter(|e| *e == Ending::InDoubt).count()),
                least: rounds,
            },
            Row {
                what: "instances with a task started",
                count: started(How::Task),
                least: rounds * 5,
            },
            Row {
                what: "… whose caller waited for the result",
                count: notes.results,
                least: rounds / 4,
            },
            Row {
                what: "instances that wait started",
                count: started(How::Wait),
                least: rounds * 2,
            },
            Row {
                what: "instances with a timer started",
                count: started(How::Timer),
                least: rounds,
            },
            Row {
                what: "instances started by a message",
                count: started(How::Message),
                least: rounds,
            },
            Row {
                what: "instances started by a CloudEvent",
                count: started(How::Event),
                least: rounds * 3,
            },
            Row {
                what: "jobs completed",
                count: completions,
                least: rounds * 5,
            },
            Row {
                what: "jobs completed a second time in vain",
                count: notes.second_completions,
                least: rounds / 2,
            },
            Row {
                what: "jobs failed",
                count: failures,
                least: with_history(rounds / 2),
            },
            Row {
                what: "incidents resolved",
                count: notes.resolutions.values().sum(),
                least: with_history(rounds / 4),
            },
            Row {
                what: "workers that vanished",
                count: notes.vanished_workers,
                least: 1,
            },
            Row {
                what: "variables set",
                count: acknowledged(&mut notes.settings.values().flatten().map(|(_, e)| *e)),
                least: rounds * 2,
            },
            Row {
                what: "messages for who waits",
                count: acknowledged(&mut notes.payments.values().flatten().map(|p| p.ending)),
                least: rounds * 2,
            },
            Row {
                what: "… sent at the end",
                count: number(
                    notes
                        .payments
                        .values()
                        .flatten()
                        .filter(|p| p.is_last)
                        .count(),
                ),
                least: 1,
            },
            Row {
                what: "instances cancelled",
                count: acknowledged(&mut notes.cancels.values().flatten().copied()),
                least: rounds / 4,
            },
            Row {
                what: "CloudEvents recognised as repeats",
                count: notes.duplicates,
                least: rounds / 4,
            },
            Row {
                what: "messages recognised as repeats",
                count: notes.already_there,
                least: 0,
            },
            Row {
                what: "CloudEvents that left",
                count: number(inbox.by_id.len()),
                least: rounds * 15,
            },
            Row {
                what: "… delivered more than once",
                count: inbox.deliveries - number(inbox.by_id.len()),
                least: 0,
            },
            Row {
                what: "… refused by their receiver",
                count: inbox.refused,
                least: rounds / 4,
            },
        ]
    }

    /// Past the capture of the test harness, because what was exercised is worth a look when all is well, too.
    pub(crate) fn print(&self) {
        let mut text = format!("{}\n", self.head);
        for Row { what, count, least } in &self.rows {
            writeln!(text, "{count:>8}  {what} (at least {least})").unwrap();
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn assert_enough(&self) {
        let few: Vec<&str> = self
            .rows
            .iter()
            .filter(|row| row.count < row.least)
            .map(|row| row.what)
            .collect();
        assert!(
            few.is_empty(),
            "too little was exercised to prove anything: {few:?}"
        );
    }
}
