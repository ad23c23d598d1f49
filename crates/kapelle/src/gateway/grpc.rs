//! The Zeebe gateway over gRPC: one short method for each RPC.
//!
//! A method checks, builds the command, asks, and builds the answer; conversions are in `grpc/convert.rs`, status codes
//! in `grpc/status.rs`.
//!
//! **Invariant**: every RPC of the service has an answer: what the engine cannot do yet says UNIMPLEMENTED and which
//! capability brings it. A field that asks for something unsupported is refused, never ignored, when ignoring it would
//! change what happens.

mod convert;
mod jobs;
mod status;
mod timeout;

#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated from proto/gateway.proto; not ours to shape"
)]
pub(crate) mod proto {
    tonic::include_proto!("gateway_protocol");
}

use std::sync::Arc;

use kapelle_engine::command::{
    Command, CommandMeta, Deploy, FailJob, PublishMessage, SetVariables, ThrowJobError,
};
use kapelle_engine::ids::{ElementInstanceKey, IncidentKey, JobKey, ProcessInstanceKey};
use kapelle_engine::response::Response as Answer;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use self::proto::gateway_server::{Gateway as Rpc, GatewayServer};
use self::proto::*;
use super::failure::Failure;
use super::{Gateway, checks, variables};

pub(crate) use status::too_large_is_exhausted;
pub(crate) use timeout::{answer_within, client_timeout};

/// The service, ready to be called with HTTP/2 requests.
pub(crate) fn service(gateway: Arc<Gateway>) -> GatewayServer<Service> {
    let message_bytes_max = gateway.message_bytes_max();
    GatewayServer::new(Service { gateway })
        .max_decoding_message_size(message_bytes_max)
        // Camunda's Node client compresses what it sends; answers go out plain, as everyone reads those.
        .accept_compressed(CompressionEncoding::Gzip)
}

/// The RPCs over the gateway.
pub(crate) struct Service {
    gateway: Arc<Gateway>,
}

type Answered<T> = Result<Response<T>, Status>;

/// What travels beside a request: the caller's trace.
fn meta<T>(request: &Request<T>) -> CommandMeta {
    let traceparent = request
        .metadata()
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .map(Arc::from);
    CommandMeta {
        traceparent,
        ..CommandMeta::default()
    }
}

fn unimplemented<T>(capability: &'static str) -> Answered<T> {
    Err(Failure::Unimplemented(capability).into())
}

impl Service {
    async fn deploy(
        &self,
        deploy: Deploy,
        meta: CommandMeta,
    ) -> Result<kapelle_engine::response::Deployed, Failure> {
        checks::some_resources(deploy.resources.len())?;
        match self.gateway.ask(Command::Deploy(deploy), meta).await? {
            Answer::Deployed(deployed) => Ok(deployed),
            other => Err(Failure::unexpected(&other)),
        }
    }
}

#[tonic::async_trait]
impl Rpc for Service {
    type ActivateJobsStream = jobs::ActivatedBatches;
    type StreamActivatedJobsStream = jobs::PushedJobs;

    async fn topology(&self, _: Request<TopologyRequest>) -> Answered<TopologyResponse> {
        Ok(Response::new(convert::topology(
            self.gateway.cluster(),
            &self.gateway.partition().health(),
        )))
    }

    async fn deploy_resource(
        &self,
        request: Request<DeployResourceRequest>,
    ) -> Answered<DeployResourceResponse> {
        let meta = meta(&request);
        let DeployResourceRequest {
            resources,
            tenant_id,
        } = request.into_inner();
        let tenant = self.gateway.tenant(&tenant_id)?;
        let resources = resources
            .iter()
            .map(|file| convert::resource(&file.name, &file.content))
            .collect();
        let deployed = self.deploy(Deploy { tenant, resources }, meta).await?;
        Ok(Response::new(convert::deployment(deployed)))
    }

    async fn deploy_process(
        &self,
        request: Request<DeployProcessRequest>,
    ) -> Answered<DeployProcessResponse> {
        let meta = meta(&request);
        let tenant = self.gateway.tenant("")?;
        let files = request.into_inner().processes;
        let resources = files
            .iter()
            .map(|file| convert::resource(&file.name, &file.definition))
            .collect();
        let deployed = self.deploy(Deploy { tenant, resources }, meta).await?;
        let tenant = deployed.tenant;
        let processes = deployed
            .processes
            .into_iter()
            .map(|process| convert::process_metadata(process, &tenant))
            .collect();
        Ok(Response::new(DeployProcessResponse {
            key: convert::wire_key(deployed.key.get()),
            processes,
        }))
    }

