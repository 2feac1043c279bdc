//! Files in order, the environment, and where a value came from.

use std::time::Duration;

use super::*;
use crate::domain::billing::Scope;
use crate::domain::document::DocumentKind;

#[test]
fn the_example_loads_over_the_defaults() {
    let folder = Folder::new();
    let example = include_str!("../../../config/example.toml");
    let example = example.replace("/etc/invoice-mailer/azure-client-secret", "FOLDER/secret");
    let config = folder.load(&[&example], &[]).unwrap();
    assert_eq!(config.instance, "default");
    assert_eq!(config.time_zone.iana_name(), Some("UTC"));
    assert_eq!(config.azure.management_endpoint.as_str(), "https://management.azure.com/");
    assert_eq!(config.azure.document_hosts, ["*.blob.core.windows.net"]);
    assert!(matches!(config.azure.credential, Credential::ClientSecret { .. }));
    assert!(matches!(config.profiles[0].scope, Scope::Profile { .. }));
    let documents: Vec<&str> = config.profiles[0].documents.iter().map(DocumentKind::as_config).collect();
    assert_eq!(documents, ["invoice", "credit_note", "tax_receipt", "void_note"]);
    assert_eq!((config.smtp.port, config.smtp.tls), (587, Tls::Starttls));
    assert_eq!(config.smtp.from_name.unwrap().as_str(), "Contoso Azure invoices");
    assert_eq!(config.smtp.return_path.as_str(), "azure-invoices@contoso.example");
    assert!(matches!(config.smtp.auth, Auth::None));
    assert_eq!(config.delivery.retry.len(), 6);
    assert_eq!(config.delivery.in_doubt_wait, Duration::from_mins(15));
    assert_eq!(config.max_backfill, Duration::from_hours(35 * 24));
    assert_eq!(config.ledger, PathBuf::from("/var/lib/invoice-mailer/ledger.db"));
    assert_eq!(config.archive, PathBuf::from("/var/lib/invoice-mailer/archive"));
    assert_eq!(config.log.format, LogFormat::Auto);
}

#[test]
fn the_names_of_lists_keep_their_case() {
    let config = Folder::new().load(&[BASE], &[]).unwrap();
    assert_eq!(config.lists[0].name, "Accounting");
}

#[test]
fn later_files_win_and_the_environment_wins_over_files() {
    let folder = Folder::new();
    let second = "time_zone = \"Europe/Amsterdam\"\n[smtp]\nper_minute = 5\nmax_connections = 2\n";
    let env = [
        ("INVOICE_MAILER__SMTP__PER_MINUTE", "7"),
        ("INVOICE_MAILER__DELIVERY__RETRY", "[\"1m\", \"2m\"]"),
        ("INVOICE_MAILER__SMTP__AUTH__KIND", "password"),
        ("INVOICE_MAILER__SMTP__AUTH__USERNAME", "12345"),
        ("INVOICE_MAILER__SMTP__AUTH__PASSWORD__FILE", &folder.path("secret").display().to_string()),
        ("INVOICE_MAILER_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    let config = folder.load(&[BASE, second], &env).unwrap();
    assert_eq!(config.time_zone.iana_name(), Some("Europe/Amsterdam"));
    assert_eq!((config.smtp.max_connections, config.smtp.per_minute), (2, 7));
    assert_eq!(config.delivery.retry, [Duration::from_mins(1), Duration::from_mins(2)]);
    let Auth::Password { username, password } = config.smtp.auth else { panic!("no password") };
    assert_eq!(username, "12345");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&password.read().unwrap()), "hunter2");
}

