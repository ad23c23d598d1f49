//! The process itself: the root scope of an instance (BPMN 2.0 §13.2.1).
//!
//! Entered when the instance is created, done when its last token is consumed, ended when it is cancelled. Its end is the
//! instance's end: whoever waits for the result gets it, a start lock is free for the next message of that key.

use std::sync::Arc;

use kapelle_model::graph::ElementIndex;

use crate::ctx::Ctx;
use crate::definitions::Definition;
use crate::document::Document;
use crate::effect::Effect;
use crate::element::{At, completed};
use crate::event::{BpmnEventTriggered, Cause, Event, InstanceCreated, InstanceEnded};
use crate::ids::ProcessInstanceKey;
use crate::problem::Problem;
use crate::response::{CreatedInstance, InstanceResult};
use crate::state::instance::Instance;
use crate::step::Step;
use crate::variables::{self, Reach};

/// What a new instance begins with.
pub(crate) struct Start {
    /// The start event its first token is at.
    pub(crate) element: ElementIndex,
    /// Variables of the root scope.
    pub(crate) variables: Document,
    /// What met the start event: it goes through the start event's output mappings.
    pub(crate) trigger: Option<Document>,
    pub(crate) awaited: Option<Arc<[Arc<str>]>>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) business_id: Option<Arc<str>>,
    pub(crate) start_lock: Option<Arc<str>>,
    pub(crate) cause: Cause,
}

impl Start {
    /// At that start event, with nothing else.
    pub(crate) fn at(element: ElementIndex, cause: Cause) -> Self {
        let variables = Document::empty();
        Self {
            element,
            variables,
            trigger: None,
            awaited: None,
            tags: Vec::new(),
            business_id: None,
            start_lock: None,
            cause,
        }
    }
}

pub(crate) fn activate(
    ctx: &mut Ctx<'_>,
    definition: &Arc<Definition>,
    start: Start,
) -> ProcessInstanceKey {
    let instance = ProcessInstanceKey(ctx.new_key());
    let Start {
        element,
        variables,
        trigger,
        awaited,
        tags,
        business_id,
        start_lock,
        cause,
    } = start;
    ctx.emit(Event::InstanceCreated(Box::new(InstanceCreated {
        instance,
        definition: definition.key,
        tenant: definition.tenant.clone(),
        process_id: definition.process.id.clone(),
        version: definition.version,
        start: element,
        awaited,
        tags,
        business_id,
        start_lock,
        cause: cause.clone(),
    })));
    let (key, root) = (instance.root(), ElementIndex::ROOT);
    ctx.emit(Event::ElementActivating {
        instance,
        key,
        element: root,
        scope: key,
        flow: None,
        trigger_of: None,
    });
    variables::merge(ctx, instance, key, Reach::Local, &variables);
    ctx.emit(Event::ElementActivated {
        instance,
        key,
        element: root,
        rests: false,
    });
    if let Some(variables) = trigger {
        ctx.emit(Event::BpmnEventTriggered(Box::new(BpmnEventTriggered {
            instance,
            waiting: key,
            element,
            variables,
            cause,
        })));
    }
    ctx.push(Step::Activate {
        instance,
        scope: key,
        element,
        flow: None,
    });
    instance
}

pub(super) fn complete(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    let aggregate = ctx.instance(at.instance);
    let result = aggregate.awaited.as_ref().map(|wanted| InstanceResult {
        created: created(aggregate),
        variables: variables::local(aggregate, at.key, wanted),
    });
    completed(ctx, at);
    end(ctx, at, true);
    if let Some(result) = result {
        ctx.effect(Effect::InstanceResult(Box::new(result)));
    }
    Ok(())
}

/// The root scope was ended from outside.
pub(super) fn terminated(ctx: &mut Ctx<'_>, at: &At) {
    let is_awaited = ctx.instance(at.instance).awaited.is_some();
    end(ctx, at, false);
    if is_awaited {
        ctx.effect(Effect::InstanceEndedEarly {
            instance: at.instance,
        });
    }
}

fn end(ctx: &mut Ctx<'_>, at: &At, completed: bool) {
    let instance = ctx.instance(at.instance);
    let lock = instance.start_lock.clone();
    let (tenant, process_id) = (instance.tenant.clone(), instance.process_id.clone());
    ctx.emit(Event::InstanceEnded(InstanceEnded {
        instance: at.instance,
        definition: at.definition.key,
        completed,
    }));
    if let Some(correlation_key) = lock {
        let (tenant_too, process_id_too, key_too) =
            (tenant.clone(), process_id.clone(), correlation_key.clone());
        ctx.emit(Event::StartLockReleased {
            tenant,
            process_id,
            correlation_key,
            instance: at.instance,
        });
        ctx.push(Step::StartBuffered {
            tenant: tenant_too,
            process_id: process_id_too,
            correlation_key: key_too,
        });
    }
}

/// How answers describe an instance.
pub(crate) fn created(instance: &Instance) -> CreatedInstance {
    CreatedInstance {
        instance: instance.key,
        definition: instance.definition,
        process_id: instance.process_id.clone(),
        version: instance.version,
        tenant: instance.tenant.clone(),
        tags: instance.tags.clone(),
        business_id: instance.business_id.clone(),
    }
}
