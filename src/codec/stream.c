/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The array of stream slots: picking, retiring, and changes of codec.
 *
 * Note: why a getter ends. A slot's bit in up_mask is cleared before
 * stream_down() takes the slot's lock, and `up` is cleared under it. Who finds
 * a slot not up has locked after that and so reads a mask without the bit: it
 * cannot pick the same empty slot for ever, and with no bit left it gives up.
 *
 * Note: who goes ahead. A busy worker gives its slot's lock up for moments
 * only, and a mutex is not fair. Whoever changes slots (up, down, a change of
 * codec, a sweep) says so in `ahead` first; a getter that has the lock then
 * gives it up again until that one was there.
 */
#include "codec/stream.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/tally.h"
#include "codec/stream_build.h"
#include <errno.h>
#include <string.h>

_Static_assert(STREAMS_MAX <= TALLY_ROWS - 1, "a row for each slot");

struct slot {
	struct lock lock;
	struct cond ahead_gone;
	_Atomic unsigned ahead; /* rises without the lock, falls with it */
	struct stream *stream GUARDED_BY(lock); /* NULL: empty */
	bool up GUARDED_BY(lock);
	uint64_t kept_since_ns GUARDED_BY(lock);
	struct stream_counts counts;
	_Atomic unsigned arena_plus_1; /* for stream_stats() alone */
} CACHE_ALIGNED;

struct streams {
	struct sets *sets;
	_Atomic uint64_t up_mask; /* a hint where to look; the truth is `up` */
	_Atomic uint64_t
		retire; /* policy in the high, seconds in the low half */
	/* A leaf, though slots' locks are held over it: what contexts every
	 * stream has, and whether streams_prepare() is changing that. */
	struct lock plan_lock;
	struct cond plan_idle;
	struct stream_plan plan GUARDED_BY(plan_lock);
	bool preparing GUARDED_BY(plan_lock);
	struct slot slot[STREAMS_MAX];
};

void (*_Atomic stream_pick_hook)(unsigned slot);

static uint64_t bit(unsigned ix)
{
	return UINT64_C(1) << ix;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* --- picking --- */

/* With the slot's lock just taken: its stream, or NULL and unlocked. */
static struct stream *slot_claim(struct slot *slot) NO_LOCK_ANALYSIS
{
	if (likely(slot->up))
		return slot->stream;
	count(&slot->counts.found_empty);
	lock_drop(&slot->lock);
	return NULL;
}

static bool has_ahead(struct slot *slot)
{
	return unlikely(
		atomic_load_explicit(&slot->ahead, memory_order_relaxed) > 0);
}

static void slot_lock_ahead(struct slot *slot) ACQUIRES(&slot->lock)
{
	atomic_fetch_add_explicit(&slot->ahead, 1, memory_order_relaxed);
	lock_take(&slot->lock);
	atomic_fetch_sub_explicit(&slot->ahead, 1, memory_order_relaxed);
}

static void slot_unlock_ahead(struct slot *slot) RELEASES(&slot->lock)
{
	cond_broadcast(&slot->ahead_gone);
	lock_drop(&slot->lock);
}

static struct slot *slot_pick(struct streams *streams, unsigned ix)
{
	void (*hook)(unsigned) =
		atomic_load_explicit(&stream_pick_hook, memory_order_relaxed);

	if (unlikely(hook))
		hook(ix);
	return &streams->slot[ix];
}

static struct stream *slot_try(struct streams *streams,
			       unsigned ix) NO_LOCK_ANALYSIS
{
	struct slot *slot = slot_pick(streams, ix);

	if (!lock_try(&slot->lock))
		return NULL;
	if (!has_ahead(slot))
		return slot_claim(slot);
	lock_drop(&slot->lock);
	return NULL;
}

static struct stream *slot_wait(struct streams *streams,
				unsigned ix) NO_LOCK_ANALYSIS
{
	struct slot *slot = slot_pick(streams, ix);

	if (!lock_try(&slot->lock)) {
		count(&slot->counts.waited);
		lock_take(&slot->lock);
	}
	while (has_ahead(slot))
		cond_wait(&slot->ahead_gone, &slot->lock);
	return slot_claim(slot);
}

static uint64_t mask_now(const struct streams *streams)
{
	return atomic_load_explicit(&streams->up_mask, memory_order_acquire);
}

/* The first slot of @mask at or after @from, in a ring. @mask is not 0. */
static unsigned next_of(uint64_t mask, unsigned from)
{
	uint64_t after = mask & ~(bit(from) - 1);

	return (unsigned)__builtin_ctzll(after ? after : mask);
}

static struct stream *try_each(struct streams *streams, uint64_t mask,
			       unsigned from)
{
	while (mask) {
		unsigned ix = next_of(mask, from);
		struct stream *stream = slot_try(streams, ix);

		if (stream)
			return stream;
		mask &= ~bit(ix);
	}
	return NULL;
}

struct stream *stream_get(struct streams *streams, unsigned hint)
{
	unsigned from = hint % STREAMS_MAX;

	for (;;) {
		uint64_t mask = mask_now(streams);
		struct stream *stream;

		if (mask == 0)
			return NULL;
		stream = try_each(streams, mask, from);
		if (likely(stream))
			return stream;
		mask = mask_now(streams);
		if (mask == 0)
			return NULL;
		stream = slot_wait(streams, next_of(mask, from));
		if (stream)
			return stream;
	}
}

struct stream *stream_try(struct streams *streams, unsigned hint)
{
	return try_each(streams, mask_now(streams), hint % STREAMS_MAX);
}

void stream_put(struct streams *streams, struct stream *stream) NO_LOCK_ANALYSIS
{
	struct slot *slot = &streams->slot[stream->slot];

	debug_invariant(slot->stream == stream);
	lock_drop(&slot->lock);
}

/* Everyone who holds a stream now has let it go when this returns. */
static void wait_for_holders(void *arg)
{
	struct streams *streams = arg;

	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		slot_lock_ahead(&streams->slot[i]);
		slot_unlock_ahead(&streams->slot[i]);
	}
}

