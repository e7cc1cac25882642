/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters a row each slot: the sum misses nothing. */
#include "base/heap.h"
#include "base/tally.h"
#include "unit.h"
#include <pthread.h>

#define THREADS 4
#define ADDS 20000

struct adder {
	struct tally *tally;
	unsigned row;
};

static void *add(void *arg)
{
	struct adder *a = arg;

	for (unsigned i = 0; i < ADDS; i++) {
		tally_add(a->tally, a->row, 3, 2);
		tally_add(a->tally, TALLY_SHARED_ROW, 3, 1);
		tally_add(a->tally, a->row, TALLY_COLUMNS - 1, 1);
	}
	return NULL;
}

static void test_sum(void **state UNUSED)
{
	struct tally *tally = heap_aligned(64, sizeof(*tally));
	struct adder adders[THREADS];
	pthread_t thread[THREADS];
	uint64_t last = 0;

	assert_non_null(tally);
	*tally = (struct tally){0};
	for (unsigned i = 0; i < THREADS; i++) {
		adders[i] = (struct adder){tally, i * 21};
		assert_int_equal(
			pthread_create(&thread[i], NULL, add, &adders[i]), 0);
	}
	/* Read meanwhile: never backwards, never more than all. */
	for (int i = 0; i < 1000; i++) {
		uint64_t now = tally_sum(tally, TALLY_COLUMNS - 1);

		assert_true(now >= last && now <= THREADS * ADDS);
		last = now;
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(tally_sum(tally, 3), THREADS * ADDS * 3);
	assert_int_equal(tally_sum(tally, TALLY_COLUMNS - 1), THREADS * ADDS);
	assert_int_equal(tally_sum(tally, 0), 0);
	heap_free(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
