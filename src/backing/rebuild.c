/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After an attach: which segments there are from the arena's records, what is
 * live in them from what owners mark. And whether all of it agrees.
 *
 * A segment that nobody marked has no record afterwards, and no bytes. None is
 * open for writing: what the former life had not finished is a gap at its end.
 */
#include "backing/inside.h"
#include "base/check.h"
#include <errno.h>

static bool is_record(const struct segment_record *record)
{
	return atomic_load_explicit(&record->sequence, memory_order_acquire) &&
	       record->segment < SEGMENTS_MAX;
}

static struct segment_record *record_at(const struct backing *b, uint32_t ix)
{
	return table_at(b->arena, TABLE_SEGMENTS, ix);
}

/* One past the highest segment that has a record. */
static uint32_t recorded_end(const struct backing *b)
{
	uint32_t records = table_end(b->arena, TABLE_SEGMENTS);
	uint32_t end = 0;

	for (uint32_t ix = 1; ix < records; ix++)
		if (is_record(record_at(b, ix)) &&
		    record_at(b, ix)->segment >= end)
			end = record_at(b, ix)->segment + 1;
	return end;
}

/* The later life is the right one, should a record be there twice. */
static void note_record(struct backing *b, uint32_t ix)
{
	const struct segment_record *record = record_at(b, ix);
	struct segment *seg = segment_at(b, record->segment);
	uint64_t sequence =
		atomic_load_explicit(&record->sequence, memory_order_relaxed);

	if (sequence <
	    atomic_load_explicit(&seg->sequence, memory_order_relaxed))
		return;
	seg->record = ix;
	seg->used_before = true;
	atomic_store_explicit(&seg->sequence, sequence, memory_order_relaxed);
}

void backing_scan_begin(struct backing *b)
{
	uint32_t records = table_end(b->arena, TABLE_SEGMENTS);
	uint32_t end = recorded_end(b);
	int r;

	table_scan_begin(b->arena, TABLE_SEGMENTS);
	/* Without these nothing could be found again. */
	r = sparse_grow(&b->segments, end * sizeof(struct segment),
			BUDGET_FORCED);
	if (!r)
		r = sparse_grow(&b->marks, end * (SEGMENT_UNITS / 8),
				BUDGET_FORCED);
	invariant(r == 0);
	memset(b->segments.base, 0, b->segments.ready_bytes);
	for (uint32_t ix = 1; ix < records; ix++)
		if (is_record(record_at(b, ix)))
			note_record(b, ix);
	b->open_segment = SEGMENT_NONE;
	b->filling = NULL;
	b->leave_open = false;
	b->used = 0;
	b->lowest_free = 0;
	atomic_store_explicit(&b->end, end, memory_order_release);
}

/* Are the units free in the marks? Then they are not any more. */
static bool mark_units(struct backing *b, const struct place *at)
{
	uint64_t *words = (uint64_t *)(void *)b->marks.base;

	for (uint32_t i = 0; i < at->units; i++)
		if (words[(at->unit + i) / 64] >> ((at->unit + i) % 64) & 1)
			return false;
	for (uint32_t i = 0; i < at->units; i++)
		words[(at->unit + i) / 64] |= UINT64_C(1)
					      << ((at->unit + i) % 64);
	return true;
}

int backing_mark(struct backing *b, struct extent extent)
{
	struct place at = extent_place(extent);
	struct segment *seg;

	if (!extent_is_possible(extent) || at.segment >= segments_end(b) ||
	    segment_at(b, at.segment)->record == RECORD_NONE)
		return -ERANGE;
	if (!mark_units(b, &at))
		return -EEXIST;
	seg = segment_at(b, at.segment);
	if (atomic_load_explicit(&seg->count, memory_order_relaxed) == 0) {
		/* Each record is noted for one segment. */
		int r = table_mark(b->arena, TABLE_SEGMENTS, seg->record);

		invariant(r == 0);
		b->used++;
	}
	segment_add(b, at.segment, at.units + COUNT_EXTENT);
	return 0;
}

