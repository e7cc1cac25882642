/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board on which requests to share are put up.
 *
 * Note: taking a part. A job's word holds its generation, the number of parts
 * and the next one; a part is taken by raising the word. Only then the taker
 * looks at what the job is: it cannot end, nor its place be used again,
 * before that part is done. Whoever comes too late fails to raise the word.
 *
 * Note: wake-ups. An owner takes a resting worker's bit before it wakes it, so
 * two owners never wake the same one. The call itself may come when the worker
 * is awake for another reason: then its next rest is a short one. A worker that
 * goes to rest just after an owner looked may miss the job; that costs time,
 * nothing else.
 */
#include "crew/share.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/lock.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Waiting for the last part: about as long as one takes, then sleep. */
#define SPIN_NS 100000u

#define WORD_PARTS_SHIFT 16
#define WORD_GENERATION (UINT64_C(1) << 32)

struct job {
	_Atomic uint64_t word; /* generation 32, parts 16, next 16 */
	_Atomic unsigned left; /* parts not done yet */
	/* Written by the owner while there is no part. */
	share_part *part;
	void *arg;
	struct lock lock; /* leaf: for `done` */
	struct cond done; /* left has become 0 */
} CACHE_ALIGNED;

struct share {
	_Atomic unsigned cpus;
	_Atomic bool wanted;
	/* Bits of slots: in their loops; of these, resting and not called. */
	_Atomic uint64_t running CACHE_ALIGNED;
	_Atomic uint64_t resting;
	_Atomic uint64_t open CACHE_ALIGNED; /* jobs with parts to take */
	struct job job[SHARE_MAX];
	int fd[SHARE_MAX];
};

static uint64_t bit(unsigned ix)
{
	return UINT64_C(1) << ix;
}

static unsigned count_bits(uint64_t mask)
{
	return (unsigned)__builtin_popcountll(mask);
}

int share_new(struct share **ret)
{
	struct share *share = heap_aligned(64, sizeof(*share));

	if (!share)
		return -ENOMEM;
	memset(share, 0, sizeof(*share));
	atomic_init(&share->cpus, 1);
	for (unsigned i = 0; i < SHARE_MAX; i++) {
		lock_init(&share->job[i].lock, LOCK_LEAF);
		cond_init(&share->job[i].done);
		share->fd[i] = -1;
	}
	*ret = share;
	return 0;
}

void share_free(struct share *share)
{
	if (!share)
		return;
	invariant(atomic_load(&share->running) == 0);
	for (unsigned i = 0; i < SHARE_MAX; i++) {
		if (share->fd[i] >= 0)
			close(share->fd[i]);
		cond_fini(&share->job[i].done);
		lock_fini(&share->job[i].lock);
	}
	heap_free(share);
}

void share_cpus(struct share *share, unsigned cpus)
{
	atomic_store_explicit(&share->cpus, cpus, memory_order_relaxed);
}

/* --- workers --- */

int share_up(struct share *share, unsigned slot)
{
	int fd;

	if (share->fd[slot] >= 0)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	share->fd[slot] = fd;
	return 0;
}

int share_fd(const struct share *share, unsigned slot)
{
	return share->fd[slot];
}

void share_enter(struct share *share, unsigned slot)
{
	atomic_fetch_or(&share->running, bit(slot));
}

void share_leave(struct share *share, unsigned slot)
{
	atomic_fetch_and(&share->running, ~bit(slot));
}

bool share_rest(struct share *share, unsigned slot)
{
	atomic_fetch_or(&share->resting, bit(slot));
	/* Either this sees the job, or its owner the bit, or it was so close
	 * that it does not matter. */
	if (atomic_load(&share->open) == 0)
		return true;
	share_rest_end(share, slot);
	return false;
}

bool share_is_called(const struct share *share, unsigned slot)
{
	return !(atomic_load_explicit(&share->resting, memory_order_relaxed) &
		 bit(slot));
}

bool share_rest_end(struct share *share, unsigned slot)
{
	return !(atomic_fetch_and(&share->resting, ~bit(slot)) & bit(slot));
}

/* --- parts --- */

/* The number of a part of job @ix that is the caller's now, or -1. Who takes
 * the last one closes the job: its place cannot be used again before. */
static int take_part(struct share *share, unsigned ix)
{
	struct job *job = &share->job[ix];
	uint64_t word = atomic_load_explicit(&job->word, memory_order_acquire);
	unsigned next, parts;

	do {
		next = (uint16_t)word;
		parts = (uint16_t)(word >> WORD_PARTS_SHIFT);
		if (next >= parts)
			return -1;
		/* Partner: the store that put the job up. */
	} while (!atomic_compare_exchange_weak_explicit(
		&job->word, &word, word + 1, memory_order_acq_rel,
		memory_order_acquire));
	if (next + 1 == parts)
		atomic_fetch_and(&share->open, ~bit(ix));
	return (int)next;
}

