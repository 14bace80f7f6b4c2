//! A small server over UDP that says what a test wants it to say, and what it was asked.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use parking_lot::Mutex;

/// What it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// These addresses for A, its own name for TXT.
    Addresses(&'static [[u8; 4]]),
    /// NOERROR without records.
    Nothing,
    /// This code.
    Code(ResponseCode),
    /// No word.
    Silence,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The name, with its letters.
    pub(crate) name: String,
    /// QTYPE.
    pub(crate) qtype: RecordType,
    /// RD.
    pub(crate) recursion: bool,
    /// Who asked.
    pub(crate) from: SocketAddr,
}

/// What it shares with its thread.
struct Shared {
    /// What it says.
    act: Mutex<Act>,
    /// What it was asked.
    asked: Mutex<Vec<Asked>>,
    /// Whether it is to end.
    ended: AtomicBool,
}

/// The server; ends when it is dropped.
pub(crate) struct Upstream {
    /// Where it is.
    pub(crate) addr: SocketAddr,
    /// What it shares with its thread.
    shared: Arc<Shared>,
    /// Its thread.
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts one on any port.
    pub(crate) fn start(act: Act) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), act)
    }

    /// Starts one there.
    pub(crate) fn at(addr: SocketAddr, act: Act) -> Self {
        let socket = UdpSocket::bind(addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let addr = socket.local_addr().unwrap();
        let shared =
            Arc::new(Shared { act: Mutex::new(act), asked: Mutex::default(), ended: AtomicBool::new(false) });
        let told = shared.clone();
        let thread = std::thread::spawn(move || serve(&socket, &told));
        Self { addr, shared, thread: Some(thread) }
    }

    /// Says something else from now on.
    pub(crate) fn act(&self, act: Act) {
        *self.shared.act.lock() = act;
    }

    /// What it was asked, probes (NS) not counted.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.shared.asked.lock();
        asked.iter().filter(|asked| asked.qtype != RecordType::NS).cloned().collect()
    }

    /// The probes that came.
    pub(crate) fn probes(&self) -> Vec<Asked> {
        let asked = self.shared.asked.lock();
        asked.iter().filter(|asked| asked.qtype == RecordType::NS).cloned().collect()
    }

    /// The addresses that it was asked from.
    pub(crate) fn clients(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.shared.asked.lock().iter().map(|asked| asked.from.ip()).collect();
        all.sort();
        all.dedup();
        all
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread.
fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut bytes = [0; 1500];
    while !shared.ended.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let Ok(mut message) = Message::from_vec(&bytes[..length]) else { continue };
        let Some(query) = message.queries.first().cloned() else { continue };
        let (name, qtype) = (query.name().clone(), query.query_type());
        let recursion = message.metadata.recursion_desired;
        shared.asked.lock().push(Asked { name: name.to_ascii(), qtype, recursion, from });
        message.metadata.message_type = MessageType::Response;
        match *shared.act.lock() {
            Act::Silence => continue,
            Act::Nothing => {}
            Act::Code(code) => message.metadata.response_code = code,
            Act::Addresses(addresses) if qtype == RecordType::A => {
                for [a, b, c, d] in addresses {
                    let data = RData::A(A::new(*a, *b, *c, *d));
                    message.answers.push(Record::from_rdata(name.clone(), 60, data));
                }
            }
            Act::Addresses(_) if qtype == RecordType::TXT => {
                let data = RData::TXT(TXT::new(vec![name.to_ascii()]));
                message.answers.push(Record::from_rdata(name, 60, data));
            }
            Act::Addresses(_) => {}
        }
        let _ = socket.send_to(&message.to_vec().unwrap(), from);
    }
}
