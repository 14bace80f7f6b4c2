//! The words that stand beside `forward`, over real sockets: `hosts`, `dns64`, `loop`, `any`, `minimal`, `bufsize`, `acl`,
//! `view`, `loadbalance`, and those that say one thing.
//!
//! Replies are read by hickory, an independent judge.
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

#[path = "beside/coredns.rs"]
mod coredns;
#[path = "beside/coredns_words.rs"]
mod coredns_words;
#[path = "beside/dns64.rs"]
mod dns64;
#[path = "beside/dnstap.rs"]
mod dnstap;
#[path = "beside/hosts.rs"]
mod hosts;
#[path = "beside/loops.rs"]
mod loops;
#[path = "beside/rewrite.rs"]
mod rewrite;
#[path = "beside/shapes.rs"]
mod shapes;
#[path = "beside/small.rs"]
mod small;
#[path = "beside/template.rs"]
mod template;
#[path = "beside/views.rs"]
mod views;
#[path = "beside/world.rs"]
mod world;
