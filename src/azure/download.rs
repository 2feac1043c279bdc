//! Downloads: a long-running operation that ends in an address, then the fetch from there.

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use url::Url;

use super::cause::Cause;
use super::patience::{Patience, asked_wait};
use super::request::{Answer, account_path, subscription_path};
use super::{Client, Error, document_host, wire};
use crate::domain::billing::Scope;
use crate::domain::document::{Document, DocumentKind, Pdf};
use crate::domain::invoice::Invoice;
use crate::domain::label::Label;

/// How many looks in a row may find nothing: a fresh operation is not known everywhere at once.
const NOT_FOUND_IN_A_ROW: u32 = 3;

impl Client {
    /// Fetches a document and checks that it is a whole PDF.
    ///
    /// The address that Azure gives lives for minutes and is a secret by itself: it is used at once, without our
    /// token, and asked for a second time if it has run out.
    ///
    /// # Errors
    /// [`Error::Download`].
    pub async fn download(&self, scope: &Scope, invoice: &Invoice, document: &Document) -> Result<Pdf, Error> {
        self.fetch_pdf(scope, invoice, document).await.map_err(|cause| Error::Download {
            scope: scope.clone(),
            invoice: invoice.number(),
            document: Label::new(&document.key),
            source: Box::new(cause),
        })
    }

    async fn fetch_pdf(&self, scope: &Scope, invoice: &Invoice, document: &Document) -> Result<Pdf, Cause> {
        let operation = self.operation(scope, invoice, document)?;
        let mut patience = Patience::new(&self.limits);
        let address = self.address_of_pdf(&operation, &mut patience).await?;
        let ran_out = |cause: &Cause| matches!(cause.root(), Cause::DocumentStatus { status: 403, .. });
        match self.fetch(&address, &mut patience).await {
            Err(cause) if ran_out(&cause) => {
                tracing::warn!(invoice.id = %invoice.number(), "the document's address ran out, will ask for another");
                let address = self.address_of_pdf(&operation, &mut patience).await?;
                self.fetch(&address, &mut patience).await.map_err(|cause| match cause {
                    Cause::Request { ids, source } if ran_out(&source) => {
                        let host = address.host_str().unwrap_or_default().to_owned();
                        Cause::AddressExpired { host }.of_request(ids)
                    }
                    other => other,
                })
            }
            fetched => fetched,
        }
    }

    /// The operation to POST: by the document's name, else the address that Azure listed.
    ///
    /// Without a name Azure takes the most recent PDF of the invoice, which is right for its only nameless
    /// invoice document and for nothing else.
    fn operation(&self, scope: &Scope, invoice: &Invoice, document: &Document) -> Result<Url, Cause> {
        let mut segments = match scope {
            Scope::Account { account } | Scope::Profile { account, .. } => account_path(account),
            Scope::Subscription { subscription, .. } => subscription_path(subscription),
        };
        segments.extend(["invoices", invoice.name.as_str(), "download"]);
        if let Some(name) = &document.name {
            return Ok(self.address(&segments, &[("documentName", name)]));
        }
        if let Some(url) = &document.url {
            return self.follow("document address", url);
        }
        if document.external_url.is_some() {
            let source_system = Label::new(document.source.as_deref().unwrap_or("unknown"));
            return Err(Cause::OutsideAzure { source_system });
        }
        if document.kind == DocumentKind::Invoice && document.key == document.kind.as_azure() {
            return Ok(self.address(&segments, &[]));
        }
        Err(Cause::NoWayToAsk)
    }

    /// Runs the operation to its end: 200 at once, or 202 and looks at `Location` until the 200.
    async fn address_of_pdf(&self, operation: &Url, patience: &mut Patience<'_>) -> Result<Url, Cause> {
        let mut answer = self.send("download", Method::POST, operation, patience).await?;
        let mut location = None;
        while answer.status == StatusCode::ACCEPTED {
            if let Some(newest) = answer.headers.get(LOCATION) {
                let newest = newest.to_str().map_err(|_| Cause::BadLink { what: "Location" })?;
                location = Some(self.follow("Location", newest)?);
            }
            let location = location.as_ref().ok_or_else(|| answer.useless(Cause::Missing("`Location`")))?;
            answer = self.look(location, &answer, patience).await?;
        }
        let not_ready = || answer.useless(Cause::NotReady { waited: patience.polled(), asked: None });
        if answer.body.is_empty() {
            return Err(not_ready());
        }
        let result: wire::DownloadResult = answer.json()?;
        let url = result.url.filter(|url| !url.trim().is_empty()).ok_or_else(not_ready)?;
        document_host::checked(&url, &self.document_hosts)
    }

    /// Waits as `before` asks, then looks at the operation, past a few 404s.
    async fn look(&self, location: &Url, before: &Answer, patience: &mut Patience<'_>) -> Result<Answer, Cause> {
        let mut wait = asked_wait(&before.headers, &self.limits);
        let mut not_found = 0;
        loop {
            if !patience.poll(wait.unwrap_or(self.limits.poll_wait)).await {
                return Err(before.useless(Cause::NotReady { waited: patience.polled(), asked: wait }));
            }
            match self.send("poll_download", Method::GET, location, patience).await {
                Err(Cause::Status(refusal)) if refusal.status == 404 && not_found < NOT_FOUND_IN_A_ROW => {
                    not_found += 1;
                    wait = refusal.asked;
                }
                Err(Cause::Status(refusal)) if refusal.status == 404 => return Err(Cause::OperationLost(refusal)),
                looked => return looked,
            }
        }
    }
}
