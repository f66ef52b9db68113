#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What tensor-cos measures beside the cosine: noise, rows and columns, distances; and of what a tensor
# holds values.  tensor-cos(1), NOISE in tensor-types(7).
# shellcheck disable=SC2016,SC2154

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    mkdir reference
    python3 "$srcdir/tests/reference/reference_compare.py" "$srcdir/lib/kernels/iq-grids.inc" reference > reference/said
    tensor-rand --seed 3 --tensor w=512x1024 --deviation 0.02 > w.tsr
    tensor-rand --seed 4 --tensor w=300x5000 --type BF16 > a.tsr
    tensor-rand --seed 5 --tensor w=300x5000 --type BF16 > b.tsr
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# field KEY: of the one record in the output.
field() {
    python3 -c 'import json, sys; print(json.dumps(json.loads(sys.argv[1]).get(sys.argv[2])))' "$output" "$1"
}

# lies KEY LOW HIGH: between both.
lies() {
    local value
    value=$(grep -o "\"$1\":[-+.0-9e]*" <<< "$output")
    echo "$value"
    awk -v x="${value#*:}" -v low="$2" -v high="$3" 'BEGIN { exit !(x ~ /[0-9]/ && low + 0 <= x + 0 && x + 0 <= high + 0) }'
}

# population FILE KEY=VALUE...: a stream of one tensor that says what it has values of.
population() {
    python3 - "$srcdir/tests/tools" "$@" << 'END'
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
keys = {k: json.loads(v) for k, _, v in (pair.partition("=") for pair in sys.argv[3:])}
tensor = formats.Tensor("x", "F32", [4], formats.values("F32", [1, 2, 3, 4]))
open(sys.argv[2], "wb").write(formats.opening() + formats.tensor_objects(tensor, **keys) + formats.ending(1))
END
}

@test "every metric of every type is what a plain program makes of it" {
    run cat reference/said
    echo "$output"
    [[ $output == *" pairs, 0 fields differ"* ]]
    [ "${output##*[[:space:]]}" = differ ]
    count=${lines[-1]%% *}
    [ "$count" -ge 70 ]
}

@test "full: the same bits for any number of threads, instruction set and source" {
    tensor-quant --to Q4_K w.tsr > q.tsr
    for pair in 'a.tsr b.tsr' 'w.tsr q.tsr' 'reference/a.gguf reference/b.gguf' 'reference/a.safetensors reference/b.safetensors'; do
        # shellcheck disable=SC2086
        tensor-cos --oracle never --metrics full --json -j 1 $pair > one
        grep -q worst_column one
        for cpu in baseline avx2 avx512 avx512wide; do
            for threads in 1 2 5; do
                # shellcheck disable=SC2086
                TENSORUTILS_CPU=$cpu tensor-cos --oracle never --metrics full --json -j $threads $pair > other 2> said || grep 'TENSORUTILS_CPU' said
                [ ! -s other ] || cmp one other
            done
        done
        tensor-cat "${pair% *}" | tensor-cos --oracle never --metrics full --json - "${pair#* }" > other
        cmp one other
    done
}

@test "basic is the default, and a part of full" {
    tensor-cos --json a.tsr b.tsr > default
    tensor-cos --metrics basic --json a.tsr b.tsr | cmp default -
    tensor-cos --metrics full --json a.tsr b.tsr > all.json
    python3 - << 'END'
import json
basic, full = json.load(open("default")), json.load(open("all.json"))
assert basic.items() <= full.items()
assert set(full) - set(basic) == {"trimmed_cosine", "worst_column", "worst_column_error", "worst_cosine_column",
    "worst_column_cosine", "beyond_tenth_percent", "beyond_one_percent", "beyond_ten_percent", "ulp_histogram"}
assert sum(full["ulp_histogram"]) == 300 * 5000
END
    refuses "'all' is neither basic nor full" tensor-cos --metrics all a.tsr b.tsr
    run -0 tensor-cos --repeat 1 --metrics full --json a.tsr b.tsr
    says '"differing":0'
}

