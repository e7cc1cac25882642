/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes that fail: what was put is told so and nothing else is touched, the
 * file is left alone after too many, and no segment stays behind. */
#include "backing_rig.h"
#include "base/compiler.h"
#include "base/resident.h"
#include "unit.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

static struct backing_rig rig;

/* The writes from number `from` on, `many` of them, fail in one way. */
static struct plan {
	unsigned from, many;
	int result;    /* what is said; INT_MIN: what is true */
	size_t really; /* at most so many bytes are written */
	unsigned seen;
} plan;

static size_t on_write(void *arg UNUSED, uint64_t offset UNUSED, size_t n_bytes,
		       int *ret_result)
{
	unsigned number = plan.seen++;

	if (number < plan.from || number >= plan.from + plan.many)
		return n_bytes;
	if (plan.result != INT_MIN)
		*ret_result =
			plan.result == INT_MAX ? (int)n_bytes : plan.result;
	return n_bytes < plan.really ? n_bytes : plan.really;
}

static const struct io_faults faults = {.write = on_write};

static void begin(enum io_kind io, struct plan new)
{
	backing_rig_up(&rig, io, false, 0);
	plan = new;
	io_set_faults(&faults);
}

static void end(void)
{
	io_set_faults(NULL);
	backing_rig_down(&rig);
}

static void put_many(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (rig.item[i].state == RIG_NONE)
			rig_put_wait(&rig, i, 1400, 5);
	rig_settle(&rig);
}

/* T22: only the chunk that failed is lost, and its room comes back. */
static void test_one_error(enum io_kind io)
{
	begin(io, (struct plan){.from = 1, .many = 1, .result = -EIO});
	put_many(0, 1000);
	assert_int_equal(rig.done, 1000);
	assert_true(rig.failed > 100 && rig.failed < 200);
	assert_int_equal(rig.last_error, -EIO);
	assert_int_equal(rig_stats(&rig).write_errors, 1);
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	rig_check(&rig);
	put_many(0, 1000);
	rig_check(&rig);
	assert_int_equal(rig_stats(&rig).extents, 1000);
	end();
}

/* What comes after an error goes elsewhere. */
static void test_segment_is_left(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){.from = 1, .many = 1, .result = -EIO});
	put_many(0, 10);
	put_many(10, 20);
	assert_int_equal(rig.failed, 10);
	put_many(10, 20);
	assert_int_equal(extent_place(rig.item[9].extent).segment, 0);
	assert_int_equal(extent_place(rig.item[10].extent).segment, 1);
	rig_check(&rig);
	end();
}

static void test_one_error_uring(void **state UNUSED)
{
	test_one_error(IO_BEST);
}

static void test_one_error_threads(void **state UNUSED)
{
	test_one_error(IO_THREADS);
}

/* A short write is gone on with, also one that ends in the middle of a block
 * or writes nothing for a while. */
static void test_short_writes(void **state UNUSED)
{
	const size_t lengths[] = {4096, 8192, 131072, 5000, 100};

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin(IO_BEST, (struct plan){.many = 4,
					     .result = INT_MIN,
					     .really = lengths[i]});
		/* Direct I/O takes only whole blocks: more is said. */
		if (lengths[i] % 4096) {
			plan.result = (int)lengths[i];
			plan.really = lengths[i] & ~(size_t)4095;
		}
		/* One chunk: all of them are its own. */
		put_many(0, 170);
		assert_true(plan.seen > 1);
		assert_int_equal(rig.failed, 0);
		assert_int_equal(rig_stats(&rig).write_errors, 0);
		rig_check(&rig);
		end();
	}
}

static void test_no_headway(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){.many = 9, .result = INT_MIN});
	put_many(0, 10);
	assert_int_equal(rig.failed, 10);
	assert_int_equal(rig.last_error, -EIO);
	rig_check(&rig);
	end();
}

/* It says that all was written, and half of it was not. */
static void test_torn_write(void **state UNUSED)
{
	unsigned bad = 0;

	begin(IO_BEST,
	      (struct plan){.many = 1, .result = INT_MAX, .really = 128 * KIB});
	put_many(0, 180);
	assert_int_equal(rig.failed, 0);
	for (uint32_t i = 0; i < 180; i++) {
		int r = rig_read(&rig, i);

		assert_true(r == 0 || r == -EIO);
		bad += r != 0;
	}
	assert_true(bad > 60 && bad < 120);
	assert_int_equal(rig_stats(&rig).checksum_errors, bad);
	end();
}

