//! The management host: sign-in, paging, rights and downloads.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{Method, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Service;
use super::fault::FaultKind;
use super::page::{Query, Slice, Window};
use super::reply::Reply;
use super::route::{Owner, Route};
use super::shape;
use super::state::{Access, DownloadRun, Recorded, State};
use crate::simulator::accounts::{BillingAccount, BillingProfile, Invoice};

pub(super) async fn answer(Shared(service): Shared<Arc<Service>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let now = service.now();
    let bearer = parts.headers.contains_key("authorization");
    let path_and_query = parts.uri.to_string();
    let recorded = Recorded { method: parts.method.to_string(), path_and_query, bearer, blob: false };
    let number = service.state().record(recorded);
    let (reply, fault) = service.reply(&parts, now).unwrap_or_else(|refused| (refused, None));
    let id = format!("00000000-0000-4000-8000-{number:012x}");
    let remaining = if parts.method == Method::POST {
        "x-ms-ratelimit-remaining-tenant-writes"
    } else {
        "x-ms-ratelimit-remaining-tenant-reads"
    };
    let dressed = |reply: Reply| {
        let reply = reply.with("x-ms-request-id", id.clone()).with("x-ms-correlation-request-id", id.clone());
        reply.with(remaining, "199").dated(now)
    };
    match fault {
        Some(fault) => fault.spoil(reply, dressed, &service.stop).await,
        None => dressed(reply).send(),
    }
}

/// An `Err` is a refusal.
impl Service {
    /// The right answer and the fault to spoil it with. What has no token, version or operation meets no fault.
    fn reply(&self, parts: &Parts, now: Timestamp) -> Result<(Reply, Option<FaultKind>), Reply> {
        let sent = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        if sent.and_then(|value| value.strip_prefix("Bearer ")) != Some(&self.token) {
            let message = "Authentication failed. The 'Authorization' header is missing or its token is not valid.";
            let reply = Reply::error(401, "InvalidAuthenticationToken", message);
            return Err(reply.with("www-authenticate", "Bearer authorization_uri=\"https://login.example/\""));
        }
        let query: Query =
            url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        match query.get("api-version").map(String::as_str) {
            Some("2020-05-01" | "2024-04-01") => {}
            None | Some("") => {
                let message = "The api-version query parameter (?api-version=) is required for all requests.";
                return Err(Reply::error(400, "MissingApiVersionParameter", message));
            }
            Some(other) => {
                let message = format!("The api-version '{other}' is not supported.");
                return Err(Reply::error(400, "InvalidApiVersionParameter", &message));
            }
        }
        let path = parts.uri.path();
        let route = Route::of(&parts.method, path).ok_or_else(|| not_found("The resource"))?;
        let mut state = self.state();
        let fault = state.strike(route.operation());
        let reply = match &route {
            Route::Download(owner, invoice) => self.download(&mut state, owner, invoice, &query, now),
            Route::OperationResult(operation) => self.poll(&mut state, path, operation, &query, now),
            route => self.read(&state, route, &query).map(|mut body| {
                match fault {
                    Some(FaultKind::UnknownEnums) => shape::make_enums_unknown(&mut body),
                    Some(FaultKind::NextLinkElsewhere) => {
                        body["nextLink"] = format!("https://elsewhere.example{path}?api-version=2024-04-01").into();
                    }
                    _ => {}
                }
                Reply::json(200, &body)
            }),
        };
        Ok((reply.unwrap_or_else(|refused| refused), fault))
    }

