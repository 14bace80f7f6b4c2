//! What the kernel drops of a datagram socket before it takes room there: a part of what clients send that send too much.
//!
//! A classic BPF program looks at the source address and draws a random number; it needs no right, and costs who is dropped
//! some ten nanoseconds instead of a place that another client needs. Where a kernel takes no program (gVisor, for one)
//! nothing is sifted.

use std::net::IpAddr;

/// The most clients that are sifted at once.
pub(super) const MOST: usize = 8;

/// One instruction: code, jumps where true and where false, operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    /// What is done.
    pub(super) code: u16,
    /// How many instructions are skipped if a comparison holds.
    pub(super) jump_true: u8,
    /// How many if it doesn't.
    pub(super) jump_false: u8,
    /// The operand.
    pub(super) operand: u32,
}

/// A client that is sifted: its address (of IPv6 the first half counts), and how much of what it sends passes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sifted {
    /// Whose.
    pub(super) client: IpAddr,
    /// The part that passes. Unit: 2^-32, so `u32::MAX` is all but nothing.
    pub(super) pass: u32,
}

/// Loads a word of 32 bits.
const LOAD_WORD: u16 = 0x20;
/// Loads a byte.
const LOAD_BYTE: u16 = 0x30;
/// Keeps the bits of the operand.
const AND: u16 = 0x54;
/// Compares: equal.
const JUMP_EQUAL: u16 = 0x15;
/// Compares: at least.
const JUMP_AT_LEAST: u16 = 0x35;
/// Ends; the operand is how many bytes are kept.
const RETURN: u16 = 0x06;
/// Where the network header begins (`SKF_NET_OFF`).
const NETWORK: u32 = 0xfff0_0000;
/// Where a random number is found (`SKF_AD_OFF + SKF_AD_RANDOM`).
const RANDOM: u32 = 0xffff_f000 + 56;
/// The place of the source address in a header of IPv4.
const SOURCE_V4: u32 = NETWORK + 12;
/// The place of the source address in a header of IPv6.
const SOURCE_V6: u32 = NETWORK + 8;

/// An instruction that is no comparison.
const fn plain(code: u16, operand: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, operand }
}

/// Goes on where the value is the operand, else over so many instructions.
const fn unless(operand: u32, over: u8) -> Instruction {
    Instruction { code: JUMP_EQUAL, jump_true: 0, jump_false: over, operand }
}

/// Draws, and keeps or drops.
fn draw(pass: u32, program: &mut Vec<Instruction>) {
    program.push(plain(LOAD_WORD, RANDOM));
    program.push(Instruction { code: JUMP_AT_LEAST, jump_true: 1, jump_false: 0, operand: pass });
    program.push(plain(RETURN, u32::MAX));
    program.push(plain(RETURN, 0));
}

/// The program for these clients, at most `MOST` of them; nothing where there is none.
pub(super) fn program(sifted: &[Sifted]) -> Vec<Instruction> {
    let (mut v4, mut v6) = (vec![plain(LOAD_WORD, SOURCE_V4)], Vec::new());
    for Sifted { client, pass } in sifted.iter().take(MOST).copied() {
        match client.to_canonical() {
            IpAddr::V4(addr) => {
                v4.push(unless(addr.to_bits(), 4));
                draw(pass, &mut v4);
            }
            IpAddr::V6(addr) => {
                let [a, b, c, d, e, f, g, h, ..] = addr.octets();
                v6.push(plain(LOAD_WORD, SOURCE_V6));
                v6.push(unless(u32::from_be_bytes([a, b, c, d]), 6));
                v6.push(plain(LOAD_WORD, SOURCE_V6 + 4));
                v6.push(unless(u32::from_be_bytes([e, f, g, h]), 4));
                draw(pass, &mut v6);
            }
        }
    }
    if sifted.is_empty() {
        return Vec::new();
    }
    v4.push(plain(RETURN, u32::MAX));
    v6.push(plain(RETURN, u32::MAX));
    // 42 instructions at most are skipped.
    let over = u8::try_from(v4.len()).unwrap_or(u8::MAX);
    let mut program = vec![plain(LOAD_BYTE, NETWORK), plain(AND, 0xf0), unless(0x40, over)];
    program.append(&mut v4);
    program.append(&mut v6);
    program
}

