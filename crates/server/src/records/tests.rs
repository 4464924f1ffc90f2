//! A shelf that does as it is told, and what becomes of the records.

use super::*;
use narthex_model::MasterKey;
use tokio::sync::mpsc;

/// Panics as often as it is told to, before or after it has kept what it is given; refuses as often as it is told to.
#[derive(Default)]
struct Scripted {
    panics: AtomicU64,
    late_panics: AtomicU64,
    refusals: AtomicU64,
    kept: Mutex<(Vec<AccessRecord>, Option<SpillMark>)>,
}

fn takes_one(from: &AtomicU64) -> bool {
    from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

impl Scripted {
    fn keep(&self, records: &[AccessRecord], mark: Option<&SpillMark>) -> Result<(), StoreError> {
        assert!(!takes_one(&self.panics), "this panic is part of a test");
        if takes_one(&self.refusals) {
            return Err(StoreError::Full);
        }
        let mut kept = self.kept.lock().unwrap();
        kept.0.extend_from_slice(records);
        kept.1 = mark.cloned().or(kept.1.take());
        drop(kept);
        assert!(mark.is_none() || !takes_one(&self.late_panics), "this panic is part of a test");
        Ok(())
    }

    /// The numbers of the records that it keeps.
    fn numbers(&self) -> Vec<u64> {
        let kept = self.kept.lock().unwrap();
        let number = |record: &AccessRecord| u64::from_str_radix(&record.ray_id.to_string(), 16);
        kept.0.iter().map(|record| number(record).unwrap()).collect()
    }
}

#[async_trait]
impl Shelf for Arc<Scripted> {
    async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError> {
        self.keep(records, None)
    }

    async fn append_spilled(
        &self,
        records: &[AccessRecord],
        mark: &SpillMark,
    ) -> Result<(), StoreError> {
        self.keep(records, Some(mark))
    }

    async fn spill_mark(&self) -> Result<Option<SpillMark>, StoreError> {
        Ok(self.kept.lock().unwrap().1.clone())
    }
}

fn record(number: u64) -> AccessRecord {
    let ray = format!("{number:016x}").parse().unwrap();
    let (action, verdict) = (narthex_model::Action::Request, narthex_model::Verdict::Refused);
    AccessRecord::new(ray, narthex_model::UnixSeconds(0), action, verdict, "")
}

/// A directory for the file, and one keeper after the other.
struct House {
    directory: tempfile::TempDir,
    master: Arc<MasterKey>,
    shelf: Arc<Scripted>,
    counts: Arc<RecordCounts>,
    restarts: Arc<Restarts>,
}

impl House {
    fn with(shelf: Scripted) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            master: Arc::new(MasterKey::generate().0),
            shelf: Arc::new(shelf),
            counts: Arc::default(),
            restarts: Arc::default(),
        }
    }

    /// Starts a keeper with these records in its queue.
    async fn start(
        &self,
        numbers: std::ops::Range<u64>,
    ) -> (mpsc::Sender<AccessRecord>, tokio::task::JoinHandle<()>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        for number in numbers {
            sender.send(record(number)).await.unwrap();
        }
        let path = self.directory.path().join("narthex.db");
        let spill = Spill::beside(&path, self.master.clone()).unwrap();
        let keeper = Keeper::new(queue, self.shelf.clone(), spill, self.counts.clone());
        (sender, tokio::spawn(keeper.keep(self.restarts.clone())))
    }

    fn file_is_there(&self) -> bool {
        self.directory.path().join("records.spill").exists()
    }
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(RETRY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn r18_no_record_is_lost_or_doubled_when_the_writer_panics() {
    let house =
        House::with(Scripted { panics: 2.into(), refusals: 1.into(), ..Scripted::default() });
    let first = BATCH as u64 + 3;
    let (sender, sent) = house.start(0..first).await;
    until(|| house.counts.written() == first).await;
    sender.send(record(first)).await.unwrap();
    drop(sender);
    sent.await.unwrap();
    assert_eq!(house.shelf.numbers(), (0..=first).collect::<Vec<_>>());
    assert_eq!((house.counts.written(), house.counts.retries()), (first + 1, 1));
    assert_eq!(house.restarts.read()[0], ("records", 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_spilled_and_comes_back_in_its_order() {
    let house = House::with(Scripted { refusals: u64::MAX.into(), ..Scripted::default() });
    let (sender, sent) = house.start(0..1_200).await;
    until(|| house.counts.waiting() == 1_200).await;
    assert!(house.file_is_there());
    sender.send(record(1_200)).await.unwrap();
    until(|| house.counts.waiting() == 1_201).await;
    assert_eq!((house.shelf.numbers(), house.counts.written()), (Vec::new(), 0));

    // A panic between the shelf and the file: the shelf has the page, and the file does not know.
    house.shelf.late_panics.store(1, Ordering::Relaxed);
    house.shelf.refusals.store(0, Ordering::Relaxed);
    until(|| house.counts.waiting() == 0).await;
    assert!(!house.file_is_there());
    sender.send(record(1_201)).await.unwrap();
    drop(sender);
    sent.await.unwrap();
    assert_eq!(house.shelf.numbers(), (0..=1_201).collect::<Vec<_>>());
    assert_eq!(house.counts.spilled(), 1_201);
    assert_eq!((house.counts.lost(), house.counts.unreadable()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_next_process_reads_what_the_last_one_spilled() {
    let house = House::with(Scripted { refusals: u64::MAX.into(), ..Scripted::default() });
    let (sender, sent) = house.start(0..700).await;
    drop(sender);
    sent.await.unwrap();
    assert_eq!((house.counts.waiting(), house.counts.lost()), (700, 0));

    // The next one dies between the shelf and the file, as by kill -9, and the third goes on.
    house.shelf.refusals.store(0, Ordering::Relaxed);
    house.shelf.late_panics.store(1, Ordering::Relaxed);
    let (_second, killed) = house.start(700..700).await;
    until(|| !house.shelf.numbers().is_empty()).await;
    killed.abort();
    let (sender, sent) = house.start(700..702).await;
    drop(sender);
    sent.await.unwrap();
    assert_eq!(house.shelf.numbers(), (0..702).collect::<Vec<_>>());
    assert!(!house.file_is_there());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_leaves_them_in_memory_and_the_loss_is_counted() {
    let house = House::with(Scripted { refusals: u64::MAX.into(), ..Scripted::default() });
    let path = house.directory.path().to_owned();
    let (sender, sent) = house.start(0..3).await;
    std::fs::remove_dir_all(&path).unwrap();
    until(|| house.counts.retries() > 2).await;
    assert_eq!((house.counts.spilled(), house.counts.waiting()), (0, 0));
    house.shelf.refusals.store(0, Ordering::Relaxed);
    until(|| house.counts.written() == 3).await;
    assert_eq!(house.shelf.numbers(), [0, 1, 2]);

    house.shelf.refusals.store(u64::MAX, Ordering::Relaxed);
    sender.send(record(3)).await.unwrap();
    drop(sender);
    sent.await.unwrap();
    assert_eq!((house.counts.lost(), house.counts.written()), (1, 3));
}
