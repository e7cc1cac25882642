/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The span backend's memory: accounts, waste, what goes back, full pools. */
#include "arena/arena.h"
#include "base/compiler.h"
#include "pool/span.h"
#include "pool/span_priv.h"
#include "pool_rig.h"
#include "unit.h"
#include <errno.h>

#define OBJECTS_MAX 90000

static struct pool_object objects[OBJECTS_MAX];

static struct pool_stats stats_of(struct pool_rig *rig)
{
	return pool_rig_stats(rig);
}

static unsigned make_objects(struct pool_rig *rig, unsigned from, unsigned end,
			     unsigned shard, uint32_t n_bytes)
{
	return pool_rig_make(rig, objects, from, end, shard, n_bytes);
}

static void free_objects(struct pool_rig *rig, unsigned from, unsigned end)
{
	pool_rig_free(rig, objects, from, end);
}

static void assert_intact(struct pool_rig *rig, unsigned from, unsigned end)
{
	assert_int_equal(pool_rig_broken(rig, objects, from, end), 0);
}

/* What the pool says it holds is what the kernel charges, nearly to the page:
 * a slot's last bytes may lie on a page that nobody wrote to. */
static void assert_accounts(struct pool_rig *rig, uint64_t other_bytes)
{
	uint64_t charged = pool_rig_charged(rig);
	uint64_t held = stats_of(rig).held_bytes;

	assert_true(held >= charged);
	assert_true(held - charged <= held / 512 + 2 * PAGE_BYTES);
	assert_true(budget_used(&rig->budget) >= held + other_bytes);
}

static void test_waste_and_return(void **state UNUSED)
{
	const unsigned n = 80000;
	struct pool_stats stats;
	struct pool_rig rig;
	uint64_t empty_bytes;
	double waste;

	pool_rig_up(&rig, GIB, 600 * MIB, 2);
	empty_bytes = budget_used(&rig.budget);
	for (unsigned i = 0; i < n; i += 1000)
		assert_int_equal(make_objects(&rig, i, i + 1000, i / 1000, 0),
				 1000);
	stats = stats_of(&rig);
	waste = (double)(budget_used(&rig.budget) - empty_bytes) /
			(double)stats.object_bytes -
		1;
	print_message("waste %.2f %% of %.1f MiB\n", waste * 100,
		      (double)stats.object_bytes / (double)MIB);
	assert_true(stats.object_bytes > 100 * MIB);
	assert_true(waste < 0.03);
	assert_accounts(&rig, empty_bytes);
	assert_int_equal(pool_check(rig.pool), 0);
	free_objects(&rig, 0, n);
	stats = stats_of(&rig);
	assert_int_equal(stats.objects, 0);
	assert_true(stats.held_bytes <= 2 * KEPT_PAGES_MAX * PAGE_BYTES);
	assert_true(stats.spans <= 2);
	assert_accounts(&rig, empty_bytes);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

static void test_pages_between_objects_go_back(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t full;

	pool_rig_up(&rig, GIB, GIB, 1);
	assert_int_equal(make_objects(&rig, 0, 10000, 0, 1000), 10000);
	full = stats_of(&rig).held_bytes;
	/* Of each 20 neighbours one remains: no span empties. */
	for (unsigned i = 0; i < 10000; i++)
		if (i % 20)
			free_objects(&rig, i, i + 1);
	assert_true(stats_of(&rig).held_bytes < full / 2);
	assert_accounts(&rig, 0);
	assert_int_equal(pool_check(rig.pool), 0);
	for (unsigned i = 0; i < 10000; i += 20)
		assert_intact(&rig, i, i + 1);
	/* And the holes are used again. */
	assert_int_equal(make_objects(&rig, 10000, 19000, 0, 1000), 9000);
	assert_true(stats_of(&rig).held_bytes < full + full / 8);
	for (unsigned i = 0; i < 10000; i += 20)
		assert_intact(&rig, i, i + 1);
	assert_intact(&rig, 10000, 19000);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

static void test_empty_span_is_kept_once(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t held;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 2, 0, 900), 2);
	assert_int_equal(make_objects(&rig, 2, 3, 0, 90), 1);
	held = stats_of(&rig).held_bytes;
	assert_int_equal(held, 2 * PAGE_BYTES);
	free_objects(&rig, 0, 2);
	assert_int_equal(stats_of(&rig).held_bytes, held);
	assert_int_equal(stats_of(&rig).spans, 2);
	free_objects(&rig, 2, 3);
	assert_int_equal(stats_of(&rig).spans, 1);
	assert_int_equal(pool_check(rig.pool), 0);
	/* The kept one serves its class again. */
	assert_int_equal(make_objects(&rig, 0, 1, 0, 900), 1);
	assert_int_equal(stats_of(&rig).spans, 1);
	pool_rig_down(&rig);
}

