//! Downloads against two scripted servers: the management endpoint and the documents' host.

use std::time::{Duration, Instant};

use super::server::{Server, Step, head, say};
use super::{client, full, limits, profile};
use crate::azure::{Cause, Error, Limits};
use crate::domain::billing::Scope;
use crate::domain::document::{Document, DocumentKind, NotPdf, Pdf};
use crate::domain::invoice::Invoice;

fn pdf() -> Vec<u8> {
    [b"%PDF-1.7\n".as_slice(), &[b' '; 2000], b"\n%%EOF\n"].concat()
}

fn invoice() -> Invoice {
    let entry = serde_json::value::RawValue::from_string(r#"{"name":"G/1"}"#.into()).unwrap();
    crate::azure::wire::invoice(&entry, "a:b").unwrap()
}

fn document() -> Document {
    Document {
        key: "D 1".into(),
        name: Some("D 1".into()),
        kind: DocumentKind::Invoice,
        numbers: Vec::new(),
        url: None,
        external_url: None,
        source: None,
    }
}

/// Both servers and the answer that leads from one to the other.
struct Azure {
    api: Server,
    documents: Server,
}

impl Azure {
    async fn start() -> Self {
        Self { api: Server::start().await, documents: Server::start().await }
    }

    fn ready(&self) -> Step {
        let url = self.documents.url("/invoices/1.pdf?sv=2019-02-02&sig=canary%3D");
        say(200, &[], format!(r#"{{"expiryTime":"2026-11-23T12:10:00Z","url":"{url}"}}"#))
    }

    async fn download(&self, document: &Document, limits: Limits) -> Result<Pdf, Error> {
        client(&self.api, &self.documents, limits).download(&profile(), &invoice(), document).await
    }

    /// A download whose operation ends at once.
    async fn fetch(&self, limits: Limits, steps: impl IntoIterator<Item = Step>) -> Result<Pdf, Error> {
        self.api.script([self.ready()]);
        self.documents.script(steps);
        self.download(&document(), limits).await
    }
}

#[tokio::test]
async fn an_operation_is_followed_to_its_end_and_the_token_stays_home() {
    let azure = Azure::start().await;
    let location = azure.api.url("/results/op?t=a%2Fb");
    azure.api.script([
        say(202, &[("Location", &location), ("Retry-After", "0")], ""),
        say(202, &[], ""),
        say(404, &[], ""),
        say(404, &[("Retry-After", "0")], ""),
        say(202, &[("location", "/results/newest")], ""),
        say(404, &[], ""),
        azure.ready(),
    ]);
    azure.documents.script([say(200, &[("Content-Type", "application/pdf")], pdf())]);
    let got = azure.download(&document(), limits()).await.unwrap();
    assert_eq!(got.bytes(), pdf());
    let post = "POST /providers/Microsoft.Billing/billingAccounts/a%3Ab_2019-05-31/invoices/G%2F1/download\
                ?api-version=2024-04-01&documentName=D%201";
    let (old, new) = ("GET /results/op?t=a%2Fb", "GET /results/newest");
    assert_eq!(azure.api.lines(), [post, old, old, old, old, new, new]);
    let post = &azure.api.requests()[0].to_lowercase();
    assert_eq!(post.matches("content-length: 0\r\n").count(), 1, "{post}");
    let fetches = azure.documents.requests();
    assert_eq!(azure.documents.lines(), ["GET /invoices/1.pdf?sv=2019-02-02&sig=canary%3D"]);
    for header in ["authorization", "cookie", "accept-encoding", "referer", super::TOKEN, "x-ms-client"] {
        assert!(!fetches[0].to_lowercase().contains(header), "{}", fetches[0]);
    }
}

#[tokio::test]
async fn a_document_is_asked_for_by_what_is_known_of_it() {
    let azure = Azure::start().await;
    let account = "POST /providers/Microsoft.Billing/billingAccounts/a%3Ab_2019-05-31/invoices/G%2F1/download";
    let nameless = Document { name: None, key: "Invoice".into(), ..document() };
    let own = azure.api.url("/download?downloadToken=Drs_1&api-version=2020-05-01");
    for (document, post) in [
        (nameless.clone(), format!("{account}?api-version=2024-04-01")),
        (
            Document { url: Some(own), ..nameless.clone() },
            "POST /download?downloadToken=Drs_1&api-version=2020-05-01".into(),
        ),
    ] {
        azure.api.script([azure.ready()]);
        azure.documents.script([say(200, &[], pdf())]);
        azure.download(&document, limits()).await.unwrap();
        assert_eq!(azure.api.lines().last(), Some(&post));
    }
    azure.api.script([azure.ready()]);
    azure.documents.script([say(200, &[], pdf())]);
    let scope = Scope::Subscription { subscription: "s1".into(), account: Some("a".into()) };
    let client = client(&azure.api, &azure.documents, limits());
    client.download(&scope, &invoice(), &document()).await.unwrap();
    let line = azure.api.lines().pop().unwrap();
    assert!(line.contains("/billingAccounts/default/billingSubscriptions/s1/invoices/G%2F1/download?"), "{line}");
}

#[tokio::test]
async fn what_cannot_be_asked_for_sends_nothing() {
    let azure = Azure::start().await;
    let nameless = Document { name: None, key: "Invoice".into(), ..document() };
    let external = Some("https://nota.example/x.xml".to_owned());
    for (document, told) in [
        (
            Document { external_url: external, source: Some("ENF".into()), ..nameless.clone() },
            "the document lies outside Azure Billing (externalUrl, source ENF)",
        ),
        (
            Document { key: "Invoice-2".into(), ..nameless.clone() },
            "Azure lists the document without a name or an address",
        ),
        (
            Document { key: "TaxReceipt".into(), kind: DocumentKind::TaxReceipt, ..nameless.clone() },
            "Azure lists the document without a name or an address",
        ),
        (
            Document { url: Some("https://evil.example/d?sig=1".into()), ..nameless.clone() },
            "Azure's document address leads to evil.example, which is not the management endpoint: \
             the token does not go there",
        ),
    ] {
        let error = azure.download(&document, limits()).await.unwrap_err();
        assert!(!error.is_transient());
        assert!(full(&error).ends_with(&format!("of invoice G/1: {told}")), "{}", full(&error));
    }
    assert!(azure.api.requests().is_empty() && azure.documents.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_ready_is_told_as_such() {
    let azure = Azure::start().await;
    let accepted = || say(202, &[("Location", "/op")], "");
    for answer in
        [say(200, &[], r#"{"url":""}"#), say(200, &[], r#"{"url":null}"#), say(200, &[], "{}"), say(200, &[], "")]
    {
        azure.api.script([accepted(), answer]);
        let error = azure.download(&document(), limits()).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::NotReady { asked: None, .. }), "{error:?}");
        assert!(error.is_transient());
    }
    azure.api.script([accepted(), say(202, &[("Retry-After", "600")], "")]);
    let error = azure.download(&document(), limits()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_mins(10)));
    assert!(full(&error).contains("the document is not ready yet (waited 10ms)"), "{}", full(&error));

    // A first wait is granted even where it is longer than all waits together may be.
    azure.api.script([say(202, &[("Location", "/op"), ("Retry-After", "1")], ""), azure.ready()]);
    azure.documents.script([say(200, &[], pdf())]);
    assert!(azure.download(&document(), limits()).await.is_ok());

    azure.api.script([accepted()].into_iter().chain((0..3).map(|_| accepted())));
    let short = Limits { longest_poll: Duration::from_millis(35), ..limits() };
    let error = azure.download(&document(), short).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotReady { .. }), "{error:?}");

    azure.api.script([accepted()].into_iter().chain((0..4).map(|_| say(404, &[], ""))));
    let error = azure.download(&document(), limits()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::OperationLost(_)), "{error:?}");
    assert!(error.is_transient());
    azure.api.requests();
}

#[tokio::test]
async fn an_operation_that_fails_or_leads_astray_ends_the_download() {
    let azure = Azure::start().await;
    azure.api.script([say(202, &[], "")]);
    let error = azure.download(&document(), limits()).await.unwrap_err();
    assert!(full(&error).ends_with("the answer has no `Location`"), "{}", full(&error));

    azure.api.script([say(202, &[("Location", &azure.documents.url("/op?sig=1"))], "")]);
    let error = azure.download(&document(), limits()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::ForeignHost { what: "Location", .. }), "{error:?}");

    let failure = r#"{"error":{"code":"DocumentNotFound","message":"No\r\nsuch\u202e document"}}"#;
    let ids = [("x-ms-request-id", "r-1"), ("x-ms-correlation-request-id", "c-1")];
    azure.api.script([say(202, &[("Location", "/op")], ""), say(409, &ids, failure)]);
    let error = azure.download(&document(), limits()).await.unwrap_err();
    assert_eq!(
        full(&error),
        "cannot download document D 1 of invoice G/1: Azure answered 409 DocumentNotFound: No such document \
         (x-ms-request-id r-1, x-ms-correlation-request-id c-1)"
    );

    for url in ["https://evil.example/1.pdf?sig=1", "/relative?sig=1", "http://10.0.0.1/1.pdf?sig=1"] {
        azure.api.script([say(200, &[], format!(r#"{{"url":"{url}"}}"#))]);
        let error = azure.download(&document(), limits()).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::DocumentAddress { .. }), "{}", full(&error));
        assert!(!error.is_transient() && error.hint().is_some());
    }
    azure.api.requests();
    assert!(azure.documents.requests().is_empty());
}

#[tokio::test]
async fn an_address_that_ran_out_is_renewed_once() {
    let azure = Azure::start().await;
    let expired = || say(403, &[("x-ms-error-code", "AuthenticationFailed")], "<?xml version=\"1.0\"?><Error/>");
    azure.api.script([azure.ready()]);
    azure.fetch(limits(), [expired(), say(200, &[], pdf())]).await.unwrap();
    assert_eq!(azure.api.requests().len(), 2);

    azure.api.script([azure.ready()]);
    let error = azure.fetch(limits(), [expired(), expired()]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::AddressExpired { .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!((azure.api.requests().len(), azure.documents.requests().len()), (4, 4));
}

#[tokio::test]
async fn only_a_whole_pdf_is_handed_over() {
    let azure = Azure::start().await;
    let page = "<html>Sign in</html>".repeat(100);
    let error = azure.fetch(limits(), [say(200, &[], page)]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotPdf(NotPdf::NoMagic(_))), "{error:?}");
    assert!(error.is_transient());
    assert!(full(&error).contains("it does not begin like a PDF"), "{}", full(&error));

    let error = azure.fetch(limits(), [say(200, &[], "")]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotPdf(_)), "{error:?}");

    let cut = || Step::Say([head(200, &[("Content-Length", "9999")]), pdf()].concat());
    let error = azure.fetch(limits(), [cut(), cut(), cut(), cut()]).await.unwrap_err();
    assert!(full(&error).ends_with("the document was cut off after 2016 bytes of 9999"), "{}", full(&error));
    assert!(error.is_transient());
    azure.fetch(limits(), [cut(), say(503, &[("Retry-After", "0")], ""), say(200, &[], pdf())]).await.unwrap();

    // Without a length the end of the connection is the end of the file: whole or not, the PDF itself tells.
    azure.fetch(limits(), [Step::Say([head(200, &[]), pdf()].concat())]).await.unwrap();
    let half = pdf()[..1500].to_vec();
    let error = azure.fetch(limits(), [Step::Say([head(200, &[]), half].concat())]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotPdf(NotPdf::CutOff)), "{error:?}");
    let chunked =
        [head(200, &[("Transfer-Encoding", "chunked")]), b"7e0\r\n".to_vec(), pdf(), b"\r\n0\r\n\r\n".to_vec()];
    azure.fetch(limits(), [Step::Say(chunked.concat())]).await.unwrap();
    azure.documents.requests();
    let damaged = || say(200, &[("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")], pdf());
    let error = azure.fetch(limits(), [damaged(), damaged(), damaged(), damaged()]).await.unwrap_err();
    assert!(full(&error).contains("MD5"), "{}", full(&error));
    azure.fetch(limits(), [damaged(), say(200, &[], pdf())]).await.unwrap();
}

#[tokio::test]
async fn other_answers_of_the_documents_host_are_told() {
    let azure = Azure::start().await;
    for (status, transient) in [(301, false), (400, false), (404, true), (409, false)] {
        let headers = [("x-ms-error-code", "BlobNotFound"), ("Location", "https://evil.example/?sig=1")];
        let error = azure.fetch(limits(), [say(status, &headers, "")]).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{status}");
        assert!(full(&error).ends_with(&format!(": 127.0.0.1 answered {status} BlobNotFound")), "{}", full(&error));
    }
    let throttled = say(429, &[("Retry-After", "60")], "");
    let error = azure.fetch(limits(), [throttled]).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
    azure.documents.requests();
}

#[tokio::test]
async fn a_document_has_a_largest_size_whether_announced_or_not() {
    let azure = Azure::start().await;
    let small = Limits { pdf_bytes: 1000, ..limits() };
    let error = azure.fetch(small.clone(), [say(200, &[], pdf())]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::DocumentTooLarge { length: Some(2016), limit: 1000 }), "{error:?}");
    assert!(!error.is_transient());
    let error = azure.fetch(small, [Step::Drip(head(200, &[]), Duration::ZERO)]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::DocumentTooLarge { length: None, limit: 1000 }), "{error:?}");
    assert!(full(&error).ends_with("the document is larger than 1000 bytes"), "{}", full(&error));
    azure.documents.requests();
}

