#!/usr/bin/env bash
# Postfix and Dovecot on free loopback ports, with everything they keep in one folder; nothing under /etc is touched and
# no mail leaves the machine. Needs root, because Postfix does.
#
#   scripts/mailstack.sh start DIR    starts both, prints DIR/env (MAILSTACK_… variables)
#   scripts/mailstack.sh stop DIR     stops both; the folder stays
#
# DIR should be a short path (it holds Unix sockets) that every user may traverse.
# Sign-in: sender@invoice.test, password s3cret. Mailboxes (password = name): alice@, bob@customer.test.
# tempfail@customer.test is answered 451, blocked@customer.test 550 5.7.1, an unknown name 550 5.1.1.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin

die() {
  echo "mailstack: $*" >&2
  exit 1
}

listening() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Postfix listens with SO_REUSEPORT, so that a taken port would not fail but share its connections: look first. The ports
# are below the ephemeral range, from which other programs' connections come.
free_ports() {
  local base port tries
  for tries in {1..50}; do
    base=$((20000 + RANDOM % 1200 * 10))
    for port in $(seq "$base" $((base + 6))); do
      listening "$port" && continue 2
    done
    SMTP=$base SUBMISSION=$((base + 1)) SMTPS=$((base + 2)) IMAP=$((base + 3)) IMAPS=$((base + 4))
    LMTP=$((base + 5)) SASL=$((base + 6))
    return
  done
  die "found no seven free ports in a row after $tries tries"
}

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=mailstack $1" \
    -keyout "$1.key" -out "$1.pem" -addext keyUsage=critical,keyCertSign,cRLSign
}

# An authority with a leaf, since rustls refuses a self-signed leaf as its own root; and one that signed nothing.
certificates() {
  mkdir "$DIR/tls"
  cd "$DIR/tls"
  authority ca
  authority stranger
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=mail.test" -keyout mail.key -out mail.csr
  cat >leaf.ext <<EOF
subjectAltName=DNS:mail.test,DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth
basicConstraints=CA:FALSE
EOF
  openssl x509 -req -in mail.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile leaf.ext -out mail.pem
  cat mail.pem ca.pem >chain.pem
}

configure_dovecot() {
  cat >"$DIR/dovecot/users" <<EOF
sender@invoice.test:{PLAIN}s3cret
alice@customer.test:{PLAIN}alice
bob@customer.test:{PLAIN}bob
EOF
  cat >"$DIR/dovecot/dovecot.conf" <<EOF
instance_name = mailstack
base_dir = $DIR/run
state_dir = $DIR/state
log_path = $DIR/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <$DIR/tls/chain.pem
ssl_key = <$DIR/tls/mail.key
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
first_valid_uid = 5000
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = username_format=%u $DIR/dovecot/users
}
userdb {
  driver = static
  args = uid=5000 gid=5000 home=$DIR/mail/%d/%n allow_all_users=no
}
service imap-login {
  inet_listener imap {
    port = $IMAP
  }
  inet_listener imaps {
    port = $IMAPS
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $LMTP
  }
}
service auth {
  inet_listener postfix {
    address = 127.0.0.1
    port = $SASL
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
EOF
}

configure_postfix() {
  cat >"$DIR/postfix/mailboxes" <<EOF
sender@invoice.test x
alice@customer.test x
bob@customer.test x
tempfail@customer.test x
EOF
  cat >"$DIR/postfix/answers" <<EOF
tempfail@customer.test 451 4.3.0 try again later
blocked@customer.test  550 5.7.1 blocked
EOF
  cat >"$DIR/postfix/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $DIR/queue
data_directory = $DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = $DIR/maillog
maillog_file_prefixes = $DIR
multi_instance_enable = no
myhostname = mail.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
disable_dns_lookups = yes
smtp_host_lookup = native
default_transport = error:5.1.2 nothing leaves this machine
relay_transport = error:5.1.2 nothing leaves this machine
local_transport = error:5.1.1 there are no local users
virtual_mailbox_domains = customer.test, invoice.test
virtual_mailbox_maps = texthash:$DIR/postfix/mailboxes
virtual_transport = lmtp:inet:127.0.0.1:$LMTP
smtpd_tls_cert_file = $DIR/tls/chain.pem
smtpd_tls_key_file = $DIR/tls/mail.key
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:$SASL
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:$DIR/postfix/answers, reject_unlisted_recipient
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_error_sleep_time = 0
biff = no
EOF
  cat >"$DIR/postfix/master.cf" <<EOF
127.0.0.1:$SMTP inet n - n - - smtpd
127.0.0.1:$SUBMISSION inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:$SMTPS inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
EOF
}

start() {
  local program port
  [ "$(id -u)" = 0 ] || die "needs root"
  for program in postfix dovecot doveadm openssl; do
    command -v "$program" >/dev/null || die "$program is not installed"
  done
  [ ! -e "$DIR/env" ] || die "$DIR holds a mail stack already: stop it and take another folder"
  free_ports
  mkdir -p "$DIR"/{dovecot,postfix,queue,data,mail}
  chmod 755 "$DIR"
  chown 5000:5000 "$DIR/mail"
  chown postfix "$DIR/data"
  (certificates) >"$DIR/openssl.log" 2>&1 || die "no certificates: $(tail -n 5 "$DIR/openssl.log")"
  configure_dovecot
  configure_postfix
  dovecot -c "$DIR/dovecot/dovecot.conf" || die "Dovecot does not start: $(tail -n 5 "$DIR/dovecot.log")"
  if ! postfix -c "$DIR/postfix" start >"$DIR/postfix.log" 2>&1; then
    stop
    die "Postfix does not start: $(cat "$DIR/postfix.log")"
  fi
  for port in $SMTP $SUBMISSION $SMTPS $IMAP $IMAPS $LMTP; do
    if ! opens "$port"; then
      stop
      die "port $port did not open; see $DIR/maillog and $DIR/dovecot.log"
    fi
  done
  tee "$DIR/env" <<EOF
MAILSTACK_DIR=$DIR
MAILSTACK_CA=$DIR/tls/ca.pem
MAILSTACK_STRANGER_CA=$DIR/tls/stranger.pem
MAILSTACK_SMTP_PORT=$SMTP
MAILSTACK_SUBMISSION_PORT=$SUBMISSION
MAILSTACK_SMTPS_PORT=$SMTPS
MAILSTACK_IMAP_PORT=$IMAP
MAILSTACK_IMAPS_PORT=$IMAPS
EOF
}

opens() {
  local _
  for _ in {1..100}; do
    listening "$1" && return
    sleep 0.1
  done
  return 1
}

running() {
  local file
  for file in "$DIR/queue/pid/master.pid" "$DIR/run/master.pid"; do
    [ -f "$file" ] && kill -0 "$(tr -d ' \n' <"$file")" 2>/dev/null && return
  done
  return 1
}

stop() {
  local _
  [ ! -f "$DIR/postfix/main.cf" ] || postfix -c "$DIR/postfix" stop >/dev/null 2>&1 || true
  [ ! -f "$DIR/run/master.pid" ] || doveadm -c "$DIR/dovecot/dovecot.conf" stop >/dev/null 2>&1 || true
  for _ in {1..100}; do
    running || return 0
    sleep 0.1
  done
  die "the servers of $DIR still run after 10 s"
}

[ $# = 2 ] || die "usage: mailstack.sh start|stop DIR"
DIR=$(realpath -m "$2")
case $1 in
  start | stop) "$1" ;;
  *) die "usage: mailstack.sh start|stop DIR" ;;
esac
