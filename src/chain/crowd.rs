//! Who loses where all places for waiting queries are taken: the client that holds most of them, its oldest query first
//! (rule S-52, NEEDS pain 19).
//!
//! Nothing is kept about clients while there are places. Once there are none, a few places chosen at random say who holds
//! most: where that is somebody else than who asks now, the query of theirs that waited longest is dismissed. A client that
//! holds most itself is refused, so that what waits already comes to its end. Of bounds that are not the table's own (how many
//! questions a line may have under way, and an upstream) the last eighth is for those who hold little, which the exchange sees to.

use std::net::IpAddr;

use super::asked::Asked;
use super::step::Answer;
use crate::forward::{self, Failure};
use crate::time::Tick;
use crate::wire::Ede;

/// How many queries that wait are looked at. One client that has half of them is missed once in four billion times.
const LOOKS: usize = 32;

/// How many places are looked at for them: many may be free.
const TRIES: usize = 8 * LOOKS;

/// A client holds too much when it has so many of the queries looked at: a quarter.
const MANY: usize = LOOKS / 4;

/// For so many refusals in a row it is believed who was found to hold most.
const BELIEVED: u32 = 64;

/// The most queries that are dismissed and not yet told so.
pub(super) const SPARE: usize = 256;

/// A client as far as fairness goes: an IPv4 address, or the network of an IPv6 address, since whoever has one has all of it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Key(u64);

impl Key {
    /// That of an address.
    pub(super) fn of(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

/// What is remembered between two refusals.
#[derive(Default)]
pub(super) struct Crowd {
    /// Who was found to hold most, and how often that may still be believed.
    heavy: Option<(Key, u32)>,
}

impl Crowd {
    /// Which of some places makes room for a query of `client`; `None` where it is refused itself.
    ///
    /// `look` gives a place chosen at random: its number, whose query is in it, and when that query's time is up; `None`
    /// where none that may be dismissed is found there. Cost: a comparison mostly, else at most `TRIES` places.
    pub(super) fn loser(
        &mut self,
        client: Key,
        look: impl FnMut() -> Option<(usize, Key, Tick)>,
    ) -> Option<usize> {
        if self.believes(client) {
            return None;
        }
        let seen = gather(look);
        let (heavy, most) = heaviest(&seen)?;
        self.heavy = Some((heavy, BELIEVED));
        if heavy == client || most < MANY || most < 2 * held(&seen, client) {
            return None;
        }
        let own = seen.iter().flatten().filter(|(_, key, _)| *key == heavy);
        own.min_by_key(|(_, _, until)| *until).map(|(place, ..)| *place)
    }

    /// Whether `client` was found to hold most a moment ago.
    fn believes(&mut self, client: Key) -> bool {
        match &mut self.heavy {
            Some((heavy, left)) if *heavy == client && *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Queries that wait, as they were found: the place, whose, and when its time is up. What was not found is `None`.
type Seen = [Option<(usize, Key, Tick)>; LOOKS];

/// Looks for queries that wait at places chosen at random.
fn gather(mut look: impl FnMut() -> Option<(usize, Key, Tick)>) -> Seen {
    let mut left = TRIES;
    std::array::from_fn(|_| {
        while left > 0 {
            left -= 1;
            let found = look();
            if found.is_some() {
                return found;
            }
        }
        None
    })
}

/// How many of these a client has.
fn held(seen: &Seen, client: Key) -> usize {
    seen.iter().flatten().filter(|(_, key, _)| *key == client).count()
}

/// Who has most of these, and how many; `None` where there is none.
fn heaviest(seen: &Seen) -> Option<(Key, usize)> {
    seen.iter().flatten().map(|(_, key, _)| (*key, held(seen, *key))).max_by_key(|(_, count)| *count)
}

/// Whose query this is, for upstreams; `None` for an errand, which nobody waits for.
pub(super) fn client(asked: &Asked) -> Option<forward::Client> {
    (!asked.errand).then(|| Key::of(asked.client.addr.ip()).0)
}

/// What a step hears whose query gets no place or has to leave it; whoever has something at hand can still serve it.
pub(super) fn busy(upstream: bool) -> Answer {
    match upstream {
        true => {
            Answer::Upstream(Err(Failure { ede: Ede::new(23, "too many queries wait for these upstreams") }))
        }
        false => Answer::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    //! Verdicts about crowds of places.

    use super::*;

    /// A client by number.
    fn client(number: u8) -> Key {
        Key::of(IpAddr::from([10, 0, 0, number]))
    }

    /// Looks at these places in turn.
    fn looks(places: &[(usize, Key, Tick)]) -> impl FnMut() -> Option<(usize, Key, Tick)> {
        let mut at = 0;
        move || {
            at += 1;
            places.get((at - 1) % places.len()).copied()
        }
    }

    #[test]
    fn the_oldest_query_of_who_holds_most_makes_room() {
        let places = [
            (0, client(1), Tick(30)),
            (1, client(1), Tick(10)),
            (1, client(1), Tick(10)),
            (2, client(2), Tick(5)),
        ];
        assert_eq!(Crowd::default().loser(client(3), looks(&places)), Some(1));
        // Who holds half as much is as good a client as any other.
        assert_eq!(Crowd::default().loser(client(2), looks(&places)), Some(1));
    }

    #[test]
    fn who_holds_most_is_refused_itself_and_believed_for_a_while() {
        let places = [(0, client(1), Tick(30))];
        let mut crowd = Crowd::default();
        assert_eq!(crowd.loser(client(1), looks(&places)), None);
        // Nobody is looked at now.
        for _ in 0..BELIEVED {
            assert_eq!(crowd.loser(client(1), || panic!("it is known who holds most")), None);
        }
        assert_eq!(crowd.loser(client(1), looks(&[(0, client(2), Tick(1))])), Some(0));
    }

    #[test]
    fn free_places_between_those_that_are_taken_hide_nobody() {
        let mut at = 0;
        let mut one_in_eight = || {
            at += 1;
            (at % 8 == 0).then_some((7, client(1), Tick(1)))
        };
        assert_eq!(Crowd::default().loser(client(2), &mut one_in_eight), Some(7));
    }

    #[test]
    fn among_equals_the_newest_is_refused() {
        let places: Vec<_> = (0..32).map(|number| (usize::from(number), client(number), Tick(1))).collect();
        assert_eq!(Crowd::default().loser(client(100), looks(&places)), None);
        assert_eq!(Crowd::default().loser(client(100), || None), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_mapped_addresses_are_ipv4() {
        let key = |text: &str| Key::of(text.parse().unwrap());
        assert_eq!(key("fd00:1:2:3::1"), key("fd00:1:2:3:ffff::2"));
        assert_ne!(key("fd00:1:2:3::1"), key("fd00:1:2:4::1"));
        assert_eq!(key("::ffff:10.0.0.1"), client(1));
    }
}
