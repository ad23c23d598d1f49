//! Collects diagnostics and turns nodes of the document into places for people.
//!
//! Invariant: the number of kept diagnostics is bounded, an error is never lost behind warnings. Deliberately absent:
//! deciding what is wrong.

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::xml::{Document, Namespace, NodeId, Position};

/// Nobody reads more, and a generated model could otherwise turn 4 MiB of faults into a gigabyte of text.
const DIAGNOSTICS_MAX: usize = 500;

/// What a diagnostic is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    Node(NodeId),
    Attribute(NodeId, &'a str),
    /// The text inside.
    Text(NodeId),
}

impl At<'_> {
    pub(super) fn node(self) -> NodeId {
        match self {
            Self::Node(id) | Self::Attribute(id, _) | Self::Text(id) => id,
        }
    }
}

pub(super) struct Report<'d> {
    file: Arc<str>,
    document: &'d Document,
    /// Whether the document is being judged (deployment) or only built again (replay).
    judging: bool,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
}

impl<'d> Report<'d> {
    pub(super) fn new(file_name: &str, document: &'d Document, judging: bool) -> Self {
        Self {
            file: file_name.into(),
            document,
            judging,
            diagnostics: Vec::new(),
            errors: 0,
        }
    }

    /// The diagnostics in document order, and whether none is an error.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, bool) {
        self.diagnostics
            .sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        // What several users share, such as a message, is looked at for each of them.
        self.diagnostics.dedup();
        (self.diagnostics, self.errors == 0)
    }

    /// Something that cannot be built.
    pub(super) fn error(
        &mut self,
        code: Code,
        at: At<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors += 1;
        if self.errors <= DIAGNOSTICS_MAX {
            self.push(Severity::Error, code, at, message.into(), help.into());
        }
    }

    /// Something that could be built but must not be accepted. Not looked at on replay.
    pub(super) fn rule(
        &mut self,
        code: Code,
        at: At<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.judging {
            self.error(code, at, message, help);
        }
    }

    /// Something that is accepted and probably not meant so.
    pub(super) fn warn(
        &mut self,
        code: Code,
        at: At<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.judging && self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.push(Severity::Warning, code, at, message.into(), help.into());
        }
    }

    pub(super) fn unknown_element(&mut self, id: NodeId) {
        let node = self.document.node(id);
        let (message, help) = match node.namespace {
            Namespace::Bpmn => (
                format!("<{}> is not known here", node.name),
                "Remove it, or correct its name.",
            ),
            _ => (
                format!(
                    "<{}{}> stands where only BPMN elements may",
                    node.namespace.prefix(),
                    node.name
                ),
                "Put extensions inside <extensionElements>, and BPMN elements into the BPMN namespace.",
            ),
        };
        self.error(Code::UnknownElement, At::Node(id), message, help);
    }

    pub(super) fn missing(&mut self, id: NodeId, attribute: &str, help: &str) {
        let node = self.document.node(id);
        let prefix = if node.namespace == Namespace::Bpmn {
            ""
        } else {
            node.namespace.prefix()
        };
        self.error(
            Code::Missing,
            At::Node(id),
            format!(
                "attribute '{attribute}' of <{prefix}{}> is missing or empty",
                node.name
            ),
            help,
        );
    }

    pub(super) fn position(&self, at: At<'_>) -> Position {
        let node = self.document.node(at.node());
        let offset = match at {
            At::Node(_) => node.offset,
            At::Attribute(_, name) => node
                .attribute(name)
                .map_or(node.offset, |attribute| attribute.offset),
            At::Text(_) => {
                if node.text.is_empty() {
                    node.offset
                } else {
                    node.text_offset
                }
            }
        };
        self.document.position(offset)
    }

    fn push(&mut self, severity: Severity, code: Code, at: At<'_>, message: String, help: String) {
        let Position { line, column } = self.position(at);
        let (owner, path) = self.owner(at.node());
        let (element_id, element_kind) = match owner.map(|owner| self.document.node(owner)) {
            Some(node) => (
                node.value("id").map(Arc::from),
                Some(Arc::from(&*node.name)),
            ),
            None => (None, None),
        };
        let file = self.file.clone();
        self.diagnostics.push(Diagnostic {
            code,
            severity,
            file,
            line,
            column,
            element_id,
            element_kind,
            path,
            message,
            help,
        });
    }

    /// The nearest element with an id, and the way from it down to `id`.
    fn owner(&self, id: NodeId) -> (Option<NodeId>, String) {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(current) = at {
            let node = self.document.node(current);
            if let Some(id) = node.value("id") {
                names.push(id);
                names.reverse();
                return (Some(current), names.join(" > "));
            }
            names.push(&node.name);
            at = node.parent;
        }
        names.reverse();
        (None, names.join(" > "))
    }
}

/// A finding about the file itself.
pub(super) fn of_file(
    file_name: &str,
    code: Code,
    position: Position,
    message: String,
    help: &str,
) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        file: file_name.into(),
        line: position.line,
        column: position.column,
        element_id: None,
        element_kind: None,
        path: String::new(),
        message,
        help: help.to_owned(),
    }
}
