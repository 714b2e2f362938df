//! The door as a source of objects for our reader.
use super::Cut;
use crate::net::backoff::Stop;
use crate::net::door::{Door, DoorError};
use domain::object::{ObjectKind, ObjectName};
use repository::{Fault, Objects};

/// A repository behind the door, for reading.
pub struct Remote {
    door: Door,
    /// The last failure of the door, which says whether another try may help.
    failure: Option<DoorError>,
}

impl Remote {
    pub fn new(door: Door) -> Self {
        Self { door, failure: None }
    }

    /// Whether a restore that ended in `fault` may continue later.
    pub fn cut(&self, fault: &Fault, stop: &Stop) -> Cut {
        match (fault, &self.failure) {
            (_, Some(DoorError::Unauthorized)) => {
                Cut::Never("the server no longer accepts the ticket of this restore; order it again".to_owned())
            }
            (Fault::Unavailable(_), Some(DoorError::Refused { status, .. })) if *status < 500 => {
                Cut::Never(fault.to_string())
            }
            (Fault::Unavailable(reason), _) => Cut::Later(reason.clone()),
            _ if stop.is_stopped() => Cut::Later("stopped".to_owned()),
            _ => Cut::Never(fault.to_string()),
        }
    }

    fn fault(&mut self, error: DoorError, kind: ObjectKind, name: Option<&ObjectName>) -> Fault {
        let fault = match (&error, name) {
            (DoorError::Missing(_), Some(name)) => Fault::Missing { kind, name: name.clone() },
            _ => Fault::Unavailable(error.to_string()),
        };
        self.failure = Some(error);
        fault
    }
}

impl Objects for Remote {
    fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>, Fault> {
        let path = match kind {
            ObjectKind::Config => "config".to_owned(),
            ObjectKind::Keys
            | ObjectKind::Data
            | ObjectKind::Index
            | ObjectKind::Snapshots
            | ObjectKind::Locks
            | ObjectKind::Manifests => format!("{kind}/{name}"),
        };
        self.door.read_up_to(&path, offset, len).map_err(|error| self.fault(error, kind, Some(name)))
    }

    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>, Fault> {
        let listed = self.door.list(kind.as_str()).map_err(|error| self.fault(error, kind, None))?;
        Ok(listed.into_iter().filter_map(|it| Some((ObjectName::parse(&it.name)?, it.size))).collect())
    }
}
