//! The keys of the file as they are written: the source of the JSON Schema. Every key may be left out here;
//! what must be there is checked later, with its neighbours in view.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value as Json;

/// The configuration of invoice-mailer.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "invoice-mailer")]
pub(super) struct Raw {
    /// Stamped into the ledger; a ledger of another instance is refused.
    pub instance: Option<String>,
    /// The IANA zone in which times are shown; the calendar counts UTC days.
    pub time_zone: Option<String>,
    /// Where the Billing API is and how to sign in.
    pub azure: Azure,
    /// Whose invoices are wanted and which lists get them.
    pub profiles: Vec<Profile>,
    /// The recipient lists, by name.
    pub lists: BTreeMap<String, List>,
    /// The relay and the sender.
    pub smtp: Smtp,
    /// When to try again and when to give up.
    pub delivery: Delivery,
    /// Where the state is kept.
    pub ledger: Ledger,
    /// Where the PDFs are kept.
    pub archive: Archive,
    /// How log lines are written.
    pub log: Log,
}

/// Where the Billing API is and how to sign in.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Azure {
    /// The cloud.
    pub cloud: Option<Cloud>,
    /// The directory (tenant) to sign in to: its id or one of its domains.
    pub tenant_id: Option<String>,
    /// Resource Manager's address, instead of the cloud's; plain http only on loopback.
    pub management_endpoint: Option<String>,
    /// Where documents may be fetched from: host names, or `*.` and a name for every host below it.
    pub document_hosts: Option<Vec<String>>,
    /// How to sign in.
    pub credential: Option<Credential>,
}

/// The cloud.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cloud {
    /// Azure's public cloud.
    Public,
}

/// How to sign in.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Credential {
    /// The way of signing in; it decides which of the other keys are needed.
    pub kind: Option<CredentialKind>,
    /// The application's id: `client_secret`, `workload_identity`, a user-assigned `managed_identity`.
    pub client_id: Option<String>,
    /// The application's secret: `client_secret`.
    pub client_secret: Option<Place>,
    /// The bearer token: `static_token`.
    pub token: Option<Place>,
    /// The file with the federated token: `workload_identity`; by default `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file: Option<String>,
    /// The directory to sign in to, instead of `azure.tenant_id`.
    pub tenant_id: Option<String>,
}

/// The way of signing in.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CredentialKind {
    /// An app registration and its secret.
    ClientSecret,
    /// A federated token that the platform projects into a file.
    WorkloadIdentity,
    /// The machine's own identity.
    ManagedIdentity,
    /// The account that `az login` signed in.
    AzureCli,
    /// A fixed token, for a loopback `azure.management_endpoint` only.
    StaticToken,
}

/// Where a secret is: `{ file = "…" }` or `{ env = "…" }`; a text is accepted for loopback use only.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Place {
    /// The secret itself, for loopback use only.
    Inline(String),
    /// The place to read it from.
    Named(NamedPlace),
}

/// The place to read a secret from.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NamedPlace {
    /// A file that others cannot read; a relative name is looked up in `$CREDENTIALS_DIRECTORY`.
    pub file: Option<String>,
    /// An environment variable.
    pub env: Option<String>,
}

/// Whose invoices are wanted and which lists get them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the fields are the file's keys")]
pub(super) struct Profile {
    /// The alias in logs, metrics and verbs.
    pub name: Option<String>,
    /// The contract of the billing account.
    pub agreement: Option<Agreement>,
    /// The billing account's name: the last part of its resource id.
    pub billing_account: Option<String>,
    /// The billing profile's name (`mca`); left out: every profile of the account.
    pub billing_profile: Option<String>,
    /// The subscription's id (`mosp`).
    pub subscription: Option<String>,
    /// The names of the lists that get the invoices.
    pub lists: Option<Vec<String>>,
    /// The kinds of documents to mail.
    pub documents: Option<Vec<Document>>,
    /// Older invoices are recorded, not mailed; by default the day of the profile's first look.
    #[schemars(extend("format" = "date"))]
    pub deliver_since: Option<String>,
}

/// The contract of the billing account.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Agreement {
    /// Microsoft Customer Agreement.
    Mca,
    /// Microsoft Online Services Program: web-direct subscriptions.
    Mosp,
}

