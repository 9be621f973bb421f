//! From a listener to the paths: connections are accepted, speak TLS or not, and have deadlines.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, Service, ServiceFactory};
use actix_web::rt::net::TcpStream;

use super::Options;
use super::aside::THREADS_PER_WORKER;
use super::connection::{Patience, Timed};
use super::transport::{Transport, accept};
use crate::tls::certificate::Certificate;

/// How long the rest of a request is read, to be thrown away, whose answer was sent before it was whole.
const LINGER: Duration = Duration::from_secs(1);

/// Starts to serve an application, as `HttpServer` would; that one lets nobody see the bytes of a connection.
pub(super) fn run<F, I, S, B>(
    app: F,
    options: &Options,
    listener: TcpListener,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let tls = options.certificate.as_ref().map(Certificate::server_config);
    let tls = tls.transpose().map_err(io::Error::other)?.map(Arc::new);
    let Options {
        head_timeout,
        keep_alive,
        ..
    } = *options;
    let patience = Patience {
        head: head_timeout,
        idle: keep_alive,
        write: options.write_timeout,
    };
    let builder = ServerBuilder::default()
        .workers(options.workers)
        .worker_max_blocking_threads(THREADS_PER_WORKER)
        .max_concurrent_connections(options.connections_per_worker_max)
        .shutdown_timeout(options.shutdown.as_secs())
        .disable_signals();
    let draining = builder.graceful_shutdown_signal();
    let builder = builder.listen("avow", listener, move || {
        let draining = draining.clone();
        let app = app()
            .into_factory()
            .map_err(|error| error.into().error_response());
        let http = HttpService::<Timed<Transport>, _, B>::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(keep_alive)
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|stream: &Timed<Transport>, data| {
                data.insert(Rc::clone(stream.connection()));
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let tls = tls.clone();
        fn_service(move |stream: TcpStream| {
            let tls = tls.clone();
            async move {
                let peer = stream.peer_addr().ok();
                let transport = accept(stream, tls, head_timeout).await;
                let transport = transport.map_err(DispatchError::Io)?;
                Ok((Timed::new(transport, patience), peer))
            }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}
