/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spiller's knobs and numbers. */
#include "base/clock.h"
#include "base/heap.h"
#include "fs/spill_inside.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

int spiller_resume(struct spiller *s)
{
	struct backing *backing = s->fs->engine.backing;

	if (!backing_is_open(backing))
		return -ENODEV;
	atomic_store_explicit(&s->detaching, false, memory_order_relaxed);
	lock_take(&s->sweep_lock);
	backing_resume(backing);
	lock_drop(&s->sweep_lock);
	spill_unstick(s);
	return 0;
}

int spiller_set_high(struct spiller *s, unsigned percent)
{
	if (percent <= atomic_load_explicit(&s->low, memory_order_relaxed))
		return -ERANGE;
	atomic_store_explicit(&s->high, percent, memory_order_relaxed);
	spill_unstick(s);
	return 0;
}

int spiller_set_low(struct spiller *s, unsigned percent)
{
	if (percent >= atomic_load_explicit(&s->high, memory_order_relaxed))
		return -ERANGE;
	atomic_store_explicit(&s->low, percent, memory_order_relaxed);
	spill_unstick(s);
	return 0;
}

int spiller_set_size(struct spiller *s, uint64_t bytes)
{
	if (bytes && bytes < BACKING_SEGMENT_BYTES)
		return -ERANGE;
	lock_take(&s->file_lock);
	s->most_bytes = bytes;
	if (backing_is_open(s->fs->engine.backing))
		backing_set_most(s->fs->engine.backing, bytes);
	lock_drop(&s->file_lock);
	spill_unstick(s);
	return 0;
}

void spiller_set_batch(struct spiller *s, unsigned pages)
{
	atomic_store_explicit(&s->batch, pages, memory_order_relaxed);
}

void spiller_set_promote(struct spiller *s, bool promote)
{
	atomic_store(&s->promote, promote);
	store_set_promote(s->fs->engine.store, promote ? ENTRY_AGAIN_TICKS : 0);
}

void spiller_set_limit(struct spiller *s, uint64_t bytes)
{
	lock_take(&s->lock);
	s->limit_bytes = bytes;
	lock_drop(&s->lock);
	spill_unstick(s);
}

void spiller_set_limit_on(struct spiller *s, bool on)
{
	lock_take(&s->lock);
	s->limit_on = on;
	lock_drop(&s->lock);
	spill_unstick(s);
}

void spiller_set_limit_daily(struct spiller *s, uint64_t bytes)
{
	lock_take(&s->lock);
	s->limit_daily_bytes = bytes;
	s->limit_day_ns = clock_ns();
	if (bytes)
		s->limit_bytes = bytes;
	lock_drop(&s->lock);
	spill_unstick(s);
}

/* --- numbers --- */

static void put_state(struct spiller *s, struct spiller_info *info)
{
	uint64_t all =
		atomic_load_explicit(&s->detach_pages, memory_order_relaxed);
	struct store_stats stats;
	uint64_t back = 0;

	if (!atomic_load_explicit(&s->detaching, memory_order_relaxed)) {
		snprintf(info->state, sizeof(info->state), "%s",
			 backing_state_name(info->backing.state));
		return;
	}
	store_stats(s->fs->engine.store, &stats);
	if (all > stats.spilled_pages)
		back = all - stats.spilled_pages;
	snprintf(info->state, sizeof(info->state), "detaching %u%%",
		 all ? (unsigned)(back * 100 / all) : 100u);
}

void spiller_info(struct spiller *s, struct spiller_info *ret)
{
	memset(ret, 0, sizeof(*ret));
	lock_take(&s->file_lock);
	backing_stats(s->fs->engine.backing, &ret->backing);
	ret->path = s->path ? heap_strdup(s->path) : NULL;
	ret->most_bytes = s->most_bytes;
	lock_drop(&s->file_lock);
	put_state(s, ret);
	ret->high = atomic_load_explicit(&s->high, memory_order_relaxed);
	ret->low = atomic_load_explicit(&s->low, memory_order_relaxed);
	ret->batch = atomic_load_explicit(&s->batch, memory_order_relaxed);
	ret->promote = atomic_load_explicit(&s->promote, memory_order_relaxed);
	ret->sweeps = atomic_load_explicit(&s->sweeps, memory_order_relaxed);
	ret->waits = atomic_load_explicit(&s->waits, memory_order_relaxed);
	lock_take(&s->lock);
	ret->limit_on = s->limit_on;
	ret->limit_bytes = s->limit_bytes;
	ret->limit_daily_bytes = s->limit_daily_bytes;
	ret->was_idle = s->was_idle;
	ret->idle_seconds = s->idle_seconds;
	ret->written = s->written;
	ret->written_pages = s->written_pages;
	ret->scrub = s->scrub;
	lock_drop(&s->lock);
}