/// A kind of document.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Document {
    /// The invoice.
    Invoice,
    /// A credit note.
    CreditNote,
    /// A tax receipt.
    TaxReceipt,
    /// A note that voids an invoice.
    VoidNote,
    /// The summary of an invoice under an Enterprise Agreement.
    Summary,
    /// The transactions of an invoice under an Enterprise Agreement.
    Transactions,
}

/// A recipient list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct List {
    /// Who is on the list.
    pub members: Option<Vec<Member>>,
    /// Where set, a member outside these domains is refused; subdomains count as other domains.
    pub allowed_domains: Option<Vec<String>>,
}

/// A mailbox that opted in.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Member {
    /// The mail address.
    pub address: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// The day on which the recipient agreed to get the invoices.
    #[schemars(extend("format" = "date"))]
    pub opted_in_on: Option<String>,
    /// Who reads the mailbox.
    pub kind: Option<MemberKind>,
}

/// Who reads the mailbox.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MemberKind {
    /// A person or a team: all documents of an invoice in one mail.
    Human,
    /// An import mailbox: one PDF a mail, invoices and credit notes only.
    Erp,
}

/// The relay and the sender.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Smtp {
    /// The relay's host name or address.
    pub host: Option<String>,
    /// The relay's port; by default 587, or 465 with `tls = "implicit"`.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: Option<Tls>,
    /// A PEM file with the certificate authorities to trust instead of the system's.
    pub ca_file: Option<String>,
    /// The sender: `name@domain`, or `Display name <name@domain>`.
    pub from: Option<String>,
    /// Where replies go.
    pub reply_to: Option<String>,
    /// The envelope sender, which gets the bounces; by default the address of `from`.
    pub return_path: Option<String>,
    /// How to sign in to the relay.
    pub auth: Auth,
    /// The most connections at a time.
    #[schemars(range(min = 1, max = 50))]
    pub max_connections: Option<usize>,
    /// The most mails a minute.
    #[schemars(range(min = 1, max = 100_000))]
    pub per_minute: Option<u32>,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tls {
    /// TLS from the first byte.
    Implicit,
    /// STARTTLS, required.
    Starttls,
    /// Plain text, for a relay on loopback only.
    None,
}

/// How to sign in to the relay.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Auth {
    /// The way of signing in.
    pub kind: Option<AuthKind>,
    /// The account: `password`.
    pub username: Option<String>,
    /// Its password: `password`.
    pub password: Option<Place>,
}

/// The way of signing in to the relay.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuthKind {
    /// No sign-in.
    None,
    /// A user name and a password.
    Password,
}

/// When to try again and when to give up.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Delivery {
    /// The waits after the first, second … failure; the last one repeats.
    pub retry: Option<Vec<String>>,
    /// The age at which a delivery expires.
    pub give_up_after: Option<String>,
    /// What to do when the connection broke after the whole mail was handed over and no answer came.
    pub on_in_doubt: Option<OnInDoubt>,
    /// The wait before such a mail is sent again; at least 660 s, except with a relay on loopback.
    pub in_doubt_wait: Option<String>,
    /// An unknown invoice dated more than this before the profile's last complete look is held.
    pub max_backfill: Option<String>,
}

/// What to do in doubt.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnInDoubt {
    /// Send the identical mail once more, then hold.
    Resend,
    /// Hold at once: a person decides.
    Hold,
}

/// Where the state is kept.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ledger {
    /// `sqlite:///absolute/path` or `sqlite:relative/path`.
    pub url: Option<String>,
}

/// Where the PDFs are kept.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Archive {
    /// `file:///absolute/folder`.
    pub url: Option<String>,
}

/// How log lines are written.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// The form of a line.
    pub format: Option<LogFormat>,
}

/// The form of a log line.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogFormat {
    /// `pretty` on a terminal, `json` elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The JSON Schema of the configuration file, for editors; the program checks files against the same text.
#[must_use]
pub fn schema() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let without_null = |schema: &mut Schema| without_null(schema);
    let settings = settings.with_transform(schemars::transform::RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<Raw>().to_value()
}

/// Drops what TOML cannot say: a key that is left out is absent, not null.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("default");
    if let Some(Json::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            object.insert("type".into(), single);
        }
    }
    if let Some(Json::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|t| t != "null"));
        if let [Json::Object(single)] = branches.as_mut_slice() {
            let single = std::mem::take(single);
            object.remove("anyOf");
            for (key, value) in single {
                object.entry(key).or_insert(value);
            }
        }
    }
}
