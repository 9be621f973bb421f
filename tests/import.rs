//! An import is the log that was exported, in every entry and in what they are folded to; or it is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use avow::audit::import::{ImportError, Imported, Importing, import};
use avow::log::import::{Import, ImportedVault};
use avow::log::keys::MasterKey;
use avow::log::unsealer::Unsealer;
use avow::log::vault::reader::VaultReader;
use tempfile::{TempDir, tempdir};

use crate::digest::run_on;
use crate::export::{data_with, deliver, export_of, export_of_service};
use crate::support::delivery::{Delivery, event};
use crate::support::log::copy;
use crate::support::process::Process;
use crate::support::server::{MASTER_KEY, Server, open_service, settings};

fn import_with(export: &Path, vault: &Path, data_dir: &Path) -> Result<Imported, ImportError> {
    let settings = settings();
    let importing = Importing {
        export,
        vault,
        master_key: &MasterKey::parse(MASTER_KEY).unwrap(),
        data_dir,
        seen: &[],
        accepts_loss: false,
        options: settings.log_options(avow::system::fill_random, avow::system::now),
        projections_cache_bytes: 1 << 20,
    };
    import(&importing, |_, _| {})
}

fn copy_of(vault: &Path) -> (TempDir, PathBuf) {
    let kept = tempdir().unwrap();
    let path = kept.path().join("vault");
    fs::copy(vault, &path).unwrap();
    (kept, path)
}

#[test]
fn an_import_has_root_and_digest_of_its_export_and_goes_on() {
    let data = data_with(300);
    let (out, exported) = export_of(data.path(), true);
    let home = tempdir().unwrap();

    let imported = import_with(out.path(), &data.path().join("vault"), home.path()).unwrap();

    assert_eq!(imported.tree, exported.tree);
    assert!(imported.digest_is_comparable);
    assert_eq!(imported.digest.to_string(), exported.projected.digest);
    let own = Server::start(data.path());
    let server = Server::start(home.path());
    for path in ["/v1/users/user_1", "/v1/sessions/vs_7", "/v1/sessions/vs_0"] {
        assert_eq!(server.read(path), own.read(path), "{path}");
    }
    let duplicate = Delivery::event(&event("evt_7", "vs_7", "user_1", "verified", 1_760_000_000));
    assert_eq!(server.record(&duplicate), 7);
    deliver(&server, 1_000..1_001);
    let size = |server: &Server| server.read_plain("/readyz")["entries"].as_u64().unwrap();
    assert_eq!((size(&own), size(&server)), (303, 304));
}

#[test]
fn the_commands_tell_one_root_and_one_digest() {
    let data = tempdir().unwrap();
    let keys = tempdir().unwrap();
    let path = |name| keys.path().join(name).to_str().unwrap().to_owned();
    let (key_file, bundle, home) = (path("key"), path("bundle"), path("home"));
    fs::write(&key_file, MASTER_KEY).unwrap();
    fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
    let process = Process::start(data.path());
    let delivery = Delivery::event(&event("evt_1", "vs_1", "user_1", "created", 10));
    assert_eq!(process.deliver(&delivery).unwrap().status(), 200);
    let (code, _, talk) = run_on(data.path(), &["export", "--out", &bundle]);
    assert_eq!(code, Some(2));
    assert!(
        talk.ends_with(": export from it with `--server URL`\n"),
        "{talk}"
    );
    process.stop();

    let (exported, told, talk) = run_on(data.path(), &["export", "--out", &bundle]);
    let vault = data.path().join("vault");
    let arguments = ["import", &bundle, "--vault", vault.to_str().unwrap()];
    let arguments = [&arguments[..], &["--master-key-file", &key_file]].concat();
    let (imported, again, refused) = run_on(Path::new(&home), &arguments);

    assert_eq!((exported, imported), (Some(0), Some(0)), "{talk}{refused}");
    assert_eq!(again, told);
    let (_, digest, _) = run_on(Path::new(&home), &["digest"]);
    let digest = digest.trim_end().strip_prefix("3 ").unwrap();
    assert!(
        told.ends_with(&format!("\ndigest {digest} of the first 3\n")),
        "{told}"
    );
}

#[test]
fn an_imported_log_can_be_exported_again_with_the_same_root() {
    let data = data_with(2);
    let (out, exported) = export_of(data.path(), true);
    let home = tempdir().unwrap();
    import_with(out.path(), &data.path().join("vault"), home.path()).unwrap();

    let (_again, reexported) = export_of(home.path(), true);

    assert_eq!(reexported, exported);
}

pub(crate) fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn assert_refused(export: &Path, vault: &Path, what: &str) {
    let home = tempdir().unwrap();
    let refused = import_with(export, vault, home.path());
    assert!(refused.is_err(), "{what}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{what}");
}

type Damage = fn(&Path);

