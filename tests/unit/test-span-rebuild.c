/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The span backend after an attach: the arena alone is enough to continue. */
#include "arena/arena.h"
#include "base/compiler.h"
#include "pool/span.h"
#include "pool/span_priv.h"
#include "pool_rig.h"
#include "unit.h"
#include <errno.h>

#define OBJECTS 6000

static struct pool_object objects[OBJECTS];

static struct pool_stats stats_of(struct pool_rig *rig)
{
	struct pool_stats stats;

	pool_stats(rig->pool, &stats);
	return stats;
}

/* Random comings and goings, so that spans are half full and trimmed. */
static void stir(struct pool_rig *rig, struct pool_random *random,
		 unsigned rounds)
{
	for (unsigned k = 0; k < rounds; k++) {
		uint32_t i = pool_random_below(random, OBJECTS);
		struct pool_object *object = &objects[i];

		if (!handle_is_none(object->handle)) {
			pool_free(rig->pool, &object->handle, 1);
			object->handle.value = 0;
		} else {
			assert_int_equal(
				pool_object_make(rig->pool, k,
						 pool_random_length(random), k,
						 object),
				0);
		}
	}
}

static void mark_all(struct pool_rig *rig)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		if (!handle_is_none(objects[i].handle))
			assert_int_equal(
				pool_mark(rig->pool, objects[i].handle), 0);
}

static void assert_intact(struct pool_rig *rig)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		if (!handle_is_none(objects[i].handle))
			assert_true(
				pool_object_is_intact(rig->pool, &objects[i]));
}

static void up(struct pool_rig *rig, unsigned shards)
{
	pool_rig_up(rig, GIB, GIB, shards);
	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i] = (struct pool_object){0};
}

static void down(struct pool_rig *rig)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		if (!handle_is_none(objects[i].handle))
			pool_free(rig->pool, &objects[i].handle, 1);
	assert_int_equal(stats_of(rig).objects, 0);
	assert_true(pool_rig_charged(rig) <=
		    rig->shards * KEPT_PAGES_MAX * PAGE_BYTES);
	assert_int_equal(pool_check(rig->pool), 0);
	pool_rig_down(rig);
}

static void test_many_lives(void **state UNUSED)
{
	struct pool_random random = {77};
	struct pool_rig rig;

	up(&rig, 2);
	for (unsigned life = 0; life < 12; life++) {
		struct pool_stats before, after;

		stir(&rig, &random, 9000);
		assert_int_equal(pool_check(rig.pool), 0);
		before = stats_of(&rig);
		/* Another machine: another number of shards. */
		rig.shards = life % 4 + 1;
		pool_rig_reattach(&rig);
		pool_scan_begin(rig.pool);
		mark_all(&rig);
		pool_scan_end(rig.pool);
		after = stats_of(&rig);
		assert_int_equal(after.objects, before.objects);
		assert_int_equal(after.object_bytes, before.object_bytes);
		assert_int_equal(after.slot_bytes, before.slot_bytes);
		/* Pages between objects went back, nothing came. */
		assert_true(after.held_bytes <= before.held_bytes);
		assert_true(pool_rig_charged(&rig) <= after.held_bytes);
		assert_true(budget_used(&rig.budget) >= after.held_bytes);
		assert_int_equal(pool_check(rig.pool), 0);
		assert_intact(&rig);
	}
	down(&rig);
}

static void test_unmarked_goes_back(void **state UNUSED)
{
	struct pool_random random = {5};
	char scratch[POOL_OBJECT_MAX];
	struct handle lost[OBJECTS / 10];
	struct pool_view view;
	struct pool_rig rig;
	uint64_t full;

	up(&rig, 2);
	stir(&rig, &random, 20000);
	full = pool_rig_charged(&rig);
	pool_rig_reattach(&rig);
	/* One in ten was published; the rest died with the process. */
	for (unsigned i = 0; i < OBJECTS; i++)
		if (i % 10) {
			lost[i / 10] = objects[i].handle;
			objects[i].handle.value = 0;
		}
	pool_scan_begin(rig.pool);
	mark_all(&rig);
	pool_scan_end(rig.pool);
	assert_true(pool_rig_charged(&rig) < full * 2 / 5);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	for (unsigned i = 0; i < OBJECTS / 10; i++) {
		/* Gone, or its bytes are still there: never a crash. */
		int r = pool_read_begin(rig.pool, lost[i], scratch, &view);

		assert_true(r == 0 || r == -EIO);
	}
	stir(&rig, &random, 20000);
	assert_intact(&rig);
	down(&rig);
}

