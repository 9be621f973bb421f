//! A backup brings the service back: the same root, the same digest, the same answers. A run that breaks off leaves the
//! one before it whole, and what was erased is in no later one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use avow::audit::backup::{BackedUp, BackupError, VaultCopy, back_up, latest};
use avow::audit::export_source::Server as Remote;
use avow::audit::heads::Seen;
use avow::audit::import::{ImportError, Imported, Importing, import};
use avow::audit::web::Web;
use avow::log::entry::SubjectName;
use avow::log::keys::MasterKey;
use avow::log::vault::copy::{VaultCopyError, copy_vault, whole_copy};
use avow::transparency::note::Note;
use serde_json::Value;
use state_machine::id::SessionId;
use tempfile::{TempDir, tempdir};

use crate::digest::run_on;
use crate::export::{data_with, deliver, entries};
use crate::import::files_under;
use crate::support::delivery::{Delivery, event};
use crate::support::log::{self, Home, copy};
use crate::support::process::{Process, serve};
use crate::support::server::{MASTER_KEY, Server, open_service, settings};
use crate::support::strace::{self, Trace};
use crate::support::traces::{found_in, slot_of, traces_of_key};

/// The entries of a full bundle, and a few more.
const MANY: u64 = 300;

/// A place for backups, and another for copies of the vault.
struct Kept {
    directory: TempDir,
    vaults: TempDir,
}

impl Kept {
    fn new() -> Self {
        Self {
            directory: tempdir().unwrap(),
            vaults: tempdir().unwrap(),
        }
    }

    fn copy(&self) -> Self {
        let kept = Self::new();
        copy(self.directory.path(), kept.directory.path());
        copy(self.vaults.path(), kept.vaults.path());
        kept
    }

    fn backup(&self) -> PathBuf {
        self.directory.path().join("backup")
    }

    fn vault(&self) -> PathBuf {
        self.vaults.path().join("vault")
    }

    /// Backs up what no server holds.
    fn back_up(&self, data: &Path) -> Result<BackedUp, BackupError> {
        let (from, to) = (data.join("vault"), self.vault());
        let vault = VaultCopy {
            from: &from,
            to: &to,
            master_key: &master_key(),
        };
        back_up(&open_service(data), &self.backup(), Some(vault), |_, _| {})
    }

    /// Backs up what a server holds.
    fn back_up_from(&self, server: &Server, data: &Path) -> Result<BackedUp, BackupError> {
        let (from, to) = (data.join("vault"), self.vault());
        let vault = VaultCopy {
            from: &from,
            to: &to,
            master_key: &master_key(),
        };
        let remote = Remote(Web::new(&server.url(""), None).unwrap());
        back_up(&remote, &self.backup(), Some(vault), |_, _| {})
    }

    fn restore(&self, data: &Path) -> Result<Imported, ImportError> {
        self.restore_after(data, &[], false)
    }

    fn restore_after(
        &self,
        data_dir: &Path,
        seen: &[Seen],
        accepts_loss: bool,
    ) -> Result<Imported, ImportError> {
        let backup = latest(&self.backup()).unwrap().expect("one is whole");
        let importing = Importing {
            export: &backup,
            vault: &self.vault(),
            master_key: &master_key(),
            data_dir,
            seen,
            accepts_loss,
            options: settings().log_options(avow::system::fill_random, avow::system::now),
            projections_cache_bytes: 1 << 20,
        };
        import(&importing, |_, _| {})
    }
}

fn master_key() -> MasterKey {
    MasterKey::parse(MASTER_KEY).unwrap()
}

fn redact(server: &Server, session: &str) {
    let id = format!("evt_redacted_{session}");
    let redacted = event(&id, session, "user_1", "redacted", 1_760_000_001);
    let sequence = server.record(&Delivery::event(&redacted));
    // The wish stands behind it, and that it is done behind that.
    server.read(&format!("/v1/users?min_sequence={}", sequence + 2));
}

fn checkpoint_of(server: &Server) -> Seen {
    let note = server.client().get(server.url("/checkpoint")).send();
    Seen {
        name: "the kept checkpoint".to_owned(),
        note: Note::parse(&note.unwrap().bytes().unwrap()).unwrap(),
    }
}

