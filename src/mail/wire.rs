//! The byte stream under the SMTP client: plain or TLS, with a gate that holds the final dot back.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The end of the body (RFC 5321 4.1.1.4). The client writes it on its own; in the body itself it cannot stand,
/// since a line that begins with a dot gets a second one.
const FINAL_DOT: &[u8] = b"\r\n.\r\n";

/// Whether the final dot may leave.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    position: Position,
    writer: Option<Waker>,
    waiter: Option<Waker>,
    /// Whether a byte of the final dot may have left.
    dot_left: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// No final dot may leave.
    #[default]
    Shut,
    /// The client wants to write the final dot and waits.
    Reached,
    /// The dot commit is made: the final dot may leave.
    Open,
}

impl Gate {
    fn with<T>(&self, act: impl FnOnce(&mut GateState) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shuts the gate for the next message.
    pub(super) fn shut(&self) {
        self.with(|gate| *gate = GateState::default());
    }

    /// Waits until the client wants to write the final dot.
    pub(super) async fn reached(&self) {
        std::future::poll_fn(|context| {
            self.with(|gate| {
                if gate.position == Position::Reached {
                    return Poll::Ready(());
                }
                gate.waiter = Some(context.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    /// Lets the final dot pass.
    pub(super) fn open(&self) {
        self.with(|gate| {
            gate.position = Position::Open;
            if let Some(writer) = gate.writer.take() {
                writer.wake();
            }
        });
    }

    /// Whether the final dot, or a part of it, may have left.
    pub(super) fn dot_left(&self) -> bool {
        self.with(|gate| gate.dot_left)
    }

    fn poll_pass(&self, context: &Context<'_>) -> Poll<()> {
        self.with(|gate| {
            if gate.position == Position::Open {
                return Poll::Ready(());
            }
            gate.position = Position::Reached;
            gate.writer = Some(context.waker().clone());
            if let Some(waiter) = gate.waiter.take() {
                waiter.wake();
            }
            Poll::Pending
        })
    }
}

/// The transport's bytes.
#[derive(Debug)]
pub(super) enum Transport {
    /// Unencrypted.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

/// What the SMTP client reads from and writes to.
#[derive(Debug)]
pub(super) struct Wire {
    transport: Transport,
    /// A greeting that was read before the encryption began and that the client still waits for.
    replay: Vec<u8>,
    gate: Gate,
}

impl Wire {
    pub(super) fn new(transport: Transport, replay: Vec<u8>, gate: Gate) -> Self {
        Self { transport, replay, gate }
    }

    /// Ready if the server hung up or spoke while the body was written: then the dot is not worth sending.
    fn poll_broken(&self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let peeked = std::task::ready!(self.tcp().poll_peek(context, &mut byte));
        let spoke = matches!(self.transport, Transport::Plain(_));
        match peeked {
            Err(error) => Poll::Ready(error),
            Ok(0) => Poll::Ready(io::Error::other("the server hung up in the middle of the mail")),
            Ok(_) if spoke => Poll::Ready(io::Error::other("the server spoke in the middle of the mail")),
            // Under TLS it may be a ticket or the like.
            Ok(_) => Poll::Pending,
        }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().peer_addr()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if !wire.replay.is_empty() {
            let n = wire.replay.len().min(buffer.remaining());
            buffer.put_slice(&wire.replay[..n]);
            wire.replay.drain(..n);
            return Poll::Ready(Ok(()));
        }
        match &mut wire.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Transport::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if bytes == FINAL_DOT && !wire.gate.dot_left() {
            if let Poll::Ready(broken) = wire.poll_broken(context) {
                return Poll::Ready(Err(broken));
            }
            if wire.gate.poll_pass(context).is_pending() {
                return Poll::Pending;
            }
            wire.gate.with(|gate| gate.dot_left = true);
        }
        match &mut wire.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
