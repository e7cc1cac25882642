/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cleaning: which segment is worth being rewritten, and a walk over all that
 * lies in one.
 *
 * Nothing says where extents begin; a walk goes from one to the next, over the
 * zeroes at a chunk's end to the next block, and from a bad one on unit by
 * unit until something verifies again. What it finds in the middle of an
 * extent's bytes has a name that no owner knows.
 */
#include "backing/inside.h"
#include "base/resident.h"
#include <errno.h>
#include <sys/mman.h>

bool backing_thin(struct backing *b, unsigned percent, uint32_t *ret_segment)
{
	uint64_t least = (uint64_t)SEGMENT_UNITS * percent;
	uint32_t end = segments_end(b);
	bool found = false;

	for (uint32_t ix = 0; ix < end; ix++) {
		uint64_t count = atomic_load_explicit(&segment_at(b, ix)->count,
						      memory_order_relaxed);

		if (!count || count_pins(count) || segment_at(b, ix)->damaged ||
		    count_units(count) * UINT64_C(100) >= least)
			continue;
		least = count_units(count) * UINT64_C(100);
		*ret_segment = ix;
		found = true;
	}
	return found;
}

#define BLOCK_UNITS (BLOCK_BYTES / BACKING_UNIT)
#define WINDOW_UNITS (BACKING_CHUNK_BYTES / BACKING_UNIT)
/* Room for an extent that is deciphered lies behind. */
#define WINDOW_MAP_BYTES (BACKING_CHUNK_BYTES + PAGE_BYTES)

/* A part of the segment in memory. */
struct window {
	struct backing *b;
	uint32_t segment;
	uint64_t sequence;
	char *bytes;
	uint32_t start, end; /* units of the segment that are there */
	int err;
};

int window_up(struct backing *b)
{
	struct budget *budget = arena_budget(b->arena);
	void *map;

	if (b->window)
		return 0;
	if (budget_take(budget, WINDOW_MAP_BYTES, BUDGET_RESERVE) < 0)
		return -ENOMEM;
	map = mmap(NULL, WINDOW_MAP_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		budget_give(budget, WINDOW_MAP_BYTES);
		return -ENOMEM;
	}
	madvise(map, WINDOW_MAP_BYTES, MADV_NOHUGEPAGE);
	madvise(map, WINDOW_MAP_BYTES, MADV_DONTDUMP);
	/* All that is charged is there when the process is measured. */
	if (resident_touch(map, WINDOW_MAP_BYTES) < 0) {
		munmap(map, WINDOW_MAP_BYTES);
		budget_give(budget, WINDOW_MAP_BYTES);
		return -ENOMEM;
	}
	b->window = map;
	return 0;
}

void window_down(struct backing *b)
{
	if (!b->window)
		return;
	munmap(b->window, WINDOW_MAP_BYTES);
	budget_give(arena_budget(b->arena), WINDOW_MAP_BYTES);
	b->window = NULL;
}

static int read_blocks(const struct window *w, uint32_t unit, uint32_t units)
{
	uint64_t offset =
		((uint64_t)w->segment * SEGMENT_UNITS + unit) * BACKING_UNIT;
	char *to = w->bytes + (unit - w->start) * BACKING_UNIT;
	size_t n_bytes = (size_t)units * BACKING_UNIT;
	int fd = backing_descriptor(w->b);
	int r = io_read_all(fd, to, n_bytes, offset);

	if (!r && !w->b->direct)
		file_uncache(fd, offset, n_bytes);
	return r;
}

/* What cannot be read in one go is read block by block; a bad block is zeroes
 * to the walk. */
static void fill_window(struct window *w)
{
	if (!read_blocks(w, w->start, w->end - w->start))
		return;
	for (uint32_t unit = w->start; unit < w->end; unit += BLOCK_UNITS) {
		if (!read_blocks(w, unit, BLOCK_UNITS))
			continue;
		backing_count(w->b, COUNT_READ_ERRORS, 1);
		memset(w->bytes + (unit - w->start) * BACKING_UNIT, 0,
		       BLOCK_BYTES);
		w->err = -EIO;
	}
}

/* Have what may be the longest extent at @unit in the window. */
static void move_window(struct window *w, uint32_t unit)
{
	uint32_t wanted = unit + EXTENT_UNITS_MAX;

	if (wanted > SEGMENT_UNITS)
		wanted = SEGMENT_UNITS;
	if (unit >= w->start && wanted <= w->end)
		return;
	w->start = unit - unit % BLOCK_UNITS;
	w->end = w->start + WINDOW_UNITS;
	if (w->end > SEGMENT_UNITS)
		w->end = SEGMENT_UNITS;
	fill_window(w);
}

/* The extent at @unit, if one verifies there: its units, else 0. */
static unsigned look(struct window *w, uint32_t unit, struct extent *ret_extent,
		     struct extent_view *ret_view)
{
	uint64_t at = (uint64_t)w->segment * SEGMENT_UNITS + unit;
	const char *bytes = w->bytes + (unit - w->start) * BACKING_UNIT;
	struct extent_header header;
	unsigned units;

	memcpy(&header, bytes, sizeof(header));
	units = extent_units(header.n_bytes);
	if (units > EXTENT_UNITS_MAX || unit + units > SEGMENT_UNITS ||
	    !extent_verify(w->b, w->sequence, at, units, bytes,
			   w->bytes + BACKING_CHUNK_BYTES, ret_view))
		return 0;
	*ret_extent = extent_name(at, units);
	return units;
}

static bool is_blank(const struct window *w, uint32_t unit)
{
	static const char zeroes[BACKING_UNIT];

	return !memcmp(w->bytes + (unit - w->start) * BACKING_UNIT, zeroes,
		       sizeof(zeroes));
}

static void walk(struct window *w,
		 void (*visit)(void *arg, struct extent extent,
			       const struct extent_view *view),
		 void *arg)
{
	uint32_t unit = segment_first(w->segment);

	while (unit + EXTENT_UNITS_MIN <= SEGMENT_UNITS) {
		struct extent_view view;
		struct extent extent;
		unsigned units;

		move_window(w, unit);
		units = look(w, unit, &extent, &view);
		if (units) {
			visit(arg, extent, &view);
			unit += units;
		} else if (is_blank(w, unit)) {
			unit += BLOCK_UNITS - unit % BLOCK_UNITS;
		} else {
			w->err = -EIO;
			unit++;
		}
	}
}

int backing_segment_visit(struct backing *b, uint32_t segment,
			  void (*visit)(void *arg, struct extent extent,
					const struct extent_view *view),
			  void *arg)
{
	struct window w = {.b = b, .segment = segment};
	int r;

	/* What has emptied meanwhile shows nothing. */
	if (!segment_try_pin(b, segment))
		return 0;
	r = window_up(b);
	if (!r) {
		w.bytes = b->window;
		w.sequence =
			atomic_load_explicit(&segment_at(b, segment)->sequence,
					     memory_order_relaxed);
		b->cleaning = true;
		walk(&w, visit, arg);
		b->cleaning = false;
		r = w.err;
		segment_at(b, segment)->damaged = r < 0;
		segment_is_bad(b, segment, r < 0);
	}
	segment_sub(b, segment, COUNT_PIN);
	return r;
}
