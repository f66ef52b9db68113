#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A gate passes what is whole and catches what is not: a small llama model in the types of llama.cpp, the
# faults of tensor-fault(1), and gate-power(1), which puts them together.

load ../helpers

PATH=${srcdir:?}/scripts:$PATH

# quantized FOLDER NAME TYPE [GLOB]...: FOLDER/NAME.gguf, where tensors of these names become Q6_K.
quantized() {
    local folder=$1 name=$2 type=$3 glob
    shift 3
    cp "$folder/plain.gguf" "$folder/mixed.gguf"
    for glob; do
        tensor-quant -q --to Q6_K --match "$glob" "$folder/mixed.gguf" | tensor-save --force "$folder/next.gguf"
        mv "$folder/next.gguf" "$folder/mixed.gguf"
    done
    tensor-quant -q --to "$type" "$folder/mixed.gguf" | tensor-save "$folder/$name.gguf"
}

models='BF16 F16 Q8_0 Q6_K Q5_K_M Q4_K_M Q4_0 IQ4_XS Q2_K'

setup_file() {
    local folder type
    cd "$BATS_FILE_TMPDIR" || return
    make-tiny-llama normal
    make-tiny-llama heavy 4
    for folder in normal heavy; do
        cp $folder/plain.gguf $folder/BF16.gguf
        for type in F16 Q8_0 Q6_K Q4_0 IQ4_XS Q2_K; do
            quantized $folder $type $type
        done
        # the mixes of llama.cpp: the head, and values and down projections of some layers
        for type in Q5_K Q4_K; do
            quantized $folder ${type}_M $type output.weight blk.0.attn_v.weight blk.0.ffn_down.weight
        done
    done
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# ---- What is whole ----

@test "every type passes with no option, with ordinary weights and with heavy tails" {
    # what the types decode to is looked at elsewhere; under sanitizers some of them do
    [ -z "$TU_SANITIZED" ] || models='BF16 Q8_0 Q4_K_M'
    for folder in normal heavy; do
        for model in $models; do
            run -0 pipeline "tensor-cos $folder/hf $folder/$model.gguf | verdict"
            says "verdict: pass" "records: 21 judged, 21 passed"
            # and the other way round, through pipes
            run -0 pipeline "tensor-cat $folder/$model.gguf | tensor-cos - $folder/hf | verdict"
            run -0 pipeline "tensor-cat $folder/hf | tensor-cos - $folder/$model.gguf | verdict"
        done
    done
}

@test "every tensor is matched, q and k are put back in order, and the numbers are those of other arithmetic" {
    python3 -B - "$srcdir/tests/tools" << 'END'
import json, math, struct, subprocess, sys
sys.path.insert(0, sys.argv[1])
import reference_decode as reference
reference.read_grids(sys.argv[1] + "/../../lib/kernels/iq-grids.inc")
scope = {"__name__": "show_stream"}
exec(open(sys.argv[1] + "/show-stream").read(), scope)

def tensors(path):
    found, stream = {}, subprocess.run(["tensor-cat", path], capture_output=True, check=True).stdout
    for _, thing in scope["objects"](stream):
        if isinstance(thing, bytes):
            found[name][2] += thing
        elif thing and thing["kind"] == "tensor":
            name = thing["name"]
            found[name] = [thing["dtype"], thing["shape"], b""]
    return found

def numbers(dtype, data):
    if dtype == "F32":
        return struct.unpack("<%df" % (len(data) // 4), data)
    if dtype == "BF16":
        return struct.unpack("<%df" % (len(data) // 2), b"".join(b"\0\0" + data[i:i + 2] for i in range(0, len(data), 2)))
    if dtype == "F16":
        return struct.unpack("<%de" % (len(data) // 2), data)
    size = {"Q8_0": 34, "Q6_K": 210, "Q4_K": 144, "IQ4_XS": 136}[dtype]
    return [x for i in range(0, len(data), size) for x in reference.DECODERS[dtype](data[i:i + size])]

# llama.cpp keeps rows [head][half of the head][2] for RoPE, Hugging Face [head][2][half]
def in_order(values, rows, heads):
    n, half = len(values) // rows, rows // heads // 2
    return [x for h in range(heads) for p in (0, 1) for i in range(half)
            for x in values[(h * 2 * half + 2 * i + p) * n:][:n]]

NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
OTHERS = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
          "output.weight": "lm_head.weight"}

def partner(name):
    if name in OTHERS:
        return OTHERS[name]
    _, layer, role, _ = name.split(".")
    return "model.layers.%s.%s.weight" % (layer, NAMES[role])

a, compared = tensors("normal/hf"), []
for model in "F16", "Q8_0", "Q4_K_M", "IQ4_XS":
    b = tensors("normal/%s.gguf" % model)
    lines = subprocess.run(["tensor-cos", "--json", "normal/hf", "normal/%s.gguf" % model], capture_output=True, check=True).stdout
    records = {r["name"]: r for r in map(json.loads, lines.splitlines()) if r["kind"] == "compare"}
    assert len(records) == len(a) == len(b) == 21 and all(r["status"] == "ok" for r in records.values())
    for name, (dtype, shape, data) in b.items():
        r = records[partner(name)]
        heads = {"attn_q": 4, "attn_k": 2}.get(name.split(".")[-2])
        assert r.get("transform") == ("unrope(%d)" % heads if heads else None) and r["name_b"] == name
        # the numbers are about all of a tensor, and plain Python takes long for large ones: of these one that is
        # put back in order and one that is not, with longer rows
        if math.prod(shape) > 40000 and name not in ("blk.0.attn_q.weight", "blk.1.ffn_down.weight"):
            continue
        compared.append(name)
        x, y = numbers(a[partner(name)][0], a[partner(name)][2]), numbers(dtype, data)
        y = in_order(y, shape[0], heads) if heads else y
        dot, aa, bb = (math.fsum(p * q for p, q in zip(u, v)) for u, v in ((x, y), (x, x), (y, y)))
        dd = math.fsum((p - q) ** 2 for p, q in zip(x, y))
        for field, want in (("cosine_similarity", dot / math.sqrt(aa * bb)), ("nmse", dd / aa), ("rmse", math.sqrt(dd / len(x))),
                            ("max_diff", max(abs(p - q) for p, q in zip(x, y)))):
            assert abs(r[field] - want) <= 1e-9 * max(abs(want), 1e-3), (model, name, field, r[field], want)
assert len(compared) == 4 * 11, compared
END
}

@test "a row that is too faint for a type is no defect; one that is scaled is named" {
    make-model faint.tsr "w F32 4x256 = $(awk 'BEGIN { for (srand(3); i < 1024; i++) print (rand() - 0.5) * (i < 768 ? 0.1 : 1e-9) }' | tr '\n' ' ')" \
        "d F32 4x256 = $(awk 'BEGIN { for (srand(5); i < 1024; i++) print (rand() - 0.5) * (i < 768 ? 0.1 : 1e-39) }' | tr '\n' ' ')" \
        "v F32 4x256 = $(awk 'BEGIN { for (srand(4); i < 1024; i++) print (rand() - 0.5) * (i < 768 ? 0.1 : 0.003) }' | tr '\n' ' ')"
    for type in F16 BF16 Q8_0 Q6_K Q5_K Q4_K Q5_0 Q4_0 IQ4_XS Q3_K Q2_K; do
        tensor-quant --to $type faint.tsr > q.tsr
        run -0 pipeline "tensor-cos faint.tsr q.tsr | verdict"
        run -1 pipeline "tensor-fault --fault channel --match v q.tsr | tensor-cos faint.tsr - | verdict"
    done
    make-model a.tsr "w F32 3x32 = $(printf '1 %.0s' {1..96})" -- b.tsr "w F32 3x32 = $(printf '1 %.0s' {1..32}; printf '0.5 %.0s' {1..32}; printf '1 %.0s' {1..32})"
    run -0 tensor-cos --json a.tsr b.tsr
    # the norm of row 1 halves, that of all becomes sqrt(0.75) of itself
    says '"worst_row_cosine":1,"worst_gain_row":1,"worst_row_gain":0.577350269189625'
    # of rows with one gain the first: 0.5 / sqrt(6.5 / 8), and 2 / sqrt(14 / 8)
    for case in '0.5 0.55470019622522' '2 1.51185789203690'; do
        read -r factor gain <<< "$case"
        row=$(printf '1 %.0s' {1..32}) other=$(printf "$factor %.0s" {1..32})
        make-model a.tsr "w F32 8x32 = $row $row $row $row $row $row $row $row" -- b.tsr "w F32 8x32 = $row $other $row $other $row $row $row $row"
        run -0 tensor-cos --json a.tsr b.tsr
        says "\"worst_gain_row\":1,\"worst_row_gain\":$gain"
    done
}

# ---- What is not ----

# What the gate misses, as model, fault and element type; "slight" where it may, by the definition of
# gate-power(1).  All else that a tensor can have is caught, by the name of what was damaged.
# A bit in the middle of a number of 4 bits moves it by up to 8 steps, as importance matrices do; the scale of the
# block before may be nearly right; a hundredth that is added is less than half a step of all types but Q8_0; of Q2_K
# so is a column that is 1.5 times too large.
# A line that is caught has to go: the test says so.
misses() {
    cat << 'END'
IQ4_XS bit IQ4_XS slight
IQ4_XS fine-tune IQ4_XS slight
Q2_K bit Q2_K slight
Q2_K fine-tune Q2_K slight
Q2_K scale-column Q2_K slight
Q4_0 bit Q4_0 slight
Q4_0 fine-tune Q4_0 slight
Q4_K_M fine-tune Q4_K slight
Q4_K_M fine-tune Q6_K slight
Q5_K_M fine-tune Q5_K slight
Q5_K_M fine-tune Q6_K slight
Q6_K fine-tune Q6_K slight
END
}

@test "the table: every fault in every type is caught by name, but for those that are listed" {
    local models=$models
    # hundreds of processes for each type: under sanitizers two of them tell
    [ -z "${TU_SANITIZED:-}" ] || models='Q6_K Q4_K_M'
    for model in $models; do
        gate-power --json -j 2 normal/hf "normal/$model.gguf" > "$BATS_TEST_TMPDIR/$model.json" || [ $? -eq 1 ]
    done
    misses > "$BATS_TEST_TMPDIR/misses"
    # shellcheck disable=SC2086
    python3 - "$BATS_TEST_TMPDIR" $models << 'END'
import json, sys
folder, *models = sys.argv[1:]
listed = {tuple(line.split()) for line in open(folder + "/misses") if line.split()[0] in models}
found, cells, wrong = set(), 0, []
for model in models:
    *power, gate = map(json.loads, open("%s/%s.json" % (folder, model)))
    assert gate["kind"] == "gate" and gate["trouble"] == 0
    for r in power:
        if r["result"] == "refused":
            # vectors have no rows, floats no scales; a type with one tensor of a shape has no two to exchange, and
            # there are no experts
            assert r["fault"] == "stale-scale" and r["dtype"][0] in "FB" or "norm" in r["tensor"] or \
                r["fault"] in ("exchange", "drop-expert"), r
            if r["fault"] == "exchange":
                assert model.endswith("_M"), r
            continue
        cells += 1
        assert r["tried"] == r["caught"] + r["slight"] + r["missed"]
        if r["fault"] == "truncate":
            assert r["by"] == ["exit status 2"]
        elif r["named"] != r["caught"]:
            wrong.append("not named: %s" % r)
        if r["result"] != "caught":
            found.add((model, r["fault"], r["dtype"], r["result"]))
assert cells > 25 * len(models), cells
if found != listed or wrong:
    for line in sorted(found - listed):
        print("not caught, and not listed:", *line)
    for line in sorted(listed - found):
        print("listed, but caught:", *line)
    print(*wrong, sep="\n")
    sys.exit(1)
END
}

# ---- gate-power ----

@test "gate-power: a gate that asks for equal numbers catches everything" {
    make-model a.tsr 'w F32 4x8 = '"$(seq -s ' ' 1 32)" 'n F32 4 = 1 2 3 4'
    # shellcheck disable=SC2016
    run -0 gate-power --gate 'tensor-cos "$A" - | verdict --profile exact' --match w --match n --heads 2 a.tsr a.tsr
    [ "$(grep -c ' caught  *[123] ' <<< "$output")" -eq 20 ]
    says "undamaged: pass" ", 0 missed, 0 too slight"
    grep -q '^nan  *F32  *caught  *3 .* w  *nonfinite$' <<< "$output"
    grep -q '^swap-rows  *F32  *caught  *3 .* w  *max_diff,identical_share$' <<< "$output"
    grep -q '^swap-rows  *F32  *refused  *- .* n  *it has no rows' <<< "$output"
    # of gates that print nothing like verdict, the status alone counts
    # shellcheck disable=SC2016
    run -0 gate-power --json --fault bit,swap-rows --match w --seeds 2 --gate 'cat > x.tsr; tensor-hash --stream -q x.tsr | tensor-cat -q > x; tensor-hash --stream -q "$A" | tensor-cat -q | cmp -s x' a.tsr a.tsr
    says '"fault":"bit","dtype":"F32","tensor":"w","result":"caught","tried":2,"caught":2,"named":0' '"by":[]'
    says '"kind":"gate"' '"verdict":"caught","caught":4,"slight":0,"missed":0,"trouble":0,"unrun":0}'
}

@test "gate-power: a blind gate is found out, a broken one is trouble" {
    make-model a.tsr 'w F32 4x8 = '"$(seq -s ' ' 1 32)"
    run -1 gate-power --json --gate 'cat > /dev/null' --match w --fault swap-rows,truncate a.tsr a.tsr
    says '"fault":"swap-rows","dtype":"F32","tensor":"w","result":"missed","tried":3' '"fault":"truncate","dtype":"F32","tensor":"w","result":"missed"'
    run -2 gate-power --gate 'cat > /dev/null; exit 1' a.tsr a.tsr
    says "the gate does not pass the pair as it is (exit status 1)"
    # shellcheck disable=SC2016
    run -2 gate-power --gate 'tensor-cos "$A" - | verdict --profile exact || { echo broke >&2; exit 3; }' --fault nan a.tsr a.tsr
    says "trouble" "broke"
    run -1 gate-power --fault swap-rows --gate 'tensor-cos "$A" - | verdict --min -1' a.tsr a.tsr
}

@test "gate-power: any number of jobs says the same; a time limit says what was not run" {
    make-model a.tsr 'w F32 4x8 = '"$(seq -s ' ' 1 32)" 'v F32 4x8 = '"$(seq -s ' ' 2 33)"
    # shellcheck disable=SC2016
    for jobs in 1 3; do
        run -0 gate-power --gate 'tensor-cos "$A" - | verdict --profile exact' -j $jobs --match '?' --heads 2 a.tsr a.tsr
        echo "$output" > $jobs.txt
    done
    cmp 1.txt 3.txt
    # a clock that the gate moves on when it sees the first damage
    mkdir -p bin
    printf '#!/bin/sh\ncat "%s"\n' "$PWD/clock" > bin/date
    chmod +x bin/date
    echo 1000 > clock
    PATH=$PWD/bin:$PATH run -2 gate-power --json --time-limit 10 --fault nan,swap-rows --match w --gate 'cat > /dev/null; [ ! -e begun ] || { echo 1010 > clock; exit 1; }; : > begun' a.tsr a.tsr
    says '"fault":"nan","dtype":"F32","tensor":"w","result":"caught","tried":1' '"unrun":2,' '"result":"not run","tried":0' '"verdict":"unfinished","caught":1' '"unrun":5}'
    echo 1000 > clock
    PATH=$PWD/bin:$PATH run -1 gate-power --time-limit 10 --fault nan,swap-rows --seeds 9 --match w --gate 'cat > /dev/null; [ ! -e seen ] || echo 1010 > clock; : > seen' a.tsr a.tsr
    grep -q '^nan  *F32  *missed  *0  *0  *1  *w  *- (8 not run)$' <<< "$output"
    grep -q '^swap-rows  *F32  *not run' <<< "$output"
    says "1 missed, 0 too slight to be one, 0 trouble, 17 not run: the time was over"
    rm -r bin
    refuses "--time-limit: '0' is no number" gate-power --time-limit 0 a.tsr a.tsr
    refuses "-j: 'x' is no number" gate-power -j x a.tsr a.tsr
}

@test "gate-power: faults of the model have no tensor, and name what fails" {
    # shellcheck disable=SC2016
    run -0 gate-power --fault rope-pairs,rope-halves,cut-vocabulary,drop-expert,fact normal/hf normal/plain.gguf
    grep -q '^rope-pairs  *-  *caught  *1  *0  *0  *-  *layout$' <<< "$output"
    grep -q '^cut-vocabulary  *-  *caught  *1 .*shape_mismatch$' <<< "$output"
    grep -q '^drop-expert  *-  *refused .*no selected tensor is of an expert' <<< "$output"
    grep -q '^fact  *-  *caught  *3 .*\(heads\|rope.base\|norm.eps\|hidden\)' <<< "$output"
    run -0 gate-power --fault rope-halves --match '*attn_q*' normal/hf normal/plain.gguf
    says "1 caught"
}

@test "gate-power: names of any kind, and no others" {
    make-model odd.tsr 'a[0]*?\"b F32 2x4 = 1 2 3 4 5 6 7 8' 'a0 F32 2x4 = 1 2 3 4 5 6 7 8'
    run -0 gate-power --json --fault swap-rows --seeds 1 --match 'a\[*' odd.tsr odd.tsr
    python3 -c 'import json, sys
r, gate = map(json.loads, sys.stdin)
assert r["tensor"] == "a[0]*?\\\"b" and r["named"] == 1, r' <<< "$output"
}

@test "gate-power: usage" {
    make-model a.tsr 'w F32 4x8 = '"$(seq -s ' ' 1 32)"
    run -0 gate-power --help
    says "usage: gate-power [OPTION]... A B" "Exit status: 0 every defect was caught, 1 some were missed, 2 trouble."
    [ "$(wc -L <<< "$output")" -le 100 ]
    grep -o -e '--[a-z-]*' <<< "$output" | sort -u | while read -r option; do
        grep -q "^.B ${option//-/\\\\-}\( \|\$\)" "$srcdir/man/gate-power.1"
    done
    run -0 gate-power --version
    [ "$output" = "gate-power $(verdict --version | cut -d ' ' -f 2-)" ]
    refuses "two models are needed" gate-power a.tsr
    refuses "--no-such is no option" gate-power --no-such a.tsr a.tsr
    refuses "'fire' is no fault" gate-power --fault nan,fire a.tsr a.tsr
    refuses "files are needed" gate-power - a.tsr
    refuses "--seeds: '0' is no number" gate-power --seeds 0 a.tsr a.tsr
    refuses "--gate needs an argument" gate-power --gate
    refuses "there is no tensor to damage" gate-power --match absent a.tsr a.tsr
    # nothing is left behind
    mkdir -p "$BATS_TEST_TMPDIR/tmp"
    TMPDIR=$BATS_TEST_TMPDIR/tmp run -0 gate-power --fault swap-rows a.tsr a.tsr
    [ -z "$(ls -A "$BATS_TEST_TMPDIR/tmp")" ]
}
