/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of spill_clock: when it ticks, seconds as ages, what is idle. */
#include "base/clock.h"
#include "fs/spill_clock.h"
#include "unit.h"

#define S NS_PER_S

static struct spill_clock c;

static void tick_at(uint64_t seconds)
{
	spill_clock_ticked(&c, seconds * S, seconds * S, 0);
}

static void ticks_by_what_was_not_there(void **state UNUSED)
{
	spill_clock_init(&c, S);
	assert_false(spill_clock_due(&c, S, false, 0, 80000));
	assert_false(spill_clock_due(&c, S, false, 4999, 80000));
	assert_true(spill_clock_due(&c, S, false, 5000, 80000));
	spill_clock_ticked(&c, S, S, 5000);
	assert_false(spill_clock_due(&c, S, false, 9999, 80000));
	assert_true(spill_clock_due(&c, S, false, 10000, 80000));
	/* Little is in RAM: not with every page. */
	assert_false(spill_clock_due(&c, S, false, 5010, 8));
}

static void ticks_by_the_minute(void **state UNUSED)
{
	spill_clock_init(&c, S);
	assert_false(spill_clock_due(&c, 60 * S, false, 0, 8));
	assert_true(spill_clock_due(&c, 61 * S, false, 0, 8));
	tick_at(61);
	assert_false(spill_clock_due(&c, 120 * S, false, 0, 8));
	assert_true(spill_clock_due(&c, 121 * S, false, 0, 8));
}

/* A walk of a second is followed by twenty without. */
static void walks_take_a_twentieth(void **state UNUSED)
{
	spill_clock_init(&c, S);
	spill_clock_ticked(&c, 10 * S, 11 * S, 0);
	assert_false(spill_clock_due(&c, 30 * S, false, 19999, 80000));
	assert_true(spill_clock_due(&c, 30 * S, true, 19999, 80000));
	assert_true(spill_clock_due(&c, 31 * S, false, 19999, 80000));
	/* Four ticks are due. */
	assert_true(spill_clock_due(&c, 30 * S, false, 20000, 80000));
}

static void seconds_are_ages(void **state UNUSED)
{
	spill_clock_init(&c, 0);
	assert_int_equal(spill_clock_age(&c, 1000 * S, 1), 16);
	tick_at(100);
	tick_at(200);
	tick_at(300);
	/* Age 1: touched before the tick at 300, age 2: before 200. */
	assert_int_equal(spill_clock_age(&c, 310 * S, 10), 1);
	assert_int_equal(spill_clock_age(&c, 310 * S, 11), 2);
	assert_int_equal(spill_clock_age(&c, 310 * S, 210), 3);
	assert_int_equal(spill_clock_age(&c, 310 * S, 211), 16);
	for (uint64_t t = 400; t <= 2000; t += 100)
		tick_at(t);
	assert_int_equal(spill_clock_age(&c, 2000 * S, 1400), 15);
	assert_int_equal(spill_clock_age(&c, 2000 * S, 1401), 16);
}

static void idle_is_what_is_not_touched_since(void **state UNUSED)
{
	spill_clock_init(&c, 0);
	assert_int_equal(spill_clock_idle_age(&c), 16);
	tick_at(1);
	spill_clock_mark_idle(&c, 1);
	assert_int_equal(spill_clock_idle_age(&c), 1);
	tick_at(2);
	tick_at(3);
	/* What was touched after the mark is of age 2 at most. */
	assert_int_equal(spill_clock_idle_age(&c), 3);
	/* A narrower mark takes nothing away, a wider one adds. */
	spill_clock_mark_idle(&c, 4);
	assert_int_equal(spill_clock_idle_age(&c), 3);
	spill_clock_mark_idle(&c, 2);
	assert_int_equal(spill_clock_idle_age(&c), 2);
	/* Nothing is as old: nothing is marked. */
	spill_clock_mark_idle(&c, 16);
	assert_int_equal(spill_clock_idle_age(&c), 2);
	for (uint64_t t = 4; t < 40; t++)
		tick_at(t);
	assert_int_equal(spill_clock_idle_age(&c), 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_by_what_was_not_there),
		cmocka_unit_test(ticks_by_the_minute),
		cmocka_unit_test(walks_take_a_twentieth),
		cmocka_unit_test(seconds_are_ages),
		cmocka_unit_test(idle_is_what_is_not_touched_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
