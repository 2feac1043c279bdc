//! The client against scripted HTTP servers, and its tables of links and waits.

mod contract;
mod downloads;
mod errors;
mod links;
mod lists;
mod server;

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{Client, Limits};
use crate::config::{Azure, Credential, Secret};
use crate::domain::billing::Scope;
use server::Server;

/// What must never reach another host, a log or an error.
pub(super) const TOKEN: &str = "canary-token";

/// The defaults with the waits of a test.
pub(super) fn limits() -> Limits {
    Limits {
        request_timeout: Duration::from_secs(5),
        wait_floor: Duration::from_millis(5),
        longest_wait: Duration::from_millis(500),
        poll_wait: Duration::from_millis(10),
        longest_poll: Duration::from_millis(500),
        ..Limits::default()
    }
}

fn settings(endpoint: &str, document_hosts: &[String]) -> Azure {
    Azure {
        management_endpoint: Url::parse(endpoint).unwrap(),
        document_hosts: document_hosts.to_vec(),
        credential: Credential::StaticToken { token: Secret::Inline(SecretString::from(TOKEN)) },
    }
}

/// A client of `api` that may fetch documents from `documents`.
fn client(api: &Server, documents: &Server, limits: Limits) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::new(&settings(&api.url(""), &[documents.host()]), limits).unwrap()
}

/// A client that is not going to send anything.
fn client_of(endpoint: &str) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::new(&settings(endpoint, &[]), limits()).unwrap()
}

fn profile() -> Scope {
    Scope::Profile { account: "a:b_2019-05-31".into(), profile: "P-1".into() }
}

/// An error with all its sources, as a log shows it.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    assert!(!text.contains(TOKEN) && !text.contains("sig="), "{text}");
    // Our own ids differ from run to run.
    let mut parts = text.split("x-ms-client-request-id ");
    let mut stable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        assert!(part[..36].parse::<uuid::Uuid>().is_ok(), "{text}");
        stable += "our id";
        stable += &part[36..];
    }
    stable
}
