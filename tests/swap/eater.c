/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eats memory and checks every byte of it: what swap is tested with.
 *
 *	eater [--mib N] [--threads N] [--seconds N] [--seed N] [--noise]
 *	eater --measure [--hold] ...
 *
 * Fills its memory, then, until the time is over or SIGTERM comes, walks
 * through it and jumps about in it, checks, writes anew, gives back; checks all
 * at the end. With --measure it does each of these once instead, and says how long
 * it took: fill, have it all swapped out, walk, have it swapped out, jump, check;
 * with --hold it waits for the end of stdin when all is out. Results are lines of
 * "name value" on stdout; "at" is where its memory is, for those who spoil it.
 * Exit 1: a page was not what it should be, and which is on stderr; 2: it could not
 * run.
 */
#include "swap/pages.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MOST 64
#define TOLD_MOST 16
#define START_TRIES 5000
/* What is given back in one go: as much as free() of a large block. */
#define GIVEN_PAGES 64u

struct part {
	pthread_t thread;
	uint64_t first, n; /* pages */
	uint64_t random;
	uint64_t checked, written, given;
	uint64_t gap_ns; /* the longest that one page took */
};

static struct plan plan;
static unsigned n_threads = 2;
static uint64_t n_pages = 32 << 8;
static unsigned seconds = 10;
static uint64_t *memory;
/* Locked: a page that comes back old must not meet its old version here. */
static uint32_t *versions;
static struct part parts[THREADS_MOST];
static void (*phase)(struct part *part);
static atomic_bool over;
static atomic_ullong bad;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "eater: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t *words_of(uint64_t page)
{
	return memory + page * PAGE_WORDS;
}

static void tell_bad(uint64_t page, unsigned at)
{
	const uint64_t *words = words_of(page);
	uint64_t want[PAGE_WORDS];

	if (atomic_fetch_add(&bad, 1) >= TOLD_MOST)
		return;
	page_make(&plan, page, versions[page], want);
	fprintf(stderr,
		"eater: page %" PRIu64 ", version %u, word %u: %016" PRIx64
		", want %016" PRIx64 "\n",
		page, versions[page], at, words[at], want[at]);
	for (uint32_t v = 0; v < versions[page]; v++)
		if (page_check(&plan, page, v, words) == PAGE_WORDS)
			fprintf(stderr, "eater: it is its version %u\n", v);
}

static void check(struct part *part, uint64_t page)
{
	uint64_t begun = now_ns(), took;
	unsigned at = page_check(&plan, page, versions[page], words_of(page));

	took = now_ns() - begun;
	if (took > part->gap_ns)
		part->gap_ns = took;
	part->checked++;
	if (at != PAGE_WORDS)
		tell_bad(page, at);
}

static void renew(struct part *part, uint64_t page)
{
	uint64_t begun = now_ns(), took;

	page_make(&plan, page, ++versions[page], words_of(page));
	took = now_ns() - begun;
	if (took > part->gap_ns)
		part->gap_ns = took;
	part->written++;
}

/* Freed memory reads as zeroes; its slots of the swap are free. */
static void give_back(struct part *part, uint64_t page)
{
	uint64_t n = part->first + part->n - page;

	if (n > GIVEN_PAGES)
		n = GIVEN_PAGES;
	if (madvise(words_of(page), n * PAGE_BYTES, MADV_DONTNEED))
		fail("madvise");
	memset(versions + page, 0, n * sizeof(*versions));
	part->given += n;
}

static uint64_t any_page(struct part *part)
{
	return part->first + next_random(&part->random) % part->n;
}

static void fill(struct part *part)
{
	for (uint64_t i = 0; i < part->n; i++)
		renew(part, part->first + i);
}

static void check_all(struct part *part)
{
	for (uint64_t i = 0; i < part->n; i++)
		check(part, part->first + i);
}

/* A walk over a sixteenth of it, then as many jumps. */
static void live(struct part *part)
{
	while (!atomic_load(&over)) {
		uint64_t n = part->n / 16 + 1, page = any_page(part);

		for (uint64_t i = 0; i < n && !atomic_load(&over); i++) {
			check(part, page);
			if (++page == part->first + part->n)
				page = part->first;
		}
		for (uint64_t i = 0; i < n && !atomic_load(&over); i++) {
			page = any_page(part);
			check(part, page);
			if (next_random(&part->random) % 2)
				renew(part, page);
		}
		give_back(part, any_page(part));
	}
}

static void glance(struct part *part, uint64_t page)
{
	if (!page_glance(&plan, page, versions[page], words_of(page)))
		tell_bad(page, 0);
	part->checked++;
}

static void walk(struct part *part)
{
	for (uint64_t i = 0; i < part->n; i++)
		glance(part, part->first + i);
}

static void jump(struct part *part)
{
	for (uint64_t i = 0; i < part->n / 2; i++)
		glance(part, any_page(part));
}

