use super::{HostRule, checked};

fn rules() -> Vec<HostRule> {
    let texts = ["*.blob.core.windows.net", "files.contoso.example", "127.0.0.1:8081", "[::1]:8081", "203.0.113.7"];
    texts.map(HostRule::new).to_vec()
}

#[test]
fn addresses_that_may_be_fetched() {
    for url in [
        "https://x.blob.core.windows.net/invoices/1.pdf?sig=a",
        "https://x.blob.core.windows.net:443/1.pdf",
        "https://x.z12.blob.core.windows.net/1.pdf",
        "https://X.Blob.Core.Windows.NET/1.pdf",
        "HTTPS://x.blob.core.windows.net/1.pdf",
        "https://x.blob.core.windows.net",
        "https://x.blob.core.windows.net?sig=a",
        "https://x.blob.core.windows.net/a@b:c%2e%20?x=//evil.example",
        "https://files.contoso.example/1.pdf",
        "https://203.0.113.7/1.pdf",
        "http://127.0.0.1:8081/1.pdf",
        "https://127.0.0.1:8081/1.pdf",
        "http://[::1]:8081/1.pdf",
    ] {
        assert!(checked(url, &rules()).is_ok(), "{url}");
    }
}

#[test]
fn addresses_that_may_not() {
    for url in [
        // another host, in disguise
        "https://evil.example/1.pdf?sig=secret",
        "https://x.blob.core.windows.net.evil.example/1.pdf",
        "https://xblob.core.windows.net/1.pdf",
        "https://evilblob.core.windows.net/1.pdf",
        "https://blob.core.windows.net/1.pdf",
        "https://.blob.core.windows.net/1.pdf",
        "https://x..blob.core.windows.net/1.pdf",
        "https://x.blob.core.windows.net./1.pdf",
        "https://sub.files.contoso.example/1.pdf",
        "https://evil.example/x.blob.core.windows.net",
        "https://evil.example?x.blob.core.windows.net",
        "https://evil.example#x.blob.core.windows.net",
        "https://evil.example\\.blob.core.windows.net/1.pdf",
        "https:\\\\x.blob.core.windows.net\\1.pdf",
        "https:/x.blob.core.windows.net/1.pdf",
        "https:x.blob.core.windows.net/1.pdf",
        "https:///x.blob.core.windows.net/1.pdf",
        " https://x.blob.core.windows.net/1.pdf",
        "ht\ntps://x.blob.core.windows.net/1.pdf",
        "https://x.blob.core.\twindows.net/1.pdf",
        // users
        "https://x.blob.core.windows.net@evil.example/1.pdf",
        "https://user@x.blob.core.windows.net/1.pdf",
        "https://user:password@x.blob.core.windows.net/1.pdf",
        "https://:@x.blob.core.windows.net/1.pdf",
        // encodings
        "https://x%2eblob.core.windows.net/1.pdf",
        "https://evil.example%2f.blob.core.windows.net/1.pdf",
        "https://x.blob%E3%80%82core.windows.net/1.pdf",
        "https://x。blob。core。windows。net/1.pdf",
        "https://x.blob.core.windows．net/1.pdf",
        "https://ｘ.blob.core.windows.net/1.pdf",
        "https://x.blob.core.windows\u{ad}.net/1.pdf",
        // schemes and ports
        "http://x.blob.core.windows.net/1.pdf",
        "http://x.blob.core.windows.net:443/1.pdf",
        "ftp://x.blob.core.windows.net/1.pdf",
        "file:///etc/passwd",
        "file://x.blob.core.windows.net/1.pdf",
        "data:application/pdf;base64,JVBERg==",
        "https://x.blob.core.windows.net:8443/1.pdf",
        "https://x.blob.core.windows.net:0/1.pdf",
        "/1.pdf",
        "",
        // addresses
        "https://127.0.0.1/1.pdf",
        "http://127.0.0.1:8082/1.pdf",
        "http://127.1:8081/1.pdf",
        "http://2130706433:8081/1.pdf",
        "http://0x7f000001:8081/1.pdf",
        "http://localhost:8081/1.pdf",
        "https://169.254.169.254/metadata/identity",
        "https://10.0.0.1/1.pdf",
        "https://[::1]/1.pdf",
        "https://[::ffff:127.0.0.1]:8081/1.pdf",
        "https://[fd00::1]/1.pdf",
        "http://203.0.113.7/1.pdf",
        "http://203.0.113.7:443/1.pdf",
    ] {
        let refused = checked(url, &rules()).unwrap_err().to_string();
        assert!(!refused.contains("sig=") && !refused.contains("password"), "{refused}");
    }
}

#[test]
fn a_wildcard_is_for_names_only() {
    let rules = [HostRule::new("*.0.0.1"), HostRule::new("*.core.windows.net:8443")];
    assert!(checked("https://127.0.0.1/1.pdf", &rules).is_err());
    assert!(checked("https://x.blob.core.windows.net:8443/1.pdf", &rules).is_ok());
    assert!(checked("https://x.blob.core.windows.net/1.pdf", &rules).is_err());
}

#[test]
fn loopback_entries_are_known() {
    for (text, loopback) in [
        ("127.0.0.1:8081", true),
        ("127.9.9.9", true),
        ("localhost:80", true),
        ("[::1]:8081", true),
        ("*.blob.core.windows.net", false),
        ("localhost.example", false),
        ("10.0.0.1", false),
    ] {
        assert_eq!(HostRule::new(text).is_loopback(), loopback, "{text}");
    }
}
