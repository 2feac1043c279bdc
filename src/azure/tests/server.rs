//! A tiny HTTP/1.1 server: one scripted answer per connection, every request kept.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One answer.
pub(super) enum Step {
    /// These bytes, then the end of the connection.
    Say(Vec<u8>),
    /// These bytes, then one byte at a time for ever.
    Drip(Vec<u8>, Duration),
    /// No answer, for ever.
    Hang,
}

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    requests: Vec<String>,
}

pub(super) struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _accepting: JoinSet<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let (shared, mut accepting) = (Arc::clone(&script), JoinSet::new());
        accepting.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { address, script, _accepting: accepting }
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().unwrap().steps.extend(steps);
    }

    /// The heads of all requests; fails if the script has not been played to its end.
    pub(super) fn requests(&self) -> Vec<String> {
        let script = self.script.lock().unwrap();
        assert!(script.steps.is_empty(), "{} answers were not asked for", script.steps.len());
        script.requests.clone()
    }

    /// The first lines of all requests, without the protocol.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |head: &String| head.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
        self.requests().iter().map(line).collect()
    }
}

async fn answer(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let step = {
        let mut script = script.lock().unwrap();
        script.requests.push(String::from_utf8(head).unwrap());
        script.steps.pop_front()
    };
    match step.unwrap_or_else(|| say(418, &[], "unscripted request")) {
        Step::Say(bytes) => drop(stream.write_all(&bytes).await),
        Step::Drip(bytes, every) => {
            drop(stream.write_all(&bytes).await);
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(every).await;
            }
        }
        Step::Hang => std::future::pending().await,
    }
}

/// A whole answer.
pub(super) fn say(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut bytes = head(status, &[headers, &[("Content-Length", length.as_str())]].concat());
    bytes.extend_from_slice(body);
    Step::Say(bytes)
}

/// The head of an answer.
pub(super) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n{}\r\n", headers.concat()).into_bytes()
}
