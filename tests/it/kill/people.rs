//! People who press buttons as fast as pages answer.
use super::load::Work;
use super::told::{Ack, Acknowledged};
use crate::support::visit::hidden;
use domain::command::CommandKind;
use domain::id::{DeviceId, RestoreId, RestorePointId, WipeRequestId};
use holdfast::web::csrf;

/// Somebody who is signed in at a server.
pub struct Browser {
    agent: ureq::Agent,
    server: String,
    session: String,
}

impl Browser {
    pub fn new(server: &str, session: &str) -> Self {
        let config = ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).build();
        Self { agent: config.into(), server: server.to_owned(), session: session.to_owned() }
    }

    /// A page; none if the server is gone.
    fn get(&self, path: &str) -> Option<String> {
        let request = self.agent.get(format!("{}{path}", self.server)).header("Cookie", self.cookie());
        request.call().ok()?.body_mut().read_to_string().ok()
    }

    /// Where a form leads; none if the server is gone.
    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Option<String> {
        let mut form = vec![("csrf", csrf::token(&self.session))];
        form.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("Cookie", self.cookie())
            .header("Sec-Fetch-Site", "same-origin")
            .send_form(form)
            .ok()?;
        assert_eq!(answer.status(), 303, "{path}: {}", answer.body_mut().read_to_string().unwrap_or_default());
        Some(answer.headers().get("location").unwrap().to_str().unwrap().to_owned())
    }

    fn cookie(&self) -> String {
        format!("holdfast={}", self.session)
    }
}

/// Does `once` until it cannot or is stopped.
fn until(work: Work, mut once: impl FnMut(&mut Acknowledged) -> Option<()>) -> Acknowledged {
    let Work { stop, mut done } = work;
    while !stop.is_stopped() && once(&mut done).is_some() {}
    done
}

/// Queues commands through the device's page.
pub fn queue_until(device: DeviceId, person: &Browser, work: Work) -> Acknowledged {
    until(work, |done| {
        let key = secret::generate("form_").unwrap();
        person.post(&format!("/devices/{device}/backup-commands"), &[("request_key", &key)])?;
        done.note(Ack::Command(format!("{key}/{}", CommandKind::BackUpNow)));
        Some(())
    })
}

/// Requests a wipe of each device that has none under way, and approves it as the second person.
pub fn wipe_until(devices: &[DeviceId], [asker, second]: [&Browser; 2], work: Work) -> Acknowledged {
    let mut turn = devices.iter().copied().cycle();
    until(work, |done| {
        let device = turn.next()?;
        let page = asker.get(&format!("/devices/{device}/wipe"))?;
        let id = match id_in(&page, "href=\"/wipe-requests/") {
            Some(open) => open,
            None => {
                let id = request_wipe(device, &page, asker)?;
                done.note(Ack::Wipe(id));
                id
            }
        };
        let shown = second.get(&format!("/wipe-requests/{id}"))?;
        if shown.contains("Approve wipe") {
            let fields = ["agreed", "current"].map(|it| (it, hidden(&shown, it)));
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            second.post(&format!("/wipe-requests/{id}/approvals"), &fields)?;
            done.note(Ack::Approval(id));
        }
        Some(())
    })
}

fn request_wipe(device: DeviceId, page: &str, asker: &Browser) -> Option<WipeRequestId> {
    let [token, consent] = ["facts_token", "consent"].map(|it| hidden(page, it));
    let label = page.split_once("for=\"serial\">")?.1;
    let typed = label.split_once("class=\"mono\">")?.1.split_once('<')?.0;
    let fields = [
        ("action", "wipe"),
        ("reason", "reuse"),
        ("facts_token", token.as_str()),
        ("consent", consent.as_str()),
        ("serial", typed),
    ];
    id_in(&asker.post(&format!("/devices/{device}/wipe-requests"), &fields)?, "/wipe-requests/")
}

/// Orders restores of a point to each device in turn.
pub fn restore_until(
    (source, point): (DeviceId, RestorePointId),
    targets: &[DeviceId],
    person: &Browser,
    work: Work,
) -> Acknowledged {
    let mut turn = targets.iter().cycle();
    until(work, |done| {
        let key = secret::generate("form_").unwrap();
        let (point, target) = (point.to_string(), turn.next()?.to_string());
        let fields = [
            ("point", point.as_str()),
            ("what", "all"),
            ("target", target.as_str()),
            ("unproven", "yes"),
            ("reason", "Replacement"),
            ("request_key", key.as_str()),
        ];
        let to = person.post(&format!("/devices/{source}/restores"), &fields)?;
        let id = to.strip_prefix("/restores/").and_then(RestoreId::parse).expect("the page of a restore");
        done.note(Ack::Restore(id));
        Some(())
    })
}

/// The wipe request whose id follows `before`.
fn id_in(text: &str, before: &str) -> Option<WipeRequestId> {
    WipeRequestId::parse(text.split_once(before)?.1.get(..36)?)
}
