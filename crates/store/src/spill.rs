//! Where access records wait that `records.db` does not take: `records.spill` beside it, a sealed line for each, only
//! ever added to until all of it has been read again.
//!
//! A line is base64url of the record's JSON, sealed for its place in this file by the master key: nobody else can add,
//! change or reorder lines. A last line that was torn by a crash or a full disk is cut off and reported; one that does
//! not open is skipped and reported. How far the file has been read is kept in `records.db` together with what was read
//! ([`SpillMark`]), so that a crash in between neither loses nor doubles a record.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{AccessRecord, AccountId, MasterKey};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name.
const NAME: &str = "records.spill";
/// What its first line begins with; the file's id follows.
const HEADER: &str = "narthex spilled records ";
/// Most bytes in the file: some 60,000 records.
const MOST: u64 = 64 * 1024 * 1024;

/// How far a file of spilled records has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillMark {
    /// The file's id; each new file has another.
    pub file: String,
    /// How many of its lines.
    pub lines: u64,
}

/// Some lines of the file.
#[derive(Debug)]
pub struct SpilledPage {
    /// The records on them, in order.
    pub records: Vec<AccessRecord>,
    /// Lines that did not open.
    pub unreadable: u64,
    /// How far this goes.
    pub mark: SpillMark,
}

/// The file of spilled records.
pub struct Spill {
    path: PathBuf,
    master: Arc<MasterKey>,
    open: Option<Open>,
    most: u64,
}

/// A file that is there.
struct Open {
    file: File,
    id: String,
    /// Whole lines after the header.
    lines: u64,
    /// Where the last of them ends.
    bytes: u64,
    /// Lines that have been read, and where the next begins.
    read: (u64, u64),
}

impl Spill {
    /// The file beside the database at `path`, with what an earlier process left in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn beside(path: &Path, master: Arc<MasterKey>) -> io::Result<Self> {
        let path = path.with_file_name(NAME);
        let open = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Open::resume(file, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, master, open, most: MOST })
    }

    /// How many lines have not been read.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.lines - open.read.0)
    }

    /// Adds records and waits until they are durable; all or none.
    ///
    /// # Errors
    /// What the system says, and [`io::ErrorKind::FileTooLarge`] when the file has its full size.
    pub fn append(&mut self, records: &[AccessRecord]) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(Open::create(&self.path)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut text = String::new();
        for (line, record) in (open.lines..).zip(records) {
            let json = serde_json::to_vec(record).map_err(io::Error::other)?;
            URL_SAFE_NO_PAD
                .encode_string(self.master.seal(&json, &place(&open.id, line)), &mut text);
            text.push('\n');
        }
        if open.bytes + text.len() as u64 > self.most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "records.spill is full"));
        }
        let written = open.write(text.as_bytes());
        if written.is_ok() {
            open.lines += records.len() as u64;
            open.bytes += text.len() as u64;
        }
        written
    }

    /// Goes on after `mark`, where that is about this file: an earlier process read so far.
    ///
    /// # Errors
    /// What the system says.
    pub fn resume_after(&mut self, mark: &SpillMark) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.id == mark.file) else {
            return Ok(());
        };
        let (mut lines, mut offset) = open.read;
        let mut reader = open.reader()?;
        let mut line = Vec::new();
        while lines < mark.lines.min(open.lines) {
            line.clear();
            offset += reader.read_until(b'\n', &mut line)? as u64;
            lines += 1;
        }
        open.read = (lines, offset);
        Ok(())
    }

    /// The next lines, at most so many; they count as read with [`Self::accept`].
    ///
    /// # Errors
    /// What the system says.
    pub fn peek(&self, most: usize) -> io::Result<Option<SpilledPage>> {
        let Some(open) = self.open.as_ref().filter(|open| open.read.0 < open.lines) else {
            return Ok(None);
        };
        let mut mark = SpillMark { file: open.id.clone(), lines: open.read.0 };
        let (mut records, mut unreadable) = (Vec::new(), 0);
        let end = open.lines.min(open.read.0 + most as u64);
        let mut lines = open.reader()?.split(b'\n');
        while mark.lines < end {
            let line = lines.next().transpose()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let record = URL_SAFE_NO_PAD.decode(&line).ok().and_then(|sealed| {
                let json = self.master.open(&sealed, &place(&open.id, mark.lines)).ok()?;
                serde_json::from_slice(&json).ok()
            });
            match record {
                Some(record) => records.push(record),
                None => unreadable += 1,
            }
            mark.lines += 1;
        }
        Ok(Some(SpilledPage { records, unreadable, mark }))
    }

    /// Everything up to `mark` is durable elsewhere; the file goes when that is all of it.
    ///
    /// # Errors
    /// What the system says.
    pub fn accept(&mut self, mark: &SpillMark) -> io::Result<()> {
        self.resume_after(mark)?;
        if self.waiting() == 0 && self.open.is_some() {
            fs::remove_file(&self.path)?;
            self.open = None;
        }
        Ok(())
    }
}

