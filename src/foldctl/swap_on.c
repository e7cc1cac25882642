/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl swap on: a mount of its own, one file in it, a loop device on the
 * file, and the device becomes swap.
 *
 * Each step knows how to take itself back, and all that were done are taken
 * back when one fails or somebody interrupts. The kernel takes no file of a
 * FUSE mount as swap itself; the loop device with direct I/O hands each page
 * through without keeping it.
 */
#include "foldctl/swap_on.h"
#include "base/size.h"
#include "foldctl/interrupt.h"
#include "foldctl/loop.h"
#include "foldctl/program.h"
#include "foldctl/swap.h"
#include "foldctl/term.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#ifndef SWAP_FLAG_DISCARD_PAGES
#define SWAP_FLAG_DISCARD_PAGES 0x40000
#endif
#define OPTIONS_MAX 8192
/* For a daemon whose start was interrupted to be gone. */
#define GONE_MS 30000
#define STEP_MS 50
/* foldfs's exit code, as mount's: wrong options, or what it needs it may not
 * have; some of that can be forgone. */
#define FOLDFS_MAY_NOT 1

struct work {
	struct context *ctx;
	struct swap_request request;
	struct mount mount;
	uint64_t size_bytes, limit_bytes; /* as the daemon has them */
	int file;
	char path[PATH_MAX]; /* of the file */
	struct loop loop;
};

/* --- the directory --- */

static const char *how_to_have_it(int e)
{
	switch (e) {
	case ENOTDIR:
	case ENOTEMPTY:
		return "; that is none of foldctl's: move it away";
	case EBUSY:
		return "; something else is mounted there: unmount it";
	}
	return "";
}

/* Anew, if it is there: so it is no link, no other mount, and empty. */
static int make_directory(struct work *w)
{
	int e;

	(void)w;
	if (mkdir(SWAP_POINT, 0700) == 0 ||
	    (errno == EEXIST && rmdir(SWAP_POINT) == 0 &&
	     mkdir(SWAP_POINT, 0700) == 0))
		return EXIT_DONE;
	e = errno;
	say(SWAP_POINT ": %s%s", strerror(e), how_to_have_it(e));
	return EXIT_FAILED;
}

static void remove_directory(struct work *w)
{
	(void)w;
	/* Taken away with the mount if there was one. */
	if (rmdir(SWAP_POINT) < 0 && errno != ENOENT)
		say(SWAP_POINT ": %s", strerror(errno));
}

/* --- the mount --- */

static void stop_daemon(struct work *w)
{
	int fd = -1, r = swap_daemon_get(w->ctx, &w->mount, &fd);

	/* It says what is left, and swap off finishes that. */
	(void)!swap_take_down(&w->mount, true, r == -ECONNREFUSED, fd);
	if (fd >= 0)
		close(fd);
}

/* The mount of a daemon that was interrupted may come and go yet. */
static void wait_until_gone(struct work *w)
{
	struct swap_state state;

	for (unsigned ms = 0; ms < GONE_MS; ms += STEP_MS) {
		if (swap_look(w->ctx, &state) != EXIT_DONE || !state.mounted)
			return;
		poll(NULL, 0, STEP_MS);
	}
	w->mount = state.mount;
	stop_daemon(w);
}

static int run_daemon(struct work *w)
{
	static char option[] = "-o", source[] = "swap", point[] = SWAP_POINT;
	char program[PATH_MAX], options[OPTIONS_MAX], more[OPTIONS_MAX];
	char *argv[] = {program, option, options, source,
			point,   NULL,   NULL,    NULL};
	int r = swap_request_format(&w->request, options, sizeof(options));

	if (r == 0 && w->request.options) {
		if (snprintf(more, sizeof(more), "%s", w->request.options) >=
		    (int)sizeof(more))
			r = -ENAMETOOLONG;
		argv[5] = option;
		argv[6] = more;
	}
	program_beside("foldfs", program, sizeof(program));
	if (r == 0)
		r = program_run(argv, false);
	if (r == 0)
		return EXIT_DONE;
	if (r < 0)
		say("cannot run %s: %s; it belongs beside foldctl or into PATH",
		    program, strerror(-r));
	else if (!interrupt_seen())
		say("foldfs did not start, for the reason above%s",
		    r == FOLDFS_MAY_NOT
			    ? "; where that names forgo=CURE, swap on takes "
			      "--forgo CURE, at a risk"
			    : "");
	return EXIT_FAILED;
}

