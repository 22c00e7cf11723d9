/* SPDX-License-Identifier: MIT */
#pragma once

/* Memory that is taken piece by piece and given back as a whole: what a file that was read consists of. */

#include <stdbool.h>
#include <stddef.h>

struct pool;

struct pool *pool_new(void);  // NULL: no memory
void pool_free(struct pool *pool);

/* Zeroed memory, aligned for anything; NULL: no memory. */
void *pool_take(struct pool *pool, size_t size);
char *pool_string(struct pool *pool, const char *string);

/* Whether it ever had no memory: for who checks once at the end. */
bool pool_failed(const struct pool *pool);
