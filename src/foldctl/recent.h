/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long requests took between two samples, out of the histograms of both. */
#ifndef SRC_FOLDCTL_RECENT_H
#define SRC_FOLDCTL_RECENT_H

#include "base/compiler.h"
#include "foldctl/sample.h"

struct recent {
	double p50_us, p99_us, max_us; /* right to a factor of two */
};

/* Of requests of kind @op; since the mount when there is nothing before. False:
 * there was none, or the daemon has no histograms. */
bool recent_latency(const struct sample *from, const struct sample *to,
		    const char *op, struct recent *ret) MUST_CHECK;

#endif
