//! `cargo chart`: charts/signpost, linted and rendered by Helm's own engine and compared with tests/chart/golden.
//!
//! There is no helm binary to be had everywhere, so the engine is that of `helm-python-sdk`, installed into a virtual
//! environment below target/ on the first run. What stands in the golden files is judged by `cargo test --test deploy`, which
//! needs neither. `UPDATE_GOLDEN=1` rewrites them: then read the difference.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

#[path = "../../tests/deploy/digest.rs"]
mod digest;

/// What is installed, to the version: another one may indent differently.
const SDK: &str = "helm-python-sdk==0.2.2";

/// Where the chart lies.
const CHART: &str = "charts/signpost";

/// Manifests that only hold files of the chart: not repeated in golden files, but compared with those.
const WHOLE_FILES: [&str; 2] = ["dashboards.yaml", "prometheusrule.yaml"];

/// What render.py says.
#[derive(Deserialize)]
struct Report {
    /// What lint found.
    lint: Value,
    /// What became of each file of values.
    rendered: BTreeMap<PathBuf, Rendered>,
}

/// What became of one file of values.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rendered {
    /// Texts by template.
    Manifests(BTreeMap<String, String>),
    /// Why there are none.
    Error(String),
}

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` and the like only want to know that this can be started.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if Command::new("python3").arg("--version").output().is_err() {
        println!("not checked: the chart; there is no python3 here");
        return Ok(());
    }
    let python = match environment(root) {
        Ok(python) => python,
        Err(error) => {
            println!("not checked: the chart; {SDK} cannot be had here: {error:#}");
            return Ok(());
        }
    };
    let good = values(&root.join("tests/chart/values"))?;
    let bad = values(&root.join("tests/chart/bad"))?;
    let output = Command::new(python)
        .current_dir(root)
        .arg("benches/chart/render.py")
        .arg(CHART)
        .args(good.iter().chain(&bad))
        .output()
        .context("running render.py")?;
    ensure!(output.status.success(), "render.py: {}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout).context("reading what render.py says")?;

    let mut wrong = lint(&report.lint);
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for path in &good {
        match &report.rendered[path] {
            Rendered::Manifests(manifests) => {
                wrong.extend(compare(root, path, manifests, update)?);
            }
            Rendered::Error(error) => wrong.push(format!("{}: {error}", path.display())),
        }
    }
    for path in &bad {
        wrong.extend(refused(path, &report.rendered[path])?);
    }
    let digest = digest::of_the_chart();
    let kept = root.join(digest::KEPT);
    if update && wrong.is_empty() {
        std::fs::write(&kept, format!("{digest}\n"))?;
    } else if std::fs::read_to_string(&kept).unwrap_or_default().trim() != digest {
        wrong.push("the chart or its values changed since the golden files were written".to_owned());
    }
    if !wrong.is_empty() {
        bail!("{}\n(UPDATE_GOLDEN=1 rewrites the golden files)", wrong.join("\n"));
    }
    println!(
        "{CHART}: no fault found by lint; {} files of values render as expected, {} are refused as expected",
        good.len(),
        bad.len()
    );
    Ok(())
}

/// The interpreter of an environment that has the SDK, made where it is not there.
fn environment(root: &Path) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("chart-venv");
    let python = folder.join("bin/python");
    let ready = folder.join(SDK);
    if !ready.exists() {
        println!("installing {SDK} into {}", folder.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            SDK,
        ]))?;
        std::fs::write(ready, "")?;
    }
    Ok(python)
}

/// Runs a command that has to succeed.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// The files of values in a folder, sorted.
fn values(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("yaml")) {
            paths.push(path);
        }
    }
    paths.sort();
    ensure!(!paths.is_empty(), "{} has no values", folder.display());
    Ok(paths)
}

/// What lint found that is more than a recommendation.
fn lint(report: &Value) -> Vec<String> {
    let messages = report["messages"].as_array().into_iter().flatten();
    let grave = messages.filter(|message| message["severity"].as_u64().is_none_or(|severity| severity > 1));
    let errors = report["errors"].as_array().into_iter().flatten();
    grave.chain(errors).map(|message| format!("lint: {message}")).collect()
}

/// What differs between the manifests of one file of values and its golden file.
fn compare(
    root: &Path,
    values: &Path,
    manifests: &BTreeMap<String, String>,
    update: bool,
) -> anyhow::Result<Vec<String>> {
    let name = values.file_name().context("a file has a name")?.to_string_lossy().into_owned();
    let mut text = String::new();
    let mut wrong = Vec::new();
    for (template, manifest) in manifests {
        let manifest = manifest.trim();
        if manifest.is_empty() {
            continue;
        }
        if let Some(whole) = WHOLE_FILES.iter().find(|whole| template.ends_with(**whole)) {
            wrong.extend(same_files(root, whole, manifest)?.map(|what| format!("{name}: {what}")));
            continue;
        }
        // Prose in a file of manifests stands behind `#`.
        let (mark, is_prose) = ("# Source: ", template.ends_with("NOTES.txt"));
        let _ = writeln!(text, "---\n{mark}{template}");
        for line in manifest.lines() {
            let _ = if is_prose {
                writeln!(text, "{}", format!("# {line}").trim_end())
            } else {
                writeln!(text, "{line}")
            };
        }
    }
    let golden = root.join("tests/chart/golden").join(&name);
    let kept = std::fs::read_to_string(&golden).unwrap_or_default();
    if kept == text {
        return Ok(wrong);
    }
    if update {
        std::fs::write(&golden, text)?;
        println!("written: {}", golden.display());
        return Ok(wrong);
    }
    let differing = kept.lines().zip(text.lines()).position(|(old, new)| old != new);
    let at = differing.unwrap_or_else(|| kept.lines().count().min(text.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
    wrong.push(format!("{name}:{}: golden `{}`, rendered `{}`", at + 1, line(&kept), line(&text)));
    Ok(wrong)
}

/// What differs between files of the chart and the manifest that holds them.
fn same_files(root: &Path, template: &str, manifest: &str) -> anyhow::Result<Option<String>> {
    let manifest: Value = serde_saphyr::from_str(manifest).with_context(|| format!("reading {template}"))?;
    let folder = root.join(CHART).join("monitoring");
    if template == "prometheusrule.yaml" {
        let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(folder.join("rules.yaml"))?)?;
        return Ok((manifest["spec"] != rules).then(|| "the PrometheusRule is not rules.yaml".to_owned()));
    }
    let held = manifest["data"].as_object().context("a ConfigMap has data")?;
    for (file, text) in held {
        let kept = std::fs::read_to_string(folder.join(file))?;
        if text.as_str().map(str::trim) != Some(kept.trim()) {
            return Ok(Some(format!("{file} is not what the chart holds")));
        }
    }
    Ok(held.is_empty().then(|| "no dashboards".to_owned()))
}

/// What is wrong with how a bad file of values was refused; its first line says what has to be said.
fn refused(values: &Path, rendered: &Rendered) -> anyhow::Result<Option<String>> {
    let text = std::fs::read_to_string(values)?;
    let expected =
        text.lines().next().and_then(|line| line.strip_prefix("# ")).context("what is expected")?;
    Ok(match rendered {
        Rendered::Error(error) if error.contains(expected) => None,
        Rendered::Error(error) => {
            Some(format!("{}: not refused with `{expected}`: {error}", values.display()))
        }
        Rendered::Manifests(_) => Some(format!("{}: not refused", values.display())),
    })
}
