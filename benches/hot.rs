//! The hot paths in time: `cargo bench --bench hot`.

mod work;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const ROWS: u64 = 50_000;
const CALLS: u64 = 2_000;

fn hot(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    work::prepare(folder.path(), ROWS);
    let runtime = Runtime::new().unwrap();
    let config = work::load(folder.path());
    let roster = work::select(&config);

    let mut group = criterion.benchmark_group("contacts");
    group.throughput(Throughput::Elements(ROWS)).sample_size(20);
    group.bench_function("parsing", |b| b.iter(|| work::parse(&config)));
    group.bench_function("selecting", |b| b.iter(|| work::select(&config).len()));
    group.bench_function("diffing", |b| {
        b.iter(|| work::diff(&runtime, &config, &roster).triggers());
    });
    group.finish();

    let mut group = criterion.benchmark_group("calls");
    group
        .throughput(Throughput::Elements(CALLS))
        .sample_size(20);
    group.bench_function("signing", |b| b.iter(|| work::sign(CALLS)));
    group.bench_function("journaling", |b| {
        b.iter(|| work::journal(&runtime, folder.path(), CALLS));
    });
    group.finish();
}

criterion_group!(benches, hot);
criterion_main!(benches);
