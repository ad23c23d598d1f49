//! The way of effects from the writer's thread to those who act on them.
//!
//! **Invariant**: never blocks the writer. Effects that come before the gateway is there are dropped, which is allowed:
//! no client can wait for them yet, and the outbox is read from state when delivery starts.

use std::sync::{Arc, OnceLock};

use kapelle_engine::effect::Effect;
use kapelle_engine::ids::{OutboxKey, Sequence};
use kapelle_runtime::effects::EffectSink;
use tokio::sync::mpsc;

use crate::gateway::Gateway;

/// Entries of the outbox that became ready. A full channel drops hints; delivery looks into state by itself then.
const OUTBOX_HINTS_MAX: usize = 4_096;

/// Both ends of the way.
pub(super) struct Outlet {
    gateway: Arc<OnceLock<Arc<Gateway>>>,
    outbox: mpsc::Sender<OutboxKey>,
}

/// The end at the partition.
pub(super) struct Sink {
    gateway: Arc<OnceLock<Arc<Gateway>>>,
    outbox: mpsc::Sender<OutboxKey>,
}

/// An outlet and what comes out of it for delivery.
pub(super) fn new() -> (Outlet, mpsc::Receiver<OutboxKey>) {
    let (outbox, hints) = mpsc::channel(OUTBOX_HINTS_MAX);
    (
        Outlet {
            gateway: Arc::default(),
            outbox,
        },
        hints,
    )
}

impl Outlet {
    pub(super) fn sink(&self) -> Sink {
        Sink {
            gateway: Arc::clone(&self.gateway),
            outbox: self.outbox.clone(),
        }
    }

    pub(super) fn connect(&self, gateway: &Arc<Gateway>) {
        // Set once in a server's life.
        self.gateway.set(Arc::clone(gateway)).ok();
    }
}

impl EffectSink for Sink {
    fn release(&mut self, _: Sequence, effect: Effect) {
        match effect {
            Effect::OutboxReady { entry } => drop(self.outbox.try_send(entry)),
            effect => {
                if let Some(gateway) = self.gateway.get() {
                    gateway.release(effect);
                }
            }
        }
    }
}
