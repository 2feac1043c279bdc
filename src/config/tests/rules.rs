//! Each rule as a row: an edit of a good file, and the one problem that it gives.

use super::*;

/// Applies `find → replace` edits to [`BASE`] and loads it.
pub(super) fn edited(folder: &Folder, edits: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let text = edits.iter().fold(BASE.to_owned(), |text, (find, replace)| {
        assert!(text.contains(find), "{find}");
        text.replacen(find, replace, 1)
    });
    folder.load(&[&text], &[])
}

pub(super) fn each_gives_one_problem(rows: &[(&str, &str, &str)]) {
    let folder = Folder::new();
    for (find, replace, expected) in rows {
        let problems = edited(&folder, &[(find, replace)]).expect_err(replace);
        assert_eq!(problems.len(), 1, "{replace}: {problems:#?}");
        assert!(problems[0].contains(expected), "{replace}: {problems:#?}");
    }
}

const CREDENTIAL: &str = "{ kind = \"managed_identity\" }";

#[test]
fn ten_faults_are_ten_problems() {
    let folder = Folder::new();
    let text = include_str!("ten_faults.toml");
    let problems = folder.load(&[text], &[]).unwrap_err();
    insta::assert_snapshot!(problems.join("\n"));
    assert_eq!(problems.len(), 10);
    assert!(!problems.join("").contains("hunter2"));
}

#[test]
fn top_level_rules() {
    each_gives_one_problem(&[
        ("[azure]", "instence = \"a\"\n[azure]", "config.toml:2: instence: unknown key, did you mean `instance`?"),
        ("[azure]", "instance = \"a b\"\n[azure]", "instance: `a b` is not a usable name"),
        ("[azure]", "time_zone = \"Europe/Amsterdm\"\n[azure]", "did you mean `Europe/Amsterdam`?"),
        (
            "[azure]",
            "[ledger]\nurl = \"postgres://u:p@h/d\"\n[azure]",
            "ledger.url: PostgreSQL is not supported by this version",
        ),
        ("[azure]", "[ledger]\nurl = \"sqlite://relative/x\"\n[azure]", "ledger.url: not the path of a file"),
        ("[azure]", "[ledger]\nurl = \"sqlite::memory:\"\n[azure]", "ledger.url: not the path of a file"),
        ("[azure]", "[ledger]\nurl = \"/var/x\"\n[azure]", "ledger.url: not the address of a ledger"),
        ("[azure]", "[archive]\nurl = \"s3://bucket\"\n[azure]", "archive.url: object stores are not supported"),
        ("[azure]", "[archive]\nurl = \"file://host/x\"\n[azure]", "archive.url: not the address of a folder"),
        ("[azure]", "[archive]\nurl = \"archive\"\n[azure]", "archive.url: not the address of a folder"),
        (
            "[azure]",
            "[log]\nformat = \"journald\"\n[azure]",
            "log.format: `journald` is not supported by this version: use `auto`",
        ),
        ("[azure]", "[log]\nformat = \"prety\"\n[azure]", "log.format: unknown value `prety`, did you mean `pretty`?"),
        ("[azure]", "[web]\n[azure]", "web: unknown key"),
    ]);
    for (url, path) in [("sqlite:///a%20b/c.db", "/a b/c.db"), ("sqlite:ledger/x.db", "ledger/x.db")] {
        let config = edited(&Folder::new(), &[("[azure]", &format!("[ledger]\nurl = \"{url}\"\n[azure]"))]).unwrap();
        assert_eq!(config.ledger, PathBuf::from(path));
    }
}

