//! `[[profiles]]` and `[lists]`: whose invoices go to whom.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::parse;
use super::problems::{KeyPath, Report, hint, quoted};
use super::raw;
use crate::domain::billing::{Agreement, Profile, Scope};
use crate::domain::document::DocumentKind;
use crate::domain::recipients::{List, Member, MemberKind};

pub(super) fn lists(report: &mut Report<'_>, raw: BTreeMap<String, raw::List>, today: Date) -> Vec<List> {
    let one = |(name, list): (String, raw::List)| {
        let at = KeyPath::of("lists").key(&name);
        report.note(&at, parse::alias(&name));
        let members = members(report, list, &at, today);
        List { name, members }
    };
    raw.into_iter().map(one).collect()
}

fn members(report: &mut Report<'_>, list: raw::List, at: &KeyPath, today: Date) -> Vec<Member> {
    let allowed = allowed_domains(report, list.allowed_domains, &at.key("allowed_domains"));
    let at = at.key("members");
    let given = list.members.unwrap_or_default();
    if given.is_empty() {
        report.missing(&at, "a list needs at least one member");
    }
    let mut members: Vec<Member> = Vec::new();
    for (index, raw) in given.into_iter().enumerate() {
        let at = at.index(index);
        let Some(member) = member(report, raw, &at, today) else { continue };
        let address = &member.address;
        if members.iter().any(|earlier| earlier.address.is_same_mailbox(address)) {
            report.push(&at.key("address"), format!("{} is in this list twice: keep one", quoted(&address.masked())));
        }
        if allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(|domain| domain == address.domain())) {
            let message = format!("the domain {} is not in `allowed_domains` of the list", quoted(address.domain()));
            report.push(&at.key("address"), message);
        }
        members.push(member);
    }
    members
}

fn allowed_domains(report: &mut Report<'_>, raw: Option<Vec<String>>, at: &KeyPath) -> Option<Vec<String>> {
    let domains = raw?;
    if domains.is_empty() {
        report.push(at, "is empty: name a domain, or leave the key out to allow all");
        return None;
    }
    report.each(&domains, at, parse::domain)
}

fn member(report: &mut Report<'_>, raw: raw::Member, at: &KeyPath, today: Date) -> Option<Member> {
    let address = report.required(raw.address, &at.key("address"), "the mail address");
    let address = address.and_then(|text| report.note(&at.key("address"), parse::address(&text)));
    let name = raw.name.and_then(|name| report.note(&at.key("name"), parse::display_name(&name)));
    let opted_at = at.key("opted_in_on");
    let opted = report.required(raw.opted_in_on, &opted_at, "the day on which the recipient agreed to be mailed");
    let opted = opted.and_then(|text| report.note(&opted_at, parse::day(&text)));
    if opted.is_some_and(|day| day > today) {
        report.push(&opted_at, format!("is in the future (today is {today}): nobody is mailed before agreeing"));
    }
    let kind = match raw.kind {
        None | Some(raw::MemberKind::Human) => MemberKind::Human,
        Some(raw::MemberKind::Erp) => MemberKind::Erp,
    };
    Some(Member { address: address?, name: name.flatten(), opted_in_on: opted?, kind })
}

pub(super) fn profiles(report: &mut Report<'_>, raw: Vec<raw::Profile>, lists: &[List]) -> Option<Vec<Profile>> {
    let at = KeyPath::of("profiles");
    if raw.is_empty() {
        report.missing(&at, "at least one `[[profiles]]` entry");
    }
    let mut names: Vec<String> = Vec::new();
    let mut profiles: Vec<Option<Profile>> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        if let Some(name) = &raw.name {
            if names.contains(name) {
                report.push(
                    &at.key("name"),
                    format!("a profile named {} exists already: names are unique", quoted(name)),
                );
            }
            names.push(name.clone());
        }
        let profile = profile(report, raw, &at, lists);
        let earlier = profile
            .as_ref()
            .and_then(|profile| profiles.iter().flatten().find(|earlier| earlier.scope.is_same(&profile.scope)));
        if let Some(earlier) = earlier {
            let (scope, name) = (&earlier.scope, quoted(&earlier.name));
            report.push(&at, format!("{scope} has an entry already, {name}: name all its `lists` there"));
        }
        profiles.push(profile);
    }
    profiles.into_iter().collect()
}

