-- How the certificates of an enrolment are made, and what Apple attested of the device that got one.
ALTER TABLE apple_enrollments ADD COLUMN certification TEXT COLLATE "C" NOT NULL DEFAULT 'scep'
    CHECK (certification IN ('scep', 'acme'));
ALTER TABLE apple_certificates ADD COLUMN attested_serial TEXT COLLATE "C";
ALTER TABLE apple_certificates ADD COLUMN attested_udid TEXT COLLATE "C"
    CHECK ((attested_serial IS NULL) = (attested_udid IS NULL));

-- Requests for certificates with an attestation, each for an hour.
CREATE TABLE apple_orders (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    account TEXT COLLATE "C" NOT NULL,
    challenge TEXT COLLATE "C" NOT NULL,
    identifier TEXT COLLATE "C" NOT NULL,
    token TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'ready', 'valid', 'invalid')),
    detail TEXT COLLATE "C" NOT NULL,
    public_key TEXT COLLATE "C",
    attested_serial TEXT COLLATE "C",
    attested_udid TEXT COLLATE "C",
    attested_at BIGINT,
    certificate TEXT COLLATE "C",
    made_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CHECK (state NOT IN ('ready', 'valid')
        OR (public_key IS NOT NULL AND attested_serial IS NOT NULL AND attested_udid IS NOT NULL AND attested_at IS NOT NULL)),
    CHECK ((state = 'valid') = (certificate IS NOT NULL))
);
CREATE INDEX apple_orders_by_enrollment ON apple_orders (enrollment_id);
CREATE INDEX apple_orders_by_end ON apple_orders (expires_at);
