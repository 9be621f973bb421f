//! What a running server takes anew, on SIGHUP and when its files change; and what it does with what cannot be used.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_report};
use crate::support::process::{Process, serve};
use crate::support::server::MASTER_KEY;

const OLD: &str = "whsec_the_old_one_0123456789";
const NEW: &str = "whsec_the_new_one_0123456789";

/// Returns `avow serve` whose webhook secrets stand in a file.
fn with_secrets_in(data: &Path, file: &Path) -> Command {
    let mut command = serve(data);
    command
        .env_remove("AVOW_WEBHOOK_SECRETS")
        .env("AVOW_WEBHOOK_SECRETS_FILE", file);
    command
}

/// Delivers an event of its own, signed with a secret, and returns the status.
fn deliver(server: &Process, secret: &str) -> u16 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let id = format!("evt_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let body = event(&id, "vs_1", "user_1", "created", 10)
        .to_string()
        .into_bytes();
    let secret = Secret::new(secret).unwrap();
    let header = sign(&secret, avow::system::now_seconds(), &body);
    let answer = server.deliver(&Delivery { body, header }).unwrap();
    answer.status().as_u16()
}

fn wait_for(server: &Process, secret: &str, status: u16) {
    while deliver(server, secret) != status {
        std::thread::yield_now();
    }
}

#[test]
fn a_webhook_secret_is_rolled_while_two_overlap_and_no_delivery_is_refused() {
    let data = tempdir().unwrap();
    let file = data.path().join("secrets");
    fs::write(&file, OLD).unwrap();
    let server = Process::of(with_secrets_in(&data.path().join("data"), &file)).unwrap();
    let stop = AtomicBool::new(false);
    let refused = AtomicU64::new(0);
    assert_eq!((deliver(&server, OLD), deliver(&server, NEW)), (200, 400));

    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                refused.fetch_add(u64::from(deliver(&server, OLD) != 200), Ordering::Relaxed);
            }
        });
        fs::write(&file, format!("{OLD}\n{NEW}\n")).unwrap();
        wait_for(&server, NEW, 200);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(deliver(&server, OLD), 200, "both hold");
    fs::write(&file, NEW).unwrap();
    wait_for(&server, OLD, 400);

    assert_eq!(deliver(&server, NEW), 200);
    assert_eq!(refused.into_inner(), 0);
    let said = server.said();
    assert!(
        said.contains("the webhook secrets were taken anew"),
        "{said}"
    );
    assert!(!said.contains("whsec_"), "{said}");
}

#[test]
fn a_volume_whose_link_is_swapped_is_noticed() {
    let data = tempdir().unwrap();
    let volume = data.path().join("volume");
    for (version, secret) in [("..1", OLD), ("..2", NEW)] {
        fs::create_dir_all(volume.join(version)).unwrap();
        fs::write(volume.join(version).join("secrets"), secret).unwrap();
    }
    symlink("..1", volume.join("..data")).unwrap();
    symlink("..data/secrets", volume.join("secrets")).unwrap();
    let command = with_secrets_in(&data.path().join("data"), &volume.join("secrets"));
    let server = Process::of(command).unwrap();
    assert_eq!(deliver(&server, OLD), 200);

    symlink("..2", volume.join("..next")).unwrap();
    fs::rename(volume.join("..next"), volume.join("..data")).unwrap();

    wait_for(&server, NEW, 200);
    assert_eq!(deliver(&server, OLD), 400);
}

#[test]
fn secrets_that_cannot_be_used_leave_the_old_ones_in_force_and_are_told_once() {
    let data = tempdir().unwrap();
    let file = data.path().join("secrets");
    fs::write(&file, OLD).unwrap();
    let server = Process::of(with_secrets_in(&data.path().join("data"), &file)).unwrap();
    let sentence = "the webhook secrets stay as they were";

    for unusable in ["sk_live_0123456789", ""] {
        fs::write(&file, unusable).unwrap();
        server.hang_up();
        server.wait_until_it_says(sentence);
        assert_eq!(deliver(&server, OLD), 200);
    }
    fs::remove_file(&file).unwrap();
    server.wait_until_it_says("`webhook.secrets_file` names cannot be read");
    assert_eq!(deliver(&server, OLD), 200);

    fs::write(&file, NEW).unwrap();
    wait_for(&server, NEW, 200);
    let said = server.said();
    assert!(
        said.contains("the webhook secrets can be used again"),
        "{said}"
    );
    assert!(!said.contains("sk_live_0123456789"), "{said}");
    // As often as the trouble was another one, and no more.
    assert!(said.matches(sentence).count() <= 3, "{said}");
}

