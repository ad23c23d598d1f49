//! What went wrong on the way without stopping the evaluation: a failed operation is null, and the reason is kept.

use std::fmt;

/// A reason for a null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What sort of reason.
    pub kind: WarningKind,
    /// The reason for people.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.kind.code(), self.message)
    }
}

/// The sorts of reasons, as feel-scala has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// No variable has that name.
    NoVariableFound,
    /// A context has no entry of that name.
    NoContextEntryFound,
    /// A value has no property of that name.
    NoPropertyFound,
    /// No function has that name and takes those arguments.
    NoFunctionFound,
    /// A function was called with arguments that it cannot take, or failed.
    FunctionInvocationFailure,
    /// A value is of another type than the operation needs.
    InvalidType,
    /// Two values cannot be compared.
    NotComparable,
    /// A list has no element at that index.
    OutOfBounds,
}

impl WarningKind {
    /// The name in Camunda's API.
    pub fn code(self) -> &'static str {
        match self {
            WarningKind::NoVariableFound => "NO_VARIABLE_FOUND",
            WarningKind::NoContextEntryFound => "NO_CONTEXT_ENTRY_FOUND",
            WarningKind::NoPropertyFound => "NO_PROPERTY_FOUND",
            WarningKind::NoFunctionFound => "NO_FUNCTION_FOUND",
            WarningKind::FunctionInvocationFailure => "FUNCTION_INVOCATION_FAILURE",
            WarningKind::InvalidType => "INVALID_TYPE",
            WarningKind::NotComparable => "NOT_COMPARABLE",
            WarningKind::OutOfBounds => "OUT_OF_BOUNDS",
        }
    }
}
