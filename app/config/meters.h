/* SPDX-License-Identifier: MIT */
#pragma once

/* What the meters of a configuration are, once all of it is read: models, buses, selections; and what cannot be. */

#include "app/config/keys.h"

/* Errors: -ENOMEM; everything else is a problem. */
int meters_resolve(struct loading *loading) MUST_CHECK;
