#include "compiler/base/suggest.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][SUGGEST_LENGTH_MAX + 1]; /* the row before the last, the last, this one */
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b_length];
}

void suggest_offer(struct suggestion *search, const char *name)
{
    size_t length = strlen(name);
    if (!search->length || search->length > SUGGEST_LENGTH_MAX || length > SUGGEST_LENGTH_MAX)
        return;
    size_t distance = suggest_distance(search->word, search->length, name, length);
    size_t shorter = least(search->length, length);
    size_t most = shorter < 3 ? 1 : (shorter + 2) / 3;
    if (distance > most || distance >= shorter)
        return;
    if (!search->nearest || distance < search->distance) {
        search->nearest = name;
        search->distance = distance;
    }
}
