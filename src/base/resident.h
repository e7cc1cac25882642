/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping the whole process in RAM: for a daemon that serves swap, whose own
 * pages must never have to be fetched by itself.
 *
 * What is mapped when it begins is brought in and locked; what is mapped
 * later is locked page by page as it is touched, for the arena and the derived
 * tables are reserved many times larger than they ever get. So what a request
 * needs must have been touched before: resident_fill() and resident_stack()
 * do that, and cost one load where nothing is locked.
 */
#ifndef SRC_BASE_RESIDENT_H
#define SRC_BASE_RESIDENT_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Lock the process, while it has one thread and no reservations yet; after
 * fork(), which does not inherit locks. -EPERM: neither CAP_IPC_LOCK nor an
 * unlimited RLIMIT_MEMLOCK; -ENOMEM; -ENOTSUP: built with a sanitizer, whose
 * shadow is larger than any memory.
 */
int resident_begin(void) MUST_CHECK;
bool resident_is_on(void);

/* Bring [@p, @p + @bytes) in, page-aligned. -ENOMEM. Nothing if it is off. */
int resident_fill(void *p, size_t bytes) MUST_CHECK;
/* The same if it is off too, where the kernel can be asked for it (5.14). */
int resident_touch(void *p, size_t bytes) MUST_CHECK;
/* First of all in each thread: the part of its stack that requests need. Its
 * stack is larger than that: what libraries keep for a thread is there, too. */
#define RESIDENT_STACK_BYTES (128u << 10)
void resident_stack(void);
/* madvise(MADV_DONTNEED), of locked memory too; false: the kernel keeps it. */
bool resident_drop(void *p, size_t bytes) MUST_CHECK;
/* How much of [@p, @p + @bytes), aligned to 4 KiB, is there; all of it where the
 * kernel does not tell. */
size_t resident_bytes(const void *p, size_t bytes);

#endif
