/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One mount from start to end.
 *
 * Built from the bottom up: engine, mount, crew, background threads; then the
 * kernel's INIT is waited for, which says that the mount answers; then comes
 * the control socket. It ends when the last worker has ended (the kernel closed
 * the session) or was told to.
 *
 * Ends in this order: control socket (it asks the next three), signals (nobody
 * asks any more), slow and later (they change the crew, and what is spilled),
 * crew, spiller (workers wait for it), reaper, tidy (both may be waited for till
 * then), clones and mount, engine.
 */
#include "fs/fs.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/size.h"
#include "fs/autoscale.h"
#include "fs/knobs.h"
#include "fs/latency.h"
#include "fs/later.h"
#include "fs/mount.h"
#include "fs/pause.h"
#include "fs/pressure.h"
#include "fs/reaper.h"
#include "fs/ring.h"
#include "fs/selfcheck.h"
#include "fs/signals.h"
#include "fs/spiller.h"
#include "fs/talk.h"
#include "fs/tidy.h"
#include "fs/worker.h"
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int failed(const struct fs *fs, const char *what, int r)
{
	log_error("%s: %s: %s", fs->config->mountpoint, what, strerror(-r));
	return r;
}

static int start_engine(struct fs *fs)
{
	int r = engine_init(&fs->engine, fs->config);
	char text[SIZE_TEXT_MAX];

	if (r == -ENOSPC) {
		log_error("%s: mem_limit=%s is too small to begin with: the "
			  "process and its tables alone take more; from "
			  "16 MiB on it makes sense",
			  fs->config->mountpoint,
			  size_format(fs->config->mem_limit_bytes, text));
		return r;
	}
	if (r == -EFBIG) {
		log_error("%s: cannot start: %s: a limit on the size of files "
			  "(ulimit -f) holds for tables in memory, too",
			  fs->config->mountpoint, strerror(-r));
		return r;
	}
	return r ? failed(fs, "cannot start", r) : 0;
}

/* What is wrong with the file is known before anything is mounted. */
static int start_spilling(struct fs *fs)
{
	int r = tidy_start(fs, &fs->tidy);

	if (!r)
		r = spiller_start(fs, &fs->spiller);
	if (r)
		return failed(fs, "cannot start", r);
	return fs->config->spill_path
		       ? spiller_attach(fs->spiller, fs->config->spill_path)
		       : 0;
}

/* The process does not take the same to the page each time. */
#define START_SLACK_BYTES (512 * KIB)

/* The least mem_limit for @bytes more. */
static uint64_t least_limit(struct fs *fs, uint64_t bytes)
{
	return budget_limit_for(&fs->engine.budget, bytes + START_SLACK_BYTES);
}

/* Without them requests come by /dev/fuse. */
static int start_rings(struct fs *fs, unsigned nr_workers)
{
	char limit[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX], would_do[SIZE_TEXT_MAX];
	uint64_t needed =
		rings_bytes(nr_workers) + workers_need_bytes(fs, nr_workers);
	const char *why;
	int r = rings_new(fs, nr_workers, &why);

	if (r == -EOPNOTSUPP) {
		log_warning("%s: io_uring: %s; requests come by /dev/fuse",
			    fs->config->mountpoint, why);
		return 0;
	}
	if (r == -ENOSPC) {
		log_error("%s: mem_limit=%s is too small for io_uring, which "
			  "takes %s with %u worker%s: %s would do",
			  fs->config->mountpoint,
			  size_format(fs->config->mem_limit_bytes, limit),
			  size_format(rings_bytes(nr_workers), all), nr_workers,
			  nr_workers > 1 ? "s" : "",
			  size_format(least_limit(fs, needed), would_do));
		return r;
	}
	if (r)
		return failed(fs, "io_uring", r);
	autoscale_set(fs->autoscale, false);
	return 0;
}

/* @used_bytes was taken before the first of them. */
static void log_too_few(struct fs *fs, unsigned needed, uint64_t used_bytes,
			uint64_t limit_bytes)
{
	char limit[SIZE_TEXT_MAX], each[SIZE_TEXT_MAX], besides[SIZE_TEXT_MAX];
	char codec[CODEC_TEXT_MAX], would_do[SIZE_TEXT_MAX];

	log_error("%s: mem_limit=%s is too small for %u worker%s with "
		  "compress=%s, each of which takes %s beside the %s of all "
		  "else: %s would do",
		  fs->config->mountpoint,
		  size_format(fs->config->mem_limit_bytes, limit), needed,
		  needed > 1 ? "s" : "",
		  codec_format(&fs->config->compress, codec),
		  size_format(worker_bytes(fs), each),
		  size_format(used_bytes, besides),
		  size_format(limit_bytes, would_do));
}

/* The first workers. A number that was asked for is all or nothing; by itself
 * there are as many as mem_limit has room for. */
