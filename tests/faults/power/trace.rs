//! What strace tells of a process: the calls that change files below a folder, and what it says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The calls that are traced: all that can change a file or make a change durable.
pub const CALLS: &str = "trace=openat,creat,write,writev,pwrite64,pwritev,pwritev2,lseek,truncate,\
    ftruncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,rename,renameat,renameat2,link,\
    linkat,symlink,symlinkat,unlink,unlinkat";

#[derive(Debug)]
pub enum Call {
    /// Opened, and made if it was not there.
    Create(PathBuf),
    /// Made longer with zeros, or cut.
    Len(PathBuf, usize),
    Write {
        path: PathBuf,
        at: usize,
        bytes: Vec<u8>,
    },
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    /// A line on standard output.
    Say(String),
}

impl Call {
    pub fn is_ack(&self) -> bool {
        matches!(self, Self::Say(line) if line.starts_with("ack "))
    }
}

/// A call, and the lines of the trace at which it began and ended.
#[derive(Debug)]
pub struct Traced {
    pub begin: usize,
    pub end: usize,
    pub call: Call,
}

/// Reads a trace: the calls that succeeded, in the order in which they ended.
pub fn read(trace: &str, folder: &Path) -> Vec<Traced> {
    let mut begun: HashMap<&str, (usize, String)> = HashMap::new();
    let mut reader = Reader { folder, places: HashMap::new(), calls: Vec::new() };
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(first) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(pid, (number, first.to_owned()));
        } else if let Some((_, last)) =
            rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let (begin, first) = begun.remove(pid).expect("what is resumed has begun");
            reader.add(begin, number, &(first + last));
        } else {
            reader.add(number, number, rest);
        }
    }
    reader.calls
}

struct Reader<'a> {
    folder: &'a Path,
    /// Where each descriptor writes next.
    places: HashMap<String, usize>,
    calls: Vec<Traced>,
}

impl Reader<'_> {
    fn add(&mut self, begin: usize, end: usize, call: &str) {
        let Some((name, rest)) = call.split_once('(') else { return };
        let Some((args, result)) = rest.rsplit_once(" = ") else { return };
        if result.starts_with("-1") {
            return;
        }
        let args: Vec<&str> =
            args.trim_end().trim_end_matches(')').trim_end().split(", ").collect();
        let mut push = |call| self.calls.push(Traced { begin, end, call });
        let ours = |path: &PathBuf| path.starts_with(self.folder);
        match name {
            "openat" => {
                let (number, path) = descriptor(result);
                self.places.insert(number, 0);
                if ours(&path) && args[2].contains("O_CREAT") {
                    push(Call::Create(path.clone()));
                }
                if ours(&path) && args[2].contains("O_TRUNC") {
                    push(Call::Len(path, 0));
                }
            }
            "lseek" => {
                let (number, _) = descriptor(args[0]);
                self.places.insert(number, result.parse().unwrap());
            }
            "write" | "pwrite64" => {
                let (number, path) = descriptor(args[0]);
                let mut bytes = text(args[1]);
                bytes.truncate(result.parse().unwrap());
                if number == "1" {
                    let said = String::from_utf8(bytes).unwrap();
                    said.lines().for_each(|line| push(Call::Say(line.to_owned())));
                } else if ours(&path) {
                    let place = self.places.entry(number).or_default();
                    let at = args.get(3).map_or(*place, |at| at.parse().unwrap());
                    if name == "write" {
                        *place += bytes.len();
                    }
                    push(Call::Write { path, at, bytes });
                }
            }
            "ftruncate" => {
                let (_, path) = descriptor(args[0]);
                if ours(&path) {
                    push(Call::Len(path, args[1].parse().unwrap()));
                }
            }
            "fsync" | "fdatasync" => {
                let (_, path) = descriptor(args[0]);
                if ours(&path) {
                    push(Call::Sync(path));
                }
            }
            "rename" => {
                let [from, to] = [args[0], args[1]].map(path);
                if ours(&to) {
                    push(Call::Rename(from, to));
                }
            }
            "unlink" => {
                let path = path(args[0]);
                if ours(&path) {
                    push(Call::Remove(path));
                }
            }
            // Paths are in hexadecimal, so all of the folder's would be.
            _ => assert!(!names(call, self.folder), "a call that is not played back: {call}"),
        }
    }
}

/// Whether a call names something below the folder.
fn names(call: &str, folder: &Path) -> bool {
    let hex: String = folder.to_str().unwrap().bytes().map(|b| format!("\\x{b:02x}")).collect();
    call.contains(&hex)
}

/// `7<path>`: the number, and the path.
fn descriptor(text: &str) -> (String, PathBuf) {
    let (number, rest) = text.split_once('<').unwrap_or((text, ""));
    // Behind it may stand that it is deleted.
    (number.to_owned(), path(rest.split('>').next().unwrap_or_default()))
}

fn path(hex: &str) -> PathBuf {
    PathBuf::from(String::from_utf8(text(hex)).unwrap())
}

/// Bytes as strace -xx writes them, with or without quotation marks.
fn text(hex: &str) -> Vec<u8> {
    let hex = hex.trim_matches('"');
    let bytes = hex.split("\\x").skip(1);
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect("strace -xx writes hex")).collect()
}
