//! Models in, graphs and diagnostics out.

use std::fmt::Write;

use expect_test::Expect;
use kapelle_model::{Limits, compile, parse_bpmn};

mod binding;
mod document;
mod elements;
mod fixtures;
mod inbound;
mod miwg;
mod mutation;
mod refusals;
mod rules;

/// A document with one executable process `p` around `body`, and `definitions` beside it. The first line of `body` is
/// line 1, so expectations stay readable.
fn document(body: &str, definitions: &str) -> String {
    format!(
        "<definitions xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\" \
         xmlns:zeebe=\"http://camunda.org/schema/zeebe/1.0\" xmlns:kapelle=\"urn:kapelle:bpmn:1\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" id=\"defs\"><process id=\"p\" isExecutable=\"true\">\
         {body}</process>{definitions}</definitions>"
    )
}

/// Flows written as `a>b` for those whose conditions and names do not matter.
fn flows(pairs: &str) -> String {
    pairs.split_whitespace().fold(String::new(), |mut out, pair| {
        let (source, target) = pair.split_once('>').expect("a pair is written a>b");
        write!(out, "<sequenceFlow id=\"{source}_{target}\" sourceRef=\"{source}\" targetRef=\"{target}\"/>").expect("invariant: writing to a string cannot fail");
        out
    })
}

/// What the front end says of a document: diagnostics, then the processes if it is accepted. An accepted document must
/// also compile to the same.
fn judge(xml: &[u8]) -> String {
    let (bpmn, diagnostics) = parse_bpmn("m.bpmn", xml, &Limits::default());
    let mut out = String::new();
    for diagnostic in &diagnostics {
        writeln!(out, "{diagnostic}").expect("invariant: writing to a string cannot fail");
    }
    assert_eq!(
        bpmn.is_none(),
        diagnostics.iter().any(kapelle_model::Diagnostic::is_error),
        "processes and errors exclude each other"
    );
    if let Some(bpmn) = bpmn {
        let compiled = compile(xml, kapelle_model::SEMANTICS).expect("accepted bytes compile");
        for (process, again) in bpmn.processes.iter().zip(&compiled.processes) {
            assert_eq!(process.to_text(), again.to_text());
            out.push_str(&process.to_text());
        }
    }
    out
}

fn check(body: &str, definitions: &str, expect: Expect) {
    expect.assert_eq(&judge(document(body, definitions).as_bytes()));
}
