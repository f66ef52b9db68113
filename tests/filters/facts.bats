#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What models say of themselves: pairs of a Hugging Face folder and a GGUF file with the same tensors.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make-facts pairs
}

# status A B: the names of facts with a status, sorted.
facts() {
    local status=$1
    shift
    tensor-cos --facts --json "$@" | sed -n 's/^{"kind":"fact","name":"\([^"]*\)","status":"'"$status"'".*/\1/p' | sort
}

@test "each pair differs in what it was made to differ in, in either order" {
    count=0
    for pair in "$BATS_FILE_TMPDIR"/pairs/*; do
        sort "$pair/differs" > wanted
        facts differs "$pair/hf" "$pair/model.gguf" > forth
        facts differs "$pair/model.gguf" "$pair/hf" > back
        if ! diff wanted forth || ! diff wanted back; then
            echo "in ${pair##*/}"
            return 1
        fi
        count=$((count + 1))
    done
    [ "$count" -gt 40 ]
}

@test "a fact that differs says the default and the key that is not there" {
    cd "$BATS_FILE_TMPDIR/pairs/base-lost"
    run -0 tensor-cos --facts --table hf model.gguf
    says "differs   rope.base" "rope.base: 500000 given by rope_theta in config.json" \
        "10000, GGUF's default: llama.rope.freq_base is not there"
    cd ../kv-heads-of-the-class
    run -0 tensor-cos --facts --table hf model.gguf
    says "kv_heads: 8, default of transformers' mistral: num_key_value_heads is not there"
    cd ../experts-norm
    run -0 tensor-cos --facts --table hf model.gguf
    says "experts.norm: false given by norm_topk_prob in config.json; true, fixed by the code for qwen3moe"
}

@test "through a pipe, from a saved stream and from a config.json alone the facts are the same" {
    cd "$BATS_FILE_TMPDIR/pairs/llama3-lost"
    tensor-cos --facts --json hf model.gguf > files
    tensor-cat hf | tensor-cos --facts --json - model.gguf > "$BATS_TEST_TMPDIR/pipe"
    tensor-cat model.gguf | tensor-cos --facts --json hf - > "$BATS_TEST_TMPDIR/pipe.b"
    tensor-cat hf > "$BATS_TEST_TMPDIR/hf.tsr"
    cmp files "$BATS_TEST_TMPDIR/pipe"
    cmp files "$BATS_TEST_TMPDIR/pipe.b"
    tensor-cos --facts --json "$BATS_TEST_TMPDIR/hf.tsr" model.gguf | cmp files
    [ "$(facts differs hf/config.json model.gguf)" = rope.scaling ]
}

@test "a GGUF file that lacks the epsilon is at fault, and one that states no network is not" {
    cd "$BATS_FILE_TMPDIR/pairs/eps-of-neither-key"
    run -0 tensor-cos --facts --table hf model.gguf
    says "llama.attention.layer_norm_rms_epsilon is not there, and llama.cpp refuses a file without it"
    run -1 verdict <(tensor-cos --facts hf model.gguf)
    # a file against itself is the same, and is told
    [ -z "$(facts differs model.gguf model.gguf)" ]
    [ "$(facts listed model.gguf model.gguf)" = norm.eps ]
    make-model "$BATS_TEST_TMPDIR/bare.safetensors" 'w F32 2 = 1 2'
    tensor-save "$BATS_TEST_TMPDIR/bare.gguf" "$BATS_TEST_TMPDIR/bare.safetensors"
    run -0 tensor-cos --facts --json hf "$BATS_TEST_TMPDIR/bare.gguf"
    [[ $output != *differs* ]]
}

@test "a config.json is held against the layers and the embedding of its own folder" {
    mkdir own
    make-model own/model.safetensors 'model.embed_tokens.weight F32 3x1 = 1 2 3' 'model.layers.0.w F32 1 = 1' \
        'model.layers.1.w F32 1 = 1' 'vision_tower.layers.7.w F32 1 = 1'
    while read -r layers more vocab wrong; do
        printf '{"model_type":"llama","num_hidden_layers":%s,"num_nextn_predict_layers":%s,"vocab_size":%s}' \
            "$layers" "$more" "$vocab" > own/config.json
        cp own/config.json config.json
        [ "$(facts differs own config.json)" = "${wrong/none/}" ]
        [ "$(facts differs config.json own)" = "${wrong/none/}" ]
    done <<'END'
2 0 3 none
1 1 3 none
2 1 3 none
3 0 3 layers
1 0 3 layers
2 0 4 vocab
2 0 1 none
END
    echo '{"model_type":"llama","num_hidden_layers":3,"vocab_size":4}' > own/config.json
    run -0 tensor-ls --facts --json own
    says "num_hidden_layers is 3, and the tensors are of 2 layers" "vocab_size is 4, and the embedding has 3 rows"
}

