/* SPDX-License-Identifier: MIT */
/*
 * What a contract says of the discharge of a claim: `discharge_status`, and in
 * `discharged_evidence` or beside it the host, the counts and the digests of the run that
 * discharged it.  It is held against evidence, and written from it, so that nobody types it.
 * tensor-contract(5), DISCHARGE.
 */
#ifndef TU_DISCHARGE_H
#define TU_DISCHARGE_H

#include "judge/contract.h"
#include "judge/drift.h"

/* Adds a reason for everything that the contract says of the claim's discharge and the evidence
 * does not, and a note of what could not be compared. */
int tu_discharge_check(struct tu_drift *d, const struct tu_sealed *evidence,
                       const struct tu_contract *contract, struct tu_error *error) TU_MUST_CHECK;

/* The text of a contract in which the claim's entry says what the evidence does: discharge_status
 * is replaced or added, and so is discharged_evidence; all else stays, to the byte.  The text is
 * owned by the caller.  Fails if the entry is written in flow style, or if anything else would
 * change. */
int tu_discharge_write(const char *text, size_t length, const char *claim,
                       const struct tu_sealed *evidence, char **out, size_t *out_length,
                       struct tu_error *error) TU_MUST_CHECK;

#endif
