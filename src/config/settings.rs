//! Every setting, declared once. A new one is one entry of this table and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;

use state_machine::id::{AccountId, ErrorCode};
use state_machine::retry::policy::ErrorClass;

use super::declaration::{Accepts, Declaration, bytes, count, seconds};
use super::error::ConfigurationError;
use super::sources::Values;
use super::value::{HttpUrl, TraceFilter, TraceFormat};
use crate::access::address::Network;
use crate::log::JournalRetention;
use crate::stripe::user_reference::UserReferenceSource;
use crate::transparency::key::KeyName;

/// Turns the table into one struct for each section, [`Settings`] over them, and [`SECTIONS`] and [`DECLARATIONS`].
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident = $prefix:literal {$(
            $(#[doc = $doc:literal])+
            $field:ident: $Type:ty = $default:literal, $accepts:expr;
        )+}
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone)]
            pub struct $Section {$(
                $(#[doc = $doc])+
                pub $field: $Type,
            )+}
        )+

        /// Every setting but the secrets.
        #[derive(Debug, Clone)]
        pub struct Settings {$(
            $(#[doc = $section_doc])+
            pub $section: $Section,
        )+}

        impl Settings {
            /// Gives every value its type, or names the first that has none.
            pub(super) fn from_values(values: &Values) -> Result<Self, ConfigurationError> {
                Ok(Self {$(
                    $section: $Section {$(
                        $field: values.typed(concat!($prefix, stringify!($field)))?,
                    )+},
                )+})
            }
        }

        /// The sections in the order of the reference: name (empty for the first) and meaning.
        pub const SECTIONS: &[(&str, &str)] =
            &[$((trim_dot($prefix), concat!($($section_doc, "\n"),+))),+];

        /// The settings in the order of the reference; the secrets are declared beside what reads them.
        pub const DECLARATIONS: &[Declaration] = &[$($(
            Declaration {
                key: concat!($prefix, stringify!($field)),
                default: $default,
                accepts: $accepts,
                doc: concat!($($doc, "\n"),+),
            },
        )+)+];
    };
}