fn sessions(imported: &Imported) -> Vec<String> {
    let name = |subject: &SubjectName| match subject {
        SubjectName::Session(_, session) => SessionId::as_str(session).to_owned(),
        SubjectName::Entry(sequence) => sequence.to_string(),
    };
    imported.unexplained.without_key().map(name).collect()
}

#[test]
fn a_restored_backup_has_the_root_the_digest_and_the_answers_of_the_service() {
    let data = data_with(MANY);
    let kept = Kept::new();
    let backed_up = kept.back_up(data.path()).unwrap();
    let home = tempdir().unwrap();

    let restored = kept.restore(home.path()).unwrap();

    assert_eq!(restored.tree, backed_up.exported.tree);
    assert_eq!(
        restored.digest.to_string(),
        backed_up.exported.projected.digest
    );
    assert_eq!(sessions(&restored), Vec::<String>::new());
    assert_eq!(restored.unexplained.without_payload().count(), 0);
    let (own, server) = (Server::start(data.path()), Server::start(home.path()));
    for path in ["/v1/users/user_1", "/v1/sessions/vs_7", "/v1/sessions/vs_0"] {
        assert_eq!(server.read(path), own.read(path), "{path}");
    }
    let duplicate = Delivery::event(&event("evt_7", "vs_7", "user_1", "verified", 1_760_000_000));
    assert_eq!(server.record(&duplicate), 7);
}

#[test]
fn a_backup_is_made_while_the_server_goes_on_writing() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    let kept = Kept::new();
    deliver(&server, 0..20);

    std::thread::scope(|scope| {
        scope.spawn(|| deliver(&server, 1_000..1_700));
        for round in 0..4 {
            kept.back_up_from(&server, data.path()).unwrap();
            redact(&server, &format!("vs_{round}"));
        }
    });
    let last = kept.back_up_from(&server, data.path()).unwrap();

    let home = tempdir().unwrap();
    let restored = kept.restore(home.path()).unwrap();
    assert_eq!(restored.tree, last.exported.tree);
    assert_eq!(sessions(&restored), Vec::<String>::new());
}

#[test]
fn the_next_backup_shares_what_has_not_changed_and_removes_the_one_before() {
    let data = data_with(MANY);
    let kept = Kept::new();
    let first = kept.back_up(data.path()).unwrap();
    let full = |backup: &BackedUp| {
        ["tile/0/000", "tile/entries/000", "payloads/000"].map(|file| {
            let file = backup.directory.join(file).metadata().unwrap();
            file.ino()
        })
    };
    let before = full(&first);
    let server = Server::start(data.path());
    deliver(&server, 1_000..1_003);
    drop(server);

    let second = kept.back_up(data.path()).unwrap();

    assert_eq!(full(&second), before);
    assert_eq!(
        (second.entries_before, second.exported.tree.size),
        (first.exported.tree.size, first.exported.tree.size + 3)
    );
    assert!(!first.directory.exists());
    assert_eq!(latest(&kept.backup()).unwrap(), Some(second.directory));
}

#[test]
fn what_was_erased_since_is_taken_out_of_what_is_shared() {
    let data = data_with(MANY);
    let kept = Kept::new();
    let first = kept.back_up(data.path()).unwrap();
    let earlier = entries(&first.directory).remove(9).sealed;
    let traces = vec![("a sealed payload", earlier)];
    assert_eq!(found_in(&kept.backup(), &traces).len(), 1);
    let server = Server::start(data.path());
    redact(&server, "vs_9");
    drop(server);

    let second = kept.back_up(data.path()).unwrap();

    assert_eq!(found_in(&kept.backup(), &traces), Vec::<String>::new());
    let entries = entries(&second.directory);
    assert!(entries[9].sealed.is_empty() && !entries[10].sealed.is_empty());
    kept.restore(tempdir().unwrap().path()).unwrap();
}

