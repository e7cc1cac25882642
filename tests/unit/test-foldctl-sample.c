/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates between samples of counters, and how they are written. */
#include "base/clock.h"
#include "foldctl/recent.h"
#include "foldctl/sample.h"
#include "lib/unit.h"
#include <math.h>

static struct sample make(uint64_t seconds, int pid, int reads,
			  const char *slots)
{
	json_t *table = json_loads(slots, 0, NULL);
	struct sample sample = {
		.ns = seconds * NS_PER_S,
		.stats = json_pack("{s:i, s:i, s:i, s:o}", "pid", pid, "uptime",
				   100, "num_reads", reads, "slots", table),
	};

	assert_non_null(sample.stats);
	return sample;
}

static bool near(double a, double b)
{
	return fabs(a - b) < 0.001;
}

static void test_rates(void **state UNUSED)
{
	struct sample none = {0};
	struct sample a = make(10, 1, 1000, "[]");
	struct sample b = make(14, 1, 1400, "[]");

	assert_true(near(sample_rate(&a, &b, "num_reads"), 100));
	assert_true(near(sample_seconds(&a, &b), 4));
	/* Since the mount, when nothing was before. */
	assert_true(near(sample_rate(&none, &b, "num_reads"), 14));
	/* What is not there, and what went backwards, has no rate. */
	assert_true(near(sample_rate(&a, &b, "num_writes"), 0));
	assert_true(near(sample_rate(&b, &a, "num_reads"), 0));
	sample_fini(&a);
	sample_fini(&b);
}

/* Another daemon counts from nothing. */
static void test_another_daemon(void **state UNUSED)
{
	struct sample a = make(10, 1, 1000, "[]");
	struct sample b = make(14, 2, 1400, "[]");

	assert_true(near(sample_rate(&a, &b, "num_reads"), 14));
	sample_fini(&a);
	sample_fini(&b);
}

/* Rows are found by what names them, wherever they stand. */
static void test_rows(void **state UNUSED)
{
	struct sample a = make(10, 1, 0,
			       "[{\"slot\":1,\"requests\":50},"
			       "{\"slot\":0,\"requests\":10}]");
	struct sample b = make(12, 1, 0,
			       "[{\"slot\":0,\"requests\":20},"
			       "{\"slot\":2,\"requests\":8}]");
	const json_t *rows = sample_table(&b, "slots");

	assert_true(near(sample_row_rate(&a, &b, "slots", "slot",
					 json_array_get(rows, 0), "requests"),
			 5));
	assert_true(near(sample_row_rate(&a, &b, "slots", "slot",
					 json_array_get(rows, 1), "requests"),
			 4));
	assert_null(sample_table(&b, "latency"));
	assert_null(sample_table(&b, "pid"));
	sample_fini(&a);
	sample_fini(&b);
}

static void assert_rate(double rate, const char *wanted)
{
	char text[RATE_TEXT_MAX];

	assert_string_equal(rate_text(rate, text), wanted);
}

static void assert_time(double us, const char *wanted)
{
	char text[RATE_TEXT_MAX];

	assert_string_equal(time_text(us, text), wanted);
}

static void test_texts(void **state UNUSED)
{
	assert_rate(0, "0");
	assert_rate(0.25, "0.2");
	assert_rate(99.94, "99.9");
	assert_rate(99.96, "100");
	assert_rate(999.4, "999");
	assert_rate(999.6, "1.0k");
	assert_rate(123456, "123k");
	assert_rate(999600, "1.0M");
	assert_rate(2.5e9, "2.5G");
	assert_time(0, "0 us");
	assert_time(999.4, "999 us");
	assert_time(999.6, "1.0 ms");
	assert_time(999949, "999.9 ms");
	assert_time(999960, "1.0 s");
}

static void test_intervals(void **state UNUSED)
{
	static const char *const wrong[] = {
		"", "x", "1x", "0", "-1", "nan", "inf", "1e9", "0.001",
	};
	uint64_t ns = 7;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(interval_parse(wrong[i], &ns));
	assert_int_equal(ns, 7);
	assert_true(interval_parse("0.5", &ns));
	assert_int_equal(ns, NS_PER_S / 2);
	assert_true(interval_parse("86400", &ns));
}

static struct sample timed(const char *buckets)
{
	json_t *table = json_loads(buckets, 0, NULL);
	struct sample sample = {
		.stats = json_pack("{s:i, s:o, s:[{s:s, s:f}]}", "pid", 1,
				   "latency_buckets", table, "latency", "op",
				   "read", "max_us", 1000.0),
	};

	assert_non_null(sample.stats);
	return sample;
}

/* What was slow before does not hide what is fast now, nor the other way. */
static void test_recent(void **state UNUSED)
{
	struct sample none = {0};
	struct sample a =
		timed("[{\"op\":\"read\",\"le_ns\":1048576,\"count\":100},"
		      "{\"op\":\"write\",\"le_ns\":2048,\"count\":7}]");
	struct sample b =
		timed("[{\"op\":\"read\",\"le_ns\":2048,\"count\":10},"
		      "{\"op\":\"read\",\"le_ns\":1048576,\"count\":100},"
		      "{\"op\":\"write\",\"le_ns\":2048,\"count\":7}]");
	struct recent recent;

	assert_true(recent_latency(&a, &b, "read", &recent));
	assert_true(near(recent.p50_us, 1.536));
	assert_true(near(recent.p99_us, 2.048));
	assert_true(near(recent.max_us, 2.048));
	assert_true(recent_latency(&none, &b, "read", &recent));
	assert_true(recent.p50_us > 524 && near(recent.max_us, 1000));
	assert_false(recent_latency(&a, &b, "write", &recent));
	assert_false(recent_latency(&a, &b, "rename", &recent));
	sample_fini(&a);
	sample_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_another_daemon),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_recent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
