#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Weights that several tensors hold together: every scheme, through every way in, and what is broken.

setup_file() {
    load ../helpers
    cd "$BATS_FILE_TMPDIR" || return 1
    make-packs
}

load ../helpers

setup() {
    cd "$BATS_FILE_TMPDIR" || return 1
}

@test "values are those of the scheme's formula, bit for bit" {
    for scheme in $(make-packs --list); do
        echo "$scheme"
        tensor-dequant -q "$scheme" > got.tsr
        run -0 pipeline "tensor-cos got.tsr $scheme.want.safetensors | verdict --rule 'max_diff <= 0'"
        says " 2 passed"
    done
}

@test "a packed checkpoint passes against what it was rounded from, without an option" {
    for scheme in $(make-packs --list | grep -v bitnet); do
        echo "$scheme"
        run -0 pipeline "tensor-cos -q $scheme $scheme.from.safetensors | verdict"
    done
}

@test "through a pipe the parts come whole, and are one weight at its end" {
    for scheme in gptq-order ct-3-padded gpt-oss bnb-nested mlx-6 fp8-block; do
        echo "$scheme"
        run -0 pipeline "tensor-cat $scheme | tensor-cos -q - $scheme.want.safetensors | verdict --rule 'max_diff <= 0'"
        says " 2 passed"
        tensor-cat $scheme > saved.tsr
        run -0 pipeline "tensor-dequant -q saved.tsr | tensor-cos -q - $scheme.want.safetensors | verdict --rule 'max_diff <= 0'"
        says " 2 passed"
    done
}

@test "a stream that announces nothing is refused where parts come late" {
    tensor-cat gptq-4 | show-stream | grep -c '"kind": "index"'
    cat > cut.py <<'EOF'
import sys
data = sys.stdin.buffer.read()
# An index that is called otherwise is a record that nobody knows.
sys.stdout.buffer.write(data.replace(b"\xa4kind\xa5index", b"\xa4kind\xa5other"))
EOF
    tensor-cat model.norm.safetensors 2> /dev/null || make-model model.norm.safetensors 'a F32 1 = 1'
    tensor-cat model.norm.safetensors gptq-4 | python3 cut.py > unannounced.tsr
    refuses 'which its stream did not announce' sh -c 'cat unannounced.tsr | tensor-dequant > dequantized.tsr'
}

@test "listings have a line a weight, with the bytes of all its parts" {
    run -0 tensor-ls --table gptq-4
    says 'INT4      [64, 128]' '5.2 kB' '(packed: GPTQ, 4 bits, groups of 32)'
    run -0 tensor-ls --table fp8-block
    says '(packed: FP8, 8 bits, blocks of 48 x 80)'
    run -0 tensor-ls --table fp8-tensor
    says 'input_scale  (packed: side)'
    run -0 tensor-ls --table --raw gptq-4
    says 'up_proj.qweight' 'up_proj.g_idx'
    run -0 tensor-ls --table --packs never gptq-4
    says 'up_proj.qweight'
}

@test "what is no weight is side: listed, and never missing" {
    run -0 pipeline 'tensor-cos -q nvfp4 nvfp4.from.safetensors | verdict --worst 1'
    says 'side: it belongs to packed weights, and is none' '0 missing'
}

@test "faults in scales, zeros and codes are caught" {
    while read -r scheme fault glob; do
        echo "$scheme $fault $glob"
        # shellcheck disable=SC2086
        run -1 pipeline "tensor-fault -q --fault $fault --match '$glob' $scheme | tensor-cos -q - $scheme.from.safetensors | verdict"
    done <<'EOF'
gptq-4 swap-rows *.scales
gptq-4 zero-column *.scales
gptq-4 transpose *.qweight
awq swap-rows *.qweight
ct-4 transpose *.weight_packed
nvfp4 scale *.weight_global_scale
mxfp4 swap-rows *.weight_packed
fp8-block scale *.weight_scale_inv
fp8-row channel *.weight_scale
int8-row channel *.weight_scale
llm-int8 scale *.SCB
bnb-nf4 scale *.absmax
hqq-4 zero-column *.scale
mlx-4 zero-column *.biases
EOF
}

@test "a scale that is lost, and zeros that are off by one" {
    python3 - <<'EOF'
import json
for name, suffix, change in (("fp8-tensor", ".weight_scale", lambda b: b"\x00\x00\x80\x3f"),
                             ("comfyui", ".scale_weight", lambda b: b"\x00\x00\x80\x3f"),
                             ("gptq-4", ".qzeros", lambda b: bytes(x + 0x11 & 255 for x in b)),
                             ("awq", ".qzeros", lambda b: bytes(x + 0x11 & 255 for x in b)),
                             ("ct-4", ".weight_zero_point", lambda b: bytes(x - 0x11 & 255 for x in b))):
    data = bytearray(open(name + "/model.safetensors", "rb").read())
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    (begin, stop), = [t["data_offsets"] for key, t in header.items() if key.endswith(suffix)]
    data[end + begin:end + stop] = change(data[end + begin:end + stop])
    open(name + ".damaged.safetensors", "wb").write(data)
EOF
    for scheme in fp8-tensor comfyui gptq-4 awq ct-4; do
        echo "$scheme"
        run -1 pipeline "tensor-cos -q $scheme.damaged.safetensors $scheme.from.safetensors | verdict"
    done
}

