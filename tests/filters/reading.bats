#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What tensor-cos(1) compares is the reading that is stated, not the one that fits; and what it does
# not compare it counts.

load ../helpers

setup_file() {
    make-families "$BATS_FILE_TMPDIR/families"
}

setup() {
    ln -s "$BATS_FILE_TMPDIR/families" families
}

# statuses: how often each, of the pairs of the last run.
statuses() {
    sed -n '/"kind":"compare"/s/.*"status":"\([^"]*\)".*/\1/p' <<< "$output" | sort | uniq -c | sed 's/^ *//'
}

# comes_to STATUSES A B: both ways round, and through pipes; a only_b there is an only_a here.
comes_to() {
    local want=$1 route turned
    turned=$(sed 's/only_a/only_x/; s/only_b/only_a/; s/only_x/only_b/' <<< "$want" | sort -k 2)
    for route in "$2 $3" "<(tensor-cat $2) $3" "$2 <(tensor-cat $3)" "<(tensor-cat $2) <(tensor-cat $3)"; do
        run --separate-stderr -0 bash -c "tensor-cos --json $route"
        [ "$(statuses)" = "$want" ] || { echo "tensor-cos $route: $want was expected, this came:"; statuses; return 1; }
    done
    run --separate-stderr -0 tensor-cos --json "$3" "$2"
    [ "$(statuses | sort -k 2)" = "$turned" ] || { echo "tensor-cos $3 $2: $turned was expected, this came:"; statuses; return 1; }
}

# folder NAME MODEL_TYPE TENSOR...: a Hugging Face folder with four heads.
folder() {
    mkdir -p "$1"
    echo "{\"model_type\":\"$2\",\"num_attention_heads\":4,\"num_key_value_heads\":4${CONFIG-}}" > "$1/config.json"
    make-model "$1/model.safetensors" "${@:3}"
}

# numbers COUNT [SEED]: that differ.
numbers() {
    awk -v n="$1" -v s="${2-1}" 'BEGIN { srand(s); for (i = 0; i < n; i++) printf " %.4f", rand() - 0.5 }'
}

# ---- Layout ----

@test "queries and keys that a converter forgot to put in another order" {
    comes_to '4 layout
17 ok' families/llama-unturned families/llama-unturned.gguf
    run -0 tensor-cos --json families/llama-unturned families/llama-unturned.gguf
    says '"status":"layout"' '"transform":"unrope(4)"' '"hypothesis":"rope(4)","hypothesis_cosine":1,"remedy":'
    for profile in auto exact same-type; do
        run -1 pipeline "tensor-cos families/llama-unturned families/llama-unturned.gguf | verdict --profile $profile"
    done
    run -1 pipeline "tensor-cos families/llama-unturned families/llama-unturned.gguf | verdict --min -1"
    says 'layout'
    # right and wrong in one model, layer by layer
    [ "$(tensor-cos --json families/llama families/llama.gguf | grep -c '"status":"ok"')" -eq 21 ]
}

@test "a matrix the other way round, and one whose shape is another" {
    tensor-rand --tensor w=48x80 --seed 5 > a.tsr
    echo '* = * : reshape(80,48)' > label.map
    echo '* = * : transpose' > turn.map
    echo '* = * : reshape(2,24,80)' > split.map
    for how in label turn split; do
        tensor-map --map ./$how.map --to right a.tsr > $how.tsr
        comes_to '1 layout' a.tsr $how.tsr
    done
    run -0 tensor-cos --json a.tsr turn.tsr
    says '"hypothesis":"transpose"' '"remedy":"w = w : transpose"'
    run -0 tensor-cos --json a.tsr label.tsr
    says '"hypothesis":"label"' '"remedy":"w = w : reshape(48,80)"'
    # neither where the numbers are others, nor where no one asks
    tensor-rand --tensor w=80x48 --seed 6 > other.tsr
    comes_to '1 shape_mismatch' a.tsr other.tsr
    run -0 tensor-cos --json --oracle never a.tsr turn.tsr
    says '"status":"shape_mismatch"'
    # what a map states is no other layout, and what it does not state is one
    for how in label turn split; do
        run -0 tensor-cos --json --map ./$how.map a.tsr $how.tsr
        says '"status":"ok"' '"max_diff":0,'
    done
    run -0 pipeline "tensor-cat turn.tsr | tensor-cos --json --map ./turn.map a.tsr -"
    says '"status":"ok"' '"max_diff":0,'
    run -0 pipeline "tensor-cat a.tsr | tensor-cos --json --map ./turn.map - turn.tsr"
    says '"status":"ok"' '"max_diff":0,'
    run -0 tensor-cos --json --map ./turn.map a.tsr a.tsr
    [[ $output != *'"status":"ok"'* ]]
    run -0 tensor-cos --json --transpose always a.tsr turn.tsr
    says '"status":"ok"' '"max_diff":0,'
}

