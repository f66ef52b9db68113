#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-origin(1): which operation made the error that two traces show.

load ../helpers

setup_file() {
    make-traceable "$BATS_FILE_TMPDIR/models"
}

setup() {
    models=$BATS_FILE_TMPDIR/models
    ids=3,1,4,1,5,9,2,6,5,3,5
}

# compared A B: their traces a.tsr and b.tsr, and what tensor-cos says of them, c.tsr.
compared() {
    tensor-trace -q "$1" --tokens "$ids" > a.tsr
    tensor-trace -q "$2" --tokens "$ids" > b.tsr
    tensor-cos -q a.tsr b.tsr > c.tsr
}

# origin [OPTION]...: what becomes of c.tsr, in JSON: o.json; the last line closes it.
origin() {
    tensor-origin -q --json "$@" c.tsr > o.json
}

# closes KEY VALUE...: what the closing record says.
closes() {
    run -0 python3 -c 'import json, sys
closing = json.loads(open("o.json").read().splitlines()[-1])
assert closing["kind"] == "origins", closing
for key, value in zip(sys.argv[1::2], sys.argv[2::2]):
    print(key, closing.get(key))
    assert str(closing.get(key)) == value, closing' "$@"
}

# edited MODEL PYTHON: the model as a folder m whose config.json the statement has changed.
edited() {
    rm -rf m
    cp -r "$models/$1" m
    python3 -c 'import json, sys
c = json.load(open("m/config.json"))
exec(sys.argv[1])
json.dump(c, open("m/config.json", "w"))' "$2"
}

# fact MODEL PYTHON STAGE FACT: a configuration that differs is named, with the stage where it acts.
fact() {
    edited "$1" "$2"
    compared "$models/$1" m
    origin --models "$models/$1" m
    closes first "$3" cause configuration fact "$4"
    run -1 verdict < <(tensor-origin --models "$models/$1" m c.tsr)
    [[ $output == *" 1 differ,"* ]]
}

# weight MODEL FAULT GLOB STAGE HYPOTHESIS: a damaged weight is named, and no other stage.
weight() {
    tensor-fault --fault "$2" --heads 2 --match "$3" "$models/$1" > bad.tsr
    compared "$models/$1" bad.tsr
    origin --models "$models/$1" bad.tsr
    closes first "$4" made 1 cause weight weight "$3" hypothesis "$5"
}

@test "two forms of a model make no error anywhere" {
    for model in llama gemma2 mixtral phi3; do
        compared "$models/$model" "$models/$model.gguf"
        origin --models "$models/$model" "$models/$model.gguf"
        closes made 0 carried 0 unknown 0 first None
        run -0 verdict < <(tensor-origin --models "$models/$model" "$models/$model.gguf" c.tsr)
    done
}

@test "a damaged weight is named with its stage and what explains it" {
    weight llama scale model.layers.1.mlp.down_proj.weight layers.1.ffn_down "scale(0.869565)"
    weight llama transpose model.layers.0.self_attn.o_proj.weight layers.0.o_proj transpose
    weight llama swap-heads model.layers.1.self_attn.q_proj.weight layers.1.q "halves(1,0)"
    weight qwen2 channel model.layers.1.self_attn.k_proj.weight layers.1.k "row-scale(0.8696..1)"
    weight qwen2 zero-column model.layers.0.mlp.up_proj.weight layers.0.ffn_up None
}

@test "a fact that differs is named with the stage where it acts first" {
    fact llama 'c["rope_theta"] = 77777.0' layers.0.q_rope rope.base
    fact llama 'c["rms_norm_eps"] = 1e-3' layers.0.attn_norm norm.eps
    fact gemma2 'c["attn_logit_softcapping"] = None' layers.0.attn_scores attn.softcap
    fact gemma2 'c["final_logit_softcapping"] = None' logits logit.softcap
    fact gemma2 'c["sliding_window"] += 1' layers.0.attn_weights window
    fact mixtral 'c["num_experts_per_tok"] = 1' layers.0.moe_topk experts.used
    fact qwen2moe 'c["norm_topk_prob"] = not c["norm_topk_prob"]' layers.0.moe_weights experts.norm
}

@test "an error that is healed is named at its stage" {
    tensor-fault --fault scale --factor 1.25 --match '*layers.1.mlp.down_proj*' "$models/gemma2" > bad.tsr
    compared "$models/gemma2" bad.tsr
    origin --models "$models/gemma2" bad.tsr
    closes first layers.1.ffn_down made 1 cause weight
    grep -q '"name":"layers.1.ffn_post_norm","verdict":"healed"' o.json
}

