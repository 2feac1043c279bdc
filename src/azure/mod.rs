//! Azure Billing (`Microsoft.Billing`, api-version 2024-04-01): lists invoices and fetches their documents.
//!
//! The only module that knows Azure's addresses, JSON and sign-in. It answers in domain types and knows nothing of
//! the ledger, the archive or mail. It keeps nothing but the connections and the token.

mod cause;
mod credential;
mod document_host;
mod download;
mod error;
mod fetch;
mod invoices;
mod patience;
mod profiles;
mod request;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config;

pub use cause::{BodyPrint, Cause, Ids, Refusal};
pub use error::Error;
pub use invoices::InvoiceList;

use credential::SignIn;
use document_host::HostRule;

/// The version of `Microsoft.Billing` that this module speaks.
const API_VERSION: &str = "2024-04-01";

/// The client of the Billing API. Clones share connections and token.
#[derive(Clone, Debug)]
pub struct Client {
    /// Sends the token, to the management endpoint only.
    api: reqwest::Client,
    /// Never sends a token.
    documents: reqwest::Client,
    endpoint: Url,
    document_hosts: Arc<[HostRule]>,
    sign_in: Arc<SignIn>,
    limits: Limits,
}

/// How long and how much a call may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest a request to the management endpoint may take, body included; also how long to wait for the
    /// head of a document's answer, and for a token.
    pub request_timeout: Duration,
    /// The longest a connection may take to open, TLS included.
    pub connect_timeout: Duration,
    /// The shortest wait before a request is repeated, whatever Azure asks.
    pub wait_floor: Duration,
    /// The longest wait believed when Azure asks for one.
    pub wait_ceiling: Duration,
    /// The longest that one call waits in sum for repeats.
    pub longest_wait: Duration,
    /// The wait between two looks at a document that is not ready, where Azure asks for none.
    pub poll_wait: Duration,
    /// The longest that one call waits in sum for a document that is not ready; the first wait may be longer if
    /// Azure asks for it.
    pub longest_poll: Duration,
    /// How often one request is sent at most, 1 or more.
    pub attempts: u32,
    /// The largest JSON answer, in bytes after decompression.
    pub json_bytes: usize,
    /// The most pages of one list.
    pub pages: usize,
    /// The largest document, in bytes.
    pub pdf_bytes: u64,
    /// The slowest rate of a document, in bytes a second, over each `pdf_window`.
    pub pdf_min_rate: u64,
    /// The span over which `pdf_min_rate` is measured.
    pub pdf_window: Duration,
    /// The longest that fetching one document may take, repeats included.
    pub pdf_total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(10),
            wait_floor: Duration::from_secs(1),
            wait_ceiling: Duration::from_hours(1),
            longest_wait: Duration::from_mins(5),
            // Azure's own SDKs wait so long.
            poll_wait: Duration::from_secs(30),
            longest_poll: Duration::from_mins(5),
            attempts: 4,
            json_bytes: 8 << 20,
            pages: 10_000,
            pdf_bytes: 25 << 20,
            pdf_min_rate: 1_000,
            pdf_window: Duration::from_secs(30),
            pdf_total: Duration::from_mins(5),
        }
    }
}

impl Client {
    /// Builds the two HTTP clients and reads the credential; no network yet.
    ///
    /// The process must have a default rustls provider.
    ///
    /// # Errors
    /// [`Error::Setup`] if a secret cannot be read or the credential is incomplete.
    pub fn new(settings: &config::Azure, limits: Limits) -> Result<Self, Error> {
        Self::build(settings, limits).map_err(|cause| Error::Setup { source: Box::new(cause) })
    }

    fn build(settings: &config::Azure, limits: Limits) -> Result<Self, Cause> {
        let endpoint = settings.management_endpoint.clone();
        let document_hosts: Arc<[HostRule]> = settings.document_hosts.iter().map(|text| HostRule::new(text)).collect();
        let api_on_loopback = document_host::is_loopback(&endpoint);
        let documents_on_loopback = document_hosts.iter().any(HostRule::is_loopback);
        let http = |on_loopback: bool| {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("invoice-mailer/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(limits.connect_timeout)
                .https_only(!on_loopback);
            if on_loopback { builder.no_proxy() } else { builder }
        };
        let api = http(api_on_loopback).build().map_err(Cause::HttpClient)?;
        let documents = http(documents_on_loopback).gzip(false).build().map_err(Cause::HttpClient)?;
        // A managed identity's endpoint is plain HTTP on a link-local or loopback address: not for a proxy.
        let machine_local = matches!(settings.credential, config::Credential::ManagedIdentity { .. });
        let sign_in_http = http(machine_local).timeout(limits.request_timeout).build().map_err(Cause::HttpClient)?;
        // A managed identity's endpoint is asked repeatedly, for 72 s, before its client gives up.
        let deadline = limits.request_timeout * if machine_local { 2 } else { 1 };
        let sign_in = SignIn::new(settings.credential.clone(), &endpoint, Arc::new(sign_in_http), deadline)?;
        Ok(Self { api, documents, endpoint, document_hosts, sign_in: Arc::new(sign_in), limits })
    }
}
