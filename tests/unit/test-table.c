/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Record tables: who has which record, what it costs, and the rebuild. */
#include "arena/inside.h"
#include "base/heap.h"
#include "base/page.h"
#include "death.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct budget budget;
static struct arena *arena;

static int up(void **state UNUSED)
{
	budget_init(&budget, 64 * MIB);
	return arena_new(MIB, &budget, &arena);
}

static int down(void **state UNUSED)
{
	arena_free(arena);
	return budget_used(&budget) == 0 ? 0 : -1;
}

static uint32_t take(enum arena_table table)
{
	uint32_t ix = RECORD_NONE;

	assert_int_equal(table_alloc(arena, table, BUDGET_NORMAL, &ix), 0);
	return ix;
}

static bool record_is(enum arena_table table, uint32_t ix, int byte)
{
	const unsigned char *p = table_at(arena, table, ix);

	for (size_t i = 0; i < table_record_bytes(table); i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void fill(enum arena_table table, uint32_t ix, int byte)
{
	memset(table_at(arena, table, ix), byte, table_record_bytes(table));
}

/* What the account holds beside what the kernel charges for the memfds. */
static uint64_t derived_bytes(void)
{
	uint64_t used = budget_used(&budget);
	uint64_t charged = arena_charged_bytes(arena);

	assert_true(used >= charged);
	return used - charged;
}

/* A new life on the same memory: what was derived is gone. */
static void attach_again(void)
{
	struct arena *next;

	assert_int_equal(arena_attach(arena_meta_fd(arena),
				      arena_pool_fd(arena), &budget, &next),
			 0);
	arena_free(arena);
	arena = next;
}

static void test_each_table(void **state UNUSED)
{
	for (unsigned t = 0; t < TABLE_NR; t++) {
		uint32_t last = RECORD_NONE;

		for (int i = 0; i < 3000; i++) {
			uint32_t ix = take(t);

			/* Nothing was freed: they come in order, none twice. */
			assert_int_equal(ix, last + 1);
			assert_true(record_is(t, ix, 0));
			fill(t, ix, 0xa5);
			assert_true(table_is_used(arena, t, ix));
			last = ix;
		}
		assert_int_equal(table_used(arena, t), 3000);
		assert_int_equal(table_end(arena, t), 3001);
		assert_false(table_is_used(arena, t, RECORD_NONE));
		assert_false(table_is_used(arena, t, 3001));
		assert_false(table_is_used(arena, t, UINT32_MAX));
	}
	for (unsigned t = 0; t < TABLE_NR; t++)
		for (uint32_t ix = 1; ix <= 3000; ix++)
			assert_true(record_is(t, ix, 0xa5));
	assert_true(derived_bytes() <=
		    2 * (uint64_t)TABLE_NR * SPARSE_STEP_BYTES);
}

static void test_freed_is_zeroed_and_lowest_first(void **state UNUSED)
{
	for (int i = 0; i < 2000; i++)
		fill(TABLE_TWIGS, take(TABLE_TWIGS), 1);
	table_free(arena, TABLE_TWIGS, 1900);
	table_free(arena, TABLE_TWIGS, 70);
	table_free(arena, TABLE_TWIGS, 1);
	assert_int_equal(table_used(arena, TABLE_TWIGS), 1997);
	assert_false(table_is_used(arena, TABLE_TWIGS, 70));
	assert_int_equal(take(TABLE_TWIGS), 1);
	assert_int_equal(take(TABLE_TWIGS), 70);
	assert_true(record_is(TABLE_TWIGS, 1, 0));
	assert_true(record_is(TABLE_TWIGS, 70, 0));
	assert_true(record_is(TABLE_TWIGS, 71, 1));
	assert_int_equal(table_end(arena, TABLE_TWIGS), 2001);
}

/* The operations' table is small enough to be filled. */
static void test_full_table(void **state UNUSED)
{
	uint32_t most = table_capacity(arena, TABLE_OPS), ix = 77;

	for (uint32_t i = 1; i < most; i++)
		assert_int_equal(take(TABLE_OPS), i);
	assert_int_equal(table_alloc(arena, TABLE_OPS, BUDGET_RESERVE, &ix),
			 -ENOSPC);
	assert_int_equal(ix, 77);
	table_free(arena, TABLE_OPS, most - 1);
	assert_int_equal(take(TABLE_OPS), most - 1);
	for (uint32_t i = 1; i < most; i++)
		table_free(arena, TABLE_OPS, i);
	assert_int_equal(table_used(arena, TABLE_OPS), 0);
}

static void test_budget_refuses(void **state UNUSED)
{
	uint32_t normal = 0, reserve = 0, ix;

	budget_set_limit(&budget, budget_used(&budget) + 2 * MIB);
	while (table_alloc(arena, TABLE_LEAVES, BUDGET_NORMAL, &ix) == 0) {
		fill(TABLE_LEAVES, ix, 1);
		normal++;
	}
	assert_true(budget_used(&budget) <= budget_limit(&budget));
	assert_true(budget_room(&budget) < 64 * KIB + SPARSE_STEP_BYTES);
	assert_true(normal > 1024 * KIB / LEAF_RECORD_BYTES);
	/* Deleting needs records too, and has its own reserve. */
	while (table_alloc(arena, TABLE_LEAVES, BUDGET_RESERVE, &ix) == 0)
		reserve++;
	assert_true(reserve >= 256 * KIB / LEAF_RECORD_BYTES);
	assert_true(budget_used(&budget) <= budget_limit(&budget));
	/* What is there stays whole, and what is freed can be had again. */
	for (ix = 1; ix <= normal; ix++)
		assert_true(record_is(TABLE_LEAVES, ix, 1));
	table_free(arena, TABLE_LEAVES, 5);
	assert_int_equal(take(TABLE_LEAVES), 5);
	assert_int_equal(table_used(arena, TABLE_LEAVES), normal + reserve);
}

static void test_memory_goes_back(void **state UNUSED)
{
	uint64_t empty = arena_charged_bytes(arena), one;
	uint32_t per_chunk = 64 * KIB / LEAF_RECORD_BYTES;
	uint32_t n = 20 * per_chunk - 1;

	take(TABLE_LEAVES);
	one = arena_charged_bytes(arena) - empty;
	assert_int_equal(one, 64 * KIB);
	for (uint32_t i = 1; i < n; i++)
		fill(TABLE_LEAVES, take(TABLE_LEAVES), 1);
	assert_int_equal(arena_charged_bytes(arena), empty + 20 * one);
	/* All but one record in each chunk: nothing can go. */
	for (uint32_t ix = 1; ix <= n; ix++)
		if (ix % per_chunk != 3)
			table_free(arena, TABLE_LEAVES, ix);
	assert_int_equal(arena_charged_bytes(arena), empty + 20 * one);
	assert_true(derived_bytes() <= 2 * SPARSE_STEP_BYTES);
	for (uint32_t ix = 3; ix <= n; ix += per_chunk)
		table_free(arena, TABLE_LEAVES, ix);
	assert_int_equal(table_used(arena, TABLE_LEAVES), 0);
	/* The lowest stays: memory does not come and go with one record. */
	assert_int_equal(arena_charged_bytes(arena), empty + one);
	assert_true(derived_bytes() <= 2 * SPARSE_STEP_BYTES);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(TABLE_LEAVES), 1);
		assert_int_equal(arena_charged_bytes(arena), empty + one);
		table_free(arena, TABLE_LEAVES, 1);
		assert_int_equal(arena_charged_bytes(arena), empty + one);
	}
	/* Absent chunks come back, zeroed. */
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ix = take(TABLE_LEAVES);

		assert_int_equal(ix, i + 1);
		assert_true(record_is(TABLE_LEAVES, ix, 0));
	}
	assert_int_equal(arena_charged_bytes(arena), empty + 20 * one);
}

