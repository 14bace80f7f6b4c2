//! Datagrams that the kernel dropped in front of our sockets, by its own count: what came while a socket was full, and what
//! a sieve let fall (rule S-52, RELIABILITY L9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How many there were at sockets of these addresses since each was opened. Cost: two files of `/proc` are read.
#[must_use]
pub fn of(addresses: &[SocketAddr]) -> u64 {
    let files = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let read = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    read.map(|text| sum(&text, addresses)).sum()
}

/// The sum of the last column over the lines about these addresses.
fn sum(text: &str, addresses: &[SocketAddr]) -> u64 {
    let lines = text.lines().skip(1).filter_map(line);
    lines.filter(|(addr, _)| addresses.contains(addr)).map(|(_, drops)| drops).sum()
}

/// Local address and drops of a line.
fn line(text: &str) -> Option<(SocketAddr, u64)> {
    let (addr, port) = text.split_whitespace().nth(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits, each as this machine holds it.
    let word = |at: usize| Some(u32::from_str_radix(addr.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match addr.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (place, to) in octets.chunks_exact_mut(4).enumerate() {
                to.copy_from_slice(&word(place * 8)?);
            }
            IpAddr::from(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some((SocketAddr::new(ip, port), text.split_whitespace().last()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_last_column_counts_for_the_address_that_was_bound() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                    \x20 101: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5 2 0000000000000000 7\n\
                    \x20 101: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 6 2 0000000000000000 4\n\
                    \x20 102: 0200007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7 2 0000000000000000 90\n\
                    cut off\n";
        assert_eq!(sum(text, &["127.0.0.1:53".parse().unwrap()]), 11);
        assert_eq!(sum(text, &["127.0.0.1:54".parse().unwrap()]), 0);
        let v6 = "head\n 1: 00000000000000000000000001000000:0035 0:0 07 0:0 00:0 0 0 0 9 2 0 3\n";
        assert_eq!(sum(v6, &["[::1]:53".parse().unwrap()]), 3);
    }

    #[test]
    fn a_socket_of_ours_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(of(&[socket.local_addr().unwrap()]), 0);
    }
}