/* --- life --- */

int streams_new(struct sets *sets, struct streams **ret)
{
	struct streams *streams = heap_aligned(64, sizeof(*streams));

	if (!streams)
		return -ENOMEM;
	memset(streams, 0, sizeof(*streams));
	streams->sets = sets;
	lock_init(&streams->plan_lock, LOCK_SETS);
	cond_init(&streams->plan_idle);
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		lock_init(&streams->slot[i].lock, LOCK_STREAM);
		cond_init(&streams->slot[i].ahead_gone);
	}
	sets_on_sweep(sets, wait_for_holders, streams);
	*ret = streams;
	return 0;
}

static void slot_empty_locked(struct slot *slot)
{
	if (!slot->stream)
		return;
	atomic_store_explicit(&slot->arena_plus_1, 0, memory_order_relaxed);
	stream_destroy(slot->stream);
	slot->stream = NULL;
}

void streams_free(struct streams *streams)
{
	if (!streams)
		return;
	sets_on_sweep(streams->sets, NULL, NULL);
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		slot_empty_locked(&streams->slot[i]);
		cond_fini(&streams->slot[i].ahead_gone);
		lock_fini(&streams->slot[i].lock);
	}
	cond_fini(&streams->plan_idle);
	lock_fini(&streams->plan_lock);
	heap_free(streams);
}

/* Reads the plan inside the slot's lock: a streams_prepare() either changed
 * it before, or comes to this slot after it is built. */
static int slot_fill_locked(struct streams *streams, unsigned ix)
{
	struct slot *slot = &streams->slot[ix];
	struct stream_plan plan;
	int r;

	lock_take(&streams->plan_lock);
	plan = streams->plan;
	lock_drop(&streams->plan_lock);
	r = stream_build(streams->sets, ix, &plan, &slot->counts,
			 &slot->stream);
	if (r < 0)
		return r;
	count(&slot->counts.built);
	atomic_store_explicit(&slot->arena_plus_1, slot->stream->arena + 1,
			      memory_order_relaxed);
	return 0;
}

