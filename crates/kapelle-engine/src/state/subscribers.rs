//! Who wants CloudEvents: the documents of subscribers by tenant and name.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::encode::Record;
use crate::keep::Keep;
use crate::state::{scan_prefix, tables};

/// A subscriber as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriberEntry {
    pub(crate) tenant: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) document: Arc<str>,
}

pub(crate) fn find(keep: &dyn Keep, tenant: &str, name: &str) -> Option<SubscriberEntry> {
    let value = keep.get(&tables::subscriber(tenant, name))?;
    Some(SubscriberEntry::read(&value).expect("the engine wrote this entry"))
}

/// How many there are, counted up to `max`.
pub(crate) fn count(keep: &dyn Keep, max: usize) -> usize {
    let mut count = 0;
    scan_prefix(keep, &tables::subscribers(), None, &mut |_, _| {
        count += 1;
        if count < max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    count
}

pub(crate) fn all(keep: &dyn Keep) -> Vec<SubscriberEntry> {
    let mut entries = Vec::new();
    scan_prefix(keep, &tables::subscribers(), None, &mut |_, value| {
        entries.push(SubscriberEntry::read(value).expect("the engine wrote this entry"));
        ControlFlow::Continue(())
    });
    entries
}