@test "a cache keeps basic and full apart, and what has values of other tokens" {
    tensor-cos --cache kept --json a.tsr b.tsr > basic
    for turn in first again; do
        tensor-cos --cache kept --metrics full --json a.tsr b.tsr > full.$turn
        tensor-cos --metrics full --json a.tsr b.tsr | cmp full.$turn -
    done
    population x.tsr 'tokens=[0, 7]'
    population y.tsr 'tokens=[1, 8]'
    for t in x y; do
        tensor-cos --cache kept --json $t.tsr $t.tsr > kept.$t
        tensor-cos --json $t.tsr $t.tsr | cmp kept.$t -
    done
}

# bats test_tags=sweep
@test "the noise of each quantizer is what its blocks predict" {
    # type, and the band of tensor-types(7) with a little room
    while read -r type low high; do
        tensor-quant --to "$type" w.tsr > q.tsr
        run -0 tensor-cos --json w.tsr q.tsr
        lies noise_ratio "$low" "$high"
        lies worst_row_noise_ratio "$low" 1.5
    done << 'END'
Q8_0 0.95 0.99
Q8_1 0.95 0.99
Q8_K 0.98 1.02
Q6_K 0.65 0.85
Q5_K 0.78 0.88
Q5_0 0.94 1.02
Q5_1 0.92 0.96
Q4_K 0.76 0.82
Q4_0 0.94 1.02
Q4_1 0.92 0.96
APR_Q4 0.93 1
IQ4_NL 0.74 0.84
IQ4_XS 0.74 0.84
MXFP4 0.95 1.1
NVFP4 0.63 0.95
Q3_K 0.83 0.93
Q2_K 0.75 0.81
END
    tensor-quant --to TQ2_0 w.tsr > q.tsr
    run -0 tensor-cos --json w.tsr q.tsr
    [ "$(field noise_ratio)" = null ]
}

# bats test_tags=sweep
@test "two rows that changed places are noise, where the cosine says nothing" {
    for type in Q2_K Q3_K Q4_K Q4_0 Q6_K Q8_0 IQ4_XS MXFP4; do
        tensor-quant --to $type w.tsr > q.tsr
        run -0 pipeline 'tensor-cos w.tsr q.tsr | verdict --quiet'
        tensor-fault --fault swap-rows q.tsr > swapped.tsr
        run -0 tensor-cos --json w.tsr swapped.tsr
        lies cosine_similarity 0.9 0.999
        lies worst_row_noise_ratio 5 1e9
        run -1 pipeline 'tensor-cos w.tsr swapped.tsr | verdict'
        says "not worst_row_step_noise <= "
    done
}

@test "numbers too small for their scale are lost as predicted" {
    tensor-rand --tensor w=64x1024 --deviation 1e-6 > small.tsr
    for type in Q8_0 Q4_0 Q5_1 IQ4_NL; do
        tensor-quant --to $type small.tsr > q.tsr
        run -0 tensor-cos --json small.tsr q.tsr
        lies noise_ratio 0.5 1.3
    done
}

