//! The life of an element instance, as one pure function.
//!
//! **Invariant**: a state changes only along [`ElementState::next`]; everything else is our own fault and panics where
//! the event is decided, so that no such event is ever written.

/// Where an element instance is in its life. Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ElementState {
    /// Entered: inputs are mapped and subscriptions opened. An incident on the way leaves it here.
    Activating = 1,
    /// At work or waiting.
    Activated = 2,
    /// Done: outputs are mapped. An incident on the way leaves it here.
    Completing = 3,
    Completed = 4,
    /// Being ended from outside; children go first.
    Terminating = 5,
    Terminated = 6,
}

/// What happens to an element instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleStep {
    Activated,
    Completing,
    Completed,
    Terminating,
    Terminated,
}

impl ElementState {
    /// The state after `step`, or `None` where that can't happen.
    #[must_use]
    pub const fn next(self, step: LifecycleStep) -> Option<Self> {
        match (self, step) {
            (Self::Activating, LifecycleStep::Activated) => Some(Self::Activated),
            (Self::Activated, LifecycleStep::Completing) => Some(Self::Completing),
            (Self::Completing, LifecycleStep::Completed) => Some(Self::Completed),
            (Self::Activating | Self::Activated | Self::Completing, LifecycleStep::Terminating) => {
                Some(Self::Terminating)
            }
            (Self::Terminating, LifecycleStep::Terminated) => Some(Self::Terminated),
            _ => None,
        }
    }

    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activating => "ACTIVATING",
            Self::Activated => "ACTIVATED",
            Self::Completing => "COMPLETING",
            Self::Completed => "COMPLETED",
            Self::Terminating => "TERMINATING",
            Self::Terminated => "TERMINATED",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn the_table_is_this() {
        use ElementState as S;
        use LifecycleStep as L;
        let mut mermaid = String::from("stateDiagram-v2\n    [*] --> Activating\n");
        for state in [
            S::Activating,
            S::Activated,
            S::Completing,
            S::Completed,
            S::Terminating,
            S::Terminated,
        ] {
            let mut last = true;
            for step in [
                L::Activated,
                L::Completing,
                L::Completed,
                L::Terminating,
                L::Terminated,
            ] {
                if let Some(next) = state.next(step) {
                    last = false;
                    writeln!(mermaid, "    {state:?} --> {next:?}").unwrap();
                }
            }
            if last {
                writeln!(mermaid, "    {state:?} --> [*]").unwrap();
            }
        }
        expect![[r#"
            stateDiagram-v2
                [*] --> Activating
                Activating --> Activated
                Activating --> Terminating
                Activated --> Completing
                Activated --> Terminating
                Completing --> Completed
                Completing --> Terminating
                Completed --> [*]
                Terminating --> Terminated
                Terminated --> [*]
        "#]]
        .assert_eq(&mermaid);
    }
}
