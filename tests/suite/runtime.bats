#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What happens around a run: files that change, holes, pipes where files should be, names that are
# commands, memory and disks that end.  One clear line, exit 2, and nothing left behind.
# shellcheck disable=SC2016,SC2054,SC2086

load ../helpers

folder() {
    find . -mindepth 1 -printf '%P\n' | sort | tr '\n' ' '
}

filters() {
    sed -n 's,^[[:blank:]]*filters/\([a-z0-9-]*\).*,\1,p' "$srcdir/filters/local.mk"
}

# ---- Files that change while they are read ----

# changes FRAGMENT FILE COMMAND...: COMMAND runs when FILE has been opened, and much of it not read.
changes() {
    local fragment=$1 file=$2 pid
    shift 2
    [ -p pipe ] || mkfifo pipe
    tensor-cat "$file" > pipe 2> message 3>&- &
    pid=$!
    exec 4< pipe
    head -c 1000 <&4 > part
    "$@"
    cat <&4 >> part
    exec 4<&-
    ends $pid 2
    grep -q "^tensor-cat: $file: .*$fragment" message || { cat message && return 1; }
    [ "$(wc -l < message)" -eq 1 ]
    # and who reads what came is told
    run -2 sh -c 'tensor-ls < part'
}

@test "a file that shrinks, is written anew, replaced or removed" {
    tensor-rand --tensor w=700x1000 > w.tsr
    make-model other.gguf 'w F32 1 = 1'
    for suffix in safetensors gguf apr tsr npy; do
        [ $suffix = tsr ] && cp w.tsr whole.tsr || tensor-save whole.$suffix w.tsr
        short='became shorter' changed=changed
        [ $suffix = tsr ] && short=truncated
        cp whole.$suffix m.$suffix
        changes "$short" m.$suffix truncate -s 1000000 m.$suffix
        cp whole.$suffix m.$suffix
        changes "$short" m.$suffix truncate -s 0 m.$suffix
        cp whole.$suffix m.$suffix
        changes "$short" m.$suffix cp other.gguf m.$suffix
        cp whole.$suffix m.$suffix
        changes "$changed" m.$suffix dd if=/dev/zero of=m.$suffix bs=1 count=1 seek=2500000 conv=notrunc status=none
        cp whole.$suffix new
        changes replaced m.$suffix mv new m.$suffix
        changes removed m.$suffix rm m.$suffix
    done
}

@test "a file that another reader replaces by its own output is read to its end" {
    tensor-rand --tensor w=70x100 | tensor-save m.safetensors
    run -0 pipeline 'tensor-dequant --to f16 m.safetensors | tensor-save -f m.safetensors'
    ln m.safetensors link.safetensors
    ln -s m.safetensors symbolic.safetensors
    for file in m link symbolic; do
        refuses "$file.safetensors: is read, too" tensor-save -f $file.safetensors m.safetensors
    done
    refuses "m.safetensors: is read, too" tensor-save -f m.safetensors .
    tensor-save -f link.safetensors < m.safetensors
    tensor-save -f symbolic.safetensors < m.safetensors
    run -0 pipeline 'tensor-cos m.safetensors symbolic.safetensors | verdict --rule "max_diff <= 0"'
    # the shell empties its target before anything runs
    refuses "m.safetensors: is standard output, too" sh -c 'tensor-cat m.safetensors > m.safetensors'
}

# ---- Holes ----

@test "a few bytes that claim exabytes take no time, memory or disk" {
    # where files are allowed to be that large
    local place=$PWD/sparse size=$(((1 << 63) - 1))
    if ! truncate -s $size probe 2> /dev/null; then
        size=$(((1 << 44) - 65536))
        [ -w /dev/shm ] && truncate -s $(((1 << 63) - 1)) "/dev/shm/tensorutils-$$" 2> /dev/null &&
            place=/dev/shm/tensorutils-$$.d size=$(((1 << 63) - 1))
        rm -f "/dev/shm/tensorutils-$$"
        truncate -s $size "$PWD/probe" 2> /dev/null || [ "$place" != "$PWD/sparse" ] || skip "no large files here"
    fi
    rm -f probe
    mkdir "$place"
    make-sparse "$place" $size
    run -0 bash -c 'cd "$1" || exit; [ -n "$TU_SANITIZED" ] || ulimit -v 150000
        ulimit -f 16384
        while IFS=$'"'\\t'"' read -r name says; do
            for command in "tensor-ls --json" tensor-cat "tensor-cos x"; do
                [[ $name == bad-* || $command == *json ]] || continue
                message=$(timeout 5 ${command/x/$name} "$name" 2>&1 > output)
                status=$?
                case $name$status in
                bad-*2) [[ $message == "${command%% *}: $name: "*"$says"* && $message != *$'"'\\n'"'* ]] && continue ;;
                good-*0) grep -qF "$says" output && continue ;;
                esac
                echo "$command $name: $status: $message"
            done
        done < index.tsv' bash "$place"
    rm -r "$place"
    echo "$output"
    [ -z "$output" ]
}

