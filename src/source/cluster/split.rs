//! Cutting what an API server sends into single objects while it comes: lines of a watch, items of a list.

/// The longest object that is taken. Unit: bytes. An API server's own limit is lower.
pub(super) const LONGEST: usize = 16 << 20;

/// Too long a line or item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLong;

/// The lines of a watch.
#[derive(Default, Debug)]
pub(super) struct Lines {
    /// Bytes of a line that has not ended.
    rest: Vec<u8>,
}

impl Lines {
    /// Takes a chunk; calls `visit` with each whole line that is not blank. Errors: a line over 16 MiB.
    pub(super) fn push(&mut self, mut chunk: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), TooLong> {
        while let Some(end) = chunk.iter().position(|&byte| byte == b'\n') {
            let (line, after) = chunk.split_at_checked(end).unwrap_or((chunk, &[]));
            chunk = after.get(1..).unwrap_or_default();
            if self.rest.is_empty() {
                visit_line(line, &mut visit);
            } else {
                self.rest.extend_from_slice(line);
                visit_line(&self.rest, &mut visit);
                self.rest.clear();
                if self.rest.capacity() > 1 << 20 {
                    self.rest = Vec::new();
                }
            }
        }
        if self.rest.len() + chunk.len() > LONGEST {
            return Err(TooLong);
        }
        self.rest.extend_from_slice(chunk);
        Ok(())
    }

    /// What stands behind the last line end: a line cut off by the end of the stream, empty where there is none.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }
}

/// Visits a line unless it is blank.
fn visit_line(line: &[u8], visit: &mut impl FnMut(&[u8])) {
    if !line.iter().all(u8::is_ascii_whitespace) {
        visit(line);
    }
}

/// What a list says beside its items, as a JSON object.
#[derive(Default, Debug)]
pub(super) struct Items {
    /// How many braces and brackets are open.
    depth: usize,
    /// Whether inside a string.
    string: bool,
    /// Whether the next byte of a string is escaped.
    escaped: bool,
    /// Whether inside the list's `items`.
    inside: bool,
    /// The last string at depth 1 that ended: a key, when a colon follows.
    key: Vec<u8>,
    /// Bytes of the item that has begun.
    item: Vec<u8>,
    /// All that is not an item: the list without its items, itself JSON.
    frame: Vec<u8>,
    /// Whether the list has ended.
    ended: bool,
}

impl Items {
    /// Takes a chunk; calls `visit` with each whole item. Errors: an item over 16 MiB.
    ///
    /// Cost: one pass over the bytes, at most one item in memory.
    pub(super) fn push(&mut self, chunk: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), TooLong> {
        for &byte in chunk {
            let in_item = self.inside && self.depth > 2;
            if self.string {
                self.keep(byte, in_item);
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.string = false,
                    _ if self.depth == 1 => self.key.push(byte),
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => {
                    self.string = true;
                    if self.depth == 1 {
                        self.key.clear();
                    }
                    self.keep(byte, in_item);
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth == 2 && byte == b'[' && self.key == b"items" {
                        self.inside = true;
                        self.frame.push(byte);
                    } else {
                        let begun = self.inside && self.depth > 2;
                        self.keep(byte, begun);
                    }
                }
                b'}' | b']' => {
                    self.keep(byte, in_item);
                    self.depth = self.depth.saturating_sub(1);
                    if self.inside && in_item && self.depth == 2 {
                        visit(&self.item);
                        self.item.clear();
                    } else if self.inside && self.depth == 1 {
                        self.inside = false;
                        self.key.clear();
                    } else if self.depth == 0 {
                        self.ended = true;
                    }
                }
                _ => self.keep(byte, in_item),
            }
            if self.item.len() > LONGEST || self.frame.len() > LONGEST {
                return Err(TooLong);
            }
        }
        Ok(())
    }

    /// Keeps a byte where it belongs.
    fn keep(&mut self, byte: u8, in_item: bool) {
        if in_item {
            self.item.push(byte);
        } else if !(self.inside && self.depth == 2) || byte == b']' && !self.string {
            // Between items there are commas, blanks, and values that are no objects: nobody's.
            self.frame.push(byte);
        }
    }

    /// The list without its items, once it has ended.
    pub(super) fn frame(&self) -> Option<&[u8]> {
        self.ended.then_some(&self.frame)
    }
}
