//! Tests of the folder as a whole: what a look feeds, and what it does about changes and mistakes.

mod derived;
mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::store::change::{
    Change, Kind, NamespaceObject, Object, ObjectKey, ServiceObject, ServiceSpec, Sink, SliceObject,
};

/// A sink that holds what it was told.
#[derive(Default)]
struct Recorder {
    /// What is there now.
    objects: BTreeMap<(Kind, ObjectKey), Object>,
    /// Each step, as one word and a key.
    steps: Vec<String>,
    /// How often it was settled.
    settled: usize,
}

impl Sink for Recorder {
    fn change(&mut self, change: Change) {
        match change {
            Change::Begin(kind) => self.steps.push(format!("begin {kind:?}")),
            Change::End(kind) => self.steps.push(format!("end {kind:?}")),
            Change::Remove(kind, key) => {
                self.steps.push(format!("remove {kind:?} {}/{}", key.namespace, key.name));
                assert!(self.objects.remove(&(kind, key)).is_some(), "removed what was not there");
            }
            Change::Upsert(object) => {
                let (kind, key) = match &object {
                    Object::Service(service) => (Kind::Services, service.key.clone()),
                    Object::Slice(slice) => (Kind::EndpointSlices, slice.key.clone()),
                    Object::Namespace(namespace) => (Kind::Namespaces, ObjectKey::new("", &namespace.name)),
                    Object::Pod(pod) => (Kind::Pods, pod.key.clone()),
                    Object::Import(import) => (Kind::Imports, import.key.clone()),
                    Object::Hosts(hosts) => (Kind::Hosts(hosts.kind), hosts.key.clone()),
                };
                self.steps.push(format!("upsert {kind:?} {}/{}", key.namespace, key.name));
                self.objects.insert((kind, key), object);
            }
        }
    }

    fn settle(&mut self) {
        self.settled += 1;
    }
}

/// A folder, the source that looks at it and what it fed.
struct Bench {
    /// The folder; removed at the end.
    dir: TempDir,
    /// The source.
    manifests: Manifests,
    /// What it fed.
    sink: Recorder,
}

impl Bench {
    /// An empty folder with everything fed.
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// An empty folder with other options.
    fn with(change: impl FnOnce(&mut ManifestsOptions)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut options = ManifestsOptions {
            dir: dir.path().to_path_buf(),
            labels: None,
            pods: true,
            endpoints: true,
            more: Vec::new(),
        };
        change(&mut options);
        Self { dir, manifests: Manifests::new(options), sink: Recorder::default() }
    }

    /// A folder with one file that was looked at, and the report of that.
    fn of(name: &str, text: &str) -> (Self, Report) {
        let mut bench = Self::new();
        bench.write(name, text);
        let report = bench.look();
        (bench, report)
    }

    /// The path of a file.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, its folders included.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Looks once, with the steps of this look only.
    fn look(&mut self) -> Report {
        self.sink.steps.clear();
        self.manifests.look(&mut self.sink)
    }

    /// Looks until nothing changes any more, which must be soon.
    fn rest(&mut self) {
        for _ in 0..4 {
            self.look();
        }
        assert!(!self.look().changed);
    }

    /// A Service that was fed.
    fn service(&self, namespace: &str, name: &str) -> Option<&ServiceObject> {
        match self.sink.objects.get(&(Kind::Services, ObjectKey::new(namespace, name)))? {
            Object::Service(service) => Some(service),
            _ => None,
        }
    }

    /// The first address of a Service that was fed.
    fn address(&self, namespace: &str, name: &str) -> Option<String> {
        match &self.service(namespace, name)?.spec {
            ServiceSpec::Cluster(addrs) => addrs.first().map(ToString::to_string),
            ServiceSpec::Headless | ServiceSpec::External(_) => None,
        }
    }

    /// The slices of a Service.
    fn slices(&self, namespace: &str, service: &str) -> Vec<&SliceObject> {
        let slices = self.sink.objects.values().filter_map(|object| match object {
            Object::Slice(slice) => Some(slice),
            _ => None,
        });
        slices.filter(|slice| &*slice.key.namespace == namespace && &*slice.service == service).collect()
    }

