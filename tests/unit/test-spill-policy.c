/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of spill_policy: the marks, what is chosen, when to clean. */
#include "base/budget.h"
#include "base/page.h"
#include "fs/spill_policy.h"
#include "unit.h"

static void marks_are_percent(void **state UNUSED)
{
	struct spill_marks m = spill_marks(100 * GIB, 95, 80);

	assert_int_equal(m.high_bytes, 95 * GIB);
	assert_int_equal(m.low_bytes, 80 * GIB);
	m = spill_marks(16 * TIB * 1024, 100, 99);
	assert_true(m.high_bytes < 16 * TIB * 1024);
	assert_true(m.low_bytes < m.high_bytes);
}

/* New data must be able to reach the high mark, or nothing ever begins. */
static void marks_leave_room_below_the_reserve(void **state UNUSED)
{
	for (uint64_t limit = 0; limit < 64 * MIB; limit += 100 * KIB) {
		struct spill_marks m = spill_marks(limit, 100, 99);

		assert_true(m.low_bytes <= m.high_bytes);
		if (limit > MIB)
			assert_true(m.high_bytes + BUDGET_RESERVE_BYTES <
				    limit);
	}
}

static void a_step_is_a_moment(void **state UNUSED)
{
	assert_int_equal(spill_step_bytes(0), 512 * KIB);
	assert_int_equal(spill_step_bytes(32 * MIB), 2 * MIB);
	assert_int_equal(spill_step_bytes(TIB), 8 * MIB);
}

static void nothing_is_nothing(void **state UNUSED)
{
	struct store_ages ages = {.bytes = {0}};
	struct spill_pick pick;

	assert_false(spill_choose(&ages, MIB, &pick));
}

static void the_coldest_first(void **state UNUSED)
{
	struct store_ages ages = {.bytes = {[0] = 100, [3] = 50, [9] = 20}};
	struct spill_pick pick;

	assert_true(spill_choose(&ages, 20, &pick));
	assert_int_equal(pick.min_age, 4);
	assert_int_equal(pick.raw_min_age, 3);
	assert_true(spill_choose(&ages, 69, &pick));
	assert_int_equal(pick.min_age, 4);
	assert_true(spill_choose(&ages, 70, &pick));
	assert_int_equal(pick.min_age, 1);
	assert_true(spill_choose(&ages, 170, &pick));
	assert_int_equal(pick.min_age, 0);
	assert_int_equal(pick.raw_min_age, 0);
}

/* A class that is more than needed goes alone: nothing younger with it. */
static void the_coldest_in_any_case(void **state UNUSED)
{
	struct store_ages ages = {.bytes = {[0] = 100, [15] = 1000}};
	struct spill_pick pick;

	assert_true(spill_choose(&ages, 1, &pick));
	assert_int_equal(pick.min_age, 15);
	assert_int_equal(pick.raw_min_age, 15);
	ages.bytes[15] = 0;
	assert_true(spill_choose(&ages, 1, &pick));
	assert_int_equal(pick.min_age, 0);
}

static void raw_before_others_of_its_age(void **state UNUSED)
{
	struct store_ages ages = {.bytes = {[5] = 100},
				  .raw_bytes = {[5] = 100, [4] = 100}};
	struct spill_pick pick;

	assert_true(spill_choose(&ages, 150, &pick));
	assert_int_equal(pick.raw_min_age, 5);
	assert_int_equal(pick.min_age, 6);
	assert_true(spill_choose(&ages, 250, &pick));
	assert_int_equal(pick.raw_min_age, 5);
	assert_int_equal(pick.min_age, 5);
	assert_true(spill_choose(&ages, 300, &pick));
	assert_int_equal(pick.raw_min_age, 0);
	assert_int_equal(pick.min_age, 0);
}

/* What is young stays when there is some room; what is old never does. */
static void the_young_stay(void **state UNUSED)
{
	const struct spill_marks marks = {.high_bytes = 100, .low_bytes = 80};
	struct spill_pick pick = {.min_age = 3, .raw_min_age = 3};

	assert_true(spill_is_enough(&marks, 90, &pick));
	assert_false(spill_is_enough(&marks, 91, &pick));
	pick.raw_min_age = 4;
	assert_false(spill_is_enough(&marks, 90, &pick));
	pick = (struct spill_pick){.min_age = 4, .raw_min_age = 3};
	assert_false(spill_is_enough(&marks, 81, &pick));
}

static void a_page_at_least(void **state UNUSED)
{
	assert_int_equal(spill_need(1001, 1000), POOL_OBJECT_MAX);
	assert_int_equal(spill_need(9 * MIB, MIB), 8 * MIB);
}

/* Who comes back must be in use more often than the coldest eighth. */
static void who_comes_back(void **state UNUSED)
{
	struct store_ages ages = {.bytes = {[0] = 800}};

	assert_int_equal(spill_promote_ticks(&ages), 1);
	ages.bytes[5] = 100;
	assert_int_equal(spill_promote_ticks(&ages), 1);
	ages.raw_bytes[6] = 100;
	assert_int_equal(spill_promote_ticks(&ages), 5);
	ages.bytes[15] = 1000;
	assert_int_equal(spill_promote_ticks(&ages), ENTRY_AGAIN_TICKS);
	ages = (struct store_ages){0};
	assert_int_equal(spill_promote_ticks(&ages), 1);
}

static unsigned percent(uint64_t segments, uint64_t live, uint64_t most,
			enum backing_state state)
{
	struct backing_stats stats = {
		.state = state,
		.segments = segments,
		.live_bytes = live,
		.most_bytes = most,
	};

	return spill_clean_percent(&stats);
}

static void cleaning_is_for_waste(void **state UNUSED)
{
	assert_int_equal(percent(100, 100 * MIB, 0, BACKING_ACTIVE), 0);
	assert_int_equal(percent(100, 76 * MIB, 0, BACKING_ACTIVE), 0);
	assert_int_equal(percent(100, 74 * MIB, 0, BACKING_ACTIVE), 75);
	assert_int_equal(percent(3, 0, 0, BACKING_ACTIVE), 0);
	/* Live bytes are of a moment, and segments of another. */
	assert_int_equal(percent(10, 11 * MIB, 0, BACKING_ACTIVE), 0);
}

static void near_the_cap_sooner(void **state UNUSED)
{
	assert_int_equal(percent(100, 85 * MIB, 200 * MIB, BACKING_ACTIVE), 0);
	assert_int_equal(percent(100, 85 * MIB, 101 * MIB, BACKING_ACTIVE), 90);
	assert_int_equal(percent(100, 85 * MIB, 0, BACKING_FULL), 90);
	assert_int_equal(percent(100, 99 * MIB, 0, BACKING_FULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_percent),
		cmocka_unit_test(marks_leave_room_below_the_reserve),
		cmocka_unit_test(a_step_is_a_moment),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(the_coldest_first),
		cmocka_unit_test(the_coldest_in_any_case),
		cmocka_unit_test(raw_before_others_of_its_age),
		cmocka_unit_test(the_young_stay),
		cmocka_unit_test(a_page_at_least),
		cmocka_unit_test(who_comes_back),
		cmocka_unit_test(cleaning_is_for_waste),
		cmocka_unit_test(near_the_cap_sooner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
