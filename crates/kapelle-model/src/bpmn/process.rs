//! One process: scopes, elements and flows in the order the graph promises, then what each element does.
//!
//! Invariant: every flow node of the document gets an element, a refused one a placeholder that does nothing, so that
//! references to it still resolve and are judged for themselves. Deliberately absent: rules over several elements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Code;
use crate::graph::{
    Element, ElementIndex, ElementKind, ElementType, EventType, Flow, FlowIndex, Message,
    MessageIndex, Process,
};
use crate::xml::{Document, Namespace, Node, NodeId};

use super::report::{At, Report};
use super::{Definitions, element, extension, rules, tag, value};

/// A process while it is being built.
pub(super) struct Builder<'s, 'd> {
    pub(super) document: &'d Document,
    pub(super) definitions: &'s Definitions<'d>,
    pub(super) report: &'s mut Report<'d>,
    pub(super) process: Process,
    /// The node of each element, by its index.
    pub(super) nodes: Vec<NodeId>,
    /// The node of each flow, by its index.
    pub(super) flow_nodes: Vec<NodeId>,
    /// Elements that are placeholders: rules about them or their neighbours would only repeat what is already said.
    pub(super) refused: BTreeSet<ElementIndex>,
    pub(super) messages: BTreeMap<NodeId, MessageIndex>,
    /// The start events of each scope that has any, in document order.
    pub(super) starts: BTreeMap<ElementIndex, Vec<ElementIndex>>,
}

pub(super) fn build<'d>(
    definitions: &Definitions<'d>,
    report: &mut Report<'d>,
    id: NodeId,
) -> Process {
    let document = definitions.document;
    let node = document.node(id);
    let name: Arc<str> = node.value("id").unwrap_or_default().into();
    let process = Process {
        id: name,
        name: node.value("name").map(Arc::from),
        version_tag: version_tag(document, id),
        elements: Vec::new(),
        flows: Vec::new(),
        messages: Vec::new(),
        none_start: None,
        message_starts: Vec::new(),
        timer_starts: Vec::new(),
        ids: BTreeMap::new(),
    };
    let mut builder = Builder {
        document,
        definitions,
        report,
        process,
        nodes: Vec::new(),
        flow_nodes: Vec::new(),
        refused: BTreeSet::new(),
        messages: BTreeMap::new(),
        starts: BTreeMap::new(),
    };
    builder.push(id, ElementIndex::ROOT, ElementType::Process);
    extension::check(&mut builder, id, &["versionTag", "userTaskForm"]);
    let mut flows = Vec::new();
    builder.collect(id, ElementIndex::ROOT, &mut flows);
    builder.connect(&flows);
    for index in builder.process.indexes().skip(1) {
        element::build(&mut builder, index);
    }
    rules::check(&mut builder);
    builder.process
}

fn version_tag(document: &Document, id: NodeId) -> Option<Arc<str>> {
    let tag = extension::find(document, id, Namespace::Zeebe, "versionTag")?;
    value::attribute(document, tag, "value").map(Arc::from)
}

