//! The configuration: what is taken from where, what is refused, and in which words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use avow::config::error::ConfigurationError;
use avow::config::settings::{DECLARATIONS, SECTIONS, Settings};
use avow::config::sources::Sources;
use avow::config::{Configuration, declarations, reference};
use avow::stripe::user_reference::UserReferenceSource;
use state_machine::retry::policy::Policy;
use tempfile::TempDir;

const MASTER_KEY: &str = "8f1e0c5d7b3a49268d04c7e1f5a2b96370d8e4c1a95b2f7613e8d0c4b7a96f52";
const SECRETS: &str = "whsec_0123456789abcdef,whsec_fedcba9876543210";

/// What a configuration is read from.
#[derive(Default, Clone)]
struct Given<'a> {
    file: &'a str,
    environment: Vec<(&'a str, &'a str)>,
    set: Vec<&'a str>,
}

impl Given<'_> {
    fn read<T>(&self, read: impl FnOnce(&Sources<'_>) -> T) -> T {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("avow.toml");
        fs::write(&path, self.file).unwrap();
        let set: Vec<String> = self.set.iter().map(ToString::to_string).collect();
        let environment = |name: &str| {
            let found = self.environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_string())
        };
        read(&Sources {
            file: (!self.file.is_empty()).then_some(&path),
            environment: &environment,
            command_line: &set,
        })
    }

    fn settings(&self) -> Result<Settings, ConfigurationError> {
        self.read(Settings::load)
    }

    /// Returns the refusal, with the path of the file shortened to its name.
    fn refusal(&self) -> String {
        let error = self
            .read(Configuration::load)
            .err()
            .expect("the configuration is accepted");
        let text = format!("{:#}", anyhow::Error::from(error));
        let from_file = text.find("avow.toml").filter(|_| text.starts_with('/'));
        text[from_file.unwrap_or(0)..].to_owned()
    }
}

fn file(file: &str) -> Given<'_> {
    Given {
        file,
        ..Given::default()
    }
}

fn environment<'a>(environment: &[(&'a str, &'a str)]) -> Given<'a> {
    Given {
        environment: environment.to_vec(),
        ..Given::default()
    }
}

fn set<'a>(set: &[&'a str]) -> Given<'a> {
    Given {
        set: set.to_vec(),
        ..Given::default()
    }
}

#[test]
fn the_environment_stands_above_the_file_and_flags_above_both() {
    let given = Given {
        file: "[retry]\nattempts_max = 2\nwindow_seconds = 200\ncooldown_seconds = 20",
        environment: vec![
            ("AVOW_RETRY_WINDOW_SECONDS", "300"),
            ("AVOW_RETRY_COOLDOWN_SECONDS", "30"),
        ],
        set: vec!["retry.cooldown_seconds=40"],
    };

    let retry = given.settings().unwrap().retry;

    assert_eq!(retry.attempts_max, 2, "from the file");
    assert_eq!(retry.window_seconds, 300, "from the environment");
    assert_eq!(retry.cooldown_seconds, 40, "from the command line");
    assert_eq!(retry.cooldown_factor, 1, "from the default");
}

#[test]
fn a_later_flag_wins() {
    let settings = set(&["retry.attempts_max=2", "retry.attempts_max=3"])
        .settings()
        .unwrap();

    assert_eq!(settings.retry.attempts_max, 3);
}

#[test]
fn the_defaults_are_those_of_the_floors_below() {
    let settings = Given::default().settings().unwrap();

    assert_eq!(settings.retry_policy(), Policy::default());
    assert_eq!(
        settings.webhook.user_reference_sources,
        UserReferenceSource::defaults()
    );
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8790");
    assert_eq!(settings.webhook.body_bytes_max, 512 * 1024);
    assert_eq!(settings.webhook.tolerance_seconds, 300);
    assert!(settings.default_world().livemode);
}

#[test]
fn lists_and_tables_are_written_with_commas_in_the_environment() {
    let settings = environment(&[
        (
            "AVOW_WEBHOOK_USER_REFERENCE_SOURCES",
            "metadata.customer, client_reference_id",
        ),
        (
            "AVOW_RETRY_CLASSES",
            "document_expired = final, abandoned=counted",
        ),
    ])
    .settings()
    .unwrap();

    let classes: Vec<String> = settings
        .retry
        .classes
        .iter()
        .map(|(code, class)| format!("{code}={}", class.as_str()))
        .collect();
    assert_eq!(classes, ["abandoned=counted", "document_expired=final"]);
    assert_eq!(
        settings.webhook.user_reference_sources,
        [
            UserReferenceSource::Metadata("customer".into()),
            UserReferenceSource::ClientReferenceId
        ]
    );
}

