//! The order of a list, and the place in it where a page begins.
use super::sql::Sql;
use crate::domain::id::DeviceId;

/// What a list is sorted by; the device's id decides among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Worst proof first: failed, never, reported, stored, verified, partly proven, then by when the proof runs out.
    #[default]
    Worst,
    Name,
    ProvenAt,
    NewestBackup,
    LastSeen,
}

impl Sort {
    /// Every order.
    pub const ALL: &'static [Self] = &[Self::Worst, Self::Name, Self::ProvenAt, Self::NewestBackup, Self::LastSeen];

    /// The word in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Name => "name",
            Self::ProvenAt => "proven_at",
            Self::NewestBackup => "newest_backup",
            Self::LastSeen => "last_seen",
        }
    }

    /// The order of a word; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }

    /// The two numbers that are sorted by; a name is a column of its own.
    pub(super) const fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Worst => ("l.rank", "l.proven_until"),
            Self::Name => (NOTHING, NOTHING),
            Self::ProvenAt => ("l.proven_at", NOTHING),
            Self::NewestBackup => ("l.newest_at", NOTHING),
            Self::LastSeen => ("coalesce(s.last_seen_at, 0)", NOTHING),
        }
    }

    const fn id_column(self) -> &'static str {
        match self {
            // The index of check-ins has its own copy of the id.
            Self::LastSeen => "s.device_id",
            Self::Worst | Self::Name | Self::ProvenAt | Self::NewestBackup => "l.device_id",
        }
    }

    fn keys(self) -> Vec<&'static str> {
        let (major, minor) = self.columns();
        let mut keys = if self == Self::Name { vec!["l.name"] } else { vec![major, minor] };
        keys.retain(|it| *it != NOTHING);
        keys.push(self.id_column());
        keys
    }

    pub(super) fn write_order(self, sql: &mut Sql, descending: bool) {
        let direction = if descending { " DESC" } else { " ASC" };
        sql.push(" ORDER BY ");
        for (at, key) in self.keys().iter().enumerate() {
            sql.push(if at > 0 { ", " } else { "" }).push(key).push(direction);
        }
    }

    /// Writes that a row comes after `cursor` in the direction of reading.
    pub(super) fn write_beyond(self, sql: &mut Sql, cursor: &Cursor, descending: bool) {
        sql.push(" AND (").push(&self.keys().join(", "));
        sql.push(if descending { ") < (" } else { ") > (" });
        match &cursor.key {
            Key::Numbers(major, minor) => {
                sql.bind_int(*major);
                if self == Self::Worst {
                    sql.push(", ").bind_int(*minor);
                }
            }
            Key::Name(name) => {
                sql.bind_text(name.as_str());
            }
        }
        sql.push(", ").bind_text(cursor.id.as_str()).push(")");
    }

    pub(super) fn cursor(self, id: DeviceId, name: &str, (major, minor): (i64, i64)) -> Cursor {
        let key = if self == Self::Name { Key::Name(name.to_owned()) } else { Key::Numbers(major, minor) };
        Cursor { key, id }
    }
}

const NOTHING: &str = "CAST(0 AS BIGINT)";

/// A row's place in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub key: Key,
    pub id: DeviceId,
}

/// What the row is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Numbers(i64, i64),
    Name(String),
}

impl Cursor {
    /// The cursor as a URL carries it.
    pub fn encode(&self) -> String {
        match &self.key {
            Key::Numbers(major, minor) => format!("{major}~{minor}~{}", self.id),
            Key::Name(name) => format!("{name}~{}", self.id),
        }
    }

    /// Reads a cursor of `sort`; none for any other text.
    pub fn parse(sort: Sort, text: &str) -> Option<Self> {
        let (key, id) = text.rsplit_once('~')?;
        let id = DeviceId::parse(id)?;
        let key = if sort == Sort::Name {
            Key::Name(key.to_owned())
        } else {
            let (major, minor) = key.split_once('~')?;
            Key::Numbers(major.parse().ok()?, minor.parse().ok()?)
        };
        Some(Self { key, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Time;

    #[test]
    fn a_cursor_survives_the_url_with_any_name() {
        let id = DeviceId::generate(Time::from_millis(1_795_356_371_000));
        for (sort, key) in [
            (Sort::Worst, Key::Numbers(5, 1_795_356_371_000)),
            (Sort::Name, Key::Name("a~b~c".to_owned())),
            (Sort::Name, Key::Name(String::new())),
        ] {
            let cursor = Cursor { key, id };
            assert_eq!(Cursor::parse(sort, &cursor.encode()), Some(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "~", "1~2", "1~2~3", "x~y~0190163d-8694-739b-aea5-966c26f8ad90"] {
            assert_eq!(Cursor::parse(Sort::Worst, text), None, "{text}");
        }
    }
}
