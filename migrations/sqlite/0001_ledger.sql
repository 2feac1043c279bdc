-- Instants are milliseconds since 1970, UTC. Ids are text. `seq` is the order of recording.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profiles (
  name                  TEXT PRIMARY KEY,
  billing_account       TEXT,              -- as resolved; kept so that a changed name at Azure re-mails nothing
  first_look_at         INTEGER NOT NULL,
  last_look_at          INTEGER,
  last_complete_look_at INTEGER,
  next_look_at          INTEGER NOT NULL,
  problem               TEXT               -- why the last look failed or was not complete
) STRICT, WITHOUT ROWID;

CREATE TABLE invoices (
  seq             INTEGER PRIMARY KEY,
  id              TEXT NOT NULL UNIQUE,
  billing_account TEXT NOT NULL,
  name            TEXT NOT NULL,
  profile         TEXT NOT NULL,
  document_type   TEXT NOT NULL,
  status          TEXT,
  invoice_date    INTEGER,
  facts           TEXT NOT NULL CHECK (json_valid(facts)),  -- the whole invoice as last listed
  problem         TEXT,                                     -- why a document of it is not here yet
  first_seen_at   INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  UNIQUE (billing_account, name)
) STRICT;
CREATE INDEX invoices_profile ON invoices (profile, seq);
CREATE INDEX invoices_name ON invoices (name);

CREATE TABLE documents (
  invoice_id  TEXT NOT NULL REFERENCES invoices (id),
  key         TEXT NOT NULL,
  position    INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  numbers     TEXT NOT NULL CHECK (json_valid(numbers)),
  sha256      TEXT CHECK (length(sha256) = 64),             -- null: recorded but not fetched, since nobody is to be mailed
  bytes       INTEGER CHECK (bytes > 0),
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (invoice_id, key),
  CHECK ((sha256 IS NULL) = (bytes IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  mail_kind   TEXT NOT NULL CHECK (mail_kind IN ('invoice', 'usage', 'statement', 'alert')),
  invoice_id  TEXT REFERENCES invoices (id),
  profile     TEXT,
  list        TEXT,
  recipient   TEXT NOT NULL,
  name        TEXT,                                         -- the recipient's display name
  member_kind TEXT NOT NULL CHECK (member_kind IN ('human', 'erp')),
  generation  INTEGER NOT NULL CHECK (generation >= 1),
  message_id  TEXT NOT NULL UNIQUE,
  state       TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'in_doubt', 'accepted', 'refused', 'expired',
                                             'held', 'withdrawn', 'bounced')),
  reason      TEXT,
  charged     INTEGER NOT NULL DEFAULT 0 CHECK (charged >= 0),
  doubts      INTEGER NOT NULL DEFAULT 0 CHECK (doubts >= 0),
  queued_at   INTEGER NOT NULL,
  due_at      INTEGER NOT NULL,
  finished_at INTEGER,
  reply       TEXT,
  fence       INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
  owner       TEXT,
  lease_until INTEGER,
  CHECK ((state = 'sending') = (owner IS NOT NULL)),
  CHECK ((owner IS NULL) = (lease_until IS NULL)),
  CHECK ((state IN ('accepted', 'refused', 'expired', 'withdrawn', 'bounced')) = (finished_at IS NOT NULL)),
  CHECK (state <> 'held' OR reason IS NOT NULL),
  CHECK (mail_kind NOT IN ('invoice', 'usage') OR invoice_id IS NOT NULL)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at, seq) WHERE state IN ('pending', 'in_doubt');
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 'sending';
CREATE INDEX deliveries_invoice ON deliveries (invoice_id, recipient);
CREATE INDEX deliveries_open ON deliveries (state) WHERE state NOT IN ('accepted', 'refused', 'expired', 'withdrawn', 'bounced');

-- A document goes to a recipient once; a resend is another generation.
CREATE TABLE delivery_documents (
  delivery_id     TEXT NOT NULL REFERENCES deliveries (id),
  position        INTEGER NOT NULL,
  billing_account TEXT NOT NULL,
  invoice         TEXT NOT NULL,
  document        TEXT NOT NULL,
  recipient       TEXT NOT NULL,
  generation      INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, position),
  UNIQUE (billing_account, invoice, document, recipient, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  delivery_id TEXT NOT NULL REFERENCES deliveries (id),
  number      INTEGER NOT NULL CHECK (number >= 1),
  fence       INTEGER NOT NULL,
  sha256      TEXT NOT NULL CHECK (length(sha256) = 64),    -- of the bytes that were offered
  began_at    INTEGER NOT NULL,
  dot_at      INTEGER,                                      -- committed before our final dot left
  finished_at INTEGER,
  outcome     TEXT CHECK (outcome IN ('accepted', 'transient_failure', 'permanent_failure', 'in_doubt', 'interrupted')),
  phase       TEXT,
  code        INTEGER,
  reason      TEXT,
  PRIMARY KEY (delivery_id, number),
  CHECK ((outcome IS NULL) = (finished_at IS NULL)),
  CHECK (outcome IS NULL OR outcome NOT IN ('accepted', 'in_doubt') OR dot_at IS NOT NULL),
  CHECK (outcome IS NULL OR outcome <> 'interrupted' OR dot_at IS NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attempts_open ON attempts (delivery_id) WHERE finished_at IS NULL;

-- The bytes of a mail without its attachments, which come from the archive.
CREATE TABLE frozen (
  delivery_id TEXT PRIMARY KEY REFERENCES deliveries (id),
  frozen_at   INTEGER NOT NULL,                             -- also the mail's Date
  sha256      TEXT NOT NULL CHECK (length(sha256) = 64),    -- of the whole mail
  segments    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER frozen_stays_in_doubt BEFORE UPDATE ON frozen
WHEN EXISTS (SELECT 1 FROM attempts WHERE delivery_id = OLD.delivery_id AND dot_at IS NOT NULL
             AND (outcome IS NULL OR outcome IN ('accepted', 'in_doubt')))
BEGIN SELECT RAISE(ABORT, 'the bytes of a mail that may have been accepted never change'); END;

CREATE TRIGGER frozen_is_kept BEFORE DELETE ON frozen
WHEN EXISTS (SELECT 1 FROM attempts WHERE delivery_id = OLD.delivery_id AND dot_at IS NOT NULL
             AND (outcome IS NULL OR outcome = 'in_doubt'))
BEGIN SELECT RAISE(ABORT, 'the bytes of a mail in doubt are kept'); END;

CREATE TRIGGER message_id_is_fixed BEFORE UPDATE OF message_id ON deliveries WHEN NEW.message_id <> OLD.message_id
BEGIN SELECT RAISE(ABORT, 'a delivery keeps its Message-ID'); END;

CREATE TRIGGER dot_needs_an_open_attempt BEFORE UPDATE OF dot_at ON attempts
WHEN NEW.dot_at IS NOT NULL AND (OLD.finished_at IS NOT NULL OR OLD.dot_at IS NOT NULL
     OR NOT EXISTS (SELECT 1 FROM deliveries WHERE id = OLD.delivery_id AND state = 'sending' AND fence = OLD.fence))
BEGIN SELECT RAISE(ABORT, 'a dot commit needs an open attempt and its lease'); END;
