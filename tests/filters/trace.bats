#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-trace(1): the forward pass of a model, stage by stage, held to a second one in plain Python.

load ../helpers

setup_file() {
    make-traceable "$BATS_FILE_TMPDIR/models"
}

setup() {
    models=$BATS_FILE_TMPDIR/models
    ids=3,1,4,1,5,9,2,6,5,3,5
}

# digests COMMAND...: name and digest of each stage.
digests() {
    tensor-trace "$@" --stat --json | sed 's/.*"name":"\([^"]*\)".*"digest":"\([^"]*\)".*/\1 \2/'
}

# computes MODEL IDS [OPTION]...: the stages of a folder are those of the reference.
computes() {
    tensor-trace --quiet "$models/$1" --tokens "$2" "${@:3}" | tensor-save --force trace.safetensors
    run -0 reference_trace.py "$models/$1" "$2" trace.safetensors "${limit:-1e-13}"
}

# edited MODEL PYTHON: the model as a folder m whose config.json the statement has changed (c, and json).
edited() {
    rm -rf m
    cp -r "$models/$1" m
    python3 -c 'import json, sys
c = json.load(open("m/config.json"))
exec(sys.argv[1])
json.dump(c, open("m/config.json", "w"))' "$2"
}

# cannot FRAGMENT MODEL PYTHON: the edited model is refused, in one line, within seconds.
cannot() {
    edited "$2" "$3"
    refuses "m: $1" timeout 20 tensor-trace m --tokens 1,2,3 --table
}

# ---- What is computed ----

@test "every stage of every architecture, as plain Python computes it" {
    count=0
    for config in "$models"/*/config.json; do
        model=$(basename "$(dirname "$config")")
        computes "$model" "$ids"
        [[ $output =~ ^[0-9]+\ stages ]]
        count=$((count + 1))
    done
    [ "$count" -ge 19 ]
}

@test "a short list of longrope holds as long as the tokens fit" {
    computes phi3 1,2,3,4,5,6,7,8
    computes phi3 1,2,3,4,5,6,7,8,9
    run -0 tensor-trace "$models/phi3" --tokens 1,2,3,4,5,6,7,8,9 --plan
    tensor-trace "$models/phi3" --tokens 1,2,3,4,5,6,7,8,9 --plan > plan.tsr
    run -0 show-stream plan.tsr
    says '"rope_lists": "long"'
}

# bats test_tags=sweep
@test "the reference tells another base, epsilon, window, scale and routing" {
    for fault in 'llama:c["rope_theta"] = 4e5:layers.0.q_rope' 'llama:c["rms_norm_eps"] = 1e-4:layers.0.attn_norm' \
        'mistral:c["sliding_window"] = 4:layers.0.attn_weights' 'gemma2:c["query_pre_attn_scalar"] = 9:layers.0.attn_scores' \
        'gemma2:c["final_logit_softcapping"] = 0.6:logits' 'qwen2moe:c["norm_topk_prob"] = True:layers.0.moe_weights' \
        'gemma3:c["sliding_window_pattern"] = 3:layers.1.q_rope' 'gemma3:c["rope_local_base_freq"] = 2e4:layers.0.q_rope' \
        'phi3:c["partial_rotary_factor"] = 0.5; c["rope_scaling"]["long_factor"] = [4.0, 8.0]:layers.0.q_rope'; do
        IFS=: read -r model change stage <<< "$fault"
        edited "$model" "$change"
        tensor-trace m --tokens $ids | tensor-save --force trace.safetensors
        run -1 reference_trace.py "$models/$model" $ids trace.safetensors
        says "$stage: "
    done
}

# bats test_tags=sweep
@test "a folder and its GGUF have the same bits in every stage" {
    count=0
    for file in "$models"/*.gguf; do
        model=${file%.gguf}
        [[ $model != */mistral ]] || continue # llama.cpp ignores its window
        digests "$model" --tokens $ids > hf
        digests "$file" --tokens $ids > gguf
        [ "$(wc -l < hf)" -ge 39 ]
        diff hf gguf
        count=$((count + 1))
    done
    [ "$count" -ge 18 ]
}

