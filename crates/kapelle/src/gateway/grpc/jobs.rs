//! Jobs over gRPC: polled in batches that fit a message, or pushed one by one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kapelle_engine::command::ActivateJobs;
use kapelle_runtime::streams::StreamSpec;
use prost::Message as _;
use tokio_stream::Stream;
use tonic::Status;

use super::convert;
use super::proto::{self, ActivateJobsRequest, ActivateJobsResponse, StreamActivatedJobsRequest};
use crate::gateway::Gateway;
use crate::gateway::checks::JobRequest;
use crate::gateway::delivery_guard::Undelivered;
use crate::gateway::failure::Failure;
use crate::gateway::pushes::{CAPACITY, JobStream};

/// Protobuf's tag and length before each job of a batch.
const JOB_OVERHEAD_BYTES: usize = 6;

fn names(names: &[String]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(name.as_str())).collect()
}

pub(super) fn poll_request(
    gateway: &Gateway,
    request: &ActivateJobsRequest,
) -> Result<ActivateJobs, Failure> {
    JobRequest {
        job_type: &request.r#type,
        worker: &request.worker,
        timeout_ms: request.timeout,
        max_jobs: i64::from(request.max_jobs_to_activate),
        fetch_variables: names(&request.fetch_variable),
        tenants: gateway.tenants(request.tenant_ids.iter().map(String::as_str))?,
    }
    .check()
}

pub(super) fn stream_spec(
    gateway: &Gateway,
    request: &StreamActivatedJobsRequest,
) -> Result<StreamSpec, Failure> {
    let checked = JobRequest {
        job_type: &request.r#type,
        worker: &request.worker,
        timeout_ms: request.timeout,
        max_jobs: 1,
        fetch_variables: names(&request.fetch_variable),
        tenants: gateway.tenants(request.tenant_ids.iter().map(String::as_str))?,
    }
    .check()?;
    Ok(StreamSpec {
        tenants: checked.tenants,
        job_type: checked.job_type,
        worker: checked.worker,
        timeout_ms: checked.timeout_ms,
        fetch_variables: checked.fetch_variables,
        capacity: CAPACITY,
    })
}

/// The answer to a poll: as many messages as its jobs need.
pub(crate) struct ActivatedBatches {
    jobs: Undelivered,
    message_bytes_max: usize,
    /// A job that found no room in the message before; its guard is the batch's: it is peeked until it is sent.
    converted: Option<proto::ActivatedJob>,
}

impl ActivatedBatches {
    pub(super) fn new(jobs: Undelivered, message_bytes_max: usize) -> Self {
        Self {
            jobs,
            message_bytes_max,
            converted: None,
        }
    }

    fn next_batch(&mut self) -> Option<ActivateJobsResponse> {
        let mut batch = Vec::with_capacity(self.jobs.len());
        let mut bytes = 0;
        while let Some(job) = self.jobs.peek() {
            let job = self
                .converted
                .take()
                .unwrap_or_else(|| convert::activated_job(job));
            bytes += job.encoded_len() + JOB_OVERHEAD_BYTES;
            // A message has at least one job: one that is too large alone is the client's to refuse.
            if bytes > self.message_bytes_max && !batch.is_empty() {
                self.converted = Some(job);
                break;
            }
            self.jobs.next();
            batch.push(job);
        }
        (!batch.is_empty()).then_some(ActivateJobsResponse { jobs: batch })
    }
}

impl Stream for ActivatedBatches {
    type Item = Result<ActivateJobsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next_batch().map(Ok))
    }
}

/// The answer to a stream: its jobs for as long as it is open.
pub(crate) struct PushedJobs {
    jobs: JobStream,
}

impl PushedJobs {
    pub(super) fn new(jobs: JobStream) -> Self {
        Self { jobs }
    }
}

impl Stream for PushedJobs {
    type Item = Result<proto::ActivatedJob, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.jobs)
            .poll_next(cx)
            .map(|next| match next {
                Some(job) => Some(Ok(convert::activated_job(&job))),
                // Only a stopping server ends a stream: clients open it again elsewhere or later.
                None => Some(Err(Failure::stopped().into())),
            })
    }
}
