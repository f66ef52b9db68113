#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-rand(1): tensors from a seed, the same bytes on every machine.

load ../helpers

digest() {
    "$@" | show-stream --digests
}

small='--like qwen2 --num-layers 2 --hidden 64 --heads 4 --kv-heads 2 --head-dim 16 --ffn 96 --vocab 50'

@test "the numbers are those of the page, element by element" {
    for seed in 0 1 18446744073709551615; do
        run -0 pipeline "tensor-rand --seed $seed --tensor w=20x30 --distribution uniform |
            python3 '$srcdir/tests/reference/reference_random.py' $seed w=600 uniform 0 1"
        run -0 pipeline "tensor-rand --seed $seed --tensor w=600 | python3 '$srcdir/tests/reference/reference_random.py' $seed w=600 normal 0 1"
    done
    run -0 pipeline "tensor-rand --tensor größe=500 --distribution uniform --low -3 --high 5.5 |
        python3 '$srcdir/tests/reference/reference_random.py' 0 größe=500 uniform -3 5.5"
    run -0 pipeline "tensor-rand --tensor a=b=500 --mean 10 --deviation 0.02 |
        python3 '$srcdir/tests/reference/reference_random.py' 0 a=b=500 normal 10 0.02"
}

@test "the bytes are pinned" {
    # Any change here is a change of what users have stored digests of.
    run -0 digest tensor-rand --seed 7 --tensor w=100x100
    [ "${output%% *}" = 8cb9fb0238c8782ad063e91c91cc3a310e7772a3f92a8e2b75ebe2b3ff6c1e4b ]
    run -0 digest tensor-rand --seed 7 --tensor w=100x100 --distribution uniform --type BF16
    [ "${output%% *}" = fd697d8e10979860d88935105b659412751a98042b9ff98851c30048a18218ff ]
    run -0 digest tensor-rand --seed 7 --tensor w=1000 --type I64
    [ "${output%% *}" = a051ee956b40f29d4a0e6c75c8f0bb292bf40768009939f3482ed3c56d2d7304 ]
}

@test "an element depends on seed, name and place, on nothing else" {
    digest tensor-rand --seed 1 --tensor w=10x10 > want
    digest tensor-rand --seed 1 --tensor v=3 --tensor w=10x10 | tail -1 | cmp - want
    digest tensor-rand --seed 1 --tensor w=100 | sed 's/ 100 / 10x10 /' | cmp - want
    run -1 cmp want <(digest tensor-rand --seed 2 --tensor w=10x10)
    run -1 cmp <(cut -c 1-64 want) <(digest tensor-rand --seed 1 --tensor v=10x10 | cut -c 1-64)
}

@test "the same bytes on any processor" {
    TENSORUTILS_CPU=baseline tensor-rand --tensor w=300x300 --tensor b=7 > want
    for cpu in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
        TENSORUTILS_CPU=$cpu tensor-rand --tensor w=300x300 --tensor b=7 | cmp - want
    done
}

@test "every type that can be made" {
    for type in F64 F32 F16 BF16 I8 I16 I32 I64 U8 U16 U32 U64 BOOL; do
        run -0 pipeline "tensor-rand --type $type --tensor w=5x7 --tensor s= | tensor-ls --tsv"
        says "$type"$'\t[5, 7]\t' "$type"$'\t[]\t'
    done
    for type in Q4_0 C64 APR_Q8; do
        refuses "--type: $type" tensor-rand --type $type --tensor w=32
    done
    refuses "'F33'" tensor-rand --type F33 --tensor w=1
}

@test "BOOL is 0 and 1, F64 holds float32 numbers, integers fill their range" {
    tensor-rand --type BOOL --tensor w=1000 > b.tsr
    run -0 pipeline 'tail -c 1020 b.tsr | head -c 900 | tr -d "\0\1" | wc -c'
    [ "$output" -eq 0 ]
    tensor-rand --type F64 --tensor w=1000 > d.tsr
    run -0 pipeline 'tensor-dequant d.tsr | tensor-cos d.tsr - | verdict --rule "max_diff <= 0"'
    tensor-rand --type F32 --tensor w=1000 > f.tsr
    run -0 pipeline 'tensor-cos d.tsr f.tsr | verdict --rule "max_diff <= 0"'
    tensor-rand --type BF16 --tensor w=1000 > h.tsr
    diff <(tensor-dequant --to bf16 f.tsr | show-stream --digests) <(show-stream --digests h.tsr)
}

