//! As much of HTTP as a stress run needs: one request on a connection of its own, and a webhook that takes what comes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

/// Longer than any answer that is worth waiting for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A status and a body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends one request to `http://host:port` and reads its answer.
pub(crate) fn send(
    base: &str,
    method: &str,
    path: &str,
    media: &str,
    body: &str,
) -> anyhow::Result<Answer> {
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).with_context(|| format!("no server at {host}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).with_context(|| format!("{method} {path} was answered with {text:?}"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

pub(crate) fn post_json(base: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
    send(base, "POST", path, "application/json", body)
}

/// Deploys one file.
pub(crate) fn deploy(base: &str, name: &str, content: &str) -> anyhow::Result<Answer> {
    let form = format!(
        "--x\r\ncontent-disposition: form-data; name=\"resources\"; filename=\"{name}\"\r\n\r\n{content}\r\n--x--\r\n"
    );
    send(
        base,
        "POST",
        "/v2/deployments",
        "multipart/form-data; boundary=x",
        &form,
    )
}

/// Answers every request on a free port with 204, until the process ends; `take` gets the headers of each, one a line.
pub(crate) fn webhook(take: impl Fn(&str) + Send + Sync + 'static) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let take = Arc::new(take);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let take = Arc::clone(&take);
            // A connection that breaks is its sender's affair.
            std::thread::spawn(move || answer_all(stream, &*take).ok());
        }
    });
    Ok(address)
}

fn answer_all(stream: TcpStream, take: &dyn Fn(&str)) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let before = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            if head[before..].trim_end().is_empty() {
                break;
            }
        }
        let length = header(&head, "content-length").and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        take(&head);
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        if header(&head, "connection") == Some("close") {
            return Ok(());
        }
    }
}

/// The value of a header.
pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_webhook_sees_the_headers_of_every_request_on_a_connection() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let address = webhook(move |head| {
            let subject = header(head, "CE-Subject").map(str::to_owned);
            shared.lock().unwrap().push(subject);
        })
        .unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(
                b"POST / HTTP/1.1\r\nce-subject: one\r\ncontent-length: 2\r\n\r\n{}\
                  POST / HTTP/1.1\r\nce-subject: two\r\n\r\n",
            )
            .unwrap();
        let mut answers = [0; 2 * 27];
        stream.read_exact(&mut answers).unwrap();
        let subjects = seen.lock().unwrap().clone();
        assert_eq!(subjects, [Some("one".to_owned()), Some("two".to_owned())]);
        let base = format!("http://{address}");
        let answer = send(&base, "GET", "/", "text/plain", "").unwrap();
        assert_eq!(answer.status, 204);
    }
}
