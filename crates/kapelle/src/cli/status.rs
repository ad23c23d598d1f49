//! `kapelle status`.

use super::args::{Format, Remote};
use super::failure::Failure;
use super::output::{Output, cell, table};

pub(crate) async fn status(args: Remote, output: Output) -> Result<(), Failure> {
    let client = args.client()?;
    let topology = client.get("/v2/topology").await?;
    match output.format {
        Format::Json => return output.data(&topology.pretty()),
        Format::Name => return output.data(&client.address().to_string()),
        Format::Table => {}
    }
    output.data(&format!(
        "{}  version {}  partitions {}\n",
        output.style.strong(&client.address().to_string()),
        cell(&topology, "gatewayVersion"),
        cell(&topology, "partitionsCount"),
    ))?;
    let mut rows = Vec::new();
    for broker in topology.list("brokers") {
        for partition in broker.list("partitions") {
            rows.push(vec![
                format!("{}:{}", cell(&broker, "host"), cell(&broker, "port")),
                cell(&partition, "partitionId"),
                cell(&partition, "role"),
                cell(&partition, "health"),
            ]);
        }
    }
    let heads = ["NODE", "PARTITION", "ROLE", "HEALTH"]
        .map(str::to_owned)
        .to_vec();
    output.data(&table(heads, rows, output.style))
}
