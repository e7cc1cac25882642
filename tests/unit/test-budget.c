/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The account of RAM: never past the limit, whoever takes at the same time. */
#include "base/budget.h"
#include "base/compiler.h"
#include "base/page.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>

#define LIMIT (4 * MIB)
#define NORMAL_MOST (LIMIT - BUDGET_RESERVE_BYTES)

static void test_take_and_give(void **state UNUSED)
{
	struct budget b;

	budget_init(&b, LIMIT);
	assert_int_equal(budget_room(&b), NORMAL_MOST);
	assert_int_equal(budget_take(&b, MIB, BUDGET_NORMAL), 0);
	assert_int_equal(budget_used(&b), MIB);
	assert_int_equal(budget_room(&b), NORMAL_MOST - MIB);
	budget_give(&b, MIB);
	assert_int_equal(budget_used(&b), 0);
	assert_int_equal(budget_peak(&b), MIB);
	budget_reset_peak(&b);
	assert_int_equal(budget_peak(&b), 0);
}

static void test_reserve_is_kept(void **state UNUSED)
{
	struct budget b;

	budget_init(&b, LIMIT);
	assert_int_equal(budget_take(&b, NORMAL_MOST + 1, BUDGET_NORMAL),
			 -ENOSPC);
	assert_int_equal(budget_used(&b), 0);
	assert_int_equal(b.refused, 1);
	assert_int_equal(budget_take(&b, NORMAL_MOST, BUDGET_NORMAL), 0);
	assert_int_equal(budget_room(&b), 0);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(budget_take(&b, BUDGET_RESERVE_BYTES, BUDGET_RESERVE),
			 0);
	assert_int_equal(budget_used(&b), LIMIT);
	assert_int_equal(budget_take(&b, 1, BUDGET_RESERVE), -ENOSPC);
	assert_int_equal(b.refused, 3);
}

static void test_forced_passes(void **state UNUSED)
{
	struct budget b;

	budget_init(&b, LIMIT);
	assert_int_equal(budget_take(&b, 2 * LIMIT, BUDGET_FORCED), 0);
	budget_force(&b, 1);
	assert_int_equal(budget_used(&b), 2 * LIMIT + 1);
	assert_int_equal(budget_peak(&b), 2 * LIMIT + 1);
	assert_int_equal(budget_room(&b), 0);
	assert_int_equal(budget_take(&b, 0, BUDGET_RESERVE), -ENOSPC);
	budget_give(&b, 2 * LIMIT + 1);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), 0);
}

static void test_odd_limits(void **state UNUSED)
{
	struct budget b;

	/* A limit below the reserve leaves nothing for ordinary takers. */
	budget_init(&b, BUDGET_RESERVE_BYTES - 1);
	assert_int_equal(budget_room(&b), 0);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(budget_take(&b, 1, BUDGET_RESERVE), 0);
	/* Sums that would wrap are refused, not granted. */
	budget_init(&b, UINT64_MAX);
	assert_int_equal(budget_take(&b, LIMIT, BUDGET_NORMAL), 0);
	assert_int_equal(budget_take(&b, UINT64_MAX - 1, BUDGET_RESERVE),
			 -ENOSPC);
}

static void test_limit_lowered(void **state UNUSED)
{
	struct budget b;

	budget_init(&b, LIMIT);
	assert_int_equal(budget_take(&b, 3 * MIB, BUDGET_NORMAL), 0);
	budget_set_limit(&b, 2 * MIB);
	assert_int_equal(budget_limit(&b), 2 * MIB);
	assert_int_equal(budget_used(&b), 3 * MIB);
	assert_int_equal(budget_take(&b, 1, BUDGET_RESERVE), -ENOSPC);
	budget_give(&b, 2 * MIB);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), 0);
}

