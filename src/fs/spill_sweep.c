/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One sweep over the tree, and the walks that ages need.
 *
 * No call here needs a worker or a stream: what all workers wait for comes
 * about without them.
 */
#include "base/clock.h"
#include "base/log.h"
#include "fs/spill_inside.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DAY_NS (24 * 60 * 60 * NS_PER_S)
/* Segments that are written anew in one sweep. */
#define CLEAN_MOST 8u

static bool is_cancelled(const struct spiller *s)
{
	return atomic_load_explicit(&s->cancelled, memory_order_relaxed);
}

bool spill_may(const struct spiller *s)
{
	return !is_cancelled(s) &&
	       !atomic_load_explicit(&s->detaching, memory_order_relaxed) &&
	       backing_is_open(s->fs->engine.backing);
}

static bool with_file(void *arg, uint32_t ix,
		      void (*call)(void *call_arg, struct file file),
		      void *call_arg)
{
	struct spiller *s = arg;

	return tree_with_file(s->fs->engine.tree, TALLY_SHARED_ROW, ix, call,
			      call_arg);
}

/* A walk over the files from one number to another. */
struct walk_files {
	struct spiller *spiller;
	uint32_t from, to;
	bool ended; /* no more is needed, or possible */
};

static bool sweep_body(void *arg, struct file file)
{
	struct walk_files *walk = arg;
	struct spiller *s = walk->spiller;

	if (file.ix < walk->from)
		return true;
	if (file.ix >= walk->to)
		return false;
	if (store_spill_body(s->fs->engine.store, file) && !is_cancelled(s))
		return true;
	s->hand = file.ix;
	walk->ended = true;
	return false;
}

static void sweep_one(void *arg, struct file file)
{
	struct spiller *s = arg;

	(void)store_spill_body(s->fs->engine.store, file);
}

/* Each sweep goes on where the last one ended: of what is equally old it is not
 * always the first files that go. */
static void sweep_all(struct spiller *s) REQUIRES(s->sweep_lock)
{
	struct tree *tree = s->fs->engine.tree;
	uint32_t hand = s->hand;
	struct walk_files walk = {.spiller = s, .from = hand, .to = UINT32_MAX};

	tree_each_file(tree, TALLY_SHARED_ROW, sweep_body, &walk);
	if (walk.ended)
		return;
	walk = (struct walk_files){.spiller = s, .to = hand};
	tree_each_file(tree, TALLY_SHARED_ROW, sweep_body, &walk);
}

/* --- writeback_limit --- */

static uint64_t limit_left(struct spiller *s)
{
	uint64_t now_ns = clock_ns(), left;

	lock_take(&s->lock);
	if (s->limit_daily_bytes && now_ns - s->limit_day_ns >= DAY_NS) {
		s->limit_bytes = s->limit_daily_bytes;
		s->limit_day_ns += (now_ns - s->limit_day_ns) / DAY_NS * DAY_NS;
	}
	left = s->limit_on ? s->limit_bytes : UINT64_MAX;
	lock_drop(&s->lock);
	return left;
}

/* What really went to the disk counts: headers, rounding, cleaning. */
static void limit_take(struct spiller *s, uint64_t bytes)
{
	lock_take(&s->lock);
	if (s->limit_on)
		s->limit_bytes -=
			bytes < s->limit_bytes ? bytes : s->limit_bytes;
	lock_drop(&s->lock);
}

/* --- a sweep --- */

/* No segment holds more than its size to be written: so many may be begun. */
static void clean(struct spiller *s, unsigned percent)
{
	uint64_t most = limit_left(s) / BACKING_SEGMENT_BYTES;

	for (unsigned i = 0; i < CLEAN_MOST && i < most && !is_cancelled(s);
	     i++)
		if (!store_spill_clean(s->fs->engine.store, percent))
			return;
}

static void say_what_went_wrong(const struct spill_result *result)
{
	if (result->failed)
		log_limited(LOG_AT_ERROR,
			    "spill: %" PRIu64 " pages could not be written and "
			    "stay in RAM",
			    result->failed);
	if (result->err == -EIO)
		log_limited(LOG_AT_ERROR,
			    "spill: stopped after too many errors of the "
			    "backing file; set spill_state to active to go on");
}

static int sweep_locked(struct spiller *s, const struct spill_work *work,
			struct spill_result *ret) REQUIRES(s->sweep_lock)
{
	struct engine *e = &s->fs->engine;
	const struct spill_files files = {.with = with_file, .arg = s};
	struct backing_stats before, after;
	int r = store_spill_begin(e->store, &work->pick, &files);

	if (r)
		return r;
	backing_stats(e->backing, &before);
	if (work->clean_percent)
		clean(s, work->clean_percent);
	else if (work->file)
		tree_with_file(e->tree, TALLY_SHARED_ROW, work->file->ix,
			       sweep_one, s);
	else
		sweep_all(s);
	store_spill_end(e->store, ret);
	backing_stats(e->backing, &after);
	limit_take(s, after.write_bytes - before.write_bytes);
	return 0;
}

int spill_sweep(struct spiller *s, const struct spill_work *work,
		struct spill_result *ret)
{
	struct spill_work limited = *work;
	uint64_t left = limit_left(s);
	int r = -ENODEV;

	memset(ret, 0, sizeof(*ret));
	if (left < limited.pick.budget_bytes)
		limited.pick.budget_bytes = left;
	if (left == 0)
		return -ENOSPC;
	lock_take(&s->sweep_lock);
	if (spill_may(s))
		r = sweep_locked(s, &limited, ret);
	lock_drop(&s->sweep_lock);
	if (r)
		return is_cancelled(s) ? -EINTR : r;
	atomic_fetch_add_explicit(&s->sweeps, 1, memory_order_relaxed);
	say_what_went_wrong(ret);
	if (ret->pages)
		spill_turn(s, true);
	return 0;
}

/* --- ages --- */

struct walk_ages {
	struct spiller *spiller;
	struct store_ages ages;
	bool tick;
};

static bool age_body(void *arg, struct file file)
{
	struct walk_ages *walk = arg;
	struct spiller *s = walk->spiller;

	store_age_body(s->fs->engine.store, file, walk->tick, &walk->ages);
	return !is_cancelled(s);
}

void spill_survey(struct spiller *s, struct store_ages *ret)
{
	struct walk_ages walk = {.spiller = s};

	tree_each_file(s->fs->engine.tree, TALLY_SHARED_ROW, age_body, &walk);
	*ret = walk.ages;
}

static void tick_locked(struct spiller *s) REQUIRES(s->sweep_lock)
{
	struct walk_ages walk = {.spiller = s, .tick = true};
	uint64_t begun_ns = clock_ns();
	struct store_stats stats;

	tree_each_file(s->fs->engine.tree, TALLY_SHARED_ROW, age_body, &walk);
	store_stats(s->fs->engine.store, &stats);
	spill_clock_ticked(&s->clock, begun_ns, clock_ns(),
			   spill_missed_pages(&stats));
	if (atomic_load(&s->promote))
		store_set_promote(s->fs->engine.store,
				  spill_promote_ticks(&walk.ages));
	/* It may have been switched off in between. */
	if (!atomic_load(&s->promote))
		store_set_promote(s->fs->engine.store, 0);
}

void spill_tick(struct spiller *s)
{
	lock_take(&s->sweep_lock);
	tick_locked(s);
	lock_drop(&s->sweep_lock);
}
