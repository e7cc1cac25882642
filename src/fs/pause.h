/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pause: everyone who changes files stands still at an edge of their work.
 *
 * Whoever takes part says so by enter and leave, and comes by pause_point()
 * wherever they hold no lock and no stream and have nothing half done: workers
 * between two requests (also those served inside a request, fs/room.h),
 * background tasks between two steps. Who comes up during a pause waits in
 * pause_enter(); who leaves is not waited for. Coming by costs one load of a
 * line that nobody writes.
 *
 * A worker may wait for the sweeps, and both for the tidying, but never the
 * other way round: so they are asked in this order, each class when the ones
 * before it stand.
 */
#ifndef SRC_FS_PAUSE_H
#define SRC_FS_PAUSE_H

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum pause_class {
	PAUSE_SERVING,  /* workers, and what is done by hand */
	PAUSE_SPILLING, /* the task that keeps memory between two marks */
	PAUSE_TIDYING,  /* the task that keeps house */
	PAUSE_NR
};

struct pause;

/* -ENOMEM, -EMFILE, -ENFILE. */
int pause_new(struct pause **ret) MUST_CHECK;
/* Nobody takes part any more. NULL is fine. */
void pause_free(struct pause *pause);

/* --- for those who take part --- */

void pause_enter(struct pause *pause, enum pause_class class);
void pause_leave(struct pause *pause, enum pause_class class);
/* Readable during a pause, for poll(). Open as long as the pause. */
int pause_fd(const struct pause *pause);

/* The first member: classes below it are asked to stand still. */
struct pause_asked {
	_Atomic unsigned below;
};

static inline bool pause_is_asked(struct pause *pause, enum pause_class class)
{
	const struct pause_asked *asked = (const void *)pause;

	return unlikely(atomic_load_explicit(&asked->below,
					     memory_order_relaxed) > class);
}

uint64_t pause_stand(struct pause *pause, enum pause_class class);

/* After enter: for how many ns the caller stood still; 0 almost always. */
static inline uint64_t pause_point(struct pause *pause, enum pause_class class)
{
	return pause_is_asked(pause, class) ? pause_stand(pause, class) : 0;
}

/* --- for the one who wants it --- */

/* All stand still when it returns 0. One pause at a time; the caller takes no
 * part. -ETIMEDOUT: not all came to an edge within @patience_ns; nobody is held
 * then. */
int pause_begin(struct pause *pause, uint64_t patience_ns) MUST_CHECK;
void pause_end(struct pause *pause);

#endif
