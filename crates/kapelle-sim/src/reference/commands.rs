//! Commands: which it was, and what it does.

use std::sync::Arc;

use kapelle_engine::command::{Command, CreateInstance, Deploy, ProcessSelector, SetVariables};
use kapelle_engine::event::{AvailableCause, Event};
use kapelle_engine::ids::{ElementInstanceKey, IncidentKey, JobKey};
use kapelle_runtime::record::{self, Source};

use super::answers::Answer;
use super::cases::Beginning;
use super::cloud_events;
use super::journal::Decided;
use super::said::{Name, Said, TimerOf};
use super::state::{At, Incident, Request, Version};
use super::variables::Reach;
use super::{Reference, Step};
use crate::clients;
use crate::process::{COMMAND_START, Wait};
use crate::value::read_values;

/// The number of due commands: see `kapelle_runtime::record::kind_of`.
const DUE: u16 = 15;

impl Reference {
    /// Does the command that was decided.
    pub(super) fn decide(&mut self, decided: &Decided) -> Result<(), String> {
        let header = &decided.header;
        let mut left = None;
        if let Source::Leftover(sequence) = header.source {
            left = self.leftovers.remove(&sequence);
            if left.is_none() {
                return Err(format!("nothing was left over in record {}", sequence.0));
            }
        }
        if header.kind == record::SET_ASIDE {
            return self.set_aside(decided, left);
        }
        if let Some(step) = left {
            self.push_step(step);
            return Ok(());
        }
        if let Some(operation) = header
            .traceparent
            .as_deref()
            .and_then(clients::operation_of_trace)
        {
            let asked = self.asked.remove(&operation);
            let asked = asked
                .ok_or_else(|| format!("operation {operation} is done twice or was never asked"))?;
            let answer = self.command(&asked.command, decided)?;
            if asked.is_awaited {
                self.answers.insert(operation, answer);
            }
            return Ok(());
        }
        match header.kind {
            DUE => self.due(decided),
            record::ANNOUNCE_LEADER => self.announce(decided),
            _ => self.settle_delivery(decided),
        }
    }

    fn command(&mut self, command: &Command, decided: &Decided) -> Result<Answer, String> {
        match command {
            Command::Deploy(deploy) => self.deploy(deploy),
            Command::CreateInstance(create) => self.create(create),
            Command::CancelInstance { instance } => {
                let at = self.element(instance.root())?;
                self.terminate(at);
                Ok(Answer::Done)
            }
            Command::SetVariables(set) => self.set_variables(set),
            Command::ResolveIncident { incident } => self.resolve(*incident),
            Command::ActivateJobs(activate) => Ok(self.activate(activate)),
            Command::CompleteJob { job, variables } => {
                let at = self.job_at(*job)?;
                self.complete_job(at, &read_values(&variables.0))?;
                Ok(Answer::Done)
            }
            Command::FailJob(fail) => {
                let at = self.job_at(fail.job)?;
                self.fail_job(at, fail)?;
                Ok(Answer::Done)
            }
            Command::ThrowJobError(throw) => {
                let at = self.job_at(throw.job)?;
                self.throw_error(at, throw)?;
                Ok(Answer::Done)
            }
            Command::UpdateJob {
                job,
                retries,
                timeout_ms,
            } => {
                let at = self.job_at(*job)?;
                self.update_job(at, *retries, *timeout_ms)?;
                Ok(Answer::Done)
            }
            Command::YieldJob { job } => {
                let at = self.job_at(*job)?;
                self.yield_job(at)?;
                Ok(Answer::Done)
            }
            Command::PublishMessage(publish) => self.publish_message(publish),
            Command::CorrelateMessage(correlate) => self.correlate(correlate),
            Command::IngestEvents(ingest) => {
                self.ingest(ingest, cloud_events::told(&decided.events))
            }
            Command::Due(_)
            | Command::AckOutbox { .. }
            | Command::DeferOutbox { .. }
            | Command::BuryOutbox { .. }
            | Command::PutSubscriber(_)
            | Command::DeleteSubscriber { .. }
            | Command::SettleDeadLetters(_)
            | Command::AnnounceLeader { .. }
            | Command::SetAside(_)
            | Command::Continue(_) => Err("nobody asks for that".to_owned()),
        }
    }

    pub(super) fn element(&self, key: ElementInstanceKey) -> Result<At, String> {
        let node = self
            .names
            .node(key)
            .ok_or_else(|| format!("there never was an element instance {key}"))?;
        self.find_node(node.number)
            .ok_or_else(|| format!("{node:?} is over"))
    }

    fn deploy(&mut self, deploy: &Deploy) -> Result<Answer, String> {
        let [resource] = deploy.resources.as_slice() else {
            return Err("one file at a time is deployed".to_owned());
        };
        let process = self
            .known
            .get(&resource.bytes)
            .ok_or("nobody drew that process")?;
        let process = Arc::clone(process);
        let id = Name::from(process.id.as_str());
        let before = self.latest(&id).cloned();
        if before
            .as_ref()
            .is_some_and(|latest| latest.bytes == resource.bytes)
        {
            return Err("it is the version that is there".to_owned());
        }
        let version = before.as_ref().map_or(1, |latest| latest.version + 1);
        self.say(Said::Deployed {
            process: id.clone(),
            version,
        });
        self.close_starts(&id);
        let timer = match process.start() {
            Some(Wait::Every { times, ms }) => Some((self.now + ms, Some(times - 1))),
            Some(Wait::At(_, ms)) => Some((*ms, Some(0))),
            Some(Wait::After(ms)) => Some((self.now + ms, Some(0))),
            Some(Wait::Message { name, .. }) => {
                self.say(Said::StartOpened {
                    process: id.clone(),
                    message: (*name).into(),
                });
                None
            }
            None => None,
        };
        if let Some((due, left)) = timer {
            let of = TimerOf::Process(id.clone(), version);
            self.say(Said::TimerSet { of, due, left });
        }
        for ((event_type, message), binding) in process.bindings() {
            let (event_type, message) = (Name::from(event_type), Name::from(message));
            self.say(Said::Bound {
                process: id.clone(),
                event_type: event_type.clone(),
                message: message.clone(),
            });
            self.bound
                .insert((event_type, id.clone(), message), binding);
        }
        let bytes = resource.bytes.clone();
        self.versions.entry(id.clone()).or_default().push(Version {
            process,
            bytes,
            version,
            timer,
        });
        Ok(Answer::Deployed(id, version))
    }

