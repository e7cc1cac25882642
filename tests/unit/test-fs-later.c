/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of jobs without a request: each is carried out or cancelled, once, and
 * none is begun when they are held. */
#include "base/heap.h"
#include "fs/later.h"
#include "fs_rig.h"
#include "unit.h"
#include <stdatomic.h>

#define JOBS 1000u

static _Atomic unsigned ran, cancelled;
static struct fs *seen;

static void run(struct fs *fs, struct later_job *job)
{
	assert_ptr_equal(fs, seen);
	assert_null(job->req);
	ran++;
}

static void cancel(struct fs *fs, struct later_job *job UNUSED)
{
	assert_ptr_equal(fs, seen);
	cancelled++;
}

static void rig_up(struct fs_rig *rig)
{
	fs_rig_config(rig);
	fs_rig_up(rig);
	seen = rig->fs;
	ran = cancelled = 0;
	/* Where a job comes from has no worker. */
	worker_now = NULL;
}

static void post_jobs(struct later *later)
{
	for (unsigned i = 0; i < JOBS; i++) {
		struct later_job *job = heap_zalloc(1, sizeof(*job));

		assert_non_null(job);
		job->run = run;
		job->cancel = cancel;
		later_post(later, job);
	}
}

static void each_job_is_run_or_cancelled(void **state UNUSED)
{
	struct fs_rig rig;

	rig_up(&rig);
	post_jobs(rig.fs->later);
	fs_rig_down(&rig);
	assert_int_equal(ran + cancelled, JOBS);
}

static void held_jobs_are_cancelled(void **state UNUSED)
{
	struct fs_rig rig;
	unsigned before;

	rig_up(&rig);
	post_jobs(rig.fs->later);
	later_hold(rig.fs->later);
	before = ran;
	post_jobs(rig.fs->later);
	/* It has looked once more when this returns. */
	later_hold(rig.fs->later);
	assert_int_equal(ran, before);
	fs_rig_down(&rig);
	assert_int_equal(ran, before);
	assert_int_equal(cancelled, 2 * JOBS - before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_job_is_run_or_cancelled),
		cmocka_unit_test(held_jobs_are_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