static void hold_kinds(struct backing *b, uint32_t ix)
{
	uint64_t kinds = atomic_load_explicit(&record_of(b, ix)->kinds,
					      memory_order_relaxed);

	for (; kinds; kinds &= kinds - 1)
		b->ops->hold(b->arg, (unsigned)__builtin_ctzll(kinds));
}

static void end_segment(struct backing *b, uint32_t ix)
{
	struct segment *seg = segment_at(b, ix);

	if (atomic_load_explicit(&seg->count, memory_order_relaxed)) {
		hold_kinds(b, ix);
		return;
	}
	seg->record = RECORD_NONE;
	atomic_store_explicit(&seg->sequence, 0, memory_order_relaxed);
	if (backing_is_open(b))
		file_punch(b, ix);
}

void backing_scan_end(struct backing *b)
{
	uint32_t end = segments_end(b);

	for (uint32_t ix = 0; ix < end; ix++)
		end_segment(b, ix);
	table_scan_end(b->arena, TABLE_SEGMENTS);
	sparse_shrink(&b->marks, 0);
	lock_take(&b->lock);
	segments_cut_locked(b);
	lock_drop(&b->lock);
}

/* --- the checker --- */

static bool segment_adds_up(struct backing *b, uint32_t ix, uint64_t next)
{
	struct segment *seg = segment_at(b, ix);
	const struct segment_record *record;
	uint64_t count =
		atomic_load_explicit(&seg->count, memory_order_acquire);
	uint64_t sequence =
		atomic_load_explicit(&seg->sequence, memory_order_acquire);

	if (seg->record == RECORD_NONE)
		return !count && !sequence;
	record = record_at(b, seg->record);
	/* It may be on its way out: then all of it is gone in a moment. */
	if (!count)
		return true;
	return table_is_used(b->arena, TABLE_SEGMENTS, seg->record) &&
	       record->segment == ix && sequence <= next &&
	       sequence == atomic_load_explicit(&record->sequence,
						memory_order_acquire) &&
	       count_units(count) <= SEGMENT_UNITS - segment_first(ix) &&
	       count_units(count) >= count_extents(count) * EXTENT_UNITS_MIN &&
	       count_units(count) <= count_extents(count) * EXTENT_UNITS_MAX;
}

int backing_check(struct backing *b)
{
	uint64_t next = atomic_load_explicit(word_of(b, WORD_SEQUENCE),
					     memory_order_acquire);
	uint32_t used = 0;
	bool good = true;

	lock_take(&b->lock);
	for (uint32_t ix = 0; ix < segments_end(b); ix++) {
		used += segment_at(b, ix)->record != RECORD_NONE;
		good = good && segment_adds_up(b, ix, next);
	}
	for (uint32_t ix = 0; ix < b->lowest_free; ix++)
		good = good && segment_at(b, ix)->record != RECORD_NONE;
	good = good && used == b->used &&
	       used == table_used(b->arena, TABLE_SEGMENTS);
	lock_drop(&b->lock);
	return good ? 0 : -EUCLEAN;
}

void backing_kinds(struct backing *b, uint32_t ret_holds[BACKING_KINDS])
{
	memset(ret_holds, 0, BACKING_KINDS * sizeof(*ret_holds));
	lock_take(&b->lock);
	for (uint32_t ix = 0; ix < segments_end(b); ix++) {
		uint64_t kinds;

		if (segment_at(b, ix)->record == RECORD_NONE)
			continue;
		kinds = atomic_load_explicit(&record_of(b, ix)->kinds,
					     memory_order_acquire);
		for (; kinds; kinds &= kinds - 1)
			ret_holds[__builtin_ctzll(kinds)]++;
	}
	lock_drop(&b->lock);
}
