//! **The table of elements**: everything that random processes are made of. A new element joins by a row of its own, in the
//! part of the table where it stands: between two flows, at a start, at an end, at the border of an activity.
//!
//! Invariant: each row says all of an element: how it is written, and what it does ([`What`]) for the reference interpreter.
//!
//! Messages have names by what they are for: boundary events have names of their own, as one that does not interrupt takes
//! every message of its name, so that another element of the same instance could wait for ever. And nothing waits for or
//! sends the messages that start processes, else a process could go on for ever.

use super::activity::{Meets, Single};
use super::{
    Binding, Block, Drawing, JobText, Mapped, PublishEvent, SendMessage, Wait, What, gateway, scope,
};
use crate::value::{Condition, Mapping, Operator, Source};

/// Messages that catching elements wait for.
pub(crate) const CAUGHT: [&str; 3] = ["red", "green", "blue"];
/// Messages that are sent.
pub(crate) const MESSAGES: [&str; 5] = ["red", "green", "blue", "stop", "note"];
/// The message that starts processes.
pub(crate) const START_MESSAGE: &str = "begin";
pub(crate) const USER_TASK_TYPE: &str = "io.camunda.zeebe:userTask";
pub(crate) const JOB_TYPES: [&str; 4] = ["t1", "t2", "t3", USER_TASK_TYPE];

/// What stands between one flow in and one flow out.
pub(super) struct Row {
    pub(super) weight: u64,
    /// Holds others, so it is not drawn at the bottom.
    pub(super) nests: bool,
    draw: Draw,
}

enum Draw {
    Single(SingleRow),
    Several(fn(&mut Drawing, u32) -> Box<dyn Block>),
}

impl Row {
    pub(super) fn draw(&'static self, drawing: &mut Drawing, depth: u32) -> Box<dyn Block> {
        match &self.draw {
            Draw::Single(row) => Single::draw(drawing, row),
            Draw::Several(draw) => draw(drawing, depth),
        }
    }
}

/// A single element.
#[derive(Debug)]
pub(super) struct SingleRow {
    pub(super) prefix: &'static str,
    pub(super) kind: &'static str,
    pub(super) what: What<'static>,
    /// One of these.
    pub(super) mappings: &'static [Mapped],
    /// May have boundary events.
    pub(super) is_activity: bool,
}

const fn task(weight: u64, kind: &'static str, what: What<'static>) -> Row {
    single(weight, "task", kind, what, TASK_MAPPINGS, true)
}

const fn catch(weight: u64, wait: &'static Wait) -> Row {
    single(
        weight,
        "catch",
        "catch",
        What::Wait(wait),
        CATCH_MAPPINGS,
        false,
    )
}

const fn event(weight: u64, kind: &'static str, what: What<'static>) -> Row {
    single(weight, "event", kind, what, UNMAPPED, false)
}

const fn single(
    weight: u64,
    prefix: &'static str,
    kind: &'static str,
    what: What<'static>,
    mappings: &'static [Mapped],
    is_activity: bool,
) -> Row {
    Row {
        weight,
        nests: false,
        draw: Draw::Single(SingleRow {
            prefix,
            kind,
            what,
            mappings,
            is_activity,
        }),
    }
}

const fn several(weight: u64, nests: bool, draw: fn(&mut Drawing, u32) -> Box<dyn Block>) -> Row {
    Row {
        weight,
        nests,
        draw: Draw::Several(draw),
    }
}

