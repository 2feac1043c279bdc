//! An answer before it goes out, so that a fault can still spoil it.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        let reply = Self { body: body.to_string().into_bytes(), ..Self::empty(status) };
        reply.with("content-type", "application/json; charset=utf-8")
    }

    /// The error body of Azure Resource Manager.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message } }))
    }

    /// The error body of Azure Storage.
    pub(super) fn storage_error(status: u16, code: &'static str, message: &str) -> Self {
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let reply = Self { body: body.into_bytes(), ..Self::empty(status) };
        reply.with("content-type", "application/xml").with("x-ms-error-code", code)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the service's `Date` (RFC 9110, section 5.6.7).
    pub(super) fn dated(self, now: Timestamp) -> Self {
        self.with("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    /// The answer with its whole body.
    pub(super) fn send(mut self) -> Response<Body> {
        let body = std::mem::take(&mut self.body);
        let length = body.len();
        self.send_as(Body::from(body), length)
    }

    /// The answer's head with another body, announced as `length` bytes.
    pub(super) fn send_as(self, body: Body, length: usize) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            // A value with bytes that no header may have is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers.insert("content-length", HeaderValue::from(length));
        response
    }
}