@test "a window that one reader ignores is a difference, which the facts name first" {
    tensor-trace "$models/mistral" --tokens $ids > a.tsr
    tensor-trace "$models/mistral.gguf" --tokens $ids > b.tsr
    run -1 pipeline 'tensor-cos a.tsr b.tsr | verdict'
    says 'window: 3 given by sliding_window'
    run -0 comm -13 <(digests "$models/mistral.gguf" --tokens $ids | sort) <(digests "$models/mistral" --tokens $ids | sort)
    says 'layers.0.attn_weights '
    [[ $output != *layers.0.attn_scores* && $output != *layers.0.v* ]]
}

@test "APR and a saved stream have the same bits, through a pipe, too" {
    digests "$models/llama" --tokens $ids > want
    tensor-cat "$models/llama" | tensor-save llama.apr
    tensor-cat "$models/llama" > saved.tsr
    digests saved.tsr --tokens $ids | diff want -
    # shellcheck disable=SC2002
    diff want <(cat saved.tsr | digests - --tokens $ids)
    diff want <(digests - --tokens $ids < "$models/llama.gguf")
}

@test "another spelling of a configuration is the same model" {
    for model in llama-yarn gemma3 phi3; do
        digests "$models/$model" --tokens $ids > want
        edited $model '
s = c.pop("rope_scaling")
if "rope_local_base_freq" in c:
    c["rope_parameters"] = {"full_attention": {**s, "rope_theta": c.pop("rope_theta")},
                            "sliding_attention": {"rope_type": "default", "rope_theta": c.pop("rope_local_base_freq")}}
    c["layer_types"] = ["sliding_attention" if (i + 1) % c["sliding_window_pattern"] else "full_attention" for i in range(2)]
    del c["sliding_window_pattern"]
else:
    c["rope_parameters"] = {**s, "rope_theta": c.pop("rope_theta")}'
        digests m --tokens $ids | diff want -
    done
}

@test "threads and instruction sets change no bit" {
    for model in gemma3 qwen2moe; do
        digests "$models/$model" --tokens $ids -j 1 > want
        for set in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
            TENSORUTILS_CPU=$set digests "$models/$model" --tokens $ids -j 3 | diff want -
        done
    done
}

@test "one token is enough, and the first tokens do not see the others" {
    computes gemma2 7
    tensor-trace "$models/gemma2" --tokens 7 --stages layers.1.residual | tensor-save one.safetensors
    tensor-trace "$models/gemma2" --tokens 7,8,9 --stages layers.1.residual | tensor-save three.safetensors
    # 32 numbers of 8 bytes for each token
    cmp <(tail -c 256 one.safetensors) <(tail -c 768 three.safetensors | head -c 256)
}

@test "float32 is float64 to seven digits" {
    limit=4e-6
    for model in llama qwen2 gemma2 gemma3 mixtral qwen2moe qwen3moe phi3; do
        computes $model $ids --precision f32
    done
}

@test "fused products are those of rounded activations" {
    tensor-quant --quiet --to Q8_0 --match '*_proj.weight' "$models/llama" > q8.tsr
    tensor-trace q8.tsr --tokens $ids --precision f32 --weights fused > fused.tsr
    tensor-trace q8.tsr --tokens $ids --precision f32 > decoded.tsr
    run -0 show-stream fused.tsr
    says '"arithmetic": "fused:Q8_0"' '"arithmetic": "f32"'
    tensor-cos --json decoded.tsr fused.tsr > results
    # steps of activations, not more: 1 in 127 of the largest of 32
    run -0 sh -c 'grep "layers.0.q\"" results'
    [[ $output != *'"max_diff":0.0,'* && $output == *'"status":"ok"'* ]]
    run -0 pipeline 'tensor-cos decoded.tsr fused.tsr | verdict --rule "cosine_similarity > 0.999"'
    # a product of its own: x is attn_norm
    tensor-trace q8.tsr --tokens $ids --precision f32 --weights fused --stages layers.0.attn_norm > x.tsr
    tensor-cat --match '*0.self_attn.q_proj.weight' q8.tsr > w.tsr
    tensor-matmul --path fused --x layers.0.attn_norm w.tsr x.tsr | tensor-save y.safetensors
    tensor-trace q8.tsr --tokens $ids --precision f32 --weights fused --stages layers.0.q | tensor-save q.safetensors
    cmp <(tail -c 1408 y.safetensors) <(tail -c 1408 q.safetensors)
}

