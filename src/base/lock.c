/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks: the slow ways, the counts per class and the rank check.
 *
 * Counts are relaxed atomics, each class on its own cache line: they are
 * touched only by a taker that waits anyway (contended) or in debug builds
 * (taken).
 */
#include "base/lock.h"
#include "base/check.h"
#include "base/clock.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct class_counts {
	_Atomic uint64_t taken;
	_Atomic uint64_t contended;
} CACHE_ALIGNED;

static struct class_counts counts[LOCK_NR];

static const char *const class_names[] = {
	[LOCK_SESSION] = "session",
	[LOCK_CREW_REQUEST] = "crew.request",
	[LOCK_CREW_STATE] = "crew.state",
	[LOCK_SWEEP] = "sweep",
	[LOCK_SPILL] = "spill",
	[LOCK_TASK] = "task",
	[LOCK_STREAM] = "stream",
	[LOCK_TREE] = "tree",
	[LOCK_FILE] = "file",
	[LOCK_PAGES] = "pages",
	[LOCK_PINS] = "pins",
	[LOCK_SETS] = "sets",
	[LOCK_POOL] = "pool",
	[LOCK_SPANS] = "spans",
	[LOCK_BACKING] = "backing",
	[LOCK_TABLE] = "table",
	[LOCK_LEAF] = "leaf",
	[LOCK_LOG] = "log",
};
_Static_assert(ARRAY_SIZE(class_names) == LOCK_NR, "a name for each class");

static void count_contended(enum lock_class class)
{
	atomic_fetch_add_explicit(&counts[class].contended, 1,
				  memory_order_relaxed);
}

#if DEBUG_INVARIANTS
/* More than any thread holds: one of each class and a few tried ones. */
#define HELD_MAX 64

struct held {
	const void *lock;
	enum lock_class class;
};

static _Thread_local struct held held[HELD_MAX];
static _Thread_local unsigned held_nr;

void lock_check_rank(enum lock_class class)
{
	for (unsigned i = 0; i < held_nr; i++)
		invariant(held[i].class < class);
}

void lock_note_taken(const void *l, enum lock_class class)
{
	invariant(held_nr < HELD_MAX);
	held[held_nr++] = (struct held){l, class};
	atomic_fetch_add_explicit(&counts[class].taken, 1,
				  memory_order_relaxed);
}

void lock_note_dropped(const void *l)
{
	unsigned i = held_nr;

	while (i > 0 && held[i - 1].lock != l)
		i--;
	invariant(i > 0);
	memmove(&held[i - 1], &held[i], (held_nr - i) * sizeof(held[0]));
	held_nr--;
}

void lock_assert_held(const struct lock *l)
{
	for (unsigned i = 0; i < held_nr; i++)
		if (held[i].lock == l)
			return;
	invariant(!"lock is held");
}
#else
void lock_assert_held(const struct lock *l UNUSED)
{
}
#endif

void lock_init(struct lock *l, enum lock_class class)
{
	invariant(pthread_mutex_init(&l->mutex, NULL) == 0);
	l->class = class;
}

void lock_fini(struct lock *l)
{
	invariant(pthread_mutex_destroy(&l->mutex) == 0);
}

void lock_wait_busy(struct lock *l)
{
	count_contended(l->class);
	invariant(pthread_mutex_lock(&l->mutex) == 0);
}

void rwlock_init(struct rwlock *l, enum lock_class class)
{
	pthread_rwlockattr_t attr;

	invariant(pthread_rwlockattr_init(&attr) == 0);
	/* Readers come in streams: a writer must not starve behind them. */
	invariant(pthread_rwlockattr_setkind_np(
			  &attr,
			  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
	invariant(pthread_rwlock_init(&l->rw, &attr) == 0);
	pthread_rwlockattr_destroy(&attr);
	l->class = class;
}

void rwlock_fini(struct rwlock *l)
{
	invariant(pthread_rwlock_destroy(&l->rw) == 0);
}

void rwlock_read_busy(struct rwlock *l)
{
	count_contended(l->class);
	invariant(pthread_rwlock_rdlock(&l->rw) == 0);
}

void rwlock_write_busy(struct rwlock *l)
{
	count_contended(l->class);
	invariant(pthread_rwlock_wrlock(&l->rw) == 0);
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	invariant(pthread_condattr_init(&attr) == 0);
	invariant(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	invariant(pthread_cond_init(&c->cond, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

void cond_fini(struct cond *c)
{
	invariant(pthread_cond_destroy(&c->cond) == 0);
}

/* Waiting gives the lock up and takes it again: the rank check sees both. */
void cond_wait(struct cond *c, struct lock *l)
{
	lock_note_dropped(l);
	lock_check_rank(l->class);
	invariant(pthread_cond_wait(&c->cond, &l->mutex) == 0);
	lock_note_taken(l, l->class);
}

bool cond_wait_until(struct cond *c, struct lock *l, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_S),
		.tv_nsec = (long)(deadline_ns % NS_PER_S),
	};
	int r;

	lock_note_dropped(l);
	lock_check_rank(l->class);
	r = pthread_cond_timedwait(&c->cond, &l->mutex, &ts);
	invariant(r == 0 || r == ETIMEDOUT);
	lock_note_taken(l, l->class);
	return r == 0;
}

void cond_signal(struct cond *c)
{
	pthread_cond_signal(&c->cond);
}

void cond_broadcast(struct cond *c)
{
	pthread_cond_broadcast(&c->cond);
}

struct lock_counts lock_counts(enum lock_class class)
{
	return (struct lock_counts){
		.taken = atomic_load_explicit(&counts[class].taken,
					      memory_order_relaxed),
		.contended = atomic_load_explicit(&counts[class].contended,
						  memory_order_relaxed),
	};
}

const char *lock_class_name(enum lock_class class)
{
	return class_names[class];
}
