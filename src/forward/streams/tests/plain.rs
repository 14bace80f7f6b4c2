//! Connections: reuse, order, death, bounds. Over TCP; TLS runs the same code.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::*;

/// Bounds in which a test need not wait.
fn short() -> DeskOptions {
    DeskOptions {
        open: Duration::from_millis(300),
        silent: Duration::from_millis(100),
        unread: Duration::from_millis(300),
        ..DeskOptions::default()
    }
}

/// What is said where a connection ended too early.
const CLOSED: &str = "connection closed before the reply";

#[test]
fn queries_share_one_connection_and_get_their_ids_back() {
    let server = Server::start(|stream, _| answer_all(stream));
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    for id in [7, 7, 0, 65_535, 300] {
        let asked = query(id, "one after the other");
        assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(rig.counts(), (1, 4));
}

#[test]
fn replies_in_any_order_find_their_queries_though_ids_collide() {
    let server = Server::start(|mut stream, _| async move {
        let mut taken = Vec::new();
        while taken.len() < 20 {
            taken.push(take(&mut stream).await.unwrap());
        }
        let ids: HashSet<&[u8]> = taken.iter().map(|query| &query[..2]).collect();
        assert_eq!(ids.len(), 20, "on the wire ids are unique");
        for query in taken.iter().rev() {
            put(&mut stream, &reply(query)).await;
        }
        answer_all(stream).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    let asked: Vec<Vec<u8>> = (0..20).map(|number| query(7, &format!("number {number}"))).collect();
    for query in &asked {
        rig.ask(query.clone());
    }
    let outcomes = rig.wait(20);
    for (number, query) in asked.iter().enumerate() {
        assert_eq!(outcomes[&number], Ok(reply(query)));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_query_whose_reused_connection_died_is_asked_once_more() {
    let server = Server::start(|mut stream, number| async move {
        let first = take(&mut stream).await.unwrap();
        put(&mut stream, &reply(&first)).await;
        if number == 1 {
            take(&mut stream).await;
            return;
        }
        answer_all(stream).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    for text in ["first", "second", "third"] {
        let asked = query(1, text);
        assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_query_is_asked_again_only_once() {
    let server = Server::start(|mut stream, number| async move {
        let first = take(&mut stream).await.unwrap();
        if number == 1 {
            put(&mut stream, &reply(&first)).await;
            take(&mut stream).await;
        }
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    assert!(rig.exchange(query(1, "first")).is_ok());
    assert_eq!(rig.exchange(query(1, "second")), Err(CLOSED.to_owned()));
    assert_eq!(server.connections(), 2, "and not a third one");
}

#[test]
fn a_fresh_connection_that_dies_is_a_fault() {
    let server = Server::start(|mut stream, _| async move {
        take(&mut stream).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    assert_eq!(rig.exchange(query(1, "first")), Err(CLOSED.to_owned()));
    assert_eq!(server.connections(), 1);
}

#[test]
fn nobody_listens() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    drop(taken);
    let mut rig = Rig::usual(spec(Protocol::Tcp, addr));
    assert_eq!(rig.exchange(query(1, "first")), Err("connection refused".to_owned()));
    assert_eq!(rig.counts(), (0, 0));
}

#[test]
fn an_upstream_that_answers_once_and_closes_answers_all() {
    let server = Server::start(|mut stream, _| async move {
        let query = take(&mut stream).await.unwrap();
        put(&mut stream, &reply(&query)).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    for round in 0..2 {
        let asked: Vec<Vec<u8>> = (0..60).map(|number| query(7, &format!("{round} {number}"))).collect();
        let numbers: Vec<usize> = asked.iter().map(|query| rig.ask(query.clone())).collect();
        let outcomes = rig.wait(60);
        for (number, query) in numbers.iter().zip(&asked) {
            assert_eq!(outcomes[number], Ok(reply(query)));
        }
    }
}

#[test]
fn nobody_is_told_what_came_when_nobody_waited() {
    let server = Server::start(|mut stream, _| async move {
        let late = take(&mut stream).await.unwrap();
        let second = take(&mut stream).await.unwrap();
        put(&mut stream, &reply(&late)).await;
        put(&mut stream, &reply(&second)).await;
        answer_all(stream).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    let late = rig.ask_for(query(1, "late"), Duration::from_millis(50));
    std::thread::park_timeout(Duration::from_millis(400));
    let second = rig.ask(query(1, "second"));
    let outcomes = rig.wait(1);
    assert!(outcomes[&second].is_ok() && !outcomes.contains_key(&late));
    assert_eq!((rig.mismatches(), rig.upstream.counts.late.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn replies_to_nothing_are_counted_and_the_right_one_is_awaited() {
    let server = Server::start(|mut stream, _| async move {
        let asked = take(&mut stream).await.unwrap();
        let mut wrong = reply(&asked);
        wrong[0] ^= 0x80;
        put(&mut stream, &wrong).await;
        put(&mut stream, &reply(&asked)).await;
        answer_all(stream).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    let asked = query(1, "first");
    assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
    assert_eq!(rig.mismatches(), 1);
}

#[test]
fn an_upstream_that_only_answers_what_was_not_asked_is_left() {
    let server = Server::start(|mut stream, _| async move {
        let asked = take(&mut stream).await.unwrap();
        let mut wrong = reply(&asked);
        wrong[0] ^= 0x80;
        while stream.writable().await.is_ok() && stream.peer_addr().is_ok() {
            let before = stream.write_all(&[0, 12]).await.and(stream.write_all(&wrong[..12]).await);
            if before.is_err() {
                return;
            }
        }
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    assert_eq!(rig.exchange(query(1, "first")), Err("it answers what was not asked".to_owned()));
}

#[test]
fn lengths_that_no_message_has_end_the_connection() {
    let server = Server::start(|mut stream, _| async move {
        take(&mut stream).await;
        let _ = stream.write_all(&[0, 3, 1, 2, 3]).await;
        take(&mut stream).await;
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    let why = "it does not speak DNS: a message of 3 bytes";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
}

#[test]
fn the_largest_message_comes_whole() {
    let server = Server::start(|mut stream, _| async move {
        while let Some(asked) = take(&mut stream).await {
            let mut long = reply(&asked);
            long.resize(65_535, 5);
            put(&mut stream, &long).await;
        }
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    for _ in 0..3 {
        let came = rig.exchange(query(1, "first")).unwrap();
        assert_eq!((came.len(), came[65_534]), (65_535, 5));
    }
}

#[test]
fn over_the_bound_jobs_end_at_once() {
    let server = Server::start(|mut stream, _| async move { while take(&mut stream).await.is_some() {} });
    let options = DeskOptions { most: 3, ..DeskOptions::default() };
    let mut rig = Rig::new(spec(Protocol::Tcp, server.addr), options);
    let numbers: Vec<usize> = (0..5).map(|id| rig.ask(query(id, "one of many"))).collect();
    let outcomes = rig.wait(2);
    for number in &numbers[3..] {
        assert_eq!(outcomes[number], Err("too many queries wait".to_owned()));
    }
    let options = DeskOptions { most_per_upstream: 3, ..DeskOptions::default() };
    let mut rig = Rig::new(spec(Protocol::Tcp, server.addr), options);
    let numbers: Vec<usize> = (0..5).map(|id| rig.ask(query(id, "one of many"))).collect();
    let outcomes = rig.wait(2);
    assert_eq!(outcomes[&numbers[4]], Err("too many queries wait".to_owned()));
}

#[test]
fn an_upstream_that_reads_nothing_is_left() {
    let server = Server::start(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    let mut rig = Rig::new(spec(Protocol::Tcp, server.addr), short());
    // More than the kernels of both sides keep.
    let long = query(1, &"x".repeat(60_000));
    for _ in 0..300 {
        rig.ask(long.clone());
    }
    let why = "it does not read what it is sent for 0.3 s";
    assert!(rig.wait(100).values().all(|outcome| *outcome == Err(why.to_owned())));
}

#[test]
fn many_under_way_are_given_a_second_connection_and_not_a_third() {
    let server = Server::start(|mut stream, _| async move {
        let mut taken = Vec::new();
        while taken.len() < 100 {
            taken.push(take(&mut stream).await.unwrap());
        }
        for query in taken {
            put(&mut stream, &reply(&query)).await;
        }
    });
    let mut rig = Rig::usual(spec(Protocol::Tcp, server.addr));
    for _ in 0..200 {
        rig.ask(query(1, "one of many"));
    }
    assert!(rig.wait(200).values().all(Result::is_ok));
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_connection_that_fell_silent_is_left_alone() {
    let server = Server::start(|mut stream, number| async move {
        let first = take(&mut stream).await.unwrap();
        put(&mut stream, &reply(&first)).await;
        match number {
            // As after a firewall forgot it.
            1 => std::future::pending().await,
            _ => answer_all(stream).await,
        }
    });
    let mut rig = Rig::new(spec(Protocol::Tcp, server.addr), short());
    assert!(rig.exchange(query(1, "first")).is_ok());
    let lost = rig.ask_for(query(1, "lost"), Duration::from_millis(500));
    std::thread::park_timeout(Duration::from_millis(250));
    let next = rig.ask(query(1, "next"));
    let outcomes = rig.wait(1);
    assert!(outcomes[&next].is_ok() && !outcomes.contains_key(&lost));
    assert_eq!(server.connections(), 2);
}

/// Asks once; the server must then see the end of the connection, and the next query opens another one.
fn is_closed_by_us(change: impl Fn(&mut UpstreamSpec)) {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |stream, _| {
        let tell = tell.clone();
        async move {
            answer_all(stream).await;
            let _ = tell.send(());
        }
    });
    let mut spec = spec(Protocol::Tcp, server.addr);
    change(&mut spec);
    let mut rig = Rig::usual(spec);
    assert!(rig.exchange(query(1, "first")).is_ok());
    told.recv_timeout(PATIENCE / 2).expect("the connection ends");
    assert!(rig.exchange(query(1, "second")).is_ok());
    assert_eq!((server.connections(), rig.counts()), (2, (2, 0)));
}

#[test]
fn an_idle_connection_is_closed() {
    is_closed_by_us(|spec| spec.expire = Duration::from_millis(150));
}

#[test]
fn an_old_connection_is_closed() {
    is_closed_by_us(|spec| {
        spec.expire = Duration::from_secs(60);
        spec.max_age = Duration::from_millis(150);
    });
}

#[test]
fn one_of_two_idle_connections_is_closed_where_one_may_be() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |stream, _| {
        let tell = tell.clone();
        async move {
            answer_all(stream).await;
            let _ = tell.send(());
        }
    });
    let mut spec = spec(Protocol::Tcp, server.addr);
    spec.expire = Duration::from_secs(60);
    spec.max_idle = 1;
    let mut rig = Rig::usual(spec);
    // Before a connection is there, all are given to it; more than so many open another one.
    for _ in 0..100 {
        rig.ask(query(1, "one of many"));
    }
    assert!(rig.wait(100).values().all(Result::is_ok));
    assert_eq!(server.connections(), 2);
    told.recv_timeout(PATIENCE / 2).expect("one of them ends");
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err(), "the other one stays");
}

#[test]
fn an_address_that_is_not_ours_is_no_place_to_ask_from() {
    let server = Server::start(|stream, _| answer_all(stream));
    let mut spec = spec(Protocol::Tcp, server.addr);
    spec.source = Some("192.0.2.1".parse().unwrap());
    let why = "source_address is no address of this machine";
    assert_eq!(Rig::usual(spec.clone()).exchange(query(1, "first")), Err(why.to_owned()));
    spec.source = Some("127.0.0.9".parse().unwrap());
    assert!(Rig::usual(spec).exchange(query(1, "first")).is_ok());
}
