//! Checks of a request that need no state, made before anything is submitted.
//!
//! Where Zeebe's broker makes the check, the text is that of the broker's rejection: clients cannot tell who refused.

use std::sync::Arc;

use kapelle_engine::command::{ActivateJobs, ProcessSelector};
use kapelle_engine::ids::{DEFAULT_TENANT, DefinitionKey};
use kapelle_engine::rejection::RejectionCode;

use super::failure::Failure;
use super::{Gateway, JOBS_MAX};

/// Most tags of an instance, and the most characters of one (`[A-Za-z][A-Za-z0-9_\-:.]*`).
const TAGS_MAX: usize = 10;
const TAG_CHARS_MAX: usize = 100;
const BUSINESS_ID_CHARS_MAX: usize = 256;

/// What a key in a request refers to, for the refusal of one that cannot exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) intent: &'static str,
    /// Completes "Expected to …": `complete job`.
    pub(crate) purpose: &'static str,
    /// `job`, `incident`, …
    pub(crate) thing: &'static str,
}

pub(crate) const COMPLETE_JOB: Target = Target {
    intent: "COMPLETE",
    purpose: "complete job",
    thing: "job",
};
pub(crate) const FAIL_JOB: Target = Target {
    intent: "FAIL",
    purpose: "fail job",
    thing: "job",
};
pub(crate) const THROW_ERROR: Target = Target {
    intent: "THROW_ERROR",
    purpose: "throw an error for job",
    thing: "job",
};
pub(crate) const UPDATE_RETRIES: Target = Target {
    intent: "UPDATE_RETRIES",
    purpose: "update retries for job",
    thing: "job",
};
pub(crate) const UPDATE_TIMEOUT: Target = Target {
    intent: "UPDATE_TIMEOUT",
    purpose: "update the timeout of job",
    thing: "job",
};
pub(crate) const UPDATE_JOB: Target = Target {
    intent: "UPDATE",
    purpose: "update job",
    thing: "job",
};
pub(crate) const CANCEL_INSTANCE: Target = Target {
    intent: "CANCEL",
    purpose: "cancel a process instance",
    thing: "process",
};
pub(crate) const SET_VARIABLES: Target = Target {
    intent: "UPDATE",
    purpose: "update variables for element",
    thing: "element",
};
pub(crate) const RESOLVE_INCIDENT: Target = Target {
    intent: "RESOLVE",
    purpose: "resolve incident",
    thing: "incident",
};

/// A key from the wire. Numbers below 1 are no keys: they are refused as unknown without asking the engine, whose keys
/// have no sign.
pub(crate) fn key(number: i64, target: Target) -> Result<u64, Failure> {
    match u64::try_from(number) {
        Ok(key) if key > 0 => Ok(key),
        _ => {
            let Target {
                intent,
                purpose,
                thing,
            } = target;
            let reason =
                format!("Expected to {purpose} with key '{number}', but no such {thing} was found");
            Err(Failure::rejected(intent, RejectionCode::NotFound, reason))
        }
    }
}

impl Gateway {
    /// The tenant that a request names. Empty means the default one; others do not exist yet.
    pub(crate) fn tenant(&self, tenant: &str) -> Result<Arc<str>, Failure> {
        match tenant {
            "" | DEFAULT_TENANT => Ok(Arc::clone(&self.default_tenant)),
            other => Err(Failure::Invalid(format!(
                "Expected to handle the request with tenant identifier '{other}', but multi-tenancy is disabled"
            ))),
        }
    }

    /// The tenants whose jobs a worker asks for: all of the list, or the default one.
    pub(crate) fn tenants<'a>(
        &self,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Arc<str>>, Failure> {
        for tenant in named {
            self.tenant(tenant)?;
        }
        Ok(vec![Arc::clone(&self.default_tenant)])
    }
}

/// What a poll or a stream asks for, as it came from the wire.
pub(crate) struct JobRequest<'a> {
    pub(crate) job_type: &'a str,
    pub(crate) worker: &'a str,
    pub(crate) timeout_ms: i64,
    pub(crate) max_jobs: i64,
    pub(crate) fetch_variables: Vec<Arc<str>>,
    pub(crate) tenants: Vec<Arc<str>>,
}

