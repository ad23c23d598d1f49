//! More at once than the queue takes. How fast the others are answered meanwhile is measured by
//! `cargo xtask stress overload`.

use std::collections::BTreeSet;

use tonic::Code;

use crate::found;
use crate::http;
use crate::models;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_at_once_is_refused_retryably_and_what_is_acknowledged_has_its_effect() {
    let server = Server::start_with("[limits]\ncommands-in-flight = 16\n");
    let mut client = crate::grpc::connect(&server).await;
    crate::grpc::deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    let (mut taken, mut refused) = (BTreeSet::new(), 0_u32);
    let mut left = 800;
    while left > 0 {
        let starts: Vec<_> = (0..left)
            .map(|_| {
                let mut client = client.clone();
                tokio::spawn(async move {
                    client
                        .create_process_instance(crate::grpc::create("one", ""))
                        .await
                })
            })
            .collect();
        for start in starts {
            match start.await.unwrap() {
                Ok(answer) => {
                    let key = answer.into_inner().process_instance_key.to_string();
                    assert!(taken.insert(key), "no instance is acknowledged twice");
                    left -= 1;
                }
                Err(status) if status.code() == Code::ResourceExhausted => refused += 1,
                Err(status) => panic!("{status}"),
            }
        }
    }
    assert!(refused > 0, "800 at once fit into a queue of 16");
    let told = http::metric(&server.management, "kapelle_backpressure_rejections_total");
    assert!(told >= f64::from(refused), "{told} of {refused}");
    let there = found::instances(&server.rest, "{}");
    assert_eq!(there.len(), 800, "what was refused has no effect");
    assert!(there.iter().all(|key| taken.contains(key)));
}
