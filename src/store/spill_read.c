/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages on disk: reading them, and bringing them back to RAM.
 *
 * The disk is read without a lock. Extents never change and a reference names
 * the life of its segment, so the bytes are those of the entry that was seen
 * or the backing says that they are gone. The object goes in only for the very
 * same extent: an equal word may stand for a later one of the same place.
 */
#include "base/log.h"
#include "store/state.h"
#include <errno.h>
#include <inttypes.h>

/* Less free room than this is left to those who write. There is more at the
 * high mark, above which room is made. */
#define PROMOTE_ROOM_BYTES (UINT64_C(128) << 10)

char *spill_buffer(const struct stream *stream)
{
	uintptr_t at = (uintptr_t)stream->out[0] + PAGE_BYTES - 1;

	return stream->out[0] +
	       (at / PAGE_BYTES * PAGE_BYTES - (uintptr_t)stream->out[0]);
}

static bool is_of(const struct extent_view *view, struct file file,
		  uint64_t page, uint64_t word)
{
	return view->owner.file == file.ix && view->owner.page == page &&
	       view->owner.generation == entry_generation(word);
}

void spill_take_view(struct store *store, struct file file, uint64_t page,
		     int err, const struct extent_view *view,
		     struct fetched *from)
{
	store_count(store, TALLY_SHARED_ROW, COUNT_SPILL_READS, 1);
	if (!err && !is_of(view, file, page, from->word))
		err = -EIO;
	from->err = err;
	if (err) {
		log_limited(LOG_AT_ERROR,
			    "inode %" PRIu32 ", page %" PRIu64
			    ": cannot be read from the backing file (foldctl "
			    "check --data says which files have such pages)",
			    file.ix, page);
		return;
	}
	from->data = view->data;
	from->n_bytes = view->n_bytes;
	from->set = tag_set(view->tag);
	from->length = tag_length(view->tag);
}

int spill_load(struct store *store, struct file file, uint64_t page, void *buf,
	       struct fetched *from)
{
	struct extent_view view;
	int err = backing_read(store->backing, &from->ref, buf, &view);

	if (err == -ESTALE) {
		store_count(store, TALLY_SHARED_ROW, COUNT_RETRIES, 1);
		return err;
	}
	spill_take_view(store, file, page, err, &view, from);
	return 0;
}

/* --- neighbours --- */

/* With spill_buffer() before it this leaves the last slot of out[] alone, where
 * a copy keeps its page. */
#define RUN_BYTES (28 * PAGE_BYTES)
/* What lies between two neighbours is read as well, up to this. */
#define GAP_BYTES PAGE_BYTES
_Static_assert(PAGE_BYTES + BACKING_READ_BYTES + RUN_BYTES <=
		       (STREAM_BATCH - 1) * STREAM_SLOT_BYTES,
	       "a run lies in all slots but one");

static uint64_t where(struct store *store, const struct fetched *from,
		      size_t *ret_n)
{
	uint64_t offset;
	size_t skip;
	int fd;

	backing_where(store->backing, &from->ref, &fd, &offset, ret_n, &skip);
	return offset;
}

/* Read @from[0] and those that follow it on disk. A sweep puts pages in the
 * order that a reader wants them in. */
static void read_run(struct store *store, struct stream *stream,
		     const struct fetched *from, unsigned n,
		     struct spill_run *run)
{
	unsigned pages = 1;

	run->offset = where(store, from, &run->n);
	run->bytes = spill_buffer(stream) + BACKING_READ_BYTES;
	for (unsigned i = 1; i < n; i++) {
		uint64_t end = run->offset + run->n, offset;
		size_t bytes;

		if (!from[i].spilled)
			continue;
		offset = where(store, &from[i], &bytes);
		if (offset < run->offset || offset > end + GAP_BYTES ||
		    offset + bytes > run->offset + RUN_BYTES)
			break;
		if (offset + bytes > end)
			run->n = offset + bytes - run->offset;
		pages++;
	}
	if (pages == 1 || backing_read_blocks(store->backing, run->offset,
					      run->bytes, run->n) != 0)
		run->n = 0;
}

static bool is_in(const struct spill_run *run, uint64_t offset, size_t n)
{
	return offset >= run->offset && offset + n <= run->offset + run->n;
}

bool spill_load_ahead(struct store *store, struct file file, uint64_t page,
		      const struct store_ahead *ahead, struct fetched *from)
{
	struct extent_view view;

	if (!ahead_find(store, ahead, &from->ref, &view))
		return false;
	spill_take_view(store, file, page, 0, &view, from);
	return true;
}

