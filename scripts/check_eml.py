#!/usr/bin/env python3
"""Checks every .eml below a folder as a strict reader would, with Python's own mail parser.

usage: check_eml.py FOLDER

Prints the SHA-256 of every PDF. If FOLDER/served.sha256 exists (lines "SHA256  NAME"), every PDF must be among those,
and each of those must have been mailed. Exits with 1 and names each fault, or with 0.
"""

import email.parser
import email.policy
import hashlib
import re
import sys
from pathlib import Path

ONCE = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version"]
FILE_NAME = re.compile(r"[A-Za-z0-9._-]+\.pdf")
MESSAGE_ID = re.compile(r"<[!-;=?A-Z\[-~]+@[A-Za-z0-9.-]+>")


def wire_faults(raw):
    """RFC 5322 2.1 and 2.1.1, and this project's promise of 7-bit bytes."""
    if any(byte == 0 or byte > 127 for byte in raw):
        yield "bytes outside ASCII"
    lines = raw.split(b"\r\n")
    if lines.pop() != b"":
        yield "the last line does not end with CRLF"
    if any(b"\r" in line or b"\n" in line for line in lines):
        yield "a CR or LF that is not part of a CRLF"
    longest = max(map(len, lines), default=0)
    if longest > 998:
        yield f"a line of {longest} characters (998 are allowed)"


def header_faults(mail):
    for name in ONCE:
        count = len(mail.get_all(name, []))
        if count != 1:
            yield f"{name}: {count} times instead of once"
            continue
        value = mail[name]
        if not value.strip():
            yield f"{name} is empty"
        for defect in value.defects:
            yield f"{name}: {defect}"
    if len(mail.get_all("To", [])) == 1 and len(mail["To"].addresses) != 1:
        yield f"To: {len(mail['To'].addresses)} recipients instead of one"
    if "Cc" in mail or "Bcc" in mail:
        yield "Cc or Bcc is present"
    if not MESSAGE_ID.fullmatch((mail["Message-ID"] or "").strip()):
        yield "Message-ID is not <left@right>"
    if len(mail.get_all("Date", [])) == 1 and (mail["Date"].datetime is None or mail["Date"].datetime.tzinfo is None):
        yield "Date is not an instant"


def part_faults(mail):
    for part in mail.walk():
        for defect in part.defects:
            yield f"{part.get_content_type()}: {defect!r}"
    for kind in ["plain", "html"]:
        body = mail.get_body(preferencelist=(kind,))
        if body is None:
            yield f"no text/{kind} part"
        elif not body.get_content().strip():
            yield f"the text/{kind} part is empty"
    if not any(pdfs(mail)):
        yield "no application/pdf part"


def pdfs(mail):
    return (part for part in mail.walk() if part.get_content_type() == "application/pdf")


def pdf_faults(part, content):
    name = part.get_filename() or ""
    if not FILE_NAME.fullmatch(name):
        yield f"the attachment's name {name!r} is not {FILE_NAME.pattern}"
    if part.get_content_disposition() != "attachment":
        yield f"{name} is not an attachment"
    if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-1024:]:
        yield f"{name} is not a whole PDF"


def served_hashes(folder):
    listing = folder / "served.sha256"
    if not listing.exists():
        return None
    return dict(line.split(maxsplit=1) for line in listing.read_text("ascii").splitlines())


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_eml.py FOLDER")
    folder = Path(sys.argv[1])
    files = sorted(folder.rglob("*.eml"))
    served = served_hashes(folder)
    faults = [] if files else [f"{folder}: no .eml at all"]
    mailed, message_ids = set(), {}
    for file in files:
        raw = file.read_bytes()
        mail = email.parser.BytesParser(policy=email.policy.default).parsebytes(raw)
        found = [*wire_faults(raw), *header_faults(mail), *part_faults(mail)]
        first = message_ids.setdefault(str(mail["Message-ID"]), file)
        if first != file:
            found.append(f"the same Message-ID as {first.name}")
        for part in pdfs(mail):
            content = part.get_payload(decode=True)
            digest = hashlib.sha256(content).hexdigest()
            print(f"{digest}  {part.get_filename()}  {file.name}")
            found.extend(pdf_faults(part, content))
            mailed.add(digest)
            if served is not None and digest not in served:
                found.append(f"{part.get_filename()} is not what was served")
        faults.extend(f"{file.name}: {fault}" for fault in found)
    for digest in (served or {}).keys() - mailed:
        faults.append(f"{served[digest]} was served and never mailed ({digest})")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(files)} mails, {len(mailed)} different PDFs, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
