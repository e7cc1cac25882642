/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of pages in flight against a plain array. */
#include "lib/content.h"
#include "lib/unit.h"
#include "store/spill_state.h"
#include <stdlib.h>
#include <string.h>

/* Few enough that all are in and out many times; of keys that lie together. */
#define FILES 64u
#define PAGES_EACH 128u

static struct flight flight;
static bool in[FILES][PAGES_EACH];

static void check_all(unsigned n)
{
	assert_int_equal(flight.n, n);
	for (unsigned file = 0; file < FILES; file++)
		for (unsigned page = 0; page < PAGES_EACH; page++)
			assert_int_equal(flight_has(&flight, file, page),
					 in[file][page]);
}

static void test_random(void **state UNUSED)
{
	struct content random = {.state = 3};
	unsigned n = 0;

	for (unsigned i = 0; i < 300000; i++) {
		unsigned file = (unsigned)content_below(&random, FILES);
		unsigned page = (unsigned)content_below(&random, PAGES_EACH);

		if (in[file][page]) {
			flight_remove(&flight, file, page);
			n--;
		} else if (n < FLIGHT_MOST) {
			flight_add(&flight, file, page);
			n++;
		} else {
			continue;
		}
		in[file][page] = !in[file][page];
		if (i % 10000 == 0)
			check_all(n);
	}
	check_all(n);
	for (unsigned file = 0; file < FILES; file++)
		for (unsigned page = 0; page < PAGES_EACH; page++)
			if (in[file][page])
				flight_remove(&flight, file, page);
	assert_int_equal(flight.n, 0);
	for (unsigned slot = 0; slot < FLIGHT_SLOTS; slot++)
		assert_int_equal(flight.key[slot], 0);
}

static void test_numbers_at_the_ends(void **state UNUSED)
{
	static const uint32_t ends[] = {0, 1, UINT32_MAX - 1};

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(ends); j++)
			flight_add(&flight, ends[i], ends[j]);
	flight_add(&flight, UINT32_MAX, UINT32_MAX - 1);
	assert_true(flight_has(&flight, 0, 0));
	assert_false(flight_has(&flight, 2, 0));
	assert_false(flight_has(&flight, UINT32_MAX, 0));
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(ends); j++)
			flight_remove(&flight, ends[i], ends[j]);
	assert_true(flight_has(&flight, UINT32_MAX, UINT32_MAX - 1));
	flight_remove(&flight, UINT32_MAX, UINT32_MAX - 1);
	assert_int_equal(flight.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_numbers_at_the_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
