//! As much of an HTTP client as the tests need: they send what no proper client would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const JSON: (&str, &str) = ("content-type", "application/json");

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The text of a member of the JSON body; enough for answers of one object whose keys differ.
    pub(crate) fn member(&self, name: &str) -> String {
        let found = self
            .body
            .find(&format!("\"{name}\":"))
            .unwrap_or_else(|| panic!("no {name} in {}", self.body));
        let rest = &self.body[found + name.len() + 3..];
        match rest.strip_prefix('"') {
            Some(text) => text[..text.find('"').unwrap()].to_owned(),
            None => rest[..rest.find([',', '}', ']']).unwrap()].to_owned(),
        }
    }

    /// One line for tables: status, content type, body.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} {} {}",
            self.status,
            self.header("content-type").unwrap_or("-"),
            self.body
        )
    }
}

/// Sends one request and reads its answer.
pub(crate) fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
        .write_all(&request(address, method, path, headers, body))
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    parse(&text)
}

/// The body of an answer that need not be text.
pub(crate) fn bytes(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(&request(address, "GET", path, &[], b""))
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let gap = answer.windows(4).position(|four| four == b"\r\n\r\n");
    answer.split_off(gap.unwrap() + 4)
}

fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Sends a JSON body to a server that may die over it; `None` if it gave no answer.
pub(crate) fn try_post(address: &str, path: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let request = request(address, "POST", path, &[JSON], body.as_bytes());
    stream.write_all(&request).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.contains("\r\n\r\n").then(|| parse(&text))
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    send(address, "GET", path, &[], b"")
}

/// A request with a JSON body.
pub(crate) fn json(address: &str, method: &str, path: &str, body: &str) -> Answer {
    send(address, method, path, &[JSON], body.as_bytes())
}

pub(crate) fn post(address: &str, path: &str, body: &str) -> Answer {
    json(address, "POST", path, body)
}

/// A deployment of files by name.
pub(crate) fn deploy(address: &str, files: &[(&str, &str)]) -> Answer {
    let mut form = String::new();
    for (name, content) in files {
        form.push_str(&format!(
            "--x\r\ncontent-disposition: form-data; name=\"resources\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
        ));
    }
    form.push_str("--x--\r\n");
    send(
        address,
        "POST",
        "/v2/deployments",
        &[("content-type", "multipart/form-data; boundary=x")],
        form.as_bytes(),
    )
}

/// A deployment that must work.
pub(crate) fn must_deploy(address: &str, name: &str, content: &str) {
    let answer = deploy(address, &[(name, content)]);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A counter or gauge of the server.
pub(crate) fn metric(management: &str, name: &str) -> f64 {
    let page = get(management, "/metrics").body;
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        .parse()
        .unwrap()
}
