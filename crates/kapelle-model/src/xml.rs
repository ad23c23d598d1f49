//! XML into a small tree with positions, within limits.
//!
//! Purpose: the only place that sees XML. What comes out is a tree in an arena: names, the attributes and texts a model
//! can mean something by, and byte offsets for diagnostics.
//!
//! Invariants: no DOCTYPE, no entities but the five predefined ones and character references; depth, bytes, elements and
//! attributes are bounded before anything is stored, so memory is proportional to the accepted bytes; a node stands
//! behind its parent. Attributes of elements in foreign namespaces are checked for form and dropped.
//!
//! Deliberately absent: writing XML, validation against a schema, comments and processing instructions.

use std::ops::Range;

use quick_xml::XmlVersion;
use quick_xml::escape::EscapeError;
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;

mod decode;

const BPMN: &[u8] = b"http://www.omg.org/spec/BPMN/20100524/MODEL";
const ZEEBE: &[u8] = b"http://camunda.org/schema/zeebe/1.0";
const KAPELLE: &[u8] = b"urn:kapelle:bpmn:1";
const CAMUNDA_7: &[u8] = b"http://camunda.org/schema/1.0/bpmn";

/// What a document may cost. The defaults fit every model people draw and stop every bomb within milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub bytes_max: usize,
    /// Nesting of XML elements. It also bounds the recursion of those who walk the tree.
    pub depth_max: usize,
    pub elements_max: usize,
    /// Attributes of one element; namespace declarations count.
    pub attributes_max: usize,
}

impl Limits {
    /// The largest that `depth_max` may be: what walks the tree recurses that deep on a 2 MiB stack in a debug build.
    pub const DEPTH_MAX: usize = 256;
}

impl Default for Limits {
    fn default() -> Self {
        // 4 MiB is Camunda's own limit for a message; 100,000 elements are about a thousand flow nodes with diagram.
        Self {
            bytes_max: 4 * 1024 * 1024,
            depth_max: Self::DEPTH_MAX,
            elements_max: 100_000,
            attributes_max: 128,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Namespace {
    Bpmn,
    Zeebe,
    Kapelle,
    Camunda7,
    /// No namespace at all.
    None,
    Foreign,
}

impl Namespace {
    fn of(resolved: &ResolveResult<'_>) -> Self {
        match resolved {
            ResolveResult::Bound(namespace) => match namespace.0 {
                BPMN => Self::Bpmn,
                ZEEBE => Self::Zeebe,
                KAPELLE => Self::Kapelle,
                CAMUNDA_7 => Self::Camunda7,
                _ => Self::Foreign,
            },
            ResolveResult::Unbound => Self::None,
            ResolveResult::Unknown(_) => Self::Foreign,
        }
    }

    /// The prefix people write, for messages.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Bpmn => "bpmn:",
            Self::Zeebe => "zeebe:",
            Self::Kapelle => "kapelle:",
            Self::Camunda7 => "camunda:",
            Self::None | Self::Foreign => "",
        }
    }
}

/// Position of a node in its [`Document`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NodeId(u32);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) namespace: Namespace,
    /// Local name.
    pub(crate) name: Box<str>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<NodeId>,
    /// All text directly inside, joined.
    pub(crate) text: String,
    pub(crate) text_offset: usize,
    pub(crate) parent: Option<NodeId>,
    pub(crate) offset: usize,
}

#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) namespace: Namespace,
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
    /// Where the value begins.
    pub(crate) offset: usize,
}

