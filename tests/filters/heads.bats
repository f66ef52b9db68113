#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-heads(1): outputs that were made with a known pairing of heads, and whether it is found.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    tensor-rand --attention heads=28,kv-heads=4,head-dim=16,kv-len=5,q-len=3 --seed 7 | tensor-save qkv.safetensors
}

setup() {
    cp "$BATS_FILE_TMPDIR/qkv.safetensors" .
}

# paired QUERY KEY: out.tsr, in which head h is what query head QUERY makes with key head KEY, Python
# expressions of h.
paired() {
    python3 -B - "$1" "$2" << 'END'
import json, struct, sys
from formats import Tensor, safetensors
data = open("qkv.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
def heads_of(name):
    e = json.loads(data[8:8 + n])[name]
    rows, heads, dim = e["shape"]
    raw = data[8 + n + e["data_offsets"][0]:8 + n + e["data_offsets"][1]]
    return [[raw[((r * heads) + h) * dim * 4:((r * heads) + h + 1) * dim * 4] for h in range(heads)] for r in range(rows)]
def tensor(name, rows):
    return Tensor(name, "F32", [len(rows), 28, 16], b"".join(b"".join(row) for row in rows))
query = [eval(sys.argv[1]) for h in range(28)]
key = [eval(sys.argv[2]) for h in range(28)]
with open("wrong.safetensors", "wb") as file:
    file.write(safetensors([
        tensor("attn.q", [[row[h] for h in query] for row in heads_of("attn.q")]),
        tensor("attn.k", [[row[g] for g in key] for row in heads_of("attn.k")]),
        tensor("attn.v", [[row[g] for g in key] for row in heads_of("attn.v")])]))
END
    tensor-attn wrong.safetensors > out.tsr
}

# finds TEXT RIGHT
finds() {
    run -0 tensor-heads --json out.tsr qkv.safetensors
    says '"kind":"mapping","name":"attn.attn_out"' "\"mapping\":\"$1\"" "\"right\":$2" '"heads":28,"kv_heads":4'
    tensor-heads out.tsr qkv.safetensors | verdict --rule 'cosine_similarity > 0.999999'
}

@test "the right pairing" {
    paired h 'h // 7'
    finds 'query head h reads key head floor(h / 7)' 1
    run -0 pipeline 'tensor-heads out.tsr qkv.safetensors | verdict --rule "right == 1"'
}

@test "the fault of the hunt: query head h reads key head h mod 4" {
    paired h 'h % 4'
    finds 'query head h reads key head h mod 4' 0
    run -1 pipeline 'tensor-heads out.tsr qkv.safetensors | verdict --rule "right == 1"'
    says 'attn.attn_out'
}

@test "other pairings that have a name" {
    paired h '3 - h // 7'
    finds 'query head h reads key head 3 - floor(h / 7)' 0
    paired h 'min(h // 8, 3)'
    finds 'query head h reads key head min(floor(h / 8), 3)' 0
    paired h 'min(h // 4, 3)'
    finds 'query head h reads key head min(floor(h / 4), 3)' 0
    paired h '2'
    finds 'every query head reads key head 2' 0
    paired h '(h // 7 + 1) % 4'
    finds 'query head h reads key head (floor(h / 7) + 1) mod 4' 0
    paired '27 - h' '(27 - h) // 7'
    finds 'output head h is query head 27 - h' 0
    paired '(h % 4) * 7 + h // 4' 'h % 4'
    finds 'output head h is query head (h mod 4) * 7 + floor(h / 4)' 0
    paired '(h % 7) * 4 + h // 7' '((h % 7) * 4 + h // 7) // 7'
    finds 'output head h is query head (h mod 7) * 4 + floor(h / 7)' 0
}

@test "a pairing without a rule is told head by head" {
    paired '(h * 5 + 3) % 28' '(h * h) % 4'
    finds 'no simple rule: see the heads' 0
    run -0 tensor-heads --json --matrix out.tsr qkv.safetensors
    [ "${#lines[@]}" -eq 28 ]
    [[ ${lines[2]} == *'"head":2,"query_head":13,"key_head":0,'* ]]
    [[ ${lines[3]} == *'"head":3,"query_head":18,"key_head":1,'*'"cosines":['* ]]
}

@test "one head that is wrong" {
    paired h '3 if h == 12 else h // 7'
    run -0 tensor-heads --tsv --matrix out.tsr qkv.safetensors
    [[ ${lines[13]} =~ ^12$'\t'12$'\t'3$'\t'[01]\.?[0-9]*$'\t'1$'\t' ]]
}

@test "options are those of the attention" {
    tensor-attn --causal --soft-cap 0.5 --alibi qkv.safetensors > out.tsr
    run -0 tensor-heads --json --causal --soft-cap 0.5 --alibi out.tsr qkv.safetensors
    says '"right":1,"cosine_similarity":0.99999999'
    tensor-heads --json out.tsr qkv.safetensors | python3 -c 'import json, sys
assert json.loads(sys.stdin.readline())["cosine_similarity"] < 0.9999'
}

@test "the picture is an image" {
    paired h 'h % 4'
    tensor-heads --picture heads.svg out.tsr qkv.safetensors > results.tsr
    python3 -c 'import xml.etree.ElementTree as tree
root = tree.parse("heads.svg").getroot()
cells = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
assert len(cells) == 112 and "head 5, key head 1: 1" in cells, cells[:9]
assert any("h mod 4" in (t.text or "") for t in root.iter("{http://www.w3.org/2000/svg}text"))'
}

@test "either operand may be a pipe, but not both" {
    tensor-attn qkv.safetensors > out.tsr
    tensor-heads --json out.tsr qkv.safetensors > want
    # shellcheck disable=SC2002
    cat out.tsr | tensor-heads --json - qkv.safetensors | cmp - want
    # shellcheck disable=SC2002
    cat qkv.safetensors | tensor-heads --json out.tsr - | cmp - want
    refuses "both operands" tensor-heads - - < out.tsr
}

@test "outputs that do not fit" {
    tensor-attn qkv.safetensors > out.tsr
    make-model none.tsr 'w F32 1 = 1'
    refuses "has no tensor 'attn.attn_out'" tensor-heads none.tsr qkv.safetensors
    make-model short.tsr 'attn.attn_out F32 1 = 1'
    refuses "not one head of an output for each query and head" tensor-heads short.tsr qkv.safetensors
    refuses "no tensor is named q" tensor-heads out.tsr none.tsr
    run -0 tensor-heads --json out.tsr qkv.safetensors
}

# made OPTION...: out.tsr, the attention of qkv.safetensors as options have it.
made() {
    tensor-attn "$@" qkv.safetensors > out.tsr
}

# explained OPTION... -- TEXT: heads expects what OPTION says; the gate fails, and says TEXT.
explained() {
    local expected=()
    while [ "$1" != -- ]; do
        expected+=("$1")
        shift
    done
    run -1 pipeline "tensor-heads ${expected[*]} out.tsr qkv.safetensors | verdict --rule 'right == 1'"
    says "hypothesis: $2"
}

@test "an output that the right pairing resembles but does not explain is not right" {
    tensor-rand --attention heads=4,kv-heads=2,head-dim=16,kv-len=12,q-len=5 --seed 3 | tensor-save --force qkv.safetensors
    made --causal
    run -0 pipeline "tensor-heads --causal out.tsr qkv.safetensors | verdict --rule 'right == 1' --rule 'residual < 1e-6'"
    explained -- 'a query sees no later keys'
    made
    explained --causal -- 'every query sees all keys'
    made --window 5 --causal
    explained --causal -- 'a window of 5 keys'
    explained --causal --window 6 -- 'a window of 5 keys'
    made --scale 0.2
    explained -- 'scores scaled by 0.2'
    made --soft-cap 2
    explained -- 'scores capped at 2'
    explained --soft-cap 3 -- 'scores capped at 2'
    made
    explained --soft-cap 2 -- 'scores without a soft cap'
}

@test "an output that nothing explains has no rule" {
    tensor-rand --attention heads=4,kv-heads=2,head-dim=16,kv-len=12,q-len=5 --seed 4 | tensor-attn - > out.tsr
    tensor-rand --attention heads=4,kv-heads=2,head-dim=16,kv-len=12,q-len=5 --seed 3 | tensor-save --force qkv.safetensors
    run -1 pipeline "tensor-heads out.tsr qkv.safetensors | verdict --rule 'right == 1'"
    run -0 tensor-heads --json out.tsr qkv.safetensors
    says '"mapping":"no simple rule: see the heads","right":0'
    [[ $output != *'"hypothesis"'* ]]
}
