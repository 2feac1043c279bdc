//! Signing in: the configured credential, the token it gave last, and a fresh one when Azure refuses that.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::CloudConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, HttpClient, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use url::Url;

use super::cause::Cause;
use crate::config::Credential;
use crate::domain::label::Label;

/// How long a token is used before the credential is asked again. The credential answers from its own cache until
/// five minutes before the end; only the Azure CLI has none, and starting `az` for every request would be slow.
const KEEP: Duration = Duration::from_mins(1);

/// The credential and its current token.
pub(super) struct SignIn {
    credential: Credential,
    scope: String,
    options: ClientOptions,
    deadline: Duration,
    held: Mutex<Held>,
}

struct Held {
    source: Source,
    token: Option<(SecretString, Instant)>,
}

enum Source {
    Static(SecretString),
    Azure(Arc<dyn TokenCredential>),
}

impl SignIn {
    /// Prepares the credential for the cloud that `endpoint` belongs to; `http` talks to the identity service.
    pub(super) fn new(
        credential: Credential,
        endpoint: &Url,
        http: Arc<dyn HttpClient>,
        deadline: Duration,
    ) -> Result<Self, Cause> {
        let (scope, cloud) = cloud_of(endpoint);
        let options = ClientOptions {
            transport: Some(Transport::new(http)),
            cloud: Some(Arc::new(cloud)),
            // We repeat, and tell why; the machine's identity endpoint has rules of its own that stay.
            retry: RetryOptions::none(),
            ..Default::default()
        };
        let source = Source::new(&credential, &options)?;
        Ok(Self { credential, scope, options, deadline, held: Mutex::new(Held { source, token: None }) })
    }

    /// A token; never `refused`, unless the credential is a fixed token.
    ///
    /// `azure_identity` cannot be told to forget a token. So after a refusal the credential is built anew, which
    /// also reads its secret again: a rotated secret file is picked up here.
    pub(super) async fn bearer(&self, refused: Option<&SecretString>) -> Result<SecretString, Cause> {
        let mut held = self.held.lock().await;
        if let Some((token, since)) = &held.token {
            let is_refused = refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret());
            if is_refused {
                held.source = Source::new(&self.credential, &self.options)?;
                held.token = None;
            } else if since.elapsed() < KEEP {
                return Ok(token.clone());
            }
        }
        let token = match &held.source {
            Source::Static(token) => token.clone(),
            Source::Azure(source) => {
                let answer = timeout(self.deadline, source.get_token(&[&self.scope], None)).await;
                let answer = answer.map_err(|_| Cause::Timeout { what: "a token".into(), after: self.deadline })?;
                SecretString::from(answer.map_err(|error| sign_in_failed(&error))?.token.secret().to_owned())
            }
        };
        held.token = Some((token.clone(), Instant::now()));
        Ok(token)
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("credential", &self.credential).finish_non_exhaustive()
    }
}

impl Source {
    fn new(credential: &Credential, options: &ClientOptions) -> Result<Self, Cause> {
        let client_options = options.clone();
        let source: azure_core::Result<Arc<dyn TokenCredential>> = match credential {
            Credential::StaticToken { token } => return Ok(Self::Static(token.read()?)),
            Credential::ClientSecret { tenant_id, client_id, client_secret } => {
                let secret = Secret::new(client_secret.read()?.expose_secret().to_owned());
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options)).map(|c| c as _)
            }
            Credential::WorkloadIdentity { tenant_id, client_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: client_id.clone(),
                    tenant_id: tenant_id.clone(),
                    token_file_path: token_file.clone(),
                }))
                .map(|c| c as _)
            }
            Credential::ManagedIdentity { client_id } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options,
                }))
                .map(|c| c as _)
            }
            Credential::AzureCli { tenant_id } => {
                let options = AzureCliCredentialOptions { tenant_id: tenant_id.clone(), ..Default::default() };
                AzureCliCredential::new(Some(options)).map(|c| c as _)
            }
        };
        source.map(Self::Azure).map_err(|error| sign_in_failed(&error))
    }
}

/// The token's scope and the identity service of the cloud that an endpoint belongs to.
///
/// The US Government cloud names its audience by an older host (azure-mgmt-core, `get_arm_endpoints`).
fn cloud_of(endpoint: &Url) -> (String, CloudConfiguration) {
    match endpoint.host_str() {
        Some("management.usgovcloudapi.net") => {
            ("https://management.core.usgovcloudapi.net/.default".into(), CloudConfiguration::AzureGovernment)
        }
        Some("management.chinacloudapi.cn") => {
            ("https://management.chinacloudapi.cn/.default".into(), CloudConfiguration::AzureChina)
        }
        _ => (format!("{}/.default", endpoint.as_str().trim_end_matches('/')), CloudConfiguration::AzurePublic),
    }
}

/// The message at the top and the reason at the bottom; what lies between repeats them.
fn sign_in_failed(error: &azure_core::Error) -> Cause {
    let mut message = error.to_string();
    let mut transient = is_passing(error);
    let mut next = error.source();
    let mut last = None;
    while let Some(inner) = next {
        transient |= inner.downcast_ref::<azure_core::Error>().is_some_and(is_passing);
        // Its text holds the address with the query.
        if !inner.is::<reqwest::Error>() {
            last = Some(inner.to_string());
        }
        next = inner.source();
    }
    if let Some(last) = last.filter(|last| !message.contains(last.as_str())) {
        message = format!("{}: {last}", message.lines().next().unwrap_or_default());
    }
    Cause::SignIn { message: Label::new(&message), transient }
}

fn is_passing(error: &azure_core::Error) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Connection => true,
        ErrorKind::HttpResponse { status, .. } => matches!(u16::from(*status), 408 | 429 | 500..=599),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
