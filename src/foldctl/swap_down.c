/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes the mount of swap down: what swap off ends with, and swap on when it
 * fails.
 */
#include "base/clock.h"
#include "foldctl/swap.h"
#include "foldctl/term.h"
#include "foldctl/unmount.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel lets the file of a loop device go a moment after the device. */
#define BUSY_MS 30000
#define STEP_MS 20
/* For memory to be given back. */
#define PATIENCE_MS 600000

int swap_daemon_get(struct context *ctx, const struct mount *mount, int *ret_fd)
{
	struct client client;
	const char *point;
	json_t *hello;
	int r = client_open(&client, mount, ctx->timeout_ms);

	if (r < 0)
		return r;
	r = client_ask(&client, "hello", &hello);
	if (r == 0) {
		point = answer_text(hello, "mountpoint");
		if (point && strcmp(point, SWAP_POINT) == 0)
			*ret_fd = (int)syscall(SYS_pidfd_open,
					       client_peer(&client), 0);
		else
			r = -ESRCH;
		json_decref(hello);
	}
	client_close(&client);
	return r;
}

static int unmount_when_free(const struct mount *mount, bool lazily)
{
	int code = unmount_check(mount), r = -EBUSY;

	for (unsigned ms = 0; code == EXIT_DONE && r == -EBUSY && ms < BUSY_MS;
	     ms += STEP_MS) {
		r = unmount(mount, lazily);
		if (r == -EBUSY)
			poll(NULL, 0, STEP_MS);
	}
	if (code == EXIT_DONE && r < 0) {
		say("%s: cannot unmount: %s%s", mount->point, strerror(-r),
		    r == -EBUSY ? "; 'fuser -vm " SWAP_POINT "' says by whom "
				  "it is used"
				: "");
		code = EXIT_FAILED;
	}
	return code;
}

static int wait_for_end(int daemon_fd)
{
	struct pollfd p = {.fd = daemon_fd, .events = POLLIN};
	uint64_t end = clock_ns() + PATIENCE_MS * (NS_PER_S / 1000);
	int r = 0;

	progress("waiting for the daemon to end");
	while (r == 0 && clock_ns() < end)
		r = poll(&p, 1, 1000);
	progress_end();
	if (r > 0)
		return EXIT_DONE;
	if (r < 0) {
		say("interrupted: the daemon of swap is ending by itself");
		return EXIT_FAILED;
	}
	say("the daemon of swap does not end; its log says why");
	return EXIT_NO_ANSWER;
}

int swap_take_down(const struct mount *mount, bool mounted, bool lazily,
		   int daemon_fd)
{
	int code = EXIT_DONE;

	if (mounted)
		code = unmount_when_free(mount, lazily);
	if (code == EXIT_DONE && daemon_fd >= 0)
		code = wait_for_end(daemon_fd);
	if (code == EXIT_DONE && rmdir(SWAP_POINT) < 0 && errno != ENOENT) {
		say(SWAP_POINT ": %s", strerror(errno));
		code = EXIT_FAILED;
	}
	return code;
}