/* A device that has gone: stopped after eight, on again by command. */
static void test_stops(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){.from = 1,
				     .many = UINT_MAX / 2,
				     .result = -ENODEV});
	put_many(0, 100);
	for (uint32_t i = 0; i < FAILURES_MAX; i++) {
		assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
		put_many(100, 101);
	}
	assert_int_equal(rig_stats(&rig).state, BACKING_STOPPED);
	assert_int_equal(rig_stats(&rig).write_errors, FAILURES_MAX);
	assert_int_equal(rig_put(&rig, 200, 100, 0), -EIO);
	rig_check(&rig);
	assert_int_equal(rig_stats(&rig).segments, 1);
	io_set_faults(NULL);
	assert_int_equal(rig_put(&rig, 200, 100, 0), -EIO);
	backing_resume(rig.backing);
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	put_many(100, 300);
	rig_check(&rig);
	end();
}

/* Now and then an error among many good writes does not stop it. */
static void test_forgives(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){0});
	for (unsigned k = 0; k < FAILURES_MAX + 2; k++) {
		plan = (struct plan){.many = 1, .result = -EIO};
		put_many(0, 1);
		assert_int_equal(rig.item[0].state, RIG_NONE);
		for (unsigned i = 0; i < FORGIVE_CHUNKS; i++) {
			put_many(0, 1);
			rig_free(&rig, 0);
		}
	}
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	end();
}

static void test_disk_full_on_write(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){.from = 5, .many = 1, .result = -ENOSPC});
	put_many(0, 800);
	for (uint32_t i = 800; i < 2000; i++) {
		int r = rig_put(&rig, i, 1400, 5);

		if (r == -EAGAIN)
			backing_reap(rig.backing, true);
		if (r == -ENOSPC)
			break;
	}
	rig_settle(&rig);
	assert_true(rig.failed > 0);
	assert_int_equal(rig.last_error, -ENOSPC);
	assert_int_equal(rig_stats(&rig).state, BACKING_FULL);
	assert_int_equal(rig_put(&rig, 4000, 1400, 5), -ENOSPC);
	/* ENOSPC is nothing that a command has to forgive. */
	assert_int_equal(rig.backing->failures, 0);
	rig_check(&rig);
	for (uint32_t i = 0; i < 740; i++)
		if (rig.item[i].state == RIG_LIVE)
			rig_free(&rig, i);
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	put_many(0, 700);
	rig_check(&rig);
	end();
}

/* The segment in which nothing could be written goes at once; that the disk is
 * full is not forgotten with it, but with one that had something. */
static void test_full_disk_is_remembered(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){.from = 4,
				     .many = UINT_MAX / 2,
				     .result = -ENOSPC});
	put_many(0, 600);
	for (uint32_t i = 600; rig.failed == 0; i++) {
		int r = rig_put(&rig, i, 1400, 5);

		if (r == -EAGAIN)
			backing_reap(rig.backing, true);
		if (r == -ENOSPC)
			break;
	}
	rig_settle(&rig);
	assert_true(rig.failed > 0);
	assert_int_equal(rig_stats(&rig).segments, 1);
	assert_int_equal(rig_stats(&rig).state, BACKING_FULL);
	assert_true(rig.backing->disk_full);
	rig_check(&rig);
	for (uint32_t i = 0; i < 4000; i++)
		if (rig.item[i].state == RIG_LIVE)
			rig_free(&rig, i);
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	io_set_faults(NULL);
	put_many(0, 700);
	rig_check(&rig);
	end();
}

/* Until a write is refused; whatever room there is, it is not seen. */
static void fill_disk(uint32_t from)
{
	unsigned failed = rig.failed;

	for (uint32_t i = from; rig.failed == failed; i++) {
		while (rig_put(&rig, i, 1400, 5) == -EAGAIN)
			backing_reap(rig.backing, true);
		if (i % 100 == 99)
			rig_settle(&rig);
	}
	rig_settle(&rig);
	rig.backing->room_when_full = UINT64_MAX / 2;
	assert_int_equal(rig_put(&rig, 7000, 1400, 5), -ENOSPC);
}

