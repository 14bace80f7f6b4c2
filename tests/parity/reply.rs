//! A reply, so that two can be compared.

use std::net::SocketAddr;
use std::time::Duration;

use crate::harness::{Ask, Client, Via, text};
use crate::questions::Question;

/// How long a reply may take; CoreDNS answers some questions never (K-177).
const WAIT: Duration = Duration::from_secs(2);

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    /// As `harness::text` has it, without the OPT's size: a line of code and flags, one of the OPT, one for each record.
    pub(crate) text: String,
    /// The OPT's size (K-009). Unit: bytes.
    pub(crate) size: Option<u16>,
}

impl Reply {
    /// No reply at all.
    pub(crate) const SILENCE: &str = "no reply\n";

    /// Takes the OPT's size out of a text.
    pub(crate) fn new(whole: &str) -> Self {
        let mut this = Self { text: String::new(), size: None };
        for line in whole.lines() {
            match line.strip_prefix("edns ") {
                Some(edns) => {
                    let (size, rest) = edns.split_once(' ').unwrap_or((edns, ""));
                    this.size = size.parse().ok();
                    // The order of options says nothing.
                    let mut words: Vec<&str> = rest.split(' ').collect();
                    words.sort_unstable();
                    this.text += &format!("edns {}", words.join(" "));
                }
                None => this.text += line,
            }
            this.text.push('\n');
        }
        this
    }

    /// The code's name.
    pub(crate) fn code(&self) -> &str {
        self.text.split([' ', '\n']).next().unwrap_or_default()
    }

    /// All but the code.
    pub(crate) fn rest(&self) -> &str {
        &self.text[self.code().len()..]
    }

    /// The records of a section.
    pub(crate) fn records<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter_map(move |line| line.strip_prefix(section)?.strip_prefix(' '))
    }

    /// Whether something is answered.
    pub(crate) fn is_data(&self) -> bool {
        self.code() == "NOERROR" && self.records("answer").next().is_some()
    }

    /// Whether the name is said to exist without this type.
    pub(crate) fn is_nodata(&self) -> bool {
        self.code() == "NOERROR" && !self.is_data()
    }

    /// Whether the name is said not to exist.
    pub(crate) fn is_nx(&self) -> bool {
        self.code() == "NXDOMAIN"
    }

    /// Whether nothing came.
    pub(crate) fn is_silence(&self) -> bool {
        self.text == Self::SILENCE
    }

    /// In one word.
    pub(crate) fn kind(&self) -> &str {
        if self.is_data() {
            "data"
        } else if self.is_nodata() {
            "NODATA"
        } else {
            self.code()
        }
    }

    /// What kind of difference it is, for the report.
    pub(crate) fn difference(&self, theirs: &Self, question: &Question) -> String {
        format!("{}: {} of CoreDNS is {} of ours", question.qtype, theirs.kind(), self.kind())
    }
}

/// A client of one server over both transports.
pub(crate) struct Asker {
    /// The server.
    addr: SocketAddr,
    /// Over UDP and over TCP.
    clients: [Client; 2],
    /// The last message's id.
    id: u16,
}

impl Asker {
    /// For a server.
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, clients: [Client::new(Via::Udp, addr), Client::new(Via::Tcp, addr)], id: 0 }
    }

    /// The reply to a question.
    pub(crate) fn ask(&mut self, question: &Question) -> Reply {
        self.id = self.id.wrapping_add(1);
        let query = Ask::parse(&question.text()).bytes(self.id);
        let client = &mut self.clients[usize::from(question.via == Via::Tcp)];
        client.send(&query);
        while let Some(reply) = client.receive(WAIT) {
            // An earlier reply may come late.
            if reply.get(..2) == query.get(..2) {
                return Reply::new(&text(&reply, &query));
            }
        }
        *client = Client::new(question.via, self.addr);
        Reply::new(Reply::SILENCE)
    }
}
