//! Single elements: tasks and events, and the boundary events of those that may have some.

use std::collections::BTreeSet;

use super::table::{self, BoundaryRow, SingleRow};
use super::{Block, Drawing, Element, JobText, Mapped, Wait, What};

/// A task or an event between one flow in and one flow out.
#[derive(Debug)]
pub(super) struct Single {
    name: String,
    row: &'static SingleRow,
    mapped: Mapped,
    boundaries: Boundaries,
}

impl Single {
    pub(super) fn draw(drawing: &mut Drawing, row: &'static SingleRow) -> Box<dyn Block> {
        let name = drawing.name(row.prefix);
        let mapped = drawing.one_of(row.mappings);
        let boundaries = if row.is_activity {
            Boundaries::draw(drawing)
        } else {
            Boundaries::default()
        };
        Box::new(Self {
            name,
            row,
            mapped,
            boundaries,
        })
    }
}

impl Block for Single {
    fn write(&self, from: &str, out: &mut Vec<String>) -> String {
        let kind = self.row.kind;
        let arguments = arguments(&self.row.what) + &self.mapped.arguments();
        let arguments = arguments.strip_prefix(", ").unwrap_or(&arguments);
        let arguments = if arguments.is_empty() {
            String::new()
        } else {
            format!("({arguments})")
        };
        out.push(format!("{from} -> {}:{kind}{arguments}", self.name));
        self.boundaries.write(&self.name, out)
    }

    fn entry(&self) -> &str {
        &self.name
    }

    fn last(&self) -> &str {
        self.boundaries.next(&self.name)
    }

    fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>> {
        if name != self.name {
            return self.boundaries.find(name, next);
        }
        Some(Element {
            what: self.row.what.clone(),
            next: vec![self.boundaries.next(next)],
            mapped: sent_with(&self.row.what, self.mapped),
            boundaries: &self.boundaries.events,
        })
    }

    fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        if let What::Wait(wait) = &self.row.what {
            visit(wait);
        }
        self.boundaries.waits(visit);
    }
}

/// What an element does as arguments of the notation.
pub(super) fn arguments(what: &What<'_>) -> String {
    match what {
        What::Job(job) => job.arguments(),
        What::Wait(wait) => wait.arguments(),
        What::Publish(publish) => publish.arguments(),
        What::Send(send) => send.arguments() + &table::SENT.arguments(),
        What::Terminate => "terminate".to_owned(),
        What::Throw(code) => format!("error {code}"),
        What::Pass
        | What::Choose(_)
        | What::Join(_)
        | What::Race(_)
        | What::Inside(_)
        | What::Boundary(_) => String::new(),
    }
}

/// With the inputs that make up a message that is sent.
pub(super) fn sent_with(what: &What<'_>, mapped: Mapped) -> Mapped {
    match what {
        What::Send(_) => table::SENT,
        _ => mapped,
    }
}

impl JobText {
    fn arguments(&self) -> String {
        let mut text = String::new();
        if !self.is_user_task() {
            let job_type = self.job_type.unwrap_or("=kind");
            text = format!("job {job_type}, retries {}", self.retries);
        }
        if let Some((key, value)) = self.header {
            text += &format!(", header {key} {value}");
        }
        if self.assignee {
            text += ", assignee =kind";
        }
        text
    }

    /// Its type and retries are given.
    fn is_user_task(&self) -> bool {
        self.job_type == Some(table::USER_TASK_TYPE)
    }
}

/// The boundary events of an activity, in the order of the document. A path that interrupts its host comes back to it behind
/// a merge: behind a fork, a join waits for a token of every branch.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    pub(super) events: Vec<Boundary>,
    /// The merge and its one way out.
    merge: Option<(String, String)>,
}

/// A boundary event and what is behind it.
#[derive(Debug)]
pub(crate) struct Boundary {
    pub(crate) name: String,
    row: &'static BoundaryRow,
    /// A task on its path.
    task: Option<String>,
    /// Where its path ends, if it does not come back.
    end: Option<String>,
}

/// The task behind a boundary event.
static TAIL: JobText = JobText {
    job_type: Some("t1"),
    retries: 3,
    header: None,
    assignee: false,
};

impl Boundary {
    pub(crate) fn interrupts(&self) -> bool {
        self.row.interrupts
    }

