//! What the screen remembers between two frames.

use std::time::{Duration, Instant};

use crate::demo::Wish;
use crate::demo::board::Board;
use crate::demo::host::Host;
use crate::demo::shop::Shop;

pub(super) struct State {
    pub(super) began: Instant,
    pub(super) addresses: String,
    pub(super) seed: u64,
    pub(super) rate: f64,
    pub(super) left: Option<Duration>,
    /// Position of the selected event; `None` follows the newest.
    pub(super) selected: Option<u64>,
    pub(super) popup: Option<Popup>,
    said: Option<(Instant, String)>,
}

/// What lies over the screen.
pub(super) enum Popup {
    Menu,
    Explanation(String),
}

/// Long enough to read a sentence twice.
const SAID_FOR: Duration = Duration::from_secs(8);

impl State {
    pub(super) fn new(host: &Host, shop: &Shop, wish: &Wish) -> Self {
        let bound = &host.bound;
        Self {
            began: Instant::now(),
            addresses: format!(
                "REST http://{} · gRPC {} · metrics http://{}/metrics",
                bound.rest, bound.grpc, bound.management
            ),
            seed: shop.seed(),
            rate: shop.rate(),
            left: wish.lasting,
            selected: None,
            popup: None,
            said: None,
        }
    }

    /// A state without a server, to be drawn.
    #[cfg(test)]
    pub(super) fn picture(popup: Option<Popup>) -> Self {
        Self {
            began: Instant::now(),
            addresses: "REST http://127.0.0.1:8080".to_owned(),
            seed: 42,
            rate: 3.0,
            left: None,
            selected: None,
            popup,
            said: None,
        }
    }

    pub(super) fn say(&mut self, text: String) {
        self.said = Some((Instant::now(), text));
    }

    /// The last thing said, while it is news.
    pub(super) fn said(&self) -> Option<&str> {
        self.said
            .as_ref()
            .filter(|(at, _)| at.elapsed() < SAID_FOR)
            .map(|(_, text)| text.as_str())
    }

    /// Moves the selection; the list is newest first, so up is newer.
    pub(super) fn select(&mut self, board: &Board, newer: i32) {
        let newest = board.events.keys().next_back().copied();
        let Some(current) = self.selected else {
            self.selected = newest;
            return;
        };
        let neighbour = if newer > 0 {
            board
                .events
                .range(current + 1..)
                .next()
                .map(|(position, _)| *position)
        } else {
            board
                .events
                .range(..current)
                .next_back()
                .map(|(position, _)| *position)
        };
        self.selected = neighbour.or(Some(current));
    }
}
