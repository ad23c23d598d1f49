//! The connection of a sink: made when it is needed, used again, replaced when it broke.

use std::fmt::Display;
use std::time::Instant;

use crate::backoff::{Backoff, Bounds};
use crate::status::{State, Status, count};

/// Callers keep it under a lock, so that many waiting publications make one connection.
#[derive(Debug)]
pub(crate) struct Link<C> {
    connection: Option<C>,
    backoff: Backoff,
    /// Until when the broker is left alone, and why.
    closed_until: Option<(Instant, String)>,
}

/// The broker is left alone after a failed attempt to connect.
#[derive(Debug, thiserror::Error)]
#[error("not tried again yet after: {last}")]
pub(crate) struct TooSoon {
    last: String,
}

impl<C> Link<C> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            connection: None,
            backoff: Backoff::new(bounds),
            closed_until: None,
        }
    }

    /// Gives the connection out of hand; the next publication makes a new one.
    pub(crate) fn take(&mut self) -> Option<C> {
        self.connection.take()
    }

    /// The connection, made anew where it is not `alive`.
    pub(crate) async fn connected<E: Display + From<TooSoon>>(
        &mut self,
        status: &Status,
        alive: impl Fn(&C) -> bool,
        connecting: impl Future<Output = Result<C, E>>,
    ) -> Result<&C, E> {
        if !self.connection.as_ref().is_some_and(alive) {
            self.connection = None;
            let connection = self.connect(status, connecting).await?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_ref().expect("it was made above"))
    }

    async fn connect<E: Display + From<TooSoon>>(
        &mut self,
        status: &Status,
        connecting: impl Future<Output = Result<C, E>>,
    ) -> Result<C, E> {
        if let Some((until, last)) = &self.closed_until
            && Instant::now() < *until
        {
            return Err(TooSoon { last: last.clone() }.into());
        }
        status.set_state(State::Connecting);
        match connecting.await {
            Ok(connection) => {
                self.backoff.reset();
                self.closed_until = None;
                status.set_state(State::Running);
                count(&status.connects, 1);
                Ok(connection)
            }
            Err(error) => {
                let until = Instant::now() + self.backoff.next_wait();
                self.closed_until = Some((until, error.to_string()));
                status.set_state(State::BackingOff);
                Err(error)
            }
        }
    }
}