int stream_up(struct streams *streams, unsigned ix)
{
	struct slot *slot = &streams->slot[ix];
	int r = 0;

	slot_lock_ahead(slot);
	if (!slot->stream)
		r = slot_fill_locked(streams, ix);
	if (r == 0) {
		slot->up = true;
		atomic_fetch_or_explicit(&streams->up_mask, bit(ix),
					 memory_order_release);
	}
	slot_unlock_ahead(slot);
	return r;
}

enum stream_retire streams_retire(const struct streams *streams,
				  unsigned *ret_idle_seconds)
{
	uint64_t word =
		atomic_load_explicit(&streams->retire, memory_order_relaxed);

	*ret_idle_seconds = (unsigned)word;
	return (enum stream_retire)(word >> 32);
}

/* A kept stream whose time is over at @now_ns goes. */
static void slot_reap_locked(struct streams *streams, struct slot *slot,
			     uint64_t now_ns)
{
	unsigned seconds;
	enum stream_retire how = streams_retire(streams, &seconds);
	uint64_t end_ns = slot->kept_since_ns + seconds * NS_PER_S;

	if (!slot->up &&
	    (how == RETIRE_EAGER || (how == RETIRE_IDLE && now_ns >= end_ns)))
		slot_empty_locked(slot);
}

/* The bit goes first, see the note on top; waiting for the lock is waiting
 * for the last user, who cannot come back. */
void stream_down(struct streams *streams, unsigned ix)
{
	struct slot *slot = &streams->slot[ix];
	uint64_t now_ns;

	atomic_fetch_and_explicit(&streams->up_mask, ~bit(ix),
				  memory_order_release);
	slot_lock_ahead(slot);
	atomic_fetch_and_explicit(&streams->up_mask, ~bit(ix),
				  memory_order_relaxed);
	slot->up = false;
	now_ns = clock_ns();
	slot->kept_since_ns = now_ns;
	slot_reap_locked(streams, slot, now_ns);
	slot_unlock_ahead(slot);
}

/* Streams that are up have no time to be over: their users are let be. */
void streams_reap(struct streams *streams, uint64_t now_ns)
{
	uint64_t up = mask_now(streams);

	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct slot *slot = &streams->slot[i];

		if (up & bit(i))
			continue;
		lock_take(&slot->lock);
		slot_reap_locked(streams, slot, now_ns);
		lock_drop(&slot->lock);
	}
}

/* Every slot: one that goes down now may have seen the policy before. */
void streams_set_retire(struct streams *streams, enum stream_retire how,
			unsigned idle_seconds)
{
	atomic_store_explicit(&streams->retire,
			      (uint64_t)how << 32 | idle_seconds,
			      memory_order_relaxed);
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct slot *slot = &streams->slot[i];

		slot_lock_ahead(slot);
		slot_reap_locked(streams, slot, clock_ns());
		slot_unlock_ahead(slot);
	}
}

/* --- change of codec --- */

/* Each stream gets the context made ahead: taken over, else let go. */
static void slots_settle(struct streams *streams, bool adopt, unsigned pos)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct slot *slot = &streams->slot[i];
		struct stream *stream;

		slot_lock_ahead(slot);
		stream = slot->stream;
		if (stream && stream->spare.mem && adopt) {
			stream_ctx_drop(stream, &stream->ctx[pos]);
			stream->ctx[pos] = stream->spare;
			stream->spare = (struct stream_ctx){.mem = NULL};
		} else if (stream) {
			stream_ctx_drop(stream, &stream->spare);
		}
		slot_unlock_ahead(slot);
	}
}

static int slots_make_spare(struct streams *streams,
			    const struct codec_params *params)
{
	int r = 0;

	for (unsigned i = 0; i < STREAMS_MAX && r == 0; i++) {
		struct slot *slot = &streams->slot[i];

		slot_lock_ahead(slot);
		if (slot->stream && !slot->stream->spare.mem)
			r = stream_ctx_make(slot->stream, params,
					    &slot->stream->spare);
		slot_unlock_ahead(slot);
	}
	return r;
}

