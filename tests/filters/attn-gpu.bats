#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-attn-gpu(1), over the stand-in for the CUDA driver in tests/ptxsim, which interprets the kernels
# that the tool has inside.  With TU_GPU=1 (make check-gpu) the driver of this machine does it.

load ../helpers

setup() {
    if [ -z "$TU_CUDA_COMPILE" ]; then
        skip "built without CUDA kernels: neither nvcc nor clang was there"
    fi
    if [ -z "${TU_GPU:-}" ]; then
        export LD_LIBRARY_PATH=$builddir/tests/ptxsim
    else
        tensor-attn-gpu --list-devices > devices.tsr 2> why || skip "$(< why)"
    fi
}

# simulated: skips what only the stand-in can do.
simulated() {
    [ -z "${TU_GPU:-}" ] || skip "the stand-in alone does this"
}

# agrees BOUND OPTION...: the device's output for qkv.tsr against exact attention.
agrees() {
    local bound=$1
    shift
    tensor-attn --precision f64 "$@" qkv.tsr > want.tsr
    tensor-attn-gpu "$@" qkv.tsr > got.tsr
    if ! tensor-cos want.tsr got.tsr | verdict --rule "max_diff <= $bound" > said; then
        echo "$*"
        cat said
        return 1
    fi
}

@test "the hunt: the device against the processor" {
    tensor-rand --attention heads=28,kv-heads=4,head-dim=128,kv-len=2 --seed 7 > qkv.tsr
    tensor-attn qkv.tsr > cpu.tsr
    run -0 pipeline "tensor-attn-gpu qkv.tsr | tensor-cos cpu.tsr - | verdict --rule 'max_diff < 1e-4'"
    agrees 2e-6
}

@test "every ratio of heads, against exact attention" {
    for heads in 28,kv-heads=4 32,kv-heads=4 12,kv-heads=2 8,kv-heads=8 7,kv-heads=1 32,kv-heads=8 5,kv-heads=1; do
        for length in 1 2 31 33; do
            tensor-rand --attention heads=$heads,head-dim=64,kv-len=$length > qkv.tsr
            agrees 2e-6
        done
    done
}

@test "widths of heads and lengths of caches, against exact attention" {
    for dim in 64 80 128 256; do
        for length in 1 32 257; do
            tensor-rand --attention heads=6,kv-heads=2,head-dim=$dim,kv-len=$length > qkv.tsr
            agrees 2e-6
        done
    done
    tensor-rand --attention heads=4,kv-heads=2,head-dim=64,kv-len=1000 > qkv.tsr
    agrees 2e-6
}

@test "many queries, and every option" {
    tensor-rand --attention heads=6,kv-heads=2,head-dim=32,kv-len=70,q-len=37 > qkv.tsr
    agrees 2e-6
    agrees 2e-6 --causal
    agrees 2e-6 --causal --window 9
    agrees 2e-6 --window 20 --scale 0.3
    agrees 2e-6 --soft-cap 0.7
    agrees 1e-5 --causal --alibi --soft-cap 3
}

@test "caches in 16 bits, and quantized ones" {
    for type in F16 BF16 Q8_0; do
        tensor-rand --attention heads=6,kv-heads=2,head-dim=64,kv-len=45,q-len=3 |
            tensor-quant --to $type --match '*.[kv]' > qkv.tsr
        agrees 2e-6 --causal
    done
}

@test "the first token gives its value row, exactly" {
    tensor-rand --attention heads=28,kv-heads=4,head-dim=128,kv-len=1 > qkv.tsr
    tensor-attn qkv.tsr > cpu.tsr
    run -0 pipeline "tensor-attn-gpu qkv.tsr | tensor-cos cpu.tsr - | verdict --rule 'max_diff <= 0'"
}

