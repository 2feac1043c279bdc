//! The Azure Billing API and its document store over plain HTTP, as the live service behaves.
//!
//! Paths, shapes and traps follow the published 2024-04-01 specification and recorded traffic: relative next links
//! with raw blanks, downloads as long-running operations, documents behind short-lived signed links on another host.

mod api;
mod blob;
mod fault;
mod page;
mod reply;
mod route;
mod shape;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

pub use fault::{Fault, FaultKind, Operation};
pub use state::{Access, Recorded};

use super::accounts::{BillingAccount, Document, Invoice};
use super::pdf;
use crate::domain::document::Sha256Hash;
use state::State;

/// How the simulated service is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the documents are served; port 0 takes a free one.
    pub blob_listen: SocketAddr,
    /// The bearer token it wants.
    pub token: String,
    /// The time at start; it goes on from there by the machine's monotonic clock.
    pub now: Timestamp,
    /// What there is to see.
    pub accounts: Vec<BillingAccount>,
    /// What the token may see: by the name of an account or profile or the id of a subscription. Everything not
    /// named inherits from its profile, then its account, and is readable at last.
    pub roles: Vec<(String, Access)>,
    /// How a download goes.
    pub download: Download,
    /// How documents are listed.
    pub dialect: Dialect,
}

/// How a download goes.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    /// `Retry-After` of the answers, in seconds.
    pub retry_after_s: u32,
    /// How often the operation's address is polled until the result comes; 0: the POST itself gives it.
    pub polls: u32,
    /// Whether the first poll finds nothing (404), as happens while a front end lags.
    pub first_poll_not_found: bool,
    /// How long a signed link is good.
    pub link_lifetime: SignedDuration,
}

/// How documents are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `kind` and `name` (2024-04-01).
    Named,
    /// `kind`, `source` and a ready POST address with a `downloadToken` (2020-05-01).
    Tokens,
}

impl Options {
    /// Both ports free on 127.0.0.1, everything readable, one poll with `Retry-After: 10`, links good for 10 minutes.
    #[must_use]
    pub fn new(now: Timestamp, accounts: Vec<BillingAccount>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            blob_listen: any,
            token: "simulated-token".to_owned(),
            now,
            accounts,
            roles: Vec::new(),
            download: Download {
                retry_after_s: 10,
                polls: 1,
                first_poll_not_found: false,
                link_lifetime: SignedDuration::from_mins(10),
            },
            dialect: Dialect::Named,
        }
    }
}

/// The running service; it stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    service: Arc<Service>,
    endpoint: Url,
    _stop: DropGuard,
    _servers: JoinSet<io::Result<()>>,
}

/// What the handlers of both ports share.
#[derive(Debug)]
struct Service {
    token: String,
    download: Download,
    dialect: Dialect,
    api: SocketAddr,
    blob: SocketAddr,
    started_at: Timestamp,
    started: Instant,
    state: Mutex<State>,
    stop: CancellationToken,
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed() + self.state().skipped).unwrap_or_default();
        self.started_at.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

impl Simulator {
    /// Binds both ports and serves.
    ///
    /// # Errors
    /// If a port cannot be bound.
    pub async fn start(options: Options) -> io::Result<Self> {
        let api = TcpListener::bind(options.listen).await?;
        let blob = TcpListener::bind(options.blob_listen).await?;
        let endpoint = Url::parse(&format!("http://{}/", api.local_addr()?)).map_err(io::Error::other)?;
        let stop = CancellationToken::new();
        let service = Arc::new(Service {
            token: options.token,
            download: options.download,
            dialect: options.dialect,
            api: api.local_addr()?,
            blob: blob.local_addr()?,
            started_at: options.now,
            started: Instant::now(),
            state: Mutex::new(State::new(options.accounts, options.roles)),
            stop: stop.clone(),
        });
        let mut servers = JoinSet::new();
        for (listener, routes) in
            [(api, Router::new().fallback(api::answer)), (blob, Router::new().fallback(blob::answer))]
        {
            let stopped = stop.clone().cancelled_owned();
            let server = axum::serve(listener, routes.with_state(Arc::clone(&service)));
            servers.spawn(async move { server.with_graceful_shutdown(stopped).await });
        }
        Ok(Self { service, endpoint, _stop: stop.drop_guard(), _servers: servers })
    }

