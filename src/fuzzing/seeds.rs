//! Pieces that seeds are made of: messages as bytes, written without the code that is fuzzed.

/// A name in wire form.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a label of at most 63 bytes"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Numbers as they go on the wire.
pub(super) fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A query with RD.
pub(super) fn query(id: u16, qname: &str, qtype: u16) -> Vec<u8> {
    [words(&[id, 0x0100, 1, 0, 0, 0]), name(qname), words(&[qtype, 1])].concat()
}

/// An OPT: size, extended code and version, flags, options.
pub(super) fn opt(size: u16, version: u16, flags: u16, options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(options.len()).expect("options of at most 65,535 bytes");
    [vec![0], words(&[41, size, version, flags, length]), options.to_vec()].concat()
}

/// A query with an OPT.
pub(super) fn edns(id: u16, qname: &str, qtype: u16, opt: &[u8]) -> Vec<u8> {
    let mut bytes = [query(id, qname, qtype), opt.to_vec()].concat();
    bytes[11] = 1;
    bytes
}

/// A record.
pub(super) fn record(owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rdata.len()).expect("RDATA of at most 65,535 bytes");
    [owner.to_vec(), words(&[rtype, 1]), ttl.to_be_bytes().to_vec(), words(&[length]), rdata.to_vec()]
        .concat()
}

/// The data of an SOA.
pub(super) fn soa(primary: &str) -> Vec<u8> {
    let numbers = [1_u32, 7200, 1800, 86_400, 30].map(u32::to_be_bytes).concat();
    [name(primary), name("hostmaster.example.org"), numbers].concat()
}
