//! Fetching: list the whole look-back span, skip what the ledger holds, download and archive what is missing, record.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::billing::{Profile, Scope};
use crate::domain::calendar;
use crate::domain::document::Document;
use crate::domain::invoice::{Invoice, utc_day};
use crate::domain::recipients;
use crate::ledger::{FetchedDocument, Known, KnownInvoice, Look, NewDelivery, Recording};
use crate::report;

use super::error::told;
use super::{Environment, Error};

/// How many invoices are fetched at a time.
const AT_A_TIME: usize = 8;

/// What fetching one profile came to.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// Invoices that the ledger did not hold before.
    pub invoices_new: usize,
    /// Mails recorded.
    pub deliveries_created: usize,
    /// Of these, mails that wait for a person.
    pub held: usize,
    /// What could not be had, a sentence each; it is tried again.
    pub problems: Vec<String>,
    /// Whether all of it may be had later without anybody's doing.
    pub is_transient: bool,
}

/// Looks at one profile. May be dropped at any moment: what was recorded stays, the rest is found by the next look.
///
/// # Errors
/// If Azure gives no list, or ledger or archive fail. What was recorded before stays recorded.
pub async fn fetch(env: &Environment, profile: &Profile) -> Result<Fetched, Error> {
    let now = env.clock.now();
    let look = env.ledger.look(&profile.name, now).await?;
    let looked = match list(env, profile, &look, now).await {
        Ok(listing) => record_all(env, profile, &look, listing, now).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(fetched) => Ok(fetched),
        Err(error @ Error::Ledger(_)) => Err(error),
        Err(error) => {
            let problem = error.told();
            let next = calendar::next_try(now, error.retry_after());
            env.ledger.looked(&profile.name, now, next, false, Some(&problem)).await?;
            Err(error)
        }
    }
}

struct Listing {
    account: String,
    invoices: Vec<Invoice>,
    /// Why the list may not be complete.
    doubt: Option<String>,
    refused: Vec<String>,
}

async fn list(env: &Environment, profile: &Profile, look: &Look, now: Timestamp) -> Result<Listing, Error> {
    let failed = |source| Error::Azure { profile: profile.name.clone(), source };
    let account = account(env, profile, look).await?;
    let (from, to) = calendar::sweep_span(now);
    let listed = env.azure.list_invoices(&profile.scope, &account, from, to).await.map_err(failed)?;
    let doubt = if listed.invoices.is_empty() { doubt_of_empty(env, &profile.scope).await } else { None };
    let invoices = listed.invoices.into_iter().filter(|invoice| !has_narrower_entry(env, profile, invoice)).collect();
    Ok(Listing { account, invoices, doubt, refused: listed.refused })
}

/// Whether an invoice that the entry of a whole account lists belongs to a billing profile with an entry of its own,
/// which then decides about it: the most specific entry wins.
fn has_narrower_entry(env: &Environment, entry: &Profile, invoice: &Invoice) -> bool {
    let is_profile = |scope: &Scope| matches!(scope, Scope::Profile { .. });
    matches!(entry.scope, Scope::Account { .. })
        && env.config.profiles.iter().any(|other| is_profile(&other.scope) && other.scope.covers(invoice))
}

/// The billing account: configured, kept from an earlier look, or asked for once.
async fn account(env: &Environment, profile: &Profile, look: &Look) -> Result<String, Error> {
    if let (None, Scope::Subscription { subscription, account: None }) = (&look.billing_account, &profile.scope) {
        let resolved = env.azure.billing_account_of(subscription).await;
        let account = resolved.map_err(|source| Error::Azure { profile: profile.name.clone(), source })?;
        env.ledger.keep_billing_account(&profile.name, &account).await?;
        return Ok(account);
    }
    let known = profile.scope.account().or(look.billing_account.as_deref());
    Ok(known.unwrap_or_default().to_owned())
}