static int start_workers(struct fs *fs)
{
	unsigned asked = fs->config->workers;
	unsigned n = asked ? asked : autoscale_first(fs->config), needed;
	int r = fs->config->io_uring ? start_rings(fs, n) : 0;
	uint64_t used_bytes, limit_bytes;

	if (r)
		return r;
	/* Each queue of a ring needs its worker. */
	needed = asked || fs->rings ? n : 1;
	used_bytes = budget_used(&fs->engine.budget);
	limit_bytes = least_limit(fs, workers_need_bytes(fs, needed));
	r = crew_set(fs->crew, n);
	if (r != -ENOSPC)
		return r ? failed(fs, "cannot start workers", r) : 0;
	if (!asked && !fs->rings && crew_count(fs->crew) > 0)
		return 0;
	log_too_few(fs, needed, used_bytes, limit_bytes);
	return r;
}

static int start_crew(struct fs *fs)
{
	int r = crew_new(&worker_crew, fs, &fs->crew);

	if (!r)
		r = autoscale_new(fs, &fs->autoscale);
	if (!r)
		r = later_start(fs, LATER_QUICK, &fs->later);
	if (!r)
		r = later_start(fs, LATER_SLOW, &fs->slow);
	if (!r && fs->config->profile == FS_PROFILE_SWAP)
		r = reaper_start(fs, &fs->reaper);
	if (r)
		return failed(fs, "cannot start", r);
	engine_charge_process(&fs->engine);
	return start_workers(fs);
}

/* INIT is the kernel's first request; a worker answers it, or ends. */
static int wait_ready(struct fs *fs)
{
	eventfd_t n;

	while (eventfd_read(fs->ready_fd, &n) < 0)
		if (errno != EINTR)
			return failed(fs, "cannot wait", -errno);
	if (!atomic_load_explicit(&fs->answers, memory_order_acquire))
		return failed(fs, "ended before it answered", -ECONNABORTED);
	return 0;
}

static int start(struct fs *fs, struct signals *signals, struct talk *talk)
{
	int r;

	fs->ready_fd = eventfd(0, EFD_CLOEXEC);
	if (fs->ready_fd < 0)
		return failed(fs, "cannot start", -errno);
	/* Zeroes that nobody has written: only used rows take RAM. */
	fs->tally = heap_zaligned(64, sizeof(*fs->tally));
	if (!fs->tally)
		return failed(fs, "cannot start", -ENOMEM);
	fs->latency = heap_zalloc(1, sizeof(*fs->latency));
	if (!fs->latency)
		return failed(fs, "cannot start", -ENOMEM);
	r = pause_new(&fs->pause);
	if (r)
		return failed(fs, "cannot start", r);
	r = start_engine(fs);
	if (!r)
		r = start_spilling(fs);
	if (!r)
		r = mount_open(fs);
	if (!r)
		r = start_crew(fs);
	if (!r) {
		r = signals_start(signals, fs);
		if (r)
			failed(fs, "cannot start", r);
	}
	if (!r)
		r = wait_ready(fs);
	if (!r)
		talk_start(talk);
	if (!r)
		r = pressure_verify(fs->config);
	return r;
}

static void stop(struct fs *fs, struct signals *signals, struct talk *talk)
{
	talk_stop(talk);
	signals_stop(signals);
	spiller_cancel(fs->spiller);
	later_stop(fs->slow);
	later_stop(fs->later);
	if (fs->crew)
		crew_stop(fs->crew);
	rings_free(fs);
	spiller_stop(fs->spiller);
	reaper_stop(fs->reaper);
	tidy_stop(fs->tidy);
	workers_fini(fs);
	mount_close(fs);
	if (fs->crew)
		crew_free(fs->crew);
	autoscale_free(fs->autoscale);
	engine_fini(&fs->engine);
	pause_free(fs->pause);
	heap_free(fs->latency);
	heap_free(fs->tally);
	if (fs->ready_fd >= 0)
		close(fs->ready_fd);
}

int fs_run(const struct fs_config *config,
	   void (*tell)(void *arg, enum fs_event event), void *arg)
{
	struct signals signals;
	struct talk talk;
	struct fs *fs;
	int r;

	r = selfcheck_machine(config);
	if (!r)
		r = pressure_begin(config);
	if (r)
		return r;
	fs = heap_zalloc(1, sizeof(*fs));
	if (!fs) {
		log_error("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	fs->config = config;
	fs->tell = tell;
	fs->tell_arg = arg;
	fs->ctl = (struct ctl){.ops = &knobs_ops, .arg = fs};
	fs->owner = geteuid();
	fs->started_ns = clock_ns();
	fs->started = clock_wall();
	fs->ready_fd = -1;
	workers_init(fs);
	signals_block(&signals);
	talk_prepare(&talk, fs, &signals);
	r = start(fs, &signals, &talk);
	if (!r) {
		tell(arg, FS_READY);
		crew_wait_ended(fs->crew);
		tell(arg, FS_ENDING);
		r = atomic_load_explicit(&fs->error, memory_order_relaxed);
	}
	stop(fs, &signals, &talk);
	signals_restore(&signals);
	heap_free(fs);
	return r;
}
