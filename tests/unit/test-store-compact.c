/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compaction gives memory back, changes no byte, and loses to any writer. */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 8192u

struct world {
	struct store_rig rig;
	struct file file;
	char *model;
	_Atomic bool stop;
	uint64_t wrong;
};

/* A file of which pages were punched out again: all but one of @of, or, with
 * @most, one of them alone. */
static int up_punched(void **state, unsigned of, bool most)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN};
	struct world *w = calloc(1, sizeof(*w));
	struct content random = {3};
	size_t done;

	store_rig_up(&w->rig, &options);
	w->file = store_rig_file(&w->rig, 0);
	w->model = calloc(PAGES, PAGE_BYTES);
	for (unsigned i = 0; i < PAGES; i++)
		content_make(&random, CONTENT_MIXED, w->model + i * PAGE_BYTES,
			     PAGE_BYTES);
	assert_int_equal(store_write(w->rig.store, w->rig.stream, w->file, 0,
				     w->model, PAGES * (size_t)PAGE_BYTES,
				     &done),
			 0);
	for (unsigned i = 0; i < PAGES; i++) {
		if ((i % of == 3) == most)
			continue;
		memset(w->model + i * PAGE_BYTES, 0, PAGE_BYTES);
		assert_int_equal(store_punch(w->rig.store, w->rig.stream,
					     w->file, i * (uint64_t)PAGE_BYTES,
					     PAGE_BYTES),
				 0);
	}
	*state = w;
	return 0;
}

static int up(void **state)
{
	return up_punched(state, 8, true);
}

static int up_thin(void **state)
{
	return up_punched(state, 9, false);
}

static int down(void **state)
{
	struct world *w = *state;

	store_rig_check(&w->rig);
	store_rig_down(&w->rig);
	free(w->model);
	free(w);
	return 0;
}

static void compact_all(struct store_rig *rig, struct stream *stream)
{
	for (unsigned i = 0; i < 20 && store_compact_begin(rig->store); i++) {
		store_compact_body(rig->store, stream, store_rig_file(rig, 0));
		store_compact_end(rig->store);
	}
}

static void assert_intact(struct world *w)
{
	size_t n = PAGES * (size_t)PAGE_BYTES, done = 0;
	char *buf = malloc(n);

	assert_int_equal(store_read(w->rig.store, w->rig.stream, w->file, 0,
				    buf, n, &done),
			 0);
	assert_int_equal(done, n);
	assert_memory_equal(buf, w->model, n);
	free(buf);
}

static void test_gives_memory_back(void **state)
{
	struct world *w = *state;
	struct pool_stats before, after;
	struct store_stats stats;

	pool_stats(w->rig.pool, &before);
	assert_true(store_wants_compaction(w->rig.store));
	compact_all(&w->rig, w->rig.stream);
	pool_stats(w->rig.pool, &after);
	store_stats(w->rig.store, &stats);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.object_bytes, before.object_bytes);
	assert_true(stats.pages_compacted > 0);
	assert_true(after.spans < before.spans);
	assert_true(after.held_bytes < before.held_bytes);
	assert_false(store_wants_compaction(w->rig.store));
	assert_intact(w);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	w->file = store_rig_file(&w->rig, 0);
	assert_intact(w);
}

/* A tenth of the pool is worth it, a sixteenth is what may stay. */
static void test_a_little_everywhere(void **state)
{
	struct world *w = *state;
	struct pool_stats stats;

	pool_stats(w->rig.pool, &stats);
	assert_true(stats.held_bytes - stats.slot_bytes < stats.held_bytes / 8);
	assert_true(store_wants_compaction(w->rig.store));
	compact_all(&w->rig, w->rig.stream);
	pool_stats(w->rig.pool, &stats);
	assert_true(stats.held_bytes - stats.slot_bytes <=
		    stats.held_bytes / 16);
	assert_intact(w);
}

static void test_age_and_mark_stay(void **state)
{
	struct world *w = *state;
	unsigned n;

	atomic_fetch_or(map_slots(w->rig.arena, w->file.body, 3, &n),
			ENTRY_SOFT);
	compact_all(&w->rig, w->rig.stream);
	assert_int_equal(
		atomic_load(map_slots(w->rig.arena, w->file.body, 3, &n)) &
			ENTRY_SOFT,
		ENTRY_SOFT);
}

/* Rewrites one page after the other; what it wrote must be there. */
static void *writer(void *arg)
{
	struct world *w = arg;
	struct stream *stream = stream_get(w->rig.streams, 1);
	struct content random = {17};
	char page[PAGE_BYTES], got[PAGE_BYTES];
	size_t n;

	for (unsigned i = 3; !atomic_load(&w->stop); i = (i + 8) % PAGES) {
		uint64_t at = i * (uint64_t)PAGE_BYTES;

		content_make(&random, CONTENT_MIXED, page, PAGE_BYTES);
		w->wrong +=
			store_write(w->rig.store, stream, w->file, at, page,
				    i % 16 == 3 ? PAGE_BYTES : 777, &n) != 0;
		memcpy(w->model + at, page, n);
		w->wrong += store_read(w->rig.store, stream, w->file, at, got,
				       PAGE_BYTES, &n) != 0;
		w->wrong += memcmp(got, w->model + at, PAGE_BYTES) != 0;
	}
	stream_put(w->rig.streams, stream);
	return NULL;
}

static void test_against_a_writer(void **state)
{
	struct world *w = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, writer, w), 0);
	compact_all(&w->rig, w->rig.stream);
	atomic_store(&w->stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(w->wrong, 0);
	assert_intact(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gives_memory_back),
		cmocka_unit_test_setup_teardown(test_a_little_everywhere,
						up_thin, down),
		TEST(test_age_and_mark_stay),
		TEST(test_against_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
