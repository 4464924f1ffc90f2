-- One row: how far the file of records that were spilled beside this one has been read. It moves together with the
-- records that were read, so that a crash in between neither loses nor doubles one.
CREATE TABLE spill_mark (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    file  TEXT NOT NULL,
    lines BIGINT NOT NULL
);