/* It never says that it has more room, as a device does not: it is tried again
 * when somebody says so, and after a while. */
static void test_full_disk_is_tried_again(void **state UNUSED)
{
	begin(IO_BEST, (struct plan){.from = 4,
				     .many = UINT_MAX / 2,
				     .result = -ENOSPC});
	fill_disk(0);
	backing_try_full(rig.backing);
	fill_disk(2000);
	rig.backing->full_ns -= FULL_AGAIN_NS;
	io_set_faults(NULL);
	put_many(4000, 5000);
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	rig_check(&rig);
	end();
}

/* --- segments that cannot be had --- */

static int refusal;

static int on_reserve(void *arg UNUSED, uint64_t offset UNUSED)
{
	return refusal;
}

static const struct io_faults no_segments = {.reserve = on_reserve};

/* A file system without fallocate() does as well. */
static void test_no_reserve(void **state UNUSED)
{
	uint32_t segment;

	backing_rig_up(&rig, IO_BEST, false, 0);
	refusal = -EOPNOTSUPP;
	io_set_faults(&no_segments);
	put_many(0, 2000);
	rig_check(&rig);
	for (uint32_t i = 0; i < 2000; i++)
		if (i % 10)
			rig_free(&rig, i);
	assert_true(backing_thin(rig.backing, 50, &segment));
	rig_check(&rig);
	end();
}

static void test_refused_segments(void **state UNUSED)
{
	backing_rig_up(&rig, IO_BEST, false, 0);
	io_set_faults(&no_segments);
	refusal = -EDQUOT;
	for (unsigned i = 0; i < 2 * FAILURES_MAX; i++)
		assert_int_equal(rig_put(&rig, 0, 1400, 0), -ENOSPC);
	assert_int_equal(rig_stats(&rig).state, BACKING_FULL);
	assert_int_equal(rig_stats(&rig).write_errors, 0);
	assert_int_equal(backing_close(rig.backing), 0);
	assert_int_equal(backing_open(rig.backing, &rig.config, rig.why,
				      sizeof(rig.why)),
			 0);
	/* As if it were another file, with room. */
	refusal = -EIO;
	for (unsigned i = 0; i < FAILURES_MAX; i++) {
		assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
		assert_int_equal(rig_put(&rig, 0, 1400, 0), -EIO);
	}
	assert_int_equal(rig_stats(&rig).state, BACKING_STOPPED);
	assert_int_equal(rig_stats(&rig).write_errors, FAILURES_MAX);
	refusal = 0;
	assert_int_equal(rig_put(&rig, 0, 1400, 0), -EIO);
	backing_resume(rig.backing);
	put_many(0, 10);
	assert_int_equal(rig_stats(&rig).segments, 1);
	rig_check(&rig);
	end();
}