    /// The address of the API: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.endpoint.clone()
    }

    /// The host and port that serve the documents.
    #[must_use]
    pub fn blob_host(&self) -> String {
        self.service.blob.to_string()
    }

    /// The bearer token that the API wants.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.service.token
    }

    /// The service's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.service.now()
    }

    /// Sets the service's clock forward.
    pub fn advance(&self, by: Duration) {
        self.service.state().skipped += by;
    }

    /// The hash of the PDF served for a document, as the invoice is now.
    #[must_use]
    pub fn sha256(&self, invoice: &str, document: &str) -> Option<Sha256Hash> {
        let state = self.service.state();
        let (account, invoice) = state.invoice(invoice)?;
        Some(Sha256Hash::of(&pdf::render(account, invoice, invoice.document(document)?)))
    }

    /// All accounts as they are now.
    #[must_use]
    pub fn accounts(&self) -> Vec<BillingAccount> {
        self.service.state().accounts.clone()
    }

    /// Adds an invoice, or replaces the one of the same number; `false` if there is no such account.
    #[must_use]
    pub fn add_invoice(&self, account: &str, invoice: Invoice) -> bool {
        self.edit_account(account, |account| account.add(invoice))
    }

    /// Adds a document to an invoice; `false` if there is no such invoice.
    #[must_use]
    pub fn add_document(&self, invoice: &str, document: Document) -> bool {
        self.edit_invoice(invoice, |invoice| invoice.documents.push(document))
    }

    /// Takes an invoice's documents away, as before its PDF is ready; `None` if there is no such invoice.
    #[must_use]
    pub fn take_documents(&self, invoice: &str) -> Option<Vec<Document>> {
        let mut taken = Vec::new();
        self.edit_invoice(invoice, |invoice| taken = std::mem::take(&mut invoice.documents)).then_some(taken)
    }

    /// Changes an invoice in any way; `false` if there is none of this number.
    #[must_use]
    pub fn edit_invoice(&self, name: &str, change: impl FnOnce(&mut Invoice)) -> bool {
        let mut state = self.service.state();
        let mut invoices = state.accounts.iter_mut().flat_map(|account| &mut account.invoices);
        let Some(invoice) = invoices.find(|invoice| invoice.name == name) else {
            return false;
        };
        change(invoice);
        state.accounts.iter_mut().for_each(BillingAccount::sort);
        true
    }

    /// Changes an account in any way, names and profiles included; `false` if there is none of this name.
    #[must_use]
    pub fn edit_account(&self, name: &str, change: impl FnOnce(&mut BillingAccount)) -> bool {
        let mut state = self.service.state();
        let Some(account) = state.accounts.iter_mut().find(|account| account.name == name) else {
            return false;
        };
        change(account);
        account.sort();
        true
    }

    /// Says what the token may see of an account, profile or subscription from now on.
    pub fn set_access(&self, name: &str, access: Access) {
        self.service.state().set_access(name, access);
    }

    /// Queues a fault. Of several for one operation the oldest strikes first.
    pub fn inject(&self, fault: Fault) {
        self.service.state().faults.push_back(fault);
    }

    /// The faults that have not struck (as often as asked) yet.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.service.state().faults.iter().cloned().collect()
    }

    /// The requests of both ports, oldest first (of very many only the newest 100,000).
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.service.state().recorded.iter().cloned().collect()
    }

    /// Forgets the requests seen so far.
    pub fn clear_requests(&self) {
        self.service.state().recorded.clear();
    }

    /// How many requests came to the document host with an `Authorization` header: a token leaked.
    #[must_use]
    pub fn leaked_tokens(&self) -> usize {
        self.service.state().leaked_tokens
    }
}

#[cfg(test)]
mod tests;
