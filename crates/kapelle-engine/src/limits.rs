//! Every limit of the engine, with its reason. Reaching one is an ordinary answer: a refusal where nothing was decided
//! yet, an incident where a process is on its way, a left-over command where only the batch is full.

/// Upper bounds of one engine. They take part in decisions, never in replay: changing them is safe at any restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps one command may take before the rest becomes commands of its own, so that one process with many paths
    /// can't keep all others waiting: at some 2 µs a step this is 2 ms.
    pub steps_per_command_max: usize,
    /// Events of one command before the rest is left over: a journal batch stays far below its own limit.
    pub events_per_command_max: usize,
    /// Element instances alive in one process instance. Its aggregate is searched and written as a whole.
    pub elements_per_instance_max: usize,
    /// Elements entered because of one thing from outside, over all instances that it starts and wakes. What never waits
    /// for anything else is a loop somewhere before a hundred thousand elements.
    pub run_length_max: u32,
    /// Bytes of all variables of one instance.
    pub instance_bytes_max: usize,
    /// Steps of one expression; a step is about 50 ns, so the writer is held for 50 ms at worst.
    pub expression_steps_max: u64,
    /// Bytes of one set of variables from outside, as in Zeebe (one record).
    pub document_bytes_max: usize,
    /// Bytes of one activation's answer; gRPC clients refuse messages over 4 MiB.
    pub activation_bytes_max: usize,
    /// Jobs in one activation, whatever the worker asks for.
    pub jobs_per_activation_max: u32,
    /// Bytes of a text that becomes part of an index key: message names, correlation keys, job types, tenants. Two
    /// names and a key together stay below the 64 KiB that a key of the store may have.
    pub index_text_bytes_max: usize,
    /// Bytes of an incident's text.
    pub incident_text_bytes_max: usize,
    /// Subscriptions of one process that a message looks at, the oldest first. It wakes one of them: only those that
    /// can't be met now make it look further.
    pub subscriptions_per_process_max: usize,
    /// CloudEvents in one command (design §7).
    pub arrivals_per_command_max: usize,
    /// Identities kept in the dedup window, whatever their age.
    pub dedup_ids_max: u64,
    /// How long an identity is kept.
    pub dedup_window_ms: i64,
    /// How long the answer to an idempotent request is kept.
    pub request_window_ms: i64,
    /// Time to live of a message that a CloudEvent becomes, unless its binding says otherwise.
    pub binding_ttl_ms: i64,
    /// How long a timer waits that is due already when an element begins to wait for it (`PT0S`, a date in the past), so
    /// that a loop over it leaves time to others; Camunda looks at timers as often.
    pub timer_pause_ms: i64,
    /// Compiled definitions in memory.
    pub definitions_cached_max: usize,
    /// Jobs made available again in one step after a change of leader, entries swept from the dedup index in one step.
    pub sweep_max: usize,
    /// How long work on an instance that is set aside waits before it is looked at again.
    pub quarantine_pause_ms: i64,
    /// Subscribers. Each holds some memory for its deliveries.
    pub subscribers_max: usize,
    /// Bytes of a subscriber's document.
    pub subscriber_bytes_max: usize,
    /// How long work that failed and that no instance can keep waits before it is tried again. Each try that fails costs
    /// a recovery.
    pub failed_work_pause_ms: i64,
    /// Files in one deployment; Zeebe has no limit but the size of the message.
    pub resources_per_deployment_max: usize,
}

const HOUR_MS: i64 = 60 * 60 * 1000;
const MIB: usize = 1024 * 1024;

impl Limits {
    /// The documented defaults.
    pub const DEFAULT: Self = Self {
        steps_per_command_max: 1_000,
        events_per_command_max: 10_000,
        elements_per_instance_max: 20_000,
        run_length_max: 100_000,
        instance_bytes_max: 16 * MIB,
        expression_steps_max: 1_000_000,
        document_bytes_max: 4 * MIB,
        activation_bytes_max: 4 * MIB - 64 * 1024,
        jobs_per_activation_max: 1_000,
        index_text_bytes_max: 8 * 1024,
        incident_text_bytes_max: 8 * 1024,
        subscriptions_per_process_max: 100,
        arrivals_per_command_max: 1_000,
        dedup_ids_max: 10_000_000,
        dedup_window_ms: 24 * HOUR_MS,
        request_window_ms: 24 * HOUR_MS,
        binding_ttl_ms: HOUR_MS,
        timer_pause_ms: 100,
        definitions_cached_max: 1_000,
        sweep_max: 500,
        quarantine_pause_ms: 60_000,
        subscribers_max: 10_000,
        subscriber_bytes_max: 64 * 1024,
        failed_work_pause_ms: HOUR_MS,
        resources_per_deployment_max: 1_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
