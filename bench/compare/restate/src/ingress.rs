//! A Restate ingress as the target: an instance is a call that waits for its handler's end.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kapelle_load::Failure;
use kapelle_load::cli::{Options, Scenario};
use kapelle_load::drive::Target;
use kapelle_load::payload;
use kapelle_load::tally::Tally;
use tokio::net::TcpStream;

type Connection = SendRequest<Full<Bytes>>;

pub(crate) struct Ingress {
    scenario: Scenario,
    payload: usize,
    address: String,
    connections: Vec<Connection>,
    /// Makes workflow keys of this run differ from those of the last.
    run: String,
}

pub(crate) async fn connect(options: &Options, _tally: &Arc<Tally>) -> Result<Ingress, Failure> {
    if matches!(
        options.scenario,
        Scenario::MessageWait | Scenario::LeaveWaiting | Scenario::Topology
    ) {
        return Err("Restate has no equivalent of this scenario".into());
    }
    let host = options
        .address
        .strip_prefix("http://")
        .ok_or("--address must begin with http://")?;
    let mut connections = Vec::new();
    for _ in 0..options.connections.max(1) {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        connections.push(sender);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Ingress {
        scenario: options.scenario,
        payload: options.payload,
        address: options.address.clone(),
        connections,
        run: format!("{}-{}", std::process::id(), now.as_millis()),
    })
}

impl Target for Ingress {
    async fn start(&self, tally: &Tally, number: u64, planned: Instant) -> Result<(), Failure> {
        let at = usize::try_from(number).unwrap_or(0) % self.connections.len();
        let connection = &self.connections[at];
        let key = format!("{}-{number}", self.run);
        let payload = payload::variables(&key, self.payload);
        match self.scenario {
            Scenario::OneTask => self.call(connection, tally, "Steps/one", payload).await?,
            Scenario::TenTasks => self.call(connection, tally, "Steps/ten", payload).await?,
            Scenario::MessageResult => {
                let run = format!("Waiting/{key}/run");
                let publish = format!("Waiting/{key}/publish");
                tokio::try_join!(
                    self.call(connection, tally, &run, payload),
                    self.call(connection, tally, &publish, String::new())
                )?;
            }
            _ => self.call(connection, tally, "Steps/none", payload).await?,
        }
        tally.done(planned, Instant::now());
        Ok(())
    }
}

impl Ingress {
    async fn call(
        &self,
        connection: &Connection,
        tally: &Tally,
        path: &str,
        body: String,
    ) -> Result<(), Failure> {
        let body = Bytes::from(body);
        loop {
            let mut request = Request::post(format!("{}/{path}", self.address));
            if !body.is_empty() {
                request = request.header("content-type", "application/octet-stream");
            }
            let request = request.body(Full::new(body.clone()))?;
            let mut connection = connection.clone();
            connection.ready().await?;
            let answer = connection.send_request(request).await?;
            let status = answer.status();
            let text = answer.into_body().collect().await?.to_bytes();
            if status.is_success() {
                return Ok(());
            }
            if status != 429 {
                let text = String::from_utf8_lossy(&text);
                return Err(format!("{path} answered {status}: {text}").into());
            }
            tally.refused().await;
        }
    }
}