/// Whether an empty list may come from a missing role instead of from having no invoices: Azure answers both alike.
async fn doubt_of_empty(env: &Environment, scope: &Scope) -> Option<String> {
    let remedy = "check tenant_id, the ids and the role of the credential";
    match env.azure.has_read_access(scope).await {
        Ok(Some(true)) => None,
        Ok(Some(false)) => {
            Some(format!("Azure lists no invoice and says that the credential may not read the {scope}: {remedy}"))
        }
        Ok(None) => Some(format!("Azure lists no invoice of the {scope}: if there should be some, {remedy}")),
        Err(error) => Some(format!("Azure lists no invoice of the {scope} ({}): {remedy}", report::chain(&error))),
    }
}

async fn record_all(
    env: &Environment,
    profile: &Profile,
    look: &Look,
    listing: Listing,
    now: Timestamp,
) -> Result<Fetched, Error> {
    let known = env.ledger.known(&listing.account).await?;
    let since = profile.deliver_since.unwrap_or_else(|| utc_day(look.first_look_at()));
    let job = FetchJob { env, profile, look, known: &known, since, now };
    let is_complete = listing.doubt.is_none() && listing.refused.is_empty();
    let mut fetched = Fetched { problems: listing.refused, ..Fetched::default() };
    fetched.problems.extend(listing.doubt.clone());
    fetched.is_transient = fetched.problems.is_empty();
    let mut passed_over = false;
    let mut asked = None;
    let mut records = stream::iter(&listing.invoices).map(|invoice| job.record(invoice)).buffered(AT_A_TIME);
    while let Some(recorded) = records.next().await {
        let recorded = recorded?;
        fetched.invoices_new += usize::from(recorded.is_new);
        fetched.deliveries_created += recorded.deliveries;
        fetched.held += recorded.held;
        passed_over |= recorded.is_new && recorded.passed_over;
        if let Some(problem) = recorded.problem {
            fetched.problems.push(problem.text);
            fetched.is_transient &= problem.is_transient;
            asked = asked.max(problem.retry_after);
        }
    }
    let all_well = fetched.problems.is_empty();
    let next = if all_well { calendar::next_sweep(now) } else { calendar::next_try(now, asked) };
    let problem = fetched.problems.first().map(String::as_str);
    env.ledger.looked(&profile.name, now, next, is_complete, problem).await?;
    if look.last_complete_look_at().is_none() && passed_over {
        tracing::warn!(
            profile = %profile.name, %since,
            "first look: invoices dated before that day are recorded, not mailed"
        );
    }
    Ok(fetched)
}

struct FetchJob<'a> {
    env: &'a Environment,
    profile: &'a Profile,
    look: &'a Look,
    known: &'a Known,
    since: Date,
    now: Timestamp,
}

#[derive(Default)]
struct Recorded {
    is_new: bool,
    passed_over: bool,
    deliveries: usize,
    held: usize,
    problem: Option<Problem>,
}

/// Why a document is not here.
struct Problem {
    text: String,
    is_transient: bool,
    /// How long Azure wants to be left alone.
    retry_after: Option<Duration>,
}

