/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wakes every 10 ms, takes a page of memory, and remembers the longest time
 * between two wakes: what somebody else on the machine sees of swapping.
 *
 * Ends at the end of its stdin, and prints "beats N" and "largest_gap_ms N".
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS 10
#define FRESH_BYTES 4096u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A page that was not there a moment ago; false: there was none. */
static bool take_fresh(void)
{
	void *page = mmap(NULL, FRESH_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return false;
	*(volatile char *)page = 1;
	return munmap(page, FRESH_BYTES) == 0;
}

int main(void)
{
	struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t last_ns = now_ns(), largest_ns = 0, beats = 0;

	while (poll(&end, 1, BEAT_MS) == 0) {
		uint64_t t;

		if (!take_fresh()) {
			perror("heartbeat");
			return 1;
		}
		t = now_ns();
		if (t - last_ns > largest_ns)
			largest_ns = t - last_ns;
		last_ns = t;
		beats++;
	}
	printf("beats %llu\nlargest_gap_ms %.1f\n", (unsigned long long)beats,
	       (double)largest_ns / 1e6);
	return 0;
}
