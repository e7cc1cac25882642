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
 * Below how many percent of live bytes a segment is to be written anew; 0: none
 * is. Above a quarter of waste it is worth the writing; when the file is nearly
 * at its cap, sooner, for cleaning needs a free segment itself.
 */
unsigned spill_clean_percent(const struct backing_stats *stats);

#endif
