#!/usr/bin/env bash
# The studies behind docs/results/heterogeneity.md. Every run is a plan of its own; the folder keeps plans, events and models,
# and a run that is there already is not run again.
#
#   plans/study/study.sh conflict  DATA OUT    methods under label skew, MNIST and Fashion-MNIST
#   plans/study/study.sh attacks   DATA OUT    robust rules against hostile sites
#   plans/study/study.sh reference DATA OUT    FedAvg against the reference runs beside the partitions
#   plans/study/study.sh niid      DATA OUT    the methods of NIID-Bench's table, shortened
#
# DATA holds fashion-mnist/, mnist/ and partitions/. SEEDS (default "1 2 3"), SYNOD (default target/release/synod), THREADS
# (default 1) and PARTS (the partitions of niid) are taken from the environment. Prints rows: setting, round, one accuracy a
# seed, their mean and standard deviation.
set -euo pipefail
study=${1:?conflict, attacks, reference or niid} data=${2:?folder with the data sets} out=${3:?folder for the runs}
seeds=${SEEDS:-1 2 3} synod=${SYNOD:-target/release/synod} threads=${THREADS:-1}
mkdir -p "$out"

# plan DATASET PARTITION-LINES ROUNDS REST: the plan's text.
plan() {
  cat <<PLAN
rounds = $3
[task.classification]
classes = 10
[data.source.idx]
images = "$1/train-images-idx3-ubyte.gz"
labels = "$1/train-labels-idx1-ubyte.gz"
test_images = "$1/t10k-images-idx3-ubyte.gz"
test_labels = "$1/t10k-labels-idx1-ubyte.gz"
shape = [1, 28, 28]
[data]
holdout = 0
[data.normalise.divide]
by = 255
[evaluate]
site_every = 0
[simulation]
$2
$4
PLAN
}

# row NAME DATASET PARTITION-LINES ROUNDS CHECKPOINTS REST: runs every seed. A checkpoint LAST:COUNT is the mean accuracy of
# the COUNT rounds that end with LAST; each has a row of its own.
row() {
  local name=$1 folder checkpoint
  for seed in $seeds; do
    folder="$out/${name// /_}_$seed"
    [ -e "$folder/report.html" ] && continue
    rm -rf "$folder"
    plan "$2" "$3" "$4" "$6" > "$out/plan.toml"
    "$synod" --quiet simulate "$out/plan.toml" --data "$data" --seed "$seed" --threads "$threads" --out "$folder" > "$out/log" 2>&1 ||
      { echo "| $name | $(grep -m1 . "$out/log") |"; return; }
  done
  for checkpoint in $5; do
    for seed in $seeds; do
      awk -v last="${checkpoint%:*}" -v count="${checkpoint#*:}" '
        /"evaluated"/ && match($0, /"round":[0-9]+/) { round = substr($0, RSTART + 8, RLENGTH - 8) + 0 }
        /"evaluated"/ && match($0, /"accuracy":[0-9.e-]+/) && round > last - count && round <= last {
          sum += substr($0, RSTART + 11, RLENGTH - 11); n++ }
        END { printf "%.4f\n", (n ? sum / n : 0) }' "$out/${name// /_}_$seed/events.jsonl"
    done | awk -v name="$name" -v round="${checkpoint%:*}" '
      { all = all " / " $1; s += $1; q += $1 * $1; n++ }
      END { v = n > 1 ? (q - s * s / n) / (n - 1) : 0
        printf "| %s | %d | %s | %.4f | %.4f |\n", name, round, substr(all, 4), s / n, (v > 0 ? sqrt(v) : 0) }'
  done
}

files() { printf 'clients = 10\npartition = { file = { path = "partitions/%s_%s_10.idx.gz" } }' "$1" "$2"; }

mlp='[model.mlp]
hidden = [64]'
sgd='[train]
batch = 64
[train.optimiser.sgd]
lr = 0.05'

conflict() {
  for set in fashion-mnist mnist; do
    for part in dir0.1 c2; do
      local at="$set $part"
      of() { row "$at $1" "$set" "$(files "$set" "$part")" 40 "20:5 40:5" "$mlp
$sgd
$2"; }
      of fedavg ''
      of fedprox '[train.algorithm.fedprox]
mu = 0.01'
      of scaffold '[train.algorithm.scaffold]'
      of principal_gradient '[aggregate.strategy.principal_gradient]'
      of principal_gradient-norm-mean '[aggregate.strategy.principal_gradient]
norm = "mean"'
      of principal_projection '[aggregate.strategy.principal_projection]'
      of fedavg-step-2 '[aggregate]
server_lr = 2'
      of fedyogi '[aggregate]
strategy = "fedyogi"
server_lr = 0.01'
      of feddyn '[aggregate.strategy.fedavg]
weighting = "uniform"
[train.algorithm.feddyn]
alpha = 0.1'
      of scaffold+principal_projection '[train.algorithm.scaffold]
[aggregate.strategy.principal_projection]'
    done
  done
}

attacks() {
  local sites='clients = 20
partition = { dirichlet = { alpha = 1.0 } }'
  for attack in none sign_flip large_norm noise label_flip inner_product little_is_enough; do
    for hostile in 2 4 6; do
      local lines=$sites
      [ $attack = none ] || lines+="
attack = { $attack = { fraction = 0.$((hostile / 2)) } }"
      for rule in 'fedavg' 'norm_clipping' 'median' 'trimmed_mean = { trim = 0.3 }' 'geometric_median' \
          "krum = { hostile = $hostile }" "multi_krum = { hostile = $hostile }" "bulyan = { hostile = $hostile }" \
          'fltrust = { root = "site-0" }'; do
        local strategy=$rule
        [[ $rule == *=* ]] || strategy="$rule = {}"
        row "$attack $hostile ${rule%% *}" fashion-mnist "$lines" 10 10:1 "$mlp
$sgd
[round]
arrival.count.min = 20
[aggregate]
strategy = { $strategy }"
      done
      [ $attack != none ] || break
    done
  done
}

reference() {
  for part in iid dir0.5 dir0.1 c2 c1; do
    row "softmax $part" fashion-mnist "$(files fashion-mnist $part)" 20 "5:1 10:1 15:1 20:1" "[model.logistic]
$sgd"
  done
}

niid() {
  for part in ${PARTS:-iid dir0.5 c2 c1}; do
    of() { row "$part $1" fashion-mnist "$(files fashion-mnist $part)" 10 10:1 "[model.lenet]
[train]
epochs = 2
batch = 64
[train.optimiser.sgd]
lr = 0.01
momentum = ${3:-0.9}
weight_decay = 1e-5
$2"; }
    of fedavg ''
    of fedprox '[train.algorithm.fedprox]
mu = 0.01'
    of fednova '[aggregate.strategy.fednova]'
    of scaffold '[train.algorithm.scaffold]' 0
    of principal_gradient '[aggregate.strategy.principal_gradient]'
    of principal_projection '[aggregate.strategy.principal_projection]'
  done
}

case $study in
  conflict | attacks | reference | niid) "$study" ;;
  *) echo "no study is called $study" >&2; exit 2 ;;
esac
