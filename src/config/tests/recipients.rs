//! Profiles, lists and members: each rule as an edit of a good file and the one problem that it gives.

use super::rules::{each_gives_one_problem, edited};
use super::*;

const MEMBER: &str = "{ address = \"ap@contoso.example\", opted_in_on = 2026-01-15 },";

#[test]
fn profile_rules() {
    const ACCOUNT: &str = "billing_account = \"account-1\"\n";
    const LISTS: &str = "lists = [\"Accounting\"]";
    each_gives_one_problem(&[
        ("name = \"engineering\"\n", "", "config.toml:6: profiles[0].name: required"),
        ("\"engineering\"", "\"a/b\"", "profiles[0].name: `a/b` is not a usable name"),
        ("\"mca\"", "\"ea\"", "profiles[0].agreement: `ea` is not supported by this version: use `mca`, `mosp`"),
        ("\"mca\"", "\"mpa\"", "`mpa` is not supported by this version"),
        ("agreement = \"mca\"", "", "profiles[0].agreement: required: `mca` or `mosp`"),
        (ACCOUNT, "", "profiles[0].billing_account: required"),
        (ACCOUNT, "billing_account = \"/providers/Microsoft.Billing/billingAccounts/x\"\n", "its last part only, `x`"),
        (ACCOUNT, "billing_account = \"a b\"\n", "`a b` is not an id of Azure"),
        (ACCOUNT, "billing_account = \"a\"\nsubscription = \"s\"\n", "subscription: belongs to `agreement = \"mosp\"`"),
        (
            "agreement = \"mca\"",
            "agreement = \"mosp\"\nsubscription = \"s\"",
            "billing_profile: belongs to `agreement = \"mca\"`",
        ),
        (
            "agreement = \"mca\"\nbilling_account = \"account-1\"\nbilling_profile = \"profile-1\"",
            "agreement = \"mosp\"",
            "subscription: required",
        ),
        (LISTS, "", "profiles[0].lists: required"),
        (LISTS, "lists = []", "profiles[0].lists: required"),
        (
            LISTS,
            "lists = [\"Acounting\"]",
            "profiles[0].lists[0]: there is no list `Acounting`, did you mean `Accounting`?",
        ),
        (
            LISTS,
            "lists = [\"Accounting\", \"Accounting\"]",
            "profiles[0].lists[1]: the list `Accounting` is named twice",
        ),
        (LISTS, "lists = [\"Accounting\", 5]", "profiles[0].lists[1]: must be a text in quotes"),
        (
            LISTS,
            "lists = [\"Accounting\"]\ndocuments = [\"tax_reciept\"]",
            "documents[0]: unknown value `tax_reciept`, did you mean `tax_receipt`?",
        ),
        (LISTS, "lists = [\"Accounting\"]\ndocuments = []", "profiles[0].documents: is empty"),
        (LISTS, "lists = [\"Accounting\"]\ndeliver_since = \"1 May\"", "deliver_since: `1 May` is not a day"),
        (LISTS, "lists = [\"Accounting\"]\ndeliver_since = 2026-05-01T00:00:00Z", "is not a day"),
        (
            LISTS,
            "lists = [\"Accounting\"]\n[[profiles]]\nname = \"engineering\"\nagreement = \"mca\"\nbilling_account = \"b\"\nlists = [\"Accounting\"]",
            "profiles[1].name: a profile named `engineering` exists already",
        ),
        (
            LISTS,
            "lists = [\"Accounting\"]\n[[profiles]]\nname = \"again\"\nagreement = \"mca\"\nbilling_account = \"Account-1\"\nbilling_profile = \"PROFILE-1\"\nlists = [\"Accounting\"]",
            "profiles[1]: billing profile profile-1 of billing account account-1 has an entry already, `engineering`: name all its `lists` there",
        ),
    ]);
}

#[test]
fn scopes_follow_the_agreement() {
    use crate::domain::billing::Scope;
    let folder = Folder::new();
    let account = edited(&folder, &[("billing_profile = \"profile-1\"\n", "")]).unwrap();
    assert_eq!(account.profiles[0].scope, Scope::Account { account: "account-1".into() });
    let mosp = "subscription = \"s\"\ndeliver_since = 2026-05-01\ndocuments = [\"invoice\"]\n";
    let mosp = edited(&folder, &[("\"mca\"", "\"mosp\""), ("billing_profile = \"profile-1\"\n", mosp)]).unwrap();
    let scope = Scope::Subscription { subscription: "s".into(), account: Some("account-1".into()) };
    assert_eq!(mosp.profiles[0].scope, scope);
    assert_eq!(mosp.profiles[0].deliver_since, Some(date(2026, 5, 1)));
}

