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
    tensor-dequant --match "$1" out.tsr | tensor-cat --match "$1" | tensor-save --force "$BATS_TEST_TMPDIR/n.safetensors"
    python3 -c 'import json, struct, sys
data = open(sys.argv[1], "rb").read()
raw = data[8 + struct.unpack("<Q", data[:8])[0]:]
print(*("%g" % x for x in struct.unpack("<%df" % (len(raw) // 4), raw)))' "$BATS_TEST_TMPDIR/n.safetensors"
}

@test "what is not selected passes unchanged" {
    for fault in nan bit swap-rows transpose channel zero-block 'swap-heads --heads 4'; do
        # shellcheck disable=SC2086
        tensor-fault --fault $fault --match w a.tsr > out.tsr
        diff <(tensor-cat --exclude w a.tsr | show-stream --digests) <(tensor-cat --exclude w out.tsr | show-stream --digests)
        [ "$(numbers w)" != "$(seq -s ' ' 1 32)" ]
        [ "$(numbers w | wc -w)" -eq 32 ]
    done
}

@test "the place depends on the seed and the name alone" {
    for fault in nan bit swap-rows channel; do
        tensor-fault --fault $fault --seed 3 --match w a.tsr > one.tsr
        cat a.tsr | tensor-fault --fault $fault --seed 3 --match w > two.tsr
        diff <(show-stream --digests one.tsr) <(show-stream --digests two.tsr)
        places=$(for seed in 0 1 2 3 4 5; do tensor-fault --fault $fault --seed $seed --match w a.tsr | show-stream --digests | sed -n 1p; done | sort -u | wc -l)
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
    tensor-rand --tensor w=300x200 --tensor w2=1x7 > big.tsr
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
import os, struct, subprocess, sys
sys.path.insert(0, sys.argv[1])
import blocks
import reference_decode as reference
reference.read_grids(sys.argv[1] + "/../../lib/kernels/iq-grids.inc")
scope = {"__name__": "show_stream"}
exec(open(sys.argv[1] + "/show-stream").read(), scope)

def payload(stream):
    return b"".join(thing for _, thing in scope["objects"](stream) if isinstance(thing, bytes))

def damaged(path, name, fault, seed):
    """The bytes that the fault leaves, or why it is refused."""
    one = subprocess.run(["tensor-cat", "--match", name, path], capture_output=True, check=True).stdout
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
def source(name, fault):
    """Random bytes, or numbers where the type can be made from some and the fault makes it anew."""
    if fault in ("transpose", "channel"):
        r = subprocess.run(["tensor-quant", "--to", name, "r.tsr"], capture_output=True)
        if r.returncode == 0:
            with open("made.tsr", "wb") as file:
                file.write(r.stdout)
            return "made.tsr", "*"
    return files[name], name

refused = {}
for name, (elements, size, halves) in types.items():
    for fault in "nan", "bit", "swap-rows", "swap-heads --heads 2", "stale-scale", "zero-block", "transpose", "channel":
        for seed in range(1 if os.environ.get("TU_SANITIZED") else 3):
            a, b = damaged(*source(name, fault), fault, seed)
            if isinstance(b, str):
                refused.setdefault(fault, set()).add(name)
                continue
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
