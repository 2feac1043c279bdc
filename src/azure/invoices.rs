//! Lists of invoices: every page, every entry.

use std::collections::HashSet;

use jiff::civil::Date;
use reqwest::Method;
use url::Url;

use super::cause::Cause;
use super::patience::Patience;
use super::request::{account_path, profile_path, subscription_path};
use super::{Client, Error, wire};
use crate::domain::billing::Scope;
use crate::domain::invoice::Invoice;

/// The largest page that Azure gives.
const PAGE: &str = "50";

/// What a list held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvoiceList {
    /// The invoices in Azure's order, each number once.
    pub invoices: Vec<Invoice>,
    /// Entries that cannot be read, each a sentence that says why.
    pub refused: Vec<String>,
}

impl Client {
    /// Lists all invoices of `scope` for the span of days, both included. `billing_account` becomes that of the
    /// invoices.
    ///
    /// # Errors
    /// [`Error::ListInvoices`] if any page cannot be read: part of a list is never taken for the whole.
    pub async fn list_invoices(
        &self,
        scope: &Scope,
        billing_account: &str,
        from: Date,
        to: Date,
    ) -> Result<InvoiceList, Error> {
        let listed = self.list(scope, billing_account, from, to).await;
        listed.map_err(|cause| Error::ListInvoices { scope: scope.clone(), source: Box::new(cause) })
    }

    async fn list(&self, scope: &Scope, account: &str, from: Date, to: Date) -> Result<InvoiceList, Cause> {
        let mut patience = Patience::new(&self.limits);
        let mut list = InvoiceList::default();
        let mut names = HashSet::new();
        let mut read = HashSet::<Url>::new();
        let mut next = Some(self.first_page(scope, from, to));
        while let Some(url) = next {
            if read.len() == self.limits.pages {
                return Err(Cause::TooManyPages { limit: self.limits.pages });
            }
            if !read.insert(url.clone()) {
                return Err(Cause::PageLoop { page: read.len() + 1 });
            }
            let answer = self.send("list_invoices", Method::GET, &url, &mut patience).await?;
            let page: wire::Page = answer.json()?;
            for entry in page.value.ok_or_else(|| answer.useless(Cause::Missing("`value`")))? {
                match wire::invoice(&entry, account) {
                    Ok(invoice) if names.insert(invoice.name.clone()) => list.invoices.push(invoice),
                    Ok(_) => {}
                    Err(reason) => list.refused.push(reason),
                }
            }
            let link = page.next_link.filter(|link| !link.trim().is_empty());
            next = link.map(|link| self.follow("nextLink", &link)).transpose()?;
        }
        Ok(list)
    }

    fn first_page(&self, scope: &Scope, from: Date, to: Date) -> Url {
        let mut segments = match scope {
            Scope::Account { account } => account_path(account),
            Scope::Profile { account, profile } => profile_path(account, profile),
            Scope::Subscription { subscription, .. } => subscription_path(subscription),
        };
        segments.push("invoices");
        let (from, to) = (from.to_string(), to.to_string());
        self.address(&segments, &[("periodStartDate", &from), ("periodEndDate", &to), ("top", PAGE)])
    }
}
