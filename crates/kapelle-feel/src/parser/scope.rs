//! Which value a name means: decided while parsing, because every binder stands before what it binds.
//!
//! Scopes belong to frames, one for each function definition. A name found in an outer frame is captured: the function
//! takes its value along when it is made, so it needs nothing of where it came from.

use std::sync::Arc;

use crate::program::{Global, Node, NodeId, Program, Slot, push_run};

/// Names that are visible, and the slots given out.
pub(super) struct Frame {
    scopes: Vec<Scope>,
    next: Slot,
    most: Slot,
    /// Nodes of the frame outside whose values the function takes along.
    captures: Vec<(Box<str>, NodeId)>,
    /// Loops around the place that is being parsed.
    loops: u32,
}

enum Scope {
    Name {
        name: Box<str>,
        slot: Slot,
        read: bool,
    },
    /// Inside of a filter: the entries of the item are names.
    Item(Slot),
}

/// A place in the scopes to go back to.
pub(super) struct Mark {
    scopes: usize,
    next: Slot,
}

impl Frame {
    pub(super) fn new() -> Frame {
        Frame {
            scopes: Vec::new(),
            next: 0,
            most: 0,
            captures: Vec::new(),
            loops: 0,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            scopes: self.scopes.len(),
            next: self.next,
        }
    }

    pub(super) fn release(&mut self, mark: &Mark) {
        self.scopes.truncate(mark.scopes);
        self.next = mark.next;
    }

    fn slot(&mut self) -> Slot {
        self.next += 1;
        self.most = self.most.max(self.next);
        self.next - 1
    }

    pub(super) fn bind(&mut self, name: &str) -> Slot {
        let slot = self.slot();
        self.scopes.push(Scope::Name {
            name: name.into(),
            slot,
            read: false,
        });
        slot
    }

    pub(super) fn bind_item(&mut self) -> Slot {
        let slot = self.bind("item");
        // The entry `item` of an item comes before the item itself, so this scope is inside.
        self.scopes.push(Scope::Item(slot));
        slot
    }

    pub(super) fn was_read(&self, slot: Slot) -> bool {
        self.scopes
            .iter()
            .any(|s| matches!(s, Scope::Name { slot: at, read: true, .. } if *at == slot))
    }

    pub(super) fn enter_loop(&mut self) {
        self.loops += 1;
    }

    pub(super) fn leave_loop(&mut self) {
        self.loops -= 1;
    }

    pub(super) fn slots(&self) -> u32 {
        self.most
    }

    pub(super) fn captures(self) -> Vec<(Box<str>, NodeId)> {
        self.captures
    }

    /// The slot of a name, and the items whose entries come before it, innermost first.
    fn find(&mut self, name: &str) -> (Option<Slot>, Vec<Slot>) {
        let mut items = Vec::new();
        for scope in self.scopes.iter_mut().rev() {
            match scope {
                Scope::Name {
                    name: known,
                    slot,
                    read,
                } if **known == *name => {
                    *read = true;
                    return (Some(*slot), items);
                }
                Scope::Name { .. } => {}
                Scope::Item(slot) => items.push(*slot),
            }
        }
        (None, items)
    }
}

/// The node that reads a name, as seen from the innermost of the frames.
pub(super) fn resolve(program: &mut Program, frames: &mut [Frame], name: &str) -> NodeId {
    let (frame, outer) = frames
        .split_last_mut()
        .expect("invariant: the outermost frame stays");
    let (slot, items) = frame.find(name);
    let base = match slot {
        Some(slot) => program.add(Node::Local(slot)),
        None if outer.is_empty() => global(program, name, frame.loops > 0),
        None => capture(program, frame, outer, name),
    };
    if items.is_empty() {
        return base;
    }
    let name = program.name(name);
    let items = push_run(&mut program.slots, items);
    program.add(Node::ItemEntry {
        name,
        items,
        fallback: base,
    })
}

/// Is the name bound by the expression itself? Entries of filtered items do not count.
pub(super) fn is_bound(frames: &[Frame], name: &str) -> bool {
    frames.iter().any(|frame| {
        frame
            .scopes
            .iter()
            .any(|s| matches!(s, Scope::Name { name: n, .. } if **n == *name))
    })
}

fn capture(program: &mut Program, frame: &mut Frame, outer: &mut [Frame], name: &str) -> NodeId {
    if let Some(at) = frame
        .captures
        .iter()
        .position(|(known, _)| **known == *name)
    {
        return program.add(Node::Captured(at as u32));
    }
    let source = resolve(program, outer, name);
    frame.captures.push((name.into(), source));
    program.add(Node::Captured(frame.captures.len() as u32 - 1))
}

fn global(program: &mut Program, name: &str, in_loop: bool) -> NodeId {
    let known = program.global(name);
    let at = known.unwrap_or_else(|| {
        program.add_global(Global {
            name: Arc::from(name),
            cache: None,
        })
    });
    if (known.is_some() || in_loop)
        && let Some(global) = program.globals.get_mut(at as usize)
        && global.cache.is_none()
    {
        global.cache = Some(program.cache_slots);
        program.cache_slots += 1;
    }
    program.add(Node::Global(at))
}
