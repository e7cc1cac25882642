/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A look at the machine before a mount.
 *
 * A directory that meets its cgroup's limit or strict overcommit ends badly,
 * too, but alone: it is told. Swap takes the machine with it: it is refused.
 */
#include "fs/selfcheck.h"
#include "base/log.h"
#include "base/page.h"
#include "base/size.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the process takes besides mem_limit: program, libraries, tables of the
 * kernel's. */
#define BESIDES_BYTES (64 * MIB)
/* Below that the kernel has nothing left to hand out when it must swap. */
#define MIN_FREE_KIB UINT64_C(65536)

static void say(struct selfcheck *check, enum finding finding, const char *fmt,
		...) PRINTF_LIKE(3, 4);

static void say(struct selfcheck *check, enum finding finding, const char *fmt,
		...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	check->errors += finding == FINDING_ERROR;
	check->say(check->arg, finding, line);
}

static bool is_swap(const struct selfcheck *check)
{
	return check->config->profile == FS_PROFILE_SWAP;
}

/* What ends in a hang with swap and in an error without. */
static enum finding grave(const struct selfcheck *check)
{
	return is_swap(check) ? FINDING_ERROR : FINDING_WARNING;
}

/* The first line of @top/@name; false: it cannot be read. */
static bool read_line(const char *top, const char *name, char *line,
		      size_t most)
{
	char path[PATH_MAX];
	bool ok;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/%s", top, name) >=
	    (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(line, (int)most, f) != NULL;
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static bool read_number(const char *top, const char *name, uint64_t *ret)
{
	char line[64];

	return read_line(top, name, line, sizeof(line)) &&
	       sscanf(line, "%" SCNu64, ret) == 1;
}

/* Of /proc/meminfo, in bytes. */
static bool read_meminfo(const struct selfcheck *check, const char *name,
			 uint64_t *ret_bytes)
{
	char path[PATH_MAX], line[128];
	size_t n = strlen(name);
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/meminfo", check->proc);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, name, n) == 0 && line[n] == ':' &&
			sscanf(line + n + 1, "%" SCNu64, ret_bytes) == 1;
	fclose(f);
	if (found)
		*ret_bytes <<= 10;
	return found;
}

static void check_cgroup(struct selfcheck *check)
{
	uint64_t wanted = check->config->mem_limit_bytes, limit;
	char file[PATH_MAX], root[PATH_MAX];
	char limit_text[SIZE_TEXT_MAX], wanted_text[SIZE_TEXT_MAX];

	snprintf(file, sizeof(file), "%s/self/cgroup", check->proc);
	snprintf(root, sizeof(root), "%s/fs/cgroup", check->sys);
	limit = size_of_cgroup(file, root);
	if (is_swap(check))
		wanted += BESIDES_BYTES;
	if (limit < wanted)
		say(check, grave(check),
		    "the memory cgroup of the daemon allows %s, mem_limit "
		    "and the program take up to %s: raise it (MemoryMax=) or "
		    "lower mem_limit",
		    size_format(limit, limit_text),
		    size_format(wanted, wanted_text));
}

static void check_ram(struct selfcheck *check)
{
	uint64_t wanted = check->config->mem_limit_bytes, ram;
	char ram_text[SIZE_TEXT_MAX], wanted_text[SIZE_TEXT_MAX];

	if (read_meminfo(check, "MemTotal", &ram) && wanted > ram - ram / 10)
		say(check, FINDING_ERROR,
		    "mem_limit is %s of the machine's %s, all of it locked: "
		    "nothing would be left to swap for",
		    size_format(wanted, wanted_text),
		    size_format(ram, ram_text));
}

/* Memory that is reserved without being counted is counted all the same when
 * it is touched; one page too many is SIGBUS. */
static void check_overcommit(struct selfcheck *check)
{
	uint64_t mode, limit, taken, room;
	char room_text[SIZE_TEXT_MAX];

	if (!read_number(check->proc, "sys/vm/overcommit_memory", &mode) ||
	    mode != 2 || !read_meminfo(check, "CommitLimit", &limit) ||
	    !read_meminfo(check, "Committed_AS", &taken))
		return;
	room = limit > taken ? limit - taken : 0;
	if (room < check->config->mem_limit_bytes)
		say(check, grave(check),
		    "vm.overcommit_memory is 2 and only %s are left of the "
		    "commit limit, less than mem_limit",
		    size_format(room, room_text));
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && path[n] == '/';
}

/* A file of ours becomes swap by way of a loop device only. */
static void check_swaps(struct selfcheck *check)
{
	char path[PATH_MAX], line[PATH_MAX], device[NAME_MAX];
	char file[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", check->proc);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "/dev/%200[a-z0-9]", device) != 1)
			continue;
		snprintf(path, sizeof(path), "block/%s/loop/backing_file",
			 device);
		if (read_line(check->sys, path, file, sizeof(file)) &&
		    is_below(file, check->config->mountpoint))
			say(check, grave(check),
			    "/dev/%s swaps on %s, below this very mount "
			    "point: swapoff first",
			    device, file);
	}
	fclose(f);
}

static void check_zswap(struct selfcheck *check)
{
	char line[16];

	if (read_line(check->sys, "module/zswap/parameters/enabled", line,
		      sizeof(line)) &&
	    line[0] == 'Y')
		say(check, FINDING_WARNING,
		    "zswap is on and compresses every page before it gets "
		    "here: echo N >/sys/module/zswap/parameters/enabled");
}

/* A request that is late by so much ends the connection, and the swap. */
static void check_timeouts(struct selfcheck *check)
{
	static const char *const names[] = {
		"sys/fs/fuse/default_request_timeout",
		"sys/fs/fuse/max_request_timeout",
	};
	uint64_t seconds;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (read_number(check->proc, names[i], &seconds) && seconds)
			say(check, FINDING_WARNING,
			    "/proc/%s is %" PRIu64 ": a daemon stopped for "
			    "so many seconds loses the swap; 0 is right",
			    names[i], seconds);
}

static void check_min_free(struct selfcheck *check)
{
	uint64_t kib;

	if (read_number(check->proc, "sys/vm/min_free_kbytes", &kib) &&
	    kib < MIN_FREE_KIB)
		say(check, FINDING_WARNING,
		    "vm.min_free_kbytes is %" PRIu64 ": %" PRIu64
		    " or more leaves the daemon pages to take in when there "
		    "are none",
		    kib, MIN_FREE_KIB);
}

void selfcheck(struct selfcheck *check)
{
	check->errors = 0;
	check_cgroup(check);
	check_overcommit(check);
	check_swaps(check);
	if (!is_swap(check))
		return;
	check_ram(check);
	check_zswap(check);
	check_timeouts(check);
	check_min_free(check);
}

static void into_log(void *arg, enum finding finding, const char *line)
{
	const struct fs_config *config = arg;

	/* What is forgone is a warning still. */
	if (finding == FINDING_ERROR && !(config->forgo & FS_FORGO_CHECKS))
		log_error("%s: %s", config->mountpoint, line);
	else
		log_warning("%s: %s", config->mountpoint, line);
}

int selfcheck_machine(const struct fs_config *config)
{
	struct selfcheck check = {
		.config = config,
		.proc = "/proc",
		.sys = "/sys",
		.say = into_log,
		.arg = (void *)(uintptr_t)config,
	};

	selfcheck(&check);
	if (check.errors == 0 || config->forgo & FS_FORGO_CHECKS)
		return 0;
	log_error("%s: profile=swap would hang like that; forgo=checks "
		  "mounts all the same",
		  config->mountpoint);
	return -EPERM;
}
