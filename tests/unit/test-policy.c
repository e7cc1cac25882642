/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the policy for workers=auto and of the count of CPUs. */
#include "base/compiler.h"
#include "crew/cpus.h"
#include "crew/policy.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

/* A load of @work_permille CPUs of work, on whatever workers there are. */
struct sim {
	struct policy policy;
	uint64_t now_ns;
	unsigned cpus, most, running;
	unsigned changes;
};

static void sim_step(struct sim *sim, unsigned work_permille, unsigned backlog,
		     uint64_t step_ns)
{
	unsigned capacity = sim->running * 1000, target;
	struct policy_sample sample = {
		.now_ns = sim->now_ns += step_ns,
		.cpus = sim->cpus,
		.running = sim->running,
		.busy_permille = work_permille >= capacity
					 ? 1000
					 : work_permille / sim->running,
		.backlog = backlog,
	};

	target = policy_step(&sim->policy, &sample, sim->most);
	sim->changes += target != sim->running;
	sim->running = target;
}

static void test_policy_up_quickly(void **state)
{
	struct sim sim = {.cpus = 16, .most = 64, .running = 1};
	unsigned steps = 0;

	(void)state;
	while (sim.running < 16) {
		sim_step(&sim, 16000, 0, 10 * MS);
		assert_true(++steps <= 8);
	}
	/* And stays there: never above the CPUs. */
	for (unsigned i = 0; i < 100; i++)
		sim_step(&sim, 64000, 9, 10 * MS);
	assert_int_equal(sim.running, 16);
	assert_int_equal(sim.changes, 4);
}

static void test_policy_backlog_counts_as_load(void **state)
{
	struct sim sim = {.cpus = 8, .most = 8, .running = 2};

	(void)state;
	sim_step(&sim, 100, 3, 10 * MS);
	assert_int_equal(sim.running, 2);
	sim_step(&sim, 100, 3, 10 * MS);
	assert_int_equal(sim.running, 4);
}

/* One busy sample between calm ones is no load. */
static void test_policy_single_peak_changes_nothing(void **state)
{
	struct sim sim = {.cpus = 8, .most = 8, .running = 2};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		sim_step(&sim, i % 2 ? 2000 : 1300, 0, 10 * MS);
	assert_int_equal(sim.changes, 0);
}

static void test_policy_down_slowly_one_by_one(void **state)
{
	struct sim sim = {.cpus = 8, .most = 8, .running = 8};
	uint64_t last_ns = 0;
	unsigned last = 8;

	(void)state;
	while (sim.now_ns < 200 * 1000 * MS) {
		sim_step(&sim, 10, 0, 100 * MS);
		if (sim.running == last)
			continue;
		assert_int_equal(sim.running, last - 1);
		assert_true(sim.now_ns - last_ns >= POLICY_CALM_NS);
		last = sim.running;
		last_ns = sim.now_ns;
	}
	/* The last one stays. */
	assert_int_equal(sim.running, 1);
}

static void test_policy_any_load_restarts_the_wait(void **state)
{
	struct sim sim = {.cpus = 4, .most = 4, .running = 4};

	(void)state;
	for (unsigned i = 1; i < 1000; i++)
		sim_step(&sim, i % 90 ? 0 : 3000, 0, 100 * MS);
	assert_int_equal(sim.running, 4);
}

/* Hysteresis: whatever the steady load, it settles and then stays. */
static void test_policy_steady_load_never_swings(void **state)
{
	(void)state;
	for (unsigned work = 0; work <= 9000; work += 25) {
		struct sim sim = {.cpus = 8, .most = 8, .running = 1};
		unsigned settled, changes;

		for (unsigned i = 0; i < 2000; i++)
			sim_step(&sim, work, 0, 100 * MS);
		settled = sim.running;
		changes = sim.changes;
		for (unsigned i = 0; i < 2000; i++)
			sim_step(&sim, work, 0, 100 * MS);
		assert_int_equal(sim.running, settled);
		assert_int_equal(sim.changes, changes);
		/* Enough of them, as far as there are CPUs. */
		assert_true(settled == 8 || settled * 1000 >= work);
	}
}

