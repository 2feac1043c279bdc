//! Subject, text and HTML of a mail, all from one model, so that they cannot say different things.

use minijinja::{AutoEscape, Environment, Value, context};

use crate::domain::document::DocumentKind;
use crate::domain::invoice::utc_day;
use crate::domain::label::Label;
use crate::domain::mail::Mail;
use crate::domain::money::Money;

use super::Error;

/// The longest display name in a subject, in characters: the number and the day stay visible.
const SUBJECT_NAME_CHARS: usize = 60;

/// The text of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// The templates, compiled once.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    reply_to: String,
}

const SUBJECT: (&str, &str) = ("invoice/en/subject", include_str!("../../templates/invoice/en/subject.jinja"));
const TEXT: (&str, &str) = ("invoice/en/text", include_str!("../../templates/invoice/en/text.jinja"));
const HTML: (&str, &str) = ("invoice/en/html", include_str!("../../templates/invoice/en/html.jinja"));

impl Templates {
    /// Compiles the templates; `reply_to` is whom a reader writes to who wants to leave the list.
    ///
    /// # Errors
    /// If a template has a syntax error.
    pub fn new(reply_to: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(
            |name| {
                if name.ends_with("/html") { AutoEscape::Html } else { AutoEscape::None }
            },
        );
        for (name, source) in [SUBJECT, TEXT, HTML] {
            environment.add_template(name, source).map_err(|source| Error::Render { name, source })?;
        }
        Ok(Self { environment, reply_to: reply_to.to_owned() })
    }

    /// Renders one mail.
    ///
    /// # Errors
    /// If a template asks for something that the model does not have.
    pub fn render(&self, mail: &Mail) -> Result<Rendered, Error> {
        let model = model(mail, &self.reply_to);
        let render = |name: &'static str| {
            let template = self.environment.get_template(name);
            template.and_then(|template| template.render(&model)).map_err(|source| Error::Render { name, source })
        };
        let subject = render(SUBJECT.0)?.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Rendered { subject, text: render(TEXT.0)?, html: render(HTML.0)? })
    }
}

fn model(mail: &Mail, reply_to: &str) -> Value {
    let invoice = &mail.invoice;
    let what = what(mail);
    let number = invoice.number();
    let headline = match invoice.subject_name() {
        Some(name) => format!("Azure {} {number} for {name}", what.to_lowercase()),
        None => format!("Azure {} {number}", what.to_lowercase()),
    };
    let name: Option<String> =
        invoice.subject_name().map(|name| name.as_str().chars().take(SUBJECT_NAME_CHARS).collect());
    let again = (mail.generation > 1).then_some("This is a copy of an earlier mail, sent again on request.");
    context! {
        what,
        number => number.as_str(),
        name,
        issued_on => invoice.issued_on().map(|day| day.to_string()),
        generation => mail.generation,
        headline,
        facts => facts(mail),
        attached => attached(mail),
        again,
        why => format!("You get this mail because {} is on the recipient list \"{}\" of \"{}\".",
                       mail.to.as_str(), mail.list, mail.profile),
        leave => format!("To be taken off this list, write to {reply_to}."),
        sender => "invoice-mailer",
    }
}

/// What the mail brings: the invoice's own kind, or that of the only kind of document attached.
fn what(mail: &Mail) -> String {
    let mut kinds = mail.documents.iter().map(|document| &document.kind);
    let kind = match kinds.next() {
        Some(first) if *first != DocumentKind::Invoice && kinds.all(|kind| kind == first) => first,
        _ => &mail.invoice.document_type,
    };
    match (kind, &mail.invoice.document_type) {
        (kind, own) if kind == own => kind.words().to_owned(),
        (kind, own) => format!("{} for {}", kind.words(), own.words().to_lowercase()),
    }
}

/// The facts of an invoice, a label and a value each; what Azure did not say is left out.
fn facts(mail: &Mail) -> Vec<Value> {
    let invoice = &mail.invoice;
    let amounts = &invoice.amounts;
    let day = |at: Option<jiff::Timestamp>| at.map(|at| utc_day(at).to_string());
    let period = match (day(invoice.period_start), day(invoice.period_end)) {
        (Some(start), Some(end)) => Some(format!("{start} to {end}")),
        _ => None,
    };
    let money = |amount: &Option<Money>| amount.as_ref().map(ToString::to_string);
    let label = |text: &Option<Label>| text.as_ref().map(ToString::to_string);
    let number = invoice.number().to_string();
    let rows = [
        (if invoice.document_type == DocumentKind::CreditNote { "Credit note" } else { "Invoice" }, Some(number)),
        ("Date", day(invoice.invoice_date)),
        ("Billing period", period),
        ("Amount before tax", money(&amounts.sub_total)),
        ("Tax", money(&amounts.tax)),
        ("Total", invoice.headline_amount().map(ToString::to_string)),
        ("Amount due", money(&amounts.due)),
        ("Due date", day(invoice.due_date)),
        ("Purchase order", label(&invoice.purchase_order)),
        ("Billing profile", label(&invoice.billing_profile_name)),
        ("Subscription", label(&invoice.subscription_name)),
        ("Status", label(&invoice.status)),
    ];
    rows.into_iter().filter_map(|(label, value)| Some(context! { label, value => value? })).collect()
}

fn attached(mail: &Mail) -> String {
    let names: Vec<String> = mail.documents.iter().map(|document| document.kind.words().to_lowercase()).collect();
    match names.as_slice() {
        [one] => format!("Attached: the {one} as PDF."),
        [first @ .., last] => format!("Attached: the {} and {last} as PDF.", first.join(", ")),
        [] => String::new(),
    }
}
