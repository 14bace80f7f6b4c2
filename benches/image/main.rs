//! `cargo image`: the static binary, its bill of materials, and the image around it, as far as this machine can make them.
//!
//! For the machine's own architecture, or for those named: `cargo image amd64 arm64`. Another one than the machine's needs
//! Rust's target and a C cross-compiler (docs/release.md). Bounded: one build of cargo and one of buildah for each. Binaries and
//! bills go to target/image/, images into buildah's local storage: `localhost/signpost:VERSION-ARCH` each, and together
//! `localhost/signpost:VERSION`.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

mod sbom;

/// The most that a binary may weigh. Unit: bytes.
const MOST_OF_BINARY: u64 = 12 << 20;

/// The most that an image may weigh as it is pushed. Unit: bytes.
const MOST_OF_IMAGE: u64 = 15 << 20;

/// What the compiler is told beyond the profile: no loader is needed, and where addresses are to be set right at start is
/// noted in a bit each (half a MiB).
const FLAGS: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs";

/// The name of the image.
const IMAGE: &str = "localhost/signpost";

/// An architecture.
struct Arch {
    /// What images call it.
    name: &'static str,
    /// What Rust calls it.
    target: &'static str,
    /// What Rust's own constant says on such a machine.
    machine: &'static str,
    /// The C compiler for it on another machine.
    cross: &'static str,
    /// What runs its programs on another machine.
    emulator: &'static str,
}