@test "numbers that are too large are named by their keys" {
    echo '{"model_type":"gemma2","hidden_size":64,"num_hidden_layers":2,"rope_scaling":{"type":"yarn","factor":1e400}}' > config.json
    run -0 tensor-ls --facts --json config.json
    says "factor"
    printf '{"model_type":"llama","rope_theta":%s}' "$(printf '1%.0s' $(seq 600))" > config.json
    refuses "rope_theta: a number of 600 digits" tensor-ls --facts config.json
}

@test "they come before all tensors" {
    cd "$BATS_FILE_TMPDIR/pairs/eps"
    run -0 tensor-cos --json hf model.gguf
    [[ ${lines[0]} == *'"kind":"fact"'* && ${lines[-1]} == *'"kind":"compare"'* ]]
    run -0 tensor-cos --table hf model.gguf
    [[ ${lines[0]} == "differs  norm.eps: 1e-06 given by rms_norm_eps"* ]]
    says "facts: 1 differ, " " the same (--facts shows them)"
    tensor-cat hf | tensor-cos --json - model.gguf > stream
    grep -q '"name":"norm.eps","status":"differs"' stream
    run -0 --separate-stderr tensor-cos --tsv hf model.gguf
    [[ $stderr == *"1 facts differ (--facts shows them)" ]]
}

@test "a number that is written as text is that number" {
    tensor-rand --like qwen2 --num-layers 1 --hidden 64 --heads 4 --head-dim 16 --ffn 128 --vocab 64 | tensor-save text.safetensors
    tensor-ls --meta --tsv text.safetensors | grep "^str.hidden_size.64"
    tensor-save text.apr text.safetensors
    printf '{"model_type":"qwen2","num_hidden_layers":1,"hidden_size":64,"num_attention_heads":4,"num_key_value_heads":2,' > config.json
    printf '"head_dim":16,"intermediate_size":128,"vocab_size":"64","rope_scaling":"none","rms_norm_eps":"1e-6"}' >> config.json
    run -0 pipeline "tensor-cat text.safetensors | tensor-cos --facts --json - text.apr"
    [[ $output != *"cannot be"* ]]
    facts differs text.apr config.json > differs
    facts same text.apr config.json > same
    grep -x hidden same
    grep -x vocab same
    grep -x kv_heads differs
    [ "$(wc -l < differs)" -eq 1 ]
    sed 's/"64"/"64 or so"/' config.json > other-config.json
    run -0 tensor-cos --facts --json text.apr other-config.json
    says "vocab_size has a value that cannot be: a natural number is expected"
}

@test "files that state nothing have no facts and are no failure" {
    cd "$BATS_FILE_TMPDIR/pairs/llama"
    run -0 tensor-cos --facts --json hf/model.safetensors model.gguf
    [ -z "$output" ]
    run -0 tensor-cos --json hf/model.safetensors model.gguf
    [[ $output != *'"kind":"fact"'* ]]
}

@test "a folder whose config.json contradicts its GGUF fails by itself" {
    mkdir both
    cp "$BATS_FILE_TMPDIR/pairs/base-lost/model.gguf" "$BATS_FILE_TMPDIR/pairs/base-lost/hf/config.json" both
    [ "$(facts differs both both/model.gguf)" = "rope.base inside a" ]
}

@test "tensor-ls shows value, origin and key" {
    cd "$BATS_FILE_TMPDIR/pairs/window-layers"
    run -0 tensor-ls --facts --tsv hf model.gguf
    says $'window.layers\t[true, true, true, false]\tgiven\tlayer_types\t0' \
        $'window.layers\t[true, false, true, false]\tarch\tgemma2.attention.sliding_window_pattern\t1'
    run -0 tensor-ls --facts --json hf/config.json
    says '"name":"heads","value":4,"origin":"given","key":"num_attention_heads"'
}

@test "Meta's and Mistral's params.json" {
    mkdir meta mistral
    echo '{"dim": 64, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "vocab_size": -1, "multiple_of": 32,
           "norm_eps": 1e-5, "rope_theta": 500000.0, "use_scaled_rope": true}' > meta/params.json
    run -0 tensor-ls --facts --tsv meta
    says $'ffn\t192\tderived' $'rope.scaling\tllama3\tgiven' $'rope.base\t500000\tgiven'
    [[ $output != *vocab* ]]
    echo '{"dim": 64, "n_layers": 4, "head_dim": 16, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 2,
           "norm_eps": 1e-5, "vocab_size": 40, "sliding_window": [8, null]}' > mistral/params.json
    run -0 tensor-ls --facts --tsv mistral
    says $'ffn\t96\tgiven' $'window.layers\t[true, false, true, false]\tgiven' $'rope.base\t10000\tdefault'
}

