//! Names as rules of a Corefile see them: presentation form without an allocation.

use super::MAX_NAME;

/// The longest presentation form: each byte of a label as an escape of four characters, and the dots.
const LONGEST: usize = 4 * MAX_NAME;

/// A name in presentation form, with its final dot, on the stack.
///
/// Shape: ASCII; special characters as `\.`, bytes that are not printable as `\007`. What `parse_name` reads gives the same
/// name. The characters that are escaped are those that CoreDNS escapes, since rules are written for its form.
#[derive(Clone)]
pub struct NameText {
    /// The characters.
    bytes: [u8; LONGEST],
    /// How many.
    len: usize,
}

impl NameText {
    /// The text of a name in wire form. Cost: one pass, no allocation.
    #[must_use]
    pub fn new(wire: &[u8]) -> Self {
        let mut text = Self { bytes: [0; LONGEST], len: 0 };
        let mut rest = wire;
        while let Some((&length, tail)) = rest.split_first() {
            let Some((label, after)) = tail.split_at_checked(usize::from(length)).filter(|_| length > 0)
            else {
                break;
            };
            label.iter().for_each(|byte| text.byte(*byte));
            text.push(b'.');
            rest = after;
        }
        if text.len == 0 {
            text.push(b'.');
        }
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Appends a byte of a label.
    fn byte(&mut self, byte: u8) {
        match byte {
            b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                self.push(b'\\');
                self.push(byte);
            }
            0x21..=0x7e => self.push(byte),
            _ => {
                self.push(b'\\');
                self.push(b'0' + byte / 100);
                self.push(b'0' + byte / 10 % 10);
                self.push(b'0' + byte % 10);
            }
        }
    }

    /// Appends a character.
    fn push(&mut self, byte: u8) {
        if let Some(to) = self.bytes.get_mut(self.len) {
            *to = byte;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    //! There and back.

    use super::super::parse_name;
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=u8::MAX {
            let wire = [2, b'a', byte, 1, b'b', 0];
            let text = NameText::new(&wire);
            assert!(text.as_str().ends_with(".b."), "{}", text.as_str());
            assert_eq!(parse_name(text.as_str()).as_deref(), Some(&wire[..]), "{}", text.as_str());
        }
        assert_eq!(NameText::new(&[0]).as_str(), ".");
        assert_eq!(NameText::new(b"\x01*\x02a.\x00").as_str(), "*.a\\..");
    }

    #[test]
    fn the_longest_name_fits() {
        let mut wire = Vec::new();
        for length in [63, 63, 63, 61] {
            wire.push(length);
            wire.extend(std::iter::repeat_n(0xff, usize::from(length)));
        }
        wire.push(0);
        assert_eq!(wire.len(), MAX_NAME);
        let text = NameText::new(&wire);
        assert_eq!(parse_name(text.as_str()), Some(wire));
    }
}
