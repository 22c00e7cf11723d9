/* SPDX-License-Identifier: MIT */
#include "drivers/quantity.h"

#include "app/base/text.h"

#include <errno.h>
#include <float.h>
#include <string.h>

/*
 * Bounds catch what a wrong word order, a wrong map or a torn frame makes of a register: absurd numbers.
 * They never judge a site, so each is beyond what the thing can be; a meter's own bounds replace them.
 *
 * voltage       0 to 1000 V: low voltage (690 V between phases is the highest usual one). Where VT ratios
 *               are applied inside the meter, 8013.8 V is real: such a site sets bounds.voltage (CVM-19)
 * current       0 to 100 kA: the largest CT primaries have 30 kA, short circuits reach about 100
 * power         1 GW: 1000 V x 100 kA x 3 is 0.3
 * power factor  1, and the last bits of a float
 * frequency     0 to 100 Hz: an input without current says 0
 * distortion    voltage to 1000 %; of a current that is nearly nothing it is far above that
 * energy        10^15: a gigawatt for a century. Import and export only rise from 0; net may have either
 *               sign, and the makers' lists call the sums signed too
 * temperature   of anything that a meter can be in
 * word          one or two unsigned registers, whatever they mean
 */
#define VOLTAGE   0, 1e3
#define CURRENT   0, 1e5
#define POWER     -1e9, 1e9
#define MAGNITUDE 0, 1e9
#define RATIO     -1.001, 1.001
#define DIRECTION -1, 1
#define FREQUENCY 0, 100
#define THD_V     0, 1e3
#define THD_A     0, 1e4
#define ENERGY    0, 1e15
#define NET       -1e15, 1e15
#define COUNT     0, 1e15
#define DEG_C     -100, 200
#define DEG_F     -150, 400
#define WORD      0, 65535
#define TWO_WORDS 0, 4294967295.0
#define ANY       -DBL_MAX, DBL_MAX

#define GAUGE   QUANTITY_GAUGE
#define COUNTER QUANTITY_COUNTER
#define FACT    QUANTITY_FACT

/* What may follow a quantity in a name: see `suffixes`. */
enum {
    NOTHING = 0,
    BARE = 1 << 0,     // the quantity alone
    LINE = 1 << 1,     // one of the phases, the neutral, the earth, their total or average
    PAIR = 1 << 2,     // between two conductors
    INPUT = 1 << 3,    // a lettered input of a many-channel device
    HALF = 1 << 4,     // half of its inputs
    SENSOR = 1 << 5,   // a radio sensor
    CHANNEL = 1 << 6,  // one clamp of it
    TARIFF = 1 << 7,
    FORM = 1 << 8,     // a second copy of the same value

    PHASED = BARE | LINE | FORM,
    MANY = PHASED | INPUT,
    RADIO = BARE | INPUT | SENSOR,
    ENERGIES = BARE | LINE | TARIFF | FORM,
};

/*
 * OBIS codes: IEC 62056-61 and the DLMS Blue Book; C is 11 to 14 for "any phase", D 4 a demand, 6 its
 * maximum, 7 now, 8 the integral; E 124 is harmonic distortion. Reactive quadrants: inductive import QI,
 * capacitive import QIV, inductive export QIII, capacitive export QII.
 */
