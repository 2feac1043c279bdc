//! Failed operations: what was tried, on which object, and what the operator can do.

use std::time::Duration;

use super::API_VERSION;
use super::cause::Cause;
use crate::domain::billing::Scope;
use crate::domain::label::Label;

/// A call to Azure that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// [`Client::new`](super::Client::new).
    #[error("cannot set up the Azure client")]
    Setup {
        /// Why.
        source: Box<Cause>,
    },
    /// [`Client::list_invoices`](super::Client::list_invoices).
    #[error("cannot list the invoices of {scope}")]
    ListInvoices {
        /// Whose.
        scope: Scope,
        /// Why.
        source: Box<Cause>,
    },
    /// [`Client::billing_account_of`](super::Client::billing_account_of).
    #[error("cannot find the billing account of {scope}")]
    BillingAccountOf {
        /// The subscription.
        scope: Scope,
        /// Why.
        source: Box<Cause>,
    },
    /// [`Client::has_read_access`](super::Client::has_read_access).
    #[error("cannot read the access to {scope}")]
    ReadAccess {
        /// Whose.
        scope: Scope,
        /// Why.
        source: Box<Cause>,
    },
    /// [`Client::download`](super::Client::download).
    #[error("cannot download document {document} of invoice {invoice}")]
    Download {
        /// Whose.
        scope: Scope,
        /// The invoice's number.
        invoice: Label,
        /// The document's key.
        document: Label,
        /// Why.
        source: Box<Cause>,
    },
}

impl Error {
    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        match self {
            Self::Setup { source }
            | Self::ListInvoices { source, .. }
            | Self::BillingAccountOf { source, .. }
            | Self::ReadAccess { source, .. }
            | Self::Download { source, .. } => source.root(),
        }
    }

    /// Whether a later call may succeed without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.cause().is_transient()
    }

    /// The wait that Azure asked for before the next call, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.cause().asked_wait()
    }

    /// What the operator can do about it, if anything.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self.cause() {
            Cause::Throttled { .. } => return None,
            Cause::SignIn { message, .. } if is_about_time(message.as_str()) => CLOCK.to_owned(),
            Cause::SignIn { transient: true, .. } | Cause::Network { .. } | Cause::Timeout { .. } => "check this \
                machine's network, name resolution and proxy (HTTPS_PROXY), and `management_endpoint` if it is set"
                .to_owned(),
            Cause::SignIn { .. } => "check `tenant_id`, `client_id` and whether the secret or federation of \
                `[azure] credential` is right and has not expired; for azure_cli run `az login`"
                .to_owned(),
            Cause::DocumentAddress { host, .. } => format!(
                "if you trust {host}, add it to `document_hosts` under [azure]; otherwise tell your network's \
                administrator that Azure's answer was changed"
            ),
            Cause::NotJson(_) => "something between here and Azure answers in its place: check the proxy, and \
                `management_endpoint` if it is set"
                .to_owned(),
            Cause::ForeignHost { .. } | Cause::BadLink { .. } => {
                "something between here and Azure may have changed the \
                answer: check the proxy, and `management_endpoint` if it is set"
                    .to_owned()
            }
            Cause::OutsideAzure { .. } | Cause::NoWayToAsk => format!("fetch it by hand {PORTAL}"),
            Cause::DocumentTooLarge { .. } => format!("it is too large to be mailed: fetch it by hand {PORTAL}"),
            Cause::NotReady { .. }
            | Cause::OperationLost(_)
            | Cause::AddressExpired { .. }
            | Cause::DocumentStatus { .. } => {
                format!("it is asked for again at the next look; if it stays so for a day, fetch it by hand {PORTAL}")
            }
            Cause::NotPdf(_) | Cause::Cut { .. } | Cause::Damaged | Cause::TooSlow { .. } => format!(
                "it is fetched again at the next look; if it stays so, check the proxy, and fetch it by hand {PORTAL}"
            ),
            Cause::BadJson { .. }
            | Cause::Missing(_)
            | Cause::AnswerTooLarge { .. }
            | Cause::PageLoop { .. }
            | Cause::TooManyPages { .. } => "Azure answers in a way that this version does not know: update \
                invoice-mailer, or report it with the request id"
                .to_owned(),
            cause => return self.hint_for_status(cause),
        };
        Some(hint)
    }

    fn hint_for_status(&self, cause: &Cause) -> Option<String> {
        let refusal = cause.refusal()?;
        let message = refusal.message.as_ref().map(Label::as_str).unwrap_or_default();
        let code = refusal.code.as_ref().map(Label::as_str).unwrap_or_default();
        Some(match refusal.status {
            400 if code.contains("ApiVersion") || message.contains("api-version") => {
                format!("Azure no longer takes api-version {API_VERSION}: update invoice-mailer")
            }
            401 if is_about_time(message) => CLOCK.to_owned(),
            401 => "Azure does not accept the token: check that the credential belongs to the tenant of the billing \
                account, that its secret has not expired, and that this machine's clock is right"
                .to_owned(),
            403 => self.scope().map_or_else(
                || "the credential lacks a role".to_owned(),
                |scope| format!("the credential lacks a role: {}", role_wanted(scope)),
            ),
            404 => "check the ids in [[profiles]]; Azure answers the same if the credential belongs to another tenant"
                .to_owned(),
            _ => return None,
        })
    }

    fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Setup { .. } => None,
            Self::ListInvoices { scope, .. }
            | Self::BillingAccountOf { scope, .. }
            | Self::ReadAccess { scope, .. }
            | Self::Download { scope, .. } => Some(scope),
        }
    }
}

const PORTAL: &str = "from the Azure portal, under Cost Management + Billing, Invoices";

const CLOCK: &str = "Azure finds the token's time wrong: set this machine's clock (NTP)";

/// Entra and Resource Manager name the claim or the error number when a clock is off.
fn is_about_time(message: &str) -> bool {
    ["nbf", "not yet valid", "AADSTS700024", "clock skew"].iter().any(|mark| message.contains(mark))
}

/// The least role that may list and download, and where it is granted.
///
/// Source: Microsoft's pages on MCA roles, on billing access (MOSP) and on EA service principals.
fn role_wanted(scope: &Scope) -> String {
    match scope {
        Scope::Profile { profile, .. } => format!(
            "in the portal under Cost Management + Billing open billing profile {profile}, Access control (IAM), and \
            give the application `Billing profile reader` or `Invoice manager`"
        ),
        Scope::Account { account } if account.bytes().all(|byte| byte.is_ascii_digit()) => format!(
            "an enterprise administrator must give the service principal (its object id, not the application id) the \
            role EnrollmentReader on enrollment {account}; downloads may need an enterprise administrator"
        ),
        Scope::Account { account } => format!(
            "in the portal under Cost Management + Billing open billing account {account}, Access control (IAM), and \
            give the application `Billing account reader`"
        ),
        Scope::Subscription { subscription, .. } => format!(
            "give the application `Billing Reader` on subscription {subscription} (Access control (IAM)), and let the \
            account administrator set `Allow others to download invoice` under Invoices"
        ),
    }
}