/* A hole in the middle is filled before the table grows at its end. */
static void test_low_chunks_come_back_first(void **state UNUSED)
{
	uint32_t per_chunk = 64 * KIB / NAME_RECORD_BYTES;

	for (uint32_t i = 1; i < 200 * per_chunk; i++)
		take(TABLE_NAMES);
	for (uint32_t ix = 70 * per_chunk; ix < 73 * per_chunk; ix++)
		table_free(arena, TABLE_NAMES, ix);
	for (uint32_t ix = 70 * per_chunk; ix < 73 * per_chunk; ix++)
		assert_int_equal(take(TABLE_NAMES), ix);
	assert_int_equal(take(TABLE_NAMES), 200 * per_chunk);
}

static void free_free_record(void *arg UNUSED)
{
	table_free(arena, TABLE_TWIGS, 2);
}

static void free_none(void *arg UNUSED)
{
	table_free(arena, TABLE_TWIGS, RECORD_NONE);
}

static void free_beyond(void *arg UNUSED)
{
	table_free(arena, TABLE_TWIGS, 3);
}

static void test_wrong_frees(void **state UNUSED)
{
	take(TABLE_TWIGS);
	take(TABLE_TWIGS);
	table_free(arena, TABLE_TWIGS, 2);
	assert_true(dies_saying(free_free_record, NULL, "bit_is_set"));
	assert_true(dies_saying(free_none, NULL, "RECORD_NONE"));
	assert_true(dies_saying(free_beyond, NULL, "table_end"));
}

