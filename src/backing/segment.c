/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments: which are free, what refers to one, and its end.
 *
 *	          segment_open()        the last pin, unit or extent goes
 *	  free ------------------> in use -------------------> being emptied
 *	    ^                                                        |
 *	    +--------------------------------------------------------+
 *	              punched, kinds dropped, record freed
 *
 * While it is being emptied its sequence is 0 already: who still reads there
 * learns that it went. Its number is not given out before the hole is punched,
 * which would else take new bytes away.
 */
#include "backing/inside.h"
#include "base/check.h"
#include <errno.h>

/* The lowest free number, so that the file's end comes down. */
static uint32_t find_free(struct backing *b) REQUIRES(b->lock)
{
	uint32_t end = segments_end(b);
	uint32_t ix = b->lowest_free;

	while (ix < end && segment_at(b, ix)->record != RECORD_NONE)
		ix++;
	b->lowest_free = ix;
	return ix;
}

/* May the disk have room again? */
static bool disk_has_room(struct backing *b) REQUIRES(b->lock)
{
	return !b->disk_full || b->cleaning ||
	       clock_ns() - b->full_ns >= FULL_AGAIN_NS ||
	       file_system_room(b) >= b->room_when_full + BACKING_SEGMENT_BYTES;
}

static int take_record(struct backing *b, uint32_t ix) REQUIRES(b->lock)
{
	struct segment *seg;
	uint32_t record;
	int r;

	/* A mem_limit that was lowered is passed already: a few bytes more are
	 * what brings a megabyte back. */
	r = sparse_grow(&b->segments, (ix + 1) * sizeof(struct segment),
			BUDGET_FORCED);
	if (!r)
		r = table_alloc(b->arena, TABLE_SEGMENTS, BUDGET_FORCED,
				&record);
	if (r < 0)
		return -ENOMEM;
	seg = segment_at(b, ix);
	seg->record = record;
	b->used++;
	if (ix >= segments_end(b))
		atomic_store_explicit(&b->end, ix + 1, memory_order_release);
	return 0;
}

/* The record is complete before its sequence says that it is one. */
static void begin_life(struct backing *b, uint32_t ix) REQUIRES(b->lock)
{
	struct segment *seg = segment_at(b, ix);
	struct segment_record *record = record_of(b, ix);
	uint64_t sequence = atomic_fetch_add_explicit(word_of(b, WORD_SEQUENCE),
						      1, memory_order_acq_rel) +
			    1;

	record->segment = ix;
	atomic_store_explicit(&record->kinds, 0, memory_order_relaxed);
	atomic_store_explicit(&record->sequence, sequence,
			      memory_order_release);
	atomic_store_explicit(&seg->count, COUNT_PIN, memory_order_relaxed);
	atomic_store_explicit(&seg->sequence, sequence, memory_order_release);
	if (seg->used_before)
		backing_count(b, COUNT_REUSED, 1);
	seg->used_before = true;
	seg->damaged = false;
	segment_is_bad(b, ix, false);
	seg->barren = true;
}

/*
 * The last segment is for cleaning: what is written anew goes there, and more
 * comes free than it took. Without it a file full of half-empty segments would
 * stay full.
 */
static uint32_t segments_for(const struct backing *b)
{
	uint32_t most = file_segments_most(b);

	return b->cleaning || most < SPARE_LEAST ? most : most - 1;
}

static int take_free(struct backing *b, uint32_t *ret_ix)
{
	uint32_t ix;
	int r = -ENOSPC;

	lock_take(&b->lock);
	if (b->used < segments_for(b) && disk_has_room(b)) {
		ix = find_free(b);
		r = take_record(b, ix);
		if (!r) {
			begin_life(b, ix);
			*ret_ix = ix;
		}
	}
	atomic_store_explicit(&b->full, r == -ENOSPC, memory_order_relaxed);
	lock_drop(&b->lock);
	return r;
}

void segment_no_room(struct backing *b)
{
	lock_take(&b->lock);
	b->disk_full = true;
	b->room_when_full = file_system_room(b);
	b->full_ns = clock_ns();
	atomic_store_explicit(&b->full, true, memory_order_relaxed);
	lock_drop(&b->lock);
}

int segment_open(struct backing *b, uint32_t *ret_segment)
{
	uint32_t ix = SEGMENT_NONE;
	int r = take_free(b, &ix);

	if (r < 0)
		return r;
	r = file_reserve(b, ix);
	/* On the disk, too, there is to be as much. */
	if (!r && !b->cleaning && !b->is_device &&
	    file_system_room(b) < BACKING_SEGMENT_BYTES)
		r = -ENOSPC;
	if (r < 0) {
		segment_sub(b, ix, COUNT_PIN);
		if (r == -ENOSPC) {
			segment_no_room(b);
			return r;
		}
		log_note_error(b, r);
		return -EIO;
	}
	*ret_segment = ix;
	return 0;
}

