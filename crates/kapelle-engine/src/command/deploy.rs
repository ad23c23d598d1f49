//! Deployment: files become versions of processes, all of them or none (camunda8.md §3.11).

use std::fmt::Write;
use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, ElementKind, MessageIndex, Process, StartTrigger};
use kapelle_model::{Diagnostic, SEMANTICS};

use crate::command::{Deploy, Resource, check};
use crate::correlation::start_message_name;
use crate::ctx::Ctx;
use crate::event::{
    Event, EventBindingOpened, ProcessDeployed, StartSubscription, TimerEvent, TimerOwner,
};
use crate::expression::{self, Sight};
use crate::ids::{DefinitionKey, DeploymentKey, ResourceKey, SubscriptionKey, TimerKey, Timestamp};
use crate::rejection::Rejection;
use crate::response::{Deployed, DeployedProcess, Response};
use crate::state::{definitions, messages};

const CREATE: &str = "CREATE";

/// A file that was accepted.
struct Accepted<'r> {
    resource: &'r Resource,
    processes: Vec<AcceptedProcess>,
}

/// A process that was accepted.
struct AcceptedProcess {
    process: Process,
    /// First times of its timer start events.
    timers: Vec<StartTimer>,
    latest: Option<Latest>,
}

struct StartTimer {
    element: ElementIndex,
    due: Timestamp,
    repetitions: Option<u32>,
}

/// The version before.
struct Latest {
    definition: DefinitionKey,
    version: i32,
    deployment: DeploymentKey,
    /// It was made of a file of the same name and content.
    is_same: bool,
}

pub(super) fn deploy(ctx: &mut Ctx<'_>, command: &Deploy) -> Result<Response, Rejection> {
    check_command(ctx, command)?;
    let accepted = accept(ctx, command)?;
    let is_same =
        |process: &AcceptedProcess| process.latest.as_ref().is_some_and(|latest| latest.is_same);
    let known = accepted
        .iter()
        .flat_map(|file| &file.processes)
        .all(is_same);
    let first = accepted
        .iter()
        .flat_map(|file| &file.processes)
        .find_map(|process| process.latest.as_ref());
    let key = match first {
        // Nothing is new: the deployment is the one that brought it.
        Some(latest) if known => latest.deployment,
        _ => DeploymentKey(ctx.new_key()),
    };
    let mut processes = Vec::new();
    for file in accepted {
        store(ctx, command, key, file, &mut processes);
    }
    if !known {
        ctx.emit(Event::DeploymentCreated {
            deployment: key,
            tenant: command.tenant.clone(),
        });
    }
    Ok(Response::Deployed(Deployed {
        key,
        tenant: command.tenant.clone(),
        processes,
    }))
}

fn check_command(ctx: &Ctx<'_>, command: &Deploy) -> Result<(), Rejection> {
    check::index_text(ctx, CREATE, "tenant id", &command.tenant)?;
    let max = ctx.limits().resources_per_deployment_max;
    if command.resources.is_empty() {
        return Err(Rejection::invalid_argument(
            CREATE,
            "Expected to deploy at least one resource, but none given",
        ));
    }
    if command.resources.len() > max {
        let reason = format!(
            "Expected to deploy at most {max} resources, but {} given",
            command.resources.len()
        );
        return Err(Rejection::invalid_argument(CREATE, reason));
    }
    Ok(())
}

/// Judges all files, and says everything that is wrong with any of them.
fn accept<'r>(ctx: &Ctx<'_>, command: &'r Deploy) -> Result<Vec<Accepted<'r>>, Rejection> {
    let mut errors = String::new();
    let mut accepted: Vec<Accepted<'r>> = Vec::new();
    for resource in &command.resources {
        match read(ctx, &command.tenant, resource) {
            Ok(processes) => {
                if let Some((id, other)) = find_twin(&accepted, &processes) {
                    append(
                        &mut errors,
                        &resource.name,
                        &format!(
                            "Duplicated process id '{id}' in resources '{other}' and '{}'",
                            resource.name
                        ),
                    );
                }
                accepted.push(Accepted {
                    resource,
                    processes,
                });
            }
            Err(text) => append(&mut errors, &resource.name, &text),
        }
    }
    if errors.is_empty() {
        return Ok(accepted);
    }
    let reason =
        format!("Expected to deploy new resources, but encountered the following errors:{errors}");
    Err(Rejection::invalid_argument(CREATE, reason))
}

fn append(errors: &mut String, name: &str, text: &str) {
    write!(errors, "\n'{name}': {text}").expect("writing to a string can't fail");
}

fn find_twin<'a>(
    accepted: &'a [Accepted<'_>],
    processes: &'a [AcceptedProcess],
) -> Option<(&'a str, &'a str)> {
    let others = accepted
        .iter()
        .flat_map(|file| file.processes.iter().map(move |process| (file, process)));
    others
        .filter(|(_, other)| {
            processes
                .iter()
                .any(|own| own.process.id == other.process.id)
        })
        .map(|(file, other)| (&*other.process.id, &*file.resource.name))
        .next()
}

