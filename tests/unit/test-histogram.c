/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histograms: which bucket, what they add up to, quantiles, a reader beside. */
#include "base/compiler.h"
#include "base/histogram.h"
#include "unit.h"
#include <pthread.h>
#include <string.h>

static void each_power_ends_its_bucket(void **state UNUSED)
{
	assert_int_equal(histogram_bucket(0), 0);
	assert_int_equal(histogram_bucket(1), 0);
	assert_int_equal(histogram_bucket(2), 1);
	assert_int_equal(histogram_bucket(3), 2);
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS - 1; i++) {
		assert_int_equal(histogram_bucket(histogram_bound(i)), i);
		assert_int_equal(histogram_bucket(histogram_bound(i) + 1),
				 i + 1);
	}
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static struct histogram_total total_of(const struct histogram *h)
{
	struct histogram_total total = {0};

	histogram_total_add(&total, h);
	return total;
}

static void values_add_up(void **state UNUSED)
{
	struct histogram a = {0}, b = {0};
	struct histogram_total total;

	histogram_add(&a, 1000);
	histogram_add(&a, 1024);
	histogram_add(&a, 5);
	histogram_add(&b, 1025);
	total = total_of(&a);
	assert_int_equal(total.most, 1024);
	histogram_total_add(&total, &b);
	assert_int_equal(total.count, 4);
	assert_int_equal(total.sum, 3054);
	assert_int_equal(total.most, 1025);
	assert_int_equal(total.bucket[3], 1);
	assert_int_equal(total.bucket[10], 2);
	assert_int_equal(total.bucket[11], 1);
}

static void quantiles_lie_in_their_bucket(void **state UNUSED)
{
	struct histogram h = {0};
	struct histogram_total total;

	for (unsigned i = 0; i < 990; i++)
		histogram_add(&h, 100); /* up to 128 */
	for (unsigned i = 0; i < 10; i++)
		histogram_add(&h, 100000); /* up to 131072 */
	total = total_of(&h);
	assert_in_range(histogram_quantile(&total, 500), 65, 128);
	assert_int_equal(histogram_quantile(&total, 990), 128);
	assert_in_range(histogram_quantile(&total, 991), 65537, 100000);
	assert_int_equal(histogram_quantile(&total, 1000), 100000);
	assert_in_range(histogram_quantile(&total, 0), 64, 128);
	/* Half of three are two. */
	memset(&total, 0, sizeof(total));
	total.bucket[0] = total.bucket[10] = total.bucket[20] = 1;
	total.count = 3;
	total.most = histogram_bound(20);
	assert_in_range(histogram_quantile(&total, 500), 513, 1024);
}

static void few_values_and_none(void **state UNUSED)
{
	struct histogram h = {0};
	struct histogram_total total = total_of(&h);

	assert_int_equal(histogram_quantile(&total, 500), 0);
	histogram_add(&h, 70);
	total = total_of(&h);
	/* Never above the largest value there was. */
	assert_int_equal(histogram_quantile(&total, 500), 70);
	assert_int_equal(histogram_quantile(&total, 990), 70);
	memset(&total, 0, sizeof(total));
	total.bucket[7] = UINT64_MAX;
	total.count = UINT64_MAX;
	total.most = 128;
	assert_in_range(histogram_quantile(&total, 990), 126, 128);
}

#define ADDS 50000

static void *add(void *arg)
{
	for (unsigned i = 0; i < ADDS; i++)
		histogram_add(arg, i & 1023);
	return NULL;
}

/* A reader beside the writer sees counts that only grow. */
static void a_reader_disturbs_nobody(void **state UNUSED)
{
	struct histogram h = {0};
	uint64_t last = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, add, &h), 0);
	while (last < ADDS) {
		struct histogram_total total = total_of(&h);

		assert_true(total.count >= last);
		assert_true(histogram_quantile(&total, 990) <= 1023);
		last = total.count;
	}
	pthread_join(thread, NULL);
	assert_int_equal(total_of(&h).count, ADDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_power_ends_its_bucket),
		cmocka_unit_test(values_add_up),
		cmocka_unit_test(quantiles_lie_in_their_bucket),
		cmocka_unit_test(few_values_and_none),
		cmocka_unit_test(a_reader_disturbs_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
