//! A statement that grows piece by piece; every value is bound, never written into the text.
use crate::store::MultiBackend;
use diesel::query_builder::BoxedSqlQuery;
use diesel::query_builder::SqlQuery;
use diesel::sql_types::{BigInt, Text};

pub(super) type Boxed = BoxedSqlQuery<'static, MultiBackend, SqlQuery>;

enum Bind {
    Text(String),
    Int(i64),
}

/// The text with `$1`, `$2`, … and the values in that order.
pub(super) struct Sql {
    text: String,
    binds: Vec<Bind>,
    pub is_postgres: bool,
}

impl Sql {
    pub fn new(is_postgres: bool) -> Self {
        Self { text: String::new(), binds: Vec::new(), is_postgres }
    }

    /// Appends a piece written by the program itself.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub fn bind_int(&mut self, value: i64) -> &mut Self {
        self.placeholder(Bind::Int(value))
    }

    pub fn bind_text(&mut self, value: impl Into<String>) -> &mut Self {
        self.placeholder(Bind::Text(value.into()))
    }

    fn placeholder(&mut self, bind: Bind) -> &mut Self {
        self.binds.push(bind);
        let number = self.binds.len();
        self.text.push_str(&format!("${number}"));
        self
    }

    pub fn into_query(self) -> Boxed {
        let query = diesel::sql_query(self.text).into_boxed::<MultiBackend>();
        self.binds.into_iter().fold(query, |query, bind| match bind {
            Bind::Text(value) => query.bind::<Text, _>(value),
            Bind::Int(value) => query.bind::<BigInt, _>(value),
        })
    }
}
