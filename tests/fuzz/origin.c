/* SPDX-License-Identifier: MIT */
/* Results of two traces, whatever they say: what a hunt makes of them is judged without trouble,
 * and passes only where nothing was made and nothing is unknown. */
#include "config.h"

#include "fuzz.h"

#include <string.h>

#include "hunt/decide.h"
#include "hunt/record.h"
#include "judge/court.h"
#include "tree/json.h"

static void judge(const struct tu_hunt *h, struct tu_arena *arena)
{
    struct tu_error error = {0};
    struct tu_court court = {0};
    struct tensor_value record;
    size_t counts[TU_BLAMES];
    FUZZ_WORKS(tu_rules_profile(&court.rules, "auto", false, &error), &error);
    FUZZ_WORKS(tu_court_open(&court, &error), &error);
    for (size_t i = 0; i < h->count; i++) {
        FUZZ_WORKS(tu_hunt_record(h, &h->stages[i], arena, &record, &error), &error);
        fuzz_json_text(&record, arena);
        FUZZ_WORKS(tu_judge(&court, &record, &error), &error);
    }
    FUZZ_WORKS(tu_hunt_closing(h, NULL, arena, &record, &error), &error);
    fuzz_json_text(&record, arena);
    FUZZ_WORKS(tu_judge(&court, &record, &error), &error);
    tu_hunt_count(h, counts);
    FUZZ_CHECK(court.counts[TU_FAILED] == counts[TU_MADE]);
    FUZZ_CHECK(court.counts[TU_UNJUDGED] == counts[TU_UNKNOWN]);
    FUZZ_CHECK((tu_court_ruling(&court) == TU_PASS) <=
               (counts[TU_MADE] == 0 && counts[TU_UNKNOWN] == 0));
    FUZZ_CHECK(!tu_hunt_first(h) == (counts[TU_MADE] == 0));
    tu_court_free(&court);
}

/* {"records": [...]}, as tensor-cos puts them out one by one. */
void fuzz_origin(const uint8_t *data, size_t size)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_hunt hunt = {0};
    struct tensor_value map;
    int result =
        tu_json_parse((const char *)data, size, TU_DUPLICATES_REPLACE, &arena, &map, &error);
    const struct tensor_value *records = result == 0 ? tu_value_get(&map, "records") : NULL;
    for (size_t i = 0;
         records && records->type == TENSOR_ARRAY && result == 0 && i < records->array.count; i++)
        result = tu_hunt_take(&hunt, &records->array.items[i], &error);
    if (result == 0 && tu_hunt_order(&hunt, &error) == 0) {
        tu_hunt_decide(&hunt, NULL);
        judge(&hunt, &arena);
    }
    tu_hunt_free(&hunt);
    tu_arena_free(&arena);
}
