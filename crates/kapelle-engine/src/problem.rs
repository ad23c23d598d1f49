//! Problems of a process or its data: what a handler returns where it can't go on, and how that becomes an incident.

use crate::ctx::Ctx;
use crate::element::At;
use crate::event::{Event, IncidentKind, IncidentRaised};
use crate::ids::{IncidentKey, JobKey, ProcessInstanceKey};
use crate::state::instance::Incident;
use crate::step::Step;

/// Why an element can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: IncidentKind,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(kind: IncidentKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn extract_value(message: impl Into<String>) -> Self {
        Self::new(IncidentKind::ExtractValueError, message)
    }

    pub(crate) fn io_mapping(message: impl Into<String>) -> Self {
        Self::new(IncidentKind::IoMappingError, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(IncidentKind::ResourceLimit, message)
    }
}

/// Makes an incident of it.
pub(crate) fn raise(ctx: &mut Ctx<'_>, at: &At, job: Option<JobKey>, problem: Problem) {
    let incident = IncidentKey(ctx.new_key());
    raise_as(ctx, incident, at, job, problem);
}

/// Makes an incident of it, under a key that is known already.
pub(crate) fn raise_as(
    ctx: &mut Ctx<'_>,
    incident: IncidentKey,
    at: &At,
    job: Option<JobKey>,
    problem: Problem,
) {
    let mut message = problem.message;
    truncate(&mut message, ctx.limits().incident_text_bytes_max);
    ctx.emit(Event::IncidentRaised(Box::new(IncidentRaised {
        incident,
        instance: at.instance,
        definition: at.definition.key,
        element_instance: at.key,
        element: at.index,
        job,
        kind: problem.kind,
        message: message.into(),
    })));
}

/// The incident is over: what it held up goes on.
pub(crate) fn resolve(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, incident: Incident) {
    let held = ctx.instance(instance).held_steps.iter();
    let held: Vec<Step> = held
        .filter(|held| held.incident == incident.key)
        .map(|held| held.step.clone())
        .collect();
    ctx.emit(Event::IncidentResolved {
        incident: incident.key,
        instance,
        element: incident.element,
        job: incident.job,
    });
    for step in held {
        ctx.push(step);
    }
}

/// Cuts a text to at most that many bytes, between two characters.
pub(crate) fn truncate(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let mut end = bytes_max.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = "ab€cd".to_owned();
        truncate(&mut text, 7);
        assert_eq!(text, "ab€cd");
        truncate(&mut text, 6);
        assert_eq!(text, "ab…");
    }
}