static void test_no_heap_calls(void **state UNUSED)
{
	uint64_t before = heap_calls();

	for (int i = 0; i < 5000; i++)
		take(TABLE_INODES);
	for (uint32_t ix = 1; ix <= 5000; ix++)
		table_free(arena, TABLE_INODES, ix);
	assert_int_equal(heap_calls(), before);
}

/* --- rebuild --- */

static void test_mark_refuses(void **state UNUSED)
{
	for (int i = 0; i < 10; i++)
		take(TABLE_INODES);
	attach_again();
	assert_int_equal(table_mark(arena, TABLE_INODES, RECORD_NONE), -ERANGE);
	assert_int_equal(table_mark(arena, TABLE_INODES, 11), -ERANGE);
	assert_int_equal(table_mark(arena, TABLE_INODES, UINT32_MAX), -ERANGE);
	assert_int_equal(table_mark(arena, TABLE_XATTRS, 1), -ERANGE);
	assert_int_equal(table_mark(arena, TABLE_INODES, 10), 0);
	assert_int_equal(table_mark(arena, TABLE_INODES, 10), -EEXIST);
	assert_int_equal(table_used(arena, TABLE_INODES), 1);
	for (unsigned t = 0; t < TABLE_NR; t++)
		table_scan_end(arena, t);
	assert_int_equal(take(TABLE_INODES), 1);
}

/* What was allocated and written but never published is free and zeroed. */
static void test_unmarked_is_zeroed(void **state UNUSED)
{
	uint64_t charged;

	for (int i = 0; i < 5000; i++)
		fill(TABLE_INODES, take(TABLE_INODES), 9);
	charged = arena_charged_bytes(arena);
	attach_again();
	assert_int_equal(table_mark(arena, TABLE_INODES, 100), 0);
	assert_int_equal(table_mark(arena, TABLE_INODES, 4000), 0);
	for (unsigned t = 0; t < TABLE_NR; t++)
		table_scan_end(arena, t);
	/* Ten chunks were, two are; the account says what the kernel says. */
	assert_int_equal(arena_charged_bytes(arena), charged - 8 * 48 * KIB);
	assert_true(derived_bytes() <= 2 * SPARSE_STEP_BYTES);
	for (uint32_t ix = 1; ix <= 5000; ix++) {
		bool kept = ix == 100 || ix == 4000;

		assert_true(record_is(TABLE_INODES, ix, kept ? 9 : 0));
		assert_int_equal(table_is_used(arena, TABLE_INODES, ix), kept);
	}
	assert_int_equal(table_end(arena, TABLE_INODES), 5001);
}

/* Memory above the end: grown just before a crash, nothing handed out. */
static void test_grown_but_unused_goes_back(void **state UNUSED)
{
	uint64_t charged;

	take(TABLE_NAMES);
	charged = arena_charged_bytes(arena);
	fill(TABLE_NAMES, 5000, 0);
	assert_true(arena_charged_bytes(arena) > charged);
	attach_again();
	assert_int_equal(table_mark(arena, TABLE_NAMES, 1), 0);
	for (unsigned t = 0; t < TABLE_NR; t++)
		table_scan_end(arena, t);
	assert_int_equal(arena_charged_bytes(arena), charged);
}

