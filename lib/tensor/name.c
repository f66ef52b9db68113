/* SPDX-License-Identifier: MIT */
/* What can be read off the name of a tensor. */
#include "config.h"

#include "tensor/name.h"

#include <stdlib.h>
#include <string.h>

bool tu_layer_of(const char *name, uint64_t *layer)
{
    for (const char *part = name; part; part = strchr(part, '.') ? strchr(part, '.') + 1 : NULL) {
        size_t digits = strspn(part, "0123456789");
        if (digits && digits < 19 && (part[digits] == '.' || part[digits] == '\0')) {
            *layer = strtoull(part, NULL, 10);
            return true;
        }
    }
    return false;
}

/* What wrappers put in front: modules of transformers, DataParallel, torch.compile, FSDP, PEFT and
 * checkpoints of diffusion models. */
static const char *const prefixes[] = {
    "model.",     "language_model.",       "text_model.", "transformer.",    "module.",
    "_orig_mod.", "_fsdp_wrapped_module.", "base_model.", "diffusion_model."};

const char *tu_bare_name(const char *name, size_t *length)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        if (*length > n && memcmp(name, prefixes[i], n) == 0) {
            name += n;
            *length -= n;
            i = (size_t)-1; /* from the first one again */
        }
    }
    return name;
}
