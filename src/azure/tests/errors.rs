//! What operators read.

use super::full;
use crate::azure::cause::{Cause, Ids, Refusal};
use crate::azure::{Client, Error, Limits};
use crate::config::{Credential, Secret};
use crate::domain::billing::Scope;
use crate::domain::label::Label;

fn refused(status: u16, code: &str, message: &str, scope: Scope) -> Error {
    let refusal = Refusal {
        status,
        code: Label::non_empty(code),
        message: Label::non_empty(message),
        ids: Ids::default(),
        body: None,
        asked: None,
    };
    Error::ListInvoices { scope, source: Box::new(Cause::Status(Box::new(refusal))) }
}

#[test]
fn hints_name_the_remedy() {
    let account = |name: &str| Scope::Account { account: name.into() };
    let profile = Scope::Profile { account: "a:b_2019-05-31".into(), profile: "P-1".into() };
    let subscription = Scope::Subscription { subscription: "s1".into(), account: None };
    for (error, words) in [
        (refused(401, "", "", account("a")), "belongs to the tenant"),
        (refused(401, "InvalidAuthenticationToken", "the 'nbf' claim", account("a")), "clock (NTP)"),
        (refused(403, "AuthorizationFailed", "", profile), "`Billing profile reader` or `Invoice manager`"),
        (refused(403, "", "", account("a:b_2019-05-31")), "`Billing account reader`"),
        (refused(403, "", "", account("1234567")), "EnrollmentReader"),
        (refused(403, "", "", subscription), "`Allow others to download invoice`"),
        (refused(404, "", "", account("a")), "another tenant"),
        (refused(400, "InvalidApiVersionParameter", "", account("a")), "update invoice-mailer"),
    ] {
        let hint = error.hint().unwrap();
        assert!(hint.contains(words), "{hint}");
        assert!(!error.is_transient());
    }
    assert_eq!(refused(409, "", "", account("a")).hint(), None);
    assert_eq!(refused(500, "", "", account("a")).hint(), None);
}

#[tokio::test]
async fn a_missing_secret_is_told_at_the_start() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut settings = super::settings("https://management.azure.com/", &[]);
    settings.credential = Credential::ClientSecret {
        tenant_id: "t".into(),
        client_id: "c".into(),
        client_secret: Secret::File("/nowhere/azure-client-secret".into()),
    };
    let error = Client::new(&settings, Limits::default()).unwrap_err();
    assert!(!error.is_transient());
    assert!(
        full(&error).starts_with(
            "cannot set up the Azure client: cannot read the secret file `/nowhere/azure-client-secret`: No such file"
        ),
        "{}",
        full(&error)
    );
}
