//! Answers kept for idempotent requests.

use crate::command::{Due, DueKind};
use crate::encode::Record;
use crate::event::{DueOwner, Event};
use crate::ids::{ProcessInstanceKey, Timestamp};
use crate::keep::Keep;
use crate::state::requests::RequestEntry;
use crate::state::tables;

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::RequestRemembered {
            tenant,
            request,
            instance,
            definition,
            until,
        } => {
            let (instance, definition, until) = (*instance, *definition, *until);
            let entry = RequestEntry {
                instance,
                definition,
                until,
            };
            keep.put(&tables::request(tenant, request), &entry.to_bytes());
            let owner = DueOwner::Request {
                tenant: tenant.clone(),
                request: request.clone(),
            };
            keep.insert(&tables::due(expiry(instance, until)), &owner.to_bytes());
        }
        Event::RequestForgotten {
            tenant,
            request,
            instance,
            until,
        } => {
            keep.delete(&tables::request(tenant, request));
            keep.delete(&tables::due(expiry(*instance, *until)));
        }
        _ => unreachable!("dispatched by family"),
    }
}

fn expiry(instance: ProcessInstanceKey, at: Timestamp) -> Due {
    Due {
        at,
        what: DueKind::IdempotencyExpiry,
        key: instance.0,
    }
}