/* The derived state dropped in the same life, as the model test does. */
static void test_rescan_in_place(void **state UNUSED)
{
	uint64_t used;

	for (int i = 0; i < 3000; i++)
		fill(TABLE_TWIGS, take(TABLE_TWIGS), 3);
	used = budget_used(&budget);
	table_scan_begin(arena, TABLE_TWIGS);
	assert_int_equal(table_used(arena, TABLE_TWIGS), 0);
	for (uint32_t ix = 1; ix <= 3000; ix++)
		assert_int_equal(table_mark(arena, TABLE_TWIGS, ix), 0);
	table_scan_end(arena, TABLE_TWIGS);
	assert_int_equal(budget_used(&budget), used);
	assert_int_equal(take(TABLE_TWIGS), 3001);
}

/* Chunks far up: the second level of the summary has more than one word. */
static void test_open_chunk_far_up(void **state UNUSED)
{
	uint32_t per_chunk = 64 * KIB / LEAF_RECORD_BYTES;
	uint32_t far = 300000 * per_chunk + 5;

	take(TABLE_LEAVES);
	atomic_store(&arena->super->end[TABLE_LEAVES], far + 2);
	attach_again();
	for (uint32_t ix = 1; ix < per_chunk; ix++)
		assert_int_equal(table_mark(arena, TABLE_LEAVES, ix), 0);
	assert_int_equal(table_mark(arena, TABLE_LEAVES, far), 0);
	for (unsigned t = 0; t < TABLE_NR; t++)
		table_scan_end(arena, t);
	for (uint32_t i = 0; i < per_chunk - 1; i++)
		assert_int_equal(take(TABLE_LEAVES) / per_chunk, 300000);
	assert_int_equal(take(TABLE_LEAVES), per_chunk);
}

/* --- against a model, with attaches in between --- */

#define MODEL_MAX 6000u

struct model {
	uint8_t stamp[MODEL_MAX]; /* 0: free */
	uint32_t used[MODEL_MAX];
	uint32_t nr;
};

static void model_alloc(struct model *m, enum arena_table table)
{
	uint32_t ix = take(table);

	assert_true(ix < MODEL_MAX && m->stamp[ix] == 0);
	assert_true(record_is(table, ix, 0));
	m->stamp[ix] = (uint8_t)(ix % 255 + 1);
	fill(table, ix, m->stamp[ix]);
	m->used[m->nr++] = ix;
}

static void model_free(struct model *m, enum arena_table table, uint32_t nth)
{
	uint32_t ix = m->used[nth];

	assert_true(record_is(table, ix, m->stamp[ix]));
	table_free(arena, table, ix);
	m->stamp[ix] = 0;
	m->used[nth] = m->used[--m->nr];
}

static void model_attach(struct model *m, enum arena_table table)
{
	attach_again();
	for (uint32_t i = 0; i < m->nr; i++)
		assert_int_equal(table_mark(arena, table, m->used[i]), 0);
	for (unsigned t = 0; t < TABLE_NR; t++)
		table_scan_end(arena, t);
	for (uint32_t i = 0; i < m->nr; i++)
		assert_true(record_is(table, m->used[i], m->stamp[m->used[i]]));
}

static void run_model(enum arena_table table, unsigned seed)
{
	struct model *m = test_calloc(1, sizeof(*m));
	unsigned grow_of_8 = 4;

	for (int step = 0; step < 30000; step++) {
		unsigned dice = (unsigned)rand_r(&seed) >> 4;

		if (dice % 2000 == 0)
			grow_of_8 = 2 + dice / 2000 % 5;
		if (dice % 3000 == 1)
			model_attach(m, table);
		else if (dice % 8 < grow_of_8 && m->nr < MODEL_MAX - 1)
			model_alloc(m, table);
		else if (m->nr > 0)
			model_free(m, table, dice / 8 % m->nr);
		assert_int_equal(table_used(arena, table), m->nr);
	}
	for (uint32_t ix = 1; ix < MODEL_MAX; ix++)
		assert_int_equal(table_is_used(arena, table, ix),
				 m->stamp[ix] != 0);
	assert_true(derived_bytes() <=
		    2 * (uint64_t)TABLE_NR * SPARSE_STEP_BYTES);
	test_free(m);
}