int spill_load_run(struct store *store, struct stream *stream, struct file file,
		   uint64_t page, struct fetched *from, unsigned n,
		   struct spill_run *run)
{
	uint64_t offset = backing_extent_offset(from->ref.extent);
	size_t bytes = backing_extent_bytes(from->ref.extent);
	struct extent_view view;

	if (!is_in(run, offset, bytes))
		read_run(store, stream, from, n, run);
	/* Anything wrong with it is for the one who reads it alone to say. */
	if (!is_in(run, offset, bytes) ||
	    backing_verify(store->backing, &from->ref,
			   run->bytes + (offset - run->offset), &view))
		return spill_load(store, file, page, spill_buffer(stream),
				  from);
	spill_take_view(store, file, page, 0, &view, from);
	return 0;
}

bool spill_swap(struct store *store, struct file file, uint64_t page,
		const struct fetched *from, uint64_t fresh, uint64_t *ret_old)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, page);
	_Atomic uint64_t *slot;
	bool same = false;
	unsigned n;

	rwlock_read(lock);
	lock_take(group);
	slot = map_slots(store->arena, file.body, page, &n);
	if (slot) {
		uint64_t now = atomic_load_explicit(slot, memory_order_relaxed);

		same = entry_same(now, from->word) &&
		       backing_ref(store->backing, entry_extent(now))
				       .sequence == from->ref.sequence;
		if (same)
			atomic_store_explicit(slot, entry_after(now, fresh),
					      memory_order_release);
		*ret_old = now;
	}
	lock_drop(group);
	rwlock_read_end(lock);
	return same;
}

static void count_return(struct store *store, unsigned row,
			 const struct fetched *from, int sign)
{
	/* Down with the books is to find it counted: up comes first. */
	sets_count(store->sets, row, from->set, sign);
	store_count(store, row, SUM_BYTES, sign * (int64_t)from->n_bytes);
	if (from->set == SET_RAW)
		store_count(store, row, SUM_HUGE, sign);
}

int spill_return(struct store *store, unsigned row, struct file file,
		 uint64_t page, const struct fetched *from)
{
	uint32_t n_bytes = (uint32_t)from->n_bytes;
	struct books books;
	struct handle h;
	uint64_t old;

	if (pool_alloc(store->pool, row, &n_bytes, 1, &h) != 0)
		return -ENOSPC;
	pool_write(store->pool, h, tag_make(from->set, from->length),
		   from->data, n_bytes);
	count_return(store, row, from, 1);
	if (!spill_swap(store, file, page, from, entry_make(ENTRY_RAM, h.value),
			&old)) {
		count_return(store, row, from, -1);
		pool_free(store->pool, &h, 1);
		return -EAGAIN;
	}
	books_begin(&books, store, row);
	books_gone(&books, old);
	books_end(&books);
	store_count(store, row, COUNT_BROUGHT_BACK, 1);
	return 0;
}

void spill_promote(struct store *store, unsigned row, struct file file,
		   uint64_t page, const struct fetched *from)
{
	unsigned ticks = atomic_load_explicit(&store->promote_ticks,
					      memory_order_relaxed);

	if (entry_read_ticks(from->word) >= ticks ||
	    budget_room(arena_budget(store->arena)) < PROMOTE_ROOM_BYTES)
		return;
	/* Either way the reader has its bytes. */
	(void)!spill_return(store, row, file, page, from);
}

/* --- without a reader --- */

static bool see_spilled(struct store *store, struct file file, uint64_t page,
			struct fetched *ret)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, page);
	uint64_t word = 0;
	_Atomic uint64_t *slot;
	bool spilled;
	unsigned n;

	rwlock_read(lock);
	lock_take(group);
	slot = map_slots(store->arena, file.body, page, &n);
	if (slot)
		word = atomic_load_explicit(slot, memory_order_acquire);
	spilled = entry_kind(word) == ENTRY_SPILLED;
	if (spilled)
		fetch(store, word, NULL, NULL, NULL, ret);
	lock_drop(group);
	rwlock_read_end(lock);
	return spilled && ret->spilled;
}

int spill_bring(struct store *store, unsigned row, struct file file,
		uint64_t page, void *buf)
{
	struct fetched from;
	int err;

	do {
		if (!see_spilled(store, file, page, &from))
			return 0;
		err = spill_load(store, file, page, buf, &from);
		if (!err)
			err = from.err;
		if (!err)
			err = spill_return(store, row, file, page, &from);
	} while (err == -ESTALE || err == -EAGAIN);
	return err ? err : 1;
}

void spill_recall(struct store *store, struct stream *stream, struct file file,
		  uint64_t page)
{
	(void)!spill_bring(store, stream->row, file, page,
			   spill_buffer(stream));
}