static void test_mark_refuses_what_cannot_be(void **state UNUSED)
{
	struct pool_random random = {6};
	struct pool_rig rig;
	struct handle freed = {0};

	up(&rig, 2);
	stir(&rig, &random, 5000);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (!handle_is_none(objects[i].handle)) {
			freed = objects[i].handle;
			pool_free(rig.pool, &freed, 1);
			objects[i].handle.value = 0;
			break;
		}
	pool_rig_reattach(&rig);
	pool_scan_begin(rig.pool);
	assert_int_equal(pool_mark(rig.pool, freed), -EIO);
	assert_int_equal(pool_mark(rig.pool, (struct handle){0}), -EIO);
	for (unsigned i = 0; i < 20000; i++) {
		struct handle h = {pool_random(&random) >> (i % 64)};
		bool ours = false;

		for (unsigned k = 0; k < OBJECTS; k++)
			ours |= objects[k].handle.value == h.value;
		if (!ours)
			assert_int_equal(pool_mark(rig.pool, h), -EIO);
	}
	mark_all(&rig);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (!handle_is_none(objects[i].handle))
			assert_int_equal(pool_mark(rig.pool, objects[i].handle),
					 -EEXIST);
	pool_scan_end(rig.pool);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	down(&rig);
}

/* The scan may also run on a pool that is at work. */
static void test_scan_again(void **state UNUSED)
{
	struct pool_random random = {8};
	struct pool_stats before;
	struct pool_rig rig;
	uint64_t used;

	up(&rig, 3);
	stir(&rig, &random, 9000);
	for (unsigned n = 0; n < 3; n++) {
		before = stats_of(&rig);
		pool_scan_begin(rig.pool);
		mark_all(&rig);
		pool_scan_end(rig.pool);
		assert_int_equal(stats_of(&rig).objects, before.objects);
		if (n > 0) {
			assert_int_equal(stats_of(&rig).held_bytes,
					 before.held_bytes);
			assert_int_equal(budget_used(&rig.budget), used);
		}
		used = budget_used(&rig.budget);
		assert_int_equal(pool_check(rig.pool), 0);
	}
	assert_intact(&rig);
	down(&rig);
}

static void test_garbage_in_the_arena(void **state UNUSED)
{
	const uint64_t ends[] = {UINT64_MAX, UINT32_MAX, 1, 0};
	struct pool_random random = {2};
	struct pool_rig rig;

	for (unsigned n = 0; n < ARRAY_SIZE(ends); n++) {
		uint32_t good = 0, bad = 0;

		up(&rig, 2);
		stir(&rig, &random, 9000);
		*arena_word(rig.arena, ARENA_WORD_SPANS) = ends[n];
		arena_span_words(rig.arena)[3] = 60000;
		arena_span_words(rig.arena)[4] = 0;
		pool_rig_reattach(&rig);
		pool_scan_begin(rig.pool);
		for (unsigned i = 0; i < OBJECTS; i++) {
			struct handle *h = &objects[i].handle;
			int r = handle_is_none(*h) ? -EIO
						   : pool_mark(rig.pool, *h);

			assert_true(r == 0 || r == -EIO);
			good += r == 0;
			if (r < 0) {
				bad += !handle_is_none(*h);
				h->value = 0;
			}
		}
		pool_scan_end(rig.pool);
		assert_true(bad > 0);
		assert_int_equal(stats_of(&rig).objects, good);
		assert_int_equal(pool_check(rig.pool), 0);
		stir(&rig, &random, 9000);
		assert_intact(&rig);
		assert_int_equal(pool_check(rig.pool), 0);
		down(&rig);
	}
}

/* A limit that was lowered meanwhile keeps nobody from his data. */
static void test_attach_over_the_limit(void **state UNUSED)
{
	struct pool_random random = {4};
	struct pool_object more;
	struct pool_rig rig;

	up(&rig, 2);
	stir(&rig, &random, 9000);
	budget_set_limit(&rig.budget, 2 * MIB);
	pool_rig_reattach(&rig);
	pool_scan_begin(rig.pool);
	mark_all(&rig);
	pool_scan_end(rig.pool);
	assert_true(budget_used(&rig.budget) > 2 * MIB);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	for (unsigned i = 0; i < 100; i++)
		if (pool_object_make(rig.pool, 0, 4096, i, &more) == 0)
			pool_free(rig.pool, &more.handle, 1);
	down(&rig);
}

static void test_never_scanned(void **state UNUSED)
{
	struct pool_random random = {4};
	struct pool_rig rig;

	up(&rig, 2);
	stir(&rig, &random, 3000);
	pool_rig_reattach(&rig);
	pool_scan_begin(rig.pool);
	mark_all(&rig);
	/* Half-way: the next life begins from the start. */
	pool_rig_reattach(&rig);
	pool_scan_begin(rig.pool);
	mark_all(&rig);
	pool_scan_end(rig.pool);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_lives),
		cmocka_unit_test(test_unmarked_goes_back),
		cmocka_unit_test(test_mark_refuses_what_cannot_be),
		cmocka_unit_test(test_scan_again),
		cmocka_unit_test(test_garbage_in_the_arena),
		cmocka_unit_test(test_attach_over_the_limit),
		cmocka_unit_test(test_never_scanned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