fn profile(report: &mut Report<'_>, raw: raw::Profile, at: &KeyPath, lists: &[List]) -> Option<Profile> {
    let name = report.required(raw.name.clone(), &at.key("name"), "an alias for logs, metrics and verbs");
    let name = name.and_then(|name| report.note(&at.key("name"), parse::alias(&name)));
    let agreement = report.required(raw.agreement, &at.key("agreement"), "`mca` or `mosp`");
    let scope = scope(report, &raw, agreement, at);
    let since_at = at.key("deliver_since");
    let since = raw.deliver_since.as_deref().map(|text| report.note(&since_at, parse::day(text)));
    let documents = documents(report, raw.documents, &at.key("documents"));
    let named = recipients(report, raw.lists, &at.key("lists"), lists);
    let agreement = match agreement? {
        raw::Agreement::Mca => Agreement::Mca,
        raw::Agreement::Mosp => Agreement::Mosp,
    };
    let deliver_since = match since {
        Some(day) => Some(day?),
        None => None,
    };
    Some(Profile { name: name?, agreement, scope: scope?, lists: named, documents, deliver_since })
}

fn scope(
    report: &mut Report<'_>,
    raw: &raw::Profile,
    agreement: Option<raw::Agreement>,
    at: &KeyPath,
) -> Option<Scope> {
    let mut id = |key: &str, text: &Option<String>| {
        text.as_deref().map(|text| report.note(&at.key(key), parse::azure_name(text)))
    };
    // Azure ignores their case, and the ledger keeps the account as a key.
    let account = id("billing_account", &raw.billing_account).map(|id| id.map(|id| id.to_ascii_lowercase()));
    let profile = id("billing_profile", &raw.billing_profile);
    let subscription = id("subscription", &raw.subscription).map(|id| id.map(|id| id.to_ascii_lowercase()));
    match agreement? {
        raw::Agreement::Mca => {
            if subscription.is_some() {
                report
                    .push(&at.key("subscription"), "belongs to `agreement = \"mosp\"`: give `billing_profile` instead");
            }
            let remedy = "the billing account's name, which `mca` needs";
            let account = report.required(account, &at.key("billing_account"), remedy)??;
            match profile {
                Some(profile) => Some(Scope::Profile { account, profile: profile? }),
                None => Some(Scope::Account { account }),
            }
        }
        raw::Agreement::Mosp => {
            if profile.is_some() {
                report
                    .push(&at.key("billing_profile"), "belongs to `agreement = \"mca\"`: give `subscription` instead");
            }
            let remedy = "the subscription's id, which `mosp` needs in this version";
            let subscription = report.required(subscription, &at.key("subscription"), remedy)??;
            let account = match account {
                Some(account) => Some(account?),
                None => None,
            };
            Some(Scope::Subscription { subscription, account })
        }
    }
}

fn documents(report: &mut Report<'_>, raw: Option<Vec<raw::Document>>, at: &KeyPath) -> Vec<DocumentKind> {
    use DocumentKind::{CreditNote, Invoice, TaxReceipt, VoidNote};
    let Some(kinds) = raw else { return vec![Invoice, CreditNote, TaxReceipt, VoidNote] };
    if kinds.is_empty() {
        report.push(at, "is empty: name the kinds to mail, or leave the key out");
    }
    let one = |kind| match kind {
        raw::Document::Invoice => Invoice,
        raw::Document::CreditNote => CreditNote,
        raw::Document::TaxReceipt => TaxReceipt,
        raw::Document::VoidNote => VoidNote,
        raw::Document::Summary => DocumentKind::Summary,
        raw::Document::Transactions => DocumentKind::Transactions,
    };
    kinds.into_iter().map(one).collect()
}

/// The names of the profile's lists, each known and named once, their members not at odds.
fn recipients(report: &mut Report<'_>, raw: Option<Vec<String>>, at: &KeyPath, lists: &[List]) -> Vec<String> {
    let names = raw.unwrap_or_default();
    if names.is_empty() {
        report.missing(at, "at least one list gets the invoices");
    }
    let mut seen: Vec<(&str, &Member)> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let at = at.index(index);
        if names[..index].contains(name) {
            report.push(&at, format!("the list {} is named twice: keep one", quoted(name)));
            continue;
        }
        let Some(list) = lists.iter().find(|list| list.name == *name) else {
            if !report.is_faulty(&KeyPath::of("lists").key(name)) {
                let hint = hint(name, lists.iter().map(|list| list.name.as_str()));
                report.push(&at, format!("there is no list {}{hint}", quoted(name)));
            }
            continue;
        };
        for member in &list.members {
            let same =
                |(list, other): &&(&str, &Member)| list != name && other.address.is_same_mailbox(&member.address);
            let at_odds = |other: &Member| other.kind != member.kind || other.name != member.name;
            if let Some((first, _)) = seen.iter().find(same).filter(|(_, other)| at_odds(other)) {
                let (who, first) = (quoted(&member.address.masked()), quoted(first));
                report
                    .push(&at, format!("{who} is in the list {first} too, with another kind or name: make them equal"));
            }
            seen.push((name, member));
        }
    }
    names
}