/// A place in the source, both 1-based.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Why a document could not be read. Reading stops at the first.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum ErrorKind {
    #[error("the document has {actual} bytes, more than the {max} allowed")]
    TooManyBytes { actual: usize, max: usize },
    #[error("elements are nested deeper than {max}")]
    TooDeep { max: usize },
    #[error("the document has more than {max} elements")]
    TooManyElements { max: usize },
    #[error("an element has more than {max} attributes")]
    TooManyAttributes { max: usize },
    #[error("the document has a DOCTYPE declaration")]
    Doctype,
    #[error("the entity '&{name};' is not defined")]
    Entity { name: String },
    #[error("{0}")]
    Encoding(String),
    #[error("{0}")]
    Syntax(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Error {
    pub(crate) kind: ErrorKind,
    pub(crate) position: Position,
}

/// A document that is well formed and within limits.
#[derive(Debug)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    lines: LineIndex,
    /// The root's namespace as written, for the message that it is the wrong one.
    pub(crate) root_namespace: String,
}

impl Document {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        if bytes.len() > limits.bytes_max {
            let kind = ErrorKind::TooManyBytes {
                actual: bytes.len(),
                max: limits.bytes_max,
            };
            return Err(Error {
                kind,
                position: Position { line: 1, column: 1 },
            });
        }
        let text = decode::decode(bytes)?;
        let builder = Builder {
            text: &text,
            limits,
            nodes: Vec::new(),
            open: Vec::new(),
            root_namespace: String::new(),
        };
        builder
            .run()
            .map(|(nodes, root_namespace)| Self {
                nodes,
                lines: LineIndex::new(&text),
                root_namespace,
            })
            .map_err(|(kind, offset)| Error {
                kind,
                position: LineIndex::new(&text).position(offset),
            })
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = (NodeId, &Node)> {
        self.node(id)
            .children
            .iter()
            .map(|child| (*child, self.node(*child)))
    }

    /// Children of one name in one namespace.
    pub(crate) fn named<'a>(
        &'a self,
        id: NodeId,
        namespace: Namespace,
        name: &'a str,
    ) -> impl Iterator<Item = NodeId> + 'a {
        self.children(id)
            .filter(move |(_, node)| node.is(namespace, name))
            .map(|(child, _)| child)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        (0u32..).map(NodeId).zip(&self.nodes)
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        self.lines.position(offset)
    }
}

impl Node {
    pub(crate) fn is(&self, namespace: Namespace, name: &str) -> bool {
        self.namespace == namespace && &*self.name == name
    }

    /// An attribute without prefix, as all of BPMN's and the extensions' own are.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.namespace == Namespace::None && &*attribute.name == name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|attribute| &*attribute.value)
    }
}

type Failure = (ErrorKind, usize);

struct Builder<'a> {
    text: &'a str,
    limits: &'a Limits,
    nodes: Vec<Node>,
    open: Vec<NodeId>,
    root_namespace: String,
}

