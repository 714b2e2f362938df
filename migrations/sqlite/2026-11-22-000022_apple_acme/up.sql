-- How the certificates of an enrolment are made, and what Apple attested of the device that got one.
ALTER TABLE apple_enrollments ADD COLUMN certification TEXT NOT NULL DEFAULT 'scep'
    CHECK (certification IN ('scep', 'acme'));
ALTER TABLE apple_certificates ADD COLUMN attested_serial TEXT;
ALTER TABLE apple_certificates ADD COLUMN attested_udid TEXT
    CHECK ((attested_serial IS NULL) = (attested_udid IS NULL));

-- Requests for certificates with an attestation, each for an hour.
CREATE TABLE apple_orders (
    id TEXT PRIMARY KEY NOT NULL,
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    account TEXT NOT NULL,
    challenge TEXT NOT NULL,
    identifier TEXT NOT NULL,
    token TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'valid', 'invalid')),
    detail TEXT NOT NULL,
    public_key TEXT,
    attested_serial TEXT,
    attested_udid TEXT,
    attested_at INTEGER,
    certificate TEXT,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK (state NOT IN ('ready', 'valid')
        OR (public_key IS NOT NULL AND attested_serial IS NOT NULL AND attested_udid IS NOT NULL AND attested_at IS NOT NULL)),
    CHECK ((state = 'valid') = (certificate IS NOT NULL))
) STRICT;
CREATE INDEX apple_orders_by_enrollment ON apple_orders (enrollment_id);
CREATE INDEX apple_orders_by_end ON apple_orders (expires_at);
