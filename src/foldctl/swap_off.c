/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl swap off: brings back what was swapped out, then takes the device,
 * the mount and its directory down, whatever of these there is.
 *
 * A child asks the kernel for it: where memory runs out, the kernel ends first
 * of all who does swapoff, and leaves swap on. It comes to an end with us, and
 * a signal interrupts it; swap is on then, with what had come back in memory.
 */
#include "base/clock.h"
#include "base/notify.h"
#include "base/size.h"
#include "foldctl/asked.h"
#include "foldctl/interrupt.h"
#include "foldctl/loop.h"
#include "foldctl/swap.h"
#include "foldctl/swap_room.h"
#include "foldctl/term.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_MS 200
/* For the kernel to see that swapoff is to end: it does not while it waits for
 * a page. */
#define STUCK_MS 5000
#define ASK_TIMES 2

struct off {
	struct context *ctx;
	struct swap_state state;
	bool force;
	bool is_dead;          /* the daemon has gone */
	int daemon_fd;         /* readable when it ends; -1: nobody can tell */
	struct notify manager; /* whose service's end it is, if it is one */
	char device[LOOP_PATH_MAX];
};

/* --- before --- */

/* Its keys. One that is being killed hangs up first; who asks again is told
 * that nobody is there. */
static json_t *ask_keys(const struct off *off, struct asked *ret_asked)
{
	json_t *stats = NULL;

	for (unsigned i = 0; i < ASK_TIMES; i++) {
		asked_begin(off->ctx, &off->state.mount, ret_asked);
		stats = asked_end(ret_asked);
		if (ret_asked->error != -ECONNRESET)
			break;
	}
	return stats;
}

/* What the daemon would give back, page by page. */
static int ask_daemon(struct off *off, uint64_t *ret_held_bytes)
{
	const struct mount *mount = &off->state.mount;
	struct asked asked;
	json_t *stats;
	int r;

	stats = ask_keys(off, &asked);
	if (asked.error == -ECONNREFUSED || asked.error == -ENOENT) {
		off->is_dead = true;
		return EXIT_DONE;
	}
	if (asked.error < 0)
		return context_no_answer(mount, asked.error, &asked.client);
	*ret_held_bytes = answer_number(stats, "mem_used_total");
	json_decref(stats);
	r = swap_daemon_get(off->ctx, mount, &off->daemon_fd);
	return r < 0 && r != -ESRCH ? context_no_answer(mount, r, NULL)
				    : EXIT_DONE;
}

static void tell_loss(const struct off *off)
{
	char used[SIZE_TEXT_MAX];

	if (off->state.swap.used_bytes)
		say("the daemon of %s is gone, and with it %s that were "
		    "swapped out: programs get SIGBUS where they need them",
		    off->device, size_format(off->state.swap.used_bytes, used));
}

/* May it begin? */
static int check(struct off *off)
{
	uint64_t held_bytes = 0;
	int code = ask_daemon(off, &held_bytes);

	if (code != EXIT_DONE) {
		if (off->state.on && !off->force) {
			say("nothing was done: swapoff would wait for the "
			    "daemon; --force tries all the same");
			return code;
		}
		return EXIT_DONE;
	}
	if (!off->state.on)
		return EXIT_DONE;
	if (off->is_dead) {
		tell_loss(off);
		return EXIT_DONE;
	}
	if (swap_room_check(&off->state.swap, held_bytes) || off->force)
		return EXIT_DONE;
	say("nothing was done, swap is on as before; end programs or give them "
	    "more memory first, or say --force");
	return EXIT_FAILED;
}

/* --- swapoff --- */

static pid_t start_swapoff(const char *device)
{
	pid_t self = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	interrupt_release();
	/* It may outlive us: who reads what we say need not wait for it. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != self)
		_exit(EINTR);
	_exit(swapoff(device) == 0 ? 0 : errno);
}

/* On a terminal, or as a unit's status. */
static void show_progress(const struct off *off)
{
	uint64_t before = off->state.swap.used_bytes, now;
	char left[SIZE_TEXT_MAX], text[128];
	struct swaps_line line;

	if (swaps_find("/proc", off->device, &line) < 0)
		return;
	now = line.used_bytes < before ? line.used_bytes : before;
	snprintf(text, sizeof(text), "%s: %" PRIu64 " %% are back, %s to go",
		 off->device, before ? (before - now) * 100 / before : 100,
		 size_format(now, left));
	progress("%s", text);
	/* Who does not hear it has nothing to lose. */
	notify_send(&off->manager, "STATUS=Swap off: %s", text);
}

/* False: it was told to end, and cannot. */
static bool wait_for(const struct off *off, pid_t pid, int *ret_status)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t told_ns = 0;
	bool ended;

	while (!(ended = waitpid(pid, ret_status, WNOHANG) != 0)) {
		if (interrupt_seen()) {
			kill(pid, SIGKILL);
			if (told_ns == 0)
				told_ns = clock_ns();
			if (clock_ns() - told_ns >=
			    STUCK_MS * (NS_PER_S / 1000))
				break;
		}
		show_progress(off);
		poll(&p, 1, STEP_MS);
	}
	progress_end();
	if (fd >= 0)
		close(fd);
	return ended;
}

