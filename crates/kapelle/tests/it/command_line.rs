//! The command line without a server: help, usage errors, configuration, models, expressions.

use expect_test::{Expect, expect};

use crate::program::Place;

fn check(arguments: &[&str], expected: Expect) {
    expected.assert_eq(&Place::new().run(arguments).text());
}

#[test]
fn help_begins_with_examples_and_ends_with_exit_codes() {
    let ended = Place::new().run(&["--help"]);
    assert_eq!(ended.code, 0);
    assert!(
        ended.stdout.starts_with("Examples:\n  kapelle demo"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("Exit codes: 0 ok"),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_help_of_every_command_begins_with_examples() {
    let place = Place::new();
    let top = place.run(&["--help"]).stdout;
    let commands = top
        .split_once("Commands:\n")
        .unwrap()
        .1
        .split_once("\n\n")
        .unwrap()
        .0;
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() >= 19, "{names:?}");
    for name in names {
        let ended = place.run(&[name, "--help"]);
        assert_eq!(ended.code, 0, "{name}");
        assert!(
            ended.stdout.starts_with("Examples:\n  kapelle "),
            "{name}: {}",
            ended.stdout
        );
    }
}

#[test]
fn the_help_of_a_command_is_short_and_complete() {
    check(
        &["complete", "--help"],
        expect![[r#"
            Examples:
              kapelle complete 2251799813685270 --variables '{"paid":true}'

            Complete a job

            Usage: kapelle complete [OPTIONS] <KEY>...

            Arguments:
              <KEY>...  Key of the job; the word `job` before it is allowed

            Options:
              -v, --variables <JSON|@FILE>  JSON object, or @FILE (@- is standard input)
              -h, --help                    Print help

            Server:
                  --address <URL>         The server's REST address; else KAPELLE_ADDRESS, CAMUNDA_REST_ADDRESS,
                                          ZEEBE_REST_ADDRESS, http://localhost:8080
                  --ca-file <FILE>        Certificates of a private authority to trust (PEM); else
                                          KAPELLE_CA_FILE
                  --token-file <FILE>     The file that holds a bearer token; else KAPELLE_TOKEN,
                                          KAPELLE_TOKEN_FILE
                  --user <NAME>           Sign in by name, with the password in KAPELLE_PASSWORD; else
                                          KAPELLE_USER, CAMUNDA_BASIC_AUTH_USERNAME
                  --password-file <FILE>  The file that holds the password; else KAPELLE_PASSWORD_FILE

            Everywhere:
                  --color <WHEN>     When to colour; auto: on a terminal, unless NO_COLOR is set [default: auto]
                                     [possible values: auto, always, never]
              -o, --output <FORMAT>  How to print data: table for people, json for programs, name for keys alone
                                     [default: table] [possible values: table, json, name]
            --- stderr
            --- exit 0
        "#]],
    );
}

#[test]
fn an_unknown_command_is_a_usage_error_with_a_suggestion() {
    check(
        &["deplyo", "x"],
        expect![[r#"
        --- stderr
        error: unrecognized subcommand 'deplyo'

          tip: some similar subcommands exist: 'demo', 'deploy'

        Usage: kapelle [OPTIONS] <COMMAND>

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

#[test]
fn a_key_that_is_none_is_refused_before_any_server_is_asked() {
    check(
        &["cancel", "pi", "order-7"],
        expect![[r#"
        --- stderr
        error[KAP-2001]: "order-7" is not a key
        hint: keys are numbers; `kapelle list` shows them
        --- exit 2
    "#]],
    );
}

#[test]
fn variables_that_are_no_object_are_a_usage_error() {
    check(
        &["run", "order", "--variables", "[1]"],
        expect![[r#"
        --- stderr
        error[KAP-2001]: the value of --variables is not a JSON object
          [1]
        --- exit 2
    "#]],
    );
    check(
        &["run", "order", "--variables", "{orderId: 1}"],
        expect![[r#"
            --- stderr
            error[KAP-2001]: the value of --variables is not JSON
              expected a name in quotes at line 1 column 2
            hint: quote it for the shell: --variables '{"name": 1}', or give --variables @FILE
            --- exit 2
        "#]],
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    check(
        &["deploy", "missing.bpmn"],
        expect![[r#"
        --- stderr
        error[KAP-2002]: cannot read missing.bpmn
          No such file or directory (os error 2)
        --- exit 2
    "#]],
    );
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let place = Place::new();
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("http://127.0.0.1:{port}");
    for environment in [
        [("KAPELLE_ADDRESS", address.as_str())],
        [("ZEEBE_REST_ADDRESS", address.as_str())],
    ] {
        let ended = place.run_with(&["status"], &environment, "");
        assert_eq!(
            ended.text().replace(&port.to_string(), "PORT"),
            "--- stderr\n\
             error[KAP-2101]: cannot reach http://127.0.0.1:PORT\n  Connection refused (os error 111)\n\
             hint: start a server with `kapelle serve`, or name another one with --address or KAPELLE_ADDRESS\n\
             --- exit 3\n"
        );
    }
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    check(
        &["status", "--address", "https://example.org"],
        expect![[r#"
            --- stderr
            error[KAP-2101]: cannot reach https://example.org:443
              failed to lookup address information: Name or service not known
            hint: start a server with `kapelle serve`, or name another one with --address or KAPELLE_ADDRESS
            --- exit 3
        "#]],
    );
}

#[test]
fn version_is_data() {
    check(
        &["version"],
        expect![[r#"
        kapelle 0.1.0 (speaks to clients of Camunda 8.9.0)
        --- stderr
        --- exit 0
    "#]],
    );
    check(
        &["version", "--output", "name"],
        expect![[r#"
        0.1.0
        --- stderr
        --- exit 0
    "#]],
    );
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ended = place.run(&["completion", shell]);
        assert_eq!(ended.code, 0, "{shell}");
        assert!(
            ended.stdout.contains("kapelle") && ended.stdout.contains("deploy"),
            "{shell}"
        );
    }
}

#[test]
fn configuration_problems_are_said_together_with_place_and_suggestion() {
    let place = Place::new();
    place.write(
        "kapelle.toml",
        "[server]\nrest-adress = \"127.0.0.1:1\"\n[limits]\nmessage-size = 4\n",
    );
    let ended = place.run_with(&["config", "check"], &[("KAPELLE_LOG__LEVEL", "loud")], "");
    expect![[r#"
        --- stderr
        error[KAP-1003]: the configuration is not valid
          kapelle.toml:4: `limits.message-size` must be a size such as "64 MiB", not a number
          environment KAPELLE_LOG__LEVEL: `log.level` must be "error", "warn", "info", "debug" or "trace", not "loud"
          kapelle.toml:2: `server.rest-adress` is not a known key; did you mean `rest-address`?
        hint: every key is described in docs/reference/config.md; `kapelle config show` prints all of them
        --- exit 2
    "#]].assert_eq(&ended.text());
    assert_eq!(place.run(&["serve"]).code, 2);
}

#[test]
fn the_configuration_in_effect_says_where_it_comes_from() {
    let place = Place::new();
    place.write("my.toml", "[data]\ndir = \"/var/lib/kapelle\"\n");
    let ended = place.run_with(
        &["config", "show", "--origin", "--config", "my.toml"],
        &[("KAPELLE_EVENTS__TIME_TO_LIVE", "2h")],
        "",
    );
    assert_eq!(ended.code, 0);
    for line in [
        "dir = \"/var/lib/kapelle\"                     # my.toml:2",
        "time-to-live = \"2h\"                          # environment KAPELLE_EVENTS__TIME_TO_LIVE",
        "attempts = 12                                # default",
    ] {
        assert!(
            ended.stdout.lines().any(|shown| shown == line),
            "{line}\n{}",
            ended.stdout
        );
    }
}

#[test]
fn the_configuration_is_json_for_programs_and_secrets_are_not_in_it() {
    let place = Place::new();
    place.write(
        "kapelle.toml",
        "[sinks.shop]\nkind = \"webhook\"\nurl = \"http://user:password@shop\"\n",
    );
    let ended = place.run(&["config", "show", "--output", "json"]);
    assert_eq!(ended.code, 0);
    assert!(
        ended.stdout.contains("\"sinks.shop.url\"") && ended.stdout.contains("\"***\""),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("password"), "{}", ended.stdout);
}

#[test]
fn feel_prints_its_result_as_json() {
    check(
        &[
            "feel",
            "eval",
            "total * 2",
            "--variables",
            r#"{"total": 21}"#,
        ],
        expect![[r#"
            42
            --- stderr
            --- exit 0
        "#]],
    );
    check(
        &["feel", "eval", "= {a: \"x\", b: [1, 2]}"],
        expect![[r#"
        {"a":"x","b":[1,2]}
        --- stderr
        --- exit 0
    "#]],
    );
    check(
        &["feel", "eval", "--unary", "> 10, 3", "--input", "12"],
        expect![[r#"
            true
            --- stderr
            --- exit 0
        "#]],
    );
}

#[test]
fn feel_warns_on_standard_error() {
    check(
        &["feel", "eval", "missing + 1"],
        expect![[r#"
        null
        --- stderr
        warning: No variable found with name 'missing'
        warning: Can't add '1' to 'null'
        --- exit 0
    "#]],
    );
}

#[test]
fn what_is_no_feel_shows_where() {
    check(
        &["feel", "eval", "1 + * 2"],
        expect![[r#"
        --- stderr
        error[KAP-4001]: that is no FEEL expression
          1 + * 2
              ^ expected an expression, found `*`
        --- exit 1
    "#]],
    );
}

#[test]
fn variables_come_from_a_file_or_standard_input() {
    let place = Place::new();
    place.write("order.json", r#"{"n": 5}"#);
    assert_eq!(
        place
            .run(&["feel", "eval", "n", "--variables", "@order.json"])
            .stdout,
        "5\n"
    );
    assert_eq!(
        place
            .run_with(
                &["feel", "eval", "n", "--variables", "@-"],
                &[],
                r#"{"n": 6}"#
            )
            .stdout,
        "6\n"
    );
}

const WRONG_MODEL: &str = r#"<?xml version="1.0"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">
  <process id="wrong" isExecutable="true">
    <startEvent id="start" />
    <sequenceFlow id="flow" sourceRef="start" targetRef="work" />
    <serviceTask id="work" />
    <callActivity id="call" />
  </process>
</definitions>
"#;

#[test]
fn a_model_with_errors_is_shown_as_a_compiler_would() {
    let place = Place::new();
    place.write("wrong.bpmn", WRONG_MODEL);
    expect![[r#"
        error[KAP-BPMN-0027]: must have exactly one zeebe:taskDefinition
         --> wrong.bpmn:6:5  serviceTask 'work'
          |
        6 | <serviceTask id="work" />
          | ^
          help: Set the job type that a worker asks for.

        error[KAP-BPMN-0008]: <callActivity> is not executable yet
         --> wrong.bpmn:7:5  callActivity 'call'
          |
        7 | <callActivity id="call" />
          | ^
          help: Use an embedded subprocess, or start the other process by a message.

        --- stderr
        wrong.bpmn: would be refused, 2 errors, 0 warnings
        --- exit 1
    "#]]
    .assert_eq(&place.run(&["check", "wrong.bpmn"]).text());
}

#[test]
fn findings_are_json_for_programs() {
    let place = Place::new();
    place.write("wrong.bpmn", "<definitions");
    expect![[r#"
        [{"code":"KAP-BPMN-0002","severity":"error","file":"wrong.bpmn","line":1,"column":1,"elementId":null,"elementKind":null,"message":"syntax error: tag not closed: `>` not found before end of input","help":"Open the file in a BPMN modeler or an XML editor and save it again."}]
        --- stderr
        --- exit 1
    "#]].assert_eq(
        &place
            .run(&["check", "wrong.bpmn", "--output", "json"])
            .text(),
    );
}

#[test]
fn the_demo_models_can_be_deployed_without_a_warning() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/models");
    let place = Place::new();
    for entry in std::fs::read_dir(models).unwrap() {
        let path = entry.unwrap().path();
        let ended = place.run(&["check", &path.display().to_string()]);
        assert_eq!(ended.code, 0, "{}", ended.text());
        assert!(
            ended.stderr.contains("0 errors, 0 warnings"),
            "{}",
            ended.text()
        );
    }
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let place = Place::new();
    let plain = place.run(&["cancel", "x"]).stderr;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let coloured = place.run(&["cancel", "x", "--color", "always"]).stderr;
    assert!(coloured.contains('\u{1b}'), "{coloured}");
    let forced = place
        .run_with(
            &["cancel", "x"],
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            "",
        )
        .stderr;
    assert!(!forced.contains('\u{1b}'), "{forced}");
}
