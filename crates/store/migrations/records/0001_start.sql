-- What happened. A file of its own, so that these writes never wait on configuration. Times are Unix seconds.
-- Only the subset of SQL that SQLite and PostgreSQL share.

-- Access records, each chained to the one before. The columns before `body` repeat parts of it for filters;
-- what is absent is the empty text.
CREATE TABLE access_record (
    seq           BIGINT PRIMARY KEY,
    created_at    BIGINT NOT NULL,
    allowed       BIGINT NOT NULL,
    action        TEXT NOT NULL,
    ray_id        TEXT NOT NULL,
    app           TEXT NOT NULL,
    person        TEXT NOT NULL,
    email         TEXT NOT NULL,
    service_token TEXT NOT NULL,
    idp           TEXT NOT NULL,
    connection    TEXT NOT NULL,
    country       TEXT NOT NULL,
    body          TEXT NOT NULL,
    hash          BLOB NOT NULL
);
CREATE INDEX access_record_created_at ON access_record (created_at, seq);
CREATE INDEX access_record_ray_id ON access_record (ray_id);
CREATE INDEX access_record_person ON access_record (person, created_at);

-- The last link of each chain, sealed, so that rows cut off at the end are missed.
CREATE TABLE chain_head (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
);

-- Requests admitted, counted per key and hour.
CREATE TABLE traffic (
    hour     BIGINT NOT NULL,
    app      TEXT NOT NULL,
    caller   TEXT NOT NULL,
    policy   TEXT NOT NULL,
    network  TEXT NOT NULL,
    country  TEXT NOT NULL,
    requests BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (hour, app, caller, policy, network, country)
);
