//! What kdig of Knot DNS says, which shares nothing with the server.

use std::process::Command;

use signpost::corefile::Transport as Scheme;

use crate::rig::Rig;

/// Asks with kdig; its text, or `None` where there is no kdig or it can't do that.
fn kdig(rig: &Rig, scheme: Scheme, options: &[&str]) -> Option<String> {
    let addr = rig.addr(scheme);
    let authority = format!("+tls-ca={}/cert.pem", rig.certificate.folder.path().display());
    let output = Command::new("kdig")
        .arg(format!("@{}", addr.ip()))
        .args(["-p", &addr.port().to_string(), "a.test", "A", "+tls-hostname=dns.test", &authority])
        .args(options)
        .output();
    let Ok(output) = output else {
        eprintln!("there is no kdig: not asked");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.is_empty() && !output.status.success() {
        eprintln!("this kdig can't do {options:?}: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(text)
}

#[test]
fn kdig_is_answered_over_tls_https_and_quic() {
    let rig = Rig::new();
    let mut ways = vec![
        (Scheme::Tls, vec!["+tls"]),
        (Scheme::Https, vec!["+https"]),
        (Scheme::Https, vec!["+https-get"]),
    ];
    if cfg!(feature = "quic") {
        ways.push((Scheme::Quic, vec!["+quic"]));
    }
    for (scheme, options) in ways {
        let Some(text) = kdig(&rig, scheme, &options) else { continue };
        assert!(text.contains("status: NOERROR"), "{options:?}: {text}");
        assert!(text.contains("10.0.0.1"), "{options:?}: {text}");
        // It pads its queries, so the reply is padded (RFC 8467).
        assert!(text.contains("PADDING") && text.contains("Received 468 B"), "{options:?}: {text}");
    }
}