@test "experts have their ids in I32, the largest probability first" {
    tensor-trace "$models/mixtral" --tokens $ids --stages 'layers.0.moe_*' > moe.tsr
    run -0 tensor-ls --tsv moe.tsr
    [[ $output == *I32* ]]
    computes mixtral $ids
}

# ---- From what was recorded ----

@test "a model's own trace as its inputs changes no bit" {
    for model in gemma2 gemma3 qwen2moe phi3 mistral; do
        tensor-trace "$models/$model" --tokens $ids > a.tsr
        digests "$models/$model" --tokens $ids > want
        digests "$models/$model" --tokens $ids --start-from a.tsr | diff want -
        # shellcheck disable=SC2002
        cat a.tsr | digests "$models/$model" --tokens $ids --start-from - | diff want -
    done
}

@test "from recorded inputs one wrong weight is one wrong stage" {
    tensor-trace "$models/llama" --tokens $ids > a.tsr
    digests "$models/llama" --tokens $ids > want
    for weight in 0.mlp.up_proj:ffn_up 0.self_attn.v_proj:v 0.self_attn.o_proj:o_proj 0.input_layernorm:attn_norm; do
        tensor-fault --quiet --fault scale --match "*layers.${weight%:*}.weight" "$models/llama" > wrong.tsr
        run -1 diff want <(digests wrong.tsr --tokens $ids)
        [ "$(grep -c '^>' <<< "$output")" -gt 15 ] || [ "${weight#*:}" = attn_norm ]
        run -1 diff want <(digests wrong.tsr --tokens $ids --start-from a.tsr)
        [ "$(grep -c '^>' <<< "$output")" -eq 1 ]
        says "> layers.0.${weight#*:} "
    done
}

@test "layers alone start from their residuals" {
    tensor-trace "$models/llama" --tokens $ids > a.tsr
    digests "$models/llama" --tokens $ids > want
    tensor-cat --match '*residual' --exclude '*attn*' a.tsr > residuals.tsr
    tensor-fault --quiet --fault scale --match '*layers.0.mlp.up_proj.weight' "$models/llama" > wrong.tsr
    run -1 diff want <(digests wrong.tsr --tokens $ids --start-from residuals.tsr)
    [ "$(grep -c '^> layers.0.ffn_' <<< "$output")" -eq 3 ] # up, mul and down
    [ "$(grep -c '^>' <<< "$output")" -eq 4 ]
    says '> layers.0.residual '
}

@test "recorded experts are those that are asked" {
    tensor-trace "$models/mixtral" --tokens 1,2 > a.tsr
    digests "$models/mixtral" --tokens 1,2 > want
    make-model top.tsr 'layers.0.moe_topk I32 2x2 = 2 0 1 2'
    run -1 diff want <(digests "$models/mixtral" --tokens 1,2 --start-from top.tsr)
    [[ $output != *layers.0.moe_topk* ]]
    says '> layers.0.moe_weights ' '> layers.0.moe_gate '
    make-model top.tsr 'layers.0.moe_topk I32 2x2 = 2 0 1 3'
    refuses "'layers.0.moe_topk' has an expert that is none: 3" tensor-trace "$models/mixtral" --tokens 1,2 --start-from top.tsr --stat --table
}

@test "recorded stages of something else" {
    tensor-trace "$models/llama" --tokens 1,2,3 > a.tsr
    refuses "a.tsr: 'embedding' was recorded of something else: other token ids" \
        tensor-trace "$models/llama" --tokens 1,2,4 --start-from a.tsr --stat --table
    refuses "a.tsr: 'embedding' was recorded of something else: tokens [0, 3] against [0, 2]" \
        tensor-trace "$models/llama" --tokens 1,2 --start-from a.tsr --stat --table
    make-model b.tsr 'layers.0.q F32 1x4x8 = '"$(seq -s ' ' 32)"
    refuses "b.tsr: 'layers.0.q' was recorded in another shape" \
        tensor-trace "$models/llama" --tokens 1,2,3 --start-from b.tsr --stat --table
    make-model c.tsr 'w F32 2 = 1 2'
    refuses "c.tsr: holds no stage of this model" tensor-trace "$models/llama" --tokens 1,2,3 --start-from c.tsr --table
    refuses "absent.tsr" tensor-trace "$models/llama" --tokens 1,2,3 --start-from absent.tsr --table
    refuses "only one of them" tensor-trace - --tokens 1 --start-from - --table
}