# ---- What is no file ----

@test "links that lead nowhere, or round and round" {
    ln -s loop loop
    ln -s nowhere dead.gguf
    mkdir f g
    ln -s ../loop f/model.safetensors
    ln -s ../dead.gguf g/model.gguf
    for tool in tensor-ls tensor-cat tensor-dequant 'tensor-quant --to f16' tensor-hash 'tensor-hash --check' \
        'tensor-save out.gguf' 'tensor-cos loop' 'verdict --min 0'; do
        refuses "loop: Too many levels" $tool loop
    done
    refuses "f/model.safetensors: Too many levels" tensor-ls f
    refuses "dead.gguf: No such file" tensor-ls dead.gguf
    refuses "g/model.gguf: No such file" tensor-ls g
    [ ! -e out.gguf ]
}

@test "pipes, devices and folders where a file is named by another" {
    # none of them has a writer: who waited for one would never end
    mkdir f
    mkfifo f/pipe
    ln -s /dev/zero f/zero
    ln -s /dev/null f/null
    mkdir f/folder
    for name in pipe zero null folder; do
        printf '{"weight_map":{"w":"%s"}}' $name > f/m.safetensors.index.json
        refuses "f/$name: is " timeout 5 tensor-ls f
        refuses "f/$name: is " timeout 5 tensor-cat f/m.safetensors.index.json
    done
    make-model f/a.safetensors 'w F32 1 = 1'
    printf '{"weight_map":{"w":"a.safetensors"}}' > f/m.safetensors.index.json
    mkfifo f/config.json
    refuses "f/config.json: is not a regular file" timeout 5 tensor-ls f
    rm f/config.json f/m.safetensors.index.json
    mkfifo f/m.safetensors.index.json
    refuses "f/m.safetensors.index.json: is not a regular file" timeout 5 tensor-ls f
    mkdir g
    mkfifo g/m.gguf
    refuses "g/m.gguf: is not a regular file" timeout 5 tensor-ls g
}

@test "a device where a model should be" {
    for device in /dev/null /dev/zero /dev/full; do
        for tool in tensor-ls tensor-cat tensor-dequant 'tensor-quant --to f16' tensor-hash 'tensor-save out.gguf' \
            "tensor-cos $device" 'verdict --min 0'; do
            refuses "$device" timeout 5 $tool $device
        done
    done
}

@test "a file that may not be read, even by root" {
    make-model m.gguf 'w F32 4 = 1 2 3 4'
    chmod 000 m.gguf
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --bounding-set=-dac_override,-dac_read_search)
        "${as[@]}" true 2> /dev/null || skip "root may read every file, and cannot be kept from it here"
    fi
    for tool in tensor-ls tensor-cat tensor-hash 'tensor-cos m.gguf' 'tensor-save out.gguf'; do
        refuses "m.gguf: Permission denied" "${as[@]}" $tool m.gguf
    done
}

@test "an index leads out of its folder by a link alone, which is the user's own" {
    mkdir f
    make-model a.safetensors 'w F32 1 = 1'
    ln -s ../a.safetensors f/a.safetensors
    printf '{"weight_map":{"w":"a.safetensors"}}' > f/m.safetensors.index.json
    run -0 tensor-ls f
    for name in ../a.safetensors "$PWD/a.safetensors" ./a.safetensors . .. '' 'a.safetensors/' 'a.safetensors\u0000' \
        'http://169.254.169.254/a.safetensors' "$(printf 'n%.0s' {1..256})"; do
        printf '{"weight_map":{"w":"%s"}}' "${name//\\/\\\\}" | sed 's/\\\\u/\\u/' > f/m.safetensors.index.json
        refuses "'w' is said to lie in no file of this folder" tensor-ls f
    done
    rm f/a.safetensors
    printf '{"weight_map":{"w":"\\u001b]0;x\\u0007"}}' > f/m.safetensors.index.json
    refuses 'f/\x1b]0;x\x07: No such file' tensor-ls f
}

@test "a total_size that lies is told" {
    mkdir f
    make-model f/a.safetensors 'w F32 1 = 1'
    for total in 5 -4 1e308 '"4"' 18446744073709551615; do
        printf '{"metadata":{"total_size":%s},"weight_map":{"w":"a.safetensors"}}' "$total" > f/m.safetensors.index.json
        run --separate-stderr -0 tensor-ls --json f
        [ "$stderr" = "tensor-ls: warning: f/m.safetensors.index.json: total_size is not that of its tensors, 4 bytes" ]
    done
    for total in 4 4.0; do
        printf '{"metadata":{"total_size":%s},"weight_map":{"w":"a.safetensors"}}' "$total" > f/m.safetensors.index.json
        run --separate-stderr -0 tensor-ls --json f
        [ -z "$stderr" ]
    done
}

