//! The PDF of a simulated document: one A4 page that a reader and `pdftotext` can read. Same input, same bytes.
//!
//! Text is Helvetica in WinAnsi (ISO 32000-1, annex D): what that cannot say becomes `?`, what is too long is cut.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pdf_writer::{Content, Date, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use rust_decimal::Decimal;

use super::accounts::{BillingAccount, Document, Invoice};
use crate::domain::document::{DocumentKind, Sha256Hash};
use crate::domain::money::Money;

const REGULAR: Name<'_> = Name(b"F1");
const BOLD: Name<'_> = Name(b"F2");
const LEFT: f32 = 56.0;
const RIGHT: f32 = 539.0;
/// More lines than this do not fit on the page; the rest is summed up in one.
const MAX_LINES: usize = 20;

/// Widths of the printable ASCII characters in Helvetica, in thousandths of the size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// The characters that WinAnsi has at 0x80 to 0x9f; a blank stands for a code without one.
const SPECIAL: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

/// The PDF of one document of an invoice.
#[must_use]
pub fn render(account: &BillingAccount, invoice: &Invoice, document: &Document) -> Vec<u8> {
    let title = document.kind.words();
    let content = page(account, invoice, document, title);
    let [catalog, pages, page, regular, bold, stream, info] = [1, 2, 3, 4, 5, 6, 7].map(Ref::new);
    let mut pdf = Pdf::new();
    let id = Sha256Hash::of(format!("{}\0{}", invoice.name, document.name).as_bytes()).to_string().into_bytes();
    pdf.set_file_id((id[..16].to_vec(), id[..16].to_vec()));
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut sheet = pdf.page(page);
    sheet.media_box(Rect::new(0.0, 0.0, 595.0, 842.0)).parent(pages).contents(stream);
    sheet.resources().fonts().pair(REGULAR, regular).pair(BOLD, bold);
    sheet.finish();
    for (font, name) in [(regular, "Helvetica"), (bold, "Helvetica-Bold")] {
        pdf.type1_font(font).base_font(Name(name.as_bytes())).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.stream(stream, &content);
    let made = invoice.invoice_at.to_zoned_datetime(TimeZone::UTC);
    let date = Date::new(u16::try_from(made.year()).unwrap_or(0))
        .month(made.month().unsigned_abs())
        .day(made.day().unsigned_abs())
        .utc_offset_hour(0);
    let mut about = pdf.document_info(info);
    about.title(TextStr(&format!("{title} {}", invoice.name))).creator(TextStr("invoice-mailer simulator"));
    about.creation_date(date);
    about.finish();
    pdf.finish()
}

fn page(account: &BillingAccount, invoice: &Invoice, document: &Document, title: &str) -> Vec<u8> {
    let mut page = Page { content: Content::new(), y: 790.0 };
    page.text(BOLD, 20.0, LEFT, title);
    page.right(10.0, "Simulated Cloud Services Limited");
    page.down(14.0);
    page.right(9.0, "1 Loopback Street, 127001 Localhost");
    page.down(12.0);
    page.right(9.0, "VAT ID: XX 000000000");
    page.down(30.0);
    page.text(BOLD, 10.0, LEFT, "Bill to");
    page.down(14.0);
    page.text(REGULAR, 10.0, LEFT, &account.display_name);
    page.down(26.0);
    for (label, value) in facts(account, invoice, document) {
        page.text(REGULAR, 9.0, LEFT, label);
        page.text(REGULAR, 9.0, LEFT + 100.0, &value);
        page.down(15.0);
    }
    page.down(14.0);
    table(&mut page, invoice);
    page.down(30.0);
    if document.kind == DocumentKind::TaxReceipt {
        page.text(REGULAR, 9.0, LEFT, &format!("Receipt for the tax paid on invoice {}.", invoice.name));
        page.down(13.0);
    }
    page.text(REGULAR, 9.0, LEFT, "Sample document of the built-in simulator. Nothing is to be paid.");
    page.content.finish().to_vec()
}

fn facts(account: &BillingAccount, invoice: &Invoice, document: &Document) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            if invoice.kind == DocumentKind::CreditNote { "Credit note number" } else { "Invoice number" },
            invoice.name.clone(),
        ),
        ("Document", document.name.clone()),
        ("Date", day(invoice.invoice_at)),
        ("Due date", day(invoice.due_at)),
        ("Billing period", format!("{} - {}", day(invoice.period_start), day(invoice.period_end))),
        ("Billing account", account.name.clone()),
    ];
    if let Some(profile) = invoice.profile.as_deref().and_then(|name| account.profile(name)) {
        facts.push(("Billing profile", profile.display_name.clone()));
    }
    if let Some(subscription) = invoice.subscription.as_deref().and_then(|id| account.subscription(id)) {
        facts.push(("Subscription", subscription.display_name.clone()));
    }
    if let Some(order) = &invoice.purchase_order {
        facts.push(("Purchase order", order.clone()));
    }
    if let Some(credited) = &invoice.credit_for {
        facts.push(("Credit for invoice", credited.clone()));
    }
    facts
}