# ---- What is put out ----

@test "records say what a stage is made of" {
    tensor-trace "$models/qwen2.gguf" --tokens 1,2,3 > t.tsr
    run -0 show-stream t.tsr
    says '"kind": "trace"' '"config": {"arch": "qwen2"' '"ids": [1, 2, 3]' '"unused": 0' \
        '"name": "layers.1.q"' '"inputs": ["layers.1.attn_norm"], "weight": "blk.1.attn_q.weight", "bias": "blk.1.attn_q.bias"' \
        '"k_dim": 32' '"layout": "half-split"' '"mask": "causal"' '"axes": ["head", "query", "key"]' \
        '"tokens": {"first": 0, "count": 3, "ids_digest": "4636993d3e1da4e9d6b8f87b79e8f7c6d018580d52661950eabc3845c5897a4d"}'
    # every input is a stage before
    tensor-trace "$models/qwen2moe" --tokens 1,2,3 --plan --json | python3 -c '
import json, sys
seen = set()
for n, line in enumerate(sys.stdin):
    r = json.loads(line)
    assert r["order"] == n and set(r.get("inputs", [])) <= seen and ("inputs" in r or r["op"] == "embed"), r
    seen.add(r["name"])
assert len(seen) == 65, len(seen)'
    tensor-trace "$models/mixtral" --tokens 1,2,3 --plan --json > plan
    run -0 grep moe_down plan
    says 'model.layers.0.block_sparse_moe.experts.*.w2.weight' 'model.layers.1.block_sparse_moe.experts.*.w2.weight'
}

@test "stages, layers, logits alone; what is left out changes nothing" {
    digests "$models/gemma3" --tokens $ids > all
    digests "$models/gemma3" --tokens $ids --stages 'q_*' --stages 'layers.1.ffn_down' | diff <(grep -E '\.q_|1\.ffn_down' all) -
    digests "$models/gemma3" --tokens $ids --layers 1 | diff <(grep '^layers\.1\.' all) -
    digests "$models/gemma3" --tokens $ids --logits-only | diff <(grep '^logits' all) -
    refuses "no stage is selected" tensor-trace "$models/gemma3" --tokens 1 --stages nothing --table
    refuses "no stage is selected" tensor-trace "$models/gemma3" --tokens 1 --layers 7 --table
}

@test "statistics are those of the values" {
    tensor-trace "$models/llama" --tokens $ids --stages layers.0.k | tensor-save k.safetensors
    tensor-trace "$models/llama" --tokens $ids --stages layers.0.k --stat --json > stat
    python3 -c '
import json, math, struct
data = open("k.safetensors", "rb").read()
v = struct.unpack(f"<{len(data[-1408:]) // 8}d", data[-1408:])
s = json.load(open("stat"))
mean = math.fsum(v) / len(v)
want = dict(mean=mean, std=math.sqrt(math.fsum((x - mean) ** 2 for x in v) / len(v)), min=min(v), max=max(v),
            absmax=max(map(abs, v)), rms=math.hypot(*v) / math.sqrt(len(v)), l1=math.fsum(map(abs, v)), l2=math.hypot(*v))
for key, value in want.items():
    assert math.isclose(s[key], value, rel_tol=1e-12), (key, s[key], value)
assert [s["count"], s["finite"], s["nan"], s["inf"]] == [len(v), len(v), 0, 0] and "first_nan" not in s
assert v[s["argmin"]] == min(v) and v[s["argmax"]] == max(v)'
}

@test "a trace of other tokens is not compared" {
    tensor-trace "$models/llama" --tokens 1,2,3 > a.tsr
    tensor-trace "$models/llama" --tokens 1,2,4 > b.tsr
    tensor-trace "$models/llama" --tokens 3 > c.tsr
    run -1 pipeline 'tensor-cos a.tsr b.tsr | verdict --rule "cosine_similarity > -2"'
    says 'incomparable: other token ids at the same places'
    run -1 pipeline 'tensor-cos a.tsr c.tsr | verdict --rule "cosine_similarity > -2"'
    says 'incomparable: tokens [0, 3] against [0, 1]'
    run -0 pipeline 'tensor-cos a.tsr a.tsr | verdict --profile exact'
}

