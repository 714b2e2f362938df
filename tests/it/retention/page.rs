//! The pages of what is kept and of the trash, with something in them.
use super::world::{SHORTEST, World, has_restic};
use crate::support::people::{SINCE, person};
use crate::support::visit::{Visit, location, text};
use domain::retention::{PruneState, Rule};
use domain::role::Role;

#[test]
fn a_preview_names_each_device_of_which_something_ends_and_the_trash_gives_it_back() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let owner = Visit::of(&world.server, world.owner);
    let mut fields: Vec<(&str, String)> =
        Rule::LIMITS.into_iter().zip(SHORTEST.values()).map(|(it, value)| (it.field, value.to_string())).collect();
    fields.extend([("keep", "rule".to_owned()), ("reason", String::new())]);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = text(&owner.post("/retention/previews", &fields));
    assert!(page.contains("3 of 6 restore points would end") && page.contains("laptop-1"), "{page}");
    assert_eq!(world.points().len(), 6, "it only looks");

    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    let page = text(&owner.get("/retention"));
    assert!(page.contains("In the trash") && page.contains("Put back"), "{page}");
    let id = world.prunes()[0].id;
    let observer = person(&world.server, "observer", &[Role::Observer], None, SINCE);
    let observer = Visit::of(&world.server, observer);
    assert!(!text(&observer.get("/retention")).contains("Put back</button>"));
    assert_eq!(observer.post(&format!("/prunes/{id}/undos"), &[]).status, 403);
    assert_eq!(location(&owner.post(&format!("/prunes/{id}/undos"), &[])), "/retention");
    assert!(text(&owner.get("/retention")).contains("Being put back"));
    assert_eq!(owner.post(&format!("/prunes/{id}/undos"), &[]).status, 409, "once");
    world.pruner.run_once().unwrap();
    assert_eq!(world.prunes()[0].state, PruneState::Undone);
    assert!(text(&owner.get("/retention")).contains("Nothing is in the trash"));
}
