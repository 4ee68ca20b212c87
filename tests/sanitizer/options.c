/* Settings of the sanitizers in the brokers of `make check SAN=1`.
 *
 * A broker is not dumpable, and neither it nor a worker can be traced: the leak checker, which traces
 * its own process, cannot run. What brokers hold is counted by tests of their descriptors and memory. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:abort_on_error=1";
}