@test "--stop-on-nan names the first element that is none" {
    edited llama 'c["rms_norm_eps"] = 0'
    python3 - m/model.safetensors << 'END'
import json, struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
length = struct.unpack("<Q", data[:8])[0]
at = json.loads(data[8:8 + length])["model.layers.1.mlp.up_proj.weight"]["data_offsets"][0]
data[8 + length + at:][:4]
data[8 + length + at + 4 * 32 * 5:8 + length + at + 4 * 32 * 5 + 4] = struct.pack("<f", float("nan"))
open(sys.argv[1], "wb").write(data)
END
    refuses "m: layers.1.ffn_up: element 5 is NaN" sh -c 'tensor-trace m --tokens 1,2,3 --stop-on-nan --stat --table > table'
    run -0 tail -n 1 table
    [[ $output == *layers.1.ffn_up ]]
    run -0 tensor-trace m --tokens 1,2,3 --stat --json
    says '"name":"logits"' '"first_nan":5'
}

@test "tokens as people write them" {
    digests "$models/llama" --tokens 1,2,3 > want
    digests "$models/llama" --tokens '[1, 2,	3]' | diff want -
    printf '1\n2\r\n3\n' > ids
    digests "$models/llama" --tokens @ids | diff want -
    echo '[[1,2,3]]' | digests "$models/llama" --tokens @- | diff want -
    for bad in '' ' ' , 1,x 1.5 -1 0x1 1e3 4294967296 99999999999999999999999 1,,2z; do
        refuses "--tokens: " tensor-trace "$models/llama" --tokens "$bad" --table
    done
    refuses "embedding has 40 rows" tensor-trace "$models/llama" --tokens 1,40 --table
    refuses "No such file" tensor-trace "$models/llama" --tokens @absent --table
    refuses "--tokens is not given" tensor-trace "$models/llama" --table
    refuses "only one of them" tensor-trace - --tokens @- --table
    refuses "--precision f32" tensor-trace "$models/llama" --tokens 1 --weights fused --table
    refuses "exclude one another" tensor-trace "$models/llama" --tokens 1 --stat --plan --table
    refuses "neither f32 nor f64" tensor-trace "$models/llama" --tokens 1 --precision f16 --table
}

# ---- What is refused ----

@test "sizes that cannot be" {
    cannot "heads is 0" llama 'c["num_attention_heads"] = 0'
    cannot "2 key heads do not divide 3" llama 'c["num_attention_heads"] = 3'
    cannot "kv_heads is 0" llama 'c["num_key_value_heads"] = 0'
    cannot "layers: num_hidden_layers is 1099511627776, and the tensors are of 2 layers" llama 'c["num_hidden_layers"] = 2**40'
    cannot "layers: num_hidden_layers has a value that cannot be" llama 'c["num_hidden_layers"] = -1'
    cannot "hidden is 0" llama 'c["hidden_size"] = 0'
    cannot "hidden is" llama 'c["hidden_size"] = 2**60'
    cannot "head_dim is 0" llama 'c["head_dim"] = 0'
    cannot "rope.dim is 7" llama 'c["head_dim"] = 7'
    cannot "window: sliding_window has a value that cannot be" mistral 'c["sliding_window"] = -4'
    cannot "experts.used is 9" mixtral 'c["num_experts_per_tok"] = 9'
    cannot "experts.used is 0" mixtral 'c["num_experts_per_tok"] = 0'
    cannot "experts is 1099511627776" qwen3moe 'c["num_experts"] = 2**40'
    cannot "does not state ffn" llama 'del c["intermediate_size"]'
}