@test "large scores, NaN, masks and sinks" {
    tensor-rand --attention heads=4,kv-heads=2,head-dim=32,kv-len=40,q-len=3 --deviation 60 > qkv.tsr
    agrees 0.05
    { tensor-rand --attention heads=4,kv-heads=2,head-dim=32,kv-len=40,q-len=3,name=p
      tensor-rand --tensor p.mask=3x40 --tensor p.sinks=4 --seed 2; } > qkv.tsr
    agrees 2e-6 --causal
    tensor-rand --attention heads=4,kv-heads=2,head-dim=32,kv-len=40,q-len=3 |
        tensor-fault --fault nan --match '*.k' > qkv.tsr
    tensor-attn --precision f64 qkv.tsr > want.tsr
    tensor-attn-gpu qkv.tsr > got.tsr
    run -0 tensor-cos --json want.tsr got.tsr
    [[ $output =~ \"nan_a\":([0-9]+),\"nan_b\":([0-9]+),\"nan_both\":([0-9]+) ]]
    [ "${BASH_REMATCH[1]}" -gt 0 ]
    [ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ]
    [ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[3]}" ]
}

@test "scores and weights" {
    tensor-rand --attention heads=6,kv-heads=2,head-dim=32,kv-len=33,q-len=5 > qkv.tsr
    tensor-attn --stages --causal qkv.tsr > want.tsr
    tensor-attn-gpu --stages --causal qkv.tsr > got.tsr
    run -0 pipeline 'tensor-cos --exclude "*scores" want.tsr got.tsr | verdict --rule "max_diff <= 2e-6"'
    run -0 tensor-cos --json --match '*scores' want.tsr got.tsr
    says '"inf_a":60,"inf_b":60'
}

@test "a cache that does not fit goes through in pieces" {
    tensor-rand --attention heads=8,kv-heads=2,head-dim=64,kv-len=700 > qkv.tsr
    agrees 2e-6
    cp got.tsr whole.tsr
    tensor-attn-gpu --memory 128Ki qkv.tsr > pieces.tsr
    run -0 pipeline 'tensor-cos whole.tsr pieces.tsr | verdict --rule "max_diff <= 1e-6"'
    refuses "device memory: " tensor-attn-gpu --memory 1Ki qkv.tsr
}

@test "the same bits from run to run" {
    tensor-rand --attention heads=8,kv-heads=2,head-dim=64,kv-len=300,q-len=2 > qkv.tsr
    run -0 pipeline 'tensor-attn-gpu --repeat 3 qkv.tsr | verdict --rule "differing == 0"'
    run -0 tensor-attn-gpu --repeat 2 --json qkv.tsr
    says '"kind":"repeat","name":"attn.attn_out","path":"cuda","status":"ok","runs":2,"differing":0,"differing_count":0}'
    refuses "--repeat 1 compares nothing on a device" tensor-attn-gpu --repeat 1 qkv.tsr
    simulated
    tensor-attn-gpu qkv.tsr > want.tsr
    for seed in 1 2 3; do
        PTXSIM_SEED=$seed tensor-attn-gpu qkv.tsr | cmp - want.tsr
    done
}

@test "--bench times kernels and transfers" {
    tensor-rand --attention heads=8,kv-heads=2,head-dim=64,kv-len=100 > qkv.tsr
    run -0 tensor-attn-gpu --bench 3 --json qkv.tsr
    [ "${#lines[@]}" -eq 2 ]
    says '"what":"kernel"' '"what":"transfer"' '"path":"cuda"' '"runs":3' '"median_ms":' '"share_of_peak":'
    run -0 pipeline 'tensor-attn-gpu --bench 3 qkv.tsr | verdict --rule "median_ms < 100000"'
    # in each run queries, keys and values go there, and the output comes back: 2 x 8 heads, 2 x 100 keys of 2
    tensor-attn-gpu --bench 3 --json qkv.tsr | python3 -c 'import json, sys
transfer = [json.loads(line) for line in sys.stdin][1]
moved = transfer["gb_per_s"] * transfer["median_ms"] * 1e6
assert abs(moved - 4 * 64 * (2 * 8 + 2 * 100 * 2)) < 1, moved'
}

@test "a cache is read once" {
    simulated
    [ -z "$TU_SANITIZED" ] || skip "the stand-in counts the same without sanitizers"
    for sizes in heads=28,kv-heads=4,head-dim=128 heads=8,kv-heads=8,head-dim=64 heads=5,kv-heads=1,head-dim=80; do
        tensor-rand --attention $sizes,kv-len=4096 --type F16 > qkv.tsr
        rm -f stats
        PTXSIM_STATS=stats tensor-attn-gpu qkv.tsr > got.tsr
        cache=$(tensor-ls --json --match '*.[kv]' qkv.tsr | python3 -c 'import json, sys
print(sum(json.loads(line)["nbytes"] for line in sys.stdin))')
        python3 - "$cache" << 'END'
import json, sys
cache, launches = int(sys.argv[1]), [json.loads(line) for line in open("stats")]
# the kernel that reads the cache, and the one that merges what its blocks have made
reading, merging = ([l for l in launches if ("combine" in l["kernel"]) == merges] for merges in (False, True))
assert len(reading) == 1 and len(merging) == 1
asked, sectors = reading[0]["global_load_bytes"] / cache, reading[0]["global_load_sectors"] * 32 / cache
merged = merging[0]["global_load_bytes"] / cache
print(asked, sectors, merged)
assert 1 <= asked <= 1.05 and sectors <= 1.1 and merged <= 0.1
END
    done
}

@test "bank conflicts are few, and a prefill reads the cache once for each tile of queries" {
    simulated
    [ -z "$TU_SANITIZED" ] || skip "the stand-in counts the same without sanitizers"
    local compiler=clang
    ! grep -q '^TU_CUDA_COMPILE = .*nvcc' "$builddir/Makefile" || compiler=nvcc
    # heads, key heads, elements, keys, queries
    for sizes in '28 4 128 512 1' '28 4 128 96 64' '5 1 80 100 40' '8 2 256 64 40'; do
        read -r heads kv_heads dim keys queries <<< "$sizes"
        for type in F16 F32; do
            tensor-rand --attention "heads=$heads,kv-heads=$kv_heads,head-dim=$dim,kv-len=$keys,q-len=$queries" --type $type > qkv.tsr
            rm -f stats
            PTXSIM_STATS=stats tensor-attn-gpu qkv.tsr > got.tsr
            # shellcheck disable=SC2086
            python3 - $sizes ${type#F} "$compiler" << 'END'
import json, re, sys
heads, kv_heads, dim, keys, queries, bits = map(int, sys.argv[1:-1])
launch = next(l for l in map(json.loads, open("stats")) if "combine" not in l["kernel"])
tile_rows = int(re.search(r"tu_attention_(?:few)?(\d+)", launch["kernel"])[1])
tiles = -(-queries * heads // kv_heads // tile_rows)
splits = launch["grid"][0] / tiles / kv_heads
cache, q = 2 * keys * kv_heads * dim * bits / 8, 4 * tiles * tile_rows * kv_heads * dim
print(launch["kernel"], tiles, splits, launch["global_load_bytes"], cache, q, launch["bank_conflicts"], launch["shared_accesses"])
assert splits == int(splits) and tiles * cache <= launch["global_load_bytes"] <= 1.05 * tiles * cache + splits * q
# clang writes and reads the weights of a decode one by one
few_by_clang = sys.argv[-1] == "clang" and "few" in launch["kernel"]
assert launch["bank_conflicts"] <= (0.5 if few_by_clang else 0.2) * launch["shared_accesses"]
END
        done
    done
}

# ---- Kernels that are wrong ----

# relinked FOLDER [ARCHITECTURE]: FOLDER/tensor-attn-gpu, with the kernels in FOLDER/lib/compute/cuda, or those
# of this build, and machine code for one architecture.
relinked() {
    local image
    mkdir -p "$1/lib/compute/cuda"
    for image in "$builddir"/lib/compute/cuda/attention-*.ptx.gz; do
        [ -e "$1/lib/compute/cuda/${image##*/}" ] || cp "$image" "$1/lib/compute/cuda"
    done
    # the tool's link again, with these kernels before those of the library
    (cd "$1" && $CC -c -I"$builddir" -I"$srcdir/lib" "-DTU_CUDA_ARCHITECTURES(X, type)=${2:+X(type, $2)}" \
        -o embed.o "$srcdir/lib/compute/cuda/embed.c" && cd "$builddir" &&
        ./libtool --silent --mode=link $CC $TU_SANITIZED -o "$OLDPWD/tensor-attn-gpu" \
            filters/tensor-attn-gpu.o "$OLDPWD/embed.o" libattention.la libtensorutils.la)
}

# planted FAULT: a tensor-attn-gpu of its own, whose float32 kernels have that fault.
planted() {
    local compile
    compile=$(sed -n 's/^TU_CUDA_COMPILE = //p' "$builddir/Makefile")
    mkdir -p "$1/lib/compute/cuda"
    # shellcheck disable=SC2086
    $compile -DTU_TYPE=f32 "-DTU_FAULT_$1" -o "$1/kernels.ptx" "$srcdir/lib/compute/cuda/attention.cu"
    gzip < "$1/kernels.ptx" > "$1/lib/compute/cuda/attention-f32.ptx.gz"
    relinked "$1"
}

@test "wrong kernels are caught: head mapping, scale, causal bound, a barrier left out" {
    simulated
    [ -z "$TU_SANITIZED" ] || skip "the kernels are no code of the host's"
    tensor-rand --attention heads=6,kv-heads=2,head-dim=64,kv-len=70,q-len=30 > qkv.tsr
    tensor-attn --causal qkv.tsr > want.tsr
    for fault in HEAD_MAPPING SCALE CAUSAL; do
        planted $fault
        $fault/tensor-attn-gpu --causal qkv.tsr > got.tsr
        run -1 pipeline 'tensor-cos want.tsr got.tsr | verdict --rule "max_diff <= 1e-3"'
    done
    tensor-heads --json --causal got.tsr qkv.tsr > /dev/null
    HEAD_MAPPING/tensor-attn-gpu --causal qkv.tsr > got.tsr
    run -0 tensor-heads --json --causal got.tsr qkv.tsr
    says 'query head h reads key head h mod 2'
    planted BARRIER
    run --separate-stderr -2 BARRIER/tensor-attn-gpu --causal qkv.tsr
    # which of the two comes first is up to the compiler
    [[ $stderr =~ "shared memory race"|"shared memory at "[0-9a-fx]*" that was never written" ]]
}

# ---- Machine code and PTX ----

# code FOLDER TEXT: an image of that text for capability 8.0.
code() {
    mkdir -p "$1/lib/compute/cuda"
    for type in f32 f16 bf16; do
        printf %b "$2" | gzip > "$1/lib/compute/cuda/attention-$type-80.cubin.gz"
    done
    relinked "$1" 80
}

# loads NUMBER TOOL: how many images it has the driver load for qkv.tsr.
loads() {
    local tool=$2 number=$1
    PTXSIM_FAIL=cuModuleLoadDataEx:$((number + 1)):222 "$tool" qkv.tsr | cmp - want.tsr
    refuses "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" env "PTXSIM_FAIL=cuModuleLoadDataEx:$number:222" "$tool" qkv.tsr
}

@test "machine code that the driver refuses gives way to PTX, and none for other devices is tried" {
    simulated
    tensor-rand --attention heads=2,kv-len=3,head-dim=32 > qkv.tsr
    relinked ptx
    ptx/tensor-attn-gpu qkv.tsr > want.tsr
    loads 1 ptx/tensor-attn-gpu
    code elf '\0177ELF'
    code broken 'this is no code'
    for tool in {elf,broken}/tensor-attn-gpu; do
        for capability in 80 86 89; do
            PTXSIM_CAPABILITY=$capability loads 2 "$tool"
        done
        for capability in 75 90 120; do
            PTXSIM_CAPABILITY=$capability loads 1 "$tool"
        done
    done
    tensor-attn-gpu qkv.tsr | cmp - want.tsr
}

@test "a driver that is too old for the PTX: what to do" {
    simulated
    tensor-rand --attention heads=2,kv-len=3,head-dim=32 > qkv.tsr
    relinked ptx
    PTXSIM_CAPABILITY=89 refuses "update it, or configure with --with-cuda-arch=89)" \
        env PTXSIM_FAIL=cuModuleLoadDataEx:1:222 ptx/tensor-attn-gpu qkv.tsr
}

@test "the PTX is of a version that drivers have known for years: 6.3, which came with its devices, where nvcc made it" {
    for type in f32 f16 bf16; do
        run -0 grep -m 2 -E '^\.(version|target)' "$builddir/lib/compute/cuda/attention-$type.ptx"
        [[ $output =~ ^".version "[67]\.[0-9]$'\n.target sm_75' ]]
        ! grep -q '^TU_CUDA_COMPILE = .*nvcc' "$builddir/Makefile" || [ "${lines[0]}" = '.version 6.3' ]
    done
}

@test "images that were damaged in the program" {
    simulated
    tensor-rand --attention heads=2,kv-len=3,head-dim=32 > qkv.tsr
    for damage in 'head -c 5000' 'tail -c +20' 'tr a b' 'head -c 3'; do
        mkdir -p damaged/lib/compute/cuda
        $damage < "$builddir/lib/compute/cuda/attention-f32.ptx.gz" > damaged/lib/compute/cuda/attention-f32.ptx.gz
        relinked damaged
        refuses "CUDA kernels: damaged" damaged/tensor-attn-gpu qkv.tsr
    done
}

# ---- What goes wrong ----

@test "no driver, no device, a device that is not there" {
    tensor-rand --attention heads=2,kv-len=3,head-dim=32 > qkv.tsr
    simulated
    refuses "tensor-attn-gpu: no CUDA device (" env PTXSIM_DEVICES=0 tensor-attn-gpu qkv.tsr
    refuses "no CUDA device (" env PTXSIM_DEVICES=0 tensor-attn-gpu --list-devices
    refuses "device" env PTXSIM_DEVICES=2 tensor-attn-gpu --device 2 qkv.tsr
    run -0 env PTXSIM_DEVICES=3 tensor-attn-gpu --list-devices --tsv
    [ "${#lines[@]}" -eq 4 ]
    refuses "no CUDA device (libcuda.so.1: " env LD_LIBRARY_PATH=/nowhere tensor-attn-gpu qkv.tsr
}

@test "memory that runs out, and calls that fail" {
    simulated
    tensor-rand --attention heads=4,kv-heads=2,kv-len=30,head-dim=64 > qkv.tsr
    refuses "device memory" env PTXSIM_MEMORY=100 tensor-attn-gpu qkv.tsr
    for call in cuInit cuDevicePrimaryCtxRetain cuModuleLoadDataEx cuModuleLoadData cuModuleGetFunction cuMemAlloc_v2 cuLaunchKernel \
        cuMemcpyHtoDAsync_v2 cuMemcpyDtoHAsync_v2 cuStreamCreate cuEventCreate cuStreamSynchronize cuMemGetInfo_v2; do
        for number in 1 2 3 4; do
            run --separate-stderr env PTXSIM_FAIL=$call:$number tensor-attn-gpu qkv.tsr
            if [ "$status" -ne 0 ] && { [ "$status" -ne 2 ] || [ "${#stderr_lines[@]}" -ne 1 ]; }; then
                echo "$call $number: $status $stderr"
                return 1
            fi
        done
    done
    refuses "kernel " env PTXSIM_FAIL=cuLaunchKernel:1:719 tensor-attn-gpu qkv.tsr
}

@test "what the kernels do not take" {
    tensor-rand --attention heads=2,kv-len=3,head-dim=36 > qkv.tsr
    refuses "36" tensor-attn-gpu qkv.tsr
    tensor-rand --attention heads=2,kv-len=3,head-dim=512 > qkv.tsr
    refuses "512" tensor-attn-gpu qkv.tsr
}

@test "a forward pass whose attention the device computes" {
    tensor-rand --like qwen2 --num-layers 2 --hidden 32 --heads 4 --kv-heads 2 --head-dim 16 --ffn 32 --vocab 24 > m.tsr
    refuses "--attn gpu goes with --precision f32" tensor-trace m.tsr --tokens 1,2,3 --attn gpu
    tensor-trace -q m.tsr --tokens 3,1,4,1,5 --precision f32 > cpu.tsr
    tensor-trace -q m.tsr --tokens 3,1,4,1,5 --precision f32 --attn gpu > gpu.tsr
    tensor-cos cpu.tsr gpu.tsr > c.tsr
    run -0 verdict --rule 'cosine_similarity > 0.9999999' c.tsr
    # the first layer's keys are the processor's, and its scores, weights and output the device's own
    run -0 tensor-cos --json --match 'layers.0.*' cpu.tsr gpu.tsr
    run -0 grep -c '"name":"layers.0.\(q\|k\|v\|q_rope\|k_rope\)".*"max_diff":0,' <<< "$output"
    [ "$output" -eq 5 ]
    run -0 verdict < <(tensor-origin --models m.tsr m.tsr c.tsr)
    tensor-trace -q m.tsr --tokens 3,1 --decode 3 --precision f32 --attn gpu --logits-only > d.tsr
    run -0 verdict --rule 'cosine_similarity > 0.999999' < <(tensor-trace -q m.tsr --tokens 3,1 --decode 3 --precision f32 --logits-only | tensor-cos d.tsr -)
}