/* A part in front of the reserve is for who says so, and follows the limit. */
static void test_kept_for_who_dips(void **state UNUSED)
{
	const uint64_t kept = LIMIT / 100 * 5;
	struct budget b;

	budget_init(&b, LIMIT);
	budget_keep(&b, 5);
	assert_int_equal(budget_room(&b), NORMAL_MOST - kept);
	assert_int_equal(budget_take(&b, NORMAL_MOST - kept, BUDGET_NORMAL), 0);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(budget_dip(BUDGET_INTO_KEPT), BUDGET_NOT_KEPT);
	assert_int_equal(budget_dips(), BUDGET_INTO_KEPT);
	assert_int_equal(budget_take(&b, kept + 1, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(budget_take(&b, kept, BUDGET_NORMAL), 0);
	/* What frees memory comes after that. */
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(budget_dip(BUDGET_INTO_RESERVE), BUDGET_INTO_KEPT);
	assert_int_equal(budget_room(&b), BUDGET_RESERVE_BYTES);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), 0);
	assert_int_equal(budget_dip(BUDGET_NOT_KEPT), BUDGET_INTO_RESERVE);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(budget_take(&b, 1, BUDGET_RESERVE), 0);
	budget_give(&b, kept + 2);
	assert_int_equal(budget_take(&b, 1, BUDGET_NORMAL), -ENOSPC);
	budget_set_limit(&b, 2 * LIMIT);
	assert_int_equal(budget_room(&b), LIMIT - kept);
	budget_set_limit(&b, UINT64_MAX);
	assert_int_equal(budget_take(&b, LIMIT, BUDGET_NORMAL), 0);
	budget_set_limit(&b, BUDGET_RESERVE_BYTES);
	assert_int_equal(budget_room(&b), 0);
}

static void test_limit_that_would_do(void **state UNUSED)
{
	for (unsigned percent = 0; percent <= 50; percent += 5)
		for (uint64_t bytes = 0; bytes < 40 * MIB; bytes += 777777) {
			struct budget b;
			uint64_t limit;

			budget_init(&b, LIMIT);
			budget_keep(&b, percent);
			budget_force(&b, 5 * MIB + 1);
			limit = budget_limit_for(&b, bytes);
			assert_int_equal(limit % MIB, 0);
			budget_set_limit(&b, limit);
			assert_true(budget_room(&b) >= bytes);
			budget_set_limit(&b, limit - MIB);
			assert_true(budget_room(&b) < bytes || bytes == 0);
		}
}

/* Takes till it is refused, gives all back, again. Returns its complaint. */
static void *storm(void *arg)
{
	struct budget *b = arg;
	uint64_t mine = 0;

	for (unsigned i = 1; i < 20000; i++) {
		uint64_t n = i * 7919 % 300000 + 1;

		if (budget_take(b, n, i % 3 ? BUDGET_NORMAL : BUDGET_RESERVE)) {
			budget_give(b, mine);
			mine = 0;
			continue;
		}
		mine += n;
		if (budget_used(b) > LIMIT)
			return b;
	}
	budget_give(b, mine);
	return NULL;
}

static void test_never_past_limit(void **state UNUSED)
{
	pthread_t thread[4];
	struct budget b;

	budget_init(&b, LIMIT);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, storm, &b),
				 0);
	for (int i = 0; i < 4; i++) {
		void *complaint;

		pthread_join(thread[i], &complaint);
		assert_null(complaint);
	}
	assert_int_equal(budget_used(&b), 0);
	assert_true(budget_peak(&b) <= LIMIT);
	assert_true(budget_peak(&b) > NORMAL_MOST / 2);
	assert_true(b.refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_give),
		cmocka_unit_test(test_reserve_is_kept),
		cmocka_unit_test(test_kept_for_who_dips),
		cmocka_unit_test(test_forced_passes),
		cmocka_unit_test(test_odd_limits),
		cmocka_unit_test(test_limit_lowered),
		cmocka_unit_test(test_limit_that_would_do),
		cmocka_unit_test(test_never_past_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