#[test]
fn azure_rules() {
    let azure = |key: &str| format!("[azure]\n{key}");
    let rows = [
        ("cloud = \"china\"", "azure.cloud: `china` is not supported by this version: use `public`"),
        ("cloud = \"publik\"", "azure.cloud: unknown value `publik`, did you mean `public`?"),
        ("management_endpoint = \"http://azure.example\"", "plain http is for loopback only"),
        ("management_endpoint = \"https://azure.example/x\"", "nothing may follow the host and port"),
        ("management_endpoint = \"https://azure.example?x\"", "nothing may follow the host and port"),
        ("management_endpoint = \"https://u:p@azure.example\"", "must not hold a user name or password"),
        ("management_endpoint = \"ftp://localhost\"", "it is not https"),
        ("management_endpoint = \"azure\"", "not a usable address"),
        ("document_hosts = []", "azure.document_hosts: is empty"),
        ("document_hosts = [\"a.example\", \"*\"]", "azure.document_hosts[1]: `*` is not a host"),
        ("document_hosts = [\"*.127.0.0.1\"]", "is not a host"),
        ("document_hosts = [\"https://a.example\"]", "a port may be given on loopback only"),
        ("document_hosts = [\"a.example:8080\"]", "a port may be given on loopback only"),
    ];
    let folder = Folder::new();
    for (key, expected) in rows {
        let problems = edited(&folder, &[("[azure]", &azure(key))]).expect_err(key);
        assert_eq!(problems.len(), 1, "{key}: {problems:#?}");
        assert!(problems[0].contains(expected), "{key}: {problems:#?}");
    }
    let hosts = "[azure]\nmanagement_endpoint = \"http://[::1]:8080\"\ndocument_hosts = [\"LOCALHOST:1\", \"[::1]:2\", \"*.B.example\"]";
    let config = edited(&folder, &[("[azure]", hosts)]).unwrap();
    assert_eq!(config.azure.document_hosts, ["localhost:1", "[::1]:2", "*.b.example"]);
}

