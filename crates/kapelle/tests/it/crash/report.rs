//! What a campaign exercised. Too little of anything is a failure: a test that did nothing proves nothing.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use super::Plan;
use super::notes::{How, Notes};
use super::powercut::Tally;
use super::receiver::Inbox;
use super::wire::Ending;

/// The lives of the server.
#[derive(Default)]
pub(crate) struct Lives {
    killed: u64,
    /// Of these, how many had done work in the life that ended.
    killed_at_work: u64,
    pub(crate) killed_early: u64,
    /// Checkpoints completed in lives that were killed under load.
    checkpoints: u64,
    /// Other moments of a life that were started from.
    pub(crate) glances: u64,
    stopped: u64,
    killed_while_stopping: u64,
    starts: Vec<Duration>,
}

impl Lives {
    pub(crate) fn begun(&mut self, took: Duration) {
        self.starts.push(took);
    }

    pub(crate) fn killed(&mut self, worked: bool, checkpoints: u64) {
        self.killed += 1;
        self.checkpoints += checkpoints;
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
    /// Whether it happens after the last crash.
    is_late: bool,
}

pub(crate) struct Report {
    head: String,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        lives: &Lives,
        cuts: Option<Tally>,
        notes: &Notes,
        inbox: &Inbox,
    ) -> Self {
        let mut starts = lives.starts.clone();
        starts.sort();
        let head = format!(
            "crash test: seed {}, history {}, power {:?}; ready after {:?} (median), {:?} (longest) in {} starts",
            plan.seed,
            if plan.history { "on" } else { "off" },
            plan.power,
            starts.get(starts.len() / 2),
            starts.last(),
            starts.len(),
        );
        let rounds = u64::from(plan.rounds);
        let mut report = Self {
            head,
            rows: Vec::new(),
        };
        report.lives(rounds, lives);
        if let Some(tally) = cuts {
            report.power(plan, lives, &tally);
        }
        report.instances(rounds, notes);
        // Failed jobs need somebody who resolves incidents, who needs history.
        report.jobs(rounds, if plan.history { rounds } else { 0 }, notes);
        report.messages(rounds, notes);
        report.deliveries(rounds, inbox);
        report
    }

    fn add(&mut self, what: &'static str, count: u64, least: u64) {
        self.rows.push(Row {
            what,
            count,
            least,
            is_late: false,
        });
    }

    fn power(&mut self, plan: &Plan, lives: &Lives, tally: &Tally) {
        let rounds = u64::from(plan.rounds);
        self.add("changes of files traced", tally.changes, rounds * 500);
        self.add("syncs among them", tally.syncs, rounds * 50);
        self.add("losses of power", tally.cuts, rounds / 2);
        self.add(
            "unsynced writes at these moments",
            tally.lost.writes,
            rounds * 5,
        );
        self.add("… lost", tally.lost.lost_writes, rounds);
        self.add("… torn", tally.lost.torn_writes, rounds / 2);
        self.add("unsynced changes of names", tally.lost.names, rounds / 2);
        self.add("… lost", tally.lost.lost_names, rounds / 4);
        self.add(
            "other moments started from",
            lives.glances,
            rounds * u64::from(plan.glances),
        );
    }

    fn lives(&mut self, rounds: u64, lives: &Lives) {
        self.add("kill -9 under load", lives.killed, rounds);
        self.add(
            "… of a server that had worked",
            lives.killed_at_work,
            rounds * 3 / 4,
        );
        self.add("checkpoints in these lives", lives.checkpoints, rounds / 2);
        self.add("kill -9 while starting", lives.killed_early, rounds / 5);
        self.add(
            "orderly stops begun",
            lives.stopped + lives.killed_while_stopping,
            rounds / 6,
        );
        self.add("… and ended by kill -9", lives.killed_while_stopping, 0);
    }

