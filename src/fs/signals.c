/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGINT, SIGTERM, SIGHUP and signals_ask() end the mount.
 *
 * A thread of its own: taking the mount away makes the kernel write back, so
 * it must be nobody that the workers wait for.
 */
#include "fs/signals.h"
#include "base/log.h"
#include "base/resident.h"
#include "fs/later.h"
#include "fs/mount.h"
#include "fs/spiller.h"
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

/* What came since, or comes now, asked for what is done: it must not make an
 * end look like a death. Pending ones go with being ignored. */
void signals_restore(const struct signals *signals)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

/* Who has the file of swap open is the kernel, with what others need in it. */
static bool may_cut_off(const struct fs *fs)
{
	return fs->config->profile != FS_PROFILE_SWAP;
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
	if (busy) {
		log_notice("%s: %s: files are in use; unmounted from view, "
			   "ends with the last of them%s",
			   fs->config->mountpoint, strsignal(signal),
			   may_cut_off(fs) ? " (once more: ends now)" : "");
		fs->tell(fs->tell_arg, FS_IN_USE);
	}
	return true;
}

/* Workers last: who waits for the kernel to write back waits for them. */
static void cut_off(struct fs *fs)
{
	spiller_cancel(fs->spiller);
	later_hold(fs->later);
	crew_stop(fs->crew);
}

/* The signal that came, or was asked for; 0: neither. */
static int next_signal(struct signals *s)
{
	struct signalfd_siginfo info;
	eventfd_t n;

	if (eventfd_read(s->ask_fd, &n) == 0)
		return SIGTERM;
	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

static void *signals_main(void *arg)
{
	struct signals *s = arg;
	struct pollfd fds[] = {
		{.fd = s->stop_fd, .events = POLLIN},
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = s->ask_fd, .events = POLLIN},
	};
	bool asked = false;
	int signal;

	pthread_setname_np(pthread_self(), "foldfs-signals");
	resident_stack();
	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		signal = next_signal(s);
		if (signal == 0)
			continue;
		if (asked && may_cut_off(s->fs)) {
			cut_off(s->fs);
			continue;
		}
		if (!asked)
			asked = end_softly(s->fs, signal);
		if (asked)
			spiller_call_off(s->fs->spiller);
	}
}

static void close_descriptors(const struct signals *s)
{
	const int fds[] = {s->signal_fd, s->ask_fd, s->stop_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int open_descriptors(struct signals *s)
{
	sigset_t set;
	int r;

	ours(&set);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->signal_fd >= 0 && s->ask_fd >= 0 && s->stop_fd >= 0)
		return 0;
	r = -errno;
	close_descriptors(s);
	return r;
}

int signals_start(struct signals *s, struct fs *fs)
{
	int r = open_descriptors(s);

	if (r)
		return r;
	s->fs = fs;
	r = -pthread_create(&s->thread, NULL, signals_main, s);
	if (r) {
		close_descriptors(s);
		return r;
	}
	s->running = true;
	return 0;
}

void signals_ask(struct signals *s)
{
	eventfd_write(s->ask_fd, 1);
}

void signals_stop(struct signals *s)
{
	if (!s->running)
		return;
	eventfd_write(s->stop_fd, 1);
	pthread_join(s->thread, NULL);
	close_descriptors(s);
	s->running = false;
}
