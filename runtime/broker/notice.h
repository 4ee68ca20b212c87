/* One line on the broker's standard error, for the operator.
 *
 * Owns nothing. Never blocks on a full pipe or socket: a line that standard error cannot take at
 * once is dropped, since no call may wait for whoever reads the log. */
#ifndef SLUICE_NOTICE_H
#define SLUICE_NOTICE_H

/* Writes "sluice: " and the formatted text and a newline with one write, cut to NOTICE_MAX bytes;
 * control characters (the text may quote a path or a caller) become '?'. errno is left as it was.
 */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A whole line fits a pipe's atomic write (PIPE_BUF, pipe(7)). */
#define NOTICE_MAX 2048

#endif