    /// The addresses of the endpoints of a Service, with their host names: `10.0.0.1 db-0`.
    fn endpoints(&self, namespace: &str, service: &str) -> Vec<String> {
        let endpoints = self.slices(namespace, service).into_iter().flat_map(|slice| &slice.endpoints);
        endpoints
            .flat_map(|endpoint| {
                let text = |address: &crate::store::change::EndpointAddress| {
                    format!("{} {}", address.ip, endpoint.hostname).trim().to_owned()
                };
                endpoint.addresses.iter().map(text).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The names of the Namespaces.
    fn namespaces(&self) -> Vec<&str> {
        let objects = self.sink.objects.values().filter_map(|object| match object {
            Object::Namespace(NamespaceObject { name, .. }) => Some(&**name),
            _ => None,
        });
        objects.collect()
    }
}

/// The problems of a report as lines, without the folder of the test.
fn lines(bench: &Bench, report: &Report) -> Vec<String> {
    let folder = format!("{}/", bench.dir.path().display());
    report.problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
}

/// A Service in YAML.
fn service(name: &str, ip: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{clusterIP: {ip}}}\n"
    )
}

#[test]
fn the_first_look_feeds_complete_lists_and_later_ones_differences() {
    let (mut bench, report) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    assert_eq!(
        bench.sink.steps,
        [
            "begin Namespaces",
            "upsert Namespaces /shop",
            "end Namespaces",
            "begin Services",
            "upsert Services shop/web",
            "end Services",
            "begin EndpointSlices",
            "end EndpointSlices",
            "begin Pods",
            "end Pods",
        ]
    );
    assert_eq!((report.changed, report.files, report.counts.services, bench.sink.settled), (true, 1, 1, 1));
    bench.rest();
    assert_eq!(bench.sink.settled, 1);

    bench.write("b.yml", &service("api", "10.96.0.2"));
    assert!(bench.look().changed);
    assert_eq!(bench.sink.steps, ["upsert Services shop/api"]);
    bench.write("a.yaml", &service("web", "10.96.0.33"));
    bench.look();
    assert_eq!(bench.sink.steps, ["upsert Services shop/web"]);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.33"));

    fs::remove_file(bench.path("a.yaml")).unwrap();
    let report = bench.look();
    assert_eq!(bench.sink.steps, ["remove Services shop/web"]);
    assert_eq!((report.files, report.counts.services), (1, 1));
    fs::remove_file(bench.path("b.yml")).unwrap();
    bench.look();
    assert_eq!(bench.sink.steps, ["remove Services shop/api", "remove Namespaces /shop"]);
}

#[test]
fn an_empty_folder_is_a_complete_list_of_nothing() {
    let mut bench = Bench::with(|options| (options.pods, options.endpoints) = (false, false));
    let report = bench.look();
    assert!(report.changed && report.listed && report.problems.is_empty());
    assert_eq!(bench.sink.steps, ["begin Namespaces", "end Namespaces", "begin Services", "end Services"]);
    assert!(!bench.look().changed);
}

#[test]
fn a_renamed_file_changes_nothing() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    fs::rename(bench.path("a.yaml"), bench.path("z.yaml")).unwrap();
    let report = bench.look();
    assert!(!report.changed && bench.sink.steps.is_empty());
    assert_eq!(report.files, 1);
}

#[test]
fn a_touched_file_changes_nothing() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    bench.rest();
    let file = fs::File::options().write(true).open(bench.path("a.yaml")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert!(!bench.look().changed);
}

#[test]
fn a_change_with_the_same_stamp_is_seen_at_the_second_look() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    // Two writes within one tick of the file system's clock; whether this one has a new stamp does not matter.
    bench.write("a.yaml", &service("web", "10.96.0.2"));
    bench.look();
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.2"));
}

