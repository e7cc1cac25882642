/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop that fails each heap call in turn. */
#include "fault.h"
#include "base/heap.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More heap calls than any constructor makes: a loop that never ends. */
#define FAULTS_MAX 100000u

static void give_up(unsigned n, int r, const char *wanted)
{
	heap_fail_nth(0);
	fprintf(stderr, "fault: with heap call %u failing: got %s, wanted %s\n",
		n, r < 0 ? strerror(-r) : "success", wanted);
	abort();
}

static unsigned run(int (*attempt)(void *arg), void *arg, bool may_survive)
{
	for (unsigned n = 1; n < FAULTS_MAX; n++) {
		bool hit;
		int r;

		heap_fail_nth(n);
		r = attempt(arg);
		hit = heap_fault_hit();
		heap_fail_nth(0);
		if (!hit && r != 0)
			give_up(n, r, "success: no fault was met");
		if (!hit)
			return n - 1;
		if (r != -ENOMEM && !(may_survive && r == 0))
			give_up(n, r, "ENOMEM");
	}
	give_up(FAULTS_MAX, 0, "an end");
	return 0;
}

unsigned fault_each_alloc(int (*attempt)(void *arg), void *arg)
{
	return run(attempt, arg, false);
}

unsigned fault_each_alloc_may_survive(int (*attempt)(void *arg), void *arg)
{
	return run(attempt, arg, true);
}
