//! BPMN 2.0 XML into [`Process`]es.
//!
//! Purpose: the first front end of the executable graph. [`parse_bpmn`] decides whether a model is accepted and says why
//! not; [`compile`] makes the same graph again from bytes that were accepted once.
//!
//! Invariants:
//! * Nothing that would change what a process does is ignored: it runs as BPMN says, or the model is refused.
//! * One bad element does not hide the next ten: building goes on with a placeholder.
//! * `compile` of accepted bytes does not fail in later releases. So a check that later releases may sharpen goes through
//!   [`Report::rule`], which `compile` skips; [`Report::error`] is for what cannot be built at all.
//!
//! Deliberately absent: what is drawing only (lanes, pools, message flows, data objects, artifacts, diagrams).

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::graph::Process;
use crate::xml::{self, Document, Limits, Namespace, NodeId};

mod action;
mod element;
mod event;
mod extension;
mod inbound;
mod mapping;
mod message;
mod process;
mod report;
mod rules;
mod tag;
mod user_task;
mod value;

use report::{At, Report};

/// Version of what the front end makes of a document. A release that compiles the same bytes to another behaviour raises
/// it and keeps compiling documents deployed under an older one as that one did.
pub const SEMANTICS: u16 = 1;

/// What a BPMN document is to the engine: its executable processes, in document order.
#[derive(Clone, Debug)]
pub struct Bpmn {
    pub processes: Vec<Process>,
}

/// Why accepted bytes did not compile: they are not the bytes that were accepted, or a newer release accepted them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CompileError {
    #[error(
        "the definition was deployed under model semantics {deployed}, this release knows up to {known}"
    )]
    NewerSemantics { deployed: u16, known: u16 },
    #[error("the stored definition does not compile: {first}")]
    Damaged { first: String },
}

/// Reads a document for deployment. There are processes if and only if no diagnostic is an error.
#[must_use]
pub fn parse_bpmn(file_name: &str, xml: &[u8], limits: &Limits) -> (Option<Bpmn>, Vec<Diagnostic>) {
    let document = match Document::parse(xml, limits) {
        Ok(document) => document,
        Err(error) => return (None, vec![xml_diagnostic(file_name, &error)]),
    };
    let mut report = Report::new(file_name, &document, true);
    let bpmn = read(&document, &mut report);
    let (diagnostics, accepted) = report.finish();
    (bpmn.filter(|_| accepted), diagnostics)
}

/// Reads bytes again that [`parse_bpmn`] accepted under `semantics`, as a replay does.
pub fn compile(xml: &[u8], semantics: u16) -> Result<Bpmn, CompileError> {
    if semantics > SEMANTICS {
        return Err(CompileError::NewerSemantics {
            deployed: semantics,
            known: SEMANTICS,
        });
    }
    // The limits of the day it was accepted may have been wider than today's.
    let unlimited = Limits {
        bytes_max: usize::MAX,
        depth_max: Limits::DEPTH_MAX,
        elements_max: usize::MAX,
        attributes_max: usize::MAX,
    };
    let document = Document::parse(xml, &unlimited).map_err(|error| CompileError::Damaged {
        first: error.kind.to_string(),
    })?;
    let mut report = Report::new("", &document, false);
    let bpmn = read(&document, &mut report);
    let (diagnostics, accepted) = report.finish();
    match bpmn {
        Some(bpmn) if accepted => Ok(bpmn),
        _ => {
            let first = diagnostics.into_iter().find(Diagnostic::is_error);
            Err(CompileError::Damaged {
                first: first.map(|d| d.message).unwrap_or_default(),
            })
        }
    }
}

/// What a document holds, whether or not it is executable: for tools and conformance runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outline {
    pub processes: usize,
    pub flow_nodes: usize,
    pub sequence_flows: usize,
}

/// Reads a document without asking whether it can run.
pub fn outline(file_name: &str, xml: &[u8], limits: &Limits) -> Result<Outline, Box<Diagnostic>> {
    let document = Document::parse(xml, limits)
        .map_err(|error| Box::new(xml_diagnostic(file_name, &error)))?;
    let mut report = Report::new(file_name, &document, true);
    if !check_root(&document, &mut report) {
        let (mut diagnostics, _) = report.finish();
        return Err(Box::new(diagnostics.remove(0)));
    }
    let mut outline = Outline::default();
    for (_, node) in document
        .all()
        .filter(|(_, node)| node.namespace == Namespace::Bpmn)
    {
        match &*node.name {
            "process" => outline.processes += 1,
            "sequenceFlow" => outline.sequence_flows += 1,
            name if tag::is_flow_node(name) => outline.flow_nodes += 1,
            _ => {}
        }
    }
    Ok(outline)
}

