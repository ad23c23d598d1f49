//! Text into nodes and flows.
//!
//! Invariant: nodes and flows keep the order of their first mention, so that the document's order is the text's.
//! Deliberately absent: what a kind or an argument means.

/// A process or subprocess.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) nodes: Vec<Node>,
    pub(super) flows: Vec<Flow>,
}

pub(super) struct Node {
    pub(super) id: String,
    pub(super) kind: String,
    /// Each argument as its first word and the rest.
    pub(super) arguments: Vec<(String, String)>,
    /// The host of a boundary event, and whether the event interrupts it.
    pub(super) attached: Option<(String, bool)>,
    pub(super) inner: Option<Scope>,
}

pub(super) struct Flow {
    pub(super) id: String,
    pub(super) source: String,
    /// Absent until a chain begins with a named flow.
    pub(super) target: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) is_default: bool,
}

pub(super) fn parse(text: &str) -> Scope {
    let mut scope = Scope {
        name: "process".to_owned(),
        ..Scope::default()
    };
    for statement in split(text, &[";", "\n"]) {
        if let Some(name) = statement.strip_prefix("process ") {
            name.trim().clone_into(&mut scope.name);
        } else {
            scope.chain(statement);
        }
    }
    for flow in &scope.flows {
        assert!(
            flow.target.is_some(),
            "the flow '{}' leads nowhere; write '{} -> …'",
            flow.id,
            flow.id
        );
    }
    scope
}

impl Scope {
    fn chain(&mut self, statement: &str) {
        let mut source: Option<String> = None;
        for part in split(statement, &["->"]) {
            // A named flow of a gateway may begin a chain.
            if source.is_none()
                && let Some(flow) = self
                    .flows
                    .iter()
                    .position(|flow| flow.id == part && flow.target.is_none())
            {
                source = Some(format!("flow {flow}"));
                continue;
            }
            let target = self.node(part);
            match source.as_deref().map(|source| {
                source
                    .strip_prefix("flow ")
                    .map(|flow| flow.parse::<usize>())
            }) {
                Some(Some(Ok(flow))) => self.flows[flow].target = Some(target.clone()),
                Some(_) => self.connect(
                    source.as_deref().expect("invariant: matched as present"),
                    &target,
                ),
                None => {}
            }
            source = Some(target);
        }
    }

    fn connect(&mut self, source: &str, target: &str) {
        let mut id = format!("{source}_{target}");
        while self.flows.iter().any(|flow| flow.id == id) {
            id.push('_');
        }
        self.flows.push(Flow {
            id,
            source: source.to_owned(),
            target: Some(target.to_owned()),
            condition: None,
            is_default: false,
        });
    }

    /// Adds the node if it is new, and returns its id.
    fn node(&mut self, text: &str) -> String {
        let (text, attached) = attachment(text);
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(text.len());
        let (id, mut rest) = text.split_at(end);
        assert!(!id.is_empty(), "expected a name at '{text}'");
        let mut kind = String::new();
        if let Some(after) = rest.trim_start().strip_prefix(':') {
            let after = after.trim_start();
            let end = after
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(after.len());
            after[..end].clone_into(&mut kind);
            rest = &after[end..];
        }
        let (arguments, rest) = bracketed(rest, '(', ')');
        let (branches, rest) = bracketed(rest, '{', '}');
        let (inner, rest) = bracketed(rest, '[', ']');
        assert!(
            rest.trim().is_empty(),
            "did not expect '{rest}' after '{id}'"
        );
        let is_bare = kind.is_empty()
            && arguments.is_none()
            && branches.is_none()
            && inner.is_none()
            && attached.is_none();
        if self.nodes.iter().any(|node| node.id == id) {
            assert!(is_bare, "'{id}' is described twice");
            return id.to_owned();
        }
        if kind.is_empty() {
            kind = default_kind(id, attached.is_some(), branches.is_some(), inner.is_some())
                .to_owned();
        }
        let arguments = arguments
            .map(|list| split(list, &[","]).into_iter().map(words).collect())
            .unwrap_or_default();
        let inner = inner.map(parse);
        self.nodes.push(Node {
            id: id.to_owned(),
            kind,
            arguments,
            attached,
            inner,
        });
        for branch in branches.map(|list| split(list, &[","])).unwrap_or_default() {
            let (name, condition) = branch
                .split_once(':')
                .unwrap_or_else(|| panic!("write the flow '{branch}' as name: condition"));
            let (name, condition) = (name.trim(), condition.trim());
            let is_default = condition == "default";
            let condition = (!is_default).then(|| condition.to_owned());
            self.flows.push(Flow {
                id: name.to_owned(),
                source: id.to_owned(),
                target: None,
                condition,
                is_default,
            });
        }
        id.to_owned()
    }
}

fn default_kind(id: &str, is_boundary: bool, has_branches: bool, has_inner: bool) -> &'static str {
    if is_boundary {
        return "boundary";
    }
    if has_inner {
        return "sub";
    }
    let prefixes = [
        ("start", "start"),
        ("end", "end"),
        ("gate", "exclusive"),
        ("merge", "exclusive"),
        ("fork", "parallel"),
        ("join", "parallel"),
        ("race", "event"),
    ];
    let by_name = prefixes
        .iter()
        .find(|(prefix, _)| id.starts_with(prefix))
        .map(|(_, kind)| *kind);
    if has_branches {
        "exclusive"
    } else {
        by_name.unwrap_or("service")
    }
}

fn attachment(text: &str) -> (&str, Option<(String, bool)>) {
    for (word, interrupts) in [(" on ", true), (" beside ", false)] {
        let parts = split(text, &[word]);
        if let [node, host] = parts.as_slice() {
            return (node, Some(((*host).to_owned(), interrupts)));
        }
    }
    (text, None)
}

/// The first word of an argument, and what follows it or its `=`.
fn words(argument: &str) -> (String, String) {
    match argument.split_once(char::is_whitespace) {
        Some((word, rest)) => (word.to_owned(), rest.trim().to_owned()),
        None => (argument.to_owned(), String::new()),
    }
}

/// What stands in brackets at the beginning, and what follows them.
fn bracketed(text: &str, open: char, close: char) -> (Option<&str>, &str) {
    let trimmed = text.trim_start();
    if !trimmed.starts_with(open) {
        return (None, text);
    }
    let mut depth = Depth::default();
    for (at, c) in trimmed.char_indices() {
        depth.step(c);
        if depth.is_outside() && c == close {
            return (Some(&trimmed[1..at]), &trimmed[at + c.len_utf8()..]);
        }
    }
    panic!("'{open}' is not closed in '{text}'");
}

/// The non-empty parts between separators that stand outside of brackets and strings.
fn split<'a>(text: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut depth = Depth::default();
    let mut from = 0;
    let mut skip_to = 0;
    for (at, c) in text.char_indices() {
        if at >= skip_to
            && depth.is_outside()
            && let Some(separator) = separators
                .iter()
                .find(|separator| text[at..].starts_with(**separator))
        {
            parts.push(text[from..at].trim());
            from = at + separator.len();
            skip_to = from;
        }
        depth.step(c);
    }
    parts.push(text[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[derive(Default)]
struct Depth {
    brackets: usize,
    in_string: bool,
}

impl Depth {
    fn step(&mut self, c: char) {
        match c {
            '"' => self.in_string = !self.in_string,
            '(' | '[' | '{' if !self.in_string => self.brackets += 1,
            ')' | ']' | '}' if !self.in_string => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
    }

    fn is_outside(&self) -> bool {
        self.brackets == 0 && !self.in_string
    }
}
