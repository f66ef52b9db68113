#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# verdict --evidence and --check-evidence: what was judged, sealed, and whether it still holds.
# The seal is made a second time by tests/tools/seal, which is none of ours.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make-model a.safetensors 'x F32 2 = 1 2' 'y F32 2 = 3 4' 'z F32 3 = 1 1 0.1' -- \
        b.gguf 'x F32 2 = 1 2' 'y F32 2 = 3 4.01' 'z F32 3 = 1 1 0.1' -- bad.gguf 'x F32 2 = 1 2' 'y F32 2 = 4 3' 'z F32 3 = nan 1 1'
    cat > contract.yaml << 'END'
metadata: {version: "1.2.0"}
falsification_tests:
  - id: C
    rule: every tensor survives
    binds_to: AC-1
    discharge_status: PARTIAL_ALGORITHM_LEVEL
    verdict:
      expected_tensors: 3
      threshold: 0.999
      rules: [max_diff < 0.5]
      allow: [only_a:none]
  - id: D
    full_discharge_blocks_on: [a GPU]
    verdict: {expected_tensors: 3, profile: exact, rules: ["cosine_similarity >= 0.9"]}
END
    tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json > text
}

# A folder of its own with all that was made.
setup() {
    cp -pr "$BATS_FILE_TMPDIR"/* "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
}

# check STATUS FRAGMENT...: what --check-evidence of e.json says, in one line of drift each.
check() {
    local status=$1
    shift
    run "-$status" verdict --check-evidence e.json --contract contract.yaml
    says "$@"
    [ "$(grep -c '^drift: ' <<< "$output")" -eq $# ]
}

# edit CODE: changes the evidence and leaves its seal; forge CODE: and seals it anew.
edit() {
    python3 -c 'import json, sys
e = json.load(open("e.json"))
exec(sys.argv[1])
json.dump(e, open("e.json", "w"))' "$1"
}
forge() {
    seal e.json "$1" e.json
}

# ---- What is written ----

@test "evidence of a pass" {
    [ "$(head -1 text)" = "verdict: pass" ]
    python3 << 'END'
import hashlib, json, os, platform, re
e = json.load(open("e.json"))
digest = lambda name: hashlib.sha256(open(name, "rb").read()).hexdigest()
assert (e["claim_id"], e["falsification_id"], e["binds_to"], e["verdict"]) == ("C", "C", "AC-1", "pass")
assert (e["discharge_status"], e["previous_status"]) == ("DISCHARGED", "PARTIAL_ALGORITHM_LEVEL")
assert e["evidence_id"] == "C@" + e["time"]
assert e["contract"] == {"path": "contract.yaml", "sha256": digest("contract.yaml"), "version": "1.2.0"}
assert e["command"] == "verdict --contract contract.yaml --claim C --evidence e.json", e["command"]
assert e["commands"] == ["tensor-cos a.safetensors b.gguf"], e["commands"]
assert [t["name"] for t in e["tools"]] == ["tensor-cos", "verdict"] and e["tools"][0]["version"] == e["tools"][1]["version"]
assert e["host"]["hostname"] == platform.node() and platform.release() in e["host"]["kernel"]
named = re.findall(r"^model name\s*:[ \t]*(.*)$", open("/proc/cpuinfo").read(), re.M)
assert e["host"]["cpu"] == (named or [platform.machine()])[0], e["host"]["cpu"]
assert e["artifacts"] == [
    {"path": p, "role": r, "format": f, "size_bytes": os.path.getsize(p), "sha256": digest(p)}
    for p, r, f in (("a.safetensors", "a", "safetensors"), ("b.gguf", "b", "gguf"))], e["artifacts"]
assert e["rules"] == ["cosine_f32 >= 0.9990000128746033", "cosine_f32 <= 1", "norm_change <= 0.04472173806370044", "max_diff < 0.5"]
assert (e["expected_tensors"], e["allow"]) == (3, ["only_a:none"])
r = e["results"]
assert (r["tensors_compared"], r["judged"], r["passed"], r["failed"], r["below_threshold_count"]) == (3, 3, 3, 0, 0)
# the cosine of (3 4) and (3 4.01), in float32
import struct
b = struct.unpack("f", struct.pack("f", 4.01))[0]
cosine = (9 + 4 * b) / 5 / (9 + b * b) ** 0.5
assert r["field"] == "cosine_f32" and r["min"]["name"] == "y" and r["max"]["value"] == 1
assert r["min"]["value"] == struct.unpack("f", struct.pack("f", cosine))[0], (r["min"], cosine)
assert [t["name"] for t in r["worst_5_tensors"]] == ["y", "x", "z"]
END
    [ "$(seal e.json)" = "$(python3 -c 'import json; print(json.load(open("e.json"))["seal"]["digest"])')" ]
}

@test "the commands of the whole pipeline are in it, in their order, as a shell takes them" {
    cp a.safetensors "a'b.safetensors"
    tensor-cat -q "a'b.safetensors" | tensor-dequant --to F32 | tensor-cos -j 2 --jobs=1 --cache here - b.gguf |
        verdict --contract contract.yaml --claim C --evidence piped.json > text
    python3 << 'END'
import json
e = json.load(open("piped.json"))
assert e["commands"] == ["tensor-cat 'a'\\''b.safetensors'", "tensor-dequant --to F32", "tensor-cos - b.gguf"], e["commands"]
END
    for commands in '"x"' '[1]'; do
        python3 - "$srcdir/tests/tools" "$commands" << 'END'
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
source = {"kind": "source", "id": 0, "path": "a.safetensors", "format": "safetensors", "meta": {}, "commands": json.loads(sys.argv[2])}
open("bad.tsr", "wb").write(formats.stream([], [formats.pack(source)]))
END
        refuses "its commands are no" verdict --contract contract.yaml --claim C --evidence bad.json bad.tsr
    done
}

@test "evidence of a failure, with what failed" {
    run -1 pipeline 'tensor-cos a.safetensors bad.gguf | verdict --contract contract.yaml --claim C --evidence fail.json'
    python3 << 'END'
import json
e = json.load(open("fail.json"))
assert e["verdict"] == "fail" and e["reason"] == "2 tensors did not pass" and "discharge_status" not in e
r = e["results"]
assert (r["judged"], r["passed"], r["failed"], r["incomparable"], r["below_threshold_count"]) == (3, 1, 2, 1, 1)
assert r["worst_5_tensors"][0]["verdict"] == "fail"
END
    run -1 pipeline 'tensor-cos --limit 2 a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence few.json'
    grep -q '"reason": "2 tensors were compared, the claim C expects 3"' few.json
    run -1 verdict --check-evidence few.json --contract contract.yaml
    says "evidence of a failure: 2 tensors were compared" "drift: 2 tensors passed, the contract expects 3"
}

@test "what blocks a full discharge is not passed over" {
    tensor-cos a.safetensors a.safetensors | verdict --contract contract.yaml --claim D --evidence d.json
    grep -q '"discharge_status": "PARTIAL_ALGORITHM_LEVEL"' d.json
    run ! grep previous_status d.json
}

@test "the schema holds" {
    python3 -c 'import jsonschema' 2> /dev/null || skip "python3-jsonschema is not installed"
    run -1 pipeline 'tensor-cos a.safetensors bad.gguf | verdict --contract contract.yaml --claim C --evidence fail.json'
    tensor-cos a.safetensors a.safetensors | verdict --contract contract.yaml --claim D --artifact contract.yaml --evidence d.json
    for file in e fail d; do
        python3 -c 'import json, jsonschema, sys
jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))' "$srcdir/tests/judge/evidence.schema.json" $file.json
    done
}

@test "no evidence where there is no verdict, and that of an earlier run stays" {
    cp e.json before.json
    size=$(tensor-cos a.safetensors b.gguf | wc -c)
    run -2 pipeline "tensor-cos a.safetensors b.gguf | head -c $((size - 3)) | verdict --contract contract.yaml --claim C --evidence e.json"
    run -2 pipeline "tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim E --evidence e.json"
    run -2 pipeline "tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json > /dev/full"
    run -2 pipeline "tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json --report json=absent/x"
    run -2 pipeline "tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence absent/e.json"
    cmp e.json before.json
    [ -z "$(find . -name '.tensorutils*')" ]
}

@test "evidence takes the place of nothing that is read" {
    tensor-cos a.safetensors b.gguf > r.tsr
    cp a.safetensors before
    ln contract.yaml hard
    for file in contract.yaml r.tsr hard; do
        refuses "is read, too" verdict --contract contract.yaml --claim C --evidence $file r.tsr
    done
    refuses "is read, too" sh -c 'verdict --contract contract.yaml --claim C --evidence r.tsr < r.tsr'
    echo 'max_diff < 1' > my.profile
    sed 's/threshold: 0.999/profile: my.profile/' contract.yaml > with.yaml
    refuses "is read, too" verdict --contract with.yaml --claim C --evidence my.profile r.tsr
    refuses "is read, too" verdict --contract contract.yaml --claim C --evidence e.json --artifact e.json r.tsr
    refuses "is a model, and is not replaced" verdict --contract contract.yaml --claim C --evidence a.safetensors r.tsr
    refuses "is a model, and is not replaced" verdict --contract contract.yaml --claim C --evidence new.json --report json=a.safetensors r.tsr
    refuses "is the evidence, too" verdict --contract contract.yaml --claim C --evidence x --report json=x r.tsr
    refuses "is the evidence, too" verdict --contract contract.yaml --claim C --evidence x --report json=./x r.tsr
    refuses "is the evidence, too" verdict --contract contract.yaml --claim C --evidence "$PWD/x" --report json=x r.tsr
    refuses "two reports to one place" verdict --report json=x,tap=.//x r.tsr
    cmp a.safetensors before
}

@test "SOURCE_DATE_EPOCH is the time, and then the bytes are the same" {
    for n in 1 2; do
        tensor-cos a.safetensors b.gguf | SOURCE_DATE_EPOCH=86399 verdict --contract contract.yaml --claim C --evidence again.json
        mv again.json $n.json
    done
    cmp 1.json 2.json
    grep -q '"time": "1970-01-01T23:59:59Z"' 1.json
    tensor-cos a.safetensors b.gguf > r.tsr
    for time in '' -1 now 1.5 99999999999999999999; do
        SOURCE_DATE_EPOCH=$time refuses "SOURCE_DATE_EPOCH" verdict --contract contract.yaml --claim C --evidence x.json r.tsr
    done
    [ ! -e x.json ]
}

# ---- Which files ----

@test "the models' files, however they came" {
    tensor-cat a.safetensors | tensor-cos - b.gguf | verdict --contract contract.yaml --claim C --evidence pipe.json
    tensor-save -q saved.tsr a.safetensors 2> /dev/null || tensor-cat a.safetensors > saved.tsr
    tensor-cos saved.tsr b.gguf | verdict --contract contract.yaml --claim C --artifact text --artifact a.safetensors --evidence more.json
    python3 << 'END'
import json
files = lambda name: sorted((a["role"], a["path"]) for a in json.load(open(name))["artifacts"])
assert files("pipe.json") == [("a", "a.safetensors"), ("b", "b.gguf")], files("pipe.json")
assert files("more.json") == [("a", "saved.tsr"), ("artifact", "a.safetensors"), ("artifact", "text"), ("b", "b.gguf")]
END
}

@test "every shard of a folder" {
    mkdir shards
    tensor-save --max-shard-size 16 shards/m.safetensors a.safetensors
    tensor-cos shards b.gguf | verdict --contract contract.yaml --claim C --evidence s.json
    files=(shards/*)
    [ ${#files[@]} -gt 2 ]
    [ "$(grep -o '"shards/[^"]*"' s.json | sort)" = "$(printf '"%s"\n' "${files[@]}" | sort)" ]
    run -0 verdict --check-evidence s.json --contract contract.yaml
    # what the index says is part of what was compared
    sed -i 's/"metadata"/"metadata" /' shards/m.safetensors.index.json
    run -1 verdict --check-evidence s.json --contract contract.yaml
    says 'shards/m.safetensors.index.json'
}

@test "config.json and the map that was used, also out of a pipe" {
    mkdir model
    cp a.safetensors model/model.safetensors
    echo '{"model_type": "toy"}' > model/config.json
    tensor-cat model | tensor-cos - b.gguf | verdict --contract contract.yaml --claim C --evidence s.json
    grep -q '"role": "config"' s.json
    run -0 verdict --check-evidence s.json --contract contract.yaml
    echo '{"model_type": "toys"}' > model/config.json
    run -1 verdict --check-evidence s.json --contract contract.yaml
    says 'model/config.json'
    # changed on the way
    tensor-cat model > saved.tsr
    tensor-cat saved.tsr | tensor-cos - b.gguf > r.tsr
    echo '{"model_type": "joys"}' > model/config.json
    refuses 'model/config.json: was changed after it was compared' \
        verdict --contract contract.yaml --claim C --evidence t.json r.tsr

    make-model x.safetensors 'l.0.x F32 2 = 1 2' 'l.0.y F32 2 = 1 2' 'l.0.z F32 2 = 1 2' -- \
        y.safetensors 'm.0.x F32 2 = 1 2' 'm.0.y F32 2 = 1 2' 'm.0.z F32 2 = 1 2'
    printf 'l.{n}.%s = m.{n}.%s\n' x x y y z z > lm.map
    tensor-cos --map ./lm.map x.safetensors y.safetensors > r.tsr
    show-stream r.tsr | grep '"kind": "artifact"' | grep -q '"role": "map", "path": "./lm.map"'
    verdict --contract contract.yaml --claim C --evidence s.json r.tsr
    grep -q '"role": "map"' s.json
    echo '# another' >> lm.map
    run -1 verdict --check-evidence s.json --contract contract.yaml
    says 'lm.map'
}

@test "a map that was found by its name is that name and its digest, wherever it lies" {
    make-model x.safetensors 'l.0.x F32 2 = 1 2' 'l.0.y F32 2 = 1 2' 'l.0.z F32 2 = 1 2' -- \
        y.safetensors 'm.0.x F32 2 = 1 2' 'm.0.y F32 2 = 1 2' 'm.0.z F32 2 = 1 2'
    for folder in here there; do
        mkdir $folder
        printf 'l.{n}.%s = m.{n}.%s\n' x x y y z z > $folder/lm.map
        TENSORUTILS_MAPS=$PWD/$folder tensor-cos --map lm x.safetensors y.safetensors > r.tsr
        verdict --contract contract.yaml --claim C --evidence $folder.json r.tsr
    done
    digest=$(sha256sum < here/lm.map)
    python3 -c '
import json, sys
here, there = (json.load(open(name))["artifacts"] for name in ("here.json", "there.json"))
assert here == there, (here, there)
assert here[-1] == {"name": "lm", "role": "map", "size_bytes": 54, "sha256": sys.argv[1]}, here' "${digest%% *}"
    run -0 verdict --check-evidence there.json --contract contract.yaml
    # a map is no model: results that name nothing else have no evidence
    show-stream r.tsr | grep -q '"role": "map", "name": "lm", "bytes": 54'
    python3 - "${digest%% *}" << 'END' > only-map.tsr
import sys
import formats
record = {"kind": "artifact", "role": "map", "name": "lm", "bytes": 54, "sha256": sys.argv[1]}
sys.stdout.buffer.write(formats.stream([], [formats.pack({
    "kind": "compare", "name": n, "status": "ok", "shape_a": [2], "dtype_a": "F32", "shape_b": [2], "dtype_b": "F32",
    "element_count": 2, "cosine_similarity": 1.0, "max_diff": 0.0, "norm_a": 1, "norm_b": 1}) for n in "xyz"]
    + [formats.pack(record)]))
END
    refuses 'name no file that was compared' verdict --contract contract.yaml --claim C --evidence t.json only-map.tsr
}

@test "what is said of a map without a path has to be whole" {
    map() {
        python3 - "$@" << 'END' > m.tsr
import sys
import formats
pairs = (a.split("=", 1) for a in sys.argv[1:])
record = {"kind": "artifact", "role": "map", **{k: int(v) if k == "bytes" else v for k, v in pairs}}
sys.stdout.buffer.write(formats.stream([], [formats.pack(record)]))
END
        refuses 'an artifact record has neither a path nor a name, bytes and sha256' \
            verdict --contract contract.yaml --claim C --evidence t.json m.tsr
    }
    digest=$(printf '%064d' 7)
    map "bytes=9" "sha256=$digest"
    map "name=x" "sha256=$digest"
    map "name=x" "bytes=9"
    map "name=x" "bytes=9" "sha256=${digest}0"
    map "name=x" "bytes=9" "sha256=${digest%7}G"
}

@test "the same path is not the same file, and standard input is none" {
    tensor-cat a.safetensors > saved.tsr
    cp -p a.safetensors again
    mv again a.safetensors
    tensor-cos - b.gguf < saved.tsr > r.tsr
    refuses 'a.safetensors: was changed after it was compared' \
        verdict --contract contract.yaml --claim C --evidence s.json r.tsr
    cp a.safetensors 'standard input'
    cp a.safetensors ./-
    tensor-cos - b.gguf < a.safetensors > r.tsr
    refuses 'standard input was compared, which is no file' \
        verdict --contract contract.yaml --claim C --evidence s.json r.tsr
    [ ! -e s.json ]
}

@test "a file that cannot be named, or is another by now, is trouble" {
    make-results r.tsr x=1 y=1 z=1
    refuses "name no file" verdict --contract contract.yaml --claim C --evidence x.json r.tsr
    run -0 verdict --contract contract.yaml --claim C --evidence x.json --artifact r.tsr r.tsr
    refuses "absent" verdict --contract contract.yaml --claim C --evidence x.json --artifact absent r.tsr
    refuses "directory" verdict --contract contract.yaml --claim C --evidence x.json --artifact . r.tsr
    refuses "--artifact needs --evidence" verdict --contract contract.yaml --claim C --artifact r.tsr r.tsr
    tensor-cos a.safetensors b.gguf > r.tsr
    # the same bytes at another time
    touch -d '2001-01-01' b.gguf
    refuses "b.gguf: was changed after it was compared" verdict --contract contract.yaml --claim C --evidence y.json r.tsr
    rm b.gguf
    refuses "b.gguf: No such file" verdict --contract contract.yaml --claim C --evidence y.json r.tsr
    [ ! -e y.json ]
}

# ---- Whether it holds ----

@test "evidence that holds" {
    check 0
    says "verdict: pass" "claim: C"
    [[ $output != *'was edited'* ]]
    # in another layout, as other tools write it
    python3 -c 'import json; e = json.load(open("e.json")); json.dump(dict(sorted(e.items())), open("e.json", "w"), indent=7)'
    check 0
    run -0 verdict --json --check-evidence e.json --contract contract.yaml --claim C
    [ "$output" = '{"kind":"evidence_check","verdict":"pass","evidence":"e.json","claim":"C","signature":"unsigned","notes":["the contract does not say that the claim is discharged (--write-block enters it)"],"reasons":[]}' ]
}

@test "a contract that was edited elsewhere" {
    sed -i 's/PARTIAL_ALGORITHM_LEVEL/DISCHARGED/; $a # a comment' contract.yaml
    check 0
    says "note: the contract was edited since"
}

@test "what the contract wants has changed" {
    cp contract.yaml before
    sed -i 's/0.999/0.99999/' contract.yaml
    # the cosine of y, 0.999999 and some, still is above it
    check 1 "not judged by this rule of the contract: cosine_f32 >= 0.9999899864196777" \
        "judged by a rule that the contract has no more: cosine_f32 >= 0.9990000128746033" "of the contract: norm_change" "no more: norm_change"
    sed -i 's/0.99999/0.9999999/' contract.yaml
    check 1 "not judged by this rule" "the contract has no more" "of the contract: norm_change" "no more: norm_change" "the least value, 0.99999" "one of the worst"
    sed 's/max_diff < 0.5/max_diff < 0.25, "x:max_diff <= 0"/' before > contract.yaml
    check 1 "contract: max_diff < 0.25" "contract: x:max_diff <= 0" "has no more: max_diff < 0.5"
    sed 's/allow: .*/allow: [only_b]/' before > contract.yaml
    check 1 "judged without this allowance of the contract: only_b" "an allowance that the contract has no more: only_a:none"
    sed 's/expected_tensors: 3/expected_tensors: 339/' before > contract.yaml
    check 1 "expected_tensors was 3, the contract has 339" "3 tensors passed, the contract expects 339"
    sed 's/threshold: 0.999/profile: exact/' before > contract.yaml
    run -1 verdict --check-evidence e.json --contract contract.yaml
    says "its numbers are of the field cosine_f32, the first rule is about max_diff"
}

