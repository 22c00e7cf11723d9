/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The verbs that are commands. Each takes its own arguments (argv[0] is the first behind the verb) and returns the
 * exit code.
 */

int verb_check(int argc, char **argv);
int verb_demo(int argc, char **argv);
int verb_models(int argc, char **argv);
int verb_ports(int argc, char **argv);
int verb_read(int argc, char **argv);
int verb_scan(int argc, char **argv);
int verb_simulate(int argc, char **argv);
int verb_status(int argc, char **argv);
