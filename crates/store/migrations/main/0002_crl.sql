-- The last good revocation list of each source, and the failure since then, if there was one.
CREATE TABLE crl (
    authority TEXT NOT NULL,
    source    TEXT NOT NULL,
    der       BLOB,
    taken_at  BIGINT,
    failed_at BIGINT,
    failure   TEXT,
    PRIMARY KEY (authority, source)
);
