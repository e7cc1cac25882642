/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clock hand of ages. */
#include "fs/spill_clock.h"
#include "base/clock.h"

#define TICK_MOST_NS (60 * NS_PER_S)
#define TICK_LEAST_PAGES 128u
/* A walk may take one part in so many of the time. */
#define WALK_PART 20u
/* A clock that is so many ticks late takes more: to read or write so much takes
 * longer than a walk. */
#define LATE_TICKS 4u
#define NOT_KNOWN ((unsigned)ENTRY_AGE_MAX + 1)

static uint64_t ticked_ns(const struct spill_clock *clock, uint64_t tick)
{
	return clock->ticked_ns[tick % ARRAY_SIZE(clock->ticked_ns)];
}

void spill_clock_init(struct spill_clock *clock, uint64_t now_ns)
{
	*clock = (struct spill_clock){.not_before_ns = now_ns};
	clock->ticked_ns[0] = now_ns;
}

uint64_t spill_clock_pages(uint64_t ram_pages)
{
	uint64_t pages = ram_pages / 16;

	return pages < TICK_LEAST_PAGES ? TICK_LEAST_PAGES : pages;
}

bool spill_clock_due(const struct spill_clock *clock, uint64_t now_ns,
		     bool walks_anyway, uint64_t missed_pages,
		     uint64_t ram_pages)
{
	uint64_t pages = spill_clock_pages(ram_pages);
	uint64_t missed = missed_pages - clock->missed_pages;

	if (!walks_anyway && now_ns < clock->not_before_ns &&
	    missed < pages * LATE_TICKS)
		return false;
	return missed >= pages ||
	       now_ns - ticked_ns(clock, clock->ticks) >= TICK_MOST_NS;
}

void spill_clock_ticked(struct spill_clock *clock, uint64_t begun_ns,
			uint64_t now_ns, uint64_t missed_pages)
{
	clock->ticks++;
	clock->ticked_ns[clock->ticks % ARRAY_SIZE(clock->ticked_ns)] = now_ns;
	clock->not_before_ns = now_ns + (now_ns - begun_ns) * WALK_PART;
	clock->missed_pages = missed_pages;
}

/* A page of age n was last touched before the n-th last tick, and not before
 * the one before that. */
unsigned spill_clock_age(const struct spill_clock *clock, uint64_t now_ns,
			 uint64_t seconds)
{
	for (unsigned age = 1; age <= ENTRY_AGE_MAX && age <= clock->ticks;
	     age++) {
		uint64_t tick = clock->ticks - age + 1;

		if ((now_ns - ticked_ns(clock, tick)) / NS_PER_S >= seconds)
			return age;
	}
	return NOT_KNOWN;
}

void spill_clock_mark_idle(struct spill_clock *clock, unsigned age)
{
	uint64_t epoch;

	if (age > ENTRY_AGE_MAX || age > clock->ticks)
		return;
	epoch = clock->ticks - age;
	if (!clock->any_idle || epoch > clock->idle_epoch)
		clock->idle_epoch = epoch;
	clock->any_idle = true;
}

unsigned spill_clock_idle_age(const struct spill_clock *clock)
{
	uint64_t age = clock->ticks - clock->idle_epoch;

	if (!clock->any_idle)
		return NOT_KNOWN;
	return age > ENTRY_AGE_MAX ? ENTRY_AGE_MAX : (unsigned)age;
}
