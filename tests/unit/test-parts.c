/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of large reads and writes that several workers carry out: the same
 * bytes, the same short writes and the same errors as by one thread alone.
 *
 * The workers are a crew's with their own loops; the test is one more thread
 * that has a large request.
 */
#include "base/check.h"
#include "base/heap.h"
#include "base/page.h"
#include "content.h"
#include "fs_rig.h"
#include "store/map.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 3
#define LARGE MIB
#define LARGE_PAGES 256u
/* Both sides of where a request begins and ends in pages and groups. */
#define ROOM (LARGE + 16 * PAGE_BYTES)

static struct fs_rig rig;
static struct store *store;
static struct body body;
static struct file file = {&body, 7};
static char *data, *back;

static int up(void **state)
{
	struct content c = {1};

	(void)state;
	fs_rig_config(&rig);
	rig.threads = rig.config.workers = WORKERS;
	fs_rig_up(&rig);
	store = rig.fs->engine.store;
	/* As if each had a CPU, however few there are. */
	share_cpus(rig.fs->engine.share, 16);
	memset(&body, 0, sizeof(body));
	data = malloc(ROOM);
	back = malloc(ROOM);
	assert_non_null(data);
	assert_non_null(back);
	content_make_any(&c, data, ROOM);
	return 0;
}

static uint64_t objects(void)
{
	struct pool_stats stats;

	pool_stats(rig.fs->engine.pool, &stats);
	return stats.objects;
}

static void check_all(void)
{
	struct store_stats stats;

	store_stats(store, &stats);
	assert_int_equal(store_check_body(store, file), 0);
	assert_int_equal(pool_check(rig.fs->engine.pool), 0);
	assert_int_equal(objects(), stats.pages_stored - stats.same_pages);
	assert_int_equal(sets_objects(rig.fs->engine.sets, 0) +
				 sets_objects(rig.fs->engine.sets, 1),
			 objects());
}

static int down(void **state)
{
	(void)state;
	check_all();
	store_discard(store, TALLY_SHARED_ROW, file);
	assert_int_equal(objects(), 0);
	check_all();
	fs_rig_down(&rig);
	free(data);
	free(back);
	return 0;
}

static uint64_t shared(void)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return stats.shared;
}

static int put(struct file f, uint64_t offset, const char *src, size_t n,
	       size_t *ret_n)
{
	struct streams *streams = rig.fs->engine.streams;
	struct stream *stream = stream_get(streams, 40);
	int r = store_write(store, stream, f, offset, src, n, ret_n);

	stream_put(streams, stream);
	return r;
}

static int get(struct file f, uint64_t offset, char *dst, size_t n,
	       size_t *ret_n)
{
	struct streams *streams = rig.fs->engine.streams;
	struct stream *stream = stream_get(streams, 40);
	int r = store_read(store, stream, f, offset, dst, n, ret_n);

	stream_put(streams, stream);
	return r;
}

/* Again until somebody has helped: workers rest a moment after they are up,
 * and the one whose stream the test took finds none for itself. */
static int put_shared(uint64_t offset, size_t n, size_t *ret_n)
{
	uint64_t before = shared();
	int r;

	for (;;) {
		r = put(file, offset, data, n, ret_n);
		if (shared() != before)
			return r;
		sched_yield();
	}
}

static int get_shared(uint64_t offset, size_t n, size_t *ret_n)
{
	uint64_t before = shared();
	int r;

	for (;;) {
		r = get(file, offset, back, n, ret_n);
		if (shared() != before)
			return r;
		sched_yield();
	}
}

static void shared_bytes_are_the_same(void **state)
{
	static const uint64_t at[] = {0, 3 * PAGE_BYTES, 1000,
				      63 * PAGE_BYTES + 1};
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		data[17] = (char)i;
		assert_int_equal(put_shared(at[i], LARGE, &n), 0);
		assert_int_equal(n, LARGE);
		share_cpus(rig.fs->engine.share, 1);
		assert_int_equal(get(file, at[i], back, LARGE, &n), 0);
		assert_int_equal(n, LARGE);
		assert_memory_equal(back, data, LARGE);
		share_cpus(rig.fs->engine.share, 16);
		memset(back, 1, ROOM);
		/* Not from where it began, and beyond the end. */
		assert_int_equal(get_shared(at[i] + 5, ROOM, &n), 0);
		assert_int_equal(n, LARGE - 5);
		assert_memory_equal(back, data + 5, n);
		assert_int_equal(back[n], 1);
		check_all();
		store_discard(store, TALLY_SHARED_ROW, file);
	}
}

static void small_requests_are_not_shared(void **state)
{
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(put(file, 0, data, LARGE / 8, &n), 0);
		assert_int_equal(get(file, 0, back, LARGE / 8, &n), 0);
		sched_yield();
	}
	assert_int_equal(shared(), 0);
}

/* Incompressible pages that are no raw copies of one another. */
static void make_random(void)
{
	struct content c = {2};

	content_make(&c, CONTENT_RANDOM, data, ROOM);
}

