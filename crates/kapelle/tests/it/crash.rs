//! `kill -9` at random moments while everything runs, and a checker that proves from the clients' own notes that nothing
//! acknowledged was lost or doubled.
//!
//! Clients start instances, work jobs over three kinds of workers, fail them into incidents, resolve, publish messages,
//! send CloudEvents (and repeat them in doubt), set variables, cancel, let timers run. Meanwhile the real binary is killed:
//! under load, while it recovers, and in the middle of an orderly stop. When it has been enough, everything that still
//! waits is let go, and the notes are compared with three witnesses (see `checker`).
//!
//! In campaigns with loss of power the disk is cut off too, at the moment of a death: what was not synced may be gone or
//! torn, on all files that the server writes (see `powercut`). One campaign runs on a disk that lies about its syncs, and
//! must find that out: else the others prove nothing.
//!
//! `KAPELLE_CRASH_ROUNDS` says how often it is killed under load (20), `KAPELLE_POWER_ROUNDS` how often power goes (10),
//! `KAPELLE_CRASH_GLANCES` how many other moments of each life are tried (1), `KAPELLE_CRASH_SEED` repeats the choices of a
//! run; the moments themselves are the machine's. `KAPELLE_TEST_BINARY` names another binary than the one just built.

mod checker;
mod found;
mod notes;
pub(crate) mod powercut;
pub(crate) mod random;
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

use tokio::task::JoinHandle;

use self::checker::Findings;
use self::found::Found;
use self::notes::{How, Notebook, Payment};
use self::powercut::disk::Manner;
use self::powercut::{Knob, Platter};
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

/// The same on a disk that lies, where whatever is stuck is enough to know.
const DRAIN_PATIENCE_WITH_LIES: Duration = Duration::from_secs(10);

/// Nothing here may hang: requests have no time-outs of their own.
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_A_ROUND: Duration = Duration::from_secs(20);

/// How long a life is given to do any work at all, on a busy machine.
const WORK_PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing() {
    let rounds = of_environment("KAPELLE_CRASH_ROUNDS", 20);
    Plan::new(rounds, true, Power::Stays).prove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing_without_history() {
    Plan::new(5, false, Power::Stays).prove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_of_power_loses_and_doubles_nothing() {
    let rounds = of_environment("KAPELLE_POWER_ROUNDS", 10);
    Plan::new(rounds, true, Power::Goes).prove().await;
}

/// From the first life on, where folders and files are new and nothing but what was promised is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_fresh_server_acknowledged_survives_on_the_strictest_disk() {
    let dir = TempDir::new();
    let platter = Platter::new(dir.path());
    let addresses = Addresses::find();
    let mut victim = Victim::new(dir.path(), addresses.clone(), "", Some(platter));
    let mut random = Random::new(1);
    for life in 0..4 {
        victim.begin_and_wait().await.unwrap();
        // The first life deploys, and every other one must know it: the same again is no new version.
        assert_eq!(deploy(&addresses).await, [1; 5], "in life {life}");
        let mut client = Line::new(&addresses).client().await;
        let variables = format!(r#"{{"id":"{life}"}}"#);
        let created = client.create_process_instance(crate::grpc::create("crash-wait", &variables));
        let version = created.await.expect("it is known").into_inner().version;
        assert_eq!(version, 1);
        victim.kill();
        victim.power_cut(Manner::Promised, &mut random);
    }
    let found = search_waiting(&mut victim, &addresses).await;
    assert_eq!(found, 4, "instances that were acknowledged");
}

async fn search_waiting(victim: &mut Victim, addresses: &Addresses) -> usize {
    victim.begin_and_wait().await.unwrap();
    let active = r#"{"state":"ACTIVE"}"#;
    search::all(addresses, "process-instances", active)
        .await
        .len()
}

/// The test of the test: what was answered before it was safe, is lost, and that is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_about_its_syncs_is_found_out() {
    // A server that refuses to go on with such a disk has found it out too, and ends the run.
    let run = tokio::spawn(async { Plan::new(4, true, Power::GoesWithLies).carry_out().await });
    let is_found = run
        .await
        .map_or(true, |outcome| !outcome.findings.is_empty());
    assert!(
        is_found,
        "nothing was missed although nothing was ever synced"
    );
}

fn of_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

/// What happens to the disk when the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    Stays,
    Goes,
    /// … and the disk has never synced anything.
    GoesWithLies,
}

