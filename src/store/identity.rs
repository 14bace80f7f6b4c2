//! What stands for texts that are only ever compared: names of slices, versions of objects, what these answer.
//!
//! All are 64 bits of a keyed hash (SipHash, a key for each process, kept over restarts by a snapshot). Two different texts look the same with a chance of one in
//! 2^64; among 150,000 slices any two do with one in a thousand million.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher as _, RandomState};
use std::sync::OnceLock;

use super::change::{ObjectKey, Revision};

/// The key of all hashes here: a secret, so that nobody can choose names that look the same.
static KEY: OnceLock<[u64; 2]> = OnceLock::new();

/// The key of this process: that of the first snapshot that was read, else a random one.
pub(super) fn key() -> [u64; 2] {
    *KEY.get_or_init(|| [0, 1].map(|half: u8| RandomState::new().hash_one(half)))
}

/// Takes the key of a snapshot, so that hashes in it are those of this process. Where there is one already, they differ: then
/// every object looks changed once, and slices stand beside themselves until the first list is complete.
pub(super) fn adopt(key: [u64; 2]) {
    // The second of two snapshots keeps its own.
    let _ = KEY.set(key);
}

/// The hash of `data`. Cost: SipHash of 16 bytes more than the data.
fn hash(data: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    key().iter().for_each(|&half| hasher.write_u64(half));
    data.hash(&mut hasher);
    hasher.finish()
}

/// Which EndpointSlice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct SliceId(u64);

impl SliceId {
    /// The id of the slice with this key.
    pub(super) fn of(key: &ObjectKey) -> Self {
        Self::named(&key.namespace, &key.name)
    }

    /// The id of what has this namespace and name.
    pub(super) fn named(namespace: &str, name: &str) -> Self {
        Self(hash(&(namespace, name)))
    }

    /// The id that is this number.
    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The id as a number.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// UID and version of an object; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Version(u64);

impl Version {
    /// The version of an object with this revision.
    pub(super) fn of(revision: &Revision) -> Self {
        if revision.version.is_empty() {
            return Self::default();
        }
        Self(hash(&(&revision.uid, &revision.version)).max(1))
    }

    /// The version that is this number.
    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The version as a number.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// Whether both are known and the same.
    pub(super) fn is(self, other: Self) -> bool {
        self.0 != 0 && self == other
    }
}

/// UID and version of an object, to be shown to people; small where they are as API servers write them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Shown {
    /// No object.
    #[default]
    None,
    /// A UUID and a number.
    Usual([u8; 16], u64),
    /// Anything else.
    Any(Box<Revision>),
}

impl Shown {
    /// What is shown of this revision.
    pub(super) fn of(revision: Revision) -> Self {
        if revision.uid.is_empty() && revision.version.is_empty() {
            return Self::None;
        }
        let number = revision.version.parse::<u64>();
        if let (Some(uid), Ok(number)) = (uuid_bytes(&revision.uid), number) {
            let usual = Self::Usual(uid, number);
            // What would come back in another spelling is kept as it is.
            if usual.uid() == *revision.uid && usual.version() == *revision.version {
                return usual;
            }
        }
        Self::Any(Box::new(revision))
    }

    /// The UID as it was written; empty for none.
    pub(super) fn uid(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Usual(uid, _) => {
                let mut text = String::with_capacity(36);
                for (at, byte) in uid.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    // Writing into a text cannot fail.
                    let _ = write!(text, "{byte:02x}");
                }
                text
            }
            Self::Any(revision) => revision.uid.to_string(),
        }
    }

    /// The version as it was written; empty for none.
    pub(super) fn version(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Usual(_, version) => version.to_string(),
            Self::Any(revision) => revision.version.to_string(),
        }
    }
}

/// The bytes of a UUID; `None` where the text is not 32 hexadecimal digits between dashes.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|&letter| letter != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// What an object answers, to tell whether another version of it answers the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of this data.
    pub(super) fn of(data: &impl Hash) -> Self {
        Self(hash(data))
    }

    /// The fingerprint that is this number.
    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The fingerprint as a number.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// Hashes what is a hash already.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never used for ids, which are one number.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::{Revision, Shown};

    #[test]
    fn uids_and_versions_are_shown_as_they_were_written() {
        let usual = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        for (uid, version, small) in [
            (usual, "123456789", true),
            ("0F1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "1", false),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", "1", false),
            (usual, "007", false),
            (usual, "", false),
            ("", "7", false),
            ("a uid", "a version", false),
        ] {
            let shown = Shown::of(Revision { uid: uid.into(), version: version.into() });
            assert_eq!((shown.uid().as_str(), shown.version().as_str()), (uid, version));
            assert_eq!(matches!(shown, Shown::Usual(..)), small, "{uid} {version}");
        }
        assert_eq!(Shown::of(Revision::default()), Shown::None);
    }
}
