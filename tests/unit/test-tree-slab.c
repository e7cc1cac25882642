/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The private memory of the tree: slabs of items, columns beside records. */
#include "base/heap.h"
#include "base/page.h"
#include "tree/column.h"
#include "tree/slab.h"
#include "unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 3000

static struct budget budget;

static void test_items_are_apart(void **state UNUSED)
{
	static uint32_t ix[ITEMS];
	struct slab slab;

	budget_init(&budget, 16 * MIB);
	assert_int_equal(slab_init(&slab, 24, 1 << 20, &budget), 0);
	for (uint32_t i = 0; i < ITEMS; i++) {
		assert_int_equal(slab_alloc(&slab, BUDGET_NORMAL, &ix[i]), 0);
		assert_int_not_equal(ix[i], SLAB_NONE);
		memset(slab_at(&slab, ix[i]), (int)(i & 0xff), 24);
	}
	for (uint32_t i = 0; i < ITEMS; i++) {
		const unsigned char *at = slab_at(&slab, ix[i]);

		assert_int_equal(at[0], i & 0xff);
		assert_int_equal(at[23], i & 0xff);
	}
	for (uint32_t i = 0; i < ITEMS; i++)
		slab_free(&slab, ix[i]);
	assert_int_equal(slab.used, 0);
	slab_fini(&slab);
	assert_int_equal(budget_used(&budget), 0);
}

/* Low items first: what is freed at the top goes back. */
static void test_slab_shrinks(void **state UNUSED)
{
	static uint32_t ix[ITEMS];
	struct slab slab;
	uint64_t full, few;
	uint32_t again;

	budget_init(&budget, 16 * MIB);
	assert_int_equal(slab_init(&slab, 256, 1 << 20, &budget), 0);
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(slab_alloc(&slab, BUDGET_NORMAL, &ix[i]), 0);
	full = budget_used(&budget);
	for (uint32_t i = 10; i < ITEMS; i++)
		slab_free(&slab, ix[i]);
	few = budget_used(&budget);
	assert_true(few < full / 4);
	assert_int_equal(slab_alloc(&slab, BUDGET_NORMAL, &again), 0);
	assert_in_range(again, 1, 255);
	assert_int_equal(*(const uint64_t *)slab_at(&slab, again), 0);
	assert_int_equal(budget_used(&budget), few);
	slab_fini(&slab);
}

static void test_slab_at_its_limit(void **state UNUSED)
{
	struct slab slab;
	uint32_t ix;
	int r = 0;

	budget_init(&budget, BUDGET_RESERVE_BYTES + 100 * KIB);
	assert_int_equal(slab_init(&slab, 256, 1 << 20, &budget), 0);
	while (r == 0)
		r = slab_alloc(&slab, BUDGET_NORMAL, &ix);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(slab.used, 255);
	assert_int_equal(slab_alloc(&slab, BUDGET_RESERVE, &ix), 0);
	slab_fini(&slab);
}

/* Seeded storm against a plain array. */
static void test_slab_storm(void **state UNUSED)
{
	static uint32_t ix[ITEMS];
	struct slab slab;
	unsigned seed = 5;

	memset(ix, 0, sizeof(ix));
	budget_init(&budget, 16 * MIB);
	assert_int_equal(slab_init(&slab, 64, 1 << 20, &budget), 0);
	for (int step = 0; step < 100000; step++) {
		unsigned i = (unsigned)rand_r(&seed) % ITEMS;

		if (ix[i] == SLAB_NONE) {
			assert_int_equal(
				slab_alloc(&slab, BUDGET_NORMAL, &ix[i]), 0);
			*(unsigned *)slab_at(&slab, ix[i]) = i;
			continue;
		}
		assert_int_equal(*(unsigned *)slab_at(&slab, ix[i]), i);
		slab_free(&slab, ix[i]);
		ix[i] = SLAB_NONE;
	}
	slab_fini(&slab);
}

static void test_column(void **state UNUSED)
{
	struct column column;
	uint64_t little;

	budget_init(&budget, 16 * MIB);
	assert_int_equal(column_init(&column, 16, 1 << 20, &budget), 0);
	assert_int_equal(column_take(&column, 1, BUDGET_NORMAL), 0);
	little = budget_used(&budget);
	assert_int_equal(column_take(&column, 60000, BUDGET_NORMAL), 0);
	memset(column_at(&column, 60000), 1, 16);
	memset(column_at(&column, 1), 2, 16);
	assert_true(budget_used(&budget) > 800 * KIB);
	column_give(&column, 60000);
	assert_true(budget_used(&budget) <= little + 128 * KIB);
	assert_int_equal(*(const uint8_t *)column_at(&column, 1), 2);
	assert_int_equal(column_take(&column, 60000, BUDGET_NORMAL), 0);
	assert_int_equal(*(const uint8_t *)column_at(&column, 60000), 0);
	column_fini(&column);
	assert_int_equal(budget_used(&budget), 0);
}

static void test_column_at_its_limit(void **state UNUSED)
{
	struct column column;

	budget_init(&budget, BUDGET_RESERVE_BYTES + 100 * KIB);
	assert_int_equal(column_init(&column, 16, 1 << 20, &budget), 0);
	assert_int_equal(column_take(&column, 4000, BUDGET_NORMAL), 0);
	assert_int_equal(column_take(&column, 7000, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(column_take(&column, 7000, BUDGET_RESERVE), 0);
	column_fini(&column);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_are_apart),
		cmocka_unit_test(test_slab_shrinks),
		cmocka_unit_test(test_slab_at_its_limit),
		cmocka_unit_test(test_slab_storm),
		cmocka_unit_test(test_column),
		cmocka_unit_test(test_column_at_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
