#!/usr/bin/env bash
# A federation over a bad network: the coordinator and two clients in network namespaces of their own, joined by virtual
# cables. Four rounds of a small plan meet, one after the other, 200 ms of delay with 5 % loss, a cut of the cable that is
# longer than a connection lives, and a client whose address changes. The final hash must be that of the simulation.
#
# Needs Linux, root, ip and, for delay and loss, tc with the kernel's netem module; without the module it says so and goes
# on with the cut and the change. Touches nothing outside of the namespaces, which end with it.
#
#   scripts/netem.sh [BINARY]       BINARY defaults to target/release/synod
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

synod=$(realpath "${1:-target/release/synod}")
# A cut of ten minutes, scaled by twenty: longer than the 20 s after which a silent connection is given up.
cut_s=30

# The namespaces are children of one that has no network of its own; all end with the processes in them.
if [[ ${SYNOD_NETEM_INSIDE:-} != 1 ]]; then
    exec env SYNOD_NETEM_INSIDE=1 unshare --net --mount -- "${BASH_SOURCE[0]}" "$synod"
fi
mount -t tmpfs none /run
mkdir -p /run/netns

folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait || true; rm -rf "$folder"' EXIT

# The coordinator's side is a bridge, each client has a cable into it.
ip netns add hub
ip -n hub link add bridge type bridge
ip -n hub addr add 10.77.0.1/24 dev bridge
ip -n hub link set bridge up
ip -n hub link set lo up
shaped=yes
for site in 1 2; do
    ip netns add "site$site"
    ip -n hub link add "cable$site" type veth peer name line netns "site$site"
    ip -n hub link set "cable$site" master bridge up
    ip -n "site$site" addr add "10.77.0.1$site/24" dev line
    ip -n "site$site" link set line up
    ip -n "site$site" link set lo up
    for at in "hub cable$site" "site$site line"; do
        read -r namespace device <<<"$at"
        tc -n "$namespace" qdisc add dev "$device" root netem delay 100ms loss 5% 2>"$folder/tc" || shaped=no
    done
done
[[ $shaped == yes ]] || echo "this kernel has no netem: delay and loss are left out ($(tail -1 "$folder/tc"))"

cat >"$folder/plan.toml" <<'PLAN'
name = "netem"
rounds = 4
seed = 1
[task.classification]
classes = 10
[model.mlp]
hidden = [32]
[data]
source = "digits"
[train]
epochs = 400
[round]
arrival.count.min = 2
updates.count.min = 2
updates.time.max = "5m"
[simulation]
clients = 2
PLAN
"$synod" simulate "$folder/plan.toml" --out "$folder/simulated" --json --quiet >"$folder/expected"
hash_of() { grep -o '"run_finished".*' "$1" | grep -o '"model":"[0-9a-f]*"' | tail -1; }

"$synod" certs authority study --out "$folder/authority" >/dev/null
"$synod" certs coordinator main --authority "$folder/authority" --out "$folder/main" >/dev/null
for site in 1 2; do
    "$synod" certs site "site-$((site - 1))" --authority "$folder/authority" --out "$folder/site$site" >/dev/null
done

ip netns exec hub "$synod" coordinator serve "$folder/plan.toml" --identity "$folder/main" --listen 10.77.0.1:7443 \
    --out "$folder/net" --json >"$folder/events" 2>"$folder/coordinator.log" &
coordinator=$!
for site in 1 2; do
    ip netns exec "site$site" "$synod" client run --coordinator 10.77.0.1:7443 --identity "$folder/site$site" --rehearse \
        >"$folder/client$site.log" 2>&1 &
done

is_committed() { grep '"round_committed"' "$folder/events" 2>/dev/null | grep -q "\"round\":$1[,}]"; }

after_round() {
    local waited=0 alive=yes
    until is_committed "$1"; do
        if [[ $alive == no ]] || ((waited > 1500)); then
            tail -n 20 "$folder/coordinator.log" "$folder"/client*.log
            exit 1
        fi
        sleep 0.2
        waited=$((waited + 1))
        # Looked at before the events are: it may end between the two.
        kill -0 "$coordinator" 2>/dev/null || alive=no
    done
    echo "round $1 is committed after ${SECONDS} s"
}

after_round 1
echo "the cable of site-0 is cut for ${cut_s} s"
ip -n hub link set cable1 down
sleep "$cut_s"
ip -n hub link set cable1 up
after_round 2
echo "site-1 gets another address"
ip -n site2 addr flush dev line
ip -n site2 addr add 10.77.0.99/24 dev line
after_round 4
wait "$coordinator"

if [[ $(hash_of "$folder/events") != $(hash_of "$folder/expected") ]]; then
    echo "the hash is not that of the simulation"
    exit 1
fi
echo "all rounds are done and the hash is that of the simulation: $(hash_of "$folder/events")"
