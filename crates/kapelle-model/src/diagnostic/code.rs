//! The numbers of diagnostics.
//!
//! Invariant: a number means the same in every release. Deliberately absent: texts, which the place that finds a fault
//! writes best.

use std::fmt;

/// Stable code of a diagnostic, shown as `KAP-BPMN-0012`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub enum Code {
    /// The bytes are not text in the encoding they claim.
    Encoding = 1,
    /// The XML is not well formed.
    XmlSyntax = 2,
    /// A document type declaration or an entity.
    XmlDoctype = 3,
    /// A limit on bytes, depth, elements or attributes is reached.
    TooLarge = 4,
    /// The root is not `definitions` in the BPMN namespace.
    NotBpmn = 5,
    /// An element that BPMN does not know, or of another namespace where none may stand.
    UnknownElement = 6,
    /// No process is executable.
    NoExecutableProcess = 7,
    /// A part of BPMN that does not run yet.
    NotExecutable = 8,
    /// An id is missing or is no XML name.
    InvalidId = 9,
    DuplicateId = 10,
    /// A required attribute or child is missing or empty.
    Missing = 11,
    /// An attribute has a value outside its domain.
    InvalidValue = 12,
    /// A reference names nothing, or something of another kind or scope.
    BrokenReference = 13,
    /// An expression does not parse.
    Expression = 14,
    /// A static text stands where an expression must.
    ExpressionRequired = 15,
    /// An expression stands where a constant must.
    ConstantRequired = 16,
    /// A timer does not parse, or its kind is not allowed there.
    Timer = 17,
    /// A process without start event, or with several none start events; a subprocess likewise.
    StartEvents = 18,
    /// An event with several definitions, or with one that is not allowed there.
    EventDefinition = 19,
    /// A flow where none may be: into a start, out of an end, across a scope.
    SequenceFlow = 20,
    /// A condition is missing, or stands where none may.
    Condition = 21,
    DefaultFlow = 22,
    EventBasedGateway = 23,
    /// A boundary event on something that is no activity, or not interrupting where it must be.
    BoundaryEvent = 24,
    /// A message without name, subscription or key.
    Message = 25,
    /// The same message, error or timer twice where one would never be reached.
    DuplicateTrigger = 26,
    /// None, several or the wrong implementation of a task or event.
    Implementation = 27,
    /// A mapping without source, or with a target that is no path.
    Mapping = 28,
    /// A cycle without any element that waits.
    EndlessLoop = 29,
    /// An extension element that is unknown, repeated or without effect at its place.
    Extension = 30,
    /// An element that no token can reach.
    Unreachable = 31,
    Form = 32,
    Assignment = 33,
}

impl Code {
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KAP-BPMN-{:04}", self.number())
    }
}
