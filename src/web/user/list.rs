//! `/users`: everyone who has an account.
use crate::auth::{Can, ManageUsers};
use crate::store::user::User;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::layout::{Layout, role_names};
use actix_web::web::Data;
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::account::UserState;
use domain::id::UserId;
use domain::role::Grants;

#[derive(Template, WebTemplate)]
#[template(path = "user/list.html")]
struct ListPage {
    layout: Layout,
    people: Vec<(User, String)>,
}

#[get("/users")]
pub async fn list(_: Can<ManageUsers>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let people = store
        .read(|conn| -> crate::error::Result<_> {
            let (users, grants) = (store::user::all(conn)?, store::user::all_grants(conn)?);
            let roles_of = |id: UserId| {
                let held = grants.iter().filter(|(user, ..)| *user == id).map(|(_, role, scope)| (*role, *scope));
                role_names(&Grants::new(held.collect()))
            };
            Ok(users.into_iter().map(|user| (roles_of(user.id), user)).map(|(roles, user)| (user, roles)).collect())
        })
        .await?;
    Ok(ListPage { layout, people })
}