@test "a layout that is accepted still has to be the same weights" {
    mkdir hf
    tensor-rand --type BF16 --deviation 0.02 --tensor model.layers.0.self_attn.q_proj.weight=256x512 --tensor w=512x256 |
        tensor-save hf/model.safetensors
    echo '{"model_type":"llama","num_attention_heads":8,"num_key_value_heads":8}' > hf/config.json
    printf '%s\n' 'model.layers.{l}.self_attn.q_proj.weight = blk.{l}.attn_q.weight' 'w = w : transpose' > unturned.map
    tensor-map --map ./unturned.map --to right hf > there.tsr
    tensor-quant --to Q8_0 there.tsr > good.tsr
    tensor-quant --to Q4_K there.tsr | tensor-dequant | tensor-quant --to Q8_0 > poor.tsr
    tensor-save good.gguf good.tsr
    tensor-save poor.gguf poor.tsr
    for file in good poor; do
        run -1 pipeline "tensor-cos hf $file.gguf | verdict"
        says "layout: 2 (0 allowed)"
    done
    run -0 pipeline "{ tensor-cos hf good.gguf; tensor-cos there.tsr there.tsr; } | verdict --allow layout"
    says " 2 allowed"
    run -1 pipeline "{ tensor-cos hf poor.gguf; tensor-cos there.tsr there.tsr; } | verdict --allow layout"
    says " 2 failed (2 broke a rule" "not step_noise"
}

@test "NaN is not excused by a layout" {
    tensor-rand --tensor w=48x80 --seed 5 > a.tsr
    echo '* = * : rope(4)' > turn.map
    tensor-map --map ./turn.map --to right a.tsr > t.tsr
    run -0 tensor-cos --json a.tsr t.tsr
    says '"status":"layout"'
    tensor-cat a.tsr | tensor-fault --fault nan | tensor-map --map ./turn.map --to right - > n.tsr
    run -0 tensor-cos --json a.tsr n.tsr
    says '"status":"nonfinite"'
}

# apr METADATA NAME=SEED...: an APR file of two roped matrices, as they lie.
apr() {
    python3 - "$1" "$2" "$srcdir/tests/tools" <<'EOF'
import json, sys
sys.path.insert(0, sys.argv[3])
import formats
with open("turned.safetensors" if "turned" in sys.argv[2] else "plain.safetensors", "rb") as f:
    head = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    data = f.read()
tensors = [formats.Tensor(n, "F32", t["shape"], data[slice(*t["data_offsets"])]) for n, t in head.items()]
open(sys.argv[2], "wb").write(formats.apr(tensors, json.loads(sys.argv[1])))
EOF
}

