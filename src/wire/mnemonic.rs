//! Types, classes and response codes by their mnemonics, as a Corefile and zone text write them.

/// Types by mnemonic (IANA, "Resource Record (RR) TYPEs").
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("MD", 3),
    ("MF", 4),
    ("CNAME", 5),
    ("SOA", 6),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("NULL", 10),
    ("PTR", 12),
    ("HINFO", 13),
    ("MINFO", 14),
    ("MX", 15),
    ("TXT", 16),
    ("RP", 17),
    ("AFSDB", 18),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAP-PTR", 23),
    ("SIG", 24),
    ("KEY", 25),
    ("PX", 26),
    ("GPOS", 27),
    ("AAAA", 28),
    ("LOC", 29),
    ("NXT", 30),
    ("EID", 31),
    ("NIMLOC", 32),
    ("SRV", 33),
    ("ATMA", 34),
    ("NAPTR", 35),
    ("KX", 36),
    ("CERT", 37),
    ("DNAME", 39),
    ("OPT", 41),
    ("APL", 42),
    ("DS", 43),
    ("SSHFP", 44),
    ("IPSECKEY", 45),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("DHCID", 49),
    ("NSEC3", 50),
    ("NSEC3PARAM", 51),
    ("TLSA", 52),
    ("SMIMEA", 53),
    ("HIP", 55),
    ("NINFO", 56),
    ("RKEY", 57),
    ("TALINK", 58),
    ("CDS", 59),
    ("CDNSKEY", 60),
    ("OPENPGPKEY", 61),
    ("CSYNC", 62),
    ("ZONEMD", 63),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("SPF", 99),
    ("UINFO", 100),
    ("UID", 101),
    ("GID", 102),
    ("UNSPEC", 103),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("LP", 107),
    ("EUI48", 108),
    ("EUI64", 109),
    ("TKEY", 249),
    ("TSIG", 250),
    ("IXFR", 251),
    ("AXFR", 252),
    ("MAILB", 253),
    ("MAILA", 254),
    ("ANY", 255),
    ("URI", 256),
    ("CAA", 257),
    ("AVC", 258),
    ("AMTRELAY", 260),
    ("TA", 32768),
    ("DLV", 32769),
];

/// Classes by mnemonic.
const CLASSES: &[(&str, u16)] = &[("IN", 1), ("CS", 2), ("CH", 3), ("HS", 4), ("NONE", 254), ("ANY", 255)];

/// Response codes by mnemonic (RFC 6895 §2.3); the first of a number is the one that is shown.
const RCODES: &[(&str, u16)] = &[
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("NOTIMPL", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
    ("DSOTYPENI", 11),
    ("BADSIG", 16),
    ("BADVERS", 16),
    ("BADKEY", 17),
    ("BADTIME", 18),
    ("BADMODE", 19),
    ("BADNAME", 20),
    ("BADALG", 21),
    ("BADTRUNC", 22),
    ("BADCOOKIE", 23),
];

/// The number of a mnemonic, whatever its letters.
fn find(table: &[(&str, u16)], text: &str) -> Option<u16> {
    table.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, number)| *number)
}

/// The number behind a word such as TYPE or CLASS (RFC 3597 §5).
fn numbered(text: &str, word: &str) -> Option<u16> {
    let front = text.get(..word.len())?;
    if !front.eq_ignore_ascii_case(word) {
        return None;
    }
    let digits = text.get(word.len()..)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The type of a mnemonic, or of `TYPE257`.
#[must_use]
pub fn type_number(text: &str) -> Option<u16> {
    find(TYPES, text).or_else(|| numbered(text, "TYPE"))
}

/// The mnemonic of a type.
#[must_use]
pub fn type_mnemonic(number: u16) -> Option<&'static str> {
    TYPES.iter().find(|(_, known)| *known == number).map(|(text, _)| *text)
}

/// The class of a mnemonic, or of `CLASS1`.
#[must_use]
pub fn class_number(text: &str) -> Option<u16> {
    find(CLASSES, text).or_else(|| numbered(text, "CLASS"))
}

/// The mnemonic of a class.
#[must_use]
pub fn class_mnemonic(number: u16) -> Option<&'static str> {
    CLASSES.iter().find(|(_, known)| *known == number).map(|(text, _)| *text)
}

/// The response code of a mnemonic.
#[must_use]
pub fn rcode_number(text: &str) -> Option<u16> {
    find(RCODES, text)
}

#[cfg(test)]
mod tests {
    //! Words to numbers.

    use super::*;

    #[test]
    fn mnemonics_have_their_numbers_in_any_letters() {
        for (text, number) in [("A", 1), ("aaaa", 28), ("Https", 65), ("TYPE65280", 65_280), ("type1", 1)] {
            assert_eq!(type_number(text), Some(number), "{text}");
        }
        for text in ["", "TYPE", "TYPE-1", "TYPE65536", "TYPE+1", "Ä", "TYPEÄ", "None"] {
            assert_eq!(type_number(text), None, "{text}");
        }
        assert_eq!(class_number("ch"), Some(3));
        assert_eq!(class_number("CLASS4"), Some(4));
        assert_eq!(rcode_number("NxDomain"), Some(3));
        assert_eq!(rcode_number("3"), None);
    }

    #[test]
    fn mnemonics_are_their_own_text() {
        for (text, number) in TYPES {
            assert_eq!(type_mnemonic(*number), Some(*text));
        }
        for (text, number) in CLASSES {
            assert_eq!(class_mnemonic(*number), Some(*text));
        }
    }
}