@test "a file has changed, or is gone" {
    # another number in the file, at the same time of modification
    printf '\1' | dd of=b.gguf bs=1 seek=$(($(stat -c %s b.gguf) - 40)) conv=notrunc status=none
    touch -r "$BATS_FILE_TMPDIR/b.gguf" b.gguf
    check 1 "b.gguf: its SHA-256 is another"
    echo >> b.gguf
    check 1 "b.gguf: has"
    rm b.gguf
    check 1 "b.gguf: No such file"
    mkdir b.gguf
    check 1 "b.gguf: is a directory"
}

@test "evidence that was edited" {
    edit 'e["results"]["min"]["value"] = 1'
    check 1 "the seal is broken"
    cp "$BATS_FILE_TMPDIR/e.json" .
    # any character of it
    size=$(stat -c %s e.json)
    for ((at = 30; at < size - 20; at += 97)); do
        python3 - $at << 'END'
import sys
text = open("e.json").read()
at = next(i for i in range(int(sys.argv[1]), len(text)) if text[i].isalnum())
other = "8" if text[at] == "7" else "7" if text[at].isdigit() else "q" if text[at] != "q" else "r"
open("edited.json", "w").write(text[:at] + other + text[at + 1:])
END
        run verdict --check-evidence edited.json --contract contract.yaml
        # no evidence any more, or none that its seal fits
        case $status in
        1) says "the seal is broken" ;;
        2) says "verdict: edited.json: " ;;
        *) return 1 ;;
        esac
    done
    for code in 'e["discharge_status"] = "MORE"' 'e["more"] = 1' 'del e["host"]' 'e["rules"].append("max_diff < 1")' 'e["seal"]["algorithm"] = "none"' \
        'e["seal"] = {}' 'e["time"] += "\u0000"'; do
        cp "$BATS_FILE_TMPDIR/e.json" .
        edit "$code"
        run -1 verdict --check-evidence e.json --contract contract.yaml
        says "the seal is broken"
    done
}