@test "mean, deviation and bounds" {
    tensor-rand --tensor w=100000 > w.tsr
    tensor-rand --tensor w=100000 --distribution uniform --low 2 --high 3 > u.tsr
    tensor-dequant w.tsr | tensor-save w.safetensors
    tensor-save u.safetensors u.tsr
    python3 - << 'END'
import json, struct
def read(path):
    data = open(path, "rb").read()
    n, = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8:8 + n])["w"]["data_offsets"]
    return struct.unpack("<%df" % ((end - begin) // 4), data[8 + n + begin:8 + n + end])
x = read("w.safetensors")
mean = sum(x) / len(x)
deviation = (sum((v - mean) ** 2 for v in x) / len(x)) ** 0.5
# of 100,000 normal numbers: standard error 0.0032 of the mean, 0.0022 of the deviation; 5 of these
assert abs(mean) < 0.016 and abs(deviation - 1) < 0.012, (mean, deviation)
assert 3.5 < max(x) < 6 and -6 < min(x) < -3.5
u = read("u.safetensors")
assert 2 <= min(u) < 2.001 and 2.999 < max(u) <= 3 and abs(sum(u) / len(u) - 2.5) < 0.005
END
}

@test "shapes" {
    run -0 pipeline 'tensor-rand --tensor a=1x2x3x4 --tensor b=0x5 --tensor c= --tensor d=7 | tensor-ls --tsv | cut -f 2,8 | tail -n +2'
    [ "$output" = $'[1, 2, 3, 4]\ta\n[0, 5]\tb\n[]\tc\n[7]\td' ]
    for tensor in w =3 w=x w=3x w=x3 w=3x4x5x6x7 w=-1 w=1.5 w=3,4 'w= 3' w=99999999999999999999999; do
        refuses "'$tensor'" tensor-rand --tensor "$tensor"
    done
    refuses "overflow" pipeline 'tensor-rand --tensor w=4294967296x4294967296 > /dev/null'
    refuses "overflow" pipeline 'tensor-rand --tensor w=9223372036854775807 > /dev/null'
}

@test "hostile names" {
    refuses "UTF-8" pipeline "tensor-rand --tensor \$'\\xff=1' > /dev/null"
    run -0 pipeline "tensor-rand --tensor \$'\\e[31m=1' | tensor-ls --json"
    says '\u001B[31m'
}

@test "one name twice cannot be used" {
    run -2 pipeline 'tensor-rand --tensor w=1 --tensor w=2 | tensor-save w.safetensors'
    [ ! -e w.safetensors ]
}

@test "the layout of Qwen2.5-Coder-7B" {
    run -0 pipeline 'tensor-rand --like qwen2 --tsv'
    [ "${#lines[@]}" -eq 340 ]
    # 7,615,616,512 parameters of 4 bytes
    run -0 pipeline 'tensor-rand --like qwen2 --json | grep -o "\"nbytes\":[0-9]*" | cut -d : -f 2 | awk "{ sum += \$1 } END { printf \"%.0f\", sum }"'
    [ "$output" = 30462466048 ]
    run -0 tensor-rand --like qwen2 --tsv
    says $'[152064, 3584]\t2179989504\t' "model.embed_tokens.weight"
    for row in '[3584, 3584]#model.layers.0.self_attn.q_proj.weight' '[3584]#model.layers.0.self_attn.q_proj.bias' \
        '[512, 3584]#model.layers.27.self_attn.k_proj.weight' '[512]#model.layers.27.self_attn.v_proj.bias' \
        '[3584, 3584]#model.layers.3.self_attn.o_proj.weight' '[18944, 3584]#model.layers.3.mlp.gate_proj.weight' \
        '[3584, 18944]#model.layers.3.mlp.down_proj.weight' '[18944, 3584]#model.layers.3.mlp.up_proj.weight' \
        '[3584]#model.layers.3.input_layernorm.weight' '[3584]#model.layers.3.post_attention_layernorm.weight' \
        '[3584]#model.norm.weight' '[152064, 3584]#lm_head.weight'; do
        grep -qF -e "${row%#*}" <(grep -F -e "${row#*#}" <<< "$output")
    done
    [[ $output != *o_proj.bias* ]]
}

@test "a small model of that layout" {
    # shellcheck disable=SC2086
    run -0 tensor-rand $small --tsv
    [ "${#lines[@]}" -eq 28 ]
    grep -q '\[50, 64\].*model.embed_tokens.weight' <<< "$output"
    grep -q '\[64, 64\].*model.layers.1.self_attn.q_proj.weight' <<< "$output"
    grep -q '\[32, 64\].*model.layers.1.self_attn.k_proj.weight' <<< "$output"
    grep -q '\[96, 64\].*model.layers.1.mlp.gate_proj.weight' <<< "$output"
    # shellcheck disable=SC2086
    run -0 tensor-rand $small --tied --tsv
    [ "${#lines[@]}" -eq 27 ]
    [[ $output != *lm_head* ]]
}

@test "the sizes stand in the metadata, as config.json has them" {
    # shellcheck disable=SC2086
    run -0 pipeline "tensor-rand $small | tensor-ls --meta --json"
    says '"num_hidden_layers":2' '"hidden_size":64' '"num_attention_heads":4' '"num_key_value_heads":2' \
        '"intermediate_size":96' '"vocab_size":50'
}

# Sizes that every architecture can have, and those of its experts.
tiny_of() {
    echo "--like $1 --num-layers 2 --hidden 32 --heads 4 --kv-heads 2 --head-dim 8 --ffn 24 --vocab 40"
    case $1 in
        mixtral) echo "--experts 3" ;;
        qwen2moe) echo "--experts 3 --experts-used 2 --expert-ffn 16 --shared-ffn 20" ;;
        qwen3moe) echo "--experts 3 --experts-used 2 --expert-ffn 16" ;;
    esac
}