static void test_limit_holds_and_deleting_makes_room(void **state UNUSED)
{
	struct pool_random random = {9};
	struct pool_rig rig;
	unsigned n;

	pool_rig_up(&rig, GIB, 24 * MIB, 2);
	n = make_objects(&rig, 0, OBJECTS_MAX, 0, 0);
	assert_in_range(n, 10000, OBJECTS_MAX - 1);
	assert_true(budget_used(&rig.budget) <=
		    24 * MIB - BUDGET_RESERVE_BYTES);
	assert_true(arena_charged_bytes(rig.arena) <= 24 * MIB);
	/* Fill the last gaps with small ones, from the other shard. */
	while (pool_object_make(rig.pool, 1, 40, n, &objects[n]) == 0)
		n++;
	assert_int_equal(pool_check(rig.pool), 0);
	/* Whoever deletes one can write one of at most its size at once. */
	for (unsigned k = 0; k < 4000; k++) {
		unsigned i = pool_random_below(&random, n);
		uint32_t n_bytes = objects[i].n_bytes;

		free_objects(&rig, i, i + 1);
		n_bytes -= pool_random_below(&random, n_bytes);
		assert_int_equal(
			pool_object_make(rig.pool, k, n_bytes, i, &objects[i]),
			0);
	}
	assert_true(budget_used(&rig.budget) <=
		    24 * MIB - BUDGET_RESERVE_BYTES);
	assert_intact(&rig, 0, n);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* Deleting small objects side by side makes room for large ones. */
static void test_trim_makes_room_for_larger(void **state UNUSED)
{
	struct pool_rig rig;
	unsigned n;

	pool_rig_up(&rig, GIB, 8 * MIB, 1);
	n = make_objects(&rig, 0, OBJECTS_MAX, 0, 200);
	assert_in_range(n, 20000, OBJECTS_MAX - 1);
	/* Fewer than the quarter of a span that makes a free look by itself,
	 * and too small for anything but their own kind. */
	free_objects(&rig, 100, 400);
	assert_int_equal(make_objects(&rig, 100, 110, 0, 4000), 10);
	assert_intact(&rig, 0, 110);
	assert_intact(&rig, 400, n);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* From here on no page more may be charged. */
static void no_more_room(struct pool_rig *rig)
{
	budget_set_limit(&rig->budget,
			 budget_used(&rig->budget) + BUDGET_RESERVE_BYTES);
}

static void test_kept_span_makes_room(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 1, 0, 100), 1);
	no_more_room(&rig);
	free_objects(&rig, 0, 1);
	assert_int_equal(stats_of(&rig).spans, 1);
	assert_int_equal(make_objects(&rig, 0, 1, 0, 3000), 1);
	assert_int_equal(make_objects(&rig, 1, 2, 0, 3000), 0);
	assert_intact(&rig, 0, 1);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* With many free slots a larger one goes before another page; not one that is
 * far larger, and not when all is dense. */
static void test_near_slot_when_loose(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t held;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 1024, 0, 1016), 1024);
	held = stats_of(&rig).held_bytes;
	assert_int_equal(held, 1024 * 1024);
	assert_int_equal(make_objects(&rig, 1024, 1025, 0, 1000), 1);
	assert_int_equal(stats_of(&rig).held_bytes, held + PAGE_BYTES);
	free_objects(&rig, 1024, 1025);
	for (unsigned i = 0; i < 1024; i += 4)
		free_objects(&rig, i, i + 1);
	held = stats_of(&rig).held_bytes;
	assert_int_equal(make_objects(&rig, 1024, 1100, 0, 1000), 76);
	assert_int_equal(make_objects(&rig, 1100, 1150, 0, 896), 50);
	assert_int_equal(stats_of(&rig).held_bytes, held);
	assert_int_equal(make_objects(&rig, 1150, 1151, 0, 860), 1);
	assert_int_equal(stats_of(&rig).held_bytes, held + PAGE_BYTES);
	assert_intact(&rig, 1024, 1151);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* Another shard's nearly fitting slot goes before the own that is too large. */
