//! What people use today: Express, the official client, and PostgreSQL, each started for the benchmark alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::server::SECRET;

const INSTALL: &str = "run benches/handler/install, which installs it or says what is missing";
const STARTS_MAX: u32 = 600;
/// Of the handlers together, below the 100 that PostgreSQL takes by default.
const DATABASE_CONNECTIONS: usize = 64;

/// A PostgreSQL of its own, that ends when it is dropped. Everything is as it comes, synchronous commit included, but for
/// more room before a checkpoint, which spares it work.
pub(crate) struct Database {
    directory: TempDir,
    child: Child,
}

impl Database {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(directory.path()));
        }
        let data = directory.path().join("data");
        run(program("initdb")
            .args(["--username=avow", "--auth=trust", "--encoding=UTF8", "-D"])
            .arg(&data));
        let child = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "max_wal_size=4GB"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(INSTALL);
        let database = Self { directory, child };
        database.wait_until_ready();
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/handler/schema.sql");
        run(program("psql")
            .arg("-h")
            .arg(database.socket())
            .args(["-U", "avow", "-d", "postgres", "-q", "-c"])
            .arg(fs::read_to_string(schema).unwrap()));
        database
    }

    fn socket(&self) -> &Path {
        self.directory.path()
    }

    fn wait_until_ready(&self) {
        for _ in 0..STARTS_MAX {
            let mut ready = program("pg_isready");
            ready.arg("-q").arg("-h").arg(self.socket());
            if ready.status().unwrap().success() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not start");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Asked to stop fast; who has ended already cannot be asked.
        kill_process(Pid::from_child(&self.child), Signal::INT).ok();
        drop(self.child.wait());
    }
}

/// Express in some processes on one port, that end when it is dropped.
pub(crate) struct Handler {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Handler {
    pub(crate) fn start(database: &Database, processes: usize) -> Self {
        let folder = installed();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/handler/handler.js");
        fs::copy(source, folder.join("handler.js")).expect(INSTALL);
        let mut child = Command::new("node")
            .arg(folder.join("handler.js"))
            .env("NODE_ENV", "production")
            .env("DATABASE_SOCKET", database.socket())
            .env("WEBHOOK_SECRET", SECRET)
            .env("PROCESSES", processes.to_string())
            .env("POOL", (DATABASE_CONNECTIONS / processes).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect(INSTALL);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim_end().strip_prefix("listening on ");
        let port = port.expect(INSTALL).parse().unwrap();
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            child,
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns where the packages are that the script has installed.
fn installed() -> PathBuf {
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = build.join("handler");
    assert!(folder.join("node_modules").is_dir(), "{INSTALL}");
    folder
}

/// Returns a program of PostgreSQL, run as its own user where we are root, as whom it refuses to run.
fn program(name: &str) -> Command {
    let path = found(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(path)
        .current_dir("/");
    command
}

/// Returns where a program is: the packages of Debian leave the server's out of the path.
fn found(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let candidates = versions.map(|version| version.path().join("bin").join(name));
    let mut present: Vec<_> = candidates.filter(|path| path.exists()).collect();
    present.sort();
    present.pop().unwrap_or_else(|| name.into())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(command: &mut Command) {
    let output = command.output().expect(INSTALL);
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
