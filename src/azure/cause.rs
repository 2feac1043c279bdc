//! What went wrong in a call: the reasons, without the operation they stopped.

use std::fmt;
use std::time::Duration;

use crate::config::SecretError;
use crate::domain::document::{NotPdf, Sha256Hash};
use crate::domain::label::Label;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A secret of the credential cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The identity service, the machine or `az` gave no token.
    #[error("sign-in failed: {message}")]
    SignIn {
        /// What it said.
        message: Label,
        /// Whether it may pass by itself.
        transient: bool,
    },
    /// The HTTP client cannot be built.
    #[error("cannot set up the HTTP client")]
    HttpClient(#[source] reqwest::Error),
    /// No connection, or it broke: name resolution, TCP, TLS, HTTP.
    #[error("cannot talk to {host}")]
    Network {
        /// Whom we talked to.
        host: String,
        /// Why, without the address.
        source: reqwest::Error,
    },
    /// Our deadline passed.
    #[error("no answer within {after:?} ({what})")]
    Timeout {
        /// What was awaited.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// A request that got no answer, or one that is of no use.
    #[error("the request failed ({ids})")]
    Request {
        /// The names under which Microsoft finds it.
        ids: Ids,
        /// What was wrong.
        source: Box<Cause>,
    },
    /// The management endpoint answered with an error.
    #[error("{0}")]
    Status(Box<Refusal>),
    /// Azure asks for a longer wait than the call may take.
    #[error("Azure asks to wait {wait:?} before the next request")]
    Throttled {
        /// The wait asked for, within the limits.
        wait: Duration,
        /// The answer that asked.
        source: Box<Cause>,
    },
    /// An answer that should be JSON is something else, such as a proxy's page.
    #[error("the answer is not JSON but {0}")]
    NotJson(BodyPrint),
    /// An answer is JSON of another shape, or broken.
    #[error("the answer is not the JSON expected, at line {line}, column {column} ({print})")]
    BadJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The whole answer.
        print: BodyPrint,
    },
    /// The answer lacks something that cannot be done without.
    #[error("the answer has no {0}")]
    Missing(&'static str),
    /// A JSON answer is larger than allowed.
    #[error("the answer is larger than {limit} bytes")]
    AnswerTooLarge {
        /// The cap.
        limit: usize,
    },
    /// `nextLink`, `Location` or a document's `url` points away from the management endpoint.
    #[error("Azure's {what} leads to {host}, which is not the management endpoint: the token does not go there")]
    ForeignHost {
        /// Which link.
        what: &'static str,
        /// Where to.
        host: String,
    },
    /// A link that is not an address.
    #[error("Azure's {what} is not an address")]
    BadLink {
        /// Which link.
        what: &'static str,
    },
    /// A list leads back to a page already read.
    #[error("the list leads back to a page already read, page {page}")]
    PageLoop {
        /// The page, from 1.
        page: usize,
    },
    /// A list has no end.
    #[error("the list has more than {limit} pages")]
    TooManyPages {
        /// The cap.
        limit: usize,
    },
    /// Azure still prepares the document.
    #[error("the document is not ready yet (waited {waited:?})")]
    NotReady {
        /// How long the call waited.
        waited: Duration,
        /// The wait that Azure asked for next.
        asked: Option<Duration>,
    },
    /// Azure no longer knows the download it began: 404 at every look.
    #[error("Azure lost the download operation it had begun: {0}")]
    OperationLost(Box<Refusal>),
    /// The document lies in a system outside Azure Billing.
    #[error("the document lies outside Azure Billing (externalUrl, source {source_system})")]
    OutsideAzure {
        /// `ENF` …
        source_system: Label,
    },
    /// Azure lists the document without anything to ask for it by.
    #[error("Azure lists the document without a name or an address")]
    NoWayToAsk,
    /// The address of a document is not one we fetch from.
    #[error("the document's address at {host} is refused: {reason}")]
    DocumentAddress {
        /// Its host.
        host: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The document's host answered with an error.
    #[error("{host} answered {status}{}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    DocumentStatus {
        /// Its host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The storage service's error code.
        code: Option<Label>,
        /// The wait it asked for.
        asked: Option<Duration>,
    },
    /// The document's address ran out, twice.
    #[error("{host} refuses the document's address, even a fresh one (403)")]
    AddressExpired {
        /// Its host.
        host: String,
    },
    /// The document is larger than allowed.
    #[error("the document is larger than {limit} bytes{}", length.map(|n| format!(": it has {n}")).unwrap_or_default())]
    DocumentTooLarge {
        /// Its length, where the host said it.
        length: Option<u64>,
        /// The cap.
        limit: u64,
    },
    /// The document drips.
    #[error("the document came too slowly: {received} bytes in {window:?}")]
    TooSlow {
        /// What came in the window.
        received: u64,
        /// The window.
        window: Duration,
    },
    /// The document's body ended early.
    #[error("the document was cut off after {received} bytes{}", expected.map(|n| format!(" of {n}")).unwrap_or_default())]
    Cut {
        /// What came.
        received: u64,
        /// What was announced.
        expected: Option<u64>,
    },
    /// The document's body is not the one whose MD5 the host announced.
    #[error("the document was damaged on its way: its MD5 is not the announced one")]
    Damaged,
    /// What came is not a whole PDF.
    #[error("what came is not the document")]
    NotPdf(#[from] NotPdf),
}

impl Cause {
    /// A failure of `reqwest`: ours or the network's. The address is dropped, since its query may be a secret.
    pub(super) fn network(host: &str, error: reqwest::Error, deadline: Duration) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::Timeout { what: host.to_owned(), after: deadline };
        }
        Self::Network { host: host.to_owned(), source: error.without_url() }
    }

    /// The reason itself, without the request that it belongs to.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::Request { source, .. } => source.root(),
            other => other,
        }
    }

    /// The reason with the names of its request.
    pub(super) fn of_request(self, ids: Ids) -> Self {
        Self::Request { ids, source: Box::new(self) }
    }

    /// Whether the same request may succeed if sent again within the call.
    pub(super) fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Request { source, .. } => source.is_worth_repeating(),
            Self::SignIn { transient, .. } => *transient,
            Self::Network { source, .. } => !source.is_builder(),
            Self::Timeout { .. } | Self::Cut { .. } | Self::Damaged => true,
            Self::Status(refusal) => passes(refusal.status),
            Self::DocumentStatus { status, .. } => passes(*status),
            _ => false,
        }
    }

    /// Whether a later call may succeed without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Request { source, .. } => source.is_transient(),
            Self::DocumentStatus { status, .. } => passes(*status) || matches!(status, 403 | 404),
            Self::Throttled { .. }
            | Self::NotJson(_)
            | Self::BadJson { .. }
            | Self::Missing(_)
            | Self::NotReady { .. }
            | Self::OperationLost(_)
            | Self::AddressExpired { .. }
            | Self::TooSlow { .. }
            | Self::NotPdf(_) => true,
            other => other.is_worth_repeating(),
        }
    }

    /// The wait that Azure asked for, if it did.
    #[must_use]
    pub fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Request { source, .. } => source.asked_wait(),
            Self::Status(refusal) => refusal.asked,
            Self::Throttled { wait, .. } => Some(*wait),
            Self::NotReady { asked, .. } | Self::DocumentStatus { asked, .. } => *asked,
            _ => None,
        }
    }

    /// The error answer of the management endpoint, if that is the cause.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Status(refusal) | Self::OperationLost(refusal) => Some(refusal),
            Self::Throttled { source, .. } | Self::Request { source, .. } => source.refusal(),
            _ => None,
        }
    }
}

fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// An error answer of the management endpoint (Resource Manager's `error` object).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Azure's error code.
    pub code: Option<Label>,
    /// Azure's words.
    pub message: Option<Label>,
    /// The names under which Microsoft finds the request.
    pub ids: Ids,
    /// The body, where it is not Resource Manager's.
    pub body: Option<BodyPrint>,
    /// The wait asked for, within the limits.
    pub asked: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Azure answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(body) = &self.body {
            write!(f, " with {body}")?;
        }
        write!(f, " ({})", self.ids)
    }
}

/// The names of a request, for Microsoft's support.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// `x-ms-client-request-id`: ours. A document's host gets none.
    pub client: Option<String>,
    /// `x-ms-request-id`: Azure's.
    pub request: Option<Label>,
    /// `x-ms-correlation-request-id`: Azure's, for all that belongs together.
    pub correlation: Option<Label>,
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.client.as_deref();
        let (request, correlation) = (self.request.as_ref(), self.correlation.as_ref());
        let named = [
            ("x-ms-request-id", request.map(Label::as_str)),
            ("x-ms-correlation-request-id", correlation.map(Label::as_str)),
            ("x-ms-client-request-id", own.filter(|_| request.is_none())),
        ];
        let named: Vec<String> = named.iter().filter_map(|(name, id)| Some(format!("{name} {}", (*id)?))).collect();
        f.write_str(if named.is_empty() { "no request id" } else { "" })?;
        f.write_str(&named.join(", "))
    }
}

/// A body by its marks: enough to compare two reports, nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPrint {
    /// Whether it looks like a web page.
    pub is_html: bool,
    /// Its length in bytes.
    pub length: usize,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
}

impl BodyPrint {
    pub(super) fn of(body: &[u8]) -> Self {
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
        let is_html = body[start..].starts_with(b"<") && !body[start..].starts_with(b"<?xml");
        Self { is_html, length: body.len(), sha256: Sha256Hash::of(body) }
    }
}

impl fmt::Display for BodyPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_html { "an HTML page" } else { "a body" };
        write!(f, "{what} of {} bytes, SHA-256 {:.12}", self.length, self.sha256.to_string())
    }
}