impl<'d> Builder<'_, 'd> {
    pub(super) fn node(&self, index: ElementIndex) -> NodeId {
        self.nodes[index.0 as usize]
    }

    pub(super) fn element(&mut self, index: ElementIndex) -> &mut Element {
        &mut self.process.elements[index.0 as usize]
    }

    pub(super) fn message(
        &mut self,
        node: NodeId,
        message: impl FnOnce(&mut Self) -> Message,
    ) -> MessageIndex {
        if let Some(index) = self.messages.get(&node) {
            return *index;
        }
        let message = message(self);
        let index = MessageIndex(
            u32::try_from(self.process.messages.len())
                .expect("invariant: fewer messages than elements of the document"),
        );
        self.process.messages.push(message);
        self.messages.insert(node, index);
        index
    }

    fn push(&mut self, id: NodeId, scope: ElementIndex, element_type: ElementType) -> ElementIndex {
        let node = self.document.node(id);
        let index = ElementIndex(
            u32::try_from(self.process.elements.len())
                .expect("invariant: a document has fewer elements"),
        );
        let name: Arc<str> = self.id_of(id, node);
        self.process.elements.push(Element {
            id: name.clone(),
            name: node.value("name").map(Arc::from),
            element_type,
            event_type: EventType::Unspecified,
            // The process is one; everything else is a placeholder until `element::build` comes to it.
            kind: if element_type == ElementType::Process {
                ElementKind::Process
            } else {
                ElementKind::PassThroughTask
            },
            scope,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            boundary: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            line: self.report.position(At::Node(id)).line,
        });
        self.nodes.push(id);
        if element_type == ElementType::StartEvent {
            self.starts.entry(scope).or_default().push(index);
        }
        self.process.ids.insert(name, index);
        index
    }

    fn id_of(&mut self, id: NodeId, node: &Node) -> Arc<str> {
        let name = node.value("id").unwrap_or_default();
        if name.is_empty() {
            let message = format!("<{}> has no id", node.name);
            self.report.error(
                Code::InvalidId,
                At::Node(id),
                message,
                "Give it an id; it names the element in the API.",
            );
        } else if !is_xml_name(name) {
            let message = format!("'{}' is no valid id", value::quoted(name));
            let help = "An id begins with a letter or '_' and goes on with letters, digits, '-', '_' and '.'.";
            self.report
                .rule(Code::InvalidId, At::Attribute(id, "id"), message, help);
        } else if name.len() > ID_BYTES_MAX {
            let message = format!("the id is longer than {ID_BYTES_MAX} bytes");
            self.report.rule(
                Code::InvalidId,
                At::Attribute(id, "id"),
                message,
                "Shorten it.",
            );
        }
        name.into()
    }

    /// Elements of a scope before those of the next, a parent before its children. Recursion is bounded by the depth of
    /// the document.
    fn collect(&mut self, scope_node: NodeId, scope: ElementIndex, flows: &mut Vec<NodeId>) {
        for (id, node) in self.document.children(scope_node) {
            if node.namespace != Namespace::Bpmn {
                self.report.unknown_element(id);
            } else if &*node.name == "sequenceFlow" {
                flows.push(id);
            } else if let Some(element_type) = tag::element_type(&node.name) {
                let index = self.push(id, scope, element_type);
                if element_type == ElementType::SubProcess {
                    self.collect(id, index, flows);
                }
            } else if let Some(remedy) = tag::refused_flow_node(&node.name) {
                let index = self.push(id, scope, ElementType::Task);
                self.refused.insert(index);
                self.report.error(
                    Code::NotExecutable,
                    At::Node(id),
                    format!("<{}> is not executable yet", node.name),
                    remedy,
                );
            } else if !tag::is_description(&node.name) && tag::refused_marker(&node.name).is_none()
            {
                self.report.unknown_element(id);
            }
        }
    }

    fn connect(&mut self, flows: &[NodeId]) {
        for id in flows {
            let source = self.end_of_flow(*id, "sourceRef");
            let target = self.end_of_flow(*id, "targetRef");
            let node = self.document.node(*id);
            let name = self.id_of(*id, node);
            let condition = self.condition(*id);
            self.check_flow_children(*id);
            let (Some(source), Some(target)) = (source, target) else {
                continue;
            };
            if self.process.element(source).scope != self.process.element(target).scope {
                let message = format!(
                    "it connects '{}' and '{}', which stand in different scopes",
                    self.id(source),
                    self.id(target)
                );
                let help = "Let the flow end inside the subprocess and begin a new one outside.";
                self.report
                    .error(Code::SequenceFlow, At::Node(*id), message, help);
                continue;
            }
            let index = FlowIndex(
                u32::try_from(self.process.flows.len())
                    .expect("invariant: a document has fewer elements"),
            );
            let line = self.report.position(At::Node(*id)).line;
            let name_of_flow = node.value("name").map(Arc::from);
            self.process.flows.push(Flow {
                id: name,
                name: name_of_flow,
                source,
                target,
                condition,
                is_default: false,
                line,
            });
            self.flow_nodes.push(*id);
            self.element(source).outgoing.push(index);
            self.element(target).incoming.push(index);
        }
    }

    fn end_of_flow(&mut self, id: NodeId, attribute: &str) -> Option<ElementIndex> {
        let Some(reference) = value::attribute(self.document, id, attribute) else {
            self.report
                .missing(id, attribute, "A sequence flow connects two elements.");
            return None;
        };
        let found = self.find(reference);
        if found.is_none() {
            let message = format!(
                "'{attribute}' refers to '{}', which is no flow node of this process",
                value::quoted(reference)
            );
            self.report.error(
                Code::BrokenReference,
                At::Attribute(id, attribute),
                message,
                "Correct the reference, or remove the flow.",
            );
        }
        found
    }

    /// The flow node a reference names.
    pub(super) fn find(&self, reference: &str) -> Option<ElementIndex> {
        self.process
            .find(reference)
            .or_else(|| self.process.find(value::local_name(reference)))
            .filter(|index| *index != ElementIndex::ROOT)
    }

    fn condition(&mut self, id: NodeId) -> Option<kapelle_feel::Expr> {
        let condition = self
            .document
            .named(id, Namespace::Bpmn, "conditionExpression")
            .next()?;
        value::required_expression(
            self.report,
            At::Text(condition),
            &self.document.node(condition).text,
        )
    }

    fn check_flow_children(&mut self, id: NodeId) {
        for (child, node) in self.document.children(id) {
            if node.namespace != Namespace::Bpmn
                || !(tag::is_description(&node.name) || &*node.name == "conditionExpression")
            {
                self.report.unknown_element(child);
            }
        }
        extension::check(self, id, &[]);
    }

    pub(super) fn id(&self, index: ElementIndex) -> Arc<str> {
        self.process.element(index).id.clone()
    }

    /// Marks an element as a placeholder: what is wrong with it has been said.
    pub(super) fn refuse(
        &mut self,
        index: ElementIndex,
        code: Code,
        at: At<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report.error(code, at, message, help);
        self.refused.insert(index);
    }
}

/// Longer names do not fit where ids are part of keys.
const ID_BYTES_MAX: usize = 255;

/// An XML name without colon, near enough: what ids are in the schema.
fn is_xml_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\u{b7}'))
}
