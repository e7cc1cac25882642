/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that do with one pool all that the store does, and hand objects to
 * one another, so that each frees what others allocated.
 */
#include "base/check.h"
#include "pool_rig.h"
#include <pthread.h>
#include <string.h>

#define STORM_THREADS_MAX 16
#define STORM_OWN 192u
#define STORM_MAILBOX 64u
#define STORM_BATCH 12u

struct storm {
	struct pool *pool;
	unsigned rounds;
	pthread_mutex_t lock; /* below */
	struct pool_object mailbox[STORM_MAILBOX];
};

struct storm_thread {
	struct storm *storm;
	unsigned number;
	unsigned bad;
	struct pool_random random;
	struct pool_object own[STORM_OWN];
};

static void exchange(struct storm_thread *t, struct pool_object *object)
{
	struct storm *storm = t->storm;
	uint32_t i = pool_random_below(&t->random, STORM_MAILBOX);
	struct pool_object got;

	pthread_mutex_lock(&storm->lock);
	got = storm->mailbox[i];
	storm->mailbox[i] = *object;
	pthread_mutex_unlock(&storm->lock);
	*object = got;
}

/* New objects into the empty ones among @own[i...], in one call. */
static void fill_batch(struct storm_thread *t, unsigned i)
{
	struct pool_object *to[STORM_BATCH];
	uint32_t n_bytes[STORM_BATCH];
	struct handle handles[STORM_BATCH];
	unsigned n = 0;

	for (; i < STORM_OWN && n < STORM_BATCH; i++)
		if (handle_is_none(t->own[i].handle)) {
			n_bytes[n] = pool_random_length(&t->random);
			to[n++] = &t->own[i];
		}
	if (n == 0 ||
	    pool_alloc(t->storm->pool, t->number, n_bytes, n, handles) < 0)
		return;
	for (unsigned k = 0; k < n; k++) {
		*to[k] = (struct pool_object){
			.handle = handles[k],
			.n_bytes = n_bytes[k],
			.seed = (uint32_t)pool_random(&t->random),
		};
		pool_object_write(t->storm->pool, to[k]);
	}
}

static void free_batch(struct storm_thread *t, unsigned i)
{
	struct handle handles[STORM_BATCH];
	unsigned n = 0;

	for (; i < STORM_OWN && n < STORM_BATCH; i++) {
		if (handle_is_none(t->own[i].handle))
			continue;
		t->bad += !pool_object_is_intact(t->storm->pool, &t->own[i]);
		handles[n++] = t->own[i].handle;
		t->own[i].handle.value = 0;
	}
	if (n)
		pool_free(t->storm->pool, handles, n);
}

static void *storm_main(void *arg)
{
	struct storm_thread *t = arg;

	for (unsigned round = 0; round < t->storm->rounds; round++) {
		unsigned i = pool_random_below(&t->random, STORM_OWN);
		struct pool_object *object = &t->own[i];

		switch (pool_random_below(&t->random, 8)) {
		case 0:
			free_batch(t, i);
			break;
		case 1:
		case 2:
			fill_batch(t, i);
			break;
		case 3:
			exchange(t, object);
			break;
		default:
			if (!handle_is_none(object->handle))
				t->bad += !pool_object_is_intact(t->storm->pool,
								 object);
			break;
		}
	}
	for (unsigned i = 0; i < STORM_OWN; i += STORM_BATCH)
		free_batch(t, i);
	return NULL;
}

unsigned pool_storm(struct pool *pool, unsigned threads, unsigned rounds)
{
	static struct storm_thread storm_threads[STORM_THREADS_MAX];
	struct storm storm = {.pool = pool, .rounds = rounds};
	pthread_t ids[STORM_THREADS_MAX];
	unsigned bad = 0;

	invariant(threads <= STORM_THREADS_MAX);
	memset(storm_threads, 0, sizeof(storm_threads));
	pthread_mutex_init(&storm.lock, NULL);
	for (unsigned i = 0; i < threads; i++) {
		struct storm_thread *t = &storm_threads[i];
		int r;

		t->storm = &storm;
		t->number = i;
		t->random.state = i + 1;
		r = pthread_create(&ids[i], NULL, storm_main, t);
		invariant(r == 0);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		bad += storm_threads[i].bad;
	}
	for (unsigned i = 0; i < STORM_MAILBOX; i++) {
		const struct pool_object *object = &storm.mailbox[i];

		if (handle_is_none(object->handle))
			continue;
		bad += !pool_object_is_intact(pool, object);
		pool_free(pool, &object->handle, 1);
	}
	pthread_mutex_destroy(&storm.lock);
	return bad;
}
