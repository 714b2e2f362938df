//! How it goes: build, lose everything, bring everything back, compare.
use super::before::{Before, LOOK_EVERY, PATIENCE, some};
use super::device::{Device, Running};
use super::machine::Machine;
use super::second::spoil_states;
use super::thief::Thief;
use super::{DeviceOutcome, Outcome, Plan, Variant, world};
use crate::store::restore::Restore;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Database, Store};
use anyhow::{Context, Result, ensure};
use clock::Clock;
use domain::time::Time;
use std::collections::BTreeSet;
use std::time::Instant;

/// Plays it; `say` is told what happens.
///
/// # Errors
/// When something does not work that has nothing to do with the disaster, or something worked that must not.
pub fn run(plan: &Plan, say: &dyn Fn(String)) -> Result<Outcome> {
    let mut before = Before::build(plan, say)?;
    before.go_wrong(plan, say)?;
    let lost_at = before.lose_everything(say)?;
    before.refuse_two_shares()?;
    if plan.second.refuses_to_change()? {
        say("what is left is an access key that may only read, and three shares".to_owned());
    }
    if plan.variant == Variant::NoState {
        before.lose_states()?;
    }
    let after = before.machine.successor(plan.folder.join("second-console"));
    let thief = (plan.variant == Variant::DeletedCopy).then(|| Thief::of(&plan.second)).transpose()?;
    if let Some(thief) = &thief {
        say(thief.rob()?);
        before.find_nothing(&after)?;
    }
    let begun = Instant::now();
    if thief.is_some() {
        say(before.undelete()?);
    }
    let said = before.bring_console_back(&after, plan.variant)?;
    let console_seconds = begun.elapsed().as_secs_f64();
    say(format!("the console is back after {console_seconds:.1} s:\n{}", said.trim_end()));
    let devices = before.restore_devices(&after, plan.variant, Times { lost_at, begun })?;
    let seconds = begun.elapsed().as_secs_f64();
    let (variant, most_seconds) = (plan.variant, plan.most_seconds);
    Ok(Outcome { variant, devices, seconds, console_seconds, most_seconds })
}

impl Before {
    /// Spoils the console's states on the second store.
    fn lose_states(&self) -> Result<()> {
        spoil_states(&*self.second.blobs()?)?;
        let attempt = self.machine.successor(self.machine.data.with_file_name("without-state"));
        let (is_done, said) = attempt.run(&["dr", "restore"], &some(&self.shares, 3))?;
        ensure!(!is_done && said.contains("--without-state"), "there is no state, and dr restore says: {said}");
        Ok(())
    }

    /// Kills the server and destroys everything that it had, and every device's files.
    fn lose_everything(&mut self, say: &dyn Fn(String)) -> Result<Time> {
        let serving = self.serving.take().context("the server runs")?;
        serving.kill();
        let lost_at = Clock::System.now();
        self.machine.destroy()?;
        for device in &self.devices {
            device.lose_everything()?;
        }
        say("the server was killed; its database, its backup store, its key and every device’s files are gone"
            .to_owned());
        Ok(lost_at)
    }

    /// What was deleted is not there, and whoever wants it back is told what to do.
    fn find_nothing(&self, after: &Machine) -> Result<()> {
        let attempt = after.successor(after.data.with_file_name("too-early"));
        let (is_done, said) = attempt.run(&["dr", "restore"], &some(&self.shares, 3))?;
        ensure!(!is_done && said.contains("dr undelete"), "everything was deleted, but `dr restore` says: {said}");
        Ok(())
    }

    /// Looks first, and then brings back what was deleted; with an access key that may write again.
    fn undelete(&self) -> Result<String> {
        let looked = self.machine.must(&["dr", "undelete"], "")?;
        ensure!(looked.contains("Nothing was changed"), "a look changed something: {looked}");
        let said = self.machine.must(&["dr", "undelete", "--bring-back"], "")?;
        let again = self.machine.must(&["dr", "undelete"], "")?;
        ensure!(again.contains("Nothing is to be brought back"), "not everything is back: {again}");
        Ok(format!("{}\n{}", looked.trim_end(), said.trim_end()))
    }

    /// Two shares bring nothing back.
    fn refuse_two_shares(&self) -> Result<()> {
        let attempt = self.machine.successor(self.machine.data.with_file_name("two-shares"));
        let (is_done, said) = attempt.run(&["dr", "restore"], &some(&self.shares, 2))?;
        ensure!(!is_done && said.contains("only 2 of the 3 shares"), "two shares must not suffice, but: {said}");
        ensure!(!attempt.database().exists(), "two shares left a database behind");
        Ok(())
    }

