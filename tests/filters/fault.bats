#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-fault(1): each fault does what it says, to what was selected, and a gate sees it.

load ../helpers

setup() {
    make-model a.tsr "w F32 8x4 = $(seq -s ' ' 1 32)" 'other F32 2 = 1 2' 'h F16 4x2 = 1 2 3 4 5 6 7 8'
    tensor-rand --tensor q=4x256 > r.tsr
}

# numbers TENSOR: its elements, of the F32 tensors in out.tsr.
numbers() {
    tensor-dequant --match "$1" out.tsr | tensor-cat --match "$1" | tensor-save --force "$BATS_TEST_TMPDIR/n.npy"
    # its header has 128 bytes
    tail -c +129 "$BATS_TEST_TMPDIR/n.npy" | od -An -v -t f4 | xargs
}

# bats test_tags=sweep
@test "what is not selected passes unchanged" {
    for fault in nan bit swap-rows transpose channel zero-block 'swap-heads --heads 4'; do
        # shellcheck disable=SC2086
        tensor-fault --fault $fault --match w a.tsr > out.tsr
        tensor-cat --exclude w out.tsr | tensor-hash --json > kept
        cmp kept <(tensor-cat --exclude w a.tsr | tensor-hash --json)
        [ "$(grep -c "\"kind\":\"hash\"" kept)" -eq 2 ]
        run -0 numbers w
        [ "$output" != "$(seq -s ' ' 1 32)" ]
        [ "$(wc -w <<< "$output")" -eq 32 ]
    done
}

# bats test_tags=sweep
@test "the place depends on the seed and the name alone" {
    for fault in nan bit swap-rows channel; do
        tensor-fault --fault $fault --seed 3 --match w a.tsr > one.tsr
        cat a.tsr | tensor-fault --fault $fault --seed 3 --match w > two.tsr
        diff <(show-stream --digests one.tsr) <(show-stream --digests two.tsr)
        places=$(for seed in 0 1 2 3 4 5; do tensor-fault --fault $fault --seed $seed --match w a.tsr | tensor-hash --json | sed -n 1p; done | sort -u | wc -l)
        [ "$places" -gt 1 ]
    done
}

@test "nan: one element of floats, one block of a quantized type" {
    tensor-fault --fault nan a.tsr > out.tsr
    run -0 pipeline 'tensor-cos a.tsr out.tsr --tsv | cut -f 12-13'
    [ "$output" = $'nan_a\tnan_b\n0\t1\n0\t1\n0\t1' ]
    tensor-quant --to Q4_K r.tsr > q.tsr
    run -0 pipeline 'tensor-fault --fault nan q.tsr | tensor-cos q.tsr - --tsv | cut -f 13 | tail -n 1'
    [ "$output" = 256 ]
}

@test "swap-rows and swap-heads move whole rows" {
    tensor-fault --fault swap-rows --match w a.tsr > out.tsr
    run -0 numbers w
    [ "$(xargs -n 4 <<< "$output" | sort -n | xargs)" = "$(seq -s ' ' 1 32)" ]
    tensor-fault --fault swap-heads --heads 2 --match w a.tsr > out.tsr
    [ "$(numbers w)" = "$(seq -s ' ' 17 32) $(seq -s ' ' 1 16)" ]
    tensor-quant --to Q8_0 r.tsr > q.tsr
    tensor-fault --fault swap-heads --heads 2 q.tsr | tensor-fault --fault swap-heads --heads 2 > out.tsr
    diff <(show-stream --digests q.tsr) <(show-stream --digests out.tsr)
}

@test "transpose" {
    tensor-fault --fault transpose --match w a.tsr > out.tsr
    [ "$(numbers w)" = "$(for i in 1 2 3 4; do seq -s ' ' $i 4 32; done | xargs)" ]
    tensor-rand --tensor w=300x200 --tensor w2=2x7 > big.tsr
    tensor-fault --fault transpose big.tsr > out.tsr
    tensor-cat --match w big.tsr | tensor-save big.safetensors
    python3 -B - << 'END'
import json, struct
data = open("big.safetensors", "rb").read()
raw = data[8 + struct.unpack("<Q", data[:8])[0]:]
cell = [raw[4 * i:4 * i + 4] for i in range(60000)]
open("want", "wb").write(b"".join(cell[i * 200 + j] for j in range(200) for i in range(300)))
END
    tensor-cat --match w out.tsr | tensor-save out.safetensors
    cmp want <(tail -c 240000 out.safetensors)
}

