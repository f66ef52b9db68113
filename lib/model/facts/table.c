/* SPDX-License-Identifier: MIT */
/* The table of facts, of transformers' classes and of llama.cpp's architectures, and how it is
 * asked. */
#include "config.h"

#include "model/facts/table.h"

#include <stdlib.h>
#include <string.h>

static const struct tu_fact_row rows[] = {
#define ROW(ID, name, kind, policy, neutral, config, gguf, apr, meta, mistral)                     \
    {name, TU_FACT_##kind, TU_FACT_##policy, neutral, config, gguf, apr, meta, mistral},
    TU_FACT_TABLE(ROW)
#undef ROW
};

_Static_assert(sizeof rows / sizeof *rows == TU_FACT_IDS_END &&
                   (int)TU_FACT_IDS_END <= (int)TU_FACTS_MAX,
               "every fact has a row, and facts have room");

size_t tu_fact_rows(const struct tu_fact_row **out)
{
    *out = rows;
    return TU_FACT_IDS_END;
}

int tu_fact_by_name(const char *name, size_t length)
{
    for (int i = 0; i < TU_FACT_IDS_END; i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return i;
    return -1;
}

/* Defaults of the configuration classes of transformers 5 (main at 008e5742), and of 4 for gemma3
 * and phimoe.  Beside names of facts: eps=KEY            the key of the epsilon that the class
 * reads partial=X          partial_rotary_factor        rope=none    the class turns nothing
 *   scalar=X           query_pre_attn_scalar        scales=WORD  which multipliers it has
 *   period=N           sliding_window_pattern       switched     use_sliding_window, false by
 * default experts_ffn=dense  intermediate_size is that of an expert act=KEY            the key of
 * the activation, where it is not hidden_act !name=value        a constant of the code, which no
 * key changes */
static const struct tu_config_class classes[] = {
    {"llama", "llama", "context=2048", false},
    {"mistral ministral", "llama", "kv_heads=8 window=4096 context=131072", false},
    {"mixtral", "llama",
     "kv_heads=8 rope.base=1e6 norm.eps=1e-5 experts=8 experts.used=2 experts_ffn=dense "
     "!experts.gate=softmax !experts.norm=true",
     false},
    {"qwen2", "qwen2", "kv_heads=32 context=32768 switched=1 max_window_layers=28 ids=none", false},
    {"qwen2_moe", "qwen2moe",
     "kv_heads=16 switched=1 experts=60 experts.used=4 experts.ffn=1408 experts.shared_ffn=5632 "
     "experts.norm=false !experts.gate=softmax ids=none",
     false},
    {"qwen3", "qwen3", "kv_heads=32 head_dim=128 switched=1 ids=none", false},
    {"qwen3_moe", "qwen3moe",
     "kv_heads=4 switched=1 experts=128 experts.used=8 experts.ffn=768 experts.norm=false "
     "!experts.gate=softmax ids=none",
     false},
    {"qwen3_next", "qwen3next",
     "kv_heads=2 head_dim=256 partial=0.25 experts=512 experts.used=10 experts.ffn=512 "
     "experts.shared_ffn=512 experts.norm=true !experts.gate=softmax interval=4 ids=none",
     false},
    {"qwen3_5 qwen3_5_text", "qwen35", "kv_heads=4 head_dim=256 partial=0.25 interval=4 ids=none",
     false},
    {"qwen3_5_moe qwen3_5_moe_text", "qwen35moe",
     "partial=0.25 interval=4 !experts.gate=softmax ids=none", true},
    {"gemma", "gemma", "head_dim=256 tied=true scales=gemma act=hidden_activation ids=none", false},
    {"gemma2", "gemma2",
     "kv_heads=4 head_dim=256 tied=true scalar=256 scales=gemma attn.softcap=50 logit.softcap=30 "
     "window=4096 period=2 act=hidden_activation token.bos=2 token.eos=1",
     false},
    {"gemma3_text gemma3", "gemma3",
     "heads=8 kv_heads=4 head_dim=256 tied=true scalar=256 scales=gemma rope.base=1e6 "
     "rope.base_local=1e4 period=6 window=4096 context=131072 vocab=262208 act=hidden_activation "
     "token.bos=2 token.eos=1",
     false},
    {"gemma3n gemma3n_text", "gemma3n", "scales=gemma !attn.scale=1 act=hidden_activation", true},
    {"gemma4 gemma4_text", "gemma4",
     "scales=gemma !attn.scale=1 act=hidden_activation two_widths=1", true},
    {"phi", "phi2", "partial=0.5 norm.eps=1e-5 eps=layer_norm_eps", false},
    {"phi3", "phi3", "norm.eps=1e-5 context=4096 orig_ctx=4096 token.eos=32000", false},
    {"phimoe", "phimoe",
     "kv_heads=8 rope.base=1e6 norm.eps=1e-5 experts=16 experts.used=2 experts_ffn=dense ids=open",
     false},
    {"gpt_oss", "gpt-oss",
     "kv_heads=8 head_dim=64 rope.base=150000 norm.eps=1e-5 experts=128 experts.used=4 window=128 "
     "period=2 experts_ffn=dense !experts.gate=softmax_selected !experts.norm=false yarn=32 "
     "ids=open",
     false},
    {"deepseek_v2", "deepseek2",
     "experts=64 experts.shared=2 experts.norm=false experts.scale=1 experts.gate=softmax "
     "experts.dense_lead=0 mla.q_lora_rank=1536",
     false},
    {"deepseek_v3", "deepseek2",
     "experts=256 experts.used=8 experts.shared=1 experts.groups=8 experts.groups_used=4 "
     "experts.dense_lead=3 experts.norm=true experts.scale=2.5 experts.gate=sigmoid "
     "mla.q_lora_rank=1536 ids=open",
     false},
    {"glm4", "glm4", "kv_heads=2 head_dim=128 partial=0.5 norm.eps=1.5625e-7 ids=open", false},
    {"glm4_moe", "glm4moe",
     "kv_heads=8 partial=0.5 norm.eps=1e-5 experts=128 experts.used=8 experts.ffn=1408 "
     "experts.shared=1 experts.groups=1 experts.groups_used=1 experts.dense_lead=1 "
     "experts.norm=true experts.scale=1 experts.gate=sigmoid ids=open",
     false},
    {"granite", "granite", "scales=granite", false},
    {"granitemoe", "granitemoe",
     "scales=granite experts_ffn=dense !experts.gate=softmax !experts.norm=true", false},
    {"olmo2", "olmo2", "norm.eps=1e-5 ids=open", false},
    {"olmo3", "olmo2", "norm.eps=1e-5 rope.base=5e5 window=4096 period=4 ids=open", false},
    {"smollm3", "smollm3", "kv_heads=4 rope.base=2e6 tied=true switched=1 rope.every=4 ids=open",
     false},
    {"cohere", "command-r", "norm.eps=1e-5 eps=layer_norm_eps scales=cohere tied=true ids=open",
     false},
    {"cohere2", "cohere2",
     "norm.eps=1e-5 eps=layer_norm_eps scales=cohere window=4096 period=4 tied=true ids=open",
     false},
    {"llama4 llama4_text", "llama4",
     "kv_heads=8 head_dim=128 rope.base=5e5 norm.eps=1e-5 experts=16 experts.used=1 chunk=8192 "
     "rope.every=4 experts_ffn=dense ffn=intermediate_size_mlp !experts.gate=sigmoid "
     "!experts.norm=false temperature=0.1 ids=open",
     false},
    {"falcon", "falcon", "norm.eps=1e-5 eps=layer_norm_epsilon ids=open tied=true", false},
    {"gpt_neox", "gptneox", "partial=0.25 norm.eps=1e-5 eps=layer_norm_eps parallel=true ids=open",
     false},
    {"gpt2", "gpt2", "norm.eps=1e-5 eps=layer_norm_epsilon rope=none tied=true ids=open ffn=4",
     false},
    {"bert", "bert", "norm.eps=1e-12 eps=layer_norm_eps rope=none tied=true !causal=false ids=open",
     false},
    /* Of these only what the converter makes of them, and the epsilon's key, is known. */
    {"stablelm", "stablelm", "eps=layer_norm_eps", true},
    {"nemotron", "nemotron", "eps=norm_eps", true},
    {"starcoder2", "starcoder2", "eps=norm_epsilon", true},
    {"olmoe", "olmoe", "!experts.gate=softmax", true},
    {"qwen2_vl", "qwen2vl", "", true},
    {"lfm2", "lfm2", "eps=norm_eps ffn=block_ff_dim", true},
    {"modernbert", "modern-bert", "eps=norm_eps !causal=false", true},
    {"mamba", "mamba", "rope=none ffn=none eps=layer_norm_epsilon", true},
    {"mamba2", "mamba2", "rope=none ffn=none eps=layer_norm_epsilon", true},
};

/* What llama.cpp's code does for an architecture (v0.5.0), where it is known:
 *   rope=adjacent|halves|none   how it pairs the numbers it turns
 *   window=ignored|N|required|none   what becomes of attention.sliding_window, and of its absence
 *   period=N  the pattern of windows without a key      local=base|X  rope.freq_base_swa without
 * one gate=, norm=, scale=   experts: a constant, or read:DEFAULT scales=  which multipliers the
 * graph has            act=  the function of the MLP */
static const struct tu_gguf_arch archs[] = {
    {"llama",
     "rope=adjacent window=ignored kind=rms act=silu gate=softmax norm=true scale=ignored"},
    {"deci", "rope=adjacent window=ignored kind=rms act=silu"},
    {"llama4", "rope=adjacent window=8192 period=4 local=base every=4 kind=rms act=silu "
               "gate=sigmoid norm=false "
               "scale=ignored temperature=0.1"},
    {"mistral3 mistral4", "rope=adjacent kind=rms act=silu beta=read log=1 gate=softmax norm=true"},
    {"deepseek",
     "rope=adjacent window=ignored kind=rms act=silu gate=softmax norm=false scale=read"},
    {"deepseek2",
     "rope=adjacent window=ignored kind=rms act=silu gate=read:softmax norm=read:false scale=read "
     "log=0.1"},
    {"granite", "rope=adjacent window=ignored kind=rms act=silu scales=granite"},
    {"granitemoe",
     "rope=adjacent window=ignored kind=rms act=silu scales=granite gate=softmax norm=true "
     "scale=ignored"},
    {"smollm3", "rope=adjacent window=ignored every=4 kind=rms act=silu"},
    {"command-r", "rope=adjacent window=ignored kind=layer act=silu scales=cohere"},
    {"cohere2",
     "rope=adjacent window=required period=4 local=base kind=layer act=silu scales=cohere"},
    {"chatglm glm4", "rope=adjacent window=ignored kind=rms act=silu"},
    {"glm4moe",
     "rope=halves window=ignored kind=rms act=silu gate=read:sigmoid norm=read:false scale=read"},
    {"falcon", "rope=halves window=ignored kind=layer act=gelu"},
    {"qwen2 qwen3", "rope=halves window=ignored kind=rms act=silu"},
    {"qwen2moe",
     "rope=halves window=ignored kind=rms act=silu gate=softmax norm=false scale=ignored"},
    {"qwen3moe",
     "rope=halves window=ignored kind=rms act=silu gate=softmax norm=true scale=ignored"},
    {"qwen3next qwen35moe", "rope=halves window=ignored kind=rms act=silu gate=softmax norm=true "
                            "scale=ignored interval=4"},
    {"qwen35", "rope=halves window=ignored kind=rms act=silu interval=4"},
    {"qwen2vl", "rope=halves window=ignored kind=rms act=silu"},
    {"phi2", "rope=halves window=ignored kind=layer act=gelu"},
    {"phi3", "rope=halves window=ignored kind=rms act=silu"},
    {"phimoe", "rope=halves window=ignored kind=rms act=silu gate=softmax norm=true scale=ignored"},
    {"gemma", "rope=halves window=ignored kind=rms act=gelu scales=gemma"},
    {"gemma2",
     "rope=halves window=4096 period=2 local=base kind=rms act=gelu scales=gemma attn_cap=50 "
     "logit_cap=30 odd=46"},
    {"gemma3", "rope=halves window=none period=6 local=10000 kind=rms act=gelu scales=gemma "
               "logit_cap=0 odd=62 factor_local=1"},
    {"gemma3n", "rope=halves window=required period=5 local=10000 kind=rms act=gelu scales=gemma "
                "fixed_cap=30 one=1 factor_local=1"},
    {"gemma4",
     "rope=halves window=required local=10000 kind=rms act=gelu scales=gemma logit_cap=30 "
     "one=1"},
    {"gemma-embedding",
     "rope=halves window=none period=6 local=10000 kind=rms act=gelu scales=gemma causal=false"},
    {"gptneox", "rope=halves window=ignored kind=layer act=gelu"},
    {"olmo2", "rope=halves window=none period=4 local=base kind=rms act=silu factor_local=1"},
    {"gpt-oss",
     "rope=halves window=required period=2 local=base kind=rms gate=softmax_selected norm=false "
     "scale=ignored scale_dim=rope"},
    {"stablelm", "rope=halves window=ignored kind=layer act=silu"},
    {"bert jina-bert-v2 jina-bert-v3 nomic-bert nomic-bert-moe",
     "window=ignored kind=layer rope=unknown"},
    {"gpt2", "rope=none window=ignored kind=layer act=gelu"},
    {"mamba mamba2 falcon-mamba", "rope=none window=ignored kind=rms"},
    {"rwkv6 rwkv7 rwkv6qwen2 arwkv7 t5 t5encoder bloom mpt starcoder", "rope=none window=ignored"},
};

bool tu_word_among(const char *words, const char *word, size_t length)
{
    for (const char *p = words; *p;) {
        size_t n = strcspn(p, " ");
        if (n == length && memcmp(p, word, n) == 0)
            return true;
        p += n + strspn(p + n, " ");
    }
    return false;
}

const struct tu_config_class *tu_config_class(const char *type, size_t length)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (tu_word_among(classes[i].types, type, length))
            return &classes[i];
    return NULL;
}

const struct tu_gguf_arch *tu_gguf_arch(const char *arch, size_t length)
{
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (tu_word_among(archs[i].archs, arch, length))
            return &archs[i];
    return NULL;
}

const char *tu_word(const char *words, const char *name, size_t *length)
{
    size_t wanted = strlen(name);
    for (const char *p = words; *p;) {
        size_t n = strcspn(p, " ");
        if (n > wanted && p[wanted] == '=' && memcmp(p, name, wanted) == 0) {
            *length = n - wanted - 1;
            return p + wanted + 1;
        }
        p += n + strspn(p + n, " ");
    }
    return NULL;
}

bool tu_word_number(const char *words, const char *name, double *out)
{
    size_t length;
    const char *text = tu_word(words, name, &length);
    char *end;
    if (!text)
        return false;
    double value = strtod(text, &end);
    if (end != text + length)
        return false;
    *out = value;
    return true;
}

bool tu_word_is(const char *words, const char *name, const char *value)
{
    size_t length;
    const char *text = tu_word(words, name, &length);
    return text && length == strlen(value) && memcmp(text, value, length) == 0;
}
