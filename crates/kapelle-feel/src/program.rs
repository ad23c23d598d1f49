//! A compiled expression: an arena of nodes that link to each other by number.
//!
//! **Invariant:** every link points to a node of the same arena, and the graph below a node is a tree whose height the
//! parser has limited. Names are resolved: a node reads a slot or an outer variable, never a scope.
//!
//! A tree of boxes would be scattered in memory and dropped by recursion; an arena is neither. A bytecode machine was
//! measured to gain nothing over a walk of the arena.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::builtins::{Overload, Pattern};
use crate::value::{Text, Value};

/// A node's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

/// A place for a local value.
pub(crate) type Slot = u32;

/// A run of entries in one of the program's side tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    start: u32,
    len: u32,
}

impl Run {
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        let start = self.start as usize;
        table
            .get(start..start + self.len as usize)
            .unwrap_or_default()
    }
}

/// Adds entries to a side table.
pub(crate) fn push_run<T>(table: &mut Vec<T>, entries: impl IntoIterator<Item = T>) -> Run {
    let start = table.len();
    table.extend(entries);
    Run {
        start: start as u32,
        len: (table.len() - start) as u32,
    } // Bounded by the text's length, which is a u32.
}

#[derive(Clone, Copy)]
pub(crate) enum Node {
    /// An entry of `constants`.
    Constant(u32),
    Local(Slot),
    /// A value that a function took along when it was made.
    Captured(u32),
    /// An entry of `globals`.
    Global(u32),
    /// A name inside of a filter: an entry of one of the items (innermost first), else the fallback.
    ItemEntry {
        name: u32,
        items: Run,
        fallback: NodeId,
    },
    List(Run),
    /// Entries of `entries`.
    Context(Run),
    /// A chain of one precedence, from the left: `first`, then `terms`.
    Arithmetic {
        first: NodeId,
        rest: Run,
    },
    Negate(NodeId),
    And(Run),
    Or(Run),
    Compare {
        operator: Comparison,
        left: NodeId,
        right: NodeId,
    },
    Between {
        value: NodeId,
        low: NodeId,
        high: NodeId,
    },
    /// Binds the value as the input of the tests.
    In {
        value: NodeId,
        input: Slot,
        tests: NodeId,
    },
    InstanceOf {
        value: NodeId,
        of: u32,
    },
    /// Condition, then, else: three links.
    If(Run),
    /// Iterators in `iterators`; `partial` is where the results so far are, if the body reads them.
    For {
        iterators: Run,
        body: NodeId,
        partial: Option<Slot>,
    },
    Quantified {
        some: bool,
        iterators: Run,
        body: NodeId,
    },
    /// An entry or property; the name is in `names`.
    Path {
        target: NodeId,
        name: u32,
    },
    /// `list[2]`.
    Index {
        target: NodeId,
        index: i64,
    },
    /// `list[condition]`, or an index that only shows when it is evaluated.
    Filter {
        target: NodeId,
        body: NodeId,
        item: Slot,
        predicate: bool,
    },
    /// A built-in; which one is in `calls`.
    Call {
        site: u32,
        arguments: Run,
    },
    /// A function value, with arguments that are positional or named.
    Invoke {
        callee: NodeId,
        fallback: Option<NodeId>,
        name: u32,
        arguments: Run,
        named: Option<Run>,
    },
    /// No built-in has that name and takes that many arguments.
    NoFunction {
        message: u32,
    },
    /// A function definition, an entry of `lambdas`.
    Lambda(u32),
    /// A range; bounds are absent where it is open.
    Range {
        start: Option<NodeId>,
        end: Option<NodeId>,
        start_included: bool,
        end_included: bool,
    },
    /// Any of the tests, negated or not.
    Tests {
        tests: Run,
        negated: bool,
    },
    /// `< 5`: the input compared.
    InputCompare {
        operator: Comparison,
        input: NodeId,
        operand: NodeId,
    },
    /// An expression as a test; with `?` in it its truth is the answer.
    InputTest {
        input: NodeId,
        expression: NodeId,
        mentions_input: bool,
    },
    /// A range that stands alone is a test if there is an input, else a value.
    RangeOrTest {
        range: NodeId,
        input: NodeId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Arithmetic {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Power => "**",
        }
    }
}

/// An entry of a context literal.
pub(crate) struct Entry {
    pub(crate) name: Text,
    pub(crate) value: NodeId,
    /// Where later entries find it, if any reads it.
    pub(crate) slot: Option<Slot>,
}

/// A place where a built-in is called.
pub(crate) struct CallSite {
    pub(crate) overload: &'static Overload,
    /// The regular expression that was first compiled here; nearly always it is a literal and the only one.
    pub(crate) pattern: OnceLock<Pattern>,
}

