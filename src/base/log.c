/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages for people, each one write() so that lines do not mix.
 *
 * No lock and no heap of ours. The daemon turns to syslog when its threads run
 * already: the target is stored last, with release, and read with acquire, so
 * whoever sees it sees what goes with it.
 */
#include "base/log.h"
#include "base/clock.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_BYTES 1024

static const char *_Atomic log_name = "foldfs";
static _Atomic enum log_target log_target = LOG_TO_STDERR;
static _Atomic enum log_level log_most = LOG_AT_NOTICE;
static _Atomic bool log_journal;
static int log_socket = -1; /* written before log_target */

/* Whether stderr is the journal's stream: JOURNAL_STREAM is DEVICE:INODE. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	       st.st_ino == ino;
}

void log_setup(const char *name, enum log_target target, enum log_level most)
{
	atomic_store_explicit(&log_name, name, memory_order_relaxed);
	atomic_store_explicit(&log_most, most, memory_order_relaxed);
	atomic_store_explicit(&log_journal, stderr_is_journal(),
			      memory_order_relaxed);
	if (target == LOG_TO_SYSLOG && log_socket < 0)
		log_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	atomic_store_explicit(&log_target, target, memory_order_release);
}

static const char *level_text(enum log_level level)
{
	switch (level) {
	case LOG_AT_ERROR:
		return "error: ";
	case LOG_AT_WARNING:
		return "warning: ";
	case LOG_AT_DEBUG:
		return "debug: ";
	case LOG_AT_NOTICE:
	case LOG_AT_INFO:
		break;
	}
	return "";
}

/* What stands before a message on stderr. */
static size_t put_prefix(enum log_level level, char *text, size_t most)
{
	const char *name =
		atomic_load_explicit(&log_name, memory_order_relaxed);
	int n;

	if (atomic_load_explicit(&log_journal, memory_order_relaxed))
		n = snprintf(text, most, "<%d>", (int)level);
	else
		n = snprintf(text, most, "%s: %s", name, level_text(level));
	return n < 0 || (size_t)n >= most ? 0 : (size_t)n;
}

/* Words of the user's are echoed: no terminal must obey them, and in no log
 * must they begin a line. */
static void mask(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

/*
 * By hand, for syslog(3) allocates and waits: for a logger that itself may wait
 * for memory, which is swap that we serve. What it has no room for is lost. It
 * is found anew each time, for it may be started again.
 */
static void send_line(enum log_level level, const char *text)
{
	const struct sockaddr_un to = {.sun_family = AF_UNIX,
				       .sun_path = _PATH_LOG};
	char line[LINE_BYTES + 128];
	int n = snprintf(line, sizeof(line), "<%d>%s[%d]: %s",
			 LOG_DAEMON | (int)level,
			 atomic_load_explicit(&log_name, memory_order_relaxed),
			 (int)getpid(), text);

	if (n > 0 && (size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	if (sendto(log_socket, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&to, sizeof(to)) < 0)
		return;
}

static void write_line(enum log_level level, const char *fmt, va_list args)
	PRINTF_LIKE(2, 0);

static void write_line(enum log_level level, const char *fmt, va_list args)
{
	bool to_syslog =
		atomic_load_explicit(&log_target, memory_order_acquire) ==
		LOG_TO_SYSLOG;
	char text[LINE_BYTES];
	size_t most = sizeof(text) - 1, n = 0;
	int more;

	if (!to_syslog)
		n = put_prefix(level, text, most);
	more = vsnprintf(text + n, most - n, fmt, args);
	if (more > 0)
		n += (size_t)more;
	/* A message too long is cut; its line still ends. */
	if (n >= most)
		n = most - 1;
	mask(text, n);
	text[n] = to_syslog ? '\0' : '\n';
	if (to_syslog)
		send_line(level, text);
	else if (write(STDERR_FILENO, text, n + 1) < 0)
		return;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (level > atomic_load_explicit(&log_most, memory_order_relaxed))
		return;
	va_start(args, fmt);
	write_line(level, fmt, args);
	va_end(args);
	errno = saved;
}

/* The window word: start in ms above, count in the low 8 bits. */
unsigned log_may_repeat_at(struct log_site *site, uint64_t now_ns)
{
	uint64_t now_ms = now_ns / 1000000;
	uint64_t old =
		atomic_load_explicit(&site->window, memory_order_relaxed);
	uint64_t new;

	do {
		uint64_t count = old & 0xff;

		if (count == 0 || now_ms - (old >> 8) >= 60000)
			new = now_ms << 8 | 1;
		else if (count < LOG_REPEATS_A_MINUTE)
			new = old + 1;
		else
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&site->window, &old, new, memory_order_relaxed,
		memory_order_relaxed));
	return (unsigned)(new & 0xff);
}

unsigned log_may_repeat(struct log_site *site)
{
	return log_may_repeat_at(site, clock_ns());
}
