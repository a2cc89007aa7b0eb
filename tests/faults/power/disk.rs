//! A disk that keeps only what was synced, and of the rest what chance will have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::rngs::StdRng;

use super::trace::Call;

/// The files, and what has become of them since they were synced.
pub struct Disk {
    /// The folder that everything is below.
    root: PathBuf,
    files: Vec<File>,
    /// As the process sees them.
    names: BTreeMap<PathBuf, usize>,
    /// As they are on the medium.
    durable: BTreeMap<PathBuf, usize>,
    /// Changes of names that no sync of their folder has followed, with when they ended.
    pending: Vec<(usize, Renaming)>,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    /// Changes that no sync has followed, with when they ended.
    pending: Vec<(usize, Change)>,
}

#[derive(Clone)]
enum Change {
    Len(usize),
    Write(usize, Vec<u8>),
}

#[derive(Clone)]
enum Renaming {
    Made(PathBuf, usize),
    Moved(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl Renaming {
    fn is_in(&self, folder: &Path) -> bool {
        let (Self::Made(path, _) | Self::Moved(_, path) | Self::Removed(path)) = self;
        path.parent() == Some(folder)
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Made(path, file) => drop(names.insert(path, file)),
            Self::Moved(from, to) => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
            Self::Removed(path) => drop(names.remove(&path)),
        }
    }
}

impl Change {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Len(len) => content.resize(len, 0),
            Self::Write(at, bytes) => {
                content.resize(content.len().max(at + bytes.len()), 0);
                content[at..at + bytes.len()].copy_from_slice(&bytes);
            }
        }
    }
}

impl Disk {
    /// A disk on which this folder is empty.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// Does what a call did that began and ended at these lines of the trace.
    pub fn play(&mut self, call: &Call, begin: usize, end: usize) {
        match call {
            Call::Create(path) if self.names.contains_key(path) => {}
            Call::Create(path) => {
                let file = self.files.len();
                self.files.push(File::default());
                self.rename(end, Renaming::Made(path.clone(), file));
            }
            Call::Rename(from, to) => {
                self.rename(end, Renaming::Moved(from.clone(), to.clone()));
            }
            Call::Remove(path) => self.rename(end, Renaming::Removed(path.clone())),
            Call::Len(path, len) => self.change(end, path, Change::Len(*len)),
            Call::Write { path, at, bytes } => {
                self.change(end, path, Change::Write(*at, bytes.clone()));
            }
            Call::Sync(path) => self.sync(path, begin),
            Call::Say(_) => {}
        }
    }

    fn rename(&mut self, end: usize, renaming: Renaming) {
        renaming.clone().apply(&mut self.names);
        self.pending.push((end, renaming));
    }

    fn change(&mut self, end: usize, path: &Path, change: Change) {
        // What has no name any more is lost in any case.
        if let Some(file) = self.names.get(path) {
            self.files[*file].pending.push((end, change));
        }
    }

    /// Only what had ended when the sync began is sure to be in it.
    fn sync(&mut self, path: &Path, begin: usize) {
        let Some(&file) = self.names.get(path) else {
            let in_it =
                |(end, renaming): &mut (usize, Renaming)| *end < begin && renaming.is_in(path);
            for (_, renaming) in self.pending.extract_if(.., in_it) {
                renaming.apply(&mut self.durable);
            }
            return;
        };
        let File { durable, pending } = &mut self.files[file];
        for (_, change) in pending.extract_if(.., |(end, _)| *end < begin) {
            change.apply(durable);
        }
    }

    /// Cuts the power, and writes what is left into `folder`: all that was synced; of the changes
    /// of names, the first so many, since file systems keep them in a journal; of the others any,
    /// the last of them perhaps torn.
    pub fn cut(mut self, folder: &Path, rng: &mut StdRng) {
        let kept = rng.random_range(0..=self.pending.len());
        for (_, renaming) in self.pending.drain(..kept) {
            renaming.apply(&mut self.durable);
        }
        // None, half or all, so that each is met often.
        let share = [0.0, 0.5, 1.0][rng.random_range(0..3)];
        for (path, file) in &self.durable {
            let File { durable, pending } = &self.files[*file];
            let mut content = durable.clone();
            let last = pending.len().wrapping_sub(1);
            for (number, (_, change)) in pending.iter().enumerate() {
                if !rng.random_bool(share) {
                    continue;
                }
                let mut change = change.clone();
                if let Change::Write(_, bytes) = &mut change
                    && number == last
                    && rng.random_bool(0.5)
                {
                    bytes.truncate(rng.random_range(0..=bytes.len()));
                }
                change.apply(&mut content);
            }
            let target = folder.join(path.strip_prefix(&self.root).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, content).unwrap();
        }
    }
}