fn table(page: &mut Page, invoice: &Invoice) {
    let money = |amount: Decimal| Money { amount, currency: invoice.currency.clone() };
    page.text(BOLD, 10.0, LEFT, "Charges");
    page.right(10.0, &format!("Amount ({})", invoice.currency));
    page.rule();
    let shown = if invoice.lines.len() > MAX_LINES { MAX_LINES - 1 } else { invoice.lines.len() };
    let (lines, rest) = invoice.lines.split_at(shown);
    for line in lines {
        page.row(&line.text, &money(line.amount).decimal());
    }
    if !rest.is_empty() {
        let sum = rest.iter().map(|line| line.amount).sum();
        page.row(&format!("{} more charges", rest.len()), &money(sum).decimal());
    }
    page.rule();
    page.row("Subtotal", &money(invoice.sub_total()).decimal());
    page.row("Tax", &money(invoice.tax).decimal());
    page.text(BOLD, 11.0, LEFT, "Total");
    page.right(11.0, &money(invoice.total()).to_string());
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// Writes from top to bottom.
struct Page {
    content: Content,
    y: f32,
}

impl Page {
    fn down(&mut self, points: f32) {
        self.y -= points;
    }

    fn text(&mut self, font: Name<'_>, size: f32, x: f32, text: &str) {
        let bytes = cut(encode(text), size, RIGHT - x);
        self.show(font, size, x, &bytes);
    }

    fn right(&mut self, size: f32, text: &str) {
        let bytes = cut(encode(text), size, RIGHT - LEFT);
        self.show(REGULAR, size, RIGHT - width(&bytes, size), &bytes);
    }

    fn row(&mut self, text: &str, amount: &str) {
        let bytes = cut(encode(text), 10.0, RIGHT - LEFT - 110.0);
        self.show(REGULAR, 10.0, LEFT, &bytes);
        self.right(10.0, amount);
        self.down(15.0);
    }

    fn rule(&mut self) {
        self.down(5.0);
        self.content.set_line_width(0.5).move_to(LEFT, self.y).line_to(RIGHT, self.y).stroke();
        self.down(14.0);
    }

    fn show(&mut self, font: Name<'_>, size: f32, x: f32, bytes: &[u8]) {
        self.content.begin_text().set_font(font, size).next_line(x, self.y).show(Str(bytes)).end_text();
    }
}

/// WinAnsi bytes; `?` for what it lacks.
fn encode(text: &str) -> Vec<u8> {
    let byte = |c: char| match u32::from(c) {
        code @ (0x20..=0x7e | 0xa0..=0xff) => u8::try_from(code).unwrap_or(b'?'),
        _ => match SPECIAL.chars().position(|special| special == c) {
            Some(at) => u8::try_from(0x80 + at).unwrap_or(b'?'),
            None => b'?',
        },
    };
    text.chars().map(byte).collect()
}

fn width(bytes: &[u8], size: f32) -> f32 {
    bytes.iter().map(|byte| width_of(*byte)).sum::<f32>() * size / 1000.0
}

/// In thousandths of the size. A character beyond ASCII counts as a whole one: never too narrow.
fn width_of(byte: u8) -> f32 {
    let known = byte.checked_sub(b' ').and_then(|at| WIDTHS.get(usize::from(at)));
    known.map_or(1000.0, |width| f32::from(*width))
}

fn cut(mut bytes: Vec<u8>, size: f32, room: f32) -> Vec<u8> {
    let mut left = room / size * 1000.0;
    let fits = bytes.iter().take_while(|byte| {
        left -= width_of(**byte);
        left >= 0.0
    });
    let fits = fits.count();
    bytes.truncate(fits);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::domain::document;
    use crate::simulator::accounts::{Line, mca_account, tax_receipt};

    fn sample() -> (BillingAccount, Invoice) {
        let account = mca_account("Contoso", &["Engineering"], "2026-11-23T12:00:00Z".parse().unwrap());
        let invoice = account.invoices[11].clone();
        (account, invoice)
    }

    /// What `pdftotext` reads, or `None` with a word on stderr if it is not installed.
    fn read(test: &str, pdf: &[u8]) -> Option<String> {
        let command = Command::new("pdftotext")
            .args(["-layout", "-enc", "UTF-8", "-", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = command else {
            eprintln!("skipped: {test}: pdftotext is not installed");
            return None;
        };
        child.stdin.take().unwrap().write_all(pdf).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn the_bytes_are_a_whole_pdf_and_always_the_same() {
        let (account, invoice) = sample();
        let bytes = render(&account, &invoice, &invoice.documents[0]);
        assert_eq!(bytes, render(&account, &invoice, &invoice.documents[0]));
        assert!(document::Pdf::new(bytes).is_ok());
    }

    #[test]
    fn pdftotext_reads_number_dates_lines_and_total() {
        let (account, invoice) = sample();
        let Some(text) =
            read("pdftotext_reads_number_dates_lines_and_total", &render(&account, &invoice, &invoice.documents[0]))
        else {
            return;
        };
        let total = Money { amount: invoice.total(), currency: "EUR".into() }.to_string();
        let mut wanted =
            vec!["Invoice", "Bill to", "Contoso", "Engineering", "PO-70001", "2026-11-05", "2026-10-01 - 2026-10-31"];
        wanted.extend([invoice.name.as_str(), account.name.as_str(), total.as_str()]);
        wanted.extend(invoice.lines.iter().map(|line| line.text.as_str()));
        for word in wanted {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
    }

    #[test]
    fn credit_notes_and_tax_receipts_say_so() {
        let (account, mut invoice) = sample();
        let receipt = tax_receipt(&invoice);
        if let Some(text) = read("credit_notes_and_tax_receipts_say_so", &render(&account, &invoice, &receipt)) {
            assert!(text.contains("Tax receipt") && text.contains(&receipt.name), "{text}");
        }
        invoice.kind = DocumentKind::CreditNote;
        invoice.credit_for = Some("G012345678".into());
        invoice.documents[0].kind = DocumentKind::CreditNote;
        if let Some(text) =
            read("credit_notes_and_tax_receipts_say_so", &render(&account, &invoice, &invoice.documents[0]))
        {
            assert!(text.contains("Credit note") && text.contains("G012345678"), "{text}");
        }
    }

    #[test]
    fn hostile_text_stays_on_the_page() {
        let (mut account, mut invoice) = sample();
        account.display_name = "Zoë € 日本 (a\\b) \u{202e}\n".into();
        invoice.lines = vec![Line { text: "W".repeat(5000), amount: Decimal::new(-1, 2) }; 200];
        let bytes = render(&account, &invoice, &invoice.documents[0]);
        assert!(bytes.len() < 20_000, "{}", bytes.len());
        if let Some(text) = read("hostile_text_stays_on_the_page", &bytes) {
            assert!(text.contains("Zoë € ?? (a\\b) ??"), "{text}");
            assert!(text.contains("181 more charges") && text.contains("-1.81"), "{text}");
            assert!(text.contains("Total"), "{text}");
        }
    }

    #[test]
    fn win_ansi_has_its_special_characters_at_their_codes() {
        assert_eq!(encode("A€‚…Œ‘Ÿé"), [0x41, 0x80, 0x82, 0x85, 0x8c, 0x91, 0x9f, 0xe9]);
        assert_eq!(encode("\u{81}\u{8f}日\t"), b"????");
    }
}
