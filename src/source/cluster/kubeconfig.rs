//! Kubeconfig files: their documents, put together as kubectl does, and what paths in them are relative to.

use std::path::{MAIN_SEPARATOR, Path};

use kube::config::{AuthInfo, Cluster, Kubeconfig};

use super::access::AccessError;
use crate::yaml;

/// Reads a kubeconfig, YAML or JSON. Paths in it count from its own folder, and of two documents the first wins.
///
/// Errors: `Kubeconfig` where the file can't be read or its documents do not go together, `NoKubeconfig` where it is none.
pub(super) fn read(file: &Path) -> Result<Kubeconfig, AccessError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| AccessError::Kubeconfig {
        file: file.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(file).map_err(|error| fail(error.into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut whole: Option<Kubeconfig> = None;
    for (line, document) in yaml::split(text) {
        let none = |place| AccessError::NoKubeconfig { file: file.to_owned(), place };
        let value = yaml::value(document).map_err(|error| {
            none(error.location().map_or_else(String::new, |at| {
                format!(": line {}, column {}", line + at.line().saturating_sub(1), at.column())
            }))
        })?;
        let mut config: Kubeconfig =
            serde_json::from_value(value).map_err(|_| none(format!(": the document in line {line}")))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config
            .clusters
            .iter_mut()
            .filter_map(|named| named.cluster.as_mut())
            .for_each(|it| of_cluster(folder, it));
        config
            .auth_infos
            .iter_mut()
            .filter_map(|named| named.auth_info.as_mut())
            .for_each(|it| of_user(folder, it));
        whole = Some(match whole {
            None => config,
            Some(before) => before.merge(config).map_err(|error| fail(error.into()))?,
        });
    }
    Ok(whole.unwrap_or_default())
}

/// Makes the paths of a cluster count from the folder, and its address a URL: without a scheme it is one of HTTPS where anything is
/// said about certificates, as for kubectl.
fn of_cluster(folder: &Path, cluster: &mut Cluster) {
    cluster.certificate_authority.iter_mut().for_each(|path| from(folder, path));
    let secured = cluster.certificate_authority.is_some()
        || cluster.certificate_authority_data.is_some()
        || cluster.tls_server_name.is_some()
        || cluster.insecure_skip_tls_verify == Some(true);
    let scheme = if secured { "https" } else { "http" };
    let bare = cluster.server.as_mut().filter(|server| !server.is_empty() && !server.contains("://"));
    bare.into_iter().for_each(|server| *server = format!("{scheme}://{server}"));
}

/// Whether the cluster of a context, without one that of the current one, is to be reached by a proxy.
pub(super) fn has_proxy(config: &Kubeconfig, context: Option<&str>) -> bool {
    let name = context.or(config.current_context.as_deref());
    let context = config.contexts.iter().find(|named| Some(named.name.as_str()) == name);
    let cluster = context.and_then(|named| named.context.as_ref()).map(|context| context.cluster.as_str());
    let cluster = config.clusters.iter().find(|named| Some(named.name.as_str()) == cluster);
    let proxy = cluster.and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref());
    proxy.is_some_and(|url| !url.is_empty())
}

/// Makes the paths of a user count from the folder; a command without a folder is searched for, as a shell does.
fn of_user(folder: &Path, user: &mut AuthInfo) {
    let files = [&mut user.client_certificate, &mut user.client_key, &mut user.token_file];
    files.into_iter().flatten().for_each(|path| from(folder, path));
    let command = user.exec.as_mut().and_then(|exec| exec.command.as_mut());
    command
        .filter(|command| command.contains(MAIN_SEPARATOR))
        .into_iter()
        .for_each(|path| from(folder, path));
}

/// Makes a path count from the folder. What can't be written as text stays as it was.
fn from(folder: &Path, path: &mut String) {
    if let Some(whole) = folder.join(path.as_str()).to_str() {
        *path = whole.to_owned();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
mod tests {
    use super::*;

    /// What such a file holds, in a folder of its own, whose name stands for `DIR` in what is wrong.
    fn of(text: &str) -> Result<Kubeconfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, text).unwrap();
        let folder = dir.path().display().to_string();
        read(&file).map_err(|error| error.to_string().replace(&folder, "DIR"))
    }

    #[test]
    fn paths_count_from_the_folder_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        let text = "clusters:\n- name: a\n  cluster: {server: 'https://a', certificate-authority: ca.crt}\nusers:\n- name: u\n  user:\n    \
                    client-certificate: sub/c.pem\n    client-key: /k.pem\n    tokenFile: ../token\n    exec: {command: bin/login}\n\
                    - name: v\n  user:\n    exec: {command: aws}\n";
        std::fs::write(&file, text).unwrap();
        let config = read(&file).unwrap();
        let here = |name: &str| Some(dir.path().join(name).display().to_string());
        assert_eq!(config.clusters[0].cluster.as_ref().unwrap().certificate_authority, here("ca.crt"));
        let user = config.auth_infos[0].auth_info.as_ref().unwrap();
        assert_eq!(user.client_certificate, here("sub/c.pem"));
        assert_eq!(user.client_key.as_deref(), Some("/k.pem"));
        assert_eq!(user.token_file, here("../token"));
        assert_eq!(user.exec.as_ref().unwrap().command, here("bin/login"));
        let other = config.auth_infos[1].auth_info.as_ref().unwrap();
        assert_eq!(other.exec.as_ref().unwrap().command.as_deref(), Some("aws"));
    }

    #[test]
    fn an_address_without_a_scheme_has_that_of_kubectl() {
        for (cluster, server) in [
            ("{server: '127.0.0.1:8080'}", "http://127.0.0.1:8080"),
            ("{server: 'api.test:6443', certificate-authority: ca.crt}", "https://api.test:6443"),
            ("{server: api.test, insecure-skip-tls-verify: true}", "https://api.test"),
            ("{server: 'http://api.test', certificate-authority: ca.crt}", "http://api.test"),
        ] {
            let config = of(&format!("clusters: [{{name: a, cluster: {cluster}}}]\n")).unwrap();
            assert_eq!(config.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some(server));
        }
    }

    #[test]
    fn a_proxy_counts_for_its_own_context() {
        let config = of("current-context: a\ncontexts:\n- {name: a, context: {cluster: x, user: u}}\n- {name: b, context: {cluster: y, user: u}}\n\
                         clusters:\n- {name: x, cluster: {server: 'https://1'}}\n\
                         - {name: y, cluster: {server: 'https://2', proxy-url: 'http://127.0.0.1:3128'}}\n")
        .unwrap();
        assert!(
            !has_proxy(&config, None) && !has_proxy(&config, Some("a")) && !has_proxy(&config, Some("c"))
        );
        assert!(has_proxy(&config, Some("b")));
    }

    #[test]
    fn of_two_documents_the_first_wins() {
        let config = of("current-context: a\nclusters: [{name: x, cluster: {server: 'https://1'}}]\n---\n\
                         current-context: b\nclusters: [{name: x, cluster: {server: 'https://2'}}, {name: y}]\n")
        .unwrap();
        assert_eq!(config.current_context.as_deref(), Some("a"));
        let servers: Vec<_> = config
            .clusters
            .iter()
            .map(|named| (named.name.as_str(), named.cluster.as_ref().and_then(|it| it.server.as_deref())))
            .collect();
        assert_eq!(servers, [("x", Some("https://1")), ("y", None)]);
        let wrong = of("kind: Config\n---\nkind: Other\n").unwrap_err();
        assert_eq!(wrong, "reading the kubeconfig DIR/config");
    }

    #[test]
    fn json_is_read_and_a_file_without_a_document_is_an_empty_one() {
        assert_eq!(of(r#"{"current-context": "j"}"#).unwrap().current_context.as_deref(), Some("j"));
        assert!(of("# nothing yet\n").unwrap().clusters.is_empty());
    }

    #[test]
    fn what_is_none_is_told_by_its_place_alone() {
        assert_eq!(of("users: [secret").unwrap_err(), "the kubeconfig DIR/config is none: line 1, column 8");
        assert_eq!(
            of("kind: Config\n---\nusers: secret\n").unwrap_err(),
            "the kubeconfig DIR/config is none: the document in line 2"
        );
    }
}
