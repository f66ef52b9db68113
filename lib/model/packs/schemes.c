/* SPDX-License-Identifier: MIT */
/* The table of packing schemes: what their tensors are called and of which types they are. */
#include "config.h"

#include <string.h>

#include "base/path.h"
#include "model/packs/form.h"
#include "model/packs/packs.h"

#define FLOATS8                                                                                    \
    {                                                                                              \
        TENSOR_F8_E4M3, TENSOR_F8_E5M2, TENSOR_F8_E4M3FNUZ, TENSOR_F8_E5M2FNUZ, TENSOR_F6_E2M3,    \
            TENSOR_F6_E3M2, TENSOR_F4                                                              \
    }
#define BNB(type)                                                                                  \
    {                                                                                              \
        "bitsandbytes", ".weight", ".weight",                                                      \
            {TENSOR_U8, TENSOR_I8, TENSOR_F16, TENSOR_BF16, TENSOR_F32}, 1, false,                 \
            {{TU_ROLE_BLOB, ".weight.quant_state.bitsandbytes__" type, true},                      \
             {TU_ROLE_SCALE, ".weight.absmax", true},                                              \
             {TU_ROLE_MAP, ".weight.quant_map", true},                                             \
             {TU_ROLE_NESTED, ".weight.nested_absmax", false},                                     \
             {TU_ROLE_NESTED_MAP, ".weight.nested_quant_map", false}},                             \
            tu_form_bnb, NULL                                                                      \
    }

/* The first row that fits is taken: those that need more stand before those that need less. */
const struct tu_scheme tu_schemes[] = {
    {"GPTQ or AWQ",
     ".qweight",
     ".weight",
     {TENSOR_I32, TENSOR_I16},
     2,
     true,
     {{TU_ROLE_SCALE, ".scales", true},
      {TU_ROLE_ZERO, ".qzeros", false},
      {TU_ROLE_INDEX, ".g_idx", false}},
     tu_form_qweight,
     NULL},
    {"compressed-tensors",
     ".weight_packed",
     ".weight",
     {TENSOR_I32},
     2,
     true,
     {{TU_ROLE_SCALE, ".weight_scale", true},
      {TU_ROLE_SHAPE, ".weight_shape", true},
      {TU_ROLE_ZERO, ".weight_zero_point", false},
      {TU_ROLE_INDEX, ".weight_g_idx", false}},
     tu_form_ct_pack,
     NULL},
    {"FP4",
     ".weight_packed",
     ".weight",
     {TENSOR_U8},
     2,
     true,
     {{TU_ROLE_SCALE, ".weight_scale", true}, {TU_ROLE_OUTER, ".weight_global_scale", false}},
     tu_form_fp4,
     NULL},
    BNB("nf4"),
    BNB("fp4"),
    {"LLM.int8",
     ".weight",
     ".weight",
     {TENSOR_I8},
     2,
     false,
     {{TU_ROLE_SCALE, ".SCB", true}, {TU_ROLE_BITS, ".weight_format", false}},
     tu_form_int8,
     NULL},
    {"MXFP4",
     "_blocks",
     "",
     {TENSOR_U8},
     3,
     true,
     {{TU_ROLE_SCALE, "_scales", true}},
     tu_form_blocks,
     NULL},
    {"MXFP4",
     ".blocks",
     "",
     {TENSOR_U8},
     3,
     true,
     {{TU_ROLE_SCALE, ".scales", true}},
     tu_form_blocks,
     NULL},
    {"MLX",
     ".weight",
     ".weight",
     {TENSOR_U32},
     2,
     false,
     {{TU_ROLE_SCALE, ".scales", true}, {TU_ROLE_BIAS, ".biases", false}},
     tu_form_mlx,
     NULL},
    {"HQQ",
     ".W_q",
     ".weight",
     {TENSOR_U8, TENSOR_I32},
     2,
     true,
     {{TU_ROLE_SCALE, ".scale", true},
      {TU_ROLE_ZERO, ".zero", true},
      {TU_ROLE_SHAPE, ".shape", true},
      {TU_ROLE_BITS, ".nbits", true},
      {TU_ROLE_AXIS, ".axis", true}},
     tu_form_hqq,
     ".packing|.channel_wise|.compute_dtype|.encoded_state_dict|.offload_meta|.optimize|.quant_"
     "scale|"
     ".quant_zero|.round_zero|.stores_quant_config|.unpack_view_dtype|.view_as_float|.group_size"},
    {"quanto",
     ".weight._data",
     ".weight",
     {TENSOR_U8, TENSOR_I8, TENSOR_F8_E4M3, TENSOR_F8_E5M2},
     2,
     true,
     {{TU_ROLE_SCALE, ".weight._scale", true}, {TU_ROLE_ZERO, ".weight._shift", false}},
     tu_form_quanto,
     NULL},
    {"torchao",
     "_qdata",
     "",
     {TENSOR_I8, TENSOR_F8_E4M3, TENSOR_F8_E5M2},
     2,
     true,
     {{TU_ROLE_SCALE, "_scale", true}, {TU_ROLE_ZERO, "_zero_point", false}},
     tu_form_torchao,
     NULL},
    {"FP4",
     ".weight",
     ".weight",
     {TENSOR_I8},
     2,
     false,
     {{TU_ROLE_SCALE, ".scale", true}},
     tu_form_v4,
     NULL},
    {"packed bytes",
     ".weight",
     ".weight",
     {TENSOR_U8},
     2,
     false,
     {{TU_ROLE_SCALE, ".weight_scale", true},
      {TU_ROLE_OUTER, ".weight_scale_2", false},
      {TU_ROLE_FACTOR, ".pre_quant_scale", false}},
     tu_form_bytes,
     NULL},
    {"FP8",
     ".weight",
     ".weight",
     FLOATS8,
     1,
     false,
     {{TU_ROLE_SCALE,
       ".weight_scale_inv|.weight_scale|.scale_weight|.qscale_weight|.scale|.weight.scale|"
       ".weight.scale_weight",
       true},
      {TU_ROLE_FACTOR, ".pre_quant_scale", false}},
     tu_form_scaled,
     NULL},
    {"INT8",
     ".weight",
     ".weight",
     {TENSOR_I8},
     2,
     false,
     {{TU_ROLE_SCALE, ".weight_scale_inv|.weight_scale", true},
      {TU_ROLE_ZERO, ".weight_zero_point", false},
      {TU_ROLE_FACTOR, ".pre_quant_scale", false}},
     tu_form_scaled,
     NULL},
    {"FP8",
     "",
     "",
     FLOATS8,
     1,
     false,
     {{TU_ROLE_SCALE, "_scale_inv|_scale|.scale|.scale_weight", true}},
     tu_form_scaled,
     NULL},
    {"NVFP4",
     ".weight",
     ".weight",
     {TENSOR_NVFP4},
     2,
     false,
     {{TU_ROLE_OUTER, ".scale", true}},
     tu_form_gguf,
     NULL},
};
const size_t tu_scheme_count = sizeof tu_schemes / sizeof *tu_schemes;

