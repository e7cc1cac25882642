/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers and frees from several threads against the one that writes.
 *
 * A name is kept in a slot under a lock, as an owner keeps it; reads are made
 * without it. A read that succeeds gives what the slot named when the reference
 * was made; one that does not says ESTALE, and then the slot has changed.
 */
#include "backing_rig.h"
#include "base/compiler.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOTS 256u
#define THREADS 3u
#define PUTS 20000u
#define READS 10000u

struct slot {
	pthread_mutex_t lock;
	struct extent extent; /* none: empty */
	uint32_t seed;
};

static struct slot slots[SLOTS];
static struct backing *backing;
static _Atomic int held[BACKING_KINDS];
/* Of what was put; a put's cookie is its number. */
static uint32_t seeds[PUTS];
static _Atomic unsigned wrong, stale, good;

static uint32_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static size_t make_bytes(uint32_t seed, char bytes[PAGE_BYTES])
{
	size_t n = 1 + seed % 3000;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(seed + i * (seed | 1) % 251);
	return n;
}

static void hold(void *arg UNUSED, unsigned kind)
{
	held[kind]++;
}

static void drop(void *arg UNUSED, unsigned kind)
{
	if (held[kind]-- <= 0)
		wrong++;
}

/* Take what is in a slot out of it. */
static struct extent exchange(struct slot *slot, struct extent extent,
			      uint32_t seed)
{
	struct extent before;

	pthread_mutex_lock(&slot->lock);
	before = slot->extent;
	slot->extent = extent;
	slot->seed = seed;
	pthread_mutex_unlock(&slot->lock);
	return before;
}

static void done(void *arg UNUSED, struct extent extent,
		 const struct extent_owner *owner, uint64_t cookie, int err)
{
	struct extent before;

	if (err || owner->file >= SLOTS) {
		wrong++;
		return;
	}
	before = exchange(&slots[owner->file], extent, seeds[cookie]);
	if (before.value)
		backing_free(backing, before);
}

static const struct backing_ops ops = {hold, drop, done};

static void read_slot(struct slot *slot, char *buf)
{
	struct extent_view view;
	struct extent_ref ref;
	char bytes[PAGE_BYTES];
	struct extent now;
	uint32_t seed;
	int r;

	pthread_mutex_lock(&slot->lock);
	if (!slot->extent.value) {
		pthread_mutex_unlock(&slot->lock);
		return;
	}
	ref = backing_ref(backing, slot->extent);
	seed = slot->seed;
	pthread_mutex_unlock(&slot->lock);
	r = backing_read(backing, &ref, buf, &view);
	if (!r && view.n_bytes == make_bytes(seed, bytes) &&
	    !memcmp(view.data, bytes, view.n_bytes)) {
		good++;
		return;
	}
	pthread_mutex_lock(&slot->lock);
	now = slot->extent;
	pthread_mutex_unlock(&slot->lock);
	if (r == -ESTALE && now.value != ref.extent.value)
		stale++;
	else if (r != -ESTALE)
		wrong++;
}

static void *reader_main(void *arg)
{
	uint64_t random = *(const uint64_t *)arg;
	char *buf = aligned_alloc(PAGE_BYTES, BACKING_READ_BYTES);

	for (unsigned k = 0; buf && k < READS; k++) {
		struct slot *slot = &slots[next_random(&random) % SLOTS];
		struct backing_stats stats;
		struct extent gone;

		read_slot(slot, buf);
		if (k % 100 == 0)
			backing_stats(backing, &stats);
		if (next_random(&random) % 4)
			continue;
		gone = exchange(slot, (struct extent){0}, 0);
		if (gone.value)
			backing_free(backing, gone);
	}
	free(buf);
	return NULL;
}

static void put_one(uint32_t number, uint64_t *random)
{
	char bytes[PAGE_BYTES];
	struct extent_owner owner = {.file = next_random(random) % SLOTS};
	struct extent extent;
	int r;

	seeds[number] = next_random(random);
	for (;;) {
		r = backing_put(backing, &owner, 0, number % 5, bytes,
				make_bytes(seeds[number], bytes), number,
				&extent);
		if (r != -EAGAIN)
			break;
		backing_reap(backing, true);
	}
	assert_int_equal(r, 0);
	if (number % 64 == 0)
		backing_flush(backing);
	if (number % 16 == 0)
		backing_reap(backing, false);
}

static void look_at(void *arg UNUSED, struct extent extent UNUSED,
		    const struct extent_view *view)
{
	if (view->owner.file >= SLOTS)
		wrong++;
}

static void write_all(void)
{
	uint64_t random = 99;
	uint32_t segment;

	for (uint32_t i = 0; i < PUTS; i++) {
		put_one(i, &random);
		if (i % 500 == 0 && backing_thin(backing, 80, &segment))
			assert_int_equal(backing_segment_visit(backing, segment,
							       look_at, NULL),
					 0);
	}
	backing_flush(backing);
	while (backing_reap(backing, true))
		;
}

static void open_backing(struct arena *arena, char path[200], enum io_kind io)
{
	struct backing_config config = {.path = path};
	char why[300];

	rig_temp(rig_dir(), path, 200);
	assert_int_equal(backing_new(arena, &ops, NULL, &backing), 0);
	assert_int_equal(
		backing_open_kind(backing, &config, io, why, sizeof(why)), 0);
}

static void storm(enum io_kind io)
{
	struct budget budget;
	static uint64_t start[THREADS];
	pthread_t threads[THREADS];
	struct arena *arena;
	char path[200];

	wrong = stale = good = 0;
	budget_init(&budget, GIB);
	assert_int_equal(arena_new(MIB, &budget, &arena), 0);
	open_backing(arena, path, io);
	for (unsigned i = 0; i < SLOTS; i++) {
		slots[i] = (struct slot){0};
		pthread_mutex_init(&slots[i].lock, NULL);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		start[i] = i + 1;
		assert_int_equal(pthread_create(&threads[i], NULL, reader_main,
						&start[i]),
				 0);
	}
	write_all();
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(backing_check(backing), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].extent.value)
			backing_free(backing, slots[i].extent);
	assert_int_equal(backing_close(backing), 0);
	for (unsigned k = 0; k < BACKING_KINDS; k++)
		assert_int_equal(held[k], 0);
	backing_free_all(backing);
	arena_free(arena);
	assert_int_equal(budget_used(&budget), 0);
	unlink(path);
}

static void test_storm_uring(void **state UNUSED)
{
	storm(IO_BEST);
}

static void test_storm_threads(void **state UNUSED)
{
	storm(IO_THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm_uring),
		cmocka_unit_test(test_storm_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
