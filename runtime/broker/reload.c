#include "runtime/broker/reload.h"

#include <stddef.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/notify.h"

void reload_begin(struct broker *broker)
{
    struct failure failure;

    broker->reload.count++;
    notify_reloading(broker->notify, clock_monotonic_ns() / 1000);
    if (audit_reopen(&broker->audit, &failure) < 0) {
        notice("going on with the old manifest: %s", failure.text);
        audit_reload(&broker->audit, failure.text);
    } else {
        audit_reload(&broker->audit, NULL);
    }
    notify_ready(broker->notify);
}