void segment_is_bad(struct backing *b, uint32_t segment, bool bad)
{
	_Atomic bool *now = &segment_at(b, segment)->bad;

	if (atomic_exchange_explicit(now, bad, memory_order_relaxed) == bad)
		return;
	if (bad)
		atomic_fetch_add_explicit(&b->bad_segments, 1,
					  memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(&b->bad_segments, 1,
					  memory_order_relaxed);
}

void segments_cut_locked(struct backing *b)
{
	uint32_t end = segments_end(b);
	uint32_t before = end;

	while (end > 0 && segment_at(b, end - 1)->record == RECORD_NONE)
		end--;
	if (end == before)
		return;
	atomic_store_explicit(&b->end, end, memory_order_release);
	file_cut(b, end);
}

static void drop_kinds(struct backing *b, uint64_t kinds)
{
	for (; kinds; kinds &= kinds - 1)
		b->ops->drop(b->arg, (unsigned)__builtin_ctzll(kinds));
}

/* Nothing refers to it: its bytes, its kinds and its record go. */
static void retire(struct backing *b, uint32_t ix)
{
	struct segment *seg = segment_at(b, ix);
	struct segment_record *record = record_of(b, ix);
	uint64_t kinds =
		atomic_load_explicit(&record->kinds, memory_order_relaxed);

	atomic_store_explicit(&seg->sequence, 0, memory_order_release);
	segment_is_bad(b, ix, false);
	atomic_store_explicit(&record->sequence, 0, memory_order_release);
	file_punch(b, ix);
	drop_kinds(b, kinds);
	lock_take(&b->lock);
	table_free(b->arena, TABLE_SEGMENTS, seg->record);
	seg->record = RECORD_NONE;
	b->used--;
	if (ix < b->lowest_free)
		b->lowest_free = ix;
	/* One that nothing could be written to gives the disk no room. */
	if (!seg->barren)
		b->disk_full = false;
	if (!b->disk_full)
		atomic_store_explicit(&b->full, false, memory_order_relaxed);
	segments_cut_locked(b);
	lock_drop(&b->lock);
}

void segment_add(struct backing *b, uint32_t segment, uint64_t count)
{
	atomic_fetch_add_explicit(&segment_at(b, segment)->count, count,
				  memory_order_relaxed);
}

void segment_sub(struct backing *b, uint32_t segment, uint64_t count)
{
	/* All that others did with it comes before its end. */
	uint64_t before = atomic_fetch_sub_explicit(
		&segment_at(b, segment)->count, count, memory_order_acq_rel);

	debug_invariant(count_units(before) >= count_units(count) &&
			count_extents(before) >= count_extents(count) &&
			count_pins(before) >= count_pins(count));
	if (before == count)
		retire(b, segment);
}

bool segment_try_pin(struct backing *b, uint32_t segment)
{
	_Atomic uint64_t *count;
	uint64_t now;

	if (segment >= segments_end(b))
		return false;
	count = &segment_at(b, segment)->count;
	now = atomic_load_explicit(count, memory_order_relaxed);
	while (now && !atomic_compare_exchange_weak_explicit(
			      count, &now, now + COUNT_PIN,
			      memory_order_acquire, memory_order_relaxed))
		;
	return now;
}

void segment_hold(struct backing *b, uint32_t segment, unsigned kind)
{
	_Atomic uint64_t *kinds = &record_of(b, segment)->kinds;
	uint64_t bit = UINT64_C(1) << kind;
	uint64_t held = atomic_load_explicit(kinds, memory_order_relaxed);

	if (held & bit)
		return;
	b->ops->hold(b->arg, kind);
	/* Only the writer adds kinds. */
	atomic_store_explicit(kinds, held | bit, memory_order_release);
}

void backing_free(struct backing *b, struct extent extent)
{
	struct place at = extent_place(extent);

	invariant(extent_is_possible(extent) && at.segment < segments_end(b));
	segment_sub(b, at.segment, at.units + COUNT_EXTENT);
}

size_t backing_extent_bytes(struct extent extent)
{
	return extent_place(extent).units * BACKING_UNIT;
}

uint64_t backing_extent_offset(struct extent extent)
{
	return extent_place(extent).unit * BACKING_UNIT;
}
