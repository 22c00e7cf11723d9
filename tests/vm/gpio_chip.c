// SPDX-License-Identifier: MIT
/*
 * GPIO chips that are memory and nothing else, for a guest's kernel: Debian's has no gpio-sim. A line that is driven
 * keeps its value, and the kernel traces it as any other (events/gpio).
 *
 *     insmod gpio_chip.ko labels=gpio-brcmstb,pinctrl-bcm2835 named=0,1
 *
 * Each is a platform device gpio_chip.N, so it can be taken away, and given back, by "unbind" and "bind" of the driver.
 */
#include <linux/bitops.h>
#include <linux/gpio/driver.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#define CHIPS 4
#define LINES 54  // as a Pi's

static char *labels[CHIPS] = { "pinctrl-bcm2835" };
static unsigned int label_count = 1;
module_param_array(labels, charp, &label_count, 0444);

static bool named[CHIPS];  // whether its lines are called "GPIO0" and so on
module_param_array(named, bool, NULL, 0444);

static struct platform_device *devices[CHIPS];

struct lines {
	struct gpio_chip chip;
	DECLARE_BITMAP(outputs, LINES);
	DECLARE_BITMAP(values, LINES);
	const char *names[LINES];
};

static int lines_get(struct gpio_chip *chip, unsigned int line)
{
	return test_bit(line, ((struct lines *)gpiochip_get_data(chip))->values);
}

static void lines_set(struct gpio_chip *chip, unsigned int line, int value)
{
	assign_bit(line, ((struct lines *)gpiochip_get_data(chip))->values, value);
}

static int lines_get_direction(struct gpio_chip *chip, unsigned int line)
{
	struct lines *lines = gpiochip_get_data(chip);

	return test_bit(line, lines->outputs) ? GPIO_LINE_DIRECTION_OUT : GPIO_LINE_DIRECTION_IN;
}

static int lines_input(struct gpio_chip *chip, unsigned int line)
{
	clear_bit(line, ((struct lines *)gpiochip_get_data(chip))->outputs);
	return 0;
}

static int lines_output(struct gpio_chip *chip, unsigned int line, int value)
{
	set_bit(line, ((struct lines *)gpiochip_get_data(chip))->outputs);
	lines_set(chip, line, value);
	return 0;
}

static int probe(struct platform_device *device)
{
	struct lines *lines = devm_kzalloc(&device->dev, sizeof(*lines), GFP_KERNEL);

	if (!lines)
		return -ENOMEM;
	for (unsigned int i = 0; named[device->id] && i < LINES; i++)
		lines->names[i] = devm_kasprintf(&device->dev, GFP_KERNEL, "GPIO%u", i);
	lines->chip = (struct gpio_chip){
		.label = labels[device->id], .parent = &device->dev, .owner = THIS_MODULE, .base = -1, .ngpio = LINES,
		.names = named[device->id] ? lines->names : NULL, .get = lines_get, .set = lines_set,
		.get_direction = lines_get_direction, .direction_input = lines_input, .direction_output = lines_output,
	};
	return devm_gpiochip_add_data(&device->dev, &lines->chip, lines);
}

static struct platform_driver driver = { .probe = probe, .driver.name = "gpio_chip" };

static void remove_all(void)
{
	for (unsigned int i = 0; i < label_count; i++)
		platform_device_unregister(devices[i]);  // none of them is an error, which is passed
	platform_driver_unregister(&driver);
}

static int __init begin(void)
{
	int r = platform_driver_register(&driver);

	for (unsigned int i = 0; r == 0 && i < label_count; i++) {
		devices[i] = platform_device_register_simple("gpio_chip", (int)i, NULL, 0);
		if (IS_ERR(devices[i])) {
			r = PTR_ERR(devices[i]);
			remove_all();
		}
	}
	return r;
}

module_init(begin);
module_exit(remove_all);
MODULE_DESCRIPTION("GPIO chips that are memory");
MODULE_LICENSE("Dual MIT/GPL");