/* False when every stream has @params already. */
static bool plan_begin(struct streams *streams,
		       const struct codec_params *params, unsigned *ret_pos)
{
	struct stream_plan *plan = &streams->plan;
	struct codec_params now;
	bool needed = true;

	lock_take(&streams->plan_lock);
	while (streams->preparing)
		cond_wait(&streams->plan_idle, &streams->plan_lock);
	for (unsigned i = 0; i < STREAM_SHARED; i++)
		if (codec_params_equal(&plan->shared[i], params))
			needed = false;
	if (needed) {
		streams->preparing = true;
		plan->next = *params;
		*ret_pos =
			sets_params(streams->sets, sets_current(streams->sets),
				    &now) == 0 &&
			codec_params_equal(&plan->shared[0], &now);
	}
	lock_drop(&streams->plan_lock);
	return needed;
}

/* From here on a stream that comes up has the new plan, or the old one. */
static void plan_settle(struct streams *streams, bool adopt, unsigned pos)
{
	struct stream_plan *plan = &streams->plan;

	lock_take(&streams->plan_lock);
	if (adopt)
		plan->shared[pos] = plan->next;
	plan->next = (struct codec_params){CODEC_RAW, 0};
	lock_drop(&streams->plan_lock);
}

static void plan_end(struct streams *streams)
{
	lock_take(&streams->plan_lock);
	streams->preparing = false;
	cond_broadcast(&streams->plan_idle);
	lock_drop(&streams->plan_lock);
}

/*
 * Contexts are first made beside the old ones everywhere, so failing halfway
 * takes nothing away; then every stream changes over, which cannot fail.
 */
int streams_prepare(struct streams *streams, const struct codec_params *params)
{
	unsigned pos;
	int r;

	if (!codec_params_valid(params))
		return -EINVAL;
	if (codec_ops(params->id)->ctx_bytes(params->level) == 0)
		return 0;
	if (!plan_begin(streams, params, &pos))
		return 0;
	r = slots_make_spare(streams, params);
	plan_settle(streams, r == 0, pos);
	slots_settle(streams, r == 0, pos);
	plan_end(streams);
	return r;
}

/* --- numbers --- */

static uint64_t read_count(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static size_t ctx_bytes(const struct codec_params *params)
{
	return codec_ops(params->id)->ctx_bytes(params->level);
}

size_t streams_next_bytes(struct streams *streams)
{
	struct stream_plan plan;
	size_t n;

	lock_take(&streams->plan_lock);
	plan = streams->plan;
	lock_drop(&streams->plan_lock);
	n = stream_bytes(&plan.next);
	for (unsigned i = 0; i < STREAM_SHARED; i++)
		n += ctx_bytes(&plan.shared[i]);
	return n;
}

size_t streams_prepare_bytes(struct streams *streams,
			     const struct codec_params *params)
{
	bool have = false;
	size_t n = 0;

	if (!codec_params_valid(params))
		return 0;
	lock_take(&streams->plan_lock);
	for (unsigned i = 0; i < STREAM_SHARED; i++)
		have |= codec_params_equal(&streams->plan.shared[i], params);
	lock_drop(&streams->plan_lock);
	for (unsigned i = 0; i < STREAMS_MAX && !have; i++)
		if (read_count(&streams->slot[i].counts.held_bytes))
			n += ctx_bytes(params);
	return n;
}

uint64_t streams_absent_bytes(struct streams *streams)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		unsigned arena_plus_1 = atomic_load_explicit(
			&streams->slot[i].arena_plus_1, memory_order_relaxed);

		if (arena_plus_1)
			n += heap_arena_absent_bytes(arena_plus_1 - 1);
	}
	return n;
}

struct stream_stats stream_stats(struct streams *streams, unsigned ix)
{
	const struct slot *slot = &streams->slot[ix];
	unsigned arena_plus_1 =
		atomic_load_explicit(&slot->arena_plus_1, memory_order_relaxed);

	return (struct stream_stats){
		.held_bytes = read_count(&slot->counts.held_bytes),
		.arena_bytes =
			arena_plus_1 ? heap_arena_bytes(arena_plus_1 - 1) : 0,
		.found_empty = read_count(&slot->counts.found_empty),
		.waited = read_count(&slot->counts.waited),
		.built = read_count(&slot->counts.built),
		.unprepared = read_count(&slot->counts.unprepared),
		.up = mask_now(streams) >> ix & 1,
	};
}
