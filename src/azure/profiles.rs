//! What is asked about accounts, profiles and subscriptions themselves.

use reqwest::Method;

use super::cause::Cause;
use super::patience::Patience;
use super::request::{account_path, profile_path};
use super::{Client, Error, wire};
use crate::domain::billing::Scope;

impl Client {
    /// The name of the billing account that pays for a subscription (`BillingProperty`), in lower case.
    ///
    /// # Errors
    /// [`Error::BillingAccountOf`].
    pub async fn billing_account_of(&self, subscription: &str) -> Result<String, Error> {
        self.ask_account(subscription).await.map_err(|cause| Error::BillingAccountOf {
            scope: Scope::Subscription { subscription: subscription.to_owned(), account: None },
            source: Box::new(cause),
        })
    }

    async fn ask_account(&self, subscription: &str) -> Result<String, Cause> {
        let segments = ["subscriptions", subscription, "providers", "Microsoft.Billing", "billingProperty", "default"];
        let url = self.address(&segments, &[]);
        let answer = self.send("get_billing_property", Method::GET, &url, &mut Patience::new(&self.limits)).await?;
        let property: wire::Resource<wire::BillingProperty> = answer.json()?;
        let id = property.properties.and_then(|properties| properties.billing_account_id);
        let name = id.as_deref().and_then(wire::last_segment).map(|name| name.to_ascii_lowercase());
        name.ok_or_else(|| answer.useless(Cause::Missing("`billingAccountId`")))
    }

    /// Whether the credential may read the billing profile or account, as Azure itself says; `None` for a
    /// subscription, or if Azure does not say.
    ///
    /// # Errors
    /// [`Error::ReadAccess`].
    pub async fn has_read_access(&self, scope: &Scope) -> Result<Option<bool>, Error> {
        let segments = match scope {
            Scope::Account { account } => account_path(account),
            Scope::Profile { account, profile } => profile_path(account, profile),
            Scope::Subscription { .. } => return Ok(None),
        };
        let url = self.address(&segments, &[]);
        let ask = async {
            let answer = self.send("get_access", Method::GET, &url, &mut Patience::new(&self.limits)).await?;
            answer.json::<wire::Resource<wire::Access>>()
        };
        let access = ask.await.map_err(|cause| Error::ReadAccess { scope: scope.clone(), source: Box::new(cause) })?;
        Ok(access.properties.and_then(|properties| properties.has_read_access))
    }
}
