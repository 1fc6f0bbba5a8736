// One table of functions for each loop that is written in C. A callback is a function and its argument,
// which is what all of them know under one signature or another.

#define _GNU_SOURCE
#include <event2/event.h>
#include <event2/thread.h>
#include <glib-unix.h>
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <wayland-server-core.h>

typedef void (*callback)(void *);

struct ops {
    void *(*open)(void);
    void (*close)(void *loop);
    // One dispatch; waits for as long as it takes if `block`.
    void (*turn)(void *loop, int block);
    void *(*watch)(void *loop, int fd, int edge, callback, void *);
    void (*unwatch)(void *source);
    // Deadlines are nanoseconds of CLOCK_MONOTONIC; 0 is now.
    void *(*timer)(void *loop, uint64_t at, callback, void *);
    void (*rearm)(void *timer, uint64_t at);
    void (*cancel)(void *timer);
    // Wakes the loop from any thread, so that it calls back.
    void *(*waker)(void *loop, callback, void *);
    void (*wake)(void *waker);
    void (*unwaker)(void *waker);
    // Calls back once, soon.
    void (*idle)(void *loop, callback, void *);
};

static uint64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// libuv

struct uv_any {
    union {
        uv_handle_t handle;
        uv_poll_t poll;
        uv_timer_t timer;
        uv_async_t async;
        uv_idle_t idle;
    };
    callback callback;
    void *argument;
};

struct uv_time {
    uv_timer_t timer;
    callback callback;
    void *argument;
};

static void *uv_open(void) {
    uv_loop_t *loop = malloc(sizeof *loop);
    uv_loop_init(loop);
    return loop;
}

static void uv_free(uv_handle_t *handle) { free(handle); }

static void uv_close_any(uv_handle_t *handle, void *argument) {
    (void)argument;
    if (!uv_is_closing(handle)) uv_close(handle, uv_free);
}

