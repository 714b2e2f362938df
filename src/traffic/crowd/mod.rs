//! Who is connected. When room runs out, a stranger that says nothing goes first, then one from the address
//! with the most strangers; whoever has identified themselves stays.
//!
//! Each connection costs two file descriptors: its own, and one for ending it from here.
mod connection;
mod room;

pub use connection::{Connection, Owner};
pub use room::Room;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a stranger's request may take before its connection may be ended to make room.
const TURN: Duration = Duration::from_secs(10);

/// How often connections are looked through for those that begin no whole request.
pub const LOOK: Duration = Duration::from_secs(5);

/// How long after an answer a connection may take until its next request has arrived with its whole head: the same
/// as a body's, so that what is left of the answer reaches a slow phone too.
pub const PAUSE: Duration = Duration::from_secs(60);

/// How long a new connection has to begin its first request, unless connections exceed the limit by half.
const FIRST_WORD: Duration = Duration::from_millis(250);

/// Every connection of the server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Crowd(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    room: Room,
    proxies: Vec<IpAddr>,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    /// By number, so the oldest comes first.
    all: BTreeMap<u64, Entry>,
    /// Like `addresses`, of those that were not told to end.
    living: usize,
    addresses: HashMap<IpAddr, usize>,
    owners: HashMap<Owner, usize>,
    devices: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// Many people come through it.
    is_proxy: bool,
    owner: Option<Owner>,
    since: Instant,
    /// When the last request came; none before the first.
    asked: Option<Instant>,
    /// How many requests have no complete answer yet.
    running: usize,
    /// When the last answer was complete; none before the first.
    answered: Option<Instant>,
    /// Told to end: the same one does not make room twice.
    is_ended: bool,
    socket: OwnedFd,
}

impl Crowd {
    /// An empty crowd. Connections from `proxies` belong to many people, so no limit by address applies to
    /// them.
    pub fn new(room: Room, proxies: Vec<IpAddr>) -> Self {
        Self(Arc::new(Shared { room, proxies, now: Mutex::default() }))
    }

    /// A new connection comes in; if there is no room, the least valuable one is ended: in the worst case this
    /// one.
    ///
    /// None if the system has no descriptor left for ending it; then its owner should let it go.
    pub fn enter(&self, address: IpAddr, socket: impl AsFd) -> Option<Connection> {
        let is_proxy = self.0.proxies.contains(&address);
        let address = network(address);
        let socket = rustix::io::fcntl_dupfd_cloexec(socket, 0).ok()?;
        let (room, mut now) = (self.0.room, self.now());
        let number = now.next;
        now.next += 1;
        now.all.insert(
            number,
            Entry {
                address,
                is_proxy,
                owner: None,
                since: Instant::now(),
                asked: None,
                running: 0,
                answered: None,
                is_ended: false,
                socket,
            },
        );
        now.living += 1;
        *now.addresses.entry(address).or_default() += 1;
        let of_address = now.addresses.get(&address).copied().unwrap_or(0);
        if !is_proxy && of_address > room.address {
            now.make_room(number, of_address > 2 * room.address, |it| it.address == address);
        }
        let of_all = now.living;
        if of_all > room.all {
            now.make_room(number, of_all > room.full(), |_| true);
        }
        Some(Connection { crowd: self.clone(), number })
    }

    /// Ends the connections that got their last answer longer than `pause` ago and have begun no request since: the
    /// server's own limit on how long a head may take holds for the first request of a connection only. Says how
    /// many.
    pub fn end_paused(&self, pause: Duration) -> usize {
        let mut now = self.now();
        let is_paused = |it: &Entry| it.running == 0 && it.answered.is_some_and(|at| at.elapsed() > pause);
        let paused = now.all.iter().filter(|(_, it)| !it.is_ended && is_paused(it));
        let paused: Vec<u64> = paused.map(|(number, _)| *number).collect();
        paused.iter().for_each(|it| now.end(*it));
        paused.len()
    }

