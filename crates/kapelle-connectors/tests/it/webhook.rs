//! Webhooks against a server that answers what a test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::expect;
use kapelle_connectors::webhook::{Config, Mode, Poster};
use kapelle_connectors::{Publication, Secret, Sink, State};
use kapelle_events::Limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certificates;
use crate::event;

/// Answers every request with the same bytes and keeps what came.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    async fn answering(answer: impl Into<String>) -> Self {
        Self::over(answer, None).await
    }

    /// With or without TLS.
    async fn over(answer: impl Into<String>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!(
            "{scheme}://{}/hook?token=secret",
            listener.local_addr().unwrap()
        );
        let (requests, connections) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<usize>>::default(),
        );
        let (answer, kept, counted) = (answer.into(), requests.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                let (answer, kept, tls) = (answer.clone(), kept.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &answer, &kept).await,
                        Some(tls) => {
                            // A client that does not trust us ends here.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer, &kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            url,
            requests,
            connections,
        }
    }

    fn poster(&self, config: Config) -> Poster {
        Poster::new(Config {
            url: Some(Secret::Plain(self.url.clone())),
            ..config
        })
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    kept: &Mutex<Vec<String>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        kept.lock().unwrap().push(request);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
}

/// The server's side, with a certificate of that authority.
fn acceptor(certificates: &Certificates) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&certificates.server).unwrap()],
            PrivateKeyDer::from_pem_file(&certificates.key).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or("0", str::trim);
            if body.len() >= length.parse().unwrap() {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

async fn publish(poster: &Poster) -> Result<(), kapelle_connectors::SinkError> {
    poster
        .publish(Publication {
            event: &event("1"),
            target: None,
            attempt: 1,
        })
        .await
}

/// Lines of a request, without those that depend on the port.
fn seen(request: &str) -> String {
    request
        .lines()
        .filter(|line| !line.starts_with("host: "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[tokio::test]
async fn binary_mode_puts_attributes_into_headers() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let poster = server.poster(Config {
        authorization: Some(Secret::Plain("Bearer x".to_owned())),
        ..Config::default()
    });
    let event = event("1")
        .to_builder()
        .subject("50 % größe")
        .correlation_id("c")
        .build()
        .unwrap();
    poster
        .publish(Publication {
            event: &event,
            target: None,
            attempt: 3,
        })
        .await
        .unwrap();
    expect![[r#"
        POST /hook?token=secret HTTP/1.1
        user-agent: kapelle/0.1.0
        ce-specversion: 1.0
        ce-id: 1
        ce-source: /test
        ce-type: order.placed
        ce-subject: 50%20%25%20gr%C3%B6%C3%9Fe
        ce-correlationid: c
        content-type: application/json
        kapelle-attempt: 3
        authorization: Bearer x
        content-length: 12

        { "a": 1.0 }
    "#]]
    .assert_eq(&seen(&server.requests.lock().unwrap()[0]));
    assert_eq!(poster.handle().snapshot().published, 1);
    assert_eq!(poster.handle().snapshot().state, State::Running);
}

#[tokio::test]
async fn structured_mode_is_one_json_document() {
    let server = Server::answering("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok").await;
    let poster = server.poster(Config {
        mode: Mode::Structured,
        ..Config::default()
    });
    publish(&poster).await.unwrap();
    let request = server.requests.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: application/cloudevents+json; charset=utf-8"),
        "{head}"
    );
    assert_eq!(
        kapelle_events::json::decode(body.as_bytes(), &Limits::DEFAULT).unwrap(),
        event("1")
    );
}

#[tokio::test]
async fn the_target_of_a_publication_goes_before_the_configured_url() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let poster = Poster::new(Config::default());
    let target = server.url.replace("hook", "other");
    poster
        .publish(Publication {
            event: &event("1"),
            target: Some(&target),
            attempt: 1,
        })
        .await
        .unwrap();
    assert!(server.requests.lock().unwrap()[0].starts_with("POST /other?token=secret HTTP/1.1"));
}

#[tokio::test]
async fn the_answer_says_whether_to_try_again() {
    let mut lines = String::new();
    for answer in [
        "200 OK",
        "201 Created",
        "202 Accepted",
        "204 No Content",
        "301 Moved\r\nlocation: /elsewhere",
        "400 Bad Request",
        "401 Unauthorized",
        "404 Not Found",
        "408 Request Timeout",
        "410 Gone",
        "413 Too Large",
        "415 Unsupported",
        "429 Too Many\r\nretry-after: 7",
        "500 Oops",
        "503 Busy\r\nretry-after: 120",
        "503 Busy\r\nretry-after: soon",
        "400 Bad Request\r\nretry-after: 7",
        "599 Odd",
    ] {
        let body = if answer.starts_with("204") {
            ""
        } else {
            "because\n  of it"
        };
        let length = body.len();
        let server = Server::answering(format!(
            "HTTP/1.1 {answer}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
        let line = match publish(&server.poster(Config::default())).await {
            Ok(()) => format!("{answer:?}: ok\n"),
            Err(error) => {
                let retry = if error.retryable() { "again" } else { "never" };
                format!(
                    "{answer:?}: {retry} {:?} {} {error}\n",
                    error.retry_after,
                    error.kind.as_str()
                )
            }
        };
        lines.push_str(&line);
        assert_eq!(
            server.requests.lock().unwrap().len(),
            1,
            "no redirect is followed and nothing is sent twice"
        );
    }
    expect![[r#"
        "200 OK": ok
        "201 Created": ok
        "202 Accepted": ok
        "204 No Content": ok
        "301 Moved\r\nlocation: /elsewhere": never None REFUSED post: the receiver answered 301 Moved Permanently: because of it
        "400 Bad Request": never None REFUSED post: the receiver answered 400 Bad Request: because of it
        "401 Unauthorized": never None REFUSED post: the receiver answered 401 Unauthorized: because of it
        "404 Not Found": never None REFUSED post: the receiver answered 404 Not Found: because of it
        "408 Request Timeout": again None TIMEOUT post: the receiver answered 408 Request Timeout: because of it
        "410 Gone": never None GONE post: the receiver answered 410 Gone: because of it
        "413 Too Large": never None REFUSED post: the receiver answered 413 Payload Too Large: because of it
        "415 Unsupported": never None REFUSED post: the receiver answered 415 Unsupported Media Type: because of it
        "429 Too Many\r\nretry-after: 7": again Some(7s) THROTTLED post: the receiver answered 429 Too Many Requests: because of it
        "500 Oops": again None RECEIVER_FAILED post: the receiver answered 500 Internal Server Error: because of it
        "503 Busy\r\nretry-after: 120": again Some(120s) RECEIVER_FAILED post: the receiver answered 503 Service Unavailable: because of it
        "503 Busy\r\nretry-after: soon": again None RECEIVER_FAILED post: the receiver answered 503 Service Unavailable: because of it
        "400 Bad Request\r\nretry-after: 7": never None REFUSED post: the receiver answered 400 Bad Request: because of it
        "599 Odd": again None RECEIVER_FAILED post: the receiver answered 599 <unknown status code>: because of it
    "#]].assert_eq(&lines);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes").await;
    let poster = server.poster(Config::default());
    for _ in 0..5 {
        publish(&poster).await.unwrap();
    }
    assert_eq!(
        (
            server.requests.lock().unwrap().len(),
            *server.connections.lock().unwrap()
        ),
        (5, 1)
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up() {
    // The head comes, the body never does: the limit is for the whole exchange.
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"] {
        let server = Server::answering(answer).await;
        let poster = server.poster(Config {
            timeout: Duration::from_millis(200),
            ..Config::default()
        });
        let error = publish(&poster).await.unwrap_err();
        assert_eq!(error.to_string(), "post: no complete answer within 200 ms");
        assert!(error.retryable());
        assert!(!poster.handle().snapshot().healthy());
    }
}

#[tokio::test]
async fn an_unreachable_receiver_is_retryable_and_a_broken_url_is_not() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut lines = String::new();
    for url in [
        format!("http://{closed}/?secret"),
        "ftp://host/".into(),
        "/path?secret".into(),
        "http://".into(),
        "not a url".into(),
    ] {
        let poster = Poster::new(Config {
            url: Some(Secret::Plain(url)),
            ..Config::default()
        });
        let error = publish(&poster).await.unwrap_err();
        lines.push_str(&format!(
            "{} {} {error}\n",
            error.kind.as_str(),
            error.retryable()
        ));
    }
    let error = publish(&Poster::new(Config::default())).await.unwrap_err();
    lines.push_str(&format!(
        "{} {} {error}\n",
        error.kind.as_str(),
        error.retryable()
    ));
    assert!(!lines.contains("secret"), "{lines}");
    expect![[r#"
        UNREACHABLE true connect: Connection refused (os error 111)
        INVALID_TARGET false post: the URL is not http:// or https:// with a host
        INVALID_TARGET false post: the URL is not http:// or https:// with a host
        INVALID_TARGET false post: the URL is broken
        INVALID_TARGET false post: the URL is broken
        INVALID_TARGET false post: no URL is given
    "#]]
    .assert_eq(&lines);
}

#[tokio::test]
async fn over_https_only_a_receiver_whose_authority_is_trusted_gets_the_event() {
    let dir = std::env::temp_dir().join(format!("kapelle-https-{}", std::process::id()));
    let certificates = Certificates::make(&dir.join("ours"));
    let others = Certificates::make(&dir.join("others"));
    let tls = Some(acceptor(&certificates));
    let server = Server::over("HTTP/1.1 204 No Content\r\n\r\n", tls).await;
    let mut lines = String::new();
    for (what, ca_file) in [
        ("the system's authorities", None),
        ("another authority", Some(others.ca)),
        ("a certificate that is none", Some(certificates.key)),
        ("a missing file", Some("/no/such/ca.pem".into())),
    ] {
        let poster = server.poster(Config {
            ca_file,
            ..Config::default()
        });
        let error = publish(&poster).await.unwrap_err();
        assert!(error.retryable(), "{error}");
        let error = error.to_string().replace(dir.to_str().unwrap(), "DIR");
        lines.push_str(&format!("{what}: {error}\n"));
    }
    expect![[r#"
        the system's authorities: connect: invalid peer certificate: UnknownIssuer
        another authority: connect: invalid peer certificate: BadSignature
        a certificate that is none: read the certificates in DIR/ours/key.pem: there is none (BEGIN CERTIFICATE)
        a missing file: read the certificates in /no/such/ca.pem: No such file or directory (os error 2)
    "#]].assert_eq(&lines);
    assert!(server.requests.lock().unwrap().is_empty());
    let poster = server.poster(Config {
        ca_file: Some(certificates.ca),
        ..Config::default()
    });
    publish(&poster).await.unwrap();
    publish(&poster).await.unwrap();
    assert_eq!(server.requests.lock().unwrap().len(), 2);
    std::fs::remove_dir_all(dir).unwrap();
}
