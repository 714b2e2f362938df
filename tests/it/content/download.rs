//! Files and folders as streams: whole, or visibly not.
use super::World;
use crate::proof::craft::Craft;
use crate::support::server::{Answer, TestServer};
use crate::support::visit::{Visit, text};
use domain::content::ReadOutcome;
use domain::id::RestorePointId;
use domain::object::ObjectKind;
use holdfast::web::csrf;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The bytes of an answer as they came, without looking whether it is whole.
fn raw(server: &TestServer, visit: &Visit<'_>, point: RestorePointId, fields: &[(&str, &str)]) -> Vec<u8> {
    server.app.clock.advance(Duration::from_secs(1));
    let mut stream = open(server, visit, point, fields);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

fn open(server: &TestServer, visit: &Visit<'_>, point: RestorePointId, fields: &[(&str, &str)]) -> TcpStream {
    let cookie = visit.cookie();
    let mut all = vec![("csrf".to_owned(), csrf::token(cookie.split_once('=').unwrap().1))];
    all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let body = serde_urlencoded::to_string(all).unwrap();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /restore-points/{point}/downloads HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn is_whole_chunked(bytes: &[u8]) -> bool {
    bytes.ends_with(b"0\r\n\r\n")
}

/// The entries of an archive: name, kind, content or target.
fn untar(bytes: &[u8]) -> Vec<(String, tar::EntryType, String)> {
    let mut archive = tar::Archive::new(bytes);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            let mut content =
                entry.link_name_bytes().map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default();
            entry.read_to_string(&mut content).unwrap();
            (name, kind, content)
        })
        .collect()
}

fn assert_isolated(answer: &Answer, name: &str) {
    assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
    let disposition = answer.header("content-disposition");
    assert!(disposition.starts_with(&format!("attachment; filename=\"{name}\"")), "{disposition}");
}

#[test]
fn a_file_comes_byte_for_byte_and_is_only_saved() {
    let mut world = World::new();
    let chunks = [vec![b'a'; 300_000], vec![b'b'; 500_000], vec![b'a'; 300_000]];
    let blobs: Vec<_> = chunks.iter().map(|it| world.craft.blob(false, it)).collect();
    let ids: Vec<_> = blobs.iter().map(|it| it.id).collect();
    world.craft.pack(&blobs[..2]);
    let all = chunks.concat();
    let point = world.backup(&[Craft::file_node("page.html", all.len(), &ids), Craft::file_node("empty", 0, &[])]);

    let got = world.takes(point, "/data/page.html");

    assert_eq!((got.status, got.body == all), (200, true), "{} bytes", got.body.len());
    assert_isolated(&got, "page.html");
    assert_eq!(got.header("content-length"), all.len().to_string());
    let empty = world.takes(point, "/data/empty");
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let reads = world.ended();
    let ends: Vec<_> = reads.iter().map(|it| (it.outcome, it.byte_count)).collect();
    assert_eq!(ends, [(Some(ReadOutcome::Complete), 0), (Some(ReadOutcome::Complete), 1_100_000)]);
    assert_eq!(world.takes(point, "/data/none").status, 404);
    assert_eq!(world.ended()[0].outcome, Some(ReadOutcome::BrokenOff), "nothing was sent, and that is written down");
}

#[test]
fn a_folder_comes_as_an_archive_that_any_tar_reads() {
    let mut world = World::new();
    let (a, _) = world.file("a.txt", b"content of a");
    let long = "n".repeat(240);
    let (deep, _) = world.file(&long, b"deep");
    let inner = world.craft.tree(&[deep]);
    let folder = Craft::folder_node("inner", inner.id);
    let link = json!({"name": "link", "type": "symlink", "linktarget": "../../etc/passwd"});
    let mut tool = Craft::file_node("tool", 0, &[]);
    tool["mode"] = (0o755u32 | 1 << 23).into();
    world.craft.pack(&[inner]);
    let point = world.backup(&[a, folder, link, json!({"name": "pipe", "type": "fifo"}), tool]);

    let got = world.takes(point, "/data");

    assert_eq!(got.status, 200, "{}", text(&got));
    assert_isolated(&got, "data.tar");
    let entries = untar(&got.body);
    let names: Vec<_> = entries.iter().map(|it| it.0.as_str()).collect();
    let deep = format!("data/inner/{long}");
    assert_eq!(names, ["data/a.txt", "data/inner", deep.as_str(), "data/link", "data/tool"]);
    assert_eq!(entries[0].2, "content of a");
    assert_eq!((entries[3].1, entries[3].2.as_str()), (tar::EntryType::Symlink, "../../etc/passwd"));
    let mut archive = tar::Archive::new(got.body.as_slice());
    let modes: Vec<_> = archive.entries().unwrap().map(|it| it.unwrap().header().mode().unwrap()).collect();
    assert_eq!(modes.last(), Some(&0o755), "no bit that lets it act as somebody else");
    let whole = world.takes(point, "");
    assert!(untar(&whole.body).iter().any(|it| it.0 == "data/a.txt"), "the top has no name of its own");
    assert_isolated(&whole, "restore-point.tar");
    assert!(world.ended().iter().all(|it| it.outcome == Some(ReadOutcome::Complete)));
}