static void part_done(struct job *job)
{
	/* Releases what the part wrote; partner: the owner's last look. */
	if (atomic_fetch_sub_explicit(&job->left, 1, memory_order_acq_rel) > 1)
		return;
	/* With the lock, or an owner just about to wait would miss it. The job
	 * may be over already, its lock is there as long as the board. */
	lock_take(&job->lock);
	cond_signal(&job->done);
	lock_drop(&job->lock);
}

static void work_on(struct share *share, unsigned ix, void *with)
{
	struct job *job = &share->job[ix];
	int part;

	while ((part = take_part(share, ix)) >= 0) {
		job->part(job->arg, with, (unsigned)part);
		part_done(job);
	}
}

void share_help(struct share *share, void *with)
{
	uint64_t open;

	while ((open = atomic_load_explicit(&share->open,
					    memory_order_relaxed)) != 0)
		work_on(share, (unsigned)__builtin_ctzll(open), with);
}

/* --- owners --- */

static void note_wanted(struct share *share)
{
	/* Not a write each time: the line is everybody's. */
	if (!atomic_load_explicit(&share->wanted, memory_order_relaxed))
		atomic_store_explicit(&share->wanted, true,
				      memory_order_relaxed);
}

bool share_was_wanted(struct share *share)
{
	return atomic_exchange_explicit(&share->wanted, false,
					memory_order_relaxed);
}

/* Workers that rest and for whom a CPU is free: who is not resting has one,
 * and that includes the caller. */
static unsigned free_hands(struct share *share)
{
	uint64_t resting =
		atomic_load_explicit(&share->resting, memory_order_relaxed);
	uint64_t running =
		atomic_load_explicit(&share->running, memory_order_relaxed);
	unsigned cpus =
		atomic_load_explicit(&share->cpus, memory_order_relaxed);
	unsigned awake = count_bits(running & ~resting);
	unsigned rest = count_bits(resting);

	if (awake >= cpus)
		return 0;
	note_wanted(share);
	return rest < cpus - awake ? rest : cpus - awake;
}

/* Up to @n resting workers, whom nobody else can wake from now on. */
static uint64_t call_hands(struct share *share, unsigned n)
{
	uint64_t called = 0;

	while (count_bits(called) < n) {
		uint64_t resting = atomic_load_explicit(&share->resting,
							memory_order_relaxed);
		uint64_t one = resting & -resting;

		if (!one)
			break;
		if (atomic_fetch_and(&share->resting, ~one) & one)
			called |= one;
	}
	return called;
}

static void wake_hands(const struct share *share, uint64_t called)
{
	for (; called; called &= called - 1)
		eventfd_write(share->fd[__builtin_ctzll(called)], 1);
}

static void put_up(struct share *share, unsigned ix, unsigned n,
		   share_part *part, void *arg)
{
	struct job *job = &share->job[ix];
	uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);

	job->part = part;
	job->arg = arg;
	atomic_store_explicit(&job->left, n, memory_order_relaxed);
	word = (word & ~(WORD_GENERATION - 1)) + WORD_GENERATION;
	atomic_store_explicit(&job->word,
			      word | (uint64_t)n << WORD_PARTS_SHIFT,
			      memory_order_release);
	atomic_fetch_or(&share->open, bit(ix));
}

static bool all_done(const struct job *job)
{
	return atomic_load_explicit(&job->left, memory_order_acquire) == 0;
}

static void wait_done(struct job *job)
{
	uint64_t end_ns;

	if (all_done(job))
		return;
	end_ns = clock_ns() + SPIN_NS;
	while (clock_ns() < end_ns)
		if (all_done(job))
			return;
	lock_take(&job->lock);
	while (!all_done(job))
		cond_wait(&job->done, &job->lock);
	lock_drop(&job->lock);
}

bool share_run(struct share *share, unsigned ix, unsigned n, share_part *part,
	       void *arg, void *with)
{
	unsigned hands = free_hands(share);
	uint64_t called;

	debug_invariant(ix < SHARE_MAX && n <= SHARE_PARTS_MAX);
	if (n < 2 || hands == 0)
		return false;
	called = call_hands(share, hands < n - 1 ? hands : n - 1);
	if (!called)
		return false;
	put_up(share, ix, n, part, arg);
	wake_hands(share, called);
	work_on(share, ix, with);
	wait_done(&share->job[ix]);
	return true;
}
