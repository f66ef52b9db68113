#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# verdict --report: each format by a reader that is not ours.  The readers of Python's library are
# always there; xmllint, prove, jsonschema and Chromium are asked where they are installed.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --like qwen2 --num-layers 3 --hidden 256 --heads 4 --kv-heads 2 --head-dim 64 --ffn 256 --vocab 256 > m.tsr
    tensor-quant -q --to Q4_K m.tsr > q.tsr
    tensor-cos m.tsr q.tsr > pass.tsr
    # one tensor transposed, one with a NaN, two that are missing
    tensor-dequant q.tsr | tensor-fault --fault transpose --match 'model.layers.1.self_attn.q_proj.weight' |
        tensor-fault --fault nan --match 'model.layers.2.mlp.up_proj.weight' |
        tensor-cat --exclude 'model.layers.0.*norm*' | tensor-cos m.tsr - > fail.tsr
    make-hostile-results hostile.tsr names.json
    make-model none.tsr
    tensor-cos none.tsr none.tsr > empty.tsr
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
    out=$BATS_TEST_TMPDIR/out
}

all="json=out.json,junit=out.xml,tap=out.tap,markdown=out.md,html=out.html,sarif=out.sarif,github=out.github"

# report FORMAT RESULTS [OPTION]...: the report in $out; the status is that of verdict.
report() {
    local format=$1 results=$2
    shift 2
    verdict --report "$format=$out" "$@" "$results" > "$BATS_TEST_TMPDIR/text"
}

# A program in Python, on standard input, that reads the report and the hostile names.
reads() {
    python3 - "$out" names.json
}

# ---- The option ----

@test "all reports of one run, and the text as ever" {
    mkdir -p "$BATS_TEST_TMPDIR/r"
    cd "$BATS_TEST_TMPDIR/r"
    run -0 verdict --report "$all" "$BATS_FILE_TMPDIR/pass.tsr"
    [ "${lines[0]}" = "verdict: pass" ]
    for file in json xml tap md html sarif github; do
        [ -s out.$file ]
    done
    # several options are one list
    run -0 verdict --report json=1 --report junit=2,tap=3 "$BATS_FILE_TMPDIR/pass.tsr"
    cmp 1 out.json
    cmp 2 out.xml
    cmp 3 out.tap
    # beside --json and --tsv, too
    run -0 verdict --json --report junit=4 "$BATS_FILE_TMPDIR/pass.tsr"
    cmp 4 out.xml
    [ "$output" = "$(cat out.json)" ]
}

@test "what is no list of reports" {
    refuses "needs a file" verdict --report json pass.tsr
    refuses "'xml=x' is no report" verdict --report xml=x pass.tsr
    refuses "'' is no report" verdict --report '' pass.tsr
    refuses "'' is no report" verdict --report "json=$out," pass.tsr
    refuses "needs the name of a file" verdict --report json= pass.tsr
    refuses "standard output has the text" verdict --report json=- pass.tsr
    refuses "two reports to one place" verdict --report "json=$out,tap=$out" pass.tsr
    refuses "two reports to one place" verdict --report github,github pass.tsr
    refuses "goes with the text" verdict --json --report github pass.tsr
    refuses "goes with the text" verdict --tsv --report github pass.tsr
    refuses "no file that a report could replace" verdict --report "json=$BATS_TEST_TMPDIR" pass.tsr
    ln -s pass.tsr "$BATS_TEST_TMPDIR/link"
    refuses "no file that a report could replace" verdict --report "json=$BATS_TEST_TMPDIR/link" pass.tsr
    refuses "absent" verdict --report "json=$BATS_TEST_TMPDIR/absent/x" pass.tsr
    [ ! -e "$out" ]
}

@test "no report is left of a run without a verdict, nor of an earlier one" {
    size=$(stat -c %s pass.tsr)
    run -0 report junit pass.tsr
    [ -s "$out" ]
    run -2 pipeline "head -c $((size - 5)) pass.tsr | verdict --report junit=$out"
    [ ! -e "$out" ]
    # nor of one whose rules, contract, options or operand are wrong, before the reports or behind them
    for format in json junit tap markdown html sarif github; do
        while read -r wrong; do
            run -0 report $format pass.tsr
            # shellcheck disable=SC2086
            run -2 verdict --report "$format=$out" $wrong
            [ ! -e "$out" ]
            run -0 report $format pass.tsr
            # shellcheck disable=SC2086
            run -2 verdict $wrong --report "$format=$out"
            [ ! -e "$out" ]
        done << 'END'
--min x pass.tsr
--rule x pass.tsr
--worst x pass.tsr
--profile absent pass.tsr
--contract absent --claim C pass.tsr
--claim C pass.tsr
--typo pass.tsr
absent.tsr
pass.tsr absent.tsr
END
    done
    # but no file that is none
    cp pass.tsr "$out"
    run -2 verdict --report "json=$out" --typo pass.tsr
    cmp pass.tsr "$out"
    rm "$out"
    # nor a file that was to become one
    [ "$(find "$BATS_TEST_TMPDIR" -mindepth 1 ! -name work ! -name out ! -name text)" = "" ]
}