fn xml_diagnostic(file_name: &str, error: &xml::Error) -> Diagnostic {
    use xml::ErrorKind as Kind;
    let (code, help) = match &error.kind {
        Kind::TooManyBytes { .. }
        | Kind::TooDeep { .. }
        | Kind::TooManyElements { .. }
        | Kind::TooManyAttributes { .. } => {
            (Code::TooLarge, "Split the model into several processes.")
        }
        Kind::Doctype | Kind::Entity { .. } => (
            Code::XmlDoctype,
            "Remove the DOCTYPE and write entities as characters; BPMN needs neither.",
        ),
        Kind::Encoding(_) => (Code::Encoding, "Save the file as UTF-8."),
        Kind::Syntax(_) => (
            Code::XmlSyntax,
            "Open the file in a BPMN modeler or an XML editor and save it again.",
        ),
    };
    report::of_file(
        file_name,
        code,
        error.position,
        error.kind.to_string(),
        help,
    )
}

/// Everything in the document that can be referred to by id.
struct Definitions<'d> {
    document: &'d Document,
    ids: BTreeMap<&'d str, NodeId>,
}

impl Definitions<'_> {
    /// The BPMN element that a reference names. A prefix is looked through.
    fn resolve(&self, reference: &str, name: &str) -> Option<NodeId> {
        let local = value::local_name(reference);
        let id = self.ids.get(reference).or_else(|| self.ids.get(local))?;
        self.document
            .node(*id)
            .is(Namespace::Bpmn, name)
            .then_some(*id)
    }
}

fn read<'d>(document: &'d Document, report: &mut Report<'d>) -> Option<Bpmn> {
    if !check_root(document, report) {
        return None;
    }
    let definitions = collect_ids(document, report);
    check_definitions(document, report);
    let mut processes = Vec::new();
    for id in document.named(Document::ROOT, Namespace::Bpmn, "process") {
        // BPMN leaves the default of isExecutable open; Camunda reads an absent one as false.
        if value::boolean(document, report, id, "isExecutable") == Some(true) {
            processes.push(process::build(&definitions, report, id));
        }
    }
    if processes.is_empty() {
        report.error(
            Code::NoExecutableProcess,
            At::Node(Document::ROOT),
            "the document has no executable process",
            "Set isExecutable=\"true\" on the process that shall run.",
        );
    }
    Some(Bpmn { processes })
}

fn check_root(document: &Document, report: &mut Report<'_>) -> bool {
    let root = document.node(Document::ROOT);
    if root.is(Namespace::Bpmn, "definitions") {
        return true;
    }
    let found = match &*document.root_namespace {
        "" => format!("the root element is <{}> without namespace", root.name),
        namespace => format!(
            "the root element is <{}> in the namespace '{namespace}'",
            root.name
        ),
    };
    let help = "A BPMN document begins with <definitions> in the namespace 'http://www.omg.org/spec/BPMN/20100524/MODEL'.";
    report.error(Code::NotBpmn, At::Node(Document::ROOT), found, help);
    false
}

fn collect_ids<'d>(document: &'d Document, report: &mut Report<'_>) -> Definitions<'d> {
    let mut ids = BTreeMap::new();
    for (node_id, node) in document
        .all()
        .filter(|(_, node)| node.namespace == Namespace::Bpmn)
    {
        let Some(id) = node.value("id") else { continue };
        if let Some(first) = ids.get(id) {
            let line = report.position(At::Node(*first)).line;
            report.error(
                Code::DuplicateId,
                At::Attribute(node_id, "id"),
                format!("the id '{id}' is used a second time; the first is in line {line}"),
                "Give every element an id of its own.",
            );
        } else {
            ids.insert(id, node_id);
        }
    }
    Definitions { document, ids }
}

/// What may stand directly under `definitions`. Root elements that nobody refers to have no effect.
fn check_definitions(document: &Document, report: &mut Report<'_>) {
    for (id, node) in document.children(Document::ROOT) {
        let known = match node.namespace {
            Namespace::Bpmn => tag::is_root_element(&node.name),
            Namespace::Foreign | Namespace::Camunda7 => true,
            Namespace::None | Namespace::Zeebe | Namespace::Kapelle => false,
        };
        if !known {
            report.unknown_element(id);
        }
    }
}
