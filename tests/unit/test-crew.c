/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the crew: coming and going leaves nothing, each step may fail, the
 * end races with an add; then a storm of changes. The steps check their order.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/lock.h"
#include "crew/crew.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS 4

/* What the steps and workers of one crew see. */
struct world {
	struct crew *crew;
	/* How many steps a slot has passed; steps refuse any other order. */
	_Atomic unsigned passed[CREW_MAX];
	_Atomic unsigned running[CREW_MAX];
	_Atomic unsigned disorder;
	_Atomic int fail_step;  /* this one fails; -1: none */
	_Atomic int pause_step; /* this one waits; -1: none */
	_Atomic bool paused;
	_Atomic bool over;   /* the session: workers return by themselves */
	_Atomic int end_one; /* this slot's worker returns; -1: none */
	_Atomic unsigned ups, downs;
};

static void step_up_n(struct world *w, unsigned slot, unsigned n)
{
	if (atomic_load(&w->passed[slot]) != n)
		atomic_fetch_add(&w->disorder, 1);
	atomic_store(&w->passed[slot], n + 1);
	atomic_fetch_add(&w->ups, 1);
}

static int step_try(struct world *w, unsigned slot, unsigned n)
{
	if (atomic_load(&w->pause_step) == (int)n) {
		atomic_store(&w->paused, true);
		while (atomic_load(&w->pause_step) == (int)n)
			sched_yield();
	}
	if (atomic_load(&w->fail_step) == (int)n)
		return -EIO;
	step_up_n(w, slot, n);
	return 0;
}

static void step_down_n(struct world *w, unsigned slot, unsigned n)
{
	/* Only after the worker has gone, and in the reverse order. */
	if (atomic_load(&w->running[slot]) != 0 ||
	    atomic_load(&w->passed[slot]) != n + 1)
		atomic_fetch_add(&w->disorder, 1);
	atomic_store(&w->passed[slot], n);
	atomic_fetch_add(&w->downs, 1);
}

#define STEP(n)                                                                \
	static int up_##n(void *arg, unsigned slot)                            \
	{                                                                      \
		return step_try(arg, slot, n);                                 \
	}                                                                      \
	static void down_##n(void *arg, unsigned slot)                         \
	{                                                                      \
		step_down_n(arg, slot, n);                                     \
	}
STEP(0)
STEP(1)
STEP(2)
STEP(3)

static const struct crew_step steps[] = {
	{"test:zero", up_0, down_0},  {"test:one", up_1, down_1},
	{"test:nothing", NULL, NULL}, {"test:two", up_2, down_2},
	{"test:three", up_3, down_3},
};

static void run(void *arg, unsigned slot)
{
	struct world *w = arg;
	struct pollfd leave = {.fd = crew_leave_fd(w->crew, slot),
			       .events = POLLIN};

	if (atomic_load(&w->passed[slot]) != STEPS ||
	    atomic_fetch_add(&w->running[slot], 1) != 0)
		atomic_fetch_add(&w->disorder, 1);
	while (!crew_leaving(w->crew, slot) && !atomic_load(&w->over) &&
	       atomic_load(&w->end_one) != (int)slot)
		poll(&leave, 1, 1);
	atomic_fetch_sub(&w->running[slot], 1);
}

static const struct crew_ops ops = {steps, ARRAY_SIZE(steps), run};

