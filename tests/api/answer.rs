//! One request, answered as an API server would or as the faults have it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::{Event, Resource};
use super::connection::{Connection, Head, JSON};
use super::fault::{Call, Fault};
use super::protobuf::{self, Speaks};
use super::selector::Selectors;
use super::server::{Request, Shared};

/// The annotation of the bookmark after the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// The parameters that an API server knows; any other is a mistake of the client.
const KNOWN: &[&str] = &[
    "limit",
    "continue",
    "watch",
    "resourceVersion",
    "resourceVersionMatch",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "timeoutSeconds",
    // Part of every request, and what client-go says beside it.
    "timeout",
    "labelSelector",
    "fieldSelector",
];

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// The next request may come.
    Keep,
    /// It is closed in good order.
    Close,
    /// It is reset.
    Reset,
}

/// A client that went away is no fault of the fake.
impl From<std::io::Result<()>> for After {
    fn from(written: std::io::Result<()>) -> Self {
        if written.is_ok() { Self::Keep } else { Self::Close }
    }
}

/// Answers one request.
pub async fn answer(shared: &Arc<Shared>, connection: &mut Connection, head: &Head) -> After {
    let is = |name: &str| matches!(head.query.get(name).map(String::as_str), Some("true" | "1"));
    let (resource, inside) = match about(&head.path) {
        Some((resource, inside)) => (Some(resource), inside),
        None => (None, None),
    };
    let accept = head.headers.get("accept").map_or("", String::as_str);
    let names =
        accept.split(',').next().is_some_and(|first| first.contains(";as=PartialObjectMetadataList;"));
    let call = match (head.method == "GET" && resource.is_some(), is("watch")) {
        (false, _) => Call::Other,
        (true, true) if is("sendInitialEvents") => Call::InitialWatch,
        (true, true) => Call::Watch,
        (true, false) if names => Call::Names,
        (true, false) if inside.is_some() || text_of(head, "fieldSelector").contains("metadata.name=") => {
            Call::One
        }
        (true, false) if head.query.contains_key("continue") => Call::Page,
        (true, false) => Call::List,
    };
    let token = head.headers.get("authorization").and_then(|text| text.strip_prefix("Bearer "));
    let number = shared.log(Request {
        at: shared.start.elapsed(),
        resource,
        call,
        path: head.path.clone(),
        query: head.query.clone(),
        token: token.map(str::to_owned),
        headers: head.headers.clone(),
        status: 0,
    });
    let speaks = *shared.speaks.lock();
    let wants_protobuf =
        accept.split(',').next().is_some_and(|first| first.trim().starts_with(protobuf::CONTENT_TYPE));
    connection.content_type =
        match (wants_protobuf && speaks == Speaks::Both && resource.is_none_or(protobuf::has), call) {
            (false, _) => JSON,
            (true, Call::Watch | Call::InitialWatch) => protobuf::WATCH_TYPE,
            (true, _) => protobuf::CONTENT_TYPE,
        };
    if speaks == Speaks::JsonOrNothing && wants_protobuf {
        return status(shared, connection, number, 406, "only JSON", "").await;
    }
    let Some(resource) = resource.filter(|_| call != Call::Other) else {
        return status(shared, connection, number, 404, "the server could not find it", "").await;
    };
    if shared.token.lock().as_deref().is_some_and(|wanted| token != Some(wanted)) {
        return status(shared, connection, number, 401, "Unauthorized", "").await;
    }
    if let Some(strange) = head.query.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return status(shared, connection, number, 400, &format!("unknown parameter {strange}"), "").await;
    }

    let faults = shared.faults.lock().strike(resource, call);
    connection.pace = None;
    connection.split = None;
    for fault in &faults {
        match fault {
            Fault::Status { code, retry_after } => {
                let retry = retry_after.map_or(String::new(), |wait| format!("retry-after: {wait}\r\n"));
                return status(shared, connection, number, *code, "a fault of the plan", &retry).await;
            }
            Fault::StatusInBody(code) => {
                let body = status_object(*code, "a fault of the plan").to_string() + "\n";
                shared.answered(number, 200);
                connection.content_type = JSON;
                return connection.reply(200, "", body.as_bytes()).await.into();
            }
            Fault::Body(text) => {
                connection.content_type = JSON;
                shared.answered(number, 200);
                return connection.reply(200, "", text.as_bytes()).await.into();
            }
            Fault::Garbled => {
                shared.answered(number, 200);
                connection.content_type = protobuf::CONTENT_TYPE;
                return connection.reply(200, "", &[0xff; 64]).await.into();
            }
            Fault::Close => return After::Close,
            Fault::Hang => {
                while connection.more().await.is_some() {}
                return After::Close;
            }
            Fault::Slow(rate) => connection.pace = Some(*rate),
            Fault::Split(size) => connection.split = Some(*size),
            _ => {}
        }
    }
    let text = |name: &str| head.query.get(name).map_or("", String::as_str);
    let mut selectors = Selectors::new(text("labelSelector"), text("fieldSelector"));
    selectors.fields.extend(inside.map(|namespace| format!("metadata.namespace={namespace}")));
    match call {
        Call::List | Call::Page | Call::Names | Call::One => {
            list(shared, connection, number, resource, head, &selectors, &faults).await
        }
        _ => {
            if call == Call::InitialWatch
                && (text("resourceVersionMatch") != "NotOlderThan" || !is("allowWatchBookmarks"))
            {
                let why = "sendInitialEvents needs resourceVersionMatch=NotOlderThan and bookmarks";
                return status(shared, connection, number, 422, why, "").await;
            }
            let watch = Watch {
                shared: shared.clone(),
                resource,
                selectors,
                version: text("resourceVersion").parse().unwrap_or(0),
                initial: call == Call::InitialWatch,
                bookmarks: is("allowWatchBookmarks"),
                timeout: text("timeoutSeconds").parse().ok().map(Duration::from_secs),
                born: shared.muted.load(std::sync::atomic::Ordering::SeqCst),
                protobuf: connection.content_type != JSON,
                faults,
            };
            shared.answered(number, 200);
            watch.run(connection).await
        }
    }
}

