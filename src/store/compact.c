/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compaction: objects of the sparsest spans are copied to fuller ones, so
 * that whole spans go back to the system.
 *
 * Looks like any writer to everybody else: copy out under the group lock,
 * make the new object without it, swap the entry if it is still the same, free
 * the old one. The bytes are not decoded, and the sums do not change.
 */
#include "store/state.h"

/*
 * A go walks all files, so it empties many spans (of 256 KiB): of a large pool
 * a quarter, or overwriting makes sparse ones faster than they go.
 */
#define COMPACT_SPANS_MIN 64
#define COMPACT_SPANS_SHARE_BYTES (4 * 256 * KIB)
/* Waste that is lived with: this much, and this share of what is held. */
#define COMPACT_MIN_BYTES (2 * MIB)
#define COMPACT_SLACK_SHARE 24

bool store_wants_compaction(struct store *store)
{
	struct pool_stats stats;
	uint64_t waste;

	pool_stats(store->pool, &stats);
	if (stats.held_bytes < stats.slot_bytes)
		return false;
	waste = stats.held_bytes - stats.slot_bytes;
	return waste > COMPACT_MIN_BYTES &&
	       waste > stats.held_bytes / COMPACT_SLACK_SHARE;
}

bool store_compact_begin(struct store *store)
{
	struct pool_stats stats;
	uint64_t spans;

	pool_stats(store->pool, &stats);
	spans = stats.held_bytes / COMPACT_SPANS_SHARE_BYTES;
	if (spans < COMPACT_SPANS_MIN)
		spans = COMPACT_SPANS_MIN;
	return pool_compact_begin(store->pool, (unsigned)spans) > 0;
}

void store_compact_end(struct store *store)
{
	pool_compact_end(store->pool);
}

/* Objects of one group on their way to another span. */
struct move {
	unsigned n;
	unsigned offset[STREAM_BATCH]; /* from the first page */
	uint64_t word[STREAM_BATCH];
	uint32_t n_bytes[STREAM_BATCH];
	uint16_t tag[STREAM_BATCH];
	struct handle to[STREAM_BATCH];
};

static void pick(struct store *store, struct stream *stream, struct file file,
		 uint64_t first, struct move *move)
{
	struct lock *group = store_group_lock(store, file, first);
	struct fetched content;
	unsigned have = 0;
	_Atomic uint64_t *slots;

	move->n = 0;
	lock_take(group);
	slots = map_slots(store->arena, file.body, first, &have);
	for (unsigned i = 0; i < have && i < STREAM_BATCH; i++) {
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_acquire);

		if (entry_kind(word) != ENTRY_RAM ||
		    !pool_should_move(store->pool, entry_handle(word)))
			continue;
		fetch(store, word, stream->scratch, stream->out[move->n], NULL,
		      &content);
		if (content.err)
			continue;
		move->offset[move->n] = i;
		move->word[move->n] = word;
		move->n_bytes[move->n] = (uint32_t)content.n_bytes;
		move->tag[move->n++] = tag_make(content.set, content.length);
	}
	lock_drop(group);
}

/* Swap in the copies whose pages did not change; how many. The words that are
 * not needed, old or new, are left in @move->to. */
static unsigned swap_in(struct store *store, struct file file, uint64_t first,
			struct move *move)
{
	struct lock *group = store_group_lock(store, file, first);
	unsigned have = 0, moved = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, file.body, first, &have);
	for (unsigned i = 0; i < move->n; i++) {
		_Atomic uint64_t *slot;
		uint64_t now, fresh;

		if (!slots || move->offset[i] >= have)
			continue;
		slot = &slots[move->offset[i]];
		now = atomic_load_explicit(slot, memory_order_relaxed);
		if (!entry_same(now, move->word[i]))
			continue;
		/* Moving is no touch: age and mark stay. */
		fresh = entry_make(ENTRY_RAM, move->to[i].value);
		fresh = entry_after(now, fresh) | (now & ENTRY_SOFT);
		atomic_store_explicit(slot, fresh, memory_order_release);
		move->to[i] = entry_handle(now);
		moved++;
	}
	lock_drop(group);
	return moved;
}

static void move_batch(struct store *store, struct stream *stream,
		       struct file file, uint64_t first)
{
	struct move move;
	unsigned moved;

	pick(store, stream, file, first, &move);
	if (!move.n)
		return;
	/* Without room there is nothing to move to: the next span that empties
	 * makes some. */
	if (pool_alloc(store->pool, stream->slot, move.n_bytes, move.n,
		       move.to) != 0)
		return;
	for (unsigned i = 0; i < move.n; i++)
		pool_write(store->pool, move.to[i], move.tag[i], stream->out[i],
			   move.n_bytes[i]);
	moved = swap_in(store, file, first, &move);
	pins_wait(store, move.to, move.n);
	pool_free(store->pool, move.to, move.n);
	store_count(store, stream->row, COUNT_COMPACTED, moved);
}

void store_compact_body(struct store *store, struct stream *stream,
			struct file file)
{
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t page = 0;

	/* Let go of the file after every batch: a cut must not wait for the
	 * whole walk. */
	for (;;) {
		rwlock_read(lock);
		page = map_next(store->arena, file.body, page);
		if (page != MAP_END)
			move_batch(store, stream, file, page);
		rwlock_read_end(lock);
		if (page == MAP_END)
			return;
		page = (page | (STREAM_BATCH - 1)) + 1;
	}
}
