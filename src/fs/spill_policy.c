/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes to the backing file and when. */
#include "fs/spill_policy.h"
#include "base/budget.h"
#include "base/size.h"

/* Between the high mark and where new data is refused. */
#define MARK_ROOM_BYTES (256 * KIB)
#define STEP_LEAST_BYTES (512 * KIB)
#define STEP_MOST_BYTES (8 * MIB)
/* What is younger has been in use while a quarter of RAM was asked for. */
#define YOUNG_TICKS 4u
/* So few segments are not worth a thought. */
#define CLEAN_LEAST_SEGMENTS 4u
/* What cleaning writes to must be free while it goes on. */
#define NEAR_CAP_SEGMENTS 3u

struct spill_marks spill_marks(uint64_t limit_bytes, unsigned high,
			       unsigned low)
{
	/* Not by one product: limits of petabytes times 100. */
	struct spill_marks marks = {
		.high_bytes = limit_bytes / 100 * high,
		.low_bytes = limit_bytes / 100 * low,
	};
	uint64_t kept = BUDGET_RESERVE_BYTES + MARK_ROOM_BYTES;
	uint64_t most = limit_bytes > kept ? limit_bytes - kept : 0;

	if (marks.high_bytes > most)
		marks.high_bytes = most;
	if (marks.low_bytes > marks.high_bytes)
		marks.low_bytes = marks.high_bytes;
	return marks;
}

uint64_t spill_need(uint64_t used_bytes, uint64_t low_bytes)
{
	uint64_t need = used_bytes - low_bytes;

	return need < POOL_OBJECT_MAX ? POOL_OBJECT_MAX : need;
}

uint64_t spill_step_bytes(uint64_t limit_bytes)
{
	uint64_t bytes = limit_bytes / 16;

	if (bytes > STEP_MOST_BYTES)
		return STEP_MOST_BYTES;
	return bytes < STEP_LEAST_BYTES ? STEP_LEAST_BYTES : bytes;
}

bool spill_choose(const struct store_ages *ages, uint64_t need_bytes,
		  struct spill_pick *pick)
{
	uint64_t sum = 0;

	pick->min_age = SPILL_NONE;
	pick->raw_min_age = SPILL_NONE;
	for (unsigned i = 2 * SPILL_NONE; i-- > 0;) {
		unsigned age = i / 2;
		bool raw = i % 2 == 1;
		uint64_t bytes = raw ? ages->raw_bytes[age] : ages->bytes[age];

		if (sum != 0 && sum + bytes > need_bytes)
			return true;
		sum += bytes;
		if (raw)
			pick->raw_min_age = age;
		else
			pick->min_age = age;
	}
	return sum != 0;
}

bool spill_is_enough(const struct spill_marks *marks, uint64_t used_bytes,
		     const struct spill_pick *pick)
{
	uint64_t middle =
		marks->low_bytes + (marks->high_bytes - marks->low_bytes) / 2;

	return used_bytes <= middle && pick->min_age < YOUNG_TICKS &&
	       pick->raw_min_age < YOUNG_TICKS;
}

unsigned spill_promote_ticks(const struct store_ages *ages)
{
	uint64_t all = 0, cold = 0;
	unsigned age;

	for (age = 0; age <= ENTRY_AGE_MAX; age++)
		all += ages->bytes[age] + ages->raw_bytes[age];
	for (age = ENTRY_AGE_MAX; age > 1; age--) {
		cold += ages->bytes[age] + ages->raw_bytes[age];
		if (cold > all / 8)
			break;
	}
	return age < ENTRY_AGAIN_TICKS ? age : ENTRY_AGAIN_TICKS;
}

unsigned spill_clean_percent(const struct backing_stats *stats)
{
	uint64_t segments = stats->segments;
	uint64_t held = segments * BACKING_SEGMENT_BYTES;
	uint64_t waste =
		held > stats->live_bytes ? held - stats->live_bytes : 0;
	uint64_t cap = stats->most_bytes / BACKING_SEGMENT_BYTES;

	if (segments < CLEAN_LEAST_SEGMENTS)
		return 0;
	if (waste > held / 4)
		return 75;
	if ((stats->state == BACKING_FULL ||
	     (cap && segments + NEAR_CAP_SEGMENTS >= cap)) &&
	    waste > BACKING_SEGMENT_BYTES + held / 16)
		return 90;
	return 0;
}
