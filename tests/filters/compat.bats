#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-cos --compat apr: the JSON of `apr diff --values --json`, from its description.

load ../helpers

# holds A B [OPTION]...: the object for two SafeTensors files of F32 tensors, against other arithmetic.
holds() {
    tensor-cos --json --compat apr "$@" > out.json
    python3 - "$@" << 'END'
import json, math, struct, sys

def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]

def tensors(path):
    data = open(path, "rb").read()
    n, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    return {k: (v["shape"], struct.unpack("<%df" % ((v["data_offsets"][1] - v["data_offsets"][0]) // 4),
                                          data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]))
            for k, v in head.items()}

def result(name, a, b):
    (shape_a, x), (shape_b, y) = a, b
    n, r = min(len(x), len(y)), dict.fromkeys(("identical_count", "small_diff_count", "medium_diff_count", "large_diff_count"), 0)
    total = squares = dot = aa = bb = largest = 0.0
    for p, q in zip(x, y):
        if not (math.isfinite(p) and math.isfinite(q)):
            r["large_diff_count"] += 1
            continue
        d = f32(abs(p - q))
        total, squares, dot, aa, bb = total + d, squares + d * d, dot + p * q, aa + p * p, bb + q * q
        largest = max(largest, d)
        r["identical_count" if d == 0 else "small_diff_count" if d < f32(0.001) else
          "medium_diff_count" if d < f32(0.01) else "large_diff_count"] += 1
    swapped = len(shape_a) == len(shape_b) == 2 and shape_a == shape_b[::-1] != shape_b
    if n == 0:
        status = "Critical"
    elif swapped and r["identical_count"] / n > 0.99:
        status = "Transposed"
    elif swapped and largest < f32(0.1):
        status = "MediumDiff"
    elif shape_a != shape_b:
        status = "Critical"
    else:
        limits = (("NearlyIdentical", 0.001), ("SmallDiff", 0.01), ("MediumDiff", 0.1), ("LargeDiff", 1.0))
        status = "Identical" if largest == 0 else next((s for s, m in limits if largest < f32(m)), "Critical")
    return dict(r, name=name, shape_a=shape_a, shape_b=shape_b, status=status, element_count=n, max_diff=largest,
                mean_diff=f32(total / n) if n else 0, rmse=f32(math.sqrt(squares / n)) if n else 0,
                cosine_similarity=f32(dot / (math.sqrt(aa) * math.sqrt(bb))) if aa and bb else 0)

path_a, path_b, *options = sys.argv[1:]
a, b = tensors(path_a), tensors(path_b)
limit = int(options[options.index("--limit") + 1]) if "--limit" in options else None
results = [result(n, a[n], b[n]) for n in sorted(set(a) & set(b), key=str.encode)[:limit]]
count = lambda *s: sum(r["status"] in s for r in results)
want = {"model_a": path_a, "model_b": path_b, "results": results, "tensors_compared": len(results),
        "identical_count": count("Identical", "NearlyIdentical"), "medium_count": count("MediumDiff"),
        "large_count": count("LargeDiff"), "critical_count": count("Critical"), "transposed_count": count("Transposed")}
text = open("out.json").read()
got = json.loads(text)
assert got == want, "\n%s\n%s" % (got, want)
# one line, keys in the order of the alphabet
assert text.count("\n") == 1
assert list(got) == sorted(got) and all(list(r) == sorted(r) for r in got["results"])
END
}

@test "buckets, statuses and their limits, means in float32" {
    # float32 of 0.001, 0.01 and 0.1, and the numbers below them
    local milli=0x1.0624dep-10 below_milli=0x1.0624dcp-10 centi=0x1.47ae14p-7 below_centi=0x1.47ae12p-7 deci=0x1.99999ap-4 below_deci=0x1.999998p-4
    make-model a.safetensors 'same F32 4 = 1 2 3 4' 'near F32 2x2 = 0 0 0 1' 'milli F32 2 = 0 1' 'small F32 2 = 0 1' 'centi F32 2 = 0 1' \
        'medium F32 2 = 0 1' 'deci F32 3 = 0 1 2' 'large F32 2 = 0 1' 'one F32 2 = 0 1' 'third F32 3 = 1 1 1' 'b.10 F32 1 = 1' 'b.9 F32 1 = 2' \
        -- b.safetensors 'same F32 4 = 1 2 3 4' "near F32 2x2 = $below_milli 0 0 1" "milli F32 2 = $milli 1" "small F32 2 = $below_centi 1" \
        "centi F32 2 = $centi 1" "medium F32 2 = $below_deci 1" "deci F32 3 = $deci 1 2.0001" 'large F32 2 = 0x1.fffffep-1 1' 'one F32 2 = 1 1' \
        'third F32 3 = 1.1 1.2 1.30001' 'b.10 F32 1 = 1.1' 'b.9 F32 1 = 2'
    holds a.safetensors b.safetensors
    [ "$(grep -o '"status":"[A-Za-z]*"' out.json | sort | uniq -c | awk '{print $1 $2}' | tr '\n' ' ')" = \
        '1"status":"Critical" 2"status":"Identical" 4"status":"LargeDiff" 2"status":"MediumDiff" 1"status":"NearlyIdentical" 2"status":"SmallDiff" ' ]
    holds b.safetensors a.safetensors --limit 3
    # what is after the dot of a float32 that was widened
    tensor-cos --json --compat apr a.safetensors b.safetensors | grep -q '"max_diff":0.09999999403953552,'
}