const fn trim_dot(prefix: &'static str) -> &'static str {
    match prefix.as_bytes() {
        [name @ .., b'.'] => match std::str::from_utf8(name) {
            Ok(name) => name,
            Err(_) => prefix,
        },
        _ => prefix,
    }
}

settings! {
    /// What the service needs before all else.
    server: Server = "" {
        /// The address and port to serve on; port 0 takes any free one. While there are no access tokens, only a
        /// loopback address is accepted, unless `allow_unauthenticated_network` is set.
        listen: SocketAddr = r#""127.0.0.1:8790""#, Accepts::Text("an IP address and a port, such as `127.0.0.1:8790`");
        /// Serves on an address that other machines reach, **without any authentication**: whoever reaches the port
        /// reads every user's standing, and erases it. Set it only where something in front admits nobody but your own
        /// services and lets Stripe reach `/webhooks/stripe` alone. It means nothing once there are access tokens.
        allow_unauthenticated_network: bool = "false", Accepts::Boolean;
        /// The directory that holds the log and the projections. `avow serve` requires it, and creates it if need be.
        data_dir: Option<PathBuf> = "", Accepts::Text("the path of a directory");
        /// A file with the master key (64 hexadecimal digits), instead of `AVOW_MASTER_KEY`. It must lie outside
        /// `data_dir`, so that a copy of the data does not hold its key, and be readable by its owner alone.
        /// `avow keys generate --out FILE` makes one.
        master_key_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
    }
    /// What Stripe sends.
    webhook: Webhook = "webhook." {
        /// A file with the endpoint's signing secrets, one a line, instead of `AVOW_WEBHOOK_SECRETS`.
        secrets_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
        /// How old a signature may be. Stripe's own libraries use 300; more gives a replayed request more time.
        tolerance_seconds: u32 = "300", seconds(1, 86_400);
        /// How large a body may be; a larger one is answered 413.
        body_bytes_max: usize = "524288", bytes(1 << 14, 1 << 22);
        /// Where a session names its user, in order of precedence: the first source that holds a text wins.
        user_reference_sources: Vec<UserReferenceSource> = r#"["metadata.user_id", "client_reference_id", "related_customer"]"#,
            Accepts::List("a list of `metadata.KEY`, `client_reference_id` and `related_customer`, at least one");
    }
    /// Which world a request means that names none. Worlds share nothing: a test-mode `verified` never verifies a live
    /// user.
    default_world: DefaultWorld = "default_world." {
        /// Stripe's `livemode`.
        livemode: bool = "true", Accepts::Boolean;
        /// The connected account; none means the platform's own.
        account: Option<AccountId> = "", Accepts::Text("the id of a connected account, such as `acct_…`");
    }
    /// When a user may try again. Every decision names the policy that made it. The log records each one
    /// that comes into force, so that what was decided can be decided again.
    retry: Retry = "retry." {
        /// How many counted attempts the window may hold.
        attempts_max: u32 = "5", count(1, 1_000, "attempts");
        /// How long an attempt counts.
        window_seconds: u32 = "86400", seconds(60, 31_536_000);
        /// How long a user waits after a counted failure; 0 for not at all.
        cooldown_seconds: u32 = "0", seconds(0, 2_592_000);
        /// By how much each further failure in the window multiplies the wait; 1 for a constant one.
        cooldown_factor: u32 = "1", count(1, 100, "times");
        /// The longest wait, however many failures there were.
        cooldown_max_seconds: u32 = "86400", seconds(0, 31_536_000);
        /// What each error code of Stripe's means for another try: `final` (never again), `alternative` (offer another
        /// channel), `uncounted` (costs no attempt) or `counted`, which holds for every code that is not listed. The
        /// table replaces the default one as a whole.
        classes: BTreeMap<ErrorCode, ErrorClass> = r#"{ under_supported_age = "final", consent_declined = "alternative", country_not_supported = "alternative", abandoned = "uncounted", device_not_supported = "uncounted", email_verification_declined = "uncounted", phone_verification_declined = "uncounted" }"#,
            Accepts::Table("a table from error codes to `final`, `alternative`, `uncounted` or `counted`");
    }
    /// The log: the ground truth, in `data_dir`.
    log: Log = "log." {
        /// How many entries may wait to be committed; beyond that a delivery is answered 503, and Stripe tries again.
        queue_entries_max: usize = "4096", count(1, 65_536, "entries");
        /// How many entries one commit may hold.
        group_entries_max: usize = "1024", count(1, 65_536, "entries");
        /// The size of one journal segment. The next one is made ahead, of zeros, once the log grows.
        journal_segment_bytes: u64 = "67108864", bytes(1 << 23, 1 << 30);
        /// How long the journal is kept: `whole` keeps it for good, as second copy, repair source and backup in one;
        /// `until_sled_is_durable` halves the disk space and gives that up.
        journal_retention: JournalRetention = r#""whole""#, Accepts::OneOf(&["whole", "until_sled_is_durable"]);
        /// How much memory sled may use for its page cache.
        sled_cache_bytes: u64 = "67108864", bytes(1 << 23, 1 << 36);
        /// How much memory the index of event ids may use for its cache.
        index_cache_bytes: u64 = "33554432", bytes(1 << 20, 1 << 36);
        /// Writes stop, and are answered 503, while less than this is free on the disk: a full disk cannot be opened.
        disk_free_bytes_min: u64 = "268435456", bytes(1 << 20, 1 << 40);
        /// The size of a file that does nothing but hold space: delete it to get a full disk open again. 0 for none.
        ballast_bytes: u64 = "67108864", bytes(0, 1 << 36);
        /// The name under which the log signs its checkpoints: best a domain of your own with a path, such as
        /// `example.com/avow`. Auditors and witnesses know the log by it, so that it is not to be changed: a log whose
        /// checkpoints carry another name does not open. Unset, it is made of the log's random id.
        origin: Option<KeyName> = "", Accepts::Text("a name without spaces and plus signs, such as `example.com/avow`");
    }
    /// The projections: derived from the log, disposable, in `data_dir`.
    projections: Projections = "projections." {
        /// How much memory they may use for their cache.
        cache_bytes: u64 = "67108864", bytes(1 << 20, 1 << 36);
        /// How many users are kept in memory as they were read last, some kilobytes each.
        users_cached_max: usize = "16384", count(16, 10_000_000, "users");
    }
    /// Who is admitted: see `docs/access.md`.
    access: Access = "access." {
        /// The file of the access tokens, which `avow tokens` writes; unset, `tokens.json` in `data_dir`. As long as it
        /// is not there, nobody needs a token. Once it is, everybody does, even if there is none in it.
        tokens_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
        /// Lets everybody have checkpoints, tiles and proofs, with which anybody can audit the log, without a token.
        /// They hold no personal data, but how many entries there are, when they came and of which type.
        public_evidence: bool = "false", Accepts::Boolean;
        /// Lets everybody have `/metrics` without a token.
        public_metrics: bool = "false", Accepts::Boolean;
    }
    /// TLS, in version 1.2 or 1.3. A server without a certificate speaks plain HTTP.
    tls: Tls = "tls." {
        /// A file with the certificate of the server and its chain (PEM). When it changes, new connections get the new
        /// one, and those that are open stay. It needs `tls.key_file`.
        certificate_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
        /// A file with the key of the certificate (PEM).
        key_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
    }
    /// The HTTP server.
    http: Http = "http." {
        /// How many threads serve requests; unset, one for each core.
        workers: Option<usize> = "", count(1, 256, "threads");
        /// How many connections may be open at once; further ones wait to be accepted.
        connections_max: usize = "1024", count(1, 65_536, "connections");
        /// How long a client may take to send the head of a request, and for the handshake of TLS.
        head_timeout_seconds: u64 = "5", seconds(1, 60);
        /// How long a client may take to send the body of a request.
        body_timeout_seconds: u64 = "10", seconds(1, 60);
        /// How long a client may take to take some more of an answer.
        write_timeout_seconds: u64 = "30", seconds(1, 600);
        /// How long a connection without a request stays open.
        keep_alive_seconds: u64 = "15", seconds(1, 600);
        /// How long a request with `min_sequence` waits at most for the projections to get there.
        min_sequence_wait_seconds_max: u64 = "5", seconds(0, 60);
        /// How many elements a list holds that asks for no `limit`.
        list_limit_default: usize = "10", count(1, 1_000, "elements");
        /// The greatest `limit` of a list.
        list_limit_max: usize = "100", count(1, 1_000, "elements");
        /// Proxies whose word for the address of a client is taken, from `X-Forwarded-For`. Whoever is not among them can
        /// write there what they like.
        trusted_proxies: Vec<Network> = "[]", Accepts::List("a list of IP addresses and networks, such as `10.0.0.0/8`");
        /// How long open requests may take to end once the service was asked to stop.
        shutdown_seconds: u64 = "30", seconds(1, 300);
    }
    /// How often what may be asked. Whoever asks more often is answered 429 with `Retry-After`. This machine, and
    /// deliveries that Stripe signed, are never asked too often by their address.
    limits: Limits = "limits." {
        /// How many requests with one access token a second, evenly; twice as many may come at once. 0 for no limit.
        token_requests_per_second: u32 = "2000", count(0, 1_000_000, "requests");
        /// How many requests without a token a second from one address, evenly; twice as many may come at once. 0 for no
        /// limit. An IPv6 network of 64 bits is one address.
        address_requests_per_second: u32 = "50", count(0, 1_000_000, "requests");
        /// How many refused tokens and deliveries that were not authentic a minute from one address are told why; all of
        /// them may come at once. 0 for no limit. Good ones from the same address pass.
        address_failures_per_minute: u32 = "60", count(0, 1_000_000, "failures");
        /// How many addresses are remembered, some hundred bytes each; those that were idle longest are forgotten first.
        addresses_max: NonZero<usize> = "16384", count(16, 10_000_000, "addresses");
    }
    /// The witnesses, who cosign the log's checkpoints: see `docs/witnessing.md`.
    witness: Witness = "witness." {
        /// A file that says whom to ask and what is enough, in C2SP's format `tlog-policy`; each witness that is to be
        /// asked has a URL in it. Unset, nobody is asked.
        policy_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
        /// A file with the certificates (PEM) of the authorities that are trusted to say who a witness with an `https` URL
        /// is; unset, those that this machine trusts.
        ca_file: Option<PathBuf> = "", Accepts::Text("the path of a file");
        /// How often the latest checkpoint is submitted to those who have not cosigned it yet. A cosigned one stays
        /// published for a minute while the log grows, so that a round may fail unnoticed.
        submit_interval_seconds: u64 = "5", seconds(1, 30);
        /// How long a witness may take to answer; no longer than `witness.submit_interval_seconds`.
        timeout_seconds: u64 = "5", seconds(1, 30);
    }
    /// Diagnostics, on standard error; and traces.
    trace: Trace = "trace." {
        /// How they are written: for people, or as one JSON object a line.
        format: TraceFormat = r#""human""#, Accepts::OneOf(&["human", "json"]);
        /// Which are written: `error`, `warn`, `info`, `debug` or `trace`, for all or for parts (`info,avow::http=debug`).
        filter: TraceFilter = r#""warn,avow=info""#, Accepts::Text("a level or a list of `target=level`, such as `info,avow::http=debug`");
        /// Where spans of each delivery are sent: the base URL of an OpenTelemetry collector that takes OTLP over HTTP,
        /// such as `http://127.0.0.1:4318`. They hold no personal data. Unset, nothing is sent and nothing measured.
        otlp_endpoint: Option<HttpUrl> = "", Accepts::Text("a URL of the form `http://HOST[:PORT]` or `https://HOST[:PORT]`");
        /// Of how many deliveries in a hundred.
        otlp_sampled_percent: u32 = "100", count(1, 100, "percent");
    }
}