@test "splits that lie" {
    # parts PREFIX NO:COUNT:TENSORS:NAME...
    parts() {
        python3 -c 'import sys
from formats import gguf, ones
for i, part in enumerate(sys.argv[2:]):
    no, count, total, name = part.split(":")
    pairs = [("split.no", "u16", int(no)), ("split.count", "u16", int(count)), ("split.tensors.count", "i32", int(total))]
    with open("%s-%05d-of-%05d.gguf" % (sys.argv[1], i + 1, len(sys.argv) - 2), "wb") as file:
        file.write(gguf([ones(name)], pairs if count != "0" else []))' "$@"
    }
    parts good 0:2:2:a 1:2:2:b
    run -0 tensor-ls good-00002-of-00002.gguf
    parts no 0:2:2:a 0:2:2:b
    refuses "no-00002-of-00002.gguf: its metadata does not say that it is part 2 of 2" tensor-ls no-00001-of-00002.gguf
    parts count 0:2:2:a 1:3:2:b
    refuses "count-00002-of-00002.gguf: its metadata does not say that it is part 2 of 2" tensor-ls count-00001-of-00002.gguf
    parts mixed 0:2:2:a 0:0:0:b
    refuses "mixed-00002-of-00002.gguf: its metadata does not say" tensor-ls mixed-00001-of-00002.gguf
    parts total 0:2:2:a 1:2:9:b
    refuses "total-00002-of-00002.gguf: the parts of the split have 2 tensors" tensor-ls total-00001-of-00002.gguf
    parts negative 0:2:-1:a 1:2:-1:b
    refuses "negative-00001-of-00002.gguf: the parts of the split have 2 tensors" tensor-ls negative-00001-of-00002.gguf
    parts doubled 0:2:2:a 1:2:2:a
    refuses "tensor 'a' is in doubled-00001-of-00002.gguf, too" tensor-ls doubled-00001-of-00002.gguf
    parts many 0:65535:2:a 1:2:2:b
    refuses "one of 65535 parts, but its name does not say which" tensor-ls many-00001-of-00002.gguf
    run -0 tensor-ls --lenient --quiet total-00001-of-00002.gguf
}

# ---- Names ----

@test "names that are commands break no row of any filter, and reach no terminal" {
    local names=($'\e]52;c;ZXZpbA==\a' $'a\nb' $'a\tb' $'a\rb' $'\u009b2Jc' $'=cmd|\'calc\'!A0' '"a","b"' '</td><script>' '| a | b |' "a' OR 1")
    local models=() groups=() name i filter command
    for name in "${names[@]}"; do
        models+=("${name// /_} F32 1x32 = $(printf '1 %.0s' {1..32})")
        for part in q k v attn_out; do
            groups+=("${name// /_}.$part F32 1x1x1 = 1")
        done
    done
    make-model m.tsr "${models[@]}"
    make-model groups.tsr "${groups[@]}" -- x.tsr "x F32 32 = $(printf '1 %.0s' {1..32})"
    tensor-cos m.tsr m.tsr > results.tsr
    echo 'nothing = something' > none.map
    for filter in $(filters); do
        case $filter in
        # one has no rows, the stages of the other have names of ours; origin.bats has the third
        tensor-save | tensor-trace | tensor-origin) continue ;;
        tensor-rand)
            command="tensor-rand"
            for i in "${!names[@]}"; do
                command+=" --tensor \"\$(cat name$i)=1x32\""
                printf %s "${names[i]// /_}" > "name$i"
            done
            ;;
        tensor-attn | tensor-attn-gpu) command="$filter groups.tsr" ;;
        tensor-heads) command="tensor-heads groups.tsr groups.tsr" ;;
        tensor-matmul) command="tensor-matmul m.tsr x.tsr" ;;
        tensor-map) command="tensor-map --map none.map m.tsr" ;;
        tensor-fault) command="tensor-fault --fault bit m.tsr" ;;
        tensor-cos | tensor-splice) command="$filter m.tsr m.tsr" ;;
        tensor-quant) command="tensor-quant --to q8_0 m.tsr" ;;
        verdict) command="verdict --min 0 --worst 100 results.tsr" ;;
        *) command="$filter m.tsr" ;;
        esac
        for mode in --table --tsv --json; do
            run -0 sh -c "$command $mode"
            LC_ALL=C grep -q $'[\001-\010\013-\037\177]\|\xc2[\x80-\x9f]' <<< "$output" && echo "$command $mode" && return 1
            case $mode in
            --tsv) awk -F'\t' 'NR == 1 { n = NF } NF != n { exit 1 } END { exit NR != 11 && NR != 12 }' <<< "$output" ;;
            --json) python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' <<< "$output" ;;
            esac
        done
    done
}