/// An error reply.
async fn status(
    shared: &Shared,
    connection: &mut Connection,
    number: usize,
    code: u16,
    why: &str,
    headers: &str,
) -> After {
    shared.answered(number, code);
    let object = status_object(code, why);
    if connection.content_type == JSON {
        return connection.reply(code, headers, object.to_string().as_bytes()).await.into();
    }
    connection.content_type = protobuf::CONTENT_TYPE;
    connection.reply(code, headers, &protobuf::status(&object)).await.into()
}

/// A v1 Status that says what failed.
pub fn status_object(code: u16, why: &str) -> Value {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": why, "reason": reason, "code": code,
    })
}

/// A list or a page of it.
async fn list(
    shared: &Shared,
    connection: &mut Connection,
    number: usize,
    resource: Resource,
    head: &Head,
    selectors: &Selectors,
    faults: &[Fault],
) -> After {
    let limit =
        head.query.get("limit").and_then(|limit| limit.parse().ok()).filter(|&limit: &usize| limit > 0);
    let (version, all, from) = match head.query.get("continue") {
        None => {
            let cluster = shared.cluster.lock();
            (cluster.version, Arc::new(cluster.list(resource, selectors)), 0)
        }
        Some(token) => {
            let found = token.split_once('.').and_then(|(snapshot, from)| {
                let (snapshot, from): (usize, usize) = (snapshot.parse().ok()?, from.parse().ok()?);
                let (version, all) = shared.snapshots.lock().get(snapshot)?.clone()?;
                Some((version, all, from))
            });
            match found {
                Some(found) => found,
                None => {
                    let why =
                        "The provided continue parameter is too old to display a consistent list result.";
                    return status(shared, connection, number, 410, why, "").await;
                }
            }
        }
    };
    let to = limit.map_or(all.len(), |limit| (from + limit).min(all.len()));
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if to < all.len() {
        let snapshot = {
            let mut snapshots = shared.snapshots.lock();
            snapshots.push(Some((version, all.clone())));
            snapshots.len() - 1
        };
        metadata["continue"] = json!(format!("{snapshot}.{to}"));
        metadata["remainingItemCount"] = json!(all.len() - to);
    }
    let body = match connection.content_type {
        JSON if text_of_header(head, "accept").contains(";as=PartialObjectMetadataList;") => {
            names_list(&metadata, &all[from..to]).into_bytes()
        }
        JSON => json_list(shared, resource, &metadata, &all[from..to]).into_bytes(),
        _ => {
            let items: Vec<_> =
                all[from..to].iter().map(|object| shared.protobuf(resource, object)).collect();
            let items: Vec<&[u8]> = items.iter().map(|item| &**item).collect();
            protobuf::list(resource, &metadata, &items)
        }
    };
    shared.answered(number, 200);
    if faults.iter().any(|fault| matches!(fault, Fault::HalfBody)) {
        return match connection.half(&body).await {
            Ok(()) => After::Reset,
            Err(_) => After::Close,
        };
    }
    connection.reply(200, "", &body).await.into()
}

