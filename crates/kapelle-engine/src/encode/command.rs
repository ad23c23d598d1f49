//! Numbers of what a decision may leave over: follow-up steps. Commands from outside are never stored.

use crate::command::{Command, FollowUp, PublishMessage};
use crate::encode::DecodeError;
use crate::encode::wire::{Field, Fields, Record, nested, record, take_varint, variants};
use crate::run::Run;
use crate::step::Step;

variants! { Step
    fields {
        1 Activate { 1 instance, 2 scope, 3 element, 4 flow },
        2 Complete { 1 instance, 2 element },
        3 Terminate { 1 instance, 2 element },
        4 Retry { 1 instance, 2 element },
        5 MeetBuffered { 1 instance, 2 subscription },
        6 StartBuffered { 1 tenant, 2 process_id, 3 correlation_key },
        7 Publish { 1 message, 2 cause },
        8 ReleasePushed { 1 at, 2 job },
        9 Reschedule { 1 owner, 2 repetitions },
    }
    records {}
}
nested!(Step);

/// Behind the fields of any step: the run it is part of. A step has fewer fields, for ever.
const RUN: u32 = 1_000;

record! { Run { 1 began, 2 entered } }
record! { PublishMessage { 1 tenant, 2 name, 3 correlation_key, 4 message_id, 5 ttl_ms, 6 variables } }

pub(super) fn write(command: &Command, out: &mut Vec<u8>) {
    let Command::Continue(FollowUp { step, run }) = command else {
        panic!("only what a decision left over is ever stored");
    };
    step.write(out);
    run.put(RUN, out);
}

pub(super) fn read(bytes: &[u8]) -> Result<Command, DecodeError> {
    let step = Step::read(bytes)?;
    let (mut fields, mut run) = (bytes, None);
    take_varint(&mut fields)?;
    let mut fields = Fields(fields);
    while let Some((number, raw)) = fields.next()? {
        if number == RUN {
            Run::take(raw, &mut run)?;
        }
    }
    Ok(Command::Continue(FollowUp {
        step,
        run: run.unwrap_or_default(),
    }))
}
