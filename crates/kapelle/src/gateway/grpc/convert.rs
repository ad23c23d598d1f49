//! Between the messages of the wire and the engine's words, by hand.

use std::sync::Arc;

use kapelle_engine::command::{CreateInstance, Resource};
use kapelle_engine::response::{
    ActivatedJob, CreatedInstance, Deployed, DeployedProcess, InstanceResult,
};
use kapelle_runtime::Health;

use super::proto;
use crate::gateway::failure::Failure;
use crate::gateway::{Cluster, GATEWAY_VERSION, Gateway, checks, variables};

/// A key as the wire has it. Keys use 64 bits of which the highest is never set.
pub(super) fn wire_key(key: u64) -> i64 {
    i64::try_from(key).expect("a key is partition << 51 | counter with 13 bits of partition")
}

fn text(text: &Arc<str>) -> String {
    text.as_ref().to_owned()
}

fn texts(list: &[Arc<str>]) -> Vec<String> {
    list.iter().map(text).collect()
}

pub(super) fn resource(name: &str, content: &[u8]) -> Resource {
    Resource {
        name: Arc::from(name),
        bytes: Arc::from(content),
    }
}

pub(super) fn create_instance(
    gateway: &Gateway,
    request: &proto::CreateProcessInstanceRequest,
    await_result: Option<Vec<Arc<str>>>,
) -> Result<CreateInstance, Failure> {
    if !request.start_instructions.is_empty() {
        return Err(Failure::Unimplemented("start instructions"));
    }
    if !request.runtime_instructions.is_empty() {
        return Err(Failure::Unimplemented("runtime instructions"));
    }
    let process = checks::process_selector(
        request.process_definition_key,
        &request.bpmn_process_id,
        request.version,
    )?;
    Ok(CreateInstance {
        tenant: gateway.tenant(&request.tenant_id)?,
        process,
        variables: variables::parse(&request.variables)?,
        await_result,
        tags: checks::tags(request.tags.iter().map(String::as_str))?,
        business_id: checks::business_id(request.business_id.as_deref())?,
        idempotency_key: None,
    })
}

pub(super) fn created_instance(created: CreatedInstance) -> proto::CreateProcessInstanceResponse {
    proto::CreateProcessInstanceResponse {
        process_definition_key: wire_key(created.definition.get()),
        bpmn_process_id: text(&created.process_id),
        version: created.version,
        process_instance_key: wire_key(created.instance.get()),
        tenant_id: text(&created.tenant),
        tags: texts(&created.tags),
        business_id: created.business_id.as_ref().map(text),
    }
}

pub(super) fn instance_result(
    result: InstanceResult,
) -> proto::CreateProcessInstanceWithResultResponse {
    let InstanceResult { created, variables } = result;
    proto::CreateProcessInstanceWithResultResponse {
        process_definition_key: wire_key(created.definition.get()),
        bpmn_process_id: text(&created.process_id),
        version: created.version,
        process_instance_key: wire_key(created.instance.get()),
        variables: variables::render(&variables),
        tenant_id: text(&created.tenant),
        tags: texts(&created.tags),
        business_id: created.business_id.as_ref().map(text),
    }
}

pub(super) fn process_metadata(
    process: DeployedProcess,
    tenant: &Arc<str>,
) -> proto::ProcessMetadata {
    proto::ProcessMetadata {
        bpmn_process_id: text(&process.process_id),
        version: process.version,
        process_definition_key: wire_key(process.definition.get()),
        resource_name: text(&process.resource_name),
        tenant_id: text(tenant),
    }
}

pub(super) fn deployment(deployed: Deployed) -> proto::DeployResourceResponse {
    let Deployed {
        key,
        tenant,
        processes,
    } = deployed;
    let deployments = processes
        .into_iter()
        .map(|process| proto::Deployment {
            metadata: Some(proto::deployment::Metadata::Process(process_metadata(
                process, &tenant,
            ))),
        })
        .collect();
    proto::DeployResourceResponse {
        key: wire_key(key.get()),
        deployments,
        tenant_id: text(&tenant),
    }
}

pub(super) fn activated_job(job: &ActivatedJob) -> proto::ActivatedJob {
    proto::ActivatedJob {
        key: wire_key(job.job.get()),
        r#type: text(&job.job_type),
        process_instance_key: wire_key(job.instance.get()),
        bpmn_process_id: text(&job.process_id),
        process_definition_version: job.version,
        process_definition_key: wire_key(job.definition.get()),
        element_id: text(&job.element_id),
        element_instance_key: wire_key(job.element_instance.get()),
        custom_headers: variables::render_headers(&job.headers),
        worker: text(&job.worker),
        retries: job.retries,
        deadline: job.deadline.0,
        variables: variables::render(&job.variables),
        tenant_id: text(&job.tenant),
        user_task: None,
        kind: proto::activated_job::JobKind::BpmnElement.into(),
        listener_event_type: proto::activated_job::ListenerEventType::Unspecified.into(),
        tags: texts(&job.tags),
    }
}

/// Whether a job's result decides nothing: some clients send one with every completion.
pub(super) fn is_plain_result(result: &proto::JobResult) -> bool {
    let proto::JobResult {
        denied,
        corrections,
        denied_reason,
        r#type: _,
        activate_elements,
        is_completion_condition_fulfilled,
        is_cancel_remaining_instances,
    } = result;
    !denied.unwrap_or(false)
        && corrections
            .as_ref()
            .is_none_or(|corrections| *corrections == proto::JobResultCorrections::default())
        && denied_reason.as_ref().is_none_or(String::is_empty)
        && activate_elements.is_empty()
        && !is_completion_condition_fulfilled.unwrap_or(false)
        && !is_cancel_remaining_instances.unwrap_or(false)
}

pub(super) fn topology(cluster: &Cluster, health: &Health) -> proto::TopologyResponse {
    use proto::partition::{PartitionBrokerHealth, PartitionBrokerRole};
    let (role, health) = match health {
        Health::Ready => (PartitionBrokerRole::Leader, PartitionBrokerHealth::Healthy),
        Health::Recovering => (
            PartitionBrokerRole::Inactive,
            PartitionBrokerHealth::Unhealthy,
        ),
        Health::Stopped { .. } => (PartitionBrokerRole::Inactive, PartitionBrokerHealth::Dead),
    };
    let partition = proto::Partition {
        partition_id: 1,
        role: role.into(),
        health: health.into(),
    };
    proto::TopologyResponse {
        brokers: vec![proto::BrokerInfo {
            node_id: 0,
            host: cluster.host.clone(),
            port: i32::from(cluster.port),
            partitions: vec![partition],
            version: GATEWAY_VERSION.to_owned(),
        }],
        cluster_size: 1,
        partitions_count: 1,
        replication_factor: 1,
        gateway_version: GATEWAY_VERSION.to_owned(),
        cluster_id: cluster.id.clone(),
    }
}