@test "every tool that wants values takes them" {
    tensor-save -q --force --convert f32 saved.safetensors gptq-order
    run -0 pipeline "tensor-cos saved.safetensors gptq-order.want.safetensors | verdict --rule 'max_diff <= 0'"
    says " 2 passed"
    run -0 pipeline "tensor-hash --decoded --json mlx-4 | grep up_proj"
    digest=${output#*'"digest":"'}
    run -0 pipeline "tensor-hash --decoded --json mlx-4.want.safetensors | grep up_proj"
    says "${digest%%'"'*}"
    run -0 pipeline "tensor-quant -q --to Q8_0 awq | tensor-cos -q - awq.want.safetensors | verdict --min 0.999"
    run -0 pipeline "tensor-stat --json nvfp4 | head -n 1"
    says '"name":"model.layers.0.mlp.up_proj.weight"'
    make-model x.safetensors "x F32 1x128 = $(seq -s ' ' 128)"
    run -0 pipeline "tensor-matmul --match '*up_proj*' bnb-nf4 x.safetensors > y.tsr; tensor-matmul --match '*up_proj*' bnb-nf4.want.safetensors x.safetensors | tensor-cos -q y.tsr - | verdict --rule 'max_diff <= 0'"
}

@test "a copy is a copy: parts are saved and passed as they are stored" {
    tensor-save -q --force copy.safetensors gptq-4
    run -0 tensor-ls --table --raw copy.safetensors
    says 'up_proj.qzeros' '5 tensors'
    run -0 pipeline "tensor-cos --packs never -q gptq-4 copy.safetensors | verdict --rule 'max_diff <= 0'"
    says " 5 passed"
}

@test "what contradicts itself is refused, and listed with a warning" {
    while read -r scheme lost; do
        python3 - "$scheme" "$lost" <<'EOF'
import json, os, shutil, sys
name, lost = sys.argv[1:]
data = open(name + "/model.safetensors", "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:end])
for key in [k for k in header if k.endswith(lost)]:
    header["other." + key.replace(".", "_")] = header.pop(key)
text = json.dumps(header).encode()
os.makedirs("broken", exist_ok=True)
open("broken/model.safetensors", "wb").write(len(text).to_bytes(8, "little") + text + data[end:])
if os.path.exists(name + "/config.json"):
    shutil.copy(name + "/config.json", "broken/config.json")
elif os.path.exists("broken/config.json"):
    os.remove("broken/config.json")
EOF
        echo "$scheme $lost"
        refuses "$lost' is missing" sh -c 'tensor-dequant broken > dequantized.tsr'
        run --separate-stderr -0 tensor-ls --table broken
        # shellcheck disable=SC2154
        [[ $stderr == *"is missing"* ]]
    done <<'EOF'
gptq-4 up_proj.scales
gptq-4 up_proj.qzeros
awq up_proj.qzeros
ct-4 up_proj.weight_scale
ct-4 up_proj.weight_zero_point
nvfp4 up_proj.weight_global_scale
gpt-oss down_proj_scales
mlx-4 up_proj.biases
hqq-4 up_proj.zero
EOF
}

@test "indices, shapes and blobs that cannot be" {
    make-model g.safetensors 'p.qweight I32 4x8 : '"$(printf '00%.0s' {1..128})" \
        'p.scales F16 1x8 = 1 1 1 1 1 1 1 1' 'p.qzeros I32 1x1 : 77777777' \
        "p.g_idx I32 32 = 0 0 0 9 $(printf '0 %.0s' {1..28})"
    refuses "'p.g_idx' names group 9 for column 3, of 1" sh -c 'tensor-dequant -q g.safetensors > dequantized.tsr'
    make-model s.safetensors 'p.weight_packed I32 2x2 : 00000000000000000000000000000000' \
        'p.weight_scale F16 2x1 = 1 1' 'p.weight_shape I64 2 = 1099511627776 1099511627776'
    refuses "'p.weight_shape' has 1099511627776 at 0" sh -c 'tensor-dequant s.safetensors > dequantized.tsr'
    make-model b.safetensors 'p.weight U8 4x1 : 00000000' 'p.weight.absmax F32 1 = 1' \
        "p.weight.quant_map F32 16 = $(seq -s ' ' 16)" \
        "p.weight.quant_state.bitsandbytes__nf4 U8 19 : $(printf '{"blocksize": 64, "' | od -An -v -tx1 | tr -d ' \n')"
    refuses 'is no JSON object' sh -c 'tensor-dequant b.safetensors > dequantized.tsr'
    make-model f.safetensors 'p.weight F8_E4M3 2x2 : 38383838' 'p.weight_scale F32 3x1 = 1 2 3'
    refuses "(3x1) do not cover its 2 x 2 elements" sh -c 'tensor-dequant f.safetensors > dequantized.tsr'
}

@test "what is packed by a scheme that is not read is named, and not compared" {
    make-model e.safetensors 'p.q_weight I32 2x2 = 1 2 3 4' 'p.q_scale I32 1 = 1' 'z F32 1 = 1'
    run --separate-stderr -0 tensor-ls --table e.safetensors
    says 'PACKED' '(packed: EXL2, not read)'
    # shellcheck disable=SC2154
    [[ $stderr == *"is packed by EXL2, which is not read"* ]]
    run -0 pipeline "tensor-cos -q --json e.safetensors e.safetensors | grep -c '\"status\":\"not_real\"'"
    [ "$output" -eq 2 ]
    refuses 'is packed by EXL2, which is not read' sh -c 'tensor-dequant e.safetensors > dequantized.tsr'
}

@test "types that are made are in no file and no stream" {
    tensor-cat gptq-4.want.safetensors > plain.tsr
    python3 -c 'import sys; d = open("plain.tsr", "rb").read(); sys.stdout.buffer.write(d.replace(b"\xa3F32", b"\xa3NF4"))' > made.tsr
    refuses 'dtype NF4 is for no stream' sh -c 'tensor-dequant made.tsr > dequantized.tsr'
}