@test "what a program did otherwise than its model says is its own error" {
    edited llama 'c["rope_theta"] = 77777.0'
    tensor-trace -q "$models/llama" --tokens "$ids" > a.tsr
    tensor-trace -q m --tokens "$ids" | tensor-save -q dump.safetensors
    tensor-cos -q a.tsr dump.safetensors > c.tsr
    origin --models "$models/llama" "$models/llama" --tokens "$ids"
    closes first layers.0.q_rope cause program_b
    tensor-cos -q dump.safetensors a.tsr > c.tsr
    origin --models "$models/llama" "$models/llama" --tokens "$ids"
    closes first layers.0.q_rope cause program_a
}

@test "stages that a dump lacks are computed on the way" {
    tensor-trace -q "$models/llama" --tokens "$ids" > a.tsr
    tensor-trace -q "$models/llama" --tokens "$ids" --precision f32 |
        tensor-cat --exclude '*.ffn_act' --exclude '*.k_rope' | tensor-save -q dump.safetensors
    tensor-cos -q a.tsr dump.safetensors > c.tsr
    origin --models "$models/llama" "$models/llama" --tokens "$ids"
    closes made 0 absent 4 unknown 0
    run -0 verdict < <(tensor-origin -q --models "$models/llama" "$models/llama" --tokens "$ids" c.tsr)
    [[ $output == *"5 listed"* ]]
}

@test "what quantizing explains is not made, and a bad row beside it is" {
    tensor-rand --like qwen2 --num-layers 2 --hidden 64 --heads 4 --kv-heads 2 --head-dim 32 --ffn 96 --vocab 64 > f.tsr
    for type in Q8_0 Q4_0; do
        tensor-quant --to "$type" f.tsr > q.tsr
        compared f.tsr q.tsr
        run -0 verdict < <(tensor-origin --models f.tsr q.tsr c.tsr)
        tensor-fault --fault channel --factor 1.5 --match '*layers.1.mlp.down_proj.weight' q.tsr > bad.tsr
        compared f.tsr bad.tsr
        origin --models f.tsr bad.tsr
        closes first layers.1.ffn_down made 1 cause weight weight model.layers.1.mlp.down_proj.weight
        run -1 verdict < <(tensor-origin --models f.tsr bad.tsr c.tsr)
        [[ $output == *"layers.1.ffn_down"*"model.layers.1.mlp.down_proj.weight"* ]]
    done
}

@test "activations that were rounded are not errors" {
    tensor-rand --like qwen2 --num-layers 1 --hidden 64 --heads 2 --kv-heads 2 --head-dim 32 --ffn 64 --vocab 64 | tensor-quant --to Q8_0 > q.tsr
    tensor-trace -q q.tsr --tokens 1,2,3 > a.tsr
    tensor-trace -q q.tsr --tokens 1,2,3 --precision f32 --weights fused > b.tsr
    tensor-cos -q a.tsr b.tsr > c.tsr
    origin --models q.tsr q.tsr
    closes made 0 unknown 0
}

@test "without the models: rounding passes, a jump is made, and noise is not judged" {
    compared "$models/llama" "$models/llama.gguf"
    run -0 verdict < <(tensor-origin c.tsr)
    edited llama 'c["rope_theta"] = 77777.0'
    compared "$models/llama" m
    origin
    closes first layers.0.q_rope cause configuration fact rope.base
    run -1 verdict < <(tensor-origin c.tsr)
    tensor-rand --like qwen2 --num-layers 2 --hidden 64 --heads 2 --kv-heads 2 --head-dim 32 --ffn 64 --vocab 64 > f.tsr
    tensor-quant --to Q8_0 f.tsr > q.tsr
    tensor-trace -q f.tsr --tokens 1,2,3 --precision f32 > a.tsr
    tensor-trace -q q.tsr --tokens 1,2,3 --precision f32 > b.tsr
    tensor-cos -q a.tsr b.tsr --exclude embedding > c.tsr
    tensor-origin c.tsr > o.tsr
    run verdict o.tsr
    [ "$status" -ne 0 ]
}

@test "all tokens against the last one are incomparable" {
    tensor-trace -q "$models/llama" --tokens "$ids" > a.tsr
    tensor-trace -q "$models/llama" --tokens 5 > b.tsr
    tensor-cos -q a.tsr b.tsr > c.tsr
    refuses "'embedding' is incomparable: tokens" tensor-origin c.tsr
}

