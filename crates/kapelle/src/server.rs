//! One running server: storage, partition, listeners, sources and deliveries, from start to orderly end.
//!
//! Order of a start: refuse unsafe addresses, bind all ports, open the data directory, recover, serve. So what is wrong
//! with the surroundings is told before any data is touched. Order of an end: no new connections and no new work, let
//! requests finish, stop sources and deliveries, write a checkpoint.
//!
//! **Invariant**: prints nothing; who runs it is told by `ready` and by the result. `kapelle serve` and `kapelle demo`
//! run exactly this.

mod bind;
mod cluster_id;
mod connections;
mod error;
mod machine;
mod outlet;
mod partition;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use kapelle_connectors::CancellationToken;
use kapelle_runtime::{Health, PartitionHandle};
use tokio::sync::{mpsc, watch};

use crate::backbone::Backbone;
use crate::config::{self, Config};
use crate::delivery::{Delivery, Sinks};
use crate::gateway::{Cluster, Gateway, grpc, rest};
use crate::history::{self, History};
use crate::ingest::control::Control;
use crate::ingest::{self, Ingest};
use crate::management::{self, Phase};
use crate::telemetry::metrics::Edge;
use partition::Opened;

pub(crate) use error::ServeError;

/// How often what goes through sources and sinks is noted.
const SAMPLE: Duration = Duration::from_secs(1);

/// How often it is looked whether the partition still decides.
const WATCH: Duration = Duration::from_millis(250);

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) management: SocketAddr,
}

/// The threads that serve the network. Few, because the partition has threads of its own and the work is small.
///
/// # Errors
/// If the system gives no threads.
pub(crate) fn network_threads(config: &config::Server) -> std::io::Result<tokio::runtime::Runtime> {
    const THREADS_MAX: usize = 4;
    let threads = match usize::try_from(config.network_threads) {
        Ok(0) | Err(_) => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(THREADS_MAX),
        Ok(threads) => threads,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("network")
        .enable_all()
        .build()
}

/// Serves until `shutdown` resolves, or until the partition stops by itself.
///
/// # Errors
/// Why the server did not start, or stopped unasked.
pub(crate) async fn run(
    config: Config,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Bound),
) -> Result<(), ServeError> {
    // Asked once before anything else, so that it listens for signals from now on and none is lost on the way.
    let mut shutdown = pin!(shutdown);
    if poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await {
        return Ok(());
    }
    let connections_max = machine::prepare();
    let listeners = bind::all(&config.server).await?;
    let bound = listeners.bound()?;
    let edge = Arc::new(Edge::default());
    let (phase, phases) = watch::channel(Phase::Starting);
    let (stop, stopping) = watch::channel(false);
    // Every connection holds a clone; when all are gone the channel closes.
    let (alive, drained) = mpsc::channel::<()>(1);
    let management = management::State::new(phases, Arc::clone(&edge));
    tokio::spawn(connections::serve_http(
        listeners.management,
        management::router(management.clone()),
        connections_max,
        stopping.clone(),
        alive.clone(),
    ));

    let cancel = CancellationToken::new();
    let mut working =
        Working::start(&config, &bound, &management, &edge, &stopping, &cancel).await?;
    tokio::spawn(connections::serve_http(
        listeners.rest,
        std::mem::take(&mut working.routes),
        connections_max,
        stopping.clone(),
        alive.clone(),
    ));
    tokio::spawn(connections::serve_grpc(
        listeners.grpc,
        grpc::service(Arc::clone(&working.gateway)),
        working.gateway.message_bytes_max(),
        connections_max,
        stopping.clone(),
        alive,
    ));
    phase.send_replace(Phase::Ready);
    ready(&bound);

    let ended = tokio::select! {
        () = &mut shutdown => Ok(()),
        reason = partition_stops(&working.opened.handle) => Err(ServeError::PartitionStopped { reason }),
    };
    phase.send_replace(Phase::Stopping);
    stop.send_replace(true);
    cancel.cancel();
    working.end(config.server.shutdown_timeout.0, drained).await;
    ended
}

