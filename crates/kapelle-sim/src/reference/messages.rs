//! Messages: who waits for them, whom they start, and how long they are kept.
//!
//! The rules, as the manual has them: a message meets each process once, over all versions and instances: an instance that
//! waits (who waited first, first), else a start event. A keyed message that starts an instance holds its key for the
//! process until the instance ends. What meets nobody stays for its time to live, and who waits later takes the oldest that
//! its process has not met. One that a CloudEvent became reaches the process of its binding only, is used up when it met
//! one, and its key meets only keys of its own kind.

use kapelle_engine::command::{CorrelateMessage, PublishMessage};
use kapelle_engine::event::KeyKind;

use super::answers::Answer;
use super::said::{Name, Said};
use super::state::{At, Message};
use super::{Reference, Step, count};
use crate::process::Wait;
use crate::value::{Values, read_values};

/// A message that is to be published.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) name: Name,
    pub(super) key: Name,
    pub(super) id: Name,
    pub(super) ttl_ms: i64,
    pub(super) variables: Values,
    /// Where a CloudEvent became it.
    pub(super) only: Option<Only>,
}

/// What is different about a message that a CloudEvent became.
#[derive(Clone, Debug)]
pub(super) struct Only {
    pub(super) process: Name,
    pub(super) kind: KeyKind,
    pub(super) lock: bool,
}

/// Whom a message would meet.
#[derive(Default)]
pub(super) struct Candidates {
    waiting: Vec<(Name, At, Name)>,
    starts: Vec<Name>,
}

impl Candidates {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.starts.is_empty()
    }
}

/// A meeting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    pub(super) case: u64,
    pub(super) started: bool,
}

impl Publication {
    fn is_for(&self, process: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| *only.process == *process)
    }

    fn is_of(&self, kind: KeyKind) -> bool {
        self.only.as_ref().is_none_or(|only| only.kind == kind)
    }

    fn locks(&self) -> bool {
        !self.key.is_empty() && self.only.as_ref().is_none_or(|only| only.lock)
    }
}

impl Reference {
    pub(super) fn publish_message(&mut self, command: &PublishMessage) -> Result<Answer, String> {
        let publication = publication(command);
        if self.id_is_taken(&publication) {
            return Err(format!("message id {} is taken", publication.id));
        }
        let candidates = self.candidates(&publication);
        let (message, _) = self.publish(publication, candidates);
        Ok(Answer::Published(message))
    }

    pub(super) fn publish_from_inside(&mut self, publication: Publication) {
        if !self.id_is_taken(&publication) {
            let candidates = self.candidates(&publication);
            self.publish(publication, candidates);
        }
    }

    pub(super) fn correlate(&mut self, command: &CorrelateMessage) -> Result<Answer, String> {
        let publication = passing(command);
        let candidates = self.candidates(&publication);
        if candidates.is_empty() {
            return Err("nobody waits for the message".to_owned());
        }
        let (message, met) = self.publish(publication, candidates);
        let case = met.first().ok_or("a candidate is met")?.case;
        Ok(Answer::Correlated(message, case))
    }

    pub(super) fn id_is_taken(&self, publication: &Publication) -> bool {
        let same = |message: &Message| {
            let other = &message.publication;
            (&other.name, &other.key, &other.id)
                == (&publication.name, &publication.key, &publication.id)
        };
        !publication.id.is_empty() && self.messages.values().any(same)
    }