@test "traces have to be those that were compared" {
    compared "$models/llama" "$models/llama.gguf"
    tensor-trace -q "$models/llama" --tokens 1,2,3 > b.tsr
    refuses "b.tsr: is another file than the one that was compared" tensor-origin --models "$models/llama" "$models/llama.gguf" c.tsr
    tensor-trace -q "$models/llama.gguf" --tokens "$ids" | tensor-cos -q a.tsr - > c.tsr
    refuses "a trace that went by in a pipe is gone" tensor-origin --models "$models/llama" "$models/llama.gguf" c.tsr
    tensor-trace -q "$models/llama.gguf" --tokens "$ids" > b.tsr
    run -0 verdict < <(tensor-origin --models "$models/llama" "$models/llama.gguf" --traces a.tsr b.tsr c.tsr)
    tensor-trace -q "$models/llama.gguf" --tokens 1,2,3,4,5,6,7,8,9,10,11 > other.tsr
    refuses "recorded of something else" tensor-origin --models "$models/llama" "$models/llama.gguf" --traces a.tsr other.tsr --tokens "$ids" c.tsr
}

@test "results of something else are refused" {
    tensor-cos -q "$models/llama" "$models/llama" > c.tsr
    refuses "results of weights have no stages" tensor-origin c.tsr
    refuses "these are tensors, and no results" tensor-origin "$models/llama.gguf"
    make-model w.tsr 'w F32 2 = 1 2'
    make-model none.tsr
    tensor-cos none.tsr none.tsr > c.tsr
    refuses "there is no stage in it" tensor-origin c.tsr
    refuses "--models needs two arguments: A B" tensor-origin --models a
    refuses "go with --models" tensor-origin --traces a b c.tsr
}

@test "records of stages that nobody makes are trouble" {
    compared "$models/llama" "$models/llama.gguf"
    tensor-origin c.tsr > o.tsr
    sed 's/clean/clear/' o.tsr > bad.tsr
    refuses "its verdict is no word that is known" verdict bad.tsr
    run -0 verdict o.tsr --rule 'error_out <= 0'
    run -1 verdict o.tsr --rule 'order <= 3'
    refuses "no record has the field 'own_eror'" verdict o.tsr --rule 'own_eror <= 1'
}

@test "a stage that makes an error can be allowed by name" {
    edited llama 'c["rms_norm_eps"] = 1e-3'
    compared "$models/llama" m
    tensor-origin --models "$models/llama" m c.tsr > o.tsr
    run -1 verdict o.tsr --allow differs
    run -0 verdict o.tsr --allow differs --allow 'made:*norm'
}

@test "names that are commands break no row and reach no terminal" {
    compared "$models/llama" "$models/llama.gguf"
    LC_ALL=C sed 's/layers.0.ffn_up/\x1b[2J##[e]\t=1+11/g' c.tsr > bad.tsr
    for mode in --table --tsv --json; do
        run -0 tensor-origin "$mode" bad.tsr
        [[ $output == *"2J"* ]]
        run -1 grep -q $'[\001-\010\013-\037\177]' <<< "$output"
    done
    run -0 verdict < <(tensor-origin bad.tsr)
}

@test "NaN on both sides is made where it begins, and weights that differ are told" {
    tensor-fault --fault nan --match model.norm.weight "$models/llama" > a-model.tsr
    tensor-fault --fault scale --factor 3 --match lm_head.weight a-model.tsr > b-model.tsr
    compared a-model.tsr b-model.tsr
    origin --models a-model.tsr b-model.tsr
    closes first final_norm failing_weights 2
    run -1 verdict < <(tensor-origin --models a-model.tsr b-model.tsr c.tsr)
    # a weight that these tokens do not touch: token 63 is none of them
    tensor-rand --like qwen2 --num-layers 1 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 32 --vocab 64 > a-model.tsr
    tensor-save --force a.safetensors a-model.tsr
    python3 - << 'END'
import json, struct
data = bytearray(open("a.safetensors", "rb").read())
n = struct.unpack("<Q", data[:8])[0]
entry = json.loads(data[8:8 + n])["model.embed_tokens.weight"]
end = 8 + n + entry["data_offsets"][1]
data[end - 64:end] = bytes(64)
open("b.safetensors", "wb").write(data)
END
    tensor-cat a.safetensors > a-model.tsr
    tensor-cat b.safetensors > b-model.tsr
    compared a-model.tsr b-model.tsr
    origin --models a-model.tsr b-model.tsr
    closes made 0 failing_weights 1 failing_weight model.embed_tokens.weight
    run -1 verdict < <(tensor-origin --models a-model.tsr b-model.tsr c.tsr)
    [[ $output == *"1 weights differ by more than their types explain, as 'model.embed_tokens.weight'"* ]]
}

