//! A small SMTP server (RFC 5321) that keeps what it accepts, and misbehaves as the recipient's name says.
//!
//! `greylist@contoso.example` is refused for now the first time, `drop-dot@…` takes the mail and breaks the
//! connection without an answer: a test reads as a sentence. All names are listed at [`Behaviour`].

mod behaviour;
mod lines;
mod session;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use behaviour::Behaviour;

/// The largest mail accepted, in bytes.
pub const MAX_MAIL: usize = 64 * 1024 * 1024;

/// How the inbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where accepted mails are kept as `.eml` files; the folder is made if needed.
    pub folder: Option<PathBuf>,
    /// Who must sign in before mail is taken.
    pub credentials: Option<Credentials>,
}

/// A name and password for `AUTH PLAIN` and `AUTH LOGIN`.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl Default for Options {
    /// A free port on 127.0.0.1, mails in memory only, no sign-in.
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), folder: None, credentials: None }
    }
}

/// A trouble of the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// New connections are greeted with 554.
    RefuseConnections,
    /// New connections get no greeting at all.
    NoGreeting,
    /// `MAIL` gets 550 5.7.60.
    RefuseSender,
    /// `EHLO` gets 502; `HELO` works.
    NoEhlo,
}

/// A mail that the inbox took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The id in the answer: `250 2.0.0 Ok: queued as {id}`.
    pub id: String,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The mail: what came between 354 and the dot, without dot stuffing, with its final CRLF.
    pub data: Vec<u8>,
    /// The connection it came by; the first is 1.
    pub at_connection: usize,
    /// Whether the client was told so in a whole reply.
    pub answered: bool,
    /// The `.eml` file.
    pub path: Option<PathBuf>,
}

/// How many connections there are and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open now.
    pub open: usize,
    /// Ever accepted.
    pub total: usize,
    /// The most that were open at the same time.
    pub most: usize,
}

/// The running server; it stops when dropped.
#[derive(Debug)]
pub struct Inbox {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    options: Options,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    messages: Vec<Received>,
    asked: Vec<String>,
    connections: Connections,
    last_id: usize,
    /// Addresses whose `…-once` or `greylist` has had its turn.
    seen: HashSet<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mail, on disk first.
    async fn keep(&self, mut mail: Received) -> io::Result<String> {
        let number = {
            let mut state = self.state();
            state.last_id += 1;
            state.last_id
        };
        mail.id = format!("{number:08X}");
        if let Some(folder) = &self.options.folder {
            let first = mail.to.first().map_or("", String::as_str);
            let path = folder.join(format!("{number:04}-{}.eml", file_name(first)));
            tokio::fs::write(&path, &mail.data).await?;
            mail.path = Some(path);
        }
        let id = mail.id.clone();
        self.state().messages.push(mail);
        self.arrived.notify_waiters();
        Ok(id)
    }
}

/// What of an address may stand in a file's name.
fn file_name(address: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "@._+-".contains(c) { c } else { '_' };
    address.chars().take(100).map(kept).collect()
}

impl Inbox {
    /// Binds the port and serves.
    ///
    /// # Errors
    /// If the port cannot be bound or the folder cannot be made.
    pub async fn start(options: Options) -> io::Result<Self> {
        if let Some(folder) = &options.folder {
            tokio::fs::create_dir_all(folder).await?;
        }
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared { options, state: Mutex::default(), arrived: Notify::new() });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, _server: server })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The mails taken, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Received> {
        self.shared.state().messages.clone()
    }

    /// How many mails were taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.state().messages.len()
    }

    /// Waits until so many mails were taken.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.count() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Every address that a `RCPT` named, in order, whatever the answer was.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    /// The connections.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.shared.state().connections
    }

    /// Begins or ends a trouble of the whole server.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        self.shared.state().trouble = trouble;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An accept that fails (too many open files) must not spin.
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                sessions.spawn(session::run(stream, Arc::clone(&shared)));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests;
