/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeping the whole process in RAM. */
#include "base/resident.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

/* No page is smaller. */
#define TOUCH_STEP 4096u

static _Atomic bool on;

bool resident_is_on(void)
{
	return atomic_load_explicit(&on, memory_order_relaxed);
}

#if SANITIZED
int resident_begin(void)
{
	return -ENOTSUP;
}
#else
/* More than any reservation to come; of none is anything touched. */
#define TRIAL_BYTES ((size_t)1 << 40)

static bool is_limited(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	       limit.rlim_cur != RLIM_INFINITY;
}

/* Against a limit reservations count whole, unless we are above limits. */
static int try_reservation(void)
{
	void *p = mmap(NULL, TRIAL_BYTES, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return errno == EAGAIN ? -EPERM : 0;
	munmap(p, TRIAL_BYTES);
	return 0;
}

int resident_begin(void)
{
	int r = 0;

	if (mlockall(MCL_CURRENT) < 0 || mlockall(MCL_FUTURE | MCL_ONFAULT) < 0)
		r = errno == EPERM || is_limited() ? -EPERM : -ENOMEM;
	else if (is_limited())
		r = try_reservation();
	if (r < 0) {
		munlockall();
		return r;
	}
	atomic_store_explicit(&on, true, memory_order_relaxed);
	return 0;
}
#endif

int resident_fill(void *p, size_t bytes)
{
	if (likely(!resident_is_on()))
		return 0;
	return madvise(p, bytes, MADV_POPULATE_WRITE) == 0 ? 0 : -ENOMEM;
}

int resident_touch(void *p, size_t bytes)
{
	if (madvise(p, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	return errno == EINVAL && !resident_is_on() ? 0 : -ENOMEM;
}

__attribute__((noinline)) static void touch_stack(void)
{
	/* What requests were seen to need, four times over. */
	volatile char room[RESIDENT_STACK_BYTES];

	for (size_t i = 0; i < sizeof(room); i += TOUCH_STEP)
		room[i] = 0;
}

void resident_stack(void)
{
	if (resident_is_on())
		touch_stack();
}

/* What is locked is refused as it is, also where only a part of us is. */
bool resident_drop(void *p, size_t bytes)
{
	return madvise(p, bytes, MADV_DONTNEED) == 0 ||
	       madvise(p, bytes, MADV_DONTNEED_LOCKED) == 0;
}

size_t resident_bytes(const void *p, size_t bytes)
{
	enum { PIECE = 512 };
	const char *at = p, *end = at + bytes;
	size_t there = 0;

	while (at < end) {
		unsigned char in[PIECE] = {0};
		size_t n = (size_t)(end - at);

		if (n > PIECE * TOUCH_STEP)
			n = PIECE * TOUCH_STEP;
		/* Of larger pages it tells fewer, and not from everywhere. */
		if (sysconf(_SC_PAGESIZE) != TOUCH_STEP ||
		    mincore((void *)(uintptr_t)at, n, in) < 0)
			return bytes;
		for (size_t i = 0; i < PIECE; i++)
			there += (in[i] & 1) * (size_t)TOUCH_STEP;
		at += n;
	}
	return there;
}
