#define _GNU_SOURCE 1 /* MADV_DONTNEED */

#include "runtime/broker/image.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "runtime/broker/notice.h"

/* Where the image begins, with its ELF header: the linker makes this symbol. */
extern const char image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

/* Its address alone: to the compiler the symbol is an object, which ends somewhere. */
static const char *image_begin(void)
{
    const char *begin = image_start;
    __asm__("" : "+r"(begin));
    return begin;
}

static const ElfW(Phdr) *header_find(uint32_t type)
{
    const char *begin = image_begin();
    const ElfW(Ehdr) *file = (const void *)begin;
    const ElfW(Phdr) *headers = (const void *)(begin + file->e_phoff);

    for (uint16_t i = 0; i < file->e_phnum; i++)
        if (headers[i].p_type == type)
            return &headers[i];
    return NULL;
}

/* What is added to each address in the file: 0 in one that is not position-independent. */
static uintptr_t image_bias(void)
{
    const ElfW(Phdr) *first = header_find(PT_LOAD);
    return (uintptr_t)image_begin() - (first ? first->p_vaddr - first->p_offset : 0);
}

static void relocations_give_back(uintptr_t bias, uintptr_t page)
{
    const ElfW(Phdr) *header = header_find(PT_DYNAMIC);
    uintptr_t table = 0, size = 0;

    if (!header)
        return;
    for (const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(bias + header->p_vaddr);
         entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_RELA)
            table = entry->d_un.d_ptr;
        else if (entry->d_tag == DT_RELASZ)
            size = entry->d_un.d_val;
    }
    if (table < bias) /* glibc's start has added it already */
        table += bias;
    uintptr_t begin = (table + page - 1) / page * page, end = (table + size) / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

int image_settle(void)
{
    const ElfW(Phdr) *fixed = header_find(PT_GNU_RELRO);
    uintptr_t bias = image_bias(), page = getauxval(AT_PAGESZ);

    if (page == 0)
        return -EINVAL;
    relocations_give_back(bias, page);
    if (!fixed)
        return 0;
    uintptr_t begin = (bias + fixed->p_vaddr) / page * page;
    uintptr_t end = (bias + fixed->p_vaddr + fixed->p_memsz) / page * page;
    if (begin >= end || mprotect((void *)begin, end - begin, PROT_READ) == 0)
        return 0;
    int failure = errno;
    notice("cannot protect its own tables: %s", strerror(failure));
    return -failure;
}
