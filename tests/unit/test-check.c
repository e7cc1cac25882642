/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Invariants: a broken one aborts with its text, a kept one costs nothing. */
#include "base/check.h"
#include "death.h"
#include "unit.h"

static void break_one(void *arg)
{
	int *n = arg;

	invariant(*n == 2);
}

static void break_debug(void *arg)
{
	int *n = arg;

	debug_invariant(*n == 2);
#if !DEBUG_INVARIANTS
	/* Not evaluated here: end as the other kind of build does. */
	invariant_broken("*n == 2", __FILE__, __LINE__, __func__);
#endif
}

static void break_long(void *arg)
{
	invariant_broken(arg, "file.c", 7, "func");
}

static void test_broken_aborts(void **state UNUSED)
{
	int n = 1;

	assert_true(dies_saying(break_one, &n, "invariant broken: *n == 2"));
	assert_true(dies_saying(break_one, &n, "break_one"));
	assert_true(dies_saying(break_one, &n, "test-check.c:"));
	assert_true(dies_saying(break_debug, &n, "*n == 2"));
}

/* A text longer than the buffer is cut, not overrun. */
static void test_long_text(void **state UNUSED)
{
	char text[2000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i + 1 < sizeof(text) ? 'x' : '\0';
	assert_true(dies_saying(break_long, text, "file.c:7: func: "));
}

static void test_kept_goes_on(void **state UNUSED)
{
	int evaluated = 0;

	invariant(++evaluated == 1);
	assert_int_equal(evaluated, 1);
	debug_invariant(++evaluated == 2);
	assert_int_equal(evaluated, DEBUG_INVARIANTS ? 2 : 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken_aborts),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_kept_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