layouts() {
    tensor-rand --like nothing 2>&1 > empty.tsr | sed -n 's/.*(there is: \(.*\)).*/\1/p' | tr -s ', ' '\n'
}

@test "every architecture that can be traced can be made, and is that one" {
    layouts | sort > made
    [ "$(wc -l < made)" -eq 11 ]
    tensor-rand --like qwen2 --num-layers 1 --hidden 8 --heads 1 --kv-heads 1 --head-dim 8 --ffn 8 --vocab 8 | tensor-save m.safetensors
    mkdir other
    mv m.safetensors other/model.safetensors
    echo '{"model_type": "gpt2"}' > other/config.json
    run -2 bash -c 'tensor-trace other --tokens 1 2>&1 > empty.tsr'
    sed -n 's/.*(these can: \(.*\)).*/\1/p' <<< "$output" | tr -s ', ' '\n' | sort > traced
    [ "$(wc -l < traced)" -ge 9 ]
    comm -13 made traced > missing
    run -0 cat missing
    [ -z "$output" ]
    while read -r arch; do
        # shellcheck disable=SC2046
        run -0 pipeline "tensor-rand $(tiny_of "$arch" | tr '\n' ' ') | tensor-trace - --tokens 1,2,3 --stat --json"
        says '"name":"layers.1.residual"' '"name":"logits"' '"finite":120'
        family=$arch
        case $arch in mistral | mixtral) family=llama ;; esac
        says "\"arch\":\"$family\""
        run -0 grep -c '"nan":0,"inf":0' <<< "$output"
        [ "$output" -ge 30 ]
    done < made
}

@test "the page and --help name the same layouts, in the same order" {
    layouts > made
    sed -n '/^\.SH LAYOUTS/,/^\.SH NUMBERS/s/^\.B \([a-z0-9]*\)$/\1/p' "$srcdir/man/tensor-rand.1" > page
    diff made page
    run -0 tensor-rand --help
    echo "${output//$'\n'/ }" | sed 's/.*architecture: \([^.]*\)\..*/\1/; s/ or /, /' | tr -s ', ' '\n' | diff made -
}

@test "the defaults are the published models: as many parameters" {
    while read -r arch count; do
        run -0 pipeline "tensor-rand --like $arch --json | grep -o '\"nbytes\":[0-9]*' | cut -d : -f 2 | awk '{ sum += \$1 } END { printf \"%.0f\", sum / 4 }'"
        [ "$output" = "$count" ]
    done << 'END'
llama 1235814400
mistral 7241732096
mixtral 46702792704
qwen2 7615616512
qwen2moe 14315784192
qwen3 596049920
qwen3moe 30532122624
gemma 2506172416
gemma2 2614341888
gemma3 999885952
phi3 3821079552
END
}