static void full_by_size_is_short(void **state)
{
	size_t n;

	(void)state;
	make_random();
	for (unsigned pages = 1; pages < LARGE_PAGES; pages += 50) {
		store_set_limit(store, pages * PAGE_BYTES);
		assert_int_equal(put_shared(0, LARGE, &n), 0);
		assert_int_equal(n, pages * PAGE_BYTES);
		assert_int_equal(atomic_load(&body.size), n);
		check_all();
		/* What is held may be written again, no more. */
		assert_int_equal(put_shared(0, LARGE, &n), 0);
		assert_int_equal(n, pages * PAGE_BYTES);
		assert_int_equal(put(file, n, data, LARGE, &n), -ENOSPC);
		assert_int_equal(get(file, 0, back, LARGE, &n), 0);
		assert_int_equal(n, pages * PAGE_BYTES);
		assert_memory_equal(back, data, n);
		store_discard(store, TALLY_SHARED_ROW, file);
	}
}

/* A fresh file each time: what an earlier try has written would stay when
 * the next one fails. */
static size_t fill_memory(uint64_t room)
{
	struct budget *budget = &rig.fs->engine.budget;
	uint64_t before = shared();
	size_t n;

	for (;;) {
		n = 0;
		budget_set_limit(budget, budget_used(budget) +
						 BUDGET_RESERVE_BYTES + room);
		if (put(file, 0, data, LARGE, &n) != 0)
			assert_int_equal(n, 0);
		budget_set_limit(budget, rig.config.mem_limit_bytes);
		if (shared() != before)
			return n;
		store_discard(store, TALLY_SHARED_ROW, file);
		sched_yield();
	}
}

static void full_of_memory_is_short(void **state)
{
	size_t n, in;

	(void)state;
	make_random();
	for (uint64_t pages = 0; pages < LARGE_PAGES; pages += 20) {
		n = fill_memory(pages * PAGE_BYTES);
		assert_true(n % PAGE_BYTES == 0 && n < LARGE);
		assert_int_equal(atomic_load(&body.size), n);
		check_all();
		assert_int_equal(get(file, 0, back, LARGE, &in), 0);
		assert_int_equal(in, n);
		assert_memory_equal(back, data, n);
		store_discard(store, TALLY_SHARED_ROW, file);
	}
}

/* One page in the middle: whoever has that part, the request fails. */
static void lost_page_is_an_error(void **state)
{
	_Atomic uint64_t *slots;
	uint64_t word;
	unsigned have;
	size_t n;

	(void)state;
	assert_int_equal(put_shared(0, LARGE, &n), 0);
	slots = map_slots(rig.fs->engine.arena, &body, 200, &have);
	word = atomic_exchange(&slots[0], ENTRY_BAD);
	n = 123;
	assert_int_equal(get_shared(0, LARGE, &n), -EIO);
	assert_int_equal(n, 123);
	atomic_store(&slots[0], word);
	assert_int_equal(get_shared(0, LARGE, &n), 0);
	assert_memory_equal(back, data, LARGE);
}

static void no_heap_call_for_a_request(void **state)
{
	uint64_t before;
	size_t n;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		before = heap_calls();
		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(put_shared(0, LARGE, &n), 0);
			assert_int_equal(get_shared(0, LARGE, &n), 0);
		}
	}
	assert_int_equal(heap_calls(), before);
}

/* --- all at once --- */

struct user {
	struct body body;
	struct file file;
	char *model, *buf;
};

#define USER_BYTES (2 * LARGE)
#define ROUNDS 60

static void use_once(struct user *u, struct content *c)
{
	size_t n = LARGE / 4 + content_below(c, LARGE - LARGE / 4);
	uint64_t at = content_below(c, USER_BYTES - n) & ~UINT64_C(4095);
	size_t done;

	content_make_any(c, u->model + at, n);
	invariant(put(u->file, at, u->model + at, n, &done) == 0);
	invariant(done == n);
	n = LARGE / 2 + content_below(c, LARGE);
	at = content_below(c, USER_BYTES - n);
	invariant(get(u->file, at, u->buf, n, &done) == 0);
	invariant(memcmp(u->buf, u->model + at, done) == 0);
}

static void *use(void *arg)
{
	struct user *u = arg;
	struct content c = {u->file.ix};

	for (unsigned i = 0; i < ROUNDS || shared() < ROUNDS; i++)
		use_once(u, &c);
	return NULL;
}

static _Atomic bool over;

static void *change_crew(void *arg)
{
	struct crew *crew = rig.fs->crew;

	(void)arg;
	/* Two at least: each user has the stream of one. */
	for (unsigned i = 0; !atomic_load(&over); i++)
		invariant(crew_set(crew, 2 + i * 7 % 5) == 0);
	return NULL;
}

static void user_init(struct user *u, unsigned i)
{
	memset(u, 0, sizeof(*u));
	u->file = (struct file){&u->body, 20 + i};
	u->model = calloc(1, USER_BYTES);
	u->buf = malloc(USER_BYTES);
	assert_non_null(u->model);
	assert_non_null(u->buf);
}

static void workers_come_and_go(void **state)
{
	static struct user user[2];
	pthread_t thread[2], changer;

	(void)state;
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&changer, NULL, change_crew, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		user_init(&user[i], i);
		assert_int_equal(
			pthread_create(&thread[i], NULL, use, &user[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&over, true);
	pthread_join(changer, NULL);
	check_all();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(store_check_body(store, user[i].file), 0);
		store_discard(store, TALLY_SHARED_ROW, user[i].file);
		free(user[i].model);
		free(user[i].buf);
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		CASE(shared_bytes_are_the_same),
		CASE(small_requests_are_not_shared),
		CASE(full_by_size_is_short),
		CASE(full_of_memory_is_short),
		CASE(lost_page_is_an_error),
		CASE(no_heap_call_for_a_request),
		CASE(workers_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