@test "a transposed pair has the columns of the straight one, and no noise" {
    make-model x.safetensors 'w F32 2x40 = '"$(seq 80 | tr '\n' ' ')" -- y.safetensors 'w F32 2x40 = '"$(seq 2 81 | tr '\n' ' ')"
    python3 - "$srcdir/tests/tools" << 'END'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
numbers = [2 + i + 40 * j for i in range(40) for j in range(2)]
open("turned.safetensors", "wb").write(formats.safetensors([formats.Tensor("w", "F32", [40, 2], formats.values("F32", numbers))]))
END
    tensor-cos --metrics full --json x.safetensors y.safetensors > straight
    tensor-cos --transpose always --metrics full --json x.safetensors turned.safetensors > turned
    python3 - << 'END'
import json
straight, turned = json.load(open("straight")), json.load(open("turned"))
assert turned.pop("transform") == "transpose" and turned.pop("shape_b") == [40, 2] and straight.pop("shape_b")
assert straight == turned, (straight, turned)
assert straight["worst_column"] == 0 and straight["beyond_ten_percent"] == 8 / 80 # 1 against 2 to 8 against 9
END
    # large enough for several blocks
    tensor-rand --seed 4 --tensor w=1500x2100 --type BF16 > large.tsr
    tensor-rand --seed 5 --tensor w=1500x2100 --type BF16 > like.tsr
    python3 - "$srcdir/tests/tools" << 'END'
import subprocess, sys, array
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
subprocess.run("tensor-save -q --force like.safetensors like.tsr", shell=True, check=True)
data = open("like.safetensors", "rb").read()
head = int.from_bytes(data[:8], "little")
numbers = array.array("H", data[8 + head:])
turned = array.array("H", [n for c in range(2100) for n in numbers[c::2100]])
open("turned.safetensors", "wb").write(formats.safetensors([formats.Tensor("w", "BF16", [2100, 1500], turned.tobytes())]))
END
    tensor-cos --metrics full --json large.tsr like.tsr > straight
    for threads in 1 3; do
        tensor-cos --transpose always --metrics full --json -j $threads large.tsr turned.safetensors > turned
        python3 - << 'END'
import json
straight, turned = json.load(open("straight")), json.load(open("turned"))
for key in ("worst_column", "worst_cosine_column", "ulp_histogram", "beyond_one_percent", "beyond_ten_percent"):
    assert straight[key] == turned[key], key
for key in ("worst_column_error", "worst_column_cosine"):
    assert abs(straight[key] - turned[key]) < 1e-12, key
assert abs(straight["trimmed_cosine"] - turned["trimmed_cosine"]) < 1e-12
END
    done
}

@test "unlike populations are incomparable, never a number" {
    population all.tsr 'stage="ffn_out"' layer=3 'tokens=[0, 7]'
    population last.tsr 'stage="ffn_out"' layer=3 'tokens=[6, 7]'
    population deeper.tsr 'stage="ffn_out"' layer=4 'tokens=[0, 7]'
    population other.tsr 'stage="attn_out"'
    population silent.tsr
    while read -r b reason; do
        # from files, from a pipe, and from one saved again
        tensor-cat "$b.tsr" > again.tsr
        for how in "tensor-cos --json all.tsr $b.tsr" "tensor-cat all.tsr | tensor-cos --json - $b.tsr" \
            "tensor-cos --json <(cat all.tsr) <(cat $b.tsr)" "tensor-cos --json all.tsr again.tsr"; do
            run -0 pipeline "$how"
            says '"status":"incomparable"' "\"reason\":\"$reason\"" '"stage_a":"ffn_out","layer_a":3,"tokens_a":[0,7]'
            [[ $output != *cosine* ]]
        done
        run -1 pipeline "tensor-cos all.tsr $b.tsr | verdict"
        says "1 incomparable" "incomparable: 1"
        run -0 pipeline "tensor-cos all.tsr $b.tsr | verdict --allow incomparable --allow-empty"
    done << 'END'
last tokens [0, 7] against [6, 7]
deeper layer 3 against 4
other stage ffn_out against attn_out
END
    for b in all silent; do
        run -0 tensor-cos --json all.tsr $b.tsr
        says '"status":"ok"' '"stage_a":"ffn_out"'
    done
}

@test "a stream that misstates its population is refused" {
    population bad.tsr 'stage=1'
    refuses "its stage is no string" tensor-ls bad.tsr
    for layer in '"3"' -1 1.5; do
        population bad.tsr "layer=$layer"
        refuses "its layer is no natural number" tensor-ls bad.tsr
    done
    for tokens in '[1]' '[2, 1]' '[-1, 1]' '[0, 1, 2]' '"all"' '[0, "1"]'; do
        population bad.tsr "tokens=$tokens"
        refuses "its tokens are no range" tensor-ls bad.tsr
    done
}

@test "what passes through a filter keeps its population" {
    population x.tsr 'stage="ffn_out"' 'layer=3' 'tokens=[0, 7]'
    for filter in tensor-cat 'tensor-quant --all --to F16' tensor-dequant; do
        run -0 pipeline "$filter x.tsr | show-stream"
        says '"stage": "ffn_out"' '"layer": 3' '"tokens": [0, 7]'
        run -0 pipeline "cat x.tsr | $filter | show-stream"
        says '"stage": "ffn_out"' '"layer": 3' '"tokens": [0, 7]'
    done
}

