//! Bytes that are no BPMN, hostile, or in other encodings.

use expect_test::{Expect, expect};
use kapelle_model::{Code, Limits, compile, diagnostic::deployment_text, parse_bpmn};

use crate::{document, flows, judge};

fn check_bytes(xml: &[u8], expect: Expect) {
    expect.assert_eq(&judge(xml));
}

fn hello() -> String {
    document(
        &format!(
            r#"<startEvent id="s" name="ü"/><endEvent id="e"/>{}"#,
            flows("s>e")
        ),
        "",
    )
}

#[test]
fn what_is_no_xml_is_refused_with_its_place() {
    check_bytes(
        b"",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: the document has no element
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"   \n",
        expect![[r#"
        m.bpmn:2:1: error[KAP-BPMN-0002]: the document has no element
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"{\"json\": true}",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: there is text outside the root element
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<definitions>\n  <process>\n  </proces></definitions>",
        expect![[r#"
            m.bpmn:3:3: error[KAP-BPMN-0002]: ill-formed document: expected `</process>`, but `</proces>` was found
              help: Open the file in a BPMN modeler or an XML editor and save it again.
        "#]],
    );
    check_bytes(
        b"<a>\n<b",
        expect![[r#"
        m.bpmn:2:1: error[KAP-BPMN-0002]: syntax error: tag not closed: `>` not found before end of input
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a>\n<b/>",
        expect![[r#"
        m.bpmn:2:5: error[KAP-BPMN-0002]: the document ends inside <a>
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a/><b/>",
        expect![[r#"
        m.bpmn:1:5: error[KAP-BPMN-0002]: there is a second root element
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a/>text",
        expect![[r#"
        m.bpmn:1:5: error[KAP-BPMN-0002]: there is text outside the root element
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a x=\"1\" x=\"2\"/>",
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0002]: an attribute is given twice
              help: Open the file in a BPMN modeler or an XML editor and save it again.
        "#]],
    );
    check_bytes(
        b"<a x=\"&nope;\"/>",
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0003]: the entity '&nope;' is not defined
              help: Remove the DOCTYPE and write entities as characters; BPMN needs neither.
        "#]],
    );
    check_bytes(
        b"<a\n x=\"& \"/>",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: a '&' without ';' in an attribute
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a x=1/>",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: the value of an attribute has no quotes
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a x/>",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: an attribute has no value
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a x=\"1/>",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: syntax error: attribute value not closed: `"` not found before end of input
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a>& </a>",
        expect![[r#"
        m.bpmn:1:4: error[KAP-BPMN-0002]: ill-formed document: entity or character reference not closed: `;` not found before end of input
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        b"<a>&nope;</a>",
        expect![[r#"
        m.bpmn:1:4: error[KAP-BPMN-0003]: the entity '&nope;' is not defined
          help: Remove the DOCTYPE and write entities as characters; BPMN needs neither.
    "#]],
    );
    check_bytes(
        b"<x:a/>",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0002]: the namespace prefix 'x' is not declared
          help: Open the file in a BPMN modeler or an XML editor and save it again.
    "#]],
    );
    check_bytes(
        &[0xff, 0x00, 0x3c],
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0001]: the bytes are not valid UTF-8
          help: Save the file as UTF-8.
    "#]],
    );
}

#[test]
fn a_doctype_is_refused_before_its_entities_are_read() {
    check_bytes(
        b"<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY x \"xxxxxxxx\"><!ENTITY y \"&x;&x;&x;\">]>\n<a>&y;</a>",
        expect![[r#"
            m.bpmn:2:1: error[KAP-BPMN-0003]: the document has a DOCTYPE declaration
              help: Remove the DOCTYPE and write entities as characters; BPMN needs neither.
        "#]],
    );
}

#[test]
fn bombs_are_refused_by_limits() {
    let deep = "<a>".repeat(300);
    check_bytes(
        deep.as_bytes(),
        expect![[r#"
        m.bpmn:1:769: error[KAP-BPMN-0004]: elements are nested deeper than 256
          help: Split the model into several processes.
    "#]],
    );
    let many = format!("<a>{}</a>", "<b/>".repeat(100_001));
    check_bytes(
        many.as_bytes(),
        expect![[r#"
        m.bpmn:1:400000: error[KAP-BPMN-0004]: the document has more than 100000 elements
          help: Split the model into several processes.
    "#]],
    );
    let attributes: String = (0..50_000).map(|n| format!(" a{n}=\"\"")).collect();
    check_bytes(
        format!("<a{attributes}/>").as_bytes(),
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0004]: an element has more than 128 attributes
          help: Split the model into several processes.
    "#]],
    );
    let large = vec![b' '; 50_000_000];
    check_bytes(
        &large,
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0004]: the document has 50000000 bytes, more than the 4194304 allowed
          help: Split the model into several processes.
    "#]],
    );
}

#[test]
fn another_root_or_namespace_is_named() {
    check_bytes(
        b"<definitions/>",
        expect![[r#"
        m.bpmn:1:1: error[KAP-BPMN-0005]: the root element is <definitions> without namespace
          help: A BPMN document begins with <definitions> in the namespace 'http://www.omg.org/spec/BPMN/20100524/MODEL'.
    "#]],
    );
    check_bytes(
        b"<definitions xmlns=\"http://www.omg.org/spec/DMN/20180521/MODEL/\"/>",
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0005]: the root element is <definitions> in the namespace 'http://www.omg.org/spec/DMN/20180521/MODEL/'
              help: A BPMN document begins with <definitions> in the namespace 'http://www.omg.org/spec/BPMN/20100524/MODEL'.
        "#]],
    );
    check_bytes(
        b"<html xmlns=\"http://www.w3.org/1999/xhtml\"><body/></html>",
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0005]: the root element is <html> in the namespace 'http://www.w3.org/1999/xhtml'
              help: A BPMN document begins with <definitions> in the namespace 'http://www.omg.org/spec/BPMN/20100524/MODEL'.
        "#]],
    );
}

#[test]
fn elements_outside_the_bpmn_namespace_are_refused_where_they_would_be_lost() {
    check_bytes(
        document(
            r#"<startEvent id="s"/><serviceTask xmlns="" id="t"/><zeebe:taskDefinition type="x"/>"#,
            "<process xmlns=\"\"/><procss/>",
        )
        .as_bytes(),
        expect![[r#"
            m.bpmn:1:271: error[KAP-BPMN-0006]: serviceTask 't': <serviceTask> stands where only BPMN elements may
              help: Put extensions inside <extensionElements>, and BPMN elements into the BPMN namespace.
            m.bpmn:1:301: error[KAP-BPMN-0006]: process 'p': <zeebe:taskDefinition> stands where only BPMN elements may
              help: Put extensions inside <extensionElements>, and BPMN elements into the BPMN namespace.
            m.bpmn:1:343: error[KAP-BPMN-0006]: definitions 'defs': <process> stands where only BPMN elements may
              help: Put extensions inside <extensionElements>, and BPMN elements into the BPMN namespace.
            m.bpmn:1:362: error[KAP-BPMN-0006]: definitions 'defs': <procss> is not known here
              help: Remove it, or correct its name.
        "#]],
    );
}

#[test]
fn a_document_without_executable_process_is_refused() {
    check_bytes(
        hello().replace("isExecutable=\"true\"", "").as_bytes(),
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0007]: definitions 'defs': the document has no executable process
              help: Set isExecutable="true" on the process that shall run.
        "#]],
    );
    check_bytes(
        hello().replace("\"true\"", "\"false\"").as_bytes(),
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0007]: definitions 'defs': the document has no executable process
              help: Set isExecutable="true" on the process that shall run.
        "#]],
    );
}

#[test]
fn a_prefix_and_cdata_make_no_difference() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment --><b:definitions xmlns:b="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:tns="urn:x">
<b:process id="p" isExecutable="true"><b:startEvent id="s"><b:timerEventDefinition><b:timeDuration><![CDATA[ PT1S ]]></b:timeDuration></b:timerEventDefinition></b:startEvent>
<b:exclusiveGateway id="g" default="tns:d"/><b:sequenceFlow id="f" sourceRef="tns:s" targetRef="g"/>
<b:sequenceFlow id="c" sourceRef="g" targetRef="e"><b:conditionExpression>= x &lt; 3 and <![CDATA[y > 1]]></b:conditionExpression></b:sequenceFlow>
<b:sequenceFlow id="d" sourceRef="g" targetRef="e"/><b:endEvent id="e"/></b:process></b:definitions>"#;
    check_bytes(
        xml.as_bytes(),
        expect![[r#"
            PROCESS p
              START_EVENT s: timer duration PT1S
              EXCLUSIVE_GATEWAY g: default d
              END_EVENT e
            f: s -> g
            c: g -> e if x < 3 and y > 1
            d: g -> e by default
        "#]],
    );
}

#[test]
fn an_attribute_may_hold_hundreds_of_character_references() {
    let value = "=[&quot;a&quot;,&#10;1&lt;2,".to_owned() + &"&quot;b&quot;,".repeat(300) + "1]";
    let task = format!(
        r#"<startEvent id="s"/><serviceTask id="t"><extensionElements><zeebe:taskDefinition type="x"/><zeebe:ioMapping><zeebe:input source="{value}" target="t"/></zeebe:ioMapping></extensionElements></serviceTask>{}"#,
        flows("s>t")
    );
    let text = judge(document(&task, "").as_bytes());
    assert!(
        text.contains("input t =[\"a\",\\n1<2,\"b\",\"b\""),
        "{text}"
    );
}

#[test]
fn other_encodings_are_read() {
    let utf8 = judge(hello().as_bytes());
    assert!(utf8.contains('ü'), "the model is accepted: {utf8}");
    let bom = format!("\u{feff}{}", hello());
    assert_eq!(judge(bom.as_bytes()), utf8);
    let declared = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", hello());
    let latin: Vec<u8> = declared
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    assert_eq!(judge(&latin), utf8);
    let utf16: Vec<u8> = bom.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(judge(&utf16), utf8);
}

#[test]
fn wrong_encodings_are_refused() {
    check_bytes(
        b"<?xml version=\"1.0\" encoding=\"klingon\"?><a/>",
        expect![[r#"
            m.bpmn:1:1: error[KAP-BPMN-0001]: the encoding 'klingon' is not known
              help: Save the file as UTF-8.
        "#]],
    );
    check_bytes(
        b"<a>\n  <b c=\"\xff\"/></a>",
        expect![[r#"
        m.bpmn:2:9: error[KAP-BPMN-0001]: the bytes are not valid UTF-8
          help: Save the file as UTF-8.
    "#]],
    );
}

#[test]
fn limits_can_be_set() {
    let limits = Limits {
        bytes_max: 100,
        ..Limits::default()
    };
    let (bpmn, diagnostics) = parse_bpmn("m.bpmn", hello().as_bytes(), &limits);
    assert!(bpmn.is_none());
    assert_eq!(diagnostics[0].code, Code::TooLarge);
    let limits = Limits {
        elements_max: 5,
        ..Limits::default()
    };
    let (bpmn, _) = parse_bpmn("m.bpmn", hello().as_bytes(), &limits);
    assert!(bpmn.is_some());
    let limits = Limits {
        elements_max: 4,
        ..Limits::default()
    };
    let (_, diagnostics) = parse_bpmn("m.bpmn", hello().as_bytes(), &limits);
    assert_eq!(diagnostics[0].code, Code::TooLarge);
}

#[test]
fn subprocesses_nest_as_deep_as_the_document_may() {
    let depth = 250;
    let open: String = (0..depth)
        .map(|n| format!("<subProcess id=\"p{n}\"><startEvent id=\"s{n}\"/>"))
        .collect();
    let body = format!(
        "<startEvent id=\"s\"/>{open}{}",
        "</subProcess>".repeat(depth)
    );
    let (bpmn, diagnostics) =
        parse_bpmn("m.bpmn", document(&body, "").as_bytes(), &Limits::default());
    assert_eq!(diagnostics.iter().find(|d| d.is_error()), None);
    assert_eq!(
        bpmn.expect("an accepted document").processes[0]
            .elements
            .len(),
        2 + 2 * depth
    );
}

#[test]
fn a_large_model_on_one_line_takes_no_more_than_its_share() {
    // Anything quadratic in elements or bytes would take minutes here.
    let count = 15_000;
    let scopes: String = (0..count)
        .map(|n| format!("<subProcess id=\"p{n}\"><startEvent id=\"s{n}\"/><task/></subProcess>"))
        .collect();
    let headers: String = (0..30_000)
        .map(|n| format!("<zeebe:header key=\"k{n}\" value=\"v\"/>"))
        .collect();
    let body = format!(
        "<startEvent id=\"s\"/><serviceTask id=\"t\"><extensionElements><zeebe:taskDefinition type=\"x\"/>\
         <zeebe:taskHeaders>{headers}</zeebe:taskHeaders></extensionElements></serviceTask>{scopes}"
    );
    let (bpmn, diagnostics) =
        parse_bpmn("m.bpmn", document(&body, "").as_bytes(), &Limits::default());
    assert!(bpmn.is_none());
    assert_eq!(diagnostics.iter().filter(|d| d.is_error()).count(), 500);
    let line_one = diagnostics.iter().all(|d| d.line == 1 && d.column > 200);
    assert!(line_one, "{diagnostics:?}");
}

#[test]
fn places_count_characters_in_long_lines() {
    let wide = "\u{e4}".repeat(10_000);
    check_bytes(
        document(
            &format!("\n<startEvent id=\"s\" name=\"{wide}\"/><frob/>\n<frob/>"),
            "",
        )
        .as_bytes(),
        expect![[r#"
            m.bpmn:2:10029: error[KAP-BPMN-0006]: process 'p': <frob> is not known here
              help: Remove it, or correct its name.
            m.bpmn:3:1: error[KAP-BPMN-0006]: process 'p': <frob> is not known here
              help: Remove it, or correct its name.
        "#]],
    );
}

#[test]
fn thousands_of_faults_are_reported_in_part() {
    let body = "<serviceTask/>".repeat(20_000);
    let (bpmn, diagnostics) =
        parse_bpmn("m.bpmn", document(&body, "").as_bytes(), &Limits::default());
    assert!(bpmn.is_none());
    assert_eq!(diagnostics.len(), 500);
}

#[test]
fn a_refused_deployment_reads_as_camundas_clients_expect() {
    let xml = document(
        "<startEvent id=\"s\"/>\n<serviceTask id=\"t\"><extensionElements><zeebe:taskDefinition/></extensionElements></serviceTask>",
        "",
    );
    let (_, diagnostics) = parse_bpmn("m.bpmn", xml.as_bytes(), &Limits::default());
    expect![[r#"
        'm.bpmn': - Element: t > extensionElements > taskDefinition
            - ERROR: attribute 'type' of <zeebe:taskDefinition> is missing or empty [KAP-BPMN-0011, line 2]
    "#]].assert_eq(&deployment_text("m.bpmn", &diagnostics));
    let (_, diagnostics) = parse_bpmn("m.bpmn", b"no xml", &Limits::default());
    expect![[r#"
        'm.bpmn': - ERROR: there is text outside the root element [KAP-BPMN-0002, line 1]
    "#]]
    .assert_eq(&deployment_text("m.bpmn", &diagnostics));
}

#[test]
fn compiling_does_not_apply_rules_that_could_get_stricter() {
    // Accepted once under a release that knew fewer reserved words and allowed condition anywhere.
    let xml = document(
        r#"<startEvent id="s"/><endEvent id="e"/>
           <sequenceFlow id="f" sourceRef="s" targetRef="e"><conditionExpression>=true</conditionExpression></sequenceFlow>"#,
        "",
    );
    assert!(
        parse_bpmn("m.bpmn", xml.as_bytes(), &Limits::default())
            .0
            .is_none()
    );
    assert_eq!(
        compile(xml.as_bytes(), 1)
            .expect("it compiles")
            .processes
            .len(),
        1
    );
    expect!["the definition was deployed under model semantics 9, this release knows up to 1"]
        .assert_eq(&compile(xml.as_bytes(), 9).unwrap_err().to_string());
    expect!["the stored definition does not compile: the root element is <a> without namespace"]
        .assert_eq(&compile(b"<a/>", 1).unwrap_err().to_string());
}
