/* SPDX-License-Identifier: MIT */
#pragma once

/* Memory that is taken piece by piece and given back as a whole: what a file that was read consists of. */

#include <stddef.h>

struct pool;

struct pool *pool_new(void);  // NULL: no memory
void pool_free(struct pool *pool);

/* Zeroed memory, aligned for anything; NULL: no memory. */
void *pool_take(struct pool *pool, size_t size);
char *pool_string(struct pool *pool, const char *string);
