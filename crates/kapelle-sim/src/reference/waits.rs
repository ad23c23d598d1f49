//! What element instances wait for: subscriptions and timers.
//!
//! All that an element waits for is looked at before the first of it is opened: a problem on the way leaves nothing open.

use kapelle_engine::event::KeyKind;

use super::elements::Problem;
use super::said::{Name, Said, TimerOf};
use super::state::{At, Open, Timer};
use super::{Reference, Step, count};
use crate::process::{Boundary, Wait};
use crate::value::Value;

/// What somebody is about to wait for.
pub(super) enum Waiting {
    Message {
        name: Name,
        key: Name,
        kind: KeyKind,
        once: bool,
    },
    Timer {
        due: i64,
        left: Option<u32>,
    },
}

impl Reference {
    /// What boundary events wait for; they stand outside of their host and do not see its own variables.
    pub(super) fn boundary_waits(
        &self,
        at: At,
        boundaries: &[Boundary],
    ) -> Result<Vec<(Name, Waiting)>, Problem> {
        let outside = self.scope_of(at);
        let mut waits = Vec::new();
        for boundary in boundaries {
            if let Some(wait) = boundary.wait() {
                let waiting = self.evaluate_wait(at, outside, wait, boundary.interrupts())?;
                waits.push((boundary.name.as_str().into(), waiting));
            }
        }
        Ok(waits)
    }

    pub(super) fn evaluate_wait(
        &self,
        at: At,
        sight: At,
        wait: &Wait,
        once: bool,
    ) -> Result<Waiting, Problem> {
        Ok(match wait {
            Wait::Message { name, .. } => {
                let value = self.case(at.case).sees(sight.node, "k");
                let kind = match value {
                    Value::Number(_) => KeyKind::Number,
                    _ => KeyKind::Text,
                };
                let key = value.as_text().ok_or(Problem::VALUE)?;
                Waiting::Message {
                    name: (*name).into(),
                    key,
                    kind,
                    once,
                }
            }
            Wait::After(ms) => Waiting::Timer {
                due: self.soonest(self.now + ms),
                left: Some(0),
            },
            Wait::Every { times, ms } => Waiting::Timer {
                due: self.now + ms,
                left: Some(times - 1),
            },
            Wait::At(_, ms) => Waiting::Timer {
                due: self.soonest(*ms),
                left: Some(0),
            },
        })
    }

    /// What would be due at once is so a little later.
    fn soonest(&self, due: i64) -> i64 {
        if due > self.now {
            due
        } else {
            self.now + self.limits.timer_pause_ms
        }
    }

    pub(super) fn open(&mut self, at: At, waits: Vec<(Name, Waiting)>) {
        let node = self.node(at);
        for (element, waiting) in waits {
            match waiting {
                Waiting::Message {
                    name,
                    key,
                    kind,
                    once,
                } => {
                    let is_there = self.messages.values().any(|message| {
                        message.publication.name == name && message.publication.key == key
                    });
                    self.say(Said::Opened {
                        node: node.clone(),
                        element: element.clone(),
                        name: name.clone(),
                        key: key.clone(),
                        kind,
                        once,
                    });
                    let made = count(&mut self.made.waits);
                    let open = Open {
                        made,
                        element: element.clone(),
                        name,
                        key,
                        kind,
                        once,
                    };
                    self.standing_mut(at).waits.push(open);
                    if is_there {
                        self.push_step(Step::MeetBuffered { at, element });
                    }
                }
                Waiting::Timer { due, left } => self.set_timer(at, element, due, left),
            }
        }
    }

    pub(super) fn set_timer(&mut self, at: At, element: Name, due: i64, left: Option<u32>) {
        let of = TimerOf::Node(self.node(at), element.clone());
        self.say(Said::TimerSet { of, due, left });
        let timer = Timer {
            element,
            due,
            left,
            dropped: false,
        };
        self.standing_mut(at).timers.push(timer);
    }

    /// It waits for nothing any more.
    pub(super) fn close_all(&mut self, at: At) {
        let node = self.node(at);
        let standing = self.standing_mut(at);
        let (waits, timers) = (
            std::mem::take(&mut standing.waits),
            std::mem::take(&mut standing.timers),
        );
        for open in waits {
            self.say(Said::Closed {
                node: node.clone(),
                element: open.element,
            });
        }
        for timer in timers {
            self.say(Said::TimerGone {
                of: TimerOf::Node(node.clone(), timer.element),
            });
        }
    }
}
