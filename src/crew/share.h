/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sharing one large request among workers: whoever has it cuts it into parts,
 * and workers that have nothing to do take some of them.
 *
 * A request is shared only when a worker rests and a CPU is free for it, so
 * small loads wake nobody and full ones stay as they are. Helpers are never
 * waited for before they have taken a part; the owner takes parts like all
 * others and at the end waits only for those in other hands, which nothing
 * but the codec can hold up: a helper must not wait for anything that an
 * owner holds. Knows nothing of what the parts are.
 *
 * A worker's life here: share_up() before its thread starts, then
 *
 *	share_enter() { share_rest() { sleep } share_rest_end() } share_leave()
 */
#ifndef SRC_CREW_SHARE_H
#define SRC_CREW_SHARE_H

#include "base/compiler.h"
#include <stdbool.h>

/* Workers, and requests being shared at one time. */
#define SHARE_MAX 64
/* Parts of one request. */
#define SHARE_PARTS_MAX 0xffffu

struct share;

/* -ENOMEM. Without share_cpus() it is for one CPU: nothing is shared. */
int share_new(struct share **ret) MUST_CHECK;
/* No worker is left. NULL is fine. */
void share_free(struct share *share);
/* How many CPUs the workers may use now; any thread. */
void share_cpus(struct share *share, unsigned cpus);

/* --- for workers --- */

/* Before the first of all for @slot; idempotent. -EMFILE, -ENFILE, -ENOMEM. */
int share_up(struct share *share, unsigned slot) MUST_CHECK;
/* To be watched with EPOLLET while resting: it is written to when the worker is
 * wanted, and never read. Open as long as @share. */
int share_fd(const struct share *share, unsigned slot);
void share_enter(struct share *share, unsigned slot);
void share_leave(struct share *share, unsigned slot);
/* About to sleep on share_fd() and more. False: do not, there are parts. */
bool share_rest(struct share *share, unsigned slot);
/* Somebody wants the worker: do not sleep. */
bool share_is_called(const struct share *share, unsigned slot);
/* Awake again, for whatever reason; true: it was wanted. */
bool share_rest_end(struct share *share, unsigned slot);
/* Take parts until there are none; @with is handed to each. */
void share_help(struct share *share, void *with);

/* True if since the last call a request could have used more workers than
 * there were, or did use them: they are worth having. */
bool share_was_wanted(struct share *share);

/* --- for the owner of a request --- */

/* Runs once for each part, in any thread and order, several at a time. */
typedef void share_part(void *arg, void *with, unsigned part);

/*
 * Have parts [0, @n) carried out, here (@with) and by helpers. False: nobody
 * is free, nothing was done. @ix: one of SHARE_MAX numbers that nobody else
 * shares with at the same time. No memory is allocated; locks held must be
 * ones that no part needs.
 */
bool share_run(struct share *share, unsigned ix, unsigned n, share_part *part,
	       void *arg, void *with);

#endif
