"""Prints as JSON what lies in an IMAP mailbox from one sender, as Python's own mail parser sees it.

usage: fetch_imap.py PORT CA_FILE USER PASSWORD SENDER
"""

import email
import email.policy
import hashlib
import imaplib
import json
import ssl
import sys


def attachment(part):
    content = part.get_payload(decode=True)
    return {
        "name": part.get_filename(),
        "type": part.get_content_type(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def describe(raw):
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    return {
        "message_id": mail["Message-ID"],
        "return_path": mail["Return-Path"],
        "to": [address.addr_spec for address in mail["To"].addresses],
        "subject": mail["Subject"],
        "structure": [part.get_content_type() for part in mail.walk()],
        "defects": [str(defect) for part in mail.walk() for defect in part.defects],
        "attachments": [attachment(part) for part in mail.iter_attachments()],
    }


def main():
    port, authority, user, password, sender = sys.argv[1:]
    context = ssl.create_default_context(cafile=authority)
    with imaplib.IMAP4_SSL("localhost", int(port), ssl_context=context, timeout=20) as mailbox:
        mailbox.login(user, password)
        mailbox.select("INBOX", readonly=True)
        _, found = mailbox.search(None, "FROM", f'"{sender}"')
        mails = []
        for number in found[0].split():
            _, answer = mailbox.fetch(number.decode(), "(BODY.PEEK[])")
            mails.append(describe(answer[0][1]))
    json.dump(mails, sys.stdout)


main()