    fn read(&self, state: &State, route: &Route, query: &Query) -> Result<Value, Reply> {
        match route {
            Route::Accounts => {
                let seen = state.accounts.iter().map(|account| (account, state.account_access(account)));
                let seen = seen.filter(|(_, access)| *access != Access::Forbidden);
                Ok(
                    json!({ "value": seen.map(|(account, access)| shape::account(account, access)).collect::<Vec<_>>() }),
                )
            }
            Route::Account(name) => {
                let account = find_account(state, name)?;
                Ok(shape::account(account, allow(state.account_access(account))?))
            }
            Route::Profiles(name) => profiles(state, name, query),
            Route::Profile(name, profile) => {
                let (account, profile) = find_profile(state, name, profile)?;
                Ok(shape::profile(account, profile, allow(state.profile_access(account, &profile.name))?))
            }
            Route::Subscriptions(name) => {
                let account = find_account(state, name)?;
                let readable = |id: &str| state.subscription_access(account, id) == Access::Read;
                let seen = account.subscriptions.iter().filter(|subscription| readable(&subscription.id));
                let value: Vec<_> = seen.map(|subscription| shape::subscription(account, subscription)).collect();
                Ok(json!({ "totalCount": value.len(), "value": value }))
            }
            Route::Property(id) => {
                let account = state.account_of(id).ok_or_else(|| not_found("The subscription"))?;
                let subscription = account.subscription(id).ok_or_else(|| not_found("The subscription"))?;
                allow(state.subscription_access(account, id))?;
                Ok(shape::property(account, subscription))
            }
            Route::Invoices(owner) => self.invoices(state, owner, query),
            Route::Invoice(owner, name) => {
                let (account, invoice) = find_invoice(state, owner, name)?;
                Ok(self.invoice(account, invoice, owner))
            }
            Route::Download(..) | Route::OperationResult(_) => Err(not_found("The resource")),
        }
    }

    fn invoices(&self, state: &State, owner: &Owner, query: &Query) -> Result<Value, Reply> {
        let (account, access) = match owner {
            Owner::Account(name) => {
                let account = find_account(state, name)?;
                (account, state.account_access(account))
            }
            Owner::Profile(name, profile) => {
                let (account, profile) = find_profile(state, name, profile)?;
                (account, state.profile_access(account, &profile.name))
            }
            Owner::Subscription(id) => {
                let account = state.account_of(id).ok_or_else(|| not_found("The subscription"))?;
                (account, state.subscription_access(account, id))
            }
        };
        let readable = allow(access)? == Access::Read;
        let window = Window::of(query)?;
        let page = Slice::of(query)?;
        let wanted = |invoice: &&Invoice| {
            readable
                && belongs(invoice, owner)
                && window.holds(invoice)
                && state.invoice_access(account, invoice) == Access::Read
        };
        let found: Vec<&Invoice> = account.invoices.iter().filter(wanted).collect();
        let shown = found.iter().skip(page.skip).take(page.top);
        let value: Vec<_> = shown.map(|invoice| self.invoice(account, invoice, owner)).collect();
        let mut body = json!({ "totalCount": found.len(), "value": value });
        if let Some(next) = page.next(found.len()) {
            let version = &query["api-version"];
            let path = spelled(owner, account).path();
            let (from, to) = (blank(window.from), blank(window.to));
            // Raw blanks and a relative address: this is how the live service writes it.
            body["nextLink"] =
                format!("{path}/invoices?api-version={version}&periodStartDate={from}&periodEndDate={to}&{next}")
                    .into();
        }
        Ok(body)
    }

    fn download(
        &self,
        state: &mut State,
        owner: &Owner,
        name: &str,
        query: &Query,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let (account, invoice) = find_invoice(state, owner, name)?;
        let token = query.get("downloadToken").and_then(|token| token.strip_prefix("Drs_"));
        let document = match query.get("documentName").map(String::as_str).or(token) {
            Some(name) => invoice.document(name),
            None => invoice.documents.first(),
        };
        let document = document.ok_or_else(|| not_found("The document"))?.name.clone();
        if self.download.polls == 0 {
            return Ok(Reply::json(200, &self.link(name, &document, now)));
        }
        let home = spelled(owner, account).path();
        let run = DownloadRun {
            invoice: name.to_owned(),
            document,
            polls_left: self.download.polls - 1,
            not_found_left: u32::from(self.download.first_poll_not_found),
            result: None,
        };
        let number = state.begin(run);
        let operation = format!("{home}/operationResults/invoiceDownload_{}", operation_id(number));
        Ok(self.accepted(&operation, query))
    }

    fn poll(
        &self,
        state: &mut State,
        path: &str,
        operation: &str,
        query: &Query,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let number = operation.rsplit('-').next().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let run = number.filter(|number| operation == format!("invoiceDownload_{}", operation_id(*number)));
        let run = run.and_then(|number| state.downloads.get_mut(&number)).ok_or_else(|| not_found("The operation"))?;
        if run.not_found_left > 0 {
            run.not_found_left -= 1;
            return Ok(not_found("The operation"));
        }
        if run.polls_left > 0 {
            run.polls_left -= 1;
            return Ok(self.accepted(path, query));
        }
        let body = run.result.get_or_insert_with(|| self.link(&run.invoice, &run.document, now));
        Ok(Reply::json(200, body))
    }

