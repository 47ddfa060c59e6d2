//! The octets under a WebSocket: a socket in two halves, and TLS between them where there is TLS.
//!
//! In: what hyper lets go of. Out: a half that is read by the socket's own task, and one on which anybody may send
//! without waiting. Never here: a frame.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::net::SendFlags;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio::runtime::Handle;
use tokio_rustls::server::TlsStream;

/// Octets that TLS may hold for a socket that takes no more; what comes on top waits unencrypted, shared by all.
const TLS_HOLDS: usize = 16 << 10;

/// A connection that hyper has let go of.
pub(super) struct Stream {
    pub ears: Ears,
    pub mouth: Mouth,
    pub cipher: Cipher,
    /// What came behind the request's head.
    pub early: Bytes,
}

impl Stream {
    /// From now on `inside` looks after it. None for a connection of a kind that no door here opens, or one that the
    /// kernel takes no more.
    pub(super) fn of(upgraded: Upgraded, inside: &Handle) -> Option<Self> {
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => {
                let tcp = moved(parts.io.into_inner(), inside).ok()?;
                return Some(Self::tcp(tcp, Cipher(None), parts.read_buf));
            }
            Err(upgraded) => upgraded,
        };
        let upgraded = match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
            Ok(parts) => {
                let (tcp, mut tls) = parts.io.into_inner().into_inner();
                tls.set_buffer_limit(Some(TLS_HOLDS));
                let tcp = moved(tcp, inside).ok()?;
                return Some(Self::tcp(tcp, Cipher(Some(Box::new(tls))), parts.read_buf));
            }
            Err(upgraded) => upgraded,
        };
        let parts = upgraded.downcast::<TokioIo<UnixStream>>().ok()?;
        let (ears, mouth) = parts.io.into_inner().into_split();
        let (ears, mouth) = (Ears::Unix(ears), Mouth::new(Half::Unix(mouth)));
        Some(Self { ears, mouth, cipher: Cipher(None), early: parts.read_buf })
    }

    fn tcp(stream: TcpStream, cipher: Cipher, early: Bytes) -> Self {
        let (ears, mouth) = stream.into_split();
        Self { ears: Ears::Tcp(ears), mouth: Mouth::new(Half::Tcp(mouth)), cipher, early }
    }
}

fn moved(stream: TcpStream, to: &Handle) -> io::Result<TcpStream> {
    let stream = stream.into_std()?;
    let _there = to.enter();
    TcpStream::from_std(stream)
}

/// The half that is read.
pub(super) enum Ears {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

impl Ears {
    /// Reads once; nothing in the buffer is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buffer),
            Self::Unix(half) => Pin::new(half).poll_read(cx, buffer),
        }
    }
}

/// The half that is written. It shuts the connection for writing when it is dropped.
#[derive(Debug)]
pub(super) struct Mouth {
    half: Half,
    /// The socket's, which the half keeps open.
    number: RawFd,
}

#[derive(Debug)]
pub(super) enum Half {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl Mouth {
    pub(super) fn new(half: Half) -> Self {
        let number = match &half {
            Half::Tcp(half) => half.as_ref().as_raw_fd(),
            Half::Unix(half) => half.as_ref().as_raw_fd(),
        };
        Self { half, number }
    }

    /// Waits until there may be room.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match &self.half {
            Half::Tcp(half) => half.writable().await,
            Half::Unix(half) => half.writable().await,
        }
    }

    #[expect(
        unsafe_code,
        reason = "the way to it through the runtime is two far reads for every socket of a crowd"
    )]
    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: the half is never replaced, and keeps its socket open for as long as it is there.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}

impl Write for &Mouth {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &self.half {
            Half::Tcp(half) => half.try_write(octets),
            Half::Unix(half) => half.try_write(octets),
        }
    }
    fn write_vectored(&mut self, octets: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match &self.half {
            Half::Tcp(half) => half.try_write_vectored(octets),
            Half::Unix(half) => half.try_write_vectored(octets),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same without a look at what the runtime remembers of the socket, which is far memory for every one of thousands.
/// Whoever finds it full this way writes on the [`Mouth`] itself before waiting for room.
pub(super) struct AtOnce<'a>(pub &'a Mouth);

impl Write for AtOnce<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let socket = self.0.socket();
        Ok(rustix::net::send(socket, octets, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is between words and octets: TLS, or nothing.
#[derive(Debug, Default)]
pub(super) struct Cipher(Option<Box<ServerConnection>>);

impl Cipher {
    /// Sends what the socket takes now, and says how much of `octets` needs no second try: encrypted octets are on
    /// their way even where [`Cipher::flush`] has to see to them.
    pub(super) fn send(&mut self, mut mouth: impl Write, octets: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.0 else { return unless_full(mouth.write(octets)) };
        let taken = tls.writer().write(octets)?;
        self.flush(mouth)?;
        Ok(taken)
    }

    /// Sends what is encrypted, and says whether all of it has gone.
    pub(super) fn flush(&mut self, mut mouth: impl Write) -> io::Result<bool> {
        let Some(tls) = &mut self.0 else { return Ok(true) };
        while tls.wants_write() {
            if unless_full(tls.write_tls(&mut mouth))? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether encrypted octets wait.
    pub(super) fn holds_octets(&self) -> bool {
        self.0.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Decrypts what was read, and hands over what comes of it, piece by piece.
    pub(super) fn open(
        &mut self,
        mut octets: &[u8],
        mut hear: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let Some(tls) = &mut self.0 else {
            hear(octets);
            return Ok(());
        };
        let mut plain = [0; 2048];
        loop {
            match tls.reader().read(&mut plain) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    hear(&plain[..length]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if octets.is_empty() {
                return Ok(());
            }
            tls.read_tls(&mut octets)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

/// A socket that takes nothing now has taken nothing.
fn unless_full(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}
