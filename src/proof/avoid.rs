//! Indexes without the packs that no store has intact, so that clients send again what was in them.
//!
//! The child of a prune writes them: to it the lost packs are some that nothing needs.
use super::pruner::Pruner;
use super::runner::Walked;
use crate::error::Result;
use crate::service::backup::{self, Replaced, ToAvoid};
use crate::store;
use domain::id::RepositoryId;
use domain::object::ObjectKind;

impl Pruner {
    /// Publishes them for each repository that lost something since it was last looked at; returns for how many.
    ///
    /// # Errors
    /// When the database or the store refuses.
    pub(super) fn avoid_what_is_lost(&self) -> Result<usize> {
        let mut done = 0;
        for (id, is_whole) in self.store.read_blocking(backup::regained)? {
            if is_whole {
                self.store.write_blocking(move |conn| backup::show_again(conn, id))?;
                self.turn().tried.remove(&id);
                done += 1;
            }
        }
        for id in self.store.read_blocking(store::uncopied::repositories_with_lost_packs)? {
            if self.store.wake().is_stopping() {
                break;
            }
            let Some(plan) = self.store.read_blocking(move |conn| backup::to_avoid(conn, id))? else { continue };
            if self.may_try(id) {
                done += usize::from(self.avoid(plan)?);
            }
        }
        Ok(done)
    }

    fn avoid(&self, plan: ToAvoid) -> Result<bool> {
        let (id, now, mut kept) = (plan.repository.id, self.clock.now(), Vec::new());
        let walked = {
            let mut keep = |old: &_, bytes: Vec<u8>| {
                kept.push((Clone::clone(old), backup::keep(&*self.blobs, id, ObjectKind::Index, &bytes)?));
                Ok(())
            };
            self.walk((&plan.repository, &[], &plan.ledger), plan.packs.clone(), &mut keep)?
        };
        let indexes = match walked {
            Walked::Done(found) if found.packs.len() == plan.packs.len() => found.indexes,
            Walked::Done(_) => return self.discard(kept).map(|()| false),
            Walked::CannotWalk(why) | Walked::Failed(why) => {
                tracing::warn!(repository = %id, why, "indexes without what is lost could not be written");
                return self.discard(kept).map(|()| false);
            }
        };
        let published = kept.iter().map(|(old, it)| (Clone::clone(old), it.key.clone(), it.size)).collect();
        let found = Replaced { indexes, published };
        match self.store.act_blocking(move |conn| backup::avoid(conn, &plan, &found, now)) {
            Ok(()) => {
                kept.into_iter().for_each(|it| it.1.settle());
                Ok(true)
            }
            // What is not in the ledger goes.
            Err(error) => {
                tracing::warn!(repository = %id, %error, "indexes without what is lost were not published");
                self.discard(kept).map(|()| false)
            }
        }
    }

    /// Whether a repository may be tried now: what failed is not tried again at once.
    fn may_try(&self, id: RepositoryId) -> bool {
        let now = self.clock.now();
        let mut turn = self.turn();
        let waits = turn.tried.get(&id).is_some_and(|at| *at <= now && now < *at + domain::time::minutes(10));
        if !waits {
            turn.tried.insert(id, now);
        }
        !waits
    }
}