@test "giant names, and patterns that are slow to match" {
    make-model m.tsr "$(printf 'a%.0s' {1..65536}) F32 - = 1" "$(printf 'ab%.0s' {1..30000}) F32 - = 1"
    for pattern in 'a*a*a*a*a*a*c' '*a*b*a*b*a*b*a*b*a*c' '*[ab]*[ab]*[ab]*[ab]*[ab]?[!ab]' "$(printf '*a%.0s' {1..500})c"; do
        for locale in C C.UTF-8; do
            run --separate-stderr -2 timeout 5 env LC_ALL=$locale tensor-ls --json --match "$pattern" m.tsr
            [ -z "$output" ]
        done
    done
    tensor-ls --stream m.tsr > list.tsr
    run timeout 5 verdict --rule 'a*a*a*a*a*a*a*c:nbytes > 0' list.tsr
    [ "$status" -eq 2 ]
}

# ---- Memory, disks, signals ----

# bats test_tags=sweep
@test "a header of 100 MB and 750,000 tensors takes little time and memory" {
    python3 - << 'END'
import struct
count, total = 750000, 100000000
entry = '"%s":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'
digits = sum(len(str(i)) + len(str(i + 1)) for i in range(count))
width = (total - 2 - count * len((entry + ",") % ("", 0, 0)) - digits + 2 * count) // count
names = "%%0%dd" % width
text = "{%s}" % ",".join([entry % (names % i, i, i + 1) for i in range(count)])
with open("large.safetensors", "wb") as file:
    file.write(struct.pack("<Q", total) + text.ljust(total).encode())
    file.truncate(8 + total + count)
END
    local memory=unlimited
    [ -n "$TU_SANITIZED" ] || memory=300000
    run -0 bash -c "ulimit -v $memory; TIMEFORMAT=%U; time tensor-ls --totals --tsv large.safetensors"
    says $'all\t750000\t750000\t750000'
    # a second on an idle machine; what is held to here is processor time, and a slow processor's
    [ -n "$TU_SANITIZED" ] || [ "${lines[-1]%.*}" -lt 3 ]
    rm large.safetensors
}

@test "memory that ends is told in one line, wherever it ends" {
    [ -z "$TU_SANITIZED" ] || skip "a sanitizer maps terabytes"
    python3 - << 'END'
import struct
from struct import pack
entry = '"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
def safetensors(name, text):
    with open(name, "wb") as file:
        file.write(pack("<Q", len(text)) + text.encode() + b"\0")
safetensors("metadata.safetensors", '{"__metadata__":{"a":"' + "x" * 2000000 + '"},' + entry + "}")
safetensors("escapes.safetensors", '{"' + "\\u0041" * 300000 + '":' + entry[4:] + "}")
safetensors("deep.safetensors", '{"__metadata__":{"a":' + "[" * 1000000)
with open("index.json", "w") as file:
    file.write('{"a":"' + "x" * 2000000 + '"}')
with open("array.gguf", "wb") as file:
    file.write(pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 0, 75000) + b"\1" * 75000)
END
    run -0 bash -c 'ulimit -c 0
        for file in metadata.safetensors escapes.safetensors deep.safetensors index.json array.gguf; do
            for ((memory = 9000; memory < 25000; memory += 1500)); do
                message=$( (ulimit -v $memory; tensor-ls --version && exec tensor-ls --meta --json $file) 2>&1 > output)
                status=$?
                [ -s output ] || continue # too little to begin with
                [ $status -eq 0 ] || [[ $status -eq 2 && $message == tensor-ls:* && $message != *$'"'\\n'"'* ]] ||
                    echo "$file $memory: $status: $message"
            done
        done'
    echo "$output"
    [ -z "$output" ]
}

@test "a temporary file that finds no room" {
    tensor-rand --tensor w=100000 | tensor-save w.gguf
    refuses "No such file or directory" sh -c 'cat w.gguf | TMPDIR=/nowhere tensor-ls'
    refuses "File too large" bash -c 'trap "" XFSZ; cat w.gguf | (ulimit -f 100; exec tensor-ls --table)'
}

@test "signals leave no file behind" {
    tensor-rand --tensor w=1000 > w.tsr
    mkfifo pipe
    for signal in TERM INT HUP PIPE; do
        for options in '' '--max-shard-size 1k'; do
            # an interactive shell's job: an ordinary one ignores INT
            bash -c "trap - INT; exec env --default-signal=INT tensor-save $options m.safetensors pipe" 3>&- &
            local pid=$!
            exec 4> pipe
            head -c 2000 w.tsr >&4
            kill -$signal $pid
            exec 4>&-
            wait $pid && return 1
            [ "$(folder)" = "pipe w.tsr " ]
        done
    done
}
