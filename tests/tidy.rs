//! The layout of the code, checked: who may import whom, sizes and names of files, words that may not stand, and the
//! crates that may not be linked (deny.toml).
//!
//! A room's new edge, a file that must be longer or a second version of a crate is one line here or there, with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms and what each may import. A path instead of a room allows only what begins with it.
const LAYERS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    // Atomics and locks, real or checked.
    ("sync", &[]),
    ("time", &[]),
    ("metrics", &[]),
    ("corefile", &[]),
    ("tls", &[]),
    ("yaml", &[]),
    // What the machine grants.
    ("cgroup", &[]),
    // Sockets of QUIC, to clients and to upstreams.
    ("datagrams", &[]),
    // Whatever runs beside queries goes on after a panic.
    ("panics", &[]),
    ("logging", &["panics"]),
    // The writer counts how soon a change is served: nobody else knows when that is.
    ("store", &["wire", "time", "metrics"]),
    // Of the store only what a source tells it.
    (
        "source",
        &[
            "store::change",
            "store::Change",
            "store::Kind",
            "store::Object",
            "store::ObjectKey",
            "store::Protocol",
            "store::Sink",
            "metrics",
            "panics",
            "time",
            // Manifests and kubeconfigs.
            "yaml",
        ],
    ),
    ("cache", &["wire", "metrics", "time", "sync"]),
    // Bytes in, bytes out: it knows nothing of DNS.
    ("tap", &["panics"]),
    // Names and types as people read them.
    ("observe", &["wire", "metrics", "time"]),
    ("zone", &["wire"]),
    // Zones over the network. Time: deadlines of an SOA.
    ("transfer", &["wire", "zone", "time", "panics"]),
    // Which certificates are believed, of whichever side.
    ("forward", &["wire", "metrics", "time", "panics", "datagrams", "tls"]),
    (
        "chain",
        &[
            "wire",
            "store",
            "corefile",
            "metrics",
            "time",
            "sync",
            "cache",
            "forward",
            // A step that panics costs its own query.
            "panics",
            // Events for collectors, and the queues that they wait in.
            "tap",
            // Who is told of each query that was answered.
            "observe",
            // What `file`, `auto` and `secondary` answer from.
            "zone",
            // A zone of primaries, by its name: who fetches it is no matter of a step.
            "transfer::Replica",
            "transfer::ReplicaSpec",
            // What a stanza says about the objects that it wants.
            "source::Selector",
            // What a stanza says about the API server that they come from.
            "source::cluster::Access",
            "source::cluster::AccessError",
            "source::cluster::ThrottleOptions",
            // What a `tls` line says, and what became of it.
            "tls",
        ],
    ),
    // Of the Corefile what is spoken at a listener. Sync: the beat that says whether the process stood still.
    (
        "server",
        &[
            "wire",
            "chain",
            "metrics",
            "time",
            "sync",
            "forward",
            "tls",
            "corefile::Transport",
            "panics",
            // As many workers as there are processors.
            "cgroup",
            "datagrams",
        ],
    ),
    // Time: the server's own requests for `/health` are measured. Of the cache how much there is, and of loops what is known
    // of them, and what is spoken at a listener, for /metrics.
    (
        "admin",
        &[
            "metrics",
            "store",
            "chain",
            "time",
            "cache",
            "forward::Loops",
            "corefile::Transport",
            "panics",
            // What was asked lately, and which part of it somebody wants to see: names, types and codes as people write them.
            "observe",
            "wire",
        ],
    ),
    ("hickory", &["chain", "wire", "store", "time"]),
    // The commands beside serving look at everything but the sockets that serve.
    (
        "tools",
        &[
            "admin", "app", "cache", "cgroup", "chain", "corefile", "flags", "forward", "logging", "metrics",
            "source", "observe", "store", "time", "wire", "yaml", "zone",
        ],
    ),
];

/// Wiring: may import everything. What is fuzzed is a part of no server, and looks into every room.
const WIRING: &[&str] = &["app", "main", "lib", "flags", "fuzzing"];