/// Those that images are made for.
const ARCHES: [Arch; 2] = [
    Arch {
        name: "amd64",
        target: "x86_64-unknown-linux-gnu",
        machine: "x86_64",
        cross: "x86_64-linux-gnu-gcc",
        emulator: "qemu-x86_64-static",
    },
    Arch {
        name: "arm64",
        target: "aarch64-unknown-linux-gnu",
        machine: "aarch64",
        cross: "aarch64-linux-gnu-gcc",
        emulator: "qemu-aarch64-static",
    },
];

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` and the like only want to know that this can be started.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| ARCHES.iter().all(|arch| arch.name != **name)) {
        bail!("`{unknown}` is no architecture that images are made for: amd64, arm64");
    }
    let is_wanted = |arch: &&Arch| {
        if wanted.is_empty() { arch.is_here() } else { wanted.iter().any(|name| name == arch.name) }
    };
    let arches: Vec<&Arch> = ARCHES.iter().filter(is_wanted).collect();
    ensure!(!arches.is_empty(), "this machine is none that images are made for: name amd64 or arm64");

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = target(root).join("image");
    std::fs::create_dir_all(&folder)?;
    let mut images = Vec::new();
    for arch in arches {
        let binary = arch.build(root)?;
        let bytes = std::fs::read(&binary)?;
        check(&bytes, &binary)?;
        let kept = folder.join(format!("signpost-linux-{}", arch.name));
        std::fs::copy(&binary, &kept)?;
        arch.start(&kept)?;
        let digest = sha256(&bytes);
        let bill = sbom::bill(root, arch.target, &digest)?;
        let bill_path = kept.with_extension("cdx.json");
        std::fs::write(&bill_path, format!("{bill:#}\n"))?;
        println!(
            "{}: {:.1} MiB, static, SHA-256 {digest}\n{}: {} crates",
            kept.display(),
            mebibytes(bytes.len() as u64),
            bill_path.display(),
            bill["components"].as_array().map_or(0, Vec::len)
        );
        images.extend(arch.image(root, &kept)?);
    }
    join(&images)
}

impl Arch {
    /// Whether this machine is one.
    fn is_here(&self) -> bool {
        self.machine == std::env::consts::ARCH
    }

    /// Builds the static binary; returns where it is.
    fn build(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).env("RUSTFLAGS", FLAGS).args([
            "build",
            "--locked",
            "--profile",
            "dist",
            "--bin",
            "signpost",
            "--target",
            self.target,
        ]);
        if !self.is_here() {
            let upper = self.target.to_uppercase().replace('-', "_");
            cargo.env(format!("CARGO_TARGET_{upper}_LINKER"), self.cross);
            cargo.env(format!("CC_{}", self.target.replace('-', "_")), self.cross);
        }
        let status = cargo.status().context("running cargo")?;
        ensure!(status.success(), "cargo ended with {status}");
        Ok(target(root).join(self.target).join("dist/signpost"))
    }

    /// Starts the binary, where this machine can, and holds what it says against the version.
    fn start(&self, binary: &Path) -> anyhow::Result<()> {
        let mut words: Vec<OsString> = vec![binary.into(), "-version".into()];
        if !self.is_here() {
            words.insert(0, self.emulator.into());
        }
        let Ok(output) = Command::new(&words[0]).args(&words[1..]).output() else {
            println!("not tried: {}; there is no {} here", binary.display(), self.emulator);
            return Ok(());
        };
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.contains(env!("CARGO_PKG_VERSION")), "{words:?}: {said}");
        println!("{words:?}: {}", said.lines().next().unwrap_or_default());
        Ok(())
    }

    /// Makes the image around a binary; `None` where there is no buildah.
    fn image(&self, root: &Path, binary: &Path) -> anyhow::Result<Option<String>> {
        if Command::new("buildah").arg("--version").output().is_err() {
            println!("not made: the image; there is no buildah here");
            return Ok(None);
        }
        let tag = format!("{IMAGE}:{}-{}", env!("CARGO_PKG_VERSION"), self.name);
        let context = tempfile::tempdir()?;
        std::fs::copy(binary, context.path().join("signpost"))?;
        let label = |name: &str, value: &str| format!("--label=org.opencontainers.image.{name}={value}");
        buildah(&[
            "bud".into(),
            "--isolation=chroot".into(),
            // No container is left over; the same binary makes the same image.
            "--layers".into(),
            "--force-rm".into(),
            "--timestamp=0".into(),
            "--build-arg=BINARY=prebuilt".into(),
            "--os=linux".into(),
            format!("--arch={}", self.name),
            label("title", "signpost"),
            label("version", env!("CARGO_PKG_VERSION")),
            label("licenses", "Apache-2.0"),
            format!("--tag={tag}"),
            format!("--file={}", root.join("Dockerfile").display()),
            context.path().display().to_string(),
        ])?;
        // What layers are kept of earlier builds could be another architecture's.
        let made = buildah(&[
            "inspect".into(),
            "--type=image".into(),
            "--format={{.OCIv1.Architecture}} {{.OCIv1.Config.User}}".into(),
            tag.clone(),
        ])?;
        ensure!(made.trim() == format!("{} 65532:65532", self.name), "{tag} is {made}");
        let archive = context.path().join("image.tar");
        buildah(&["push".into(), tag.clone(), format!("oci-archive:{}", archive.display())])?;
        let size = std::fs::metadata(&archive)?.len();
        ensure!(
            size <= MOST_OF_IMAGE,
            "the image weighs {:.1} MiB, over {:.0}",
            mebibytes(size),
            mebibytes(MOST_OF_IMAGE)
        );
        println!("{tag}: {:.1} MiB as it is pushed", mebibytes(size));
        Ok(Some(tag))
    }
}

/// Puts images under one name, whoever pulls it getting that of their architecture.
fn join(images: &[String]) -> anyhow::Result<()> {
    let name = format!("{IMAGE}:{}", env!("CARGO_PKG_VERSION"));
    match images {
        [] => Ok(()),
        [one] => {
            buildah(&["tag".into(), one.clone(), name.clone()])?;
            println!("{name}: the same");
            Ok(())
        }
        several => {
            // What was there under that name, of several or of one; it need not be.
            let _ = buildah(&["manifest".into(), "rm".into(), name.clone()]);
            let _ = buildah(&["rmi".into(), name.clone()]);
            buildah(&["manifest".into(), "create".into(), name.clone()])?;
            for image in several {
                buildah(&[
                    "manifest".into(),
                    "add".into(),
                    name.clone(),
                    format!("containers-storage:{image}"),
                ])?;
            }
            println!("{name}: {} of them", several.len());
            Ok(())
        }
    }
}

/// Runs buildah; what it prints.
fn buildah(args: &[String]) -> anyhow::Result<String> {
    let output = Command::new("buildah")
        .args(["--storage-driver", "vfs"])
        .args(args)
        .output()
        .context("running buildah")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "buildah {}: {said}", args.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Refuses a binary that is too heavy, or that asks for a loader, which no image from scratch has.
fn check(bytes: &[u8], path: &Path) -> anyhow::Result<()> {
    /// The type of the program header that names a loader.
    const INTERPRETER: u32 = 3;
    let size = bytes.len() as u64;
    ensure!(
        size <= MOST_OF_BINARY,
        "{} weighs {:.1} MiB, over {:.0}",
        path.display(),
        mebibytes(size),
        mebibytes(MOST_OF_BINARY)
    );
    // ELF of 64 bits: where program headers begin, how long each is, how many there are.
    let number = |at: usize, length: usize| -> anyhow::Result<usize> {
        let part = bytes.get(at..at + length).context("an ELF file that is cut short")?;
        part.iter().rev().try_fold(0_usize, |sum, byte| {
            sum.checked_mul(256).map(|sum| sum + usize::from(*byte)).context("a number")
        })
    };
    ensure!(bytes.starts_with(b"\x7FELF\x02"), "{} is no ELF file of 64 bits", path.display());
    let (start, length, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for header in 0..count {
        let kind = number(start + header * length, 4)?;
        ensure!(kind != INTERPRETER as usize, "{} is not static", path.display());
    }
    Ok(())
}

/// Where cargo puts what it builds.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The SHA-256 of bytes, in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes in MiB.
#[allow(clippy::cast_precision_loss, reason = "a size for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
