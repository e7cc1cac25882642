/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters kept one row per worker slot and added up when read.
 *
 * A row is written by its slot's owner only, with relaxed atomics, so adding
 * costs no shared cache line. Rows are never reset when a worker leaves: the
 * slot's next worker counts on, so no total goes backwards.
 */
#ifndef SRC_BASE_TALLY_H
#define SRC_BASE_TALLY_H

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdint.h>

/* Slots of the crew (64) and one more for threads that own no slot. */
#define TALLY_ROWS 65
#define TALLY_SHARED_ROW 64
#define TALLY_COLUMNS 64

struct tally_row {
	_Atomic uint64_t column[TALLY_COLUMNS];
} CACHE_ALIGNED;

struct tally {
	struct tally_row row[TALLY_ROWS];
};

/* Row of the shared threads is added to atomically, the others plainly. */
static inline void tally_add(struct tally *t, unsigned row, unsigned column,
			     uint64_t n)
{
	_Atomic uint64_t *c = &t->row[row].column[column];

	if (row == TALLY_SHARED_ROW)
		atomic_fetch_add_explicit(c, n, memory_order_relaxed);
	else
		atomic_store_explicit(
			c, atomic_load_explicit(c, memory_order_relaxed) + n,
			memory_order_relaxed);
}

/* The sum over all rows: exact when nobody adds, else some value between. */
uint64_t tally_sum(const struct tally *t, unsigned column);

#endif
