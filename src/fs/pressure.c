/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keeps a daemon that serves swap from waiting for itself.
 *
 * An I/O flusher's allocations may take memory back, but start no I/O: the
 * kernel would send that to us. Threads inherit it from who makes them, so it
 * is set while there is one, and looked up in each when all are there: that it
 * was asked for has been taken for having it before, by others.
 */
#include "fs/pressure.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/resident.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* The kernel's PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE. */
#define FLUSHER_FLAGS UINT64_C(0x00180000)
/* "PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS": behind the name. */
#define STAT_FLAGS_AT 6

static bool is_wanted(const struct fs_config *config, enum fs_forgo cure)
{
	return config->profile == FS_PROFILE_SWAP && !(config->forgo & cure);
}

static int lock_memory(const struct fs_config *config)
{
	struct rlimit limit = {0};
	int r = resident_begin();

	if (r == 0) {
		heap_keep();
		resident_stack();
		return 0;
	}
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (r == -EPERM)
		log_error("%s: profile=swap: memory cannot be locked: "
			  "RLIMIT_MEMLOCK is %" PRIu64 " KiB; run as root or "
			  "with CAP_IPC_LOCK, or make it unlimited (ulimit -l "
			  "unlimited, LimitMEMLOCK=infinity), or say "
			  "forgo=memlock",
			  config->mountpoint, (uint64_t)limit.rlim_cur >> 10);
	else
		log_error("%s: profile=swap: memory cannot be locked: %s; "
			  "forgo=memlock does without",
			  config->mountpoint,
			  r == -ENOTSUP ? "this is a build with a sanitizer"
					: strerror(-r));
	return r;
}

static int become_flusher(const struct fs_config *config)
{
	int r;

	if (prctl(PR_SET_IO_FLUSHER, 1UL, 0UL, 0UL, 0UL) == 0)
		return 0;
	r = -errno;
	log_error("%s: profile=swap: PR_SET_IO_FLUSHER: %s; it takes "
		  "CAP_SYS_RESOURCE and Linux 5.6; without it the daemon may "
		  "wait for its own swap: forgo=io_flusher if you must",
		  config->mountpoint, strerror(-r));
	return r;
}

static int escape_oom(const struct fs_config *config)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || write(fd, "-1000", 5) != 5)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		log_error(
			"%s: profile=swap: oom_score_adj cannot be -1000: "
			"%s; it takes CAP_SYS_RESOURCE, or "
			"OOMScoreAdjust=-1000 of whoever starts us; forgo=oom "
			"leaves it as it is",
			config->mountpoint, strerror(-r));
	return r;
}

int pressure_begin(const struct fs_config *config)
{
	int r = 0;

	if (is_wanted(config, FS_FORGO_IO_FLUSHER))
		r = become_flusher(config);
	if (!r && is_wanted(config, FS_FORGO_OOM))
		r = escape_oom(config);
	if (!r && is_wanted(config, FS_FORGO_MEMLOCK))
		r = lock_memory(config);
	return r;
}

/* --- looking whether it is so --- */

/* 0 if it cannot be read: the thread is just ending. */
static uint64_t flags_of_thread(const char *proc, const char *tid)
{
	char path[PATH_MAX], line[1024];
	const char *at;
	FILE *f;

	snprintf(path, sizeof(path), "%s/task/%s/stat", proc, tid);
	f = fopen(path, "re");
	if (!f)
		return FLUSHER_FLAGS;
	/* A thread's name may have anything in it, but it ends with the last
	 * parenthesis. */
	at = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	for (unsigned i = 0; at && i <= STAT_FLAGS_AT; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

int pressure_count_unflagged(const char *proc, unsigned *ret_threads)
{
	unsigned threads = 0;
	struct dirent *entry;
	char path[PATH_MAX];
	int without = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/task", proc);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		threads++;
		if ((flags_of_thread(proc, entry->d_name) & FLUSHER_FLAGS) !=
		    FLUSHER_FLAGS)
			without++;
	}
	closedir(dir);
	*ret_threads = threads;
	return without;
}

uint64_t pressure_status_kib(const char *proc, const char *name)
{
	size_t n = strlen(name);
	char path[PATH_MAX], line[256];
	uint64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/status", proc);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			kib = strtoull(line + n + 1, NULL, 10);
	fclose(f);
	return kib;
}

static int verify_flushers(const struct fs_config *config)
{
	unsigned threads = 0;
	int without = pressure_count_unflagged("/proc/self", &threads);

	if (without == 0)
		return 0;
	if (without < 0)
		log_error("%s: profile=swap: the threads cannot be looked at: "
			  "%s",
			  config->mountpoint, strerror(-without));
	else
		log_error("%s: profile=swap: %d of %u threads are no I/O "
			  "flushers",
			  config->mountpoint, without, threads);
	return -EPROTO;
}

static int verify_lock(const struct fs_config *config)
{
	uint64_t locked = pressure_status_kib("/proc/self", "VmLck");
	uint64_t resident = pressure_status_kib("/proc/self", "VmRSS");
	uint64_t swapped = pressure_status_kib("/proc/self", "VmSwap");

	/* VmLck counts what is mapped, VmRSS what is there of it. */
	if (locked >= resident && locked > 0 && swapped == 0)
		return 0;
	log_error("%s: profile=swap: memory is not locked: VmLck %" PRIu64
		  " KiB of VmRSS %" PRIu64 " KiB, VmSwap %" PRIu64 " KiB",
		  config->mountpoint, locked, resident, swapped);
	return -EPROTO;
}

int pressure_verify(const struct fs_config *config)
{
	int r = 0;

	if (is_wanted(config, FS_FORGO_IO_FLUSHER))
		r = verify_flushers(config);
	if (!r && is_wanted(config, FS_FORGO_MEMLOCK))
		r = verify_lock(config);
	return r;
}
