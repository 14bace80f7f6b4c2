//! DNS over QUIC (RFC 9250): a stream a query, id 0, and what becomes of those who break its rules.

use crate::encrypted::{Asker, Over, PATIENCE};
use crate::harness::Ask;
use crate::hostile::framed;
use crate::rig::{Rig, SOON, serves};

/// That a client's connection was closed with DOQ_PROTOCOL_ERROR.
fn is_told_off(asker: &Asker, what: &str) {
    let why = asker.closed().unwrap_or_else(|| panic!("{what}: the connection is open"));
    assert!(why.contains("ApplicationClosed") && why.contains("error_code: 2"), "{what}: {why}");
}

#[test]
fn those_who_break_the_rules_are_closed_with_a_protocol_error() {
    let rig = Rig::new();
    let fine = framed("a.test. A", 0);
    let mut response = fine.clone();
    response[4] |= 0x80;
    for (what, bytes) in [
        ("an id", framed("a.test. A", 1)),
        ("keepalive", framed("a.test. A +opt=11:0064", 0)),
        ("no length", vec![0]),
        ("length 0", vec![0, 0]),
        ("less than promised", fine[..20].to_vec()),
        ("a response", response),
        ("a fragment", vec![0, 3, 0, 0, 0]),
    ] {
        let mut asker = rig.asker(Over::Quic);
        assert!(asker.stream(&bytes).is_err(), "{what}");
        is_told_off(&asker, what);
        rig.serves(Over::Quic);
    }
    rig.udp_is_served();
}

#[test]
fn many_queries_share_a_connection() {
    let rig = Rig::new();
    let mut asker = rig.asker(Over::Quic);
    for _ in 0..250 {
        serves(&mut asker);
    }
    assert_eq!(asker.connects, 1, "more streams than there may be at once");
}

#[test]
fn cve_2025_47950_cve_2026_32934_streams_are_bounded() {
    let rig = Rig::with("quic {\n max_streams 10\n worker_pool_size 4\n }", |options| {
        options.stream.partial = SOON;
    });
    let mut greedy = rig.asker(Over::Quic);
    greedy.connect().unwrap();
    assert_eq!(greedy.open_streams(&[0, 40, 0], 1_000), 10, "no more than it was granted");
    // Streams that stall hold no place in the pool.
    rig.serves(Over::Quic);
    rig.udp_is_served();
    // They are given up, and new ones granted.
    assert!(greedy.open_streams(&[0, 40, 0], 5) > 0);
}

#[test]
fn longest_messages_pass() {
    let rig = Rig::new();
    let plain = Ask::parse("a.test. A +opt=12:").bytes(0).len();
    let option = format!("a.test. A +opt=12:{}", "00".repeat(65_535 - plain));
    let query = Ask::parse(&option).bytes(0);
    assert_eq!(query.len(), 65_535);
    for over in [Over::Quic, Over::Tls, Over::Post2] {
        let reply = rig.asker(over).ask(&query).unwrap_or_else(|| panic!("{over:?}"));
        assert_eq!(reply.len() % 468, 0, "{over:?}: padded as the query was");
    }
}

#[test]
fn timeouts_hold_for_connections_over_quic() {
    let rig = Rig::with("timeouts {\n idle 1s\n }", |options| options.stream.idle = 100 * PATIENCE);
    let mut asker = rig.asker(Over::Quic);
    serves(&mut asker);
    assert!(asker.is_ended(), "it stays open");
    rig.serves(Over::Quic);
}

#[cfg(feature = "https3")]
#[test]
fn a_frame_of_http3_that_announces_more_than_a_head_is_not_kept() {
    let rig = Rig::new();
    let long = (1_u64 << 30 | 0xc000_0000_0000_0000).to_be_bytes();
    for (what, head, one_way) in [
        ("a head", [&[1][..], &long].concat(), false),
        ("what nobody knows", [&[0x21][..], &long].concat(), false),
        ("what nobody knows, on the stream of control", [&[0, 4, 0, 0x21][..], &long].concat(), true),
        ("settings", [&[0, 4][..], &long].concat(), true),
    ] {
        let taken = rig.asker(Over::Get3).pour(&head, 4 << 20, one_way);
        assert!(taken < 256 << 10, "{what}: {taken} bytes of it");
        rig.serves(Over::Get3);
    }
}