    /// How many there may be.
    pub fn room(&self) -> Room {
        self.0.room
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.now().all.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Its counts may be off by one after a panic, which only makes room a little sooner or later.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// Ends one of `among`: a stranger that never asked, then one whose turn is over, the oldest first. If
    /// there `must` be room, one from the address with the most strangers goes: one that has not had time to
    /// say what it wants, then the oldest if the newcomer's address has fewer; otherwise the newcomer.
    fn make_room(&mut self, newcomer: u64, must: bool, among: impl Fn(&Entry) -> bool) {
        let strangers = || {
            self.all
                .iter()
                .filter(|(number, it)| **number != newcomer && !it.is_ended && it.owner.is_none() && among(it))
        };
        let says_nothing =
            |it: &Entry| it.asked.is_none() && rustix::io::ioctl_fionread(&it.socket).is_ok_and(|it| it == 0);
        let silent = || strangers().find(|(_, it)| it.since.elapsed() > FIRST_WORD && says_nothing(it));
        let idle = || {
            strangers().filter(|(_, it)| it.asked.is_some_and(|at| at.elapsed() > TURN)).min_by_key(|(_, it)| it.asked)
        };
        let crowded = || {
            let counts = self.strangers_by_address();
            let count = |it: &Entry| counts.get(&it.address).copied().unwrap_or(0);
            let most = counts.values().copied().max().unwrap_or(0);
            let has_most = || strangers().filter(|(_, it)| count(it) == most);
            let is_less = self.all.get(&newcomer).is_some_and(|it| count(it) < most);
            let oldest = || has_most().min_by_key(|(_, it)| it.asked).filter(|_| is_less);
            has_most().find(|(_, it)| says_nothing(it)).or_else(oldest)
        };
        let gone = silent().or_else(idle);
        let gone = if must { gone.or_else(crowded) } else { gone }.map(|(number, _)| *number);
        if let Some(number) = gone.or(must.then_some(newcomer)) {
            self.end(number);
        }
    }

    fn strangers_by_address(&self) -> HashMap<IpAddr, usize> {
        let mut counts = HashMap::new();
        for it in self.all.values().filter(|it| it.owner.is_none() && !it.is_ended && !it.is_proxy) {
            *counts.entry(it.address).or_default() += 1;
        }
        counts
    }

    fn end(&mut self, number: u64) {
        let Some(entry) = self.all.get_mut(&number).filter(|it| !it.is_ended) else { return };
        entry.is_ended = true;
        // It fails only if the other side has already gone.
        let _ = rustix::net::shutdown(&entry.socket, rustix::net::Shutdown::Both);
        self.living = self.living.saturating_sub(1);
        take_one(&mut self.addresses, entry.address);
    }

    /// Ends the oldest of those for which `are` holds: one owner's, or a device's.
    fn end_oldest(&mut self, but: u64, are: impl Fn(&Owner) -> bool) {
        let oldest = self
            .all
            .iter()
            .filter(|(number, it)| **number != but && !it.is_ended && it.owner.as_ref().is_some_and(&are))
            .min_by_key(|(_, it)| it.asked);
        if let Some(number) = oldest.map(|(number, _)| *number) {
            self.end(number);
        }
    }
}

impl Now {
    fn forget_owner(&mut self, owner: Option<Owner>) {
        let Some(owner) = owner else { return };
        if matches!(owner, Owner::Device(_)) {
            self.devices = self.devices.saturating_sub(1);
        }
        take_one(&mut self.owners, owner);
    }
}

/// Whose an address is: an IPv6 network gives each of its machines more addresses than anyone could count.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(it) => IpAddr::V6(Ipv6Addr::from_bits(it.to_bits() >> 64 << 64)),
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{DeviceId, UserId};
    use domain::time::Time;
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    const ROOM: Room = Room { all: 6, address: 3, owner: 2, devices: 4 };

    struct Door(TcpListener, Crowd);

