/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many workers workers=auto wants: up quickly under backlog, down slowly
 * when idle. Pure: no clock, no lock, no system call of its own.
 *
 * Whoever asks takes a sample now and then (10 to 1000 ms apart), gives it to
 * policy_step() and hands the answer to crew_set(). Between the load that
 * calls for one more worker and the load that lets one go lies a gap, so a
 * steady load never makes the number swing.
 */
#ifndef SRC_CREW_POLICY_H
#define SRC_CREW_POLICY_H

#include <stdint.h>

/* Up: this share of the workers' time was spent on requests, or requests
 * were found waiting, in this many samples one after the other. */
#define POLICY_BUSY_PERMILLE 850u
#define POLICY_UP_SAMPLES 2u
/* Down: one worker less would be at most this busy, and nothing waited, all
 * of this time. */
#define POLICY_CALM_PERMILLE 600u
#define POLICY_CALM_NS (UINT64_C(10) * 1000000000)

struct policy_sample {
	uint64_t now_ns;
	unsigned cpus;          /* that the process may use, from cpus.h */
	unsigned running;       /* workers now */
	unsigned busy_permille; /* of their time since the last sample */
	unsigned backlog;       /* requests seen waiting, 0 if unknown */
};

struct policy {
	unsigned pressed;       /* samples under load, one after the other */
	uint64_t calm_since_ns; /* 0: not calm */
};

/*
 * The number of workers to have now, 1 to @most (itself at most the CPUs,
 * except that one is always allowed). Changes at most to the double upwards,
 * by one downwards; a limit that fell below what runs is obeyed at once.
 */
unsigned policy_step(struct policy *policy, const struct policy_sample *sample,
		     unsigned most);

#endif
