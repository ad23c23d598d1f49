//! Whole documents in `testdata/`.
//!
//! `*-1.bpmn` were accepted under model semantics 1. They stay, and what they compile to stays, in every later release.

use expect_test::{ExpectFile, expect_file};
use kapelle_model::{Bpmn, Limits, compile, parse_bpmn};

fn text(bpmn: &Bpmn) -> String {
    bpmn.processes
        .iter()
        .map(kapelle_model::Process::to_text)
        .collect()
}

fn check(xml: &[u8], expect: ExpectFile) {
    let (bpmn, diagnostics) = parse_bpmn("m.bpmn", xml, &Limits::default());
    assert_eq!(diagnostics, []);
    expect.assert_eq(&text(&bpmn.expect("an accepted document")));
}

#[test]
fn what_was_accepted_under_semantics_1_compiles_to_the_same() {
    let xml = include_bytes!("../../testdata/everything-1.bpmn");
    let bpmn = compile(xml, 1).expect("it was accepted");
    expect_file!["../../testdata/everything-1.txt"].assert_eq(&text(&bpmn));
    check(xml, expect_file!["../../testdata/everything-1.txt"]);
}

#[test]
fn a_file_as_the_modeler_writes_it_is_accepted_without_a_word() {
    check(
        include_bytes!("../../testdata/modeler.bpmn"),
        expect_file!["../../testdata/modeler.txt"],
    );
}
