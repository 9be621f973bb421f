//! A service in this process: real sled, real sockets, in a folder of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use avow::config::settings::Settings;
use avow::config::sources::Sources;
use avow::http;
use avow::log::keys::MasterKey;
use avow::service::Service;
use avow::stripe::secret::Secrets;
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use state_machine::time::ReceivedAt;

use super::delivery::Delivery;

pub(crate) const SECRET: &str = "whsec_test_secret";
pub(crate) const MASTER_KEY: &str =
    "5f2b9c04e17da386f0c4317b8e9256ad08e3d15b7fc96240a1be8d3372f60c59";

/// A server that stops, and closes its log, when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    client: Client,
    stop: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server in `directory` with the default settings.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, |_| {})
    }

    /// Starts a server in `directory` under another master key.
    pub(crate) fn start_under(directory: &Path, master_key: &str) -> Self {
        Self::start_with_all(directory, (master_key, avow::system::now), |_| {})
    }

    /// Starts a server in `directory` by another clock.
    pub(crate) fn start_by(directory: &Path, clock: fn() -> ReceivedAt) -> Self {
        Self::start_with_all(directory, (MASTER_KEY, clock), |_| {})
    }

    /// Starts a server in `directory` with other settings.
    pub(crate) fn start_with(directory: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_all(directory, (MASTER_KEY, avow::system::now), change)
    }

    fn start_with_all(
        directory: &Path,
        (master_key, clock): (&str, fn() -> ReceivedAt),
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        avow::tls::install_provider();
        let mut settings = settings();
        change(&mut settings);

        let service = Arc::new(open(directory, (master_key, clock), &settings));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let options = settings.http_options(clock);
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = http::serve(&service, &options, listener).unwrap();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let client = Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            address,
            client,
            stop: receiver.recv().unwrap(),
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a delivery.
    pub(crate) fn deliver(&self, delivery: &Delivery) -> Response {
        let request = self
            .client
            .post(self.url("/webhooks/stripe"))
            .body(delivery.body.clone());
        request
            .header("Stripe-Signature", &delivery.header)
            .send()
            .unwrap()
    }

    /// Sends a delivery, and returns the entry that holds its event.
    pub(crate) fn record(&self, delivery: &Delivery) -> u64 {
        let response = self.deliver(delivery);
        assert_eq!(response.status(), 200);
        response.json::<Value>().unwrap()["sequence"]
            .as_u64()
            .unwrap()
    }

    /// Asks for a path of the test-mode world.
    pub(crate) fn get(&self, path: &str) -> Response {
        let joint = if path.contains('?') { '&' } else { '?' };
        self.client
            .get(self.url(&format!("{path}{joint}livemode=false")))
            .send()
            .unwrap()
    }

    /// Asks for a path of the test-mode world that has to be there.
    pub(crate) fn read(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(response.status(), 200, "{path}");
        response.json().unwrap()
    }

    /// Asks for a path that knows no worlds.
    pub(crate) fn get_plain(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().unwrap()
    }

    /// Asks for JSON under a path that knows no worlds.
    pub(crate) fn read_plain(&self, path: &str) -> Value {
        self.get_plain(path).json().unwrap()
    }

    /// States something of a session of the test-mode world.
    pub(crate) fn state(&self, session: &str, verb: &str, words: &Value) -> Response {
        let url = self.url(&format!("/v1/sessions/{session}/{verb}?livemode=false"));
        self.client.post(url).json(words).send().unwrap()
    }

    /// Makes an override of a user of the test-mode world, under an idempotency key if one is given.
    pub(crate) fn decide(&self, user: &str, wanted: &Value, key: Option<&str>) -> Response {
        let url = self.url(&format!("/v1/users/{user}/overrides?livemode=false"));
        let request = self.client.post(url).json(wanted);
        let key = key.iter();
        key.fold(request, |request, key| {
            request.header("Idempotency-Key", *key)
        })
        .send()
        .unwrap()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.stop(true));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Opens the service of a directory that no server holds, as a server would.
pub(crate) fn open_service(directory: &Path) -> Service {
    open_service_of(directory, MASTER_KEY)
}

/// Opens the service of a directory whose master key is another.
pub(crate) fn open_service_of(directory: &Path, master_key: &str) -> Service {
    open(directory, (master_key, avow::system::now), &settings())
}

/// Returns the defaults, with small files.
pub(crate) fn settings() -> Settings {
    let none = |_: &str| None;
    let sources = Sources {
        file: None,
        environment: &none,
        command_line: &[],
    };
    let mut settings = Settings::load(&sources).unwrap();
    settings.log.journal_segment_bytes = 1 << 20;
    settings.log.ballast_bytes = 0;
    settings.log.disk_free_bytes_min = 1 << 20;
    settings.http.workers = Some(1);
    settings
}

fn open(
    directory: &Path,
    (master_key, clock): (&str, fn() -> ReceivedAt),
    settings: &Settings,
) -> Service {
    let mut options = settings.service_options(
        Secrets::parse(SECRET).unwrap(),
        MasterKey::parse(master_key).unwrap(),
        avow::system::fill_random,
        clock,
    );
    options.resumes_rebuilds = true;
    let (service, _) = Service::open(directory, options).unwrap();
    service.wait_until_caught_up();
    service
}
