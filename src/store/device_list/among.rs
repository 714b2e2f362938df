//! Devices that were chosen, or given a number, outside the database: a statement takes them as one value.
use super::sql::Sql;
use domain::id::DeviceId;
use std::sync::Arc;

/// The devices a list is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Among {
    /// Their ids as a JSON list.
    ids: Arc<str>,
    /// Whether there are devices that were not looked at.
    pub is_partial: bool,
}

impl Among {
    /// Of these ids.
    pub fn new(ids: &[DeviceId], is_partial: bool) -> Self {
        let ids: Vec<_> = ids.iter().map(DeviceId::as_str).collect();
        Self { ids: serde_json::json!(ids).to_string().into(), is_partial }
    }

    pub(super) fn write(&self, sql: &mut Sql) {
        sql.push(" AND l.device_id IN (SELECT ");
        if sql.is_postgres {
            sql.push("jsonb_array_elements_text(CAST(").bind_text(&*self.ids).push(" AS jsonb)))");
        } else {
            sql.push("value FROM json_each(").bind_text(&*self.ids).push("))");
        }
    }
}

/// A number for each device, to sort by; 0 for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores(Arc<str>);

impl Default for Scores {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Scores {
    /// Of these numbers.
    pub fn new(scores: Vec<(DeviceId, i64)>) -> Self {
        let scores = scores.into_iter().filter(|it| it.1 != 0).map(|(id, score)| (id.to_string(), score.into()));
        Self(serde_json::Value::Object(scores.collect()).to_string().into())
    }

    /// Writes them as the table `f`, read once instead of again for each device.
    pub(super) fn write(&self, sql: &mut Sql) {
        sql.push("WITH f AS MATERIALIZED (SELECT key AS id, ");
        if sql.is_postgres {
            sql.push("CAST(value AS BIGINT) AS score FROM jsonb_each_text(CAST(")
                .bind_text(&*self.0)
                .push(" AS jsonb))) ");
        } else {
            sql.push("value AS score FROM json_each(").bind_text(&*self.0).push(")) ");
        }
    }
}