pub(super) static ELEMENTS: [Row; 37] = [
    task(36, "service", What::Job(&job("t1"))),
    task(36, "service", What::Job(&job("t2"))),
    task(18, "service", What::Job(&job("t3"))),
    task(18, "service", What::Job(&JOB_BY_KIND)),
    task(12, "user", What::Job(&USER_TASK)),
    task(8, "send", What::Job(&job("t2"))),
    single(12, "task", "manual", What::Pass, UNMAPPED, false),
    single(12, "task", "task", What::Pass, UNMAPPED, false),
    receive(8, &Wait::message("red")),
    receive(8, &Wait::message("green")),
    receive(8, &Wait::message("blue")),
    catch(8, &Wait::message("red")),
    catch(8, &Wait::message("green")),
    catch(8, &Wait::message("blue")),
    catch(8, &bound("boundred", "some.red")),
    catch(8, &bound("boundgreen", "some.green")),
    catch(8, &bound("boundblue", "some.blue")),
    catch(6, &Wait::After(0)),
    catch(6, &Wait::After(1_000)),
    catch(6, &Wait::After(2_000)),
    catch(6, &Wait::After(3_000)),
    // Half a minute after the clock of a run begins.
    catch(6, &Wait::At("2023-11-14T22:13:50Z", 1_700_000_030_000)),
    event(8, "throw", What::Publish(&happened(""))),
    event(8, "throw", What::Publish(&happened("hook"))),
    event(8, "throw", What::Publish(&happened("bus"))),
    event(4, "send", What::Publish(&happened("hook"))),
    event(3, "send", What::Send(&sent("red"))),
    event(3, "send", What::Send(&sent("green"))),
    event(3, "throw", What::Send(&sent("blue"))),
    event(3, "throw", What::Send(&sent("stop"))),
    event(3, "throw", What::Send(&sent("note"))),
    event(12, "throw", What::Pass),
    event(12, "throw", What::Job(&THROWN_JOB)),
    several(36, true, gateway::exclusive),
    several(36, true, gateway::parallel),
    several(24, false, gateway::race),
    several(36, true, scope::sub_process),
];

const fn receive(weight: u64, wait: &'static Wait) -> Row {
    single(
        weight,
        "receive",
        "receive",
        What::Wait(wait),
        UNMAPPED,
        true,
    )
}

const fn job(job_type: &'static str) -> JobText {
    JobText {
        job_type: Some(job_type),
        retries: 2,
        header: Some(("h", "v")),
        assignee: false,
    }
}

static JOB_BY_KIND: JobText = JobText {
    job_type: None,
    retries: 2,
    header: None,
    assignee: false,
};

static USER_TASK: JobText = JobText {
    job_type: Some(USER_TASK_TYPE),
    retries: 1,
    header: None,
    assignee: true,
};

static THROWN_JOB: JobText = JobText {
    job_type: Some("t3"),
    retries: 3,
    header: None,
    assignee: false,
};

const fn bound(name: &'static str, event_type: &'static str) -> Wait {
    Wait::Message {
        name,
        binding: Some(Binding {
            event_type,
            filter_out: Some(5),
            lock: true,
        }),
    }
}

const fn happened(to: &'static str) -> PublishEvent {
    PublishEvent {
        event_type: "happened",
        to,
    }
}

const fn sent(name: &'static str) -> SendMessage {
    SendMessage {
        name,
        ttl_ms: 2_000,
    }
}

/// What a process starts with beside commands.
#[derive(Debug)]
pub(super) struct StartRow {
    pub(super) weight: u64,
    pub(super) wait: Option<Wait>,
}

const fn start(weight: u64, wait: Wait) -> StartRow {
    StartRow {
        weight,
        wait: Some(wait),
    }
}

pub(super) static STARTS: [StartRow; 6] = [
    StartRow {
        weight: 2,
        wait: None,
    },
    start(1, Wait::message(START_MESSAGE)),
    start(
        1,
        Wait::Every {
            times: 2,
            ms: 3_000,
        },
    ),
    start(1, starting("order", "order.placed", true)),
    start(1, starting("free", "order.free", false)),
    // Soon after the first deployments.
    start(1, Wait::At("2023-11-14T22:13:30Z", 1_700_000_010_000)),
];

const fn starting(name: &'static str, event_type: &'static str, lock: bool) -> Wait {
    Wait::Message {
        name,
        binding: Some(Binding {
            event_type,
            filter_out: None,
            lock,
        }),
    }
}

/// What a scope ends with.
#[derive(Debug)]
pub(super) struct EndRow {
    pub(super) weight: u64,
    /// Nobody catches it outside.
    pub(super) inside_only: bool,
    pub(super) what: What<'static>,
}

const fn end(weight: u64, what: What<'static>) -> EndRow {
    EndRow {
        weight,
        inside_only: false,
        what,
    }
}

