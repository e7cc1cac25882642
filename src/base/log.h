/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages for people: stderr with a plain prefix on a terminal, <N> prefixes
 * under systemd (JOURNAL_STREAM), syslog once in the background.
 *
 * Layers 0 to 2 log nothing but debug: a function either logs or returns an
 * error, never both. Repeated errors are rate-limited per call site with
 * log_limited().
 */
#ifndef SRC_BASE_LOG_H
#define SRC_BASE_LOG_H

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdint.h>

enum log_level {
	LOG_AT_ERROR = 3,
	LOG_AT_WARNING = 4,
	LOG_AT_NOTICE = 5,
	LOG_AT_INFO = 6,
	LOG_AT_DEBUG = 7
};

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Before threads log, and once more when the daemon leaves its terminal; one
 * caller at a time. @name is kept, not copied. */
void log_setup(const char *name, enum log_target target, enum log_level most);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define LOG_REPEATS_A_MINUTE 10u

/* One call site: its minute's start and count in one word, so no lock. */
struct log_site {
	_Atomic uint64_t window;
};
/* The how-manieth of its minute a message is, at most 10; 0: not to be logged. */
unsigned log_may_repeat(struct log_site *site);
/* The same with the time given: @now_ns is a clock_ns() time. */
unsigned log_may_repeat_at(struct log_site *site, uint64_t now_ns);

#define log_error(...) log_write(LOG_AT_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_AT_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_AT_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_AT_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_AT_DEBUG, __VA_ARGS__)
#define log_limited(level, ...)                                                \
	do {                                                                   \
		static struct log_site log_site_;                              \
		unsigned log_turn_ = log_may_repeat(&log_site_);               \
		if (log_turn_)                                                 \
			log_write(level, __VA_ARGS__);                         \
		if (log_turn_ == LOG_REPEATS_A_MINUTE)                         \
			log_write(level, "no more like the last line for a "   \
					 "minute");                            \
	} while (0)

#endif