#[test]
fn the_copy_of_the_vault_before_is_overwritten_where_it_lay() {
    let data = data_with(3);
    let kept = Kept::new();
    kept.back_up(data.path()).unwrap();
    let link = kept.vaults.path().join("the same bytes on the disk");
    fs::hard_link(kept.vault(), &link).unwrap();
    let traces = traces_of_key(data.path(), MASTER_KEY, 3);
    let server = Server::start(data.path());
    redact(&server, "vs_1");
    drop(server);

    kept.back_up(data.path()).unwrap();

    assert!(fs::read(&link).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(found_in(kept.vaults.path(), &traces), Vec::<String>::new());
    assert_eq!(slot_of(&fs::read(kept.vault()).unwrap(), 3), [0; 128]);
    assert_eq!(kept.vault().metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn what_of_the_backup_before_is_damaged_is_copied_anew() {
    let data = data_with(MANY);
    let kept = Kept::new();
    let first = kept.back_up(data.path()).unwrap();
    for file in ["tile/0/000", "tile/entries/000", "payloads/000"] {
        let path = first.directory.join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(path, bytes).unwrap();
    }

    kept.back_up(data.path()).unwrap();

    kept.restore(tempdir().unwrap().path()).unwrap();
}

#[test]
fn a_backup_takes_no_other_log_none_that_was_put_back_and_no_fork() {
    let data = data_with(4);
    let older = tempdir().unwrap();
    copy(data.path(), older.path());
    let kept = Kept::new();
    let server = Server::start(data.path());
    deliver(&server, 10..14);
    drop(server);
    let backup = kept.back_up(data.path()).unwrap();
    let refused = |data: &Path| {
        let refused = kept.back_up(data).unwrap_err().to_string();
        assert_eq!(
            latest(&kept.backup()).unwrap().as_ref(),
            Some(&backup.directory)
        );
        kept.restore(tempdir().unwrap().path()).unwrap();
        refused
    };

    let other = refused(data_with(4).path());
    let behind = refused(older.path());
    let server = Server::start(older.path());
    deliver(&server, 20..30);
    drop(server);
    let forked = refused(older.path());

    assert!(other.starts_with("the backup is of another log"), "{other}");
    assert!(
        behind.starts_with("the log has 7 entries, and the backup 11"),
        "{behind}"
    );
    assert!(forked.ends_with("keep both for an auditor"), "{forked}");
}

#[test]
fn the_vault_is_not_copied_into_the_backup_nor_over_something_else() {
    let data = data_with(1);
    let kept = Kept::new();
    let vault = |to: &Path| {
        let (from, master_key) = (data.path().join("vault"), master_key());
        let vault = VaultCopy {
            from: &from,
            to,
            master_key: &master_key,
        };
        let service = open_service(data.path());
        back_up(&service, &kept.backup(), Some(vault), |_, _| {}).map(drop)
    };
    fs::write(kept.vault(), "a diary").unwrap();

    let within = vault(&kept.backup().join("keys/vault"));
    let over = vault(&kept.vault());

    assert!(matches!(within, Err(BackupError::VaultWithin(_))));
    assert!(matches!(over, Err(BackupError::Vault(_))), "{over:?}");
    assert_eq!(fs::read(kept.vault()).unwrap(), b"a diary");
    assert_eq!(latest(&kept.backup()).unwrap(), None);
}

#[test]
fn erasures_that_came_after_the_backup_are_named_where_the_vault_knows_of_them() {
    let data = data_with(4);
    let kept = Kept::new();
    kept.back_up(data.path()).unwrap();
    let server = Server::start(data.path());
    redact(&server, "vs_2");
    drop(server);
    fs::copy(data.path().join("vault"), kept.vault()).unwrap();
    let home = tempdir().unwrap();

    let restored = kept.restore(home.path()).unwrap();

    assert_eq!(sessions(&restored), ["vs_2"]);
    // The log knows nothing of it, and there is no way back.
    let server = Server::start(home.path());
    let words = serde_json::json!({ "actor": "an operator", "reason": "the drill" });
    assert_eq!(server.state("vs_2", "erase", &words).status(), 200);
    let session = server.read("/v1/sessions/vs_2");
    assert_eq!(session["erasure"]["status"], "done");
}

#[test]
fn a_vault_that_has_seen_more_than_the_log_forgets_it() {
    let data = data_with(2);
    let kept = Kept::new();
    kept.back_up(data.path()).unwrap();
    let server = Server::start(data.path());
    deliver(&server, 10..20);
    redact(&server, "vs_10");
    drop(server);
    fs::copy(data.path().join("vault"), kept.vault()).unwrap();
    let home = tempdir().unwrap();
    kept.restore(home.path()).unwrap();
    let vault = home.path().join("vault");
    let copy = fs::read(&vault).unwrap();
    let traces = traces_of_key(home.path(), MASTER_KEY, 3);
    let server = Server::start(home.path());
    redact(&server, "vs_1");
    drop(server);

    fs::write(&vault, copy).unwrap();
    drop(Server::start(home.path()));

    assert_eq!(found_in(&vault, &traces), Vec::<String>::new());
}

#[test]
fn a_backup_that_ends_before_a_checkpoint_which_somebody_holds_is_refused_unless_that_is_accepted()
{
    let data = data_with(2);
    let kept = Kept::new();
    let server = Server::start(data.path());
    let early = checkpoint_of(&server);
    kept.back_up_from(&server, data.path()).unwrap();
    deliver(&server, 10..12);
    let size = server.read_plain("/readyz")["entries"].as_u64().unwrap();
    while !checkpoint_of(&server)
        .note
        .text()
        .contains(&format!("\n{size}\n"))
    {
        std::thread::yield_now();
    }
    let late = checkpoint_of(&server);
    let home = tempdir().unwrap();

    let refused = kept.restore_after(home.path(), &[late], false);
    let nothing_written = fs::read_dir(home.path()).unwrap().next().is_none();
    let late = checkpoint_of(&server);
    let accepted = kept.restore_after(home.path(), &[early, late], true);

    assert!(
        matches!(
            refused,
            Err(ImportError::Behind { seen, there: 5, .. }) if seen == size
        ),
        "{refused:?}"
    );
    assert!(nothing_written && accepted.is_ok());
}

#[test]
fn a_backup_on_another_branch_than_a_kept_checkpoint_is_refused() {
    let data = data_with(2);
    let forked = tempdir().unwrap();
    copy(data.path(), forked.path());
    let [ours, theirs] = [data.path(), forked.path()].map(Server::start);
    deliver(&ours, 10..11);
    deliver(&theirs, 20..21);
    let kept = Kept::new();
    drop(ours);
    kept.back_up(data.path()).unwrap();
    while !checkpoint_of(&theirs).note.text().contains("\n6\n") {
        std::thread::yield_now();
    }
    let home = tempdir().unwrap();

    let refused = kept.restore_after(home.path(), &[checkpoint_of(&theirs)], true);

    assert!(
        matches!(refused, Err(ImportError::Forked { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

/// Returns `avow backup` of a server.
fn command(data: &Path, url: &str, kept: &Kept) -> Command {
    let serve = serve(data);
    let mut command = Command::new(serve.get_program());
    command
        .args(["backup", "--server", url, "--out"])
        .arg(kept.backup())
        .arg("--vault-out")
        .arg(kept.vault())
        .args(serve.get_args().skip(3))
        .env_clear()
        .envs(
            serve
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    command
}

/// Returns what lies in the backup, and beside the copy of the vault.
fn files_beside(kept: &Kept) -> Vec<PathBuf> {
    assert_eq!(files_under(kept.vaults.path()), [kept.vault()]);
    let files = fs::read_dir(kept.backup()).unwrap();
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("configuration.toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_run_that_is_killed_at_any_step_leaves_a_backup_that_can_be_restored() {
    const CALLS: &str = "rename,unlink,unlinkat,rmdir,link,linkat,mkdir,syncfs";
    if !strace::is_present() {
        return;
    }
    let data = data_with(MANY);
    let server = Server::start(data.path());
    let before = Kept::new();
    before.back_up_from(&server, data.path()).unwrap();
    // Something new, and something to take out.
    deliver(&server, 1_000..1_001);
    redact(&server, "vs_10");
    let mut step = 1;
    loop {
        let kept = before.copy();
        let trace = Trace::in_directory(kept.directory.path());
        let fault = format!("{CALLS}:signal=KILL:when={step}");
        let command = command(data.path(), &server.url(""), &kept);
        let mut killed = trace.of(&command, None, CALLS, Some(&fault));
        let ended = killed.output().unwrap();

        let home = tempdir().unwrap();
        let restored = kept.restore(home.path()).unwrap();
        assert_eq!(restored.unexplained.without_payload().count(), 0, "{step}");
        if ended.status.success() {
            break;
        }
        assert_eq!(ended.stdout, b"", "{step}");
        let next = kept.back_up_from(&server, data.path()).unwrap();
        assert_eq!(
            files_beside(&kept),
            [next.directory, kept.backup().join("lock")]
        );
        step += 1;
    }
    assert!(step > 20, "{step}");
}

#[test]
fn the_commands_back_up_a_running_server_and_bring_it_back() {
    let data = tempdir().unwrap();
    let kept = Kept::new();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let key_file = path(&kept.vaults.path().join("key"));
    fs::write(&key_file, MASTER_KEY).unwrap();
    fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
    let process = Process::start(data.path());
    for number in 0..3 {
        let event = event(&format!("evt_{number}"), "vs_1", "user_1", "created", 10);
        let delivery = Delivery::event(&event);
        assert_eq!(process.deliver(&delivery).unwrap().status(), 200);
    }
    let (backup, vault) = (path(&kept.backup()), path(&kept.vault()));
    let url = process.url().to_owned();
    let no_choice = run_on(data.path(), &["backup", "--out", &backup]);
    let held = ["backup", "--out", &backup, "--vault-out", &vault];
    let (refused, _, why) = run_on(data.path(), &held);
    let arguments = [&held[..], &["--server", &url]].concat();
    let (backed_up, told, talk) = run_on(data.path(), &arguments);
    let settings = kept.backup().join("configuration.toml");
    let kept_settings = fs::read_to_string(&settings).unwrap();
    // Nothing can be renamed over it.
    fs::remove_file(&settings).unwrap();
    fs::create_dir_all(settings.join("in the way")).unwrap();
    let (without_settings, told_again, warning) = run_on(data.path(), &arguments);
    fs::remove_dir_all(&settings).unwrap();
    let user = process.read("/v1/users/user_1");
    process.stop();

    let home = tempdir().unwrap();
    let arguments = ["restore", &backup, "--vault", &vault];
    let arguments = [&arguments[..], &["--master-key-file", &key_file]].concat();
    let (restored, again, _) = run_on(home.path(), &arguments);
    let (refused_twice, _, not_empty) = run_on(home.path(), &arguments);

    assert_eq!(no_choice.0, Some(2));
    assert_eq!(refused, Some(2));
    assert!(why.contains("back up from it with `--server URL`"), "{why}");
    assert_eq!((backed_up, restored), (Some(0), Some(0)), "{talk}");
    // That somebody backed up is on record, so that the second run copies an entry more.
    assert!(told.contains(" of 4 entries"), "{told}");
    assert!(told_again.contains(" of 5 entries"), "{told_again}");
    assert_eq!(again, told_again);
    assert_eq!(refused_twice, Some(2));
    assert!(not_empty.contains("is not empty"), "{not_empty}");
    let process = Process::start(home.path());
    let strip = |mut user: Value| {
        user["decision"] = Value::Null;
        user
    };
    assert_eq!(strip(process.read("/v1/users/user_1")), strip(user));
    assert_eq!(without_settings, Some(0), "{warning}");
    assert!(
        warning.contains("the configuration is not kept"),
        "{warning}"
    );
    assert!(kept_settings.contains("attempts_max"));
    let bytes = files_under(&kept.backup());
    for secret in [MASTER_KEY, crate::support::server::SECRET] {
        let holds = |file: &PathBuf| {
            let bytes = fs::read(file).unwrap();
            bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
        };
        assert!(!bytes.iter().any(holds));
    }
}

#[test]
fn the_vault_of_another_log_is_not_copied() {
    let (home, other) = (Home::new(), Home::new());
    drop(home.open());
    let (from, to) = (home.data_dir().join("vault"), home.data_dir().join("copy"));

    let copied = copy_vault(&from, &to, &log::master_key(), other.open().verifier_key());

    assert!(matches!(copied, Err(VaultCopyError::OtherLog { .. })));
    assert!(!to.exists());
}

#[test]
fn a_copy_of_the_vault_whose_making_was_killed_is_found_whole_and_finished_by_the_next() {
    let (home, copies) = (Home::new(), tempdir().unwrap());
    let log = home.open();
    let [to, new, old] = ["vault", "vault.new", "vault.old"].map(|name| copies.path().join(name));
    let copy_it = || {
        let from = home.data_dir().join("vault");
        copy_vault(&from, &to, &log::master_key(), log.verifier_key()).unwrap();
    };
    copy_it();
    fs::copy(&to, &new).unwrap();
    fs::rename(&to, &old).unwrap();

    assert_eq!(whole_copy(&to), new);
    copy_it();

    assert_eq!(whole_copy(&to), to);
    assert!(to.exists() && !new.exists() && !old.exists());
}
