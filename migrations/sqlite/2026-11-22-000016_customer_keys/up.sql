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

-- A device stays on its side: what was sealed here is not called the customer's, and what the customer keeps is not taken over.
CREATE TRIGGER repositories_of_the_team BEFORE INSERT ON repositories
    WHEN NEW.key_holder <> coalesce(
        (SELECT t.key_holder FROM devices d JOIN teams t ON t.id = d.team_id WHERE d.id = NEW.device_id), 'server') BEGIN
    SELECT RAISE(ABORT, 'whoever keeps the keys of a team keeps that of each of its repositories');
END;
CREATE TRIGGER devices_of_customers BEFORE UPDATE OF team_id ON devices
    WHEN NEW.team_id IS NOT OLD.team_id
        AND EXISTS (SELECT 1 FROM teams WHERE id IN (OLD.team_id, NEW.team_id) AND key_holder = 'customer') BEGIN
    SELECT RAISE(ABORT, 'no device moves between a team whose keys the customer keeps and another');
END;
CREATE TRIGGER teams_with_devices BEFORE UPDATE OF key_holder ON teams
    WHEN NEW.key_holder <> OLD.key_holder AND EXISTS (SELECT 1 FROM devices WHERE team_id = NEW.id) BEGIN
    SELECT RAISE(ABORT, 'this server has keys of this team');
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
