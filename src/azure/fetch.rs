//! Fetching a document from its own host: no token, no redirects, no decompression; within size, rate and time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Client;
use super::cause::{Cause, Ids};
use super::patience::{Patience, asked_wait};
use crate::domain::document::Pdf;
use crate::domain::label::Label;

impl Client {
    /// Fetches the PDF behind a checked address.
    pub(super) async fn fetch(&self, url: &Url, patience: &mut Patience<'_>) -> Result<Pdf, Cause> {
        let deadline = Instant::now() + self.limits.pdf_total;
        let mut attempt = 1;
        loop {
            match self.fetch_once(url, deadline).await {
                Ok(pdf) => return Ok(pdf),
                Err(cause) if Instant::now() >= deadline => return Err(cause),
                Err(cause) => patience.before_repeat(cause, attempt).await?,
            }
            attempt += 1;
        }
    }

    async fn fetch_once(&self, url: &Url, deadline: Instant) -> Result<Pdf, Cause> {
        let host = url.host_str().unwrap_or_default();
        let started = Instant::now();
        let after = self.limits.request_timeout;
        let answer = timeout_at(deadline.min(started + after), self.documents.get(url.clone()).send()).await;
        let answer = answer.map_err(|_| Cause::Timeout { what: host.to_owned(), after })?;
        let response = answer.map_err(|error| Cause::network(host, error, after))?;
        let status = response.status();
        let ids = Ids::of(response.headers(), None);
        let code = response.headers().get("x-ms-error-code").map(|code| String::from_utf8_lossy(code.as_bytes()));
        tracing::debug!(
            operation = "fetch_document",
            status = status.as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the document's host answered"
        );
        if status != StatusCode::OK {
            let cause = Cause::DocumentStatus {
                host: host.to_owned(),
                status: status.as_u16(),
                code: code.and_then(|code| Label::non_empty(&code)),
                asked: asked_wait(response.headers(), &self.limits),
            };
            return Err(cause.of_request(ids));
        }
        let bytes = self.stream(response, host, deadline).await;
        bytes.and_then(|bytes| Ok(Pdf::new(bytes)?)).map_err(|cause| cause.of_request(ids))
    }

    async fn stream(&self, mut response: Response, host: &str, deadline: Instant) -> Result<Vec<u8>, Cause> {
        let limits = &self.limits;
        let expected = response.content_length();
        let announced = response.headers().get("content-md5").cloned();
        if expected.is_some_and(|length| length > limits.pdf_bytes) {
            return Err(Cause::DocumentTooLarge { length: expected, limit: limits.pdf_bytes });
        }
        let least = limits.pdf_min_rate.saturating_mul(limits.pdf_window.as_millis().try_into().unwrap_or(u64::MAX));
        let mut window_end = Instant::now() + limits.pdf_window;
        let mut in_window = 0;
        let mut bytes = Vec::new();
        loop {
            match timeout_at(window_end.min(deadline), response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    bytes.extend_from_slice(&chunk);
                    in_window += chunk.len() as u64;
                }
                Ok(Ok(None)) => break,
                Ok(Err(_)) => return Err(Cause::Cut { received: bytes.len() as u64, expected }),
                Err(_) => {}
            }
            let now = Instant::now();
            if bytes.len() as u64 > limits.pdf_bytes {
                return Err(Cause::DocumentTooLarge { length: None, limit: limits.pdf_bytes });
            }
            if now >= deadline {
                return Err(Cause::Timeout { what: format!("the document from {host}"), after: limits.pdf_total });
            }
            if now >= window_end {
                if in_window.saturating_mul(1000) < least {
                    return Err(Cause::TooSlow { received: in_window, window: limits.pdf_window });
                }
                (window_end, in_window) = (now + limits.pdf_window, 0);
            }
        }
        let received = bytes.len() as u64;
        if expected.is_some_and(|expected| expected != received) {
            return Err(Cause::Cut { received, expected });
        }
        if announced.is_some_and(|announced| announced != STANDARD.encode(Md5::digest(&bytes))) {
            return Err(Cause::Damaged);
        }
        Ok(bytes)
    }
}
