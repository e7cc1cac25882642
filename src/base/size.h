/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes as people write and read them: 512m, 1.5G, 50%, "1.5 GiB". */
#ifndef SRC_BASE_SIZE_H
#define SRC_BASE_SIZE_H

#include "base/compiler.h"
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes from @text: a number, a fraction allowed, then nothing or one of
 * K M G T P (or KiB.., 1024-based; KB.. is 1000-based), any case, or % of
 * @whole (0: no percentage allowed). Cut to whole bytes. -EINVAL malformed,
 * -ERANGE too large.
 */
int size_parse(const char *text, uint64_t whole,
	       uint64_t *ret_bytes) MUST_CHECK;

/* At least this much room for size_format(). */
#define SIZE_TEXT_MAX 32

/* "1.5 GiB", "64.0 MiB", "12 B" into @text; returns @text. */
const char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX]);

/* RAM of the machine, or of the cgroup that holds us if that is less. */
uint64_t size_of_ram(void);
/*
 * The least memory limit of the cgroups that @cgroup_file (as
 * /proc/self/cgroup) names, each and its parents looked up below @root (as
 * /sys/fs/cgroup); UINT64_MAX when there is none.
 */
uint64_t size_of_cgroup(const char *cgroup_file, const char *root);

#endif
