//! The machine on which something was measured, for whoever reads the numbers later.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Model of the processor, cores, memory, kernel, file system, compiler: one line.
pub fn described(folder: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gib = memory.split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = if kernel.is_empty() { std::env::consts::OS } else { kernel.trim() };
    let files = file_system(folder, &read("/proc/mounts"));
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let compiler = Command::new(compiler).arg("--version").output().ok();
    let compiler = compiler.and_then(|output| String::from_utf8(output.stdout).ok());
    let compiler = compiler.unwrap_or_else(|| "unknown compiler".to_owned());
    format!(
        "{processor}, {cores} cores, {:.0} GiB of memory, kernel {kernel}, {files}, {}",
        gib / 1024.0 / 1024.0,
        compiler.trim(),
    )
}

/// The kind of the file system that the folder is on: that of the longest mount point above it.
fn file_system(folder: &Path, mounts: &str) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(point, _)| folder.starts_with(point));
    let nearest = above.max_by_key(|(point, _)| point.len());
    nearest.map_or("unknown file system", |(_, kind)| kind).to_owned()
}