static int no_daemon(const struct work *w, int error)
{
	if (error != -ESRCH)
		return context_no_answer(&w->mount, error, NULL);
	say(SWAP_POINT ": %s/%u%s is another daemon's yet, whose mount has "
		       "gone; try again when that has ended",
	    FOLDFS_SOCKET_DIR, w->mount.id, FOLDFS_SOCKET_SUFFIX);
	return EXIT_NO_ANSWER;
}

/* The mount that is there is for swap; what it promises. */
static int ask_mount(struct work *w)
{
	const char *profile;
	json_t *stats;
	int fd = -1, r = swap_daemon_get(w->ctx, &w->mount, &fd), code;

	if (r < 0)
		return no_daemon(w, r);
	if (fd >= 0)
		close(fd);
	code = context_stats(w->ctx, &w->mount, &stats);
	if (code != EXIT_DONE)
		return code;
	profile = answer_text(stats, "profile");
	w->size_bytes = answer_number(stats, "size");
	w->limit_bytes = answer_number(stats, "mem_limit");
	if (!profile || strcmp(profile, "swap") != 0) {
		say(SWAP_POINT ": mounted without profile=swap");
		code = EXIT_FAILED;
	} else if (w->size_bytes < SWAP_SIZE_MIN) {
		say(SWAP_POINT ": a size of less than 1 MiB is too small");
		code = EXIT_FAILED;
	}
	json_decref(stats);
	return code;
}

static int find_mount(struct work *w)
{
	struct swap_state state;
	int code = swap_look(w->ctx, &state);

	if (code != EXIT_DONE)
		return code;
	if (!state.mounted) {
		say(SWAP_POINT ": nothing is mounted there");
		return EXIT_FAILED;
	}
	w->mount = state.mount;
	return EXIT_DONE;
}

static int start_daemon(struct work *w)
{
	int code;

	if (w->request.mounted)
		return find_mount(w) == EXIT_DONE ? ask_mount(w) : EXIT_FAILED;
	code = run_daemon(w);
	if (code == EXIT_DONE)
		code = find_mount(w);
	if (code != EXIT_DONE) {
		wait_until_gone(w);
		return code;
	}
	code = ask_mount(w);
	if (code != EXIT_DONE)
		stop_daemon(w);
	return code;
}

/* --- the file --- */

static void remove_file(struct work *w)
{
	if (w->file >= 0)
		close(w->file);
	w->file = -1;
	unlink(w->path);
}

static int make_file(struct work *w)
{
	snprintf(w->path, sizeof(w->path), "%s/" SWAP_FILE "%u", w->mount.point,
		 w->mount.id);
	/* No device has it, so one that is there is left of a failure. */
	unlink(w->path);
	w->file = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->file >= 0 &&
	    ftruncate(w->file, (off_t)(w->size_bytes & ~UINT64_C(4095))) == 0)
		return EXIT_DONE;
	say("%s: %s", w->path, strerror(errno));
	remove_file(w);
	return EXIT_FAILED;
}

/* --- the device --- */

static int attach(struct work *w)
{
	return loop_attach(w->file, w->path, &w->loop);
}

static void detach(struct work *w)
{
	loop_close(&w->loop);
}

