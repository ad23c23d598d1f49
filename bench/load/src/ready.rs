//! When a gateway can be used: an open port is not enough, since a broker elects leaders only afterwards.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kapelle_load::Failure;
use tonic::transport::Endpoint;

use crate::gateway::TopologyRequest;
use crate::gateway::gateway_client::GatewayClient;

/// The number of the role in the protocol.
const LEADER: i32 = 0;

/// Short against any start-up.
const PAUSE: Duration = Duration::from_millis(2);

/// Asks until every partition has a leader, or the time is up.
pub(crate) async fn wait(address: &str, seconds: u64) -> Result<(), Failure> {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        let why = match ask(address).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        if Instant::now() > until {
            return Err(format!("not ready after {seconds} s: {why}").into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(address: &str) -> Result<(), Failure> {
    let channel = Endpoint::from_shared(address.to_owned())?.connect().await?;
    let mut client = GatewayClient::new(channel);
    let topology = client.topology(TopologyRequest {}).await?.into_inner();
    let led: BTreeSet<i32> = topology
        .brokers
        .iter()
        .flat_map(|broker| &broker.partitions)
        .filter(|partition| partition.role == LEADER)
        .map(|partition| partition.partition_id)
        .collect();
    let wanted = usize::try_from(topology.partitions_count)?.max(1);
    if led.len() < wanted {
        return Err(format!("{} of {wanted} partitions have a leader", led.len()).into());
    }
    Ok(())
}