/* The real thing, as far as a test without root gets: the longest file. */
static void test_file_limit(void **state UNUSED)
{
	struct rlimit before, limit;
	uint32_t n = 0;
	int r;

	signal(SIGXFSZ, SIG_IGN);
	backing_rig_up(&rig, IO_BEST, false, 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 2 * MIB;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while ((r = rig_put(&rig, n, 4096, 5)) != -ENOSPC) {
		assert_true(r == 0 || r == -EAGAIN);
		if (r)
			backing_reap(rig.backing, true);
		else
			n++;
	}
	rig_settle(&rig);
	assert_int_equal(rig.failed, 0);
	assert_int_equal(rig_stats(&rig).segments, 2);
	assert_int_equal(rig_stats(&rig).state, BACKING_FULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	rig_check(&rig);
	for (uint32_t i = 0; i < 300; i++)
		rig_free(&rig, i);
	for (uint32_t i = 0; i < 280; i++)
		rig_put_wait(&rig, i, 4096, 5);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_down(&rig);
	signal(SIGXFSZ, SIG_DFL);
}

/* What is put and overwritten at once: done() frees it, the last of a segment
 * included, while the chunk is still being told of. */
static void test_freed_when_done(void **state UNUSED)
{
	backing_rig_up(&rig, IO_BEST, false, 0);
	rig.drop_done = true;
	put_many(0, 3000);
	assert_int_equal(rig.done, 3000);
	assert_int_equal(rig_stats(&rig).extents, 0);
	assert_true(rig_stats(&rig).segments <= 1);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* Four chunks at most are in flight, then the caller must reap. */
static void test_again(void **state UNUSED)
{
	uint32_t n = 0;
	int r;

	backing_rig_up(&rig, IO_BEST, false, 0);
	while (!(r = rig_put(&rig, n, 4096, 5)))
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 240 && n < 256);
	backing_reap(rig.backing, true);
	assert_int_equal(rig_put(&rig, n, 4096, 5), 0);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* With no RAM left at all it is opened and works with one chunk: that is when
 * it is wanted. */
static void test_little_ram(void **state UNUSED)
{
	backing_rig_up(&rig, IO_BEST, false, 0);
	assert_int_equal(backing_close(rig.backing), 0);
	budget_set_limit(&rig.budget, budget_used(&rig.budget) / 2);
	assert_int_equal(backing_open(rig.backing, &rig.config, rig.why,
				      sizeof(rig.why)),
			 0);
	budget_set_limit(&rig.budget, 0);
	put_many(0, 1000);
	assert_null(rig.backing->chunks[1].bytes);
	rig_check(&rig);
	/* The others come when there is room. */
	budget_set_limit(&rig.budget, GIB);
	put_many(1000, 2000);
	assert_non_null(rig.backing->chunks[CHUNKS - 1].bytes);
	rig_check(&rig);
	backing_rig_down(&rig);
}

static void count_visit(void *arg, struct extent extent UNUSED,
			const struct extent_view *view UNUSED)
{
	++*(unsigned *)arg;
}

static int visit_first(unsigned *ret_seen)
{
	*ret_seen = 0;
	return backing_segment_visit(rig.backing, 0, count_visit, ret_seen);
}

/* A visit needs memory; once there was any, none. */
static void test_visit_little_ram(void **state UNUSED)
{
	unsigned seen, again;
	uint64_t used;

	backing_rig_up(&rig, IO_BEST, false, 0);
	put_many(0, 100);
	used = budget_used(&rig.budget);
	budget_set_limit(&rig.budget, used);
	assert_int_equal(visit_first(&seen), -ENOMEM);
	assert_int_equal(budget_used(&rig.budget), used);
	budget_set_limit(&rig.budget, GIB);
	assert_int_equal(visit_first(&seen), 0);
	assert_int_equal(seen, 100);
	assert_true(budget_used(&rig.budget) > used);
	budget_set_limit(&rig.budget, used);
	assert_int_equal(visit_first(&again), 0);
	assert_int_equal(again, 100);
	backing_rig_down(&rig);
}

/* In a daemon that serves swap it is there from the start. The last one: what
 * is locked stays so. */
static void test_visit_resident(void **state UNUSED)
{
	unsigned seen;

	if (resident_begin() < 0)
		skip();
	backing_rig_up(&rig, IO_BEST, false, 0);
	put_many(0, 100);
	budget_set_limit(&rig.budget, budget_used(&rig.budget));
	assert_int_equal(visit_first(&seen), 0);
	assert_int_equal(seen, 100);
	budget_set_limit(&rig.budget, GIB);
	backing_rig_reattach(&rig);
	budget_set_limit(&rig.budget, budget_used(&rig.budget));
	assert_int_equal(visit_first(&seen), 0);
	backing_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_error_uring),
		cmocka_unit_test(test_one_error_threads),
		cmocka_unit_test(test_segment_is_left),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_no_headway),
		cmocka_unit_test(test_torn_write),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_forgives),
		cmocka_unit_test(test_disk_full_on_write),
		cmocka_unit_test(test_full_disk_is_remembered),
		cmocka_unit_test(test_full_disk_is_tried_again),
		cmocka_unit_test(test_no_reserve),
		cmocka_unit_test(test_refused_segments),
		cmocka_unit_test(test_file_limit),
		cmocka_unit_test(test_freed_when_done),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_little_ram),
		cmocka_unit_test(test_visit_little_ram),
		cmocka_unit_test(test_visit_resident),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