@test "no report takes the place of what is read" {
    cp pass.tsr "$BATS_TEST_TMPDIR/r.tsr"
    cp "$srcdir/lib/judge/profiles/auto.profile" "$BATS_TEST_TMPDIR/p"
    ln "$BATS_TEST_TMPDIR/r.tsr" "$BATS_TEST_TMPDIR/hard"
    refuses "is read, too" verdict --report "json=$BATS_TEST_TMPDIR/r.tsr" "$BATS_TEST_TMPDIR/r.tsr"
    refuses "is read, too" verdict --report "json=$BATS_TEST_TMPDIR/hard" "$BATS_TEST_TMPDIR/r.tsr"
    refuses "is read, too" sh -c 'verdict --report "json=$1" < "$1"' sh "$BATS_TEST_TMPDIR/r.tsr"
    refuses "is read, too" verdict --report "json=$BATS_TEST_TMPDIR/p" --profile "$BATS_TEST_TMPDIR/p" pass.tsr
    cmp pass.tsr "$BATS_TEST_TMPDIR/r.tsr"
    cmp "$srcdir/lib/judge/profiles/auto.profile" "$BATS_TEST_TMPDIR/p"
}

@test "a report that cannot be written is trouble" {
    mkdir "$BATS_TEST_TMPDIR/full"
    mount -t tmpfs -o size=4k none "$BATS_TEST_TMPDIR/full" 2> /dev/null || skip "nothing can be mounted here"
    run -2 verdict --report "html=$BATS_TEST_TMPDIR/full/out" pass.tsr
    left=$(ls -A "$BATS_TEST_TMPDIR/full")
    umount "$BATS_TEST_TMPDIR/full"
    says "No space left"
    [ -z "$left" ]
}

@test "the same records give the same bytes" {
    for n in 1 2; do
        mkdir -p "$BATS_TEST_TMPDIR/$n"
        (cd "$BATS_TEST_TMPDIR/$n" && run -1 verdict --report "$all" "$BATS_FILE_TMPDIR/hostile.tsr")
        [ "$n" -eq 1 ] || sleep 1
    done
    diff -r "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/2"
}