/// The resource that a path is about, and the namespace that it is in, if it is in one.
fn about(path: &str) -> Option<(Resource, Option<String>)> {
    Resource::ALL.into_iter().find_map(|one| {
        if one.path() == path {
            return Some((one, None));
        }
        let (group, plural) = one.path().rsplit_once('/')?;
        let namespace = path.strip_prefix(group)?.strip_prefix("/namespaces/")?.strip_suffix(plural)?;
        let namespace = namespace.strip_suffix('/').filter(|namespace| !namespace.contains('/'))?;
        Some((one, Some(namespace.to_owned())))
    })
}

/// A parameter of a request.
fn text_of<'a>(head: &'a Head, name: &str) -> &'a str {
    head.query.get(name).map_or("", String::as_str)
}

/// A header of a request.
fn text_of_header<'a>(head: &'a Head, name: &str) -> &'a str {
    head.headers.get(name).map_or("", String::as_str)
}

/// A list of names and versions.
fn names_list(metadata: &Value, objects: &[Arc<Value>]) -> String {
    let item = |object: &Arc<Value>| {
        // What an API server adds, and what a client has no use for.
        let mut fields = object["metadata"].clone();
        if fields.is_object() {
            fields["managedFields"] =
                json!([{"manager": "kube-controller-manager", "fieldsV1": {"f:spec": {}}}]);
        }
        json!({"metadata": fields})
    };
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
        "metadata": metadata, "items": objects.iter().map(item).collect::<Vec<_>>(),
    })
    .to_string()
}

/// A list in JSON.
fn json_list(shared: &Shared, resource: Resource, metadata: &Value, objects: &[Arc<Value>]) -> String {
    let mut body = format!(
        "{{\"apiVersion\":\"{}\",\"kind\":\"{}List\",\"metadata\":{metadata},\"items\":[",
        resource.api_version(),
        resource.kind()
    );
    // The items of a list do not repeat their kind.
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(&shared.text(object));
    }
    body.push_str("]}");
    body
}

/// A watch.
struct Watch {
    /// The server.
    shared: Arc<Shared>,
    /// What is watched.
    resource: Resource,
    /// Which of it.
    selectors: Selectors,
    /// From which version on.
    version: u64,
    /// Whether all objects are sent first.
    initial: bool,
    /// Whether bookmarks are wanted.
    bookmarks: bool,
    /// When it ends by itself.
    timeout: Option<Duration>,
    /// The number of times that open watches were muted before this one began.
    born: usize,
    /// Whether it speaks protobuf.
    protobuf: bool,
    /// What goes wrong with it.
    faults: Vec<Fault>,
}

impl Watch {
    /// Sends events until it ends.
    async fn run(self, connection: &mut Connection) -> After {
        match self.stream(connection).await {
            Ok(after) => after,
            Err(_) => After::Close,
        }
    }

