//! One request to the management endpoint: token, deadline, size cap, repeats, errors; and how links are followed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::cause::{BodyPrint, Cause, Ids, Refusal};
use super::patience::{Patience, asked_wait};
use super::{API_VERSION, Client, wire};
use crate::domain::label::Label;

/// What stays as it is in a path segment or a query value (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of a billing account.
pub(super) fn account_path(name: &str) -> Vec<&str> {
    vec!["providers", "Microsoft.Billing", "billingAccounts", name]
}

/// The path of a billing profile.
pub(super) fn profile_path<'a>(account: &'a str, name: &'a str) -> Vec<&'a str> {
    [account_path(account), vec!["billingProfiles", name]].concat()
}

/// The path of a subscription's invoices; its account is always called `default`.
pub(super) fn subscription_path(id: &str) -> Vec<&str> {
    [account_path("default"), vec!["billingSubscriptions", id]].concat()
}

/// An answer of the management endpoint.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    ids: Ids,
}

impl Answer {
    /// Reads the body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Cause> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let print = BodyPrint::of(&self.body);
            if !self.body.trim_ascii_start().starts_with(b"{") {
                return self.useless(Cause::NotJson(print));
            }
            self.useless(Cause::BadJson { line: error.line(), column: error.column(), print })
        })
    }

    /// What is wrong with this answer, with the names of its request.
    pub(super) fn useless(&self, cause: Cause) -> Cause {
        cause.of_request(self.ids.clone())
    }
}

impl Ids {
    /// The names in an answer's headers, beside our own.
    pub(super) fn of(headers: &HeaderMap, client: Option<String>) -> Self {
        let label = |name: &str| Label::non_empty(&String::from_utf8_lossy(headers.get(name)?.as_bytes()));
        Self { client, request: label("x-ms-request-id"), correlation: label("x-ms-correlation-request-id") }
    }
}

impl Client {
    /// The address of a resource: its path from encoded segments, the api-version, and more query pairs.
    pub(super) fn address(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let encoded = |text| utf8_percent_encode(text, ENCODED);
        let path: Vec<_> = segments.iter().map(|segment| encoded(segment).to_string()).collect();
        let mut url = self.endpoint.clone();
        url.set_path(&path.join("/"));
        let mut pairs = vec![format!("api-version={API_VERSION}")];
        pairs.extend(query.iter().map(|(key, value)| format!("{key}={}", encoded(value))));
        url.set_query(Some(&pairs.join("&")));
        url
    }

    /// Sends a request until it succeeds, a repeat is no use, or patience ends.
    ///
    /// A first 401 is answered by a fresh token.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        method: Method,
        url: &Url,
        patience: &mut Patience<'_>,
    ) -> Result<Answer, Cause> {
        let mut refused = None;
        let mut attempt = 1;
        loop {
            let sent = match self.sign_in.bearer(refused.as_ref()).await {
                Ok(token) => self.send_once(operation, &method, url, &token).await.map(|answer| (answer, token)),
                Err(cause) => Err(cause),
            };
            let cause = match sent {
                Ok((answer, _)) if answer.status.is_success() => return Ok(answer),
                Ok((answer, token)) if answer.status == StatusCode::UNAUTHORIZED && refused.is_none() => {
                    tracing::warn!(operation, "Azure refused the token, will ask for a fresh one");
                    refused = Some(token);
                    continue;
                }
                Ok((answer, _)) => self.refusal(answer),
                Err(cause) => cause,
            };
            patience.before_repeat(cause, attempt).await?;
            attempt += 1;
        }
    }

    async fn send_once(
        &self,
        operation: &'static str,
        method: &Method,
        url: &Url,
        token: &SecretString,
    ) -> Result<Answer, Cause> {
        let client_request_id = uuid::Uuid::new_v4().to_string();
        let mut ids = Ids { client: Some(client_request_id.clone()), ..Ids::default() };
        let started = Instant::now();
        let answered = self.exchange(method, url, token, &mut ids).await;
        let (status, headers, body) = answered.map_err(|cause| cause.of_request(ids.clone()))?;
        tracing::debug!(
            operation,
            status = status.as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            azure.request_id = ids.request.as_ref().map(Label::as_str),
            azure.client_request_id = client_request_id,
            "Azure answered"
        );
        Ok(Answer { status, headers, body, ids })
    }

    /// Sends one request and reads its whole answer; `ids` learns what Azure calls it.
    async fn exchange(
        &self,
        method: &Method,
        url: &Url,
        token: &SecretString,
        ids: &mut Ids,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Cause> {
        let host = url.host_str().unwrap_or_default();
        let deadline = self.limits.request_timeout;
        let mut request = self
            .api
            .request(method.clone(), url.clone())
            .bearer_auth(token.expose_secret())
            .header(ACCEPT, "application/json")
            .header("x-ms-client-request-id", ids.client.as_deref().unwrap_or_default())
            .timeout(deadline);
        if method == Method::POST {
            request = request.header(CONTENT_LENGTH, 0);
        }
        let response = request.send().await.map_err(|error| Cause::network(host, error, deadline))?;
        let (status, headers) = (response.status(), response.headers().clone());
        *ids = Ids::of(&headers, ids.client.take());
        let body = self.body_of(response, host).await?;
        Ok((status, headers, body))
    }

    async fn body_of(&self, mut response: Response, host: &str) -> Result<Vec<u8>, Cause> {
        let limit = self.limits.json_bytes;
        let mut body = Vec::new();
        let failed = |error| Cause::network(host, error, self.limits.request_timeout);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                return Err(Cause::AnswerTooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn refusal(&self, answer: Answer) -> Cause {
        let error = wire::error_of(&answer.body);
        let no_error = error.code.is_none() && error.message.is_none();
        let body = (no_error && !answer.body.is_empty()).then(|| BodyPrint::of(&answer.body));
        Cause::Status(Box::new(Refusal {
            status: answer.status.as_u16(),
            code: error.code,
            message: error.message,
            body,
            asked: asked_wait(&answer.headers, &self.limits),
            ids: answer.ids,
        }))
    }

    /// Resolves a link that Azure gave (`what` names it) and checks that it stays at the management endpoint.
    ///
    /// Azure's own links may be relative and may hold raw blanks; what is already encoded stays as it is.
    pub(super) fn follow(&self, what: &'static str, link: &str) -> Result<Url, Cause> {
        let mut url = self.endpoint.join(link).map_err(|_| Cause::BadLink { what })?;
        let place = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (url.scheme().to_owned(), host, url.port_or_known_default(), url.username().to_owned())
        };
        if place(&url) != place(&self.endpoint) || url.password().is_some() {
            return Err(Cause::ForeignHost { what, host: url.host_str().unwrap_or("no host").to_owned() });
        }
        url.set_fragment(None);
        Ok(url)
    }
}
