/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes to the backing file and when: arithmetic alone, no state.
 */
#ifndef SRC_FS_SPILL_POLICY_H
#define SRC_FS_SPILL_POLICY_H

#include "backing/backing.h"
#include "store/spill.h"

/* Percent of mem_limit between which spilling works, when nobody says else. */
#define SPILL_HIGH_PERCENT 95u
#define SPILL_LOW_PERCENT 80u

/* Spilling begins above high and ends at low. */
struct spill_marks {
	uint64_t high_bytes, low_bytes;
};
/* Percent of @limit_bytes, @low < @high; but low enough for new data to get
 * there at all. */
struct spill_marks spill_marks(uint64_t limit_bytes, unsigned high,
			       unsigned low);

/* What a sweep is to free of @used_bytes, which are more than @low_bytes: a page
 * at least, or it could not go on. */
uint64_t spill_need(uint64_t used_bytes, uint64_t low_bytes);

/* The most that is written in one go: whoever waits for room waits so long. */
uint64_t spill_step_bytes(uint64_t limit_bytes);

/*
 * Fill in the ages of @pick: the coldest whole classes of @ages that are not
 * more than @need_bytes together, raw pages before others of the same age; the
 * coldest one in any case. False: there is nothing at all.
 */
bool spill_choose(const struct store_ages *ages, uint64_t need_bytes,
		  struct spill_pick *pick) MUST_CHECK;

/*
 * Whether a round that would sweep @pick of @ages next had better end, though it
 * is above the low mark: all that is left has been in use a moment ago, and there
 * is room till the next round.
 */
bool spill_is_enough(const struct spill_marks *marks, uint64_t used_bytes,
		     const struct spill_pick *pick);

/*
 * The ticks within which a page on disk must be read twice to come back to RAM:
 * as many as the coldest eighth of @ages has not been touched for. What comes
 * back takes the place of that, so it must be in use more often. From 1 to
 * ENTRY_AGAIN_TICKS.
 */
unsigned spill_promote_ticks(const struct store_ages *ages);

/*
 * Below how many percent of live bytes a segment is to be written anew; 0: none
 * is. Above a quarter of waste it is worth the writing; when the file is nearly
 * at its cap, sooner, for cleaning needs a free segment itself.
 */
unsigned spill_clean_percent(const struct backing_stats *stats);

#endif
