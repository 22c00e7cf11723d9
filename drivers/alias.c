/* SPDX-License-Identifier: MIT */
#include "drivers/alias.h"

#include "app/base/text.h"

/* The 25 names of github.com/FlexpowerTech/energy-meter, energymeter/examples/example_meter.py: a PM8000. */
static const struct {
    const char *name;
    const char *point;
} aliases[] = {
    { "active_energy_export",   "energy_active_export"   }, { "active_energy_import",   "energy_active_import"   },
    { "active_power_phase_a",   "power_active_l1"        }, { "active_power_phase_b",   "power_active_l2"        },
    { "active_power_phase_c",   "power_active_l3"        }, { "active_power_total",     "power_active_total"     },
    { "apparent_energy_export", "energy_apparent_export" }, { "apparent_energy_import", "energy_apparent_import" },
    { "apparent_power_phase_a", "power_apparent_l1"      }, { "apparent_power_phase_b", "power_apparent_l2"      },
    { "apparent_power_phase_c", "power_apparent_l3"      }, { "apparent_power_total",   "power_apparent_total"   },
    { "current_phase_a",        "current_l1"             }, { "current_phase_b",        "current_l2"             },
    { "current_phase_c",        "current_l3"             }, { "frequency",              "frequency"              },
    { "reactive_energy_export", "energy_reactive_export" }, { "reactive_energy_import", "energy_reactive_import" },
    { "reactive_power_phase_a", "power_reactive_l1"      }, { "reactive_power_phase_b", "power_reactive_l2"      },
    { "reactive_power_phase_c", "power_reactive_l3"      }, { "reactive_power_total",   "power_reactive_total"   },
    { "voltage_phase_a",        "voltage_l1_n"           }, { "voltage_phase_b",        "voltage_l2_n"           },
    { "voltage_phase_c",        "voltage_l3_n"           },
};

const char *alias_point(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
        if (text_equal(aliases[i].name, name)) {
            return aliases[i].point;
        }
    }

    return NULL;
}
