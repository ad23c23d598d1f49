//! Who hangs under whom.

use std::collections::BTreeMap;

use super::collect::Collected;

/// A place in a tree. An instance has one under each CloudEvent that it met, by position; 0 stands for none that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Event(i64),
    Instance(i64, i64),
    Job(i64),
}

impl Node {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Event(_) => "EVENT",
            Self::Instance(..) => "PROCESS_INSTANCE",
            Self::Job(_) => "JOB",
        }
    }
}

/// Why it hangs where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Nothing that is known caused it.
    Root,
    /// Its `causationid`.
    CausationId,
    /// It is the CloudEvent above, and came in again.
    SameEvent,
    /// The CloudEvent above started the instance.
    Started,
    /// The CloudEvent above met the instance, which something else had started.
    Met,
    /// The instance above made it.
    Process,
}

impl By {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "ROOT",
            Self::CausationId => "CAUSATION_ID",
            Self::SameEvent => "SAME_EVENT",
            Self::Started => "STARTED",
            Self::Met => "MET",
            Self::Process => "PROCESS",
        }
    }
}

#[derive(Default)]
pub(super) struct Tree {
    above: BTreeMap<Node, (Node, By)>,
    /// In the order of time.
    below: BTreeMap<Node, Vec<Node>>,
    roots: Vec<Node>,
}

impl Tree {
    pub(super) fn of(collected: &Collected) -> Self {
        let mut tree = Self::default();
        let homes = tree.hang_instances(collected);
        let home = |instance: i64| homes.get(&instance).copied();
        for (&position, event) in &collected.events {
            let cause = collected.causes.get(&position).copied();
            let above = if event.row.is_out {
                let instance = event.row.instance;
                let at_cause = instance
                    .zip(cause)
                    .map(|(instance, cause)| Node::Instance(instance, cause))
                    .filter(|node| tree.above.contains_key(node));
                at_cause
                    .or_else(|| home(instance?))
                    .map(|node| (node, By::Process))
            } else {
                published(collected, position).map(|out| (Node::Event(out), By::SameEvent))
            };
            let by_cause = || {
                let cause = cause.filter(|cause| collected.events.contains_key(cause))?;
                Some((Node::Event(cause), By::CausationId))
            };
            if let Some((above, by)) = above.or_else(by_cause) {
                tree.hang(Node::Event(position), above, by);
            }
        }
        for job in collected.jobs.values() {
            if let Some(home) = home(job.instance) {
                tree.hang(Node::Job(job.key), home, By::Process);
            }
        }
        tree.arrange(collected, &homes);
        tree
    }

    /// Each instance under each CloudEvent that it met; the first one is its home, where its jobs are.
    fn hang_instances(&mut self, collected: &Collected) -> BTreeMap<i64, Node> {
        let mut homes = BTreeMap::new();
        for (&position, met) in &collected.met {
            for &instance in met {
                if !collected.instances.contains_key(&instance) {
                    continue;
                }
                let node = Node::Instance(instance, position);
                let is_first = *homes.entry(instance).or_insert(node) == node;
                let is_started = is_first && collected.is_started_by(instance, position);
                let by = if is_started { By::Started } else { By::Met };
                self.hang(node, Node::Event(position), by);
            }
        }
        for &instance in collected.instances.keys() {
            homes.entry(instance).or_insert(Node::Instance(instance, 0));
        }
        homes
    }

    /// Unless it would hang under itself: a producer may say what it likes.
    fn hang(&mut self, node: Node, above: Node, by: By) {
        let mut ancestor = Some(above);
        while let Some(at) = ancestor {
            if at == node {
                return;
            }
            ancestor = self.above.get(&at).map(|(above, _)| *above);
        }
        self.above.insert(node, (above, by));
    }

    fn arrange(&mut self, collected: &Collected, homes: &BTreeMap<i64, Node>) {
        let events = collected.events.keys().map(|key| Node::Event(*key));
        let jobs = collected.jobs.keys().map(|key| Node::Job(*key));
        let met: Vec<_> = self.above.keys().copied().collect();
        let met = met
            .into_iter()
            .filter(|node| matches!(node, Node::Instance(..)));
        let unmet = homes.values().copied();
        let unmet = unmet.filter(|node| matches!(node, Node::Instance(_, 0)));
        let mut all: Vec<_> = events.chain(jobs).chain(met).chain(unmet).collect();
        all.sort_by_key(|node| (moment(collected, *node), *node));
        for node in all {
            match self.above.get(&node) {
                Some((above, _)) => self.below.entry(*above).or_default().push(node),
                None => self.roots.push(node),
            }
        }
    }

    pub(super) fn by(&self, node: Node) -> By {
        self.above.get(&node).map_or(By::Root, |(_, by)| *by)
    }

    /// Each with its depth, those below behind it.
    pub(super) fn in_order(&self) -> Vec<(Node, usize)> {
        let mut ordered = Vec::new();
        let mut stack: Vec<_> = self.roots.iter().rev().map(|node| (*node, 0)).collect();
        while let Some((node, depth)) = stack.pop() {
            ordered.push((node, depth));
            let below = self.below.get(&node).into_iter().flatten();
            stack.extend(below.rev().map(|node| (*node, depth + 1)));
        }
        ordered
    }
}

/// What a process published as the CloudEvent that came in at that position.
fn published(collected: &Collected, position: i64) -> Option<i64> {
    let came = &collected.events.get(&position)?.row;
    let mut published = collected.events.iter().filter(|(_, other)| {
        other.row.is_out && other.row.id == came.id && other.row.source == came.source
    });
    published.next().map(|(position, _)| *position)
}

fn moment(collected: &Collected, node: Node) -> i64 {
    let time = match node {
        Node::Event(position) | Node::Instance(_, position @ 1..) => {
            let event = collected.events.get(&position);
            event.map(|event| event.row.time_ms)
        }
        Node::Instance(key, _) => collected.instances.get(&key).map(|row| row.started_ms),
        Node::Job(key) => collected.jobs.get(&key).map(|job| job.created_ms),
    };
    time.unwrap_or_default()
}
