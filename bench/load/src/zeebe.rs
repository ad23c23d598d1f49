//! A Zeebe gateway as the target: what each scenario asks of it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use kapelle_load::Failure;
use kapelle_load::cli::{Options, Scenario};
use kapelle_load::drive::Target;
use kapelle_load::payload;
use kapelle_load::tally::Tally;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::gateway::gateway_client::GatewayClient;
use crate::gateway::{
    CreateProcessInstanceRequest, CreateProcessInstanceWithResultRequest, DeployResourceRequest,
    PublishMessageRequest, Resource, TopologyRequest,
};
use crate::{models, ready, worker};

type Client = GatewayClient<Channel>;

/// Longer than any instance takes that a server has not lost.
const RESULT_TIMEOUT_MS: i64 = 60_000;

pub(crate) struct Gateway {
    scenario: Scenario,
    gives_up: bool,
    payload: usize,
    clients: Vec<Client>,
    /// Makes message keys of this run differ from those of the last.
    run: String,
}

/// Connects, deploys, opens workers.
pub(crate) async fn connect(options: &Options, tally: &Arc<Tally>) -> Result<Gateway, Failure> {
    if let Some(seconds) = options.wait_ready {
        ready::wait(&options.address, seconds).await?;
    }
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
    if options.scenario != Scenario::Topology {
        deploy(&mut clients[0], options.scenario).await?;
    }
    if options.scenario.has_jobs() {
        for client in &clients {
            worker::open(client, options, tally);
        }
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Gateway {
        scenario: options.scenario,
        gives_up: options.give_up,
        payload: options.payload,
        clients,
        run: format!("{}-{}", std::process::id(), now.as_millis()),
    })
}

async fn deploy(client: &mut Client, scenario: Scenario) -> Result<(), Failure> {
    let resources = vec![Resource {
        name: format!("{}.bpmn", scenario.process_id()),
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

impl Target for Gateway {
    async fn start(&self, tally: &Tally, number: u64, planned: Instant) -> Result<(), Failure> {
        if !self.gives_up {
            return self.start_until_taken(tally, number, planned).await;
        }
        match self.start_until_taken(tally, number, Instant::now()).await {
            Err(failure) if failure.downcast_ref().is_some_and(is_refusal) => {
                tally.turned_away();
                Ok(())
            }
            other => other,
        }
    }
}

impl Gateway {
    async fn start_until_taken(
        &self,
        tally: &Tally,
        number: u64,
        planned: Instant,
    ) -> Result<(), Failure> {
        let at = usize::try_from(number).unwrap_or(0) % self.clients.len();
        let mut client = self.clients[at].clone();
        if self.scenario == Scenario::Topology {
            client.topology(TopologyRequest {}).await?;
            tally.done(planned, Instant::now());
            return Ok(());
        }
        let key = format!("{}-{number}", self.run);
        let request = CreateProcessInstanceRequest {
            bpmn_process_id: self.scenario.process_id().to_owned(),
            version: -1,
            variables: payload::variables(&key, self.payload),
            ..CreateProcessInstanceRequest::default()
        };
        match self.scenario {
            Scenario::EmptyWithResult | Scenario::ComputeWithResult => {
                with_result(&mut client, tally, request).await?
            }
            Scenario::MessageResult => {
                let mut publisher = client.clone();
                tokio::try_join!(
                    with_result(&mut client, tally, request),
                    publish(&mut publisher, tally, key)
                )?;
            }
            Scenario::MessageWait => {
                create(&mut client, tally, request).await?;
                publish(&mut client, tally, key).await?;
            }
            _ => {
                let instance = create(&mut client, tally, request).await?;
                if self.scenario.has_jobs() {
                    tally.started(instance, planned);
                    return Ok(());
                }
            }
        }
        tally.done(planned, Instant::now());
        Ok(())
    }
}

/// The key of the instance.
async fn create(
    client: &mut Client,
    tally: &Tally,
    request: CreateProcessInstanceRequest,
) -> Result<i64, Status> {
    loop {
        let answer = client.create_process_instance(request.clone()).await;
        if let Some(answer) = admitted(tally, answer).await? {
            return Ok(answer.into_inner().process_instance_key);
        }
    }
}

async fn with_result(
    client: &mut Client,
    tally: &Tally,
    request: CreateProcessInstanceRequest,
) -> Result<(), Status> {
    let request = CreateProcessInstanceWithResultRequest {
        request: Some(request),
        request_timeout: RESULT_TIMEOUT_MS,
        // The result's variables are the payload back again; one of them is what a caller wants.
        fetch_variables: vec!["key".to_owned()],
    };
    loop {
        let answer = client
            .create_process_instance_with_result(request.clone())
            .await;
        if admitted(tally, answer).await?.is_some() {
            return Ok(());
        }
    }
}

async fn publish(client: &mut Client, tally: &Tally, key: String) -> Result<(), Status> {
    let request = PublishMessageRequest {
        name: models::MESSAGE.to_owned(),
        correlation_key: key,
        time_to_live: 60_000,
        ..PublishMessageRequest::default()
    };
    loop {
        let answer = client.publish_message(request.clone()).await;
        if taken(tally, answer).await?.is_some() {
            return Ok(());
        }
    }
}

fn is_refusal(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted
}

/// The answer of a start: one that is refused is not asked for again where this run gives up.
async fn admitted<T>(tally: &Tally, answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Err(status) if tally.gives_up && is_refusal(&status) => Err(status),
        answer => taken(tally, answer).await,
    }
}

/// The answer, or `None` after a pause where the request was refused as overload and is to be sent again. Each request by
/// itself: the refusal of one must not repeat another that belongs to it.
pub(crate) async fn taken<T>(
    tally: &Tally,
    answer: Result<T, Status>,
) -> Result<Option<T>, Status> {
    match answer {
        Err(status) if is_refusal(&status) => {
            tally.refused().await;
            Ok(None)
        }
        answer => answer.map(Some),
    }
}