@test "numbers that cannot be" {
    refuse_numbers() {
        cannot "rope.base is 0" llama 'c["rope_theta"] = 0'
        cannot "rope.base is -5" llama 'c["rope_theta"] = -5'
        cannot "rope.base: " llama 'c["rope_theta"] = "x"'
        cannot "norm.eps is -1" llama 'c["rms_norm_eps"] = -1'
        cannot "attn.softcap is -1" gemma2 'c["attn_logit_softcapping"] = -1'
        cannot "rope.factor is 0" llama-linear 'c["rope_scaling"]["factor"] = 0'
        cannot "number 2 of rope.freq_factors" llama-llama3 'c["rope_scaling"]["factor"] = 0'
        cannot "rope.long has 1 numbers" phi3 'c["rope_scaling"]["long_factor"] = [1.0]'
        cannot "number 1 of rope.short" phi3 'c["rope_scaling"]["short_factor"] = [1.0, -2.0]'
        cannot "rope.scaling is dynamic" llama 'c["rope_scaling"] = {"rope_type": "dynamic", "factor": 2}'
        cannot "rope.scaling: " llama 'c["rope_scaling"] = {"rope_type": "spiral", "factor": 2}'
    }
    refuse_numbers
    edited llama 'c["rope_theta"] = float("nan")'
    refuses "m/config.json: " tensor-trace m --tokens 1 --table
    # GGUF can hold what JSON cannot
    python3 - "$models/llama.gguf" nan.gguf << 'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
at = data.index(b"llama.rope.freq_base") + len("llama.rope.freq_base") + 4
open(sys.argv[2], "wb").write(data[:at] + struct.pack("<f", float("nan")) + data[at + 4:])
END
    refuses "nan.gguf: rope.base: " tensor-trace nan.gguf --tokens 1 --table
}

@test "what the graph does not have" {
    cannot "act is relu" llama 'c["hidden_act"] = "relu"'
    cannot "architecture bert cannot be traced (these can: llama, " llama 'c["model_type"] = "bert"; c.pop("architectures", 0)'
    cannot "attn.softcap is 2" gemma2 'c["model_type"] = "gemma"'
    cannot "experts is 3: the graph has no experts" mixtral 'c["model_type"] = "gemma"; c["hidden_act"] = "gelu"'
    make-model plain.safetensors 'w F32 2x2 = 1 2 3 4'
    refuses "plain.safetensors: states no configuration" tensor-trace plain.safetensors --tokens 1 --table
}

@test "weights that are missing, of another shape, or left over" {
    cannot "layers: num_hidden_layers is 3, and the tensors are of 2 layers" llama 'c["num_hidden_layers"] = 3'
    cannot "layers: num_hidden_layers is 1, and the tensors are of 2 layers" llama 'c["num_hidden_layers"] = 1'
    cannot "tensor 'model.layers.0.self_attn.k_norm.weight' is not used" qwen3 'c["model_type"] = "llama"'
    cannot "tensor 'model.embed_tokens.weight' is 40x32, and the configuration wants 40x64" llama 'c["hidden_size"] = 64'
    cannot "tensor 'model.layers.0.mlp.gate_proj.weight' is 24x32, and the configuration wants 25x32" llama 'c["intermediate_size"] = 25'
    cannot "tensor 'model.layers.0.self_attn.q_proj.weight' is 32x32" llama 'c["head_dim"] = 16'
    cannot "tensor 'model.layers.0.block_sparse_moe.gate.weight' is 3x32" mixtral 'c["num_local_experts"] = 4'
    cannot "has no 'model.layers.0.self_attn.q_norm.weight'" llama 'c["model_type"] = "qwen3"'
    tensor-cat --exclude '*1.mlp.up_proj*' "$models/llama" > holed.tsr
    refuses "holed.tsr: has no 'model.layers.1.mlp.up_proj.weight'" tensor-trace holed.tsr --tokens 1 --table
    refuses "has no 'model.layers.1.mlp.up_proj.weight'" sh -c 'tensor-trace holed.tsr --tokens 1 --logits-only > out.tsr'
}

@test "an output that a tied model brings along is told, and not used" {
    edited llama 'c["tie_word_embeddings"] = True'
    run --separate-stderr -0 tensor-trace m --tokens 1,2,3 --stages logits --stat --json
    [[ $stderr == *"does not use 1 tensors (lm_head.weight)"* ]]
    says '"name":"logits"'
    edited llama 'c["tie_word_embeddings"] = False'
    tensor-cat --exclude lm_head.weight m > untied.tsr
    refuses "untied.tsr: has no 'lm_head.weight', and is not tied" tensor-trace untied.tsr --tokens 1 --table
}

