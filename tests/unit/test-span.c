/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The span backend: objects in and out, limits, accounts, and any handle. */
#include "arena/arena.h"
#include "base/compiler.h"
#include "base/heap.h"
#include "death.h"
#include "fault.h"
#include "pool/span.h"
#include "pool/span_priv.h"
#include "pool_rig.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

#define OBJECTS_MAX 90000

static struct pool_object objects[OBJECTS_MAX];

static struct pool_stats stats_of(struct pool_rig *rig)
{
	struct pool_stats stats;

	pool_stats(rig->pool, &stats);
	return stats;
}

/* All objects have these lengths; returns how many there was room for. */
static unsigned make_objects(struct pool_rig *rig, unsigned from, unsigned end,
			     unsigned shard, uint32_t n_bytes)
{
	struct pool_random random = {from + 1};

	for (unsigned i = from; i < end; i++) {
		uint32_t n = n_bytes ? n_bytes : pool_random_length(&random);

		if (pool_object_make(rig->pool, shard, n, i, &objects[i]) < 0)
			return i - from;
	}
	return end - from;
}

static void free_objects(struct pool_rig *rig, unsigned from, unsigned end)
{
	for (unsigned i = from; i < end; i++)
		pool_free(rig->pool, &objects[i].handle, 1);
}

static void assert_intact(struct pool_rig *rig, unsigned from, unsigned end)
{
	for (unsigned i = from; i < end; i++)
		assert_true(pool_object_is_intact(rig->pool, &objects[i]));
}

static void test_every_length(void **state UNUSED)
{
	struct pool_rig rig;
	struct pool_stats stats;
	uint64_t sum = 0;

	pool_rig_up(&rig, GIB, GIB, 2);
	for (uint32_t n = 1; n <= POOL_OBJECT_MAX; n++) {
		assert_int_equal(pool_object_make(rig.pool, n, n, n * 31,
						  &objects[n - 1]),
				 0);
		assert_true(objects[n - 1].handle.value != 0);
		assert_true(objects[n - 1].handle.value >> HANDLE_BITS == 0);
		sum += n;
	}
	assert_intact(&rig, 0, POOL_OBJECT_MAX);
	stats = stats_of(&rig);
	assert_int_equal(stats.objects, POOL_OBJECT_MAX);
	assert_int_equal(stats.object_bytes, sum);
	assert_true(stats.slot_bytes <= sum + POOL_OBJECT_MAX * 23 + 24 * 16);
	assert_int_equal(pool_check(rig.pool), 0);
	free_objects(&rig, 0, POOL_OBJECT_MAX);
	stats = stats_of(&rig);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.object_bytes, 0);
	assert_int_equal(stats.slot_bytes, 0);
	pool_rig_down(&rig);
}

static void test_batch_is_all_or_none(void **state UNUSED)
{
	struct pool_rig rig;
	uint32_t n_bytes[POOL_BATCH_MAX];
	struct handle handles[POOL_BATCH_MAX];
	struct pool_stats before, after;
	int r;

	pool_rig_up(&rig, 64 * MIB, 4 * MIB, 2);
	for (unsigned i = 0; i < POOL_BATCH_MAX; i++)
		n_bytes[i] = 3000 + i;
	do {
		memset(handles, 0x55, sizeof(handles));
		before = stats_of(&rig);
		r = pool_alloc(rig.pool, 1, n_bytes, POOL_BATCH_MAX, handles);
	} while (r == 0);
	assert_int_equal(r, -ENOSPC);
	after = stats_of(&rig);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.object_bytes, before.object_bytes);
	assert_true(after.objects >= 64 * 12);
	for (unsigned i = 0; i < POOL_BATCH_MAX; i++)
		assert_int_equal(handles[i].value, 0x5555555555555555);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* Look at @value: nothing, or one of the objects there are. */
static bool reads_as_ours(struct pool_rig *rig, uint64_t value, unsigned end)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct handle h = {value};

	if (pool_read_begin(rig->pool, h, scratch, &view) == -EIO)
		return true;
	pool_read_end(rig->pool, h, &view);
	for (unsigned i = 0; i < end; i++)
		if (objects[i].handle.value == value)
			return true;
	return false;
}

static void test_any_handle_value(void **state UNUSED)
{
	struct pool_random random = {5};
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 100, 0, 0), 100);
	/* Every place of the first spans, and everything else by chance. */
	for (uint64_t value = 0; value < 3 * SPAN_BYTES / 16; value++)
		assert_true(reads_as_ours(&rig, value, 100));
	for (unsigned i = 0; i < 100000; i++)
		assert_true(reads_as_ours(
			&rig, pool_random(&random) >> (random.state % 64),
			100));
	assert_true(reads_as_ours(&rig, UINT64_MAX, 100));
	assert_true(reads_as_ours(&rig, 64 * MIB / 16, 100));
	assert_true(reads_as_ours(&rig, 64 * MIB / 16 + 1, 100));
	assert_intact(&rig, 0, 100);
	pool_rig_down(&rig);
}

/* A handle of a class's first object; the header is 8 bytes before it. */
static uint64_t *header_of(struct pool_rig *rig, struct handle h)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	size_t at;

	assert_int_equal(pool_read_begin(rig->pool, h, scratch, &view), 0);
	at = (size_t)((const char *)view.piece[0] - arena_pool(rig->arena));
	pool_read_end(rig->pool, h, &view);
	return (uint64_t *)(void *)(arena_pool(rig->arena) + at - 8);
}