# bats test_tags=sweep
@test "full: neither the type that numbers are stored in nor their size changes a metric" {
    python3 - "$srcdir/tests/tools" << 'END'
import random, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
random.seed(7)
ROWS, COLUMNS = 433, 300
a = [float(round(random.gauss(0, 1) / max(.02, abs(random.gauss(0, 1))) * 1024)) for _ in range(ROWS * COLUMNS)]
b = [x + round(300 * random.gauss(0, 1)) for x in a]
def save(name, dtype, numbers):
    open(name, "wb").write(formats.safetensors([formats.Tensor("w", dtype, [ROWS, COLUMNS], formats.values(dtype, numbers))]))
for name, numbers in (("x", a), ("y", b)):
    save(name + "-F32.safetensors", "F32", numbers)
    save(name + "-F64.safetensors", "F64", numbers)
    for power in (990, -990, 520):
        save("%s-%d.safetensors" % (name, power), "F64", [x * 2.0 ** power for x in numbers])
END
    for kind in F32 F64 990 -990 520; do
        tensor-cos --oracle never --metrics full --json x-$kind.safetensors y-$kind.safetensors > got$kind
    done
    python3 << 'END'
import json
want = json.load(open("gotF32"))
sizes = ("norm_a", "norm_b", "max_diff", "mean_diff", "rmse", "value_a", "value_b")
shares = ("cosine_similarity", "norm_ratio", "nmse", "max_rel_diff", "worst_row_error", "worst_row_cosine", "trimmed_cosine",
          "worst_column", "worst_column_error", "worst_cosine_column", "worst_column_cosine", "beyond_one_percent")
for kind in ("F64", 990, -990, 520):
    got = json.load(open("got%s" % kind))
    factor = 2.0 ** kind if kind != "F64" else 1
    for key in shares:
        assert abs(got[key] - want[key]) < 1e-12 * abs(want[key]), (kind, key, got[key], want[key])
    for key in sizes:
        assert key not in want or abs(got[key] - want[key] * factor) < 1e-12 * abs(want[key] * factor), (kind, key, got[key])
END
}

@test "a difference that no float64 holds is the largest one" {
    python3 - "$srcdir/tests/tools" << 'END'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
for name, x in (("m", 1.5e308), ("n", -1.5e308)):
    open(name + ".safetensors", "wb").write(
        formats.safetensors([formats.Tensor("w", "F64", [2, 64], formats.values("F64", [x] * 128))]))
END
    tensor-cos --oracle never --metrics full --json m.safetensors n.safetensors | python3 -c '
import json, sys
r = json.load(sys.stdin)
largest = sys.float_info.max
assert r["max_diff"] == r["mean_diff"] == r["rmse"] == r["norm_a"] == largest and r["norm_ratio"] == 1, r
assert r["max_rel_diff"] == 2 and r["nmse"] == 4 and r["cosine_similarity"] == r["trimmed_cosine"] == -1, r
assert r["worst_column_error"] == r["worst_row_error"] == 2, r'
}

# What logits of two sides come to, in plain Python, from rows of logits and the ids of the tokens.
logits_reference() {
    cat << 'END'
import json, math, sys
def softmax(row):
    top = max(row)
    total = math.fsum(math.exp(x - top) for x in row)
    return [x - top - math.log(total) for x in row]
def best(row):
    return sorted(range(len(row)), key=lambda i: (-row[i], i))
def check(r, a, b, ids=None):
    logs = [[softmax(row) for row in side] for side in (a, b)]
    tops = [[best(row) for row in side] for side in (a, b)]
    n, k = len(a), min(5, len(a[0]))
    assert r["argmax_a"] == [t[0] for t in tops[0]] and r["argmax_b"] == [t[0] for t in tops[1]], r
    shared = [len(set(x[:k]) & set(y[:k])) for x, y in zip(*tops)]
    assert r["top5_overlaps"] == shared and abs(r["top5_overlap"] - sum(shared) / n / k) < 1e-15, r
    assert r["argmax_agreement"] == sum(x[0] == y[0] for x, y in zip(*tops)) / n, r
    kl = [math.fsum(math.exp(x) * (x - y) for x, y in zip(p, q)) for p, q in zip(*logs)]
    assert max(abs(x - y) for x, y in zip(kl, r["kl_divergences"])) < 1e-13, (kl, r)
    assert abs(r["kl_divergence"] - sum(kl) / n) < 1e-13 and r["worst_kl_position"] == kl.index(max(kl)), r
    assert r["positions"] == n and abs(r["worst_kl_divergence"] - max(kl)) < 1e-13, r
    for side, key in ((0, "nll_a"), (1, "nll_b")):
        want = ids and -sum(logs[side][t][ids[t + 1]] for t in range(n - 1)) / (n - 1)
        assert abs(r[key] - want) < 1e-12 if ids else key not in r, (key, want, r)
END
}

