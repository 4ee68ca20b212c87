/* The status line: what a broker says of itself on SIGUSR1.
 *
 * Owns its form: "sluice: status uptime_s=… key=value …", on standard error, one line. */
#ifndef SLUICE_STATUS_H
#define SLUICE_STATUS_H

struct broker;

void status_print(const struct broker *broker);

#endif