#[test]
fn a_policy_names_as_many_error_codes_as_an_entry_of_the_log_can_hold() {
    let naming = |count: usize| {
        let codes = (0..count).map(|number| format!("code_{number} = \"final\"\n"));
        format!("[retry.classes]\n{}", codes.collect::<String>())
    };

    let taken = file(&naming(128)).settings().unwrap();
    let refused = file(&naming(129)).settings().err().unwrap();

    assert_eq!(taken.retry.classes.len(), 128);
    assert_eq!(
        refused.to_string(),
        "`retry.classes` lists 129 error codes, more than 128"
    );
}

#[test]
#[rustfmt::skip] // a table is read by its lines
fn a_refusal_names_the_setting_and_its_bounds_and_says_what_to_do() {
    let rows = [
        (set(&["retry.attempts_max=0"]), "the command line sets `retry.attempts_max` to 0; give a whole number of attempts from 1 to 1000"),
        (set(&["retry.attempts_max=1001"]), "the command line sets `retry.attempts_max` to 1001; give a whole number of attempts from 1 to 1000"),
        (set(&["retry.attempts_max=many"]), "the command line sets `retry.attempts_max` to \"many\"; give a whole number of attempts from 1 to 1000"),
        (set(&["retry.attempts=5"]), "the command line sets `retry.attempts`, which is no setting; `avow config --reference` lists them all"),
        (set(&["retry.attempts_max"]), "`--set` names no value; write `--set KEY=VALUE`"),
        (environment(&[("AVOW_LOG_SLED_CACHE_BYTES", "5")]), "AVOW_LOG_SLED_CACHE_BYTES sets `log.sled_cache_bytes` to 5; give a whole number of bytes from 8388608 (8 MiB) to 68719476736 (64 GiB)"),
        (environment(&[("AVOW_WEBHOOK_TOLERANCE_SECONDS", "")]), "AVOW_WEBHOOK_TOLERANCE_SECONDS sets `webhook.tolerance_seconds` to \"\"; give a whole number of seconds from 1 to 86400"),
        (environment(&[("AVOW_DATA_DIR", " ")]), "AVOW_DATA_DIR sets `data_dir` to \" \"; give the path of a directory"),
        (environment(&[("AVOW_DATA_DIR", "da\u{fffd}ta")]), "AVOW_DATA_DIR sets `data_dir` to \"da\u{fffd}ta\"; give the path of a directory"),
        (environment(&[("AVOW_RETRY_CLASSES", "abandoned")]), "AVOW_RETRY_CLASSES sets `retry.classes` to \"abandoned\"; give a table from error codes to `final`, `alternative`, `uncounted` or `counted`"),
        (file("[trace]\nformat = \"xml\""), "avow.toml sets `trace.format` to \"xml\"; give `human` or `json`"),
        (file("[trace]\nfilter = \"a=b=c\""), "avow.toml sets `trace.filter` to \"a=b=c\"; give a level or a list of `target=level`, such as `info,avow::http=debug`"),
        (file("[webhook]\nuser_reference_sources = []"), "avow.toml sets `webhook.user_reference_sources` to []; give a list of `metadata.KEY`, `client_reference_id` and `related_customer`, at least one"),
        (file("[retry.classes]\nabandoned = \"never\""), "avow.toml sets `retry.classes` to { abandoned = \"never\" }; give a table from error codes to `final`, `alternative`, `uncounted` or `counted`"),
        (file("listen = 8790"), "avow.toml sets `listen` to 8790; give an IP address and a port, such as `127.0.0.1:8790`"),
        (file("[retry]\nattempt_max = 5"), "avow.toml sets `retry.attempt_max`, which is no setting; `avow config --reference` lists them all"),
        (file("[retries]\nattempts_max = 5"), "avow.toml sets `retries`, which is no setting; `avow config --reference` lists them all"),
        (file("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\""), "avow.toml is not valid TOML at line 2: duplicate key"),
        (set(&["http.list_limit_default=101"]), "`http.list_limit_default` is 101, more than `http.list_limit_max` with 100; lower the one or raise the other"),
        (set(&["listen=0.0.0.0:80"]), "`listen` is 0.0.0.0:80, which other machines reach, and there are no access tokens: whoever reaches it reads every user's standing; make a token with `avow tokens create`, give a loopback address such as 127.0.0.1:8790, or set `allow_unauthenticated_network = true` if something in front lets nobody but your own services through"),
        (set(&["access.tokens_file=none"]), "the file that `access.tokens_file` names is not there; `avow tokens create` makes it"),
        (set(&[]), "no data directory is set; give `--data-dir DIR`, AVOW_DATA_DIR, or `data_dir` in the file"),
    ];
    for (given, sentence) in rows {
        assert_eq!(given.refusal(), sentence);
    }
}

