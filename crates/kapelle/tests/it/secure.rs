//! The command line at a server with TLS that wants to know who asks. Ours has neither yet, so a proxy and a stranger stand
//! in for it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use expect_test::expect;

use crate::program::Place;
use crate::server::Server;
use crate::tls::{self, certificates::Certificates};

#[test]
fn over_https_a_server_is_met_whose_authority_is_trusted() {
    let server = Server::start();
    let place = Place::new();
    let certificates = Certificates::make(&place.path().join("tls"));
    let port = tls::in_front_of(&server.rest, &certificates);
    let address = format!("https://localhost:{port}/v2");
    let neutral = |text: String| text.replace(&port.to_string(), "PORT");
    let status = ["status", "--output", "name", "--address", address.as_str()];
    expect![[r#"
        --- stderr
        error[KAP-2108]: cannot use the certificate of https://localhost:PORT: UnknownIssuer
        hint: name the certificate of the authority that signed it with --ca-file or KAPELLE_CA_FILE
        --- exit 3
    "#]]
    .assert_eq(&neutral(place.run(&status).text()));
    let trusted = place.run_with(&status, &[("KAPELLE_CA_FILE", "tls/ca.pem")], "");
    expect![[r#"
        https://localhost:PORT
        --- stderr
        --- exit 0
    "#]]
    .assert_eq(&neutral(trusted.text()));
    let missing: Vec<&str> = [&status[..], &["--ca-file", "tls/none.pem"]].concat();
    expect![[r#"
        --- stderr
        error[KAP-2002]: read the certificates in tls/none.pem: No such file or directory (os error 2)
        --- exit 2
    "#]].assert_eq(&neutral(place.run(&missing).text()));
    // More than one request over one connection, with a body.
    let model = crate::models::one_task("one", "work");
    place.write("one.bpmn", &model);
    for arguments in [&["deploy", "one.bpmn"][..], &["run", "one"]] {
        let arguments = [
            arguments,
            &["--ca-file", "tls/ca.pem", "--address", &address],
        ]
        .concat();
        let ended = place.run(&arguments);
        assert_eq!(ended.code, 0, "{}", ended.text());
    }
}

/// A server that answers all requests with 401 and says what `authorization` each had.
fn doorkeeper() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head: Vec<String> = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            let shown = head
                .iter()
                .find_map(|line| line.strip_prefix("authorization: "))
                .unwrap_or("nobody");
            sender.send(shown.to_owned()).unwrap();
            let body = r#"{"title":"UNAUTHORIZED","status":401,"detail":"who are you?"}"#;
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    (address, received)
}

#[test]
fn credentials_come_from_the_environment_or_a_file_and_are_never_shown() {
    let (address, received) = doorkeeper();
    let place = Place::new();
    place.write("token", " from-a-file\n");
    place.write("password", "pass:word\n");
    place.write("empty", "\n");
    let mut seen = String::new();
    let mut try_out = |what: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["status", "--address", &address][..], arguments].concat();
        let ended = place.run_with(&arguments, environment, "");
        let shown = received.try_recv().unwrap_or_else(|_| "not asked".into());
        seen.push_str(&format!("{what}: {shown}, exit {}\n", ended.code));
        let text = ended.text();
        for secret in ["from-a-file", "from-here", "pass:word"] {
            assert!(!text.contains(secret), "{text}");
        }
        text
    };
    let refused = try_out("nothing", &[], &[]);
    try_out("a token", &[], &[("KAPELLE_TOKEN", "from-here")]);
    try_out("a token in a file", &[], &[("KAPELLE_TOKEN_FILE", "token")]);
    try_out(
        "a file on the command line before the environment",
        &["--token-file", "token"],
        &[("KAPELLE_TOKEN", "from-here")],
    );
    try_out(
        "name and password",
        &[],
        &[("KAPELLE_USER", "demo"), ("KAPELLE_PASSWORD", "from-here")],
    );
    try_out(
        "a password in a file",
        &["--user", "demo", "--password-file", "password"],
        &[("KAPELLE_TOKEN", "from-here")],
    );
    try_out(
        "as Camunda's clients have it",
        &[],
        &[
            ("CAMUNDA_BASIC_AUTH_USERNAME", "demo"),
            ("CAMUNDA_BASIC_AUTH_PASSWORD", "demo"),
        ],
    );
    let no_password = try_out("a name alone", &["--user", "demo"], &[]);
    let empty = try_out("an empty file", &["--token-file", "empty"], &[]);
    let colon = try_out(
        "a name with a colon",
        &["--user", "a:b"],
        &[("KAPELLE_PASSWORD", "x")],
    );
    expect![[r#"
        nothing: nobody, exit 4
        a token: Bearer from-here, exit 4
        a token in a file: Bearer from-a-file, exit 4
        a file on the command line before the environment: Bearer from-a-file, exit 4
        name and password: Basic ZGVtbzpmcm9tLWhlcmU=, exit 4
        a password in a file: Basic ZGVtbzpwYXNzOndvcmQ=, exit 4
        as Camunda's clients have it: Basic ZGVtbzpkZW1v, exit 4
        a name alone: not asked, exit 2
        an empty file: not asked, exit 2
        a name with a colon: not asked, exit 2
    "#]]
    .assert_eq(&seen);
    expect![[r#"
        --- stderr
        error[KAP-2106]: who are you?
        hint: sign in: a token in KAPELLE_TOKEN, or KAPELLE_USER and KAPELLE_PASSWORD
        --- exit 4
        --- stderr
        error[KAP-2001]: there is no password for "demo"
        hint: set KAPELLE_PASSWORD, or name a file with --password-file
        --- exit 2
        --- stderr
        error[KAP-2001]: empty is empty
        --- exit 2
        --- stderr
        error[KAP-2001]: the name holds a colon, or name or password what no header can
        --- exit 2
    "#]]
    .assert_eq(&(refused + &no_password + &empty + &colon));
}
