//! How addresses are built and links followed; what waits are read.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{client_of, full};
use crate::azure::Limits;
use crate::azure::patience::asked_wait;

const ENDPOINT: &str = "https://management.azure.com/";

#[tokio::test]
async fn links_stay_at_the_endpoint_and_keep_their_encoding() {
    let client = client_of(ENDPOINT);
    for (link, followed) in [
        ("/providers/x?$skiptoken=a%3D%3D", "https://management.azure.com/providers/x?$skiptoken=a%3D%3D"),
        (
            "/p?periodStartDate=2000-01-01 00:00:00Z",
            "https://management.azure.com/p?periodStartDate=2000-01-01%2000:00:00Z",
        ),
        ("/a b/c?x=é", "https://management.azure.com/a%20b/c?x=%C3%A9"),
        ("providers/x", "https://management.azure.com/providers/x"),
        ("https://management.azure.com/p?x=1", "https://management.azure.com/p?x=1"),
        ("https://MANAGEMENT.azure.com:443/p", "https://management.azure.com/p"),
        ("//management.azure.com/p", "https://management.azure.com/p"),
        ("/p?x=1#fragment", "https://management.azure.com/p?x=1"),
        ("/a%3Ab/%2e%2e/c", "https://management.azure.com/c"),
    ] {
        assert_eq!(client.follow("nextLink", link).unwrap().as_str(), followed, "{link}");
    }
    for link in [
        "https://evil.example/p?sig=1",
        "//evil.example/p",
        "\\\\evil.example/p",
        "/\\evil.example/p",
        "http://management.azure.com/p",
        "https://management.azure.com:8443/p",
        "https://management.azure.com./p",
        "https://management.azure.com.evil.example/p",
        "https://management.azure.com@evil.example/p",
        "https://user@management.azure.com/p",
        "https://:secret@management.azure.com/p",
        "https://management.azure.com%2eevil.example/p",
        "ftp://management.azure.com/p",
        "file:///etc/passwd",
        "data:text/plain,x",
        "https://",
        "https://[::1/p",
    ] {
        let refused = full(&client.follow("nextLink", link).unwrap_err());
        assert!(refused.starts_with("Azure's nextLink "), "{link}: {refused}");
    }
}

#[tokio::test]
async fn a_plain_endpoint_keeps_scheme_and_port() {
    let client = client_of("http://127.0.0.1:8080/");
    assert_eq!(client.follow("nextLink", "/p").unwrap().as_str(), "http://127.0.0.1:8080/p");
    for link in ["http://127.0.0.1:8081/p", "https://127.0.0.1:8080/p", "http://localhost:8080/p"] {
        assert!(client.follow("nextLink", link).is_err(), "{link}");
    }
}

#[tokio::test]
async fn names_are_encoded_into_paths_and_queries() {
    let client = client_of(ENDPOINT);
    let url = client.address(&["x", "a:b/../c?d#é"], &[("documentName", "1&top=2 +%")]);
    assert_eq!(
        url.as_str(),
        "https://management.azure.com/x/a%3Ab%2F..%2Fc%3Fd%23%C3%A9?api-version=2024-04-01&documentName=1%26top%3D2%20%2B%25"
    );
}

#[test]
fn waits_are_read_and_clamped() {
    let date = ("date", "Mon, 23 Nov 2026 12:00:00 GMT");
    let seconds = |n| Some(Duration::from_secs(n));
    for (headers, wait) in [
        (vec![("retry-after", "17")], seconds(17)),
        (vec![("retry-after", " 17 ")], seconds(17)),
        (vec![("retry-after", "0")], seconds(1)),
        (vec![("retry-after", "-5")], seconds(1)),
        (vec![("retry-after", "1000000000")], seconds(3600)),
        (vec![("retry-after", "99999999999999999999999999999999")], seconds(3600)),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "")], None),
        (vec![("retry-after", "inf")], None),
        (vec![("retry-after", "NaN")], None),
        (vec![("retry-after-ms", "2500")], Some(Duration::from_millis(2500))),
        (vec![("x-ms-retry-after-ms", "2500"), ("retry-after", "9")], Some(Duration::from_millis(2500))),
        (vec![("retry-after-ms", "x"), ("retry-after", "9")], seconds(9)),
        (vec![date, ("retry-after", "Mon, 23 Nov 2026 12:01:30 GMT")], seconds(90)),
        (vec![date, ("retry-after", "Mon, 23 Nov 2026 11:00:00 GMT")], seconds(1)),
        (vec![date, ("retry-after", "Sun, 23 Nov 2033 12:00:00 GMT")], None),
        (vec![date, ("retry-after", "Tue, 23 Nov 2032 12:00:00 GMT")], seconds(3600)),
        (vec![("retry-after", "Mon, 23 Nov 2026 12:01:30 GMT")], None),
        (vec![date], None),
    ] {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        assert_eq!(asked_wait(&map, &Limits::default()), wait, "{headers:?}");
    }
}
