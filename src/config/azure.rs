//! `[azure]`: which endpoint, which sign-in, and which keys each sign-in needs.

use url::Url;

use super::parse;
use super::problems::{KeyPath, Report};
use super::raw::{self, Cloud, CredentialKind};
use super::{Azure, Credential};

pub(super) fn azure(report: &mut Report<'_>, raw: raw::Azure) -> Option<Azure> {
    let at = KeyPath::of("azure");
    let (key, endpoint_faulty) = (at.key("management_endpoint"), report.is_faulty(&at.key("management_endpoint")));
    let management_endpoint = match &raw.management_endpoint {
        Some(text) => report.note(&key, parse::endpoint(text)),
        None if endpoint_faulty => None,
        None => report.note(&key, parse::endpoint(public_endpoint(raw.cloud.unwrap_or(Cloud::Public)))),
    };
    let hosts_at = at.key("document_hosts");
    let hosts = report.required(raw.document_hosts, &hosts_at, "name the hosts that serve documents");
    let document_hosts = hosts.and_then(|hosts| {
        if hosts.is_empty() {
            report.push(&hosts_at, "is empty: no document could be fetched");
        }
        report.each(&hosts, &hosts_at, parse::document_host)
    });
    let tenant = raw.tenant_id.and_then(|id| report.note(&at.key("tenant_id"), parse::azure_name(&id)));
    let at = at.key("credential");
    let remedy = "say how to sign in, such as `{ kind = \"managed_identity\" }`";
    let raw = report.required(raw.credential, &at, remedy)?;
    let credential = Reader { report, at, tenant, endpoint: management_endpoint.as_ref() }.credential(raw);
    Some(Azure { management_endpoint: management_endpoint?, document_hosts: document_hosts?, credential: credential? })
}

fn public_endpoint(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "https://management.azure.com",
    }
}

/// What the credential depends on.
struct Reader<'r, 'a> {
    report: &'r mut Report<'a>,
    at: KeyPath,
    tenant: Option<String>,
    endpoint: Option<&'r Url>,
}

impl Reader<'_, '_> {
    fn credential(mut self, raw: raw::Credential) -> Option<Credential> {
        let remedy = "`client_secret`, `workload_identity`, `managed_identity`, `azure_cli` or `static_token`";
        let kind = self.report.required(raw.kind, &self.at.key("kind"), remedy);
        let client_id = self.id("client_id", raw.client_id.as_deref());
        let own_tenant = self.id("tenant_id", raw.tenant_id.as_deref());
        let tenant_id = own_tenant.or_else(|| self.tenant.clone());
        let Some(kind) = kind else {
            self.secret("client_secret", raw.client_secret.as_ref());
            self.secret("token", raw.token.as_ref());
            return None;
        };
        self.refuse_foreign_keys(&raw, kind);
        match kind {
            CredentialKind::ManagedIdentity => Some(Credential::ManagedIdentity { client_id }),
            CredentialKind::AzureCli => Some(Credential::AzureCli { tenant_id }),
            CredentialKind::WorkloadIdentity => {
                let token_file = raw.token_file.map(Into::into);
                Some(Credential::WorkloadIdentity { tenant_id, client_id, token_file })
            }
            CredentialKind::ClientSecret => {
                let client_secret = self.needed_secret("client_secret", raw.client_secret.as_ref());
                self.needed("client_id", client_id.is_none(), "the application's id");
                if tenant_id.is_none() {
                    self.report.missing(&KeyPath::of("azure").key("tenant_id"), "the directory to sign in to");
                }
                let (tenant_id, client_id) = (tenant_id?, client_id?);
                Some(Credential::ClientSecret { tenant_id, client_id, client_secret: client_secret? })
            }
            CredentialKind::StaticToken => {
                if !self.on_loopback() {
                    let remedy = "is for a loopback `azure.management_endpoint` only: use another kind";
                    self.report.push(&self.at.key("kind"), format!("`static_token` {remedy}"));
                }
                let token = self.needed_secret("token", raw.token.as_ref())?;
                Some(Credential::StaticToken { token })
            }
        }
    }

    /// A key of another kind is a mistake, even if it would do no harm.
    fn refuse_foreign_keys(&mut self, raw: &raw::Credential, kind: CredentialKind) {
        use CredentialKind::{AzureCli, ClientSecret, ManagedIdentity, StaticToken, WorkloadIdentity};
        let takes_client = matches!(kind, ClientSecret | WorkloadIdentity | ManagedIdentity);
        let takes_tenant = matches!(kind, ClientSecret | WorkloadIdentity | AzureCli);
        for (key, given, taken) in [
            ("client_id", raw.client_id.is_some(), takes_client),
            ("client_secret", raw.client_secret.is_some(), matches!(kind, ClientSecret)),
            ("token", raw.token.is_some(), matches!(kind, StaticToken)),
            ("token_file", raw.token_file.is_some(), matches!(kind, WorkloadIdentity)),
            ("tenant_id", raw.tenant_id.is_some(), takes_tenant),
        ] {
            if given && !taken {
                self.report.push(&self.at.key(key), "does not belong to this `kind` of credential: take it out");
            }
        }
    }

    /// A wrong endpoint counts as one: its own problem is enough.
    fn on_loopback(&self) -> bool {
        self.endpoint.and_then(Url::host_str).is_none_or(parse::is_loopback)
    }

    fn id(&mut self, key: &str, text: Option<&str>) -> Option<String> {
        text.and_then(|text| self.report.note(&self.at.key(key), parse::azure_name(text)))
    }

    fn needed(&mut self, key: &str, is_missing: bool, remedy: &str) {
        if is_missing {
            self.report.missing(&self.at.key(key), remedy);
        }
    }

    fn needed_secret(&mut self, key: &str, place: Option<&raw::Place>) -> Option<super::Secret> {
        self.needed(key, place.is_none(), "where the secret is: `{ file = \"…\" }` or `{ env = \"…\" }`");
        self.secret(key, place)
    }

    fn secret(&mut self, key: &str, place: Option<&raw::Place>) -> Option<super::Secret> {
        let (at, loopback) = (self.at.key(key), self.on_loopback());
        parse::secret(self.report, place?, loopback, &at)
    }
}
