-- Who keeps the keys to the backups of a team's devices. Nothing makes a customer's team the server's again.
ALTER TABLE teams ADD COLUMN key_holder TEXT NOT NULL DEFAULT 'server' CHECK (key_holder IN ('server', 'customer'));
CREATE TRIGGER teams_of_customers BEFORE UPDATE OF key_holder ON teams
    WHEN OLD.key_holder = 'customer' AND NEW.key_holder <> 'customer' BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the keys of this team for good');
END;

-- The same of one repository. What the customer keeps is here in no form.
ALTER TABLE repositories ADD COLUMN key_holder TEXT NOT NULL DEFAULT 'server' CHECK (
    key_holder = 'server' OR (key_holder = 'customer' AND sealed_master_key = '' AND team_key_id IS NULL));
CREATE TRIGGER repositories_of_customers BEFORE UPDATE OF key_holder ON repositories
    WHEN NEW.key_holder <> OLD.key_holder BEGIN
    SELECT RAISE(ABORT, 'who keeps the key of a repository does not change');
END;
CREATE TRIGGER escrows_of_customers BEFORE INSERT ON escrows
    WHEN EXISTS (SELECT 1 FROM repositories WHERE id = NEW.repository_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this repository');
END;

-- Nobody here can have restored what the customer keeps the key of, and no row says so: whatever reads these tables cannot
-- show what they cannot hold.
CREATE TRIGGER restore_points_of_customers BEFORE INSERT ON restore_points
    WHEN coalesce(NEW.proven_at, NEW.proven_until, NEW.partial_at, NEW.partial_until) IS NOT NULL AND EXISTS (SELECT 1 FROM repositories WHERE id = NEW.repository_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this backup: it is tested by nobody here');
END;
CREATE TRIGGER restore_points_of_customers_changed BEFORE UPDATE OF proven_at, proven_until, partial_at, partial_until ON restore_points
    WHEN coalesce(NEW.proven_at, NEW.proven_until, NEW.partial_at, NEW.partial_until) IS NOT NULL AND EXISTS (SELECT 1 FROM repositories WHERE id = NEW.repository_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this backup: it is tested by nobody here');
END;
CREATE TRIGGER device_proof_of_customers BEFORE INSERT ON device_proof
    WHEN coalesce(NEW.proven_at, NEW.proven_until, NEW.partial_at, NEW.partial_until) IS NOT NULL AND EXISTS (SELECT 1 FROM repositories WHERE device_id = NEW.device_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this backup: it is tested by nobody here');
END;
CREATE TRIGGER device_proof_of_customers_changed BEFORE UPDATE OF proven_at, proven_until, partial_at, partial_until ON device_proof
    WHEN coalesce(NEW.proven_at, NEW.proven_until, NEW.partial_at, NEW.partial_until) IS NOT NULL AND EXISTS (SELECT 1 FROM repositories WHERE device_id = NEW.device_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this backup: it is tested by nobody here');
END;
CREATE TRIGGER restore_tests_of_customers BEFORE INSERT ON restore_tests
    WHEN EXISTS (SELECT 1 FROM repositories WHERE device_id = NEW.device_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this backup: it is tested by nobody here');
END;
CREATE TRIGGER copy_tests_of_customers BEFORE INSERT ON copy_tests
    WHEN EXISTS (SELECT 1 FROM repositories WHERE id = NEW.repository_id AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'the customer keeps the key of this backup: it is tested by nobody here');
END;
