/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compaction of spans: chosen well, emptied, given back; waste stays small. */
#include "base/compiler.h"
#include "pool/span.h"
#include "pool/span_priv.h"
#include "pool_rig.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>

#define OBJECTS 30000

static struct pool_object objects[OBJECTS];

static struct pool_stats stats_of(struct pool_rig *rig)
{
	struct pool_stats stats;

	pool_stats(rig->pool, &stats);
	return stats;
}

static double waste_of(struct pool_rig *rig)
{
	struct pool_stats stats = stats_of(rig);

	return (double)stats.held_bytes / (double)stats.object_bytes - 1;
}

static void make_all(struct pool_rig *rig, struct pool_random *random)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		assert_int_equal(pool_object_make(rig->pool, i,
						  pool_random_length(random), i,
						  &objects[i]),
				 0);
}

static void replace(struct pool_rig *rig, struct pool_random *random,
		    unsigned rounds)
{
	for (unsigned k = 0; k < rounds; k++) {
		unsigned i = pool_random_below(random, OBJECTS);
		struct pool_object object;

		assert_int_equal(pool_object_make(rig->pool, k,
						  pool_random_length(random), k,
						  &object),
				 0);
		pool_free(rig->pool, &objects[i].handle, 1);
		objects[i] = object;
	}
}

static void assert_intact(struct pool_rig *rig)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		assert_true(handle_is_none(objects[i].handle) ||
			    pool_object_is_intact(rig->pool, &objects[i]));
}

/* What an owner does between begin and end; how many could not be moved. */
static unsigned move_all(struct pool_rig *rig)
{
	unsigned stuck = 0;

	for (unsigned i = 0; i < OBJECTS; i++) {
		struct pool_object object;

		if (handle_is_none(objects[i].handle) ||
		    !pool_should_move(rig->pool, objects[i].handle))
			continue;
		if (pool_object_make(rig->pool, 0, objects[i].n_bytes,
				     objects[i].seed, &object) < 0) {
			stuck++;
			continue;
		}
		assert_false(pool_should_move(rig->pool, object.handle));
		pool_free(rig->pool, &objects[i].handle, 1);
		objects[i] = object;
	}
	return stuck;
}

/* Rounds until there is nothing to gain; at most @most. */
static unsigned compact(struct pool_rig *rig, unsigned spans, unsigned most)
{
	for (unsigned round = 0; round < most; round++) {
		unsigned n = pool_compact_begin(rig->pool, spans);

		assert_true(n <= spans);
		if (n == 0)
			return round;
		assert_int_equal(move_all(rig), 0);
		pool_compact_end(rig->pool);
	}
	return most;
}

static void test_nothing_to_gain(void **state UNUSED)
{
	struct pool_random random = {1};
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 2);
	assert_int_equal(pool_compact_begin(rig.pool, 10), 0);
	make_all(&rig, &random);
	assert_int_equal(pool_compact_begin(rig.pool, 10), 0);
	for (unsigned i = 0; i < OBJECTS; i++)
		assert_false(pool_should_move(rig.pool, objects[i].handle));
	pool_compact_end(rig.pool);
	assert_false(pool_should_move(rig.pool, (struct handle){0}));
	assert_false(pool_should_move(rig.pool, (struct handle){~0ull}));
	pool_rig_down(&rig);
}

static void test_churn_stays_small(void **state UNUSED)
{
	struct pool_random random = {2};
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 2);
	make_all(&rig, &random);
	for (unsigned n = 0; n < 4; n++) {
		double before;

		replace(&rig, &random, 2 * OBJECTS);
		before = waste_of(&rig);
		/* It ends, and well before all has been moved many times. */
		assert_true(compact(&rig, 32, 100) < 30);
		print_message("waste %.1f %% -> %.1f %%\n", before * 100,
			      waste_of(&rig) * 100);
		assert_true(waste_of(&rig) < 0.07);
		assert_int_equal(pool_check(rig.pool), 0);
	}
	assert_true(stats_of(&rig).moved > 0);
	assert_true(stats_of(&rig).moved < 4 * OBJECTS);
	assert_true(pool_rig_charged(&rig) <= stats_of(&rig).held_bytes);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

