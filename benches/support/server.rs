//! Servers on loopback ports: Avow itself, and bare actix handlers with as many workers.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use actix_web::dev::{Server as ActixServer, ServerHandle};
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use avow::config::settings::Settings;
use avow::config::sources::Sources;
use avow::log::keys::MasterKey;
use avow::service::Service;
use avow::stripe::secret::Secrets;

pub(crate) const SECRET: &str = "whsec_benchmark_secret";
pub(crate) const MASTER_KEY: &str =
    "5f2b9c04e17da386f0c4317b8e9256ad08e3d15b7fc96240a1be8d3372f60c59";
const WORKERS: usize = 2;

/// A server that ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts Avow with its default settings.
    pub(crate) fn avow(directory: &Path) -> Self {
        Self::avow_with(directory, |_| {})
    }

    /// Starts Avow with a log of its own options.
    pub(crate) fn avow_with(
        directory: &Path,
        change: impl FnOnce(&mut avow::log::Options),
    ) -> Self {
        let none = |_: &str| None;
        let sources = Sources {
            file: None,
            environment: &none,
            command_line: &[],
        };
        let settings = Settings::load(&sources).unwrap();
        let mut options = settings.service_options(
            Secrets::parse(SECRET).unwrap(),
            MasterKey::parse(MASTER_KEY).unwrap(),
            avow::system::fill_random,
            avow::system::now,
        );
        change(&mut options.log);
        let (service, _) = Service::open(directory, options).unwrap();
        service.wait_until_caught_up();
        let mut options = settings.http_options(avow::system::now);
        options.workers = WORKERS;
        Self::start(move |listener| {
            // Kept alive by the thread that serves, and closed when that ends.
            let service = Arc::new(service);
            (
                avow::http::serve(&service, &options, listener).unwrap(),
                Some(service),
            )
        })
    }

    /// Starts bare handlers.
    pub(crate) fn bare(routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Self {
        Self::start(move |listener| {
            let app = move || App::new().configure(routes.clone());
            let server = HttpServer::new(app).workers(WORKERS).disable_signals();
            (server.listen(listener).unwrap().run(), None)
        })
    }

    fn start(
        serve: impl FnOnce(TcpListener) -> (ActixServer, Option<Arc<Service>>) + Send + 'static,
    ) -> Self {
        avow::tls::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let (server, _service) = serve(listener);
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self {
            address,
            handle: receiver.recv().unwrap(),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(true));
        self.thread.take().unwrap().join().unwrap();
    }
}
