#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */

#include "runtime/broker/kept.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

/* What a mapping begins with: the lengths of all strings (arguments, variables, the working
 * directory), then the strings, each with a NUL. */
struct kept_request {
    size_t size; /* of the mapping */
    uint32_t version;
    uint32_t argument_count, variable_count;
    uint32_t reserved;
    uint32_t lengths[];
};

/* The `index`th of a request's strings, in the order above. */
static const struct policy_bytes *string_at(const struct wire_request *request, uint32_t index)
{
    if (index < request->argument_count)
        return &request->arguments[index];
    index -= request->argument_count;
    return index < request->variable_count ? &request->variables[index] : &request->cwd;
}

static uint32_t string_count(const struct wire_request *request)
{
    return request->argument_count + request->variable_count + 1;
}

size_t kept_size(const struct wire_request *request)
{
    uint32_t count = string_count(request);
    size_t size = sizeof(struct kept_request);

    for (uint32_t i = 0; i < count; i++)
        size += sizeof(uint32_t) + string_at(request, i)->length + 1;
    return (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

struct kept_request *kept_make(const struct wire_request *request)
{
    size_t size = kept_size(request);
    uint32_t count = string_count(request);
    struct kept_request *kept =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (kept == MAP_FAILED)
        return NULL;
    kept->size = size;
    kept->version = request->version;
    kept->argument_count = request->argument_count;
    kept->variable_count = request->variable_count;
    char *at = (char *)&kept->lengths[count];
    for (uint32_t i = 0; i < count; i++) {
        const struct policy_bytes *string = string_at(request, i);
        kept->lengths[i] = string->length;
        if (string->length > 0)
            memcpy(at, string->bytes, string->length);
        at += string->length + 1; /* the mapping is zero: the NUL is there */
    }
    return kept;
}

void kept_restore(const struct kept_request *kept, struct wire_request *request)
{
    uint32_t count = kept->argument_count + kept->variable_count + 1;
    const char *at = (const char *)&kept->lengths[count];

    request->version = kept->version;
    request->type = WIRE_CALL;
    request->reason = NULL;
    request->reply_at = -1;
    request->body_at = -1;
    request->argument_count = kept->argument_count;
    request->variable_count = kept->variable_count;
    for (uint32_t i = 0; i < count; i++) {
        struct policy_bytes string = {at, kept->lengths[i]};
        if (i < kept->argument_count)
            request->arguments[i] = string;
        else if (i < kept->argument_count + kept->variable_count)
            request->variables[i - kept->argument_count] = string;
        else
            request->cwd = string;
        at += string.length + 1;
    }
}

size_t kept_bytes(const struct kept_request *kept)
{
    return kept->size;
}

bool kept_is_sound(const char *bytes, size_t length)
{
    struct kept_request head;

    if (length < sizeof(head) || length % PAGE_BYTES != 0)
        return false;
    memcpy(&head, bytes, sizeof(head));
    if (head.size != length || head.argument_count == 0 ||
        head.argument_count > WIRE_ARGUMENTS_MAX || head.variable_count > WIRE_VARIABLES_MAX)
        return false;
    uint32_t count = head.argument_count + head.variable_count + 1;
    size_t at = sizeof(head) + count * sizeof(uint32_t);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t string;
        if (at > length)
            return false;
        memcpy(&string, bytes + sizeof(head) + i * sizeof(string), sizeof(string));
        if (string >= length - at || bytes[at + string] != '\0')
            return false;
        at += (size_t)string + 1;
    }
    return true;
}

struct kept_request *kept_copy(const char *bytes, size_t length)
{
    struct kept_request *kept =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (kept == MAP_FAILED)
        return NULL;
    memcpy(kept, bytes, length);
    return kept;
}

void kept_release(struct kept_request *kept)
{
    if (kept)
        munmap(kept, kept->size);
}
