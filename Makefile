# The commands of the README. Each sets up what it needs: as root through apt, otherwise it says
# what is missing. Rust and make must be there, and Go for the stores' test servers.

.PHONY: demo test soak image e2e e2e-full least repeat simulate mutants bench lint fmt clippy docs deny advisories \
	sbom reproducible

# Shows a change on its way from a store to a running nginx. `make demo STORE=etcd` or
# `STORE=consul` follow a real store instead of a folder.
STORE ?= files
demo:
	@integration/demo/run.sh $(STORE)

# Every test there is, on real servers and the release build.
test:
	@integration/test.sh

# The tests that take minutes each, on real servers and the release build: about a quarter of an hour.
soak:
	@integration/soak.sh

# The image with the static program: `localhost/rehup:VERSION` and `target/image/rehup.tar`.
image:
	@deploy/image/build.sh

# What ships below `deploy`, in pods of a real Kubernetes that is built and started for it; without
# the cases that take minutes. Needs root and Go, or a cluster in REHUP_E2E_KUBECONFIG.
e2e:
	@integration/e2e.sh

e2e-full:
	@integration/e2e.sh full

# The tests that start the program, without any right; `make least CONFINE=1` also inside Landlock.
least:
	@integration/least.sh

# The same tests again and again: `make repeat TEST="e01_ c05_" N=20`.
N ?= 20
repeat:
	@integration/soak.sh $(N) $(TEST)

# Switches off one guard after another and requires that its test fails; `ROW="E01 C05"` for some rows.
mutants:
	@integration/setup.sh test
	@integration/servers/build.sh
	ROW="$(ROW)" cargo bench --locked --profile dev --bench mutants

# Lives of the core in a simulated world: SEEDS of them, or only that of SEED. A seed that breaks
# a promise is printed, and is the same life each time.
SEEDS ?= 10000
SEED ?=
simulate:
	SEEDS=$(SEEDS) SEED=$(SEED) cargo test --quiet --profile simulate --locked --test integration \
		simulation::soak -- --nocapture

# Latency and memory of the release build beside real stores; asserts nothing.
bench:
	@integration/setup.sh test
	@integration/servers/build.sh
	cargo build --release --locked
	REHUP=$$PWD/target/release/rehup cargo bench --locked --profile dev --bench bench

# Everything that reads the code without running it.
lint: fmt clippy docs deny

fmt:
	cargo fmt --all --check

# Also with one provider at a time, as somebody may build it.
clippy: needs-build
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features failpoints -- -D warnings
	cargo clippy --locked --no-default-features --features consul -- -D warnings
	cargo clippy --locked --no-default-features --features etcd -- -D warnings
	cargo clippy --locked --no-default-features --features files -- -D warnings

docs: needs-build
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# And that it can fail: one fault after another in a copy of the manifest.
deny: cargo-deny
	$(DENY) --config .deny.toml --locked check bans licenses sources
	@integration/deny.sh $(DENY)

# Apart from `lint`, because the answer changes without us: it asks the advisory database.
advisories: cargo-deny
	$(DENY) --config .deny.toml --locked check advisories

# What is in the program on each system, as CycloneDX: `target/sbom`.
sbom: cargo-cyclonedx
	@integration/sbom.sh $(CYCLONEDX)

# Two clean release builds at two places of this machine, which must be the same to the byte: twice
# as long as one.
reproducible:
	@integration/reproducible.sh

# One from PATH will do; otherwise it is built once.
DENY_VERSION := 0.20.2
DENY := $(or $(shell command -v cargo-deny),target/tools/bin/cargo-deny)
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := $(or $(shell command -v cargo-cyclonedx),target/tools/bin/cargo-cyclonedx)

.PHONY: needs-build cargo-deny cargo-cyclonedx
needs-build:
	@integration/setup.sh build

# $(call tool,PROGRAM,VERSION): built quickly, because it runs for a moment.
tool = CARGO_TARGET_DIR=target/tools/build CARGO_PROFILE_RELEASE_LTO=off \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo install $(1) --version $(2) --locked \
	--root target/tools && rm -rf target/tools/build

cargo-deny:
	@[ -x "$(DENY)" ] || { $(call tool,cargo-deny,$(DENY_VERSION)); }

cargo-cyclonedx:
	@[ -x "$(CYCLONEDX)" ] || { $(call tool,cargo-cyclonedx,$(CYCLONEDX_VERSION)); }
