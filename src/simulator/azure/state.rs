//! What changes while the service runs: the accounts, the rights, the faults, the operations, the requests seen.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::simulator::accounts::{BillingAccount, Invoice};

use super::fault::{Fault, FaultKind, Operation};

const MAX_RECORDED: usize = 100_000;
const MAX_DOWNLOADS: usize = 10_000;

/// What the token may see of an account, a profile or a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Read,
    /// Lists are empty, without an error, and `hasReadAccess` is false: what a wrong role looks like.
    EmptyList,
    /// 403.
    Forbidden,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query as sent, without the signature of a link.
    pub path_and_query: String,
    /// Whether it had an `Authorization` header.
    pub bearer: bool,
    /// Whether it came to the document host.
    pub blob: bool,
}

/// A download that was asked for.
#[derive(Clone, Debug)]
pub(super) struct DownloadRun {
    pub invoice: String,
    pub document: String,
    pub polls_left: u32,
    pub not_found_left: u32,
    /// The answer, once given: asked again, it is the same.
    pub result: Option<serde_json::Value>,
}

#[derive(Debug)]
pub(super) struct State {
    pub accounts: Vec<BillingAccount>,
    roles: HashMap<String, Access>,
    pub faults: VecDeque<Fault>,
    pub recorded: VecDeque<Recorded>,
    pub leaked_tokens: usize,
    pub skipped: Duration,
    pub downloads: BTreeMap<u64, DownloadRun>,
    last_download: u64,
    requests: u64,
}

impl State {
    pub(super) fn new(mut accounts: Vec<BillingAccount>, roles: Vec<(String, Access)>) -> Self {
        accounts.iter_mut().for_each(BillingAccount::sort);
        Self {
            accounts,
            roles: roles.into_iter().map(|(name, access)| (name.to_ascii_lowercase(), access)).collect(),
            faults: VecDeque::new(),
            recorded: VecDeque::new(),
            leaked_tokens: 0,
            skipped: Duration::ZERO,
            downloads: BTreeMap::new(),
            last_download: 0,
            requests: 0,
        }
    }

    /// The account of this name; ASCII case does not count.
    pub(super) fn account(&self, name: &str) -> Option<&BillingAccount> {
        self.accounts.iter().find(|account| account.name.eq_ignore_ascii_case(name))
    }

    /// The first invoice of this number, with its account.
    pub(super) fn invoice(&self, name: &str) -> Option<(&BillingAccount, &Invoice)> {
        self.accounts.iter().find_map(|account| Some((account, account.invoice(name)?)))
    }

    /// The account that has this subscription.
    pub(super) fn account_of(&self, subscription: &str) -> Option<&BillingAccount> {
        self.accounts.iter().find(|account| account.subscription(subscription).is_some())
    }

    pub(super) fn set_access(&mut self, name: &str, access: Access) {
        self.roles.insert(name.to_ascii_lowercase(), access);
    }

    fn granted(&self, name: &str) -> Option<Access> {
        if self.roles.is_empty() { None } else { self.roles.get(&name.to_ascii_lowercase()).copied() }
    }

    pub(super) fn account_access(&self, account: &BillingAccount) -> Access {
        self.granted(&account.name).unwrap_or(Access::Read)
    }

    pub(super) fn profile_access(&self, account: &BillingAccount, profile: &str) -> Access {
        self.granted(profile).unwrap_or_else(|| self.account_access(account))
    }

    pub(super) fn subscription_access(&self, account: &BillingAccount, id: &str) -> Access {
        self.granted(id).unwrap_or_else(|| {
            let profile = account.subscription(id).and_then(|subscription| subscription.profile.as_deref());
            profile.map_or_else(|| self.account_access(account), |profile| self.profile_access(account, profile))
        })
    }

    pub(super) fn invoice_access(&self, account: &BillingAccount, invoice: &Invoice) -> Access {
        match (&invoice.profile, &invoice.subscription) {
            (Some(profile), _) => self.profile_access(account, profile),
            (None, Some(subscription)) => self.subscription_access(account, subscription),
            (None, None) => self.account_access(account),
        }
    }

    /// Takes the oldest fault for the operation, once.
    pub(super) fn strike(&mut self, on: Operation) -> Option<FaultKind> {
        self.faults.retain(|fault| fault.times > 0);
        let fault = self.faults.iter_mut().find(|fault| fault.on == on)?;
        fault.times -= 1;
        let kind = fault.kind.clone();
        self.faults.retain(|fault| fault.times > 0);
        Some(kind)
    }

    /// Notes a request and numbers it.
    pub(super) fn record(&mut self, request: Recorded) -> u64 {
        if self.recorded.len() == MAX_RECORDED {
            self.recorded.pop_front();
        }
        self.recorded.push_back(request);
        self.requests += 1;
        self.requests
    }

    /// Notes a download and numbers it; of very many the oldest is forgotten.
    pub(super) fn begin(&mut self, run: DownloadRun) -> u64 {
        if self.downloads.len() == MAX_DOWNLOADS {
            self.downloads.pop_first();
        }
        self.last_download += 1;
        self.downloads.insert(self.last_download, run);
        self.last_download
    }
}
