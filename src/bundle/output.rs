//! A file that appears under its name only when it is complete and on disk.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

/// What to do if the target of an output exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it as it is and fail with [`io::ErrorKind::AlreadyExists`].
    Refuse,
    /// Put the new file in its place, at once.
    Replace,
}

/// Collects what is written in a temporary file beside the target; [`OutputFile::commit`] gives
/// it the target's name.
///
/// Dropped without that, it removes the temporary file. A crash can leave one behind, named
/// `.<target>.<process id>-<number>.partial`; it is never taken for the target.
pub struct OutputFile {
    file: BufWriter<File>,
    /// `Some` as long as the temporary file exists under that name.
    partial: Option<PathBuf>,
    target: PathBuf,
    existing: Existing,
}

impl OutputFile {
    /// Begins a file for `target`, in the folder of `target`, which must exist.
    ///
    /// # Errors
    /// If the target exists and should not, has no file name, or the temporary file cannot be
    /// made.
    pub fn create(target: &Path, existing: Existing) -> io::Result<Self> {
        refuse_existing(target, existing)?;
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let (partial, file) = create_partial(target, name)?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, file),
            partial: Some(partial),
            target: target.to_owned(),
            existing,
        })
    }

    /// Brings the bytes to disk, then gives the file its name, then brings the name to disk.
    ///
    /// [`Existing::Refuse`] is checked once more just before; another process that makes the
    /// target at that very moment loses its file, since renaming replaces.
    ///
    /// # Errors
    /// If any step fails. The target is then as before, except when only the last step failed:
    /// then the new file is in place, but may be gone after a loss of power.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        // A crash before the rename leaves the temporary file only. The bytes must be on disk
        // before it, or a loss of power could leave the name with nothing behind it.
        self.file.get_ref().sync_all()?;
        refuse_existing(&self.target, self.existing)?;
        if let Some(partial) = &self.partial {
            fs::rename(partial, &self.target)?;
        }
        self.partial = None;
        sync_folder_of(&self.target)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // There is nobody to tell; what stays behind is as after a crash.
            let _ = fs::remove_file(partial);
        }
    }
}

/// Makes a temporary file that nobody else has. Process ids come again, in containers at once, so
/// a file that a crash left must not be in the way.
fn create_partial(target: &Path, name: &OsStr) -> io::Result<(PathBuf, File)> {
    let mut number = 0u32;
    loop {
        let mut partial_name = OsString::from(".");
        partial_name.push(name);
        partial_name.push(format!(".{}-{number}.partial", process::id()));
        let partial = target.with_file_name(partial_name);
        match OpenOptions::new().write(true).create_new(true).open(&partial) {
            Ok(file) => return Ok((partial, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn refuse_existing(target: &Path, existing: Existing) -> io::Result<()> {
    // A symbolic link counts as existing, wherever it points.
    match existing {
        Existing::Refuse if target.symlink_metadata().is_ok() => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        _ => Ok(()),
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

/// Brings the names in a folder to disk.
///
/// # Errors
/// If the system fails.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened for this; the system orders its own metadata.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_is_left_of_an_output_that_was_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.zip");
        let mut output = OutputFile::create(&target, Existing::Refuse).unwrap();
        output.write_all(b"half").unwrap();
        assert!(!target.exists());
        assert_eq!(names(folder.path()).len(), 1);
        drop(output);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_complete_output_has_its_name_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.zip");
        let mut output = OutputFile::create(&target, Existing::Refuse).unwrap();
        output.write_all(b"whole").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["out.zip"]);
    }

    #[test]
    fn what_a_crash_left_behind_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.zip");
        let crashed = OutputFile::create(&target, Existing::Refuse).unwrap();
        let left_behind = crashed.partial.clone().unwrap();
        std::mem::forget(crashed);
        let mut output = OutputFile::create(&target, Existing::Refuse).unwrap();
        output.write_all(b"whole").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(fs::read(left_behind).unwrap(), b"");
    }

    #[test]
    fn an_existing_target_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.zip");

        // It may exist from the start, or come to exist while the output is written.
        let late = OutputFile::create(&target, Existing::Refuse).unwrap();
        fs::write(&target, b"old").unwrap();
        assert_eq!(late.commit().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let early = OutputFile::create(&target, Existing::Refuse).err().unwrap();
        assert_eq!(early.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"old");

        let mut output = OutputFile::create(&target, Existing::Replace).unwrap();
        output.write_all(b"new").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["out.zip"]);
    }
}
