//! Which operation a path means. Azure's paths are case-insensitive; names are percent-decoded.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::fault::Operation;

/// Under what invoices are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// An account; `default` is any.
    Account(String),
    Profile(String, String),
    Subscription(String),
}

impl Owner {
    /// The path of the owner in ids and locations; `account` is spelled as the account itself does.
    pub(super) fn path(&self) -> String {
        let root = "/providers/Microsoft.Billing/billingAccounts";
        match self {
            Self::Account(account) => format!("{root}/{account}"),
            Self::Profile(account, profile) => format!("{root}/{account}/billingProfiles/{profile}"),
            Self::Subscription(id) => format!("{root}/default/billingSubscriptions/{id}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Accounts,
    Account(String),
    Profiles(String),
    Profile(String, String),
    Subscriptions(String),
    Invoices(Owner),
    Invoice(Owner, String),
    Download(Owner, String),
    OperationResult(String),
    Property(String),
}

impl Route {
    /// The operation of a request, or `None` if Azure has none there.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let names: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let words: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = |at: usize| names[at].clone();
        let route = match words.as_slice() {
            ["subscriptions", _, "providers", "microsoft.billing", "billingproperty", "default"] => {
                Self::Property(name(1))
            }
            ["providers", "microsoft.billing", "billingaccounts", rest @ ..] => Self::under_accounts(rest, &name)?,
            _ => return None,
        };
        let wanted = if matches!(route, Self::Download(..)) { Method::POST } else { Method::GET };
        (*method == wanted).then_some(route)
    }

    /// The operation of what follows `billingAccounts`; `name` gives a segment of the whole path as written.
    fn under_accounts(words: &[&str], name: &dyn Fn(usize) -> String) -> Option<Self> {
        let (owner, rest) = match words {
            [] => return Some(Self::Accounts),
            [_] => return Some(Self::Account(name(3))),
            [_, "billingprofiles"] => return Some(Self::Profiles(name(3))),
            [_, "billingsubscriptions"] => return Some(Self::Subscriptions(name(3))),
            [_, "billingprofiles", _] => return Some(Self::Profile(name(3), name(5))),
            ["default", "billingsubscriptions", _, rest @ ..] => (Owner::Subscription(name(5)), rest),
            [_, "billingprofiles", _, rest @ ..] => (Owner::Profile(name(3), name(5)), rest),
            [_, rest @ ..] => (Owner::Account(name(3)), rest),
        };
        let first = 3 + words.len() - rest.len();
        let under_profile = matches!(owner, Owner::Profile(..));
        match rest {
            ["invoices"] => Some(Self::Invoices(owner)),
            ["invoices", _] if !under_profile => Some(Self::Invoice(owner, name(first + 1))),
            ["invoices", _, "download"] if !under_profile => Some(Self::Download(owner, name(first + 1))),
            ["operationresults", _] if !under_profile => Some(Self::OperationResult(name(first + 1))),
            _ => None,
        }
    }

    /// What a fault calls it.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Accounts | Self::Profiles(_) | Self::Subscriptions(_) | Self::Invoices(_) => Operation::List,
            Self::Account(_) | Self::Profile(..) | Self::Invoice(..) | Self::Property(_) => Operation::Get,
            Self::Download(..) => Operation::Download,
            Self::OperationResult(_) => Operation::Poll,
        }
    }
}