/// The most lines of a file without tests.
const LINES: usize = 600;

/// The most lines of a room's front page.
const FRONT_PAGE: usize = 120;

/// Front pages that are more than a front page: longer, or with logic.
const EXCEPTED_FRONT_PAGES: &[(&str, &str)] = &[
    (
        "src/wire/mod.rs",
        "the numbers of the protocol (codes, types, classes) stand on it: all of the room is about them",
    ),
    (
        "src/store/mod.rs",
        "holds the store itself: readers meet one type, and its parts are files of their own",
    ),
    (
        "src/chain/kubernetes/mod.rs",
        "holds the step: options, the choice of the road, what becomes of what was found",
    ),
    ("src/chain/forward/mod.rs", "holds the step: which names it is about, and what becomes of a reply"),
    ("src/source/object/mod.rs", "holds the one door of the room, through which every object comes"),
    ("src/source/cluster/mod.rs", "holds the usual timing, which tests make short"),
];

/// Files that may hold `unsafe`.
const UNSAFE: &[(&str, &str)] = &[
    (
        "src/server/kernel.rs",
        "recvmmsg, sendmmsg, control messages and what gives memory back have no safe form",
    ),
    ("src/datagrams.rs", "that datagrams are not joined has no safe form"),
    ("src/server/sockopt.rs", "filters, times of arrival and fill levels of sockets have no safe form"),
    ("src/store/prefetch.rs", "a hint to the processor has no safe form"),
    ("tests/allocations.rs", "a global allocator has no safe form"),
    ("tests/corpus/meter.rs", "a counting allocator, for the fuzz targets too"),
    ("benches/memory.rs", "a counting allocator"),
];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helpers", "manager", "misc", "types"];

/// A source file.
struct Source {
    /// Its path below the root of the project, with slashes.
    path: String,
    /// Its text.
    text: String,
    /// Its text without comments, and without what is only built for tests.
    code: String,
}

/// The root of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    list(&root().join(folder), ending, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let path = path.strip_prefix(root()).expect("it lies below the root");
            let code = code(&text);
            Source { path: path.to_string_lossy().replace('\\', "/"), text, code }
        })
        .collect()
}

/// Adds the files of a folder and of those below it; a folder that is not there has none.
fn list(folder: &Path, ending: &str, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            list(&path, ending, paths);
        } else if path.extension().is_some_and(|found| found == ending) {
            paths.push(path);
        }
    }
}

impl Source {
    /// Whether it is only built for tests.
    fn is_test(&self) -> bool {
        !self.path.starts_with("src/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Its modules from the crate on: `src/chain/kubernetes/pod.rs` is `chain`, `kubernetes`, `pod`.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut modules: Vec<&str> = path.split('/').collect();
        if modules.last() == Some(&"mod") {
            modules.pop();
        }
        modules
    }

    /// Its room.
    fn room(&self) -> &str {
        self.modules().first().copied().unwrap_or_default()
    }
}

/// A text without comments, and up to its inline tests.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if ["mod tests {", "mod interleavings {"].iter().any(|start| line.trim_start().starts_with(start)) {
            break;
        }
        // A `//` inside a string ends the line too early, which hides nothing but the end of a string.
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// The paths that a text names behind `start`, braces spelled out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(text: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(start) {
        let before = text[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            let mut rest = &text[at + start.len()..];
            spell(&mut rest, String::new(), &mut found);
        }
    }
    found
}

