/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Latency: every request is counted once, where it belongs, and is told. */
#include "base/heap.h"
#include "foldfs/keys.h"
#include "fs/knobs.h"
#include "fs/latency.h"
#include "fs_rig.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fs_rig rig;

static uint64_t count_of_op(enum latency_op op)
{
	struct histogram_total total = {0};

	histogram_total_add(&total, &rig.fs->latency->row[0][op]);
	return total.count;
}

static void requests_count_where_they_belong(void **state UNUSED)
{
	assert_int_equal(latency_op(FUSE_READ), LATENCY_READ);
	assert_int_equal(latency_op(FUSE_BATCH_FORGET), LATENCY_FORGET);
	assert_int_equal(latency_op(FUSE_TMPFILE), LATENCY_CREATE);
	assert_int_equal(latency_op(FUSE_RENAME2), LATENCY_RENAME);
	assert_int_equal(latency_op(FUSE_COPY_FILE_RANGE), LATENCY_COPY);
	assert_int_equal(latency_op(FUSE_STATFS), LATENCY_OTHER);
	assert_int_equal(latency_op(0), LATENCY_OTHER);
	assert_int_equal(latency_op(UINT32_MAX), LATENCY_OTHER);
}

static void ask_attr(void)
{
	struct fuse_getattr_in in = {0};

	assert_int_equal(fs_rig_ask(&rig, FUSE_GETATTR, TREE_ROOT, &in,
				    sizeof(in), NULL, 0),
			 0);
}

static void every_request_is_counted_once(void **state UNUSED)
{
	uint64_t all = 0;

	fs_rig_config(&rig);
	fs_rig_up(&rig);
	fs_rig_init(&rig, FS_RIG_ALL);
	for (unsigned i = 0; i < 7; i++)
		ask_attr();
	fs_rig_create(&rig, "file", 0644);
	assert_int_equal(count_of_op(LATENCY_GETATTR), 7);
	assert_int_equal(count_of_op(LATENCY_CREATE), 1);
	assert_int_equal(count_of_op(LATENCY_WRITE), 0);
	for (unsigned op = 0; op < LATENCY_NR; op++)
		all += count_of_op(op);
	assert_int_equal(all, count_of(rig.fs, 0, COUNT_REQUESTS));
	fs_rig_down(&rig);
}

/* The rows of both tables are of one reading and say the same. */
static void both_tables_agree(void **state UNUSED)
{
	unsigned long long count, bucket, bound, sum = 0;
	struct ctl_values values;
	const char *line;

	fs_rig_config(&rig);
	fs_rig_up(&rig);
	fs_rig_init(&rig, FS_RIG_ALL);
	for (unsigned i = 0; i < 100; i++)
		ask_attr();
	assert_int_equal(values_collect(rig.fs, &values), 0);
	line = strstr(values.text[CTL_latency], "op=getattr count=");
	assert_non_null(line);
	assert_int_equal(sscanf(line, "op=getattr count=%llu", &count), 1);
	assert_int_equal(count, 100);
	line = values.text[CTL_latency_buckets];
	while ((line = strstr(line, "op=getattr"))) {
		assert_int_equal(sscanf(line,
					"op=getattr le_ns=%llu count=%llu",
					&bound, &bucket),
				 2);
		assert_int_equal(bound & (bound - 1), 0);
		sum += bucket;
		line++;
	}
	assert_int_equal(sum, count);
	assert_null(strstr(values.text[CTL_latency], "op=write"));
	ctl_values_fini(&values);
	fs_rig_down(&rig);
}

/* All slots up, all buckets full of the largest numbers: an attribute still. */
static void the_largest_reading_fits_an_attribute(void **state UNUSED)
{
	static char buf[1 << 20];
	size_t n;

	fs_rig_config(&rig);
	fs_rig_up(&rig);
	for (unsigned slot = 0; slot < CREW_MAX; slot++)
		tally_add(rig.fs->tally, slot, COUNT_REQUESTS, 1);
	for (unsigned op = 0; op < LATENCY_NR; op++)
		for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
			atomic_store(&rig.fs->latency->row[0][op].bucket[i],
				     UINT64_MAX / 64);
	assert_int_equal(
		ctl_get(&rig.fs->ctl, FOLDFS_KEY_STATS, buf, sizeof(buf), &n),
		0);
	assert_in_range(n, 20000, 65536);
	assert_int_equal(ctl_get(&rig.fs->ctl,
				 FOLDFS_KEY_PREFIX "latency_buckets", buf,
				 sizeof(buf), &n),
			 0);
	assert_in_range(n, 20000, 65536);
	fs_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_count_where_they_belong),
		cmocka_unit_test(every_request_is_counted_once),
		cmocka_unit_test(both_tables_agree),
		cmocka_unit_test(the_largest_reading_fits_an_attribute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