impl Open {
    fn create(path: &Path) -> io::Result<Self> {
        let id = AccountId::random().to_string(); // 128 random bits
        let header = format!("{HEADER}{id}\n");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let bytes = header.len() as u64;
        let mut open = Self { file, id, lines: 0, bytes: 0, read: (0, bytes) };
        if let Err(error) = open.write(header.as_bytes()).and_then(|()| durable_name(path)) {
            fs::remove_file(path)?;
            return Err(error);
        }
        open.bytes = bytes;
        Ok(open)
    }

    /// Reads what an earlier process left. `None` when that is not even a header.
    fn resume(file: File, path: &Path) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(file);
        let mut header = Vec::new();
        reader.by_ref().take(200).read_until(b'\n', &mut header)?;
        let id = header.strip_prefix(HEADER.as_bytes()).and_then(|rest| rest.strip_suffix(b"\n"));
        let Some(id) = id.and_then(|id| String::from_utf8(id.to_vec()).ok()) else {
            let aside = path.with_extension("spill.damaged");
            tracing::error!(file = %aside.display(), "spilled access records cannot be read: the file has no header; it was put aside");
            fs::rename(path, aside)?;
            return Ok(None);
        };
        let start = header.len() as u64;
        let (mut lines, mut bytes, mut line) = (0, start, Vec::new());
        let torn = loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if line.last() != Some(&b'\n') {
                break length;
            }
            (lines, bytes) = (lines + 1, bytes + length);
        };
        let file = reader.into_inner();
        if torn > 0 {
            tracing::error!(
                bytes = torn,
                "the last spilled access record was torn by a crash or a full disk and is lost"
            );
            file.set_len(bytes)?;
        }
        Ok(Some(Self { file, id, lines, bytes, read: (0, start) }))
    }

    /// Writes at the end of what is whole; what did not fit is cut off again.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // When even this fails, the next write tries it again, and the next process cuts off what is torn.
            self.file.set_len(self.bytes)?;
        }
        written
    }

    /// From the first line that has not been read.
    fn reader(&self) -> io::Result<BufReader<&File>> {
        (&self.file).seek(SeekFrom::Start(self.read.1))?;
        Ok(BufReader::new(&self.file))
    }
}

/// What a line is sealed for.
fn place(id: &str, line: u64) -> String {
    format!("spilled record/{id}/{line}")
}