static void out(struct part *part)
{
	if (madvise(words_of(part->first), part->n * PAGE_BYTES, MADV_PAGEOUT))
		fail("MADV_PAGEOUT");
}

static void *run_phase(void *arg)
{
	phase(arg);
	return NULL;
}

/*
 * A small group may have no page left for another stack; what is on its way to
 * swap makes room soon.
 */
static void start(struct part *part)
{
	unsigned tries = 0;

	while ((errno = pthread_create(&part->thread, NULL, run_phase, part))) {
		if (errno != EAGAIN || ++tries > START_TRIES)
			fail("pthread_create");
		usleep(1000);
	}
}

/* All threads do it; the seconds it took. */
static double run(void (*what)(struct part *part))
{
	uint64_t begun = now_ns();

	phase = what;
	for (unsigned i = 0; i < n_threads; i++)
		start(&parts[i]);
	for (unsigned i = 0; i < n_threads; i++)
		pthread_join(parts[i].thread, NULL);
	return (double)(now_ns() - begun) / 1e9;
}

static void stop(int signal)
{
	(void)signal;
	atomic_store(&over, true);
}

static void take_memory(void)
{
	size_t n = n_pages * sizeof(*versions);

	memory = mmap(NULL, n_pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	versions = mmap(NULL, n, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || versions == MAP_FAILED)
		fail("mmap");
	if (mlock(versions, n))
		fail("mlock");
	/* One page is one swap slot and one fault. */
	madvise(memory, n_pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < n_threads; i++) {
		parts[i].first = n_pages * i / n_threads;
		parts[i].n = n_pages * (i + 1) / n_threads - parts[i].first;
		parts[i].random = plan.seed + i + 1;
	}
}

static void live_on(void)
{
	const struct sigaction act = {.sa_handler = stop};

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	printf("fill_s %.3f\n", run(fill));
	alarm(seconds);
	printf("live_s %.3f\n", run(live));
	printf("check_s %.3f\n", run(check_all));
}

static void measure(bool hold)
{
	printf("fill_s %.6f\n", run(fill));
	printf("out_s %.6f\n", run(out));
	/* What was being written still. */
	run(out);
	printf("held 1\n");
	while (hold && getchar() != EOF)
		;
	printf("walk_s %.6f\n", run(walk));
	run(out);
	run(out);
	printf("jump_s %.6f\n", run(jump));
	printf("check_s %.6f\n", run(check_all));
}

static void tell(void)
{
	uint64_t checked = 0, written = 0, given = 0, gap_ns = 0;
	struct rusage usage;

	for (unsigned i = 0; i < n_threads; i++) {
		checked += parts[i].checked;
		written += parts[i].written;
		given += parts[i].given;
		if (gap_ns < parts[i].gap_ns)
			gap_ns = parts[i].gap_ns;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("checked %" PRIu64 "\nwritten %" PRIu64 "\ngiven %" PRIu64
	       "\nlongest_gap_ms %.1f\n",
	       checked, written, given, (double)gap_ns / 1e6);
	printf("faults_minor %ld\nfaults_major %ld\nbad %llu\n",
	       usage.ru_minflt, usage.ru_majflt, atomic_load(&bad));
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (*end || end == text) {
		fprintf(stderr, "eater: \"%s\" is not a number\n", text);
		exit(2);
	}
	return n;
}

/* How it was asked to measure; 0: it was not. */
enum { MEASURE = 1, HOLD = 2 };

static unsigned take_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"mib", required_argument, NULL, 'm'},
		{"threads", required_argument, NULL, 't'},
		{"seconds", required_argument, NULL, 's'},
		{"seed", required_argument, NULL, 'r'},
		{"noise", no_argument, NULL, 'n'},
		{"measure", no_argument, NULL, 'p'},
		{"hold", no_argument, NULL, 'h'},
		{0}};
	unsigned how = 0;
	int c;

	plan.seed = now_ns();
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (c == 'm')
			n_pages = number(optarg) << 8;
		else if (c == 't')
			n_threads = (unsigned)number(optarg);
		else if (c == 's')
			seconds = (unsigned)number(optarg);
		else if (c == 'r')
			plan.seed = number(optarg);
		else if (c == 'n')
			plan.mix = MIX_NOISE;
		else if (c == 'p')
			how |= MEASURE;
		else if (c == 'h')
			how |= HOLD;
		else
			exit(2);
	if (n_threads < 1 || n_threads > THREADS_MOST ||
	    n_pages < n_threads * GIVEN_PAGES || !seconds) {
		fprintf(stderr, "eater: too few, or too many\n");
		exit(2);
	}
	return how;
}

int main(int argc, char **argv)
{
	unsigned how = take_options(argc, argv);

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %" PRIu64 "\npages %" PRIu64 "\n", plan.seed, n_pages);
	take_memory();
	printf("at %" PRIuPTR "\n", (uintptr_t)memory);
	if (how & MEASURE)
		measure(how & HOLD);
	else
		live_on();
	tell();
	return atomic_load(&bad) ? 1 : 0;
}
