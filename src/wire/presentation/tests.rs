//! Records written as text.

use super::*;

/// The RDATA of a record. Panics where the text is none.
fn data(text: &str) -> Vec<u8> {
    record_from_text(text).unwrap_or_else(|error| panic!("{text}: {error}")).rdata
}

#[test]
fn records_are_read_in_every_order_of_their_fields() {
    for text in [
        "a.example. 60 IN A 192.0.2.1",
        "a.example 60 A 192.0.2.1",
        "a.example. IN 60 A 192.0.2.1 ; a comment",
        "  a.example.\t1m in a 192.0.2.1  ",
        "\na.example. 60 ( IN\nA 192.0.2.1 )\n",
    ] {
        let record = record_from_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(record.owner, b"\x01a\x07example\x00", "{text}");
        assert_eq!((record.rtype, record.class, record.ttl), (1, 1, 60), "{text}");
        assert_eq!(record.rdata, [192, 0, 2, 1], "{text}");
    }
    let record = record_from_text("@ CH TXT \"a b\" c").unwrap();
    assert_eq!((record.owner, record.class, record.ttl), (vec![0], 3, TTL));
    assert_eq!(record.rdata, b"\x03a b\x01c");
}

#[test]
fn data_of_many_types_is_read() {
    for (text, rdata) in [
        ("a. CNAME B\\.c.d", &b"\x03B.c\x01d\x00"[..]),
        ("a. MX 10 b.", b"\x00\x0a\x01b\x00"),
        ("a. SRV 1 2 3 b.", b"\x00\x01\x00\x02\x00\x03\x01b\x00"),
        ("a. DNAME b.", b"\x01b\x00"),
        ("a. TYPE65280 \\# 3 0a 0B0c", b"\x0a\x0b\x0c"),
        ("a. AAAA ::1", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
        (
            "a. SOA ns. Host.a. (1 60 1m 60 60)",
            b"\x02ns\0\x04Host\x01a\0\0\0\0\x01\0\0\0\x3c\0\0\0\x3c\0\0\0\x3c\0\0\0\x3c",
        ),
        ("a. EUI48 00-00-5e-00-53-2a", b"\0\0\x5e\0\x53\x2a"),
        ("a. EUI64 00-00-5e-ef-10-00-00-2a", b"\0\0\x5e\xef\x10\0\0\x2a"),
        ("a. NID 10 0014:4fff:ff20:ee64", b"\0\x0a\0\x14\x4f\xff\xff\x20\xee\x64"),
        ("a. L32 10 10.1.2.0", b"\0\x0a\x0a\x01\x02\0"),
        ("a. CERT PGP 0 0 AQID", b"\0\x03\0\0\0\x01\x02\x03"),
        ("a. CERT 65280 1 RSASHA256 AQID", b"\xff\0\0\x01\x08\x01\x02\x03"),
        ("a. DNSKEY 256 3 ED25519 AQID", b"\x01\0\x03\x0f\x01\x02\x03"),
        ("a. PX 10 b. c.", b"\0\x0a\x01b\0\x01c\0"),
        // The examples of RFC 3123 §5.
        (
            "a. APL 1:192.168.32.0/21 !1:192.168.38.0/28",
            b"\0\x01\x15\x03\xc0\xa8\x20\0\x01\x1c\x83\xc0\xa8\x26",
        ),
        ("a. APL 2:FF00:0:0:0:0:0:0:0/8", b"\0\x02\x08\x01\xff"),
        // RFC 1876 §4: 42 21 54 N is 2^31 + 152514000, 71 06 18 W is 2^31 - 255978000, -24 m is 9997600 cm.
        (
            "a. LOC 42 21 54 N 71 06 18 W -24m 30m",
            b"\0\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\0\x98\x8d\x20",
        ),
        ("a. LOC 0 N 0 E 0", b"\0\x12\x16\x13\x80\0\0\0\x80\0\0\0\0\x98\x96\x80"),
    ] {
        assert_eq!(data(text), rdata, "{text}");
    }
}

#[test]
fn texts_that_are_longer_than_one_string_are_several() {
    let long = "x".repeat(600);
    for text in [format!("a. TXT {long}"), format!("a. TXT \"{long}\"")] {
        let strings: Vec<u8> = [255_u8, 255, 90]
            .into_iter()
            .flat_map(|length| std::iter::once(length).chain(std::iter::repeat_n(b'x', length.into())))
            .collect();
        assert_eq!(data(&text), strings);
    }
    assert_eq!(data("a. TXT \"\" b"), b"\0\x01b");
    assert_eq!(
        record_from_text(&format!("a. HINFO {long} b")).unwrap_err().to_string(),
        "HINFO: a text is longer than 255 bytes"
    );
    assert_eq!(
        record_from_text(&format!("a. TXT {}", "x".repeat(65_400))).unwrap_err().to_string(),
        "TXT: it is longer than 65535 bytes"
    );
}

#[test]
fn parameters_of_services_go_out_in_the_order_of_their_keys() {
    // The vectors of RFC 9460, Appendix D.
    for (text, rdata) in [
        ("a. HTTPS 0 foo.example.com.", &b"\0\0\x03foo\x07example\x03com\0"[..]),
        ("a. SVCB 1 .", b"\0\x01\0"),
        ("a. SVCB 16 foo.example.com. port=53", b"\0\x10\x03foo\x07example\x03com\0\0\x03\0\x02\0\x35"),
        ("a. SVCB 1 foo.example.com. key667=hello", b"\0\x01\x03foo\x07example\x03com\0\x02\x9b\0\x05hello"),
        (
            "a. SVCB 1 foo.example.com. key667=\"hello\\210qoo\"",
            b"\0\x01\x03foo\x07example\x03com\0\x02\x9b\0\x09hello\xd2qoo",
        ),
        (
            "a. SVCB 1 foo. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
            b"\0\x01\x03foo\0\0\x06\0\x20\
              \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x53\0\x01",
        ),
        (
            "a. SVCB 16 foo. (alpn=h2,h3-19 mandatory=ipv4hint,alpn\n ipv4hint=192.0.2.1)",
            b"\0\x10\x03foo\0\0\0\0\x04\0\x01\0\x04\0\x01\0\x09\x02h2\x05h3-19\0\x04\0\x04\xc0\0\x02\x01",
        ),
        (
            "a. SVCB 16 foo. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
            b"\0\x10\x03foo\0\0\x01\0\x0c\x08f\\oo,bar\x02h2",
        ),
        ("a. SVCB 16 foo. alpn=f\\\\\\092oo\\092,bar,h2", b"\0\x10\x03foo\0\0\x01\0\x0c\x08f\\oo,bar\x02h2"),
        ("a. HTTPS 1 . port=443 alpn=h2", b"\0\x01\0\0\x01\0\x03\x02h2\0\x03\0\x02\x01\xbb"),
        (
            "a. HTTPS 1 . ech=AQID no-default-alpn alpn=h2",
            b"\0\x01\0\0\x01\0\x03\x02h2\0\x02\0\0\0\x05\0\x03\x01\x02\x03",
        ),
        ("a. SVCB 1 . dohpath=/q{?dns}", b"\0\x01\0\0\x07\0\x08/q{?dns}"),
    ] {
        assert_eq!(data(text), rdata, "{text}");
    }
    for (text, said) in [
        ("a. SVCB 1 . port=1 port=2", "SVCB: `port` stands twice"),
        ("a. SVCB 1 . key3=x port=2", "SVCB: `port` stands twice"),
        ("a. SVCB 1 . colour=red", "SVCB: `colour` is no parameter of a service"),
        ("a. SVCB 1 . key007=x", "SVCB: `key007` is no parameter of a service"),
        ("a. SVCB 1 . port=65536", "SVCB: `port=65536` has no value that is one of port"),
        ("a. SVCB 1 . alpn", "SVCB: `alpn` has no value that is one of alpn"),
        ("a. SVCB 1 . alpn=h2,,h3", "SVCB: `alpn=h2,,h3` has no value that is one of alpn"),
        (
            "a. SVCB 1 . mandatory=port,port port=1",
            "SVCB: `mandatory=port,port` has no value that is one of mandatory",
        ),
        (
            "a. SVCB 1 . no-default-alpn=x",
            "SVCB: `no-default-alpn=x` has no value that is one of no-default-alpn",
        ),
        ("a. SVCB 1 . ipv4hint=::1", "SVCB: `ipv4hint=::1` has no value that is one of ipv4hint"),
    ] {
        assert_eq!(record_from_text(text).unwrap_err().to_string(), said, "{text}");
    }
}

#[test]
fn what_is_no_record_is_said_in_words() {
    for (text, said) in [
        ("", "it is empty"),
        ("; a comment", "it is empty"),
        ("a.", "it has no type"),
        ("a. 60 IN", "it has no type"),
        ("a. 60 IN FOO x", "`FOO` is no type"),
        ("a..b. A 1.2.3.4", "`a..b.` is no name"),
        ("a. A 1.2.3", "A: `1.2.3` is no IPv4 address"),
        ("a. A 1.2.3.4 5", "A: `5` is one word too many"),
        ("a. SRV 1 2 x.", "SRV: `x.` is no number from 0 to 65535"),
        ("a. SRV 1 2 3", "SRV: a word is missing at the end"),
        ("a. MX x y.", "MX: `x` is no number from 0 to 65535"),
        ("a. TYPE1 \\# 4 01", "`\\#` says 4 bytes, and 1 stand behind it"),
        ("a. A 1.2.3.4\nb. A 1.2.3.4", "it is more than one line"),
        ("a. TXT \"x", "a quote is not closed"),
        ("a. HIP x", "the text form of HIP is not known: write its bytes, as in `\\# 2 0aff`"),
        ("a. OPT \\# 0", "OPT is no type of records"),
        ("a. AXFR x", "AXFR is no type of records"),
        ("a. LOC 91 N 0 E 0", "LOC: there is no latitude as in `52 22 23.000 N`"),
        ("a. LOC 1 60 N 0 E 0", "LOC: there is no latitude as in `52 22 23.000 N`"),
        ("a. LOC 1 N 0 E", "LOC: there is no altitude as in `-2.00m`"),
        ("a. APL 1:192.0.2.0/33", "APL: `1:192.0.2.0/33` is no range of addresses as in 1:192.0.2.0/24"),
        ("a. EUI48 00-00-5e-00-53", "EUI48: `00-00-5e-00-53` is not 6 bytes with hyphens between them"),
    ] {
        assert_eq!(record_from_text(text).unwrap_err().to_string(), said, "{text}");
    }
}
