/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock hand of ages: when it ticks, and what an age is in seconds.
 *
 * A tick makes every page one older (store_age_body()), and 15 ticks are all
 * that an age can count. So they must neither come so slowly that all that was
 * written since is equally young, nor so fast that all is equally old. What
 * tells cold from hot is how much else has been asked for since it was touched,
 * and was not there: a tick comes when as many pages as a sixteenth of those in RAM
 * have been written, or read from the disk, or a minute after the last one.
 * Reads must count whether they bring anything back or not: else a scan that is
 * repeated takes no time. Walking over all pages for a tick may take a twentieth
 * of the time; more only when four ticks are due.
 *
 * No lock of its own; no walk here.
 */
#ifndef SRC_FS_SPILL_CLOCK_H
#define SRC_FS_SPILL_CLOCK_H

#include "base/compiler.h"
#include "store/entry.h"
#include <stdbool.h>
#include <stdint.h>

struct spill_clock {
	uint64_t ticks;
	uint64_t ticked_ns[ENTRY_AGE_MAX + 1]; /* by ticks % 16 */
	uint64_t not_before_ns;
	uint64_t missed_pages; /* at the last tick */
	uint64_t idle_epoch;   /* pages not touched after this tick are idle */
	bool any_idle;
};

void spill_clock_init(struct spill_clock *clock, uint64_t now_ns);
/* Pages from one tick to the next when @ram_pages are in RAM. */
uint64_t spill_clock_pages(uint64_t ram_pages);
/* @missed_pages: written to RAM or read from the disk since the start;
 * @ram_pages: there now; @walks_anyway: one more walk matters less than right
 * ages. */
bool spill_clock_due(const struct spill_clock *clock, uint64_t now_ns,
		     bool walks_anyway, uint64_t missed_pages,
		     uint64_t ram_pages);
/* A tick that took from @begun_ns to @now_ns. */
void spill_clock_ticked(struct spill_clock *clock, uint64_t begun_ns,
			uint64_t now_ns, uint64_t missed_pages);

/* The least age of pages that have not been touched for @seconds; above
 * ENTRY_AGE_MAX: nothing is known to be as old. */
unsigned spill_clock_age(const struct spill_clock *clock, uint64_t now_ns,
			 uint64_t seconds);
/* Pages that are at least @age old, and are not touched from now on, are
 * idle; besides those that are so already. */
void spill_clock_mark_idle(struct spill_clock *clock, unsigned age);
/* The least age of idle pages, as above. */
unsigned spill_clock_idle_age(const struct spill_clock *clock);

#endif