#[derive(Clone, Copy)]
struct Plan {
    rounds: u32,
    history: bool,
    power: Power,
    /// Other moments of each life that are started from.
    glances: u32,
    seed: u64,
}

/// What a campaign came to.
struct Outcome {
    findings: Findings,
    report: report::Report,
    log: String,
    seed: u64,
}

impl Plan {
    fn new(rounds: u32, history: bool, power: Power) -> Self {
        let now = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        };
        let seed = std::env::var("KAPELLE_CRASH_SEED")
            .map_or_else(|_| now(), |text| text.parse().expect("a number as seed"));
        Self {
            rounds,
            history,
            power,
            glances: of_environment("KAPELLE_CRASH_GLANCES", 1),
            seed,
        }
    }

    async fn carry_out(self) -> Outcome {
        let campaign = Campaign::new(self).await;
        tokio::time::timeout(PATIENCE + PATIENCE_A_ROUND * self.rounds, campaign.run())
            .await
            .expect("it ends")
    }

    async fn prove(self) {
        let Outcome {
            findings,
            report,
            log,
            seed,
        } = self.carry_out().await;
        report.print();
        // From all over the list: findings of one kind stand together.
        let shown = findings
            .iter()
            .step_by(findings.len().div_ceil(30).max(1))
            .map(|finding| format!("  {finding}\n"))
            .collect::<String>();
        assert!(
            findings.is_empty(),
            "{} findings with seed {seed}:\n{shown}the server said:\n{log}",
            findings.len(),
        );
        report.assert_enough();
    }
}

struct Campaign {
    plan: Plan,
    random: Random,
    victim: Victim,
    addresses: Addresses,
    notes: Notebook,
    inbox: Arc<Mutex<Inbox>>,
    lives: Lives,
    clients: Vec<JoinHandle<()>>,
    lanes: Vec<JoinHandle<()>>,
    _dir: TempDir,
}

