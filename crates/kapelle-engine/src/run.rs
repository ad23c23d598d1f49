//! Runs: all that one thing from outside makes happen, over all instances, messages and left-over follow-ups.
//!
//! A message that an element throws may start or wake the very process that threw it. No path inside of one instance is
//! endless then, and no command; only all of it together is. So what is counted are the elements entered in a run,
//! whoever enters them: at the limit they get an incident each, and resolving one begins a run.
//!
//! A run begins with each command from outside, with each due one, with each CloudEvent of a batch, and with each message
//! from outside that waited in the buffer. It never begins by what an element throws.
//!
//! **Invariant**: the count takes part in decisions, never in replay. It goes along with what is left over; an engine
//! that begins in the middle counts on from there, and may only miss what siblings entered meanwhile.

use std::collections::BTreeMap;

use crate::ids::Sequence;

/// A run, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Where it began: tells runs apart.
    pub(crate) began: Sequence,
    /// Elements entered so far.
    pub(crate) entered: u32,
}

impl Run {
    pub(crate) const fn begin(began: Sequence) -> Self {
        Self { began, entered: 0 }
    }
}

/// Runs that go on in later commands.
#[derive(Debug, Default)]
pub(crate) struct Runs(BTreeMap<Sequence, Open>);

#[derive(Debug, Default)]
struct Open {
    entered: u32,
    /// Follow-ups that are still to be decided.
    left: usize,
}

impl Runs {
    /// A follow-up of the run is left over.
    pub(crate) fn leave(&mut self, run: Run) {
        let open = self.0.entry(run.began).or_default();
        open.entered = open.entered.max(run.entered);
        open.left += 1;
    }

    /// A follow-up is decided now: its run, with all that was entered since it was left over.
    pub(crate) fn take_up(&mut self, run: Run) -> Run {
        let Some(open) = self.0.get_mut(&run.began) else {
            return run;
        };
        let entered = open.entered.max(run.entered);
        open.left -= 1;
        if open.left == 0 {
            self.0.remove(&run.began);
        }
        Run { entered, ..run }
    }

    /// A decision has gone on with the run.
    pub(crate) fn note(&mut self, run: Run) {
        if let Some(open) = self.0.get_mut(&run.began) {
            open.entered = open.entered.max(run.entered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_count_together_and_nothing_is_kept_of_a_run_that_is_over() {
        let mut runs = Runs::default();
        let began = Run::begin(Sequence(7));
        runs.leave(Run {
            entered: 3,
            ..began
        });
        runs.leave(Run {
            entered: 3,
            ..began
        });
        let first = runs.take_up(Run {
            entered: 3,
            ..began
        });
        runs.note(Run {
            entered: first.entered + 5,
            ..began
        });
        assert_eq!(
            runs.take_up(Run {
                entered: 3,
                ..began
            })
            .entered,
            8
        );
        assert!(runs.0.is_empty());
    }
}
