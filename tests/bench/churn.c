/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random work on one file whose every page is known.
 *
 *	churn MODE FILE DATA STATE PAGES MIB SEED
 *
 * MODE fill: all PAGES from front to back; again: the same with what STATE says,
 * for a file that is not there yet. write: MIB in runs of 1 to 16 pages
 * anywhere, one run in 32 a hole. read: MIB in such runs, compared. check: all
 * pages, compared. A page holds a page of the file DATA; which one, the file
 * STATE knows between calls. The pages of DATA are taken from a window that
 * moves as the seed rises, so that sizes of compressed pages drift, as they do
 * when a file system grows old. Prints the seconds; ends with 1 if a page is
 * not what it should be.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, RUN = 16, WINDOWS = 8 };

static const char *data; /* of data_pages pages */
static uint32_t data_pages;
static uint32_t *state; /* of each page: its number in DATA + 1; 0: a hole */
static uint32_t pages;
static uint64_t seed, random_state;
static char *buffer; /* RUN pages, aligned */
static int fd;

static uint32_t below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * n >> 32);
}

/* The first of @n pages of DATA, from this seed's window. */
static uint32_t source(uint32_t n)
{
	uint32_t window = data_pages / WINDOWS;
	uint32_t from =
		(uint32_t)(seed * (window / 4) % (data_pages - window - RUN));

	return from + below(window - n);
}

static void put(uint32_t page, uint32_t n)
{
	uint32_t from = source(n);

	memcpy(buffer, data + (size_t)from * PAGE, (size_t)n * PAGE);
	if (pwrite(fd, buffer, (size_t)n * PAGE, (off_t)page * PAGE) !=
	    (ssize_t)n * PAGE)
		err(1, "write at page %u", page);
	for (uint32_t i = 0; i < n; i++)
		state[page + i] = from + i + 1;
}

static void put_again(uint32_t page, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (state[page + i])
			memcpy(buffer + (size_t)i * PAGE,
			       data + (size_t)(state[page + i] - 1) * PAGE,
			       PAGE);
	for (uint32_t i = 0, end; i < n; i = end + 1) {
		for (end = i; end < n && state[page + end]; end++)
			;
		if (pwrite(fd, buffer + (size_t)i * PAGE,
			   (size_t)(end - i) * PAGE,
			   (off_t)(page + i) * PAGE) !=
		    (ssize_t)(end - i) * PAGE)
			err(1, "write at page %u", page + i);
	}
}

static void punch(uint32_t page, uint32_t n)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)page * PAGE, (off_t)n * PAGE))
		err(1, "punch at page %u", page);
	memset(state + page, 0, n * sizeof(*state));
}

static void compare(uint32_t page, uint32_t n)
{
	static const char zeroes[PAGE];

	if (pread(fd, buffer, (size_t)n * PAGE, (off_t)page * PAGE) !=
	    (ssize_t)n * PAGE)
		err(1, "read at page %u", page);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = state[page + i];
		const char *want = at ? data + (size_t)(at - 1) * PAGE : zeroes;

		if (memcmp(buffer + (size_t)i * PAGE, want, PAGE) != 0)
			errx(1, "page %u is not what was written", page + i);
	}
}

static void change(uint32_t page, uint32_t n)
{
	if (below(32) == 0)
		punch(page, n);
	else
		put(page, n);
}

static void all(void (*work)(uint32_t, uint32_t))
{
	for (uint32_t page = 0; page < pages; page += RUN)
		work(page, pages - page < RUN ? pages - page : RUN);
}

static void some(void (*work)(uint32_t, uint32_t), uint64_t todo)
{
	for (uint64_t done = 0; done < todo;) {
		uint32_t n = 1 + below(RUN);

		work(below(pages - n), n);
		done += n;
	}
}

static void *mapped(const char *path, int flags, size_t *bytes)
{
	int file = open(path, flags, 0600);
	void *at;

	if (file < 0)
		err(1, "%s", path);
	if (flags & O_CREAT && ftruncate(file, (off_t)*bytes))
		err(1, "%s", path);
	if (!(flags & O_CREAT))
		*bytes = (size_t)lseek(file, 0, SEEK_END);
	at = mmap(NULL, *bytes,
		  flags & O_CREAT ? PROT_READ | PROT_WRITE : PROT_READ,
		  MAP_SHARED | MAP_POPULATE, file, 0);
	if (at == MAP_FAILED)
		err(1, "%s", path);
	close(file);
	return at;
}

static void work(const char *mode, uint64_t todo)
{
	if (strcmp(mode, "fill") == 0)
		all(put);
	else if (strcmp(mode, "again") == 0)
		all(put_again);
	else if (strcmp(mode, "check") == 0)
		all(compare);
	else if (strcmp(mode, "write") == 0)
		some(change, todo);
	else if (strcmp(mode, "read") == 0)
		some(compare, todo);
	else
		errx(1, "there is no mode %s", mode);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t bytes;
	double start;

	if (argc != 8)
		errx(1, "usage: churn MODE FILE DATA STATE PAGES MIB SEED");
	pages = (uint32_t)strtoul(argv[5], NULL, 10);
	seed = strtoull(argv[7], NULL, 10);
	random_state = (seed + 1) * 0x9e3779b97f4a7c15;
	data = mapped(argv[3], O_RDONLY, &bytes);
	data_pages = (uint32_t)(bytes / PAGE);
	if (pages <= RUN || data_pages <= 4 * WINDOWS * RUN)
		errx(1, "too few pages");
	bytes = pages * sizeof(*state);
	state = mapped(argv[4], O_RDWR | O_CREAT, &bytes);
	buffer = aligned_alloc(PAGE, RUN * PAGE);
	fd = open(argv[2], O_RDWR | O_CREAT | O_DIRECT, 0600);
	if (fd < 0 || !buffer || ftruncate(fd, (off_t)pages * PAGE))
		err(1, "%s", argv[2]);
	start = seconds();
	work(argv[1], strtoull(argv[6], NULL, 10) << 8);
	if (close(fd))
		err(1, "close %s", argv[2]);
	printf("%.6f\n", seconds() - start);
	return 0;
}
