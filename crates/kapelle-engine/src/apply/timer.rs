//! Timers of instances and definitions, and entries of the due queue that are moved.

use crate::command::{Due, DueKind};
use crate::encode::Record;
use crate::event::{DueOwner, Event, TimerEvent, TimerOwner};
use crate::keep::Keep;
use crate::state::definitions::DefinitionTimerEntry;
use crate::state::instance::{Instance, Timer};
use crate::state::tables;

pub(super) fn to_instance(target: &mut Instance, event: &Event) {
    match event {
        Event::TimerScheduled(TimerEvent {
            timer,
            owner:
                TimerOwner::Instance {
                    element_instance,
                    element,
                    ..
                },
            due,
            repetitions,
        }) => {
            let (key, waiting, element) = (*timer, *element_instance, *element);
            target.timers.push(Timer {
                key,
                waiting,
                element,
                due: *due,
                repetitions: *repetitions,
            });
        }
        Event::TimerTriggered(timer) | Event::TimerCanceled(timer) => {
            target.timers.retain(|open| open.key != timer.timer)
        }
        _ => unreachable!("dispatched by family"),
    }
}

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::TimerScheduled(timer) => {
            keep.insert(&tables::due(due(timer)), &owner(timer).to_bytes());
            if let TimerOwner::Definition {
                definition,
                element,
            } = timer.owner
            {
                let entry = DefinitionTimerEntry {
                    due: timer.due,
                    element,
                    repetitions: timer.repetitions,
                };
                keep.insert(
                    &tables::definition_timer(definition, timer.timer),
                    &entry.to_bytes(),
                );
            }
        }
        Event::TimerTriggered(timer) | Event::TimerCanceled(timer) => {
            keep.delete(&tables::due(due(timer)));
            if let TimerOwner::Definition { definition, .. } = timer.owner {
                keep.delete(&tables::definition_timer(definition, timer.timer));
            }
        }
        Event::DueMoved { due, owner, to } => {
            keep.delete(&tables::due(*due));
            if let Some(at) = to {
                keep.put(&tables::due(Due { at: *at, ..*due }), &owner.to_bytes());
            }
        }
        _ => unreachable!("dispatched by family"),
    }
}

fn due(timer: &TimerEvent) -> Due {
    Due {
        at: timer.due,
        what: DueKind::Timer,
        key: timer.timer.0,
    }
}

fn owner(timer: &TimerEvent) -> DueOwner {
    match timer.owner {
        TimerOwner::Instance { instance, .. } => DueOwner::Instance { instance },
        TimerOwner::Definition { definition, .. } => DueOwner::Definition { definition },
    }
}
