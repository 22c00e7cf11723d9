/* SPDX-License-Identifier: MIT */
#pragma once

/* Every maximum, each with its reason. Memory is taken at start; a poll takes none. */

#define METER_ID_SIZE      32      // [a-z0-9][a-z0-9_-]{0,30} and the end: fits a FAT name in any case
#define MODEL_ID_SIZE      48      // the file name of a .meter file without its ending
#define QUANTITY_NAME_SIZE 48      // longest in the models: energy_reactive_capacitive_export (33)
#define UNIT_SIZE          12      // longest: "percent"
#define LABEL_SIZE         64      // an input's or a meter's name for people
#define PATH_SIZE          512     // state, run and stick directories with the file names below them

#define MAX_POINTS         256     // numbers of one meter; CVM-NRG96 with all banks has 110
#define MAX_WORDS          1024    // registers of one poll; 256 points of four
#define MAX_BLOCKS         256     // requests of one poll: at worst one a point
#define MAX_METERS         1000    // one plant that this has to serve has 79
#define MAX_BUSES          64      // adapters and TCP gateways of one appliance
#define MAX_BOUNDS         16      // bounds.<quantity> lines of one meter
#define MAX_INPUTS         16      // current inputs a to p of a HDHK device

#define MAX_FILE_SIZE      (1024 * 1024)  // a configuration or model file; the largest seed model has 6 KiB
#define MAX_LINE_SIZE      1000           // one line of them; refused beyond, never split
