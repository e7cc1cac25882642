/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP end the mount.
 *
 * A thread of its own: taking the mount away makes the kernel write back, so
 * it must be nobody that the workers wait for.
 */
#include "fs/signals.h"
#include "base/log.h"
#include "fs/mount.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void ours(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

void signals_block(struct signals *signals)
{
	sigset_t set;

	ours(&set);
	pthread_sigmask(SIG_BLOCK, &set, &signals->before);
	signals->running = false;
}

void signals_restore(const struct signals *signals)
{
	pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

/* False when there is nothing left to wait for. */
static bool end_softly(struct fs *fs, int signal)
{
	bool busy = false;
	int r = mount_detach(fs, &busy);

	if (r) {
		log_error("%s: cannot unmount: %s", fs->config->mountpoint,
			  strerror(-r));
		return false;
	}
	if (busy)
		log_notice("%s: %s: files are in use; unmounted from view, "
			   "ends with the last of them (once more: ends now)",
			   fs->config->mountpoint, strsignal(signal));
	return true;
}

static void *signals_main(void *arg)
{
	struct signals *s = arg;
	struct pollfd fds[2] = {
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = s->stop_fd, .events = POLLIN},
	};
	struct signalfd_siginfo info;
	bool asked = false;

	pthread_setname_np(pthread_self(), "foldfs-signals");
	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			return NULL;
		if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (asked)
			crew_stop(s->fs->crew);
		else
			asked = end_softly(s->fs, (int)info.ssi_signo);
	}
}

static int open_descriptors(struct signals *s)
{
	sigset_t set;

	ours(&set);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return -errno;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0) {
		int r = -errno;

		close(s->signal_fd);
		return r;
	}
	return 0;
}

int signals_start(struct signals *s, struct fs *fs)
{
	int r = open_descriptors(s);

	if (r)
		return r;
	s->fs = fs;
	r = -pthread_create(&s->thread, NULL, signals_main, s);
	if (r) {
		close(s->signal_fd);
		close(s->stop_fd);
		return r;
	}
	s->running = true;
	return 0;
}

void signals_stop(struct signals *s)
{
	if (!s->running)
		return;
	eventfd_write(s->stop_fd, 1);
	pthread_join(s->thread, NULL);
	close(s->signal_fd);
	close(s->stop_fd);
	s->running = false;
}
