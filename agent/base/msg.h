/*
 * Messages for people, on stderr: one line each, whole (one write), prefixed "<3>".."<7>" where
 * journald or a file reads them and plain on a terminal. Transitions are logged, never ticks; the
 * sampler thread never calls this.
 */
#ifndef STROBE_BASE_MSG_H
#define STROBE_BASE_MSG_H

enum msg_level { MSG_ERROR = 3, MSG_WARN = 4, MSG_NOTICE = 5, MSG_INFO = 6, MSG_DEBUG = 7 };

/* Messages above `level` are dropped; MSG_INFO at start. */
void msg_set_level(enum msg_level level);

/* Prints "strobe: text". Any thread. Lines longer than 1 KiB are cut; errno is kept. */
void msg(enum msg_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
