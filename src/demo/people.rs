//! Who can sign in to the demo; made like a new server's people, through links that work once.
use super::random::Random;
use crate::error::Result as Done;
use crate::service::link::Profile;
use crate::service::password;
use crate::service::user::{self, Invitation};
use crate::service::{account, host, link, set_up};
use crate::store::Conn;
use anyhow::Result;
use domain::activity::{Actor, Via};
use domain::by::{By, Presence};
use domain::role::{Role, Scope};
use domain::time::Time;
use serde::Serialize;

/// There is no client address.
const ADDRESS: &str = "127.0.0.1";

const WORDS: [&str; 32] = [
    "anchor", "birch", "canyon", "dome", "ember", "fjord", "gravel", "harbor", "islet", "jasper", "kelp", "lantern",
    "meadow", "north", "oboe", "pebble", "quartz", "ridge", "saddle", "timber", "umber", "valley", "willow", "yarrow",
    "zephyr", "copper", "delta", "fennel", "garnet", "hazel", "ivory", "juniper",
];

const PEOPLE: [(Role, &str, &str); 3] = [
    (Role::Owner, "Olivia Winter", "owner@demo.example"),
    (Role::Operator, "Rui Tavares", "operator@demo.example"),
    (Role::Approver, "Sofie Maes", "approver@demo.example"),
];

/// A person who can sign in to the demo.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    pub role: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub password: String,
}

/// The people with hashed passwords: hashing is too slow for a transaction.
pub struct People(Vec<(Role, Account, Profile)>);

impl People {
    /// Makes passwords.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn prepare() -> Result<Self> {
        let mut people = Vec::new();
        for (role, name, email) in PEOPLE {
            let password = words()?;
            let profile = Profile {
                email: email.to_owned(),
                name: name.to_owned(),
                time_zone: "UTC".to_owned(),
                password_hash: password::hash(&password)?,
            };
            people.push((role, Account { role: role.as_str(), name, email, password }, profile));
        }
        Ok(Self(people))
    }

    /// Makes the owner through a set-up link, and everyone else through the owner's invitation; returns them in
    /// the order of `PEOPLE`, and how they can all sign in.
    ///
    /// # Errors
    /// When there already is an account.
    pub fn add(self, conn: &mut Conn, now: Time) -> Done<(Vec<By>, Vec<Account>)> {
        let (mut people, mut accounts): (Vec<By>, _) = (Vec::new(), Vec::new());
        for (role, account, profile) in self.0 {
            let user = if let Some(owner) = people.first() {
                let mut roles = vec![(role, Scope::Organisation)];
                // Restores go to other people's replacements in the demo.
                if role == Role::Operator {
                    roles.push((Role::Recovery, Scope::Organisation));
                }
                let who = Invitation { email: profile.email.clone(), name: profile.name.clone(), roles };
                let (_, link) = user::invite(conn, owner.into(), &who, now)?;
                link::accept_invite(conn, token(&link), &profile, ADDRESS, now)?
            } else {
                let link = set_up::make_setup_link(conn, &Actor::system(), now)?;
                set_up::set_up(conn, token(&link), &profile, false, ADDRESS, now)?
            };
            people.push(account::acting(conn, &user, Via::CommandLine, Presence::Script, ADDRESS)?);
            // Whoever tries the demo sees both ends of a wipe today.
            host::add_founder(conn, &Actor::system(), user.id, now)?;
            accounts.push(account);
        }
        Ok((people, accounts))
    }
}

/// The token at the end of a link's path.
fn token(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Four words and a number: 256 bits choose them, and a person can type them.
fn words() -> Result<String> {
    let mut random = Random::new(&hex::encode(secret::bytes::<32>()?));
    let words: Vec<_> = (0..4).map(|_| random.pick(&WORDS)).collect();
    Ok(format!("{} {:04}", words.join(" "), random.below(10_000)))
}