impl Campaign {
    async fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let (url, inbox) = receiver::open(random.between(0, u64::MAX)).await;
        let dir = TempDir::new();
        let addresses = Addresses::find();
        // A small cache, so that instances are parked and fetched again; checkpoints and copies of the store all the time,
        // so that deaths meet them; a short back-off, so that the end is near.
        let config = format!(
            "[limits]\ninstance-cache = \"16 MiB\"\n[data]\nreplay-records = 2000\ncopy-interval = \"1 MiB\"\n\
             segment-size = \"32 MiB\"\n[history]\nenabled = {}\n[outbox]\nbackoff = \"50ms\"\n\
             backoff-limit = \"1s\"\n[sinks.receiver]\nkind = \"webhook\"\nurl = \"{url}\"\n",
            plan.history
        );
        let platter = (plan.power != Power::Stays).then(|| Platter::new(dir.path()));
        if let (Some(platter), Power::GoesWithLies) = (&platter, plan.power) {
            platter.lie();
        }
        let victim = Victim::new(dir.path(), addresses.clone(), &config, platter);
        Self {
            plan,
            random,
            victim,
            addresses,
            notes: Notebook::default(),
            inbox,
            lives: Lives::default(),
            clients: Vec::new(),
            lanes: Vec::new(),
            _dir: dir,
        }
    }

    async fn run(mut self) -> Outcome {
        let findings = match self.live().await {
            Ok(findings) => findings,
            Err(finding) => vec![finding],
        };
        let clients = self.clients.iter().chain(&self.lanes);
        clients.for_each(JoinHandle::abort);
        Outcome {
            findings,
            report: self.report(),
            log: self.victim.log_tail(),
            seed: self.plan.seed,
        }
    }

    fn report(&self) -> report::Report {
        let (notes, inbox) = (self.notes.open(), self.inbox.lock().unwrap());
        let cuts = self.victim.platter().map(|platter| platter.tally);
        report::Report::new(&self.plan, &self.lives, cuts, &notes, &inbox)
    }

    /// The error is why nothing more could be done.
    async fn live(&mut self) -> Result<Findings, String> {
        let took = self.victim.begin_and_wait().await?;
        self.lives.begun(took);
        assert_eq!(deploy(&self.addresses).await, [1; 5]);
        let loading = Arc::new(AtomicBool::new(true));
        self.hire(&loading);
        let mut round = 0;
        // On a busy machine lives do less; the work to be done stays the same.
        while round < self.plan.rounds
            || (round < self.plan.rounds * 3 + 10 && !self.report().is_enough_so_far())
        {
            self.crash(round).await?;
            round += 1;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        loading.store(false, Ordering::Relaxed);
        let mut findings = Findings::new();
        for lane in std::mem::take(&mut self.lanes) {
            if let Err(error) = lane.await {
                findings.push(format!("a client met a broken answer: {error}"));
            }
        }
        findings.extend(self.drain().await);
        let broken = self.clients.iter().position(JoinHandle::is_finished);
        findings.extend(broken.map(|number| format!("worker {number} met a broken answer")));
        self.clients.iter().for_each(JoinHandle::abort);
        findings.extend(self.check().await?);
        Ok(findings)
    }

    fn hire(&mut self, loading: &Arc<AtomicBool>) {
        let history = self.plan.history;
        self.clients = workers::hire(&self.addresses, &self.notes, &mut self.random);
        if history {
            self.clients.push(tokio::spawn(workers::resolve(
                self.addresses.clone(),
                self.notes.clone(),
            )));
        }
        let random = &mut self.random;
        let lanes = (0..LANES).map(|number| {
            let name = format!("lane{number}");
            let notes = self.notes.clone();
            let lane = Lane::new(name, &self.addresses, notes, random.fork(), history);
            tokio::spawn(lane.run(Arc::clone(loading)))
        });
        self.lanes = lanes.collect();
    }

    /// One crash under load, and what comes after it: mostly a life, at times a death during recovery or an orderly stop.
    async fn crash(&mut self, round: u32) -> Result<(), String> {
        let before = self.notes.open().starts.len();
        let pause = Duration::from_millis(self.random.between(150, 1_100));
        tokio::time::sleep(pause).await;
        let until = Instant::now() + WORK_PATIENCE;
        while self.notes.open().starts.len() == before && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let worked = self.notes.open().starts.len() > before;
        let checkpoints = self.victim.counted("kapelle_checkpoints_total");
        self.meet_a_sync().await;
        self.victim.kill();
        self.lives.killed(worked, checkpoints);
        self.lose_power(70)?;
        if round % 3 == 1 {
            // Killed again on its way back, at a moment between its first instruction and about the end of its recovery.
            self.victim.begin();
            tokio::time::sleep(Duration::from_millis(self.random.below(120))).await;
            self.victim.kill();
            self.lives.killed_early += 1;
            self.lose_power(50)?;
        }
        let took = self.victim.begin_and_wait().await?;
        self.lives.begun(took);
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
            self.lose_power(50)?;
            let took = self.victim.begin_and_wait().await?;
            self.lives.begun(took);
        }
        Ok(())
    }

    /// Where the power may go, the death that comes next is to find something written and not yet synced.
    async fn meet_a_sync(&self) {
        let Some(platter) = self.victim.platter() else {
            return;
        };
        platter.control.set(Knob::SyncDelay, 100_000_000);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }

    /// At times the power goes with a death. Before, other moments of the life that ended are looked at.
    fn lose_power(&mut self, percent: u64) -> Result<(), String> {
        if self.plan.power == Power::Stays {
            return Ok(());
        }
        if self.plan.power == Power::Goes {
            for _ in 0..self.plan.glances {
                self.victim.glance(&mut self.random)?;
                self.lives.glances += 1;
            }
        }
        if self.random.percent(percent) {
            let manner = Manner::any(&mut self.random);
            self.victim.power_cut(manner, &mut self.random);
        }
        Ok(())
    }

    /// Lets go whoever waits, and waits until all have ended.
    async fn drain(&mut self) -> Findings {
        self.pay_the_rest().await;
        let patience = match self.plan.power {
            Power::GoesWithLies => DRAIN_PATIENCE_WITH_LIES,
            Power::Stays | Power::Goes => DRAIN_PATIENCE,
        };
        let deadline = Instant::now() + patience;
        loop {
            let active = match self.plan.history {
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

    async fn check(&mut self) -> Result<Findings, String> {
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
        if self.plan.history {
            findings.extend(self.check_history().await?);
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
        Ok(findings)
    }

    /// History agrees with the notes, and with itself after an orderly stop.
    async fn check_history(&mut self) -> Result<Findings, String> {
        let found = Found::all(&self.addresses).await;
        let mut findings =
            checker::check_found(&self.notes.open(), &self.inbox.lock().unwrap(), &found);
        self.victim.stop(Duration::from_secs(30)).await;
        self.victim.begin_and_wait().await?;
        if Found::all(&self.addresses).await != found {
            findings.push("history is another one after a stop and a start".to_owned());
        }
        Ok(findings)
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