#[test]
fn a_download_that_meets_damage_breaks_off_and_does_not_look_whole() {
    let mut world = World::new();
    let (first, _) = world.file("a.txt", &[b'a'; 400_000]);
    let (second, pack) = world.file("b.txt", b"this one rots");
    let (third, _) = world.file("c.txt", b"content of c");
    let point = world.backup(&[first, second, third]);
    world.rots(ObjectKind::Data, &pack);
    let visit = world.visit();
    let reason = ("reason", "it is missed");

    let cut = raw(&world.server, &visit, point, &[("path", "/data"), reason]);
    assert!(cut.starts_with(b"HTTP/1.1 200"), "it had begun");
    assert!(!is_whole_chunked(&cut), "a broken archive ends without the last chunk");
    let reads = world.ended();
    assert_eq!(reads[0].outcome, Some(ReadOutcome::BrokenOff));
    assert!(reads[0].note.contains("/data/b.txt"), "{}", reads[0].note);
    assert!(world.acts().contains(&"contents_download_broken_off".to_owned()));
    let page = text(&world.lists(point, "/data"));
    assert!(page.contains("Broken off") && page.contains("/data/b.txt cannot be read"), "{page}");

    let left = world.takes_with(point, &[("path", "/data"), reason, ("damaged", "leave_out")]);
    assert_eq!(left.status, 200);
    let entries = untar(&left.body);
    let names: Vec<_> = entries.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(names, ["data/a.txt", "data/c.txt", "holdfast-left-out.txt"]);
    assert!(entries[2].2.contains("/data/b.txt: "), "{}", entries[2].2);
    assert_eq!(world.ended()[0].outcome, Some(ReadOutcome::LeftOut));

    let single = raw(&world.server, &visit, point, &[("path", "/data/b.txt"), reason]);
    let head = String::from_utf8_lossy(&single).to_lowercase();
    assert!(head.contains("content-length: 13") && !head.contains("this one"), "{head}");
}

#[test]
fn a_file_whose_chunks_are_known_to_be_missing_does_not_begin() {
    let mut world = World::new();
    let point = world.backup(&[Craft::file_node("x", 4, &[repository::Id([9; 32])])]);
    let got = world.takes(point, "/data/x");
    assert_eq!(got.status, 409, "{}", text(&got));
    assert!(text(&got).contains("/data/x cannot be read"), "{}", text(&got));
}

#[test]
fn a_size_that_the_device_made_up_breaks_off() {
    let mut world = World::new();
    for (name, said) in [("less", 3usize), ("more", 30)] {
        let blob = world.craft.blob(false, b"0123456789");
        let node = Craft::file_node(name, said, &[blob.id]);
        world.craft.pack(&[blob]);
        let point = world.backup(&[node]);
        let bytes = raw(&world.server, &world.visit(), point, &[("path", "/data"), ("reason", "x")]);
        assert!(!is_whole_chunked(&bytes), "{name}");
        assert_eq!(world.ended()[0].outcome, Some(ReadOutcome::BrokenOff), "{name}");
    }
}

#[test]
fn a_reader_that_goes_away_frees_its_place_and_one_that_waits_holds_only_its_own() {
    let mut world = World::new();
    // Incompressible, and far more than pipes and sockets hold.
    let mut content = Vec::new();
    let mut state = [0u8; 32];
    while content.len() < 24 << 20 {
        state = secret::sha256(&state);
        content.extend(state);
    }
    let mut nodes = Vec::new();
    for (at, chunk) in content.chunks(4 << 20).enumerate() {
        nodes.push(world.file(&format!("f{at}"), chunk).0);
    }
    let point = world.backup(&nodes);
    let visit = world.visit();
    let fields = [("path", "/data"), ("reason", "it is missed")];
    let slow = [open(&world.server, &visit, point, &fields), open(&world.server, &visit, point, &fields)];
    let mut first = [0; 1];
    for mut it in &slow {
        it.read_exact(&mut first).unwrap();
    }

    let third = world.takes(point, "/data");
    assert_eq!(third.status, 503, "one person has enough: {}", text(&third));
    assert_eq!(world.lists(point, "/data").status, 200, "looking goes on");

    drop(slow);
    assert!(world.ended().iter().all(|it| it.outcome == Some(ReadOutcome::BrokenOff)));
    assert_eq!(world.takes(point, "/data").status, 200);
}