@test "an APR file says how its rows lie, or one order holds for all of it" {
    local q='model.layers.0.self_attn.q_proj.weight' k='model.layers.1.self_attn.q_proj.weight'
    tensor-rand --tensor $q=32x32 --tensor $k=32x32 --seed 3 | tensor-save plain.safetensors
    echo "$q = $q : rope(4)" > turn.map
    echo "$k = $k : rope(4)" >> turn.map
    tensor-map --map ./turn.map --to right plain.safetensors | tensor-save turned.safetensors
    # the rows of llama.cpp under the names of Hugging Face, and a GGUF file
    echo "$q = blk.0.attn_q.weight" > names.map
    echo "$k = blk.1.attn_q.weight" >> names.map
    tensor-map --map ./names.map --to right turned.safetensors > named.tsr
    python3 - "$srcdir/tests/tools" <<'EOF'
import sys
sys.path.insert(0, sys.argv[1])
import formats, json
head = json.loads(open("turned.safetensors", "rb").read()[8:].split(b"}}", 1)[0] + b"}}")
data = open("turned.safetensors", "rb").read()
data = data[8 + int.from_bytes(data[:8], "little"):]
names = {"model.layers.0.self_attn.q_proj.weight": "blk.0.attn_q.weight", "model.layers.1.self_attn.q_proj.weight": "blk.1.attn_q.weight"}
def write(path, keep):
    open(path, "wb").write(formats.gguf([formats.Tensor(names[n], "F32", t["shape"], keep(n, data[slice(*t["data_offsets"])])) for n, t in head.items() if n in names],
        [("general.architecture", "str", "llama"), ("llama.attention.head_count", "u32", 4), ("llama.attention.head_count_kv", "u32", 4)]))
write("m.gguf", lambda n, d: d)
plain = open("plain.safetensors", "rb").read()
where = json.loads(plain[8:8 + int.from_bytes(plain[:8], "little")])
plain = plain[8 + int.from_bytes(plain[:8], "little"):]
write("mixed.gguf", lambda n, d: d if ".0." in n else plain[slice(*where[n]["data_offsets"])])
EOF
    for said in '"rope_type":0' '"original_format":"gguf"' '"rope_type":0,"original_format":"safetensors"'; do
        apr "{\"model_type\":\"llama\",$said}" turned.apr
        apr "{\"model_type\":\"llama\",$said}" plain.apr
        comes_to '2 ok' turned.apr m.gguf
        comes_to '2 layout' plain.apr m.gguf
        run -0 tensor-cos --json turned.apr m.gguf
        says "of a: its rows lie in pairs"
    done
    for said in '"rope_type":2' '"original_format":"safetensors"'; do
        apr "{\"model_type\":\"llama\",$said}" turned.apr
        apr "{\"model_type\":\"llama\",$said}" plain.apr
        comes_to '2 layout' turned.apr m.gguf
        comes_to '2 ok' plain.apr m.gguf
    done
    # nothing states it
    apr '{"model_type":"llama"}' turned.apr
    apr '{"model_type":"llama"}' plain.apr
    comes_to '2 ok' turned.apr m.gguf
    comes_to '2 ok' plain.apr m.gguf
    run -0 tensor-cos --json turned.apr m.gguf
    says "nothing states the order of rows of a: that of the other side, as '$q' fits"
    run -0 tensor-cos --json turned.apr mixed.gguf
    [ "$(statuses)" = "1 layout
1 ok" ]
}

# ---- Rows that one side alone has ----

# embeddings FILE ROWS [NUMBERS]: rows of the same numbers, the last of them others; a vocabulary of TOKENS.
embeddings() {
    python3 - "$srcdir/tests/tools" "$@" <<'EOF'
import os, random, struct, sys
sys.path.insert(0, sys.argv[1])
import formats
path, rows, last = sys.argv[2], int(sys.argv[3]), [float(x) for x in sys.argv[4:]]
r = random.Random(1)
values = [r.uniform(-1, 1) for _ in range(4 * 1000)][:4 * rows]
values[len(values) - len(last):] = last
tokens = int(os.environ.get("TOKENS", 0))
t = formats.values("F32", values)
if path.endswith(".gguf"):
    pairs = [("general.architecture", "str", "llama"), ("llama.attention.head_count", "u32", 4)]
    if tokens:
        pairs.append(("tokenizer.ggml.tokens", "[str]", [f"t{n}" for n in range(tokens)]))
    open(path, "wb").write(formats.gguf([formats.Tensor("token_embd.weight", "F32", [rows, 4], t)], pairs))
else:
    open(path, "wb").write(formats.safetensors([formats.Tensor("model.embed_tokens.weight", "F32", [rows, 4], t)]))
EOF
}

# vocabulary WANT ROWS_A ROWS_B [NUMBERS...]: of a folder against a GGUF file.
vocabulary() {
    local want=$1 a=$2 b=$3
    shift 3
    mkdir -p v
    echo "{\"model_type\":\"llama\",\"num_attention_heads\":4${SIZE:+,\"vocab_size\":$SIZE}}" > v/config.json
    if [ "$a" -gt "$b" ]; then
        embeddings v/model.safetensors "$a" "$@"
        embeddings v.gguf "$b"
    else
        embeddings v/model.safetensors "$a"
        embeddings v.gguf "$b" "$@"
    fi
    for route in 'v v.gguf' 'v.gguf v' '<(tensor-cat v) v.gguf' 'v <(tensor-cat v.gguf)'; do
        run -0 bash -c "tensor-cos --json $route"
        says "\"status\":\"$want\""
    done
    run -0 tensor-cos --json v v.gguf
}

@test "a vocabulary that was padded: rows of one number, or that no token uses" {
    vocabulary ok 42 40 0 0 0 0 0 0 0 0
    says '"rows_only_a":2' '"transform":"40 of 42 rows of a"' '"element_count":160'
    vocabulary ok 40 41 1.5 1.5 1.5 1.5
    says '"rows_only_b":1' '"transform":"40 of 41 rows of b"'
    TOKENS=40 vocabulary ok 42 40
    TOKENS=40 SIZE=42 vocabulary ok 42 40
    TOKENS=40 vocabulary ok 296 40
}

@test "a vocabulary that was cut" {
    vocabulary shape_mismatch 42 40
    says '2 rows of a alone hold numbers, and nothing says that no token uses them' '"rows_only_a":2'
    TOKENS=40 vocabulary shape_mismatch 297 40
    says '257 rows of a alone are more than padding, which is 256 at most'
    TOKENS=42 vocabulary shape_mismatch 42 40 0 0 0 0 0 0 0 0
    says 'are of the vocabulary that the metadata states'
    SIZE=42 vocabulary shape_mismatch 42 40 0 0 0 0 0 0 0 0
    TOKENS=40 vocabulary shape_mismatch 41 40 nan 1 1 1
    says 'hold NaN or infinity'
    vocabulary shape_mismatch 640 1
    vocabulary shape_mismatch 40 0
}

# ---- Parts of tensors ----

@test "one expert of four" {
    local p='model.layers.0.block_sparse_moe.experts.' n; n=$(numbers 96)
    folder one mixtral "${p}0.w1.weight F32 6x4 =$(numbers 24)"
    folder four mixtral "${p}0.w1.weight F32 6x4 =$(numbers 24)" "${p}1.w1.weight F32 6x4 =$(numbers 24 2)" \
        "${p}2.w1.weight F32 6x4 =$(numbers 24 3)" "${p}3.w1.weight F32 6x4 =$(numbers 24 4)"
    make-model g.gguf "blk.0.ffn_gate_exps.weight F32 4x6x4 =$(numbers 24)$(numbers 24 2)$(numbers 24 3)$(numbers 24 4)"
    run -0 tensor-cos --json four g.gguf
    [ "$(statuses)" = '4 ok' ]
    run -0 tensor-cos --json one g.gguf
    [ "$(statuses)" = '1 ok
1 only_b' ] || [ "$(statuses)" = '1 only_b
1 ok' ]
    says '"name":"blk.0.ffn_gate_exps.weight","status":"only_b"' '"reason":"rows 1 to 3 of 4 met nothing"' '"element_count":72'
    run -0 tensor-cos --json g.gguf one
    [ "$(statuses)" = '1 shape_mismatch' ]
    # what was not asked for is not missed
    run -0 tensor-cos --json --match '*experts.0.*' four g.gguf
    [ "$(statuses)" = '1 ok' ]
}

@test "part of a tensor that is fused on the other side" {
    make-model a.tsr "q F32 4x8 =$(numbers 32)" "v F32 4x8 =$(numbers 32 3)" -- \
        all.tsr "qkv F32 12x8 =$(numbers 32)$(numbers 32 2)$(numbers 32 3)"
    printf '%s\n' 'qkv = q : rows(0:4)' 'qkv = v : rows(8:12)' > rows.map
    run -0 tensor-cos --json --map ./rows.map a.tsr all.tsr
    [ "$(statuses)" = '2 ok
1 only_b' ]
    says '"reason":"rows 4 to 7 of 12 met nothing"' '"element_count":32'
    printf '%s\n' 'qkv = q : columns(0:3)' 'qkv = v : columns(5:8)' > columns.map
    make-model c.tsr "q F32 12x3 =$(numbers 36)" "v F32 12x3 =$(numbers 36 3)"
    run -0 tensor-cos --json --map ./columns.map c.tsr all.tsr
    says '"name":"qkv","status":"only_b"' '"reason":"columns 3 to 4 of 8 met nothing"' '"element_count":24'
}

@test "four names that all met one tensor" {
    make-model a.tsr "w F32 2x8 =$(numbers 16)" "model.w F32 2x8 =$(numbers 16)" "transformer.w F32 2x8 =$(numbers 16)" \
        "module.w F32 2x8 =$(numbers 16)" -- b.tsr "w F32 2x8 =$(numbers 16)" -- c.tsr "model.w F32 2x8 =$(numbers 16)" "w F32 2x8 =$(numbers 16)"
    comes_to '1 ok
3 only_a' a.tsr b.tsr
    comes_to '1 ok
1 only_a' c.tsr b.tsr
}

@test "a tied head meets the embeddings, and they their own" {
    make-model t.gguf "token_embd.weight F32 4x8 =$(numbers 32)"
    folder both llama "model.embed_tokens.weight F32 4x8 =$(numbers 32)" "lm_head.weight F32 4x8 =$(numbers 32)"
    folder head llama "lm_head.weight F32 4x8 =$(numbers 32)"
    run -0 tensor-cos --json both t.gguf
    [ "$(statuses)" = '2 ok' ]
    run -0 tensor-cos --json head t.gguf
    [ "$(statuses)" = '1 ok
1 only_b' ]
}

# ---- What a map calls extra ----

@test "what is extra has a record, and numbers of none" {
    run -0 tensor-cos --json families/llama-tied families/llama-tied.gguf
    says '"name":"rope_freqs.weight","status":"extra"' '"reason":"the map calls it extra, and it was not compared"'
    [ "$(statuses)" = '1 extra
20 ok' ]
    run -0 tensor-cos --json families/gpt2.gguf families/gpt2
    [ "$(statuses | head -n 1)" = '2 extra' ]
    run -0 tensor-cos --json families/gpt2 families/gpt2
    [ "$(statuses)" = '30 ok' ]
}

# ---- All of it ----

# bats test_tags=sweep
@test "no tensor of any family is left out, cut, changed, exchanged or added unnoticed" {
    run -0 sweep-families families 61
    says '70 damages, 0 unnoticed'
}
