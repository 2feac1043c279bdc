#!/usr/bin/env bash
# Runs every test against real servers, then the demo, and checks the mails of the demo with Python's mail parser.
#
#   scripts/test.sh [ARGUMENT…]     arguments go to `cargo test`
#
# As root on Debian it installs what is missing. What cannot be had is skipped, and named at the end.
set -euo pipefail

cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d "${TMPDIR:-/tmp}/invoice-mailer.XXXXXX")
policy=
skipped=()

# shellcheck disable=SC2317  # the trap calls it
clean_up() {
  scripts/mailstack.sh stop "$work/mail" || true
  allow_starts
  rm -rf "$work"
}

# A package must not start its daemon on this machine.
forbid_starts() {
  [ ! -e /usr/sbin/policy-rc.d ] || return 0
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
}

allow_starts() {
  [ -z "$policy" ] || rm -f "$policy"
  policy=
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What shows that a package is there, and the package.
needed="
/usr/bin/cc gcc
/usr/include/stdio.h libc6-dev
/etc/ssl/certs/ca-certificates.crt ca-certificates
/usr/sbin/postfix postfix
/usr/sbin/dovecot dovecot-core
/usr/lib/dovecot/imap dovecot-imapd
/usr/lib/dovecot/lmtp dovecot-lmtpd
/usr/bin/openssl openssl
/usr/bin/pdftotext poppler-utils
/usr/bin/python3 python3"

missing() {
  local file package
  while read -r file package; do
    [ -z "$file" ] || [ -e "$file" ] || echo "$package"
  done <<<"$needed"
}

install_missing() {
  local packages
  mapfile -t packages < <(missing)
  [ ${#packages[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    return 0
  fi
  echo "installing ${packages[*]}"
  forbid_starts
  export DEBIAN_FRONTEND=noninteractive
  echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  if ! { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >"$work/apt.log" 2>&1; then
    tail -n 20 "$work/apt.log" >&2
    echo "apt-get failed: the tests that need these packages are skipped" >&2
  fi
  allow_starts
}

start_mail_servers() {
  local packages
  packages=$(missing | grep -E '^(postfix|dovecot-.*|openssl|python3)$' | paste -sd ' ') || true
  if [ -n "$packages" ]; then
    skipped+=("Postfix and Dovecot (not installed: $packages)")
  elif [ "$(id -u)" != 0 ]; then
    skipped+=("Postfix and Dovecot (Postfix needs root)")
  else
    chmod 755 "$work"
    scripts/mailstack.sh start "$work/mail"
    set -a
    # shellcheck source=/dev/null
    . "$work/mail/env"
    set +a
  fi
}

check_demo() {
  echo "demo"
  if ! timeout 300 cargo run --locked --quiet -- demo --exit --dir "$work/demo" >"$work/demo.log" 2>&1; then
    cat "$work/demo.log" >&2
    echo "the demo failed" >&2
    return 1
  fi
  if command -v python3 >/dev/null; then
    python3 scripts/check_eml.py "$work/demo"
  else
    skipped+=("the check of the demo's mails (not installed: python3)")
  fi
}

install_missing
start_mail_servers
[ -n "${AZURE_EXAMPLES_DIR:-}" ] || skipped+=("Azure's published examples (AZURE_EXAMPLES_DIR is not set)")
command -v pdftotext >/dev/null || skipped+=("reading PDFs back (not installed: poppler-utils)")

code=0
cargo test --locked "$@" || code=$?
if [ "$code" = 0 ]; then
  check_demo || code=$?
elif [ -e "$work/mail/maillog" ]; then
  echo "the last of Postfix's log:"
  tail -n 40 "$work/mail/maillog"
fi
for name in "${skipped[@]}"; do
  echo "skipped: $name"
done
exit "$code"