#[tokio::test]
async fn a_drip_is_not_waited_for() {
    let azure = Azure::start().await;
    let drip = |every| Step::Drip([head(200, &[]), pdf()].concat(), Duration::from_millis(every));
    let started = Instant::now();
    let window = Limits { pdf_window: Duration::from_millis(100), ..limits() };
    let error = azure.fetch(window, [drip(20)]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::TooSlow { received: 1..20, .. }), "{error:?}");
    let total = Limits { pdf_total: Duration::from_millis(100), ..limits() };
    let error = azure.fetch(total.clone(), [drip(1)]).await.unwrap_err();
    assert!(full(&error).contains("no answer within 100ms (the document from 127.0.0.1)"), "{}", full(&error));
    let error = azure.fetch(total, [Step::Hang]).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Timeout { .. }), "{error:?}");
    assert!(error.is_transient());
    assert!(started.elapsed() < Duration::from_secs(3));
    azure.documents.requests();
}

#[tokio::test]
async fn clones_work_side_by_side_in_tasks() {
    let azure = Azure::start().await;
    azure.api.script((0..4).map(|_| azure.ready()));
    azure.documents.script((0..4).map(|_| say(200, &[], pdf())));
    let client = client(&azure.api, &azure.documents, limits());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let client = client.clone();
        tasks.spawn(async move { client.download(&profile(), &invoice(), &document()).await });
    }
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done.unwrap().unwrap().bytes(), pdf());
    }
    assert_eq!((azure.api.requests().len(), azure.documents.requests().len()), (4, 4));
}
