//! Who may be mailed.
//!
//! A member is mailed only if the profile names its list, the list names the member, and the member opted in on a day
//! that has come. There is no default list and no wildcard.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use super::billing::Profile;
use super::document::{Document, DocumentKind};
use super::label::Label;

/// A mail address in its canonical form: ASCII, the domain in lower case.
///
/// `Debug` masks it; [`Address::as_str`] is for the envelope, the ledger and the operator's own verbs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(String);

/// Why a text is not an address that this program mails to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not `local@domain`.
    #[error("it is not of the form `name@domain`")]
    NotLocalAtDomain,
    /// The part before the `@` is quoted, too long, or has characters that RFC 5321 does not allow unquoted.
    #[error("the part before the `@` may hold letters, digits, single dots and !#$%&'*+-/=?^_`{{|}}~ only")]
    LocalPart,
    /// The domain is not a DNS name of two labels or more.
    #[error("the part after the `@` is not a domain name such as `contoso.example`")]
    Domain,
}

impl Address {
    /// The address in full.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Whether mail to both ends in the same mailbox: hardly a server tells local parts apart by case.
    #[must_use]
    pub fn is_same_mailbox(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The first character and the domain (`a…@contoso.example`): what logs, metrics and pages may show.
    #[must_use]
    pub fn masked(&self) -> String {
        let first = self.0.chars().next().unwrap_or('?');
        format!("{first}…@{}", self.domain())
    }
}

/// `text` with every mail address in it masked: what servers answer often names the recipient.
#[must_use]
pub fn mask_addresses(text: &str) -> String {
    let in_address = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_address) {
        let word_on = &rest[start..];
        let word = &word_on[..word_on.find(|c| !in_address(c)).unwrap_or(word_on.len())];
        masked.push_str(&rest[..start]);
        match word.split_once('@') {
            Some((local, domain)) => {
                masked.extend(local.chars().next());
                masked.push('…');
                masked.push('@');
                masked.push_str(domain);
            }
            None => masked.push_str(word),
        }
        rest = &word_on[word.len()..];
    }
    masked + rest
}

impl FromStr for Address {
    type Err = BadAddress;

    /// Reads an unquoted ASCII mailbox with a DNS domain (RFC 5321 4.1.2 without quoted strings and address literals).
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(BadAddress::NotLocalAtDomain)?;
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let dot_atom = local.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
        if !dot_atom || local.len() > 64 {
            return Err(BadAddress::LocalPart);
        }
        if !is_domain(domain) {
            return Err(BadAddress::Domain);
        }
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }
}

fn is_domain(domain: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(label)
        && !last.chars().all(|c| c.is_ascii_digit())
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Who reads a member's mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberKind {
    /// A person or a team: all documents of an invoice in one mail.
    #[default]
    Human,
    /// An import mailbox: exactly one PDF a mail, invoices and credit notes only.
    Erp,
}

impl MemberKind {
    /// The configuration's and the ledger's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Erp => "erp",
        }
    }
}

/// One opted-in mailbox of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The address.
    pub address: Address,
    /// The display name in `To:`.
    pub name: Option<Label>,
    /// The day the member opted in; before it nothing is mailed.
    pub opted_in_on: Date,
    /// Who reads the mailbox.
    pub kind: MemberKind,
}

/// A recipient list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The list's name in the configuration.
    pub name: String,
    /// Its members, in order.
    pub members: Vec<Member>,
}

/// A mail that is to be recorded: one recipient, some documents of one invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMail {
    /// The list that names the recipient.
    pub list: String,
    /// The recipient.
    pub member: Member,
    /// The keys of the documents, in the invoice's order; never empty.
    pub documents: Vec<String>,
}

/// The mails that `documents` of one invoice of `profile` give on `today`: the whole opt-in rule.
///
/// An address in several lists gets one mail, the first list wins.
#[must_use]
pub fn plan(profile: &Profile, lists: &[List], documents: &[Document], today: Date) -> Vec<PlannedMail> {
    let wanted: Vec<&Document> = documents.iter().filter(|d| profile.wants(&d.kind)).collect();
    let mut planned: Vec<PlannedMail> = Vec::new();
    for name in &profile.lists {
        for list in lists.iter().filter(|list| list.name == *name) {
            for member in list.members.iter().filter(|member| member.opted_in_on <= today) {
                if planned.iter().any(|earlier| earlier.member.address.is_same_mailbox(&member.address)) {
                    continue;
                }
                for documents in batches(member.kind, &wanted) {
                    planned.push(PlannedMail { list: list.name.clone(), member: member.clone(), documents });
                }
            }
        }
    }
    planned
}

