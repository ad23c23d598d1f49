//! `kill -9` at random moments while everything runs, and a checker that proves from the clients' own notes that nothing
//! acknowledged was lost or doubled.
//!
//! Clients start instances, work jobs over three kinds of workers, fail them into incidents, resolve, publish messages,
//! send CloudEvents (and repeat them in doubt), set variables, cancel, let timers run. Meanwhile the real binary is killed:
//! under load, while it recovers, and in the middle of an orderly stop. When it has been enough, everything that still
//! waits is let go, and the notes are compared with three witnesses (see `checker`).
//!
//! `KAPELLE_CRASH_ROUNDS` says how often it is killed under load (20), `KAPELLE_CRASH_SEED` repeats the choices of a run;
//! the moments themselves are the machine's.
//!
//! **Limit**: a killed process keeps what it wrote to the page cache. That unsynced writes may vanish is the subject of
//! `kapelle-storage`'s and `kapelle-runtime`'s tests.

mod checker;
mod found;
mod notes;
mod random;
mod receiver;
mod report;
mod search;
mod stories;
mod victim;
mod wire;
mod workers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::checker::Findings;
use self::found::Found;
use self::notes::{How, Notebook, Payment};
use self::random::Random;
use self::receiver::Inbox;
use self::report::Lives;
use self::stories::Lane;
use self::victim::{Addresses, Victim};
use self::wire::{Ending, Line};
use crate::grpc::proto::{DeployResourceRequest, Resource, deployment};
use crate::server::TempDir;

const PROCESSES: &str = include_str!("crash/processes.bpmn");

/// Clients that tell stories at once.
const LANES: usize = 12;

/// How long everything may take to end after the last crash.
const DRAIN_PATIENCE: Duration = Duration::from_secs(90);

/// Nothing here may hang: requests have no time-outs of their own.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing() {
    let rounds = std::env::var("KAPELLE_CRASH_ROUNDS")
        .map_or(20, |text| text.parse().expect("a number of rounds"));
    let campaign = Campaign::new(rounds, true).await;
    tokio::time::timeout(PATIENCE + Duration::from_secs(5) * rounds, campaign.run())
        .await
        .expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing_without_history() {
    let campaign = Campaign::new(5, false).await;
    tokio::time::timeout(PATIENCE, campaign.run())
        .await
        .expect("it ends");
}

struct Campaign {
    rounds: u32,
    history: bool,
    seed: u64,
    random: Random,
    victim: Victim,
    addresses: Addresses,
    notes: Notebook,
    inbox: Arc<Mutex<Inbox>>,
    lives: Lives,
    _dir: TempDir,
}

impl Campaign {
    async fn new(rounds: u32, history: bool) -> Self {
        let seed = std::env::var("KAPELLE_CRASH_SEED").map_or_else(
            |_| {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as u64
            },
            |text| text.parse().expect("a number as seed"),
        );
        let mut random = Random::new(seed);
        let (url, inbox) = receiver::open(random.between(0, u64::MAX)).await;
        let dir = TempDir::new();
        let addresses = Addresses::find(history);
        // A small cache, so that instances are parked and fetched again; a short back-off, so that the end is near.
        let config = format!(
            "[limits]\ninstance-cache = \"16 MiB\"\n[history]\nenabled = {history}\n[outbox]\nbackoff = \"50ms\"\n\
             backoff-limit = \"1s\"\n[sinks.receiver]\nkind = \"webhook\"\nurl = \"{url}\"\n"
        );
        let victim = Victim::new(dir.path(), addresses.clone(), &config);
        let (notes, lives) = (Notebook::default(), Lives::default());
        Self {
            rounds,
            history,
            seed,
            random,
            victim,
            addresses,
            notes,
            inbox,
            lives,
            _dir: dir,
        }
    }

