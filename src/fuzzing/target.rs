//! The targets by name, in the order of RELIABILITY's rows Z1 to Z8, and Z11.

use super::{
    corefile, dialogue, frames, https, manifests, primary, proxy, query, respond, response, snapshot, texts,
    watch,
};

/// A named piece of a corpus.
pub(super) type Seed = (&'static str, Vec<u8>);

/// A function to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its file in fuzz/fuzz_targets, and of its folder in fuzz/corpus.
    pub name: &'static str,
    /// What it promises, in a line.
    pub promise: &'static str,
    /// The longest input that is worth trying. Unit: bytes.
    pub longest: usize,
    /// Takes one input; panics where the promise is broken.
    pub run: fn(&[u8]),
    /// Makes the inputs to begin with.
    pub seeds: fn() -> Vec<Seed>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "wire_query",
        promise: "a query is accepted and read as hickory reads it, or refused for a reason that a second reading finds too",
        longest: 65_535,
        run: query::run,
        seeds: query::seeds,
    },
    Target {
        name: "wire_response",
        promise: "an upstream's reply is accepted only to its id and question, and nothing off their chain is kept",
        longest: 1500,
        run: response::run,
        seeds: response::seeds,
    },
    Target {
        name: "zone_transfer",
        promise: "what a primary sends is a zone of all that came, and the same when it is sent on, or is refused",
        longest: 4096,
        run: primary::run,
        seeds: primary::seeds,
    },
    Target {
        name: "respond",
        promise: "any datagram has at most one reply, sound, within its size, to its own question; the next query is answered",
        longest: 1500,
        run: respond::run,
        seeds: respond::seeds,
    },
    Target {
        name: "resolve",
        promise: "whatever an upstream says, the client's reply is sound, answers its question, and names no one else",
        longest: 1500,
        run: respond::run_forwarded,
        seeds: respond::forwarded_seeds,
    },
    Target {
        name: "dialogue",
        promise: "whatever upstreams say, and when, no name has the data of another, and packets to them are bounded",
        longest: 192,
        run: dialogue::run,
        seeds: dialogue::seeds,
    },
    Target {
        name: "tcp_frames",
        promise: "a stream has the same answers however its bytes were cut",
        longest: 2048,
        run: frames::run,
        seeds: frames::seeds,
    },
    Target {
        name: "doh_request",
        promise: "a request over HTTP gives the message that a second reading finds, or the right status",
        longest: 2048,
        run: https::run,
        seeds: https::seeds,
    },
    Target {
        name: "corefile",
        promise: "a text is a Corefile that prints as a fixed point and builds, or an error with its place",
        longest: 4096,
        run: corefile::run,
        seeds: corefile::seeds,
    },
    Target {
        name: "watch_json",
        promise: "a stream of events means the same however it was cut, and what a second decoder reads of it",
        longest: 4096,
        run: watch::run_json,
        seeds: watch::json_seeds,
    },
    Target {
        name: "watch_protobuf",
        promise: "the same in protobuf",
        longest: 4096,
        run: watch::run_protobuf,
        seeds: watch::protobuf_seeds,
    },
    Target {
        name: "list_pages",
        promise: "a page of a list means the same however it was cut, and its items are those of a second decoder",
        longest: 4096,
        run: watch::run_list,
        seeds: watch::list_seeds,
    },
    Target {
        name: "manifests",
        promise: "a file of manifests is the objects of its documents, each of which harms only itself",
        longest: 4096,
        run: manifests::run,
        seeds: manifests::seeds,
    },
    Target {
        name: "snapshot",
        promise: "bytes are a snapshot that is taken in whole, and written and read again, or are refused",
        longest: 4096,
        run: snapshot::run,
        seeds: snapshot::seeds,
    },
    Target {
        name: "resolv_conf",
        promise: "name servers and search list are those of a second, line-wise reading",
        longest: 2048,
        run: texts::run_resolv,
        seeds: texts::resolv_seeds,
    },
    Target {
        name: "zone_file",
        promise: "a zone file is a zone that answers and is sent whole, or an error with its place",
        longest: 4096,
        run: texts::run_zone,
        seeds: texts::zone_seeds,
    },
    Target {
        name: "proxy_header",
        promise: "a PROXY header is the same however little of it has come, and names the client that it says",
        longest: 512,
        run: proxy::run,
        seeds: proxy::seeds,
    },
];
