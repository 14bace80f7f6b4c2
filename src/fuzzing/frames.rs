//! Z4: streams, cut anywhere.

use hickory_proto::op::Message;

use super::desk::Desk;
use super::seeds::query;
use super::target::Seed;

/// The most pieces of a stream.
const PIECES: usize = 32;

/// The first byte says into how many pieces the stream is cut, each of as many bytes as the next ones say; 0 is one byte at a
/// time.
pub(super) fn run(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else { return };
    let count = usize::from(count) % PIECES;
    let (sizes, stream) = rest.split_at_checked(count).unwrap_or((&[], rest));
    let (replies, closed) = answers(&[stream]);
    let mut pieces = Vec::new();
    let mut left = stream;
    for size in sizes {
        let (piece, after) = left.split_at(usize::from(*size).min(left.len()));
        pieces.push(piece);
        left = after;
    }
    pieces.push(left);
    if count == 0 {
        pieces = stream.chunks(1).collect();
    }
    let (cut, cut_closed) = answers(&pieces);
    assert_eq!(cut, replies, "the same answers, whatever the cuts");
    assert_eq!(cut_closed, closed);
    judge(stream, &replies);
}

/// All that comes back on a stream, and whether it was closed.
fn answers(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut desk = Desk::local();
    let stream = desk.connect();
    let mut replies = Vec::new();
    for piece in pieces {
        desk.write(stream, piece);
        replies.extend(desk.read(stream));
    }
    for _ in 0..8 {
        desk.settle();
        replies.extend(desk.read(stream));
    }
    (replies, desk.closed(stream))
}

/// Cuts a stream into messages, as far as they are whole.
fn messages(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = stream.split_first_chunk::<2>() {
        let Some((message, after)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*prefix))) else {
            break;
        };
        messages.push(message);
        stream = after;
    }
    messages
}

/// Every reply is whole and to one of the queries.
fn judge(stream: &[u8], replies: &[u8]) {
    let asked = messages(stream);
    let said = messages(replies);
    assert_eq!(said.iter().map(|reply| reply.len() + 2).sum::<usize>(), replies.len(), "whole messages");
    let mut ids: Vec<&[u8]> = asked.iter().filter_map(|query| query.get(..2)).collect();
    let mut transfer = None;
    for reply in said {
        let judged = Message::from_vec(reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
        // A transfer has several messages.
        if transfer == Some(judged.metadata.id) {
            continue;
        }
        let place = ids.iter().position(|id| *id == &reply[..2]);
        assert!(place.is_some(), "nobody asked {}", judged.metadata.id);
        ids.swap_remove(place.unwrap_or_default());
        let is_transfer = judged.queries.first().is_some_and(|query| u16::from(query.query_type()) == 252);
        transfer = is_transfer.then_some(judged.metadata.id);
    }
}

/// A message with its length before it.
fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).expect("a message").to_be_bytes()[..], message].concat()
}

/// Streams.
pub(super) fn seeds() -> Vec<Seed> {
    let one = framed(&query(1, "web.shop.svc.cluster.local", 1));
    let two = framed(&query(2, "many.data.svc.cluster.local", 1));
    let with =
        |cuts: &[u8], stream: &[u8]| [&[u8::try_from(cuts.len()).expect("few cuts")], cuts, stream].concat();
    let zero = [&one[..], &[0, 0], &two].concat();
    let short = [&one[..], &[0, 5, 1, 2, 3, 4, 5], &two].concat();
    let mut response = query(3, "x.example.org", 1);
    response[2] |= 0x80;
    vec![
        ("one", with(&[2], &one)),
        ("bytes", with(&[], &[one.clone(), two.clone()].concat())),
        ("pipelined", with(&[1, 40, 3], &[one.clone(), two.clone(), one.clone()].concat())),
        ("zero_length", with(&[60], &zero)),
        ("short_message", with(&[20], &short)),
        ("half", with(&[10], &one[..20])),
        ("response", with(&[1, 1], &[framed(&response), two].concat())),
        ("transfer", with(&[3], &framed(&query(4, "example.com", 252)))),
    ]
}
