//! What a batch is about to ask for, fetched from memory while its first queries are answered.
//!
//! In a cluster of thousands of Services the one that is asked for is in no near cache, and waiting for it is a quarter of our own
//! work (docs/performance.md). A batch waits for all of its Services at once instead of for one after another.

use super::pipeline::Pipeline;
use super::plan::Plan;

/// Bytes of a DNS header.
const HEADER: usize = 12;

/// The most labels in front of `SVC.NS`: those of an SRV name.
const MARKS: usize = 2;

impl<R> Pipeline<R> {
    /// Says what `answer` will be asked soon.
    ///
    /// Cost: a copy of two labels, and what the steps do: a hash, and nothing that is waited for.
    pub fn foresee(&self, bytes: &[u8]) {
        foresee(self.plan(), bytes);
    }
}

/// Tells the steps that care which name a message will ask about; what is no query with such a name is passed over.
fn foresee(plan: &Plan, bytes: &[u8]) {
    let mut run = [0_u8; 128];
    let mut length = None;
    for chain in plan.chains.iter().filter(|chain| !chain.foresees.is_empty()) {
        if length.is_none() {
            length = read(bytes, &mut run);
        }
        let Some(run) = length.and_then(|length| run.get(..length)) else { return };
        chain.foresees.iter().filter_map(|&place| chain.steps.get(place)).for_each(|step| step.foresee(run));
    }
}

/// Copies the first two labels behind those that begin with `_`, in lower case and wire form; says how many bytes they are.
fn read(bytes: &[u8], run: &mut [u8; 128]) -> Option<usize> {
    let mut name = bytes.get(HEADER..)?;
    for _ in 0..MARKS {
        let [length, b'_', ..] = *name else { break };
        name = name.get(1 + usize::from(length)..)?;
    }
    let first = usize::from(*name.first()?);
    let second = usize::from(*name.get(1 + first)?);
    if !(1..=63).contains(&first) || !(1..=63).contains(&second) {
        return None;
    }
    let length = 2 + first + second;
    let to = run.get_mut(..length)?;
    to.copy_from_slice(name.get(..length)?);
    // A length is below any capital letter.
    to.make_ascii_lowercase();
    Some(length)
}

#[cfg(test)]
mod tests {
    //! Which labels are read.

    use super::*;

    /// What is read of a message that asks for this name in wire form.
    fn of(name: &[u8]) -> Option<Vec<u8>> {
        let message = [[0; HEADER].as_slice(), name].concat();
        let mut run = [0; 128];
        read(&message, &mut run).map(|length| run[..length].to_vec())
    }

    #[test]
    fn service_and_namespace_are_read_in_lower_case() {
        assert_eq!(of(b"\x03Web\x02nS\x03svc\x00").as_deref(), Some(b"\x03web\x02ns".as_slice()));
        assert_eq!(of(b"\x05_http\x04_tcp\x01w\x01n\x03svc\x00").as_deref(), Some(b"\x01w\x01n".as_slice()));
    }

    #[test]
    fn what_has_no_such_labels_is_passed_over() {
        for name in
            [b"".as_slice(), b"\x00", b"\x03web\x00", b"\x03we", b"\xc0\x0c", b"\x01w\x40", b"\x05_http"]
        {
            assert_eq!(of(name), None, "{name:?}");
        }
        assert_eq!(read(&[0; 5], &mut [0; 128]), None, "less than a header");
    }
}