@test "evidence that contradicts itself, though it was sealed anew" {
    forge 'e["results"]["failed"] = 1'
    check 1 "its failed is not 0"
    forge 'e["results"].update(failed=0, below_threshold_count=2, unjudged=1)'
    check 1 "below_threshold_count is not 0" "unjudged is not 0"
    cp "$BATS_FILE_TMPDIR/e.json" .
    forge 'e["results"]["worst_5_tensors"][0]["value"] = 0.5'
    check 1 "one of the worst, 0.5 of y, is not cosine_f32 >= 0.9990000128746033"
    cp "$BATS_FILE_TMPDIR/e.json" .
    forge 'e["results"]["max"]["value"] = 1.5'
    check 1 "the greatest value, 1.5 of x, is not cosine_f32 <= 1"
    cp "$BATS_FILE_TMPDIR/e.json" .
    forge 'e["artifacts"] = []'
    check 1 "it names no file"
    cp "$BATS_FILE_TMPDIR/e.json" .
    forge 'e["artifacts"][0] = 7'
    run -1 verdict --check-evidence e.json --contract contract.yaml
    cp "$BATS_FILE_TMPDIR/e.json" .
    forge 'e["results"] = {}'
    run -1 verdict --check-evidence e.json --contract contract.yaml
    cp "$BATS_FILE_TMPDIR/e.json" .
    forge 'e["verdict"] = "fail"; e["reason"] = "\u001b[31m"'
    check 1 'it is the evidence of a failure: \x1b[31m'
}

