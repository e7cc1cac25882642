/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The background thread: no wake-up lost, stopped at any moment. */
#include "base/heap.h"
#include "base/task.h"
#include "fault.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* What the tasks below do is steered and seen through this. */
struct desk {
	_Atomic unsigned asked; /* work that waits */
	_Atomic unsigned done;
	_Atomic unsigned checks;
	_Atomic unsigned works;
	_Atomic bool gate; /* work waits till it opens */
	_Atomic bool saw_cancel;
	_Atomic uint64_t sleep_ns;
	char name[16];
	sigset_t mask;
};

static bool check_asked(void *arg)
{
	struct desk *d = arg;

	d->checks++;
	return d->asked > 0;
}

static void do_all(struct task *task UNUSED, void *arg)
{
	struct desk *d = arg;

	d->works++;
	d->done += atomic_exchange(&d->asked, 0);
}

static void do_at_gate(struct task *task, void *arg)
{
	struct desk *d = arg;

	d->works++;
	d->asked = 0;
	while (!d->gate && !task_cancelled(task))
		sched_yield();
	d->saw_cancel = task_cancelled(task);
}

static void look_around(struct task *task UNUSED, void *arg)
{
	struct desk *d = arg;

	d->asked = 0;
	pthread_getname_np(pthread_self(), d->name, sizeof(d->name));
	pthread_sigmask(SIG_SETMASK, NULL, &d->mask);
}

static const struct task_ops quick = {
	.name = "quick",
	.check = check_asked,
	.work = do_all,
};

static const struct task_ops gated = {
	.name = "gated",
	.check = check_asked,
	.work = do_at_gate,
};

static struct task *start(const struct task_ops *ops, struct desk *d)
{
	struct task *task = NULL;

	assert_int_equal(task_start(ops, d, &task), 0);
	assert_non_null(task);
	return task;
}

static void wait_for(_Atomic unsigned *counter, unsigned least)
{
	while (*counter < least)
		sched_yield();
}

static void test_wait_cycle_sees_the_work_done(void **state UNUSED)
{
	struct desk d = {0};
	struct task *task = start(&quick, &d);

	for (unsigned i = 1; i <= 2000; i++) {
		d.asked++;
		task_wait_cycle(task);
		assert_int_equal(d.done, i);
	}
	/* Nothing to do: it returns all the same. */
	task_wait_cycle(task);
	assert_int_equal(d.done, 2000);
	task_stop(task);
}

static void test_wake_alone_is_enough(void **state UNUSED)
{
	struct desk d = {0};
	struct task *task = start(&quick, &d);

	for (unsigned i = 1; i <= 2000; i++) {
		d.asked++;
		task_wake(task);
		wait_for(&d.done, i);
	}
	task_stop(task);
}

/* Woken while it works: it looks again, though nobody wakes it after. */
static void test_wake_during_work(void **state UNUSED)
{
	struct desk d = {.asked = 1};
	struct task *task = start(&gated, &d);

	wait_for(&d.works, 1);
	d.asked = 1;
	task_wake(task);
	d.gate = true;
	wait_for(&d.works, 2);
	task_stop(task);
	assert_int_equal(d.asked, 0);
}

struct waiter {
	struct task *task;
	_Atomic bool returned;
};

static void *wait_one(void *arg)
{
	struct waiter *w = arg;

	task_wait_cycle(w->task);
	w->returned = true;
	return NULL;
}

/* A cycle that had begun before does not count: it may have looked early. */
static void test_wait_cycle_wants_a_new_one(void **state UNUSED)
{
	struct desk d = {.asked = 1};
	struct waiter w = {.task = start(&gated, &d)};
	pthread_t thread;

	wait_for(&d.works, 1);
	d.asked = 1;
	assert_int_equal(pthread_create(&thread, NULL, wait_one, &w), 0);
	for (int i = 0; i < 100; i++)
		sched_yield();
	assert_false(w.returned);
	d.gate = true;
	pthread_join(thread, NULL);
	assert_int_equal(d.works, 2);
	assert_true(w.returned);
	task_stop(w.task);
}