pub(super) static ENDS: [EndRow; 6] = [
    end(12, What::Pass),
    end(2, What::Terminate),
    end(
        2,
        What::Publish(&PublishEvent {
            event_type: "done",
            to: "",
        }),
    ),
    end(2, What::Job(&job("t1"))),
    end(1, What::Send(&sent("green"))),
    EndRow {
        weight: 2,
        inside_only: true,
        what: What::Throw("E1"),
    },
];

/// What stands at the border of an activity.
#[derive(Debug)]
pub(super) struct BoundaryRow {
    pub(super) weight: u64,
    pub(super) meets: Meets,
    pub(super) interrupts: bool,
    /// What makes two of them on one activity exclude each other.
    pub(super) excludes: &'static str,
    pub(super) mapped: Mapped,
}

const fn boundary(meets: Meets, interrupts: bool, excludes: &'static str) -> BoundaryRow {
    BoundaryRow {
        weight: 1,
        meets,
        interrupts,
        excludes,
        mapped: Mapped::NOTHING,
    }
}

pub(super) static BOUNDARIES: [BoundaryRow; 8] = [
    boundary(Meets::Wait(Wait::After(2_000)), true, ""),
    boundary(Meets::Wait(Wait::After(1_000)), false, ""),
    boundary(
        Meets::Wait(Wait::Every {
            times: 2,
            ms: 2_000,
        }),
        false,
        "",
    ),
    boundary(Meets::Wait(Wait::message("stop")), true, "stop"),
    BoundaryRow {
        mapped: Mapped {
            inputs: &[],
            outputs: &[Mapping {
                target: &["got"],
                source: Source::Variable("n"),
            }],
        },
        ..boundary(Meets::Wait(Wait::message("note")), false, "note")
    },
    boundary(Meets::Error(None), true, "error"),
    boundary(Meets::Error(Some("E1")), true, "E1"),
    boundary(Meets::Error(Some("E2")), true, "E2"),
];

/// Conditions of the two ways of an exclusive gateway; `None` is the default.
pub(super) static CONDITIONS: [[Option<Condition>; 2]; 3] = [
    [Some(N_OVER_3), None],
    [Some(N_OVER_3), Some(condition(Operator::Below, 4))],
    [Some(N_OVER_3), Some(condition(Operator::Equal, 7))],
];

const N_OVER_3: Condition = condition(Operator::Above, 3);

const fn condition(operator: Operator, than: i64) -> Condition {
    Condition {
        variable: "n",
        operator,
        than,
    }
}

const N: Source = Source::Variable("n");

static UNMAPPED: &[Mapped] = &[Mapped::NOTHING];

const TASK_MAPPINGS: &[Mapped] = &[
    Mapped::NOTHING,
    Mapped::NOTHING,
    Mapped {
        inputs: &[Mapping {
            target: &["local"],
            source: N,
        }],
        outputs: &[],
    },
    Mapped {
        inputs: &[Mapping {
            target: &["a", "b"],
            source: N,
        }],
        outputs: &[Mapping {
            target: &["c", "d"],
            source: N,
        }],
    },
    Mapped {
        inputs: &[],
        outputs: &[Mapping {
            target: &["n"],
            source: N,
        }],
    },
    Mapped {
        inputs: &[Mapping {
            target: &["x"],
            source: Source::Unless("n", 13),
        }],
        outputs: &[],
    },
    Mapped {
        inputs: &[],
        outputs: &[
            Mapping {
                target: &["c"],
                source: N,
            },
            Mapping {
                target: &["y"],
                source: Source::Unless("n", 8),
            },
        ],
    },
];

const CATCH_MAPPINGS: &[Mapped] = &[
    Mapped::NOTHING,
    Mapped {
        inputs: &[],
        outputs: &[Mapping {
            target: &["m"],
            source: N,
        }],
    },
];

pub(super) static SUB_PROCESS_MAPPINGS: [Mapped; 2] = [
    Mapped::NOTHING,
    Mapped {
        inputs: &[Mapping {
            target: &["inner"],
            source: N,
        }],
        outputs: &[Mapping {
            target: &["outer"],
            source: Source::Variable("inner"),
        }],
    },
];

/// What is in messages that are sent.
pub(super) const SENT: Mapped = Mapped {
    inputs: &[Mapping {
        target: &["n"],
        source: N,
    }],
    outputs: &[],
};
