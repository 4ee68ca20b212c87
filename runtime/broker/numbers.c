#include "runtime/broker/numbers.h"

#include <string.h>

/* Where `value` is, or would be. */
static uint32_t numbers_place(const struct numbers *numbers, uint64_t value)
{
    uint32_t low = 0, high = numbers->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (numbers->values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool numbers_add(struct numbers *numbers, uint64_t value)
{
    uint32_t place = numbers_place(numbers, value);
    if (place < numbers->count && numbers->values[place] == value)
        return true;
    if (numbers->count == numbers->capacity)
        return false;
    memmove(numbers->values + place + 1, numbers->values + place,
            (numbers->count - place) * sizeof *numbers->values);
    numbers->values[place] = value;
    numbers->count++;
    return true;
}

void numbers_remove(struct numbers *numbers, uint64_t value)
{
    uint32_t place = numbers_place(numbers, value);
    if (place == numbers->count || numbers->values[place] != value)
        return;
    numbers->count--;
    memmove(numbers->values + place, numbers->values + place + 1,
            (numbers->count - place) * sizeof *numbers->values);
}