static void test_stop_ends_work(void **state UNUSED)
{
	struct desk d = {.asked = 1};
	struct task *task = start(&gated, &d);

	wait_for(&d.works, 1);
	assert_false(task_cancelled(task));
	task_stop(task);
	assert_true(d.saw_cancel);
	assert_int_equal(d.works, 1);
}

static void test_stop_at_any_moment(void **state UNUSED)
{
	task_stop(NULL);
	for (unsigned i = 0; i < 200; i++) {
		struct desk d = {.asked = i % 3};
		struct task *task = start(&quick, &d);

		for (unsigned k = 0; k < i % 7; k++)
			task_wake(task);
		task_stop(task);
		assert_int_equal(d.asked + d.done, i % 3);
	}
}

static uint64_t sleep_of(void *arg)
{
	const struct desk *d = arg;

	return d->sleep_ns;
}

/* Each sleep is as long as is said before it. */
static void test_sleep_that_changes(void **state UNUSED)
{
	struct task_ops ops = quick;
	struct desk d = {.sleep_ns = 100000};
	struct task *task;

	ops.interval_ns = UINT64_MAX / 4;
	ops.sleep_ns = sleep_of;
	task = start(&ops, &d);
	wait_for(&d.checks, 5);
	d.sleep_ns = UINT64_MAX / 4;
	d.asked = 1;
	task_wake(task);
	wait_for(&d.done, 1);
	task_stop(task);
}

static void test_interval(void **state UNUSED)
{
	struct task_ops ops = quick;
	struct desk d = {0};
	struct task *task;

	ops.interval_ns = 100000;
	task = start(&ops, &d);
	/* Nobody wakes it. */
	wait_for(&d.checks, 5);
	d.asked = 1;
	wait_for(&d.done, 1);
	task_stop(task);
	ops.interval_ns = UINT64_MAX / 4;
	task = start(&ops, &d);
	d.asked = 1;
	task_wake(task);
	wait_for(&d.done, 2);
	task_stop(task);
}

static void test_thread_name_and_signals(void **state UNUSED)
{
	const struct task_ops ops = {
		.name = "fifteen-letters",
		.check = check_asked,
		.work = look_around,
	};
	struct desk d = {.asked = 1};
	struct task *task;
	sigset_t none, after;

	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	task = start(&ops, &d);
	task_wait_cycle(task);
	task_stop(task);
	assert_string_equal(d.name, "fifteen-letters");
	assert_true(sigismember(&d.mask, SIGTERM));
	assert_true(sigismember(&d.mask, SIGINT));
	assert_true(sigismember(&d.mask, SIGHUP));
	/* The starter's own mask is what it was. */
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_false(sigismember(&after, SIGTERM));
}

static void *wake_much(void *arg)
{
	struct waiter *w = arg;

	for (int i = 0; i < 3000; i++)
		if (i % 10 == 0)
			task_wait_cycle(w->task);
		else
			task_wake(w->task);
	return NULL;
}

static void test_storm(void **state UNUSED)
{
	struct desk d = {0};
	struct waiter w = {.task = start(&quick, &d)};
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, wake_much, &w), 0);
	for (unsigned i = 1; i <= 3000; i++) {
		d.asked++;
		task_wake(w.task);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	task_wait_cycle(w.task);
	assert_int_equal(d.done, 3000);
	task_stop(w.task);
}

static int start_and_stop(void *arg)
{
	struct task *task = NULL;
	int r = task_start(&quick, arg, &task);

	assert_true((r == 0) == (task != NULL));
	task_stop(task);
	return r;
}

static void test_no_memory(void **state UNUSED)
{
	struct desk d = {0};

	assert_int_equal(fault_each_alloc(start_and_stop, &d), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_cycle_sees_the_work_done),
		cmocka_unit_test(test_wake_alone_is_enough),
		cmocka_unit_test(test_wake_during_work),
		cmocka_unit_test(test_wait_cycle_wants_a_new_one),
		cmocka_unit_test(test_stop_ends_work),
		cmocka_unit_test(test_stop_at_any_moment),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_sleep_that_changes),
		cmocka_unit_test(test_thread_name_and_signals),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