static const struct quantity quantities[] = {
    // name                             kind    units    bounds    decimals obis   suffixes
    { "clock",                             FACT,    "",       ANY,       0, "",         BARE },
    { "cos_phi",                           GAUGE,   "",       RATIO,     3, "",         PHASED },
    { "ct_ratio",                          FACT,    "",       TWO_WORDS, 0, "",         BARE | INPUT },
    { "current",                           GAUGE,   "A",      CURRENT,   3, "11.7.0",   MANY },
    { "current_demand",                    GAUGE,   "A",      CURRENT,   3, "11.4.0",   PHASED },
    { "current_unbalance",                 GAUGE,   "%",      THD_A,     1, "",         PHASED },
    { "days_since_birth",                  FACT,    "d",      TWO_WORDS, 0, "",         BARE },
    { "energy_active_export",              COUNTER, "Wh",     ENERGY,    0, "2.8.0",    ENERGIES },
    { "energy_active_import",              COUNTER, "Wh",     ENERGY,    0, "1.8.0",    ENERGIES },
    { "energy_active_net",                 FACT,    "Wh",     NET,       0, "16.8.0",   ENERGIES },
    { "energy_active_partial",             COUNTER, "Wh",     ENERGY,    0, "",         ENERGIES },
    { "energy_active_sum",                 COUNTER, "Wh",     NET,       0, "15.8.0",   ENERGIES },
    { "energy_active_total",               COUNTER, "Wh",     ENERGY,    0, "15.8.0",   ENERGIES },
    { "energy_apparent_export",            COUNTER, "VAh",    ENERGY,    0, "10.8.0",   ENERGIES },
    { "energy_apparent_import",            COUNTER, "VAh",    ENERGY,    0, "9.8.0",    ENERGIES },
    { "energy_apparent_net",               FACT,    "VAh",    NET,       0, "",         ENERGIES },
    { "energy_apparent_sum",               COUNTER, "VAh",    NET,       0, "",         ENERGIES },
    { "energy_reactive_capacitive_export", COUNTER, "varh",   ENERGY,    0, "6.8.0",    ENERGIES },
    { "energy_reactive_capacitive_import", COUNTER, "varh",   ENERGY,    0, "8.8.0",    ENERGIES },
    { "energy_reactive_export",            COUNTER, "varh",   ENERGY,    0, "4.8.0",    ENERGIES },
    { "energy_reactive_import",            COUNTER, "varh",   ENERGY,    0, "3.8.0",    ENERGIES },
    { "energy_reactive_inductive_export",  COUNTER, "varh",   ENERGY,    0, "7.8.0",    ENERGIES },
    { "energy_reactive_inductive_import",  COUNTER, "varh",   ENERGY,    0, "5.8.0",    ENERGIES },
    { "energy_reactive_net",               FACT,    "varh",   NET,       0, "",         ENERGIES },
    { "energy_reactive_partial",           COUNTER, "varh",   ENERGY,    0, "",         ENERGIES },
    { "energy_reactive_sum",               COUNTER, "varh",   NET,       0, "",         ENERGIES },
    { "factory_date",                      FACT,    "",       WORD,      0, "",         BARE },
    { "firmware_x",                        FACT,    "",       WORD,      0, "",         BARE },
    { "firmware_y",                        FACT,    "",       WORD,      0, "",         BARE },
    { "firmware_z",                        FACT,    "",       WORD,      0, "",         BARE },
    { "frequency",                         GAUGE,   "Hz",     FREQUENCY, 2, "14.7.0",   MANY },
    { "frequency_division",                FACT,    "",       WORD,      0, "",         BARE },
    { "hist_days",                         FACT,    "Wh",     ENERGY,    0, "",         BARE },
    { "hist_hours",                        FACT,    "Wh",     ENERGY,    0, "",         BARE },
    { "hist_months",                       FACT,    "Wh",     ENERGY,    0, "",         BARE },
    { "impulses",                          COUNTER, "",       COUNT,     0, "",         RADIO },
    { "impulses_per_unit",                 FACT,    "",       TWO_WORDS, 0, "",         RADIO },
    { "interruptions",                     COUNTER, "",       COUNT,     0, "",         BARE },
    { "manufacture_date",                  FACT,    "",       ANY,       0, "",         BARE },
    { "manufacturer",                      FACT,    "",       ANY,       0, "",         BARE },
    { "max_demand",                        FACT,    "W VA A", MAGNITUDE, 0, "1.6.0",    PHASED },
    { "meter_model",                       FACT,    "",       ANY,       0, "",         BARE },
    { "meter_name",                        FACT,    "",       ANY,       0, "",         BARE },
    { "on_seconds",                        COUNTER, "s",      COUNT,     0, "",         BARE },
    { "power",                             GAUGE,   "W",      POWER,     0, "",         CHANNEL },
    { "power_active",                      GAUGE,   "W",      POWER,     0, "16.7.0",   MANY | SENSOR | CHANNEL },
    { "power_active_demand",               GAUGE,   "W",      POWER,     0, "1.4.0",    PHASED },
    { "power_apparent",                    GAUGE,   "VA",     MAGNITUDE, 0, "9.7.0",    MANY },
    { "power_apparent_demand",             GAUGE,   "VA",     MAGNITUDE, 0, "9.4.0",    PHASED },
    { "power_factor",                      GAUGE,   "",       RATIO,     3, "13.7.0",   MANY },
    { "power_factor_direction",            FACT,    "",       DIRECTION, 0, "",         BARE },
    { "power_reactive",                    GAUGE,   "var",    POWER,     0, "3.7.0",    MANY },
    { "power_reactive_capacitive",         GAUGE,   "var",    POWER,     0, "",         PHASED },
    { "power_reactive_demand",             GAUGE,   "var",    POWER,     0, "3.4.0",    PHASED },
    { "power_reactive_inductive",          GAUGE,   "var",    POWER,     0, "",         PHASED },
    { "radio_id",                          FACT,    "",       TWO_WORDS, 0, "",         BARE },
    { "range",                             FACT,    "A",      WORD,      0, "",         HALF },
    { "relay",                             FACT,    "",       WORD,      0, "",         BARE | INPUT },
    { "run_seconds",                       COUNTER, "s",      COUNT,     0, "",         BARE },
    { "sampling_threshold",                FACT,    "",       WORD,      0, "",         BARE },
    { "sensor",                            FACT,    "",       WORD,      0, "",         BARE },
    { "serial_number",                     FACT,    "",       TWO_WORDS, 0, "",         BARE },
    { "settings",                          FACT,    "",       WORD,      0, "",         BARE },
    { "src",                               FACT,    "",       ANY,       0, "",         BARE },
    { "temperature",                       GAUGE,   "degC",   DEG_C,     1, "",         RADIO },
    { "temperature_f",                     GAUGE,   "degF",   DEG_F,     1, "",         BARE },
    { "thd_current",                       GAUGE,   "%",      THD_A,     1, "11.7.124", PHASED },
    { "thd_voltage",                       GAUGE,   "%",      THD_V,     1, "12.7.124", PHASED | PAIR },
    { "type",                              FACT,    "",       WORD,      0, "",         BARE },
    { "value",                             GAUGE,   "",       ANY,       3, "",         BARE | INPUT },
    { "version",                           FACT,    "",       WORD,      0, "",         BARE },
    { "voltage",                           GAUGE,   "V",      VOLTAGE,   1, "12.7.0",   PHASED | PAIR | INPUT },
    { "voltage_unbalance",                 GAUGE,   "%",      THD_V,     1, "",         PHASED | PAIR },
};