/// Reads one path or group from the front of `rest`; each whole path goes to `found` behind `prefix`.
fn spell(rest: &mut &str, prefix: String, found: &mut Vec<String>) {
    *rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        *rest = inside;
        loop {
            *rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                *rest = after;
                return;
            }
            let length = rest.len();
            spell(rest, prefix.clone(), found);
            *rest = rest.trim_start();
            // ` as name` and the comma.
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            *rest = &rest[end..];
            *rest = rest.strip_prefix(',').unwrap_or(rest);
            if rest.len() == length {
                return;
            }
        }
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    *rest = after;
    let path = match (prefix.is_empty(), name) {
        (_, "self" | "*") => prefix,
        (true, name) => name.to_owned(),
        (false, name) => format!("{prefix}::{name}"),
    };
    match rest.trim_start().strip_prefix("::") {
        Some(after) if !name.is_empty() => {
            *rest = after;
            spell(rest, path, found);
        }
        _ if !path.is_empty() => found.push(path),
        _ => {}
    }
}

/// Whether a path is `allowed` or below it.
fn begins(path: &str, allowed: &str) -> bool {
    path.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn no_room_imports_what_it_may_not() {
    let mut wrong = Vec::new();
    for source in files("src", "rs").iter().filter(|source| !source.is_test()) {
        let room = source.room();
        if WIRING.contains(&room) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == room) else {
            wrong.push(format!("{}: the room `{room}` is not in the table", source.path));
            continue;
        };
        let mut imports = paths(&source.code, "crate::");
        // `super` as often as the file lies deep is the crate.
        imports.extend(paths(&source.code, &"super::".repeat(source.modules().len())));
        for path in imports.iter().collect::<BTreeSet<_>>() {
            if !begins(path, room) && !allowed.iter().any(|allowed| begins(path, allowed)) {
                wrong.push(format!("{}: `{room}` may not import `{path}`", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_paths_reads_every_form() {
    let text = "use crate::a::{self, b, c::{D, e::*}, F as G};\nfn f() { crate::h::i(crate::J) }\npub(crate) use crate::k;\n\
                use not_crate::x;";
    let expected = ["a", "a::b", "a::c::D", "a::c::e", "a::F", "h::i", "J", "k"];
    assert_eq!(paths(text, "crate::"), expected);
    assert_eq!(paths("use super::super::x::Y; use super::z;", "super::super::"), ["x::Y"]);
    assert!(begins("store::change::Kind", "store::change") && !begins("store::changes", "store::change"));
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for source in files("src", "rs").iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().count();
        if lines > LINES {
            wrong.push(format!("{}: {lines} lines, over {LINES}: split it by subject", source.path));
        }
        let excepted = EXCEPTED_FRONT_PAGES.iter().any(|(path, _)| *path == source.path);
        if source.path.ends_with("/mod.rs") && lines > FRONT_PAGE && !excepted {
            wrong.push(format!("{}: {lines} lines of a front page, over {FRONT_PAGE}", source.path));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_front_page_holds_logic() {
    let mut wrong = Vec::new();
    for source in files("src", "rs").iter().filter(|source| source.path.ends_with("/mod.rs")) {
        if EXCEPTED_FRONT_PAGES.iter().any(|(path, _)| *path == source.path) {
            continue;
        }
        for line in has_logic(source) {
            wrong.push(format!("{}: {}", source.path, line.trim()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The lines of a file that begin a function or an implementation.
fn has_logic(source: &Source) -> impl Iterator<Item = &str> {
    source.code.lines().filter(|line| line.starts_with("impl") || line.contains("fn "))
}

#[test]
fn every_exception_is_needed() {
    let sources = files("src", "rs");
    for (path, _) in EXCEPTED_FRONT_PAGES {
        let source = sources.iter().find(|source| source.path == *path);
        let source = source.unwrap_or_else(|| panic!("{path} is excepted and is not there"));
        let needed = source.text.lines().count() > FRONT_PAGE || has_logic(source).next().is_some();
        assert!(needed, "{path} needs no exception");
    }
    for (room, _) in LAYERS {
        let planned = ["forward"].contains(room);
        let there = sources.iter().any(|source| source.room() == *room);
        assert!(there || planned, "the room `{room}` is in the table and not in src/");
    }
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let mut wrong = Vec::new();
    for source in files("src", "rs") {
        if let Some(name) = source.modules().iter().find(|name| EMPTY_NAMES.contains(name)) {
            wrong.push(format!("{}: `{name}` is no subject", source.path));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// All Rust of the project but this file.
fn all_rust() -> Vec<Source> {
    let folders = ["src", "tests", "benches", "fuzz"];
    let mut sources: Vec<Source> = folders.iter().flat_map(|folder| files(folder, "rs")).collect();
    sources.retain(|source| source.path != "tests/tidy.rs");
    sources
}

#[test]
fn nothing_is_left_undone() {
    let mut wrong = Vec::new();
    for source in all_rust() {
        for (number, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}: {}", source.path, number + 1, line.trim());
            if ["todo!", "unimplemented!", "FIXME", "XXX"].iter().any(|word| line.contains(word)) {
                wrong.push(place);
                continue;
            }
            let waits = line.contains("TODO") || line.trim_start().starts_with("#[ignore");
            if waits && !has_issue(line) {
                wrong.push(format!("{place} (without the number of an issue)"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether a line names an issue: `#12`.
fn has_issue(line: &str) -> bool {
    line.match_indices('#').any(|(at, _)| line[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn unsafe_stands_where_it_may_and_says_why() {
    let mut wrong = Vec::new();
    for source in all_rust() {
        let uses = |line: &str| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"]
                .iter()
                .any(|word| line.contains(word))
        };
        let allowed = UNSAFE.iter().any(|(path, _)| *path == source.path);
        if !allowed && source.code.lines().any(uses) {
            wrong.push(format!("{}: unsafe", source.path));
        }
        let blocks = source.code.matches("unsafe {").count() + source.code.matches("unsafe impl").count();
        let reasons = source.text.matches("// SAFETY:").count();
        if blocks > reasons {
            wrong.push(format!("{}: {blocks} blocks, {reasons} reasons (`SAFETY:`)", source.path));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Files that begin threads or tasks and do not say what becomes of their panics, each with its reason.
const UNGUARDED: &[(&str, &str)] = &[
    (
        "src/server/workers.rs",
        "what the threads run guards itself: Worker::run, and each turn of Encrypted::run",
    ),
    ("src/admin/http.rs", "`AdminServer::spawn` takes what its callers guard"),
];

#[test]
fn nothing_runs_that_could_end_in_silence() {
    let begins = ["spawn(", "spawn_local("];
    let guards = ["keep(", "kept(", "attempt(", "attempted("];
    let mut wrong = Vec::new();
    let mut unguarded = BTreeSet::new();
    for source in files("src", "rs").iter().filter(|source| !source.is_test()) {
        let lines: Vec<&str> = source.code.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let is_call = begins.iter().any(|begin| line.contains(begin)) && !line.contains("fn ");
            // What is run is made just before, or stands behind.
            let around = lines[at.saturating_sub(6)..lines.len().min(at + 16)].join("\n");
            if !is_call || guards.iter().any(|guard| around.contains(guard)) {
                continue;
            }
            match UNGUARDED.iter().find(|(path, _)| *path == source.path) {
                Some((path, _)) => drop(unguarded.insert(*path)),
                None => wrong.push(format!("{}:{}: {}", source.path, at + 1, line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(unguarded.len(), UNGUARDED.len(), "every exception is needed: {unguarded:?}");
}

/// Tasks that no test of tests/faults has panic, each with its reason.
const UNORDERED: &[(&str, &str)] = &[
    ("notify", "the list of those who are told panics in a test of src/transfer/desk.rs"),
    ("look-up", "one that panics is one that failed, which tests of src/app/upstreams have happen"),
];

#[test]
fn every_task_that_is_guarded_panics_in_a_test() {
    let begins = ["keep(\"", "kept(\"", "attempt(\"", "attempted(\"", "Looker::start(\""];
    let mut tasks = BTreeSet::new();
    for source in files("src", "rs").iter().filter(|source| !source.is_test()) {
        for begin in begins {
            let found = source.code.split(begin).skip(1).filter_map(|rest| rest.split('"').next());
            tasks.extend(found.map(ToOwned::to_owned));
        }
    }
    // Those of tests inside of files that stand behind their code are none.
    let known: BTreeSet<String> = signpost::panics::TASKS.iter().map(ToString::to_string).collect();
    assert_eq!(tasks, known, "the list of tasks is that of the code");
    let tests: String = files("tests/faults", "rs").into_iter().map(|source| source.text).collect();
    // As an order is written: the task, a colon, and at which of its turns.
    let is_ordered = |task: &str| {
        ['"', ','].iter().any(|before| {
            let order = format!("{before}{task}:");
            tests.split(&order).skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '{'))
        })
    };
    let missing: Vec<&String> = tasks
        .iter()
        .filter(|task| !is_ordered(task) && !UNORDERED.iter().any(|(known, _)| known == task))
        .collect();
    assert!(missing.is_empty(), "tests/faults has none of these panic: {missing:?}");
    for (task, _) in UNORDERED {
        assert!(tasks.contains(*task) && !is_ordered(task), "{task} needs no exception");
    }
}

/// The values of `key = "…"` in the lines of `text`, in order.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let start = format!("{key} = \"");
    text.lines()
        .filter_map(|line| line.split_once(&start))
        .filter_map(|(_, rest)| rest.split_once('"'))
        .map(|(value, _)| value)
        .collect()
}

/// The lines of a list of deny.toml.
fn denied(list: &str) -> String {
    let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml can be read");
    let start = format!("\n{list} = [\n");
    let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("deny.toml has a list `{list}`"));
    rest.split("\n]").next().unwrap_or_default().to_owned()
}

/// The packages of Cargo.lock: names and versions.
fn locked() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock can be read");
    let packages = text.split("[[package]]").skip(1);
    let one = |package: &str, key| values(package, key).first().map(ToString::to_string).unwrap_or_default();
    packages.map(|package| (one(package, "name"), one(package, "version"))).collect()
}

#[test]
fn no_crate_is_linked_that_is_banned() {
    let list = denied("deny");
    let banned = values(&list, "crate");
    assert!(banned.contains(&"openssl") && banned.len() > 10, "{banned:?}");
    assert_eq!(values(&list, "reason").len(), banned.len(), "each ban has its reason");
    let found: Vec<String> =
        locked().into_iter().map(|(name, _)| name).filter(|name| banned.contains(&name.as_str())).collect();
    assert_eq!(found, [""; 0]);
}

#[test]
fn every_second_version_of_a_crate_has_its_reason() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version) in locked() {
        versions.entry(name).or_default().push(version);
    }
    let list = denied("skip");
    let skipped: Vec<(&str, &str)> =
        values(&list, "crate").iter().filter_map(|entry| entry.split_once('@')).collect();
    assert_eq!(values(&list, "reason").len(), skipped.len(), "each exception has its reason and its version");
    let is_skipped = |name: &str, version: &str| {
        skipped.iter().any(|(skipped, start)| {
            let rest = version.strip_prefix(start);
            *skipped == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let mut wrong = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let left: Vec<&String> = versions.iter().filter(|version| !is_skipped(name, version)).collect();
        if left.len() > 1 {
            wrong.push(format!("{name}: {left:?}"));
        }
    }
    for (name, start) in &skipped {
        let several = versions.get(*name).is_some_and(|versions| versions.len() > 1);
        let there = versions.get(*name).is_some_and(|versions| versions.iter().any(|v| is_skipped(name, v)));
        if !(several && there) {
            wrong.push(format!("{name}@{start} is excepted and there is no second version"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_comes_from_crates_io() {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock can be read");
    let other: Vec<&str> = values(&text, "source")
        .into_iter()
        .filter(|source| *source != "registry+https://github.com/rust-lang/crates.io-index")
        .collect();
    assert_eq!(other, [""; 0]);
    let without = locked().len() - values(&text, "source").len();
    assert_eq!(without, 1, "only signpost itself comes from here");
}
