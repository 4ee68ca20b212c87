#define _GNU_SOURCE 1 /* syscall */

#include "runtime/worker/kernel_call.h"

#include <errno.h>
#include <unistd.h>

#if defined(__x86_64__)

long kernel_call_words(long number, const long words[6])
{
    register long fourth __asm__("r10") = words[3];
    register long fifth __asm__("r8") = words[4];
    register long sixth __asm__("r9") = words[5];
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(words[0]), "S"(words[1]), "d"(words[2]), "r"(fourth),
                       "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

long kernel_call_words(long number, const long words[6])
{
    register long call __asm__("x8") = number;
    register long result __asm__("x0") = words[0];
    register long second __asm__("x1") = words[1];
    register long third __asm__("x2") = words[2];
    register long fourth __asm__("x3") = words[3];
    register long fifth __asm__("x4") = words[4];
    register long sixth __asm__("x5") = words[5];

    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(call), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory", "cc");
    return result;
}

#else

long kernel_call_words(long number, const long words[6])
{
    long result = syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    return result < 0 ? -errno : result;
}

#endif
