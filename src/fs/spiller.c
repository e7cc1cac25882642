/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The background task that keeps memory between two marks, and the writers
 * that wait for it.
 *
 * A round begins above the high mark, or when somebody waits, and ends at the
 * low one. It looks how old everything is, chooses the coldest, and sweeps in
 * steps: after each, whoever waits tries again. Pages that go leave holes in
 * the pool's spans, so the tidy task compacts in between.
 *
 * A round that cannot go on (the file is full, spilling was stopped, nothing is
 * left in RAM) leaves a note of how things were: until they change, or a second
 * has passed, nobody waits in vain for another.
 */
#include "fs/spiller.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "fs/pause.h"
#include "fs/spill_inside.h"
#include "fs/tidy.h"
#include <errno.h>

#define STUCK_NS NS_PER_S
/* Between two looks whether the file is to be cleaned. */
#define CLEAN_NS NS_PER_S
/* New objects of less than this are no reason to look again. */
#define STUCK_BYTES (UINT64_C(64) << 10)

static uint64_t load(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static struct spill_marks marks_now(const struct spiller *s)
{
	return spill_marks(budget_limit(&s->fs->engine.budget),
			   atomic_load_explicit(&s->high, memory_order_relaxed),
			   atomic_load_explicit(&s->low, memory_order_relaxed));
}

static uint64_t used_now(const struct spiller *s)
{
	return budget_used(&s->fs->engine.budget);
}

void spill_backing_stats(struct spiller *s, struct backing_stats *ret)
{
	lock_take(&s->file_lock);
	backing_stats(s->fs->engine.backing, ret);
	lock_drop(&s->file_lock);
}

/* --- when there is nothing to be gained --- */

/* What a round found that began when @changes were counted. */
static void note_stuck(struct spiller *s, unsigned changes)
{
	struct store_stats stats;

	store_stats(s->fs->engine.store, &stats);
	atomic_store_explicit(&s->stuck_spilled_bytes, stats.spilled_bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&s->stuck_ram_bytes, stats.compr_data_bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&s->stuck_ns, clock_ns(), memory_order_relaxed);
	atomic_store(&s->stuck, true);
	if (atomic_load(&s->changes) != changes)
		atomic_store(&s->stuck, false);
}

static bool is_stuck(struct spiller *s)
{
	struct store_stats stats;

	if (!atomic_load_explicit(&s->stuck, memory_order_acquire))
		return false;
	store_stats(s->fs->engine.store, &stats);
	if (clock_ns() - load(&s->stuck_ns) < STUCK_NS &&
	    stats.spilled_bytes >= load(&s->stuck_spilled_bytes) &&
	    stats.compr_data_bytes < load(&s->stuck_ram_bytes) + STUCK_BYTES)
		return true;
	atomic_store_explicit(&s->stuck, false, memory_order_relaxed);
	return false;
}

void spill_unstick(struct spiller *s)
{
	atomic_fetch_add(&s->changes, 1);
	atomic_store(&s->stuck, false);
	task_wake(s->task);
}

/* --- a round --- */

/* The coldest out, down to the low mark at most; what came of it. 1: with
 * @may_end, what is left had better stay. */
static int sweep_coldest(struct spiller *s, uint64_t used, bool may_end,
			 uint64_t *ret_pages)
{
	struct spill_marks marks = marks_now(s);
	uint64_t need = spill_need(used, marks.low_bytes);
	uint64_t step = spill_step_bytes(budget_limit(&s->fs->engine.budget));
	struct spill_work work = {.pick = {.end_page = UINT64_MAX}};
	struct spill_result result;
	struct store_ages ages;
	int r = 0;

	*ret_pages = 0;
	spill_survey(s, &ages);
	if (!spill_choose(&ages, need, &work.pick))
		return -ENODATA;
	if (may_end && spill_is_enough(&marks, used, &work.pick))
		return 1;
	do {
		pause_point(s->fs->pause, PAUSE_SPILLING);
		work.pick.budget_bytes = need < step ? need : step;
		r = spill_sweep(s, &work, &result);
		if (r)
			return r;
		*ret_pages += result.pages;
		need -= result.bytes < need ? result.bytes : need;
	} while (need && result.pages && !result.err);
	return result.err;
}

/* False: there is nothing thin enough, or it was of no use. */
static bool clean(struct spiller *s)
{
	struct spill_work work = {
		.pick = {.min_age = SPILL_NONE, .raw_min_age = SPILL_NONE}};
	struct spill_result result;
	struct backing_stats stats;

	spill_backing_stats(s, &stats);
	work.pick.budget_bytes = UINT64_MAX;
	work.clean_percent = spill_clean_percent(&stats);
	return work.clean_percent && spill_sweep(s, &work, &result) == 0 &&
	       result.cleaned > 0;
}

static void compact(struct spiller *s)
{
	if (store_wants_compaction(s->fs->engine.store))
		tidy_now(s->fs->tidy);
}

static bool is_waited_for(const struct spiller *s)
{
	return atomic_load_explicit(&s->waiters, memory_order_relaxed) != 0;
}

/* To the low mark, or nearly. False: it does not get there. */
static bool go_down(struct spiller *s)
{
	uint64_t used, pages;
	bool freed = false;
	int r;

	for (;;) {
		pause_point(s->fs->pause, PAUSE_SPILLING);
		compact(s);
		used = used_now(s);
		if (used <= marks_now(s).low_bytes)
			return true;
		if (!spill_may(s))
			return false;
		/* Whoever waits has seen that there is too little. */
		r = sweep_coldest(s, used, freed || !is_waited_for(s), &pages);
		if (r == 1)
			return true;
		freed |= pages > 0;
		if (pages == 0 && !(r == -ENOSPC && clean(s)))
			return false;
	}
}

static bool wants_round(struct spiller *s)
{
	if (is_waited_for(s))
		return true;
	return used_now(s) > marks_now(s).high_bytes && !is_stuck(s);
}

static bool wants_tick(struct spiller *s, bool walks_anyway)
{
	struct store_stats stats;
	uint64_t ram_pages;
	bool due;

	/* Whoever has it walks over everything: the clock can wait. */
	if (!lock_try(&s->sweep_lock))
		return false;
	store_stats(s->fs->engine.store, &stats);
	ram_pages = stats.pages_stored - stats.spilled_pages;
	due = spill_clock_due(&s->clock, clock_ns(), walks_anyway,
			      spill_missed_pages(&stats), ram_pages);
	lock_drop(&s->sweep_lock);
	atomic_store_explicit(&s->look_at_reads,
			      stats.spill_reads +
				      spill_clock_pages(ram_pages) / 4,
			      memory_order_relaxed);
	return due;
}

static bool check(void *arg)
{
	struct spiller *s = arg;

	atomic_store_explicit(&s->nudged, false, memory_order_relaxed);
	if (!spill_may(s)) {
		/* They shall not wait for what does not come. */
		spill_turn(s, false);
		return false;
	}
	return wants_round(s) || wants_tick(s, false) ||
	       clock_ns() >= s->clean_not_before_ns;
}

static void say_full(struct spiller *s)
{
	struct backing_stats stats;
	bool full;

	spill_backing_stats(s, &stats);
	full = stats.state == BACKING_FULL;
	if (full && !s->said_full)
		log_warning("%s: the backing file is full: new data finds room "
			    "in RAM alone",
			    s->fs->config->mountpoint);
	s->said_full = full;
}

static void work(struct task *task UNUSED, void *arg)
{
	struct spiller *s = arg;
	unsigned changes = atomic_load(&s->changes);
	bool round;

	pause_enter(s->fs->pause, PAUSE_SPILLING);
	round = wants_round(s);
	if (wants_tick(s, round))
		spill_tick(s);
	if (round) {
		bool good = go_down(s);

		if (!good)
			note_stuck(s, changes);
		say_full(s);
		spill_turn(s, good);
	}
	if (clock_ns() >= s->clean_not_before_ns && !clean(s))
		s->clean_not_before_ns = clock_ns() + CLEAN_NS;
	pause_leave(s->fs->pause, PAUSE_SPILLING);
}

/* --- writers --- */

void spill_turn(struct spiller *s, bool good)
{
	lock_take(&s->lock);
	s->turns++;
	s->good_turns += good;
	cond_broadcast(&s->turned);
	lock_drop(&s->lock);
}

static void nudge(struct spiller *s)
{
	if (!atomic_load_explicit(&s->nudged, memory_order_relaxed) &&
	    !atomic_exchange_explicit(&s->nudged, true, memory_order_relaxed))
		task_wake(s->task);
}

void spiller_look(struct spiller *s)
{
	if (!spill_may(s) || used_now(s) <= marks_now(s).high_bytes ||
	    atomic_load_explicit(&s->stuck, memory_order_relaxed))
		return;
	nudge(s);
}

void spiller_read(struct spiller *s)
{
	if (store_spill_reads(s->fs->engine.store) >= load(&s->look_at_reads) &&
	    spill_may(s))
		nudge(s);
}

void spiller_wrote(struct spiller *s, struct worker *w, uint64_t bytes)
{
	if (!spill_may(s))
		return;
	w->unseen_bytes += bytes;
	if (w->unseen_bytes <
	    spill_step_bytes(budget_limit(&s->fs->engine.budget)) / 2) {
		spiller_look(s);
		return;
	}
	w->unseen_bytes = 0;
	task_wake(s->task);
}

/* Of two turns that end from now on, the second has seen how things are
 * now. */
static bool wait_for_good_turn(struct spiller *s)
{
	uint64_t turns, good;
	bool better;

	lock_take(&s->lock);
	turns = s->turns;
	good = s->good_turns;
	lock_drop(&s->lock);
	task_wake(s->task);
	lock_take(&s->lock);
	while (s->good_turns == good && s->turns < turns + 2 && spill_may(s))
		cond_wait(&s->turned, &s->lock);
	better = s->good_turns != good;
	lock_drop(&s->lock);
	return better;
}

/* What is brought back takes the room that a writer needs: the file has to stay
 * then, for as long as there is one no writer is to fail for want of RAM. */
static bool crowd_out_detach(struct spiller *s)
{
	if (!atomic_load_explicit(&s->detaching, memory_order_relaxed) ||
	    !backing_is_open(s->fs->engine.backing))
		return false;
	atomic_store_explicit(&s->crowded_out, true, memory_order_relaxed);
	atomic_store_explicit(&s->detaching, false, memory_order_release);
	spill_unstick(s);
	return true;
}

bool spiller_is_open(const struct spiller *s)
{
	return spill_may(s);
}

bool spiller_wait(struct spiller *s)
{
	bool better;

	if (used_now(s) <= marks_now(s).low_bytes)
		return false;
	crowd_out_detach(s);
	if (!spill_may(s) || is_stuck(s))
		return false;
	atomic_fetch_add_explicit(&s->waits, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->waiters, 1, memory_order_relaxed);
	do
		better = wait_for_good_turn(s);
	while (!better && crowd_out_detach(s));
	atomic_fetch_sub_explicit(&s->waiters, 1, memory_order_relaxed);
	return better;
}

/* --- life --- */

static const struct task_ops ops = {
	.name = "foldfs-spill",
	.check = check,
	.work = work,
	.interval_ns = NS_PER_S,
};

int spiller_start(struct fs *fs, struct spiller **ret)
{
	struct spiller *s = heap_zalloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->fs = fs;
	s->high = fs->config->spill_high ? fs->config->spill_high
					 : SPILL_HIGH_PERCENT;
	s->low = fs->config->spill_low ? fs->config->spill_low
				       : SPILL_LOW_PERCENT;
	s->batch = SPILL_BATCH_MOST;
	s->promote = true;
	s->most_bytes = fs->config->spill_bytes;
	lock_init(&s->sweep_lock, LOCK_SWEEP);
	lock_init(&s->file_lock, LOCK_SPILL);
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->turned);
	spill_clock_init(&s->clock, clock_ns());
	r = task_start(&ops, s, &s->task);
	if (r) {
		s->task = NULL;
		spiller_stop(s);
		return r;
	}
	*ret = s;
	return 0;
}

void spiller_call_off(struct spiller *s)
{
	atomic_store_explicit(&s->called_off, true, memory_order_relaxed);
}

void spiller_cancel(struct spiller *s)
{
	if (!s)
		return;
	atomic_store_explicit(&s->cancelled, true, memory_order_relaxed);
	task_wake(s->task);
}

void spiller_stop(struct spiller *s)
{
	if (!s)
		return;
	task_stop(s->task);
	cond_fini(&s->turned);
	lock_fini(&s->lock);
	lock_fini(&s->file_lock);
	lock_fini(&s->sweep_lock);
	heap_free(s->path);
	heap_free(s);
}
