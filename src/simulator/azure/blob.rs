//! The document host: signed links that expire and want no token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{Method, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use md5::{Digest, Md5};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use url::form_urlencoded;

use super::Service;
use super::fault::Operation;
use super::reply::Reply;
use super::state::{Recorded, State};
use crate::simulator::pdf;

pub(super) async fn answer(Shared(service): Shared<Arc<Service>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let now = service.now();
    let bearer = parts.headers.contains_key("authorization");
    let (reply, fault) = {
        let mut state = service.state();
        let path_and_query = without_signature(&parts.uri.to_string());
        state.record(Recorded { method: parts.method.to_string(), path_and_query, bearer, blob: true });
        state.leaked_tokens += usize::from(bearer);
        match service.document(&state, &parts, now) {
            Ok(reply) => (reply, state.strike(Operation::Blob)),
            Err(refused) => (refused, None),
        }
    };
    let dressed = |reply: Reply| reply.with("x-ms-version", "2019-02-02").dated(now);
    match fault {
        Some(fault) => fault.spoil(reply, dressed, &service.stop).await,
        None => dressed(reply).send(),
    }
}

impl Service {
    /// A link to a document, good until `expiry`.
    pub(super) fn sign(&self, invoice: &str, document: &str, expiry: Timestamp) -> String {
        let file = utf8_percent_encode(&format!("{invoice}_{document}"), &KEPT).to_string();
        let path = format!("/invoices/{file}.pdf");
        let se = expiry.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("sv", "2019-02-02").append_pair("sr", "b").append_pair("se", &se).append_pair("sp", "r");
        query.append_pair("sig", &STANDARD.encode(self.mac(&path, &se).finalize().into_bytes()));
        format!("http://{}{path}?{}", self.blob, query.finish())
    }

    fn mac(&self, path: &str, expiry: &str) -> Hmac<Sha256> {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&Sha256::digest(self.token.as_bytes()));
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(path.as_bytes());
        mac.update(expiry.as_bytes());
        mac
    }

    fn document(&self, state: &State, parts: &Parts, now: Timestamp) -> Result<Reply, Reply> {
        if parts.headers.contains_key("authorization") {
            let message = "Authentication information is not given in the correct format.";
            return Err(Reply::storage_error(400, "InvalidAuthenticationInfo", message));
        }
        if parts.method != Method::GET {
            return Err(Reply::storage_error(405, "UnsupportedHttpVerb", "The resource doesn't support this verb."));
        }
        let query: Vec<(String, String)> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let given = |name: &str| query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let expiry = given("se");
        let signature = STANDARD.decode(given("sig")).unwrap_or_default();
        if self.mac(parts.uri.path(), expiry).verify_slice(&signature).is_err() {
            return Err(refused("Signature did not match."));
        }
        if expiry.parse::<Timestamp>().map_or(true, |expiry| expiry <= now) {
            return Err(refused("Signature not valid in the specified time frame."));
        }
        let pdf = find(state, parts.uri.path())
            .ok_or_else(|| Reply::storage_error(404, "BlobNotFound", "The specified blob does not exist."))?;
        let sum = STANDARD.encode(Md5::digest(&pdf));
        let reply = Reply { body: pdf, ..Reply::empty(200) };
        Ok(reply.with("content-type", "application/pdf").with("content-md5", sum).with("x-ms-blob-type", "BlockBlob"))
    }
}

/// What stays as it is in a path segment.
const KEPT: percent_encoding::AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

fn refused(message: &str) -> Reply {
    let text = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
    Reply::storage_error(403, "AuthenticationFailed", &format!("{text} {message}"))
}

/// The document behind `/invoices/{invoice}_{document}.pdf`; both names may hold `_`, so every split is tried.
fn find(state: &State, path: &str) -> Option<Vec<u8>> {
    let file = path.strip_prefix("/invoices/")?.strip_suffix(".pdf")?;
    let file = percent_decode_str(file).decode_utf8().ok()?;
    file.match_indices('_').find_map(|(at, _)| {
        let (name, document) = (&file[..at], &file[at + 1..]);
        state.accounts.iter().find_map(|account| {
            let invoice = account.invoice(name)?;
            Some(pdf::render(account, invoice, invoice.document(document)?))
        })
    })
}

fn without_signature(address: &str) -> String {
    match address.split_once("&sig=") {
        Some((before, after)) => {
            let rest = after.split_once('&').map_or(String::new(), |(_, rest)| format!("&{rest}"));
            format!("{before}{rest}")
        }
        None => address.to_owned(),
    }
}
