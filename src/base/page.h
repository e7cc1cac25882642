/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page: 4096 bytes of file data at a 4096-aligned offset, whatever the
 * machine's own page size is, and the arithmetic between bytes and pages.
 */
#ifndef SRC_BASE_PAGE_H
#define SRC_BASE_PAGE_H

#include <stddef.h>
#include <stdint.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096u

/* The longest file: the kernel's MAX_LFS_FILESIZE on 64 bit, cut to pages. */
#define FILE_MAX_BYTES (INT64_MAX & ~(int64_t)(PAGE_BYTES - 1))

/* The page that holds byte @offset. */
static inline uint64_t page_of(uint64_t offset)
{
	return offset >> PAGE_SHIFT;
}

/* How many pages hold @bytes bytes that start at a page's edge. */
static inline uint64_t pages_for(uint64_t bytes)
{
	return (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT;
}

#endif
