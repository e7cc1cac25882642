/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backing file's start and end in memory, its cap, and its numbers. */
#include "backing/backing.h"
#include "backing/inside.h"
#include "base/heap.h"
#include <errno.h>

int backing_new(struct arena *arena, const struct backing_ops *ops, void *arg,
		struct backing **ret)
{
	struct backing *b = heap_zalloc(1, sizeof(*b));
	struct budget *budget = arena_budget(arena);
	int r;

	if (!b)
		return -ENOMEM;
	b->arena = arena;
	b->ops = ops;
	b->arg = arg;
	b->fd = -1;
	b->sector = BLOCK_BYTES;
	b->open_segment = SEGMENT_NONE;
	r = sparse_init(&b->segments, SEGMENTS_MAX * sizeof(struct segment),
			budget);
	if (!r)
		r = sparse_init(&b->marks,
				(size_t)SEGMENTS_MAX * (SEGMENT_UNITS / 8),
				budget);
	if (r < 0) {
		sparse_fini(&b->segments);
		heap_free(b);
		return r;
	}
	lock_init(&b->lock, LOCK_BACKING);
	*ret = b;
	return 0;
}

void backing_free_all(struct backing *b)
{
	if (!b)
		return;
	file_let_go(b);
	sparse_fini(&b->marks);
	sparse_fini(&b->segments);
	lock_fini(&b->lock);
	heap_free(b);
}

bool backing_is_open(const struct backing *b)
{
	return backing_descriptor(b) >= 0;
}

int backing_fd(const struct backing *b)
{
	return backing_descriptor(b);
}

void backing_set_most(struct backing *b, uint64_t most_bytes)
{
	atomic_store_explicit(&b->most_bytes, most_bytes, memory_order_relaxed);
	atomic_store_explicit(word_of(b, WORD_MOST), most_bytes,
			      memory_order_release);
	atomic_store_explicit(&b->full, false, memory_order_relaxed);
}

static enum backing_state state_of(const struct backing *b)
{
	if (!backing_is_open(b))
		return BACKING_NONE;
	if (atomic_load_explicit(&b->failures, memory_order_relaxed) >=
	    FAILURES_MAX)
		return BACKING_STOPPED;
	if (atomic_load_explicit(&b->full, memory_order_relaxed))
		return BACKING_FULL;
	return BACKING_ACTIVE;
}

static uint64_t counted(const struct backing *b, enum counter counter)
{
	return atomic_load_explicit(&b->counter[counter], memory_order_relaxed);
}

static void add_segments(const struct backing *b, struct backing_stats *stats)
{
	uint32_t end = segments_end(b);
	uint64_t units = 0;

	for (uint32_t ix = 0; ix < end; ix++) {
		uint64_t count = atomic_load_explicit(&segment_at(b, ix)->count,
						      memory_order_relaxed);

		units += count_units(count);
		stats->extents += count_extents(count);
		stats->segments += count != 0;
	}
	stats->live_bytes = units * BACKING_UNIT;
	stats->payload_bytes = (units - stats->extents) * BACKING_UNIT;
}

void backing_stats(struct backing *b, struct backing_stats *ret)
{
	*ret = (struct backing_stats){
		.state = state_of(b),
		.file_bytes = file_disk_bytes(b),
		.most_bytes = atomic_load_explicit(&b->most_bytes,
						   memory_order_relaxed),
		.direct = b->direct,
		.encrypted = atomic_load_explicit(word_of(b, WORD_FLAGS),
						  memory_order_relaxed) &
			     FLAGS_CIPHER,
		.segments_reused = counted(b, COUNT_REUSED),
		.reads = counted(b, COUNT_READS),
		.read_bytes = counted(b, COUNT_READ_BYTES),
		.writes = counted(b, COUNT_WRITES),
		.write_bytes = counted(b, COUNT_WRITE_BYTES),
		.read_errors = counted(b, COUNT_READ_ERRORS),
		.write_errors = counted(b, COUNT_WRITE_ERRORS),
		.damaged = atomic_load_explicit(&b->bad_segments,
						memory_order_relaxed),
		.checksum_errors = counted(b, COUNT_CHECKSUM_ERRORS),
	};
	add_segments(b, ret);
}

const char *backing_state_name(enum backing_state state)
{
	static const char *const names[] = {
		[BACKING_NONE] = "none",
		[BACKING_ACTIVE] = "active",
		[BACKING_FULL] = "full",
		[BACKING_STOPPED] = "stopped",
	};

	return names[state];
}