@test "a trace that ends early is no pass" {
    tensor-fault --fault scale --factor 2 --match '*layers.1.mlp.down_proj*' "$models/llama" > bad.tsr
    tensor-trace -q "$models/llama" --tokens "$ids" > a.tsr
    for cut in '--layers 0' '--stages embedding'; do
        # shellcheck disable=SC2086 # two words
        tensor-trace -q bad.tsr --tokens "$ids" $cut > b.tsr
        tensor-cos -q a.tsr b.tsr > c.tsr
        run -2 verdict < <(tensor-origin c.tsr)
        run -2 verdict < <(tensor-origin --models "$models/llama" "$models/llama" c.tsr)
    done
}

@test "roundings of activations hide nothing that was made" {
    tensor-rand --like qwen2 --num-layers 1 --hidden 64 --heads 2 --kv-heads 2 --head-dim 32 --ffn 64 --vocab 64 --untied | tensor-quant --to Q8_0 > q.tsr
    tensor-fault --fault scale --factor 1.02 --match lm_head.weight q.tsr > bad.tsr
    for m in q bad; do tensor-trace -q $m.tsr --tokens 1,2,3 --precision f32 --weights fused > t-$m.tsr; done
    tensor-cos -q t-q.tsr t-bad.tsr > c.tsr
    run -1 verdict < <(tensor-origin c.tsr)
    [[ $output == *"logits"*"its inputs agree"* ]]
    run -0 verdict < <(tensor-cos -q t-q.tsr t-q.tsr | tensor-origin)
}

@test "numbers of results that cannot be are refused" {
    compared "$models/llama" "$models/llama.gguf"
    for change in 's/"rmse":[^,]*/"rmse":-1/' 's/"norm_a":[^,]*/"norm_a":-1/' 's/"status":"ok"/"status":""/'; do
        tensor-cos -q --json a.tsr b.tsr | grep '"compare"' | sed "$change" > bad.json
        python3 - << 'END'
import json, struct
def pack(v):
    if v is None: return b"\xc0"
    if v is True or v is False: return bytes([0xc3 if v else 0xc2])
    if isinstance(v, int): return b"\xd3" + struct.pack(">q", v)
    if isinstance(v, float): return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, str): return b"\xdb" + struct.pack(">I", len(v.encode())) + v.encode()
    if isinstance(v, list): return b"\xdd" + struct.pack(">I", len(v)) + b"".join(map(pack, v))
    return b"\xdf" + struct.pack(">I", len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())
records = [json.loads(line) for line in open("bad.json")]
open("bad.tsr", "wb").write(b"".join(map(pack, [{"kind": "stream", "version": 1, "tool": "t"}, *records, {"kind": "end", "tensors": 0, "records": len(records)}])))
END
        run -2 tensor-origin bad.tsr
    done
}

@test "a dump of few stages of a quantized model hides no fault of its program" {
    tensor-rand --like qwen2 --num-layers 4 --hidden 64 --heads 2 --kv-heads 2 --head-dim 32 --ffn 64 --vocab 64 --untied | tensor-quant --to Q8_0 > q.tsr
    tensor-trace -q q.tsr --tokens "$ids" > a.tsr
    tensor-fault --fault swap-heads --heads 2 --match '*layers.*.v_proj.weight' q.tsr > bad.tsr
    for m in q bad; do
        tensor-trace -q $m.tsr --tokens "$ids" --precision f32 --weights fused |
            tensor-cat --match embedding --match logits | tensor-save -q --force $m.safetensors
    done
    # both are said to be of the sound model: the program of the second one is not
    tensor-cos -q a.tsr q.safetensors > c.tsr
    run -0 verdict < <(tensor-origin -q --models q.tsr q.tsr --tokens "$ids" c.tsr)
    tensor-cos -q a.tsr bad.safetensors > c.tsr
    run -1 verdict < <(tensor-origin -q --models q.tsr q.tsr --tokens "$ids" c.tsr)
    [[ $output == *"logits"*"the program of b"* ]]
}
