/* SPDX-License-Identifier: MIT */
/*
 * The yardstick: the smallest loop that libmodbus allows. It runs a ready plan ("unit table address count" lines on
 * standard input) again and again, keeps 3.5 characters of silence between frames, and does nothing else: no
 * configuration, no decoding, no journal, no log, no recovery.
 *
 *   bench_reference DEVICE BAUD PARITY DATA STOP CYCLES
 *
 * Prints one line of JSON; the CPU time is that after the first cycle.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define MAX_REQUESTS 4096
#define MAX_CYCLES   1000

struct request {
    int unit, table, address, count;
};

static double now_us(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static double cpu_us(void)
{
    struct timespec used;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double) used.tv_sec * 1e6 + (double) used.tv_nsec / 1e3;
}

static int run_cycle(modbus_t *modbus, const struct request *requests, int count, const struct timespec *silence)
{
    uint16_t words[MODBUS_MAX_READ_REGISTERS];
    int failed = 0, r;

    for (int i = 0; i < count; i++) {
        const struct request *request = &requests[i];

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, silence, NULL);
        (void) modbus_set_slave(modbus, request->unit);
        r = request->table == 3 ? modbus_read_registers(modbus, request->address, request->count, words)
                                : modbus_read_input_registers(modbus, request->address, request->count, words);
        failed += r != request->count;
    }
    return failed;
}

int main(int argc, char **argv)
{
    static struct request requests[MAX_REQUESTS];
    static double cycle_us[MAX_CYCLES];
    struct timespec silence = { 0 };
    int count = 0, failed = 0, baud, data, stop, cycles;
    double character_us, cpu_start_us = 0;
    modbus_t *modbus;

    if (argc != 7) {
        return 2;
    }
    baud = atoi(argv[2]);
    data = atoi(argv[4]);
    stop = atoi(argv[5]);
    cycles = atoi(argv[6]);
    while (count < MAX_REQUESTS
           && scanf("%d %d %d %d", &requests[count].unit, &requests[count].table, &requests[count].address,
                    &requests[count].count) == 4) {
        count++;
    }
    character_us = (1.0 + data + (argv[3][0] != 'N') + stop) * 1e6 / baud;
    silence.tv_nsec = (long) ((baud > 19200 ? 1750 : 3.5 * character_us) * 1e3);
    modbus = modbus_new_rtu(argv[1], baud, argv[3][0], data, stop);
    if (!modbus || count == 0 || cycles < 1 || cycles > MAX_CYCLES || modbus_connect(modbus) < 0) {
        (void) fprintf(stderr, "bench_reference: %s: %s\n", argv[1], modbus_strerror(errno));
        return 1;
    }

    (void) prctl(PR_SET_TIMERSLACK, 1);
    for (int i = 0; i < cycles; i++) {
        double start_us = now_us();

        if (i == 1) {
            cpu_start_us = cpu_us();
        }
        failed += run_cycle(modbus, requests, count, &silence);
        cycle_us[i] = now_us() - start_us;
    }

    (void) printf("{\"requests\":%d,\"failed\":%d,\"cpu_us\":%.3f,\"cycle_us\":[", count, failed,
                  (cpu_us() - cpu_start_us) / count / (cycles > 1 ? cycles - 1 : 1));
    for (int i = cycles > 1; i < cycles; i++) {
        (void) printf("%s%.0f", i > 1 ? "," : "", cycle_us[i]);
    }
    (void) printf("]}\n");
    modbus_close(modbus);
    modbus_free(modbus);
    return failed > 0;
}