static void test_nearest_slot_when_full(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t slot_bytes;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 2);
	assert_int_equal(make_objects(&rig, 0, 2, 0, 2000), 2);
	assert_int_equal(make_objects(&rig, 2, 4, 1, 1016), 2);
	no_more_room(&rig);
	free_objects(&rig, 1, 3);
	slot_bytes = stats_of(&rig).slot_bytes;
	assert_int_equal(make_objects(&rig, 1, 2, 0, 1000), 1);
	assert_int_equal(stats_of(&rig).slot_bytes - slot_bytes, 1024);
	/* Two are left on the pages that are paid for, then the large one. */
	assert_int_equal(make_objects(&rig, 4, 7, 0, 1000), 3);
	assert_int_equal(stats_of(&rig).slot_bytes - slot_bytes,
			 3 * 1024 + 2016);
	assert_int_equal(make_objects(&rig, 7, 8, 0, 1000), 0);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* A span that empties in the same call that began to punch it. */
static void test_batch_empties_a_span(void **state UNUSED)
{
	struct handle handles[63];
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 63, 0, POOL_OBJECT_MAX), 63);
	assert_int_equal(stats_of(&rig).spans, 1);
	for (unsigned i = 0; i < 63; i++)
		handles[i] = objects[i].handle;
	pool_free(rig.pool, handles, 63);
	assert_int_equal(stats_of(&rig).spans, 0);
	assert_int_equal(stats_of(&rig).held_bytes, 0);
	assert_int_equal(pool_rig_charged(&rig), 0);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* An empty span with much memory is not kept: here each page holds an object
 * until the very end, so that no page goes back before. */
static void test_large_empty_span_goes(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 256, 0, 1016), 256);
	for (unsigned i = 0; i < 256; i++)
		if (i % 4)
			free_objects(&rig, i, i + 1);
	assert_int_equal(stats_of(&rig).held_bytes, SPAN_BYTES);
	for (unsigned i = 0; i < 256; i += 4)
		free_objects(&rig, i, i + 1);
	assert_int_equal(stats_of(&rig).held_bytes, 0);
	assert_int_equal(pool_rig_charged(&rig), 0);
	pool_rig_down(&rig);
}

static void test_no_more_address_space(void **state UNUSED)
{
	struct pool_rig rig;
	unsigned n;

	pool_rig_up(&rig, 4 * SPAN_BYTES, GIB, 2);
	n = make_objects(&rig, 0, OBJECTS_MAX, 0, 2000);
	assert_in_range(n, 4 * 129, 4 * 131);
	/* A class without a span, and the other shard: into what is there. */
	free_objects(&rig, n - 10, n);
	assert_int_equal(make_objects(&rig, n - 10, n, 1, 100), 10);
	assert_int_equal(make_objects(&rig, n, n + 1, 1, 100), 0);
	assert_intact(&rig, 0, n);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* All spans are another shard's, and no slot in them is on a paid page. */
static void test_cold_spans_of_others(void **state UNUSED)
{
	const uint32_t n_bytes[] = {4096, 4080, 4064, 4048};
	struct pool_rig rig;

	pool_rig_up(&rig, 4 * SPAN_BYTES, GIB, 2);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(make_objects(&rig, i, i + 1, 0, n_bytes[i]),
				 1);
	assert_int_equal(stats_of(&rig).spans, 4);
	assert_int_equal(make_objects(&rig, 4, 20, 1, 4000), 16);
	assert_int_equal(stats_of(&rig).spans, 4);
	assert_intact(&rig, 0, 20);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* The same where memory is short all the time: all slow ways are taken. */
static void test_storm_at_the_limit(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, 400 * KIB + BUDGET_RESERVE_BYTES, 3);
	assert_int_equal(pool_storm(rig.pool, 4, 15000), 0);
	assert_true(atomic_load(&rig.budget.refused) > 0);
	assert_true(budget_peak(&rig.budget) <= 400 * KIB);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_int_equal(stats_of(&rig).objects, 0);
	pool_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waste_and_return),
		cmocka_unit_test(test_pages_between_objects_go_back),
		cmocka_unit_test(test_empty_span_is_kept_once),
		cmocka_unit_test(test_limit_holds_and_deleting_makes_room),
		cmocka_unit_test(test_trim_makes_room_for_larger),
		cmocka_unit_test(test_kept_span_makes_room),
		cmocka_unit_test(test_near_slot_when_loose),
		cmocka_unit_test(test_nearest_slot_when_full),
		cmocka_unit_test(test_batch_empties_a_span),
		cmocka_unit_test(test_large_empty_span_goes),
		cmocka_unit_test(test_no_more_address_space),
		cmocka_unit_test(test_cold_spans_of_others),
		cmocka_unit_test(test_storm_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