impl JobRequest<'_> {
    /// Checks it in Zeebe's order and words.
    pub(crate) fn check(self) -> Result<ActivateJobs, Failure> {
        let refuse = |field: &str, expected: &str, found: String| {
            let reason = format!(
                "Expected to activate job batch with {field} to be {expected}, but it was {found}"
            );
            Err(Failure::rejected(
                "ACTIVATE",
                RejectionCode::InvalidArgument,
                reason,
            ))
        };
        if self.max_jobs < 1 {
            return refuse(
                "max jobs to activate",
                "greater than zero",
                format!("'{}'", self.max_jobs),
            );
        }
        if self.timeout_ms < 1 {
            return refuse(
                "timeout",
                "greater than zero",
                format!("'{}'", self.timeout_ms),
            );
        }
        if self.job_type.trim().is_empty() {
            return refuse("type", "present", "blank".to_owned());
        }
        Ok(ActivateJobs {
            tenants: self.tenants,
            job_type: Arc::from(self.job_type),
            worker: Arc::from(self.worker),
            timeout_ms: self.timeout_ms,
            max_jobs: u32::try_from(self.max_jobs)
                .unwrap_or(JOBS_MAX)
                .min(JOBS_MAX),
            fetch_variables: self.fetch_variables,
        })
    }
}

/// Which version to start: a key, or an id with a version (-1 = the latest).
pub(crate) fn process_selector(
    key: i64,
    process_id: &str,
    version: i32,
) -> Result<ProcessSelector, Failure> {
    if key > 0 {
        let key = u64::try_from(key).expect("it is positive");
        return Ok(ProcessSelector::Key(DefinitionKey(key)));
    }
    if key < 0 {
        let reason =
            format!("Expected to find process definition with key '{key}', but none found");
        return Err(Failure::rejected("CREATE", RejectionCode::NotFound, reason));
    }
    if process_id.is_empty() {
        let reason =
            "Expected at least a bpmnProcessId or a key greater than -1, but none given".to_owned();
        return Err(Failure::rejected(
            "CREATE",
            RejectionCode::InvalidArgument,
            reason,
        ));
    }
    let process_id = Arc::from(process_id);
    Ok(if version < 0 {
        ProcessSelector::Latest { process_id }
    } else {
        ProcessSelector::Version {
            process_id,
            version,
        }
    })
}

/// The tags of a new instance.
pub(crate) fn tags<'a>(
    tags: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<Arc<str>>, Failure> {
    if tags.len() > TAGS_MAX {
        return Err(Failure::Invalid(format!(
            "Expected at most {TAGS_MAX} tags, but {} were given",
            tags.len()
        )));
    }
    tags.map(|tag| {
        let is_valid = tag.starts_with(|first: char| first.is_ascii_alphabetic())
            && tag.len() <= TAG_CHARS_MAX
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte));
        if is_valid {
            Ok(Arc::from(tag))
        } else {
            Err(Failure::Invalid(format!(
                "The value for tag is '{tag}' but must be 1 to {TAG_CHARS_MAX} letters, digits or any of '_-:.', \
                 beginning with a letter."
            )))
        }
    })
    .collect()
}

/// The business id of a new instance; empty counts as none.
pub(crate) fn business_id(business_id: Option<&str>) -> Result<Option<Arc<str>>, Failure> {
    let Some(id) = business_id.filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let chars = id.chars().count();
    if chars > BUSINESS_ID_CHARS_MAX {
        return Err(Failure::Invalid(format!(
            "The value for businessId has {chars} characters but must have at most {BUSINESS_ID_CHARS_MAX}."
        )));
    }
    Ok(Some(Arc::from(id)))
}

/// A deployment without a file changes nothing and is refused as Zeebe does.
pub(crate) fn some_resources(count: usize) -> Result<(), Failure> {
    if count > 0 {
        return Ok(());
    }
    let reason = "Expected to deploy at least one resource, but none given".to_owned();
    Err(Failure::rejected(
        "CREATE",
        RejectionCode::InvalidArgument,
        reason,
    ))
}
