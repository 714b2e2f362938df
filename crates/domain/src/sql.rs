//! How the values are stored in columns, for whoever has a database: only with the feature `sql`, so that a device
//! carries none of it.
use crate::account::{LinkPurpose, UserState};
use crate::activity::{Action, ActorKind, Outcome, Via};
use crate::apple_settings::SettingKind;
use crate::certification::{Certification, OrderState};
use crate::command::{CommandKind, CommandState};
use crate::content::{ReadKind, ReadOutcome};
use crate::continuity::Doubt;
use crate::device::{DeviceState, Encryption, Ownership, Platform};
use crate::device_secret::SecretKind;
use crate::fact::FactKind;
use crate::guard::GuardedAct;
use crate::id::{self, *};
use crate::inventory::InventoryKind;
use crate::key_holder::KeyHolder;
use crate::object::{Location, ObjectKind, ObjectName, RepositoryState, TokenKind};
use crate::proof::{Level, Retest, TestCause, TestResult, TestState};
use crate::restore::{Conflict, RestoreState, UndoState};
use crate::restore_test::FailedRest;
use crate::retention::{ChangeState, HoldCause, HoldScope, PruneState};
use crate::role::Role;
use crate::time::Time;
use crate::verification::Rank;
use crate::wipe::{WipeAction, WipeReason, WipeState};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{BigInt, Text};

/// Stores types with `as_str` and `parse` as text.
macro_rules! text {
    ($($type:ty),+ $(,)?) => { $(
        impl<DB: Backend> ToSql<Text, DB> for $type
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.as_str().to_sql(out)
            }
        }
        impl<DB: Backend> FromSql<Text, DB> for $type
        where
            String: FromSql<Text, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
                let text = String::from_sql(value)?;
                <$type>::parse(&text).ok_or_else(|| format!("not a {}: {text:?}", stringify!($type)).into())
            }
        }
    )+ };
}

id::for_each_id!(text);
text! {
    Platform, Ownership, DeviceState, Encryption, Role, Level, Retest, FailedRest, TestResult, TestState, TestCause,
    CommandKind, CommandState, FactKind, WipeState, WipeAction, WipeReason, RestoreState, Conflict, UndoState,
    SecretKind, InventoryKind, Location, Rank, ObjectKind, RepositoryState, TokenKind, Doubt, Action, ActorKind, Via, Outcome, UserState, LinkPurpose,
    GuardedAct, KeyHolder, SettingKind, ChangeState, HoldScope, HoldCause, PruneState, ReadKind, ReadOutcome,
    Certification, OrderState,
}

impl<DB: Backend> ToSql<Text, DB> for ObjectName
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.as_str().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Text, DB> for ObjectName
where
    String: FromSql<Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = String::from_sql(value)?;
        if text == "config" {
            return Ok(Self::config());
        }
        Self::parse(&text).ok_or_else(|| format!("not an object name: {text:?}").into())
    }
}

impl<DB: Backend> ToSql<BigInt, DB> for Time
where
    i64: ToSql<BigInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        // The value behind `millis()` must live as long as `self`.
        self.as_millis_ref().to_sql(out)
    }
}

impl<DB: Backend> FromSql<BigInt, DB> for Time
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(value).map(Self::from_millis)
    }
}