/* Three of four objects are deleted at random. */
static void test_after_mass_deletion(void **state UNUSED)
{
	struct pool_random random = {3};
	struct pool_rig rig;
	uint64_t full;

	pool_rig_up(&rig, GIB, GIB, 2);
	make_all(&rig, &random);
	full = pool_rig_charged(&rig);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (pool_random_below(&random, 4)) {
			pool_free(rig.pool, &objects[i].handle, 1);
			objects[i].handle.value = 0;
		}
	assert_true(compact(&rig, 1000, 100) < 10);
	assert_true(pool_rig_charged(&rig) < full * 28 / 100);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

static void test_sparsest_first(void **state UNUSED)
{
	struct pool_rig rig;
	unsigned moves = 0;
	uint64_t held;

	pool_rig_up(&rig, GIB, GIB, 1);
	/* Spans of 256 slots, four on a page: two of the four go, and in the
	 * tenth span 15 of 16, which leaves one on every fourth page. */
	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i].handle.value = 0;
	for (unsigned i = 0; i < 20 * 256; i++)
		assert_int_equal(
			pool_object_make(rig.pool, 0, 1016, i, &objects[i]), 0);
	for (unsigned i = 0; i < 20 * 256; i++)
		if (i % 2 || (i / 256 == 10 && i % 16)) {
			pool_free(rig.pool, &objects[i].handle, 1);
			objects[i].handle.value = 0;
		}
	assert_int_equal(pool_compact_begin(rig.pool, 1), 1);
	for (unsigned i = 0; i < 20 * 256; i++)
		if (!handle_is_none(objects[i].handle) &&
		    pool_should_move(rig.pool, objects[i].handle)) {
			assert_int_equal(i / 256, 10);
			moves++;
		}
	assert_int_equal(moves, 16);
	held = stats_of(&rig).held_bytes;
	assert_int_equal(move_all(&rig), 0);
	/* The last move gave the span back. */
	assert_int_equal(stats_of(&rig).held_bytes, held - 16 * PAGE_BYTES);
	assert_int_equal(stats_of(&rig).moved, moves);
	pool_compact_end(rig.pool);
	assert_true(compact(&rig, 100, 50) < 20);
	assert_true(stats_of(&rig).held_bytes < 11 * SPAN_BYTES);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

/* New objects do not go where space is being cleared; an end without moves
 * brings the spans back. */
static void test_victims_take_nothing(void **state UNUSED)
{
	struct pool_random random = {4};
	struct pool_rig rig;
	struct pool_object extra[200];
	unsigned should = 0;

	pool_rig_up(&rig, GIB, GIB, 2);
	make_all(&rig, &random);
	replace(&rig, &random, OBJECTS);
	assert_true(pool_compact_begin(rig.pool, 50) > 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(pool_object_make(rig.pool, i,
						  pool_random_length(&random),
						  i, &extra[i]),
				 0);
		assert_false(pool_should_move(rig.pool, extra[i].handle));
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		should += pool_should_move(rig.pool, objects[i].handle);
	assert_true(should > 0);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_compact_end(rig.pool);
	for (unsigned i = 0; i < OBJECTS; i++)
		assert_false(pool_should_move(rig.pool, objects[i].handle));
	assert_int_equal(pool_check(rig.pool), 0);
	replace(&rig, &random, OBJECTS);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

/* No room for a single page: objects move into slots that are paid for. */
static void test_without_room(void **state UNUSED)
{
	struct pool_random random = {6};
	struct pool_rig rig;
	uint64_t held;

	pool_rig_up(&rig, GIB, GIB, 2);
	make_all(&rig, &random);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (pool_random_below(&random, 2)) {
			pool_free(rig.pool, &objects[i].handle, 1);
			objects[i].handle.value = 0;
		}
	/* Free pages go back first, so that what is left are moves. */
	pool_compact_begin(rig.pool, 1);
	pool_compact_end(rig.pool);
	budget_set_limit(&rig.budget, budget_used(&rig.budget));
	held = stats_of(&rig).held_bytes;
	assert_true(compact(&rig, 64, 100) > 0);
	assert_true(stats_of(&rig).held_bytes < held * 3 / 4);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

/* @spans full spans of one class, 256 objects each; the others none. */
static void make_spans(struct pool_rig *rig, unsigned spans)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i].handle.value = 0;
	for (unsigned i = 0; i < spans * 256; i++)
		assert_int_equal(
			pool_object_make(rig->pool, 0, 1016, i, &objects[i]),
			0);
}

/* A tenth free is what overwriting leaves everywhere: it adds up. */
static void test_nearly_full(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 1);
	make_spans(&rig, 20);
	for (unsigned i = 0; i < 20 * 256; i += 10) {
		pool_free(rig.pool, &objects[i].handle, 1);
		objects[i].handle.value = 0;
	}
	assert_true(compact(&rig, 100, 50) < 20);
	assert_true(stats_of(&rig).held_bytes < 19 * SPAN_BYTES);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

/* Of each 32 objects of span @ix the first @n go; but on each page of four one
 * stays, so that nothing goes back by itself. */
static void thin_out(struct pool_rig *rig, unsigned ix, unsigned n)
{
	for (unsigned i = ix * 256; i < (ix + 1) * 256; i++)
		if (i % 4 && i % 32 < n) {
			pool_free(rig->pool, &objects[i].handle, 1);
			objects[i].handle.value = 0;
		}
}

static void test_no_place_to_go(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 1);
	make_spans(&rig, 2);
	/* 160 objects remain in each and 96 slots are free: neither's objects
	 * fit into the other. */
	thin_out(&rig, 0, 16);
	thin_out(&rig, 1, 16);
	budget_set_limit(&rig.budget, budget_used(&rig.budget));
	assert_int_equal(pool_compact_begin(rig.pool, 10), 0);
	budget_set_limit(&rig.budget, GIB);
	assert_int_equal(pool_compact_begin(rig.pool, 10), 2);
	assert_int_equal(move_all(&rig), 0);
	pool_compact_end(rig.pool);
	assert_true(stats_of(&rig).held_bytes <= 81 * PAGE_BYTES);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

static void test_small_slack_is_left(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 1);
	make_spans(&rig, 60);
	thin_out(&rig, 30, 20);
	assert_int_equal(pool_compact_begin(rig.pool, 10), 0);
	thin_out(&rig, 20, 32);
	assert_in_range(pool_compact_begin(rig.pool, 10), 1, 2);
	assert_int_equal(move_all(&rig), 0);
	pool_compact_end(rig.pool);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

/* A second choice ends the first. */
static void test_begin_twice(void **state UNUSED)
{
	uint64_t span = UINT64_MAX;
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 1);
	make_spans(&rig, 10);
	for (unsigned ix = 0; ix < 10; ix++)
		thin_out(&rig, ix, 32);
	assert_int_equal(pool_compact_begin(rig.pool, 5), 5);
	assert_int_equal(pool_compact_begin(rig.pool, 1), 1);
	for (unsigned i = 0; i < OBJECTS; i++) {
		uint64_t in = (objects[i].handle.value - 1) * 16 / SPAN_BYTES;

		if (handle_is_none(objects[i].handle) ||
		    !pool_should_move(rig.pool, objects[i].handle))
			continue;
		assert_true(span == UINT64_MAX || span == in);
		span = in;
	}
	assert_true(span != UINT64_MAX);
	pool_compact_end(rig.pool);
	pool_rig_down(&rig);
}

static void *storm_main(void *pool)
{
	static unsigned bad;

	bad = pool_storm(pool, 2, 6000);
	return &bad;
}

/* Writers go on while spans are chosen, emptied and released. */
static void test_beside_writers(void **state UNUSED)
{
	struct pool_random random = {7};
	struct pool_rig rig;
	pthread_t thread;
	void *bad;

	pool_rig_up(&rig, GIB, GIB, 2);
	make_all(&rig, &random);
	assert_int_equal(pthread_create(&thread, NULL, storm_main, rig.pool),
			 0);
	for (unsigned n = 0; n < 4; n++) {
		replace(&rig, &random, OBJECTS / 4);
		pool_compact_begin(rig.pool, 40);
		move_all(&rig);
		pool_compact_end(rig.pool);
	}
	assert_int_equal(pthread_join(thread, &bad), 0);
	assert_int_equal(*(unsigned *)bad, 0);
	assert_int_equal(stats_of(&rig).objects, OBJECTS);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_intact(&rig);
	pool_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_gain),
		cmocka_unit_test(test_churn_stays_small),
		cmocka_unit_test(test_after_mass_deletion),
		cmocka_unit_test(test_sparsest_first),
		cmocka_unit_test(test_victims_take_nothing),
		cmocka_unit_test(test_without_room),
		cmocka_unit_test(test_no_place_to_go),
		cmocka_unit_test(test_nearly_full),
		cmocka_unit_test(test_small_slack_is_left),
		cmocka_unit_test(test_begin_twice),
		cmocka_unit_test(test_beside_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