    async fn create_process_instance(
        &self,
        request: Request<CreateProcessInstanceRequest>,
    ) -> Answered<CreateProcessInstanceResponse> {
        let meta = meta(&request);
        let create = convert::create_instance(&self.gateway, &request.into_inner(), None)?;
        match self
            .gateway
            .ask(Command::CreateInstance(create), meta)
            .await?
        {
            Answer::InstanceCreated(created) => {
                Ok(Response::new(convert::created_instance(created)))
            }
            other => Err(Failure::unexpected(&other).into()),
        }
    }

    async fn create_process_instance_with_result(
        &self,
        request: Request<CreateProcessInstanceWithResultRequest>,
    ) -> Answered<CreateProcessInstanceWithResultResponse> {
        let meta = meta(&request);
        let CreateProcessInstanceWithResultRequest {
            request,
            request_timeout,
            fetch_variables,
        } = request.into_inner();
        let fetch = fetch_variables
            .iter()
            .map(|name| Arc::from(name.as_str()))
            .collect();
        let create =
            convert::create_instance(&self.gateway, &request.unwrap_or_default(), Some(fetch))?;
        let result = self
            .gateway
            .create_and_await(create, request_timeout, meta)
            .await?;
        Ok(Response::new(convert::instance_result(result)))
    }

    async fn cancel_process_instance(
        &self,
        request: Request<CancelProcessInstanceRequest>,
    ) -> Answered<CancelProcessInstanceResponse> {
        let meta = meta(&request);
        let key = checks::key(
            request.into_inner().process_instance_key,
            checks::CANCEL_INSTANCE,
        )?;
        self.gateway
            .tell(
                Command::CancelInstance {
                    instance: ProcessInstanceKey(key),
                },
                meta,
            )
            .await?;
        Ok(Response::new(CancelProcessInstanceResponse {}))
    }

    async fn set_variables(
        &self,
        request: Request<SetVariablesRequest>,
    ) -> Answered<SetVariablesResponse> {
        let meta = meta(&request);
        let SetVariablesRequest {
            element_instance_key,
            variables,
            local,
            ..
        } = request.into_inner();
        let scope = ElementInstanceKey(checks::key(element_instance_key, checks::SET_VARIABLES)?);
        let command = Command::SetVariables(SetVariables {
            scope,
            variables: variables::parse(&variables)?,
            local,
        });
        match self.gateway.ask(command, meta).await? {
            Answer::VariablesSet { key } => Ok(Response::new(SetVariablesResponse {
                key: convert::wire_key(key),
            })),
            other => Err(Failure::unexpected(&other).into()),
        }
    }

    async fn resolve_incident(
        &self,
        request: Request<ResolveIncidentRequest>,
    ) -> Answered<ResolveIncidentResponse> {
        let meta = meta(&request);
        let key = checks::key(request.into_inner().incident_key, checks::RESOLVE_INCIDENT)?;
        self.gateway
            .tell(
                Command::ResolveIncident {
                    incident: IncidentKey(key),
                },
                meta,
            )
            .await?;
        Ok(Response::new(ResolveIncidentResponse {}))
    }

    async fn activate_jobs(
        &self,
        request: Request<ActivateJobsRequest>,
    ) -> Answered<Self::ActivateJobsStream> {
        let meta = meta(&request);
        let request = request.into_inner();
        let timeout = request.request_timeout;
        let activate = jobs::poll_request(&self.gateway, &request)?;
        let jobs = self.gateway.poll_jobs(activate, timeout, meta).await?;
        Ok(Response::new(jobs::ActivatedBatches::new(
            jobs,
            self.gateway.message_bytes_max(),
        )))
    }

    async fn stream_activated_jobs(
        &self,
        request: Request<StreamActivatedJobsRequest>,
    ) -> Answered<Self::StreamActivatedJobsStream> {
        let spec = jobs::stream_spec(&self.gateway, &request.into_inner())?;
        Ok(Response::new(jobs::PushedJobs::new(
            self.gateway.open_stream(spec),
        )))
    }

    async fn complete_job(
        &self,
        request: Request<CompleteJobRequest>,
    ) -> Answered<CompleteJobResponse> {
        let meta = meta(&request);
        let CompleteJobRequest {
            job_key,
            variables,
            result,
        } = request.into_inner();
        if result.is_some_and(|result| !convert::is_plain_result(&result)) {
            return unimplemented("user task listeners and ad-hoc sub-processes");
        }
        let job = JobKey(checks::key(job_key, checks::COMPLETE_JOB)?);
        self.gateway
            .tell(
                Command::CompleteJob {
                    job,
                    variables: variables::parse(&variables)?,
                },
                meta,
            )
            .await?;
        Ok(Response::new(CompleteJobResponse {}))
    }