#[test]
#[rustfmt::skip] // a table is read by its lines
fn a_secret_that_is_missing_weak_or_misplaced_is_refused_without_being_repeated() {
    let with = |name: &'static str, value: &'static str| {
        let all = [("AVOW_DATA_DIR", "data"), ("AVOW_MASTER_KEY", MASTER_KEY), ("AVOW_WEBHOOK_SECRETS", SECRETS)];
        all.map(|(key, default)| (key, if key == name { value } else { default }))
    };
    let weak = "webhook secret 1 is not a signing secret: it starts with whsec_ and has at least 16 characters; copy it from the endpoint's page in Stripe's Dashboard, or make one for tests with `avow keys generate --webhook-secret`";
    let rows = [
        (environment(&with("AVOW_WEBHOOK_SECRETS", "sk_live_0123456789")), weak),
        (environment(&with("AVOW_WEBHOOK_SECRETS", "whsec_short")), weak),
        (environment(&with("AVOW_WEBHOOK_SECRETS", " ,\n")), "the webhook secrets cannot be used; copy each from the endpoint's page in Stripe's Dashboard: there is no webhook secret in the list"),
        (environment(&with("AVOW_MASTER_KEY", "swordfish")), "the master key is not 64 hexadecimal digits; `avow keys generate` makes one"),
        (environment(&with("AVOW_MASTER_KEY", "0000000000000000000000000000000000000000000000000000000000000000")), "the master key is not random, so it could be guessed; `avow keys generate` makes one"),
        (environment(&[("AVOW_DATA_DIR", "data"), ("AVOW_MASTER_KEY", MASTER_KEY)]), "no webhook secret is set; copy the endpoint's signing secret from Stripe's Dashboard (or make one for tests with `avow keys generate --webhook-secret`), and set AVOW_WEBHOOK_SECRETS or name a file that holds it in `webhook.secrets_file`"),
        (environment(&[("AVOW_DATA_DIR", "data"), ("AVOW_WEBHOOK_SECRETS", SECRETS)]), "no master key is set; make one with `avow keys generate`, and set AVOW_MASTER_KEY or name a file that holds it in `master_key_file`"),
        (Given { set: vec!["master_key_file=key"], ..environment(&with("", "")) }, "both AVOW_MASTER_KEY and `master_key_file` are set; keep one of them"),
        (set(&["webhook.secrets=whsec_0123456789abcdef"]), "the command line sets the secret `webhook.secrets`; set AVOW_WEBHOOK_SECRETS instead, or name a file in `webhook.secrets_file`"),
        (file("master_key = \"swordfish\""), "avow.toml sets the secret `master_key`; set AVOW_MASTER_KEY instead, or name a file in `master_key_file`"),
        (file("master_key = swordfish"), "avow.toml is not valid TOML at line 1: string values must be quoted, expected literal string"),
    ];
    for (given, sentence) in rows {
        assert_eq!(given.refusal(), sentence);
    }
}

#[test]
fn secrets_may_stand_in_files_of_their_own() {
    let directory = TempDir::new().unwrap();
    let key = private_file(
        &directory.path().join("master.key"),
        &format!("{MASTER_KEY}\n"),
    );
    let secrets = private_file(
        &directory.path().join("secrets"),
        &SECRETS.replace(',', "\n"),
    );
    let set = [
        format!("master_key_file={key}"),
        format!("webhook.secrets_file={secrets}"),
        "data_dir=data".into(),
    ];

    let sources = Sources {
        file: None,
        environment: &|_| None,
        command_line: &set,
    };
    let configuration = Configuration::load(&sources).unwrap();

    assert_eq!(configuration.webhook_secrets.iter().count(), 2);
}

