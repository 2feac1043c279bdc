use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::Pin;
use std::sync::Mutex;

use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Request, StatusCode};

use super::*;
use crate::config::Secret as Place;

/// An identity service that gives `token-1`, `token-2` …, or an error.
#[derive(Debug, Default)]
struct Entra {
    forms: Mutex<Vec<String>>,
    addresses: Mutex<Vec<String>>,
    error: Option<(u16, &'static str)>,
}

impl HttpClient for Entra {
    fn execute_request<'a, 'b, 'c>(
        &'a self,
        request: &'b Request,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
    {
        let form = match request.body() {
            azure_core::http::Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            azure_core::http::Body::SeekableStream(_) => panic!("a form is not a stream"),
        };
        let mut forms = self.forms.lock().unwrap();
        forms.push(form);
        self.addresses.lock().unwrap().push(request.url().to_string());
        let token = format!(r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"token-{}"}}"#, forms.len());
        let (status, body) = self.error.map_or((200, token), |(status, body)| (status, body.to_owned()));
        let answer = AsyncRawResponse::from_bytes(StatusCode::from(status), Headers::new(), body);
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn sign_in(entra: &Arc<Entra>, credential: Credential, endpoint: &str) -> SignIn {
    let http = Arc::clone(entra) as Arc<dyn HttpClient>;
    SignIn::new(credential, &Url::parse(endpoint).unwrap(), http, Duration::from_secs(5)).unwrap()
}

#[tokio::test]
async fn a_token_is_kept_until_refused_and_the_secret_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let write = |secret| {
        fs::write(&file, secret).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("old secret\n");
    let entra = Arc::new(Entra::default());
    let credential = Credential::ClientSecret {
        tenant_id: "tenant".into(),
        client_id: "client".into(),
        client_secret: Place::File(file.clone()),
    };
    let sign_in = sign_in(&entra, credential, "https://management.azure.com/");
    let first = sign_in.bearer(None).await.unwrap();
    assert_eq!(first.expose_secret(), "token-1");
    assert_eq!(sign_in.bearer(None).await.unwrap().expose_secret(), "token-1");

    write("new secret");
    assert_eq!(sign_in.bearer(Some(&first)).await.unwrap().expose_secret(), "token-2");
    // Another task that was refused with the old token shares the fresh one.
    assert_eq!(sign_in.bearer(Some(&first)).await.unwrap().expose_secret(), "token-2");

    let scope = "scope=https%3A%2F%2Fmanagement.azure.com%2F.default";
    let form = |secret| format!("client_id=client&client_secret={secret}&grant_type=client_credentials&{scope}");
    assert_eq!(*entra.forms.lock().unwrap(), [form("old+secret"), form("new+secret")]);
    assert_eq!(entra.addresses.lock().unwrap()[0], "https://login.microsoftonline.com/tenant/oauth2/v2.0/token");
    assert!(!format!("{sign_in:?}").contains("new secret") && !format!("{sign_in:?}").contains("token-"));
}

#[tokio::test]
async fn a_workload_identity_sends_its_assertion_to_its_own_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "assertion").unwrap();
    let entra = Arc::new(Entra::default());
    let credential = Credential::WorkloadIdentity {
        tenant_id: Some("tenant".into()),
        client_id: Some("client".into()),
        token_file: Some(file),
    };
    let sign_in = sign_in(&entra, credential, "https://management.usgovcloudapi.net/");
    assert_eq!(sign_in.bearer(None).await.unwrap().expose_secret(), "token-1");
    assert!(entra.addresses.lock().unwrap()[0].starts_with("https://login.microsoftonline.us/tenant/"));
    let form = &entra.forms.lock().unwrap()[0];
    assert!(form.contains("client_assertion=assertion"), "{form}");
    assert!(form.contains("scope=https%3A%2F%2Fmanagement.core.usgovcloudapi.net%2F.default"), "{form}");
}

#[tokio::test]
async fn a_refused_sign_in_tells_what_entra_said() {
    let said = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#;
    for (status, transient) in [(401, false), (503, true)] {
        let entra = Arc::new(Entra { error: Some((status, said)), ..Entra::default() });
        let credential = Credential::ClientSecret {
            tenant_id: "tenant".into(),
            client_id: "client".into(),
            client_secret: Place::Inline(SecretString::from("canary")),
        };
        let http = Arc::clone(&entra) as Arc<dyn HttpClient>;
        let endpoint = Url::parse("https://management.azure.com/").unwrap();
        let sign_in = SignIn::new(credential, &endpoint, http, Duration::from_secs(5)).unwrap();
        let cause = sign_in.bearer(None).await.unwrap_err();
        assert!(cause.to_string().contains("AADSTS7000215: Invalid client secret"), "{cause}");
        assert!(!cause.to_string().contains("canary"), "{cause}");
        assert_eq!(cause.is_transient(), transient, "{cause}");
    }
}

#[test]
fn a_missing_token_file_is_told() {
    let credential = Credential::WorkloadIdentity {
        tenant_id: Some("tenant".into()),
        client_id: Some("client".into()),
        token_file: Some("/nowhere/token".into()),
    };
    let endpoint = Url::parse("https://management.azure.com/").unwrap();
    let cause = SignIn::new(credential, &endpoint, Arc::new(Entra::default()), Duration::from_secs(5)).unwrap_err();
    assert!(matches!(cause, Cause::SignIn { transient: false, .. }), "{cause}");
}

#[test]
fn clouds_are_known_by_their_endpoint() {
    for (endpoint, scope, cloud) in [
        ("https://management.azure.com/", "https://management.azure.com/.default", CloudConfiguration::AzurePublic),
        (
            "https://management.usgovcloudapi.net/",
            "https://management.core.usgovcloudapi.net/.default",
            CloudConfiguration::AzureGovernment,
        ),
        (
            "https://management.chinacloudapi.cn/",
            "https://management.chinacloudapi.cn/.default",
            CloudConfiguration::AzureChina,
        ),
    ] {
        assert_eq!(cloud_of(&Url::parse(endpoint).unwrap()), (scope.to_owned(), cloud));
    }
}