impl<'a> Builder<'a> {
    fn run(mut self) -> Result<(Vec<Node>, String), Failure> {
        let mut reader = NsReader::from_str(self.text);
        loop {
            let offset = offset_of(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    return Err((
                        ErrorKind::Syntax(error.to_string()),
                        offset_of(reader.error_position()),
                    ));
                }
            };
            match event {
                Event::Start(tag) => self.open(&tag, reader.resolver(), offset)?,
                Event::Empty(tag) => {
                    self.open(&tag, reader.resolver(), offset)?;
                    self.open.pop();
                }
                Event::End(_) => {
                    self.open.pop();
                }
                Event::Text(text) => {
                    let text = text
                        .xml10_content()
                        .map_err(|error| (ErrorKind::Syntax(error.to_string()), offset))?;
                    self.text(&text, offset)?;
                }
                Event::CData(text) => {
                    let text = text
                        .xml10_content()
                        .map_err(|error| (ErrorKind::Syntax(error.to_string()), offset))?;
                    self.text(&text, offset + "<![CDATA[".len())?;
                }
                Event::GeneralRef(reference) => self.reference(&reference, offset)?,
                Event::DocType(_) => return Err((ErrorKind::Doctype, offset)),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        if let Some(open) = self.open.last() {
            let node = &self.nodes[open.0 as usize];
            return Err((
                ErrorKind::Syntax(format!("the document ends inside <{}>", node.name)),
                self.text.len(),
            ));
        }
        if self.nodes.is_empty() {
            return Err((
                ErrorKind::Syntax("the document has no element".to_owned()),
                self.text.len(),
            ));
        }
        Ok((self.nodes, self.root_namespace))
    }

    fn open(
        &mut self,
        tag: &BytesStart<'_>,
        resolver: &NamespaceResolver,
        offset: usize,
    ) -> Result<(), Failure> {
        let id = self.admit().map_err(|kind| (kind, offset))?;
        let (resolved, local) = resolver.resolve_element(tag.name());
        if let ResolveResult::Unknown(prefix) = &resolved {
            let prefix = String::from_utf8_lossy(prefix);
            return Err((
                ErrorKind::Syntax(format!("the namespace prefix '{prefix}' is not declared")),
                offset,
            ));
        }
        if self.nodes.is_empty()
            && let ResolveResult::Bound(namespace) = &resolved
        {
            self.root_namespace = String::from_utf8_lossy(namespace.0).into_owned();
        }
        let namespace = Namespace::of(&resolved);
        let attributes = self.attributes(tag, resolver, namespace, offset)?;
        let parent = self.open.last().copied();
        if let Some(parent) = parent {
            self.nodes[parent.0 as usize].children.push(id);
        }
        let name = String::from_utf8_lossy(local.as_ref()).into();
        self.nodes.push(Node {
            namespace,
            name,
            attributes,
            children: Vec::new(),
            text: String::new(),
            text_offset: 0,
            parent,
            offset,
        });
        self.open.push(id);
        Ok(())
    }

    /// The place of the next element, if the limits have room for it.
    fn admit(&self) -> Result<NodeId, ErrorKind> {
        let elements_max = self.limits.elements_max;
        let too_many = ErrorKind::TooManyElements { max: elements_max };
        let depth_max = self.limits.depth_max.min(Limits::DEPTH_MAX);
        if self.nodes.len() >= elements_max {
            return Err(too_many);
        }
        if self.open.len() >= depth_max {
            return Err(ErrorKind::TooDeep { max: depth_max });
        }
        if self.open.is_empty() && !self.nodes.is_empty() {
            let what = "there is a second root element";
            return Err(ErrorKind::Syntax(what.to_owned()));
        }
        u32::try_from(self.nodes.len())
            .map(NodeId)
            .map_err(|_| too_many)
    }

    fn attributes(
        &self,
        tag: &BytesStart<'_>,
        resolver: &NamespaceResolver,
        namespace: Namespace,
        offset: usize,
    ) -> Result<Vec<Attribute>, Failure> {
        let mut kept = Vec::new();
        // The parser compares each name with all before it: the limit keeps that from becoming quadratic in the document.
        for (count, attribute) in tag.attributes().enumerate() {
            if count >= self.limits.attributes_max {
                return Err((
                    ErrorKind::TooManyAttributes {
                        max: self.limits.attributes_max,
                    },
                    offset,
                ));
            }
            let attribute = attribute.map_err(|error| (attribute_error(error.into()), offset))?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| (attribute_error(error), offset))?;
            if attribute.key.as_namespace_binding().is_some() || namespace == Namespace::Foreign {
                continue;
            }
            let (resolved, local) = resolver.resolve_attribute(attribute.key);
            kept.push(Attribute {
                namespace: Namespace::of(&resolved),
                name: String::from_utf8_lossy(local.as_ref()).into(),
                value: value.into(),
                offset: self.offset_within(&attribute.value).unwrap_or(offset),
            });
        }
        Ok(kept)
    }

    /// Where a slice of the source stands in it.
    fn offset_within(&self, slice: &[u8]) -> Option<usize> {
        let source: Range<*const u8> = self.text.as_bytes().as_ptr_range();
        let start = slice.as_ptr();
        // A decoded value is a copy elsewhere; then the address is outside and there is no offset.
        (source.contains(&start)).then(|| start.addr() - source.start.addr())
    }