static void test_policy_obeys_limits_at_once(void **state)
{
	struct sim sim = {.cpus = 8, .most = 64, .running = 8};

	(void)state;
	sim.cpus = 3;
	sim_step(&sim, 8000, 9, 10 * MS);
	assert_int_equal(sim.running, 3);
	sim.most = 2;
	sim_step(&sim, 8000, 9, 10 * MS);
	assert_int_equal(sim.running, 2);
	sim.cpus = 0;
	sim_step(&sim, 8000, 9, 10 * MS);
	assert_int_equal(sim.running, 1);
	sim.running = 0;
	sim_step(&sim, 0, 0, 10 * MS);
	assert_int_equal(sim.running, 1);
}

/* --- CPUs --- */

static char root[64];

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test-policy-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	for (const char *p = dir; (p = strchr(p, '/')); p++) {
		snprintf(path, sizeof(path), "%s/%.*s", root, (int)(p - dir),
			 dir);
		mkdir(path, 0700);
	}
	snprintf(path, sizeof(path), "%s/%s%s", root, dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static unsigned quota(const char *proc_cgroup)
{
	char path[512];

	put_file("", "cgroup", proc_cgroup);
	snprintf(path, sizeof(path), "%s/cgroup", root);
	return cpus_of_quota(path, root);
}

static void test_cpus_v2_smallest_on_the_path(void **state)
{
	(void)state;
	put_file("a/b/", "cpu.max", "max 100000\n");
	assert_int_equal(quota("0::/a/b\n"), 0);
	put_file("a/", "cpu.max", "350000 100000\n");
	assert_int_equal(quota("0::/a/b\n"), 4);
	put_file("a/b/", "cpu.max", "50000 100000\n");
	assert_int_equal(quota("0::/a/b\n"), 1);
	assert_int_equal(quota("0::/a\n"), 4);
	/* A container's path that is not mounted here: the root counts. */
	put_file("", "cpu.max", "200000 100000\n");
	assert_int_equal(quota("0::/elsewhere/deep\n"), 2);
	assert_int_equal(quota("0::/\n"), 2);
}

static void test_cpus_v1_controller_among_others(void **state)
{
	(void)state;
	put_file("cpu,cpuacct/x/", "cpu.cfs_quota_us", "-1\n");
	put_file("cpu,cpuacct/x/", "cpu.cfs_period_us", "100000\n");
	assert_int_equal(quota("5:cpuset:/x\n4:cpu,cpuacct:/x\n"), 0);
	put_file("cpu,cpuacct/x/", "cpu.cfs_quota_us", "200001\n");
	assert_int_equal(quota("5:cpuset:/x\n4:cpu,cpuacct:/x\n"), 3);
	assert_int_equal(quota("4:cpuset,cpuacct:/x\n"), 0);
}

static void test_cpus_odd_files_are_no_limit(void **state)
{
	static const char *const odd[] = {
		"", "\n", "max", "0 0\n", "-5 100000\n", "100000 0\n", "x y\n"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		put_file("", "cpu.max", odd[i]);
		assert_int_equal(quota("0::/\n"), 0);
	}
	assert_int_equal(quota("nonsense\n:\n::\n"), 0);
	assert_int_equal(cpus_of_quota("/nonexistent", root), 0);
}

static void test_cpus_follow_affinity(void **state)
{
	cpu_set_t before, one;
	int cpu;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_in_range(cpus_allowed(), 1, (unsigned)CPU_COUNT(&before));
	for (cpu = 0; !CPU_ISSET(cpu, &before); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(cpus_allowed(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

#define ROOTED(name)                                                           \
	cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_up_quickly),
		cmocka_unit_test(test_policy_backlog_counts_as_load),
		cmocka_unit_test(test_policy_single_peak_changes_nothing),
		cmocka_unit_test(test_policy_down_slowly_one_by_one),
		cmocka_unit_test(test_policy_any_load_restarts_the_wait),
		cmocka_unit_test(test_policy_steady_load_never_swings),
		cmocka_unit_test(test_policy_obeys_limits_at_once),
		ROOTED(test_cpus_v2_smallest_on_the_path),
		ROOTED(test_cpus_v1_controller_among_others),
		ROOTED(test_cpus_odd_files_are_no_limit),
		cmocka_unit_test(test_cpus_follow_affinity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