@test "no verdict but a pass looks like one, in any format" {
    mkdir -p "$BATS_TEST_TMPDIR/r"
    cd "$BATS_TEST_TMPDIR/r"
    while read -r status options; do
        results=pass.tsr
        [[ $options != empty* ]] || results=empty.tsr
        options=${options#empty}
        # shellcheck disable=SC2086
        run "-$status" verdict $options --report "$all" "$BATS_FILE_TMPDIR/$results"
        python3 - "$status" << 'END'
import json, re, sys, xml.etree.ElementTree as tree
good = sys.argv[1] == "0"
read = lambda name: open("out." + name).read()
suite = tree.parse("out.xml").getroot()
assert (suite.get("failures") == suite.get("errors") == "0") == good
assert ("\nnot ok" not in read("tap")) == good and (good or "1..0" not in read("tap"))
assert read("md").startswith("## verdict: pass\n") == good
assert ("<b class=\"pass\">pass</b>" in read("html")) == good
assert ("::error" not in read("github")) == good
assert (json.loads(read("json"))["verdict"] == "pass") == good
run = json.loads(read("sarif"))["runs"][0]
assert (run["invocations"][0]["executionSuccessful"] and not run["results"]) == good
END
    done << 'END'
0
0 --profile auto --rule max_diff<1
1 --profile exact
2 empty
0 empty --allow-empty
2 --rule absent:max_diff<1 --rule max_diff<1
2 --rule *norm*:max_diff<1
0 --rule *norm*:max_diff<1 --allow unjudged
1 --rule *norm*:max_diff<0
END
}

# ---- JUnit ----

@test "junit: cases, counts and names" {
    run -1 report junit hostile.tsr --min 0.9 --allow only_b
    reads << 'END'
import json, re, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
assert root.tag == "testsuites" and len(root) == 1
suite = root[0]
cases = suite.findall("testcase")
names = json.load(open(sys.argv[2]))
assert len(cases) == len(names) == int(suite.get("tests")) == int(root.get("tests"))
for tag in "failure", "error", "skipped":
    found = sum(len(c.findall(tag)) for c in cases)
    key = tag + ("s" if tag != "skipped" else "")
    assert found == int(suite.get(key)) > 0, tag
assert all(len(c) <= 1 for c in cases)
def shown(name):
    name = re.sub("[\0-\x1f\x7f]", lambda m: "\\x%02x" % ord(m[0]), name).replace("\x85", "\\xc2\\x85")
    name = name.replace("##[", "##\\x5B")
    return re.sub("[\ufffe\uffff\u202e]", lambda m: "".join("\\x%02x" % b for b in m[0].encode()), name)
assert sorted(c.get("name") for c in cases) == sorted(map(shown, names)), (
    sorted(c.get("name") for c in cases), sorted(map(shown, names)))
properties = [(p.get("name"), p.get("value")) for p in suite.find("properties")]
assert properties == [("verdict", "fail"), ("rule", "cosine_similarity >= 0.9"), ("rule", "norm_change <= 0.44721359549995787")], properties
END
}

@test "junit: xmllint finds what the schema wants" {
    command -v xmllint > /dev/null || skip "xmllint (libxml2-utils) is not installed"
    for results in pass fail hostile empty; do
        rm -f "$out"
        run verdict --report "junit=$out" --allow only_b $results.tsr
        [ "$status" -le 2 ]
        xmllint --noout --schema "$srcdir/tests/judge/junit.xsd" "$out"
    done
}

# ---- TAP ----

@test "tap: a plan, numbered points, no directives that were not meant" {
    run -1 report tap hostile.tsr --min 0.9 --allow only_b
    reads << 'END'
import re, sys, json
lines = open(sys.argv[1], newline="\n").read().split("\n")
assert lines.pop() == "" and lines[0] == "TAP version 13"
count = len(json.load(open(sys.argv[2])))
assert lines[1] == "1..%d" % count
points, inside, skipped = 0, False, 0
for line in lines[2:]:
    if inside:
        inside = line != "  ..."
        assert line.startswith("  ")
        if ":" in line:
            json.loads(line.split(": ", 1)[1])
        continue
    if line == "  ---":
        inside = True
        continue
    found = re.fullmatch(r"(not )?ok (\d+) - (.*)", line)
    assert found, line
    points += 1
    assert int(found[2]) == points
    # a # that is not escaped begins a directive
    directive = re.sub(r"\\.", "", found[3]).partition("#")[2]
    assert directive in ("", " SKIP allowed: only_b"), line
    skipped += directive != ""
assert points == count and skipped > 0
END
}

@test "tap: prove reads it" {
    command -v prove > /dev/null || skip "prove (perl) is not installed"
    run -0 report tap pass.tsr
    run -0 prove --exec cat "$out"
    says "Tests=$(grep -c '^ok' "$out")" "Result: PASS"
    run -1 report tap hostile.tsr --min 0.9 --allow only_b
    run prove --exec cat "$out"
    [ "$status" -ne 0 ]
    says "Result: FAIL" "Tests: $(grep -c '^\(not \)\?ok ' "$out") Failed: $(grep -c '^not ok ' "$out"))"
    # no plan of 0, which prove would take for skipped
    run -2 report tap empty.tsr
    run prove --exec cat "$out"
    [ "$status" -ne 0 ]
}

# ---- JSON and SARIF ----

# holds FORMAT SCHEMA: the reports of all results, by the schema.
holds() {
    python3 -c 'import jsonschema' 2> /dev/null || skip "python3-jsonschema is not installed"
    for results in pass fail hostile empty; do
        for options in "" "--min 0.9" "--rule *:max_diff<1" "--rule *norm*:max_diff<1"; do
            # shellcheck disable=SC2086
            rm -f "$out"
            run verdict --report "$1=$out" $options $results.tsr
            [ "$status" -le 2 ]
            python3 -c 'import json, jsonschema, sys
jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))' "$srcdir/tests/judge/$2" "$out"
        done
    done
}