@test "NaN and infinities count as large and are in nothing else; zeros have no cosine" {
    make-model a.safetensors 'nan F32 4 = nan 1 2 3' 'inf F32 3 = inf -inf 1' 'both F32 2 = nan nan' 'zero F32 2 = 0 0' 'zeros F32 2 = 0 0' 'none F32 0x3 = ' 's F32 - = 7' \
        -- b.safetensors 'nan F32 4 = 1 1 2.5 nan' 'inf F32 3 = inf 1 1' 'both F32 2 = nan 1' 'zero F32 2 = 1 1' 'zeros F32 2 = 0 -0' 'none F32 0x3 = ' 's F32 - = 7'
    holds a.safetensors b.safetensors
}

@test "many elements: sums of other threads and other orders round to the same float32" {
    tensor-rand --seed 1 --tensor w=300x1000 --tensor v=70000 > a.tsr
    tensor-rand --seed 2 --tensor w=300x1000 --tensor v=70000 --deviation 0.004 > b.tsr
    tensor-save a.safetensors a.tsr
    tensor-save b.safetensors b.tsr
    holds a.safetensors b.safetensors
    cp out.json one.json
    tensor-cos --json --compat apr -j 1 a.safetensors b.safetensors | cmp - one.json
    tensor-cat b.safetensors | tensor-cos --json --compat apr a.safetensors - | sed 's/"model_b":"-"/"model_b":"b.safetensors"/' | cmp - one.json
}

@test "quantized types count what they decode to" {
    tensor-rand --tensor w=8x512 --deviation 0.02 > w.tsr
    for type in Q4_K Q8_0 F16 BF16; do
        tensor-quant --to $type w.tsr > q.tsr
        tensor-save --force a.safetensors w.tsr
        tensor-dequant q.tsr | tensor-save --force b.safetensors
        holds a.safetensors b.safetensors
        tensor-cos --json --compat apr a.safetensors q.tsr | sed 's/q.tsr/b.safetensors/' | cmp - out.json
    done
}

@test "swapped shapes: labels alone, and what is transposed indeed" {
    make-model a.safetensors 'w F32 2x3 = 1 -2 3 -4 5 -6' 'v F32 2x3 = 1 -2 3 -4 5 -6' -- b.safetensors 'w F32 3x2 = 1 -2 3 -4 5 -6' 'v F32 3x2 = 1 -2 3 -4 5 -6.05'
    # as they lie
    holds a.safetensors b.safetensors
    grep -q '"status":"Transposed"' out.json
    # apr diff compares what does not belong together; here it is turned first
    make-model t.safetensors 'w F32 3x2 = 1 -4 -2 5 3 -6'
    run -0 tensor-cos --json --compat apr --match w a.safetensors t.safetensors
    says '"identical_count":6' '"shape_a":[2,3],"shape_b":[3,2]' '"status":"Transposed"' '"transposed_count":1'
}

@test "names of llama.cpp become those of Hugging Face" {
    make-model a.gguf 'blk.3.attn_q.weight F32 1 = 1' 'blk.3.attn_output.weight F32 1 = 1' 'blk.10.ffn_norm.weight F32 1 = 1' \
        'blk.3.ffn_gate.weight F32 1 = 1' 'blk.3.attn_k.bias F32 1 = 1' 'token_embd.weight F32 1 = 1' 'output_norm.weight F32 1 = 1'
    run -0 tensor-cos --json --compat apr --map none a.gguf a.gguf
    [ "$(grep -o '"name":"[^"]*"' <<< "$output" | cut -d '"' -f 4)" = 'model.layers.10.post_attention_layernorm.weight
model.layers.3.mlp.gate_proj.weight
model.layers.3.self_attn.k_proj.bias
model.layers.3.self_attn.o_proj.weight
model.layers.3.self_attn.q_proj.weight
output_norm.weight
token_embd.weight' ]
}

@test "nothing is lost without a word" {
    make-model a.safetensors 'w F32 2 = 1 2' 'x F32 1 = 1' 'y F32 1 = 1' 's F32 2x2 = 1 2 3 4' 'c C64 1 = 1' -- \
        b.safetensors 'w F32 2 = 1 2' 'z F32 1 = 1' 's F32 3 = 1 2 3' 'c C64 1 = 1'
    run --separate-stderr -0 tensor-cos --json --compat apr a.safetensors b.safetensors
    says '"tensors_compared":3' '"critical_count":2'
    [[ $stderr == *"warning: 3 tensors are on one side only and not in the object, as '"[xyz]"'"* ]]
    [[ $stderr == *"warning: 2 tensors differ in shape, or have no real numbers, and are not compared, as '"[sc]"'"* ]]
    make-model none.tsr
    # as apr diff has it where there is nothing to compare
    says '"cosine_similarity":0,"element_count":0,"identical_count":0,"large_diff_count":0,"max_diff":0,"mean_diff":0,"medium_diff_count":0,"name":"s","rmse":0,"shape_a":[2,2],"shape_b":[3],"small_diff_count":0,"status":"Critical"'
    run --separate-stderr -0 tensor-cos --json --compat apr none.tsr none.tsr
    says '"results":[],"tensors_compared":0'
    [ -z "$stderr" ]
}

@test "a broken stream is trouble, and so is what does not go together" {
    make-model a.tsr 'w F32 2 = 1 2'
    size=$(stat -c %s a.tsr)
    run -2 pipeline "head -c $((size - 5)) a.tsr | tensor-cos --json --compat apr - a.tsr"
    [ "$(grep -c results <<< "$output")" -eq 0 ]
    refuses "--compat goes with --json" tensor-cos --compat apr a.tsr a.tsr
    refuses "--compat goes with --json" tensor-cos --compat apr --tsv a.tsr a.tsr
    refuses "without --repeat" tensor-cos --compat apr --json --repeat 2 a.tsr a.tsr
    refuses "'dir' is not apr" tensor-cos --compat dir --json a.tsr a.tsr
}