@test "channel: one row times 1.15" {
    tensor-fault --fault channel --match w a.tsr > out.tsr
    numbers w | xargs -n 4 > got
    [ "$(seq 1 32 | xargs -n 4 | diff - got | grep -c '^>')" -eq 1 ]
    tensor-quant --to Q8_0 r.tsr > q.tsr
    run -0 pipeline 'tensor-fault --fault channel q.tsr | tensor-cos q.tsr - | verdict --rule "max_rel_diff < 0.2" --rule "cosine_similarity < 1" --rule "cosine_similarity > 0.99"'
}

@test "zero-block and stale-scale" {
    tensor-quant --to Q4_0 r.tsr > q.tsr
    run -0 pipeline 'tensor-fault --fault zero-block q.tsr | tensor-cos q.tsr - | verdict --rule "identical_count >= 992" --rule "identical_count < 1024"'
    tensor-fault --fault stale-scale q.tsr > out.tsr
    run -0 pipeline 'tensor-cos q.tsr out.tsr | verdict --rule "cosine_similarity < 1" --rule "cosine_similarity > 0.9"'
}

@test "every fault of every type, byte by byte" {
    make-blocks .
    tensor-rand --tensor w=2x1024 > r.tsr
    python3 -B - "$srcdir/tests/tools" << 'END'
import functools, os, struct, subprocess, sys
sys.path.insert(0, sys.argv[1])
import blocks
import reference_decode as reference
reference.read_grids(sys.argv[1] + "/../../lib/kernels/iq-grids.inc")
scope = {"__name__": "show_stream"}
exec(open(sys.argv[1] + "/show-stream").read(), scope)

def payload(stream):
    return b"".join(thing for _, thing in scope["objects"](stream) if isinstance(thing, bytes))

@functools.cache
def stream(path, name):
    return subprocess.run(["tensor-cat", "--match", name, path], capture_output=True, check=True).stdout

def damaged(path, name, fault, seed):
    """The bytes that the fault leaves, or why it is refused."""
    one = stream(path, name)
    r = subprocess.run(["tensor-fault", "--seed", str(seed), "--fault", *fault.split()], input=one, capture_output=True)
    if r.returncode == 0:
        return payload(one), payload(r.stdout)
    assert r.returncode == 2 and r.stderr.count(b"\n") == 1
    return payload(one), r.stderr.decode()

def changed(a, b):
    return [i for i in range(len(a)) if a[i] != b[i]]

def numbers(name, data):
    size = types[name][1]
    if name in reference.DECODERS:
        return [x for i in range(0, len(data), size) for x in reference.DECODERS[name](data[i:i + size])]
    if name == "BF16":
        return struct.unpack("<%df" % (len(data) // 2), b"".join(b"\0\0" + data[i:i + 2] for i in range(0, len(data), 2)))
    return struct.unpack("<%d%s" % (len(data) // size, "e" if name == "F16" else "d"), data)

types = {**blocks.GGUF_TYPES, **{n: (*t, []) for n, t in blocks.SAFETENSORS_TYPES.items()}}
files = {**{n: "blocks.gguf" for n in blocks.GGUF_TYPES}, **{n: "blocks.safetensors" for n in blocks.SAFETENSORS_TYPES}}
@functools.cache
def made(name):
    r = subprocess.run(["tensor-quant", "--to", name, "r.tsr"], capture_output=True)
    if r.returncode == 0:
        with open(name + ".tsr", "wb") as file:
            file.write(r.stdout)
    return r.returncode == 0

def source(name, fault):
    """Random bytes, or numbers where the type can be made from some and the fault makes it anew."""
    return (name + ".tsr", "*") if fault in ("transpose", "channel") and made(name) else (files[name], name)

# Of two rows there is one way to exchange them, and one to transpose.
placed = "nan", "bit", "stale-scale", "zero-block", "channel"

refused = {}
for name, (elements, size, halves) in types.items():
    for fault in "nan", "bit", "swap-rows", "swap-heads --heads 2", "stale-scale", "zero-block", "transpose", "channel":
        for seed in range(3 if fault in placed and not os.environ.get("TU_SANITIZED") else 1):
            a, b = damaged(*source(name, fault), fault, seed)
            if isinstance(b, str):
                refused.setdefault(fault, set()).add(name)
                break
            assert len(a) == len(b) and a != b, (name, fault)
            where, row = changed(a, b), len(a) // 2
            places = {i // size for i in where}
            if fault == "bit":
                assert len(where) == 1 and bin(a[where[0]] ^ b[where[0]]).count("1") == 1
            elif fault.startswith("swap"):
                assert b == a[row:] + a[:row], name
            elif fault == "zero-block":
                run = 1 if elements > 1 else 32
                first = where[0] // size // run * run * size
                assert not any(b[first:first + run * size]) and where[-1] < first + run * size, name
            elif fault == "stale-scale":
                block, = places
                span = range(where[0] % size, where[-1] % size + 1)
                assert all(b[block * size + i] == a[(block - 1) * size + i] for i in span), name
                assert len(span) <= 8 and (not halves or span[0] in (halves[0], halves[0] + 1)), (name, span)
            elif fault == "nan" and name in types and name[0] not in "FB":
                assert len(places) == 1 and all(i % size - (halves or [0])[0] < 4 for i in where), name
            elif fault == "nan":
                assert len(places) == 1, name
            elif fault == "channel":
                x, y = numbers(name, a), numbers(name, b)
                half = len(x) // 2
                rows = [i for i in (0, 1) if a[i * row:(i + 1) * row] != b[i * row:(i + 1) * row]]
                assert len(rows) == 1
                x, y = (v[rows[0] * half:(rows[0] + 1) * half] for v in (x, y))
                slope = sum(p * q for p, q in zip(x, y)) / sum(p * p for p in x)
                assert abs(slope - 1.15) < (0.3 if name in reference.DECODERS else 0.01), (name, slope)
            elif fault == "transpose" and elements == 1:
                cell = [a[i:i + size] for i in range(0, len(a), size)]
                assert b == b"".join(cell[i * blocks.COLUMNS + j] for j in range(blocks.COLUMNS) for i in range(2)), name
            elif fault == "transpose":
                x, y = numbers(name, a), numbers(name, b)
                want = [x[i * blocks.COLUMNS + j] for j in range(blocks.COLUMNS) for i in range(2)]
                dot = lambda p, q: sum(v * w for v, w in zip(p, q))
                cosine = dot(want, y) / (dot(want, want) * dot(y, y)) ** 0.5
                assert cosine > 0.75, (name, cosine)
whole = {n for n in types if n[0] in "IUB" and not n.startswith(("IQ", "BF"))}
floats = {n for n in types if n[0] == "F" or n == "BF16"}
assert "bit" not in refused and "zero-block" not in refused and "swap-rows" not in refused
assert refused["nan"] == whole | {"F4", "F6_E2M3", "F6_E3M2", "IQ1_M", "MXFP4", "NVFP4"}, refused["nan"]
assert refused["stale-scale"] == whole | floats, refused["stale-scale"]
assert {"F8_E4M3", "IQ2_S", "MXFP4"} <= refused["channel"] and not refused["channel"] & {"F16", "BF16", "Q8_0", "Q6_K", "Q4_K", "Q4_0", "IQ4_XS", "Q2_K"}
assert not refused["transpose"] & {"F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q4_0", "IQ4_XS", "Q2_K", "F8_E4M3", "I8"}
END
}

# bats test_tags=sweep
@test "of a place where a fault would change nothing another one is taken" {
    make-model z.tsr 'w F32 4x32 = '"$(printf '0 %.0s' {1..96}; seq -s ' ' 1 32)" -- same.tsr 'w F32 3x2 = 1 2 1 2 1 2' \
        'z F32 2x2 = 0 0 0 0'
    for seed in 0 1 2 3 4 5 6 7; do
        for fault in swap-rows zero-block channel 'swap-heads --heads 2'; do
            # shellcheck disable=SC2086
            run -1 pipeline "tensor-fault --seed $seed --fault $fault z.tsr | tensor-cos z.tsr - | verdict --profile exact"
        done
    done
    refuses "tensor 'w': all of them are the same" tensor-fault --fault swap-rows --match w same.tsr
    refuses "tensor 'z': no row of it changes by that" tensor-fault --fault channel --match z same.tsr
    refuses "tensor 'z': all of it is zero" tensor-fault --fault zero-block --match z same.tsr
    # a number of four bits stays what it is when it is made 1.15 times as large
    tensor-quant --to MXFP4 r.tsr > q.tsr
    refuses "tensor 'q': no row of it changes by that" tensor-fault --fault channel q.tsr
}

@test "columns: zero, multiplied, in another order" {
    tensor-fault --fault zero-column --match w a.tsr > out.tsr
    # 8 rows of 4, of which one column is gone
    numbers w | xargs -n 4 > got
    [ "$(awk '{ for (i = 1; i <= 4; i++) if ($i == 0) zeros[i]++ } END { for (i in zeros) print zeros[i] }' got)" = 8 ]
    tensor-fault --fault scale-column --factor 3 --match w a.tsr > out.tsr
    numbers w | tr ' ' '\n' | paste - <(seq 32) | awk '$1 != $2 { if ($1 != 3 * $2) exit 1; column[$2 % 4]; n++ } END { exit n != 8 || length(column) != 1 }'
    tensor-fault --fault mix-columns --match w a.tsr > out.tsr
    # every row has the numbers that it had, in one other order, and none in its place
    numbers w | xargs -n 4 | awk '{
        order = ""
        for (i = 1; i <= 4; i++) {
            from = $i - 4 * (NR - 1)
            if (from < 1 || from > 4 || from == i)
                exit 1
            order = order from
        }
        orders[order]
    } END { exit NR != 8 || length(orders) != 1 }'
    # of 80 columns one group of 32 at most, and what is quantized keeps the numbers of other blocks
    tensor-rand --tensor q=40x96 | tensor-quant --to Q8_0 > q.tsr
    for fault in zero-column scale-column mix-columns; do
        tensor-fault --fault $fault q.tsr | tensor-cos --oracle never --json q.tsr - > record
        # of 40 blocks of 32 numbers each; without a change all 3840 are identical
        grep -q '"identical_count":\(25[6-9].\|2[6-9]..\|3...\),' record
        run -1 grep '"identical_count":3840' record
    done
    # an infinity in the column is gone, too
    make-model inf.tsr 'w F32 2x1 = inf 2'
    tensor-fault --fault zero-column inf.tsr > out.tsr
    [ "$(numbers w)" = "0 0" ]
}

@test "scale, fine-tune: the size that is stated" {
    tensor-fault --fault scale --factor -2 --match w a.tsr > out.tsr
    [ "$(numbers w)" = "$(seq -s ' ' -2 -2 -64)" ]
    tensor-rand --tensor q=70x300 > r.tsr
    for size in 0.003 0.01 0.5; do
        tensor-fault --fault fine-tune --size $size r.tsr | tensor-cos --json r.tsr - |
            python3 -c 'import json, sys
r = [json.loads(line) for line in sys.stdin][-1]
assert abs(r["nmse"] ** 0.5 / float(sys.argv[1]) - 1) < 1e-4, r' $size
    done
    # of rank 8: nine of its rows are dependent
    tensor-fault --fault fine-tune --size 0.5 r.tsr > out.tsr
    for name in r out; do tensor-cat $name.tsr | tensor-save $name.safetensors; done
    python3 - << 'END'
import struct
def matrix(path):
    data = open(path, "rb").read()
    raw = data[8 + struct.unpack("<Q", data[:8])[0]:]
    return struct.unpack("<21000f", raw)
a, b = matrix("r.safetensors"), matrix("out.safetensors")
rows = [[b[300 * i + j] - a[300 * i + j] for j in range(12)] for i in range(12)]
rank = 0
for column in range(12):
    pivot = max(range(rank, 12), key=lambda i: abs(rows[i][column]))
    if abs(rows[pivot][column]) < 1e-4:
        continue
    rows[rank], rows[pivot] = rows[pivot], rows[rank]
    for i in range(rank + 1, 12):
        f = rows[i][column] / rows[rank][column]
        rows[i] = [x - f * y for x, y in zip(rows[i], rows[rank])]
    rank += 1
assert rank == 8, rank
END
    # and of a quantized tensor nearly that size, where its steps are fine enough to tell
    tensor-quant --to Q8_0 r.tsr > q.tsr 2> /dev/null || tensor-rand --tensor q=64x256 | tensor-quant --to Q8_0 > q.tsr
    tensor-fault --fault fine-tune --size 0.1 q.tsr | tensor-cos q.tsr - | verdict --rule "nmse > 0.009" --rule "nmse < 0.011"
}

@test "cut-rows: rows at the end, of any type" {
    tensor-fault --fault cut-rows --rows 3 --match w a.tsr > out.tsr
    [ "$(numbers w)" = "$(seq -s ' ' 1 20)" ]
    run -0 tensor-ls --table out.tsr
    says "[5, 4]"
    tensor-quant --to Q4_0 r.tsr > q.tsr
    tensor-fault --fault cut-rows q.tsr | tensor-save q3.gguf
    tensor-cat q.tsr | tensor-save q4.gguf
    run -0 tensor-ls --table q3.gguf
    says "[3, 256]"
    cmp <(tail -c 576 q4.gguf | head -c 432) <(tail -c 448 q3.gguf | head -c 432)
    run -1 pipeline 'tensor-fault --fault cut-rows q.tsr | tensor-cos q.tsr - | verdict'
    says "shape_mismatch"
}

@test "exchange: two tensors of one type and shape" {
    make-model e.tsr 'x F32 2x2 = 1 2 3 4' 'y F32 2x2 = 5 6 7 8' 'z F16 2x2 = 5 6 7 8' 'x2 F32 2x2 = 1 2 3 4' 'y2 F32 4 = 5 6 7 8'
    tensor-fault --fault exchange --match x e.tsr > out.tsr
    [ "$(numbers x)" = "5 6 7 8" ]
    [ "$(numbers y)" = "1 2 3 4" ]
    [ "$(numbers x2)" = "1 2 3 4" ]
    run --separate-stderr pipeline "tensor-fault --fault exchange --match 'x*' --match y e.tsr | wc -c"
    [[ $stderr == *"tensor 'x2': no other one of its type and shape, and other numbers, is left"* ]]
    refuses "no other one of its type and shape" tensor-fault --fault exchange --match z e.tsr
    # twice is none
    make-model two.tsr 'x F32 2x2 = 1 2 3 4' 'y F32 2x2 = 5 6 7 8'
    tensor-fault --fault exchange two.tsr | tensor-fault --fault exchange --match x > out.tsr
    diff <(show-stream --digests two.tsr) <(show-stream --digests out.tsr)
}

# model FOLDER: 2 heads of 4 rows for q, 1 for k; 3 experts; 5 tokens
network() {
    mkdir -p "$1"
    make-model "$1/model.safetensors" \
        "model.embed_tokens.weight F32 5x2 = $(seq -s ' ' 1 10)" "lm_head.weight F32 5x2 = $(seq -s ' ' 11 20)" \
        "model.layers.0.self_attn.q_proj.weight F32 8x2 = $(seq -s ' ' 1 16)" "model.layers.0.self_attn.q_proj.bias F32 8 = $(seq -s ' ' 1 8)" \
        "model.layers.0.self_attn.k_proj.weight F32 4x2 = $(seq -s ' ' 1 8)" "model.layers.0.self_attn.q_norm.weight F32 4 = 1 2 3 4" \
        "model.layers.0.mlp.experts.0.up_proj.weight F32 2x2 = 1 2 3 4" "model.layers.0.mlp.experts.1.up_proj.weight F32 2x2 = 5 6 7 8" \
        "model.layers.0.mlp.experts.2.up_proj.weight F32 2x2 = 9 10 11 12"
    cat > "$1/config.json" << 'END'
{"model_type": "qwen3_moe", "hidden_size": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
 "num_hidden_layers": 1, "vocab_size": 5, "rope_theta": 5000.0, "rms_norm_eps": 1e-6, "num_experts": 3}
END
}

@test "rope-halves and rope-pairs: q and k by head, as the model or --heads says" {
    network m
    tensor-fault --fault rope-pairs m > out.tsr
    # of a head the rows 0, 2, 1, 3
    [ "$(numbers '*q_proj.weight')" = "1 2 5 6 3 4 7 8 9 10 13 14 11 12 15 16" ]
    [ "$(numbers '*q_proj.bias')" = "1 3 2 4 5 7 6 8" ]
    [ "$(numbers '*k_proj.weight')" = "1 2 5 6 3 4 7 8" ]
    [ "$(numbers '*q_norm*')" = "1 2 3 4" ]
    diff <(tensor-cat --exclude '*[qk]_proj*' m | show-stream --digests | grep '"tensor"') <(tensor-cat --exclude '*[qk]_proj*' out.tsr | show-stream --digests | grep '"tensor"')
    # one undoes the other
    tensor-fault --fault rope-halves --heads 1 --match '*q_proj.weight' m > out.tsr
    [ "$(numbers '*q_proj.weight')" = "1 2 5 6 9 10 13 14 3 4 7 8 11 12 15 16" ]
    tensor-fault --fault rope-pairs --heads 1 --match '*q_proj.weight' out.tsr > back.tsr && mv back.tsr out.tsr
    [ "$(numbers '*q_proj.weight')" = "$(seq -s ' ' 1 16)" ]
    # what rope leaves alone stays
    sed -i 's/"rope_theta"/"partial_rotary_factor": 0.5, "rope_theta"/' m/config.json
    refuses "nothing was damaged: no selected tensor is q or k, or none has an order to lose" tensor-fault --fault rope-pairs m
    refuses "does not say how wide its heads are (--heads says" tensor-fault --fault rope-pairs m/model.safetensors
    refuses "its rows are not that many heads" tensor-fault --fault rope-pairs --heads 3 m
    refuses "nothing was damaged" tensor-fault --fault rope-pairs --match '*mlp*' m
}

@test "cut-vocabulary: embedding, output and what is stated of them" {
    network m
    tensor-fault --fault cut-vocabulary --rows 2 m > out.tsr
    [ "$(numbers '*embed*')" = "$(seq -s ' ' 1 6)" ]
    [ "$(numbers 'lm_head*')" = "$(seq -s ' ' 11 16)" ]
    [ "$(numbers '*q_proj.bias')" = "$(seq -s ' ' 1 8)" ]
    run -0 tensor-ls --table --facts out.tsr
    grep -q '^vocab  *3 ' <<< "$output"
    run -1 pipeline 'tensor-cos m out.tsr | verdict'
    says "model.embed_tokens.weight" "lm_head.weight"
    refuses "of its 5 tokens, 5 cannot be cut" tensor-fault --fault cut-vocabulary --rows 5 m
    refuses "has no embedding and no output to cut" tensor-fault --fault cut-vocabulary a.tsr
}

@test "drop-expert: its tensors are left out, or its slice of a stack is zero" {
    network m
    tensor-fault --fault drop-expert m > out.tsr
    run -1 pipeline 'tensor-cos m out.tsr | verdict'
    says "1 missing"
    [ "$(tensor-ls --tsv out.tsr | grep -c experts)" = 2 ]
    run -1 pipeline 'tensor-fault --fault drop-expert m | tensor-cos m - | verdict'
    for seed in 0 1 2 3 4 5; do tensor-fault --fault drop-expert --seed $seed m | tensor-ls --tsv - | grep -o 'experts.[0-9]'; done | sort | uniq -c > counts
    [ "$(wc -l < counts)" = 3 ]
    make-model stack.tsr "blk.0.ffn_up_exps.weight F32 3x2x2 = $(seq -s ' ' 1 12)" "blk.0.ffn_gate_inp.weight F32 3x2 = 1 2 3 4 5 6" \
        'blk.0.ffn_up_exps.bias F32 3x2 = 0 0 0 0 0 0'
    tensor-fault --fault drop-expert stack.tsr > out.tsr
    [ "$(numbers '*exps.weight' | xargs -n 4 | grep -c '^0 0 0 0$')" = 1 ]
    [ "$(numbers '*exps.weight' | xargs -n 4 | grep -v '^0' | wc -l)" = 2 ]
    [ "$(numbers '*inp*')" = "1 2 3 4 5 6" ]
    refuses "nothing was damaged: no selected tensor is of an expert" tensor-fault --fault drop-expert a.tsr
    refuses "nothing was damaged" tensor-fault --fault drop-expert --match '*bias' stack.tsr
}

@test "fact: what is stated is another number, and fails by its name" {
    network m
    tensor-fault --fault fact --fact rope.base m > out.tsr
    run -1 pipeline 'tensor-cos m out.tsr | verdict'
    says "fail     fact" "rope.base: 5000 given by rope_theta in config.json; 50000 given by rope_theta"
    diff <(show-stream --digests m.tsr 2> /dev/null || tensor-cat m | show-stream --digests | grep '"tensor"') <(show-stream --digests out.tsr | grep '"tensor"')
    for seed in 0 1 2 3 4 5; do
        run -1 pipeline "tensor-fault --fault fact --seed $seed m | tensor-cos m - | verdict"
        grep -o 'fact  *[a-z_.]*' <<< "$output" | head -n 1 >> named
    done
    [ "$(sort -u named | wc -l)" -gt 2 ]
    # of a GGUF file the key is another one, too, which a copy of it keeps
    make-facts facts
    tensor-fault --fault fact --fact heads facts/llama/model.gguf | tensor-save heads.gguf
    run -1 pipeline 'tensor-cos facts/llama/model.gguf heads.gguf | verdict'
    says "heads: 4 given by llama.attention.head_count in GGUF; 8 given by llama.attention.head_count"
    refuses "'m/model.safetensors' states no fact" tensor-fault --fault fact m/model.safetensors
    refuses "states no arch that is a number or a flag" tensor-fault --fault fact --fact arch m
    refuses "'rope.bass' is no fact (tensor-facts(7) lists them)" tensor-fault --fault fact --fact rope.bass m
    refuses "--fault fact changes no tensor: none can be selected" tensor-fault --fault fact --match '*' m
    refuses "--fact is for --fault fact" tensor-fault --fault nan --fact heads m
}

@test "every format: each fault reads what tensor-cat reads" {
    tensor-rand --tensor x.weight=64x64 --tensor y.weight=64x64 > r.tsr
    for file in r.safetensors r.gguf r.apr r.npz; do tensor-save $file r.tsr; done
    for file in r.tsr r.safetensors r.gguf r.apr r.npz; do
        for fault in zero-column scale-column mix-columns scale fine-tune cut-rows exchange; do
            run -1 pipeline "tensor-fault --fault $fault $file | tensor-cos $file - | verdict --profile exact"
        done
        # and through a pipe
        run -1 pipeline "cat $file | tensor-fault --fault exchange | tensor-cos $file - | verdict --profile exact"
    done
}

@test "every fault is in the help and on the page, and gate-power tries it" {
    faults=$(tensor-fault --fault none a.tsr 2>&1 > /dev/null | sed 's/.*they are \(.*\)).*/\1/; s/,//g' || true)
    [ "$(wc -w <<< "$faults")" -gt 20 ]
    help=$(tensor-fault --help)
    for fault in $faults; do
        grep -qw -e "$fault" <<< "$help"
        grep -q "^\.B ${fault//-/\\\\-}$" "$srcdir/man/tensor-fault.1"
        grep '^[a-z_]*faults=' "$srcdir/scripts/gate-power" | tr ',=' '\n\n' | grep -qx -e "$fault"
    done
}

@test "damage that is none is trouble" {
    make-model z.tsr 'z F32 2x2 = 0 0 0 0' 's F32 2x2 = 1 2 2 1' 'r F32 1x3 = 1 2 3' 'e F32 2x2 = 5 5 5 5'
    for fault in nan bit swap-rows channel zero-column scale exchange cut-rows truncate; do
        refuses "nothing was damaged: --match 'absent' selects no tensor" tensor-fault --fault $fault --match absent a.tsr
    done
    refuses "--factor 1 changes nothing" tensor-fault --fault channel --factor 1 a.tsr
    refuses "--factor inf is no number to multiply by" tensor-fault --fault scale --factor inf a.tsr
    refuses "--size 0 adds nothing" tensor-fault --fault fine-tune --size 0 a.tsr
    refuses "--rows 0 cuts nothing" tensor-fault --fault cut-rows --rows 0 a.tsr
    refuses "of its 8 rows, 8 cannot be cut" tensor-fault --fault cut-rows --rows 8 --match w a.tsr
    refuses "tensor 'z': no column of it changes by that" tensor-fault --fault zero-column --match z z.tsr
    refuses "tensor 'z': no column of it changes by that" tensor-fault --fault scale-column --match z z.tsr
    refuses "tensor 'z': no number of it changes by that" tensor-fault --fault scale --match z z.tsr
    refuses "tensor 'e': no group of its columns changes by that" tensor-fault --fault mix-columns --match e z.tsr
    refuses "tensor 'z': that is less than its numbers can tell" tensor-fault --fault fine-tune --match z z.tsr
    refuses "tensor 's': its transpose lies as it does" tensor-fault --fault transpose --match s z.tsr
    refuses "tensor 'r': its transpose lies as it does" tensor-fault --fault transpose --match r z.tsr
    make-model i.tsr 'i I32 2x2 = 1 2 3 4'
    refuses "tensor 'i': its type cannot be made from numbers" tensor-fault --fault zero-column i.tsr
    refuses "tensor 'i': its type cannot be made from numbers" tensor-fault --fault fine-tune i.tsr
}

@test "every fault fails a gate" {
    tensor-quant --to Q4_0 r.tsr > q.tsr
    for fault in nan bit swap-rows stale-scale channel zero-block 'swap-heads --heads 2'; do
        # shellcheck disable=SC2086
        run -1 pipeline "tensor-fault --fault $fault q.tsr | tensor-cos q.tsr - | verdict --rule 'max_diff <= 0'"
    done
    run -2 pipeline 'tensor-fault --fault truncate q.tsr | tensor-cos q.tsr - | verdict --rule "max_diff <= 0"'
    run -0 pipeline 'tensor-fault --fault truncate q.tsr > cut.tsr'
    refuses "truncated" tensor-ls cut.tsr
}

@test "a tensor that cannot have the fault is trouble" {
    make-model i.tsr 'i I32 4 = 1 2 3 4' -- none.tsr 'e F32 0 = ' -- row.tsr 'r F32 4 = 1 2 3 4'
    refuses "tensor 'i': its type has no NaN" tensor-fault --fault nan i.tsr
    refuses "tensor 'e': it has no elements" tensor-fault --fault bit none.tsr
    refuses "tensor 'r': it has no rows" tensor-fault --fault swap-rows row.tsr
    refuses "tensor 'r': it has no two blocks with a scale" tensor-fault --fault stale-scale row.tsr
    refuses "no matrix" tensor-fault --fault transpose row.tsr
    refuses "not that many heads" tensor-fault --fault swap-heads --heads 3 --match w a.tsr
    refuses "needs --heads" tensor-fault --fault swap-heads a.tsr
    refuses "'none' is no fault" tensor-fault --fault none a.tsr
    refuses "--fault names" tensor-fault a.tsr
}
