# Short names for what is done often. `just` lists them; each line is a plain command that also works by itself.

_default:
    @just --list --unsorted

# Everything a change must pass. Changes no file.
check:
    .ci/run

# Repair what a tool can repair.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# The tests alone; `just test -p synod-common` for one crate.
test *ARGS="--workspace":
    cargo test {{ARGS}}

# Federations in which everything fails: `just chaos 10000`, or `just chaos 10000 --first 5000`.
chaos N="1000" *ARGS:
    cargo run --release -- chaos --seeds {{N}} {{ARGS}}

# A federation over a bad network, in network namespaces; needs root. `scripts/netem.sh` says what.
netem:
    cargo build --release
    scripts/netem.sh

# Inputs for every fuzz target: `just fuzz 1000000`.
fuzz N="100000" *ARGS:
    cargo run --release -- chaos --fuzz {{N}} {{ARGS}}

# A federation of real processes on this machine.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# The benches; `just bench -p synod-coordinator` for one crate.
bench *ARGS="--workspace":
    cargo bench {{ARGS}}

# The documentation of all crates, opened in a browser.
docs:
    cargo doc --workspace --no-deps --open