@test "what a mask hides of scores is not compared" {
    tensor-trace "$models/llama" --tokens "$ids" > a.tsr
    tensor-cat --match '*.attn_scores' a.tsr | tensor-save --force dump.safetensors
    python3 - << 'END'
import json, struct
data = open("dump.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
body = bytearray(data[8 + n:])
for name, entry in json.loads(data[8:8 + n]).items():
    if name == "__metadata__":
        continue
    heads, queries, keys = entry["shape"]
    for i in range(heads * queries * keys):
        if i % keys > i // keys % queries:
            struct.pack_into("<d", body, entry["data_offsets"][0] + 8 * i, float("nan") if i % 2 else -1e300)
open("dump.safetensors", "wb").write(data[:8 + n] + body)
END
    # 11 tokens: 55 of 121 entries of each head
    tensor-cos --match '*.attn_scores' --json a.tsr dump.safetensors | grep '"compare"' > got
    run -0 grep -c '"status":"ok".*"element_count":264,"masked_count":220,"cosine_similarity":1,.*"identical_count":264' got
    [ "$output" -eq "$(wc -l < got)" ]
    tensor-cat dump.safetensors | tensor-cos --match '*.attn_scores' --json a.tsr - | grep '"compare"' | cmp - got
    run -0 verdict < <(tensor-cos --match '*.attn_scores' --metrics full a.tsr dump.safetensors)
    # a tensor that is none of scores hides nothing by saying so
    tensor-cat --match layers.0.q a.tsr > q.tsr
    LC_ALL=C sed 's/half-split/half-splat/; s/\xa6layout\xaahalf-splat/\xa4mask\xa6causal\xa4moreX/' q.tsr > said.tsr
    run tensor-cos --json q.tsr said.tsr
    [[ $output != *masked_count* ]]
    # what is not hidden is
    python3 - << 'END'
data = bytearray(open("dump.safetensors", "rb").read())
n = int.from_bytes(data[:8], "little")
data[8 + n + 6] ^= 16
open("dump.safetensors", "wb").write(data)
END
    run -1 verdict < <(tensor-cos --match '*.attn_scores' a.tsr dump.safetensors)
}

@test "experts meet by what they are, whatever the order in which they were chosen" {
    # the two experts of the first token change places in all that is of slots
    tensor-trace "$models/mixtral" --tokens "$ids" > a.tsr
    tensor-cat --match '*.moe_*' --exclude '*router' --exclude '*probs' --exclude '*out' a.tsr | tensor-save --force dump.safetensors
    cat > swap.py << 'END'
import json, struct, sys
data = open("dump.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
body = bytearray(data[8 + n:])
for name, entry in json.loads(data[8:8 + n]).items():
    if name != "__metadata__" and sys.argv[1] in name:
        first, end = entry["data_offsets"]
        size = (end - first) // entry["shape"][0] // 2
        body[first:first + 2 * size] = body[first + size:first + 2 * size] + body[first:first + size]
open("dump.safetensors", "wb").write(data[:8 + n] + body)
END
    python3 swap.py moe_
    tensor-cos --match '*.moe_*' --exclude '*router' --exclude '*probs' --exclude '*out' --json a.tsr dump.safetensors | grep '"compare"' > got
    [ "$(wc -l < got)" -ge 14 ]
    run -0 grep -c '"status":"ok".*"transform":"experts by id".*"max_diff":0,' got
    [ "$output" -eq "$(wc -l < got)" ]
    # another expert is none that could be compared, and moe_topk says so
    python3 swap.py moe_
    python3 - << 'END'
import json, struct
data = bytearray(open("dump.safetensors", "rb").read())
n = struct.unpack("<Q", data[:8])[0]
at = 8 + n + json.loads(data[8:8 + n])["layers.0.moe_topk"]["data_offsets"][0]
two = struct.unpack_from("<2i", data, at)
struct.pack_into("<i", data, at, [e for e in range(4) if e not in two][0])
open("dump.safetensors", "wb").write(data)
END
    tensor-cos --match 'layers.0.moe_*' --exclude '*router' --exclude '*probs' --exclude '*out' --json a.tsr dump.safetensors | grep '"compare"' > got
    run -0 grep '"name":"layers.0.moe_topk"' got
    [[ $output == *'"element_count":22,'*'"identical_count":21,'* ]]
    run -0 grep '"name":"layers.0.moe_weights"' got
    [[ $output == *'"element_count":21,"masked_count":1,'*'"max_diff":0,'* ]]
    run -1 verdict < <(tensor-cos --match 'layers.0.moe_*' --exclude '*router' --exclude '*probs' --exclude '*out' a.tsr dump.safetensors)
    # slots whose experts the other side has not chosen are no pass, whatever else there is
    run -1 verdict < <(tensor-cos --match 'layers.0.moe_weights' a.tsr dump.safetensors)
    [[ $output == *"1 slots have an expert that the other side has not chosen"* ]]
    # through pipes, both say it in their records
    run -0 verdict < <(tensor-cat a.tsr | tensor-cos - a.tsr)
}

@test "tokens that follow one by one give what they give at once" {
    for model in llama gemma2 gemma3 mixtral qwen2moe phi3; do
        tensor-trace -q "$models/$model" --tokens 3,1,4 --decode 6 > d.tsr
        all=$(show-stream d.tsr | python3 -c 'import json, sys
trace = next(r for r in map(json.loads, (l for l in sys.stdin if l[0] == "{")) if r["kind"] == "trace")
assert trace["decoded"] == 6 and trace["tokens"]["count"] == 9 and trace["tokens"]["ids"][:3] == [3, 1, 4], trace
print(*trace["tokens"]["ids"], sep=",")')
        tensor-trace -q "$models/$model" --tokens "$all" > p.tsr
        tensor-cos --json d.tsr p.tsr | grep '"compare"' > got
        run -0 grep -c '"status":"ok".*"max_diff":0,' got
        [ "$output" -eq "$(wc -l < got)" ]
        [ "$output" -eq "$(tensor-trace "$models/$model" --tokens "$all" --plan --json | wc -l)" ]
        # in float32, but for the order in which a BLAS adds up
        tensor-trace -q "$models/$model" --tokens 3,1,4 --decode 6 --precision f32 | tensor-cat --match logits > f.tsr
        run -0 verdict --rule 'cosine_similarity > 0.9999999' < <(tensor-cos p.tsr f.tsr --match logits)
    done
    # each is the likeliest after what was there before
    tensor-cos --metrics full --json p.tsr p.tsr --match logits | grep '"compare"' | python3 -c 'import json, sys
best, ids = json.load(sys.stdin)["argmax_a"], list(map(int, sys.argv[1].split(",")))
assert best[2:8] == ids[3:], (best, ids)' "$all"
    # what is left out is not kept, and statistics are those of the values
    run -0 tensor-trace -q "$models/llama" --tokens 3,1,4 --decode 2 --stages residual --stat --json
    [ "$(grep -c '"kind":"stat"' <<< "$output")" -ge 2 ]
    run -0 tensor-trace -q "$models/llama" --tokens 3,1,4 --decode 2 --logits-only --table
    [[ $output == *logits* ]]
    refuses "--decode computes" tensor-trace "$models/llama" --tokens 1 --decode 1 --plan
    refuses "more than" tensor-trace "$models/llama" --tokens 1 --decode 99999999999
    TMPDIR=/nowhere run -2 tensor-trace -q "$models/llama" --tokens 3,1,4 --decode 2
}

@test "keys and values in halves are those that a runtime keeps" {
    tensor-trace -q "$models/llama" --tokens "$ids" > a.tsr
    tensor-trace -q "$models/llama" --tokens "$ids" --cache-type f16 > h.tsr
    tensor-cos --json a.tsr h.tsr | grep '"compare"' > got
    # keys themselves are put out as they were made; scores come from halves: 2^-11 at most
    run -0 grep '"name":"layers.0.k_rope"' got
    [[ $output == *'"max_diff":0,'* ]]
    run -0 grep '"name":"layers.0.attn_scores"' got
    [[ $output == *'"arithmetic":"fused:F16"'* ]]
    python3 -c 'import json, math, sys
r = json.loads(sys.argv[1])
assert 1e-5 < math.sqrt(r["nmse"]) < 2 ** -11, r["nmse"]' "$output"
    tensor-cos -q a.tsr h.tsr > c.tsr
    run -0 verdict < <(tensor-origin --models "$models/llama" "$models/llama" c.tsr)
    # through a cache, too
    tensor-trace -q "$models/llama" --tokens 3,1,4 --decode 3 --cache-type f16 > d.tsr
    all=$(show-stream d.tsr | sed -n 's/.*"ids": \[\([0-9, ]*\)\].*/\1/p' | head -1)
    tensor-trace -q "$models/llama" --tokens "$all" --cache-type f16 > p.tsr
    run -0 verdict --rule 'max_diff <= 0' < <(tensor-cos d.tsr p.tsr)
}