static int setup(void **state)
{
	struct world *w = heap_zalloc(1, sizeof(*w));

	atomic_store(&w->fail_step, -1);
	atomic_store(&w->pause_step, -1);
	atomic_store(&w->end_one, -1);
	assert_int_equal(crew_new(&ops, w, &w->crew), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	crew_stop(w->crew);
	crew_free(w->crew);
	assert_int_equal(atomic_load(&w->disorder), 0);
	assert_int_equal(atomic_load(&w->ups), atomic_load(&w->downs));
	heap_free(w);
	return 0;
}

static enum crew_slot_state state_of(struct world *w, unsigned slot)
{
	return crew_slot_info(w->crew, slot).state;
}

static void wait_for_state(struct world *w, unsigned slot,
			   enum crew_slot_state wanted)
{
	while (state_of(w, slot) != wanted)
		sched_yield();
}

static void test_crew_lowest_up_highest_down(void **state)
{
	struct world *w = *state;

	assert_int_equal(crew_count(w->crew), 0);
	assert_int_equal(crew_set(w->crew, 3), 0);
	assert_int_equal(crew_count(w->crew), 3);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(state_of(w, i),
				 i < 3 ? CREW_RUNNING : CREW_OFFLINE);
	assert_int_equal(crew_change(w->crew, -2), 0);
	assert_int_equal(state_of(w, 0), CREW_RUNNING);
	assert_int_equal(state_of(w, 1), CREW_OFFLINE);
	assert_int_equal(crew_change(w->crew, 1), 0);
	assert_int_equal(state_of(w, 1), CREW_RUNNING);
	assert_int_equal(crew_slot_info(w->crew, 1).times_up, 2);
	assert_int_equal(crew_set(w->crew, 2), 0);
	assert_int_equal(atomic_load(&w->ups), 4 * STEPS);
}

static void test_crew_all_64(void **state)
{
	struct world *w = *state;

	assert_int_equal(crew_set(w->crew, CREW_MAX + 1), -EINVAL);
	assert_int_equal(crew_set(w->crew, CREW_MAX), 0);
	assert_int_equal(crew_change(w->crew, 1), -EINVAL);
	assert_int_equal(crew_change(w->crew, INT32_MAX), -EINVAL);
	assert_int_equal(crew_count(w->crew), CREW_MAX);
	assert_int_equal(crew_set(w->crew, 1), 0);
}

static void test_last_worker_stays(void **state)
{
	struct world *w = *state;

	assert_int_equal(crew_set(w->crew, 2), 0);
	assert_int_equal(crew_set(w->crew, 0), -EBUSY);
	assert_int_equal(crew_change(w->crew, -2), -EBUSY);
	assert_int_equal(crew_change(w->crew, INT32_MIN), -EBUSY);
	assert_int_equal(crew_count(w->crew), 2);
	assert_int_equal(crew_change(w->crew, -1), 0);
	assert_int_equal(crew_change(w->crew, -1), -EBUSY);
	assert_int_equal(state_of(w, 0), CREW_RUNNING);
}

/* The thread is what the header says: named, no signal, its id told. */
static void test_crew_thread_is_dressed(void **state)
{
	struct world *w = *state;
	char path[64], text[4096], *p;
	pid_t tid;
	FILE *f;

	assert_int_equal(crew_set(w->crew, 2), 0);
	tid = crew_slot_info(w->crew, 1).tid;
	assert_int_not_equal(tid, 0);
	assert_int_not_equal(tid, gettid());
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "Name:\tfoldfs/1\n"));
	p = strstr(text, "SigBlk:\t");
	assert_non_null(p);
	/* All but SIGKILL, SIGSTOP and the two of the C library. */
	assert_true((strtoull(p + 8, NULL, 16) | UINT64_C(0x180040100)) ==
		    UINT64_MAX);
	assert_int_equal(crew_set(w->crew, 1), 0);
	assert_int_equal(crew_slot_info(w->crew, 1).tid, 0);
	/* And the requester's own mask is as it was. */
	{
		sigset_t mask;

		pthread_sigmask(SIG_SETMASK, NULL, &mask);
		assert_int_equal(sigismember(&mask, SIGTERM), 0);
	}
}

/* A slot's second worker must not find the first one's notice. */
static void test_crew_leave_notice_is_taken_back(void **state)
{
	struct world *w = *state;
	struct pollfd leave;

	assert_int_equal(crew_set(w->crew, 2), 0);
	leave = (struct pollfd){.fd = crew_leave_fd(w->crew, 1),
				.events = POLLIN};
	assert_int_equal(poll(&leave, 1, 0), 0);
	assert_int_equal(crew_set(w->crew, 1), 0);
	assert_int_equal(crew_set(w->crew, 2), 0);
	assert_int_equal(poll(&leave, 1, 0), 0);
	assert_false(crew_leaving(w->crew, 1));
	crew_stop(w->crew);
	assert_int_equal(crew_leave_fd(w->crew, 1), leave.fd);
}

static unsigned fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Coming and going leaves nothing behind. */
static void test_up_down_many_times(void **state)
{
	struct world *w = *state;
	unsigned fds;
	size_t heap;

	assert_int_equal(crew_set(w->crew, 1), 0);
	assert_int_equal(crew_set(w->crew, 2), 0);
	assert_int_equal(crew_set(w->crew, 1), 0);
	fds = fds_open();
	heap = heap_resident_bytes();
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t calls = heap_calls();

		assert_int_equal(crew_change(w->crew, 1), 0);
		assert_int_equal(crew_change(w->crew, -1), 0);
		assert_true(heap_calls() == calls);
	}
	assert_int_equal(crew_slot_info(w->crew, 1).times_up, 1001);
	assert_int_equal(fds_open(), fds);
	assert_true(heap_resident_bytes() <= heap + (4 << 20));
}