@test "evidence of another claim" {
    run -1 verdict --check-evidence e.json --contract contract.yaml --claim D
    says "it is about the claim C, not D"
    sed -i 's/id: C/id: E/' contract.yaml
    refuses "no claim 'C'" verdict --check-evidence e.json --contract contract.yaml
}

@test "results are held against the evidence" {
    tensor-cos a.safetensors b.gguf > same.tsr
    run -0 verdict --check-evidence e.json --contract contract.yaml same.tsr
    run -0 verdict --check-evidence e.json --contract contract.yaml - < same.tsr
    make-results other.tsr x=1 y=0.9995 z=1
    run -1 verdict --check-evidence e.json --contract contract.yaml other.tsr
    says 'drift: its min is {"name":"y"' 'the results have {"name":"y","reason":"","status":"ok","value":0.99949997663497925'
    make-results few.tsr x=1
    run -1 verdict --check-evidence e.json --contract contract.yaml few.tsr
    says "its judged is 3, the results have 1"
    run -2 verdict --check-evidence e.json --contract contract.yaml absent.tsr
    head -c 200 same.tsr > cut.tsr
    refuses "truncated" verdict --check-evidence e.json --contract contract.yaml cut.tsr
}

@test "--json and --tsv" {
    rm b.gguf
    run -1 verdict --json --check-evidence e.json --contract contract.yaml
    [ "$output" = '{"kind":"evidence_check","verdict":"fail","evidence":"e.json","claim":"C","signature":"unsigned","notes":["the contract does not say that the claim is discharged (--write-block enters it)"],"reasons":["b.gguf: No such file or directory"]}' ]
    run -1 verdict --tsv --check-evidence e.json --contract contract.yaml
    [ "$output" = $'verdict\treason\nfail\tb.gguf: No such file or directory' ]
}

@test "what is no evidence is trouble" {
    while read -r text; do
        printf '%s' "$text" > bad.json
        refuses "bad.json: " verdict --check-evidence bad.json --contract contract.yaml
    done << 'END'

[]
{}
{"kind": "evidence"}
{"kind": "evidence", "version": 2}
{"kind": "evidence", "version": 1, "claim_id": "C"}
{"kind": "evidence", "version": 1, "version": 1}
nonsense
END
    for ((length = 0; length < 1500; length += 111)); do
        head -c $length e.json > bad.json
        refuses "bad.json: " verdict --check-evidence bad.json --contract contract.yaml
    done
    refuses "absent.json" verdict --check-evidence absent.json --contract contract.yaml
    refuses "--check-evidence needs a --contract" verdict --check-evidence e.json
    refuses "writes no evidence" verdict --check-evidence e.json --contract contract.yaml --evidence f.json
    refuses "writes no evidence" verdict --check-evidence e.json --contract contract.yaml --report json=f.json
    refuses "brings its own rules" verdict --check-evidence e.json --contract contract.yaml --min 0
    refuses "--evidence needs a --contract" verdict --evidence e.json same.tsr
}