#[test]
fn the_environment_sets_known_keys_only_and_no_recipients() {
    let folder = Folder::new();
    for (name, value, expected) in [
        (
            "INVOICE_MAILER__LISTS__ACCOUNTING__MEMBERS",
            "[]",
            "environment: lists.accounting.members: who gets which invoices cannot be set by environment",
        ),
        ("INVOICE_MAILER__PROFILES", "[]", "environment: profiles: who gets which invoices cannot be set"),
        (
            "INVOICE_MAILER__SMTP__PROT",
            "25",
            "smtp.prot: unknown key, did you mean `port`? (in `INVOICE_MAILER__SMTP__PROT`)",
        ),
        ("INVOICE_MAILER__", "25", "environment: \"\": unknown key"),
        ("INVOICE_MAILER__SMTP", "25", "environment: smtp: is a table: set one of its keys"),
        ("INVOICE_MAILER__SMTP__PORT", "many", "smtp.port: must be a whole number from 1 to 65535, written as in TOML"),
        ("INVOICE_MAILER__SMTP__PORT", "25\n[azure]", "smtp.port: must be a whole number from 1 to 65535"),
        ("INVOICE_MAILER__SMTP__PORT", "0", "environment: smtp.port: must be a whole number from 1 to 65535"),
        ("INVOICE_MAILER__SMTP__TLS", "ssl", "environment: smtp.tls: unknown value `ssl`, possible here: `implicit`"),
        ("INVOICE_MAILER__SMTP__PORT__X", "1", "smtp.port.x: unknown key"),
    ] {
        let problems = folder.load(&[BASE], &[(name, value)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains(expected), "{name}: {problems:#?}");
    }
}

#[test]
fn another_kind_or_place_replaces_the_earlier_one() {
    let folder = Folder::new();
    let first = BASE.replace(
        "{ kind = \"managed_identity\" }",
        "{ kind = \"client_secret\", client_id = \"c\", client_secret = { env = \"NOT_SET_ANYWHERE\" } }",
    );
    let kind = "[azure]\ncredential = { kind = \"azure_cli\" }\n";
    assert!(matches!(folder.load(&[&first, kind], &[]).unwrap().azure.credential, Credential::AzureCli { .. }));
    let place = "[azure.credential]\nclient_secret = { file = \"FOLDER/secret\" }\n";
    let config = folder.load(&[&first, place], &[]).unwrap();
    assert!(matches!(config.azure.credential, Credential::ClientSecret { client_id, .. } if client_id == "c"));
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let folder = Folder::new();
    let broken = folder.write("broken.toml", "a = 1\n\nb = = 2\nc = [\n", 0o644);
    let files = [folder.path("absent.toml"), broken];
    let problems = load(&files, [], TODAY).unwrap_err();
    let lines = folder.lines(&problems.to_string());
    assert!(lines[0].starts_with("absent.toml: cannot be read (No such file"), "{lines:#?}");
    assert!(lines[1].starts_with("broken.toml:3: not valid TOML: "), "{lines:#?}");
    assert_eq!(problems.as_slice()[1].line, Some(3));
}

#[test]
fn show_names_the_sources_and_hides_the_secrets() {
    let folder = Folder::new();
    let first = BASE.replace(
        "{ kind = \"managed_identity\" }",
        "{ kind = \"client_secret\", client_id = \"c\", client_secret = { file = \"FOLDER/secret\" }, token = \"hunter2\" }",
    );
    let second = "prot = 5\n[smtp]\nauth = { kind = \"password\", username = \"u\", password = \"hunter2\" }\n[ledger]\n\
                  url = \"postgres://user:hunter2@db/ledger\"\n";
    for url in ["postgres://db/ledger?user=u&password=hunter2", "postgres://u:pa#hunter2@db/ledger"] {
        let shown = folder.show(&[&second.replace("postgres://user:hunter2@db/ledger", url)], &[]).unwrap().join("\n");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let shown = folder.show(&[&first, second], &[("INVOICE_MAILER__SMTP__PORT", "2525")]).unwrap().join("\n");
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
    assert!(folder.show(&["a = "], &[]).unwrap_err()[0].starts_with("config.toml:1: not valid TOML"));
}
