#include "compiler/regex/readable.h"

#include <stdbool.h>
#include <stddef.h>

#include "compiler/base/utf8.h"

struct band {
    uint32_t low, high;
};

/* From the most readable on. The rest is what is printable at all, then what is not. */
static const struct band bands[] = {
    {'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'},   {'-', '.'},
    {'/', '/'}, {':', '@'}, {'+', ','}, {'!', '*'},   {'[', '^'},
    {'`', '`'}, {'{', '~'}, {' ', ' '}, {0xA1, 0xAC}, {0xAE, 0x2FF},
};

#define BANDS (sizeof bands / sizeof *bands)

uint32_t readable_rank(uint32_t scalar)
{
    uint32_t rank = 0;
    for (size_t i = 0; i < BANDS; i++) {
        if (scalar >= bands[i].low && scalar <= bands[i].high)
            return rank + scalar - bands[i].low;
        rank += bands[i].high - bands[i].low + 1;
    }
    return (utf8_is_visible(scalar) ? 0x200000u : 0x400000u) + scalar;
}

uint32_t readable_best(uint32_t low, uint32_t high)
{
    for (size_t i = 0; i < BANDS; i++)
        if (low <= bands[i].high && high >= bands[i].low)
            return low > bands[i].low ? low : bands[i].low;
    /* Runs of what cannot be seen are short, but for one block of four thousand: past that in one
     * step, since this is asked for every transition of every automaton. */
    for (uint32_t scalar = low; scalar <= high && scalar - low < 0x1100; scalar++) {
        if (utf8_is_visible(scalar))
            return scalar;
        if (scalar >= 0xE0000 && scalar <= 0xE0FFF)
            scalar = 0xE0FFF;
    }
    return low;
}

uint32_t readable_some(uint32_t low, uint32_t high, uint32_t choice)
{
    for (size_t i = 0; i < BANDS; i++)
        if (low <= bands[i].high && high >= bands[i].low) {
            uint32_t first = low > bands[i].low ? low : bands[i].low;
            uint32_t last = high < bands[i].high ? high : bands[i].high;
            return first + choice % (last - first + 1);
        }
    uint32_t some = low + choice % (high - low + 1);
    return utf8_is_visible(some) ? some : readable_best(low, high);
}
