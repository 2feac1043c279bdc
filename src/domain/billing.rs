//! Accounts, agreements and the profiles whose invoices are wanted.

use jiff::civil::Date;

use super::document::DocumentKind;
use super::invoice::Invoice;

/// The kind of contract a billing account stands under; it decides when invoices are issued and who may fetch them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// Microsoft Customer Agreement.
    Mca,
    /// Microsoft Partner Agreement.
    Mpa,
    /// Microsoft Online Services Program: web-direct subscriptions.
    Mosp,
    /// Enterprise Agreement.
    Ea,
}

impl Agreement {
    /// The configuration's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mca => "mca",
            Self::Mpa => "mpa",
            Self::Mosp => "mosp",
            Self::Ea => "ea",
        }
    }
}

/// What one list of invoices covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every invoice of a billing account.
    Account {
        /// The billing account's name.
        account: String,
    },
    /// The invoices of one billing profile (MCA, MPA).
    Profile {
        /// The billing account's name.
        account: String,
        /// The billing profile's name.
        profile: String,
    },
    /// The invoices of one subscription (MOSP).
    Subscription {
        /// The subscription's id.
        subscription: String,
        /// The billing account's name, where the configuration gives it; otherwise Azure is asked once.
        account: Option<String>,
    },
}

impl Scope {
    /// The billing account's name, if it is known without asking Azure.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account { account } | Self::Profile { account, .. } => Some(account),
            Self::Subscription { account, .. } => account.as_deref(),
        }
    }

    /// Whether both list the same invoices. Azure's names and ids ignore case.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let equal = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        match (self, other) {
            (Self::Account { account: a }, Self::Account { account: b })
            | (Self::Subscription { subscription: a, .. }, Self::Subscription { subscription: b, .. }) => equal(a, b),
            (Self::Profile { account: a, profile: p }, Self::Profile { account: b, profile: q }) => {
                equal(a, b) && equal(p, q)
            }
            _ => false,
        }
    }

    /// Whether a list of this scope holds `invoice`.
    #[must_use]
    pub fn covers(&self, invoice: &Invoice) -> bool {
        let is = |named: &Option<String>, wanted: &str| {
            named.as_ref().is_some_and(|named| named.eq_ignore_ascii_case(wanted))
        };
        match self {
            Self::Account { account } => invoice.billing_account.eq_ignore_ascii_case(account),
            Self::Profile { account, profile } => {
                invoice.billing_account.eq_ignore_ascii_case(account) && is(&invoice.billing_profile, profile)
            }
            Self::Subscription { subscription, .. } => is(&invoice.subscription, subscription),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account { account } => write!(f, "billing account {account}"),
            Self::Profile { account, profile } => write!(f, "billing profile {profile} of billing account {account}"),
            Self::Subscription { subscription, .. } => write!(f, "subscription {subscription}"),
        }
    }
}

/// One `[[profiles]]` entry: whose invoices are wanted, and which lists get them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The operator's alias.
    pub name: String,
    /// The contract.
    pub agreement: Agreement,
    /// What to list.
    pub scope: Scope,
    /// The names of the lists that get the invoices, in order.
    pub lists: Vec<String>,
    /// The kinds of documents to mail; a kind that Azure adds later is always mailed.
    pub documents: Vec<DocumentKind>,
    /// Older invoices are recorded, not mailed; `None`: the day of the profile's first look.
    pub deliver_since: Option<Date>,
}

impl Profile {
    /// Whether documents of this kind are mailed for this profile.
    #[must_use]
    pub fn wants(&self, kind: &DocumentKind) -> bool {
        matches!(kind, DocumentKind::Other(_)) || self.documents.contains(kind)
    }
}
