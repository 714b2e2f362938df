//! Style sheets and scripts: sent compressed to clients that accept it, and kept by browsers; pages never are.
use crate::support::server::TestServer;
use crate::support::visit::text;
use flate2::read::GzDecoder;
use std::io::Read;

/// The address of the style sheet, as a page names it.
fn style(server: &TestServer) -> String {
    let page = text(&server.request("GET", "/sign-in", &[], b""));
    let from = page.find("/static/").unwrap();
    page[from..].lines().find_map(|line| line.split('"').find(|it| it.ends_with("app.css"))).unwrap().to_owned()
}

#[test]
fn a_style_sheet_goes_out_compressed_where_that_is_taken() {
    let server = TestServer::start();
    let path = style(&server);
    let get = |accepted: &str| server.request("GET", &path, &[("Accept-Encoding", accepted)], b"");
    let plain = server.request("GET", &path, &[], b"");

    for accepted in ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8, *;q=0.1"] {
        let packed = get(accepted);
        assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"), "{accepted}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body && packed.body.len() * 2 < plain.body.len(), "{accepted}");
        assert_ne!(packed.header("etag"), plain.header("etag"));
        assert_eq!(packed.header("content-type"), "text/css; charset=utf-8");
    }
    for accepted in ["br", "identity", "gzip;q=0", "", "nonsense;;=", "*;q=0"] {
        let answer = get(accepted);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, ""), "{accepted}");
        assert!(answer.body == plain.body, "{accepted}");
    }
    for answer in [&plain, &get("gzip")] {
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    }
}

#[test]
fn a_browser_that_has_the_file_gets_no_second_one() {
    let server = TestServer::start();
    let path = style(&server);
    for accepted in ["gzip", "identity"] {
        let ask =
            |known: &str| server.request("GET", &path, &[("Accept-Encoding", accepted), ("If-None-Match", known)], b"");
        let tag = ask("\"other\"").header("etag").to_owned();
        for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let answer = ask(&known);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{accepted} {known}");
            assert_eq!((answer.header("etag"), answer.header("vary")), (&*tag, "Accept-Encoding"));
        }
        assert_eq!(ask("\"other\"").status, 200, "{accepted}");
    }
}

#[test]
fn a_page_is_never_compressed() {
    let server = TestServer::start();

    for path in ["/sign-in", "/none", "/health"] {
        let answer = server.request("GET", path, &[("Accept-Encoding", "gzip, br, zstd")], b"");
        assert_eq!(answer.header("content-encoding"), "", "{path}");
        assert_eq!(answer.header("vary"), "x-refresh", "{path}");
    }
}
