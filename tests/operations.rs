//! The drill of docs/operations.md, word for word: its blocks are performed in their order by one shell, with the real
//! binary.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use avow::projections::generations::Generations;
use tempfile::{TempDir, tempdir};

use crate::support::disk::Disk;
use crate::support::rows;

/// Ends a shell that would wait for ever.
const SECONDS_MAX: &str = "240";
/// On a disk of this size the drill may fill what it lies on.
const DISK_BYTES: u64 = 1536 * 1024 * 1024;

/// A block of commands, and what the test does before it, if the block says so.
#[derive(Debug, PartialEq, Eq)]
struct Block<'page> {
    mark: &'page str,
    commands: String,
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap()
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(mark) = line.strip_prefix("```sh") {
            let commands = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(Block {
                mark: mark.trim(),
                commands: commands.collect::<Vec<_>>().join("\n"),
            });
        }
    }
    blocks
}

/// A shell that performs blocks.
struct Shell {
    child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    scripts: TempDir,
}

impl Shell {
    fn start(drill: &Path) -> Self {
        let scripts = tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_avow")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = Command::new("timeout")
            .args([SECONDS_MAX, "sh", "-eu"])
            .env_clear()
            .env("PATH", format!("{}:{}", binary.display(), path.display()))
            .env("DRILL", drill)
            .env("AVOW_LISTEN", listener.local_addr().unwrap().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(scripts.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut shell = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            scripts,
        };
        let cleanup =
            "trap 'exit 1' TERM; trap 'kill -KILL \"${SERVER:-}\" 2>/dev/null || true' EXIT";
        writeln!(shell.to, "{cleanup}").unwrap();
        shell
    }

    fn perform(&mut self, commands: &str) {
        let script: PathBuf = self.scripts.path().join("block.sh");
        fs::write(&script, commands).unwrap();
        // A shell that has ended does not take it.
        drop(writeln!(self.to, ". {}; echo performed", script.display()));
        let performed = self.from.by_ref().map(Result::unwrap);
        let mut printed: Vec<String> = performed.take_while(|line| line != "performed").collect();
        let ended = self.child.try_wait().unwrap();
        if ended.is_some() || self.is_over() {
            printed.push(fs::read_to_string(self.scripts.path().join("stderr")).unwrap());
            panic!("this block fails:\n{commands}\n{}", printed.join("\n"));
        }
    }

    /// Tells whether the shell has ended: it answers nothing.
    fn is_over(&mut self) -> bool {
        writeln!(self.to, "echo here").is_err() || self.from.next().is_none()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Makes the projections of a data directory wrong, as a wrong fold would: a session is missing in a list.
fn fold_wrongly(data: &Path) {
    let current = Generations::of(&data.join("projections")).current();
    let database = rows::open(&current.unwrap().unwrap());
    let listings = rows::keyspace(&database, "listings");
    let (row, _) = rows::rows(&database, &listings).remove(0);
    listings.remove(row).unwrap();
}

#[test]
fn the_drill_is_performed_word_for_word() {
    let disk = Disk::of(DISK_BYTES, "loop");
    let elsewhere = tempdir().unwrap();
    let drill = disk.as_ref().map_or(elsewhere.path().to_owned(), |disk| {
        disk.mount_point().join("drill")
    });
    let mut shell = Shell::start(&drill);

    for Block { mark, commands } in blocks(&page()) {
        match mark {
            "" => {}
            "wrong-fold" => fold_wrongly(&drill.join("data")),
            // What is not a disk of its own is not to be filled; that it is none was said aloud.
            "small-disk" if disk.is_none() => continue,
            "small-disk" => {}
            other => panic!("the test knows no {other}"),
        }
        shell.perform(&commands);
    }
}

#[test]
fn every_bad_night_is_in_the_drill() {
    let page = page();
    for night in [
        "The projections are lost",
        "The whole machine is lost",
        "A bad deploy",
        "A webhook secret has leaked",
        "Deliveries were missed",
        "The disk is full",
    ] {
        let (_, section) = page.split_once(&format!("\n### {night}")).expect(night);
        let section = section.split("\n### ").next().unwrap();
        assert!(!blocks(section).is_empty(), "{night}");
    }
}

#[test]
fn a_block_that_fails_fails_the_drill() {
    let drill = tempdir().unwrap();
    let performed = std::panic::catch_unwind(|| {
        let mut shell = Shell::start(drill.path());
        shell.perform("test -d \"$DRILL\"\n");
        shell.perform("code=0; false || code=$?\ntest \"$code\" = 0\n");
    });

    let told = performed.unwrap_err();
    let told = told.downcast_ref::<String>().unwrap();
    assert!(told.starts_with("this block fails:\ncode=0"), "{told}");
}
