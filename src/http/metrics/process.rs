//! What Linux tells of this process.

use std::fs;

/// The process, as the system sees it.
pub(super) struct Process {
    pub(super) resident_bytes: u64,
    pub(super) open_files: usize,
    pub(super) open_files_max: u64,
    pub(super) cpu_seconds: f64,
}

/// Reads what the system tells; `None` where it tells nothing.
pub(super) fn read() -> Option<Process> {
    let statistics = fs::read_to_string("/proc/self/stat").ok()?;
    let memory = fs::read_to_string("/proc/self/statm").ok()?;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
    let resident_pages: u64 = memory.split(' ').nth(1)?.parse().ok()?;
    Some(Process {
        resident_bytes: resident_pages.saturating_mul(page_bytes),
        open_files: fs::read_dir("/proc/self/fd").ok()?.count(),
        open_files_max: limit.unwrap_or(u64::MAX),
        cpu_seconds: cpu_seconds(&statistics)?,
    })
}

/// Returns the time in user mode and in the kernel: fields 14 and 15 of proc(5), in ticks.
fn cpu_seconds(statistics: &str) -> Option<f64> {
    // The second field is the program's name, which may hold anything.
    let (_, behind_name) = statistics.rsplit_once(") ")?;
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    let ticks = ticks()? + ticks()?;
    let ticks_per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some(ticks / f64::from(ticks_per_second))
}
