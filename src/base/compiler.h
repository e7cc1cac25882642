/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the compiler's attributes, so that no other file spells one out.
 *
 * The lock annotations are checked by clang's -Wthread-safety; gcc sees
 * nothing. GUARDED_BY() is documentation until a compiler parses it inside C
 * structs (clang 19 and later behind a flag).
 */
#ifndef SRC_BASE_COMPILER_H
#define SRC_BASE_COMPILER_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define AUTO(fini) __attribute__((cleanup(fini)))
#define CACHE_ALIGNED __attribute__((aligned(64)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define container_of(ptr, type, member)                                        \
	((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#if defined(__clang__)
#define CAPABILITY(x) __attribute__((capability(x)))
#define ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define ACQUIRES_SHARED(...)                                                   \
	__attribute__((acquire_shared_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define RELEASES_SHARED(...)                                                   \
	__attribute__((release_shared_capability(__VA_ARGS__)))
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...) __attribute__((locks_excluded(__VA_ARGS__)))
#define ASSERTS_HELD(...) __attribute__((assert_capability(__VA_ARGS__)))
#define NO_LOCK_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(x)
#define ACQUIRES(...)
#define ACQUIRES_SHARED(...)
#define TRY_ACQUIRES(...)
#define RELEASES(...)
#define RELEASES_SHARED(...)
#define REQUIRES(...)
#define EXCLUDES(...)
#define ASSERTS_HELD(...)
#define NO_LOCK_ANALYSIS
#endif
#define GUARDED_BY(lock)

/* An order that the kernel makes and TSan does not see: what comes before the
 * one happens before what comes after the other, of the same address. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN_SEES_ORDER 1
#endif
#endif
#ifdef TSAN_SEES_ORDER
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define KERNEL_ORDER_BEFORE(addr) __tsan_release(addr)
#define KERNEL_ORDER_AFTER(addr) __tsan_acquire(addr)
#else
#define KERNEL_ORDER_BEFORE(addr) ((void)(addr))
#define KERNEL_ORDER_AFTER(addr) ((void)(addr))
#endif

#endif
