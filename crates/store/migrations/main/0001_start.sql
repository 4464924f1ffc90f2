-- Configuration, keys, people and what they are in the middle of. Times are Unix seconds.
-- Only the subset of SQL that SQLite and PostgreSQL share.

-- One row: the revision in force, the account's id, and a known text sealed by the master key.
CREATE TABLE meta (
    one         BIGINT PRIMARY KEY CHECK (one = 1),
    revision    BIGINT NOT NULL,
    account_id  TEXT NOT NULL,
    sealed_mark BLOB NOT NULL
);

-- Objects of the configuration as JSON; the one secret that some have is sealed beside it.
CREATE TABLE object (
    kind     TEXT NOT NULL,
    id       TEXT NOT NULL,
    body     TEXT NOT NULL,
    sealed   BLOB,
    revision BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

-- The audit of the configuration: one row for each revision, each chained to the one before.
CREATE TABLE config_change (
    revision BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    body     TEXT NOT NULL,
    hash     BLOB NOT NULL
);

-- The last link of each chain, sealed, so that rows cut off at the end are missed.
CREATE TABLE chain_head (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
);

CREATE TABLE signing_key (
    kid             TEXT PRIMARY KEY,
    sealed          BLOB NOT NULL,
    certificate_pem TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    active_from     BIGINT NOT NULL
);

CREATE TABLE person (
    id                    TEXT PRIMARY KEY,
    email                 TEXT NOT NULL UNIQUE,
    name                  TEXT NOT NULL,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    last_successful_login BIGINT,
    last_identity         TEXT
);

CREATE TABLE session (
    nonce        TEXT PRIMARY KEY,
    person       TEXT NOT NULL,
    begun_at     BIGINT NOT NULL,
    tokens_until BIGINT NOT NULL,
    body         TEXT NOT NULL
);
CREATE INDEX session_person ON session (person);
CREATE INDEX session_tokens_until ON session (tokens_until);

CREATE TABLE revocation (
    kind        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    valid_after BIGINT NOT NULL,
    kept_until  BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);

-- What waits to be taken once, under the SHA-256 of its handle.
CREATE TABLE pending (
    kind       TEXT NOT NULL,
    handle     BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    tries      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, handle)
);
CREATE INDEX pending_expires_at ON pending (expires_at);

CREATE TABLE api_token (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    not_before BIGINT,
    expires_at BIGINT,
    disabled   BIGINT NOT NULL,
    read_only  BIGINT NOT NULL
);
