-- Where a chain begins whose oldest rows were removed when their time was over: the last link that was removed, sealed.
CREATE TABLE chain_anchor (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
);