#[test]
fn a_broken_file_keeps_its_last_good_objects_and_is_named_once() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    bench.write("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web\nspec: {}\n");
    let report = bench.look();
    assert!(!report.changed);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let line = &lines(&bench, &report)[0];
    assert!(line.starts_with("a.yaml:4:") && line.contains("YAML: "), "{line}");
    assert_eq!(line.lines().count(), 1);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    assert!(bench.look().problems.is_empty());

    bench.write("a.yaml", &service("web", "10.96.0.3"));
    let report = bench.look();
    assert_eq!(report.healed, [bench.path("a.yaml")]);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.3"));
    assert!(bench.look().healed.is_empty());
}

#[test]
fn a_broken_document_keeps_its_object_and_does_not_hide_the_others() {
    let two = |first: &str, second: &str| format!("{first}---\n{second}");
    let (mut bench, _) =
        Bench::of("a.yaml", &two(&service("web", "10.96.0.1"), &service("api", "10.96.0.2")));
    bench.write("a.yaml", &two("kind: [Service\n", &service("api", "10.96.0.9")));
    let report = bench.look();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    assert_eq!(bench.address("shop", "api").as_deref(), Some("10.96.0.9"));
    // Still so after a second mistake, and gone when the file is good again without it.
    bench.write("a.yaml", &two("kind: [Serv\n", &service("api", "10.96.0.10")));
    bench.look();
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    bench.write("a.yaml", &service("api", "10.96.0.10"));
    bench.look();
    assert_eq!(bench.address("shop", "web"), None);
}

#[test]
fn a_refused_object_keeps_its_last_good_version() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    bench.write("a.yaml", "kind: Service\nmetadata: {name: web, namespace: shop}\nspec: {type: Magic}\n");
    let report = bench.look();
    assert_eq!(
        lines(&bench, &report),
        [
            r#"a.yaml:1: Service shop/web: spec.type: "Magic" is not ClusterIP, NodePort, LoadBalancer or ExternalName"#
        ]
    );
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
}

#[test]
fn an_emptied_file_keeps_its_objects_for_one_look() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    bench.write("a.yaml", "");
    assert!(!bench.look().changed);
    bench.write("a.yaml", &service("web", "10.96.0.2"));
    bench.look();
    assert_eq!(bench.sink.steps, ["upsert Services shop/web"]);
    bench.write("a.yaml", "");
    assert!(!bench.look().changed);
    assert!(bench.look().changed);
    assert_eq!(bench.service("shop", "web"), None);
}

#[test]
fn a_folder_that_cannot_be_listed_feeds_nothing_and_keeps_everything() {
    let mut bench = Bench::with(|options| options.dir.push("later"));
    let report = bench.look();
    assert!(!report.listed && !report.changed && bench.sink.steps.is_empty());
    assert!(lines(&bench, &report)[0].starts_with("later: cannot be read: No such file"), "{report:?}");
    assert!(bench.look().problems.is_empty());

    bench.write("later/a.yaml", &service("web", "10.96.0.1"));
    let report = bench.look();
    assert!(report.listed && report.changed);
    assert_eq!(report.healed, [bench.path("later")]);

    fs::rename(bench.path("later"), bench.path("away")).unwrap();
    let report = bench.look();
    assert!(!report.changed && report.problems.len() == 1);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    // A file in its place can be listed no better.
    fs::write(bench.path("later"), "").unwrap();
    assert!(!bench.look().changed);
}

#[test]
fn a_file_behind_a_broken_link_keeps_its_objects() {
    let mut bench = Bench::new();
    bench.write(".hidden/web", &service("web", "10.96.0.1"));
    symlink(bench.path(".hidden/web"), bench.path("web.yaml")).unwrap();
    bench.look();
    fs::remove_file(bench.path(".hidden/web")).unwrap();
    let report = bench.look();
    assert!(!report.changed && report.problems.len() == 1);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    // The same content again is read again, since the problem must go.
    bench.write(".hidden/web", &service("web", "10.96.0.1"));
    let report = bench.look();
    assert_eq!(report.healed, [bench.path("web.yaml")]);
    assert!(report.problems.is_empty());
}

