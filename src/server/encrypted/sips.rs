//! A stream that is read in small sips.
//!
//! HTTP/1.1's library reads as much as its buffer has room for, and makes that larger when it was full: 24 KiB of each connection whose client
//! sends much. Who is given less never fills it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that one read brings. Unit: bytes.
const SIP: usize = 4096;

/// A stream that is read in small sips.
pub(super) struct Sips<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for Sips<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = into.remaining().min(SIP);
        let mut sip = ReadBuf::new(into.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.0).poll_read(context, &mut sip))?;
        let came = sip.filled().len();
        into.advance(came);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sips<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn all_comes_through_in_pieces_and_goes_back_whole() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(3 * SIP);
            let mut sips = Sips(near);
            let sent: Vec<u8> = (0..10_000_u32).map(|number| number.to_le_bytes()[0]).collect();
            far.write_all(&sent).await.unwrap();
            let mut room = vec![0; 10_000];
            let first = sips.read(&mut room).await.unwrap();
            assert_eq!(first, SIP, "however much room there is");
            assert_eq!(
                sips.read(&mut room[first..first + 10]).await.unwrap(),
                10,
                "no more than there is room"
            );
            sips.read_exact(&mut room[first + 10..]).await.unwrap();
            assert_eq!(room, sent);
            sips.write_all(&sent).await.unwrap();
            sips.shutdown().await.unwrap();
            let mut back = Vec::new();
            far.read_to_end(&mut back).await.unwrap();
            assert_eq!(back, sent);
        });
    }
}
