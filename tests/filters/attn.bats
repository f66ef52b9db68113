#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-attn(1): against the formula in plain Python, against its own exact attention, and the cases that are
# known to be got wrong.

load ../helpers

# qkv SIZES [OPTION]...: qkv.tsr and, for the reference, qkv.safetensors.
qkv() {
    tensor-rand --attention "$@" > qkv.tsr
    tensor-save --force qkv.safetensors qkv.tsr
}

# agrees BOUND A B: every tensor of both, to a largest difference.
agrees() {
    tensor-cos "$2" "$3" > results.tsr
    if ! verdict --rule "max_diff <= $1" results.tsr > said; then
        cat said
        return 1
    fi
}

# equals_reference BOUND KEY=VALUE... -- OPTION...
equals_reference() {
    local bound=$1 keys=()
    shift
    while [ "$1" != -- ]; do
        keys+=("$1")
        shift
    done
    shift
    python3 -B "$srcdir/tests/reference/reference_attention.py" qkv.safetensors want.safetensors "${keys[@]}"
    tensor-attn --stages --precision f64 "$@" qkv.tsr > got.tsr
    tensor-cos --match '*attn_out' --match '*weights' want.safetensors got.tsr > results.tsr
    verdict --rule "max_diff <= $bound" results.tsr
    tensor-attn --stages "$@" qkv.tsr > narrow.tsr
    tensor-cos --match '*attn_out' --match '*weights' got.tsr narrow.tsr | verdict --rule 'max_diff <= 2e-6'
}

# ---- The formula ----

@test "the hunt: a query of 28 heads over two keys of 4" {
    qkv heads=28,kv-heads=4,head-dim=128,kv-len=2 --seed 7
    equals_reference 1e-14 --
    run -0 pipeline 'tensor-attn --precision f64 qkv.tsr | tensor-cos - <(tensor-attn qkv.tsr) | verdict --rule "max_diff < 1e-6"'
}

@test "every option follows the formula" {
    qkv heads=6,kv-heads=2,head-dim=16,kv-len=9,q-len=5 --seed 3
    equals_reference 1e-14 --
    equals_reference 1e-14 causal=1 -- --causal
    equals_reference 1e-14 causal=1 window=3 -- --causal --window 3
    equals_reference 1e-14 window=2 -- --window 2
    equals_reference 1e-14 scale=0.7 -- --scale 0.7
    equals_reference 1e-14 cap=0.5 -- --soft-cap 0.5
    equals_reference 1e-14 alibi=1 -- --alibi
    equals_reference 1e-14 alibi=1 causal=1 cap=2 scale=1 window=4 -- --alibi --causal --soft-cap 2 --scale 1 --window 4
}

@test "values may be wider or narrower than keys" {
    qkv heads=4,kv-heads=2,head-dim=12,value-dim=20,kv-len=7,q-len=3 --seed 4
    equals_reference 1e-14 causal=1 -- --causal
    qkv heads=4,kv-heads=4,head-dim=20,value-dim=5,kv-len=7,q-len=3 --seed 4
    equals_reference 1e-14 --
}

@test "a mask of numbers, for all heads or for each, and sinks" {
    { tensor-rand --attention heads=4,kv-heads=2,head-dim=8,kv-len=6,q-len=3,name=p --seed 5
      tensor-rand --tensor p.mask=3x6 --tensor p.sinks=4 --seed 6; } > qkv.tsr
    tensor-save qkv.safetensors qkv.tsr
    equals_reference 1e-14 --
    { tensor-rand --attention heads=4,kv-heads=2,head-dim=8,kv-len=6,q-len=3,name=p --seed 5
      tensor-rand --tensor p.mask=4x3x6 --seed 6; } > qkv.tsr
    tensor-save --force qkv.safetensors qkv.tsr
    equals_reference 1e-14 causal=1 -- --causal
}

@test "a mask of booleans says what is seen" {
    make-model a.tsr 'q F32 1x1x2 = 1 0' 'k F32 3x1x2 = 9 9 1 0 1 0' 'v F32 3x1x1 = 100 2 4' 'mask BOOL 1x3 : 000101'
    make-model want.tsr 'attn_out F32 1x1x1 = 3'
    for precision in f32 f64; do
        tensor-attn --precision $precision a.tsr > got.tsr
        agrees 0 want.tsr got.tsr
    done
}

