//! A server with its listener for Apple devices.
use crate::support::NOW;
use crate::support::device::apple::SimApple;
use crate::support::device::token;
use crate::support::server::TestServer;
use actix_web::dev::ServerHandle;
use clock::Clock;
use domain::device::Ownership;
use domain::id::DeviceId;
use domain::time::Time;
use holdfast::config::Options;
use holdfast::store;
use holdfast::store::apple::enrollment::AppleEnrollment;
use holdfast::store::device::Device;
use std::net::SocketAddr;
use std::thread::JoinHandle;

pub struct World {
    pub server: TestServer,
    pub door: SocketAddr,
    running: Option<(ServerHandle, JoinHandle<()>)>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        Self::at(Clock::fixed(NOW), options)
    }

    /// [`World::with`], at another time.
    pub fn at(clock: Clock, options: Options) -> Self {
        Self::without_topic(clock, Options { apple_topic: Some("com.apple.mgmt.External.test".to_owned()), ..options })
    }

    /// [`World::at`], with only the topic that the push certificate says.
    pub fn without_topic(clock: Clock, options: Options) -> Self {
        let options = Options {
            apple_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            apple_url: Some("https://devices.test".to_owned()),
            ..options
        };
        let server = TestServer::at(clock, options);
        let listener = server.app.apple_listener().unwrap().unwrap();
        let door = listener.local_addr().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let app = server.app.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = app.serve_apple(listener).unwrap();
                sender.send(running.handle()).unwrap();
                running.await.unwrap();
            });
        });
        let handle = receiver.recv().unwrap();
        Self { server, door, running: Some((handle, thread)) }
    }

    pub fn now(&self) -> Time {
        self.server.app.clock.now()
    }

    /// A token for one device of this owner.
    pub fn token(&self, ownership: Ownership) -> String {
        token(&self.server, |draft| draft.ownership = ownership)
    }

    /// A company's iPhone that has enrolled.
    pub fn phone(&self, number: u8) -> SimApple {
        let mut phone = SimApple::phone(self.door, number);
        phone.enrolls(&self.token(Ownership::Company));
        phone
    }

    /// The device that this machine is, and its enrolment.
    pub fn device(&self, sim: &SimApple) -> (Device, AppleEnrollment) {
        self.find(sim).expect("an enrolled device")
    }

    pub fn find(&self, sim: &SimApple) -> Option<(Device, AppleEnrollment)> {
        let name = sim.udid.clone();
        self.server.read(move |conn| {
            let Some((id, generation)) = store::apple::enrollment::named(conn, &name)? else { return Ok(None) };
            let device = store::device::find(conn, id)?.unwrap();
            let enrollment = store::apple::enrollment::of_device(conn, id, generation)?.unwrap();
            Ok(Some((device, enrollment)))
        })
    }

    /// What the history says of a device.
    pub fn history(&self, id: DeviceId) -> Vec<String> {
        let all = self.server.read(|conn| Ok(store::activity::all(conn)?));
        all.into_iter().filter(|it| it.device_id == Some(id)).map(|it| it.action.as_str().to_owned()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((handle, thread)) = self.running.take() {
            drop(handle.stop(false));
            thread.join().unwrap();
        }
    }
}
