# The two commands that a newcomer needs: `make run` and `make test`.

.PHONY: help run test lint unit stories fuzz release bench bench-micro timing

help:
	@echo "make run          start a demo gateway on this machine and print the addresses to open"
	@echo "make test         install what the tests need, then run all of them"
	@echo "make release      build narthexd as it is released, with profile-guided optimisation, into target/dist"
	@echo "make bench        measure the gateway beside its peers and print tables"
	@echo "make bench-micro  measure its parts one by one"
	@echo "make fuzz TARGET=token  let a fuzzer guided by coverage look for inputs that break a promise (nightly and cargo-fuzz)"
	@echo "make timing       try whether the time of a comparison tells anything about a secret"

run: ; @deploy/prepare build && cargo build --quiet --locked --package narthex-server && exec target/debug/narthexd demo $(ARGS)

test: ; @deploy/prepare build test && $(MAKE) --no-print-directory lint unit stories && echo "All tests passed."

lint:
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	deploy/advisories

unit:
	cargo test --quiet --locked --workspace

stories:
	cargo build --quiet --locked --package narthex-server
	cargo build --quiet --locked --workspace --examples
	e2e/run

timing: ; @deploy/prepare build && cargo test --quiet --locked --release --package narthex-e2e --test timing -- --ignored --test-threads 1 --nocapture

release: ; @deploy/prepare build bench pgo && deploy/release

bench: ; @deploy/prepare build bench pgo && bench/run $(ARGS)

bench-micro: ; @deploy/prepare build && cargo bench --quiet --locked --package narthex-bench --bench micro -- $(ARGS)

fuzz:
	mkdir -p fuzz/corpus/$(TARGET)
	cargo +nightly fuzz run --fuzz-dir fuzz/libfuzzer $(TARGET) $(CURDIR)/fuzz/corpus/$(TARGET) $(CURDIR)/fuzz/seeds/$(TARGET) -- $(ARGS)
