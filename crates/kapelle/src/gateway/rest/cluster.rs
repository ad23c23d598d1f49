//! What clients ask about the server itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use kapelle_engine::ids::{DEFAULT_TENANT, PARTITION_ID};
use kapelle_runtime::Health;

use super::json::{self, Object, array};
use super::no_content;
use super::problem::Problem;
use crate::gateway::failure::Failure;
use crate::gateway::{GATEWAY_VERSION, Gateway};

/// 204 when commands are decided, 503 when not.
pub(super) async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.partition().health() {
        Health::Ready => no_content(),
        Health::Recovering => unavailable("the partition is recovering".to_owned()),
        Health::Stopped { reason } => unavailable(format!("the partition has stopped: {reason}")),
    }
}

fn unavailable(reason: String) -> Response {
    Problem::from(Failure::Refused(kapelle_runtime::Refusal::Unavailable {
        reason,
    }))
    .into_response()
}

pub(super) async fn topology(State(gateway): State<Arc<Gateway>>) -> Response {
    let (role, health, state) = match gateway.partition().health() {
        Health::Ready => ("leader", "healthy", "active"),
        Health::Recovering => ("inactive", "unhealthy", "recovering"),
        Health::Stopped { .. } => ("inactive", "dead", "unknown"),
    };
    let mut partition = Object::new();
    partition
        .number("partitionId", PARTITION_ID.into())
        .text("role", role)
        .text("health", health)
        .text("state", state);
    let cluster = gateway.cluster();
    let mut broker = Object::new();
    broker
        .number("nodeId", 0)
        .text("brokerId", "0")
        .text("host", &cluster.host)
        .number("port", cluster.port.into())
        .raw("partitions", &array([partition.end()]))
        .text("version", GATEWAY_VERSION);
    let mut topology = Object::new();
    topology
        .raw("brokers", &array([broker.end()]))
        .text("clusterId", &cluster.id)
        .number("clusterSize", 1)
        .number("partitionsCount", 1)
        .number("replicationFactor", 1)
        .text("gatewayVersion", GATEWAY_VERSION)
        .text("lastCompletedChangeId", "-1");
    json::ok(topology.end())
}

/// Apache-2.0 needs no license key: valid, for ever, of no commercial kind.
pub(super) async fn license() -> Response {
    let mut license = Object::new();
    license
        .bool("validLicense", true)
        .text("licenseType", "unknown")
        .bool("isCommercial", false)
        .null("expiresAt");
    json::ok(license.end())
}

/// Nobody is told apart while there is no authentication.
pub(super) async fn me() -> Response {
    let mut tenant = Object::new();
    tenant
        .text("tenantId", DEFAULT_TENANT)
        .text("name", "Default")
        .text("description", "");
    let mut me = Object::new();
    me.text("username", "anonymous")
        .text("displayName", "Anonymous")
        .null("email")
        .raw("authorizedComponents", r#"["*"]"#)
        .raw("tenants", &array([tenant.end()]))
        .raw("groups", "[]")
        .raw("roles", "[]")
        .null("salesPlanType")
        .raw("c8Links", "{}")
        .bool("canLogout", false);
    json::ok(me.end())
}