    fn accepted(&self, operation: &str, query: &Query) -> Reply {
        let location = format!("http://{}{operation}?api-version={}", self.api, query["api-version"]);
        Reply::empty(202).with("location", location).with("retry-after", self.download.retry_after_s.to_string())
    }

    fn link(&self, invoice: &str, document: &str, now: Timestamp) -> Value {
        let expiry = now.saturating_add(self.download.link_lifetime).unwrap_or(Timestamp::MAX);
        json!({
            "expiryTime": expiry.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "url": self.sign(invoice, document, expiry),
        })
    }
}

fn profiles(state: &State, account: &str, query: &Query) -> Result<Value, Reply> {
    let account = find_account(state, account)?;
    let seen = account.profiles.iter().map(|profile| (profile, state.profile_access(account, &profile.name)));
    let seen: Vec<_> = seen.filter(|(_, access)| *access != Access::Forbidden).collect();
    if seen.is_empty() {
        allow(state.account_access(account))?;
    }
    let page = Slice::of(query)?;
    let shown = seen.iter().skip(page.skip).take(page.top);
    let value: Vec<_> = shown.map(|(profile, access)| shape::profile(account, profile, *access)).collect();
    let mut body = json!({ "totalCount": seen.len(), "value": value });
    if let Some(next) = page.next(seen.len()) {
        let path = Owner::Account(account.name.clone()).path();
        let version = &query["api-version"];
        body["nextLink"] = format!("{path}/billingProfiles?api-version={version}&{next}").into();
    }
    Ok(body)
}

/// The invoice's number is enough under `default`; elsewhere it must belong to the owner. The right to read it is
/// checked.
fn find_invoice<'a>(state: &'a State, owner: &Owner, name: &str) -> Result<(&'a BillingAccount, &'a Invoice), Reply> {
    let found = match owner {
        Owner::Account(account) if account.eq_ignore_ascii_case("default") => state.invoice(name),
        Owner::Account(account) | Owner::Profile(account, _) => {
            let account = find_account(state, account)?;
            account.invoice(name).map(|invoice| (account, invoice))
        }
        Owner::Subscription(id) => {
            let account = state.account_of(id).ok_or_else(|| not_found("The subscription"))?;
            account.invoice(name).map(|invoice| (account, invoice))
        }
    };
    let (account, invoice) =
        found.filter(|(_, invoice)| belongs(invoice, owner)).ok_or_else(|| not_found("The invoice"))?;
    match state.invoice_access(account, invoice) {
        Access::Read => Ok((account, invoice)),
        Access::EmptyList | Access::Forbidden => Err(forbidden()),
    }
}

fn find_account<'a>(state: &'a State, name: &str) -> Result<&'a BillingAccount, Reply> {
    state.account(name).ok_or_else(|| not_found("The billing account"))
}

fn find_profile<'a>(
    state: &'a State,
    account: &str,
    profile: &str,
) -> Result<(&'a BillingAccount, &'a BillingProfile), Reply> {
    let account = find_account(state, account)?;
    let profile = account.profile(profile).ok_or_else(|| not_found("The billing profile"))?;
    Ok((account, profile))
}

fn belongs(invoice: &Invoice, owner: &Owner) -> bool {
    let is = |field: &Option<String>, name: &str| field.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name));
    match owner {
        Owner::Account(_) => true,
        Owner::Profile(_, profile) => is(&invoice.profile, profile),
        Owner::Subscription(id) => is(&invoice.subscription, id),
    }
}

/// The owner with the account's own spelling of its name.
fn spelled(owner: &Owner, account: &BillingAccount) -> Owner {
    match owner {
        Owner::Account(_) => Owner::Account(account.name.clone()),
        Owner::Profile(_, profile) => Owner::Profile(account.name.clone(), profile.clone()),
        Owner::Subscription(id) => Owner::Subscription(id.clone()),
    }
}

fn allow(access: Access) -> Result<Access, Reply> {
    if access == Access::Forbidden { Err(forbidden()) } else { Ok(access) }
}

fn forbidden() -> Reply {
    let message = "The client does not have authorization to perform this action on the billing scope.";
    Reply::error(403, "AuthorizationFailed", message)
}

fn not_found(what: &str) -> Reply {
    Reply::error(404, "NotFound", &format!("{what} was not found."))
}

fn operation_id(number: u64) -> String {
    format!("d0000000-0000-4000-8000-{number:012x}")
}

fn blank(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
