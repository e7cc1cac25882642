/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers: the sums of the store, and the check that a file's map and the sums
 * agree.
 */
#include "store/state.h"
#include <errno.h>
#include <string.h>

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

/* --- check --- */

struct audit {
	struct store *store;
	uint64_t pages;
	bool wrong;
};

static bool object_is_sound(struct store *store, uint64_t word)
{
	struct codec_params params;
	size_t n_bytes;
	uint16_t tag;

	if (survey_object(store, word, &n_bytes, &tag) != 0)
		return false;
	if (tag_set(tag) == SET_RAW)
		return n_bytes == tag_length(tag);
	return n_bytes < tag_length(tag) &&
	       sets_objects(store->sets, tag_set(tag)) > 0 &&
	       sets_params(store->sets, tag_set(tag), &params) == 0;
}

static void audit_entry(void *arg, uint64_t page UNUSED, uint64_t word)
{
	struct audit *audit = arg;
	struct store *store = audit->store;

	audit->pages += entry_is_held(word);
	switch (entry_kind(word)) {
	case ENTRY_EMPTY:
	case ENTRY_FILL:
	case ENTRY_BAD:
		break;
	case ENTRY_FILL_RECORD:
		if (!table_is_used(store->arena, TABLE_FILLS,
				   (uint32_t)entry_payload(word)))
			audit->wrong = true;
		break;
	case ENTRY_RAM:
		if (!object_is_sound(store, word))
			audit->wrong = true;
		break;
	case ENTRY_SPILLED:
		if (!store->backing ||
		    !backing_extent_bytes(entry_extent(word)))
			audit->wrong = true;
		break;
	default:
		audit->wrong = true;
	}
}

static void audit_node(void *arg, uint32_t ix, unsigned height,
		       uint64_t base UNUSED)
{
	struct audit *audit = arg;

	if (height > MAP_HEIGHT_MAX ||
	    (ix != NODE_BAD &&
	     !table_is_used(audit->store->arena, node_table(height), ix)))
		audit->wrong = true;
}

int store_check_body(struct store *store, struct file file)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct audit audit = {.store = store};
	struct walk walk = {audit_entry, audit_node, &audit};
	uint64_t pages;

	rwlock_read(lock);
	walk_pages(store, file, 0, MAP_END, &walk);
	pages = atomic_load_explicit(&file.body->pages, memory_order_relaxed);
	rwlock_read_end(lock);
	if (audit.wrong || audit.pages != pages ||
	    pages > store_pages_held(store))
		return -EUCLEAN;
	return 0;
}