/* The k-th step fails for every k: exactly what was built is undone. */
static void test_every_step_fails(void **state)
{
	static const char *const names[STEPS] = {"test:zero", "test:one",
						 "test:two", "test:three"};
	struct world *w = *state;

	assert_int_equal(crew_set(w->crew, 2), 0);
	for (int k = 0; k < STEPS; k++) {
		unsigned ups = atomic_load(&w->ups);

		atomic_store(&w->fail_step, k);
		assert_int_equal(crew_change(w->crew, 2), -EIO);
		assert_int_equal(atomic_load(&w->ups), ups + (unsigned)k);
		assert_int_equal(atomic_load(&w->passed[2]), 0);
		assert_int_equal(state_of(w, 2), CREW_OFFLINE);
		assert_int_equal(crew_count(w->crew), 2);
		assert_string_equal(crew_slot_info(w->crew, 2).failed_step,
				    names[k]);
		assert_int_equal(crew_slot_info(w->crew, 2).failed_with, -EIO);
	}
	atomic_store(&w->fail_step, -1);
	assert_int_equal(crew_change(w->crew, 2), 0);
	assert_int_equal(crew_count(w->crew), 4);
	assert_null(crew_slot_info(w->crew, 2).failed_step);
	assert_int_equal(crew_slot_info(w->crew, 2).failed_with, 0);
}

#if !SANITIZED
/* Ours stands before the C library's; sanitizers have one there already. */
static _Atomic bool fail_thread;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
		   void *(*start)(void *), void *arg)
{
	typedef int create_fn(pthread_t *, const pthread_attr_t *,
			      void *(*)(void *), void *);
	create_fn *next;

	if (atomic_load(&fail_thread))
		return EAGAIN;
	*(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
	return next(thread, attr, start, arg);
}

/* The last step is the thread. */
static void test_thread_fails(void **state)
{
	struct world *w = *state;

	atomic_store(&fail_thread, true);
	assert_int_equal(crew_set(w->crew, 1), -EAGAIN);
	atomic_store(&fail_thread, false);
	assert_int_equal(state_of(w, 0), CREW_OFFLINE);
	assert_string_equal(crew_slot_info(w->crew, 0).failed_step,
			    "crew:thread");
	assert_int_equal(atomic_load(&w->ups), STEPS);
	assert_int_equal(atomic_load(&w->downs), STEPS);
	assert_int_equal(crew_set(w->crew, 1), 0);
}
#endif

static void test_crew_new_without_descriptors(void **state)
{
	struct rlimit before, few;
	struct crew *crew = NULL;
	unsigned fds = fds_open();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = fds + 20;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(crew_new(&ops, NULL, &crew), -EMFILE);
	assert_null(crew);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(fds_open(), fds);
	heap_fail_nth(1);
	assert_int_equal(crew_new(&ops, NULL, &crew), -ENOMEM);
	heap_fail_nth(0);
}

/* --- ends --- */

static void test_crew_one_ends_by_itself(void **state)
{
	struct world *w = *state;

	assert_int_equal(crew_set(w->crew, 3), 0);
	atomic_store(&w->end_one, 1);
	wait_for_state(w, 1, CREW_ENDED);
	assert_int_equal(crew_slot_info(w->crew, 1).tid, 0);
	assert_int_equal(crew_count(w->crew), 2);
	/* Its steps are still up until the next change takes them down. */
	assert_int_equal(atomic_load(&w->passed[1]), STEPS);
	atomic_store(&w->end_one, -1);
	assert_int_equal(crew_set(w->crew, 3), 0);
	assert_int_equal(state_of(w, 1), CREW_RUNNING);
	assert_int_equal(crew_slot_info(w->crew, 1).times_up, 2);
}

static void test_crew_session_over_ends_all(void **state)
{
	struct world *w = *state;

	assert_int_equal(crew_set(w->crew, 4), 0);
	atomic_store(&w->over, true);
	crew_wait_ended(w->crew);
	assert_int_equal(crew_count(w->crew), 0);
	/* A change after that ends, although no worker stays. */
	assert_int_equal(crew_set(w->crew, 2), 0);
	crew_wait_ended(w->crew);
	crew_stop(w->crew);
	for (unsigned i = 0; i < CREW_MAX; i++)
		assert_int_equal(state_of(w, i), CREW_OFFLINE);
}

static void test_crew_stop_is_final_and_idempotent(void **state)
{
	struct world *w = *state;

	assert_int_equal(crew_set(w->crew, 3), 0);
	crew_stop(w->crew);
	assert_int_equal(crew_count(w->crew), 0);
	assert_int_equal(crew_set(w->crew, 1), -ESHUTDOWN);
	assert_int_equal(crew_change(w->crew, 1), -ESHUTDOWN);
	crew_stop(w->crew);
	crew_wait_ended(w->crew);
	assert_int_equal(atomic_load(&w->downs), 3 * STEPS);
}

/* --- the end races with an add --- */

static void *add_main(void *arg)
{
	struct world *w = arg;

	return crew_set(w->crew, 4) == -ESHUTDOWN ? NULL : w;
}

static void *stop_main(void *arg)
{
	crew_stop(((struct world *)arg)->crew);
	return NULL;
}

/* Forced: an add stands in step @k when the stop comes. */
static void stop_in_step(struct world *w, int k)
{
	pthread_t adder, stopper;
	void *bad;

	atomic_store(&w->pause_step, k);
	assert_int_equal(pthread_create(&adder, NULL, add_main, w), 0);
	while (!atomic_load(&w->paused))
		sched_yield();
	assert_int_equal(state_of(w, 0), CREW_COMING);
	assert_int_equal(pthread_create(&stopper, NULL, stop_main, w), 0);
	/* Stopping is known once nobody waits for workers any more. */
	crew_wait_ended(w->crew);
	atomic_store(&w->pause_step, -1);
	pthread_join(adder, &bad);
	pthread_join(stopper, NULL);
	assert_null(bad);
	assert_int_equal(atomic_load(&w->ups), k + 1);
	assert_int_equal(state_of(w, 0), CREW_OFFLINE);
}

static void test_stop_while_a_step_goes_up(void **state)
{
	struct world *w = *state;

	stop_in_step(w, 2);
	assert_int_equal(crew_slot_info(w->crew, 0).times_up, 0);
}

/* Too late not to begin the thread: it is told as it begins. */
static void test_stop_before_the_thread_runs(void **state)
{
	struct world *w = *state;

	stop_in_step(w, 3);
	assert_int_equal(crew_slot_info(w->crew, 0).times_up, 1);
}

static void *churn_main(void *arg)
{
	struct world *w = arg;
	unsigned seed = (unsigned)gettid();
	int r = 0;

	while (r != -ESHUTDOWN) {
		r = rand_r(&seed) % 2
			    ? crew_set(w->crew, 1 + rand_r(&seed) % 6)
			    : crew_change(w->crew, rand_r(&seed) % 7 - 3);
		if (r != 0 && r != -EBUSY && r != -EIO && r != -ESHUTDOWN)
			atomic_fetch_add(&w->disorder, 1);
	}
	return NULL;
}

/* Changes, failures, ends and readers, then a stop amid them. */
static void test_storm_of_changes(void **state)
{
	struct world *w = *state;
	pthread_t threads[2];

	assert_int_equal(crew_set(w->crew, 1), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, churn_main, w), 0);
	for (unsigned i = 0; atomic_load(&w->downs) < 400 * STEPS; i++) {
		atomic_store(&w->fail_step,
			     i % 50 == 0 ? (int)(i / 50 % 4) : -1);
		atomic_store(&w->end_one, i % 40 == 7 ? (int)(i / 40 % 3) : -1);
		(void)crew_count(w->crew);
		(void)crew_slot_info(w->crew, i % CREW_MAX);
		sched_yield();
	}
	crew_stop(w->crew);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crew_count(w->crew), 0);
}

