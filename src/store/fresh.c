/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From bytes to an entry that may be published: fill test, codec, pool.
 *
 * No lock of the store is held here. New objects are complete and counted for
 * their parameter set before anybody can see them; what is not published
 * after all goes back.
 */
#include "base/check.h"
#include "codec/fill.h"
#include "store/state.h"

void fresh_squeeze(struct fresh *fresh, struct stream *stream, unsigned set,
		   const void *src, unsigned length, void *out)
{
	size_t n;

	fresh->word = 0;
	fresh->data = NULL;
	/* Only zeroes may stand for less than a page. */
	if (fill_test(src, length, &fresh->fill) &&
	    (fresh->fill == 0 || length == PAGE_BYTES))
		return;
	n = stream_compress(stream, set, src, length, out);
	if (!n) {
		set = SET_RAW;
		n = length;
		out = NULL;
	}
	fresh->data = out ? out : src;
	fresh->n_bytes = (uint32_t)n;
	fresh->tag = tag_make(set, length);
}

static void count_objects(struct store *store, unsigned row,
			  const struct fresh *fresh, unsigned n, int sign)
{
	unsigned set = SET_RAW;
	int64_t count = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!fresh[i].data)
			continue;
		if (tag_set(fresh[i].tag) != set) {
			if (count)
				sets_count(store->sets, row, set, count * sign);
			set = tag_set(fresh[i].tag);
			count = 0;
		}
		count++;
	}
	if (count)
		sets_count(store->sets, row, set, count * sign);
}

/* Objects for the first @n pages, all or none. */
static int place_objects(struct store *store, unsigned shard,
			 struct fresh *fresh, unsigned n)
{
	uint32_t n_bytes[STREAM_BATCH];
	struct handle handle[STREAM_BATCH];
	unsigned wanted = 0, next = 0;
	int err;

	for (unsigned i = 0; i < n; i++)
		if (fresh[i].data)
			n_bytes[wanted++] = fresh[i].n_bytes;
	if (!wanted)
		return 0;
	err = pool_alloc(store->pool, shard, n_bytes, wanted, handle);
	if (err)
		return err;
	for (unsigned i = 0; i < n; i++) {
		if (!fresh[i].data)
			continue;
		pool_write(store->pool, handle[next], fresh[i].tag,
			   fresh[i].data, fresh[i].n_bytes);
		fresh[i].word = entry_make(ENTRY_RAM, handle[next++].value);
	}
	return 0;
}

static int place_fill(struct store *store, struct fresh *fresh)
{
	_Atomic uint64_t *record;
	uint32_t ix;
	int err;

	if (fill_fits_entry(fresh->fill)) {
		fresh->word = entry_of_fill(fresh->fill);
		return 0;
	}
	err = table_alloc(store->arena, TABLE_FILLS, BUDGET_NORMAL, &ix);
	if (err)
		return err;
	record = table_at(store->arena, TABLE_FILLS, ix);
	atomic_store_explicit(record, fresh->fill, memory_order_relaxed);
	fresh->word = entry_make(ENTRY_FILL_RECORD, ix);
	return 0;
}

static void unplace(struct store *store, const struct fresh *fresh, unsigned n)
{
	struct handle handle[STREAM_BATCH];
	unsigned n_handles = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t word = fresh[i].word;

		if (entry_kind(word) == ENTRY_RAM)
			handle[n_handles++] = entry_handle(word);
		else if (entry_kind(word) == ENTRY_FILL_RECORD)
			table_free(store->arena, TABLE_FILLS,
				   (uint32_t)entry_payload(word));
		if (n_handles == STREAM_BATCH) {
			pool_free(store->pool, handle, n_handles);
			n_handles = 0;
		}
	}
	if (n_handles)
		pool_free(store->pool, handle, n_handles);
}

unsigned fresh_place(struct store *store, struct stream *stream,
		     struct fresh *fresh, unsigned n)
{
	unsigned placed = n, i;

	debug_invariant(n <= STREAM_BATCH);
	/* Near the limit some may still fit: a short write is better. */
	while (placed && place_objects(store, stream->slot, fresh, placed) != 0)
		placed /= 2;
	for (i = 0; i < placed; i++)
		if (!fresh[i].data && place_fill(store, &fresh[i]) != 0)
			break;
	unplace(store, fresh + i, placed - i);
	if (i < n)
		store_count(store, stream->row, COUNT_MEM_LIMIT_HIT, 1);
	count_objects(store, stream->row, fresh, i, 1);
	return i;
}

void fresh_unplace(struct store *store, struct stream *stream,
		   const struct fresh *fresh, unsigned n)
{
	unplace(store, fresh, n);
	count_objects(store, stream->row, fresh, n, -1);
}

void fresh_published(struct store *store, struct stream *stream,
		     const struct fresh *fresh, unsigned n)
{
	int64_t same = 0, huge = 0, bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		same += !fresh[i].data;
		if (!fresh[i].data)
			continue;
		huge += tag_set(fresh[i].tag) == SET_RAW;
		bytes += fresh[i].n_bytes;
	}
	if (same)
		store_count(store, stream->row, SUM_SAME, same);
	if (huge) {
		store_count(store, stream->row, SUM_HUGE, huge);
		store_count(store, stream->row, COUNT_HUGE_SINCE, huge);
	}
	if (bytes)
		store_count(store, stream->row, SUM_BYTES, bytes);
}
