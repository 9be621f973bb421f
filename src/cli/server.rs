//! The whole server in one function: configuration → service → HTTP, until it is asked to stop.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::rt::{System, SystemRunner};
use anyhow::Context;

use super::signal::HangUps;
use super::sources::SourceArguments;
use super::{reload, reloaded};
use crate::config::Configuration;
use crate::service::Service;
use crate::tls::certificate::Certificate;
use crate::witness::submitter::Submitter;
use crate::{http, system};

/// Serves until what `stop` returns has ended. `started` is told the address once connections are accepted there; by
/// then `stop` was called, so that no wish to stop is missed. What changes in `sources` is taken anew while it serves.
pub(super) fn run<Stopped: Future<Output = ()>>(
    configuration: Configuration,
    sources: Option<&SourceArguments>,
    started: impl FnOnce(SocketAddr) -> io::Result<()>,
    stop: impl FnOnce() -> io::Result<Stopped>,
) -> anyhow::Result<()> {
    let runner = System::new();
    // Before the data are opened, which may take a while: until then SIGHUP would end the process.
    let hang_ups = runner.block_on(async { HangUps::listen() })?;
    let Configuration {
        settings,
        data_dir,
        webhook_secrets,
        master_key,
        tokens,
        certificate,
        witnesses,
    } = configuration;
    let certificate = certificate.map(Certificate::new);
    let admission = Arc::new(settings.admission(tokens));
    if !admission.has_register() {
        tracing::info!(
            listen = %settings.server.listen,
            "there are no access tokens: whoever reaches this address is admitted to everything; \
             `avow tokens create` makes one"
        );
    }
    let mut options = settings.service_options(
        webhook_secrets,
        master_key,
        system::fill_random,
        system::now,
    );
    options.records_policy = true;
    options.resumes_rebuilds = true;
    let (service, repairs) = Service::open(&data_dir, options)
        .with_context(|| format!("cannot open the data in {}", data_dir.display()))?;
    let warn = |repair: &String| tracing::warn!("{repair}");
    repairs.iter().for_each(warn);
    let service = Arc::new(service);
    let submitter =
        witnesses.map(|policy| Submitter::new(service.log(), &policy, &settings.witness));
    let submitter = submitter
        .transpose()
        .context("the witnesses cannot be asked")?;

    let parts = reloaded::Running {
        settings: &settings,
        sources,
        service: &service,
        admission: &admission,
        certificate: certificate.as_ref(),
    }
    .parts();
    let options = http::Options {
        admission: Arc::clone(&admission),
        certificate: certificate.clone(),
        ..settings.http_options(system::now)
    };
    serve(
        &runner,
        settings.server.listen,
        |listener| http::serve(&service, &options, listener),
        async {
            let witnessing = async {
                match submitter {
                    Some(submitter) => submitter.run().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                never = witnessing => never,
                never = reload::run(parts, hang_ups) => never,
            }
        },
        started,
        stop,
    )
    // The service ends here, on this thread: its log commits and answers what it had accepted, and syncs.
}

/// Serves on an address, with `beside` running, until what `stop` returns has ended; open requests then end.
pub(super) fn serve<Stopped: Future<Output = ()>>(
    runner: &SystemRunner,
    listen: SocketAddr,
    server: impl FnOnce(TcpListener) -> io::Result<Server>,
    beside: impl Future<Output = Infallible>,
    started: impl FnOnce(SocketAddr) -> io::Result<()>,
    stop: impl FnOnce() -> io::Result<Stopped>,
) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    runner.block_on(async {
        let stopped = stop()?;
        let server = server(listener)?;
        let handle = server.handle();
        let mut serving = tokio::spawn(server);
        started(address)?;
        tracing::info!(%address, "serving");
        tokio::select! {
            () = stopped => {}
            ended = &mut serving => {
                ended??;
                anyhow::bail!("the server ended by itself");
            }
            never = beside => match never {},
        }
        tracing::info!("stopping: no new connections, open requests end");
        handle.stop(true).await;
        anyhow::Ok(serving.await??)
    })
}
