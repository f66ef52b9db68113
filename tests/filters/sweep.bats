#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-sweep(1): many pairs as jobs, over GNU parallel and Slurm, interrupted and gone on with.
# shellcheck disable=SC2016 # commands are for others to expand

load ../helpers

PATH=${srcdir:?}/scripts:$PATH

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --like qwen2 --num-layers 1 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 32 --vocab 64 \
        --type BF16 | tensor-save a.safetensors
    tensor-quant -q --to Q8_0 a.safetensors | tensor-save b.gguf
    tensor-fault -q --fault channel --factor 3 --match '*up_proj*' a.safetensors | tensor-save bad.safetensors
    # 100 pairs, of which number 50 fails
    for ((i = 1; i <= 100; i++)); do
        if [ "$i" -eq 50 ]; then echo "p$i	a.safetensors	bad.safetensors"; else echo "p$i	a.safetensors	b.gguf"; fi
    done > pairs.tsv
}

setup() {
    cp "$BATS_FILE_TMPDIR"/*.* .
}

needs_parallel() {
    command -v parallel > /dev/null || skip "no parallel"
}

# results FOLDER: what a sweep made, but for logs.
results() {
    (cd "$1" && sha256sum -- *.tsr *.txt summary.tsv)
}

# killed_cos N: a tensor-cos of which the first N runs are killed, with their jobs.
killed_cos() {
    mkdir -p bin
    cat > bin/tensor-cos << END
#!/bin/sh
i=0
while [ \$i -lt $1 ]; do
    i=\$((i + 1))
    if mkdir "$PWD/killed-\$i" 2> /dev/null; then
        kill -9 \$PPID
        exit 9
    fi
done
exec "$builddir/filters/tensor-cos" "\$@"
END
    chmod +x bin/tensor-cos
}

@test "100 pairs with jobs killed on the way end with the bytes of an undisturbed run" {
    needs_parallel
    run -1 tensor-sweep --pairs pairs.tsv --out whole -j 2
    says "fail   p50" "100 pairs: 99 pass, 1 fail, 0 broken (100 of 100 jobs were run)"
    killed_cos 2
    PATH="$PWD/bin:$PATH" run -2 tensor-sweep --pairs pairs.tsv --out killed -j 2
    says "2 broken (100 of 100 jobs were run)"
    # only what has no result is run again: neither what passed, nor what failed
    run -1 tensor-sweep --pairs pairs.tsv --out killed -j 2
    says "100 pairs: 99 pass, 1 fail, 0 broken (2 of 100 jobs were run)"
    diff <(results whole) <(results killed)
    run -1 tensor-sweep --pairs pairs.tsv --out killed -j 2
    says "(0 of 100 jobs were run)"
    diff <(results whole) <(results killed)
}

@test "eight shards come to what one job comes to, and retries help" {
    needs_parallel
    grep -e p49 -e p50 pairs.tsv > two.tsv
    run -1 tensor-sweep --pairs two.tsv --out whole
    killed_cos 1
    PATH="$PWD/bin:$PATH" run -1 tensor-sweep --pairs two.tsv --out shards --shards 8 --retries 1 -j 2
    says "2 pairs: 1 pass, 1 fail, 0 broken (16 of 16 jobs were run)"
    for pair in p49 p50; do
        diff whole/$pair.txt shards/$pair.txt
    done
    diff whole/summary.tsv shards/summary.tsv
}

@test "a model that changed is compared again, alone" {
    needs_parallel
    head -n 3 pairs.tsv > three.tsv
    printf 'other\ta.safetensors\tother.gguf\n' >> three.tsv
    cp b.gguf other.gguf
    run -0 tensor-sweep --pairs three.tsv --out out
    touch -d '1 hour ago' a.safetensors b.gguf out/*.tsr
    touch other.gguf
    run -0 tensor-sweep --pairs three.tsv --out out
    says "(1 of 4 jobs were run)"
}

@test "what cannot be compared is broken, and says why" {
    needs_parallel
    head -c 1000 a.safetensors > cut.safetensors
    printf '# night\n\na.safetensors\tcut.safetensors\nempty\ta.safetensors\tnowhere\nb.gguf\tb.gguf\n' > pairs.tsv
    run -2 tensor-sweep --pairs - --out out < pairs.tsv
    says "broken pair-0001: tensor-cos: $PWD/cut.safetensors" "broken empty: tensor-cos: $PWD/nowhere: No such file" \
        "3 pairs: 1 pass, 0 fail, 2 broken"
    [ "$(cut -f 1-2 out/summary.tsv)" = "$(printf 'verdict\tname\nbroken\tpair-0001\nbroken\tempty\npass\tpair-0002')" ]
    [ ! -e out/empty.txt ]
    # a gate of one's own, and options for the comparison
    run -1 tensor-sweep --pairs - --out other --gate 'cat > /dev/null; exit 1' < <(tail -n 1 pairs.tsv)
    says "1 fail"
    run -2 tensor-sweep --pairs - --out third --gate 'cat > /dev/null; echo strange; exit 3' < <(tail -n 1 pairs.tsv)
    says "broken pair-0001: strange"
    run -0 tensor-sweep --pairs - --out fourth --cos '--metrics full' --gate 'verdict --rule "trimmed_cosine >= 0.5"' < <(tail -n 1 pairs.tsv)
}

@test "a folder is of one sweep" {
    needs_parallel
    head -n 1 pairs.tsv > one.tsv
    run -0 tensor-sweep --pairs one.tsv --out out
    refuses "it is of other pairs" tensor-sweep --pairs pairs.tsv --out out
    refuses "it is of other pairs" tensor-sweep --pairs one.tsv --out out --cos '--metrics full'
    refuses "it is of other pairs" tensor-sweep --pairs one.tsv --out out --shards 2
    mkdir full
    touch full/mine
    refuses "it has other files" tensor-sweep --pairs one.tsv --out full
    exec 8> out/lock
    flock 8
    refuses "another tensor-sweep" tensor-sweep --pairs one.tsv --out out
}

@test "bad usage" {
    needs_parallel
    refuses "--pairs and --out" tensor-sweep --pairs pairs.tsv
    refuses "is no option" tensor-sweep pairs.tsv
    refuses "--shards" tensor-sweep --pairs pairs.tsv --out out --shards 0
    refuses "neither parallel nor slurm" tensor-sweep --pairs pairs.tsv --out out --engine at
    refuses "there is no pair" tensor-sweep --pairs /dev/null --out out
    refuses "line 1 has 1 fields" tensor-sweep --pairs - --out out <<< 'a b'
    refuses "comes twice" tensor-sweep --pairs - --out out <<< "$(cat pairs.tsv pairs.tsv)"
    refuses "is no name for a file" tensor-sweep --pairs - --out out <<< "../x	a	b"
    refuses "--cos" tensor-sweep --pairs pairs.tsv --out out --cos '$(touch x)'
    run -0 tensor-sweep --help
    for option in $(grep -o -e '--[a-z]*' <<< "$output" | sort -u); do
        [ "$option" = --metrics ] || [ "$option" = --partition ] ||
            grep -q -e "$(sed 's/-/\\\\-/g' <<< "$option")" "$srcdir/man/tensor-sweep.1"
    done
    [ ! -e out ]
}

# Real daemons of one machine, in a folder: their process numbers are in pids.
start_slurm() {
    local tool
    for tool in munged slurmctld slurmd sbatch; do
        PATH=$PATH:/usr/sbin:/sbin command -v $tool > /dev/null || skip "no $tool"
    done
    [ "$(id -u)" -eq 0 ] || skip "Slurm's daemons want root"
    PATH=$PATH:/usr/sbin:/sbin
    local here=$PWD/slurm host
    host=$(hostname -s)
    mkdir -p slurm/state slurm/spool
    chmod 755 slurm
    head -c 1024 /dev/urandom > slurm/munge.key
    chmod 400 slurm/munge.key
    munged --force --key-file="$here/munge.key" --socket="$here/munge.socket" --pid-file="$here/munged.pid" \
        --log-file="$here/munged.log" --seed-file="$here/munge.seed" || skip "munged cannot be started"
    cat > slurm/slurm.conf << END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((20000 + $$ % 10000))
SlurmdPort=$((30000 + $$ % 10000))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$here/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/slurmctld.log
SlurmdLogFile=$here/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MinJobAge=10
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES State=UP
END
    export SLURM_CONF=$here/slurm.conf
    slurmctld || skip "slurmctld cannot be started"
    slurmd || skip "slurmd cannot be started"
    local tries=0
    until sinfo -h -o %t 2> /dev/null | grep -q idle; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || skip "Slurm's node does not come up: $(tail -n 1 slurm/slurmd.log)"
        sleep 0.1
    done
}

# Daemons that still save their state would write into a folder that is being removed.
teardown() {
    local file pid
    for file in slurm/*.pid; do
        if [ -s "$file" ]; then
            pid=$(< "$file")
            kill "$pid"
            timeout 20 tail --pid="$pid" -f /dev/null
        fi
    done
}

@test "the same over Slurm's own daemons, with a job killed" {
    start_slurm
    head -n 52 pairs.tsv | tail -n 4 > four.tsv
    killed_cos 1
    PATH="$PWD/bin:$PATH" run -2 timeout 120 tensor-sweep --engine slurm --pairs four.tsv --out slurmed -j 2
    says " 1 broken (4 of 4 jobs were run)"
    run -1 timeout 120 tensor-sweep --engine slurm --pairs four.tsv --out slurmed -j 2
    says "4 pairs: 3 pass, 1 fail, 0 broken (1 of 4 jobs were run)"
    refuses "sbatch: error" timeout 60 tensor-sweep --engine slurm --slurm --partition=none --pairs four.tsv --out none
    needs_parallel
    run -1 tensor-sweep --pairs four.tsv --out whole
    diff <(results whole) <(results slurmed)
}
