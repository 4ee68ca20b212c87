/* Why something did not work: one error number and one line for a person.
 *
 * Owns: a bounded text inside the struct. Never allocates, never prints (notice.h does). */
#ifndef SLUICE_FAILURE_H
#define SLUICE_FAILURE_H

#define FAILURE_TEXT_MAX 1024

struct failure {
    int error; /* errno value; 0 where no system call failed (a refusal of our own) */
    char text[FAILURE_TEXT_MAX]; /* NUL-terminated, cut to fit, no newline at its end */
};

/* Fills `failure` (NULL is allowed and ignored) and returns -1, so that `return failure_set(...)`
 * reads well. `format` and the rest are printf's. errno is left as it was. */
int failure_set(struct failure *failure, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
