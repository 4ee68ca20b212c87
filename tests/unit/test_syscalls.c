/* docs/syscalls.md says what grammar/syscalls.def has, in the words of that file. SLUICE_UPDATE_GOLDEN=1
 * rewrites its tables. Runs in the project's top folder, as `make unit` does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/buffer.h"
#include "compiler/base/syscalls.h"

#define PAGE "docs/syscalls.md"

static const char begin_mark[] = "<!-- from grammar/syscalls.def: begin -->\n";
static const char end_mark[] = "<!-- from grammar/syscalls.def: end -->\n";

static void row_add(struct buffer *out, const struct syscall_entry *entry)
{
    buffer_format(out, "| `%s` | %s | %s%s |\n", entry->name,
                  entry->refusal == ENOSYS ? "ENOSYS" : "EPERM", entry->reason,
                  entry->numbers[SYSCALL_AARCH64] < 0  ? " (x86-64 only)"
                  : entry->numbers[SYSCALL_X86_64] < 0 ? " (aarch64 only)"
                                                       : "");
}

static void table_add(struct buffer *out, const char *title, uint32_t set)
{
    size_t count;
    const struct syscall_entry *entries = syscalls_all(&count);
    buffer_format(out, "\n## %s\n\n| call | answered | why |\n|---|---|---|\n", title);
    for (size_t i = 0; i < count; i++)
        if (entries[i].sets & set)
            row_add(out, &entries[i]);
}

static void strict_add(struct buffer *out)
{
    size_t count, column = 0;
    const struct syscall_entry *entries = syscalls_all(&count);
    buffer_puts(out, "\n## What `syscalls = strict` allows\n\n");
    for (size_t i = 0; i < count; i++) {
        if (!(entries[i].sets & SYSCALL_STRICT_ALLOWED))
            continue;
        size_t length = strlen(entries[i].name) + 3;
        if (column > 0 && column + length > 96) {
            buffer_char(out, '\n');
            column = 0;
        }
        buffer_format(out, "%s`%s`", column > 0 ? " " : "", entries[i].name);
        column += length;
    }
    buffer_char(out, '\n');
}

static void tables_make(struct buffer *out)
{
    table_add(out, "What `syscalls = default` refuses", SYSCALL_DEFAULT_REFUSED);
    table_add(out, "What `metadata = deny` refuses", SYSCALL_METADATA);
    strict_add(out);
    buffer_char(out, '\n');
}

static void page_read(struct buffer *page)
{
    char bytes[4096];
    size_t length;
    FILE *file = fopen(PAGE, "r");
    assert_non_null(file);
    while ((length = fread(bytes, 1, sizeof bytes, file)) > 0)
        buffer_add(page, bytes, length);
    fclose(file);
}

static void page_write(const struct buffer *tables, const char *before, size_t before_length,
                       const char *after)
{
    FILE *file = fopen(PAGE, "w");
    assert_non_null(file);
    fwrite(before, 1, before_length, file);
    fwrite(tables->text, 1, tables->length, file);
    fputs(after, file);
    assert_int_equal(fclose(file), 0);
}

static void the_page_says_what_the_filters_do(void **state)
{
    struct buffer page = {0}, tables = {0};
    (void)state;
    page_read(&page);
    tables_make(&tables);
    const char *begin = strstr(buffer_text(&page), begin_mark);
    assert_non_null(begin);
    begin += strlen(begin_mark);
    const char *end = strstr(begin, end_mark);
    assert_non_null(end);
    if (getenv("SLUICE_UPDATE_GOLDEN"))
        page_write(&tables, page.text, (size_t)(begin - page.text), end);
    else if (tables.length != (size_t)(end - begin) ||
             memcmp(begin, tables.text, tables.length) != 0)
        fail_msg(PAGE " differs from grammar/syscalls.def: SLUICE_UPDATE_GOLDEN=1 rewrites it");
    buffer_free(&page);
    buffer_free(&tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_says_what_the_filters_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
