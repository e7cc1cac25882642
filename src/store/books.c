/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What leaves the store: objects, extents and fill records are freed, and the
 * sums follow them down.
 *
 * Whoever swapped a word out of its slot owns what the word names, so nothing
 * here needs a lock: readers copied the bytes while they held the group lock,
 * or have named the object, and are waited for.
 */
#include "store/state.h"

void books_begin(struct books *books, struct store *store, unsigned row)
{
	books->store = store;
	books->row = row;
	books->n_handles = 0;
	books->set = SET_RAW;
	books->set_objects = 0;
	books->same = 0;
	books->huge = 0;
	books->bytes = 0;
	books->spilled = 0;
	books->spilled_bytes = 0;
	books->lost = 0;
	books->pages = 0;
}

static void count_set(struct books *books)
{
	if (books->set_objects)
		sets_count(books->store->sets, books->row, books->set,
			   -books->set_objects);
	books->set_objects = 0;
}

static void free_handles(struct books *books)
{
	if (books->n_handles) {
		pins_wait(books->store, books->handle, books->n_handles);
		pool_free(books->store->pool, books->handle, books->n_handles);
	}
	books->n_handles = 0;
}

/* The sums need the object's length and set, which its header knows. One that
 * cannot be read was never in them (see rebuild.c) or is corrupt. */
static void object_gone(struct books *books, struct handle h)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool *pool = books->store->pool;
	struct pool_view view;

	if (pool_read_begin(pool, h, scratch, &view) == 0) {
		unsigned set = tag_set(view.tag);

		books->bytes += view.bytes[0] + view.bytes[1];
		pool_read_end(pool, h, &view);
		if (set != books->set) {
			count_set(books);
			books->set = set;
		}
		books->set_objects++;
		books->huge += set == SET_RAW;
	}
	books->handle[books->n_handles++] = h;
	if (books->n_handles == POOL_BATCH_MAX)
		free_handles(books);
}

static void extent_gone(struct books *books, struct extent extent)
{
	struct backing *backing = books->store->backing;

	/* Without a backing a rebuild lets no such entry stay. */
	books->spilled++;
	books->spilled_bytes += (int64_t)backing_extent_bytes(extent);
	backing_free(backing, extent);
}

void books_gone(struct books *books, uint64_t word)
{
	books->pages += entry_is_held(word);
	switch (entry_kind(word)) {
	case ENTRY_FILL:
		books->same++;
		break;
	case ENTRY_FILL_RECORD:
		books->same++;
		table_free(books->store->arena, TABLE_FILLS,
			   (uint32_t)entry_payload(word));
		break;
	case ENTRY_RAM:
		object_gone(books, entry_handle(word));
		break;
	case ENTRY_SPILLED:
		extent_gone(books, entry_extent(word));
		break;
	case ENTRY_BAD:
		books->lost += entry_counts_as_lost(word);
		break;
	default:
		break;
	}
}

static void count_sum(struct books *books, enum store_column sum, int64_t gone)
{
	if (gone)
		store_count(books->store, books->row, sum, -gone);
}

void books_end(struct books *books)
{
	free_handles(books);
	count_set(books);
	count_sum(books, SUM_SAME, books->same);
	count_sum(books, SUM_HUGE, books->huge);
	count_sum(books, SUM_BYTES, books->bytes);
	count_sum(books, SUM_SPILLED, books->spilled);
	count_sum(books, SUM_SPILLED_BYTES, books->spilled_bytes);
	count_sum(books, SUM_LOST, books->lost);
}

static void visit_gone(void *arg, uint64_t word)
{
	books_gone(arg, word);
}

void books_free_taken(struct store *store, unsigned row, struct body *body,
		      struct map_taken *taken)
{
	struct books books;

	books_begin(&books, store, row);
	map_free_taken(store->arena, taken, visit_gone, &books);
	books_end(&books);
	if (!books.pages)
		return;
	atomic_fetch_sub_explicit(&body->pages, books.pages,
				  memory_order_relaxed);
	store_uncharge(store, books.pages);
	store_count(store, row, COUNT_PAGES_DISCARDED, (int64_t)books.pages);
}
