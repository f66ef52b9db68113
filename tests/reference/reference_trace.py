#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The forward pass of a Hugging Face folder once more, in plain Python: what tensor-trace(1) is held to.

usage: reference_trace.py FOLDER IDS TRACE.safetensors [LIMIT]

FOLDER has a config.json that states everything, and F32 or BF16 weights in one model.safetensors; IDS are
token ids with commas.  Computes each stage in float64 and prints the first stage of TRACE, in dataflow
order, whose relative distance |a - b| / |b| is above LIMIT (1e-11), that has another shape, or that is not
there, and leaves with 1; else "N stages, worst W STAGE".  Scores above the diagonal are compared, too.

Numbers of the configuration that files hold in float32 are rounded to it.  Written from the papers and from the conventions of transformers, not from the code under test: weights
are rows of [out][in]; q and k turn their halves; gemma's norms lack 1, its embedding is times sqrt(hidden).
"""
import json
import math
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + n for n in entry["data_offsets"])
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            raw = b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2))
        kind, size = {"F64": ("d", 8), "I32": ("i", 4)}.get(entry["dtype"], ("f", 4))
        tensors[name] = entry["shape"], struct.unpack(f"<{len(raw) // size}{kind}", raw)
    return tensors


def rows(tensor):
    shape, values = tensor
    n = len(values) // shape[0]
    return [values[i * n:(i + 1) * n] for i in range(shape[0])]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def product(x, weight):
    return [[dot(row, w) for w in weight] for row in x]


def softmax(scores):
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    total = math.fsum(powers)
    return [p / total for p in powers]


def add(a, b):
    return [[x + y for x, y in zip(p, q)] for p, q in zip(a, b)]


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


class Model:
    def __init__(self, folder):
        with open(folder + "/config.json") as file:
            self.c = json.load(file)
        self.w = read(folder + "/model.safetensors")
        self.kind = self.c["model_type"]
        self.gemma = self.kind.startswith("gemma")
        self.posts = self.kind in ("gemma2", "gemma3_text")
        self.heads, self.kv = self.c["num_attention_heads"], self.c["num_key_value_heads"]
        self.dim = self.c["head_dim"]
        self.eps = f32(self.c["rms_norm_eps"])
        self.stages = []

    def put(self, name, values, shape):
        self.stages.append((name, shape, values))

    def matrix(self, name):
        return rows(self.w[name]) if name in self.w else self.expert(name)

    def expert(self, name):
        """A weight that newer checkpoints hold in one tensor with others."""
        moe, _, rest = name.partition(".block_sparse_moe." if self.kind == "mixtral" else ".mlp.")
        if rest == "gate.weight":
            return rows(self.w[moe + ".mlp.gate.weight"])
        _, number, word, _ = rest.split(".")
        part = {"w1": 0, "gate_proj": 0, "w3": 1, "up_proj": 1}.get(word)
        shape, values = self.w[f"{moe}.mlp.experts.{'down_proj' if part is None else 'gate_up_proj'}"]
        n = shape[1] * shape[2]
        whole = rows((shape[1:], values[int(number) * n:(int(number) + 1) * n]))
        half = len(whole) // 2
        return whole if part is None else whole[part * half:(part + 1) * half]

    def norm(self, x, name):
        weight = self.w[name][1]
        if self.gemma:
            weight = [1 + v for v in weight]
        out = []
        for row in x:
            root = math.sqrt(dot(row, row) / len(row) + self.eps)
            out.append([v / root * w for v, w in zip(row, weight)])
        return out

    def act(self, v):
        if self.gemma:
            return v / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v ** 3)))
        return v / (1 + math.exp(-v))

    # ---- Positions ----

    def slides(self, layer):
        if self.kind == "mistral":
            return True
        if self.kind == "gemma2":
            return layer % 2 == 0
        return self.kind == "gemma3_text" and (layer + 1) % self.c["sliding_window_pattern"] != 0

    def frequencies(self, layer, length):
        """The angle of position 1 for each pair, and what multiplies sines and cosines."""
        local = self.kind == "gemma3_text" and self.slides(layer)
        s = {} if local else self.c.get("rope_scaling") or {}
        base = self.c["rope_local_base_freq"] if local else self.c["rope_theta"]
        turned = int(self.dim * self.c.get("partial_rotary_factor", 1))
        plain = [base ** (-2 * i / turned) for i in range(turned // 2)]
        kind, factor = s.get("rope_type"), s.get("factor")
        if kind == "linear":
            return [f / factor for f in plain], 1
        if kind == "longrope":
            original, most = (self.c[k] for k in ("original_max_position_embeddings",
                                                  "max_position_embeddings"))
            listed = s["short_factor" if length <= original else "long_factor"]
            scale = math.sqrt(1 + math.log(most / original) / math.log(original))
            return [f / f32(d) for f, d in zip(plain, listed)], f32(scale)
        if kind == "llama3":
            return [self.llama3(f, s) for f in plain], 1
        if kind == "yarn":
            return self.yarn(plain, base, turned, s)
        return plain, 1

    @staticmethod
    def llama3(f, s):
        original, low, high = (s[k] for k in ("original_max_position_embeddings", "low_freq_factor",
                                              "high_freq_factor"))
        turns = original * f / (2 * math.pi)  # within the original context
        smooth = min(max((turns - low) / (high - low), 0), 1)
        return f / f32(1 / ((1 - smooth) / s["factor"] + smooth))

    @staticmethod
    def yarn(plain, base, turned, s):
        def pair(turns):
            """The pair that turns so often within the original context."""
            return turned * math.log(s["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (
                2 * math.log(base))
        low = max(math.floor(pair(s.get("beta_fast", 32))), 0)
        high = min(math.ceil(pair(s.get("beta_slow", 1))), turned - 1)
        out = []
        for i, f in enumerate(plain):
            kept = 1 - min(max((i - low) / (high - low if high > low else 0.001), 0), 1)
            out.append(f / s["factor"] * (1 - kept) + f * kept)
        return out, f32(0.1 * math.log(s["factor"]) + 1)

    def rope(self, x, layer):
        frequencies, scale = self.frequencies(layer, len(x))
        half, out = len(frequencies), []
        for t, heads in enumerate(x):
            turned = []
            for h in heads:
                h = list(h)
                for i, f in enumerate(frequencies):
                    z = complex(h[i], h[i + half]) * scale * complex(math.cos(t * f), math.sin(t * f))
                    h[i], h[i + half] = z.real, z.imag
                turned.append(h)
            out.append(turned)
        return out

    # ---- Blocks ----

    def projections(self, x, p):
        sizes = [self.heads * self.dim, self.kv * self.dim, self.kv * self.dim]
        if self.kind == "phi3":
            whole = self.matrix(p + "self_attn.qkv_proj.weight")
            parts = [whole[:sizes[0]], whole[sizes[0]:sizes[0] + sizes[1]], whole[sizes[0] + sizes[1]:]]
        else:
            parts = [self.matrix(f"{p}self_attn.{n}_proj.weight") for n in "qkv"]
        for n, part in zip("qkv", parts):
            y = product(x, part)
            if f"{p}self_attn.{n}_proj.bias" in self.w:
                y = [[v + b for v, b in zip(row, self.w[f"{p}self_attn.{n}_proj.bias"][1])] for row in y]
            yield [[row[i:i + self.dim] for i in range(0, len(row), self.dim)] for row in y]

    def attention(self, x, layer, p, name):
        c, tokens = self.c, len(x)
        q, k, v = self.projections(x, p)
        for n, part in zip("qkv", (q, k, v)):
            self.put(name + n, part, [tokens, len(part[0]), self.dim])
        if self.kind in ("qwen3", "qwen3_moe", "gemma3_text"):
            q = [self.norm(row, p + "self_attn.q_norm.weight") for row in q]
            k = [self.norm(row, p + "self_attn.k_norm.weight") for row in k]
            self.put(name + "q_norm", q, [tokens, self.heads, self.dim])
            self.put(name + "k_norm", k, [tokens, self.kv, self.dim])
        q, k = self.rope(q, layer), self.rope(k, layer)
        self.put(name + "q_rope", q, [tokens, self.heads, self.dim])
        self.put(name + "k_rope", k, [tokens, self.kv, self.dim])
        scale = c.get("query_pre_attn_scalar", self.dim) ** -0.5
        cap = c.get("attn_logit_softcapping")
        window = c["sliding_window"] if self.slides(layer) else tokens
        scores, weights = [], []
        context = [[] for _ in range(tokens)]
        for h in range(self.heads):
            g = h // (self.heads // self.kv)
            s = [[dot(q[i][h], k[j][g]) * scale for j in range(tokens)] for i in range(tokens)]
            if cap:
                s = [[cap * math.tanh(z / cap) for z in row] for row in s]
            scores.append(s)
            seen = [range(max(0, i - window + 1), i + 1) for i in range(tokens)]
            soft = [dict(zip(seen[i], softmax([s[i][j] for j in seen[i]]))) for i in range(tokens)]
            weights.append([[row.get(j, 0.0) for j in range(tokens)] for row in soft])
            for i in range(tokens):
                context[i] += [math.fsum(weights[h][i][j] * v[j][g][d] for j in range(tokens))
                               for d in range(self.dim)]
        self.put(name + "attn_scores", scores, [self.heads, tokens, tokens])
        self.put(name + "attn_weights", weights, [self.heads, tokens, tokens])
        self.put(name + "attn_context", context, [tokens, self.heads * self.dim])
        return self.named(name + "o_proj", product(context, self.matrix(p + "self_attn.o_proj.weight")))

    def named(self, name, x):
        self.put(name, x, [len(x), len(x[0])])
        return x

    def mlp(self, x, name, gate, up, down):
        g, u = self.named(name + "gate", product(x, gate)), self.named(name + "up", product(x, up))
        a = self.named(name + "act", [[self.act(v) for v in row] for row in g])
        m = self.named(name + "mul", [[v * w for v, w in zip(r, s)] for r, s in zip(a, u)])
        return self.named(name + "down", product(m, down))

    def experts(self, x, p, name):
        c, tokens = self.c, len(x)
        mixtral = self.kind == "mixtral"
        moe = p + ("block_sparse_moe." if mixtral else "mlp.")
        words = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
        used = c["num_experts_per_tok"]
        logits = self.named(name + "moe_router", product(x, self.matrix(moe + "gate.weight")))
        probs = self.named(name + "moe_probs", [softmax(row) for row in logits])
        top = [sorted(range(len(row)), key=lambda e: -row[e])[:used] for row in probs]
        self.named(name + "moe_topk", top)
        weights = [[row[e] for e in t] for row, t in zip(probs, top)]
        if mixtral or c["norm_topk_prob"]:
            weights = [[w / math.fsum(row) for w in row] for row in weights]
        self.named(name + "moe_weights", weights)
        load = {(e, w): self.matrix(f"{moe}experts.{e}.{w}.weight") for e in range(len(logits[0]))
                for w in words}
        made = {n: [] for n in ("gate", "up", "act", "mul", "down")}
        for row, t in zip(x, top):
            g = [product([row], load[e, words[0]])[0] for e in t]
            u = [product([row], load[e, words[1]])[0] for e in t]
            a = [[self.act(v) for v in r] for r in g]
            m = [[v * w for v, w in zip(r, s)] for r, s in zip(a, u)]
            d = [product([r], load[e, words[2]])[0] for r, e in zip(m, t)]
            for n, r in zip(made, (g, u, a, m, d)):
                made[n].append(r)
        for n, v in made.items():
            self.put(name + "moe_" + n, v, [tokens, used, len(v[0][0])])
        out = self.named(name + "moe_out", [[math.fsum(w * r[i] for w, r in zip(ws, ds))
                                             for i in range(len(ds[0]))]
                                            for ws, ds in zip(weights, made["down"])])
        if self.kind != "qwen2_moe":
            return out
        shared = [self.matrix(f"{moe}shared_expert.{w}.weight") for w in words]
        down = self.mlp(x, name + "shexp_", *shared)
        gate = product(x, self.matrix(moe + "shared_expert_gate.weight"))
        gate = self.named(name + "shexp_router", [[1 / (1 + math.exp(-v)) for v in row] for row in gate])
        both = self.named(name + "shexp_out", [[v * g[0] for v in r] for r, g in zip(down, gate)])
        return self.named(name + "ffn_out", add(out, both))

    def feed_forward(self, x, p, name):
        if self.kind in ("mixtral", "qwen2_moe", "qwen3_moe"):
            return self.experts(x, p, name)
        if self.kind == "phi3":
            both = self.matrix(p + "mlp.gate_up_proj.weight")
            gate, up = both[:len(both) // 2], both[len(both) // 2:]
        else:
            gate, up = (self.matrix(f"{p}mlp.{n}_proj.weight") for n in ("gate", "up"))
        return self.mlp(x, name + "ffn_", gate, up, self.matrix(p + "mlp.down_proj.weight"))

    def run(self, ids):
        table = self.matrix("model.embed_tokens.weight")
        scale = math.sqrt(self.c["hidden_size"]) if self.gemma else 1
        x = self.named("embedding", [[v * scale for v in table[i]] for i in ids])
        before, after = (("pre_feedforward_layernorm", "post_feedforward_layernorm") if self.posts
                         else ("post_attention_layernorm", None))
        for layer in range(self.c["num_hidden_layers"]):
            p, name = f"model.layers.{layer}.", f"layers.{layer}."
            y = self.named(name + "attn_norm", self.norm(x, p + "input_layernorm.weight"))
            y = self.attention(y, layer, p, name)
            if self.posts:
                y = self.named(name + "attn_post_norm",
                               self.norm(y, p + "post_attention_layernorm.weight"))
            x = self.named(name + "attn_residual", add(x, y))
            y = self.named(name + "ffn_norm", self.norm(x, p + before + ".weight"))
            y = self.feed_forward(y, p, name)
            if self.posts:
                y = self.named(name + "ffn_post_norm", self.norm(y, p + after + ".weight"))
            x = self.named(name + "residual", add(x, y))
        x = self.named("final_norm", self.norm(x, "model.norm.weight"))
        head = table if self.c["tie_word_embeddings"] else self.matrix("lm_head.weight")
        cap = self.c.get("final_logit_softcapping")
        x = self.named("logits_uncapped" if cap else "logits", product(x, head))
        if cap:
            self.named("logits", [[cap * math.tanh(v / cap) for v in row] for row in x])


def flat(x):
    return [v for part in x for v in flat(part)] if isinstance(x[0], (list, tuple)) else list(x)


def main(folder, ids, trace, limit="1e-11"):
    model = Model(folder)
    model.run([int(n) for n in ids.split(",")])
    got, worst = read(trace), (0, "")
    for name, shape, values in model.stages:
        if name not in got or list(got[name][0]) != list(shape):
            sys.exit(f"{name}: {list(shape)} is wanted, there is {got.get(name, ['nothing'])[0]}")
        want = flat(values)
        distance = math.dist(got.pop(name)[1], want) / (math.hypot(*want) or 1)
        if not distance <= float(limit):
            sys.exit(f"{name}: {distance:.3g}")
        worst = max(worst, (distance, name))
    if got:
        sys.exit(f"{sorted(got)[0]}: is no stage")
    print(f"{len(model.stages)} stages, worst {worst[0]:.2g} {worst[1]}")


if len(sys.argv) not in (4, 5):
    sys.exit("usage: reference_trace.py FOLDER IDS TRACE.safetensors [LIMIT]")
main(*sys.argv[1:])