fn read(ctx: &Ctx<'_>, tenant: &str, resource: &Resource) -> Result<Vec<AcceptedProcess>, String> {
    let is_bpmn = [".bpmn", ".xml", ".bpmn20.xml"]
        .iter()
        .any(|ending| resource.name.ends_with(ending));
    if !is_bpmn {
        return Err("unknown resource type: expected a name that ends with .bpmn".to_owned());
    }
    let (bpmn, diagnostics) = kapelle_model::parse_bpmn(
        &resource.name,
        &resource.bytes,
        &kapelle_model::Limits::default(),
    );
    let Some(bpmn) = bpmn else {
        return Err(describe(&diagnostics));
    };
    let mut processes: Vec<AcceptedProcess> = Vec::new();
    for process in bpmn.processes {
        processes.push(accept_process(ctx, tenant, resource, process)?);
    }
    Ok(processes)
}

/// As Zeebe lists what is wrong: the element, then the finding.
fn describe(diagnostics: &[Diagnostic]) -> String {
    let finding = |diagnostic: &Diagnostic| {
        let place = match &diagnostic.element_id {
            // The path begins with the element.
            Some(_) if !diagnostic.path.is_empty() => format!("Element: {}", diagnostic.path),
            Some(id) => format!("Element: {id}"),
            None => format!("Line {} column {}", diagnostic.line, diagnostic.column),
        };
        let Diagnostic {
            message,
            code,
            help,
            ..
        } = diagnostic;
        let help = if help.is_empty() {
            String::new()
        } else {
            format!(" {help}")
        };
        format!("- {place}\n    - ERROR: {message} [{code}]{help}")
    };
    let findings: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .map(finding)
        .collect();
    findings.join("\n")
}

fn accept_process(
    ctx: &Ctx<'_>,
    tenant: &str,
    resource: &Resource,
    process: Process,
) -> Result<AcceptedProcess, String> {
    let too_long = |what: &str, text: &str| match expression::check_index_text(ctx, what, text) {
        Ok(()) => Ok(()),
        Err(problem) => Err(problem.message),
    };
    too_long("process id", &process.id)?;
    for message in &process.messages {
        message
            .name
            .as_static()
            .map_or(Ok(()), |name| too_long("message name", name))?;
        message.binding.as_ref().map_or(Ok(()), |binding| {
            too_long("type of a CloudEvent", &binding.event_type)
        })?;
    }
    let timers = start_timers(ctx, &process)?;
    let latest = definitions::latest(ctx.keep(), tenant, &process.id).map(|latest| {
        let entry =
            definitions::by_key(ctx.keep(), latest.definition).expect("the latest version exists");
        let stored =
            definitions::resource(ctx.keep(), entry.resource).expect("a version's resource exists");
        let is_same = entry.resource_name == resource.name && stored.bytes == resource.bytes;
        Latest {
            definition: latest.definition,
            version: latest.version,
            deployment: entry.deployment,
            is_same,
        }
    });
    Ok(AcceptedProcess {
        process,
        timers,
        latest,
    })
}

fn start_timers(ctx: &Ctx<'_>, process: &Process) -> Result<Vec<StartTimer>, String> {
    let mut timers = Vec::new();
    for &element in &process.timer_starts {
        let start = process.element(element);
        let ElementKind::StartEvent(StartTrigger::Timer(timer)) = &start.kind else {
            continue;
        };
        // Nothing but functions is there for an expression: no instance exists yet.
        let schedule = expression::schedule(ctx, timer.kind, &timer.value, Sight::Other(&()));
        let schedule = schedule.map_err(|problem| {
            format!("- Element: {}\n    - ERROR: {}", start.id, problem.message)
        })?;
        let due = Timestamp(schedule.first_due(ctx.now().0));
        timers.push(StartTimer {
            element,
            due,
            repetitions: schedule.repetitions().map(|times| times.saturating_sub(1)),
        });
    }
    Ok(timers)
}

