//! The "break something" menu: what a person can do to the shop, and what to look for then.

use std::sync::Mutex;

/// Something to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breakage {
    WrongKey,
    LateEvent,
    Duplicate,
    FailingWorker,
    HotTruck,
    PoisonMessage,
}

impl Breakage {
    pub(super) const ALL: [Self; 6] = [
        Self::WrongKey,
        Self::LateEvent,
        Self::Duplicate,
        Self::FailingWorker,
        Self::HotTruck,
        Self::PoisonMessage,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::WrongKey => "wrong key",
            Self::LateEvent => "late event",
            Self::Duplicate => "duplicate",
            Self::FailingWorker => "failing worker",
            Self::HotTruck => "hot truck",
            Self::PoisonMessage => "poison message",
        }
    }

    /// What will happen.
    pub(super) const fn effect(self) -> &'static str {
        match self {
            Self::WrongKey => {
                "the next payment has a space behind its key: explain it, see the order wait and be cancelled"
            }
            Self::LateEvent => {
                "the next payment comes after its order was cancelled: explain it; a refund follows"
            }
            Self::Duplicate => "the last event is sent again: DUPLICATE, no effect",
            Self::FailingWorker => {
                "the card reader breaks for three jobs without retries: three incidents to resolve"
            }
            Self::HotTruck => "the next truck reports 12 degrees: a boundary event re-routes it",
            Self::PoisonMessage => {
                "an order without an id: its instance stops with an incident where the key is missing"
            }
        }
    }
}

/// What was asked for and has not happened yet. Each wish is used up by the next event it fits.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    waiting: Mutex<Vec<Breakage>>,
}

impl Wishes {
    pub(super) fn add(&self, breakage: Breakage) {
        self.waiting
            .lock()
            .expect("invariant: nothing panics while holding the list")
            .push(breakage);
    }

    /// Takes one wish of that kind, if there is one.
    pub(super) fn take(&self, breakage: Breakage) -> bool {
        let mut waiting = self
            .waiting
            .lock()
            .expect("invariant: nothing panics while holding the list");
        let found = waiting.iter().position(|wish| *wish == breakage);
        found.map(|index| waiting.remove(index)).is_some()
    }
}
