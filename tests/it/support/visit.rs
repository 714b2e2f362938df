//! A browser without scripts: a cookie, forms, and what a page says.
use super::server::{Answer, TestServer};
use diesel::prelude::*;
use domain::id::UserId;
use domain::time::days;
use holdfast::store::schema::sessions;
use holdfast::web::csrf;

/// Somebody who is signed in.
pub struct Visit<'a> {
    server: &'a TestServer,
    id: String,
}

impl<'a> Visit<'a> {
    /// Signed in, with a password entered just now.
    pub fn of(server: &'a TestServer, user: UserId) -> Self {
        Self::with(server, user, true)
    }

    /// Signed in some time ago.
    pub fn stale(server: &'a TestServer, user: UserId) -> Self {
        Self::with(server, user, false)
    }

    fn with(server: &'a TestServer, user: UserId, fresh: bool) -> Self {
        let (id, now) = (secret::generate("").unwrap(), server.app.clock.now());
        let (hash, at) = (secret::hash(&id), if fresh { now } else { now - days(1) });
        server.act(move |conn| {
            diesel::insert_into(sessions::table)
                .values((
                    sessions::id_hash.eq(hash),
                    sessions::user_id.eq(user),
                    sessions::created_at.eq(now),
                    sessions::last_seen_at.eq(now),
                    sessions::reauthenticated_at.eq(at),
                    sessions::user_agent.eq("test"),
                    sessions::address.eq("127.0.0.1"),
                ))
                .execute(conn)?;
            Ok(())
        });
        Self { server, id }
    }

    pub fn cookie(&self) -> String {
        format!("holdfast={}", self.id)
    }

    /// A page.
    pub fn get(&self, path: &str) -> Answer {
        self.server.request("GET", path, &[("Cookie", &self.cookie())], b"")
    }

    /// A form as the browser sends it.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("csrf", csrf::token(&self.id))];
        all.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if let Some(page) = page_of_edit(path)
            && !fields.iter().any(|(name, _)| *name == "version")
        {
            all.extend(find_hidden(&text(&self.get(&page)), "version").map(|it| ("version", it)));
        }
        let body = serde_urlencoded::to_string(all).unwrap();
        let headers = [
            ("Cookie", self.cookie()),
            ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
            ("Sec-Fetch-Site", "same-origin".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.server.request("POST", path, &headers, body.as_bytes())
    }
}

/// The text of a page.
pub fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// Where an answer leads.
pub fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", text(answer));
    let line = answer.head.lines().find(|it| it.to_ascii_lowercase().starts_with("location:")).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

/// The page whose form changes something, and says what it was shown with.
fn page_of_edit(path: &str) -> Option<String> {
    match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["settings"] | ["account"] => Some(path.to_owned()),
        ["users", id, "roles"] => Some(format!("/users/{id}")),
        ["devices", id] => Some(format!("/devices/{id}/edit")),
        ["policies", id] => Some(format!("/policies/{id}/edit")),
        _ => None,
    }
}

/// The value of a hidden field.
pub fn hidden(page: &str, name: &str) -> String {
    find_hidden(page, name).unwrap_or_else(|| panic!("no {name} in {page}"))
}

fn find_hidden(page: &str, name: &str) -> Option<String> {
    let start = format!("name=\"{name}\" value=\"");
    let value = page.split_once(&start)?.1.split_once('"')?.0;
    Some(
        value
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&#38;", "&"),
    )
}

/// The value of a cookie that an answer sets.
pub fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let start = format!("{name}=");
    answer.head.lines().filter(|it| it.to_ascii_lowercase().starts_with("set-cookie:")).find_map(|line| {
        let value = line.split_once(':')?.1.trim().strip_prefix(&start)?;
        Some(value.split(';').next()?.to_owned())
    })
}