@test "json: the schema holds" {
    holds json verdict.schema.json
}

@test "sarif: the schema holds" {
    holds sarif sarif.schema.json
}

@test "json: names are those of the records" {
    run -1 report json hostile.tsr --rule 'max_diff < 0'
    reads << 'END'
import json, sys
v = json.load(open(sys.argv[1]))
assert sorted(t["name"] for t in v["failures"]) == sorted(n.partition("\0")[0] for n in json.load(open(sys.argv[2])))
assert v["records"] == v["failed"] == v["broke_a_rule"] + v["incomparable"] + v["missing"]
END
}

@test "sarif: what a reader of version 2.1.0 needs" {
    run -1 report sarif hostile.tsr --min 0.9
    reads << 'END'
import json, re, sys
log = json.load(open(sys.argv[1]))
assert log["version"] == "2.1.0" and len(log["runs"]) == 1
run = log["runs"][0]
driver = run["tool"]["driver"]
assert driver["name"] == "verdict"
ids = [rule["id"] for rule in driver["rules"]]
assert len(set(ids)) == len(ids)
for result in run["results"]:
    assert result["ruleId"] in ids and result["level"] == "error"
    text = result["message"]["text"]
    # neither links nor arguments
    assert not re.search(r"\{\d", text.replace("{{", "")) and "[" not in text.replace(r"\[", "")
    (location,) = result["locations"]
    (logical,) = location["logicalLocations"]
    assert not re.search("[\0-\x1f]", logical["fullyQualifiedName"])
assert {r["ruleId"] for r in run["results"]} == {"failed", "incomparable", "missing"}
END
    run -2 report sarif pass.tsr --rule '*norm*:max_diff < 1'
    [[ $(< "$out") == *'"ruleId":"unjudged"'*  ]]
}

# ---- Markdown ----

@test "markdown: every row has its cells, and code is closed" {
    run -1 report markdown hostile.tsr --min 0.9
    reads << 'END'
import re, sys
text = open(sys.argv[1]).read()
rows = [line for line in text.split("\n") if line.startswith("| ") and " failed |" not in line[:12]]
rows = re.findall(r"^\| (?:failed|incomparable|missing) \|.*$", text, re.M)
assert len(rows) > 20
for row in rows:
    cells = row.strip("|").split("|")
    assert len(cells) == 4, row
    for cell in (cells[1], cells[3]):
        cell = cell.strip()
        assert re.fullmatch(r"`[^`]+`|<code>[^<>`|*_\[\]@]*</code>", cell), cell
    float(cells[2])
# nothing of a name stands outside of code
outside = re.sub(r"`[^`\n]*`|<code>.*?</code>", "", text)
assert not re.search("script|pwned|calc|cmd|user", outside), outside
END
    run -0 report markdown pass.tsr
    grep -qx '## verdict: pass' "$out"
    [ "$(grep -c '^| failed' "$out")" -eq 0 ]
}

@test "markdown: a hundred failures at most" {
    for i in {1..150}; do printf 'w%d F32 1 = 1\n' "$i"; done | (
        mapfile -t tensors
        make-model "$BATS_TEST_TMPDIR/many.tsr" "${tensors[@]}"
    )
    tensor-cos "$BATS_TEST_TMPDIR/many.tsr" "$BATS_TEST_TMPDIR/many.tsr" > "$BATS_TEST_TMPDIR/r.tsr"
    run -1 report markdown "$BATS_TEST_TMPDIR/r.tsr" --rule "max_diff > 0"
    [ "$(grep -c '^| failed | `' "$out")" -eq 100 ]
    grep -qx '50 more are not shown.' "$out"
}

# ---- GitHub ----

@test "github: commands behind the text, and none that a name has made" {
    run -1 verdict --min 0.9 --report github hostile.tsr
    [ "${lines[0]}" = "verdict: fail" ]
    [ "$(grep -c '^::' <<< "$output")" -eq 10 ]
    [ "$(grep -c '^::error title=' <<< "$output")" -eq 10 ]
    says "::error title=verdict::fail: "
    # the older form counts anywhere in a line, also in the text
    [[ $output != *'##['* ]]
    # a % is data
    run -1 report github hostile.tsr --rule '%*:max_diff < 0' --allow unjudged --allow only_a --allow only_b --allow shape_mismatch --allow nonfinite
    grep -q '^::error title=failed%3A %250A%3A%3Aerror%3A%3Ax::%250A::error::x: not max_diff < 0$' "$out"
    run -0 verdict --report github pass.tsr
    [ "$(grep '^::' <<< "$output" | cut -d: -f 1-5)" = "::notice title=verdict::pass" ]
}

