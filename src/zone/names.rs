//! Names of a zone, in the order that proofs and transfers have.

use std::cmp::Ordering;

use crate::wire::MAX_LABELS;

/// Where the labels of a name start, and how many there are; the root not counted.
fn starts(name: &[u8]) -> ([u8; MAX_LABELS], usize) {
    let mut starts = [0_u8; MAX_LABELS];
    let (mut at, mut count) = (0_usize, 0_usize);
    while let Some(&length) = name.get(at).filter(|length| **length > 0) {
        if let (Some(place), Ok(start)) = (starts.get_mut(count), u8::try_from(at)) {
            *place = start;
            count += 1;
        }
        at += 1 + usize::from(length);
    }
    (starts, count)
}

/// How many labels a name in wire form has, the root not counted.
pub(super) fn labels(name: &[u8]) -> usize {
    starts(name).1
}

/// The order of names that DNSSEC defines: label by label from the right. Both in wire form, lower case.
///
/// Cost: no allocation. Source: RFC 4034 §6.1.
#[must_use]
pub fn canonical(a: &[u8], b: &[u8]) -> Ordering {
    let ((starts_a, count_a), (starts_b, count_b)) = (starts(a), starts(b));
    for back in 1..=count_a.min(count_b) {
        let ordering = label_at(a, &starts_a, count_a - back).cmp(label_at(b, &starts_b, count_b - back));
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    count_a.cmp(&count_b)
}

/// A label without its length.
fn label_at<'n>(name: &'n [u8], starts: &[u8; MAX_LABELS], index: usize) -> &'n [u8] {
    let start = starts.get(index).copied().map_or(0, usize::from);
    let length = name.get(start).copied().map_or(0, usize::from);
    name.get(start + 1..start + 1 + length).unwrap_or_default()
}

/// Whether `name` is `zone` or lies below it; both in lower case, wire form.
pub(super) fn within(name: &[u8], zone: &[u8]) -> bool {
    let mut rest = name;
    loop {
        if rest == zone {
            return true;
        }
        let Some(&length) = rest.first().filter(|length| **length > 0) else { return false };
        rest = rest.get(1 + usize::from(length)..).unwrap_or_default();
    }
}
