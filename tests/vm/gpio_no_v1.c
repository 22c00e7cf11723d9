/* SPDX-License-Identifier: MIT */
/* For LD_PRELOAD: a kernel without the first interface to GPIO (CONFIG_GPIO_CDEV_V1), as Debian's are from 7.1 on. */
#include <errno.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long question, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, question);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    switch (question) {
    case GPIO_GET_LINEINFO_IOCTL:
    case GPIO_GET_LINEHANDLE_IOCTL:
    case GPIO_GET_LINEEVENT_IOCTL:
    case GPIO_GET_LINEINFO_WATCH_IOCTL:
    case GPIOHANDLE_SET_LINE_VALUES_IOCTL:
        errno = EINVAL;
        return -1;
    default:
        return (int) syscall(SYS_ioctl, fd, question, argument);
    }
}
