//! How many attempts of a worker may be under way to one upstream: places for everybody, and places for clients that hold
//! little (rule S-52, RELIABILITY L3, L5).
//!
//! Each kind has a bound of its own, which falls while what takes its places is not answered and rises again with answers. So
//! whoever asks for names that an upstream never answers takes from places for everybody, and from nobody else.

/// What part of all places is kept for clients that hold little: an eighth.
const KEPT: u32 = 8;

/// The least of all places that there are to an upstream that does not answer.
const LEAST: u32 = 32;

/// A kind of places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// For everybody.
    Common,
    /// For clients that hold little, while there are none for everybody.
    Kept,
}

/// What wants a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Whether its client was found to hold little.
    pub(super) modest: bool,
    /// Whether the same was asked of this upstream before: the last eighth of a kind is for what was not.
    pub(super) again: bool,
}

/// The places of one kind.
#[derive(Debug)]
struct Places {
    /// Attempts that are awaited.
    taken: u32,
    /// Attempts that will be sent as soon as the exchange is driven.
    coming: u32,
    /// The most for now.
    bound: u32,
    /// The least that `bound` falls to.
    least: u32,
    /// The most ever.
    most: u32,
}

impl Places {
    /// So many, all free.
    fn new(most: u32, least: u32) -> Self {
        Self { taken: 0, coming: 0, bound: most, least: least.min(most), most }
    }

    /// Whether one is free; `spare` of them are left alone.
    fn free(&self, spare: u32) -> bool {
        self.taken + self.coming < self.bound - spare
    }
}

/// The places to one upstream.
#[derive(Debug)]
pub(super) struct Room {
    /// Those for everybody.
    common: Places,
    /// Those for clients that hold little.
    kept: Places,
}

impl Room {
    /// So many places, all free.
    pub(super) fn new(most: u32) -> Self {
        let kept = most / KEPT;
        Self { common: Places::new(most - kept, LEAST - LEAST / KEPT), kept: Places::new(kept, LEAST / KEPT) }
    }

    /// The places of a kind.
    fn of(&mut self, place: Place) -> &mut Places {
        match place {
            Place::Common => &mut self.common,
            Place::Kept => &mut self.kept,
        }
    }

    /// Which place is free for this.
    pub(super) fn find(&self, claim: Claim) -> Option<Place> {
        let free = |places: &Places| places.free(if claim.again { places.bound / KEPT } else { 0 });
        if free(&self.common) {
            Some(Place::Common)
        } else {
            (claim.modest && free(&self.kept)).then_some(Place::Kept)
        }
    }

    /// Whether none is left for everybody.
    pub(super) fn tight(&self) -> bool {
        !self.common.free(0)
    }

    /// A place will be taken as soon as the exchange is driven.
    pub(super) fn promise(&mut self, place: Place) {
        self.of(place).coming += 1;
    }

    /// What was promised is taken from now on.
    pub(super) fn redeem(&mut self) {
        (self.common.coming, self.kept.coming) = (0, 0);
    }

    /// Takes a place. What is asked in another way (over TCP, without EDNS) takes one even where none is free.
    pub(super) fn take(&mut self, claim: Claim) -> Place {
        let own = if claim.modest { Place::Kept } else { Place::Common };
        let place = self.find(claim).unwrap_or(own);
        self.of(place).taken += 1;
        place
    }

    /// An attempt is of no interest any more: its place is free.
    pub(super) fn leave(&mut self, place: Place) {
        let places = self.of(place);
        places.taken = places.taken.saturating_sub(1);
    }

    /// An answer came to what took such a place: what was taken away while none came is given back, faster than it went.
    pub(super) fn answered(&mut self, place: Place) {
        let places = self.of(place);
        places.bound = (places.bound + 2).min(places.most);
    }

    /// None came in time.
    pub(super) fn unanswered(&mut self, place: Place) {
        self.leave(place);
        let places = self.of(place);
        places.bound = places.bound.saturating_sub((places.bound / 32).max(1)).max(places.least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who asks for the first time.
    const ANYBODY: Claim = Claim { modest: false, again: false };

    /// A client that holds little.
    const MODEST: Claim = Claim { modest: true, again: false };

    #[test]
    fn what_is_not_answered_takes_places_away_from_its_own_kind_only() {
        let mut room = Room::new(512);
        for _ in 0..448 {
            assert_eq!(room.take(ANYBODY), Place::Common);
        }
        assert!(room.tight());
        assert_eq!((room.find(ANYBODY), room.find(MODEST)), (None, Some(Place::Kept)));
        (0..448).for_each(|_| room.unanswered(Place::Common));
        for _ in 0..28 {
            assert_eq!(
                room.take(MODEST),
                Place::Common,
                "where there are places for everybody they are taken first"
            );
        }
        for _ in 0..64 {
            assert_eq!(room.take(MODEST), Place::Kept);
        }
        assert_eq!(room.find(MODEST), None);
        (0..64).for_each(|_| room.unanswered(Place::Kept));
        for _ in 0..4 {
            assert_eq!(room.take(MODEST), Place::Kept);
        }
        assert_eq!(room.find(MODEST), None, "32 in all to one that answers nobody");
    }

    #[test]
    fn answers_give_back_what_was_taken_away_and_no_more() {
        let mut room = Room::new(512);
        (0..1000).for_each(|_| room.unanswered(Place::Common));
        assert_eq!(room.common.bound, 28);
        (0..1000).for_each(|_| room.answered(Place::Common));
        assert_eq!((room.common.bound, room.kept.bound), (448, 64));
    }

    #[test]
    fn what_is_promised_counts_until_it_is_taken() {
        let mut room = Room::new(8);
        for _ in 0..7 {
            let place = room.find(ANYBODY).unwrap();
            room.promise(place);
        }
        assert!(room.tight());
        assert_eq!(room.find(MODEST), Some(Place::Kept));
        room.promise(Place::Kept);
        assert_eq!(room.find(MODEST), None);
        room.redeem();
        assert_eq!(room.take(ANYBODY), Place::Common);
    }

    #[test]
    fn what_is_asked_again_leaves_the_last_eighth_to_what_was_never_asked() {
        let again = Claim { modest: false, again: true };
        let mut room = Room::new(512);
        while room.find(again).is_some() {
            room.take(again);
        }
        assert_eq!((room.common.taken, room.find(ANYBODY)), (392, Some(Place::Common)));
        // Whoever holds little asks again in places of its own.
        assert_eq!(room.find(Claim { modest: true, again: true }), Some(Place::Kept));
    }

    #[test]
    fn the_smallest_rooms_have_a_place() {
        for most in 1..8 {
            let mut room = Room::new(most);
            (0..100).for_each(|_| room.unanswered(Place::Common));
            for _ in 0..most {
                assert_eq!(room.take(MODEST), Place::Common);
            }
            assert_eq!(room.find(MODEST), None);
        }
    }
}