    /// The version before no longer starts by itself.
    fn close_starts(&mut self, id: &Name) {
        if let Some(message) = self.start_message(id) {
            self.say(Said::StartClosed {
                process: id.clone(),
                message: message.into(),
            });
        }
        let Some(latest) = self
            .versions
            .get_mut(id)
            .and_then(|versions| versions.last_mut())
        else {
            return;
        };
        let version = latest.version;
        if latest.timer.take().is_some() {
            let of = TimerOf::Process(id.clone(), version);
            self.say(Said::TimerGone { of });
        }
    }

    fn create(&mut self, create: &CreateInstance) -> Result<Answer, String> {
        let ProcessSelector::Latest { process_id } = &create.process else {
            return Err("only the latest version is asked for".to_owned());
        };
        let outlived = match &create.idempotency_key {
            Some(request) => self.requests.remove_entry(request),
            None => None,
        };
        if let Some((request, kept)) = &outlived
            && kept.until > self.now
        {
            return Err(format!("request {request} is remembered: {kept:?}"));
        }
        let version = self
            .latest(process_id)
            .ok_or("there is no such process")?
            .version;
        let is_awaited = create.await_result.is_some();
        let beginning = Beginning {
            start: COMMAND_START,
            variables: read_values(&create.variables.0),
            payload: None,
            awaited: is_awaited,
            lock: None,
        };
        let case = self.begin(process_id, version, beginning);
        if let Some(request) = &create.idempotency_key {
            if let Some((request, kept)) = outlived {
                let case = kept.case;
                self.say(Said::Forgotten { request, case });
            }
            let until = self.now + self.limits.request_window_ms;
            let kept = Request {
                case,
                process: process_id.clone(),
                version,
                until,
            };
            self.requests.insert(request.clone(), kept);
            self.say(Said::Remembered {
                request: request.clone(),
                case,
                until,
            });
        }
        Ok(if is_awaited {
            Answer::Deferred(case)
        } else {
            Answer::Created(case, process_id.clone(), version)
        })
    }

    fn set_variables(&mut self, set: &SetVariables) -> Result<Answer, String> {
        let at = self.element(set.scope)?;
        let reach = if set.local {
            Reach::Local
        } else {
            Reach::Propagate
        };
        self.merge(at, reach, &read_values(&set.variables.0));
        Ok(Answer::VariablesSet)
    }

    fn resolve(&mut self, key: IncidentKey) -> Result<Answer, String> {
        let number = self
            .names
            .incident(key)
            .ok_or("there never was such an incident")?;
        let (at, incident) = self
            .open_incident(number)
            .ok_or("the incident is resolved")?;
        let case = at.case;
        let ends_quarantine = self.case(case).set_aside == Some(number);
        if self.is_left_alone(case, number) {
            return Err("its instance is set aside".to_owned());
        }
        if incident.of_job && self.job(at)?.retries <= 0 {
            return Err("its job has no retries left".to_owned());
        }
        self.resolve_one(case, number);
        if incident.of_job {
            self.free_job(at, AvailableCause::IncidentResolved);
        } else if ends_quarantine {
            self.look_again(case);
        } else {
            self.push_step(Step::Retry(at));
        }
        Ok(Answer::Done)
    }

    /// The incident of that number, if it is open, and where.
    pub(super) fn open_incident(&self, number: u64) -> Option<(At, Incident)> {
        self.cases.iter().find_map(|(case, living)| {
            let incident = *living.incidents.get(&number)?;
            let at = At {
                case: *case,
                node: incident.node,
            };
            Some((at, incident))
        })
    }

    fn announce(&mut self, decided: &Decided) -> Result<(), String> {
        for (_, event) in &decided.events {
            if let Event::LeaderAnnounced { incarnation, .. } = event {
                self.incarnation = *incarnation;
                self.push_step(Step::ReleasePushed {
                    deadline: i64::MIN,
                    job: JobKey(0),
                });
                return Ok(());
            }
        }
        Err("a leader is announced and none is named".to_owned())
    }

    /// Deliveries and subscribers are the runtime's; here CloudEvents only leave.
    fn settle_delivery(&mut self, decided: &Decided) -> Result<(), String> {
        match decided.events.as_slice() {
            [
                (
                    _,
                    event @ (Event::OutboxAcked { .. }
                    | Event::OutboxDeferred { .. }
                    | Event::OutboxBuried { .. }),
                ),
            ] => {
                let said = self.names.said(event);
                self.said.extend(said);
                Ok(())
            }
            [
                (
                    _,
                    Event::SubscriberPut { .. }
                    | Event::SubscriberDeleted { .. }
                    | Event::DeadLettersSettled { .. },
                ),
            ] => Ok(()),
            events => Err(format!("nobody asked for that: {events:?}")),
        }
    }
}