/* --- a worker must not change its own crew --- */

static void run_and_change(void *arg, unsigned slot)
{
	struct world *w = arg;

	(void)slot;
	(void)!crew_set(w->crew, 2);
}

static void test_crew_change_from_a_worker_is_a_bug(void **state)
{
	static const struct crew_ops bad_ops = {NULL, 0, run_and_change};
	struct world w = {0};
	pid_t pid;
	int status;

	(void)state;
	assert_false(crew_in_worker());
	pid = fork();
	if (pid == 0) {
		struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr) ||
		    crew_new(&bad_ops, &w, &w.crew) != 0)
			_exit(1);
		(void)!crew_set(w.crew, 1);
		crew_wait_ended(w.crew);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_crew_states_have_names(void **state)
{
	(void)state;
	assert_string_equal(crew_state_name(CREW_OFFLINE), "offline");
	assert_string_equal(crew_state_name(CREW_ENDED), "ended");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_crew_lowest_up_highest_down),
		TEST(test_crew_all_64),
		TEST(test_last_worker_stays),
		TEST(test_crew_thread_is_dressed),
		TEST(test_crew_leave_notice_is_taken_back),
		TEST(test_up_down_many_times),
		TEST(test_every_step_fails),
#if !SANITIZED
		TEST(test_thread_fails),
#endif
		cmocka_unit_test(test_crew_new_without_descriptors),
		TEST(test_crew_one_ends_by_itself),
		TEST(test_crew_session_over_ends_all),
		TEST(test_crew_stop_is_final_and_idempotent),
		TEST(test_stop_while_a_step_goes_up),
		TEST(test_stop_before_the_thread_runs),
		TEST(test_storm_of_changes),
		cmocka_unit_test(test_crew_change_from_a_worker_is_a_bug),
		cmocka_unit_test(test_crew_states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
