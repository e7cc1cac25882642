/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parameter sets: numbers for (codec, level), counted by their objects.
 *
 * Note: why a sweep cannot miss an object. New objects of a set are made only
 * inside a bracket that names it. A sweep first sees that the set is not
 * current, then that no row holds it (both sequentially consistent, against
 * the same pair in sets_enter()): from there on nobody can begin to hold it.
 * Whoever left has counted before leaving (release, acquire). So all plus
 * ones are in the sum; minus ones may still be missing, and a sum that is too
 * large only keeps the set until the next sweep.
 */
#include "codec/sets.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/tally.h"
#include <errno.h>

void (*_Atomic sets_enter_hook)(void);

enum set_state { SET_FREE, SET_LIVE, SET_DYING };

/* What a row holds: its set + 1, or 0 between brackets. */
struct row {
	_Atomic unsigned held;
} CACHE_ALIGNED;

struct sets {
	struct arena *arena;
	struct lock lock; /* states, numbers, sweeping */
	_Atomic unsigned current;
	enum set_state state[SETS_MAX] GUARDED_BY(lock);
	bool sweeping GUARDED_BY(lock);
	uint64_t gone GUARDED_BY(lock);
	void (*wait)(void *arg);
	void *wait_arg;
	/* Brackets on the shared row: which set is not known, so all stay. */
	_Atomic unsigned shared_held CACHE_ALIGNED;
	struct row rows[TALLY_ROWS];
	struct tally objects; /* a column a set */
};
_Static_assert(TALLY_COLUMNS >= SETS_MAX, "a column for each set");

/* The word: bit 63 there is one, bits 32..39 codec, bits 0..31 level. */
#define WORD_THERE (UINT64_C(1) << 63)

static uint64_t word_of(const struct codec_params *params)
{
	return WORD_THERE | (uint64_t)params->id << 32 |
	       (uint32_t)params->level;
}

static int word_params(uint64_t word, struct codec_params *ret_params)
{
	struct codec_params params = {
		.id = (enum codec_id)(word >> 32 & 0xff),
		.level = (int)(int32_t)(uint32_t)word,
	};

	if (!(word & WORD_THERE) || !codec_params_valid(&params))
		return -ENOENT;
	*ret_params = params;
	return 0;
}

static _Atomic uint64_t *set_word(const struct sets *sets, unsigned set)
{
	return arena_word(sets->arena, ARENA_WORD_SETS + set);
}

int sets_params(const struct sets *sets, unsigned set,
		struct codec_params *ret_params)
{
	if (set == SET_RAW) {
		*ret_params = (struct codec_params){CODEC_RAW, 0};
		return 0;
	}
	if (set >= SETS_MAX)
		return -ENOENT;
	/* Pairs with the release in sets_make_locked(). */
	return word_params(
		atomic_load_explicit(set_word(sets, set), memory_order_acquire),
		ret_params);
}

int sets_new(struct arena *arena, struct sets **ret_sets)
{
	struct sets *sets = heap_zaligned(64, sizeof(*sets));
	struct codec_params params;

	if (!sets)
		return -ENOMEM;
	sets->arena = arena;
	lock_init(&sets->lock, LOCK_SETS);
	/* Another life's sets: those without objects go in a first sweep. */
	for (unsigned i = 0; i < SETS_MAX; i++)
		if (sets_params(sets, i, &params) == 0)
			sets->state[i] = SET_LIVE;
	*ret_sets = sets;
	return 0;
}

void sets_free(struct sets *sets)
{
	if (!sets)
		return;
	lock_fini(&sets->lock);
	heap_free(sets);
}

void sets_on_sweep(struct sets *sets, void (*wait)(void *arg), void *arg)
{
	lock_take(&sets->lock);
	sets->wait = wait;
	sets->wait_arg = arg;
	lock_drop(&sets->lock);
}

/* A set that has the number already, or comes back from dying. */
static int sets_find_locked(struct sets *sets,
			    const struct codec_params *params)
{
	struct codec_params have;

	for (unsigned i = 0; i < SETS_MAX; i++) {
		if (sets->state[i] == SET_FREE ||
		    sets_params(sets, i, &have) < 0 ||
		    !codec_params_equal(&have, params))
			continue;
		sets->state[i] = SET_LIVE;
		return (int)i;
	}
	return -ENOENT;
}

static int sets_make_locked(struct sets *sets,
			    const struct codec_params *params)
{
	for (unsigned i = SET_RAW + 1; i < SETS_MAX; i++) {
		if (sets->state[i] != SET_FREE)
			continue;
		atomic_store_explicit(set_word(sets, i), word_of(params),
				      memory_order_release);
		sets->state[i] = SET_LIVE;
		return (int)i;
	}
	return -EBUSY;
}

static int sets_get_locked(struct sets *sets, const struct codec_params *params)
{
	int set = sets_find_locked(sets, params);

	return set >= 0 ? set : sets_make_locked(sets, params);
}

/*
 * The set of @params with the lock held, or an error without. Numbers that
 * only wait for a sweep must not make a change of codec fail.
 */
static int sets_lock_and_get(struct sets *sets,
			     const struct codec_params *params) NO_LOCK_ANALYSIS
{
	int set;

	if (!codec_params_valid(params))
		return -EINVAL;
	lock_take(&sets->lock);
	set = sets_get_locked(sets, params);
	if (set >= 0)
		return set;
	lock_drop(&sets->lock);
	if (sets_sweep(sets) == 0)
		return set;
	lock_take(&sets->lock);
	set = sets_get_locked(sets, params);
	if (set < 0)
		lock_drop(&sets->lock);
	return set;
}