    async fn run(mut self) {
        self.lives.begun(self.victim.begin_and_wait().await);
        assert_eq!(deploy(&self.addresses).await, [1; 5]);
        let loading = Arc::new(AtomicBool::new(true));
        let mut clients = workers::hire(&self.addresses, &self.notes, &mut self.random);
        if self.history {
            clients.push(tokio::spawn(workers::resolve(
                self.addresses.clone(),
                self.notes.clone(),
            )));
        }
        let lanes: Vec<_> = (0..LANES)
            .map(|number| {
                let name = format!("lane{number}");
                let lane = Lane::new(
                    name,
                    &self.addresses,
                    self.notes.clone(),
                    self.random.fork(),
                    self.history,
                );
                tokio::spawn(lane.run(Arc::clone(&loading)))
            })
            .collect();
        for round in 0..self.rounds {
            self.crash(round).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        loading.store(false, Ordering::Relaxed);
        for lane in lanes {
            lane.await.expect("clients meet no broken answers");
        }
        let mut findings = self.drain().await;
        if let Some(broken) = clients
            .iter()
            .position(tokio::task::JoinHandle::is_finished)
        {
            findings.push(format!("worker {broken} met a broken answer"));
        }
        clients.iter().for_each(tokio::task::JoinHandle::abort);
        findings.extend(self.check().await);
        self.tell(&findings);
    }

    /// One crash under load, and what comes after it: mostly a life, at times a death during recovery or an orderly stop.
    async fn crash(&mut self, round: u32) {
        let before = self.notes.open().starts.len();
        tokio::time::sleep(Duration::from_millis(self.random.between(150, 1_100))).await;
        let worked = self.notes.open().starts.len() > before;
        self.victim.kill();
        self.lives.killed(worked);
        if round % 3 == 1 {
            // Killed again on its way back, at a moment between its first instruction and about the end of its recovery.
            self.victim.begin();
            tokio::time::sleep(Duration::from_millis(self.random.below(120))).await;
            self.victim.kill();
            self.lives.killed_early += 1;
        }
        self.lives.begun(self.victim.begin_and_wait().await);
        if round % 5 == 2 {
            tokio::time::sleep(Duration::from_millis(self.random.between(50, 300))).await;
            // A stop writes a checkpoint; half of them are cut off in the middle of it.
            let patience = if self.random.percent(50) {
                self.random.below(60)
            } else {
                30_000
            };
            let stopped = self.victim.stop(Duration::from_millis(patience)).await;
            self.lives.stopped(stopped);
            self.lives.begun(self.victim.begin_and_wait().await);
        }
    }

    /// Lets go whoever waits, and waits until all have ended.
    async fn drain(&mut self) -> Findings {
        self.pay_the_rest().await;
        let deadline = Instant::now() + DRAIN_PATIENCE;
        loop {
            let active = match self.history {
                true => {
                    search::all(
                        &self.addresses,
                        "process-instances",
                        r#"{"state":"ACTIVE"}"#,
                    )
                    .await
                }
                false => Vec::new(),
            };
            let missing: Vec<String> = {
                let (notes, inbox) = (self.notes.open(), self.inbox.lock().unwrap());
                checker::missing(&notes, &inbox.of())
                    .iter()
                    .map(|(id, start)| format!("{id} {start:?}"))
                    .collect()
            };
            if active.is_empty() && missing.is_empty() {
                // What is in doubt may have a job or a delivery of its own on the way.
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Findings::new();
            }
            if Instant::now() > deadline {
                let mut findings: Findings = missing
                    .iter()
                    .map(|who| format!("stuck: no end was told of {who}"))
                    .collect();
                findings.extend(active.iter().map(|item| format!("stuck: {item:?}")));
                return findings;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Publishes for everybody of whom no end was told. Who was paid before ignores it.
    async fn pay_the_rest(&self) {
        let waiting: Vec<String> = {
            let (notes, inbox) = (self.notes.open(), self.inbox.lock().unwrap());
            let told = inbox.of();
            let waits = notes
                .starts
                .iter()
                .filter(|(_, start)| start.how == How::Wait);
            waits
                .map(|(id, _)| id.clone())
                .filter(|id| !told.contains_key(id.as_str()) && !checker::is_cancelled(&notes, id))
                .collect()
        };
        let mut line = Line::new(&self.addresses);
        for id in waiting {
            let token = format!("{id}-last");
            let ending = loop {
                let mut client = line.client().await;
                let result = client.publish_message(stories::payment(&id, &token)).await;
                match wire::ending(&line.ended(result)) {
                    Ending::Refused(wire::Reason::Exhausted) => {}
                    ending => break ending,
                }
            };
            let mut notes = self.notes.open();
            notes.expect(&format!("the last payment of {id}"), ending, &[]);
            notes.payments.entry(id).or_default().push(Payment {
                token,
                ending,
                is_last: true,
            });
        }
    }

    async fn check(&mut self) -> Findings {
        let mut findings = {
            let (notes, inbox) = (self.notes.open(), self.inbox.lock().unwrap());
            let mut findings = notes.surprises.clone();
            findings.extend(checker::check_jobs(&notes));
            findings.extend(checker::check_ends(&notes, &inbox));
            findings
        };
        if deploy(&self.addresses).await != [1; 5] {
            findings.push("the same processes deployed again became a second version".to_owned());
        }
        if self.history {
            findings.extend(self.check_history().await);
        }
        let (instances, jobs): (Vec<i64>, Vec<i64>) = {
            let notes = self.notes.open();
            (
                notes
                    .starts
                    .values()
                    .filter_map(|start| start.key)
                    .collect(),
                notes.jobs.keys().copied().collect(),
            )
        };
        findings.extend(checker::ask_engine(&self.addresses, instances, jobs).await);
        findings
    }

    /// History agrees with the notes, and with itself after an orderly stop.
    async fn check_history(&mut self) -> Findings {
        let found = Found::all(&self.addresses).await;
        let mut findings =
            checker::check_found(&self.notes.open(), &self.inbox.lock().unwrap(), &found);
        self.victim.stop(Duration::from_secs(30)).await;
        self.victim.begin_and_wait().await;
        if Found::all(&self.addresses).await != found {
            findings.push("history is another one after a stop and a start".to_owned());
        }
        findings
    }

    fn tell(&self, findings: &Findings) {
        let (notes, inbox) = (self.notes.open(), self.inbox.lock().unwrap());
        let report = report::Report::new(
            self.seed,
            self.rounds,
            self.history,
            &self.lives,
            &notes,
            &inbox,
        );
        report.print();
        // From all over the list: findings of one kind stand together.
        let shown = findings
            .iter()
            .step_by(findings.len().div_ceil(30).max(1))
            .map(|finding| format!("  {finding}\n"))
            .collect::<String>();
        assert!(
            findings.is_empty(),
            "{} findings with seed {}:\n{shown}the server said:\n{}",
            findings.len(),
            self.seed,
            self.victim.log_tail()
        );
        report.assert_enough();
    }
}

/// Deploys all processes; their versions.
async fn deploy(addresses: &Addresses) -> Vec<i32> {
    let resource = Resource {
        name: "crash.bpmn".to_owned(),
        content: PROCESSES.as_bytes().to_vec().into(),
    };
    let request = DeployResourceRequest {
        resources: vec![resource],
        tenant_id: String::new(),
    };
    let mut client = Line::new(addresses).client().await;
    let deployed = client
        .deploy_resource(request)
        .await
        .expect("the processes are deployed")
        .into_inner();
    let versions = deployed
        .deployments
        .iter()
        .map(|deployment| match &deployment.metadata {
            Some(deployment::Metadata::Process(process)) => process.version,
            other => panic!("no process: {other:?}"),
        });
    versions.collect()
}