static void uv_shut(void *loop) {
    uv_walk(loop, uv_close_any, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    free(loop);
}

static void uv_turn(void *loop, int block) { uv_run(loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT); }

static void uv_on_poll(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    struct uv_any *any = (struct uv_any *)poll;
    any->callback(any->argument);
}

static void *uv_watch(void *loop, int fd, int edge, callback callback, void *argument) {
    (void)edge;
    struct uv_any *any = malloc(sizeof *any);
    any->callback = callback;
    any->argument = argument;
    uv_poll_init(loop, &any->poll, fd);
    uv_poll_start(&any->poll, UV_READABLE, uv_on_poll);
    return any;
}

static void uv_unwatch(void *source) { uv_close(source, uv_free); }

static void uv_on_timer(uv_timer_t *timer) {
    struct uv_time *time = (struct uv_time *)timer;
    time->callback(time->argument);
}

static void uv_rearm(void *source, uint64_t at) {
    uv_timer_t *timer = source;
    // Whole milliseconds, rounded up so that it is not early.
    uint64_t now = uv_now(timer->loop), until = (at + 999999) / 1000000;
    uv_timer_start(timer, uv_on_timer, until > now ? until - now : 0, 0);
}

static void *uv_time(void *loop, uint64_t at, callback callback, void *argument) {
    struct uv_time *time = malloc(sizeof *time);
    time->callback = callback;
    time->argument = argument;
    uv_timer_init(loop, &time->timer);
    uv_rearm(time, at);
    return time;
}

static void uv_on_async(uv_async_t *async) {
    struct uv_any *any = (struct uv_any *)async;
    any->callback(any->argument);
}

static void *uv_waker(void *loop, callback callback, void *argument) {
    struct uv_any *any = malloc(sizeof *any);
    any->callback = callback;
    any->argument = argument;
    uv_async_init(loop, &any->async, uv_on_async);
    return any;
}

static void uv_wake(void *waker) { uv_async_send(waker); }

static void uv_on_idle(uv_idle_t *idle) {
    struct uv_any *any = (struct uv_any *)idle;
    uv_close((uv_handle_t *)idle, uv_free);
    any->callback(any->argument);
}

static void uv_later(void *loop, callback callback, void *argument) {
    struct uv_any *any = malloc(sizeof *any);
    any->callback = callback;
    any->argument = argument;
    uv_idle_init(loop, &any->idle);
    uv_idle_start(&any->idle, uv_on_idle);
}

const struct ops ops_libuv = {
    uv_open,  uv_shut,    uv_turn,  uv_watch, uv_unwatch, uv_time,
    uv_rearm, uv_unwatch, uv_waker, uv_wake,  uv_unwatch, uv_later,
};

// libevent

struct ev {
    struct event *event;
    callback callback;
    void *argument;
};

static void *ev_open(void) {
    static int once;
    if (!once++) evthread_use_pthreads();
    // The precise timer: with it, libevent reads the clock that the deadlines are on.
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void ev_close(void *base) { event_base_free(base); }

static void ev_turn(void *base, int block) {
    event_base_loop(base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK));
}

static void ev_call(evutil_socket_t fd, short what, void *argument) {
    (void)fd, (void)what;
    struct ev *ev = argument;
    ev->callback(ev->argument);
}

static struct ev *ev_new(void *base, int fd, short what, callback callback, void *argument) {
    struct ev *ev = malloc(sizeof *ev);
    ev->callback = callback;
    ev->argument = argument;
    ev->event = event_new(base, fd, what, ev_call, ev);
    return ev;
}

static void *ev_watch(void *base, int fd, int edge, callback callback, void *argument) {
    short what = EV_READ | EV_PERSIST | (edge ? EV_ET : 0);
    struct ev *ev = ev_new(base, fd, what, callback, argument);
    event_add(ev->event, NULL);
    return ev;
}

static void ev_free(void *source) {
    struct ev *ev = source;
    event_free(ev->event);
    free(ev);
}

static void ev_arm(struct event *event, uint64_t at) {
    uint64_t now = at ? monotonic() : 0, micros = at > now ? (at - now + 999) / 1000 : 0;
    struct timeval after = {(time_t)(micros / 1000000), (suseconds_t)(micros % 1000000)};
    event_add(event, &after);
}

static void ev_rearm(void *source, uint64_t at) { ev_arm(((struct ev *)source)->event, at); }

static void *ev_timer(void *base, uint64_t at, callback callback, void *argument) {
    struct ev *ev = ev_new(base, -1, 0, callback, argument);
    ev_arm(ev->event, at);
    return ev;
}

static void *ev_waker(void *base, callback callback, void *argument) {
    struct ev *ev = ev_new(base, -1, EV_READ | EV_PERSIST, callback, argument);
    // The loop ends when there is no event left: this one keeps it up.
    struct timeval far = {1000000, 0};
    event_add(ev->event, &far);
    return ev;
}

static void ev_wake(void *waker) { event_active(((struct ev *)waker)->event, EV_READ, 0); }

static void ev_once(evutil_socket_t fd, short what, void *argument) {
    (void)fd, (void)what;
    struct ev *ev = argument;
    callback callback = ev->callback;
    argument = ev->argument;
    free(ev);
    callback(argument);
}

static void ev_later(void *base, callback callback, void *argument) {
    struct ev *ev = malloc(sizeof *ev);
    ev->callback = callback;
    ev->argument = argument;
    event_base_once(base, -1, EV_TIMEOUT, ev_once, ev, NULL);
}

const struct ops ops_libevent = {
    ev_open,  ev_close, ev_turn,  ev_watch, ev_free, ev_timer,
    ev_rearm, ev_free,  ev_waker, ev_wake,  ev_free, ev_later,
};

// GLib

struct g_any {
    GSource source;
    callback callback;
    void *argument;
};

static void *g_open(void) { return g_main_context_new(); }

static void g_close(void *context) { g_main_context_unref(context); }

static void g_turn(void *context, int block) { g_main_context_iteration(context, block); }

struct g_closure {
    callback callback;
    void *argument;
};

static gboolean g_on_fd(gint fd, GIOCondition condition, gpointer argument) {
    (void)fd, (void)condition;
    struct g_closure *closure = argument;
    closure->callback(closure->argument);
    return G_SOURCE_CONTINUE;
}

static void *g_watch(void *context, int fd, int edge, callback callback, void *argument) {
    (void)edge;
    struct g_closure *closure = malloc(sizeof *closure);
    closure->callback = callback;
    closure->argument = argument;
    GSource *source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(g_on_fd), closure, free);
    g_source_attach(source, context);
    return source;
}

static void g_drop(void *source) {
    g_source_destroy(source);
    g_source_unref(source);
}