    async fn fail_job(&self, request: Request<FailJobRequest>) -> Answered<FailJobResponse> {
        let meta = meta(&request);
        let FailJobRequest {
            job_key,
            retries,
            error_message,
            retry_back_off,
            variables,
        } = request.into_inner();
        let command = Command::FailJob(FailJob {
            job: JobKey(checks::key(job_key, checks::FAIL_JOB)?),
            retries,
            message: Arc::from(error_message),
            backoff_ms: retry_back_off.max(0),
            variables: variables::parse(&variables)?,
        });
        self.gateway.tell(command, meta).await?;
        Ok(Response::new(FailJobResponse {}))
    }

    async fn throw_error(
        &self,
        request: Request<ThrowErrorRequest>,
    ) -> Answered<ThrowErrorResponse> {
        let meta = meta(&request);
        let ThrowErrorRequest {
            job_key,
            error_code,
            error_message,
            variables,
        } = request.into_inner();
        let command = Command::ThrowJobError(ThrowJobError {
            job: JobKey(checks::key(job_key, checks::THROW_ERROR)?),
            code: Arc::from(error_code),
            message: Arc::from(error_message),
            variables: variables::parse(&variables)?,
        });
        self.gateway.tell(command, meta).await?;
        Ok(Response::new(ThrowErrorResponse {}))
    }

    async fn update_job_retries(
        &self,
        request: Request<UpdateJobRetriesRequest>,
    ) -> Answered<UpdateJobRetriesResponse> {
        let meta = meta(&request);
        let UpdateJobRetriesRequest {
            job_key, retries, ..
        } = request.into_inner();
        let job = JobKey(checks::key(job_key, checks::UPDATE_RETRIES)?);
        self.gateway
            .tell(
                Command::UpdateJob {
                    job,
                    retries: Some(retries),
                    timeout_ms: None,
                },
                meta,
            )
            .await?;
        Ok(Response::new(UpdateJobRetriesResponse {}))
    }

    async fn update_job_timeout(
        &self,
        request: Request<UpdateJobTimeoutRequest>,
    ) -> Answered<UpdateJobTimeoutResponse> {
        let meta = meta(&request);
        let UpdateJobTimeoutRequest {
            job_key, timeout, ..
        } = request.into_inner();
        let job = JobKey(checks::key(job_key, checks::UPDATE_TIMEOUT)?);
        self.gateway
            .tell(
                Command::UpdateJob {
                    job,
                    retries: None,
                    timeout_ms: Some(timeout),
                },
                meta,
            )
            .await?;
        Ok(Response::new(UpdateJobTimeoutResponse {}))
    }

    async fn publish_message(
        &self,
        request: Request<PublishMessageRequest>,
    ) -> Answered<PublishMessageResponse> {
        let meta = meta(&request);
        let request = request.into_inner();
        let tenant = self.gateway.tenant(&request.tenant_id)?;
        let command = Command::PublishMessage(PublishMessage {
            tenant: Arc::clone(&tenant),
            name: Arc::from(request.name),
            correlation_key: Arc::from(request.correlation_key),
            message_id: Arc::from(request.message_id),
            ttl_ms: request.time_to_live,
            variables: variables::parse(&request.variables)?,
        });
        match self.gateway.ask(command, meta).await? {
            Answer::MessagePublished { key } => Ok(Response::new(PublishMessageResponse {
                key: convert::wire_key(key.get()),
                tenant_id: tenant.as_ref().to_owned(),
            })),
            other => Err(Failure::unexpected(&other).into()),
        }
    }

    async fn evaluate_decision(
        &self,
        _: Request<EvaluateDecisionRequest>,
    ) -> Answered<EvaluateDecisionResponse> {
        unimplemented("decisions (DMN)")
    }

    async fn modify_process_instance(
        &self,
        _: Request<ModifyProcessInstanceRequest>,
    ) -> Answered<ModifyProcessInstanceResponse> {
        unimplemented("modification of running instances")
    }

    async fn migrate_process_instance(
        &self,
        _: Request<MigrateProcessInstanceRequest>,
    ) -> Answered<MigrateProcessInstanceResponse> {
        unimplemented("migration of running instances")
    }

    async fn delete_resource(
        &self,
        _: Request<DeleteResourceRequest>,
    ) -> Answered<DeleteResourceResponse> {
        unimplemented("deletion of deployed resources")
    }

    async fn broadcast_signal(
        &self,
        _: Request<BroadcastSignalRequest>,
    ) -> Answered<BroadcastSignalResponse> {
        unimplemented("signal events")
    }

    async fn evaluate_conditional(
        &self,
        _: Request<EvaluateConditionalRequest>,
    ) -> Answered<EvaluateConditionalResponse> {
        unimplemented("conditional events")
    }
}
