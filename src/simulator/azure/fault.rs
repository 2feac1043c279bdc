//! Answers that go wrong on request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::reply::Reply;

/// What was written reaches the client before the connection breaks.
const TIME_TO_FLUSH: Duration = Duration::from_millis(50);

/// What a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Any list.
    List,
    /// A single account, profile, invoice or billing property.
    Get,
    /// The POST that starts a download.
    Download,
    /// A look at an operation's result.
    Poll,
    /// The fetch of a document from the document host.
    Blob,
}

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it strikes.
    pub on: Operation,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How often.
    pub times: u32,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// This status with an error body, and `Retry-After` if given.
    Status(u16, Option<String>),
    /// 429 with this `Retry-After`, whatever it says.
    RateLimited(String),
    /// 200 with a sign-in page.
    Html,
    /// The right answer, cut in the middle: the full `Content-Length`, then the connection breaks.
    Truncated,
    /// 200 and nothing.
    Empty,
    /// 200, announced as a PDF, which it is not.
    NotPdf,
    /// The right answer, one byte each of these.
    Slow(Duration),
    /// No answer at all.
    Hang,
    /// 403 as for a link past its time.
    ExpiredSas,
    /// A list with a next link to another host.
    NextLinkElsewhere,
    /// Words in the extensible enumerations that nobody knows yet.
    UnknownEnums,
}

impl FaultKind {
    /// Spoils the right answer; `dressed` adds the headers that every answer of the host has.
    pub(super) async fn spoil(
        self,
        reply: Reply,
        dressed: impl Fn(Reply) -> Reply,
        stop: &CancellationToken,
    ) -> Response<Body> {
        let spoiled = match self {
            Self::Status(status, retry_after) => {
                let reply = Reply::error(status, "SimulatedFault", "The simulator was asked to fail here.");
                retry_after.into_iter().fold(reply, |reply, value| reply.with("retry-after", value))
            }
            Self::RateLimited(retry_after) => {
                Reply::error(429, "TooManyRequests", "Number of requests exceeded the limit. Please try again later.")
                    .with("retry-after", retry_after)
            }
            Self::Html => page(),
            Self::Empty => Reply::empty(200),
            Self::NotPdf => {
                let body = b"This is not a PDF, although it claims to be one.\n".repeat(40);
                Reply { body, ..Reply::empty(200) }.with("content-type", "application/pdf")
            }
            Self::Truncated => return drip(dressed(reply), Duration::ZERO, true),
            Self::Slow(pause) => return drip(dressed(reply), pause, false),
            Self::Hang => {
                stop.cancelled().await;
                Reply::empty(503)
            }
            Self::ExpiredSas => {
                Reply::storage_error(403, "AuthenticationFailed", "Signature not valid in the specified time frame.")
            }
            Self::NextLinkElsewhere | Self::UnknownEnums => reply,
        };
        dressed(spoiled).send()
    }
}

fn page() -> Reply {
    let body = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to your account</body></html>";
    Reply { body: body.into(), ..Reply::empty(200) }.with("content-type", "text/html; charset=utf-8")
}

fn drip(mut reply: Reply, pause: Duration, broken: bool) -> Response<Body> {
    let bytes = std::mem::take(&mut reply.body);
    let length = bytes.len();
    let end = if broken { length / 2 } else { length };
    let drip = Drip { bytes, end, at: 0, broken, pause, timer: Box::pin(sleep(pause)) };
    reply.send_as(Body::from_stream(ReaderStream::new(drip)), length)
}

/// A body that comes byte by byte, or breaks at its `end`.
struct Drip {
    bytes: Vec<u8>,
    end: usize,
    at: usize,
    broken: bool,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
}

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.end {
            if self.broken {
                ready!(self.timer.as_mut().poll(context));
            }
            let broken = io::Error::new(io::ErrorKind::ConnectionReset, "the simulator breaks the connection here");
            return Poll::Ready(if self.broken { Err(broken) } else { Ok(()) });
        }
        let size = if self.pause.is_zero() {
            (self.end - self.at).min(buffer.remaining())
        } else {
            ready!(self.timer.as_mut().poll(context));
            let next = Instant::now() + self.pause;
            self.timer.as_mut().reset(next);
            1
        };
        let next = self.at + size;
        buffer.put_slice(&self.bytes[self.at..next]);
        self.at = next;
        if self.broken && next == self.end {
            let flushed = Instant::now() + TIME_TO_FLUSH;
            self.timer.as_mut().reset(flushed);
        }
        Poll::Ready(Ok(()))
    }
}
