/* SPDX-License-Identifier: MIT */
/* The facts that two models state, held against each other: `fact` records, tensor-facts(7). */
#ifndef TU_COMPARE_FACTS_H
#define TU_COMPARE_FACTS_H

#include "model/facts/gather.h"
#include "tree/cell.h"

/* The fields of its records as columns of tables and TSV; a NULL key ends them. */
extern const struct tu_column tu_fact_columns[];

/* Takes one record; what is not 0 ends the comparison. */
struct tu_fact_sink {
    int (*take)(void *context, const struct tensor_value *record, struct tu_error *error);
    void *context;
};

/* One operand of a comparison of facts. */
struct tu_fact_operand {
    const struct tu_operand *files;      /* NULL, or a stream: facts are those given */
    const struct tu_model_facts *stated; /* of a stream, or of a file of facts alone; NULL: none */
    const char *path;                    /* of a file of facts alone; NULL: it is none */
};

/* Compares the facts of two operands, in the order of their table.  Where one of them states none,
 * there is no record.  tokenizer.json is only read where both sides have tokens. */
int tu_compare_facts(const struct tu_fact_operand operands[static 2],
                     const struct tu_fact_sink *sink, struct tu_error *error) TU_MUST_CHECK;

/* The same of two paths that are compared by nothing else: models, files of facts, or streams, of
 * which no more than the first records are read. */
int tu_compare_facts_of_paths(struct tu_session *session, const char *const paths[static 2],
                              const struct tu_fact_sink *sink,
                              struct tu_error *error) TU_MUST_CHECK;

#endif
