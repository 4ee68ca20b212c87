/* Writes MEBIBYTES to standard output, BLOCK bytes at a time.
 *
 *     flood MEBIBYTES BLOCK */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_MAX (1u << 20)

int main(int argc, char **argv)
{
    static char bytes[BLOCK_MAX];
    uint64_t left = argc == 3 ? strtoull(argv[1], NULL, 10) << 20 : 0;
    size_t block = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (left == 0 || block == 0 || block > BLOCK_MAX)
        return 2;
    memset(bytes, 'x', sizeof bytes);
    while (left > 0) {
        size_t wanted = left < block ? (size_t)left : block;
        ssize_t count = write(1, bytes, wanted);
        if (count <= 0)
            return 1;
        left -= (uint64_t)count;
    }
    return 0;
}
