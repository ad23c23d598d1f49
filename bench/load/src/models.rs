//! The processes of the scenarios.

use kapelle_load::cli::Scenario;

/// The type of all jobs.
pub(crate) const JOB_TYPE: &str = "load-task";

/// The message of the message scenario.
pub(crate) const MESSAGE: &str = "load-message";

/// The last task of a chain: its completion ends the instance.
pub(crate) fn last_element(scenario: Scenario) -> &'static str {
    if scenario == Scenario::TenTasks {
        "task10"
    } else {
        "task1"
    }
}

/// The BPMN text.
pub(crate) fn bpmn(scenario: Scenario) -> String {
    let steps: Vec<String> = match scenario {
        Scenario::OneTask => vec![task(1)],
        Scenario::TenTasks => (1..=10).map(task).collect(),
        Scenario::ComputeWithResult => (1..=10).map(compute).collect(),
        Scenario::MessageWait | Scenario::MessageResult | Scenario::LeaveWaiting => vec![wait()],
        Scenario::EmptyWithResult | Scenario::Topology => Vec::new(),
    };
    let mut ids = vec!["start".to_owned()];
    ids.extend((1..=steps.len()).map(|n| format!("task{n}")));
    ids.push("end".to_owned());
    let flows: String = ids
        .windows(2)
        .enumerate()
        .map(|(n, pair)| {
            format!(
                "<bpmn:sequenceFlow id=\"flow{n}\" sourceRef=\"{}\" targetRef=\"{}\"/>",
                pair[0], pair[1]
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <bpmn:definitions xmlns:bpmn=\"http://www.omg.org/spec/BPMN/20100524/MODEL\" \
         xmlns:zeebe=\"http://camunda.org/schema/zeebe/1.0\" id=\"definitions\" targetNamespace=\"http://kapelle.dev/load\">\
         <bpmn:message id=\"message\" name=\"{MESSAGE}\"><bpmn:extensionElements>\
         <zeebe:subscription correlationKey=\"=key\"/></bpmn:extensionElements></bpmn:message>\
         <bpmn:process id=\"{}\" isExecutable=\"true\"><bpmn:startEvent id=\"start\"/>{}<bpmn:endEvent id=\"end\"/>{flows}\
         </bpmn:process></bpmn:definitions>",
        scenario.process_id(),
        steps.concat(),
    )
}

fn task(number: usize) -> String {
    format!(
        "<bpmn:serviceTask id=\"task{number}\"><bpmn:extensionElements>\
         <zeebe:taskDefinition type=\"{JOB_TYPE}\"/></bpmn:extensionElements></bpmn:serviceTask>"
    )
}

fn compute(number: usize) -> String {
    format!(
        "<bpmn:intermediateThrowEvent id=\"task{number}\"><bpmn:extensionElements><zeebe:ioMapping>\
         <zeebe:output source=\"=sum(for i in 1..500 return i * {number})\" target=\"sum\"/>\
         </zeebe:ioMapping></bpmn:extensionElements></bpmn:intermediateThrowEvent>"
    )
}

fn wait() -> String {
    "<bpmn:intermediateCatchEvent id=\"task1\"><bpmn:messageEventDefinition id=\"definition\" messageRef=\"message\"/>\
     </bpmn:intermediateCatchEvent>"
        .to_owned()
}