    /// Sends events until it ends; an error is a client that is gone.
    async fn stream(&self, connection: &mut Connection) -> std::io::Result<After> {
        let shared = &self.shared;
        let mut changed = shared.changed.subscribe();
        connection.begin(200, "").await?;
        let mut limit = None;
        let mut deadline: Option<(Duration, After)> = None;
        let mut quiet = false;
        let mut plain = false;
        for fault in &self.faults {
            match fault {
                Fault::ErrorEvent(code) => return self.fail(connection, *code).await,
                Fault::Mute => return Ok(wait_for_end(connection).await),
                Fault::BookmarkAndEnd => {
                    let version = shared.cluster.lock().version;
                    connection.chunk(&self.spell("BOOKMARK", &self.bookmark(version, false))).await?;
                    connection.end().await?;
                    return Ok(After::Keep);
                }
                Fault::NoBookmark => quiet = true,
                Fault::PlainBookmark => plain = true,
                Fault::EndAfterEvents(count) => limit = Some((*count, After::Keep)),
                Fault::CutAfterEvents(count) => limit = Some((*count, After::Reset)),
                Fault::CutAfter(after) => deadline = Some((*after, After::Reset)),
                Fault::EndAfter(after) => deadline = Some((*after, After::Keep)),
                _ => {}
            }
        }
        let started = Instant::now();
        let ends = deadline
            .into_iter()
            .chain(self.timeout.map(|after| (after, After::Keep)))
            .min_by_key(|end| end.0);
        let mut bookmarked = started;

        let (begin, restores) = {
            let cluster = shared.cluster.lock();
            let too_old = self.version != 0 && !self.initial && cluster.too_old(self.version);
            let begin = if too_old {
                None
            } else if self.initial || self.version == 0 {
                Some((cluster.version, cluster.end(), cluster.list(self.resource, &self.selectors)))
            } else {
                Some((cluster.version, cluster.position(self.version), Vec::new()))
            };
            (begin, cluster.restores)
        };
        let Some((version, mut position, objects)) = begin else {
            return self.fail(connection, 410).await;
        };
        let mut buffer = Vec::new();
        for object in &objects {
            self.write_added(&mut buffer, object);
            if buffer.len() > 16_384 {
                connection.chunk(&buffer).await?;
                buffer.clear();
            }
        }
        if self.initial && !quiet {
            buffer.extend(self.spell("BOOKMARK", &self.bookmark(version, !plain)));
        }
        if !buffer.is_empty() {
            connection.chunk(&buffer).await?;
        }

        let _watching = Watching::new(shared, self.resource);
        let mut sent = 0;
        loop {
            let muted = shared.muted.load(std::sync::atomic::Ordering::SeqCst) > self.born;
            if muted {
                return Ok(wait_for_end(connection).await);
            }
            let (events, version) = {
                let cluster = shared.cluster.lock();
                if cluster.restores != restores {
                    // A server whose past is restored starts anew: no watch lives to hear of the new versions.
                    return Ok(After::Reset);
                }
                let events = cluster.since(position, self.resource);
                position = cluster.end();
                (events, cluster.version)
            };
            for event in events {
                let (line, ends) = match event {
                    Event::Raw { line, ends, .. } if self.protobuf => {
                        (protobuf::line(self.resource, &line), ends)
                    }
                    Event::Raw { line, ends, .. } => ([&*line, b"\n"].concat(), ends),
                    Event::Change { version, old, new, .. } => match self.line(version, old, new) {
                        Some(line) => (line, false),
                        None => continue,
                    },
                };
                if let Some((count, After::Reset)) = limit
                    && sent == count
                {
                    connection.broken_chunk(&line).await?;
                    return Ok(After::Reset);
                }
                *shared.told.lock() = Some(Instant::now());
                connection.chunk(&line).await?;
                sent += 1;
                if ends || matches!(limit, Some((count, After::Keep)) if sent >= count) {
                    connection.end().await?;
                    return Ok(After::Keep);
                }
            }
            let every = *shared.bookmark_every.lock();
            if bookmarked.elapsed() >= every {
                // Whether or not one is sent: a moment that is over would wake this for ever.
                bookmarked = Instant::now();
                if self.bookmarks && !quiet {
                    connection.chunk(&self.spell("BOOKMARK", &self.bookmark(version, false))).await?;
                }
            }
            let end = ends.map_or(started + Duration::from_secs(3600), |(after, _)| started + after);
            // In this order, so that a run in memory can be repeated.
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(bookmarked + every) => {}
                read = connection.more() => if read.is_none() {
                    return Ok(After::Close);
                },
                () = tokio::time::sleep_until(end) => {
                    let after = ends.map_or(After::Keep, |(_, after)| after);
                    if after == After::Keep {
                        connection.end().await?;
                    }
                    return Ok(after);
                }
            }
        }
    }

    /// An ERROR event and the end.
    async fn fail(&self, connection: &mut Connection, code: u16) -> std::io::Result<After> {
        let line =
            format!("{{\"type\":\"ERROR\",\"object\":{}}}", status_object(code, "too old resource version"));
        let event = match self.protobuf {
            true => protobuf::line(self.resource, line.as_bytes()),
            false => (line + "\n").into_bytes(),
        };
        connection.chunk(&event).await?;
        connection.end().await?;
        Ok(After::Keep)
    }

    /// The event of a change, if this watch sees it: an object that leaves the selection is deleted for it.
    fn line(&self, version: u64, old: Option<Arc<Value>>, new: Option<Arc<Value>>) -> Option<Vec<u8>> {
        let old = old.filter(|old| self.selectors.matches(old));
        let new = new.filter(|new| self.selectors.matches(new));
        match (old, new) {
            (None, Some(new)) => Some(self.spell("ADDED", &new)),
            (Some(_), Some(new)) => Some(self.spell("MODIFIED", &new)),
            (Some(old), None) => {
                let mut gone = Value::clone(&old);
                if gone["metadata"].is_object() {
                    gone["metadata"]["resourceVersion"] = json!(version.to_string());
                }
                Some(self.spell("DELETED", &gone))
            }
            (None, None) => None,
        }
    }

    /// An event, as its line or its frame.
    fn spell(&self, event: &str, object: &Value) -> Vec<u8> {
        if self.protobuf {
            let kind = (self.resource.api_version(), self.resource.kind());
            return protobuf::event(event, kind, &protobuf::object(self.resource, object));
        }
        let mut line = Vec::new();
        write_line(&mut line, event, object);
        line
    }

    /// Appends the event of an object that is there already.
    fn write_added(&self, buffer: &mut Vec<u8>, object: &Arc<Value>) {
        if self.protobuf {
            let kind = (self.resource.api_version(), self.resource.kind());
            buffer.extend(protobuf::event("ADDED", kind, &self.shared.protobuf(self.resource, object)));
        } else {
            write_added(buffer, object, &self.shared.text(object));
        }
    }

    /// The object of a bookmark.
    fn bookmark(&self, version: u64, ends_initial: bool) -> Value {
        let mut object = json!({
            "kind": self.resource.kind(), "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null},
            "spec": {}, "status": {"loadBalancer": {}},
        });
        if ends_initial {
            object["metadata"]["annotations"] = json!({INITIAL_END: "true"});
        }
        object
    }
}

