//! Names over all restore points, and two points compared.
use super::World;
use super::world::serde_urlencoded;
use crate::proof::craft::Craft;
use crate::support::visit::text;
use domain::id::RestorePointId;
use domain::time::days;
use holdfast::content::message::Bounds;
use serde_json::{Value, json};

fn empty(name: &str, size: usize) -> Value {
    json!({"name": name, "type": "file", "size": size, "content": []})
}

fn find(world: &World, pairs: &[(&str, &str)]) -> (u16, String) {
    let id = world.device.id();
    let answer = world.visit().get(&format!("/devices/{id}/restore-points/search?{}", serde_urlencoded(pairs)));
    (answer.status, without_tags(&text(&answer)))
}

/// What a person reads.
fn without_tags(page: &str) -> String {
    let mut plain = String::new();
    let mut is_tag = false;
    // What stands in cells is apart.
    let page = ["</dt>", "</dd>", "</th>", "</td>"].iter().fold(page.to_owned(), |page, it| page.replace(it, " "));
    for it in page.chars() {
        match it {
            '<' => is_tag = true,
            '>' => is_tag = false,
            _ if !is_tag => plain.push(it),
            _ => {}
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Points on 22, 23, 24, 25 Nov: `plan.odt` in the first two and the last, `other` in all, `late` in the last.
fn four_days(world: &mut World) -> [RestorePointId; 4] {
    let days_nodes = [
        vec![empty("other", 1), empty("plan.odt", 10)],
        vec![empty("other", 1), empty("plan.odt", 20)],
        vec![empty("other", 1)],
        vec![empty("late", 1), empty("other", 1), empty("plan.odt", 20)],
    ];
    days_nodes.map(|nodes| {
        let docs = world.craft.tree(&nodes);
        let id = docs.id;
        world.craft.pack(&[docs]);
        let point = world.backup(&[Craft::folder_node("docs", id)]);
        world.server.app.clock.advance(days(1));
        point
    })
}

#[test]
fn a_search_says_from_which_point_to_which_a_name_was_there_and_when_it_went() {
    let mut world = World::new();
    let [first, second, third, fourth] = four_days(&mut world);

    let (status, page) = find(&world, &[("q", "PLAN")]);
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("/data/docs/plan.odt") && page.contains("2 versions"), "{page}");
    assert!(page.contains("25 Nov 14:06, 22 Nov 14:06 to 23 Nov 14:06"), "{page}");
    assert!(
        page.contains("Still there in the newest searched") && page.contains("4 restore points searched"),
        "{page}"
    );

    let (_, page) = find(&world, &[("q", "plan"), ("as_of", "2026-11-24T23:00")]);
    assert!(page.contains("Gone between 23 Nov 14:06 and 24 Nov 14:06"), "{page}");
    assert!(page.contains("As of 24 Nov 23:00") && page.contains("3 restore points searched"), "{page}");
    let (_, page) = find(&world, &[("q", "docs")]);
    assert!(page.contains("22 Nov 14:06 to 25 Nov 14:06"), "a folder, over all of them: {page}");
    let (_, page) = find(&world, &[("q", "late"), ("as_of", "2026-11-24")]);
    assert!(page.contains("Nothing found"), "{page}");
    let (_, page) = find(&world, &[("q", "plan"), ("as_of", "2020-01-01")]);
    assert!(page.contains("holds no restore point of this device here"), "{page}");
    assert_eq!(find(&world, &[("q", " ")]).0, 422);
    assert_eq!(find(&world, &[("q", "x"), ("as_of", "yesterday")]).0, 422);

    let reads = world.acts();
    assert_eq!(reads.iter().filter(|it| *it == "contents_searched").count(), 4);
    assert!(!world.history().contains("plan"), "the history names no file");
    assert!([first, second, third, fourth].iter().all(|it| it.as_str().len() == 36));
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_found() {
    let mut world = World::new();
    let docs = world.craft.tree(&[empty("needle", 1)]);
    let (id, gone) = (docs.id, repository::Id([8; 32]));
    world.craft.pack(&[docs]);
    world.backup(&[Craft::folder_node("docs", id), Craft::folder_node("gone", gone)]);
    let garbage = b"no snapshot at all".to_vec();
    let name = world.craft.keep(domain::object::ObjectKind::Snapshots, crate::proof::craft::name_of(&garbage), garbage);
    world.server.app.clock.advance(days(1));
    world.receives(&name);

    let (status, page) = find(&world, &[("q", "needle")]);

    assert_eq!(status, 200);
    assert!(page.contains("/data/docs/needle"), "{page}");
    assert!(page.contains("1 folder and 1 restore point cannot be read"), "{page}");
    assert!(page.contains("Cannot say") && !page.contains("Gone between"), "nobody read a newer one: {page}");
    world.server.app.clock.advance(days(1));
    world.backup(&[Craft::folder_node("gone", gone)]);
    let (_, page) = find(&world, &[("q", "needle")]);
    assert!(page.contains("Cannot say") && !page.contains("Gone between"), "it may be in what cannot be read: {page}");
    world.server.app.clock.advance(days(1));
    world.backup(&[]);
    let (_, page) = find(&world, &[("q", "needle")]);
    assert!(page.contains("Gone between 22 Nov 14:06 and 25 Nov 14:06"), "{page}");
}

#[test]
fn many_hits_are_bounded() {
    let mut world = World::new();
    let nodes: Vec<_> = (0..1000).map(|it| empty(&format!("same-{it:04}"), 0)).collect();
    world.backup(&nodes);
    let (_, page) = find(&world, &[("q", "same")]);
    assert!(page.contains("300 paths") && page.contains("There are more paths than are shown"), "{page}");
}

fn changes(world: &World, new: RestorePointId, old: RestorePointId, rest: &str) -> (u16, String) {
    let answer = world.visit().get(&format!("/restore-points/{new}/changes?other={old}{rest}"));
    (answer.status, without_tags(&text(&answer)))
}

#[test]
fn two_points_are_compared_whichever_comes_first() {
    let mut world = World::new();
    let [first, second, third, fourth] = four_days(&mut world);

    for (a, b) in [(second, first), (first, second)] {
        let (status, page) = changes(&world, a, b, "");
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("From 22 Nov 14:06 to 23 Nov 14:06") && page.contains("Changed 1 file, 20 B"), "{page}");
        assert!(
            page.contains("Added 0 files, 0 B Changed 1 file")
                && page.contains("/data/docs/plan.odt Changed 10 B 20 B"),
            "{page}"
        );
    }
    let (_, page) = changes(&world, third, second, "");
    assert!(page.contains("/data/docs/plan.odt Removed 20 B"), "{page}");
    let (_, page) = changes(&world, fourth, third, "");
    assert!(page.contains("Added 2 files, 21 B"), "{page}");
    assert_eq!(world.acts().iter().filter(|it| *it == "contents_compared").count(), 4);
    let (_, page) = changes(&world, first, first, "");
    assert!(page.contains("hold the same files"), "{page}");
}

#[test]
fn whole_folders_that_came_and_went_are_counted_file_by_file_in_pages() {
    let mut world = World::new();
    let nodes: Vec<_> = (0..450).map(|it| empty(&format!("f{it:04}"), 2)).collect();
    let inner = world.craft.tree(&nodes);
    let id = inner.id;
    world.craft.pack(&[inner]);
    let old = world.backup(&[empty("kept", 1)]);
    world.server.app.clock.advance(days(1));
    let new = world.backup(&[Craft::folder_node("inner", id), empty("kept", 1)]);

    let (_, page) = changes(&world, new, old, "");
    assert!(page.contains("Added 450 files, 900 B") && page.contains("Removed 0 files"), "{page}");
    assert!(
        page.contains("/data/inner/f0198") && !page.contains("/data/inner/f0199"),
        "200 with the folder itself: {page}"
    );
    let (_, page) = changes(&world, new, old, "&from=400");
    assert!(page.contains("/data/inner/f0399") && page.contains("/data/inner/f0449"), "{page}");
}

#[test]
fn a_folder_that_is_not_in_order_is_not_compared_and_that_is_said() {
    let mut world = World::new();
    let old = world.backup(&[empty("a", 1), empty("b", 1)]);
    world.server.app.clock.advance(days(1));
    let new = world.backup(&[empty("b", 2), empty("a", 2)]);
    let (status, page) = changes(&world, new, old, "");
    assert_eq!(status, 200);
    assert!(page.contains("1 folder cannot be read or compared"), "{page}");
}

#[test]
fn points_are_listed_as_of_a_moment() {
    let mut world = World::new();
    let [first, .., fourth] = four_days(&mut world);
    let id = world.device.id();
    let page = |rest: &str| text(&world.visit().get(&format!("/devices/{id}/restore-points{rest}")));

    let all = page("");
    assert!(all.contains("4 restore points") && all.contains(fourth.as_str()) && all.contains(first.as_str()), "{all}");
    let then = page("?as_of=2026-11-22T14:06");
    assert!(then.contains("The server had received no backup of this device by then"), "11 seconds later: {then}");
    let then = page("?as_of=2026-11-24T11:00");
    assert!(
        then.contains("2 restore points") && then.contains(first.as_str()) && !then.contains(fourth.as_str()),
        "{then}"
    );
    assert!(then.contains("As of <time"), "{then}");
    assert_eq!(world.visit().get(&format!("/devices/{id}/restore-points?as_of=x")).status, 422);
    let json = world.visit().get(&format!("/devices/{id}/restore-points.json?as_of=2026-11-24T11:00")).json();
    assert_eq!((json["count"].as_i64(), json["restore_points"][1]["id"].as_str()), (Some(2), Some(first.as_str())));
}

/// A point whose folder `docs` is in no index, and a day later one that shows the same folder and brings its bytes.
fn folder_that_comes_later(world: &mut World) -> (RestorePointId, RestorePointId) {
    let docs = world.craft.tree(&[empty("needle", 7)]);
    let id = docs.id;
    let old = world.backup(&[Craft::folder_node("docs", id), empty("same", 1)]);
    world.server.app.clock.advance(days(1));
    world.craft.pack(&[docs]);
    let new = world.backup(&[Craft::folder_node("docs", id), empty("same", 1), empty("then", 1)]);
    (old, new)
}

#[test]
fn each_point_is_searched_and_compared_as_it_was_when_it_was_received() {
    let mut world = World::new();
    let (old, new) = folder_that_comes_later(&mut world);

    let (_, page) = find(&world, &[("q", "needle")]);
    assert!(page.contains("23 Nov 14:06 Still there") && !page.contains("22 Nov 14:06 to"), "{page}");
    assert!(page.contains("1 folder and 0 restore points cannot be read"), "what came later is not there: {page}");
    let as_of = find(&world, &[("q", "needle"), ("as_of", "2026-11-22T23:00")]).1;
    assert!(as_of.contains("Nothing found") && as_of.contains("1 folder"), "{as_of}");

    // The folder is compared with one whose list the older point does not have.
    world.server.app.clock.advance(days(1));
    let other = world.craft.tree(&[empty("more", 3), empty("needle", 7)]);
    let id = other.id;
    world.craft.pack(&[other]);
    let newest = world.backup(&[Craft::folder_node("docs", id), empty("same", 1)]);
    let (_, page) = changes(&world, newest, old, "");
    assert!(page.contains("1 folder cannot be read or compared") && page.contains("Added 0 files"), "{page}");
    let (_, page) = changes(&world, newest, new, "");
    assert!(page.contains("Added 1 file, 3 B") && !page.contains("cannot be read"), "{page}");
}

#[test]
fn indexes_that_came_after_a_point_change_nothing_in_it() {
    let mut world = World::new();
    let docs = world.craft.tree(&[empty("needle", 7)]);
    let id = docs.id;
    world.craft.pack(&[docs]);
    let old = world.backup(&[Craft::folder_node("docs", id)]);
    world.server.app.clock.advance(days(1));
    let new = world.backup(&[Craft::folder_node("docs", id), empty("then", 1)]);
    let is_right = |world: &World| {
        let (_, page) = find(world, &[("q", "needle")]);
        let found = page.contains("22 Nov 14:06 to 23 Nov 14:06 Still there") && !page.contains("cannot be read");
        let (_, changed) = changes(world, new, old, "");
        found && changed.contains("Added 1 file, 1 B") && !changed.contains("cannot be read")
    };
    assert!(is_right(&world));

    world.server.app.clock.advance(days(1));
    // It leads the folder to packs that are not there or are something else, thousands of times.
    let mut fake = vec![1u8; 4096];
    fake[9] = 2;
    let fake = world.craft.keep(domain::object::ObjectKind::Data, crate::proof::craft::name_of(&fake), fake);
    let gone = domain::object::ObjectName::from_hash(&[6; 32]);
    for pack in [&fake, &gone] {
        let places = (0..20_000).map(|at| json!({"id": id.name(), "type": "tree", "offset": at % 4000, "length": 64}));
        let poison = json!({"id": pack, "blobs": places.collect::<Vec<_>>()});
        world.craft.index(&[poison]);
    }
    world.arrives();

    assert!(is_right(&world));
    let garbage = b"no snapshot at all".to_vec();
    let name = world.craft.keep(domain::object::ObjectKind::Snapshots, crate::proof::craft::name_of(&garbage), garbage);
    world.receives(&name);
    let (_, page) = find(&world, &[("q", "needle")]);
    assert!(page.contains("22 Nov 14:06 to 23 Nov 14:06") && page.contains("1 restore point cannot be read"), "{page}");
}

#[test]
fn a_search_that_goes_on_knows_what_the_points_before_it_have() {
    let mut world = World::new();
    four_days(&mut world);

    let (_, page) = find(&world, &[("q", "plan"), ("skip", "2")]);
    assert!(page.contains("22 Nov 14:06 to 23 Nov 14:06"), "{page}");
    assert!(page.contains("Gone between 23 Nov 14:06 and 24 Nov 14:06"), "the point before lacks it: {page}");
    let (_, page) = find(&world, &[("q", "other"), ("skip", "2")]);
    assert!(page.contains("Still there in 24 Nov 14:06 and perhaps later"), "{page}");
    let (_, page) = find(&world, &[("q", "docs"), ("skip", "3"), ("as_of", "2026-11-25T23:00")]);
    assert!(page.contains("Still there in 23 Nov 14:06"), "folders too: {page}");
    let (_, page) = find(&world, &[("q", "plan"), ("skip", "2"), ("as_of", "2026-11-24T23:00")]);
    assert!(page.contains("Still there in 23 Nov 14:06"), "as of then, the one before is that of the 23rd: {page}");
}

#[test]
fn what_the_point_before_cannot_show_is_not_called_gone() {
    let mut world = World::new();
    world.backup(&[empty("needle", 1)]);
    world.server.app.clock.advance(days(1));
    world.backup(&[Craft::folder_node("docs", repository::Id([8; 32]))]);
    let (_, page) = find(&world, &[("q", "needle"), ("skip", "1")]);
    assert!(page.contains("Gone between 22 Nov 14:06 and 23 Nov 14:06"), "its own folder was read: {page}");
    world.server.app.clock.advance(days(1));
    let top = world.craft.tree(&[Craft::folder_node("data", repository::Id([9; 32]))]);
    let id = top.id;
    world.craft.pack(&[top]);
    world.point(id);
    let (_, page) = find(&world, &[("q", "docs"), ("skip", "1")]);
    assert!(page.contains("Cannot say") && !page.contains("Gone between"), "{page}");
}

#[test]
fn a_new_enrolment_is_no_border_for_what_is_gone() {
    let mut world = World::new();
    world.backup(&[empty("kept", 1), empty("lost", 1)]);
    world.server.app.clock.advance(days(1));
    world.enrolls_anew();
    world.backup(&[empty("kept", 1)]);

    let (_, page) = find(&world, &[("q", "kept")]);
    assert!(page.contains("Search 1 older restore point") && page.contains("1 restore point searched"), "{page}");
    let (_, page) = find(&world, &[("q", "lost"), ("skip", "1")]);
    assert!(page.contains("Gone between 22 Nov 14:06 and 23 Nov 14:06"), "{page}");
    let (_, page) = find(&world, &[("q", "kept"), ("skip", "1")]);
    assert!(page.contains("Still there in 23 Nov 14:06"), "{page}");
}

/// The address of the next search, if the page has one.
fn next(page: &str) -> Option<String> {
    let at = page.find("/restore-points/search?q=").or_else(|| page.find("/restore-points/search?as_of="))?;
    let start = page[..at].rfind('"')? + 1;
    let end = at + page[at..].find('"')?;
    Some(page[start..end].replace("&amp;", "&").replace("&#38;", "&"))
}

#[test]
fn a_search_goes_on_within_a_point_until_all_of_it_was_searched() {
    const FOLDERS: usize = 300;
    // As for a million folders and more, in small.
    let mut world = World::with(|desk| desk.search = Bounds { millis: 60_000, folders: 40 });
    let mut folders = Vec::new();
    for at in 0..FOLDERS {
        let deep = world.craft.tree(&[empty(&format!("needle-{at:03}"), at)]);
        let folder = world.craft.tree(&[Craft::folder_node("deep", deep.id), empty("hay", at)]);
        folders.push(Craft::folder_node(&format!("folder-{at:03}"), folder.id));
        world.craft.pack(&[deep, folder]);
    }
    world.backup(&folders);
    world.server.app.clock.advance(days(1));
    let newest = world.backup(&folders[..FOLDERS - 1]);

    let id = world.device.id();
    let mut address = Some(format!("/devices/{id}/restore-points/search?q=needle"));
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut said = String::new();
    while let Some(at) = address.take() {
        let answer = world.visit().get(&at);
        let page = text(&answer);
        assert_eq!(answer.status, 200, "{at}: {page}");
        found.extend(page.split("/files?path=").skip(1).filter_map(|it| {
            let path = it.split('"').next()?;
            path.rsplit("needle-").next()?.get(..3)?.parse::<usize>().ok()
        }));
        (pages, address) = (pages + 1, next(&page));
        said.push_str(&without_tags(&page));
        assert!(pages < 100, "it goes on for ever: {at}");
    }
    assert!(pages > 2 * FOLDERS / 40, "{pages} pages");
    let (newer, older) = found.split_at(FOLDERS - 1);
    assert!(newer.iter().copied().eq(0..FOLDERS - 1), "{newer:?}");
    assert!(older.iter().copied().eq(0..FOLDERS), "{older:?}");
    assert!(said.contains("The rest of the restore point of 22 Nov 14:06 was searched"), "{said}");
    assert!(said.contains("Gone between 22 Nov 14:06 and 23 Nov 14:06"), "{said}");
    assert!(said.contains("Still there in 23 Nov 14:06"), "{said}");
    assert_eq!(find(&world, &[("q", "needle"), ("from", "x")]).0, 422);
    assert_eq!(find(&world, &[("q", "needle"), ("from", &format!("{newest}."))]).0, 422);
    let (_, page) = find(&world, &[("q", "needle"), ("from", &format!("{newest}.1.9999"))]);
    assert!(page.contains("1 restore point cannot be read"), "{page}");
    // Another point is the first now, of which that place says nothing.
    world.server.app.clock.advance(days(1));
    world.backup(&[empty("later", 9)]);
    let (status, page) = find(&world, &[("q", "needle"), ("from", &format!("{newest}.1"))]);
    assert!(status == 409 && page.contains("search again from the newest"), "{status} {page}");
}

#[test]
fn a_point_that_cannot_be_searched_is_no_dead_end() {
    let mut world = World::new();
    let mut tree = world.craft.tree(&[]);
    let mut blobs = vec![tree.clone()];
    for _ in 0..4200 {
        tree = world.craft.tree(&[Craft::folder_node("d", tree.id)]);
        blobs.push(tree.clone());
    }
    world.craft.pack(&blobs);
    world.backup(&[empty("needle", 1)]);
    world.server.app.clock.advance(days(1));
    world.point(tree.id);
    let (status, page) = find(&world, &[("q", "needle")]);
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("1 restore point cannot be read") && page.contains("/data/needle"), "{page}");
}

#[test]
fn scripts_get_the_same_answers() {
    let mut world = World::new();
    let [.., second, third, fourth] = four_days(&mut world);
    let id = world.device.id();
    let get = |address: String| world.visit().get(&address);

    let listed = get(format!("/restore-points/{second}/files.json?path=/data/docs")).json();
    let names: Vec<_> = listed["entries"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!((names, &listed["count"], &listed["has_more"]), (vec!["other", "plan.odt"], &2.into(), &false.into()));
    assert_eq!(listed["entries"][1]["size_bytes"], 20);
    let single = get(format!("/restore-points/{second}/files.json?path=/data/docs/plan.odt")).json();
    assert_eq!((&single["entry"]["kind"], &single["entry"]["is_whole"]), (&"file".into(), &true.into()));
    assert_eq!(get(format!("/restore-points/{second}/files.json?path=/none")).status, 404);

    let compared = get(format!("/restore-points/{third}/changes.json?other={second}")).json();
    assert_eq!(compared["removed"], json!({"files": 1, "bytes": 20}));
    assert_eq!(compared["differences"][0]["path"], "/data/docs/plan.odt");
    assert_eq!((&compared["old"]["restore_point"], &compared["is_whole"]), (&second.as_str().into(), &true.into()));

    let search = |rest: &str| get(format!("/devices/{id}/restore-points/search.json?q=plan{rest}")).json();
    let all = search("");
    assert_eq!((&all["searched"], &all["paths"][0]["fate"], &all["next"]), (&4.into(), &"still".into(), &Value::Null));
    assert_eq!(all["paths"][0]["spans"][0]["newest"]["restore_point"], fourth.as_str());
    let older = search("&skip=2");
    assert_eq!(older["paths"][0]["fate"], "gone");
    assert!(older["paths"][0]["first_gone_at"].as_str().unwrap().starts_with("2026-11-24T"), "{older}");
    assert_eq!(search("&skip=2&as_of=2020-01-01")["paths"], json!([]));
    let empty = get(format!("/devices/{id}/restore-points/search.json")).status;
    assert_eq!(empty, 422);
    let acts = world.acts();
    let count = |act: &str| acts.iter().filter(|it| *it == act).count();
    assert_eq!(
        (count("contents_listed"), count("contents_compared"), count("contents_searched")),
        (3, 1, 2),
        "each read is written down"
    );
}
