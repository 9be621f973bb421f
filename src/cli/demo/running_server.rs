//! The real server, on a thread of this process.

use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use anyhow::anyhow;
use tokio::sync::oneshot;

use crate::cli::server;
use crate::config::Configuration;

/// A server that serves until it is stopped.
pub(super) struct RunningServer {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl RunningServer {
    pub(super) async fn start(configuration: Configuration) -> anyhow::Result<Self> {
        let (started, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("avow-demo-server".to_owned())
            .spawn(move || {
                let started = |address| {
                    started
                        .send(address)
                        .map_err(|_| io::Error::other("the demo has ended"))
                };
                server::run(configuration, None, started, || {
                    Ok(async { drop(stopped.await) })
                })
            })?;
        match address.await {
            Ok(address) => Ok(Self {
                address,
                stop,
                thread,
            }),
            Err(_) => Err(joined(thread)
                .err()
                .unwrap_or_else(|| anyhow!("the server did not start"))),
        }
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        joined(self.thread)
    }
}

fn joined(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    thread
        .join()
        .map_err(|_| anyhow!("the server's thread panicked"))?
}
