//! What an answer is kept under.

use crate::wire::{MAX_NAME, Question};

/// Bytes before the name: type, class, flags.
const FRONT: usize = 5;

/// The key of an answer: type, class, DO, CD and the name in lower case (rule C-01).
///
/// Shape: built on the stack for every question; only what is kept has it on the heap.
#[derive(Clone, Copy)]
pub struct Key {
    /// The bytes.
    bytes: [u8; FRONT + MAX_NAME],
    /// How many of them count.
    len: usize,
}

impl Key {
    /// The key of a question. Cost: one copy of the name.
    #[must_use]
    pub fn new(question: &Question, dnssec_ok: bool, checking_disabled: bool) -> Self {
        let mut bytes = [0; FRONT + MAX_NAME];
        let ([a, b], [c, d]) = (question.qtype.to_be_bytes(), question.qclass.to_be_bytes());
        let front = [a, b, c, d, u8::from(dnssec_ok) | u8::from(checking_disabled) << 1];
        let name = question.lower();
        let len = FRONT + name.len();
        if let Some((to, rest)) = bytes.split_first_chunk_mut() {
            *to = front;
            if let Some(to) = rest.get_mut(..name.len()) {
                to.copy_from_slice(name);
            }
        }
        Self { bytes, len }
    }

    /// The key as bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
