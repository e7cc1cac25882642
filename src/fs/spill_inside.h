/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the spiller's files share: its state and one sweep.
 *
 * sweep_lock is held over a sweep, a tick of the clock or one visit of a file,
 * never longer: by hand and by itself take turns. file_lock is held while the
 * file comes or goes, for what asks about it. lock is for waiting and for
 * numbers that change together.
 */
#ifndef SRC_FS_SPILL_INSIDE_H
#define SRC_FS_SPILL_INSIDE_H

#include "base/task.h"
#include "fs/spill_clock.h"
#include "fs/spill_policy.h"
#include "fs/spiller.h"

struct spiller {
	struct fs *fs;
	struct task *task;
	_Atomic bool cancelled;
	_Atomic bool called_off;       /* what is done by hand */
	_Atomic bool detaching;        /* no page goes out */
	_Atomic bool crowded_out;      /* a writer called it off */
	_Atomic uint64_t detach_pages; /* spilled when it began */
	_Atomic bool scrub_stop;
	_Atomic bool nudged;            /* woken since the last look */
	_Atomic uint64_t look_at_reads; /* wake when so many were read */
	_Atomic unsigned waiters;
	_Atomic unsigned high, low; /* percent */
	_Atomic unsigned batch;     /* pages in flight, by hand */
	_Atomic bool promote;
	_Atomic uint64_t sweeps, waits;

	struct lock sweep_lock;
	struct spill_clock clock GUARDED_BY(sweep_lock);
	uint32_t hand; /* the file that the last sweep ended in; as clock */

	struct lock file_lock;
	char *path GUARDED_BY(file_lock);
	uint64_t most_bytes GUARDED_BY(file_lock);

	struct lock lock; /* leaf */
	struct cond turned;
	uint64_t turns GUARDED_BY(lock);      /* times that something ended */
	uint64_t good_turns GUARDED_BY(lock); /* and had made room */
	bool limit_on GUARDED_BY(lock);
	uint64_t limit_bytes GUARDED_BY(lock);
	uint64_t limit_daily_bytes GUARDED_BY(lock);
	uint64_t limit_day_ns GUARDED_BY(lock); /* when it was last filled */
	/* spiller_claim() */
	unsigned mount_orders GUARDED_BY(lock);
	bool file_order GUARDED_BY(lock);
	struct spill_scrub scrub GUARDED_BY(lock);
	/* What was last done by hand. */
	bool was_idle GUARDED_BY(lock);
	uint64_t idle_seconds GUARDED_BY(lock);
	const char *written GUARDED_BY(lock); /* NULL: nothing */
	uint64_t written_pages GUARDED_BY(lock);
	int refused_err GUARDED_BY(lock); /* spiller_why(); 0: none was */
	char refused[SPILL_WHY_MAX] GUARDED_BY(lock);

	/* There was nothing to be gained, and since then nothing has changed;
	 * the numbers are those of that moment. */
	_Atomic bool stuck;
	_Atomic unsigned changes; /* of knobs that may have made room */
	_Atomic uint64_t stuck_ns, stuck_spilled_bytes, stuck_ram_bytes;

	/* The task's own. */
	uint64_t clean_not_before_ns;
	bool said_full;
};

/* There is a file and pages may go to it. */
bool spill_may(const struct spiller *spiller);
/* As backing_stats(), while the file neither comes nor goes. */
void spill_backing_stats(struct spiller *spiller, struct backing_stats *ret);
/* Something has changed: what was in vain may not be now. */
void spill_unstick(struct spiller *spiller);
/* Something has ended: whoever waits looks again. */
void spill_turn(struct spiller *spiller, bool good);

/* The first held page of @file from @page on (holes may be wide); UINT64_MAX:
 * none. */
uint64_t spill_next_held(struct store *store, struct file file, uint64_t page);

/* --- spill_sweep.c --- */

/* What one sweep is to do. */
struct spill_work {
	struct spill_pick pick;  /* its budget is the step's */
	const struct file *file; /* NULL: all */
	unsigned clean_percent;  /* 0: no cleaning */
};
/*
 * One step, with a budget, so that it takes a moment. Waits for another. Also
 * -ENODEV, -EINTR; -ENOSPC when writeback_limit is reached.
 */
int spill_sweep(struct spiller *spiller, const struct spill_work *work,
		struct spill_result *ret) MUST_CHECK;
/* Bytes of objects in RAM by age. */
void spill_survey(struct spiller *spiller, struct store_ages *ret);
void spill_tick(struct spiller *spiller);
/* What the clock goes by. */
static inline uint64_t spill_missed_pages(const struct store_stats *stats)
{
	return stats->pages_written + stats->spill_reads;
}

#endif