/// `x in domain`.
#[derive(Clone, Copy)]
pub(crate) struct Iteration {
    pub(crate) slot: Slot,
    pub(crate) domain: Domain,
}

#[derive(Clone, Copy)]
pub(crate) enum Domain {
    List(NodeId),
    /// `1..n`, which may also count down.
    Count(NodeId, NodeId),
}

/// A variable from outside.
pub(crate) struct Global {
    pub(crate) name: Arc<str>,
    /// Read more than once or in a loop: worth keeping what was found, in this place of the cache.
    pub(crate) cache: Option<u32>,
}

/// A function definition.
pub(crate) struct Lambda {
    pub(crate) parameters: Vec<Text>,
    pub(crate) body: NodeId,
    /// Evaluated where the function is made.
    pub(crate) captures: Vec<NodeId>,
    pub(crate) slots: u32,
}

/// What `instance of` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Any,
    Named(&'static str),
    List(Box<Type>),
    Range(Box<Type>),
    Context(Vec<(Text, Type)>),
    /// What it takes and gives is not known of a value, only how many it takes.
    Function(usize),
}

#[derive(Default)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
    root: u32,
    pub(crate) links: Vec<NodeId>,
    pub(crate) terms: Vec<(Arithmetic, NodeId)>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) iterators: Vec<Iteration>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) constants: Vec<Value>,
    pub(crate) names: Vec<Text>,
    pub(crate) globals: Vec<Global>,
    pub(crate) calls: Vec<CallSite>,
    pub(crate) lambdas: Vec<Lambda>,
    pub(crate) types: Vec<Type>,
    /// Slots of the outermost frame.
    pub(crate) local_slots: u32,
    pub(crate) cache_slots: u32,
    name_numbers: BTreeMap<Text, u32>,
    global_numbers: BTreeMap<Arc<str>, u32>,
}

impl Program {
    /// Conjuncts of the form `variable = "text"`.
    pub(crate) fn required_texts(&self) -> Vec<(&str, &str)> {
        let root = self.root();
        let conjuncts = match self.node(root) {
            Node::And(terms) => terms.of(&self.links),
            _ => &[root],
        };
        conjuncts
            .iter()
            .filter_map(|term| match self.node(*term) {
                Node::Compare {
                    operator: Comparison::Equal,
                    left,
                    right,
                } => self
                    .variable_and_text(left, right)
                    .or_else(|| self.variable_and_text(right, left)),
                _ => None,
            })
            .collect()
    }

    fn variable_and_text(&self, variable: NodeId, text: NodeId) -> Option<(&str, &str)> {
        let (Node::Global(global), Node::Constant(constant)) =
            (self.node(variable), self.node(text))
        else {
            return None;
        };
        let name = &self.globals.get(global as usize)?.name;
        let text = self.constants.get(constant as usize)?.as_str()?;
        Some((&**name, text))
    }

    pub(crate) fn root(&self) -> NodeId {
        NodeId(self.root)
    }

    pub(crate) fn set_root(&mut self, root: NodeId) {
        self.root = root.0;
    }

    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> Node {
        *self
            .nodes
            .get(id.0 as usize)
            .expect("invariant: links point into the arena")
    }

    pub(crate) fn constant(&mut self, value: Value) -> NodeId {
        self.constants.push(value);
        self.add(Node::Constant(self.constants.len() as u32 - 1))
    }

    /// The value of a node that is one.
    pub(crate) fn as_constant(&self, id: NodeId) -> Option<&Value> {
        match self.node(id) {
            Node::Constant(at) => self.constants.get(at as usize),
            _ => None,
        }
    }

    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if let Some(at) = self.name_numbers.get(name) {
            return *at;
        }
        let at = self.names.len() as u32;
        self.names.push(name.into());
        self.name_numbers.insert(name.into(), at);
        at
    }

    pub(crate) fn global(&self, name: &str) -> Option<u32> {
        self.global_numbers.get(name).copied()
    }

    pub(crate) fn add_global(&mut self, global: Global) -> u32 {
        let at = self.globals.len() as u32;
        self.global_numbers.insert(Arc::clone(&global.name), at);
        self.globals.push(global);
        at
    }

    pub(crate) fn name_at(&self, at: u32) -> &Text {
        self.names
            .get(at as usize)
            .expect("invariant: names are numbered by the parser")
    }

    pub(crate) fn link(&mut self, nodes: &[NodeId]) -> Run {
        push_run(&mut self.links, nodes.iter().copied())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} nodes)", self.nodes.len())
    }
}
