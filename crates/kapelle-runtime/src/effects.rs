//! Where effects go once they may leave.

use kapelle_engine::effect::Effect;
use kapelle_engine::ids::Sequence;

/// Takes the effects of durable decisions, on the writer's thread.
///
/// An implementation must not block: it hands the effect to whoever acts on it. It may drop one, since every effect can be
/// derived again from state; a job whose push was dropped is given back with `Command::YieldJob`.
pub trait EffectSink: Send {
    /// `sequence` is the last record of the decision that caused it.
    fn release(&mut self, sequence: Sequence, effect: Effect);
}

impl<F: FnMut(Sequence, Effect) + Send> EffectSink for F {
    fn release(&mut self, sequence: Sequence, effect: Effect) {
        self(sequence, effect);
    }
}

/// For who only wants the state.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEffects;

impl EffectSink for NoEffects {
    fn release(&mut self, _sequence: Sequence, _effect: Effect) {}
}
