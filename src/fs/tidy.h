/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The background task that keeps house: compacts the pool, lets go of unused
 * parameter sets and of streams whose idle time is over.
 */
#ifndef SRC_FS_TIDY_H
#define SRC_FS_TIDY_H

#include "fs/state.h"

/* -ENOMEM, -EAGAIN (no thread). */
int tidy_start(struct fs *fs, struct tidy **ret) MUST_CHECK;
/* Whoever waits in tidy_now() is let go. NULL is fine. */
void tidy_stop(struct tidy *tidy);
/* Wait for one whole pass. Holds no lock and no stream. */
void tidy_now(struct tidy *tidy);

#endif