#[cfg(test)]
mod tests {
    //! The program, by an interpreter of the few instructions it has, and by the kernel.

    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::super::sockopt;
    use super::*;

    /// Whether a datagram from `source` passes a program where `random` is drawn.
    fn passes(program: &[Instruction], source: IpAddr, random: u32) -> bool {
        let header = match source {
            IpAddr::V4(addr) => {
                let mut header = vec![0x45; 12];
                header.extend(addr.octets());
                header
            }
            IpAddr::V6(addr) => {
                let mut header = vec![0x60; 8];
                header.extend(addr.octets());
                header
            }
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let Instruction { code, jump_true, jump_false, operand } = program[at];
            at += 1;
            let place = usize::try_from(operand.wrapping_sub(NETWORK)).unwrap();
            let jump = |holds: bool| usize::from(if holds { jump_true } else { jump_false });
            match code {
                LOAD_WORD if operand == RANDOM => value = random,
                LOAD_WORD => value = u32::from_be_bytes(header[place..place + 4].try_into().unwrap()),
                LOAD_BYTE => value = u32::from(header[place]),
                AND => value &= operand,
                JUMP_EQUAL => at += jump(value == operand),
                JUMP_AT_LEAST => at += jump(value >= operand),
                RETURN => return operand > 0,
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn only_what_sifted_clients_send_is_dropped_and_only_its_part() {
        let mut sifted: Vec<Sifted> = (1..=4)
            .map(|last| Sifted { client: Ipv4Addr::new(10, 0, 0, last).into(), pass: u32::from(last) * 1000 })
            .collect();
        sifted.extend((1..=4).map(|last| Sifted {
            client: Ipv6Addr::new(0xfd00, 0, 0, last, 0, 0, 0, 1).into(),
            pass: u32::from(last) * 1000,
        }));
        let program = program(&sifted);
        for last in 1..=5_u8 {
            let v4 = IpAddr::from([10, 0, 0, last]);
            let v6 = IpAddr::from([0xfd00, 0, 0, u16::from(last), 9, 9, 9, 9]);
            for random in [0, 999, 1000, 2999, 3000, 4000, u32::MAX] {
                let expected = last == 5 || random < u32::from(last) * 1000;
                assert_eq!(passes(&program, v4, random), expected, "{v4} {random}");
                assert_eq!(passes(&program, v6, random), expected, "{v6} {random}");
            }
        }
        assert_eq!(super::program(&[]), []);
        let one = super::program(&sifted[..1]);
        assert!(passes(&one, IpAddr::from([0xfd00, 0, 0, 1, 0, 0, 0, 1]), u32::MAX));
    }

    #[test]
    fn the_kernel_drops_for_one_client_and_counts_it_and_stops_when_told() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let to = server.local_addr().unwrap();
        let (bad, good) = (UdpSocket::bind("127.0.0.2:0").unwrap(), UdpSocket::bind("127.0.0.3:0").unwrap());
        let sifted = [Sifted { client: Ipv4Addr::new(127, 0, 0, 2).into(), pass: 0 }];
        sockopt::sift(server.as_fd(), &program(&sifted)).unwrap();
        for _ in 0..5 {
            bad.send_to(b"bad", to).unwrap();
        }
        good.send_to(b"good", to).unwrap();
        let mut bytes = [0; 16];
        let (length, from) = server.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from), (&b"good"[..], good.local_addr().unwrap()));
        assert_eq!(super::super::drops::of(&[to]), 5, "each of them is in the kernel's count");
        sockopt::sift(server.as_fd(), &[]).unwrap();
        bad.send_to(b"bad", to).unwrap();
        assert_eq!(server.recv_from(&mut bytes).unwrap().1, bad.local_addr().unwrap());
    }
}