#[test]
fn a_master_key_that_others_may_read_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("master.key");
    let key = private_file(&path, MASTER_KEY);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

    let refusal = refusal_of_key_file(&key, "data");

    assert_eq!(
        refusal,
        "group or others may read the file that `master_key_file` names; run `chmod 600` on it"
    );
}

#[test]
fn a_master_key_inside_the_data_directory_is_refused_by_whatever_way_it_is_named() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    fs::create_dir_all(data.join("keys")).unwrap();
    let key = private_file(&data.join("keys/master.key"), MASTER_KEY);
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&key, &link).unwrap();

    for key in [key.as_str(), link.to_str().unwrap()] {
        assert_eq!(
            refusal_of_key_file(key, data.to_str().unwrap()),
            "the file that `master_key_file` names lies inside `data_dir`; move it out, so that a copy of the data \
             does not hold its key"
        );
    }
}

#[test]
fn the_network_is_served_only_when_its_danger_was_accepted() {
    let serves = |settings: &[&str]| {
        let secrets = [
            ("AVOW_DATA_DIR", "no such directory"),
            ("AVOW_MASTER_KEY", MASTER_KEY),
            ("AVOW_WEBHOOK_SECRETS", SECRETS),
        ];
        let given = Given {
            set: settings.to_vec(),
            ..environment(&secrets)
        };
        given.read(Configuration::load).is_ok()
    };

    assert!(serves(&[
        "listen=0.0.0.0:80",
        "allow_unauthenticated_network=true"
    ]));
    for loopback in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:8790"] {
        assert!(serves(&[&format!("listen={loopback}")]), "{loopback}");
    }
    for network in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
        assert!(!serves(&[&format!("listen={network}")]), "{network}");
    }
}

#[test]
fn what_is_printed_as_effective_can_be_read_again() {
    let given = Given {
        file: "data_dir = \"/var/lib/avow\"\n[retry.classes]\nabandoned = \"final\"",
        environment: vec![
            ("AVOW_WEBHOOK_SECRETS", SECRETS),
            ("AVOW_MASTER_KEY", MASTER_KEY),
        ],
        set: vec!["retry.attempts_max=7"],
    };

    let effective = given.read(reference::effective).unwrap();

    assert_eq!(
        file(&effective).settings().unwrap().retry_policy(),
        given.settings().unwrap().retry_policy()
    );
    assert!(
        effective.contains("attempts_max = 7 # the command line\n"),
        "{effective}"
    );
    assert!(
        effective.contains("window_seconds = 86400 # the default\n"),
        "{effective}"
    );
    assert!(effective.contains("avow.toml\n"), "{effective}");
    assert!(effective.contains("# master_key: set\n"), "{effective}");
    assert!(
        effective.contains("# secrets: set, with the fingerprints "),
        "{effective}"
    );
    assert!(
        !effective.contains(MASTER_KEY) && !effective.contains("whsec_"),
        "{effective}"
    );
}

#[test]
fn the_reference_is_the_page_in_docs() {
    // `cargo run -- config --reference > docs/configuration.md` writes it.
    assert_eq!(
        reference::markdown(),
        include_str!("../docs/configuration.md")
    );
}

#[test]
fn every_setting_stands_once_in_the_reference_with_a_variable_of_its_own() {
    let page = reference::markdown();
    for declaration in declarations() {
        let name = declaration.environment_name();
        assert_eq!(
            page.matches(&format!("### `{}`\n", declaration.key))
                .count(),
            1
        );
        assert_eq!(page.matches(&format!("Environment: `{name}`\n")).count(), 1);
        assert!(!declaration.doc.trim().is_empty(), "{}", declaration.key);
    }
    assert_eq!(page.matches("\n## ").count(), SECTIONS.len());
    assert!(DECLARATIONS.len() > 30);
}

/// Returns why a master key's file is refused, everything else being in order.
fn refusal_of_key_file(key: &str, data: &str) -> String {
    let set = [format!("master_key_file={key}"), format!("data_dir={data}")];
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let environment = vec![("AVOW_WEBHOOK_SECRETS", SECRETS)];
    Given {
        environment,
        set,
        ..Given::default()
    }
    .refusal()
}

fn private_file(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}