    fn text(&mut self, text: &str, offset: usize) -> Result<(), Failure> {
        let Some(node) = self
            .open
            .last()
            .and_then(|open| self.nodes.get_mut(open.0 as usize))
        else {
            return if text
                .trim_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
                .is_empty()
            {
                Ok(())
            } else {
                Err((
                    ErrorKind::Syntax("there is text outside the root element".to_owned()),
                    offset,
                ))
            };
        };
        // White space between elements is most of the text of a document and means nothing.
        if node.text.is_empty() {
            let leading = text.len() - text.trim_start().len();
            if leading == text.len() {
                return Ok(());
            }
            node.text_offset = offset + leading;
            node.text.push_str(&text[leading..]);
        } else {
            node.text.push_str(text);
        }
        Ok(())
    }

    fn reference(
        &mut self,
        reference: &quick_xml::events::BytesRef<'_>,
        offset: usize,
    ) -> Result<(), Failure> {
        let syntax = |error: String| (ErrorKind::Syntax(error), offset);
        if let Some(character) = reference
            .resolve_char_ref()
            .map_err(|error| syntax(error.to_string()))?
        {
            return self.text(character.encode_utf8(&mut [0; 4]), offset);
        }
        let name = reference
            .decode()
            .map_err(|error| syntax(error.to_string()))?;
        match quick_xml::escape::resolve_xml_entity(&name) {
            Some(text) => self.text(text, offset),
            None => Err((
                ErrorKind::Entity {
                    name: name.into_owned(),
                },
                offset,
            )),
        }
    }
}

/// The parser counts positions from the tag; ours is the document's, so only what is wrong is taken over.
fn attribute_error(error: quick_xml::Error) -> ErrorKind {
    let what = match error {
        quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => {
            return ErrorKind::Entity { name };
        }
        quick_xml::Error::Escape(EscapeError::UnterminatedEntity(_)) => {
            "a '&' without ';' in an attribute"
        }
        quick_xml::Error::InvalidAttr(AttrError::Duplicated(..)) => "an attribute is given twice",
        quick_xml::Error::InvalidAttr(AttrError::UnquotedValue(_)) => {
            "the value of an attribute has no quotes"
        }
        quick_xml::Error::InvalidAttr(AttrError::ExpectedQuote(..)) => {
            "the value of an attribute does not end"
        }
        quick_xml::Error::InvalidAttr(AttrError::ExpectedEq(_) | AttrError::ExpectedValue(_)) => {
            "an attribute has no value"
        }
        other => return ErrorKind::Syntax(other.to_string()),
    };
    ErrorKind::Syntax(what.to_owned())
}

fn offset_of(position: u64) -> usize {
    usize::try_from(position).expect("invariant: a position in memory fits")
}

/// Bytes between two marks of a [`LineIndex`]: what finding a place costs at most, also in a document on one line.
const MARK_BYTES: usize = 4096;

/// Finds line and column of an offset without reading the document again.
#[derive(Debug)]
struct LineIndex {
    text: Box<str>,
    /// One at the beginning of each line and after every [`MARK_BYTES`] of a long one.
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: usize,
    position: Position,
}

impl LineIndex {
    fn new(text: &str) -> Self {
        let mut marks = Vec::new();
        let mut line_start = 0;
        for (line, content) in (1..).zip(text.split('\n')) {
            let (mut start, mut column) = (0, 1);
            loop {
                let position = Position { line, column };
                marks.push(Mark {
                    offset: line_start + start,
                    position,
                });
                let end = content.floor_char_boundary(start + MARK_BYTES);
                if end >= content.len() {
                    break;
                }
                column = column.saturating_add(characters(&content[start..end]));
                start = end;
            }
            line_start += content.len() + 1;
        }
        Self {
            text: text.into(),
            marks,
        }
    }

    fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        let Mark {
            offset: start,
            position: Position { line, column },
        } = self.marks[after - 1];
        let column = column.saturating_add(characters(&self.text[start..offset]));
        Position { line, column }
    }
}

fn characters(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}