static const struct {
    const char *word;
    unsigned kinds;
} suffixes[] = {
    { "a",      INPUT   }, { "a_h",    HALF    }, { "avg",    LINE    },
    { "b",      INPUT   }, { "b2",     FORM    }, { "c",      INPUT   },
    { "ch1",    CHANNEL }, { "ch2",    CHANNEL }, { "ch3",    CHANNEL },
    { "d",      INPUT   }, { "e",      INPUT   }, { "f",      INPUT   },
    { "f32",    FORM    }, { "f64",    FORM    },
    { "g",      INPUT | LINE   },
    { "h",      INPUT   }, { "i",      INPUT   }, { "i_p",    HALF    },
    { "j",      INPUT   }, { "k",      INPUT   }, { "l",      INPUT   },
    { "l1",     LINE    }, { "l12",    PAIR    }, { "l1_n",   PAIR    },
    { "l2",     LINE    }, { "l23",    PAIR    }, { "l2_n",   PAIR    },
    { "l3",     LINE    }, { "l31",    PAIR    }, { "l3_n",   PAIR    },
    { "ll_avg", PAIR    }, { "ln_avg", PAIR    }, { "m",      INPUT   },
    { "n",      INPUT | LINE   },
    { "n_g",    PAIR    }, { "o",      INPUT   }, { "p",      INPUT   },
    { "s0",     SENSOR  }, { "s1",     SENSOR  }, { "s2",     SENSOR  },
    { "s3",     SENSOR  }, { "s4",     SENSOR  }, { "s5",     SENSOR  },
    { "s6",     SENSOR  }, { "s7",     SENSOR  }, { "s8",     SENSOR  },
    { "s9",     SENSOR  }, { "t1",     TARIFF  }, { "t2",     TARIFF  },
    { "t3",     TARIFF  }, { "t4",     TARIFF  }, { "t5",     TARIFF  },
    { "t6",     TARIFF  }, { "t7",     TARIFF  }, { "t8",     TARIFF  },
    { "total",  LINE    },
};

