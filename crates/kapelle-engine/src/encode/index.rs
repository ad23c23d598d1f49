//! Numbers of the fields of index values. Keys are in `state/tables.rs`.

use crate::encode::wire::record;
use crate::state::dedup::DedupEntry;
use crate::state::definitions::{
    DefinitionEntry, DefinitionTimerEntry, LatestEntry, ResourceEntry,
};
use crate::state::messages::{
    BindingEntry, MessageEntry, StartSubscriptionEntry, SubscriptionEntry,
};
use crate::state::outbox::{BuriedEntry, PendingEntry, RejectedEntry};
use crate::state::requests::RequestEntry;
use crate::state::subscribers::SubscriberEntry;

record! { DefinitionEntry { 1 tenant, 2 process_id, 3 version, 4 resource, 5 resource_name, 6 deployment, 7 semantics } }
record! { LatestEntry { 1 definition, 2 version } }
record! { ResourceEntry { 1 name, 2 bytes, 3 checksum } }
record! { DefinitionTimerEntry { 1 due, 2 element, 3 repetitions } }
record! { MessageEntry { 1 tenant, 2 name, 3 correlation_key, 4 message_id, 5 expires, 6 variables, 7 cause, 8 binding, 9 thrown } }
record! { SubscriptionEntry { 1 instance, 2 key_kind } }
record! { StartSubscriptionEntry { 1 subscription, 2 definition, 3 element, 4 process_id } }
record! { BindingEntry { 1 process_id, 2 message, 3 definition, 4 index } }
record! { DedupEntry { 1 bucket, 2 first, 3 outcome, 4 content } }
record! { PendingEntry { 1 attempts, 2 retry_at, 3 error } }
record! { BuriedEntry { 1 attempts, 2 error, 3 at } }
record! { RejectedEntry { 1 tenant, 2 source_name, 3 raw, 4 content_type, 5 reason, 6 at } }
record! { RequestEntry { 1 instance, 2 definition, 3 until } }
record! { SubscriberEntry { 1 tenant, 2 name, 3 document } }
