/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output that was lost is an error; a reader that has gone away is not: it has
 * seen what it wanted.
 */
#include "foldctl/term.h"
#include "foldctl/exit.h"
#include "foldctl/foreign.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool progress_shown;
static bool stdout_was_closed;
static int lost; /* why the first output that was lost was */
/* So long ago that nobody knows why: no errno. */
#define EARLIER (-1)

/* A file that is opened later must not become standard output. */
static void fill_gaps(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void term_setup(void)
{
	stdout_was_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
	fill_gaps();
	/* EPIPE instead of death, so that files and terminals are tidied. */
	signal(SIGPIPE, SIG_IGN);
}

/* The other end of a pipe: an early flush may have met EPIPE already. */
static bool reader_is_gone(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

int term_flush(void)
{
	if (lost == 0 && fflush(stdout) != 0)
		lost = errno;
	else if (lost == 0 && ferror(stdout))
		lost = EARLIER;
	return lost == EARLIER ? -EIO : -lost;
}

int term_finish(int code)
{
	const char *why = NULL;

	progress_end();
	term_flush();
	if (stdout_was_closed)
		why = "closed";
	else if (lost && lost != EPIPE && !reader_is_gone())
		why = lost == EARLIER ? "write error" : strerror(lost);
	/* After an error nobody waits for output. */
	if (!why || code != EXIT_DONE)
		return code;
	say("standard output: %s", why);
	return EXIT_FAILED;
}

static PRINTF_LIKE(1, 0) void vsay(const char *fmt, va_list args)
{
	progress_end();
	/* Both may go to one place: what was printed before stands before. */
	term_flush();
	fputs("foldctl: ", stderr);
	foreign_vprint(stderr, fmt, args);
	fputc('\n', stderr);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsay(fmt, args);
	va_end(args);
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsay(fmt, args);
	va_end(args);
	exit(EXIT_FAILED);
}

static bool is_dumb(void)
{
	const char *term = getenv("TERM");

	return !term || strcmp(term, "dumb") == 0;
}

bool term_has_color(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !is_dumb() && !(no && *no);
}

void progress(const char *fmt, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO) || is_dumb())
		return;
	fputs("\r\033[K", stderr);
	va_start(args, fmt);
	foreign_vprint(stderr, fmt, args);
	va_end(args);
	fflush(stderr);
	progress_shown = true;
}

void progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}
