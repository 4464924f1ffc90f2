-- When each service token was let in last. Fed by the counts of admitted requests, so it is a minute behind.
CREATE TABLE service_token_seen (
    client_id TEXT PRIMARY KEY,
    last_at   BIGINT NOT NULL
);