const struct tu_unread tu_unread[] = {
    {"EETQ", ".weight", ".weight_scales", ".weight_scales"},
    {"EETQ", ".qweight", ".weight_scales", ".weight_scales"},
    {"Marlin", ".B", ".s", ".s|.meta|.B_meta|.workspace|.zeros"},
    {"EXL2", ".q_weight", ".q_scale", ".q_scale|.q_scale_max|.q_groups|.q_invperm|.q_perm"},
    {"EXL3", ".trellis", ".suh", ".suh|.svh|.mcg|.mul1|.su|.sv"},
    {"EXL3", ".trellis", ".su", ".su|.sv"},
    {"AQLM", ".codes", ".codebooks", ".codebooks|.scales"},
    {"VPTQ", ".indices", ".centroids.weight", ".centroids.weight|.weight_scale|.weight_bias|.perm"},
    {"VPTQ", ".indices", ".centroids", ".centroids|.weight_scale|.weight_bias|.perm"},
    {"SpQR", ".dense_weights", ".row_offsets", ".row_offsets|.col_vals|.in_perm"},
    {"QuIP#", ".Qidxs", ".SU", ".SU|.SV|.codebook_id|.Wscale"},
    {"bitblas", ".qweight", ".zeros", ".scales|.zeros"},
    {"torchao", "_qdata", "_scale_and_zero", "_scale_and_zero"},
};
const size_t tu_unread_count = sizeof tu_unread / sizeof *tu_unread;

static bool ends_with(const struct tu_tensor *t, const char *suffix)
{
    size_t length = strlen(suffix);
    return t->name_length >= length &&
           memcmp(t->name + t->name_length - length, suffix, length) == 0;
}

bool tu_is_side(const struct tu_tensor *t)
{
    static const char *const suffixes[] = {".input_scale",
                                           ".input_global_scale",
                                           ".input_zero_point",
                                           ".activation_scale",
                                           ".output_scale",
                                           ".scale_input",
                                           ".qscale_act",
                                           ".k_scale",
                                           ".v_scale",
                                           ".q_scale",
                                           ".prob_output_scale",
                                           ".weight_format",
                                           ".comfy_quant",
                                           ".weight_shape",
                                           ".g_idx",
                                           ".weight_g_idx",
                                           ".scale_output",
                                           ".input_scale_inv",
                                           ".k_proj.k_bias",
                                           ".v_proj.v_bias",
                                           ".act_scale",
                                           ".kv_scale",
                                           ".k_zero_point",
                                           ".v_zero_point"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(t, suffixes[i]))
            return true;
    return strcmp(t->name, "scaled_fp8") == 0;
}

bool tu_packs_certain(const struct tu_tensor *t)
{
    static const char *const suffixes[] = {".qweight",
                                           ".qzeros",
                                           ".weight_packed",
                                           ".weight_scale",
                                           ".weight_scale_inv",
                                           ".weight_scale_2",
                                           ".weight_global_scale",
                                           ".scale_weight",
                                           ".qscale_weight",
                                           ".absmax",
                                           ".quant_map",
                                           ".SCB",
                                           ".W_q",
                                           "_blocks",
                                           "._data",
                                           "_qdata",
                                           "_scale_inv",
                                           ".biases"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(t, suffixes[i]))
            return true;
    return false;
}

bool tu_packs_suspect(const struct tu_tensor *t)
{
    static const char *const suffixes[] = {".scale", "_scale", ".scales", ".blocks"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(t, suffixes[i]))
            return true;
    for (size_t i = 0; i < tu_unread_count; i++)
        if (ends_with(t, tu_unread[i].beside))
            return true;
    return tu_packs_certain(t);
}