/// Counts a watch while it is open.
struct Watching<'a> {
    /// The server.
    shared: &'a Shared,
    /// What is watched.
    resource: Resource,
}

impl<'a> Watching<'a> {
    /// One more.
    fn new(shared: &'a Shared, resource: Resource) -> Self {
        *shared.watching.lock().entry(resource).or_default() += 1;
        Self { shared, resource }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        *self.shared.watching.lock().entry(self.resource).or_default() -= 1;
    }
}

/// Sends nothing until the client goes.
async fn wait_for_end(connection: &mut Connection) -> After {
    while connection.more().await.is_some() {}
    After::Close
}

/// Appends the line of an object that is spelled out but for its kind and version; what is no object keeps its own form.
fn write_added(buffer: &mut Vec<u8>, object: &Value, text: &str) {
    let (Some(kind), Some(version)) = (object["kind"].as_str(), object["apiVersion"].as_str()) else {
        return write_line(buffer, "ADDED", object);
    };
    let rest = text.strip_prefix('{').unwrap_or(text);
    let head = format!("{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",");
    buffer.extend_from_slice(head.as_bytes());
    buffer.extend_from_slice(rest.as_bytes());
    buffer.extend_from_slice(b"}\n");
}

/// Appends an event's line.
fn write_line(buffer: &mut Vec<u8>, event: &str, object: &Value) {
    buffer.extend_from_slice(format!("{{\"type\":\"{event}\",\"object\":").as_bytes());
    serde_json::to_writer(&mut *buffer, object).unwrap();
    buffer.extend_from_slice(b"}\n");
}