@test "logits: which token, how many of the best five, how far apart" {
    rows=("1 2 3 4 5 6 7" "7 7 7 0 -1 -2 7" "0.5 -300 300 4 2 1 0")
    other=("1 2 3 4 5 7 6" "7 7 7.5 0 -1 -2 7" "0.5 -300 300 4 2 1.5 0")
    make-model x.safetensors "logits F32 3x7 = ${rows[*]}" -- y.safetensors "logits F32 3x7 = ${other[*]}"
    tensor-cos --metrics full --json x.safetensors y.safetensors > got
    { logits_reference; echo 'a, b = ([[float(x) for x in row.split()] for row in side.split("/")] for side in sys.argv[1:3])
check(json.load(open("got")), a, b)'; } > check.py
    python3 check.py "${rows[0]}/${rows[1]}/${rows[2]}" "${other[0]}/${other[1]}/${other[2]}"
    # through pipes, and as a stream against a file
    tensor-cat y.safetensors | tensor-cos --metrics full --json x.safetensors - | cmp - got
    tensor-cat x.safetensors | tensor-cos --metrics full --json - y.safetensors | cmp - got
    # nobody asked, or it is no stage of that name, or rows differ
    run -0 tensor-cos --json x.safetensors y.safetensors
    [[ $output != *argmax* ]]
    make-model z.safetensors "w F32 3x7 = ${rows[*]}"
    run -0 tensor-cos --metrics full --json z.safetensors z.safetensors
    [[ $output != *argmax* ]]
    run -1 verdict --rule 'logits:argmax_agreement == 1' < <(tensor-cos --metrics full x.safetensors y.safetensors)
    run -0 verdict --rule 'logits:argmax_agreement == 1' < <(tensor-cos --metrics full x.safetensors x.safetensors)
}

@test "logits of a trace say how likely the tokens were" {
    tensor-rand --like qwen2 --num-layers 1 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 32 --vocab 24 > m.tsr
    tensor-quant --to Q8_0 m.tsr > q.tsr
    for m in m q; do tensor-trace -q $m.tsr --tokens 3,1,4,1,5,9 --logits-only > t$m.tsr; done
    tensor-cos --metrics full --json tm.tsr tq.tsr | grep '"kind":"compare"' > got
    for m in m q; do
        tensor-save --force $m.safetensors t$m.tsr
    done
    { logits_reference; echo 'import struct
def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + n])["logits"]
    numbers = struct.unpack("<%dd" % ((len(data) - 8 - n) // 8), data[8 + n:])
    return [numbers[i:i + entry["shape"][1]] for i in range(0, len(numbers), entry["shape"][1])]
check(json.load(open("got")), read("m.safetensors"), read("q.safetensors"), [3, 1, 4, 1, 5, 9])'; } > check.py
    python3 check.py
}

@test "logits that are no numbers are told, and nothing of them is taken for equal" {
    make-model x.safetensors 'logits F32 2x3 = 1 2 3 nan nan nan' -- y.safetensors 'logits F32 2x3 = 1 2 3 nan nan nan'
    tensor-cos --metrics full --json x.safetensors y.safetensors > got
    python3 -c 'import json
r = json.load(open("got"))
assert r["argmax_a"] == [2, 3] and r["argmax_agreement"] == 0.5 and r["worst_kl_position"] == 1, r'
    run -1 verdict --allow nonfinite --rule 'argmax_agreement == 1' < <(tensor-cos --metrics full x.safetensors y.safetensors)
}
