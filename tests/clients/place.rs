//! A place of its own for a test: network and mounts that nobody else sees, and in it the C libraries' clients.
//!
//! A test calls itself again under `unshare`, so that each has port 53, `/etc/resolv.conf` and loopback to itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Set for the test that runs inside.
const INSIDE: &str = "SIGNPOST_CLIENTS_INSIDE";

/// What is done inside before the test goes on; `$1` is a folder, the rest is the test.
///
/// glibc asks whom nsswitch.conf says: there may be resolvers on the machine that are not meant here.
const ENTER: &str = r#"
ip link set lo up &&
: > "$1/resolv.conf" && mount --bind "$1/resolv.conf" /etc/resolv.conf || exit 90
if [ -e /etc/nsswitch.conf ]; then
    echo 'hosts: files dns' > "$1/nsswitch.conf"
    mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf || exit 90
fi
shift
exec "$@"
"#;

/// The search list and `ndots` of a pod in the namespace `shop`, as the kubelet writes them.
const SEARCH: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

/// A command inside a place of its own.
fn enter(folder: &Path, command: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "--net", "--propagation", "private", "--", "sh", "-c", ENTER, "sh"]);
    unshare.arg(folder).args(command).stdin(Stdio::null());
    unshare
}

/// Runs `test` in a place of its own: calls the test of this name again, inside. Says so and does nothing where the machine
/// does not permit it, or has no compiler.
pub(crate) fn inside(name: &str, test: impl FnOnce(&Clients)) {
    if std::env::var_os(INSIDE).is_some() {
        match Clients::build() {
            Ok(clients) => test(&clients),
            Err(why) => eprintln!("not run: {why}"),
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let permitted = enter(folder.path(), &["true"]).output();
    match permitted {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            eprintln!("not run: no namespaces here: {}", String::from_utf8_lossy(&output.stderr).trim());
            return;
        }
        Err(error) => {
            eprintln!("not run: unshare: {error}");
            return;
        }
    }
    let test = std::env::current_exe().unwrap();
    let command = [test.to_str().unwrap(), "--exact", name, "--nocapture"];
    let output = enter(folder.path(), &command).env(INSIDE, "1").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "inside: {}\n{out}{err}", output.status);
    assert!(out.contains("1 passed"), "inside, no test is called {name}\n{out}");
    // Whether both libraries were asked, and what they said.
    eprint!("{err}");
}

/// The rules of a C library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Library {
    /// That of most distributions.
    Glibc,
    /// That of Alpine: all name servers at once, no word about one family without the other.
    Musl,
}

/// What a client got.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Got {
    /// `ok` with the addresses in alphabetical order, or the name of the error.
    pub(crate) text: String,
    /// Unit: milliseconds.
    pub(crate) took: u64,
}

impl Got {
    /// The addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.text.split(' ').skip(1)
    }
}

/// The client's program, once for each library that this machine can build for.
pub(crate) struct Clients {
    /// The programs.
    built: Vec<(Library, PathBuf)>,
    /// Where they are.
    _folder: TempDir,
}

impl Clients {
    /// Compiles them. Errors: no compiler at all, in words.
    fn build() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/ask.c");
        let mut built = Vec::new();
        let mut missing = Vec::new();
        for (library, compiler, arguments) in
            [(Library::Glibc, "cc", &[][..]), (Library::Musl, "musl-gcc", &["-static"][..])]
        {
            let program = folder.path().join(format!("{library:?}"));
            let mut command = Command::new(compiler);
            command.args(["-O1", "-Wall", "-Werror"]).args(arguments).arg("-o").arg(&program).arg(source);
            match command.output() {
                Ok(output) => {
                    assert!(
                        output.status.success(),
                        "{compiler}: {}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                    built.push((library, program));
                }
                Err(error) => missing.push(format!("{compiler}: {error}")),
            }
        }
        missing.iter().for_each(|missing| eprintln!("not run for one library: {missing}"));
        if built.is_empty() { Err("no C compiler".to_owned()) } else { Ok(Self { built, _folder: folder }) }
    }

    /// Writes `/etc/resolv.conf`: these name servers, the search list of a pod in `shop`.
    pub(crate) fn name_servers(&self, addresses: &[&str]) {
        let lines: String = addresses.iter().map(|address| format!("nameserver {address}\n")).collect();
        std::fs::write("/etc/resolv.conf", lines + SEARCH).unwrap();
    }

    /// The libraries that are asked.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = Library> {
        self.built.iter().map(|(library, _)| *library)
    }

    /// Starts a client; [`got`] has what it gets.
    pub(crate) fn start(&self, library: Library, name: &str, family: &str) -> Child {
        let (_, program) = self.built.iter().find(|(built, _)| *built == library).unwrap();
        let mut command = Command::new(program);
        command.args([name, family]).stdin(Stdio::null()).stdout(Stdio::piped());
        // They would change the search list.
        command.env_remove("LOCALDOMAIN").env_remove("RES_OPTIONS");
        command.spawn().unwrap()
    }

    /// What a client of this library gets.
    pub(crate) fn ask(&self, library: Library, name: &str, family: &str) -> Got {
        let got = got(self.start(library, name, family));
        eprintln!("{library:?}: {name} {family}: {} ({} ms)", got.text, got.took);
        got
    }

    /// Asserts that the clients of both libraries get this.
    pub(crate) fn all_get(&self, name: &str, family: &str, expected: &str) {
        for library in self.libraries() {
            assert_eq!(self.ask(library, name, family).text, expected, "{library:?}: {name} {family}");
        }
    }

    /// Asserts that the clients of both libraries are told that there is no such name, or nothing of this family.
    pub(crate) fn all_get_nothing(&self, name: &str, family: &str) {
        for library in self.libraries() {
            let got = self.ask(library, name, family);
            // Which of the two a library says of NODATA depends on its version.
            assert!(
                ["EAI_NONAME", "EAI_NODATA"].contains(&&*got.text),
                "{library:?}: {name} {family}: {got:?}"
            );
        }
    }
}

/// What a client gets, once it ends.
pub(crate) fn got(client: Child) -> Got {
    let output = client.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let mut words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    if let Some((_, addresses)) = words.split_first_mut() {
        addresses.sort_unstable();
    }
    let took = lines.next().and_then(|took| took.parse().ok());
    Got { text: words.join(" "), took: took.unwrap_or_else(|| panic!("{}: {text}", output.status)) }
}
