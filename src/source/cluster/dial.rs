//! Connections that somebody else makes: a network in memory in place of the kernel's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use tokio::io::{AsyncRead, AsyncWrite};

use super::access::wrap;

/// A connection that was made.
pub type Dialled = Pin<Box<dyn Future<Output = io::Result<Box<dyn Pipe>>> + Send>>;

/// Bytes both ways.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// Makes connections to an API server; nothing is encrypted on them.
pub trait Dial: Send + Sync {
    /// Makes one. Errors: there is nobody there.
    fn dial(&self, to: &Uri) -> Dialled;
}

/// A connection as hyper wants it.
pub(super) struct Road(TokioIo<Box<dyn Pipe>>);

impl Connection for Road {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Road {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl hyper::rt::Write for Road {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Makes connections for hyper.
#[derive(Clone)]
struct Connector(Arc<dyn Dial>);

impl tower::Service<Uri> for Connector {
    type Response = Road;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Road>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let dialled = self.0.dial(&to);
        Box::pin(async move { Ok(Road(TokioIo::new(dialled.await?))) })
    }
}

/// A client whose connections `dial` makes.
pub(super) fn build(config: &Config, dial: Arc<dyn Dial>) -> kube::Result<Client> {
    wrap(config, Connector(dial))
}