#[test]
fn credential_rules() {
    const SECRET: &str = "client_id = \"c\", client_secret = { file = \"FOLDER/secret\" }";
    let place = |place: &str| format!("{{ kind = \"client_secret\", client_id = \"c\", client_secret = {place} }}");
    let folder = Folder::new();
    folder.write("open", "hunter2", 0o604);
    folder.write("empty", "\n", 0o600);
    for (credential, expected) in [
        ("{}".into(), "azure.credential.kind: required: `client_secret`, `workload_identity`"),
        ("{ kind = \"client_certificate\" }".into(), "`client_certificate` is not supported by this version"),
        ("{ kind = \"client_secert\" }".into(), "did you mean `client_secret`?"),
        ("{ kind = \"client_secret\", client_id = \"c\" }".into(), "azure.credential.client_secret: required"),
        (
            "{ kind = \"client_secret\", client_secret = { file = \"FOLDER/secret\" } }".into(),
            "credential.client_id: required",
        ),
        (
            format!("{{ kind = \"client_secret\", token_file = \"/t\", {SECRET} }}"),
            "token_file: does not belong to this `kind`",
        ),
        ("{ kind = \"managed_identity\", tenant_id = \"t\" }".into(), "tenant_id: does not belong to this `kind`"),
        ("{ kind = \"azure_cli\", client_id = \"c\" }".into(), "client_id: does not belong to this `kind`"),
        ("{ kind = \"azure_cli\", tenant_id = \"a b\" }".into(), "`a b` is not an id of Azure"),
        (
            "{ kind = \"static_token\", token = { file = \"FOLDER/secret\" } }".into(),
            "for a loopback `azure.management_endpoint` only",
        ),
        (place("\"hunter2\""), "client_secret: a secret may stand in the configuration for loopback use only"),
        (place("5"), "client_secret: must be `{ file = \"…\" }` or `{ env = \"…\" }`"),
        (place("{}"), "client_secret: required: use `{ file"),
        (place("{ file = \"FOLDER/secret\", env = \"X\" }"), "`file` and `env` exclude each other"),
        (
            place("{ fiel = \"FOLDER/secret\", env = \"PATH\" }"),
            "client_secret.fiel: unknown key, did you mean `file`?",
        ),
        (place("{ env = \"INVOICE_MAILER_TEST_UNSET\" }"), "`INVOICE_MAILER_TEST_UNSET` is not set"),
        (place("{ env = \"A=B\" }"), "not the name of an environment variable"),
        (place("{ file = \"FOLDER/absent\" }"), "absent`: No such file"),
        (place("{ file = \"FOLDER/open\" }"), "is readable by others (mode 604)"),
        (place("{ file = \"FOLDER/empty\" }"), "is empty"),
    ] {
        let problems = edited(&folder, &[(CREDENTIAL, &credential)]).expect_err(&credential);
        assert_eq!(problems.len(), 1, "{credential}: {problems:#?}");
        assert!(problems[0].contains(expected), "{credential}: {problems:#?}");
        assert!(!problems[0].contains("hunter2"));
    }
    let without_tenant = [
        (CREDENTIAL, format!("{{ kind = \"client_secret\", {SECRET} }}")),
        ("tenant_id = \"tenant-1\"", String::new()),
    ];
    let without_tenant = without_tenant.each_ref().map(|(find, replace)| (*find, replace.as_str()));
    let problems = edited(&folder, &without_tenant).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("azure.tenant_id: required"), "{problems:#?}");
    let loopback = "{ kind = \"static_token\", token = \"canary\" }\nmanagement_endpoint = \"http://127.0.0.2:1\"";
    let config = edited(&folder, &[(CREDENTIAL, loopback)]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn smtp_rules() {
    let smtp = |key: &str| format!("[smtp]\n{key}");
    let folder = Folder::new();
    folder.write("not.pem", "certificate", 0o644);
    for (key, expected) in [
        ("port = 0", "smtp.port: must be a whole number from 1 to 65535"),
        ("port = \"587\"", "smtp.port: must be a whole number from 1 to 65535"),
        ("port = true", "smtp.port: must be a whole number from 1 to 65535"),
        ("port = 65536", "smtp.port: must be a whole number from 1 to 65535"),
        ("max_connections = 51", "smtp.max_connections: must be a whole number from 1 to 50"),
        ("per_minute = 100001", "smtp.per_minute: must be a whole number from 1 to 100000"),
        ("prot = 25", "config.toml:19: smtp.prot: unknown key, did you mean `port`?"),
        ("tls = \"none\"", "smtp.tls: mail goes in plain text on loopback only"),
        (
            "tls = \"opportunistic\"",
            "smtp.tls: unknown value `opportunistic`, possible here: `implicit`, `starttls`, `none`",
        ),
        ("ca_file = \"FOLDER/absent.pem\"", "smtp.ca_file: cannot read"),
        ("ca_file = \"FOLDER/not.pem\"", "holds no certificate in PEM"),
        ("reply_to = \"nobody\"", "smtp.reply_to: not a mail address: it is not of the form"),
        ("return_path = \"Me <a@b.example>\"", "smtp.return_path: not a mail address"),
        ("auth = { kind = \"xoauth2\" }", "smtp.auth.kind: `xoauth2` is not supported by this version"),
        ("auth = { username = \"u\" }", "smtp.auth.username: needs `kind = \"password\"`"),
        ("auth = { kind = \"password\", username = \"u\" }", "smtp.auth.password: required"),
        ("auth = { kind = \"password\", password = { file = \"FOLDER/secret\" } }", "smtp.auth.username: required"),
        (
            "auth = { kind = \"password\", username = \"\", password = { file = \"FOLDER/secret\" } }",
            "smtp.auth.username: is empty",
        ),
        (
            "auth = { kind = \"password\", username = \"u\", password = \"hunter2\" }",
            "smtp.auth.password: a secret may stand in the configuration for loopback",
        ),
        (
            "auth = { kind = \"password\", username = \"u\", password = { file = \"relative\" } }",
            "$CREDENTIALS_DIRECTORY",
        ),
    ] {
        let problems = edited(&folder, &[("[smtp]", &smtp(key))]).expect_err(key);
        assert_eq!(problems.len(), 1, "{key}: {problems:#?}");
        assert!(problems[0].contains(expected), "{key}: {problems:#?}");
        assert!(!problems[0].contains("hunter2"));
    }
    each_gives_one_problem(&[
        ("host = \"smtp.contoso.example\"\n", "", "config.toml:18: smtp.host: required"),
        (
            "\"smtp.contoso.example\"",
            "\"smtp.contoso.example:587\"",
            "smtp.host: `smtp.contoso.example:587` is not a host name",
        ),
        ("Invoices <invoices@contoso.example>", "Invoices <invoices>", "smtp.from: not a mail address"),
        ("Invoices <", "Invoices\\r\\nX: y <", "smtp.from: the name has control characters"),
    ]);
}

#[test]
fn loopback_relays_may_do_without_tls_and_patience() {
    let folder = Folder::new();
    let relay = "tls = \"none\"\nauth = { kind = \"password\", username = \"u\", password = \"canary\" }";
    for host in ["localhost", "127.9.9.9", "::1", "[::1]"] {
        let edits = [
            ("\"smtp.contoso.example\"", format!("\"{host}\"\n{relay}")),
            ("[azure]", "[delivery]\nin_doubt_wait = \"500ms\"\n[azure]".to_owned()),
        ];
        let config = edited(&folder, &edits.each_ref().map(|(find, replace)| (*find, replace.as_str()))).unwrap();
        assert_eq!(config.smtp.tls, Tls::None);
        assert!(!config.smtp.host.contains('['));
        assert!(!format!("{config:?}").contains("canary"));
    }
    let implicit = edited(&folder, &[("[smtp]", "[smtp]\ntls = \"implicit\"")]).unwrap();
    assert_eq!(implicit.smtp.port, 465);
    folder.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644);
    let trusting = edited(&folder, &[("[smtp]", "[smtp]\nca_file = \"FOLDER/ca.pem\"")]).unwrap();
    assert_eq!(trusting.smtp.ca_file, Some(folder.path("ca.pem")));
    let quoted =
        edited(&folder, &[("\"Invoices <invoices@contoso.example>\"", "'\"Contoso, Inc.\" <i@contoso.example>'")]);
    assert_eq!(quoted.unwrap().smtp.from_name.unwrap().as_str(), "Contoso, Inc.");
}

