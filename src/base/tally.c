/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Adding up the rows of a tally. */
#include "base/tally.h"

uint64_t tally_sum(const struct tally *t, unsigned column)
{
	uint64_t sum = 0;

	for (unsigned row = 0; row < TALLY_ROWS; row++)
		sum += atomic_load_explicit(&t->row[row].column[column],
					    memory_order_relaxed);
	return sum;
}