/* Units as data sheets print them. A pair of letters that could be two things is not here. */
static const struct {
    const char *unit;
    const char *base;
    int exponent;
} units[] = {
    { "%",      "%",    0 }, { "1",     "",     0 }, { "",      "",     0 },
    { "A",      "A",    0 }, { "mA",    "A",   -3 }, { "kA",    "A",    3 },
    { "Hz",     "Hz",   0 }, { "mHz",   "Hz",  -3 },
    { "V",      "V",    0 }, { "mV",    "V",   -3 }, { "kV",    "V",    3 },
    { "W",      "W",    0 }, { "mW",    "W",   -3 }, { "kW",    "W",    3 }, { "MW",    "W",    6 },
    { "VA",     "VA",   0 }, { "kVA",   "VA",   3 }, { "MVA",   "VA",   6 },
    { "var",    "var",  0 }, { "kvar",  "var",  3 }, { "Mvar",  "var",  6 },
    { "VAr",    "var",  0 }, { "kVAr",  "var",  3 }, { "MVAr",  "var",  6 },
    { "Wh",     "Wh",   0 }, { "kWh",   "Wh",   3 }, { "MWh",   "Wh",   6 }, { "GWh",   "Wh",   9 },
    { "VAh",    "VAh",  0 }, { "kVAh",  "VAh",  3 }, { "MVAh",  "VAh",  6 }, { "GVAh",  "VAh",  9 },
    { "varh",   "varh", 0 }, { "kvarh", "varh", 3 }, { "Mvarh", "varh", 6 }, { "Gvarh", "varh", 9 },
    { "VArh",   "varh", 0 }, { "kVArh", "varh", 3 }, { "MVArh", "varh", 6 }, { "GVArh", "varh", 9 },
    { "d",      "d",    0 }, { "s",     "s",    0 }, { "ms",    "s",   -3 },
    { "degC",   "degC", 0 }, { "degF",  "degF", 0 },
};

static const struct {
    const char *base;
    const char *suffix;
} unit_suffixes[] = {
    { "%", "percent" }, { "A", "a" },     { "Hz", "hz" }, { "V", "v" },       { "VA", "va" },
    { "VAh", "vah" },   { "W", "w" },     { "Wh", "wh" }, { "d", "d" },       { "degC", "degc" },
    { "degF", "degf" }, { "s", "s" },     { "var", "var" }, { "varh", "varh" },
};

const char *quantity_bank(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot ? dot + 1 : "";
}

/* Only what rises and falls has a maximum and a minimum. */
static bool bank_fits(const struct quantity *quantity, const char *bank)
{
    if (*bank == '\0') {
        return true;
    }
    return quantity->kind == QUANTITY_GAUGE && (text_equal(bank, "max") || text_equal(bank, "min"));
}

/* What may follow a suffix of these kinds. */
static unsigned kinds_after(unsigned kinds)
{
    if (kinds & (LINE | PAIR)) {
        return TARIFF | FORM;
    }
    if (kinds & TARIFF) {
        return FORM;
    }
    return kinds & SENSOR ? CHANNEL : NOTHING;
}

