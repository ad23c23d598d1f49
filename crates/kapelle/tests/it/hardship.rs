//! What the machine does to a server without killing it: no room, no handles, no memory, no time, a wrong clock.
//!
//! In all of it the same holds: who is refused is told so retryably, nothing acknowledged is lost, and when the hardship
//! ends the server works again without help, or after a start.

pub(crate) mod clock;
mod disk;
mod limits;
mod pause;

use std::process::Command;
use std::time::{Duration, Instant};

use crate::found;
use crate::http::{self, Answer};
use crate::models;

/// start → timer → end; the duration is in `wait`.
fn timer(process_id: &str) -> String {
    models::definitions(&format!(
        r#"<bpmn:process id="{process_id}" isExecutable="true">
  <bpmn:startEvent id="start"/>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="catch"/>
  <bpmn:intermediateCatchEvent id="catch">
    <bpmn:timerEventDefinition id="d1"><bpmn:timeDuration xsi:type="bpmn:tFormalExpression">=wait</bpmn:timeDuration></bpmn:timerEventDefinition>
  </bpmn:intermediateCatchEvent>
  <bpmn:sequenceFlow id="f2" sourceRef="catch" targetRef="end"/>
  <bpmn:endEvent id="end"/>
</bpmn:process>"#
    ))
}

fn start(rest: &str, process_id: &str, variables: &str) -> Answer {
    let body = format!(r#"{{"processDefinitionId":"{process_id}","variables":{variables}}}"#);
    http::post(rest, "/v2/process-instances", &body)
}

/// Starts an instance that must be taken; its key.
fn must_start(rest: &str, process_id: &str, variables: &str) -> String {
    let answer = start(rest, process_id, variables);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.member("processInstanceKey")
}

/// Keys of the instances in that state.
fn instances(rest: &str, state: &str) -> Vec<String> {
    found::instances(rest, &format!(r#"{{"state":"{state}"}}"#))
}

fn has_ended(rest: &str, key: &str) -> bool {
    instances(rest, "COMPLETED")
        .iter()
        .any(|ended| ended == key)
}

/// Waits until something is so; how long it took.
pub(crate) fn eventually(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    begun.elapsed()
}

/// The same command below limits of the shell.
fn limited(ulimit: &'static str) -> impl FnOnce(Command) -> Command {
    move |command| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!(r#"ulimit {ulimit} && exec "$0" "$@""#)])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}