    /// What it waits for; nothing if it catches errors.
    pub(crate) fn wait(&self) -> Option<&'static Wait> {
        match &self.row.meets {
            Meets::Wait(wait) => Some(wait),
            Meets::Error(_) => None,
        }
    }

    /// Whether it catches that error, which `None` asks of all.
    pub(crate) fn catches(&self, code: Option<&str>) -> bool {
        matches!(self.row.meets, Meets::Error(own) if own == code)
    }

    pub(crate) fn outputs_nothing(&self) -> bool {
        self.row.mapped.outputs.is_empty()
    }

    pub(crate) fn meets_errors(&self) -> bool {
        matches!(self.row.meets, Meets::Error(_))
    }

    fn find<'p>(&'p self, name: &str, back: &'p str) -> Option<Element<'p>> {
        let last = self.end.as_deref().unwrap_or(back);
        if name == self.name {
            let first = self.task.as_deref().unwrap_or(last);
            return Some(Element {
                mapped: self.row.mapped,
                ..Element::plain(What::Boundary(self), first)
            });
        }
        if self.task.as_deref() == Some(name) {
            return Some(Element::plain(What::Job(&TAIL), last));
        }
        (self.end.as_deref() == Some(name)).then(|| Element {
            next: Vec::new(),
            ..Element::plain(What::Pass, "")
        })
    }
}

/// What a boundary event is met by.
#[derive(Debug)]
pub(super) enum Meets {
    Wait(Wait),
    /// `None`: every error.
    Error(Option<&'static str>),
}

impl Boundaries {
    pub(super) fn draw(drawing: &mut Drawing) -> Self {
        let mut boundaries = Self::default();
        let mut taken = BTreeSet::new();
        for _ in 0..drawing.random.below(3) {
            let row = drawing.row(&table::BOUNDARIES, |row| row.weight);
            if !row.excludes.is_empty() && !taken.insert(row.excludes) {
                continue;
            }
            let name = drawing.name("bound");
            let task = drawing.random.one_in(2).then(|| drawing.name("task"));
            let end = (!row.interrupts).then(|| drawing.name("end"));
            if row.interrupts && boundaries.merge.is_none() {
                boundaries.merge = Some((drawing.name("merge"), drawing.name("f")));
            }
            boundaries.events.push(Boundary {
                name,
                row,
                task,
                end,
            });
        }
        boundaries
    }

    /// Whom the host goes on to.
    pub(super) fn next<'p>(&'p self, next: &'p str) -> &'p str {
        self.merge.as_ref().map_or(next, |(merge, _)| merge)
    }

    /// Returns what its one way out is then.
    pub(super) fn write(&self, host: &str, out: &mut Vec<String>) -> String {
        let (merge, flow) = match &self.merge {
            None => ("", host),
            Some((merge, flow)) => {
                out.push(format!("{host} -> {merge}{{{flow}: default}}"));
                (merge.as_str(), flow.as_str())
            }
        };
        for boundary in &self.events {
            let side = if boundary.row.interrupts {
                "on"
            } else {
                "beside"
            };
            let event = match &boundary.row.meets {
                Meets::Wait(wait) => wait.arguments(),
                Meets::Error(None) => "error".to_owned(),
                Meets::Error(Some(code)) => format!("error {code}"),
            };
            let mapped = boundary.row.mapped.arguments();
            let task = boundary.task.as_ref().map_or_else(String::new, |task| {
                format!(" -> {task}:service({})", TAIL.arguments())
            });
            let last = boundary.end.as_deref().unwrap_or(merge);
            out.push(format!(
                "{}({event}{mapped}) {side} {host}{task} -> {last}",
                boundary.name
            ));
        }
        flow.to_owned()
    }

    pub(super) fn find<'p>(&'p self, name: &str, next: &'p str) -> Option<Element<'p>> {
        if self.merge.as_ref().is_some_and(|(merge, _)| merge == name) {
            return Some(Element::plain(What::Pass, next));
        }
        let back = self.next(next);
        self.events
            .iter()
            .find_map(|boundary| boundary.find(name, back))
    }

    pub(super) fn waits<'p>(&'p self, visit: &mut dyn FnMut(&'p Wait)) {
        for boundary in &self.events {
            if let Meets::Wait(wait) = &boundary.row.meets {
                visit(wait);
            }
        }
    }
}
