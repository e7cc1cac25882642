/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many workers workers=auto wants. */
#include "crew/policy.h"
#include <stdbool.h>

static unsigned ceiling(const struct policy_sample *sample, unsigned most)
{
	unsigned n = sample->cpus < most ? sample->cpus : most;

	return n > 0 ? n : 1;
}

static bool is_pressed(const struct policy_sample *sample)
{
	return sample->backlog > 0 ||
	       sample->busy_permille >= POLICY_BUSY_PERMILLE;
}

/* The same work on one worker less: would that be calm? */
static bool is_calm(const struct policy_sample *sample)
{
	uint64_t work = (uint64_t)sample->busy_permille * sample->running;

	return sample->backlog == 0 && sample->running > 1 &&
	       work <= (uint64_t)POLICY_CALM_PERMILLE * (sample->running - 1);
}

static unsigned go_up(struct policy *policy, unsigned running, unsigned limit)
{
	*policy = (struct policy){0};
	return running < limit - running ? 2 * running : limit;
}

unsigned policy_step(struct policy *policy, const struct policy_sample *sample,
		     unsigned most)
{
	unsigned limit = ceiling(sample, most);
	unsigned running = sample->running;

	if (running == 0 || running > limit) {
		*policy = (struct policy){0};
		return running == 0 ? 1 : limit;
	}
	if (is_pressed(sample)) {
		policy->calm_since_ns = 0;
		policy->pressed++;
		if (policy->pressed < POLICY_UP_SAMPLES)
			return running;
		return go_up(policy, running, limit);
	}
	policy->pressed = 0;
	if (!is_calm(sample)) {
		policy->calm_since_ns = 0;
		return running;
	}
	if (policy->calm_since_ns == 0)
		policy->calm_since_ns = sample->now_ns;
	if (sample->now_ns - policy->calm_since_ns < POLICY_CALM_NS)
		return running;
	/* The next one to go has its own time of calm to wait for. */
	policy->calm_since_ns = sample->now_ns;
	return running - 1;
}