/// What works behind the listeners.
struct Working {
    opened: Opened,
    gateway: Arc<Gateway>,
    routes: Router,
    sources: Pin<Box<dyn Future<Output = ()> + Send>>,
    delivery: Delivery,
}

impl Working {
    /// Opens the partition and starts everything around it; sources last, when nothing can go wrong any more.
    async fn start(
        config: &Config,
        bound: &Bound,
        management: &management::State,
        edge: &Arc<Edge>,
        stopping: &watch::Receiver<bool>,
        cancel: &CancellationToken,
    ) -> Result<Self, ServeError> {
        let (outlet, outbox) = outlet::new();
        let opened = partition::open(config, outlet.sink()).await?;
        let partition = opened.handle.clone();
        management.attach(partition.clone());
        let cluster = Cluster {
            id: opened.cluster_id.clone(),
            host: bound.grpc.ip().to_string(),
            port: bound.grpc.port(),
        };
        let message_bytes_max = usize::try_from(config.limits.message_size.0).unwrap_or(usize::MAX);
        let gateway = Gateway::new(
            partition.clone(),
            cluster,
            message_bytes_max,
            stopping.clone(),
        );
        outlet.connect(&gateway);
        let sinks = Arc::new(Sinks::new(config, edge));
        let backbone = Backbone::start(config, partition.clone(), Arc::clone(&sinks))?;
        let searches = if config.history.enabled {
            let history =
                History::start(&config.data.dir, partition.clone(), history_options(config))?;
            management.attach_history(Arc::clone(&history));
            rest::search::router(Arc::clone(&gateway), history, Some(Arc::clone(&backbone)))
        } else {
            rest::search::switched_off()
        };
        let control = Arc::new(control(config, edge)?);
        let connectors = rest::connectors::router(
            config,
            Arc::clone(&control),
            Arc::clone(&sinks),
            Arc::clone(edge),
        );
        // Before anything goes through a connector, or the first of it would be in no rate.
        edge.sample_rates(Instant::now());
        tokio::spawn(sample_rates(Arc::clone(edge), cancel.clone()));
        let intake = Arc::new(Ingest::new(Arc::clone(&gateway), config, Arc::clone(edge)));
        let others = searches
            .merge(ingest::http::router(Arc::clone(&intake)))
            .merge(rest::subscribers::router(Arc::clone(&gateway), backbone))
            .merge(connectors);
        Ok(Self {
            routes: rest::router(Arc::clone(&gateway), others),
            delivery: Delivery::start(
                &config.outbox,
                partition,
                sinks,
                outbox,
                edge,
                cancel.clone(),
            ),
            sources: Box::pin(ingest::sources::start(
                config, &intake, edge, &control, cancel,
            )),
            opened,
            gateway,
        })
    }

    /// Waits for what is under way, then closes the partition. `drained` closes with the last connection.
    async fn end(self, patience: Duration, mut drained: mpsc::Receiver<()>) {
        // Cancel-safe: only waits. What is not done by then is cut off, which clients must be able to live with anyway.
        tokio::time::timeout(patience, async {
            self.sources.await;
            self.delivery.ended().await;
            drained.recv().await;
        })
        .await
        .ok();
        self.opened.close().await;
    }
}

fn control(config: &Config, edge: &Arc<Edge>) -> Result<Control, ServeError> {
    Control::open(config, edge).map_err(|source| ServeError::PausedSources {
        path: Control::path(config),
        source,
    })
}

async fn sample_rates(edge: Arc<Edge>, cancel: CancellationToken) {
    let mut every = tokio::time::interval_at((Instant::now() + SAMPLE).into(), SAMPLE);
    // Cancel-safe: a token and a timer.
    while tokio::select! {
        () = cancel.cancelled() => false,
        _ = every.tick() => true,
    } {
        edge.sample_rates(Instant::now());
    }
}

fn history_options(config: &Config) -> history::Options {
    history::Options {
        retention: config.history.retention.0,
        wait: config.history.read_your_writes_timeout.0,
    }
}

/// Resolves with the reason when the partition stops deciding.
async fn partition_stops(partition: &PartitionHandle) -> String {
    loop {
        if let Health::Stopped { reason } = partition.health() {
            return reason;
        }
        tokio::time::sleep(WATCH).await;
    }
}