/* Whether these bytes are "", or "_l1", "_l1_f32", "_s0_ch1"... of the allowed kinds. */
static bool suffixes_fit(const char *rest, size_t size, unsigned allowed)
{
    if (size == 0) {
        return true;
    }

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        size_t length = 1 + strlen(suffixes[i].word);
        unsigned kinds = suffixes[i].kinds & allowed;

        if (kinds && *rest == '_' && length <= size &&
            memcmp(rest + 1, suffixes[i].word, length - 1) == 0 &&
            suffixes_fit(rest + length, size - length, kinds_after(kinds) & allowed)) {
            return true;
        }
    }

    return false;
}

/* The quantity with the longest name that these bytes begin with. */
static const struct quantity *quantity_longest(const char *name, size_t size, size_t *ret_length)
{
    const struct quantity *longest = NULL;

    *ret_length = 0;
    for (size_t i = 0; i < ARRAY_SIZE(quantities); i++) {
        size_t length = strlen(quantities[i].name);

        if (length <= size && length > *ret_length && (length == size || name[length] == '_') &&
            memcmp(name, quantities[i].name, length) == 0) {
            longest = &quantities[i];
            *ret_length = length;
        }
    }

    return longest;
}

#define DIRECTION_NAME "power_factor_direction"

const struct quantity *quantity_find(const char *name)
{
    static const char direction[] = "_direction";
    const size_t direction_size = sizeof(direction) - 1;
    size_t size = strcspn(name, ".");
    const struct quantity *quantity;
    size_t length;

    if (name[size] == '.' && name[size + 1] == '\0') {
        return NULL;
    }

    // The second number of power_factor_l1 is power_factor_l1_direction.
    if (name[size] == '\0' && size > direction_size && text_ends(name, direction)) {
        quantity = quantity_longest(name, size - direction_size, &length);
        if (quantity && text_equal(quantity->name, "power_factor") &&
            suffixes_fit(name + length, size - direction_size - length, quantity->suffixes)) {
            return quantity_longest(DIRECTION_NAME, strlen(DIRECTION_NAME), &length);
        }
        return NULL;
    }

    quantity = quantity_longest(name, size, &length);
    if (!quantity || (length == size && !(quantity->suffixes & BARE)) ||
        !suffixes_fit(name + length, size - length, quantity->suffixes) ||
        !bank_fits(quantity, quantity_bank(name))) {
        return NULL;
    }

    return quantity;
}

/* Misspelt may be the quantity or what follows it: each beginning of the name is held against the table. */
const char *quantity_nearest(const char *name)
{
    char beginning[QUANTITY_NAME_SIZE];
    struct nearest nearest = { .word = beginning };

    // the longest beginning first: "energy_actve" is more than the "energy" that many begin with
    for (size_t size = strlen(name); size > 0 && !nearest.best; size--) {
        if (size >= sizeof(beginning) || (name[size] != '\0' && name[size] != '_' && name[size] != '.')) {
            continue;
        }
        memcpy(beginning, name, size);
        beginning[size] = '\0';

        for (size_t i = 0; i < ARRAY_SIZE(quantities); i++) {
            nearest_offer(&nearest, quantities[i].name);
        }
    }
    return nearest.best;
}

const struct quantity *quantity_all(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(quantities);
    return quantities;
}

int quantity_unit(const char *unit, const char **ret_base, int *ret_exponent)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (text_equal(units[i].unit, unit)) {
            *ret_base = units[i].base;
            *ret_exponent = units[i].exponent;
            return 0;
        }
    }

    return -EINVAL;
}

bool quantity_has_unit(const struct quantity *quantity, const char *base)
{
    const char *unit = quantity->units;
    size_t size = strlen(base);

    if (size == 0) {
        return *unit == '\0';
    }

    for (;;) {
        size_t length = strcspn(unit, " ");

        if (length == size && memcmp(unit, base, size) == 0) {
            return true;
        }
        if (unit[length] == '\0') {
            return false;
        }
        unit += length + 1;
    }
}

const char *quantity_unit_suffix(const char *base)
{
    for (size_t i = 0; i < ARRAY_SIZE(unit_suffixes); i++) {
        if (text_equal(unit_suffixes[i].base, base)) {
            return unit_suffixes[i].suffix;
        }
    }

    return "";
}