    impl Door {
        fn new() -> Self {
            Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), Crowd::new(ROOM, vec![address(9)]))
        }

        fn enters(&self, from: u8) -> (TcpStream, Connection) {
            let client = TcpStream::connect(self.0.local_addr().unwrap()).unwrap();
            let (server, _) = self.0.accept().unwrap();
            // However slow this machine is, nobody here has had its moment for the first word.
            self.1.now().all.values_mut().for_each(|it| it.since = Instant::now());
            let connection = self.1.enter(address(from), &server).unwrap();
            (client, connection)
        }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn device(at: i64) -> Owner {
        Owner::Device(DeviceId::generate(Time::from_millis(at)))
    }

    /// Whether the other side was told that it is over; nothing else is ever sent here.
    fn is_over((client, _): &mut (TcpStream, Connection)) -> bool {
        client.set_nonblocking(true).unwrap();
        client.read(&mut [0]).is_ok_and(|it| it == 0)
    }

    #[test]
    fn an_address_with_too_many_loses_its_oldest_silent_one() {
        let door = Door::new();
        let mut first = door.enters(1);
        first.1.asks();
        let mut silent: Vec<_> = (0..5).map(|_| door.enters(1)).collect();
        assert!(silent.iter_mut().all(|it| !is_over(it)), "each is given a moment for its first word");

        let mut seventh = door.enters(1);

        assert!(is_over(&mut silent[0]), "the oldest that never asked");
        assert!(!is_over(&mut first) && !is_over(&mut seventh) && silent[1..].iter_mut().all(|it| !is_over(it)));
    }

    #[test]
    fn strangers_never_push_out_who_is_known_and_a_full_house_turns_the_newcomer_away() {
        let door = Door::new();
        let mut known: Vec<_> = (0..6).map(|at| (at, door.enters(u8::try_from(at).unwrap() + 1))).collect();
        for (at, (_, connection)) in &known {
            connection.belongs_to(if *at < 4 {
                device(i64::from(*at))
            } else {
                Owner::Person(UserId::generate(Time::from_millis(i64::from(*at))))
            });
        }

        let mut strangers: Vec<_> = (0..7).map(|at| door.enters(10 + at)).collect();

        assert!(is_over(&mut strangers[0]), "the oldest of the strangers");
        assert!(known.iter_mut().all(|(_, it)| !is_over(it)));
        drop((known, strangers));
        assert!(
            door.1.is_empty()
                && door.1.now().living == 0
                && door.1.now().addresses.is_empty()
                && door.1.now().owners.is_empty()
        );
        assert_eq!(door.1.now().devices, 0);
    }

    #[test]
    fn many_addresses_push_out_nobody_who_asked() {
        let door = Door::new();
        let mut asked: Vec<_> = (0..9).map(|at| door.enters(1 + at)).collect();
        for (_, it) in &asked {
            it.asks();
        }

        let mut tenth = door.enters(20);

        assert!(is_over(&mut tenth) && asked.iter_mut().all(|it| !is_over(it)));
    }

    #[test]
    fn a_lone_visitor_gets_in_beside_a_few_addresses_that_take_everything() {
        let door = Door::new();
        let mut many: Vec<_> = (0..9).map(|at| door.enters(1 + at % 3)).collect();
        for (_, it) in &many {
            it.asks();
        }

        let mut alone = door.enters(20);

        assert!(!is_over(&mut alone));
        assert_eq!(many.iter_mut().filter_map(|it| is_over(it).then_some(())).count(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |it: &str| network(it.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn a_device_has_its_share_and_all_devices_have_theirs() {
        let door = Door::new();
        let (mut a, mut b, c, one) = (door.enters(1), door.enters(2), door.enters(3), device(7));
        for it in [&a, &b, &c] {
            it.1.asks();
            it.1.belongs_to(one);
        }
        assert!(is_over(&mut a), "its third ended its first");
        drop(a);
        let others: Vec<_> = (4..7).map(|at| door.enters(at)).collect();
        for (at, it) in others.iter().enumerate() {
            it.1.asks();
            it.1.belongs_to(device(20 + i64::try_from(at).unwrap()));
        }
        assert!(is_over(&mut b), "five devices' connections are one too many");
    }

    #[test]
    fn a_trusted_proxy_brings_many_and_the_share_of_the_rest_is_kept() {
        let door = Door::new();
        let mut all: Vec<_> = (0..6).map(|_| door.enters(9)).collect();
        assert!(all.iter_mut().all(|it| !is_over(it)));

        let small = Room::of(1024);
        assert!(small.all * 4 + 256 <= 1024 && small.address * 2 < small.all && small.devices < small.all, "{small:?}");
        assert!(Room::of(524_288).all >= 30_000);
    }

    #[test]
    fn only_who_has_its_answer_and_asks_nothing_more_is_ended_for_its_pause() {
        let door = Door::new();
        let mut entered = door.enters(1);
        let connection = &entered.1;
        let ended = || door.1.end_paused(Duration::ZERO);
        assert_eq!(ended(), 0, "the first request has its own limit");
        connection.asks();
        connection.asks();
        connection.is_answered();
        assert_eq!(ended(), 0, "the second is still running");
        connection.is_answered();
        assert_eq!(door.1.end_paused(Duration::from_secs(60)), 0);
        while ended() == 0 {}
        assert_eq!(ended(), 0, "once");
        assert!(is_over(&mut entered));
    }

    #[test]
    fn some_descriptors_are_kept_for_the_database_and_some_room_for_people() {
        for descriptors in [256, 1024, 20_000, 1 << 17] {
            let room = Room::of(descriptors);
            // Two for each connection that is accepted, those that are about to be ended included.
            let taken = 2 * room.taken() as u64;
            assert!(taken + (descriptors / 4).min(1024) <= descriptors, "{descriptors}: {room:?}");
            assert!(room.full() < room.taken(), "{descriptors}: {room:?}");
            let [least, one, all] = [room.all / 4, room.owner, room.devices];
            assert!(all + least <= room.all && one <= least && room.address <= least, "{descriptors}: {room:?}");
        }
    }
}