@test "scores and weights" {
    make-model a.tsr 'q F32 1x1x1 = 1' 'k F32 3x1x1 = 5 5 5' 'v F32 3x1x1 = 1 2 6'
    tensor-attn --stages a.tsr > got.tsr
    make-model want.tsr 'attn_out F32 1x1x1 = 3' 'scores F32 1x1x3 = 5 5 5' 'weights F32 1x1x3 = 0x1.555556p-2 0x1.555556p-2 0x1.555556p-2'
    agrees 0 want.tsr got.tsr
}

# ---- What is exact ----

@test "the first token of a sequence gives its value row, exactly" {
    for heads in 28,kv-heads=4 7,kv-heads=1 8; do
        for precision in f32 f64; do
            tensor-rand --attention heads=$heads,head-dim=80,kv-len=1 --seed 9 > one.tsr
            tensor-attn --precision $precision one.tsr > got.tsr
            tensor-save --force got.safetensors got.tsr
            tensor-save --force one.safetensors one.tsr
            python3 -B - "${heads%%,*}" << 'END'
import json, struct, sys
def read(path, name):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    e = json.loads(data[8:8 + n])[name]
    b, f = e["data_offsets"]
    code = {"F32": "f", "F64": "d"}[e["dtype"]]
    raw = data[8 + n + b:8 + n + f]
    return e["shape"], struct.unpack("<%d%s" % (len(raw) // struct.calcsize(code), code), raw)
heads = int(sys.argv[1])
(_, kv, dim), v = read("one.safetensors", "attn.v")
_, out = read("got.safetensors", "attn.attn_out")
for h in range(heads):
    g = h * kv // heads
    assert out[h * dim:(h + 1) * dim] == v[g * dim:(g + 1) * dim], h
END
        done
    done
}

@test "the first query of a causal sequence gives its value row, exactly" {
    make-model a.tsr 'q F32 2x1x2 = 1 2 3 4' 'k F32 2x1x2 = 5 6 7 8' 'v F32 2x1x2 = 0x1.abcdeep3 -0x1p-140 inf nan'
    tensor-attn --causal a.tsr | tensor-save got.safetensors
    [ "$(tail -c 16 got.safetensors | head -c 8 | od -An -tx1 | tr -d ' ')" = f7e6554100020080 ]
}

@test "no key at all gives nothing" {
    make-model a.tsr 'q F32 3x1x1 = 1 2 3' 'k F32 1x1x1 = 5' 'v F32 1x1x1 = 7'
    make-model want.tsr 'attn_out F32 3x1x1 = 0 0 7'
    for precision in f32 f64; do
        tensor-attn --causal --precision $precision a.tsr > got.tsr
        agrees 0 want.tsr got.tsr
    done
}

@test "what is not seen has no influence, even if it is no number" {
    make-model a.tsr 'q F32 2x1x1 = 1 1' 'k F32 3x1x1 = 1 1 nan' 'v F32 3x1x2 = 2 3 4 5 nan inf'
    for precision in f32 f64; do
        tensor-attn --causal --precision $precision a.tsr | tensor-dequant > got.tsr
        # the first query sees two keys, the second all three
        run -0 pipeline 'tensor-save -f got.safetensors got.tsr; tail -c 16 got.safetensors | od -An -tf4 -w16'
        [[ $output =~ ^\ *3\ +4\ +-?nan\ +-?nan$ ]]
    done
}

@test "a value that is no number shows where it is seen" {
    make-model a.tsr 'q F32 1x1x1 = 1' 'k F32 2x1x1 = 1 1' 'v F32 2x1x3 = 1 2 3 inf -inf nan'
    for precision in f32 f64; do
        tensor-attn --precision $precision a.tsr | tensor-dequant > got.tsr
        run -0 pipeline 'tensor-save -f got.safetensors got.tsr; tail -c 12 got.safetensors | od -An -tf4 -w16'
        [[ $output =~ ^\ *inf\ +-inf\ +-?nan$ ]]
    done
}

@test "large scores do not overflow" {
    make-model a.tsr 'q F32 1x1x1 = 1e4' 'k F32 3x1x1 = 1 -1 0.5' 'v F32 3x1x1 = 3 100 100'
    make-model want.tsr 'attn_out F32 1x1x1 = 3'
    for precision in f32 f64; do
        tensor-attn --precision $precision a.tsr > got.tsr
        agrees 0 want.tsr got.tsr
    done
}

# ---- The reference's own cases ----

@test "the formula inputs of the incremental attention test, 28 heads to 4" {
    python3 -B - << 'END'
from formats import Tensor, safetensors, values
def f(n, m, off):
    return [((i * m) % 100) * 0.01 - off for i in range(n)]
def tensor(name, rows, heads):
    return Tensor(name, "F32", [len(rows), heads, 128], b"".join(values("F32", r) for r in rows))
k, v = [f(512, 53, .5), f(512, 61, .5)], [f(512, 59, 0), f(512, 67, 0)]
with open("qkv.safetensors", "wb") as file:
    file.write(safetensors([
        tensor("first.q", [f(3584, 19, .5)], 28), tensor("first.k", [f(512, 43, .5)], 4),
        tensor("first.v", [f(512, 47, 0)], 4), tensor("second.q", [f(3584, 29, .5)], 28),
        tensor("second.k", k, 4), tensor("second.v", v, 4)]))
END
    python3 -B "$srcdir/tests/reference/reference_attention.py" qkv.safetensors want.safetensors
    tensor-attn qkv.safetensors > got.tsr
    run -0 pipeline "tensor-cos --match 'first.attn_out' want.safetensors got.tsr | verdict --rule 'max_diff <= 0'"
    # its own bound is 1e-3
    run -0 pipeline "tensor-cos --match 'second.attn_out' want.safetensors got.tsr | verdict --rule 'max_diff <= 2e-7'"
}

# ---- Input ----

@test "caches of any type are what their numbers are" {
    tensor-rand --attention heads=8,kv-heads=2,head-dim=64,kv-len=33,q-len=3 > f32.tsr
    for type in F16 BF16 F64 Q8_0 Q4_K; do
        tensor-cat f32.tsr | { [ $type = F64 ] && tensor-rand --attention heads=8,kv-heads=2,head-dim=64,kv-len=33,q-len=3 --type F64 ||
            tensor-quant --to $type --match '*.[kv]'; } > typed.tsr
        tensor-dequant typed.tsr > plain.tsr
        agrees 0 <(tensor-attn typed.tsr) <(tensor-attn plain.tsr)
    done
}

@test "batches are problems of their own" {
    tensor-rand --attention heads=4,kv-heads=2,head-dim=8,kv-len=5,q-len=2,batch=3 | tensor-save b.safetensors
    tensor-attn b.safetensors | tensor-save out.safetensors
    python3 -B - << 'END'
import json, struct
from formats import Tensor, safetensors
def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    return {k: (e["shape"], data[8 + n + e["data_offsets"][0]:8 + n + e["data_offsets"][1]])
            for k, e in json.loads(data[8:8 + n]).items()}
def cut(path, to):
    tensors = []
    for name, (shape, raw) in read(path).items():
        step = len(raw) // shape[0]
        tensors += [Tensor(f"{b}.{name}", "F32", shape[1:], raw[b * step:(b + 1) * step]) for b in range(shape[0])]
    open(to, "wb").write(safetensors(tensors))
cut("b.safetensors", "each.safetensors")
cut("out.safetensors", "want.safetensors")
END
    agrees 0 want.safetensors <(tensor-attn each.safetensors)
}

@test "heads may share a dimension with their elements" {
    tensor-rand --attention heads=4,kv-heads=2,head-dim=8,kv-len=5,q-len=3 | tensor-save a.safetensors
    python3 -B - << 'END'
import json, struct
from formats import Tensor, safetensors
data = open("a.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
tensors = [Tensor(k, "F32", [e["shape"][0], e["shape"][1] * e["shape"][2]], data[8 + n + e["data_offsets"][0]:8 + n + e["data_offsets"][1]])
           for k, e in json.loads(data[8:8 + n]).items()]
open("flat.safetensors", "wb").write(safetensors(tensors))
END
    tensor-attn --heads 4 --kv-heads 2 flat.safetensors > got.tsr
    run -0 tensor-ls --tsv got.tsr
    says "[3, 32]"
    tensor-save flat-out.safetensors got.tsr
    tensor-attn a.safetensors | tensor-save out.safetensors
    cmp <(tail -c 384 flat-out.safetensors) <(tail -c 384 out.safetensors)
    refuses "--kv-heads needs --heads" tensor-attn --kv-heads 2 flat.safetensors
    refuses "[n, heads, head_dim]" tensor-attn flat.safetensors
    refuses "not that many heads" tensor-attn --heads 5 flat.safetensors
}

@test "input that is no attention" {
    make-model a.tsr 'w F32 1 = 1'
    refuses "no tensor is named q" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 1x2x4 = 1 2 3 4 5 6 7 8'
    refuses "'x.q': has no k beside it" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 1x3x1 = 1 2 3' 'x.k F32 1x2x1 = 1 2' 'x.v F32 1x2x1 = 1 2'
    refuses "3 query heads cannot share 2 key heads" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 1x2x1 = 1 2' 'x.k F32 1x2x1 = 1 2' 'x.v F32 2x2x1 = 1 2 3 4'
    refuses "different lengths" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 1x2x1 = 1 2' 'x.k F32 1x2x2 = 1 2 3 4' 'x.v F32 1x2x1 = 1 2'
    refuses "different widths" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 0x2x1 = ' 'x.k F32 1x2x1 = 1 2' 'x.v F32 1x2x1 = 1 2'
    refuses "a dimension is 0" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 1x1x1 = 1' 'x.k F32 1x1x1 = 1' 'x.v F32 1x1x1 = 1' 'x.mask F32 2x1 = 0 0'
    refuses "mask is neither" tensor-attn a.tsr
    make-model a.tsr 'x.q F32 1x1x1 = 1' 'x.k F32 1x1x1 = 1' 'x.v C64 1x1x1 : 0000000000000000'
    refuses "no real numbers" tensor-attn a.tsr
    tensor-rand --attention heads=2,kv-len=3 | head -c 1500 > cut.tsr
    refuses "cut.tsr: byte 1500: truncated: tensor-rand broke off in tensor 'attn.k'" tensor-attn cut.tsr
    refuses "neither f32 nor f64" tensor-attn --precision f16 a.tsr
}

# ---- Determinism and time ----

@test "the same bits for any number of threads and any instruction set" {
    qkv heads=28,kv-heads=4,head-dim=64,kv-len=5000 --type F16
    tensor-attn -j 1 qkv.tsr > want.tsr
    for jobs in 2 3 7; do
        tensor-attn -j $jobs qkv.tsr | cmp - want.tsr
    done
    for cpu in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
        TENSORUTILS_CPU=$cpu tensor-attn qkv.tsr | cmp - want.tsr
    done
    qkv heads=8,kv-heads=2,head-dim=64,kv-len=300,q-len=200
    tensor-attn -j 1 --causal qkv.tsr > want.tsr
    tensor-attn -j 3 --causal qkv.tsr | cmp - want.tsr
}

@test "with one thread there is one: those that OpenBLAS starts, which turn round for work, end" {
    qkv heads=4,kv-heads=2,head-dim=64,kv-len=4000
    tensor-attn -j 1 --bench 1000000 qkv.tsr > times.tsr &
    local started=$! alone=0 threads
    for ((i = 0; i < 100 && alone < 5; i++)); do
        sleep 0.1
        threads=("/proc/$started/task"/*)
        alone=$(( ${#threads[@]} == 1 ? alone + 1 : 0 ))
    done
    kill $started
    ends $started 143
    [ $alone -eq 5 ]
}

@test "--repeat finds the same bits, and verdict can ask for them" {
    qkv heads=4,kv-heads=2,head-dim=64,kv-len=100,q-len=3
    run -0 pipeline 'tensor-attn --repeat 1 qkv.tsr | verdict --rule "differing == 0"'
    run -0 tensor-attn --repeat 2 -j 1 --json --precision f64 qkv.tsr
    sets=$(tensor-ls --cpu | grep -c 'built, supported')
    says '"kind":"repeat","name":"attn.attn_out","path":"f64","status":"ok",' \
        "\"runs\":$((2 * 3 * sets)),\"instruction_sets\":$sets,\"threads\":3,\"differing\":0,\"differing_count\":0}"
}

@test "--bench gives times that verdict can judge" {
    qkv heads=4,kv-heads=2,head-dim=64,kv-len=100,q-len=3
    run -0 pipeline 'tensor-attn --bench 5 qkv.tsr | verdict --rule "median_ms < 100000"'
    run -1 pipeline 'tensor-attn --bench 5 qkv.tsr | verdict --rule "median_ms < 0"'
    run -0 tensor-attn --bench 3 --json qkv.tsr
    says '"kind":"timing"' '"runs":3' '"median_ms":' '"p10_ms":' '"p90_ms":' '"gb_per_s":' '"gflop_per_s":' \
        '"what":"attention"' '"path":"f32"' '"threads":' '"instructions":'
    refuses "exclude each other" tensor-attn --bench 3 --repeat 3 qkv.tsr
}