#[test]
fn an_export_with_any_file_changed_cut_or_gone_is_refused_and_nothing_is_written() {
    let data = data_with(2);
    let vault = data.path().join("vault");
    let (out, _) = export_of(data.path(), true);
    let files = files_under(out.path());
    assert_eq!(files.len(), 7);
    let damages: [(&str, Damage); 4] = [
        ("flipped", |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("cut", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("longer", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, [bytes.as_slice(), b"\n"].concat()).unwrap();
        }),
        ("gone", |path| fs::remove_file(path).unwrap()),
    ];
    for file in &files {
        for (name, damage) in damages {
            let changed = tempdir().unwrap();
            copy(out.path(), changed.path());
            let path = changed.path().join(file.strip_prefix(out.path()).unwrap());
            damage(&path);

            assert_refused(
                changed.path(),
                &vault,
                &format!("{name} {}", path.display()),
            );
        }
    }
}

#[test]
fn a_directory_that_holds_something_is_left_as_it_is() {
    let data = data_with(1);
    let (out, _) = export_of(data.path(), true);
    let home = tempdir().unwrap();
    fs::write(home.path().join("mine"), "").unwrap();

    let refused = import_with(out.path(), &data.path().join("vault"), home.path());

    assert!(refused.unwrap_err().to_string().contains("is not empty"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn an_export_without_payloads_is_refused_in_a_sentence() {
    let data = data_with(1);
    let (out, _) = export_of(data.path(), false);

    let refused = import_with(
        out.path(),
        &data.path().join("vault"),
        &data.path().join("new"),
    );

    assert_eq!(
        refused.unwrap_err().to_string(),
        "the export has no payloads: no user could be named and no signature authenticated again; \
         export without `--without-payloads`"
    );
}

#[test]
fn a_vault_of_another_log_and_one_that_lacks_keys_are_refused() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    deliver(&server, 0..1);
    let (_kept, early) = copy_of(&data.path().join("vault"));
    // More than one batch of keys.
    deliver(&server, 1..520);
    drop(server);
    let other = data_with(1);
    let (out, _) = export_of(data.path(), true);

    let refused = |vault: &Path| {
        let home = tempdir().unwrap();
        let refused = import_with(out.path(), vault, home.path()).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        refused.to_string()
    };

    assert!(refused(&other.path().join("vault")).starts_with("the vault is of another log"));
    assert!(refused(&early).starts_with("the vault is older than the export"));
    assert!(refused(Path::new("no_such_vault")).contains("No such file"));
}

#[test]
fn a_log_is_imported_under_its_own_name_alone() {
    let data = data_with(1);
    let (out, _) = export_of(data.path(), true);
    let home = tempdir().unwrap();
    let mut settings = settings();
    settings.log.origin = Some("other.example/log".parse().unwrap());
    let importing = Importing {
        export: out.path(),
        vault: &data.path().join("vault"),
        master_key: &MasterKey::parse(MASTER_KEY).unwrap(),
        data_dir: home.path(),
        seen: &[],
        accepts_loss: false,
        options: settings.log_options(avow::system::fill_random, avow::system::now),
        projections_cache_bytes: 1 << 20,
    };

    let refused = import(&importing, |_, _| {}).unwrap_err().to_string();

    assert!(
        refused.starts_with("the export is of the log avow/"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn an_import_that_breaks_off_leaves_no_log_and_no_vault_with_which_another_could_begin() {
    let data = data_with(1);
    let key = MasterKey::parse(MASTER_KEY).unwrap();
    let vault =
        Unsealer::new(VaultReader::open(&data.path().join("vault")).unwrap(), &key).unwrap();
    let options = settings().log_options(avow::system::fill_random, avow::system::now);
    let service = open_service(data.path());
    let vault = ImportedVault::check(vault, &options, service.verifier_key()).unwrap();
    let home = tempdir().unwrap();
    let mut begun = Import::begin(home.path(), &vault, &options).unwrap();
    begun.append(b"a leaf", b"a payload").unwrap();

    drop(begun);

    assert!(!home.path().join("log").exists() && !home.path().join("vault").exists());
    let (out, _) = export_of_service(&service);
    let refused = import_with(out.path(), &data.path().join("vault"), home.path());
    assert!(refused.unwrap_err().to_string().contains("is not empty"));
}

#[test]
fn a_session_that_was_erased_stays_erased_though_an_older_vault_has_its_key() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    deliver(&server, 0..2);
    let (_kept, vault) = copy_of(&data.path().join("vault"));
    let redacted = event("evt_redacted", "vs_0", "user_1", "redacted", 1_760_000_001);
    server.record(&Delivery::event(&redacted));
    server.read("/v1/users?min_sequence=4");
    drop(server);
    let (out, _) = export_of(data.path(), true);
    let home = tempdir().unwrap();
    let slots = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        // Behind the header, the log's own two, and in the order in which sessions came.
        [2, 3].map(|slot| {
            bytes[8192 + slot * 128..][..128]
                .iter()
                .any(|byte| *byte != 0)
        })
    };
    assert_eq!(slots(&vault), [true, true]);

    import_with(out.path(), &vault, home.path()).unwrap();

    assert_eq!(slots(&home.path().join("vault")), [false, true]);
    assert_eq!(slots(&vault), [true, true]);
}