static void say_why(const struct off *off, int error)
{
	const char *device = off->device;

	switch (error) {
	case ENOMEM:
		say("swapoff %s: not enough memory for what would come back: "
		    "swap is on as before; end programs first",
		    device);
		break;
	case EINTR:
		say("swapoff %s: interrupted: swap is on, with what had not "
		    "come back yet",
		    device);
		break;
	case EINPROGRESS:
		say("swapoff %s: interrupted, but the kernel waits for the "
		    "daemon of swap, which does not answer; say 'foldctl swap "
		    "off' again when it does",
		    device);
		break;
	default:
		say("swapoff %s: %s; swap is on", device, strerror(error));
	}
}

/* 0, also when it was off; else why not, as an errno. */
static int try_once(const struct off *off)
{
	struct swaps_line line;
	pid_t pid = start_swapoff(off->device);
	int status = 0;

	if (pid < 0)
		return errno;
	/* It holds our lock until it has come to its end. */
	if (!wait_for(off, pid, &status))
		return EINPROGRESS;
	if (swaps_find("/proc", off->device, &line) == -ENOENT)
		return 0;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return interrupt_seen() ? EINTR : ENOMEM;
}

static int turn_off(struct off *off)
{
	int error = try_once(off);

	/* It is on and cannot be turned off: another swapoff is at it, as that
	 * of a service manager at shutdown. */
	while (error == EINVAL && !interrupt_seen()) {
		poll(NULL, 0, STEP_MS);
		error = try_once(off);
	}
	if (error == 0)
		return EXIT_DONE;
	say_why(off, error);
	return EXIT_FAILED;
}

/* --- all of it --- */

static int clear_loop(const struct off *off)
{
	int r = loop_clear(off->state.loop, off->state.backing);

	/* It goes by itself with the last who has it open, so it may have. */
	if (r == 0 || r == -ENXIO || r == -ENOENT)
		return EXIT_DONE;
	say("%s: %s", off->device, strerror(-r));
	return EXIT_FAILED;
}

static int take_down(struct off *off)
{
	int code = check(off);

	if (code == EXIT_DONE && off->state.on)
		code = turn_off(off);
	if (code == EXIT_DONE && off->state.looped)
		code = clear_loop(off);
	if (code == EXIT_DONE)
		code = swap_take_down(&off->state.mount, off->state.mounted,
				      off->is_dead, off->daemon_fd);
	return code;
}

static int turn_all_off(struct context *ctx, bool force)
{
	struct off off = {.ctx = ctx, .force = force, .daemon_fd = -1};
	int code = swap_look(ctx, &off.state);

	if (code != EXIT_DONE)
		return code;
	if (!swap_is_any(&off.state)) {
		/* Of an attempt to begin, or to end, that was killed. */
		rmdir(SWAP_POINT);
		return EXIT_DONE;
	}
	loop_path(off.state.loop, off.device);
	if (notify_init(&off.manager) < 0)
		notify_drop(&off.manager);
	/* What of us were swapped out would be waited for where it may never
	 * come from, beyond any time limit and deaf to signals. Without the
	 * right to it that is a risk, no failure. */
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	interrupt_catch();
	code = take_down(&off);
	if (off.daemon_fd >= 0)
		close(off.daemon_fd);
	return code;
}

int swap_off(struct context *ctx, int argc, char **argv)
{
	static const struct option longs[] = {
		{"force", no_argument, NULL, 'f'},
		CONTEXT_OPTIONS,
		{0},
	};
	static const struct verb_help help = {
		" -f, --force          also where memory may be too short for "
		"it\n",
		NULL};
	bool force = false;
	int c, code = CONTEXT_GO_ON, lock;

	while (code == CONTEXT_GO_ON &&
	       (c = getopt_long(argc, argv, "f" CONTEXT_SHORT, longs, NULL)) !=
		       -1) {
		force |= c == 'f';
		if (c != 'f')
			code = context_option(ctx, c, optarg, &help);
	}
	if (code == CONTEXT_GO_ON)
		code = context_take_nothing(ctx, argc, argv, "swap off");
	if (code != CONTEXT_GO_ON)
		return code;
	if (geteuid() != 0) {
		say("swap off: only root may do that");
		return EXIT_FAILED;
	}
	lock = swap_lock();
	if (lock < 0)
		return EXIT_FAILED;
	code = turn_all_off(ctx, force);
	close(lock);
	if (code == EXIT_DONE)
		interrupt_release();
	else
		interrupt_end();
	return code;
}