static void test_model(void **state UNUSED)
{
	run_model(TABLE_LEAVES, 1);
	run_model(TABLE_LONGNAMES, 2);
}

/* --- threads --- */

#define THREADS 4
#define HELD 1000 /* half of them at a time: more than three chunks */

struct worker {
	unsigned id;
	const char *complaint;
};

/* Each keeps some records and stamps them: nobody else's stamp may appear. */
static void *churn(void *arg)
{
	struct worker *w = arg;
	uint32_t held[HELD] = {0};
	unsigned seed = w->id;

	for (int i = 0; i < 20000 && !w->complaint; i++) {
		unsigned slot = (unsigned)rand_r(&seed) % HELD;
		uint64_t *record;

		/* Now and then let go of all, so that chunks run empty. */
		if (i % 5000 == 4999)
			for (unsigned k = 0; k < HELD; k++)
				if (held[k]) {
					table_free(arena, TABLE_LEAVES,
						   held[k]);
					held[k] = 0;
				}
		if (held[slot] == 0) {
			if (table_alloc(arena, TABLE_LEAVES, BUDGET_NORMAL,
					&held[slot]) < 0)
				continue;
			record = table_at(arena, TABLE_LEAVES, held[slot]);
			if (record[0] != 0 || record[63] != 0)
				w->complaint = "not zeroed";
			record[0] = record[63] = w->id;
			continue;
		}
		record = table_at(arena, TABLE_LEAVES, held[slot]);
		if (record[0] != w->id || record[63] != w->id)
			w->complaint = "not mine";
		table_free(arena, TABLE_LEAVES, held[slot]);
		held[slot] = 0;
	}
	for (unsigned k = 0; k < HELD; k++)
		if (held[k])
			table_free(arena, TABLE_LEAVES, held[k]);
	return NULL;
}

static void run_threads(void)
{
	uint64_t empty = arena_charged_bytes(arena);
	struct worker worker[THREADS];
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){.id = i + 1};
		assert_int_equal(
			pthread_create(&thread[i], NULL, churn, &worker[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		if (worker[i].complaint)
			fail_msg("%s", worker[i].complaint);
	assert_int_equal(table_used(arena, TABLE_LEAVES), 0);
	assert_true(arena_charged_bytes(arena) <= empty + 64 * KIB);
	assert_true(derived_bytes() <= 2 * SPARSE_STEP_BYTES);
}

static void test_threads(void **state UNUSED)
{
	run_threads();
}

/* The same where the budget lets only some of them have what they want. */
static void test_threads_at_the_limit(void **state UNUSED)
{
	budget_set_limit(&budget, budget_used(&budget) + BUDGET_RESERVE_BYTES +
					  2 * SPARSE_STEP_BYTES + 3 * 64 * KIB);
	run_threads();
	assert_true(budget_peak(&budget) <= budget_limit(&budget));
	assert_true(budget.refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_table, up, down),
		cmocka_unit_test_setup_teardown(
			test_freed_is_zeroed_and_lowest_first, up, down),
		cmocka_unit_test_setup_teardown(test_full_table, up, down),
		cmocka_unit_test_setup_teardown(test_budget_refuses, up, down),
		cmocka_unit_test_setup_teardown(test_memory_goes_back, up,
						down),
		cmocka_unit_test_setup_teardown(test_low_chunks_come_back_first,
						up, down),
		cmocka_unit_test_setup_teardown(test_wrong_frees, up, down),
		cmocka_unit_test_setup_teardown(test_no_heap_calls, up, down),
		cmocka_unit_test_setup_teardown(test_mark_refuses, up, down),
		cmocka_unit_test_setup_teardown(test_unmarked_is_zeroed, up,
						down),
		cmocka_unit_test_setup_teardown(test_grown_but_unused_goes_back,
						up, down),
		cmocka_unit_test_setup_teardown(test_rescan_in_place, up, down),
		cmocka_unit_test_setup_teardown(test_open_chunk_far_up, up,
						down),
		cmocka_unit_test_setup_teardown(test_model, up, down),
		cmocka_unit_test_setup_teardown(test_threads, up, down),
		cmocka_unit_test_setup_teardown(test_threads_at_the_limit, up,
						down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