// A source that is ready at its ready time, which any thread may set.
static gboolean g_dispatch(GSource *source, GSourceFunc function, gpointer data) {
    (void)function, (void)data;
    struct g_any *any = (struct g_any *)source;
    g_source_set_ready_time(source, -1);
    any->callback(any->argument);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs g_functions = {NULL, NULL, g_dispatch, NULL, NULL, NULL};

static void g_rearm(void *source, uint64_t at) {
    g_source_set_ready_time(source, (gint64)((at + 999) / 1000));
}

static void *g_insert(void *context, gint64 ready, callback callback, void *argument) {
    GSource *source = g_source_new(&g_functions, sizeof(struct g_any));
    struct g_any *any = (struct g_any *)source;
    any->callback = callback;
    any->argument = argument;
    g_source_set_ready_time(source, ready);
    g_source_attach(source, context);
    return source;
}

static void *g_time(void *context, uint64_t at, callback callback, void *argument) {
    return g_insert(context, (gint64)((at + 999) / 1000), callback, argument);
}

static void *g_waker(void *context, callback callback, void *argument) {
    return g_insert(context, -1, callback, argument);
}

static void g_wake(void *waker) { g_source_set_ready_time(waker, 0); }

static gboolean g_call_once(gpointer argument) {
    struct g_closure *closure = argument;
    closure->callback(closure->argument);
    return G_SOURCE_REMOVE;
}

static void g_later(void *context, callback callback, void *argument) {
    struct g_closure *closure = malloc(sizeof *closure);
    closure->callback = callback;
    closure->argument = argument;
    GSource *source = g_idle_source_new();
    g_source_set_callback(source, g_call_once, closure, free);
    g_source_attach(source, context);
    g_source_unref(source);
}

const struct ops ops_glib = {
    g_open,  g_close, g_turn,  g_watch, g_drop, g_time,
    g_rearm, g_drop,  g_waker, g_wake,  g_drop, g_later,
};

// sd-event

struct sd {
    sd_event_source *source;
    callback callback;
    void *argument;
    int fd;
};

static void *sd_open(void) {
    sd_event *event = NULL;
    sd_event_new(&event);
    return event;
}

static void sd_close(void *event) { sd_event_unref(event); }

static void sd_turn(void *event, int block) { sd_event_run(event, block ? UINT64_MAX : 0); }

static int sd_on_io(sd_event_source *source, int fd, uint32_t events, void *argument) {
    (void)source, (void)fd, (void)events;
    struct sd *sd = argument;
    sd->callback(sd->argument);
    return 0;
}

static struct sd *sd_new(callback callback, void *argument) {
    struct sd *sd = malloc(sizeof *sd);
    sd->callback = callback;
    sd->argument = argument;
    sd->fd = -1;
    return sd;
}

static void *sd_watch(void *event, int fd, int edge, callback callback, void *argument) {
    struct sd *sd = sd_new(callback, argument);
    sd_event_add_io(event, &sd->source, fd, EPOLLIN | (edge ? EPOLLET : 0), sd_on_io, sd);
    return sd;
}

static void sd_drop(void *source) {
    struct sd *sd = source;
    sd_event_source_disable_unref(sd->source);
    if (sd->fd >= 0) close(sd->fd);
    free(sd);
}

static int sd_on_time(sd_event_source *source, uint64_t micros, void *argument) {
    (void)source, (void)micros;
    struct sd *sd = argument;
    sd->callback(sd->argument);
    return 0;
}

static void sd_rearm(void *source, uint64_t at) {
    struct sd *sd = source;
    sd_event_source_set_time(sd->source, (at + 999) / 1000);
    sd_event_source_set_enabled(sd->source, SD_EVENT_ONESHOT);
}

static void *sd_time(void *event, uint64_t at, callback callback, void *argument) {
    struct sd *sd = sd_new(callback, argument);
    // As precise as it goes: an accuracy of 0 would stand for 250 ms.
    sd_event_add_time(event, &sd->source, CLOCK_MONOTONIC, (at + 999) / 1000, 1, sd_on_time, sd);
    return sd;
}

static int sd_on_wake(sd_event_source *source, int fd, uint32_t events, void *argument) {
    (void)source, (void)events;
    uint64_t value;
    if (read(fd, &value, sizeof value) < 0) return 0;
    struct sd *sd = argument;
    sd->callback(sd->argument);
    return 0;
}

// It has no wake-up of its own: an eventfd.
static void *sd_waker(void *event, callback callback, void *argument) {
    struct sd *sd = sd_new(callback, argument);
    sd->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sd_event_add_io(event, &sd->source, sd->fd, EPOLLIN, sd_on_wake, sd);
    return sd;
}

static void sd_wake(void *waker) {
    uint64_t one = 1;
    if (write(((struct sd *)waker)->fd, &one, sizeof one) < 0) abort();
}

static int sd_once(sd_event_source *source, void *argument) {
    struct sd *sd = argument;
    callback callback = sd->callback;
    argument = sd->argument;
    sd_event_source_disable_unref(source);
    free(sd);
    callback(argument);
    return 0;
}

static void sd_later(void *event, callback callback, void *argument) {
    struct sd *sd = sd_new(callback, argument);
    sd_event_add_defer(event, &sd->source, sd_once, sd);
}

const struct ops ops_sd_event = {
    sd_open,  sd_close, sd_turn,  sd_watch, sd_drop, sd_time,
    sd_rearm, sd_drop,  sd_waker, sd_wake,  sd_drop, sd_later,
};

// wl_event_loop

struct wl {
    struct wl_event_source *source;
    callback callback;
    void *argument;
    int fd;
};

static void *wl_open(void) { return wl_event_loop_create(); }

static void wl_shut(void *loop) { wl_event_loop_destroy(loop); }

static void wl_turn(void *loop, int block) { wl_event_loop_dispatch(loop, block ? -1 : 0); }

static int wl_on_fd(int fd, uint32_t mask, void *argument) {
    (void)fd, (void)mask;
    struct wl *wl = argument;
    wl->callback(wl->argument);
    return 0;
}

static struct wl *wl_new(callback callback, void *argument) {
    struct wl *wl = malloc(sizeof *wl);
    wl->callback = callback;
    wl->argument = argument;
    wl->fd = -1;
    return wl;
}

static void *wl_watch(void *loop, int fd, int edge, callback callback, void *argument) {
    (void)edge;
    struct wl *wl = wl_new(callback, argument);
    wl->source = wl_event_loop_add_fd(loop, fd, WL_EVENT_READABLE, wl_on_fd, wl);
    return wl;
}

static void wl_drop(void *source) {
    struct wl *wl = source;
    wl_event_source_remove(wl->source);
    if (wl->fd >= 0) close(wl->fd);
    free(wl);
}

static int wl_on_time(void *argument) {
    struct wl *wl = argument;
    wl->callback(wl->argument);
    return 0;
}

static void wl_rearm(void *source, uint64_t at) {
    uint64_t now = monotonic(), millis = at > now ? (at - now + 999999) / 1000000 : 1;
    wl_event_source_timer_update(((struct wl *)source)->source, (int)millis);
}

static void *wl_time(void *loop, uint64_t at, callback callback, void *argument) {
    struct wl *wl = wl_new(callback, argument);
    wl->source = wl_event_loop_add_timer(loop, wl_on_time, wl);
    wl_rearm(wl, at);
    return wl;
}

static int wl_on_wake(int fd, uint32_t mask, void *argument) {
    (void)mask;
    uint64_t value;
    if (read(fd, &value, sizeof value) < 0) return 0;
    struct wl *wl = argument;
    wl->callback(wl->argument);
    return 0;
}

// It has no wake-up of its own: an eventfd.
static void *wl_waker(void *loop, callback callback, void *argument) {
    struct wl *wl = wl_new(callback, argument);
    wl->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wl->source = wl_event_loop_add_fd(loop, wl->fd, WL_EVENT_READABLE, wl_on_wake, wl);
    return wl;
}

static void wl_wake(void *waker) {
    uint64_t one = 1;
    if (write(((struct wl *)waker)->fd, &one, sizeof one) < 0) abort();
}

static void wl_later(void *loop, callback callback, void *argument) {
    wl_event_loop_add_idle(loop, callback, argument);
}

const struct ops ops_wl = {
    wl_open,  wl_shut, wl_turn,  wl_watch, wl_drop, wl_time,
    wl_rearm, wl_drop, wl_waker, wl_wake,  wl_drop, wl_later,
};
