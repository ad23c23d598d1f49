//! The run: connect, deploy, open workers, warm up, measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::Failure;
use crate::cli::{Options, Scenario};
use crate::gateway::gateway_client::GatewayClient;
use crate::gateway::{
    CreateProcessInstanceRequest, CreateProcessInstanceWithResultRequest, DeployResourceRequest,
    PublishMessageRequest, Resource,
};
use crate::models;
use crate::probe;
use crate::process;
use crate::report::Report;
use crate::tally::Tally;
use crate::worker;

/// What every start needs.
struct Driver {
    scenario: Scenario,
    payload: usize,
    in_flight: usize,
    clients: Vec<GatewayClient<Channel>>,
    tally: Arc<Tally>,
    next: AtomicU64,
    /// Where to stop.
    instances_max: u64,
    /// Makes message keys of this run differ from those of the last.
    run: String,
}

pub(crate) async fn run(options: &Options) -> Result<Report, Failure> {
    let sync = probe::sync_time(&options.disk)?;
    let round_trip = probe::round_trip()?;
    let mut clients = Vec::new();
    for _ in 0..options.connections.max(1) {
        let endpoint = Endpoint::from_shared(options.address.clone())?.tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|e| {
            format!(
                "no gateway at {}: {e}; start one or give --address",
                options.address
            )
        })?;
        clients.push(GatewayClient::new(channel));
    }
    deploy(&mut clients[0], options.scenario).await?;
    let tally = Arc::new(Tally::new(if options.rate.is_some() {
        0
    } else {
        options.in_flight
    }));
    if options.scenario.has_jobs() {
        for client in &clients {
            worker::open(client, options, &tally);
        }
    }
    let run = format!(
        "{}-{}",
        std::process::id(),
        Instant::now().elapsed().as_nanos()
    );
    let driver = Arc::new(Driver {
        scenario: options.scenario,
        payload: options.payload,
        in_flight: options.in_flight,
        clients,
        tally,
        next: AtomicU64::new(0),
        instances_max: options.instances.unwrap_or(u64::MAX),
        run,
    });
    let loop_ = tokio::spawn(start_loop(Arc::clone(&driver), options.rate));
    tokio::time::sleep(Duration::from_secs(options.warm_up)).await;

    let usage = || {
        (
            options.server_pid.and_then(process::usage),
            process::usage(std::process::id()),
        )
    };
    let before = usage();
    driver.tally.measuring.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    // Cancel-safe: the loop is a task of its own, and goes on when the time is up first.
    let mut loop_ = loop_;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(options.seconds)) => {}
        _ = &mut loop_ => {}
    }
    driver.tally.measuring.store(false, Ordering::Relaxed);
    let took = begun.elapsed();
    let after = usage();
    loop_.abort();

    let first_failure = driver
        .tally
        .first_failure
        .lock()
        .expect("no task panics while it counts")
        .take();
    Ok(Report {
        scenario: options.scenario,
        mode: options.rate.map_or_else(
            || format!("{} in flight", options.in_flight),
            |rate| format!("{rate}/s"),
        ),
        payload: options.payload,
        polling: options.polling,
        took,
        latencies: driver
            .tally
            .latencies
            .lock()
            .expect("no task panics while it counts")
            .clone(),
        refused: driver.tally.refused.load(Ordering::Relaxed),
        failed: driver.tally.failed.load(Ordering::Relaxed),
        first_failure,
        on_the_way: driver.tally.on_the_way(),
        server: before.0.zip(after.0),
        client: before.1.zip(after.1),
        sync,
        round_trip,
    })
}

async fn deploy(client: &mut GatewayClient<Channel>, scenario: Scenario) -> Result<(), Failure> {
    let name = format!("{}.bpmn", scenario.process_id());
    let resources = vec![Resource {
        name,
        content: models::bpmn(scenario).into_bytes(),
    }];
    client
        .deploy_resource(DeployResourceRequest {
            resources,
            ..DeployResourceRequest::default()
        })
        .await?;
    Ok(())
}

/// Starts instances for ever: when there is room, or when it is time.
async fn start_loop(driver: Arc<Driver>, rate: Option<f64>) {
    let mut count = 0_u32;
    let mut ticks = rate.map(ticks);
    while u64::from(count) < driver.instances_max {
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
        count = count.wrapping_add(1);
        tokio::spawn(start_one(Arc::clone(&driver), planned));
    }
    // All are started; wait for those on the way, which is only known where starts hand out room.
    if rate.is_none() {
        let all = u32::try_from(driver.in_flight).unwrap_or(u32::MAX);
        drop(driver.tally.room.acquire_many(all).await);
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

async fn start_one(driver: Arc<Driver>, planned: Instant) {
    let number = driver.next.fetch_add(1, Ordering::Relaxed);
    let client =
        driver.clients[usize::try_from(number).unwrap_or(0) % driver.clients.len()].clone();
    loop {
        match attempt(&driver, client.clone(), number, planned).await {
            Ok(()) => return,
            Err(status) if status.code() == Code::ResourceExhausted => {
                driver.tally.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(status) => return driver.tally.give_up(&status),
        }
    }
}

async fn attempt(
    driver: &Driver,
    mut client: GatewayClient<Channel>,
    number: u64,
    planned: Instant,
) -> Result<(), Status> {
    let key = format!("{}-{number}", driver.run);
    let request = CreateProcessInstanceRequest {
        bpmn_process_id: driver.scenario.process_id().to_owned(),
        version: -1,
        variables: models::variables(&key, driver.payload),
        ..CreateProcessInstanceRequest::default()
    };
    if driver.scenario == Scenario::EmptyWithResult {
        let request = CreateProcessInstanceWithResultRequest {
            request: Some(request),
            request_timeout: 10_000,
            ..Default::default()
        };
        client.create_process_instance_with_result(request).await?;
        driver.tally.done(planned, Instant::now());
        return Ok(());
    }
    let instance = client
        .create_process_instance(request)
        .await?
        .into_inner()
        .process_instance_key;
    if driver.scenario == Scenario::MessageWait {
        let publish = PublishMessageRequest {
            name: models::MESSAGE.to_owned(),
            correlation_key: key,
            time_to_live: 60_000,
            ..PublishMessageRequest::default()
        };
        // Refused here means the whole attempt starts anew, and the instance of this one waits for ever: say so by trying on.
        while let Err(status) = client.publish_message(publish.clone()).await {
            if status.code() != Code::ResourceExhausted {
                return Err(status);
            }
            driver.tally.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        driver.tally.done(planned, Instant::now());
        return Ok(());
    }
    if driver.scenario == Scenario::LeaveWaiting {
        driver.tally.done(planned, Instant::now());
    } else {
        driver.tally.started(instance, planned);
    }
    Ok(())
}