int sets_use(struct sets *sets,
	     const struct codec_params *params) NO_LOCK_ANALYSIS
{
	int set = sets_lock_and_get(sets, params);

	if (set < 0)
		return set;
	/* Partner: the load in sets_enter(); see the note on top. */
	atomic_store_explicit(&sets->current, (unsigned)set,
			      memory_order_seq_cst);
	lock_drop(&sets->lock);
	return 0;
}

unsigned sets_current(const struct sets *sets)
{
	return atomic_load_explicit(&sets->current, memory_order_acquire);
}

unsigned sets_enter(struct sets *sets, unsigned row)
{
	_Atomic unsigned *held = &sets->rows[row].held;
	void (*hook)(void);
	unsigned set;

	if (row == TALLY_SHARED_ROW) {
		atomic_fetch_add_explicit(&sets->shared_held, 1,
					  memory_order_seq_cst);
		return atomic_load_explicit(&sets->current,
					    memory_order_seq_cst);
	}
	debug_invariant(atomic_load_explicit(held, memory_order_relaxed) == 0);
	set = atomic_load_explicit(&sets->current, memory_order_relaxed);
	hook = atomic_load_explicit(&sets_enter_hook, memory_order_relaxed);
	if (unlikely(hook))
		hook();
	for (;;) {
		unsigned now;

		/* Said first, looked at again after: whoever changed current
		 * in between may not have seen what was said. */
		atomic_store_explicit(held, set + 1, memory_order_seq_cst);
		now = atomic_load_explicit(&sets->current,
					   memory_order_seq_cst);
		if (likely(now == set))
			return set;
		set = now;
	}
}

int sets_enter_with(struct sets *sets, unsigned row,
		    const struct codec_params *params) NO_LOCK_ANALYSIS
{
	int set = sets_lock_and_get(sets, params);

	if (set < 0)
		return set;
	/* The lock keeps sweeps out, so saying it is enough. */
	if (row == TALLY_SHARED_ROW)
		atomic_fetch_add_explicit(&sets->shared_held, 1,
					  memory_order_seq_cst);
	else
		atomic_store_explicit(&sets->rows[row].held, (unsigned)set + 1,
				      memory_order_seq_cst);
	lock_drop(&sets->lock);
	return set;
}

/* Release: what was counted in the bracket is seen by who sees it closed. */
void sets_leave(struct sets *sets, unsigned row)
{
	if (row == TALLY_SHARED_ROW)
		atomic_fetch_sub_explicit(&sets->shared_held, 1,
					  memory_order_release);
	else
		atomic_store_explicit(&sets->rows[row].held, 0,
				      memory_order_release);
}

void sets_count(struct sets *sets, unsigned row, unsigned set, int64_t n)
{
	atomic_fetch_add_explicit(&sets->objects.row[row].column[set],
				  (uint64_t)n, memory_order_relaxed);
}

uint64_t sets_objects(const struct sets *sets, unsigned set)
{
	return tally_sum(&sets->objects, set);
}

static bool sets_is_held(struct sets *sets, unsigned set)
{
	if (atomic_load_explicit(&sets->shared_held, memory_order_seq_cst) > 0)
		return true;
	for (unsigned row = 0; row < TALLY_ROWS; row++)
		if (atomic_load_explicit(&sets->rows[row].held,
					 memory_order_seq_cst) == set + 1)
			return true;
	return false;
}

/* Marks what may go. Order matters: not current, not held, then no objects. */
static uint64_t sets_mark_locked(struct sets *sets)
{
	uint64_t marked = 0;

	for (unsigned i = SET_RAW + 1; i < SETS_MAX; i++) {
		if (sets->state[i] != SET_LIVE ||
		    atomic_load_explicit(&sets->current,
					 memory_order_seq_cst) == i ||
		    sets_is_held(sets, i) || sets_objects(sets, i) != 0)
			continue;
		sets->state[i] = SET_DYING;
		marked |= UINT64_C(1) << i;
	}
	return marked;
}

static unsigned sets_finish_locked(struct sets *sets, uint64_t marked)
{
	unsigned went = 0;

	for (unsigned i = SET_RAW + 1; i < SETS_MAX; i++) {
		if (!(marked >> i & 1) || sets->state[i] != SET_DYING)
			continue;
		sets->state[i] = SET_FREE;
		went++;
	}
	sets->gone += went;
	return went;
}

/*
 * One sweep at a time: if two overlapped, the one that marks a set late would
 * have it freed by the one that has waited already.
 */
unsigned sets_sweep(struct sets *sets)
{
	void (*wait)(void *arg);
	void *wait_arg;
	uint64_t marked;
	unsigned went = 0;

	lock_take(&sets->lock);
	marked = sets->sweeping ? 0 : sets_mark_locked(sets);
	if (marked != 0) {
		sets->sweeping = true;
		wait = sets->wait;
		wait_arg = sets->wait_arg;
		lock_drop(&sets->lock);
		if (wait)
			wait(wait_arg);
		lock_take(&sets->lock);
		went = sets_finish_locked(sets, marked);
		sets->sweeping = false;
	}
	lock_drop(&sets->lock);
	return went;
}

bool sets_is_live(struct sets *sets, unsigned set)
{
	bool live;

	lock_take(&sets->lock);
	live = set < SETS_MAX && sets->state[set] == SET_LIVE;
	lock_drop(&sets->lock);
	return live;
}

unsigned sets_live(struct sets *sets)
{
	unsigned n = 0;

	lock_take(&sets->lock);
	for (unsigned i = 0; i < SETS_MAX; i++)
		n += sets->state[i] == SET_LIVE;
	lock_drop(&sets->lock);
	return n;
}

uint64_t sets_gone(struct sets *sets)
{
	uint64_t gone;

	lock_take(&sets->lock);
	gone = sets->gone;
	lock_drop(&sets->lock);
	return gone;
}
