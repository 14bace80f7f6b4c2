//! From a store to bytes, a little at a time.

use std::io::{self, Write};

use super::record::{put_end, put_external, put_hosts, put_import, put_namespace, put_service};
use super::{About, SEAL};
use crate::store::{Store, identity};

/// What is written and sealed.
struct Sealing<'w, W> {
    /// Where it goes.
    out: &'w mut W,
    /// The seal so far.
    seal: ring::digest::Context,
    /// Bytes so far.
    bytes: u64,
    /// Records so far.
    records: u64,
    /// What is being made.
    scratch: Vec<u8>,
}

impl<W: Write> Sealing<'_, W> {
    /// Writes what was made.
    fn flush(&mut self) -> io::Result<()> {
        self.seal.update(&self.scratch);
        self.out.write_all(&self.scratch)?;
        self.bytes += u64::try_from(self.scratch.len()).unwrap_or(0);
        self.scratch.clear();
        Ok(())
    }

    /// Makes and writes one record.
    fn record(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        put(&mut self.scratch);
        self.records += 1;
        self.flush()
    }
}

/// Writes a snapshot of a store; `about` says where it comes from and when it was confirmed. Returns how many bytes it has.
///
/// Objects are written each as of the moment when it is reached, while others change. No lock is held while anything is
/// written; of Pods one part of 64 is copied at a time, of all else one record.
///
/// Errors: those of `out`.
pub fn write(store: &Store, mut about: About, out: &mut impl Write) -> io::Result<u64> {
    about.wanted = store.wanted();
    about.listed = store.vouched();
    about.cluster = store.cluster();
    about.serials = [store.serial(), store.imports().serial(), store.externals().serial()];
    about.key = identity::key();
    let seal = ring::digest::Context::new(&ring::digest::SHA256);
    let mut sealing = Sealing { out, seal, bytes: 0, records: 0, scratch: Vec::new() };
    about.put(&mut sealing.scratch);
    sealing.flush()?;
    for namespace in store.all_namespaces() {
        if namespace.exists() {
            sealing.record(|out| put_namespace(out, &namespace))?;
        }
    }
    let mut failed = None;
    store.services.each(|service| {
        if failed.is_none() {
            failed = sealing.record(|out| put_service(out, service)).err();
        }
    });
    failed.map_or(Ok(()), Err)?;
    for part in 0..store.pods().known().parts() {
        let mut copied = std::mem::take(&mut sealing.scratch);
        sealing.records += store.pods().known().put(part, &mut copied);
        sealing.scratch = copied;
        sealing.flush()?;
    }
    for import in store.imports().all() {
        sealing.record(|out| put_import(out, &import))?;
    }
    for (key, external) in store.externals().all() {
        sealing.record(|out| put_external(out, &key, &external))?;
    }
    for object in store.hosts().objects() {
        sealing.record(|out| put_hosts(out, &object))?;
    }
    put_end(&mut sealing.scratch, sealing.records);
    sealing.flush()?;
    let seal = sealing.seal.finish();
    sealing.out.write_all(seal.as_ref())?;
    Ok(sealing.bytes + SEAL as u64)
}
