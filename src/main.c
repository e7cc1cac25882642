/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program: reads the command line, goes to the background, runs the mount.
 *
 * Everything that can be wrong with the call is found before anything is
 * started, so that it is said on the user's terminal with exit code 1.
 */
#include "base/heap.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/size.h"
#include "daemon.h"
#include "fs/fs.h"
#include "options_argv.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What the mount is started with; lives as long as the process. */
struct start {
	struct fs_config config;
	struct daemon daemon;
	struct notify notify;
	bool announced;
	char mountpoint[PATH_MAX];
	char kernel_options[OPTIONS_KERNEL_MAX];
};

static const char *const cache_names[] = {
	[FS_CACHE_THROUGH] = "through",
	[FS_CACHE_WRITEBACK] = "writeback",
	[FS_CACHE_NONE] = "none",
};

#define PROMISE_MAX 192

/* What the mount promises, for people. */
static const char *promise(const struct fs_config *config,
			   char text[PROMISE_MAX])
{
	char size[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
	char codec[CODEC_TEXT_MAX], workers[32] = "workers by load";

	if (config->profile == FS_PROFILE_SWAP)
		strcpy(workers, "a worker for each CPU");
	if (config->workers)
		snprintf(workers, sizeof(workers), "%u worker%s",
			 config->workers, config->workers == 1 ? "" : "s");
	snprintf(text, PROMISE_MAX,
		 "up to %s of files in at most %s of RAM, %s, %s, cache %s%s",
		 size_format(config->size_bytes, size),
		 size_format(config->mem_limit_bytes, limit),
		 codec_format(&config->compress, codec), workers,
		 cache_names[config->cache],
		 config->profile == FS_PROFILE_SWAP ? ", for swap" : "");
	return text;
}

/* A manager that does not hear is no reason to end. */
static void tell(const struct start *start, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

static void tell(const struct start *start, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = notify_vsend(&start->notify, fmt, args);
	va_end(args);
	if (r < 0)
		log_warning("cannot tell the service manager: %s",
			    strerror(-r));
}

static void on_ready(struct start *start)
{
	char text[PROMISE_MAX];

	promise(&start->config, text);
	start->announced = true;
	daemon_ready(&start->daemon);
	log_notice("mounted %s: %s", start->config.mountpoint, text);
	tell(start, "READY=1\nMAINPID=%ld\nSTATUS=Mounted: %s", (long)getpid(),
	     text);
}

/* Swap that is on goes on for as long as it takes, and somebody has to turn it
 * off: who is told that we are stopping would not. */
static void on_in_use(struct start *start)
{
	if (start->config.profile == FS_PROFILE_SWAP)
		tell(start, "STATUS=Asked to end: ends when nothing is swap on "
			    "it any more");
	else
		tell(start, "STOPPING=1\nSTATUS=Unmounted from view, ends with "
			    "the last file in use");
}

static void on_event(void *arg, enum fs_event event)
{
	struct start *start = arg;

	switch (event) {
	case FS_READY:
		on_ready(start);
		break;
	case FS_IN_USE:
		on_in_use(start);
		break;
	case FS_ENDING:
		tell(start, "STOPPING=1\nSTATUS=Unmounted, giving memory back");
		break;
	}
}

static int exit_code_of(int r)
{
	switch (-r) {
	case 0:
		return EXIT_CODE_OK;
	case EPERM:
	case EACCES:
		return EXIT_CODE_USAGE;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
	case EFBIG:
		return EXIT_CODE_SYSTEM;
	}
	return EXIT_CODE_MOUNT;
}

static int fail_usage(const char *error)
{
	log_error("%s", error);
	fputs("Try 'foldfs --help'.\n", stderr);
	return EXIT_CODE_USAGE;
}

/* Stdout may be full or closed: help that nobody could read has failed. */
static int end_of_output(bool stdout_is_closed)
{
	if (stdout_is_closed || fflush(stdout) != 0 || ferror(stdout))
		return EXIT_CODE_SYSTEM;
	return EXIT_CODE_OK;
}

static int find_mountpoint(const char *path, char absolute[PATH_MAX])
{
	struct statvfs fs;
	struct stat st;

	/* stat() of a dead mount may be answered from the attribute cache;
	 * statvfs() asks the daemon that is not there. */
	if (!realpath(path, absolute) || stat(absolute, &st) < 0 ||
	    statvfs(absolute, &fs) < 0) {
		int r = -errno;

		log_error("mount point %s: %s%s", path, strerror(-r),
			  r == -ENOTCONN ? " (a dead mount: umount it first)"
					 : "");
		return r;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_error("mount point %s: %s", path, strerror(ENOTDIR));
		return -ENOTDIR;
	}
	return 0;
}

static void fill_config(struct start *start, const struct options *o,
			const struct command *c)
{
	start->config = (struct fs_config){
		.mountpoint = start->mountpoint,
		.source = o->fsname   ? o->fsname
			  : c->source ? c->source
				      : "foldfs",
		.size_bytes = o->size_bytes,
		.mem_limit_bytes = o->mem_limit_bytes,
		.nr_inodes = o->nr_inodes,
		.mode = o->mode,
		.uid = o->uid,
		.gid = o->gid,
		.compress = o->compress,
		.workers = o->workers,
		.cache = o->cache,
		.spill_path = o->spill,
		.spill_bytes = o->spill_bytes,
		.spill_high = o->spill_high,
		.spill_low = o->spill_low,
		.spill_force = o->spill_force,
		.io_uring = o->io_uring,
		.spill_encrypt = o->spill_encrypt,
		.profile = o->profile,
		.forgo = o->forgo,
		.allow_other = o->allow_other,
		.noatime = options_noatime(o),
		.debug = c->debug,
		.kernel_options = options_kernel(o, start->kernel_options),
	};
}

static int run(struct start *start, const char *name, bool foreground)
{
	int r;

	start->daemon.pipe_fd = -1;
	if (foreground) {
		tell(start, "STATUS=Mounting");
	} else {
		/* Its end of start is our exit, and nobody's message. */
		notify_drop(&start->notify);
		/* A lock or a pipe of the caller's script must not be held
		 * for the life of the mount; nothing is open here yet. */
		close_range(STDERR_FILENO + 1, ~0U, 0);
		r = daemon_begin(&start->daemon, name);
		if (r < 0) {
			log_error("cannot start: %s", strerror(-r));
			return EXIT_CODE_SYSTEM;
		}
	}
	r = fs_run(&start->config, on_event, start);
	if (!start->announced)
		daemon_failed(&start->daemon, exit_code_of(r));
	return exit_code_of(r);
}

static int mount_it(const struct command *c, const struct options *o,
		    const char *name)
{
	static struct start start;
	int r = notify_init(&start.notify);

	if (r < 0)
		log_warning("NOTIFY_SOCKET: %s", strerror(-r));
	r = find_mountpoint(c->mountpoint, start.mountpoint);
	if (r < 0)
		return exit_code_of(r);
	fill_config(&start, o, c);
	if (c->verbose)
		log_notice("%s on %s", start.config.source, start.mountpoint);
	if (c->fake)
		return EXIT_CODE_OK;
	return run(&start, name, c->foreground);
}

int main(int argc, char *argv[])
{
	const char *name = command_name(argv[0]);
	struct options options;
	struct command command;
	bool stdout_is_closed;
	int r, code;

	daemon_ignore_signals();
	stdout_is_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
	log_setup(name, LOG_TO_STDERR, LOG_AT_NOTICE);
	r = daemon_open_std();
	if (r < 0) {
		log_error("/dev/null: %s", strerror(-r));
		return EXIT_CODE_SYSTEM;
	}
	options_init(&options, size_of_ram(), geteuid() == 0);
	r = command_parse(&command, &options, argc, argv);
	if (r == -ENOMEM) {
		log_error("%s", strerror(ENOMEM));
		code = EXIT_CODE_SYSTEM;
	} else if (r < 0) {
		code = fail_usage(options.error);
	} else if (command.verb == COMMAND_HELP) {
		command_help(stdout);
		code = end_of_output(stdout_is_closed);
	} else if (command.verb == COMMAND_VERSION) {
		printf("foldfs %s\n", FOLDFS_VERSION);
		code = end_of_output(stdout_is_closed);
	} else {
		if (command.debug)
			log_setup(name, LOG_TO_STDERR, LOG_AT_DEBUG);
		code = mount_it(&command, &options, name);
	}
	options_fini(&options);
	return code;
}