#[test]
fn a_config_map_mount_is_swapped_as_a_whole() {
    let mut bench = Bench::new();
    bench.write("..1/a.yaml", &service("web", "10.96.0.1"));
    bench.write("..2/a.yaml", &service("web", "10.96.0.2"));
    symlink("..1", bench.path("..data")).unwrap();
    symlink("..data/a.yaml", bench.path("a.yaml")).unwrap();
    let report = bench.look();
    assert_eq!((report.files, report.problems.len()), (1, 0));
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    bench.rest();
    symlink("..2", bench.path("..next")).unwrap();
    fs::rename(bench.path("..next"), bench.path("..data")).unwrap();
    bench.look();
    assert_eq!(bench.sink.steps, ["upsert Services shop/web"]);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.2"));
}

#[test]
fn folders_below_are_read_and_hidden_ones_are_not() {
    let mut bench = Bench::new();
    bench.write("shop/web/a.YAML", &service("web", "10.96.0.1"));
    bench.write("shop/.git/b.yaml", &service("git", "10.96.0.2"));
    bench.write(".c.yaml", &service("hidden", "10.96.0.3"));
    bench.write("shop/d.txt", &service("text", "10.96.0.4"));
    bench.write("e.yaml/f.yaml", &service("odd", "10.96.0.5"));
    symlink(bench.dir.path(), bench.path("shop/loop")).unwrap();
    let report = bench.look();
    assert_eq!((report.files, report.counts.services), (2, 2));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(bench.service("shop", "web").is_some() && bench.service("shop", "odd").is_some());
}

#[test]
fn folders_nested_too_deep_are_named() {
    let mut bench = Bench::new();
    bench.write(&format!("{}a.yaml", "d/".repeat(18)), &service("web", "10.96.0.1"));
    let report = bench.look();
    assert_eq!(report.files, 0);
    assert!(report.problems[0].to_string().ends_with("lies more than 16 folders deep and is not read"));
}

#[test]
fn a_file_that_is_too_large_is_not_read_and_keeps_its_objects() {
    let (mut bench, _) = Bench::of("a.yaml", &service("web", "10.96.0.1"));
    // A sparse file: its size costs no disk.
    fs::File::create(bench.path("a.yaml")).unwrap().set_len((64 << 20) + 1).unwrap();
    let report = bench.look();
    assert_eq!(lines(&bench, &report), ["a.yaml: has 67108865 bytes, more than the 67108864 that are read"]);
    assert!(bench.look().problems.is_empty());
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
}

#[test]
fn of_two_objects_the_first_by_path_counts_and_the_second_is_named() {
    let mut bench = Bench::new();
    bench.write("b.yaml", &service("web", "10.96.0.2"));
    bench.look();
    bench.write("a.yaml", &format!("# ours\n---\n{}", service("web", "10.96.0.1")));
    let report = bench.look();
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    let first = bench.path("a.yaml");
    assert_eq!(
        lines(&bench, &report),
        [format!("b.yaml:1: Service shop/web: is already defined in {}, which is used", first.display())
            .replace(&format!("{}/", bench.dir.path().display()), "")]
    );
    fs::remove_file(first).unwrap();
    let report = bench.look();
    assert_eq!(report.healed, [bench.path("b.yaml")]);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.2"));
}

#[test]
fn the_same_folder_gives_the_same_steps() {
    let texts: Vec<_> =
        (0..20).map(|at| (format!("{at}.yaml"), service(&format!("s{at}"), "10.96.0.1"))).collect();
    let (mut one, mut two) = (Bench::new(), Bench::new());
    texts.iter().for_each(|(name, text)| one.write(name, text));
    texts.iter().rev().for_each(|(name, text)| two.write(name, text));
    one.look();
    two.look();
    assert_eq!(one.sink.steps, two.sink.steps);
    assert_eq!(one.sink.objects, two.sink.objects);
}
