//! Who is asking, and what they may do: the same for pages and for the API.
//!
//! A handler's signature is its permission: one that takes `by: Can<RequestWipe>`
//! cannot run for anyone who does not hold it.
pub mod cookie;
mod recognise;

pub use recognise::{REFRESH, address, recognise};

use crate::error::{Error, Result};
use crate::problem::HttpError;
use crate::store::session::Session;
use crate::store::user::User;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use domain::account;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::{By, Presence};
use domain::role::{Grants, Permission, Reach};
use domain::time::{Time, minutes};
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// A person who was recognised, by a session or by an API token.
#[derive(Debug)]
pub struct Identity {
    pub user: User,
    pub grants: Grants,
    /// None for an API token.
    pub session: Option<Session>,
    pub address: String,
}

impl Identity {
    /// Whether the password was entered in the last 15 minutes.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.session.as_ref().is_some_and(|it| {
            now < it.reauthenticated_at + account::FRESH_PASSWORD && now + minutes(1) >= it.reauthenticated_at
        })
    }
}

/// The person who is signed in, whatever their roles. Derefs to the user.
#[derive(Debug, Clone)]
pub struct SignedIn(Arc<Identity>);

impl SignedIn {
    /// Who acts, for the activity log.
    pub fn actor(&self) -> Actor {
        Actor {
            kind: ActorKind::User,
            id: Some(self.0.user.id.to_string()),
            name: self.0.user.name.clone(),
            via: if self.0.session.is_some() { Via::Web } else { Via::Api },
            address: self.0.address.clone(),
        }
    }

    /// Who acts, for the services, which ask it how far each permission reaches.
    pub fn acting(&self) -> By {
        let presence = if self.0.session.is_some() { Presence::Page } else { Presence::Script };
        By { actor: self.actor(), user: self.0.user.id, grants: self.0.grants.clone(), presence }
    }

    /// All roles of the person.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// The session; none for an API token.
    pub fn session(&self) -> Option<&Session> {
        self.0.session.as_ref()
    }

    /// Whether the password was entered in the last 15 minutes.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.0.is_fresh(now)
    }
}

impl Deref for SignedIn {
    type Target = User;
    fn deref(&self) -> &User {
        &self.0.user
    }
}

impl FromRequest for SignedIn {
    type Error = HttpError;
    type Future = Ready<std::result::Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identity(request).map(Self).ok_or_else(|| Error::SignInNeeded.into()))
    }
}

/// The person whom an adapter's gate recognised.
pub fn identity(request: &HttpRequest) -> Option<Arc<Identity>> {
    request.extensions().get::<Arc<Identity>>().cloned()
}

/// A person who holds permission `P` somewhere. Derefs to [`SignedIn`], and so to the user.
#[derive(Debug, Clone)]
pub struct Can<P> {
    who: SignedIn,
    reach: Reach,
    permission: PhantomData<fn() -> P>,
}

impl<P> Can<P> {
    /// The devices the permission covers.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }
}

impl<P> Deref for Can<P> {
    type Target = SignedIn;
    fn deref(&self) -> &SignedIn {
        &self.who
    }
}

/// A permission as a type.
pub trait Grant {
    const PERMISSION: Permission;
    /// Whether it concerns the organisation, so that holding it for a team is not enough.
    const EVERYWHERE: bool;
}

macro_rules! grants {
    ($($name:ident $everywhere:literal),* $(,)?) => { $(
        #[doc = concat!("[`Permission::", stringify!($name), "`] as a type.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Grant for $name {
            const PERMISSION: Permission = Permission::$name;
            const EVERYWHERE: bool = $everywhere;
        }
    )* };
}
grants! {
    ViewDevices false, ViewFileNames false, ViewActivity false, EnrollDevices false, LockDevices false,
    RunBackups false, ReadContents false, ApproveRestore false, RequestWipe false, ApproveWipe false, StopWipe false, Restore false,
    ViewPolicies false, EditPolicies false, ManageUsers true, ManageSettings true, Hold false, ApproveRemoval false,
}

impl<P: Grant> FromRequest for Can<P> {
    type Error = HttpError;
    type Future = Ready<std::result::Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(can(request).map_err(Into::into))
    }
}

fn can<P: Grant>(request: &HttpRequest) -> Result<Can<P>> {
    let who = SignedIn(identity(request).ok_or(Error::SignInNeeded)?);
    let reach = who.grants().reach(P::PERMISSION).ok_or(Error::Forbidden)?;
    if P::EVERYWHERE && reach != Reach::All {
        return Err(Error::Forbidden);
    }
    Ok(Can { who, reach, permission: PhantomData })
}
