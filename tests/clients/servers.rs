//! The servers inside: ours, a child process, and those that it or the clients ask.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};
use parking_lot::Mutex;
use tempfile::TempDir;

/// Where ours listens, and what clients have in resolv.conf.
pub(crate) const OURS: &str = "127.0.0.1";

/// Where the upstream of ours listens.
pub(crate) const UPSTREAM: &str = "127.0.0.9:5300";

/// How many endpoints the Service `crowd` has.
pub(crate) const CROWD: usize = 100;

/// The cluster, but for the endpoints of `crowd`.
const CLUSTER: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: data}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: shop}
spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2, 'fd00::2'], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: data}
spec: {clusterIP: 10.96.0.3, clusterIPs: [10.96.0.3], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: db.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: crowd, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: crowd-1, namespace: shop, labels: {kubernetes.io/service-name: crowd}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints:
";

/// Our server; ended when dropped.
pub(crate) struct Ours {
    /// The process.
    child: Child,
    /// Its Corefile and its manifests.
    _folder: TempDir,
}

impl Ours {
    /// Starts it on port 53 of [`OURS`] with the lines of a block, `DIR` standing for the folder of manifests, and waits until
    /// it knows its cluster.
    pub(crate) fn start(lines: &str) -> Self {
        let this = Self::start_unsynced(lines);
        this.wait_for("web.shop.svc.cluster.local.", ResponseCode::NoError);
        this
    }

    /// The same without a wait for the cluster.
    pub(crate) fn start_unsynced(lines: &str) -> Self {
        Self::start_file(&format!(".:53 {{\n bind {OURS}\n{lines}}}\n"))
    }

    /// Starts it with a whole Corefile; answers once it is back.
    pub(crate) fn start_file(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifests = folder.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let mut cluster = CLUSTER.to_owned();
        for last in 0..CROWD {
            let _ = writeln!(cluster, "  - {{addresses: [10.244.0.{last}], conditions: {{ready: true}}}}");
        }
        std::fs::write(manifests.join("cluster.yaml"), cluster).unwrap();
        let corefile = folder.path().join("Corefile");
        std::fs::write(&corefile, text.replace("DIR", manifests.to_str().unwrap())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
        command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
        // What it logs stands beside what the test says.
        let child = command.arg("-conf").arg(&corefile).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let this = Self { child: child.unwrap(), _folder: folder };
        this.wait_for("cluster.local.", ResponseCode::NoError);
        this
    }

    /// Waits until a name's A has this code.
    fn wait_for(&self, name: &str, code: ResponseCode) {
        let mut query = Message::new(1, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        let query = query.to_vec().unwrap();
        for _ in 0..200 {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect((OURS, 53)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut reply = [0; 1500];
            // Nobody listens yet: refused at once.
            match socket.send(&query).and_then(|_| socket.recv(&mut reply)) {
                Ok(length) if Message::from_vec(&reply[..length]).unwrap().metadata.response_code == code => {
                    return;
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        panic!("{name} is not {code}");
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a scripted server says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// An address.
    Address(&'static str),
    /// This code, a little after the answers that are at hand.
    Code(ResponseCode),
    /// No word.
    Silence,
}

/// A line of the script: a name, `*` being any; for which type, `None` for any; what is said.
type Line = (&'static str, Option<RecordType>, Act);

/// A server that follows a script. What stands there with another type is NODATA, what does not is NXDOMAIN.
pub(crate) struct Scripted {
    /// Names and types that it was asked, in order.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts it; its thread ends with the test's process.
    pub(crate) fn start(addr: &str, script: &'static [Line]) -> Self {
        let socket = Arc::new(UdpSocket::bind(addr).unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let list = asked.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut bytes).unwrap();
                let Ok(query) = Message::from_vec(&bytes[..length]) else { continue };
                let Some(question) = query.queries.first().cloned() else { continue };
                list.lock().push(format!("{} {}", question.name(), question.query_type()));
                if let Some((reply, late)) = answer(script, &query, &question) {
                    let reply = reply.to_vec().unwrap();
                    send(&socket, reply, from, late);
                }
            }
        });
        Self { asked }
    }

    /// What it was asked, probes (NS) not counted, in alphabetical order, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().clone();
        asked.retain(|asked| !asked.ends_with(" NS"));
        asked.sort();
        asked.dedup();
        asked
    }
}

/// Sends a reply; a late one comes behind those that are on their way.
fn send(socket: &Arc<UdpSocket>, reply: Vec<u8>, to: SocketAddr, late: bool) {
    let socket = socket.clone();
    let send = move || {
        let _ = socket.send_to(&reply, to);
    };
    if late {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            send();
        });
    } else {
        send();
    }
}

/// What the script says to a query, and whether it is said late; `None` for silence.
fn answer(script: &[Line], query: &Message, question: &Query) -> Option<(Message, bool)> {
    let (name, rtype) = (question.name(), question.query_type());
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    let mut exists = false;
    for (owner, only, act) in script {
        if *owner != "*" && Name::from_ascii(owner).unwrap() != *name {
            continue;
        }
        exists = true;
        if only.is_some_and(|only| only != rtype) {
            continue;
        }
        match act {
            Act::Silence => return None,
            Act::Code(code) => {
                reply.metadata.response_code = *code;
                return Some((reply, true));
            }
            Act::Address(text) => {
                let data = text.parse().map(RData::A).or_else(|_| text.parse().map(RData::AAAA)).unwrap();
                if data.record_type() == rtype {
                    reply.add_answer(Record::from_rdata(name.clone(), 60, data));
                }
            }
        }
    }
    if reply.answers.is_empty() {
        let host = |text: &str| Name::from_ascii(text).unwrap();
        let soa = rdata::SOA::new(host("ns.test."), host("hostmaster.test."), 1, 2, 3, 4, 60);
        reply.add_authority(Record::from_rdata(name.trim_to(1), 60, RData::SOA(soa)));
    }
    if !exists {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    Some((reply, false))
}