static void test_wrecked_header_is_eio(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 66, 0, 1000), 66);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t *header = header_of(&rig, objects[bit].handle);

		*header ^= UINT64_C(1) << bit;
		assert_int_equal(pool_read_begin(rig.pool, objects[bit].handle,
						 scratch, &view),
				 -EIO);
	}
	assert_int_equal(pool_check(rig.pool), -EUCLEAN);
	/* It can be deleted all the same, and its neighbours are well. */
	free_objects(&rig, 0, 64);
	assert_intact(&rig, 64, 66);
	assert_int_equal(stats_of(&rig).objects, 2);
	pool_rig_down(&rig);
}

static void test_wrecked_span_word_is_eio(void **state UNUSED)
{
	const uint32_t words[] = {0, CLASS_NR + 1, UINT32_MAX};
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;
	uint32_t good;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 1, 0, 1000), 1);
	good = arena_span_words(rig.arena)[0];
	assert_int_equal(good, class_of(1000) + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		arena_span_words(rig.arena)[0] = words[i];
		assert_int_equal(pool_read_begin(rig.pool, objects[0].handle,
						 scratch, &view),
				 -EIO);
	}
	arena_span_words(rig.arena)[0] = good;
	assert_intact(&rig, 0, 1);
	pool_rig_down(&rig);
}

static void free_twice(void *arg)
{
	struct pool_rig *rig = arg;
	struct handle h[2] = {objects[0].handle, objects[0].handle};

	pool_free(rig->pool, h, 2);
}

static void test_freed_handle(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 2, 0, 500), 2);
	assert_true(dies_saying(free_twice, &rig, "slots_is_used"));
	free_objects(&rig, 0, 1);
	assert_int_equal(
		pool_read_begin(rig.pool, objects[0].handle, scratch, &view),
		-EIO);
	assert_intact(&rig, 1, 2);
	pool_rig_down(&rig);
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
	unsigned n, freed = 0;

	pool_rig_up(&rig, GIB, 8 * MIB, 1);
	n = make_objects(&rig, 0, OBJECTS_MAX, 0, 200);
	assert_in_range(n, 20000, OBJECTS_MAX - 1);
	/* Less than the quarter of a span that makes a free look by itself. */
	for (unsigned i = 100; i < 1000 && i < n; i++, freed++)
		free_objects(&rig, i, i + 1);
	assert_true(freed == 900);
	assert_int_equal(make_objects(&rig, 100, 110, 0, 4000), 10);
	assert_intact(&rig, 0, 110);
	assert_int_equal(pool_check(rig.pool), 0);
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

static void test_no_heap_calls(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t before;

	pool_rig_up(&rig, GIB, 32 * MIB, 2);
	before = heap_calls();
	make_objects(&rig, 0, 40000, 0, 0);
	assert_intact(&rig, 0, 1000);
	free_objects(&rig, 0, 1000);
	assert_int_equal(heap_calls(), before);
	pool_rig_down(&rig);
}

static int attempt_new(void *arg)
{
	struct pool_rig *rig = arg;
	uint64_t used = budget_used(&rig->budget);
	struct pool *pool = NULL;
	int r = span_pool_new(rig->arena, &pool);

	if (r == 0) {
		assert_int_equal(pool_check(pool), 0);
		pool_free_all(pool);
	} else {
		assert_null(pool);
	}
	assert_int_equal(budget_used(&rig->budget), used);
	return r;
}

static void test_new_survives_faults(void **state UNUSED)
{
	struct pool_rig rig;
	struct pool *pool = NULL;
	uint64_t used;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_true(fault_each_alloc(attempt_new, &rig) >= 2);
	/* No budget for the shards. */
	used = budget_used(&rig.budget);
	budget_set_limit(&rig.budget, used + BUDGET_RESERVE_BYTES + 100);
	assert_int_equal(span_pool_new(rig.arena, &pool), -ENOSPC);
	assert_null(pool);
	assert_int_equal(budget_used(&rig.budget), used);
	pool_rig_down(&rig);
}

static void test_storm(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 3);
	assert_int_equal(pool_storm(rig.pool, 4, 15000), 0);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_int_equal(stats_of(&rig).objects, 0);
	assert_true(stats_of(&rig).held_bytes <=
		    3 * KEPT_PAGES_MAX * PAGE_BYTES);
	pool_rig_down(&rig);
}

/* The same where memory is short all the time: all slow ways are taken. */
static void test_storm_at_the_limit(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, MIB + BUDGET_RESERVE_BYTES, 3);
	assert_int_equal(pool_storm(rig.pool, 4, 15000), 0);
	assert_true(atomic_load(&rig.budget.refused) > 0);
	assert_true(budget_peak(&rig.budget) <= MIB);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_int_equal(stats_of(&rig).objects, 0);
	pool_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_batch_is_all_or_none),
		cmocka_unit_test(test_any_handle_value),
		cmocka_unit_test(test_wrecked_header_is_eio),
		cmocka_unit_test(test_wrecked_span_word_is_eio),
		cmocka_unit_test(test_freed_handle),
		cmocka_unit_test(test_waste_and_return),
		cmocka_unit_test(test_pages_between_objects_go_back),
		cmocka_unit_test(test_empty_span_is_kept_once),
		cmocka_unit_test(test_limit_holds_and_deleting_makes_room),
		cmocka_unit_test(test_trim_makes_room_for_larger),
		cmocka_unit_test(test_no_more_address_space),
		cmocka_unit_test(test_no_heap_calls),
		cmocka_unit_test(test_new_survives_faults),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_storm_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
