//! Subscribers.

use crate::encode::Record;
use crate::event::Event;
use crate::keep::Keep;
use crate::state::subscribers::SubscriberEntry;
use crate::state::tables;

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::SubscriberPut {
            tenant,
            name,
            document,
            ..
        } => {
            let entry = SubscriberEntry {
                tenant: tenant.clone(),
                name: name.clone(),
                document: document.clone(),
            };
            keep.put(&tables::subscriber(tenant, name), &entry.to_bytes());
        }
        Event::SubscriberDeleted { tenant, name } => keep.delete(&tables::subscriber(tenant, name)),
        _ => unreachable!("dispatched by family"),
    }
}
