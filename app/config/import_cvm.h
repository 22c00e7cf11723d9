/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The setup files of the Circutor CVM-NRG96 driver (CVM-03). Both forms, told apart by their first line:
 *
 *     positional   port, CSV file, numbers a line, three-phase numbers, bank, sampling period in s, logging period in
 *                  minutes, URL; one a line, # comments
 *     labelled     puerto, archivo, lista_por_linea, lista_trifasicas, cual, periodo_muestreo, periodo_registro, url
 *
 * Numbers are those of CVM-05; columns come in its order: line 1, 2, 3, then three-phase. Energies and maximum demands
 * have no maximum or minimum: with such a bank they are logged as they are, and a comment says so.
 */

#include "app/base/problems.h"

/*
 * Our configuration for the same job.
 *
 * name  of the file, for messages
 * Errors: -EINVAL problems say file, line, key and what is allowed
 */
int import_cvm(const char *name, const char *text, size_t size, struct problems *problems, struct text *ret) MUST_CHECK;
