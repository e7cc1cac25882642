/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers=auto: looks at how busy the workers are.
 *
 * Busy is the CPU time that a worker's thread took, read from its clock by
 * this thread: no request pays for it.
 */
#include "fs/autoscale.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "crew/cpus.h"
#include "crew/policy.h"
#include <errno.h>
#include <string.h>

/* More workers than this by itself would only queue at memory. */
#define FIRST_MOST 4u
#define CPUS_AGE_NS (5 * NS_PER_S)

struct autoscale {
	_Atomic bool on;
	/* The later thread's own. */
	struct policy policy;
	uint64_t last_ns;
	uint64_t last_cpu_ns[CREW_MAX];
	uint64_t cpus_at_ns; /* when `cpus` was looked up: it reads files */
	unsigned cpus;
};

int autoscale_new(struct fs *fs, struct autoscale **ret)
{
	struct autoscale *a = heap_zalloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	atomic_init(&a->on,
		    autoscale_is_possible(fs) && fs->config->workers == 0);
	a->last_ns = clock_ns();
	*ret = a;
	return 0;
}

void autoscale_free(struct autoscale *a)
{
	heap_free(a);
}

/* To make a thread takes memory, and more workers are wanted when there is
 * none. */
bool autoscale_is_possible(const struct fs *fs)
{
	return fs->config->profile != FS_PROFILE_SWAP && !fs->rings;
}

/* Of swap one may have to wait for a lock that another holds: never one. */
unsigned autoscale_first(const struct fs_config *config)
{
	unsigned cpus = cpus_allowed();

	if (config->profile == FS_PROFILE_SWAP && cpus < 2)
		cpus = 2;
	return cpus < FIRST_MOST ? cpus : FIRST_MOST;
}

void autoscale_set(struct autoscale *a, bool on)
{
	atomic_store_explicit(&a->on, on, memory_order_relaxed);
}

bool autoscale_is_on(const struct autoscale *a)
{
	return atomic_load_explicit(&a->on, memory_order_relaxed);
}

/* CPU time of a slot's thread; 0 when it has none (any more). */
static uint64_t cpu_ns(struct worker *w)
{
	clockid_t clock =
		atomic_load_explicit(&w->cpu_clock, memory_order_relaxed);
	struct timespec ts;

	if (clock == 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* CPU time of all since the last call; a slot that was restarted counts from
 * its start. */
static uint64_t cpu_taken(struct fs *fs, struct autoscale *a)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CREW_MAX; i++) {
		uint64_t now = cpu_ns(&fs->worker[i]);
		uint64_t last = a->last_cpu_ns[i];

		sum += now >= last ? now - last : now;
		a->last_cpu_ns[i] = now;
	}
	return sum;
}

static unsigned cpus_now(struct autoscale *a, uint64_t now_ns)
{
	if (a->cpus == 0 || now_ns - a->cpus_at_ns >= CPUS_AGE_NS) {
		a->cpus = cpus_allowed();
		a->cpus_at_ns = now_ns;
	}
	return a->cpus;
}

void autoscale_step(struct fs *fs)
{
	struct autoscale *a = fs->autoscale;
	uint64_t now_ns = clock_ns();
	uint64_t passed_ns = now_ns - a->last_ns;
	struct policy_sample sample;
	uint64_t taken_ns, busy;
	unsigned target;
	int r;

	if (passed_ns < AUTOSCALE_INTERVAL_NS / 2)
		return;
	a->last_ns = now_ns;
	taken_ns = cpu_taken(fs, a);
	sample = (struct policy_sample){
		.now_ns = now_ns,
		.running = crew_count(fs->crew),
	};
	sample.cpus = cpus_now(a, now_ns);
	share_cpus(fs->engine.share, sample.cpus);
	/* A large request that found too few workers is work that waits. */
	sample.backlog = share_was_wanted(fs->engine.share);
	if (!autoscale_is_on(a) || sample.running == 0)
		return;
	busy = taken_ns * 1000 / (passed_ns * sample.running);
	sample.busy_permille = busy < 1000 ? (unsigned)busy : 1000;
	target = policy_step(&a->policy, &sample, CREW_MAX);
	if (target == sample.running)
		return;
	r = crew_set(fs->crew, target);
	/* Without room in mem_limit there are as many as there are. */
	if (r && r != -ESHUTDOWN && r != -ENOSPC)
		log_limited(LOG_AT_WARNING, "cannot bring workers to %u: %s",
			    target, strerror(-r));
}
