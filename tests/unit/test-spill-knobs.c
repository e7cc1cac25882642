/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of spill_knobs: what values may look like. */
#include "fs/spill_knobs.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void orders(void **state UNUSED)
{
	struct spill_order o;

	assert_int_equal(spill_order("out", &o), 0);
	assert_true(o.out);
	assert_int_equal(o.n, 1);
	assert_int_equal(o.range[0].first_page, 0);
	assert_int_equal(o.range[0].end_page, UINT64_MAX);
	assert_int_equal(spill_order("in 7 10-20", &o), 0);
	assert_false(o.out);
	assert_int_equal(o.n, 2);
	assert_int_equal(o.range[0].first_page, 7);
	assert_int_equal(o.range[0].end_page, 8);
	assert_int_equal(o.range[1].first_page, 10);
	assert_int_equal(o.range[1].end_page, 21);
}

static void orders_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"",       "o",      "outer",   "inn",     "out ",  "out  1",
		"out x",  "out 1-", "out -1",  "out 1,2", "in 1 ", "in\t1",
		"out 1x", "Out",    "in 1--2", "out 0x1", "out1",
	};
	char many[SPILL_RANGES_MAX * 2 + 6] = "out";
	struct spill_order o;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(spill_order(bad[i], &o), -EINVAL);
	assert_int_equal(spill_order("out 3-2", &o), -ERANGE);
	assert_int_equal(spill_order("out 99999999999999999999", &o), -ERANGE);
	for (unsigned i = 0; i < SPILL_RANGES_MAX; i++)
		strcat(many, " 1");
	assert_int_equal(spill_order(many, &o), 0);
	assert_int_equal(o.n, SPILL_RANGES_MAX);
	strcat(many, " 1");
	assert_int_equal(spill_order(many, &o), -ERANGE);
}

static void zrams_words(void **state UNUSED)
{
	static const char *const bad[] = {"", "Idle", "huge ", "none", "hug"};
	enum spill_what what;

	assert_int_equal(spiller_what("idle", &what), 0);
	assert_int_equal(what, SPILL_IDLE);
	assert_int_equal(spiller_what("huge", &what), 0);
	assert_int_equal(what, SPILL_HUGE);
	assert_int_equal(spiller_what("incompressible", &what), 0);
	assert_int_equal(what, SPILL_HUGE);
	assert_int_equal(spiller_what("huge_idle", &what), 0);
	assert_int_equal(what, SPILL_HUGE_IDLE);
	assert_int_equal(spiller_what("all", &what), 0);
	assert_int_equal(what, SPILL_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(spiller_what(bad[i], &what), -EINVAL);
}

/* What may take minutes must not hold up what does not. */
static void what_is_slow(void **state UNUSED)
{
	assert_true(spill_knob_is_slow(CTL_spill));
	assert_true(spill_knob_is_slow(CTL_writeback));
	assert_true(spill_knob_is_slow(CTL_idle));
	assert_false(spill_knob_is_slow(CTL_spill_state));
	assert_false(spill_knob_is_slow(CTL_mem_limit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders),
		cmocka_unit_test(orders_refused),
		cmocka_unit_test(zrams_words),
		cmocka_unit_test(what_is_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
