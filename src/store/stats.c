/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers: the sums of the store. */
#include "store/state.h"

static uint64_t sum_of(const struct store *store, enum store_column column)
{
	return tally_sum(&store->tally, column);
}

/* Rows are read one after the other, so a sum that also goes down may be
 * caught between the two halves of a replacement. */
static uint64_t level_of(const struct store *store, enum store_column column)
{
	int64_t sum = (int64_t)sum_of(store, column);

	return sum < 0 ? 0 : (uint64_t)sum;
}

void store_stats(struct store *store, struct store_stats *ret_stats)
{
	*ret_stats = (struct store_stats){
		.pages_stored = store_pages_held(store),
		.same_pages = level_of(store, SUM_SAME),
		.huge_pages = level_of(store, SUM_HUGE),
		.compr_data_bytes = level_of(store, SUM_BYTES),
		.spilled_pages = level_of(store, SUM_SPILLED),
		.spilled_bytes = level_of(store, SUM_SPILLED_BYTES),
		.lost_pages = level_of(store, SUM_LOST),
		.limit_bytes = store_limit(store),
		.pages_read = sum_of(store, COUNT_PAGES_READ),
		.pages_written = sum_of(store, COUNT_PAGES_WRITTEN),
		.pages_discarded = sum_of(store, COUNT_PAGES_DISCARDED),
		.bytes_read = sum_of(store, COUNT_BYTES_READ),
		.bytes_written = sum_of(store, COUNT_BYTES_WRITTEN),
		.huge_pages_since = sum_of(store, COUNT_HUGE_SINCE),
		.pages_compacted = sum_of(store, COUNT_COMPACTED),
		.size_limit_hit = sum_of(store, COUNT_SIZE_LIMIT_HIT),
		.mem_limit_hit = sum_of(store, COUNT_MEM_LIMIT_HIT),
		.written_back_pages = sum_of(store, COUNT_WRITTEN_BACK),
		.written_back_bytes = sum_of(store, COUNT_WRITTEN_BACK_BYTES),
		.brought_back_pages = sum_of(store, COUNT_BROUGHT_BACK),
		.spill_reads = sum_of(store, COUNT_SPILL_READS),
		.read_errors = sum_of(store, COUNT_READ_ERRORS),
		.shared = sum_of(store, COUNT_SHARED),
		.retries = sum_of(store, COUNT_RETRIES),
	};
}
