/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invariants that run: a broken one is a bug of ours and ends the process.
 *
 * invariant() stays on in release builds and is for cheap checks;
 * debug_invariant() is evaluated only with -Ddebug_invariants=true. Neither
 * is for anything a user, a disk or a full machine can cause: those are
 * errors and have an errno.
 */
#ifndef SRC_BASE_CHECK_H
#define SRC_BASE_CHECK_H

#include "base/compiler.h"

#define invariant(cond)                                                        \
	do {                                                                   \
		if (unlikely(!(cond)))                                         \
			invariant_broken(#cond, __FILE__, __LINE__, __func__); \
	} while (0)

#if DEBUG_INVARIANTS
#define debug_invariant(cond) invariant(cond)
#else
#define debug_invariant(cond)                                                  \
	do {                                                                   \
		if (0)                                                         \
			(void)(cond);                                          \
	} while (0)
#endif

/* Print what broke and where on stderr, then abort(). Takes no lock. */
void invariant_broken(const char *what, const char *file, int line,
		      const char *func) NORETURN;

#endif
