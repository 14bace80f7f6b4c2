//! Every form of every flag.

use crate::process::*;
use signpost::chain::WORDS;
use tempfile::TempDir;

#[test]
fn version_help_and_plugins_are_said_and_nothing_is_served() {
    let dir = TempDir::new().unwrap();
    for flag in ["-version", "--version", "-version=true"] {
        let said = run(dir.path(), &[flag]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{flag}");
        assert!(said.out.starts_with(&format!("signpost-{}\n", env!("CARGO_PKG_VERSION"))), "{}", said.out);
        assert!(said.out.contains("linux/"), "S-18: os/arch: {}", said.out);
    }
    for flag in ["-plugins", "--plugins"] {
        let said = run(dir.path(), &[flag]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{flag}");
        for word in WORDS {
            let listed = said.out.lines().any(|line| line.split_whitespace().next() == Some(word.word));
            assert!(listed, "{flag} names `{}`", word.word);
        }
    }
    for flag in ["-help", "--help", "-h"] {
        let said = run(dir.path(), &[flag]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{flag}");
        for word in ["--conf", "--dns.port", "--quiet", "--version", "--plugins", "--pidfile", "-conf FILE"] {
            assert!(said.out.contains(word), "{flag} names {word}: {}", said.out);
        }
    }
}

#[test]
fn a_flag_that_is_none_is_an_error_that_names_it() {
    let dir = TempDir::new().unwrap();
    for (args, names) in [
        (&["-cnof", "x"][..], "-c"),
        (&["--cnof", "x"], "--cnof"),
        (&["-dns.port", "many"], "many"),
        (&["-dns.port", "70000"], "70000"),
        (&["-conf"], "--conf"),
        (&["Corefile"], "Corefile"),
    ] {
        let said = run(dir.path(), args);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(said.err.contains(names), "{args:?}: {}", said.err);
    }
}

#[test]
fn every_form_of_the_corefiles_flag_serves_it() {
    for form in 0..5 {
        let port = free_port();
        let folder = Folder::new(&corefile(port, ""));
        let path = folder.path("Corefile").to_string_lossy().into_owned();
        let mut command = binary();
        match form {
            0 => command.args(["-conf", &path]),
            1 => command.arg(format!("-conf={path}")),
            2 => command.args(["--conf", &path]),
            3 => command.arg(format!("--conf={path}")),
            // None: the Corefile of this directory.
            _ => command.current_dir(folder.dir.path()),
        };
        let server = Server::start(command, port);
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    }
}

#[test]
fn every_form_of_the_port_is_the_port_of_keys_that_name_none() {
    for form in 0..5 {
        let (port, own) = (free_port(), free_port());
        let text = corefile(0, "").replace(".:0 {", ". {") + &corefile(own, "").replace(".:", "example.org:");
        let folder = Folder::new(&text);
        let mut command = binary();
        command.arg("-conf").arg(folder.path("Corefile"));
        match form {
            0 => command.args(["-dns.port", &port.to_string()]),
            1 => command.arg(format!("-dns.port={port}")),
            2 => command.args(["--dns.port", &port.to_string()]),
            3 => command.args(["-p", &port.to_string()]),
            _ => command.arg(format!("-p={port}")),
        };
        let server = Server::start(command, port);
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
        // A key with a port of its own keeps it.
        server.wait_for_line("the zones", |line| line == format!("example.org.:{own} on 127.0.0.1"));
        server.wait_for_line("the zones", |line| line == format!(".:{port} on 127.0.0.1"));
    }
}

#[test]
fn what_is_served_is_said_unless_it_is_to_be_quiet() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let server = Server::of(&folder, port);
    server.wait_for_line("S-18: zone:port on ip", |line| line == format!(".:{port} on 127.0.0.1"));
    server.wait_for_line("the version", |line| line.starts_with("signpost-"));
    let example = server.wait_for_line("an example", |line| line.contains("dig @127.0.0.1"));
    assert!(
        example.contains(&format!("-p {port}")) && example.contains("web.shop.svc.cluster.local"),
        "{example}"
    );

    for flag in ["-quiet", "--quiet", "-quiet=true"] {
        let port = free_port();
        let folder = Folder::new(&corefile(port, ""));
        let mut command = binary();
        command.arg(flag).arg("-conf").arg(folder.path("Corefile"));
        let server = Server::start(command, port);
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
        assert!(server.lines().is_empty(), "{flag}: {:?}", server.lines());
    }
}

#[test]
fn the_process_id_is_written_and_taken_back() {
    for form in ["-pidfile", "--pidfile", "-pidfile="] {
        let port = free_port();
        let folder = Folder::new(&corefile(port, ""));
        let file = folder.path("signpost.pid");
        let mut command = binary();
        command.arg("-conf").arg(folder.path("Corefile"));
        match form.strip_suffix('=') {
            Some(_) => command.arg(format!("{form}{}", file.display())),
            None => command.arg(form).arg(&file),
        };
        let mut server = Server::start(command, port);
        let id = server.id().to_string();
        wait("the file with the process id", PATIENCE, || {
            std::fs::read_to_string(&file).ok().filter(|text| text.trim() == id)
        });
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
        server.signal(rustix::process::Signal::TERM);
        assert_eq!(server.end(PATIENCE).1.code(), Some(0));
        assert!(!file.exists(), "{form}");
    }
}

#[test]
fn a_file_for_the_process_id_that_cannot_be_written_is_an_error() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let said = run(folder.dir.path(), &["-pidfile", "no/such/folder/pid"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no/such/folder/pid"), "{}", said.err);
}