fn store(
    ctx: &mut Ctx<'_>,
    command: &Deploy,
    deployment: DeploymentKey,
    file: Accepted<'_>,
    deployed: &mut Vec<DeployedProcess>,
) {
    let mut stored: Option<ResourceKey> = None;
    for accepted in file.processes {
        let (process_id, resource_name) = (accepted.process.id.clone(), file.resource.name.clone());
        if let Some(latest) = accepted.latest.as_ref().filter(|latest| latest.is_same) {
            let (definition, version) = (latest.definition, latest.version);
            deployed.push(DeployedProcess {
                definition,
                process_id,
                version,
                resource_name,
            });
            continue;
        }
        let resource =
            stored.unwrap_or_else(|| store_resource(ctx, &command.tenant, file.resource));
        stored = Some(resource);
        let definition = DefinitionKey(ctx.new_key());
        let version = accepted
            .latest
            .as_ref()
            .map_or(1, |latest| latest.version + 1);
        ctx.emit(Event::ProcessDeployed(Box::new(ProcessDeployed {
            definition,
            deployment,
            resource,
            tenant: command.tenant.clone(),
            process_id: process_id.clone(),
            version,
            version_tag: accepted.process.version_tag.clone(),
            name: accepted.process.name.clone(),
            resource_name: resource_name.clone(),
            semantics: u32::from(SEMANTICS),
        })));
        if let Some(latest) = &accepted.latest {
            close_starts(ctx, latest.definition);
        }
        open_starts(ctx, definition, &accepted.timers);
        deployed.push(DeployedProcess {
            definition,
            process_id,
            version,
            resource_name,
        });
    }
}

fn store_resource(ctx: &mut Ctx<'_>, tenant: &Arc<str>, resource: &Resource) -> ResourceKey {
    let key = ResourceKey(ctx.new_key());
    ctx.emit(Event::ResourceStored {
        resource: key,
        tenant: tenant.clone(),
        name: resource.name.clone(),
        bytes: resource.bytes.clone(),
        checksum: *blake3::hash(&resource.bytes).as_bytes(),
    });
    key
}

/// The version before no longer starts instances by itself.
fn close_starts(ctx: &mut Ctx<'_>, definition: DefinitionKey) {
    let definition = ctx.definition(definition);
    let process_id = &definition.process.id;
    for &element in &definition.process.message_starts {
        let Some(name) = start_message_name(&definition, element) else {
            continue;
        };
        let open = messages::start_subscription(
            ctx.keep(),
            &definition.tenant,
            &name,
            process_id,
            element,
        );
        if let Some(open) = open.filter(|open| open.definition == definition.key) {
            ctx.emit(Event::StartSubscriptionClosed(Box::new(
                StartSubscription {
                    subscription: open.subscription,
                    definition: definition.key,
                    tenant: definition.tenant.clone(),
                    process_id: process_id.clone(),
                    name,
                    element,
                },
            )));
        }
    }
    for (timer, entry) in definitions::timers(ctx.keep(), definition.key) {
        let owner = TimerOwner::Definition {
            definition: definition.key,
            element: entry.element,
        };
        ctx.emit(Event::TimerCanceled(TimerEvent {
            timer,
            owner,
            due: entry.due,
            repetitions: entry.repetitions,
        }));
    }
}

fn open_starts(ctx: &mut Ctx<'_>, key: DefinitionKey, timers: &[StartTimer]) {
    let definition = ctx.definition(key);
    let (tenant, process_id) = (&definition.tenant, &definition.process.id);
    for &element in &definition.process.message_starts {
        let Some(name) = start_message_name(&definition, element) else {
            continue;
        };
        let subscription = SubscriptionKey(ctx.new_key());
        let (tenant, process_id) = (tenant.clone(), process_id.clone());
        let start = StartSubscription {
            subscription,
            definition: key,
            tenant,
            process_id,
            name,
            element,
        };
        ctx.emit(Event::StartSubscriptionOpened(Box::new(start)));
    }
    for timer in timers {
        let owner = TimerOwner::Definition {
            definition: key,
            element: timer.element,
        };
        let (due, repetitions) = (timer.due, timer.repetitions);
        let timer = TimerKey(ctx.new_key());
        ctx.emit(Event::TimerScheduled(TimerEvent {
            timer,
            owner,
            due,
            repetitions,
        }));
    }
    for (index, message, event_type) in bindings(&definition.process) {
        let (tenant, process_id) = (tenant.clone(), process_id.clone());
        let opened = EventBindingOpened {
            tenant,
            event_type,
            process_id,
            message,
            definition: key,
            index,
        };
        ctx.emit(Event::EventBindingOpened(Box::new(opened)));
    }
}

/// Messages that CloudEvents reach: those the process waits for or starts with, by their binding or by their name.
fn bindings(process: &Process) -> Vec<(MessageIndex, Arc<str>, Arc<str>)> {
    let mut awaited: Vec<MessageIndex> = process
        .elements
        .iter()
        .filter_map(|element| element.kind.awaited_message())
        .collect();
    awaited.sort_unstable();
    awaited.dedup();
    let bound = awaited.into_iter().filter_map(|index| {
        let message = process.message(index);
        // A name that is computed is known only where somebody waits.
        let name = message.name.as_static()?;
        let event_type = message
            .binding
            .as_ref()
            .map_or(name, |binding| &binding.event_type);
        Some((index, name.clone(), event_type.clone()))
    });
    bound.collect()
}