    fn bring_console_back(&self, after: &Machine, variant: Variant) -> Result<String> {
        let arguments: &[&str] = match variant {
            Variant::NoState => &["dr", "restore", "--without-state"],
            Variant::Plain
            | Variant::OlderState
            | Variant::PoisonedIndex
            | Variant::RottenPack
            | Variant::DeletedCopy => &["dr", "restore"],
        };
        let (is_whole, said) = after.run(arguments, &some(&self.shares, 3))?;
        // What is lost on both is said, and everything else is brought back.
        let must_be_whole = variant != Variant::RottenPack;
        ensure!(is_whole == must_be_whole, "dr restore says: {said}");
        Ok(said)
    }

    /// Orders all restores, lets the agents run, and compares.
    fn restore_devices(&self, after: &Machine, variant: Variant, times: Times) -> Result<Vec<DeviceOutcome>> {
        // Whoever brought it back has looked.
        after.must(&["admin", "unfreeze"], "")?;
        match variant {
            Variant::Plain | Variant::PoisonedIndex | Variant::RottenPack | Variant::DeletedCopy => {}
            Variant::OlderState => self.tell_again(after, &[])?,
            Variant::NoState => self.tell_again(after, &[&format!("--new-copy={}", self.second.copy)])?,
        }
        let store = world::open(&after.database())?;
        let by = match variant {
            // Nobody has an account.
            Variant::NoState => world::people(&store)?,
            Variant::Plain
            | Variant::OlderState
            | Variant::PoisonedIndex
            | Variant::RottenPack
            | Variant::DeletedCopy => world::operator(&store, &self.by)?,
        };
        let mut waiting = Vec::new();
        for device in &self.devices {
            let point = world::newest(&store, device.id)?;
            let ordered = world::order(&store, &by, &after.data, device, &point)?;
            waiting.push((device, point, ordered));
        }
        drop(store);
        let _serving = after.serve()?;
        let _agents = self.devices.iter().map(Device::start).collect::<Result<Vec<Running>>>()?;
        let store = Store::open_read_only(&Database::Sqlite(after.database()))?;
        let until = Instant::now() + PATIENCE;
        let mut done = Vec::new();
        while !waiting.is_empty() {
            ensure!(Instant::now() < until, "{} of the devices do not get their files back", waiting.len());
            let mut still = Vec::new();
            for (device, point, id) in waiting {
                let restore = store.read_blocking(move |conn| store::restore::find(conn, id))?;
                match restore.filter(|it| it.state.is_final()) {
                    Some(restore) => done.push(self.outcome(device, &point, &restore, variant, times)?),
                    None => still.push((device, point, id)),
                }
            }
            waiting = still;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(done)
    }

    /// Lets the devices check in, so that they tell the console what it does not know any more.
    fn tell_again(&self, after: &Machine, further: &[&str]) -> Result<()> {
        let _serving = after.serve_with(further)?;
        let _agents = self.devices.iter().map(Device::start).collect::<Result<Vec<Running>>>()?;
        let store = Store::open_read_only(&Database::Sqlite(after.database()))?;
        let until = Instant::now() + PATIENCE;
        for device in &self.devices {
            let id = device.id;
            let is_known = || -> Result<bool> {
                let points = store.read_blocking(move |conn| store::restore_point::of_device(conn, id, 1))?;
                Ok(points.first().is_some_and(|it| it.manifest_name.is_some()))
            };
            while !is_known()? {
                ensure!(Instant::now() < until, "{} does not tell of its newest backup", device.name);
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// Compares what a device has with what it had, and with what the console says of it.
    fn outcome(
        &self,
        device: &Device,
        point: &RestorePoint,
        restore: &Restore,
        variant: Variant,
        times: Times,
    ) -> Result<DeviceOutcome> {
        let recovery_time_seconds = times.begun.elapsed().as_secs_f64();
        let held = self.held.get(&device.name).with_context(|| format!("nobody knows what {} had", device.name))?;
        let found = device.manifest()?;
        let different: Vec<String> =
            held.iter().filter(|(name, hash)| found.get(*name) != Some(*hash)).map(|it| it.0.clone()).collect();
        let findings = restore.outcome()?;
        let failed = findings.failures.into_iter().map(|it| it.0);
        let said: BTreeSet<String> = failed.chain(findings.differing).chain(findings.missing).collect();
        let is_said = |name: &String| said.iter().any(|path| path.ends_with(&format!("/{name}")));
        ensure!(
            said.len() == different.len() && different.iter().all(is_said) && findings.note.is_empty(),
            "{}: not what they were are {different:?}, and the console says that of {said:?} {}",
            device.name,
            findings.note
        );
        let is_spoilt = variant == Variant::RottenPack && device.name == self.first()?.name;
        Ok(DeviceOutcome {
            name: device.name.clone(),
            files: held.len(),
            bytes: u64::try_from(point.size_bytes.unwrap_or(0)).unwrap_or(0),
            is_spoilt,
            different,
            recovery_point_seconds: times.lost_at.since(point.received_at).as_secs_f64(),
            recovery_time_seconds,
        })
    }
}

/// From when on is measured.
#[derive(Clone, Copy)]
struct Times {
    lost_at: Time,
    begun: Instant,
}