#[test]
fn a_hang_up_takes_everything_anew_and_ends_nothing() {
    let data = tempdir().unwrap();
    let file = data.path().join("secrets");
    fs::write(&file, OLD).unwrap();
    let server = Process::of(with_secrets_in(&data.path().join("data"), &file)).unwrap();

    fs::write(&file, NEW).unwrap();
    server.hang_up();
    server.wait_until_it_says("asked to take files anew");

    wait_for(&server, NEW, 200);
    server.stop();
}

/// Returns `avow serve` with a configuration file.
fn with_configuration(data: &Path, file: &Path) -> Command {
    let mut command = serve(data);
    command
        .arg("--config")
        .arg(file)
        .env("AVOW_MASTER_KEY", MASTER_KEY);
    command
}

/// Returns the policy that decides on the user, and the limit that it sets.
fn policy(server: &Process) -> (String, u64) {
    let user = server.read("/v1/users/user_1");
    let hash = user["decision"]["policy"].as_str().unwrap().to_owned();
    (hash, user["attempts"]["limit"].as_u64().unwrap())
}

#[test]
fn a_retry_policy_is_changed_at_once_and_each_decision_names_the_one_that_made_it() {
    let data = tempdir().unwrap();
    let file = data.path().join("avow.toml");
    fs::write(&file, "[retry]\nattempts_max = 2").unwrap();
    let server = Process::of(with_configuration(&data.path().join("data"), &file)).unwrap();
    let processing = with_report(event("evt_p", "vs_p", "user_1", "processing", 10), "vr_1");
    assert_eq!(
        server
            .deliver(&Delivery::event(&processing))
            .unwrap()
            .status(),
        200
    );
    let (two, limit) = policy(&server);
    assert_eq!(limit, 2);

    // Whatever is read meanwhile: never the limit of one with the name of the other.
    fs::write(&file, "[retry]\nattempts_max = 3").unwrap();
    let mut seen = policy(&server);
    while seen.1 == 2 {
        assert_eq!(seen.0, two);
        seen = policy(&server);
    }
    let (three, limit) = seen;
    assert_eq!(limit, 3);
    assert_ne!(three, two);
    server.wait_until_it_says(&format!("the policy is {three}"));

    fs::write(&file, "[retry]\nattempts_max = 0").unwrap();
    server.wait_until_it_says("the rules for another try stay as they were");
    assert_eq!(policy(&server), (three, 3));

    fs::write(&file, "[retry]\nattempts_max = 2").unwrap();
    while policy(&server).1 != 2 {
        std::thread::yield_now();
    }
    assert_eq!(policy(&server).0, two);
}

#[test]
fn what_holds_only_from_the_next_start_on_is_told() {
    let data = tempdir().unwrap();
    let file = data.path().join("avow.toml");
    fs::write(&file, "[http]\nlist_limit_max = 50").unwrap();
    let server = Process::of(with_configuration(&data.path().join("data"), &file)).unwrap();

    fs::write(&file, "[http]\nlist_limit_max = 60").unwrap();

    server.wait_until_it_says("hold from the next start on");
    assert_eq!(server.get("/v1/users?limit=60").status(), 400);
}

#[test]
fn a_file_of_tokens_that_is_damaged_or_gone_leaves_the_tokens_in_force() {
    let data = tempdir().unwrap();
    let token = crate::support::access::create(data.path(), "read", &[]);
    let file = data.path().join("tokens.json");
    let whole = fs::read(&file).unwrap();
    let server = Process::start(data.path());
    let status = |token: Option<&str>| {
        let mut request =
            reqwest::blocking::Client::new().get(format!("{}/v1/users", server.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().unwrap().status().as_u16()
    };

    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    server.wait_until_it_says("damaged or cut off");
    assert_eq!((status(Some(&token)), status(None)), (200, 401));

    fs::remove_file(&file).unwrap();
    server.wait_until_it_says("is not there");
    assert_eq!((status(Some(&token)), status(None)), (200, 401));

    fs::write(&file, &whole).unwrap();
    server.wait_until_it_says("the access tokens can be used again");
    assert_eq!((status(Some(&token)), status(None)), (200, 401));
    let said = server.said();
    assert_eq!(
        said.matches("the access tokens stay as they were").count(),
        2,
        "{said}"
    );
}
