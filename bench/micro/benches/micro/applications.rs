//! Applications: the one of a request found among many, and all of them compiled, as after each change.

use divan::{Bencher, black_box};
use narthex_bench::{compiled, configuration, materials};
use narthex_model::{CanonicalPath, Hostname};

#[divan::bench(args = [10, 1_000, 10_000], sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, many: usize) {
    let (materials, configuration) = (materials(9000), configuration(many));
    bencher.bench(|| compiled(&materials, black_box(&configuration)));
}

/// What each write of the API does before it compiles.
#[divan::bench(args = [10, 10_000])]
fn clone_configuration(bencher: Bencher<'_, '_>, many: usize) {
    let configuration = configuration(many);
    bencher.bench(|| black_box(&configuration).clone());
}

fn find(bencher: Bencher<'_, '_>, many: usize, host: &str, path: &str, found: bool) {
    let snapshot = compiled(&materials(9000), &configuration(many));
    let host: Hostname = host.parse().expect("a name");
    let path = CanonicalPath::of(path).expect("a path");
    assert_eq!(snapshot.app(&host, &path).is_some(), found);
    bencher.bench(|| snapshot.app(black_box(&host), black_box(&path)).is_some());
}

#[divan::bench(args = [10, 10_000])]
fn find_by_host(bencher: Bencher<'_, '_>, many: usize) {
    find(bencher, many, "app7.example.com", "/a/b/c", true);
}

#[divan::bench(args = [10, 10_000])]
fn find_by_path(bencher: Bencher<'_, '_>, many: usize) {
    find(bencher, many, "shared0.example.com", "/app0/b/c", true);
}

#[divan::bench(args = [10, 10_000])]
fn find_none(bencher: Bencher<'_, '_>, many: usize) {
    find(bencher, many, "nobody.example.com", "/a/b/c", false);
}
