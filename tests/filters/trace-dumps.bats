#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Dumps of other programs meet the stages of tensor-trace by maps of their names: tensor-maps(5).

load ../helpers

setup_file() {
    make-traceable "$BATS_FILE_TMPDIR/models"
}

setup() {
    models=$BATS_FILE_TMPDIR/models
    ids=3,1,4,1,5,9,2,6,5,3,5
}

# traced MODEL: its trace a.tsr, and the same as arrays, a.npz.
traced() {
    tensor-trace -q "$models/$1" --tokens "$ids" > a.tsr
    rm -rf a.npz d
    tensor-save -q a.npz a.tsr
}

# renamed PROGRAM: the arrays of a.npz in the folder d, called, shaped and ordered as a program does it.
renamed() {
    python3 - "$@" << 'END'
import ast, os, struct, sys, zipfile

def put(path, shape, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    text += " " * (-(11 + len(text)) % 64) + "\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + struct.pack("<%df" % len(data), *data))

def pairs(shape, data):
    """The halves of each head as neighbours."""
    dim, out = shape[-1], []
    for at in range(0, len(data), dim):
        for i in range(dim // 2):
            out += [data[at + i], data[at + dim // 2 + i]]
    return out

LLAMA = {"embedding": "embd", "attn_norm": "attn_norm", "q": "Qcur.MUL_MAT", "k": "Kcur.MUL_MAT", "v": "Vcur", "q_rope": "Qcur",
         "k_rope": "Kcur", "attn_weights": "kq_soft_max", "attn_context": "kqv_out", "o_proj": "attn_out", "attn_residual": "ffn_inp",
         "ffn_norm": "ffn_norm", "ffn_gate": "ffn_gate", "ffn_up": "ffn_up", "ffn_mul": "ffn_swiglu", "ffn_down": "ffn_out",
         "residual": "l_out", "final_norm": "result_norm", "logits": "result_output"}
HOOKS = {"attn_norm": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
         "attn_context": "self_attn.o_proj.input", "o_proj": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_act": "mlp.act_fn", "ffn_mul": "mlp.down_proj.input", "ffn_down": "mlp.down_proj", "residual": ""}
TWO = {"attn_residual": "post_attention_layernorm.input", "ffn_norm": "post_attention_layernorm"}
FOUR = {"attn_post_norm": "post_attention_layernorm", "attn_residual": "pre_feedforward_layernorm.input",
        "ffn_norm": "pre_feedforward_layernorm", "ffn_post_norm": "post_feedforward_layernorm"}
REFERENCE = {"embedding": "embedding", "attn_norm": "attn_norm", "q_rope": "q_post_rope", "k_rope": "k_post_rope", "attn_weights": "attn_softmax",
             "attn_context": "attention", "o_proj": "attn_out", "attn_residual": "post_attn_residual", "ffn_norm": "ffn_norm",
             "ffn_gate": "ffn_gate", "ffn_up": "ffn_up", "ffn_act": "ffn_silu", "ffn_mul": "ffn_swigl", "ffn_down": "ffn_out",
             "residual": "post_ffn_residual", "final_norm": "final_norm", "logits": "lm_head"}

program = sys.argv[1]
for name in zipfile.ZipFile("a.npz").namelist():
    raw = zipfile.ZipFile("a.npz").read(name)
    length = struct.unpack("<H", raw[8:10])[0]
    head = ast.literal_eval(raw[10:10 + length].decode())
    shape, code = head["shape"], {"<f8": "d", "<i4": "i"}[head["descr"]]
    data = list(struct.unpack("<%d%s" % ((len(raw) - 10 - length) // struct.calcsize(code), code), raw[10 + length:]))
    parts = name[:-4].split(".")
    layer, stage = (parts[1], parts[2]) if len(parts) == 3 else (None, parts[0])
    if program == "llama.cpp":
        if stage not in LLAMA:
            continue
        node, dot, op = LLAMA[stage].partition(".")
        if stage in ("q", "k", "q_rope", "k_rope"):
            data = pairs(shape, data)
        if stage in ("q", "k", "v"):
            shape = (shape[0], shape[1] * shape[2])
        put("d/%s%s%s%s.npy" % (node, "-" + layer if layer else "", dot, op), shape, data)
    elif program.startswith("transformers"):
        gemma = program.endswith("gemma")
        hooks = {**HOOKS, **(FOUR if gemma else TWO)}
        ends = {"embedding": "model.layers.0.input" if gemma else "model.embed_tokens", "final_norm": "model.norm",
                "logits_uncapped" if gemma else "logits": "lm_head"}
        if stage not in (hooks if layer else ends):
            continue
        if stage in ("q", "k", "v"):
            shape = (shape[0], shape[1] * shape[2])
        put("d/%s.npy" % (("model.layers.%s.%s" % (layer, hooks[stage])).rstrip(".") if layer else ends[stage]), (1, *shape), data)
    elif stage in REFERENCE:
        layer = "0" if stage == "embedding" else layer
        folder = "d/layer-%s" % layer if layer else "d"
        os.makedirs(folder, exist_ok=True)
        open("%s/%s.bin" % (folder, REFERENCE[stage]), "wb").write(
            b"APRT" + struct.pack("<II%df" % len(data), int(layer) if layer else 0xffffffff, len(data), *data))
END
}

# meets COUNT MAP ALONE...: so many pairs agree by that map, in both orders, and the stages ALONE have no partner.
meets() {
    local count=$1 map=$2 order
    shift 2
    for order in 'a.tsr d' 'd a.tsr'; do
        # shellcheck disable=SC2086 # two words
        tensor-cos -q $order > c.tsr
        show-stream c.tsr > c.txt
        [ "$(grep -c '"status": "ok"' c.txt)" -eq "$count" ]
        [ "$(grep '"status": "only_' c.txt | sed 's/.*"name": "//; s/".*//; s/layers\.[0-9]*\.//' | sort -u | tr '\n' ' ')" = "$*" ]
        grep '"role": "map"' c.txt | grep -q "\"$map\""
        run -0 verdict --rule 'cosine_similarity > 0.9999999' --allow only_a --allow only_b c.tsr
        run verdict < <(tensor-origin -q c.tsr)
        [ "$status" -eq "${whole:-0}" ]
    done
}

@test "nodes of llama.cpp: attn_out is the output of o_proj, and Llama's heads are pairs" {
    traced llama
    renamed llama.cpp
    meets "$(find d -name '*.npy' | wc -l)" trace-llama.cpp-pairs 'attn_scores ffn_act '
    # another order of heads than the one of that map is no pass
    tensor-cos -q --map trace-llama.cpp a.tsr d > c.tsr
    run -1 verdict --allow only_a --allow only_b c.tsr
    [[ $output == *layers.0.q* ]]
}

@test "hooks of transformers: post_attention_layernorm means two things" {
    traced llama
    renamed transformers
    meets "$(find d -name '*.npy' | wc -l)" trace-transformers 'attn_scores attn_weights k_rope q_rope '
    traced gemma2
    renamed transformers-gemma
    # logits behind their cap, the last stage, are not there: no verdict without them
    whole=2 meets "$(find d -name '*.npy' | wc -l)" trace-transformers-gemma 'attn_scores attn_weights k_rope logits q_rope '
    tensor-cos -q --map trace-transformers a.tsr d > c.tsr
    run -1 verdict --allow only_a --allow only_b c.tsr
}

@test "stages of aprender: attention is the input of o_proj, attn_out its output" {
    traced llama
    renamed aprender
    meets "$(find d -name '*.bin' | wc -l)" trace-aprender 'attn_scores k q v '
    # what no stage of ours is: listed, and no failure
    cp d/layer-0/q_post_rope.bin d/layer-0/qkv_bias.bin
    tensor-cos -q a.tsr d > c.tsr
    run -0 verdict --allow only_a --allow only_b c.tsr
    [[ $output == *"layer-0/qkv_bias"* ]]
    # a stage that stands in another's place fails
    mv d/layer-0/attention.bin x.bin
    mv d/layer-0/attn_out.bin d/layer-0/attention.bin
    mv x.bin d/layer-0/attn_out.bin
    tensor-cos -q a.tsr d > c.tsr
    run -1 verdict --allow only_a --allow only_b c.tsr
}

@test "a fault in a dump is named with its stage, whichever side it stands on" {
    traced llama
    tensor-trace -q "$models/llama" --tokens "$ids" > good.tsr
    tensor-fault -q --fault scale --factor 1.25 --match 'model.layers.1.mlp.up_proj.weight' "$models/llama" > bad-model.tsr
    tensor-trace -q bad-model.tsr --tokens "$ids" | tensor-save -qf a.npz
    renamed llama.cpp
    for order in 'good.tsr d' 'd good.tsr'; do
        # shellcheck disable=SC2086 # two words
        tensor-cos -q $order > c.tsr
        run -0 tensor-origin -q --json c.tsr
        [[ ${lines[-1]} == *'"first":"layers.1.ffn_up"'* ]]
        run -1 pipeline 'tensor-origin -q c.tsr | verdict'
    done
}

@test "a trace that comes through a pipe meets a dump, too" {
    traced llama
    renamed aprender
    run -0 pipeline 'cat a.tsr | tensor-cos -q - d | tensor-origin -q | verdict'
    run -0 pipeline 'cat a.tsr | tensor-cos -q d - | tensor-origin -q | verdict'
}

@test "a few names among many choose no map" {
    make-model w.safetensors 'lm_head F32 2 = 1 2' 'a F32 1 = 1' 'b F32 1 = 1' 'c F32 1 = 1' 'd F32 1 = 1' -- v.safetensors 'logits F32 2 = 1 2' 'a F32 1 = 1' 'b F32 1 = 1' 'c F32 1 = 1' 'd F32 1 = 1'
    run -1 pipeline 'tensor-cos -q v.safetensors w.safetensors | verdict'
    says 'only_a' 'only_b'
}
