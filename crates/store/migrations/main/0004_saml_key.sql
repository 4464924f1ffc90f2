-- The key that signs our requests to SAML providers; made when it is first needed, and the same ever after.
CREATE TABLE saml_key (
    one             BIGINT PRIMARY KEY CHECK (one = 1),
    sealed          BLOB NOT NULL,
    certificate_pem TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);