@test "what an architecture states is what its config.json does" {
    facts_of() {
        # shellcheck disable=SC2046
        tensor-rand $(tiny_of "$1" | tr '\n' ' ') "${@:2}" | tensor-ls --facts --json - | sed 's/"origin".*//'
    }
    run -0 facts_of llama
    says '"rope.scaling","value":"llama3"' '"rope.base","value":500000' '"norm.eps","value":1e-05' '"tied","value":true'
    run -0 facts_of llama --untied
    says '"tied","value":false'
    run -0 facts_of mistral
    says '"window","value":4096' '"tied","value":false'
    run -0 facts_of mixtral
    says '"experts","value":3' '"experts.used","value":2' '"experts.ffn","value":24' '"experts.norm","value":true'
    run -0 facts_of qwen2 --tied
    says '"tied","value":true'
    run -0 facts_of qwen2moe
    says '"experts.ffn","value":16' '"experts.shared_ffn","value":20' '"experts.norm","value":false'
    run -0 facts_of qwen3moe
    says '"experts.norm","value":true' '"rope.base","value":1000000'
    run -0 facts_of gemma2
    says '"attn.softcap","value":50' '"logit.softcap","value":30' '"window","value":4096' '"window.layers","value":[true,false]'
    run -0 facts_of gemma3 --num-layers 6
    says '"rope.base_local","value":10000' '"window","value":512' '"window.layers","value":[true,true,true,true,true,false]'
    run -0 facts_of phi3
    says '"window","value":2047' '"rope.scaling","value":"none"'
}

@test "the tensors of a model are pinned" {
    # shellcheck disable=SC2086
    run -0 pipeline "tensor-rand $small | show-stream --digests | sha256sum"
    [ "${output%% *}" = ebff3e8e1d8c69d7e44abaaac687813dfccdd43c12d1167cc5122954bb512e3f ]
}

@test "experts" {
    # shellcheck disable=SC2046
    run -0 tensor-rand $(tiny_of qwen2moe | tr '\n' ' ') --tsv
    grep -q '\[3, 32\].*model.layers.1.mlp.gate.weight' <<< "$output"
    grep -q '\[16, 32\].*model.layers.1.mlp.experts.2.up_proj.weight' <<< "$output"
    grep -q '\[32, 16\].*model.layers.1.mlp.experts.0.down_proj.weight' <<< "$output"
    grep -q '\[1, 32\].*model.layers.0.mlp.shared_expert_gate.weight' <<< "$output"
    [[ $output != *'experts.3.'* ]]
    refuses "--experts: the layout of llama has none" tensor-rand --like llama --experts 4
    refuses "--shared-ffn: the layout of qwen3moe has none" tensor-rand --like qwen3moe --shared-ffn 4
    refuses "--expert-ffn: the layout of mixtral has none" tensor-rand --like mixtral --expert-ffn 4
    refuses "9 of 8 experts" tensor-rand --like mixtral --experts-used 9
    refuses "at most 65536" tensor-rand --like mixtral --experts 18446744073709551615
    refuses "tensors (at most" timeout 5 tensor-rand --like qwen3moe --num-layers 100000 --experts 65536
    refuses "exclude" tensor-rand --like llama --tied --untied
}

@test "a model has means and deviations of its own, unless they are given" {
    # shellcheck disable=SC2086
    run -0 pipeline "tensor-rand $small | tensor-cos - <(tensor-rand $small) | verdict --min 1 --rule '*norm*:norm_a > 7' --rule '*proj.weight:norm_a < 3'"
    run -0 pipeline "tensor-rand $small --mean 5 --deviation 0 | tensor-cos - <(tensor-rand $small) | verdict --rule 'norm_a > 28'"
}

@test "bad sizes" {
    for options in '--heads 5 --kv-heads 2' '--like gpt5' '--num-layers x' '--ffn 18446744073709551615' '--head-dim 9223372036854775807' '--num-layers 18446744073709551615' '--vocab 18446744073709551615'; do
        # shellcheck disable=SC2086
        run -2 timeout 5 tensor-rand --like qwen2 --num-layers 1 $options --tsv
        [[ "${#lines[@]}" -le 2 && $output == *"tensor-rand: "* ]]
    done
}

@test "bad options" {
    refuses "nothing to make" tensor-rand
    refuses "too many operands" tensor-rand --tensor w=1 file
    refuses "'exponential'" tensor-rand --tensor w=1 --distribution exponential
    refuses "--low" tensor-rand --tensor w=1 --distribution uniform --low 1 --high 1
    refuses "--low" tensor-rand --tensor w=1 --distribution uniform --low nan
    refuses "--deviation" tensor-rand --tensor w=1 --deviation -1
    refuses "--seed" tensor-rand --tensor w=1 --seed -1
    refuses "--mean" tensor-rand --tensor w=1 --mean ten
}
