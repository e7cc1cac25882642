/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process heap: jemalloc by its own names, or the sanitizer's malloc.
 *
 * The only file that knows which allocator is below. Never holds page data.
 * ENOMEM is ordinary: every caller checks. Structures that grow with what
 * users store charge a struct budget besides (base/budget.h).
 */
#ifndef SRC_BASE_HEAP_H
#define SRC_BASE_HEAP_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* @n bytes, not zeroed; NULL when there is no memory. @n > 0. */
void *heap_alloc(size_t n) MUST_CHECK;

/* @count * @size zeroed bytes; NULL on overflow or when there is no memory. */
void *heap_zalloc(size_t count, size_t size) MUST_CHECK;

/* Aligned to @align (a power of two); @n bytes, not zeroed. */
void *heap_aligned(size_t align, size_t n) MUST_CHECK;
/* The same, zeroed; in RAM once it is written to, or at once where memory is
 * locked: for rows of which few are used. */
void *heap_zaligned(size_t align, size_t n) MUST_CHECK;

/* As realloc(); on failure NULL, and @old stays what it was. */
void *heap_resize(void *old, size_t n) MUST_CHECK;

char *heap_strdup(const char *s) MUST_CHECK;

void heap_free(void *p); /* NULL is fine */

/* Give the kernel back what is free now, instead of some time later: after
 * freeing megabytes. Takes a while; not for the path of a request. */
void heap_purge(void);

/*
 * The process is locked in RAM (base/resident.h): nothing goes back by itself
 * any more, for a page that comes again would have to be found while there is
 * none; what is asked for does (heap_purge(), pieces of arenas). While there is
 * one thread.
 */
void heap_keep(void);

/*
 * For AUTO(): frees what the pointer variable points to.
 *	char *name AUTO(heap_autofree) = heap_strdup(s);
 */
void heap_autofree(void *variable);

/* All the anonymous memory that the kernel charges the process for: the heap, but
 * for some stacks and what libraries have written to; 0 unknown. */
size_t heap_resident_bytes(void);

/* Allocations made so far by the calling thread (heap_alloc and friends). */
uint64_t heap_calls(void);

/*
 * Fault injection for tests: the @n-th allocation from now on in this process
 * (1 = the next) fails, once; 0 switches it off. heap_fault_hit() tells
 * whether it has fired since.
 */
void heap_fail_nth(uint64_t n);
bool heap_fault_hit(void);

/*
 * What one worker slot holds, counted apart and given back whole. Each piece
 * is whole pages and a mapping of its own, so an arena is for a few large ones.
 * heap_arena_new() gives a number that no other has had, or -ENOMEM.
 */
int heap_arena_new(unsigned *ret_arena) MUST_CHECK;
/*
 * What the calling thread allocates until heap_arena_leave() comes from
 * @arena and begins a page; zeroed, and in RAM once it is written to, or at once
 * where memory is locked. It may be freed anywhere, and is gone
 * then; it cannot be resized. Does not nest.
 */
void heap_arena_enter(unsigned arena);
void heap_arena_leave(void);
/* Bytes of the pieces of @arena that have not been freed; and what of these is
 * not in RAM, for nobody has written there. */
size_t heap_arena_bytes(unsigned arena);
size_t heap_arena_absent_bytes(unsigned arena);

#endif
