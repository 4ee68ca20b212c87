/* System calls that leave errno alone.
 *
 * A child that runs on its worker's memory has the worker's errno too. One that the worker waits for
 * may use it (CLONE_VFORK); one that runs beside it must not (ahead.h), so what a child does between
 * clone and exec goes this way. Owns nothing. */
#ifndef SLUICE_KERNEL_CALL_H
#define SLUICE_KERNEL_CALL_H

/* Where this file knows no other way than the C library's, and nothing may run beside the worker. */
#ifdef KERNEL_CALL_LEAVES_ERRNO /* from the command line: valgrind cannot follow such a child */
#elif defined(__x86_64__) || defined(__aarch64__)
#define KERNEL_CALL_LEAVES_ERRNO 1
#else
#define KERNEL_CALL_LEAVES_ERRNO 0
#endif

/* Makes system call `number` with up to six arguments; what is left out is 0. Returns what the kernel
 * does: a negative errno when it failed. syscall(2). */
#define kernel_call(number, ...) kernel_call_words((number), (const long[6]){__VA_ARGS__})

/* A pointer as such an argument. */
#define KERNEL_POINTER(pointer) ((long)(uintptr_t)(pointer))

long kernel_call_words(long number, const long words[6]);

#endif
