//! Style sheets, icons and scripts, embedded in the program.
//!
//! The address of each file carries a hash of its content, so browsers keep
//! it for ever and never show an old one.
use crate::error::Error;
use crate::secret;
use crate::web::error::PageResult;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use rust_embed::RustEmbed;
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// All style sheets in one file, in the order of their names.
const STYLE: &str = "app.css";

struct Asset {
    hash: String,
    kind: &'static str,
    bytes: Bytes,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let mut assets = BTreeMap::new();
    let mut style = Vec::new();
    let mut names: Vec<String> = Files::iter().map(std::borrow::Cow::into_owned).collect();
    names.sort();
    for name in names {
        let Some(file) = Files::get(&name) else { continue };
        if name.starts_with("css/") {
            style.extend_from_slice(&file.data);
            style.push(b'\n');
        } else {
            assets.insert(name.clone(), asset(&name, file.data.into_owned()));
        }
    }
    assets.insert(STYLE.to_owned(), asset(STYLE, style));
    assets
});

fn asset(name: &str, bytes: Vec<u8>) -> Asset {
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    let mut hash = hex::encode(secret::sha256(&bytes));
    hash.truncate(16);
    Asset { hash, kind, bytes: bytes.into() }
}

/// The address of an asset, such as `app.css` or `js/live.js`.
pub fn url(name: &str) -> String {
    match ASSETS.get(name) {
        Some(asset) => format!("/static/{}/{name}", asset.hash),
        None => format!("/static/none/{name}"),
    }
}

/// The address of an icon of the sprite.
pub fn icon(name: &str) -> String {
    format!("{}#{name}", url("icons.svg"))
}

#[get("/static/{hash}/{name:.+}")]
pub async fn show(request: HttpRequest, path: Path<(String, String)>) -> PageResult<HttpResponse> {
    let (_, name) = path.into_inner();
    let asset = ASSETS.get(&name).ok_or(Error::NotFound("file"))?;
    let tag = format!("\"{}\"", asset.hash);
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let mut response = if known == Some(&*tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")))
        .insert_header((header::ETAG, tag.clone()))
        .insert_header((header::CONTENT_TYPE, asset.kind));
    Ok(if known == Some(&*tag) { response.finish() } else { response.body(asset.bytes.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_that_a_template_names_is_in_the_sprite() {
        let sprite = std::str::from_utf8(&ASSETS["icons.svg"].bytes).unwrap();
        let mut missing = Vec::new();
        let mut folders = vec![std::path::PathBuf::from("templates")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for used in text.split("icon::icon(\"").skip(1) {
                    let name = used.split('"').next().unwrap();
                    if !sprite.contains(&format!("id=\"{name}\"")) {
                        missing.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn styles_and_scripts_stay_within_their_size() {
        for (name, limit) in [("app.css", 40_000), ("js/vendor/htmx.min.js", 40_000)] {
            assert!(ASSETS[name].bytes.len() < limit, "{name}: {}", ASSETS[name].bytes.len());
        }
    }
}