    fn instances(&mut self, rounds: u64, notes: &Notes) {
        self.add(
            "requests acknowledged",
            acknowledged(notes.endings()),
            rounds * 40,
        );
        self.add(
            "requests in doubt",
            count(notes.endings(), Ending::InDoubt),
            rounds,
        );
        for (what, how, least) in [
            ("instances with a task started", How::Task, rounds * 5),
            ("instances that wait started", How::Wait, rounds * 2),
            ("instances with a timer started", How::Timer, rounds),
            ("instances started by a message", How::Message, rounds),
            ("instances started by a CloudEvent", How::Event, rounds * 3),
        ] {
            let starts = notes.starts.values().filter(|start| start.how == how);
            self.add(what, acknowledged(starts.map(|start| start.ending)), least);
        }
        self.add(
            "instances whose end their client waited for",
            notes.results,
            rounds / 4,
        );
        let cancels = notes.cancels.values().flatten().copied();
        self.add("instances cancelled", acknowledged(cancels), rounds / 4);
        let settings = notes.settings.values().flatten().map(|(_, ending)| *ending);
        self.add("variables set", acknowledged(settings), rounds * 2);
    }

    fn jobs(&mut self, rounds: u64, failing: u64, notes: &Notes) {
        let jobs = || notes.jobs.values();
        let completions = jobs().flat_map(|job| job.completions.iter().map(|(_, ending)| *ending));
        self.add("jobs completed", acknowledged(completions), rounds * 5);
        self.add(
            "jobs completed a second time, in vain",
            notes.second_completions,
            rounds / 2,
        );
        let failures = jobs().flat_map(|job| job.failures.iter().map(|(_, ending)| *ending));
        self.add("jobs failed", acknowledged(failures), failing / 2);
        self.add(
            "incidents resolved",
            notes.resolutions.values().sum(),
            failing / 4,
        );
        self.add("workers that vanished", notes.vanished_workers, 1);
    }

    fn messages(&mut self, rounds: u64, notes: &Notes) {
        let payments = || notes.payments.values().flatten();
        let endings = payments().map(|payment| payment.ending);
        self.add("messages for who waits", acknowledged(endings), rounds * 2);
        self.add(
            "… sent at the end",
            payments().filter(|payment| payment.is_last).count() as u64,
            1,
        );
        self.rows.last_mut().expect("one was added").is_late = true;
        self.add("messages recognised as repeats", notes.already_there, 0);
        self.add(
            "CloudEvents recognised as repeats",
            notes.duplicates,
            rounds / 4,
        );
    }

    fn deliveries(&mut self, rounds: u64, inbox: &Inbox) {
        let distinct = inbox.by_id.len() as u64;
        self.add("CloudEvents that left", distinct, rounds * 15);
        self.add("… delivered once more", inbox.deliveries - distinct, 0);
        self.add(
            "… refused by their receiver, to come again",
            inbox.refused,
            rounds / 4,
        );
    }

    /// Past the capture of the test harness, because what was exercised is worth a look when all is well, too.
    pub(crate) fn print(&self) {
        let mut text = format!("{}\n", self.head);
        for Row {
            what, count, least, ..
        } in &self.rows
        {
            writeln!(text, "{count:>8}  {what} (at least {least})").unwrap();
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }

    /// Whether all that crashes must bring about has happened.
    pub(crate) fn is_enough_so_far(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.count >= row.least || row.is_late)
    }

    pub(crate) fn assert_enough(&self) {
        let rows = self.rows.iter().filter(|row| row.count < row.least);
        let few: Vec<&str> = rows.map(|row| row.what).collect();
        assert!(
            few.is_empty(),
            "too little was exercised to prove anything: {few:?}"
        );
    }
}

fn count(endings: impl Iterator<Item = Ending>, wanted: Ending) -> u64 {
    endings.filter(|ending| *ending == wanted).count() as u64
}

fn acknowledged(endings: impl Iterator<Item = Ending>) -> u64 {
    count(endings, Ending::Acknowledged)
}