    /// The message that the latest version of a process starts with.
    pub(super) fn start_message(&self, process: &str) -> Option<&'static str> {
        match self.latest(process)?.process.start()? {
            Wait::Message { name, .. } => Some(name),
            _ => None,
        }
    }

    pub(super) fn candidates(&self, publication: &Publication) -> Candidates {
        let mut found = Candidates::default();
        if !publication.key.is_empty() {
            for (process, at, element, kind) in self.waiting_for(publication) {
                let has_one = found.waiting.iter().any(|(other, ..)| *other == process);
                if !has_one && publication.is_for(&process) && publication.is_of(kind) {
                    found.waiting.push((process, at, element));
                }
            }
        }
        for process in self.versions.keys() {
            let is_met = found.waiting.iter().any(|(other, ..)| other == process);
            let starts = self.start_message(process) == Some(&*publication.name);
            let holder = (process.clone(), publication.key.clone());
            let is_held = publication.locks() && self.locks.contains_key(&holder);
            if starts && !is_met && !is_held && publication.is_for(process) {
                found.starts.push(process.clone());
            }
        }
        found
    }

    /// Everyone who can be met, by process, who waited first in front.
    fn waiting_for(&self, publication: &Publication) -> Vec<(Name, At, Name, KeyKind)> {
        let mut found = Vec::new();
        for (case, living) in &self.cases {
            for (node, standing) in &living.nodes {
                for open in &standing.waits {
                    let at = At {
                        case: *case,
                        node: *node,
                    };
                    if open.name == publication.name
                        && open.key == publication.key
                        && self.can_be_met(at)
                    {
                        let process = Name::from(living.process.id.as_str());
                        found.push((process, open.made, at, open.element.clone(), open.kind));
                    }
                }
            }
        }
        found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        found
            .into_iter()
            .map(|(process, _, at, element, kind)| (process, at, element, kind))
            .collect()
    }

    fn can_be_met(&self, at: At) -> bool {
        let case = self.case(at.case);
        case.set_aside.is_none() && case.is_live(at.node)
    }

    pub(super) fn publish(
        &mut self,
        publication: Publication,
        candidates: Candidates,
    ) -> (u64, Vec<Meeting>) {
        let message = count(&mut self.made.messages);
        let expires = self.now + publication.ttl_ms.max(0);
        self.say(Said::Published {
            message,
            name: publication.name.clone(),
            key: publication.key.clone(),
            id: publication.id.clone(),
            expires,
            variables: publication.variables.clone(),
            only: publication
                .only
                .as_ref()
                .map(|only| (only.process.clone(), only.kind)),
        });
        let (is_kept, is_used_up) = (publication.ttl_ms > 0, publication.only.is_some());
        let kept = Message {
            publication,
            expires,
            met: Default::default(),
        };
        self.messages.insert(message, kept);
        let mut met = Vec::new();
        for (_, at, element) in candidates.waiting {
            if self.meet(message, at, &element) {
                met.push(Meeting {
                    case: at.case,
                    started: false,
                });
            }
        }
        for process in candidates.starts {
            let case = self.start_with(message, &process);
            met.push(Meeting {
                case,
                started: true,
            });
        }
        if !is_kept || (is_used_up && !met.is_empty()) {
            self.expire(message);
        }
        (message, met)
    }

    pub(super) fn expire(&mut self, message: u64) {
        self.messages.remove(&message);
        self.say(Said::Expired { message });
    }

    fn meet(&mut self, message: u64, at: At, element: &Name) -> bool {
        let is_open = self
            .standing(at)
            .is_some_and(|standing| standing.waits.iter().any(|open| open.element == *element));
        if !is_open || !self.can_be_met(at) {
            return false;
        }
        let node = self.node(at);
        self.say(Said::Met {
            message,
            node: node.clone(),
        });
        let process = Name::from(self.case(at.case).process.id.as_str());
        let variables = self.note_met(message, process);
        let waits = &mut self.standing_mut(at).waits;
        let place = waits
            .iter()
            .position(|open| open.element == *element && open.once);
        if let Some(place) = place {
            waits.remove(place);
            self.say(Said::Closed {
                node,
                element: element.clone(),
            });
        }
        self.trigger(at, element, variables);
        true
    }

    fn note_met(&mut self, message: u64, process: Name) -> Values {
        let kept = self
            .messages
            .get_mut(&message)
            .expect("invariant: it is in the buffer while it is published");
        kept.met.insert(process);
        kept.publication.variables.clone()
    }

    fn start_with(&mut self, message: u64, process: &Name) -> u64 {
        let version = self
            .latest(process)
            .expect("invariant: found before")
            .version;
        let variables = self.note_met(message, process.clone());
        let publication = &self.messages[&message].publication;
        let lock = publication.locks().then(|| publication.key.clone());
        let case = self.start(process, version, Some(variables), lock);
        self.say(Said::Started { message, case });
        case
    }

    fn may_meet(&self, message: &Message, process: &str) -> bool {
        message.expires > self.now
            && message.publication.is_for(process)
            && !message.met.contains(process)
    }

    pub(super) fn meet_buffered(&mut self, at: At, element: &Name) {
        let Some(standing) = self.standing(at) else {
            return;
        };
        let Some(open) = standing.waits.iter().find(|open| open.element == *element) else {
            return;
        };
        if !self.can_be_met(at) {
            return;
        }
        let process = &self.case(at.case).process.id;
        let oldest = self.messages.iter().find(|(_, message)| {
            let publication = &message.publication;
            publication.name == open.name
                && publication.key == open.key
                && publication.is_of(open.kind)
                && self.may_meet(message, process)
        });
        let Some((message, kept)) = oldest else {
            return;
        };
        let (message, is_used_up, once) = (*message, kept.publication.only.is_some(), open.once);
        if self.meet(message, at, element) && is_used_up {
            self.expire(message);
        }
        if !once {
            self.push_step(Step::MeetBuffered {
                at,
                element: element.clone(),
            });
        }
    }

    pub(super) fn start_buffered(&mut self, process: &Name, key: &Name) {
        if self.locks.contains_key(&(process.clone(), key.clone())) {
            return;
        }
        let Some(name) = self.start_message(process) else {
            return;
        };
        let oldest = self.messages.iter().find(|(_, message)| {
            let publication = &message.publication;
            *publication.name == *name && publication.key == *key && self.may_meet(message, process)
        });
        let Some((message, kept)) = oldest else {
            return;
        };
        let (message, is_used_up) = (*message, kept.publication.only.is_some());
        self.start_with(message, process);
        if is_used_up {
            self.expire(message);
        }
    }
}

pub(super) fn publication(command: &PublishMessage) -> Publication {
    Publication {
        name: command.name.clone(),
        key: command.correlation_key.clone(),
        id: command.message_id.clone(),
        ttl_ms: command.ttl_ms,
        variables: read_values(&command.variables.0),
        only: None,
    }
}

/// A message that is not kept.
pub(super) fn passing(command: &CorrelateMessage) -> Publication {
    Publication {
        name: command.name.clone(),
        key: command.correlation_key.clone(),
        id: "".into(),
        ttl_ms: 0,
        variables: read_values(&command.variables.0),
        only: None,
    }
}