@test "names that are formulas, or commands, in text and --tsv" {
    run -1 verdict --tsv --min 0.9 hostile.tsr
    [ "$(cut -f 5 <<< "$output" | grep -c '^[=+@-]')" -eq 0 ]
    says $'\t\\x3Dcmd|' $'\t\\x2B1' $'\t\\x2D1' $'\t\\x40user'
    run -1 verdict --worst 100 --min 0.9 hostile.tsr
    [ "$(LC_ALL=C tr -d '\n' <<< "$output" | LC_ALL=C grep -c '[[:cntrl:]]')" -eq 0 ]
    [[ $output != *'##['* ]]
}

# ---- HTML ----

@test "html: tags are ours, names are text, the policy has the digests of style and script" {
    run -1 report html hostile.tsr --min 0.9 --worst 100
    reads << 'END'
import base64, hashlib, html.parser, json, re, sys
VOID = {"meta"}
KNOWN = set("html head meta title style body h1 h2 h3 b p table thead tbody tr th td ul li code bdi button figure svg div section "
            "rect figcaption script".split())
class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.count, self.names, self.text = [], {}, [], {}
    def handle_starttag(self, tag, attributes):
        assert tag in KNOWN, tag
        allowed = {"meta": {"charset", "http-equiv", "content"}, "td": {"class", "title"}, "html": {"lang"}, "tr": {"class"}, "div": {"class"},
                   "table": {"class", "id"}, "th": {"class"}, "b": {"class"}, "svg": {"width", "height", "role"},
                   "rect": {"x", "y", "width", "height"}}.get(tag, set())
        assert {k for k, v in attributes} <= allowed, (tag, attributes)
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag == "meta" and dict(attributes).get("http-equiv"):
            self.policy = dict(attributes)["content"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "bdi":
            self.names.append("")
    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data
            if self.open[-1] == "bdi":
                self.names[-1] += data
page = open(sys.argv[1], newline="").read()
reader = Reader()
reader.feed(page)
reader.close()
assert reader.open == [] and reader.count["script"] == reader.count["style"] == 1
digest = lambda text: "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
assert reader.policy == "default-src 'none'; style-src %s; script-src %s" % (
    digest(reader.text["style"]), digest(reader.text["script"])), (digest(reader.text["style"]), digest(reader.text["script"]))
assert not re.search("https?:|src=|href=|url\\(|@import", page.replace("http://e.com", ""))
names = [n for n in json.load(open(sys.argv[2])) if n.isprintable() and "##" not in n]
assert len(names) > 25
# once among the worst, once in the table of all
assert all(reader.names.count(n) >= 2 for n in names), [n for n in names if reader.names.count(n) < 2]
assert reader.count["svg"] == len(json.load(open(sys.argv[2])))
assert '<title>2: 20</title></rect>' in page and '<title>9 to 16: 1</title></rect>' in page
END
}

@test "html: the map has a cell for each layer and role" {
    run -1 report html fail.tsr --min 0.99
    reads << 'END'
import re, sys
page = open(sys.argv[1]).read()
layers = re.search(r'<table class="map" id="layers">(.*?)</table>', page, re.S)[1]
head, body = layers.split("</thead>")
roles = re.findall("<bdi>(.*?)</bdi>", head)
assert len(roles) == 12 and "mlp.up_proj.weight" in roles and "self_attn.k_proj.bias" in roles, roles
rows = re.findall(r"<tr><th>(\d+)</th>(.*?)</tr>", body)
assert [row[0] for row in rows] == ["0", "1", "2"]
cells = [re.findall(r'<td class="([\w ]+)" title="([^"]*)">([^<]*)</td>', row[1]) for row in rows]
assert all(len(c) == len(roles) for c in cells)
for row, line in enumerate(cells):
    for role, (look, title, text) in zip(roles, line):
        assert title.startswith("model.layers.%d.%s: " % (row, role)), title
bad = {title for line in cells for look, title, text in line if look[:3] == "bad"}
assert bad == {"model.layers.0.input_layernorm.weight: missing", "model.layers.0.post_attention_layernorm.weight: missing",
               "model.layers.1.self_attn.q_proj.weight: incomparable", "model.layers.2.mlp.up_proj.weight: incomparable"}, bad
others = re.search(r'<table class="map" id="others">(.*?)</table>', page, re.S)[1]
assert re.findall("<bdi>(.*?)</bdi>", others) == ["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"]
# what is quantized is darker than what is equal
shades = {text: look for line in cells for look, title, text in line if look[0] == "s"}
assert shades["1"] == "s0" and all(look > "s4" for text, look in shades.items() if text != "1"), shades
END
    # what broke a rule has a shade, too
    run -1 report html pass.tsr --min 0.9999
    reads << 'END'
import re, sys
cells = re.findall(r'<td class="([\w ]+)" title="([^"]*)">([^<]*)</td>', open(sys.argv[1]).read())
looks = {look for look, title, text in cells if title.endswith(": failed")}
assert looks and all(re.fullmatch(r"bad b\d", look) for look in looks), looks
END
}

@test "html: names of strangers make no map of any size" {
    python3 - "$srcdir/tests/tools" << 'END' > "$BATS_TEST_TMPDIR/r.tsr"
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
sys.stdout.buffer.write(formats.stream([], [formats.pack(
    {"kind": "compare", "name": "l.%d.r%d" % (i, i), "status": "ok", "max_diff": 0.0}) for i in range(3000)]))
END
    run -0 report html "$BATS_TEST_TMPDIR/r.tsr" --rule 'max_diff <= 0'
    grep -q '3000 layers by 3000 roles are too many' "$out"
    [ "$(stat -c %s "$out")" -lt 1000000 ]
}

# in_browser FILE [OPTION]...: Chromium, as far from the net as it goes.
in_browser() {
    local file=$1
    shift
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-background-networking --enable-logging=stderr \
        --user-data-dir="$BATS_TEST_TMPDIR/profile" "$@" "file://$file" 2> "$BATS_TEST_TMPDIR/log"
}

# bats test_tags=sweep
@test "html: Chromium shows it, sorts it, and runs nothing else" {
    browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "there is no Chromium here"
    run -1 report html hostile.tsr --min 0.9 --worst 100
    cp "$out" "$BATS_TEST_TMPDIR/page.html"
    in_browser "$BATS_TEST_TMPDIR/page.html" --dump-dom > dom
    grep -q '<title>verdict: fail</title>' dom
    # not a word on the console: no script was refused, since there was none to refuse
    [ "$(grep -c CONSOLE "$BATS_TEST_TMPDIR/log")" -eq 0 ]
    in_browser "$BATS_TEST_TMPDIR/page.html" --window-size=1200,900 "--screenshot=$BATS_TEST_TMPDIR/page.png" > /dev/null
    [ "$(head -c 24 "$BATS_TEST_TMPDIR/page.png" | od -An -tx1 -j 16 | tr -d ' \n')" = 000004b000000384 ]
    # two clicks by a script of the test, which the policy would refuse
    python3 - "$BATS_TEST_TMPDIR/page.html" << 'END' > "$BATS_TEST_TMPDIR/clicked.html"
import re, sys
page = re.sub("<meta http-equiv[^>]*>", "", open(sys.argv[1], newline="").read())
print(page.replace("</body>", """<script>
const table = document.getElementById("all"), buttons = table.tHead.querySelectorAll("button");
const column = n => [...table.tBodies[0].rows].map(row => row.cells[n].textContent);
buttons[6].click(); const up = column(6); buttons[6].click(); const down = column(6);
buttons[1].click(); const values = column(1).filter(x => x).map(Number);
const sorted = values.every((x, i) => i == 0 || values[i - 1] <= x);
// no wider than the window, and no row as high as a name is long
const fits = document.documentElement.scrollWidth <= innerWidth;
const low = [...table.rows].every(row => row.offsetHeight < 120);
document.body.append(Object.assign(document.createElement("pre"), {id: "said", textContent:
    `rows ${up.length} reversed ${up.join() == down.reverse().join()} sorted ${sorted} fits ${fits} low ${low} ${document.title}`}));
</script></body>"""))
END
    in_browser "$BATS_TEST_TMPDIR/clicked.html" --window-size=500,900 --dump-dom > dom
    says_so="rows $(python3 -c 'import json; print(len(json.load(open("names.json"))))') reversed true sorted true fits true low true verdict: fail"
    grep -qF "<pre id=\"said\">$says_so</pre>" dom || {
        grep -a 'id="said"' dom
        cat "$BATS_TEST_TMPDIR/log"
        return 1
    }
}