/// Which documents go into which mail: all into one for a person, one each for an import mailbox.
fn batches(kind: MemberKind, documents: &[&Document]) -> Vec<Vec<String>> {
    match kind {
        MemberKind::Human if documents.is_empty() => Vec::new(),
        MemberKind::Human => vec![documents.iter().map(|d| d.key.clone()).collect()],
        MemberKind::Erp => documents
            .iter()
            .filter(|d| matches!(d.kind, DocumentKind::Invoice | DocumentKind::CreditNote))
            .map(|d| vec![d.key.clone()])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::billing::{Agreement, Scope};
    use jiff::civil::date;

    #[test]
    fn addresses_are_strict_and_canonical() {
        for (text, expected) in [
            ("ap@Contoso.Example", Some("ap@contoso.example")),
            ("AP+azure@contoso.example", Some("AP+azure@contoso.example")),
            ("a@b", None),
            ("a@[127.0.0.1]", None),
            ("a@127.0.0.1", None),
            ("\"a b\"@contoso.example", None),
            ("a..b@contoso.example", None),
            ("a@contoso.example,b@contoso.example", None),
            ("a\r\nBcc: x@contoso.example", None),
            ("é@contoso.example", None),
            ("a@contoso.example.", None),
            ("<script>@contoso.example", None),
            ("", None),
        ] {
            let read = text.parse::<Address>().ok();
            assert_eq!(read.as_ref().map(Address::as_str), expected, "{text:?}");
        }
        let address: Address = "accounts@contoso.example".parse().unwrap();
        assert_eq!(format!("{address:?}"), "a…@contoso.example");
    }

    #[test]
    fn addresses_in_a_text_are_masked() {
        for (text, masked) in [
            ("550 5.1.1 <ap@contoso.example>: unknown", "550 5.1.1 <a…@contoso.example>: unknown"),
            ("no such user ap@a.example, b+c@d.example.", "no such user a…@a.example, b…@d.example."),
            ("450 4.7.1 try later (x=1; y=/z)", "450 4.7.1 try later (x=1; y=/z)"),
            ("@", "…@"),
            ("é@contoso.example", "é…@contoso.example"),
            ("", ""),
        ] {
            assert_eq!(mask_addresses(text), masked);
        }
    }

    fn member(address: &str, kind: MemberKind, day: i8) -> Member {
        Member { address: address.parse().unwrap(), name: None, opted_in_on: date(2026, 11, day), kind }
    }

    fn document(key: &str, kind: DocumentKind) -> Document {
        Document { key: key.into(), name: None, kind, numbers: vec![], url: None, external_url: None, source: None }
    }

    #[test]
    fn only_opted_in_members_of_named_lists_are_planned() {
        let profile = Profile {
            name: "p".into(),
            agreement: Agreement::Mca,
            scope: Scope::Account { account: "a".into() },
            lists: vec!["first".into(), "second".into()],
            documents: vec![DocumentKind::Invoice, DocumentKind::TaxReceipt],
            deliver_since: None,
        };
        let list = |name: &str, members: Vec<Member>| List { name: name.into(), members };
        let lists = [
            list("unnamed", vec![member("nobody@c.example", MemberKind::Human, 1)]),
            list(
                "second",
                vec![member("ap@c.example", MemberKind::Human, 1), member("erp@c.example", MemberKind::Erp, 1)],
            ),
            list(
                "first",
                vec![member("ap@c.example", MemberKind::Human, 1), member("late@c.example", MemberKind::Human, 20)],
            ),
        ];
        let documents = [
            document("i", DocumentKind::Invoice),
            document("t", DocumentKind::TaxReceipt),
            document("v", DocumentKind::VoidNote),
            document("x", DocumentKind::Other("New".into())),
        ];
        let plan: Vec<_> = plan(&profile, &lists, &documents, date(2026, 11, 10))
            .into_iter()
            .map(|p| (p.list, p.member.address.as_str().to_owned(), p.documents.join("+")))
            .collect();
        let expected = [("first", "ap@c.example", "i+t+x"), ("second", "erp@c.example", "i")];
        assert_eq!(plan, expected.map(|(a, b, c)| (a.into(), b.into(), c.into())));
    }
}
