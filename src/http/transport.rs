//! The bytes of a connection: in clear, or over TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection that was accepted.
pub(super) enum Transport {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Makes of a connection one that speaks HTTP: with a server's TLS, after the handshake, which has so long.
pub(super) async fn accept(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    handshake: Duration,
) -> io::Result<Transport> {
    // An answer is written whole; to wait for more to go with it would only delay it.
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Transport::Clear(stream));
    };
    let accepted = timeout(handshake, TlsAcceptor::from(tls).accept(stream)).await;
    match accepted {
        Ok(accepted) => accepted.map(Box::new).map(Transport::Secure),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