static int make_swap(struct work *w)
{
	static char name[] = "mkswap", label[] = "-L", foldfs[] = "foldfs";
	char path[LOOP_PATH_MAX];
	char *argv[] = {name, label, foldfs, path, NULL};
	int r;

	loop_path(w->loop.number, path);
	r = program_run(argv, true);
	if (r < 0)
		say("cannot run mkswap: %s; it is in the package util-linux",
		    strerror(-r));
	else if (r > 0 && !interrupt_seen())
		say("mkswap %s ended with %d", path, r);
	return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

static const char *why_no_swap(int e)
{
	switch (e) {
	case EPERM:
		return ": it takes CAP_SYS_ADMIN, which a container may not "
		       "have";
	case ENOSYS:
	case ENOMEM:
		return ": the kernel has no swap, or too little memory for its "
		       "table";
	}
	return "";
}

static int swap_in(struct work *w)
{
	int flags = SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_PAGES |
		    SWAP_FLAG_PREFER |
		    (w->request.priority << SWAP_FLAG_PRIO_SHIFT &
		     SWAP_FLAG_PRIO_MASK);
	char path[LOOP_PATH_MAX];
	int e;

	if (swapon(loop_path(w->loop.number, path), flags) == 0)
		return EXIT_DONE;
	e = errno;
	say("swapon %s: %s%s", path, strerror(e), why_no_swap(e));
	return EXIT_FAILED;
}

/* --- all of them --- */

static const struct step {
	int (*up)(struct work *w);
	void (*down)(struct work *w); /* NULL: nothing to take back */
	bool of_mount;                /* with --mounted not ours to take back */
} steps[] = {
	{make_directory, remove_directory, true},
	{start_daemon, stop_daemon, true},
	{make_file, remove_file, false},
	{attach, detach, false},
	{make_swap, NULL, false},
	{swap_in, NULL, false},
};

static void take_back(struct work *w, size_t n)
{
	while (n-- > 0)
		if (steps[n].down && !(w->request.mounted && steps[n].of_mount))
			steps[n].down(w);
}

static int go_up(struct work *w)
{
	int code = EXIT_DONE;
	size_t n = w->request.mounted ? 1 : 0;

	for (; n < ARRAY_SIZE(steps); n++) {
		code = interrupt_seen() ? EXIT_FAILED : steps[n].up(w);
		if (code != EXIT_DONE)
			break;
	}
	if (n == ARRAY_SIZE(steps))
		return EXIT_DONE;
	if (interrupt_seen())
		say("interrupted: what was done is taken back");
	take_back(w, n);
	return code;
}

static void tell(const struct work *w)
{
	char size[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];

	printf("/dev/loop%u: %s of swap in at most %s of RAM, priority %d\n",
	       w->loop.number, size_format(w->size_bytes, size),
	       size_format(w->limit_bytes, limit), w->request.priority);
}

static int check_nothing_is_there(struct work *w)
{
	struct swap_state state;
	int code = swap_look(w->ctx, &state);

	if (code != EXIT_DONE)
		return code;
	if (state.on && swap_is_dead(w->ctx, &state))
		say("/dev/loop%u is on and its daemon is gone; 'foldctl swap "
		    "off' takes it down",
		    state.loop);
	else if (state.on)
		say("/dev/loop%u is on already; 'foldctl swap status' shows it",
		    state.loop);
	else if (state.looped || (state.mounted && !w->request.mounted))
		say("something is left of an earlier swap; 'foldctl swap off' "
		    "takes it down");
	else
		return EXIT_DONE;
	return EXIT_FAILED;
}

static int on(struct work *w)
{
	int lock = swap_lock(), code;

	if (lock < 0)
		return EXIT_FAILED;
	code = check_nothing_is_there(w);
	if (code == EXIT_DONE) {
		interrupt_catch();
		code = go_up(w);
	}
	if (code == EXIT_DONE) {
		/* The kernel has the device open now, and that the file. */
		loop_close(&w->loop);
		close(w->file);
		tell(w);
	}
	close(lock);
	/* Once swap is on a signal came too late. */
	if (code == EXIT_DONE)
		interrupt_release();
	else
		interrupt_end();
	return code;
}

int swap_on(struct context *ctx, int argc, char **argv)
{
	struct work w = {.ctx = ctx, .file = -1, .loop.fd = -1};
	int code = swap_request_parse(ctx, argc, argv, &w.request);

	if (code != CONTEXT_GO_ON)
		return code;
	if (geteuid() != 0) {
		say("swap on: only root may do that");
		return EXIT_FAILED;
	}
	swap_request_settle(&w.request, size_of_ram());
	return on(&w);
}
