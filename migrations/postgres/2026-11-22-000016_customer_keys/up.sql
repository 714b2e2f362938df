-- Who keeps the keys to the backups of a team's devices. Nothing makes a customer's team the server's again.
ALTER TABLE teams ADD COLUMN key_holder TEXT COLLATE "C" NOT NULL DEFAULT 'server' CHECK (key_holder IN ('server', 'customer'));

-- The same of one repository. What the customer keeps is here in no form.
ALTER TABLE repositories ADD COLUMN key_holder TEXT COLLATE "C" NOT NULL DEFAULT 'server' CHECK (
    key_holder = 'server' OR (key_holder = 'customer' AND sealed_master_key = '' AND team_key_id IS NULL));

CREATE FUNCTION refuse_key_holder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'who keeps the key does not change';
END $$;
CREATE TRIGGER teams_of_customers BEFORE UPDATE OF key_holder ON teams FOR EACH ROW
    WHEN (OLD.key_holder = 'customer' AND NEW.key_holder <> 'customer') EXECUTE FUNCTION refuse_key_holder();
CREATE TRIGGER repositories_of_customers BEFORE UPDATE OF key_holder ON repositories FOR EACH ROW
    WHEN (NEW.key_holder <> OLD.key_holder) EXECUTE FUNCTION refuse_key_holder();

CREATE FUNCTION refuse_of_customer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM repositories WHERE id = NEW.repository_id AND key_holder = 'customer') THEN
        RAISE EXCEPTION 'the customer keeps the key of this repository';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION refuse_of_customers_device() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM repositories WHERE device_id = NEW.device_id AND key_holder = 'customer') THEN
        RAISE EXCEPTION 'the customer keeps the key of this device''s backups';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER escrows_of_customers BEFORE INSERT ON escrows FOR EACH ROW EXECUTE FUNCTION refuse_of_customer();

-- A device stays on its side: what was sealed here is not called the customer's, and what the customer keeps is not taken over.
CREATE FUNCTION refuse_repository_of_team() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.key_holder <> coalesce(
        (SELECT t.key_holder FROM devices d JOIN teams t ON t.id = d.team_id WHERE d.id = NEW.device_id), 'server') THEN
        RAISE EXCEPTION 'whoever keeps the keys of a team keeps that of each of its repositories';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION refuse_device_of_customer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM teams WHERE id IN (OLD.team_id, NEW.team_id) AND key_holder = 'customer') THEN
        RAISE EXCEPTION 'no device moves between a team whose keys the customer keeps and another';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION refuse_team_with_devices() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM devices WHERE team_id = NEW.id) THEN
        RAISE EXCEPTION 'this server has keys of this team';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER repositories_of_the_team BEFORE INSERT ON repositories FOR EACH ROW
    EXECUTE FUNCTION refuse_repository_of_team();
CREATE TRIGGER devices_of_customers BEFORE UPDATE OF team_id ON devices FOR EACH ROW
    WHEN (NEW.team_id IS DISTINCT FROM OLD.team_id) EXECUTE FUNCTION refuse_device_of_customer();
CREATE TRIGGER teams_with_devices BEFORE UPDATE OF key_holder ON teams FOR EACH ROW
    WHEN (NEW.key_holder <> OLD.key_holder) EXECUTE FUNCTION refuse_team_with_devices();

-- Nobody here can have restored what the customer keeps the key of, and no row says so: whatever reads these tables cannot
-- show what they cannot hold.
CREATE TRIGGER restore_points_of_customers
    BEFORE INSERT OR UPDATE OF proven_at, proven_until, partial_at, partial_until ON restore_points FOR EACH ROW
    WHEN (coalesce(NEW.proven_at, NEW.proven_until, NEW.partial_at, NEW.partial_until) IS NOT NULL)
    EXECUTE FUNCTION refuse_of_customer();
CREATE TRIGGER device_proof_of_customers
    BEFORE INSERT OR UPDATE OF proven_at, proven_until, partial_at, partial_until ON device_proof FOR EACH ROW
    WHEN (coalesce(NEW.proven_at, NEW.proven_until, NEW.partial_at, NEW.partial_until) IS NOT NULL)
    EXECUTE FUNCTION refuse_of_customers_device();
CREATE TRIGGER restore_tests_of_customers BEFORE INSERT ON restore_tests FOR EACH ROW
    EXECUTE FUNCTION refuse_of_customers_device();
CREATE TRIGGER copy_tests_of_customers BEFORE INSERT ON copy_tests FOR EACH ROW EXECUTE FUNCTION refuse_of_customer();