impl FetchJob<'_> {
    async fn record(&self, invoice: &Invoice) -> Result<Recorded, Error> {
        let known = self.known.get(&invoice.name);
        let is_missing = |document: &&Document| !known.is_some_and(|known| known.documents.contains(&document.key));
        let missing: Vec<&Document> = invoice.documents.iter().filter(is_missing).collect();
        let passed_over = invoice.issued_on().is_some_and(|day| day < self.since);
        let mut documents = Vec::new();
        let mut problem = (invoice.documents.is_empty() && !passed_over).then(|| Problem {
            text: format!("invoice {}: Azure lists it, but its PDF is not ready", invoice.number()),
            is_transient: true,
            retry_after: None,
        });
        for document in missing {
            match self.fetch_document(invoice, document, passed_over).await? {
                Ok(fetched) => documents.push(fetched),
                Err(why) => problem = Some(why),
            }
        }
        let text = problem.as_ref().map(|problem| problem.text.clone());
        if documents.is_empty() && known.is_some_and(|known| known.says(invoice) && known.problem == text) {
            return Ok(Recorded { problem, ..Recorded::default() });
        }
        let deliveries = if passed_over { Vec::new() } else { self.plan(invoice, &documents, known) };
        let reason = deliveries.iter().find_map(|delivery| delivery.held.clone());
        let message_id_domain = self.env.config.smtp.from.domain();
        let profile = &self.profile.name;
        let recording = Recording { profile, invoice, documents, deliveries, problem: text, message_id_domain };
        let deliveries = self.env.ledger.record(&recording, self.now).await?;
        let is_new = known.is_none();
        if let Some(reason) = reason.as_ref().filter(|_| deliveries > 0) {
            tracing::error!(profile = %self.profile.name, invoice.number = %invoice.number(), reason, "held");
        }
        tracing::info!(
            profile = %self.profile.name, invoice.number = %invoice.number(), deliveries, passed_over,
            "recorded an invoice"
        );
        let held = if reason.is_some() { deliveries } else { 0 };
        Ok(Recorded { is_new, passed_over, deliveries, held, problem })
    }

    /// Downloads and archives one document, unless nobody is to be mailed.
    async fn fetch_document(
        &self,
        invoice: &Invoice,
        document: &Document,
        passed_over: bool,
    ) -> Result<Result<FetchedDocument, Problem>, Error> {
        let alone = std::slice::from_ref(document);
        let wanted = !passed_over && !self.planned(alone).is_empty();
        if !wanted {
            return Ok(Ok(FetchedDocument { document: document.clone(), archived: None }));
        }
        let pdf = match self.env.azure.download(&self.profile.scope, invoice, document).await {
            Ok(pdf) => pdf,
            Err(error) => {
                let (is_transient, retry_after) = (error.is_transient(), error.retry_after());
                let problem = Problem { text: told(&error), is_transient, retry_after };
                tracing::warn!(profile = %self.profile.name, error = problem.text, "no document, it is tried again");
                return Ok(Err(problem));
            }
        };
        let sha256 = self.env.archive.put(&pdf).await?;
        let archived = Some((sha256, pdf.bytes().len() as u64));
        Ok(Ok(FetchedDocument { document: document.clone(), archived }))
    }

    fn planned(&self, documents: &[Document]) -> Vec<recipients::PlannedMail> {
        recipients::plan(self.profile, &self.env.config.lists, documents, utc_day(self.now))
    }

    fn plan(&self, invoice: &Invoice, fetched: &[FetchedDocument], known: Option<&KnownInvoice>) -> Vec<NewDelivery> {
        let here = fetched.iter().filter(|fetched| fetched.archived.is_some());
        let documents: Vec<Document> = here.map(|fetched| fetched.document.clone()).collect();
        // One that is known without this document was seen in time.
        let held = if known.is_none() { self.too_old(invoice) } else { None };
        let delivery = |mail| NewDelivery { mail, held: held.clone() };
        self.planned(&documents).into_iter().map(delivery).collect()
    }

    /// Why an invoice that should have been seen long ago waits for a person.
    fn too_old(&self, invoice: &Invoice) -> Option<String> {
        let seen_until = self.look.last_complete_look_at()?;
        let max = self.env.config.max_backfill;
        let oldest = utc_day(seen_until.checked_sub(max).ok()?);
        let day = invoice.issued_on().filter(|day| *day < oldest)?;
        let days = max.as_secs() / Duration::from_hours(24).as_secs();
        Some(format!(
            "invoice dated {day} is new to the ledger, though the profile was looked at since; more than {days} days \
             late: a person must decide whether it is mailed"
        ))
    }
}
