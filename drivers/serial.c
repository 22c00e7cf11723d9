/* SPDX-License-Identifier: MIT */
#include "drivers/serial.h"

#include <asm/ioctls.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define PTY_MAJOR      136  // of Unix98 pseudo-terminals: the kernel's admin-guide/devices.txt
#define PTY_MAJOR_LAST 143

static const struct { unsigned baud; speed_t speed; } speeds[] = {
    { 300, B300 },     { 600, B600 },     { 1200, B1200 },   { 2400, B2400 },     { 4800, B4800 },
    { 9600, B9600 },   { 19200, B19200 }, { 38400, B38400 }, { 57600, B57600 },   { 115200, B115200 },
    { 230400, B230400 },
};

static bool find_speed(unsigned baud, speed_t *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
        if (speeds[i].baud == baud) {
            *ret = speeds[i].speed;
            return true;
        }
    }
    return false;
}

int serial_setting_parse(const char *text, struct serial_setting *ret)
{
    struct serial_setting setting = { 0 };
    size_t speed_length = strspn(text, "0123456789");
    speed_t speed;
    int length = 0;

    // sscanf() takes any white space, or none, for a blank
    if (speed_length == 0 || text[speed_length] != ' ' || !isdigit((unsigned char) text[speed_length + 1])) {
        return -EINVAL;
    }
    if (sscanf(text, "%6u %1u%c%1u%n", &setting.baud, &setting.data_bits, &setting.parity, &setting.stop_bits,
               &length) != 4
        || text[length] != '\0') {
        return -EINVAL;
    }
    setting.parity = setting.parity >= 'a' ? (char) (setting.parity - 'a' + 'A') : setting.parity;
    if (!find_speed(setting.baud, &speed) || !strchr("NEO", setting.parity) || setting.data_bits < 7
        || setting.data_bits > 8 || setting.stop_bits < 1 || setting.stop_bits > 2) {
        return -EINVAL;
    }

    *ret = setting;
    return 0;
}

const char *serial_setting_text(const struct serial_setting *setting, char buffer[static SERIAL_SETTING_SIZE])
{
    (void) snprintf(buffer, SERIAL_SETTING_SIZE, "%u %u%c%u", setting->baud % 1000000, setting->data_bits % 10,
                    setting->parity, setting->stop_bits % 10);
    return buffer;
}

double serial_character_us(const struct serial_setting *setting)
{
    unsigned bits = 1 + setting->data_bits + (setting->parity != 'N') + setting->stop_bits;

    return bits * 1e6 / setting->baud;
}

double serial_silence_us(const struct serial_setting *setting)
{
    return setting->baud > 19200 ? 1750 : 3.5 * serial_character_us(setting);
}

static bool is_pty(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && major(status.st_rdev) >= PTY_MAJOR && major(status.st_rdev) <= PTY_MAJOR_LAST;
}

static int configure(int fd, const struct serial_setting *setting, int when)
{
    struct termios terminal;
    speed_t speed;

    if (tcgetattr(fd, &terminal) < 0) {
        return -errno;
    }
    if (!find_speed(setting->baud, &speed)) {
        return -EINVAL;
    }

    cfmakeraw(&terminal);
    terminal.c_cflag &= ~(tcflag_t) (CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS);
    terminal.c_cflag |= CLOCAL | CREAD | (setting->data_bits == 7 ? CS7 : CS8);
    terminal.c_cflag |= setting->parity == 'N' ? 0 : setting->parity == 'O' ? PARENB | PARODD : PARENB;
    terminal.c_cflag |= setting->stop_bits == 2 ? CSTOPB : 0;
    terminal.c_iflag &= ~(tcflag_t) INPCK;  // of a user before us
    terminal.c_iflag |= setting->parity == 'N' ? 0 : INPCK;  // a byte with wrong parity is dropped: the CRC tells
    terminal.c_cc[VMIN] = 0;
    terminal.c_cc[VTIME] = 0;
    (void) cfsetspeed(&terminal, speed);  // cannot fail for a speed of the table
    if (tcsetattr(fd, when, &terminal) == 0) {
        return 0;
    }
    // tcsetattr(3) fails where nothing could be changed: a pseudo-terminal has no parity, and the rest is as it was
    return errno == EINVAL && is_pty(fd) ? 0 : -errno;
}

int serial_configure(int fd, const struct serial_setting *setting)
{
    return configure(fd, setting, TCSADRAIN);
}

int serial_get(int fd, struct serial_setting *ret)
{
    struct termios terminal;

    if (tcgetattr(fd, &terminal) < 0) {
        return -errno;
    }
    // a pseudo-terminal keeps no PARENB, but INPCK, which configure() sets with it
    *ret = (struct serial_setting){ .parity = !(terminal.c_cflag & PARENB || terminal.c_iflag & INPCK) ? 'N'
                                              : terminal.c_cflag & PARODD                              ? 'O'
                                                                                                       : 'E',
                                    .data_bits = (terminal.c_cflag & CSIZE) == CS7 ? 7 : 8,
                                    .stop_bits = terminal.c_cflag & CSTOPB ? 2 : 1 };
    for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
        if (cfgetospeed(&terminal) == speeds[i].speed) {
            ret->baud = speeds[i].baud;
        }
    }
    return 0;
}

/* USB adapters hold short answers back for up to 16 ms unless told not to. Many drivers do not know it: no matter. */
static void ask_low_latency(int fd)
{
    struct serial_struct serial;

    if (ioctl(fd, TIOCGSERIAL, &serial) == 0) {
        serial.flags |= ASYNC_LOW_LATENCY;
        (void) ioctl(fd, TIOCSSERIAL, &serial);
    }
}

int serial_open(const char *path, const struct serial_setting *setting)
{
    auto_close int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int r;

    if (fd < 0) {
        return errno == ENXIO || errno == ENODEV ? -ENOENT : -errno;
    }
    if (!isatty(fd)) {
        return -ENOTTY;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    r = configure(fd, setting, TCSANOW);
    if (r < 0) {
        return r;
    }
    ask_low_latency(fd);
    (void) tcflush(fd, TCIOFLUSH);  // what came before we listened is nobody's answer
    return take_fd(&fd);
}

uint32_t serial_rs485_flags(uint32_t flags)
{
    flags |= SER_RS485_ENABLED;
    flags &= ~(uint32_t) SER_RS485_RX_DURING_TX;  // one pair of wires: who sends need not hear itself
    return flags & (SER_RS485_RTS_ON_SEND | SER_RS485_RTS_AFTER_SEND) ? flags : flags | SER_RS485_RTS_ON_SEND;
}

int serial_set_rs485(int fd)
{
    struct serial_rs485 rs485 = { 0 };

    if (ioctl(fd, TIOCGRS485, &rs485) == 0) {
        rs485.flags = serial_rs485_flags(rs485.flags);
        if (ioctl(fd, TIOCSRS485, &rs485) == 0) {
            return 0;
        }
    }
    // drivers have several words for "never heard of it"
    return errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS ? -ENOTTY : -errno;
}