/// A new file's name is durable once its directory is.
fn durable_name(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

impl fmt::Debug for Spill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spill").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::{Action, UnixSeconds, Verdict};
    use std::os::unix::fs::PermissionsExt as _;

    struct Place {
        directory: tempfile::TempDir,
        master: Arc<MasterKey>,
    }

    impl Place {
        fn new() -> Self {
            let master = Arc::new(MasterKey::generate().0);
            Self { directory: tempfile::tempdir().unwrap(), master }
        }

        fn open(&self) -> Spill {
            Spill::beside(&self.directory.path().join("narthex.db"), self.master.clone()).unwrap()
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join(NAME)
        }
    }

    fn records(numbers: std::ops::Range<u64>) -> Vec<AccessRecord> {
        let record = |number| {
            let ray = format!("{number:016x}").parse().unwrap();
            let at = UnixSeconds(0);
            AccessRecord::new(ray, at, Action::Request, Verdict::Refused, "no rule matches")
        };
        numbers.map(record).collect()
    }

    /// Everything, in pages of three.
    fn read_all(spill: &mut Spill) -> (Vec<AccessRecord>, u64) {
        let (mut records, mut unreadable) = (Vec::new(), 0);
        while let Some(page) = spill.peek(3).unwrap() {
            records.extend(page.records);
            unreadable += page.unreadable;
            spill.accept(&page.mark).unwrap();
        }
        (records, unreadable)
    }

    #[test]
    fn what_is_spilled_is_read_again_in_order_and_the_file_goes() {
        let place = Place::new();
        let mut spill = place.open();
        assert_eq!(spill.waiting(), 0);
        assert!(spill.peek(3).unwrap().is_none());
        assert!(!place.file().exists());
        spill.append(&records(0..4)).unwrap();
        spill.append(&records(4..5)).unwrap();
        let mode = fs::metadata(place.file()).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, spill.waiting()), (0o600, 5));
        assert_eq!(read_all(&mut spill), (records(0..5), 0));
        assert!(!place.file().exists());
        spill.append(&records(5..7)).unwrap();
        drop(spill);
        assert_eq!(read_all(&mut place.open()), (records(5..7), 0), "another process goes on");
        assert!(!place.file().exists());
    }

    #[test]
    fn another_process_goes_on_where_the_first_stopped() {
        let place = Place::new();
        let mut spill = place.open();
        spill.append(&records(0..7)).unwrap();
        let read = spill.peek(5).unwrap().unwrap();
        assert_eq!(read.records, records(0..5));
        drop(spill); // it had kept the mark with the records, and did not come to tell the file
        let mut next = place.open();
        next.resume_after(&SpillMark { file: "another".to_owned(), lines: 3 }).unwrap();
        assert_eq!(next.waiting(), 7);
        next.resume_after(&read.mark).unwrap();
        assert_eq!(next.waiting(), 2);
        next.append(&records(7..8)).unwrap();
        assert_eq!(read_all(&mut next), (records(5..8), 0));
    }

    /// Cut off anywhere: what is whole is read, and the next line is whole again.
    #[test]
    fn a_torn_line_costs_one_record() {
        let place = Place::new();
        place.open().append(&records(0..3)).unwrap();
        let whole = fs::read(place.file()).unwrap();
        let ends: Vec<usize> =
            (0..whole.len()).filter(|at| whole.get(*at) == Some(&b'\n')).map(|at| at + 1).collect();
        assert_eq!(ends.len(), 4);
        for length in ends[0]..whole.len() {
            fs::write(place.file(), &whole[..length]).unwrap();
            let mut spill = place.open();
            let kept = ends[1..].iter().filter(|end| **end <= length).count() as u64;
            assert_eq!(spill.waiting(), kept, "{length} bytes");
            spill.append(&records(9..10)).unwrap();
            let (read, unreadable) = read_all(&mut spill);
            assert_eq!((read, unreadable), ([records(0..kept), records(9..10)].concat(), 0));
        }
        for length in 0..ends[0] {
            fs::write(place.file(), &whole[..length]).unwrap();
            assert_eq!(place.open().waiting(), 0);
            assert!(place.file().with_extension("spill.damaged").exists(), "put aside");
        }
    }

    #[test]
    fn a_line_that_was_changed_moved_or_made_by_somebody_else_is_skipped_and_counted() {
        let place = Place::new();
        place.open().append(&records(0..4)).unwrap();
        let whole = fs::read_to_string(place.file()).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let other = if lines[2].starts_with('A') { "B" } else { "A" };
        let altered = format!("{other}{}", &lines[2][1..]);
        let text = [lines[0], lines[1], &altered, lines[4], lines[3], "{}", ""].join("\n");
        fs::write(place.file(), text).unwrap();
        assert_eq!(read_all(&mut place.open()), (records(0..1), 4));

        let foreign = Spill::beside(&place.file(), Arc::new(MasterKey::generate().0));
        foreign.unwrap().append(&records(0..2)).unwrap();
        assert_eq!(read_all(&mut place.open()), (Vec::new(), 2));
    }

    #[test]
    fn the_file_has_a_full_size_and_keeps_what_it_has() {
        let place = Place::new();
        let mut spill = place.open();
        spill.append(&records(0..1)).unwrap();
        spill.most = fs::metadata(place.file()).unwrap().len() * 2;
        let refused = spill.append(&records(1..9)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_all(&mut spill), (records(0..1), 0));
        assert!(spill.append(&records(1..2)).is_ok(), "there is room again");
    }
}
