//! Gateways with what is between them.

use super::{Block, Drawing, Element, Wait, Way, What, table};

/// One of two ways.
#[derive(Debug)]
struct Exclusive {
    gate: String,
    /// Names of the two flows, and where they lead.
    flows: [String; 2],
    ways: [Way; 2],
    blocks: [Box<dyn Block>; 2],
    merge: String,
    out: String,
}

pub(super) fn exclusive(drawing: &mut Drawing, depth: u32) -> Box<dyn Block> {
    let gate = drawing.name("gate");
    let flows = [drawing.name("f"), drawing.name("f")];
    let (merge, out) = (drawing.name("merge"), drawing.name("f"));
    let conditions = drawing.one_of(&table::CONDITIONS);
    let blocks = [drawing.block(depth + 1), drawing.block(depth + 1)];
    let [first, second] = &blocks;
    let ways = [(first, conditions[0]), (second, conditions[1])].map(|(block, condition)| Way {
        to: block.entry().to_owned(),
        condition,
    });
    Box::new(Exclusive {
        gate,
        flows,
        ways,
        blocks,
        merge,
        out,
    })
}

impl Block for Exclusive {
    fn write(&self, from: &str, out: &mut Vec<String>) -> String {
        let ways: Vec<String> = self
            .flows
            .iter()
            .zip(&self.ways)
            .map(|(flow, way)| match &way.condition {
                None => format!("{flow}: default"),
                Some(condition) => format!("{flow}: {condition}"),
            })
            .collect();
        out.push(format!("{from} -> {}{{{}}}", self.gate, ways.join(", ")));
        let mut merge = format!("{}{{{}: default}}", self.merge, self.out);
        for (flow, block) in self.flows.iter().zip(&self.blocks) {
            let last = block.write(flow, out);
            out.push(format!("{last} -> {merge}"));
            merge.clone_from(&self.merge);
        }
        self.out.clone()
    }

    fn entry(&self) -> &str {
        &self.gate
    }

    fn last(&self) -> &str {
        &self.merge
    }

    fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>> {
        if name == self.gate {
            return Some(Element {
                next: self.ways.iter().map(|way| way.to.as_str()).collect(),
                ..Element::plain(What::Choose(&self.ways), "")
            });
        }
        if name == self.merge {
            return Some(Element::plain(What::Pass, next));
        }
        self.blocks
            .iter()
            .find_map(|block| block.find(name, &self.merge))
    }

    fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        for block in &self.blocks {
            block.waits(visit);
        }
    }
}

/// Two or three ways at once.
#[derive(Debug)]
struct Parallel {
    fork: String,
    join: String,
    branches: Vec<Box<dyn Block>>,
}

pub(super) fn parallel(drawing: &mut Drawing, depth: u32) -> Box<dyn Block> {
    let (fork, join) = (drawing.name("fork"), drawing.name("join"));
    let count = 2 + drawing.random.index(2);
    let branches = (0..count).map(|_| drawing.block(depth + 1)).collect();
    Box::new(Parallel {
        fork,
        join,
        branches,
    })
}

impl Block for Parallel {
    fn write(&self, from: &str, out: &mut Vec<String>) -> String {
        out.push(format!("{from} -> {}", self.fork));
        for branch in &self.branches {
            let last = branch.write(&self.fork, out);
            out.push(format!("{last} -> {}", self.join));
        }
        self.join.clone()
    }

    fn entry(&self) -> &str {
        &self.fork
    }

    fn last(&self) -> &str {
        &self.join
    }

    fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>> {
        if name == self.fork {
            return Some(Element {
                next: self.branches.iter().map(|branch| branch.entry()).collect(),
                ..Element::plain(What::Pass, "")
            });
        }
        if name == self.join {
            let last = self.branches.iter().map(|branch| branch.last()).collect();
            return Some(Element::plain(What::Join(last), next));
        }
        self.branches
            .iter()
            .find_map(|branch| branch.find(name, &self.join))
    }

    fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        for branch in &self.branches {
            branch.waits(visit);
        }
    }
}

/// A message or a timer, whatever comes first.
#[derive(Debug)]
struct Race {
    race: String,
    catches: [String; 2],
    waits: [Wait; 2],
    merge: String,
    out: String,
}

pub(super) fn race(drawing: &mut Drawing, _: u32) -> Box<dyn Block> {
    let race = drawing.name("race");
    let catches = [drawing.name("catch"), drawing.name("catch")];
    let (merge, out) = (drawing.name("merge"), drawing.name("f"));
    let message = Wait::message(drawing.one_of(&table::CAUGHT));
    let seconds = 1 + i64::try_from(drawing.random.below(4)).unwrap_or(0);
    let waits = [message, Wait::After(1_000 * seconds)];
    Box::new(Race {
        race,
        catches,
        waits,
        merge,
        out,
    })
}

impl Block for Race {
    fn write(&self, from: &str, out: &mut Vec<String>) -> String {
        out.push(format!("{from} -> {}", self.race));
        let mut merge = format!("{}{{{}: default}}", self.merge, self.out);
        for (catch, wait) in self.catches.iter().zip(&self.waits) {
            let arguments = wait.arguments();
            out.push(format!(
                "{} -> {catch}:catch({arguments}) -> {merge}",
                self.race
            ));
            merge.clone_from(&self.merge);
        }
        self.out.clone()
    }

    fn entry(&self) -> &str {
        &self.race
    }

    fn last(&self) -> &str {
        &self.merge
    }

    fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>> {
        if name == self.race {
            let catches = self.catches.iter().map(String::as_str);
            return Some(Element {
                next: catches.clone().collect(),
                ..Element::plain(What::Race(catches.zip(&self.waits).collect()), "")
            });
        }
        if name == self.merge {
            return Some(Element::plain(What::Pass, next));
        }
        let caught = self.catches.iter().zip(&self.waits);
        caught
            .filter(|(catch, _)| *catch == name)
            .map(|(_, wait)| Element::plain(What::Wait(wait), &self.merge))
            .next()
    }

    fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        self.waits.iter().for_each(visit);
    }
}