#[test]
fn member_rules() {
    each_gives_one_problem(&[
        (MEMBER, "", "lists.Accounting.members: required: a list needs at least one member"),
        (
            "members = [\n  { address = \"ap@contoso.example\", opted_in_on = 2026-01-15 },\n]",
            "",
            "lists.Accounting.members: required",
        ),
        (MEMBER, "5", "config.toml:15: lists.Accounting.members[0]: must be a table"),
        (MEMBER, "{ opted_in_on = 2026-01-15 }", "members[0].address: required"),
        (MEMBER, "{ address = \"ap@contoso.example\" }", "members[0].opted_in_on: required"),
        (
            MEMBER,
            "{ address = \"ap@contoso.example\", opted_in_on = 2026-11-21 }",
            "is in the future (today is 2026-11-20)",
        ),
        (MEMBER, "{ address = \"ap@contoso.example\", opted_in_on = 2026-02-30 }", "not valid TOML"),
        (
            MEMBER,
            "{ address = \"ap@contoso.example\", opted_in_on = 2026-01-15, kind = \"robot\" }",
            "kind: unknown value `robot`, possible here: `human`, `erp`",
        ),
        (
            MEMBER,
            "{ address = \"ap@contoso.example\", opted_in_on = 2026-01-15, name = \"a\\r\\nBcc: b\" }",
            "name: the name has control characters",
        ),
        (
            MEMBER,
            "{ address = \"ap@contoso.example\\r\\nBcc: b@c.example\", opted_in_on = 2026-01-15 }",
            "config.toml:15: lists.Accounting.members[0].address: not a mail address",
        ),
        (MEMBER, "{ address = \"a@c.example, b@c.example\", opted_in_on = 2026-01-15 }", "not a mail address"),
        (MEMBER, "{ address = \"<script>@c.example\", opted_in_on = 2026-01-15 }", "not a mail address"),
        (MEMBER, "{ address = \"a@[127.0.0.1]\", opted_in_on = 2026-01-15 }", "not a mail address"),
        (
            MEMBER,
            "{ address = \"ap@münchen.example\", opted_in_on = 2026-01-15 }",
            "write it as punycode, `xn--mnchen-3ya.example`",
        ),
    ]);
}

#[test]
fn list_rules() {
    let other = |member: &str| format!("lists = [\"Accounting\", \"b\"]\n[lists.b]\nmembers = [{member}]");
    let erp = other("{ address = \"ap@CONTOSO.example\", opted_in_on = 2026-01-15, kind = \"erp\" }");
    let named = other("{ address = \"ap@contoso.example\", opted_in_on = 2026-01-15, name = \"N\" }");
    each_gives_one_problem(&[
        (
            "15 },",
            "15 }, { address = \"AP@CONTOSO.example\", opted_in_on = 2026-01-15 }",
            "members[1].address: `A…@contoso.example` is in this list twice",
        ),
        (
            "15 },\n]",
            "15 },\n]\nallowed_domains = [\"other.example\"]",
            "members[0].address: the domain `contoso.example` is not in `allowed_domains`",
        ),
        ("15 },\n]", "15 },\n]\nallowed_domains = []", "allowed_domains: is empty"),
        (
            "15 },\n]",
            "15 },\n]\nallowed_domains = [\"contoso.example\", \"*.x\"]",
            "allowed_domains[1]: `*.x` is not a domain",
        ),
        (
            "[lists.Accounting]",
            "[lists.\"a b\"]\nmembers = [{ address = \"ap@contoso.example\", opted_in_on = 2026-01-15 }]\n[lists.Accounting]",
            "lists.\"a b\": `a b` is not a usable name",
        ),
        (
            "lists = [\"Accounting\"]",
            &erp,
            "profiles[0].lists[1]: `a…@contoso.example` is in the list `Accounting` too, with another kind or name",
        ),
        ("lists = [\"Accounting\"]", &named, "with another kind or name"),
    ]);
    let tagged = "15 }, { address = \"ap+azure@contoso.example\", opted_in_on = 2026-11-20 }";
    let domains = "[lists.Accounting]\nallowed_domains = [\"Contoso.Example\"]";
    let config = edited(&Folder::new(), &[("15 },", tagged), ("[lists.Accounting]", domains)]).unwrap();
    assert_eq!(config.lists[0].members.len(), 2);
}
