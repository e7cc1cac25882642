/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an entry to bytes: copy out under the group lock, decode without it.
 *
 * A page that cannot be had is an error of that page only, counted when
 * someone asks for its bytes; it is never shown as something else.
 */
#include "base/check.h"
#include "base/log.h"
#include "codec/fill.h"
#include "store/state.h"
#include <errno.h>
#include <string.h>

void fetch_expect(struct store *store, const _Atomic uint64_t *slots,
		  unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_relaxed);

		if (entry_kind(word) == ENTRY_RAM)
			pool_expect(store->pool, entry_handle(word));
	}
}

static void fetch_object(struct store *store, struct handle h, void *scratch,
			 char *out, char *raw_out, struct fetched *ret)
{
	struct pool_view view;

	ret->err = pool_read_begin(store->pool, h, scratch, &view);
	if (ret->err)
		return;
	ret->set = tag_set(view.tag);
	ret->length = tag_length(view.tag);
	ret->n_bytes = view.bytes[0] + view.bytes[1];
	if (out && raw_out && ret->set == SET_RAW &&
	    ret->n_bytes == PAGE_BYTES && ret->length == PAGE_BYTES)
		out = raw_out;
	ret->data = out ? out : view.piece[0];
	if (ret->n_bytes > POOL_OBJECT_MAX) {
		ret->err = -EIO;
	} else if (!out) {
		debug_invariant(!view.bytes[1]);
	} else {
		memcpy(out, view.piece[0], view.bytes[0]);
		if (view.bytes[1])
			memcpy(out + view.bytes[0], view.piece[1],
			       view.bytes[1]);
	}
	pool_read_end(store->pool, h, &view);
}

static void fetch_extent(struct store *store, uint64_t word,
			 struct fetched *ret)
{
	if (!store->backing) {
		ret->err = -EIO;
		return;
	}
	ret->spilled = true;
	ret->ref = backing_ref(store->backing, entry_extent(word));
	ret->word = word;
}

void fetch(struct store *store, uint64_t word, void *scratch, char *out,
	   char *raw_out, struct fetched *ret)
{
	const _Atomic uint64_t *record;

	ret->data = NULL;
	ret->fill = 0;
	ret->length = 0;
	ret->err = 0;
	ret->lost = false;
	ret->spilled = false;
	switch (entry_kind(word)) {
	case ENTRY_EMPTY:
		return;
	case ENTRY_FILL:
		ret->fill = entry_fill_word(word);
		break;
	case ENTRY_FILL_RECORD:
		record = table_at(store->arena, TABLE_FILLS,
				  (uint32_t)entry_payload(word));
		ret->fill = atomic_load_explicit(record, memory_order_relaxed);
		break;
	case ENTRY_RAM:
		fetch_object(store, entry_handle(word), scratch, out, raw_out,
			     ret);
		return;
	case ENTRY_SPILLED:
		fetch_extent(store, word, ret);
		return;
	default:
		ret->err = -EIO;
		ret->lost = entry_counts_as_lost(word);
		return;
	}
	ret->length = ret->fill ? PAGE_BYTES : 0;
}

static int decode(struct stream *stream, const struct fetched *from, char *page)
{
	if (from->err)
		return from->err;
	if (!from->data) {
		fill_write(page, from->length, from->fill);
		return 0;
	}
	if (from->set == SET_RAW) {
		if (from->n_bytes != from->length)
			return -EIO;
		if (from->data != page)
			memcpy(page, from->data, from->length);
		return 0;
	}
	return stream_decompress(stream, from->set, from->data, from->n_bytes,
				 page, from->length);
}

/* Of one on disk that was said, and counted as the disk's, when it was read. */
static bool is_known(const struct fetched *from)
{
	return from->err && (from->spilled || from->lost);
}

int fetch_decode(struct store *store, struct stream *stream,
		 const struct fetched *from, char *page)
{
	int err = decode(stream, from, page);

	if (err && !is_known(from)) {
		store_count(store, stream->row, COUNT_READ_ERRORS, 1);
		log_limited(LOG_AT_ERROR, "a stored page cannot be decoded");
	}
	if (err)
		return -EIO;
	memset(page + from->length, 0, PAGE_BYTES - from->length);
	return 0;
}