@test "what cannot be is unknown, and says why" {
    mkdir bad
    cat > bad/config.json <<'J'
{"model_type": "llama", "num_attention_heads": 0, "hidden_size": "many", "num_hidden_layers": 1e300,
 "num_key_value_heads": [1, "x"], "head_dim": -3, "rope_theta": 1e999, "rms_norm_eps": true, "vocab_size": 1.5,
 "rope_scaling": {"type": "spiral"}, "layer_types": 7, "eos_token_id": [[1]], "tie_word_embeddings": "no"}
J
    run -0 tensor-ls --facts --json bad/config.json
    says 'hidden_size has a value that cannot be: a natural number is expected' \
        'rms_norm_eps has a value that cannot be: a finite number is expected' \
        'rope_scaling.rope_type is of no kind that is known'
    run -0 tensor-cos --facts --json bad/config.json "$BATS_FILE_TMPDIR/pairs/llama/model.gguf"
    says '"name":"heads","status":"differs"' '"name":"hidden","status":"differs"'
    # of another JSON type than a map: an own line, and no model that turns otherwise passes beside it
    for value in '"linear"' 7 true '[2, 4]'; do
        for key in rope_scaling rope_parameters; do
            echo "{\"model_type\": \"llama\", \"hidden_size\": 64, \"$key\": $value}" > bad/config.json
            run -0 tensor-ls --facts --json bad/config.json
            says "$key is neither an object nor null"
            run -0 tensor-cos --facts --json bad/config.json "$BATS_FILE_TMPDIR/pairs/llama/model.gguf"
            says '"name":"rope.scaling","status":"differs"'
        done
    done
    echo '{"model_type": "llama",' > bad/config.json
    refuses "bad/config.json: " tensor-ls --facts bad/config.json
    echo '{"a": 1}' > bad/config.json
    refuses "bad/config.json: states no model" tensor-ls --facts bad/config.json
}

@test "the pieces of tokenizer.model are held against a GGUF list, and what is no such file says so" {
    cp -r "$BATS_FILE_TMPDIR/pairs/one-piece" p
    run -0 tensor-cos --facts --json p/hf p/model.gguf
    says '"name":"pieces","status":"differs"' 'given by tokenizer.model in config.json' '31, sha256 '
    run -0 tensor-ls --facts --json p/hf
    says '"name":"scores"' '31, sha256 '
    run -1 verdict <(tensor-cos p/hf p/model.gguf)
    says 'pieces'
    # a list of other size was typed by another rule: it is listed
    [[ $(facts listed "$BATS_FILE_TMPDIR"/pairs/typed-otherwise/{hf,model.gguf}) == *pieces*scores* ]]
    for bytes in '' '\x0a' '\x0a\x05\x0a\x03ab' '\x0a\x02\x18\x01' '\x0a\x05\x0a\x01a\x18\x07' '\x0b' '{"json": 1}' \
        '\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f' '\x12\x00' '\x0a\x04\x0a\x01a\x10'; do
        printf '%b' "$bytes" > p/hf/tokenizer.model
        run -0 tensor-ls --facts --json p/hf
        says '"name":"pieces"' 'tokenizer.model: '
        run -0 tensor-cos --facts --json p/hf p/model.gguf
        says '"name":"pieces","status":"only_b"'
    done
}

@test "lists of a million numbers cost little and say nothing" {
    mkdir long
    python3 -c 'import json
json.dump({"model_type": "llama", "num_hidden_layers": 2**40, "num_key_value_heads": [1] * 10**6,
           "no_rope_layers": [1] * 10**6, "rope_scaling": {"type": "su", "long_factor": [1.0] * 10**6}},
          open("long/config.json", "w"))'
    run -0 timeout 20 tensor-ls --facts --json long/config.json
    says 'num_key_value_heads has a value that cannot be: it has 1000000 items'
}

@test "the page names every fact" {
    sed -n 's/^ *X([A-Z0-9_]*, "\([^"]*\)".*/\1/p' "$srcdir/lib/model/facts/table.h" > wanted
    sed -n '/^\.SH FACTS/,/^\.SH IGNORED/s/^\.B \([^ ]*\).*/\1/p' "$srcdir/man/tensor-facts.7" |
        sed 's/\\-/-/g' > got
    [ "$(wc -l < wanted)" -gt 80 ]
    diff wanted got
}

@test "a SafeTensors file alone states what its metadata says" {
    local sizes='--num-layers 1 --hidden 64 --ffn 32 --vocab 16'
    # the same shapes, paired otherwise
    tensor-rand --like qwen2 $sizes --heads 4 --kv-heads 2 --head-dim 16 | tensor-save a.safetensors
    tensor-rand --like qwen2 $sizes --heads 8 --kv-heads 4 --head-dim 8 | tensor-save b.safetensors
    run -0 pipeline 'tensor-cos a.safetensors a.safetensors | verdict'
    run -1 pipeline 'tensor-cos a.safetensors b.safetensors | verdict'
    says "heads: 4 given by num_attention_heads in its metadata"
    run -1 pipeline 'tensor-cat a.safetensors | tensor-cos - b.safetensors | verdict'
    says "heads: 4"
}
