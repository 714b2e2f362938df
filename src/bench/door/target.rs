//! A repository that is sent to.
use crate::app::App;
use crate::bench::device::{add_token, device, insert};
use crate::service::repository::{Prepared, Recipients};
use crate::{error, service};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::id::{DeviceId, RepositoryId};
use secret::seal;
use std::net::SocketAddr;

/// A repository to send to.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) id: RepositoryId,
    pub(super) token: String,
    pub(super) password: String,
}

impl Target {
    pub(super) fn make(app: &App, address: SocketAddr) -> anyhow::Result<Self> {
        let now = app.clock.now();
        let (proof_key, _) = seal::generate()?;
        let prepared = Prepared::make(&Recipients::only(proof_key), RepositoryId::generate(now))?;
        prepared.store(&*app.blobs)?;
        let made =
            Self { address, id: prepared.id, token: prepared.token.clone(), password: prepared.password.clone() };
        app.store.act_blocking(move |conn| -> error::Result<()> {
            let token = add_token(conn, now)?;
            let id = DeviceId::generate(now);
            insert(conn, &device(id, now), id.to_string(), token)?;
            service::repository::insert(conn, &prepared, id, 1, now)?;
            Ok(())
        })?;
        Ok(made)
    }

    pub(super) fn head(&self, method: &str, name: &str, headers: &str) -> String {
        let basic = BASE64_STANDARD.encode(format!("{}:{}", self.id, self.token));
        format!(
            "{method} /restic/{}/data/{name} HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {basic}\r\n{headers}\r\n",
            self.id
        )
    }
}
