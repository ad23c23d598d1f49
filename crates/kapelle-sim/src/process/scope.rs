//! Scopes: the process's own and those of subprocesses.

use super::activity::{self, Boundaries};
use super::table::{self, EndRow};
use super::{Block, Drawing, Element, Mapped, Wait, What};

/// Blocks in a row, and an end.
#[derive(Debug)]
pub(crate) struct Scope {
    blocks: Vec<Box<dyn Block>>,
    end: String,
    ends: &'static EndRow,
}

impl Scope {
    pub(super) fn draw(drawing: &mut Drawing, depth: u32) -> Self {
        let count = 1 + drawing.random.index(3);
        let blocks = (0..count).map(|_| drawing.block(depth)).collect();
        let end = drawing.name("end");
        let weight = |row: &EndRow| {
            if depth == 0 && row.inside_only {
                0
            } else {
                row.weight
            }
        };
        let ends = drawing.row(&table::ENDS, weight);
        Self { blocks, end, ends }
    }

    /// The first element behind the start event.
    pub(crate) fn first(&self) -> &str {
        self.blocks
            .first()
            .map_or(self.end.as_str(), |block| block.entry())
    }

    pub(super) fn write_inside(&self, from: &str, out: &mut Vec<String>) {
        let mut last = from.to_owned();
        for block in &self.blocks {
            last = block.write(&last, out);
        }
        let text = activity::arguments(&self.ends.what);
        let end = if text.is_empty() {
            self.end.clone()
        } else {
            format!("{}:end({text})", self.end)
        };
        out.push(format!("{last} -> {end}"));
    }

    pub(super) fn find_inside(&self, name: &str) -> Option<Element<'_>> {
        if name == self.end {
            return Some(Element {
                what: self.ends.what.clone(),
                next: Vec::new(),
                mapped: activity::sent_with(&self.ends.what, Mapped::NOTHING),
                boundaries: &[],
            });
        }
        let mut next = self.end.as_str();
        for block in self.blocks.iter().rev() {
            let found = block.find(name, next);
            if found.is_some() {
                return found;
            }
            next = block.entry();
        }
        None
    }

    pub(super) fn waits_inside<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        for block in &self.blocks {
            block.waits(visit);
        }
    }
}

/// An embedded subprocess.
#[derive(Debug)]
struct SubProcess {
    name: String,
    start: String,
    mapped: Mapped,
    inside: Scope,
    boundaries: Boundaries,
}

pub(super) fn sub_process(drawing: &mut Drawing, depth: u32) -> Box<dyn Block> {
    let (name, start) = (drawing.name("sub"), drawing.name("start"));
    let mapped = drawing.one_of(&table::SUB_PROCESS_MAPPINGS);
    let inside = Scope::draw(drawing, depth + 1);
    let boundaries = Boundaries::draw(drawing);
    Box::new(SubProcess {
        name,
        start,
        mapped,
        inside,
        boundaries,
    })
}

impl Block for SubProcess {
    fn write(&self, from: &str, out: &mut Vec<String>) -> String {
        let mut inner = Vec::new();
        self.inside.write_inside(&self.start, &mut inner);
        // The notation has no argument that begins with a comma.
        let mapped = self.mapped.arguments();
        let mapped = match mapped.strip_prefix(", ") {
            None => String::new(),
            Some(first) => format!("({first})"),
        };
        out.push(format!(
            "{from} -> {}:sub{mapped}[{}]",
            self.name,
            inner.join(" ; ")
        ));
        self.boundaries.write(&self.name, out)
    }

    fn entry(&self) -> &str {
        &self.name
    }

    fn last(&self) -> &str {
        self.boundaries.next(&self.name)
    }

    fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>> {
        if name == self.name {
            return Some(Element {
                what: What::Inside(&self.start),
                next: vec![self.boundaries.next(next)],
                mapped: self.mapped,
                boundaries: &self.boundaries.events,
            });
        }
        if name == self.start {
            return Some(Element::plain(What::Pass, self.inside.first()));
        }
        self.inside
            .find_inside(name)
            .or_else(|| self.boundaries.find(name, next))
    }

    fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        self.inside.waits_inside(visit);
        self.boundaries.waits(visit);
    }
}
