/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private array reserved at its largest size and paid for as it grows: the
 * home of derived tables (name hash, bitmaps, span states).
 *
 * Reserving costs address space only; sparse_grow() charges the budget in
 * steps before the memory may be touched; what is not ready faults when it is
 * touched. Addresses never change. Not locked: its owner's lock guards it.
 */
#ifndef SRC_BASE_SPARSE_H
#define SRC_BASE_SPARSE_H

#include "base/budget.h"
#include <stddef.h>

struct sparse {
	char *base;
	size_t reserved_bytes;
	size_t ready_bytes; /* [base, base + ready) may be touched */
	struct budget *budget;
};

#define SPARSE_STEP_BYTES (16u << 10)

/* -ENOMEM when there is no address space. Reads as zeroes. */
int sparse_init(struct sparse *s, size_t reserve_bytes,
		struct budget *budget) MUST_CHECK;
void sparse_fini(struct sparse *s);
/* Makes at least @bytes ready: -ENOSPC (budget), -ENOMEM (reservation). */
int sparse_grow(struct sparse *s, size_t bytes, enum budget_use use) MUST_CHECK;
/* Gives back what is above @bytes (rounded up to a step); it reads as zero. */
void sparse_shrink(struct sparse *s, size_t bytes);

#endif