#[test]
fn delivery_rules() {
    let delivery = |key: &str| format!("[delivery]\n{key}\n[azure]");
    let folder = Folder::new();
    for (key, expected) in [
        ("retry = []", "delivery.retry: required: at least one wait"),
        ("retry = [\"5m\", \"5 min\"]", "delivery.retry[1]: `5 min` is not a duration: write `30s`"),
        ("retry = [\"0s\"]", "`0s` is out of range"),
        ("give_up_after = \"5\"", "`5` is not a duration"),
        ("give_up_after = \"4000d\"", "`4000d` is out of range"),
        ("max_backfill = \"-1d\"", "`-1d` is not a duration"),
        ("on_in_doubt = \"ignore\"", "on_in_doubt: unknown value `ignore`, possible here: `resend`, `hold`"),
        ("in_doubt_wait = \"659s\"", "delivery.in_doubt_wait: must be at least 660s"),
        ("retry = 5", "delivery.retry: must be a list in square brackets"),
    ] {
        let problems = edited(&folder, &[("[azure]", &delivery(key))]).expect_err(key);
        assert_eq!(problems.len(), 1, "{key}: {problems:#?}");
        assert!(problems[0].contains(expected), "{key}: {problems:#?}");
    }
    let config =
        edited(&folder, &[("[azure]", &delivery("in_doubt_wait = \"660s\"\non_in_doubt = \"hold\""))]).unwrap();
    assert_eq!(config.delivery.on_in_doubt, crate::domain::retry::OnInDoubt::Hold);
}

#[test]
fn an_unknown_kind_hides_nothing_beside_it() {
    let folder = Folder::new();
    let problems = edited(
        &folder,
        &[
            (CREDENTIAL, "{ kind = \"secret\", client_id = \"a b\", client_secret = { file = \"/nowhere/azure\" } }"),
            ("agreement = \"mca\"", "agreement = \"mcb\""),
            ("\"profile-1\"", "\"p 1\""),
            ("[smtp]", "[smtp]\nauth = { kind = \"pasword\", password = { file = \"/nowhere/smtp\" } }"),
        ],
    );
    let problems = problems.unwrap_err().join("\n");
    for place in [
        "azure.credential.kind",
        "azure.credential.client_id",
        "azure.credential.client_secret",
        "profiles[0].agreement",
        "profiles[0].billing_profile",
        "smtp.auth.kind",
        "smtp.auth.password",
    ] {
        assert!(problems.contains(&format!("{place}: ")), "{place}: {problems}");
    }
}
